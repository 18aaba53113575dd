//! Every fault of the catalogue is tried somewhere, and the tests that are named exist.

use crate::none;
use crate::regressions::exists;
use crate::repository::{Source, file, rust};

const DOCUMENT: &str = "docs/faults.md";
/// Fewer means that the tables are no longer read.
const AT_LEAST: usize = 25;

fn violations<'a>(document: &str, sources: impl IntoIterator<Item = &'a Source>) -> (usize, Vec<String>) {
    let sources: Vec<&Source> = sources.into_iter().collect();
    let (mut rows, mut found) = (0, Vec::new());
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", fault, expected, tests, ""] = cells[..] else { continue };
        if fault == "fault" || fault.starts_with("---") {
            continue;
        }
        rows += 1;
        if expected.is_empty() || tests.is_empty() {
            found.push(format!("{DOCUMENT} does not say what must happen and where it is tried: {fault}"));
        }
        let missing = tests.split(", ").filter(|test| !test.is_empty() && !exists(test, &sources));
        found.extend(missing.map(|test| format!("{DOCUMENT} names {test}, which is not there")));
    }
    (rows, found)
}

#[test]
fn every_fault_of_the_catalogue_is_tried() {
    let document = file(DOCUMENT).map(|file| &*file.text).unwrap_or_default();
    let (rows, found) = violations(document, rust());
    none(&found);
    assert!(rows >= AT_LEAST, "{rows} faults");
}

#[test]
fn a_fault_without_a_test_and_a_test_that_is_not_there_are_noticed() {
    let sources = [Source::new("tests/e2e/a.rs", "#[test]\nfn one() {}\n")];
    let document = "| fault | what | where |\n|---|---|---|\n| x | y | e2e::a::one |\n| u | v | |\n| p | q | e2e::a::two |\n";
    assert_eq!(
        violations(document, &sources),
        (
            3,
            vec![
                "docs/faults.md does not say what must happen and where it is tried: u".to_owned(),
                "docs/faults.md names e2e::a::two, which is not there".to_owned(),
            ]
        )
    );
}
