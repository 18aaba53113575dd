//! The conventions as tests: crate arrows, heavy dependencies, pure parts, form of the sources, documents.
//!
//! Each rule is a function from what it looks at to a list of violations. It is run on the repository and on a small
//! sample that breaks it, so that it is known to be able to fail. `docs/CONTRIBUTING.md` says the rules in prose.

mod arrows;
mod commands;
mod dependencies;
mod documents;
mod durable;
mod faults;
mod form;
mod heavy;
mod lexer;
mod manual;
mod markers;
mod operations;
mod pure;
mod regressions;
mod repository;
mod service;
mod threats;

/// Fails with all violations, a line each.
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
