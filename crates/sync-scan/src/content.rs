//! Says what a project is: its name, kind, language, framework and the hash of what it holds.
//!
//! Reads and never writes, starts no program, and looks at `stop` between files. What could not be read or told is a
//! warning in words, never a lost project. Called by the survey once per project.

mod hash;
mod language;
mod manifests;
mod members;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sync_core::{ProjectKind, Vcs};

use crate::evidence::{Evidence, Proof};
use crate::exclude::Exclude;
use crate::rules::framework::Rules;
use crate::shelf::{Files as KeptFiles, Shelf, Told};
use crate::worker::paths;
use hash::{Found, Limits, Surroundings};
use manifests::Files;

pub(crate) use members::Member;
pub(crate) use read::whole as read_file;

/// What was found out about one project.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Examined {
    /// The manifest's name, else the folder's.
    pub(crate) name: String,
    /// GitHub Linguist's name of the main language, or empty.
    pub(crate) language: String,
    /// The framework's slug, or empty.
    pub(crate) framework: String,
    /// Lower-case hex id of the tree `git add -A && git write-tree` would make, or empty when it could not be told.
    pub(crate) content_hash: String,
    /// How it stands to others.
    #[serde(with = "KindWord")]
    pub(crate) kind: ProjectKind,
    /// Submodules that are checked out, absolute.
    #[serde(with = "paths")]
    pub(crate) submodules: Vec<PathBuf>,
    /// Repositories inside that are no submodules of it, absolute.
    #[serde(with = "paths")]
    pub(crate) nested: Vec<PathBuf>,
    /// The folders in it that are not ignored, absolute, but the root; at most one more than are ever watched.
    #[serde(with = "paths")]
    pub(crate) folders: Vec<PathBuf>,
    /// When what differs from the index was last written, in seconds since 1970; 0 when nothing does.
    pub(crate) newest: i64,
    /// Of the files that were asked about, those that are no part of it.
    #[serde(with = "paths")]
    pub(crate) left_out: BTreeSet<PathBuf>,
    /// The packages of its workspace, where they are projects of their own.
    pub(crate) members: Vec<Member>,
    /// What could not be read or told, for people.
    pub(crate) warnings: Vec<String>,
    /// Nothing was found out.
    pub(crate) broke_off: bool,
    /// What the fields were told by; empty where the shelf told them.
    pub(crate) evidence: Evidence,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProjectKind")]
enum KindWord {
    Standalone,
    Submodule,
    Monorepo,
}

/// What an examination goes by.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) exclude: &'a Exclude,
    pub(crate) rules: &'a Rules,
    /// What was found out before is here, and what is found out is left here.
    pub(crate) shelf: Option<&'a Shelf>,
    /// Files of which is asked whether they are a part of the project.
    pub(crate) asked: Option<&'a BTreeSet<PathBuf>>,
    /// Whether the packages of a workspace are projects of their own.
    pub(crate) members: bool,
    /// What is mounted here is not looked into: it may not answer.
    pub(crate) apart: &'a [PathBuf],
}

/// Finds out what the project at `root` is.
pub(crate) fn examine(root: &Path, vcs: Vcs, means: Means<'_>, stop: &AtomicBool) -> Examined {
    examine_in(root, vcs, means, stop, Surroundings::Usual)
}

fn examine_in(
    root: &Path,
    vcs: Vcs,
    means: Means<'_>,
    stop: &AtomicBool,
    surroundings: Surroundings,
) -> Examined {
    let Means { exclude, shelf, asked, apart, .. } = means;
    let mut kept = shelf.map(|shelf| shelf.open(root));
    let before = kept.as_mut().and_then(|kept| kept.told.take());
    let mut files = KeptFiles::new(kept.as_mut(), wall_clock());
    let mut found = hash::hash(root, vcs, Limits { exclude, apart }, stop, surroundings, &mut files);
    let mut evidence = Evidence::default();
    let mut members = Vec::new();
    let told = if let Some(told) = before.as_ref().filter(|told| is_same(told, &found, root, vcs)) {
        told.clone()
    } else {
        let mut told = tell(root, vcs, means.rules, &mut found, &mut evidence, stop);
        if means.members {
            members = members::members(root, &evidence.members, &mut found, means.rules, stop);
            told.members =
                members.iter().map(|member| (folder_of(root, member), member.told.clone())).collect();
        }
        told
    };
    if members.is_empty() {
        members = members::known(root, &told);
    }
    if let Some(shelf) = shelf.filter(|_| !stop.load(Ordering::Relaxed)) {
        let is_certain = members.iter().all(|member| member.warnings.is_empty());
        let is_whole = is_certain && !told.content_hash.is_empty() && found.warnings.is_empty();
        if let Some(kept) = files.kept(before.as_ref(), is_whole.then(|| told.clone())) {
            shelf.put(root, &kept);
        }
    }
    let left_out = asked.map_or_else(BTreeSet::new, |asked| left_out(root, asked, &found));
    let Found { submodules, nested, folders, newest, warnings, .. } = found;
    Examined {
        name: told.name,
        language: told.language,
        framework: told.framework,
        content_hash: told.content_hash,
        kind: ProjectKind::from_word(&told.kind).unwrap_or_default(),
        submodules,
        nested,
        folders: folders.iter().skip(1).map(|folder| root.join(OsStr::from_bytes(folder))).collect(),
        newest,
        left_out,
        members,
        warnings,
        broke_off: false,
        evidence,
    }
}

/// The folder of a member from the root of its project.
fn folder_of(root: &Path, member: &Member) -> Vec<u8> {
    member.root.strip_prefix(root).unwrap_or(&member.root).as_os_str().as_bytes().to_vec()
}

/// Those of these files that are there and no part of what was found: they are ignored. Where something could not be
/// read, nothing is certain.
fn left_out(root: &Path, asked: &BTreeSet<PathBuf>, found: &Found) -> BTreeSet<PathBuf> {
    if asked.is_empty() || found.id.is_empty() || !found.warnings.is_empty() {
        return BTreeSet::new();
    }
    let mut left_out = asked.clone();
    left_out.retain(|path| path.is_file());
    let wanted: BTreeSet<&[u8]> = left_out
        .iter()
        .filter_map(|path| path.strip_prefix(root).ok())
        .map(|path| path.as_os_str().as_bytes())
        .collect();
    let parts = found.entries.iter().map(|entry| entry.path.as_slice()).filter(|path| wanted.contains(path));
    let parts: Vec<PathBuf> = parts.map(|path| root.join(OsStr::from_bytes(path))).collect();
    for part in &parts {
        left_out.remove(part);
    }
    left_out
}

/// Whether everything that was told of the content then holds of what was found now.
fn is_same(told: &Told, found: &Found, root: &Path, vcs: Vcs) -> bool {
    let was_submodule = told.kind == ProjectKind::Submodule.as_str();
    // Where submodules are, their files count for the kind and are not in the hash.
    told.content_hash == found.id
        && found.warnings.is_empty()
        && found.submodules.is_empty()
        && was_submodule == is_submodule(root, vcs)
}

fn tell(
    root: &Path,
    vcs: Vcs,
    rules: &Rules,
    found: &mut Found,
    evidence: &mut Evidence,
    stop: &AtomicBool,
) -> Told {
    let files = Files::of(found.entries.iter().map(|entry| entry.path.as_slice()));
    let told = manifests::ask(root, &files, &found.submodules, rules, evidence, &mut found.warnings);
    let kind = if is_submodule(root, vcs) {
        evidence.project_type = Proof::by("its git folder is kept by a superproject").in_file(".git");
        evidence.members.clear();
        ProjectKind::Submodule
    } else {
        told.kind
    };
    let tally = language::count(root, &found.entries, stop);
    evidence.primary_language = tally.proof();
    evidence.content_hash = hash_proof(vcs, &found.id, found.entries.len());
    let language = tally.first.to_owned();
    evidence.languages = tally.shares;
    Told {
        name: told.name,
        language,
        framework: told.framework,
        content_hash: found.id.clone(),
        kind: kind.as_str().to_owned(),
        members: Vec::new(),
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with time stamps of files, which are the system's")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn hash_proof(vcs: Vcs, id: &str, files: usize) -> Proof {
    let rule = match (vcs, id.is_empty()) {
        (_, true) => "none: it could not be told; the warnings say why",
        (Vcs::Git, false) => "the tree `git add -A && git write-tree` would make from a copy of the index",
        (Vcs::None | Vcs::Hg | Vcs::Jj | Vcs::Svn, false) => {
            "the tree `git init && git add -A && git write-tree` would make, the exclude list left out"
        }
    };
    let noun = if files == 1 { "file" } else { "files" };
    Proof::by(rule).seeing(format!("{files} {noun}"))
}

/// Whether it is a git repository whose git folder lies among those a superproject keeps for its submodules.
fn is_submodule(root: &Path, vcs: Vcs) -> bool {
    if vcs != Vcs::Git
        || !std::fs::symlink_metadata(root.join(".git")).is_ok_and(|metadata| metadata.is_file())
    {
        return false;
    }
    let Some(folder) = hash::git_folder(root).and_then(|folder| folder.canonicalize().ok()) else {
        return false;
    };
    let names: Vec<_> = folder
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect();
    // A superproject's linked work tree keeps its submodules in a folder of its own.
    let kept = names.iter().rposition(|name| *name == "modules" || *name == "worktrees");
    kept.is_some_and(|at| names[at] == "modules" && names[..at].iter().any(|name| *name == ".git"))
}
