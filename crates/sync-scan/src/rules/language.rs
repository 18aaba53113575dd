//! Names the language of a file and, from the bytes of all files, that of a project.
//!
//! Names are those GitHub shows. A file is told by its name, else by the interpreter its first line asks for, else by
//! the end of its name, else, where several languages share that, by how it begins.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::word::word_of;
use super::{generated, heuristic, paths};

#[cfg(test)]
mod tests;

/// How much of a file is looked at.
pub const LONGEST_HEAD: u64 = 16 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Kind {
    Programming,
    Markup,
    Data,
    Prose,
}

/// What `languages.toml` tells of a language, in the order in which it is built in.
#[derive(Deserialize)]
struct Told<'a> {
    language: &'a str,
    /// In lower case.
    #[serde(borrow)]
    ends: Vec<&'a str>,
    names: Vec<&'a str>,
    interpreters: Vec<&'a str>,
    /// Its aliases and its name, as [`word_of`] writes them.
    words: Vec<&'a str>,
    kind: Kind,
    group: Option<&'a str>,
}

/// All languages, by name. A table of the program itself would be some ten thousand addresses, which are set in every
/// process, and the daemon leaves it to others to examine.
static TOLD: LazyLock<Vec<Told<'static>>> = LazyLock::new(|| {
    // That it can be read is tested.
    postcard::from_bytes(include_bytes!(concat!(env!("OUT_DIR"), "/languages"))).unwrap_or_default()
});

fn told(language: &str) -> Option<&'static Told<'static>> {
    TOLD.binary_search_by_key(&language, |told| told.language).ok().and_then(|at| TOLD.get(at))
}

/// What leads to languages.
struct Languages {
    /// Those a language is best known by come first, then the widely used.
    ends: Index,
    names: Index,
    interpreters: BTreeMap<&'static str, &'static str>,
    words: BTreeMap<&'static str, &'static str>,
}

/// Languages by a key that several may share.
struct Index(Vec<(&'static str, &'static str)>);

impl Index {
    /// Keeps the order of those that share a key.
    fn new(mut pairs: Vec<(&'static str, &'static str)>) -> Self {
        pairs.sort_by_key(|(key, _)| *key);
        pairs.dedup();
        pairs.shrink_to_fit();
        Self(pairs)
    }

    fn get(&self, key: &str) -> &[(&'static str, &'static str)] {
        let from = self.0.partition_point(|(known, _)| *known < key);
        let after = self.0.get(from..).unwrap_or_default();
        after.get(..after.partition_point(|(known, _)| *known == key)).unwrap_or_default()
    }
}

/// Languages that are more likely than others that share an end with them.
const WIDELY_USED: &[&str] = &[
    "C",
    "C#",
    "C++",
    "CSS",
    "Dart",
    "Elixir",
    "Go",
    "Groovy",
    "HTML",
    "Java",
    "JavaScript",
    "Kotlin",
    "Lua",
    "Objective-C",
    "PHP",
    "Perl",
    "PowerShell",
    "Python",
    "R",
    "Ruby",
    "Rust",
    "Scala",
    "Shell",
    "Swift",
    "TypeScript",
];

/// Ends so many unrelated files have that they tell nothing by themselves.
const TELL_NOTHING: &[&str] = &[
    ".1",
    ".2",
    ".3",
    ".4",
    ".5",
    ".6",
    ".7",
    ".8",
    ".9",
    ".action",
    ".alg",
    ".app",
    ".cmp",
    ".msg",
    ".network",
    ".resource",
    ".sol",
    ".srv",
    ".stl",
    ".tag",
    ".target",
    ".url",
];

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let mut names = Vec::new();
    let (mut interpreters, mut words) = (BTreeMap::new(), BTreeMap::new());
    let mut claims = Vec::new();
    for told in TOLD.iter() {
        let language = told.language;
        for (at, end) in told.ends.iter().enumerate() {
            claims.push((!WIDELY_USED.contains(&language), at > 0, language, *end));
        }
        names.extend(told.names.iter().map(|name| (*name, language)));
        for interpreter in &told.interpreters {
            interpreters.entry(*interpreter).or_insert(language);
        }
        words.extend(told.words.iter().map(|word| (*word, language)));
    }
    claims.sort_unstable();
    let ends = claims.into_iter().map(|(_, _, language, end)| (end, language)).collect();
    Languages { ends: Index::new(ends), names: Index::new(names), interpreters, words }
});

/// What a file's path alone tells of its language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guess {
    /// This language.
    Certain(&'static str),
    /// One of these, or none; the beginning of the file tells.
    Open(String, Vec<&'static str>),
    /// The first line may name an interpreter.
    Nameless,
    /// None.
    None,
}

/// What `path` tells; `executable` files without a known end are looked into.
pub fn guess(path: &str, executable: bool) -> Guess {
    let name = path.rsplit('/').next().unwrap_or(path);
    match LANGUAGES.names.get(name) {
        [] => {}
        [(_, one)] => return Guess::Certain(one),
        several => return Guess::Open(String::new(), languages(several)),
    }
    // The longest end first: `.blade.php` before `.php`.
    let lower = name.to_lowercase();
    for (at, _) in lower.match_indices('.') {
        let end = &lower[at..];
        match LANGUAGES.ends.get(end) {
            [] => {}
            [(_, one)] if !heuristic::is_open(end) && !TELL_NOTHING.contains(&end) => {
                return Guess::Certain(one);
            }
            several => return Guess::Open(end.to_owned(), languages(several)),
        }
    }
    let has_end = name.trim_start_matches('.').contains('.');
    if executable || (!has_end && !name.starts_with('.')) { Guess::Nameless } else { Guess::None }
}

fn languages(several: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    several.iter().map(|(_, language)| *language).collect()
}

/// The language of a file that its path left open, from how it begins.
///
/// `others` tells whether the project has files that are certainly of a language.
pub fn by_content(guess: &Guess, head: &[u8], others: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    match guess {
        Guess::Certain(language) => Some(language),
        Guess::None => None,
        Guess::Nameless => by_interpreter(head),
        Guess::Open(end, candidates) => {
            if head.contains(&0) {
                return None;
            }
            let asked = by_interpreter(head).filter(|language| candidates.contains(language));
            asked.or_else(|| heuristic::told(end, &String::from_utf8_lossy(head))).or_else(|| {
                let likely = candidates.iter().find(|candidate| others(candidate)).or(candidates.first());
                likely.copied().filter(|_| !TELL_NOTHING.contains(&end.as_str()))
            })
        }
    }
}

fn by_interpreter(head: &[u8]) -> Option<&'static str> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let mut program = words.next()?;
    if program == "env" {
        program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    }
    let unversioned = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let known = &LANGUAGES.interpreters;
    known.get(program).or_else(|| known.get(unversioned)).copied()
}

/// The language that attributes name by any of its words.
pub fn named(word: &str) -> Option<&'static str> {
    LANGUAGES.words.get(word_of(word).as_str()).copied()
}

/// What attributes say of a file, where they say something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// It is somebody else's, or is not.
    pub vendored: Option<bool>,
    /// A tool made it, or not.
    pub generated: Option<bool>,
    /// It is documentation, or is not.
    pub documentation: Option<bool>,
    /// It counts, or does not, whatever its language is.
    pub detectable: Option<bool>,
}

/// Why a file does not count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LeftOut {
    /// It is somebody else's.
    Vendored,
    /// A tool made it.
    Generated,
    /// It is documentation or an example.
    Documentation,
    /// It is data or prose.
    Data,
    /// The attributes say so.
    Attributes,
}

impl LeftOut {
    /// Words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Vendored => "vendored",
            Self::Generated => "generated",
            Self::Documentation => "documentation",
            Self::Data => "data or prose",
            Self::Attributes => "not detectable by .gitattributes",
        }
    }
}

/// Why the file at `path` does not count, whatever language it is in.
pub fn left_out(path: &str, overrides: &Overrides) -> Option<LeftOut> {
    let told = |given: Option<bool>, by_path: fn(&str) -> bool| given.unwrap_or_else(|| by_path(path));
    if overrides.detectable == Some(false) {
        Some(LeftOut::Attributes)
    } else if told(overrides.vendored, paths::is_vendored) {
        Some(LeftOut::Vendored)
    } else if told(overrides.generated, paths::is_generated) {
        Some(LeftOut::Generated)
    } else if told(overrides.documentation, paths::is_documentation) {
        Some(LeftOut::Documentation)
    } else {
        None
    }
}

/// Whether files of `language` count where nothing else is said.
pub fn is_detectable(language: &str) -> bool {
    let kind = told(language).map_or(Kind::Data, |told| told.kind);
    matches!(kind, Kind::Programming | Kind::Markup)
}

/// The language the bytes of `language` are counted for.
pub fn group(language: &'static str) -> &'static str {
    told(language).and_then(|told| told.group).unwrap_or(language)
}

/// Whether the beginning of the file at `path` can show that a tool made it.
pub fn may_be_generated(path: &str) -> bool {
    generated::may_be(path)
}

/// Whether a tool made the file at `path`, as its beginning shows.
pub fn is_generated(path: &str, head: &[u8]) -> bool {
    generated::is(path, &String::from_utf8_lossy(head))
}
