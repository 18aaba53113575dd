//! The form of files: a header, a bounded length, and none of the words that have no place in a repository.

use std::path::Path;

use crate::lexer::code;
use crate::none;
use crate::repository::{FILES, Source, rust};

/// The most lines of code a file may have; blank lines and comments do not count.
const LONGEST: usize = 600;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Words with no place in a repository, and why.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "an unfinished thought belongs into an issue"),
    (concat!("FIX", "ME"), "an unfinished thought belongs into an issue"),
    (concat!("..", "/shared"), "a folder that a clone does not have"),
    (concat!("shared", "/spec"), "a folder that a clone does not have"),
    (concat!("shared", "/design"), "a folder that a clone does not have"),
    (concat!("registry", "/src/"), "a path of one machine"),
    (concat!("/root", "/."), "a path of one machine"),
];

/// The kinds of files in which words are looked for.
const READ: &[&str] =
    &["rs", "toml", "md", "json", "yaml", "yml", "sql", "service", "socket", "plist", "py", "sh", "txt", ""];

fn without_header<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let bare = sources.into_iter().filter(|source| !source.text.starts_with("//! "));
    bare.map(|source| format!("{} does not begin with //! and what it is for", source.path)).collect()
}

fn too_long<'a>(sources: impl IntoIterator<Item = &'a Source>, longer: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = sources.into_iter().collect();
    let lines = |source: &Source| {
        code(&source.text).with_texts.lines().filter(|line| !line.trim().is_empty()).count()
    };
    let excepted = |source: &Source| longer.iter().any(|(path, _)| *path == source.path);
    let mut found = Vec::new();
    for source in &sources {
        let lines = lines(source);
        if lines > LONGEST && !excepted(source) {
            found.push(format!("{} has {lines} lines of code, more than {LONGEST}", source.path));
        }
        if lines <= LONGEST && excepted(source) {
            found.push(format!("{} needs no exception any more", source.path));
        }
    }
    found
}

fn words<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let kind =
            Path::new(&source.path).extension().map_or("", |extension| extension.to_str().unwrap_or("?"));
        if !READ.contains(&kind) {
            continue;
        }
        for (at, line) in source.text.lines().enumerate() {
            for (word, why) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
                found.push(format!("{}:{} has `{word}`: {why}", source.path, at + 1));
            }
        }
    }
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    none(&without_header(rust()));
}

#[test]
fn no_file_is_too_long() {
    none(&too_long(rust(), LONGER));
}

#[test]
fn no_file_has_words_without_a_place_here() {
    none(&words(FILES.iter()));
}

#[test]
fn a_missing_header_is_noticed() {
    let sources = [
        Source::new("a.rs", "//! What it is for.\n"),
        Source::new("b.rs", "\n//! What it is for.\n"),
        Source::new("c.rs", "//!\n"),
        Source::new("d.rs", "// A comment.\n"),
    ];
    let found: Vec<_> = without_header(&sources).into_iter().map(|found| found[..4].to_owned()).collect();
    assert_eq!(found, ["b.rs", "c.rs", "d.rs"]);
}

#[test]
fn a_long_file_and_a_needless_exception_are_noticed() {
    let comments = "// a\n\n/* b */\n".repeat(1_000);
    let sources = [
        Source::new("just.rs", &format!("{comments}{}", "f();\n".repeat(600))),
        Source::new("long.rs", &"f();\n".repeat(601)),
        Source::new("excepted.rs", &"f();\n".repeat(601)),
        Source::new("needless.rs", "f();\n"),
    ];
    let longer = [("excepted.rs", "a table"), ("needless.rs", "it was long once")];
    assert_eq!(
        too_long(&sources, &longer),
        ["long.rs has 601 lines of code, more than 600", "needless.rs needs no exception any more"]
    );
}

#[test]
fn each_word_is_noticed_in_the_kinds_of_files_people_write() {
    for (word, why) in WORDS {
        for path in ["a.rs", "docs/a.md", ".ci/run", "config/a.json"] {
            let source = Source::new(path, &format!("fine\nsee {word} here\n"));
            assert_eq!(words([&source]), [format!("{path}:2 has `{word}`: {why}")]);
        }
        assert_eq!(words([&Source::new("a.png", word)]), [""; 0]);
    }
}
