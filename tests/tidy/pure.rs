//! The parts that decide do nothing else: no files, network, processes, threads, waiting, and no clock.

use crate::lexer::code;
use crate::none;
use crate::repository::{Source, rust};

/// The folders of the parts that decide.
const PURE: &[&str] = &["crates/sync-core/src/", "crates/sync-scan/src/rules/"];

/// The modules of std they do without.
const MODULES: &[&str] = &["fs", "net", "env", "process", "thread"];

fn violations<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let pure = sources.into_iter().filter(|source| PURE.iter().any(|folder| source.path.starts_with(folder)));
    pure.flat_map(|source| {
        let code = code(&source.text).bare;
        let lines = code.lines().enumerate().filter_map(|(at, line)| Some((at + 1, impurity(line)?)));
        let mut found: Vec<_> = lines.collect();
        found.extend(
            grouped(&code).into_iter().map(|module| (1, format!("imports std::{module} in a group"))),
        );
        found.into_iter().map(|(line, what)| format!("{}:{line} {what}", source.path)).collect::<Vec<_>>()
    })
    .collect()
}

fn impurity(line: &str) -> Option<String> {
    let words = || line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    if let Some(word) = words().find(|word| matches!(*word, "async" | "await")) {
        return Some(format!("has `{word}`"));
    }
    if let Some(module) = MODULES.iter().find(|module| names_module(line, module)) {
        return Some(format!("names std::{module}"));
    }
    line.contains("::now(").then(|| "asks a clock".to_owned())
}

fn names_module(line: &str, module: &str) -> bool {
    let name = format!("std::{module}");
    line.match_indices(&name).any(|(at, _)| {
        let after = line[at + name.len()..].chars().next();
        !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// The forbidden modules among the members of `use std::{…}`.
fn grouped(code: &str) -> Vec<&'static str> {
    let groups = code.split("std::{").skip(1).map(|rest| {
        let mut depth = 1_usize;
        let end = rest.find(|letter| {
            depth = match letter {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            };
            depth == 0
        });
        &rest[..end.unwrap_or(rest.len())]
    });
    let members = groups.flat_map(|group| group.split(',').map(str::trim).collect::<Vec<_>>());
    let first = members.filter_map(|member| member.split([':', ' ']).next());
    first.filter_map(|name| MODULES.iter().copied().find(|module| *module == name)).collect()
}

#[test]
fn the_deciding_parts_do_nothing_else() {
    for folder in PURE {
        assert!(rust().any(|source| source.path.starts_with(folder)), "{folder} has sources");
    }
    none(&violations(rust()));
}

#[test]
fn an_effect_in_a_deciding_part_is_noticed() {
    let check = |text: &str, expected: &[&str]| {
        let source = Source::new("crates/sync-core/src/x.rs", text);
        assert_eq!(violations([&source]), expected, "{text}");
    };
    check("use std::fs;\n", &["crates/sync-core/src/x.rs:1 names std::fs"]);
    check("\nasync fn f() {}", &["crates/sync-core/src/x.rs:2 has `async`"]);
    check("let t = Timestamp::now();", &["crates/sync-core/src/x.rs:1 asks a clock"]);
    check("use std::{fmt, env::{self, vars}};", &["crates/sync-core/src/x.rs:1 imports std::env in a group"]);
    check(
        "use std::{\n    fmt,\n    thread,\n};",
        &["crates/sync-core/src/x.rs:1 imports std::thread in a group"],
    );
    check("// async\nlet text = \"std::fs\"; let async_ = std::environment();", &[]);
    let elsewhere = Source::new("crates/sync-scan/src/walk.rs", "use std::fs;");
    assert_eq!(violations([&elsewhere]), [""; 0]);
    let rules = Source::new("crates/sync-scan/src/rules/marker.rs", "use std::fs;");
    assert_eq!(violations([&rules]).len(), 1);
}
