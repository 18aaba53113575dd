//! The crates depend on each other exactly as `docs/ARCHITECTURE.md` draws it; tests aside.

use std::collections::{BTreeMap, BTreeSet};

use crate::none;
use crate::repository::{Package, packages};

/// The drawing: a package, and which of ours it imports.
const ARROWS: &[(&str, &[&str])] = &[
    ("sync-core", &[]),
    ("sync-wire", &[]),
    ("sync-config", &["sync-wire"]),
    ("sync-store", &["sync-core"]),
    ("sync-cloud", &["sync-core"]),
    ("sync-scan", &["sync-core"]),
    ("coditect-devcloud", &[]),
    (
        "coditect-syncd",
        &[
            "coditect-devcloud",
            "sync-cloud",
            "sync-config",
            "sync-core",
            "sync-scan",
            "sync-store",
            "sync-wire",
        ],
    ),
    ("coditect-sync", &["sync-config", "sync-wire"]),
];

/// The packages of the tests may import what they need.
const FREE: [&str; 2] = ["sync-fuzz", "sync-tests"];

fn violations(packages: &[Package]) -> Vec<String> {
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let ours: BTreeSet<&str> = packages.iter().map(|package| &*package.name).collect();
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| !FREE.contains(&&*package.name)) {
        let Some(drawn) = drawn.get(&*package.name) else {
            found.push(format!("{} is not in the drawing", package.name));
            continue;
        };
        let needs: BTreeSet<&str> =
            package.needs.iter().map(|need| &**need).filter(|need| ours.contains(need)).collect();
        let drawn: BTreeSet<&str> = drawn.iter().copied().collect();
        found.extend(
            needs.difference(&drawn).map(|to| format!("{} imports {to}, which is not drawn", package.name)),
        );
        found.extend(
            drawn
                .difference(&needs)
                .map(|to| format!("{} does not import {to}, which is drawn", package.name)),
        );
    }
    found.extend(
        drawn.keys().filter(|name| !ours.contains(*name)).map(|name| format!("{name} is drawn and missing")),
    );
    found
}

#[test]
fn the_crates_import_each_other_as_drawn() {
    none(&violations(&packages()));
}

#[test]
fn an_arrow_too_many_or_too_few_is_noticed() {
    let drawn = || ARROWS.iter().map(|(name, needs)| Package::new(name, needs)).collect::<Vec<_>>();
    let changed = |name: &str, needs: &[&str]| {
        let mut packages = drawn();
        packages.retain(|package| package.name != name);
        packages.push(Package::new(name, needs));
        violations(&packages)
    };
    assert_eq!(violations(&drawn()), [""; 0]);
    assert_eq!(changed("sync-store", &["sync-core", "serde"]), [""; 0]);
    assert_eq!(
        changed("sync-store", &["sync-core", "sync-cloud"]),
        ["sync-store imports sync-cloud, which is not drawn"]
    );
    assert_eq!(changed("sync-scan", &[]), ["sync-scan does not import sync-core, which is drawn"]);
    assert_eq!(changed("sync-extra", &[]), ["sync-extra is not in the drawing"]);
    assert_eq!(changed("sync-tests", &["sync-store"]), [""; 0]);
}
