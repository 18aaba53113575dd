//! The configuration file: read from disk, and cut into keys with the place of each.
//!
//! The file belongs to several tools. Comments and trailing commas are accepted; whatever is outside our two sections
//! is not looked at, and nothing is ever written.

use std::io::Read;
use std::path::{Path, PathBuf};

use jsonc_parser::ast::{self, Object};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Value;

use crate::given::Given;
use crate::keys::{self, KEYS};
use crate::nearest::nearest;
use crate::problem::Problem;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The sections of the file that are ours.
const SECTIONS: [&str; 2] = ["cloud_sync", "sync_daemon"];

/// The text of a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileText {
    /// Where it was read.
    pub path: PathBuf,
    /// What was in it.
    pub text: String,
    /// Its permission bits, where they are known.
    pub mode: Option<u32>,
}

impl FileText {
    /// Reads a file; a missing one is no problem and gives `None`.
    ///
    /// # Errors
    /// When it is there and cannot be read: a folder, no permission, not UTF-8, larger than 4 MiB, a link that leads
    /// nowhere.
    pub fn read(path: &Path) -> Result<Option<Self>, Problem> {
        use std::os::unix::fs::PermissionsExt;

        let problem =
            |why: String| Problem::new(format!("cannot read the configuration {}: {why}", path.display()));
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            // What a link leads to may be on its way, or on a disk that is away; the defaults are not what was written.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_symlink() => {
                return Err(problem("it is a link to a file that does not exist".to_owned()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(problem(error.to_string())),
        };
        if !metadata.is_file() {
            return Err(problem("not a file".to_owned()));
        }
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(problem(error.to_string())),
            Ok(length) if length as u64 > LARGEST => Err(problem("larger than 4 MiB".to_owned())),
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let mode = metadata.permissions().mode() & 0o7777;
                    Ok(Some(Self { path: path.to_owned(), text, mode: Some(mode) }))
                }
                Err(error) => {
                    Err(problem(format!("not UTF-8 (byte {})", error.utf8_error().valid_up_to() + 1)))
                }
            },
        }
    }
}

/// A key of the file with its value and its line and column.
pub(crate) struct Found {
    pub(crate) path: &'static str,
    pub(crate) given: Given,
    pub(crate) place: (usize, usize),
}

/// What a file says about our keys.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) found: Vec<Found>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Cuts a file into keys.
pub(crate) fn contents(file: &FileText) -> Contents {
    let mut walk =
        Walk { path: &file.path, text: file.text.trim_start_matches('\u{feff}'), out: Contents::default() };
    walk.document();
    walk.out
}

/// What a value is; not which, for there may be secrets in it.
fn kind(value: &ast::Value<'_>) -> &'static str {
    match value {
        ast::Value::StringLit(_) => "a string",
        ast::Value::NumberLit(_) => "a number",
        ast::Value::BooleanLit(_) => "true or false",
        ast::Value::Array(_) => "an array",
        ast::Value::Object(_) => "an object",
        ast::Value::NullKeyword(_) => "null",
    }
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    out: Contents,
}

impl Walk<'_> {
    fn document(&mut self) {
        let options = ParseOptions {
            allow_comments: true,
            allow_loose_object_property_names: false,
            allow_trailing_commas: true,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let text = self.text;
        let parsed = match parse_to_ast(text, &CollectOptions::default(), &options) {
            Ok(parsed) => parsed.value,
            Err(error) => {
                let mut words = error.kind().to_string();
                if let Some(first) = words.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                let place = (error.line_display(), error.column_display());
                let problem = Problem::new(format!("not JSON: {words}")).in_file(self.path.to_owned(), place);
                self.out.problems.push(problem);
                return;
            }
        };
        match parsed {
            None => {}
            Some(ast::Value::Object(root)) => {
                for name in SECTIONS {
                    self.section(name, &root, name);
                }
            }
            Some(other) => {
                let problem = Problem::new(format!("must be a JSON object, not {}", kind(&other)));
                self.out.problems.push(problem.in_file(self.path.to_owned(), self.place(other.start())));
            }
        }
    }

    /// Takes up the property `name` of an object, which is the section `path` of the configuration.
    fn section(&mut self, path: &str, parent: &Object<'_>, name: &str) {
        // As every other reader of the file does, the last of several equal names is taken.
        let Some(property) = parent.properties.iter().rev().find(|property| property.name.as_str() == name)
        else {
            return;
        };
        match &property.value {
            ast::Value::Object(section) => self.members(path, section),
            ast::Value::NullKeyword(_) => {}
            ast::Value::StringLit(_)
            | ast::Value::NumberLit(_)
            | ast::Value::BooleanLit(_)
            | ast::Value::Array(_) => {
                let problem = Problem::of(path, format!("must be an object, not {}", kind(&property.value)));
                let place = self.place(property.value.start());
                self.out.problems.push(problem.in_file(self.path.to_owned(), place));
            }
        }
    }

    fn members(&mut self, section: &str, object: &Object<'_>) {
        for (at, property) in object.properties.iter().enumerate() {
            let name = property.name.as_str();
            let path = format!("{section}.{name}");
            let place = self.place(property.start());
            if object.properties[at + 1..].iter().any(|later| later.name.as_str() == name) {
                let problem = Problem::of(path, "is there more than once, the last one counts");
                self.out.warnings.push(problem.in_file(self.path.to_owned(), place));
            } else if keys::is_section(&path) {
                self.section(&path, object, name);
            } else if let Some(key) = keys::find(&path) {
                let place = self.place(property.value.start());
                self.out.found.push(Found { path: key.path, given: json(&property.value), place });
            } else {
                let nearest = nearest_key(section, name);
                let problem =
                    Problem { nearest, ..Problem::of(path, "is not a known key and has no effect") };
                self.out.warnings.push(problem.in_file(self.path.to_owned(), place));
            }
        }
    }

    /// Line and column, from 1, of a byte of the text.
    fn place(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The known key that was probably meant: a similar name in the same section, or the same name in another one.
fn nearest_key(section: &str, name: &str) -> Option<Box<str>> {
    let members = KEYS.iter().filter_map(|key| key.path.strip_prefix(section)?.strip_prefix('.'));
    let members = members.map(|rest| rest.split('.').next().unwrap_or(rest));
    let elsewhere = || KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name));
    nearest(name, members)
        .map(|near| format!("{section}.{near}").into())
        .or_else(|| elsewhere().map(|key| key.path.into()))
}

fn json(value: &ast::Value<'_>) -> Given {
    Given::Json(to_json(value))
}

fn to_json(value: &ast::Value<'_>) -> Value {
    match value {
        ast::Value::StringLit(text) => Value::from(&*text.value),
        ast::Value::NumberLit(number) => {
            serde_json::from_str(number.value).unwrap_or_else(|_| Value::from(number.value))
        }
        ast::Value::BooleanLit(truth) => Value::from(truth.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(list) => list.elements.iter().map(to_json).collect(),
        ast::Value::Object(object) => {
            let members = object.properties.iter();
            members.map(|property| (property.name.as_str().to_owned(), to_json(&property.value))).collect()
        }
    }
}
