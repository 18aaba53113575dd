//! Names the language of a file and, from the bytes of all files, that of a project.
//!
//! Names are those GitHub shows. A file is told by its name, else by the interpreter its first line asks for, else by
//! the end of its name, else, where several languages share that, by how it begins.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::{heuristic, paths};

/// How much of a file is looked at.
pub const LONGEST_HEAD: u64 = 8 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    ends: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    interpreters: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    markup: bool,
    group: Option<String>,
}

struct Languages {
    by_end: HashMap<&'static str, Vec<&'static str>>,
    by_name: HashMap<&'static str, &'static str>,
    by_interpreter: HashMap<&'static str, &'static str>,
    /// Lower case, a dash for a space.
    by_word: HashMap<String, &'static str>,
    told: &'static BTreeMap<String, Told>,
}

static TOLD: LazyLock<BTreeMap<String, Told>> =
    LazyLock::new(|| toml::from_str(include_str!("languages.toml")).unwrap_or_default());

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let told: &'static BTreeMap<String, Told> = &TOLD;
    let mut known = Languages {
        by_end: HashMap::new(),
        by_name: HashMap::new(),
        by_interpreter: HashMap::new(),
        by_word: HashMap::new(),
        told,
    };
    for (language, told) in told {
        for end in &told.ends {
            known.by_end.entry(end).or_default().push(language);
        }
        for name in &told.names {
            known.by_name.entry(name).or_insert(language);
        }
        for interpreter in &told.interpreters {
            known.by_interpreter.entry(interpreter).or_insert(language);
        }
        let words = told.aliases.iter().chain(std::iter::once(language));
        known.by_word.extend(words.map(|word| (word.to_lowercase().replace(' ', "-"), language.as_str())));
    }
    known
});

/// What a file's path alone tells of its language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guess {
    /// This language.
    Certain(&'static str),
    /// One of these, or none; the beginning of the file tells.
    Open(&'static str, Vec<&'static str>),
    /// The first line may name an interpreter.
    Nameless,
    /// None that counts.
    None,
}

/// What `path` tells; `executable` files without a known end are looked into.
pub fn guess(path: &str, executable: bool) -> Guess {
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some(language) = LANGUAGES.by_name.get(name) {
        return Guess::Certain(language);
    }
    // The longest end first: `.blade.php` before `.php`.
    let dots = name.match_indices('.').map(|(at, _)| &name[at..]);
    for end in dots {
        let known = &LANGUAGES.by_end;
        let found = known.get_key_value(end).or_else(|| {
            let has_upper = end.bytes().any(|byte| byte.is_ascii_uppercase());
            has_upper.then(|| known.get_key_value(end.to_ascii_lowercase().as_str()))?
        });
        let Some((end, languages)) = found else { continue };
        return match languages.as_slice() {
            [one] if !heuristic::SUSPECT.contains(end) => Guess::Certain(one),
            several => Guess::Open(end, several.to_vec()),
        };
    }
    if name.starts_with("Dockerfile.") || name.ends_with(".Dockerfile") {
        return Guess::Certain("Dockerfile");
    }
    if !name.trim_start_matches('.').contains('.') && (executable || !name.starts_with('.')) {
        return Guess::Nameless;
    }
    Guess::None
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
            asked.or_else(|| heuristic::choose(end, &String::from_utf8_lossy(head), candidates, others))
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
    let known = &LANGUAGES.by_interpreter;
    known.get(program).or_else(|| known.get(unversioned)).copied()
}

/// The language that attributes name by any of its words.
pub fn named(word: &str) -> Option<&'static str> {
    LANGUAGES.by_word.get(&word.to_lowercase().replace(' ', "-")).copied()
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

/// Whether the file at `path` counts for the project.
pub fn counts(path: &str, overrides: &Overrides) -> bool {
    overrides.detectable != Some(false)
        && !overrides.vendored.unwrap_or_else(|| paths::is_vendored(path))
        && !overrides.generated.unwrap_or_else(|| paths::is_generated(path))
        && !overrides.documentation.unwrap_or_else(|| paths::is_documentation(path))
}

/// Bytes by language.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split(BTreeMap<&'static str, u64>);

impl Split {
    /// Counts a file of `language`, for the language its group goes by.
    pub fn add(&mut self, language: &'static str, bytes: u64) {
        let group = LANGUAGES.told.get(language).and_then(|told| told.group.as_deref());
        *self.0.entry(group.unwrap_or(language)).or_default() += bytes;
    }

    /// Whether anything was counted for `language`.
    pub fn has(&self, language: &str) -> bool {
        self.0.contains_key(language)
    }

    /// The language with the most bytes.
    pub fn first(&self) -> Option<&'static str> {
        let most = self.0.iter().filter(|(_, bytes)| **bytes > 0);
        most.max_by(|left, right| left.1.cmp(right.1).then_with(|| right.0.cmp(left.0)))
            .map(|(language, _)| *language)
    }
}

/// Whether `language` is markup and no programming language.
pub fn is_markup(language: &str) -> bool {
    LANGUAGES.told.get(language).is_some_and(|told| told.markup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_read_whole_and_names_only_groups_that_exist() {
        assert!(TOLD.len() > 180, "{} languages", TOLD.len());
        for (language, told) in TOLD.iter() {
            assert!(!told.ends.is_empty() || !told.names.is_empty(), "nothing tells {language}");
            for end in &told.ends {
                assert!(end.starts_with('.'), "{language}: {end}");
            }
            if let Some(group) = &told.group {
                assert!(TOLD.contains_key(group), "{language} is counted for {group}");
            }
        }
    }

    #[test]
    fn ends_that_several_languages_share_are_told_apart() {
        let mut ends: Vec<_> = LANGUAGES.by_end.iter().collect();
        ends.sort();
        for (end, languages) in ends {
            if languages.len() > 1 {
                let seen: Vec<_> = ["", "#import\n", "use v6\n", "<?php"]
                    .iter()
                    .map(|head| heuristic::choose(end, head, languages, &|_| false))
                    .collect();
                assert!(seen.iter().flatten().all(|found| languages.contains(found)), "{end}");
            }
        }
    }

    fn check(path: &str, head: &str, expected: Option<&str>) {
        assert_eq!(by_content(&guess(path, false), head.as_bytes(), &|_| false), expected, "{path}");
    }

    #[test]
    fn names_ends_and_first_lines_tell_the_language() {
        check("src/main.rs", "", Some("Rust"));
        check("a/CMakeLists.txt", "", Some("CMake"));
        check("Dockerfile", "", Some("Dockerfile"));
        check("Dockerfile.dev", "", Some("Dockerfile"));
        check("views/a.blade.php", "", Some("Blade"));
        check("a.PY", "", Some("Python"));
        check("a.b.tsx", "", Some("TSX"));
        check("script", "#!/usr/bin/env -S python3.11 -u\n", Some("Python"));
        check("script", "#!/bin/bash\n", Some("Shell"));
        check("script", "no first line\n", None);
        check("build.gradle.kts", "", Some("Kotlin"));
        check("notes.txt", "", None);
        check("data.json", "", None);
        check("README.md", "", None);
        check(".gitignore", "", None);
    }

    #[test]
    fn groups_are_folded_and_the_most_bytes_win() {
        let mut split = Split::default();
        split.add("TSX", 60);
        split.add("TypeScript", 50);
        split.add("CSS", 100);
        assert_eq!(split.first(), Some("TypeScript"));
        assert_eq!(Split::default().first(), None);
        assert_eq!(named("golang"), Some("Go"));
        assert_eq!(named("c++"), Some("C++"));
        assert_eq!(named("emacs-lisp"), Some("Emacs Lisp"));
    }
}
