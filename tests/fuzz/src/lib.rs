//! What the programs do with input that somebody else made, one plain function for each kind of it.
//!
//! A function takes bytes, does with them through public interfaces what the programs do, and panics where something is
//! so that must never be so. `fuzz/` runs them under libFuzzer for as long as one likes; `tests/corpus.rs` replays what
//! was kept and tries a little more. What was found once lies in `fuzz/corpus/`.

#![expect(clippy::panic, reason = "a target says what is wrong by panicking")]

mod client;
mod cloud;
mod config;
mod control;
mod credential;
mod daemon;
mod events;
mod git;
mod legacy;
mod manifests;
mod mutate;
mod parts;
mod resume;
mod rules;
mod salvage;
mod shelf;
mod speaker;

pub use mutate::Mutator;

/// A kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// What is done with it.
    pub run: fn(&[u8]),
}

/// Every kind, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "client", run: client::run },
    Target { name: "cloud", run: cloud::run },
    Target { name: "config", run: config::run },
    Target { name: "control", run: control::run },
    Target { name: "credential", run: credential::run },
    Target { name: "events", run: events::run },
    Target { name: "git", run: git::run },
    Target { name: "legacy", run: legacy::run },
    Target { name: "manifests", run: manifests::run },
    Target { name: "resume", run: resume::run },
    Target { name: "rules", run: rules::run },
    Target { name: "salvage", run: salvage::run },
    Target { name: "shelf", run: shelf::run },
];

/// Runs the target of this name.
///
/// # Panics
/// When there is none, or when something is so that must never be so.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target `{name}`")).run)(data);
}
