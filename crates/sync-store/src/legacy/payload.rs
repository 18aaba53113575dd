//! What a row of the old client's queue says of a project.
//!
//! A registration that was queued by itself has eight or nine fields, one of a failed batch four. The old client had
//! an empty text where it knew nothing, so an empty text counts as not said. Which of the rest somebody gave and which
//! it had found out by looking, it did not tell; the Python module says of its rows that all of it was given.
//!
//! Python writes a byte of a folder's name that is no UTF-8 as half of a surrogate pair, `\udc80` to `\udcff`
//! (`surrogateescape`), which no other reader of JSON takes for text. So such halves are marked before the JSON is read,
//! and are the byte again in a path, and U+FFFD in any other text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde_json::{Map, Value};
use sync_core::{Field, Given, LocalId, MachineId, ProjectKind};
use uuid::Uuid;

/// The only operation the old client ever queued.
const REGISTER: &str = "register";
/// The mark of a row in which everything that is said was given by somebody.
const GIVEN: &str = "given";
/// The mark of a row that is to be sent whatever the cloud has.
const FORCE: &str = "force";

/// A byte stands behind it as the character of its number; or a letter, and then the mark stands for itself. It is the code
/// of no character, so that hardly any text has it.
const MARK: char = '\u{fdd0}';
const MARK_BYTES: &[u8] = "\u{fdd0}".as_bytes();
const MARK_ITSELF: &str = "\u{fdd0}m";

/// What is said of a project; `None` where nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Fields {
    pub(super) machine: Option<MachineId>,
    pub(super) name: Option<String>,
    pub(super) root: Option<PathBuf>,
    pub(super) language: Option<String>,
    pub(super) framework: Option<String>,
    pub(super) content_hash: Option<String>,
    pub(super) kind: Option<ProjectKind>,
    pub(super) parent: Option<LocalId>,
    /// Which of these somebody gave.
    pub(super) given: Given,
    /// It is to be sent even if the cloud has it as it is.
    pub(super) force: bool,
}

/// Reads a row.
///
/// # Errors
/// Why it is no registration, as a sentence about it.
pub(super) fn read(operation: &str, payload: &[u8]) -> Result<(LocalId, Fields), String> {
    if operation != REGISTER {
        return Err(format!("its operation is `{}`, not `{REGISTER}`", shown(operation)));
    }
    let value: Value = serde_json::from_slice(&marked(payload))
        .map_err(|error| format!("its payload is no JSON: {error}"))?;
    let Value::Object(said) = value else { return Err("its payload is no JSON object".to_owned()) };
    let local = uuid(&said, "local_project_uuid")?
        .ok_or_else(|| "its payload has no `local_project_uuid`".to_owned())?;
    let kind = text(&said, "project_type")?
        .map(|word| {
            ProjectKind::from_word(&word).ok_or_else(|| format!("its `project_type` is `{}`", shown(&word)))
        })
        .transpose()?;
    let mut fields = Fields {
        // Whatever else stands there, the project is on the machine where the queue is.
        machine: uuid(&said, "machine_uuid").ok().flatten().map(MachineId),
        name: text(&said, "project_name")?,
        root: bytes(&said, "root_path")?.map(|path| PathBuf::from(OsString::from_vec(path))),
        language: text(&said, "primary_language")?,
        framework: text(&said, "framework")?,
        content_hash: text(&said, "content_hash")?,
        kind,
        parent: uuid(&said, "parent_project_uuid")?.map(LocalId),
        given: Given::default(),
        force: said.get(FORCE) == Some(&Value::Bool(true)),
    };
    if said.get(GIVEN) == Some(&Value::Bool(true)) {
        fields.given = fields.said();
    }
    Ok((LocalId(local), fields))
}

impl Fields {
    /// Which of the fields that can be given are said.
    pub(super) fn said(&self) -> Given {
        Field::ALL
            .into_iter()
            .filter(|field| match field {
                Field::Name => self.name.is_some(),
                Field::Language => self.language.is_some(),
                Field::Framework => self.framework.is_some(),
                Field::Kind => self.kind.is_some(),
                Field::Parent => self.parent.is_some(),
            })
            .collect()
    }
}

fn text(said: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    Ok(bytes(said, key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A text as the bytes that Python meant.
fn bytes(said: &Map<String, Value>, key: &str) -> Result<Option<Vec<u8>>, String> {
    match said.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(unmarked(text))),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("its `{key}` is no text"))
        }
    }
}

/// JSON with each escape that stands for a byte marked; whether it is JSON is seen afterwards.
fn marked(json: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.first() {
        let (written, length) = match (first, escape(rest)) {
            // The first half of a pair is left with whatever follows: it is a pair, or an error.
            (_, Some(0xd800..=0xdbff)) if matches!(rest.get(6..).and_then(escape), Some(0xdc00..=0xdfff)) => {
                (None, 12)
            }
            (_, Some(unit @ 0xdc80..=0xdcff)) => (Some(format!("{MARK}\\u{:04x}", unit & 0xff)), 6),
            (_, Some(0xfdd0)) => (Some(MARK_ITSELF.to_owned()), 6),
            (_, Some(_)) => (None, 6),
            // Another escape, as that of the backslash itself.
            (b'\\', None) => (None, 2),
            (_, None) if rest.starts_with(MARK_BYTES) => (Some(MARK_ITSELF.to_owned()), 3),
            (_, None) => (None, 1),
        };
        let (these, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        marked.extend_from_slice(written.as_deref().map_or(these, str::as_bytes));
        rest = after;
    }
    marked
}

/// The number in the escape `\uXXXX` at the beginning.
fn escape(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    let are_digits = digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| are_digits)
        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
}

/// The bytes of a text, with what was marked undone.
fn unmarked(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let behind = if letter == MARK { letters.next() } else { None };
        match behind.map(u8::try_from) {
            Some(Ok(byte @ 0x80..)) => bytes.push(byte),
            Some(_) | None => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn uuid(said: &Map<String, Value>, key: &str) -> Result<Option<Uuid>, String> {
    let Some(text) = text(said, key)? else { return Ok(None) };
    match text.trim().parse::<Uuid>() {
        Ok(id) if !id.is_nil() => Ok(Some(id)),
        Ok(_) | Err(_) => Err(format!("its `{key}` is `{}`, no UUID of a thing", shown(&text))),
    }
}

/// The start of a text of unknown length.
fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(60).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn rows_are_read_as_the_old_client_wrote_them() {
        let single = format!(
            r#"{{"local_project_uuid": "{LOCAL}", "project_name": "api",
                "machine_uuid": "00000000-0000-0000-0000-000000000007", "root_path": "/home/u/\u00e4",
                "primary_language": "Rust", "framework": "", "content_hash": "ab", "project_type": "submodule",
                "parent_project_uuid": "00000000-0000-0000-0000-000000000009"}}"#
        );
        let (local, fields) = read("register", single.as_bytes()).unwrap();
        assert_eq!(local, LocalId(Uuid::from_u128(1)));
        let expected = Fields {
            machine: Some(MachineId(Uuid::from_u128(7))),
            name: Some("api".to_owned()),
            root: Some(PathBuf::from("/home/u/ä")),
            language: Some("Rust".to_owned()),
            framework: None,
            content_hash: Some("ab".to_owned()),
            kind: Some(ProjectKind::Submodule),
            parent: Some(LocalId(Uuid::from_u128(9))),
            given: Given::default(),
            force: false,
        };
        assert_eq!(fields, expected);

        let marked = |mark: &str| single.replacen('{', &format!(r#"{{"given": {mark}, "#), 1);
        let given = |mark: &str| read("register", marked(mark).as_bytes()).unwrap().1.given;
        let said = [Field::Name, Field::Language, Field::Kind, Field::Parent].into_iter().collect();
        assert_eq!(given("true"), said, "what is empty is not given");
        assert_eq!((given("false"), given("\"true\"")), (Given::default(), Given::default()));
        let force = |mark: &str| single.replacen('{', &format!(r#"{{"force": {mark}, "#), 1);
        let force = |mark: &str| read("register", force(mark).as_bytes()).unwrap().1.force;
        assert!(force("true") && !force("false") && !force("1"));

        let of_a_batch =
            format!(r#"{{"local_project_uuid": "{LOCAL}", "machine_uuid": "laptop", "root_path": "/a"}}"#);
        let (_, fields) = read("register", of_a_batch.as_bytes()).unwrap();
        assert_eq!(fields, Fields { root: Some(PathBuf::from("/a")), ..Fields::default() });
    }

    #[test]
    fn a_folder_whose_name_is_no_text_is_read_as_python_wrote_it() {
        use std::os::unix::ffi::OsStrExt;
        // Left what stands in the JSON, right the path.
        for (written, path) in [
            (r"/caf\udce9", &b"/caf\xe9"[..]),
            (r"/\udc80\uDCFF/\udCaB", b"/\x80\xff/\xab"),
            (r"/\ud83d\ude00\udce9", b"/\xf0\x9f\x98\x80\xe9"),
            (r"/\ud83d\udce9", "/\u{1f4e9}".as_bytes()),
            (r"/a\\udce9", br"/a\udce9"),
            (r"/a\\\udce9", b"/a\\\xe9"),
            ("/\u{fdd0}\u{e9}\\ufdd0m\\uFDD0\\udce9", b"/\xef\xb7\x90\xc3\xa9\xef\xb7\x90m\xef\xb7\x90\xe9"),
            (r"/\u00e9\udce9\n", b"/\xc3\xa9\xe9\n"),
        ] {
            let payload = format!(
                r#"{{"local_project_uuid": "{LOCAL}", "root_path": "{written}", "project_name": "{written}"}}"#
            );
            let (_, fields) = read("register", payload.as_bytes()).unwrap();
            let root = fields.root.unwrap();
            assert_eq!(root.as_os_str().as_bytes(), path, "{written}");
            assert_eq!(fields.name, Some(root.to_string_lossy().into_owned()), "{written}");
        }
        for written in [
            r"\ud800",
            r"\udc41",
            r"\udc7f",
            r"\udd00",
            r"\ud800\ud800",
            r"\ud83d\u0041",
            r"\udce",
            r"\ud83d\",
            r"\udcg9",
            r"\u+c80",
        ] {
            let payload = format!(r#"{{"local_project_uuid": "{LOCAL}", "root_path": "/{written}"}}"#);
            let told = read("register", payload.as_bytes()).unwrap_err();
            assert!(told.contains("no JSON"), "{written}: {told}");
        }
        for torn in [r"\", r"\u", r"\udce", r"\ud83d\u", r"\ud83d\ude0", "\u{fdd0}"] {
            assert!(read("register", torn.as_bytes()).is_err(), "{torn}");
        }
    }

    #[test]
    fn what_is_no_registration_is_told_why() {
        let with = |rest: &str| format!(r#"{{"local_project_uuid": "{LOCAL}", {rest}}}"#);
        for (operation, payload, why) in [
            ("delete", with(r#""root_path": "/a""#), "operation is `delete`"),
            ("register", "{".to_owned(), "no JSON"),
            ("register", "\u{0}".to_owned(), "no JSON"),
            ("register", "[".repeat(10_000), "no JSON"),
            ("register", "[1]".to_owned(), "no JSON object"),
            ("register", r#"{"root_path": "/a"}"#.to_owned(), "no `local_project_uuid`"),
            ("register", r#"{"local_project_uuid": "x"}"#.to_owned(), "`local_project_uuid` is `x`"),
            ("register", r#"{"local_project_uuid": 5}"#.to_owned(), "`local_project_uuid` is no text"),
            ("register", format!(r#"{{"local_project_uuid": "{}"}}"#, Uuid::nil()), "no UUID of a thing"),
            ("register", with(r#""project_name": ["a"]"#), "`project_name` is no text"),
            ("register", with(r#""project_type": "library""#), "`project_type` is `library`"),
            ("register", with(r#""parent_project_uuid": "me""#), "`parent_project_uuid` is `me`"),
        ] {
            let told = read(operation, payload.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{told}");
            assert!(told.len() < 200, "{told}");
        }
        assert!(read(&"x".repeat(1_000_000), b"{}").unwrap_err().len() < 200);
    }
}
