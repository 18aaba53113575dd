//! The heavy crates have their homes, and the command line can reach none of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::none;
use crate::repository::{LINKED, Package, packages};

/// A heavy crate and the packages that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["sync-store", "coditect-devcloud"]),
    ("reqwest", &["sync-cloud"]),
    ("notify", &["sync-scan"]),
    ("hyper", &["coditect-syncd", "coditect-devcloud"]),
    ("hyper-util", &["coditect-syncd", "coditect-devcloud"]),
];

/// What has to start in a few milliseconds, and what it therefore never links.
const THIN: &str = "coditect-sync";
const NEVER: &[&str] = &["tokio", "hyper", "sqlx", "reqwest", "notify"];

fn strangers(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for (heavy, homes) in HOMES {
        let named = packages.iter().filter(|package| package.needs.contains(*heavy));
        let named = named.filter(|package| !homes.contains(&&*package.name));
        found.extend(named.map(|package| {
            format!("{} depends on {heavy}, whose homes are {}", package.name, homes.join(", "))
        }));
    }
    found
}

/// How each forbidden crate is reached, if it is.
fn reached(linked: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([THIN]);
    while let Some(name) = waiting.pop_front() {
        for need in linked.get(name).into_iter().flatten() {
            if need != THIN && !from.contains_key(&**need) {
                from.insert(need, name);
                waiting.push_back(need);
            }
        }
    }
    let way = |name: &str| {
        let mut steps = vec![name];
        while let Some(before) = steps.last().and_then(|step| from.get(step)) {
            steps.push(before);
        }
        steps.reverse();
        steps.join(" -> ")
    };
    NEVER.iter().filter(|name| from.contains_key(*name)).map(|name| way(name)).collect()
}

#[test]
fn the_heavy_crates_stay_in_their_homes() {
    none(&strangers(&packages()));
}

#[test]
fn the_command_line_reaches_nothing_heavy() {
    assert!(LINKED.contains_key(THIN), "{THIN} is a package");
    none(&reached(&LINKED));
}

#[test]
fn a_heavy_crate_elsewhere_is_noticed() {
    let packages = [
        Package::new("sync-store", &["sqlx"]),
        Package::new("sync-scan", &["sqlx", "notify"]),
        Package::new("coditect-sync", &["hyper"]),
    ];
    assert_eq!(
        strangers(&packages),
        [
            "sync-scan depends on sqlx, whose homes are sync-store, coditect-devcloud",
            "coditect-sync depends on hyper, whose homes are coditect-syncd, coditect-devcloud",
        ]
    );
}

#[test]
fn a_heavy_crate_behind_others_is_noticed() {
    let linked = |arrows: &[(&str, &str)]| {
        let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in arrows {
            linked.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        linked
    };
    let harmless = [("coditect-sync", "clap"), ("coditect-syncd", "tokio"), ("clap", "coditect-sync")];
    assert_eq!(reached(&linked(&harmless)), [""; 0]);
    let behind = [("coditect-sync", "sync-wire"), ("sync-wire", "http"), ("http", "tokio")];
    assert_eq!(reached(&linked(&behind)), ["coditect-sync -> sync-wire -> http -> tokio"]);
}
