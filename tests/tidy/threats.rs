//! Every threat that is named has a defence and a test, and the tests that are named exist.

use crate::none;
use crate::regressions::exists;
use crate::repository::{Source, file, rust};

const DOCUMENT: &str = "docs/threat-model.md";

/// Rows of the tables without a test, and tests that are named and are not there.
fn violations<'a>(document: &str, sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let sources: Vec<&Source> = sources.into_iter().collect();
    let mut found = Vec::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, threat, defence, tests, _] = cells[..] else { continue };
        if tests == "shown by" || tests.starts_with("--") {
            continue;
        }
        if defence.is_empty() || tests.is_empty() {
            found.push(format!("{DOCUMENT} names no defence or no test for: {threat}"));
        }
        let missing = tests.split(", ").filter(|test| !test.is_empty() && !exists(test, &sources));
        found.extend(missing.map(|test| format!("{DOCUMENT} names {test}, which is not there")));
    }
    found
}

#[test]
fn every_threat_has_a_defence_and_a_test() {
    let document = file(DOCUMENT).map(|file| &*file.text).unwrap_or_default();
    assert!(document.lines().filter(|line| line.starts_with('|')).count() > 30, "{DOCUMENT} is not read");
    none(&violations(document, rust()));
}

#[test]
fn a_threat_without_a_test_and_a_test_that_is_not_there_are_noticed() {
    let sources = [Source::new("tests/e2e/a.rs", "#[test]\nfn one() {}\n")];
    let document = "| threat | defence | shown by |\n|---|---|---|\n| x | y | e2e::a::one |\n\
                    | x | | e2e::a::one |\n| z | y | |\n| w | y | e2e::a::two |\n";
    assert_eq!(
        violations(document, &sources),
        [
            "docs/threat-model.md names no defence or no test for: x",
            "docs/threat-model.md names no defence or no test for: z",
            "docs/threat-model.md names e2e::a::two, which is not there",
        ]
    );
}
