//! Tells of the packages of a declared workspace as projects of their own, from what was read of the project around them.
//!
//! A package inside a submodule or another repository belongs to that and is left to it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::hash::{Entry, Found};
use super::language;
use super::manifests::{self, Files};
use crate::evidence::{Evidence, Proof};
use crate::rules::framework::Rules;
use crate::shelf::Told;
use crate::worker::path;

/// Most packages of one project that are told of.
const MOST_MEMBERS: usize = 1_000;

/// A package of a workspace.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Member {
    /// Its root, absolute.
    #[serde(with = "path")]
    pub(crate) root: PathBuf,
    pub(crate) told: Told,
    pub(crate) evidence: Evidence,
    /// What could not be read or told, for people.
    pub(crate) warnings: Vec<String>,
}

/// The packages of the project at `root`, whose own are `folders`, and theirs, if they declare any.
pub(super) fn members(
    root: &Path,
    folders: &[String],
    found: &mut Found,
    rules: &Rules,
    stop: &AtomicBool,
) -> Vec<Member> {
    let mut waiting: Vec<String> = folders.iter().rev().cloned().collect();
    let (mut taken, mut members) = (BTreeSet::new(), Vec::new());
    while let Some(folder) = waiting.pop() {
        let at = root.join(&folder);
        let is_anothers = found.submodules.iter().chain(&found.nested).any(|inner| at.starts_with(inner));
        if folder == "." || is_anothers || !taken.insert(folder.clone()) {
            continue;
        }
        if members.len() >= MOST_MEMBERS {
            found.warnings.push(format!("more than {MOST_MEMBERS} packages: the others are no projects"));
            break;
        }
        let below = format!("{folder}/");
        let entries = entries_below(&found.entries, below.as_bytes());
        if entries.is_empty() {
            continue;
        }
        let (mut evidence, mut warnings) = (Evidence::default(), Vec::new());
        let files = Files::of(entries.iter().map(|entry| entry.path.as_slice()));
        let told = manifests::ask(&at, &files, &[], rules, &mut evidence, &mut warnings);
        waiting.extend(evidence.members.iter().rev().map(|inner| format!("{below}{inner}")));
        let tally = language::count(&at, &entries, stop);
        evidence.primary_language = tally.proof();
        evidence.root_path = Proof::by("a package of the workspace around it");
        evidence.content_hash = Proof::by("the tree of its folder in that of the project around it");
        evidence.languages = tally.shares;
        let told = Told {
            content_hash: found.trees.get(below.as_bytes()).map_or_else(String::new, ToString::to_string),
            name: told.name,
            language: tally.first.to_owned(),
            framework: told.framework,
            kind: told.kind.as_str().to_owned(),
            members: Vec::new(),
        };
        members.push(Member { root: at, told, evidence, warnings });
    }
    members
}

/// The entries below a folder, as seen from there.
fn entries_below(entries: &[Entry], folder: &[u8]) -> Vec<Entry> {
    let inside = entries.iter().filter_map(|entry| Some((entry, entry.path.strip_prefix(folder)?)));
    inside.map(|(entry, path)| Entry { path: path.to_vec(), ..entry.clone() }).collect()
}

/// The packages as they were told before, with nothing to show for it.
pub(super) fn known(root: &Path, told: &Told) -> Vec<Member> {
    let member = |(folder, told): &(Vec<u8>, Told)| Member {
        root: root.join(OsStr::from_bytes(folder)),
        told: told.clone(),
        ..Member::default()
    };
    told.members.iter().map(member).collect()
}
