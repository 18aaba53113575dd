//! What is said of the daemon under bad treatment has tests, and it leaves its own manager alone.

use crate::lexer::code;
use crate::none;
use crate::regressions::exists;
use crate::repository::{Source, file, rust};

const DOCUMENT: &str = "docs/service.md";
const SECTION: &str = "\n## Bad treatment\n";
/// How many rows there are at least.
const ROWS: usize = 20;

/// Rows of the section without a test, and tests that are named and are not there.
fn violations<'a>(document: &str, sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let sources: Vec<&Source> = sources.into_iter().collect();
    let section = document.split(SECTION).nth(1).unwrap_or_default();
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, what, tests, _] = cells[..] else { return None };
        (what != "what happens" && !what.starts_with("--")).then_some((what, tests))
    });
    let mut found = Vec::new();
    for (what, tests) in rows {
        if tests.is_empty() {
            found.push(format!("{DOCUMENT} names no test for: {what}"));
        }
        let missing = tests.split(", ").filter(|test| !test.is_empty() && !exists(test, &sources));
        found.extend(missing.map(|test| format!("{DOCUMENT} names {test}, which is not there")));
    }
    found
}

/// Places where the daemon's own crate starts a program: a manager that is asked by its own unit may wait for it.
fn started<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let own = sources.into_iter().filter(|source| source.path.starts_with("crates/coditect-syncd/src/"));
    own.filter(|source| {
        let bare = code(&source.text).bare;
        bare.split("#[cfg(test)]").next().unwrap_or_default().contains("Command::new")
    })
    .map(|source| format!("{} starts a program", source.path))
    .collect()
}

#[test]
fn each_bad_treatment_has_its_tests() {
    let document = file(DOCUMENT).map(|file| &*file.text).unwrap_or_default();
    none(&violations(document, rust()));
    let section = document.split(SECTION).nth(1).unwrap_or_default();
    assert!(section.lines().filter(|line| line.contains("::")).count() >= ROWS);
}

#[test]
fn the_daemon_starts_no_programs() {
    none(&started(rust()));
}

#[test]
fn a_row_without_a_test_a_test_that_is_not_there_and_a_program_are_noticed() {
    let sources = [
        Source::new("tests/e2e/a.rs", "#[test]\nfn one() {}\n"),
        Source::new("crates/coditect-syncd/src/x.rs", "fn f() { Command::new(\"systemctl\"); }\n"),
        Source::new("crates/coditect-syncd/src/y.rs", "#[cfg(test)]\nfn f() { Command::new(\"sh\"); }\n"),
    ];
    let document = "# x\n\n## Bad treatment\n\n| what happens | tests |\n|---|---|\n| a | e2e::a::one |\n| b | |\n| c | e2e::a::two |\n";
    assert_eq!(
        violations(document, &sources),
        ["docs/service.md names no test for: b", "docs/service.md names e2e::a::two, which is not there"]
    );
    assert_eq!(started(&sources), ["crates/coditect-syncd/src/x.rs starts a program"]);
}
