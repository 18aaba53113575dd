//! `docs/OPERATIONS.md` has every line that is logged as a warning or an error, and no line that is never logged.

use crate::none;
use crate::repository::{Source, file, rust};

const DOCUMENT: &str = "docs/OPERATIONS.md";
const SECTION: &str = "\n## Log lines that matter\n";
/// What logs for the daemon.
const SOURCES: &[&str] = &["crates/coditect-syncd/src/", "crates/sync-"];

/// The text as the compiler reads it: lines that are continued are one.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.trim_start())
}

/// The messages of the warnings and errors of a source, as far as they are known before it runs.
fn messages(source: &str) -> Vec<String> {
    let source = joined(source.split("#[cfg(test)]").next().unwrap_or_default());
    let mut found = Vec::new();
    for name in ["warn!(", "error!("] {
        for (at, _) in source.match_indices(name) {
            let message = message(&source[at + name.len()..]).unwrap_or_default();
            let fixed = message.split('{').next().unwrap_or_default().split('`').next().unwrap_or_default();
            let fixed = fixed.trim_end_matches([' ', ':']);
            if !fixed.is_empty() {
                found.push(fixed.to_owned());
            }
        }
    }
    found
}

/// The first text among the arguments that is not the value of a field.
fn message(arguments: &str) -> Option<&str> {
    let mut rest = arguments;
    loop {
        let begin = rest.find('"')?;
        let end = begin + 1 + rest[begin + 1..].find('"')?;
        // A call that ends before the text has none of its own.
        if rest[..begin].contains(';') {
            return None;
        }
        if !rest[..begin].trim_end().ends_with('=') {
            return Some(&rest[begin + 1..end]);
        }
        rest = &rest[end + 1..];
    }
}

/// The lines that the document names, in the first column of its tables.
fn named(document: &str) -> Vec<String> {
    let section = document.split(SECTION).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

fn violations<'a>(document: &str, sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let sources: Vec<_> = sources.into_iter().map(|source| (&source.path, joined(&source.text))).collect();
    let named = named(document);
    let mut found = Vec::new();
    for (path, text) in &sources {
        for message in messages(text) {
            if !named.iter().any(|line| line.starts_with(&message)) {
                found.push(format!("{path} logs `{message}`, which is not in {DOCUMENT}"));
            }
        }
    }
    // Words alone are fields; a line is more than one word, and `…` stands for what is different each time.
    for line in named.iter().filter(|line| line.contains(' ')) {
        let is_logged = |part: &str| sources.iter().any(|(_, text)| text.contains(part));
        if !line.split('…').all(|part| is_logged(part.trim())) {
            found.push(format!("{DOCUMENT} has `{line}`, which is never logged"));
        }
    }
    found
}

#[test]
fn every_warning_and_error_is_in_the_document_and_every_line_of_it_is_logged() {
    let sources = rust().filter(|source| SOURCES.iter().any(|folder| source.path.starts_with(folder)));
    let sources = sources.filter(|source| source.path.contains("/src/"));
    none(&violations(&file(DOCUMENT).expect("the document is kept").text, sources));
}

#[test]
fn a_line_that_is_missing_and_one_too_many_are_noticed() {
    let source = Source::new(
        "crates/sync-x/src/a.rs",
        "warn!(hint = \"not this\", %error, \"it \\\n    broke\");\nerror!(\"{line}\");\nerror!(\"gone: {why}\");\n\
         tracing::info!(\"well\");\n#[cfg(test)]\nwarn!(\"never\");",
    );
    let check = |rows: &str, expected: &[&str]| {
        assert_eq!(violations(&format!("{SECTION}{rows}\n## Next\n| `no line` | |"), [&source]), expected);
    };
    check("| `it broke` with `hint` | x |\n| `gone` | x |", &[]);
    check("| `it broke`, `gone` | x |\n| `it … broke` | x |", &[]);
    check(
        "| `gone` | x |\n| `it mended` | x |",
        &[
            "crates/sync-x/src/a.rs logs `it broke`, which is not in docs/OPERATIONS.md",
            "docs/OPERATIONS.md has `it mended`, which is never logged",
        ],
    );
}
