//! `docs/dependencies.md` has a row for every external crate, with its version and who uses it.
//!
//! Run with `UPDATE=1`, the test writes these two columns anew; the reason for a new crate is written by a person.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::DependencyKind;

use crate::none;
use crate::repository::{MANIFESTS, file, root};

const DOCUMENT: &str = "docs/dependencies.md";

/// A crate's version and users, as they stand in its row.
#[derive(PartialEq, Eq, Debug)]
struct Facts {
    version: String,
    users: String,
}

/// What the manifests say: versions from the root, users from the packages.
fn manifests() -> BTreeMap<String, Facts> {
    let text = &file("Cargo.toml").expect("the root has a manifest").text;
    let manifest: toml::Value = toml::from_str(text).expect("cargo has read it");
    let stated = manifest["workspace"]["dependencies"].as_table().expect("it is a table");
    let version = |stated: &toml::Value| {
        let version = stated.as_str().or_else(|| stated.get("version")?.as_str());
        version.map(str::to_owned)
    };
    let mut users: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for package in MANIFESTS.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            let used = users
                .entry(dependency.name.clone())
                .or_default()
                .entry(package.name.to_string())
                .or_default();
            *used |= dependency.kind != DependencyKind::Development;
        }
    }
    let named = |name: &str| {
        let users = users.get(name).into_iter().flatten();
        let users =
            users.map(|(user, linked)| if *linked { user.clone() } else { format!("{user} (tests)") });
        users.collect::<Vec<_>>().join(", ")
    };
    let external = stated.iter().filter_map(|(name, stated)| Some((name, version(stated)?)));
    external.map(|(name, version)| (name.clone(), Facts { version, users: named(name) })).collect()
}

/// The cells of a row, when the line is the row of a crate.
fn row(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    (cells.len() == 6 && cells[0].starts_with('`')).then_some(cells)
}

fn violations(facts: &BTreeMap<String, Facts>, document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for cells in document.lines().filter_map(row) {
        let name = cells[0].trim_matches('`');
        let Some(fact) = facts.get(name) else {
            found.push(format!("{name} has a row and is no dependency"));
            continue;
        };
        if !seen.insert(name) {
            found.push(format!("{name} has two rows"));
        }
        if cells[1].trim_matches('`') != fact.version {
            found.push(format!("{name} has version {} in its row, not `{}`", cells[1], fact.version));
        }
        if cells[2] != fact.users {
            found.push(format!("{name} is used by {}; its row says {}", fact.users, cells[2]));
        }
        if cells[3..].iter().any(|cell| cell.is_empty()) {
            found.push(format!("{name} has an empty cell"));
        }
    }
    found.extend(
        facts.keys().filter(|name| !seen.contains(&***name)).map(|name| format!("{name} has no row")),
    );
    found.extend(
        facts.iter().filter(|(_, fact)| fact.users.is_empty()).map(|(name, _)| format!("nobody uses {name}")),
    );
    found
}

fn renewed(facts: &BTreeMap<String, Facts>, document: &str) -> String {
    let line = |line: &str| match row(line)
        .and_then(|cells| Some((facts.get(cells[0].trim_matches('`'))?, cells)))
    {
        Some((fact, cells)) => {
            let (version, rest) = (format!("`{}`", fact.version), cells[3..].join(" | "));
            format!("| {} | {version} | {} | {rest} |\n", cells[0], fact.users)
        }
        None => format!("{line}\n"),
    };
    document.lines().map(line).collect()
}

#[test]
fn every_dependency_has_its_row() {
    let facts = manifests();
    let document = &file(DOCUMENT).expect("the document is kept").text;
    if std::env::vars_os().any(|(name, _)| name == "UPDATE") {
        let renewed = renewed(&facts, document);
        std::fs::write(root().join(DOCUMENT), &renewed).expect("the repository is ours");
        return none(&violations(&facts, &renewed));
    }
    none(&violations(&facts, document));
}

#[test]
fn a_row_that_is_missing_wrong_or_left_over_is_noticed_and_can_be_renewed() {
    let fact = |version: &str, users: &str| Facts { version: version.to_owned(), users: users.to_owned() };
    let facts = BTreeMap::from([
        ("alpha".to_owned(), fact("1.2", "sync-core")),
        ("beta".to_owned(), fact("3", "sync-wire (tests)")),
        ("gamma".to_owned(), fact("4", "")),
    ]);
    let document = "| crate | version | used by | why | last release | licence |\n|---|---|---|---|---|---|\n\
        | `alpha` | `1.1` | sync-store | it is good | 2026-01-01 | MIT |\n\
        | `gamma` | `4` |  |  | 2026-01-01 | MIT |\n\
        | `delta` | `1` | sync-core | it was good | 2026-01-01 | MIT |\n";
    let always = [
        "gamma has an empty cell",
        "delta has a row and is no dependency",
        "beta has no row",
        "nobody uses gamma",
    ];
    let mut wrong = vec![
        "alpha has version `1.1` in its row, not `1.2`",
        "alpha is used by sync-core; its row says sync-store",
    ];
    wrong.extend(always);
    assert_eq!(violations(&facts, document), wrong);
    assert_eq!(violations(&facts, &renewed(&facts, document)), always);
}
