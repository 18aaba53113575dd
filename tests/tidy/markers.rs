//! `docs/classification.md` names every file by which a folder is told to be a project, and no other.

use std::collections::BTreeSet;

use crate::none;
use crate::repository::file;

const SOURCE: &str = "crates/sync-scan/src/manifest.rs";
const DOCUMENT: &str = "docs/classification.md";
const BEGIN: &str = "\n**Manifests.**";

/// The names of the program; `*` stands for what is before an end.
fn built(source: &str) -> BTreeSet<String> {
    let list = |name: &str| {
        let rest = source.split(&format!("const {name}: &[&str] =")).nth(1).unwrap_or_default();
        let words = rest.split(';').next().unwrap_or_default().split('"').skip(1).step_by(2);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    list("NAMES").into_iter().chain(list("ENDINGS").iter().map(|end| format!("*{end}"))).collect()
}

/// The names of the document: what its paragraph has in backquotes.
fn promised(document: &str) -> BTreeSet<String> {
    let rest = document.split(BEGIN).nth(1).unwrap_or_default();
    let paragraph = rest.split("\n\n").next().unwrap_or_default();
    paragraph.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn violations(source: &str, document: &str) -> Vec<String> {
    let (built, promised) = (built(source), promised(document));
    let missing = built.difference(&promised).map(|name| format!("{name} is in {SOURCE}, not in {DOCUMENT}"));
    let extra = promised.difference(&built).map(|name| format!("{name} is in {DOCUMENT}, not in {SOURCE}"));
    missing.chain(extra).collect()
}

#[test]
fn what_makes_a_folder_a_project_is_documented() {
    let text = |path: &str| &*file(path).expect("it is kept").text;
    assert!(built(text(SOURCE)).len() > 40);
    none(&violations(text(SOURCE), text(DOCUMENT)));
}

#[test]
fn a_name_that_is_missing_and_one_too_many_are_noticed() {
    let source = "const NAMES: &[&str] = &[\n    \"a.toml\",\n    \"b\",\n];\nconst ENDINGS: &[&str] =\n    &[\".c\"];\nlet d = \"d\";";
    assert_eq!(violations(source, "x\n\n**Manifests.** `a.toml`,\n`b`, `*.c`\n\n`d`\n"), [""; 0]);
    assert_eq!(
        violations(source, "x\n\n**Manifests.** `a.toml`, `b`, `c`\n"),
        [
            "*.c is in crates/sync-scan/src/manifest.rs, not in docs/classification.md",
            "c is in docs/classification.md, not in crates/sync-scan/src/manifest.rs",
        ]
    );
}
