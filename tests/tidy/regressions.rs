//! Every defect of the earlier client has tests, and the tests that are named exist.

use crate::none;
use crate::repository::{Source, file, rust};

const DOCUMENT: &str = "docs/regressions.md";
/// How many there are.
const DEFECTS: usize = 38;

/// Rows without a test, tests that are named and are not there, and numbers that are missing.
fn violations<'a>(document: &str, sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let sources: Vec<&Source> = sources.into_iter().collect();
    let mut found = Vec::new();
    let mut next = 1;
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, _defect, tests, _] = cells[..] else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        if number != next {
            found.push(format!("{DOCUMENT} has {number} where {next} is expected"));
        }
        next = number + 1;
        if tests.is_empty() {
            found.push(format!("{DOCUMENT} names no test for {number}"));
        }
        for test in tests.split(", ").filter(|test| !test.is_empty()) {
            if !exists(test, &sources) {
                found.push(format!("{DOCUMENT} names {test}, which is not there"));
            }
        }
    }
    if next != DEFECTS + 1 {
        found.push(format!("{DOCUMENT} ends with {}, not with {DEFECTS}", next - 1));
    }
    found
}

/// Whether a file of the package has a test of that name in a module of that name. Without a harness it stands in `tests!`.
pub(crate) fn exists(test: &str, sources: &[&Source]) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let (Some(package), Some(name)) = (parts.first(), parts.last()) else { return false };
    let module = parts.iter().rev().nth(1).filter(|module| **module != "tests");
    let module = module.or_else(|| parts.iter().rev().nth(2)).unwrap_or(package);
    let of_all = matches!(*package, "e2e" | "tidy");
    let folder = if of_all { format!("tests/{package}/") } else { format!("crates/{package}/") };
    let inside = |source: &&&Source| {
        source.path.starts_with(&folder)
            && (source.path.ends_with(&format!("/{module}.rs"))
                || source.path.contains(&format!("/{module}/")))
    };
    let function = format!("fn {name}()");
    sources.iter().filter(inside).any(|source| {
        source.text.match_indices(&function).any(|(at, _)| {
            let before = source.text[..at].trim_end().trim_end_matches("async").trim_end();
            before.ends_with(']')
                && before.rsplit('#').next().is_some_and(|attribute| attribute.contains("test"))
        }) || source.text.contains(&function) && is_collected(name, &source.text)
    })
}

fn is_collected(name: &str, text: &str) -> bool {
    let collected = text.split_once("= tests![").and_then(|(_, rest)| rest.split_once(']'));
    collected.is_some_and(|(names, _)| names.split(',').any(|listed| listed.trim() == name))
}

#[test]
fn every_defect_of_the_earlier_client_has_its_tests() {
    let document = file(DOCUMENT).map(|file| &*file.text).unwrap_or_default();
    none(&violations(document, rust()));
}

#[test]
fn a_missing_number_a_row_without_tests_and_a_test_that_is_not_there_are_noticed() {
    let sources = [
        Source::new("tests/e2e/a.rs", "#[test]\nfn one() {}\nfn helper() {}\n"),
        Source::new("crates/c/src/b/tests.rs", "#[tokio::test(flavor = \"x\")]\nasync fn two() {}\n"),
    ];
    let document = "| # | x | y |\n| 1 | x | e2e::a::one, c::b::tests::two |\n| 2 | x | |\n\
                    | 4 | x | e2e::a::helper, e2e::b::one, c::b::three |\n";
    assert_eq!(
        violations(document, &sources),
        [
            "docs/regressions.md names no test for 2",
            "docs/regressions.md has 4 where 3 is expected",
            "docs/regressions.md names e2e::a::helper, which is not there",
            "docs/regressions.md names e2e::b::one, which is not there",
            "docs/regressions.md names c::b::three, which is not there",
            "docs/regressions.md ends with 4, not with 38",
        ]
    );
}
