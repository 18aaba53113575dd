//! The content hash: the id of the tree that `git add -A && git write-tree` would make, starting from the index.
//!
//! The only part that knows gix. Nothing is written and no program is run, whatever a repository's configuration
//! says. Outside git the folder is taken as it would be right after `git init`, with the exclude list.

mod blob;
mod gitlink;
mod index;
mod listing;
mod object;
mod open;
#[cfg(test)]
mod oracle;
mod patterns;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use sync_core::Vcs;

pub(super) use gitlink::git_folder;
pub(super) use object::Mode;
pub(super) use open::Surroundings;
pub(super) use patterns::Marks;

use crate::exclude::Exclude;
use crate::shelf::Files;
use open::Settings;
use walk::{Ground, Mentions, walk};

/// A file or link of the tree.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// From the root, in bytes.
    pub(super) path: Vec<u8>,
    /// What it is.
    pub(super) mode: Mode,
    /// Its blob.
    #[expect(dead_code, reason = "what the tree has of it, beside its path")]
    pub(super) id: ObjectId,
    /// Bytes on disk.
    pub(super) size: u64,
    /// What attributes say of its language.
    pub(super) marks: Option<Box<Marks>>,
}

/// What was seen while hashing.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Lower-case hex; empty when it could not be told.
    pub(super) id: String,
    /// Every file and link of the tree, folder by folder.
    pub(super) entries: Vec<Entry>,
    /// Submodules that are checked out, absolute.
    pub(super) submodules: Vec<PathBuf>,
    /// Other repositories inside, absolute.
    pub(super) nested: Vec<PathBuf>,
    /// The ids of the folders below the root, which end in a slash.
    pub(super) trees: BTreeMap<Vec<u8>, ObjectId>,
    /// The folders that were read and are not ignored, from the root, empty or ending in a slash.
    pub(super) folders: Vec<Vec<u8>>,
    /// When what differs from the index was last written, in seconds; 0 when nothing does.
    pub(super) newest: i64,
    /// In words.
    pub(super) warnings: Vec<String>,
    unread: Mentions,
    apart: Mentions,
    unfiltered: Mentions,
}

/// What is not looked at.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// What is left out of a folder that git does not answer for.
    pub(super) exclude: &'a Exclude,
    /// Mount points, absolute: what is mounted there is not touched.
    pub(super) apart: &'a [PathBuf],
}

impl Limits<'_> {
    /// The mount points below `root`, from there.
    fn apart_in(&self, root: &Path) -> BTreeSet<Vec<u8>> {
        let below = self.apart.iter().filter_map(|point| point.strip_prefix(root).ok());
        below.map(|point| point.as_os_str().as_bytes().to_vec()).filter(|point| !point.is_empty()).collect()
    }
}

/// Hashes the project at `root`; `files` is asked before a file is read.
pub(super) fn hash(
    root: &Path,
    vcs: Vcs,
    limits: Limits<'_>,
    stop: &AtomicBool,
    surroundings: Surroundings,
    files: &mut Files,
) -> Found {
    let mut found = Found::default();
    let id = match vcs {
        Vcs::Git => match of_repository(root, limits, stop, surroundings, files, &mut found) {
            Ok(id) => id,
            Err(words) => {
                found.warnings.push(words);
                // The files can still be told apart, only the id cannot.
                of_folder(root, limits, stop, files, &mut found);
                None
            }
        },
        Vcs::None | Vcs::Hg | Vcs::Jj | Vcs::Svn => of_folder(root, limits, stop, files, &mut found),
    };
    found.id = id.map_or_else(String::new, |id| id.to_string());
    let mentions = [
        found.unread.warning("partial: what could not be read is as in the index or left out"),
        found.apart.warning(
            "partial: what is mounted from elsewhere or this program's own is as in the index or left out",
        ),
        found.unfiltered.warning("filtered: a conversion of the repository was left out"),
    ];
    found.warnings.extend(mentions.into_iter().flatten());
    found
}

fn of_repository(
    root: &Path,
    limits: Limits<'_>,
    stop: &AtomicBool,
    surroundings: Surroundings,
    files: &mut Files,
    found: &mut Found,
) -> Result<Option<ObjectId>, String> {
    let git_folder = git_folder(root).ok_or("there is no repository in .git")?;
    let repository = open::open(&git_folder, surroundings)?;
    let settings = Settings::of(&repository, surroundings);
    let index = index::read(&repository.index_path(), settings.kind)?;
    let ground = Ground {
        root,
        settings: &settings,
        index: &index,
        repository: Some(&repository),
        exclude: None,
        apart: limits.apart_in(root),
        stop,
    };
    Ok(walk(&ground, files, found))
}

fn of_folder(
    root: &Path,
    limits: Limits<'_>,
    stop: &AtomicBool,
    files: &mut Files,
    found: &mut Found,
) -> Option<ObjectId> {
    let settings = Settings::of_new_repository();
    let index = gix::index::State::new(settings.kind);
    let ground = Ground {
        root,
        settings: &settings,
        index: &index,
        repository: None,
        exclude: Some(limits.exclude),
        apart: limits.apart_in(root),
        stop,
    };
    walk(&ground, files, found)
}
