//! What is remembered between looks: each project as it was last examined, and the folders whose changes matter.
//!
//! By it a look examines only the projects that something happened to, and says the rest from memory. Reads from the
//! disk the stamps of a few files; knows neither watching nor the database.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sync_core::Sighting;

use crate::events::Role;
use crate::survey::Survey;
use crate::vcs;
use crate::walk::Tree;

/// How long after its last change a project's insides are watched, in milliseconds.
const HOT_MS: u64 = 24 * 60 * 60 * 1000;

/// The files of a version-control folder, and of a project, that change when something is done with version control.
const TELLING: &[&str] = &["index", "HEAD", "dirstate", "wc.db"];

/// What is known of the folders one lookout looks after.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Boxed, because half of what a map has room for is empty.
    projects: BTreeMap<Arc<Path>, Box<Remembered>>,
    /// The folders whose changes matter, but for the insides of projects.
    folders: BTreeMap<Arc<Path>, Role>,
    /// Linked work trees, each with the project that stands for it.
    worktrees: BTreeMap<PathBuf, PathBuf>,
    /// Folders of which it could not be told whether they are work trees.
    unclear: BTreeSet<PathBuf>,
    /// Up to when nothing else is wanted to be watched than was last, if nothing else is seen.
    same_until_ms: u64,
}

/// A project as it was last examined.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) sighting: Arc<Sighting>,
    /// Few have any.
    inner: Option<Box<Inner>>,
    stamp: Stamp,
    /// Not found inside of another.
    is_outermost: bool,
    /// When it last changed, as far as was seen.
    changed_ms: u64,
    /// Its folders that are not ignored; empty when it is cold.
    folders: Vec<Arc<Path>>,
}

/// The projects inside a project.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) submodules: Vec<PathBuf>,
    pub(crate) nested: Vec<PathBuf>,
    /// The packages of its workspace, where they are projects of their own.
    pub(crate) members: Vec<PathBuf>,
}

/// What an examination adds to what is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) submodules: Vec<PathBuf>,
    pub(crate) nested: Vec<PathBuf>,
    pub(crate) members: Vec<PathBuf>,
    pub(crate) stamp: Stamp,
    pub(crate) is_outermost: bool,
    /// In seconds since 1970.
    pub(crate) newest: i64,
    pub(crate) folders: Vec<PathBuf>,
    /// Of the files that were asked about, those that are no part of it.
    pub(crate) left_out: BTreeSet<PathBuf>,
}

/// What a project's root and its version control's main files looked like: equal when nobody touched them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    told: u64,
    /// The newest of them, in seconds since 1970.
    pub(crate) newest: i64,
}

impl Stamp {
    /// The stamp of a project as it is on disk.
    pub(crate) fn of(tree: &Tree) -> Self {
        let files =
            tree.control.iter().flat_map(|control| TELLING.iter().map(|name| control.folder.join(name)));
        let mut told = DefaultHasher::new();
        let mut newest = 0;
        for path in files.chain([tree.root.clone()]) {
            let Ok(found) = std::fs::symlink_metadata(path) else { continue };
            (found.ino(), found.size(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec())
                .hash(&mut told);
            newest = newest.max(found.mtime());
        }
        Self { told: told.finish(), newest }
    }
}

impl Memory {
    /// The project at the root of `tree`, if it is the one that is remembered there.
    pub(crate) fn recall(&self, tree: &Tree) -> Option<&Remembered> {
        let vcs_place = tree.control.as_ref().map(|control| control.place);
        self.projects.get(tree.root.as_path()).map(Box::as_ref).filter(|known| {
            known.sighting.place == tree.place
                && known.sighting.born == tree.born
                && known.sighting.vcs_place == vcs_place
        })
    }

    /// The project that is remembered at this root.
    pub(crate) fn at(&self, root: &Path) -> Option<&Arc<Sighting>> {
        self.projects.get(root).map(|known| &known.sighting)
    }

    /// Takes in what a survey saw at `now_ms`, and forgets what it would have seen and did not.
    pub(crate) fn take(&mut self, survey: &mut Survey, now_ms: u64) {
        if survey.update(&mut self.folders) {
            self.same_until_ms = 0;
        }
        self.worktrees.retain(|path, _| !(survey.covered.has(path) || survey.apart.has(path)));
        let linked = survey.worktrees.iter().map(|linked| (linked.path.clone(), linked.of.clone()));
        self.worktrees.extend(linked);
        self.unclear.retain(|path| !(survey.came_to(path) || survey.apart.has(path)));
        self.unclear.append(&mut survey.unclear);
        let seen: BTreeSet<_> = survey.sightings.iter().map(|sighting| sighting.root.as_path()).collect();
        let known = self.projects.len() + self.folders.len();
        self.folders.retain(|folder, _| !survey.apart.has(folder));
        self.projects.retain(|root, _| {
            seen.contains(root.as_ref()) || !(survey.covered.has(root) || survey.apart.has(root))
        });
        if self.projects.len() + self.folders.len() < known {
            self.same_until_ms = 0;
        }
        for sighting in &survey.sightings {
            match survey.noted.remove(&sighting.root) {
                // What was known of it and of what lies in it stays.
                Some(_) if sighting.broke_off => {}
                Some(noted) => self.note(sighting, noted, now_ms),
                // From memory, but its parent may be another.
                None => {
                    if let Some(known) = self.projects.get_mut(sighting.root.as_path()) {
                        known.sighting = Arc::clone(sighting);
                    }
                }
            }
        }
    }

    /// Whether everything the survey saw, and would have seen, is as it is remembered.
    pub(crate) fn agrees_with(&self, survey: &Survey) -> bool {
        let is_known = |sighting: &Arc<Sighting>| {
            self.projects.get(sighting.root.as_path()).is_some_and(|known| known.sighting == *sighting)
        };
        let is_seen = |root: &PathBuf| survey.sightings.iter().any(|sighting| sighting.root == *root);
        survey.sightings.iter().all(is_known)
            && survey
                .covered
                .points
                .iter()
                .filter(|root| self.projects.contains_key(root.as_path()))
                .all(is_seen)
    }

    fn note(&mut self, sighting: &Arc<Sighting>, noted: Noted, now_ms: u64) {
        let written = noted.newest.max(noted.stamp.newest);
        let changed_ms = self.changed_ms(&sighting.root, &sighting.content_hash, written, now_ms);
        let known = Remembered {
            sighting: Arc::clone(sighting),
            inner: Inner { submodules: noted.submodules, nested: noted.nested, members: noted.members }
                .kept(),
            stamp: noted.stamp,
            is_outermost: noted.is_outermost,
            changed_ms,
            folders: if is_hot(changed_ms, now_ms) { shared(noted.folders) } else { Vec::new() },
        };
        let before = self.projects.get_mut(sighting.root.as_path());
        if before.as_ref().is_none_or(|before| before.folders != known.folders) {
            self.same_until_ms = 0;
        }
        if let Some(before) = before {
            **before = known;
        } else {
            self.projects.insert(sighting.root.as_path().into(), Box::new(known));
        }
    }

    /// Whether other folders may be wanted at `now_ms` than [`Self::wanted`] told last.
    pub(crate) fn wants_others(&self, now_ms: u64) -> bool {
        now_ms >= self.same_until_ms
    }

    /// The folders to watch: all that matter, and the insides of projects that changed lately, the latest first, as far
    /// as `most_inside` goes. What is cold by now is forgotten.
    pub(crate) fn wanted(&mut self, now_ms: u64, most_inside: usize) -> BTreeMap<Arc<Path>, Role> {
        let mut wanted = self.folders.clone();
        let mut hot = Vec::new();
        self.same_until_ms = u64::MAX;
        for (root, known) in &mut self.projects {
            if is_hot(known.changed_ms, now_ms) {
                self.same_until_ms = self.same_until_ms.min(known.changed_ms.saturating_add(HOT_MS));
                hot.push((std::cmp::Reverse(known.changed_ms), root.clone()));
            } else {
                known.folders = Vec::new();
            }
        }
        hot.sort();
        let mut left = most_inside;
        for (_, root) in hot {
            let Some(known) = self.projects.get(&root) else { continue };
            if known.folders.len() > left {
                // Which project changed last decides, so every change does.
                self.same_until_ms = 0;
                continue;
            }
            left -= known.folders.len();
            for folder in &known.folders {
                wanted.entry(folder.clone()).or_insert_with(|| Role::Inside(root.clone()));
            }
        }
        wanted
    }

    /// The projects that were not found inside of others, by path.
    pub(crate) fn outermost(&self) -> Vec<PathBuf> {
        let outermost = self.projects.iter().filter(|(_, known)| known.is_outermost);
        outermost.map(|(root, _)| root.to_path_buf()).collect()
    }

    /// The linked work trees of projects at, around or below these paths that are there no more: one of them is it now. A
    /// folder in their place that is no work tree, or another one, does not stand for them.
    pub(crate) fn heirs(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let is_near = |of: &Path| paths.iter().any(|path| path.starts_with(of) || of.starts_with(path));
        let is_gone = |of: &Path| match vcs::detect(of) {
            Ok(Some(control)) => self.at(of).is_some_and(|known| known.vcs_place != Some(control.place)),
            Ok(None) => true,
            Err(_) => false,
        };
        // There may be hundreds of one.
        let mut asked = BTreeMap::new();
        let left = self
            .worktrees
            .iter()
            .filter(|(_, of)| *asked.entry(of.as_path()).or_insert_with(|| is_near(of) && is_gone(of)));
        left.map(|(path, _)| path.clone()).collect()
    }

    /// The folders of which it could not be told whether they are work trees.
    pub(crate) fn unclear(&self) -> impl Iterator<Item = &PathBuf> {
        self.unclear.iter()
    }

    /// The project at this root and those inside it, down to the innermost.
    pub(crate) fn with_inner(&self, root: &Path) -> Vec<PathBuf> {
        let mut found = vec![root.to_path_buf()];
        let mut at = 0;
        while let Some(outer) = found.get(at).cloned() {
            if let Some(known) = self.projects.get(outer.as_path()) {
                let inner = known.inner.iter().flat_map(|inner| inner.all());
                let new: Vec<_> = inner.filter(|path| !found.contains(path)).cloned().collect();
                found.extend(new);
            }
            at += 1;
        }
        found
    }

    /// When the project at `root` changed last, if this is its content now and it was `written` then, in seconds.
    fn changed_ms(&self, root: &Path, content_hash: &str, written: i64, now_ms: u64) -> u64 {
        match self.projects.get(root) {
            Some(before) if before.sighting.content_hash == content_hash => before.changed_ms,
            Some(_) => now_ms,
            None => u64::try_from(written).unwrap_or(0).saturating_mul(1_000).min(now_ms),
        }
    }

    /// Whether the insides of a project matter, which was examined at `now_ms` and found to be so.
    pub(crate) fn would_be_hot(&self, root: &Path, content_hash: &str, written: i64, now_ms: u64) -> bool {
        is_hot(self.changed_ms(root, content_hash, written, now_ms), now_ms)
    }

    /// How many projects are in the folder, itself included.
    pub(crate) fn count_in(&self, folder: &Path) -> usize {
        let from = self.projects.range::<Path, _>((Bound::Included(folder), Bound::Unbounded));
        from.take_while(|(root, _)| root.starts_with(folder)).count()
    }

    /// The projects below `path`.
    pub(crate) fn below(&self, path: &Path) -> BTreeSet<PathBuf> {
        let below = (Bound::Excluded(path), Bound::Unbounded);
        let from = self.projects.range::<Path, _>(below).map(|(root, _)| root);
        from.take_while(|root| root.starts_with(path)).map(|root| root.to_path_buf()).collect()
    }

    /// The projects around `path`.
    pub(crate) fn around(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        path.ancestors().skip(1).filter(|above| self.projects.contains_key(*above)).map(Path::to_path_buf)
    }
}

impl Inner {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.submodules.iter().chain(&self.nested).chain(&self.members)
    }

    fn kept(self) -> Option<Box<Self>> {
        let is_there = self.all().next().is_some();
        is_there.then(|| Box::new(self))
    }
}

impl Remembered {
    /// The projects inside it, if there are any.
    pub(crate) fn inner(&self) -> Option<&Inner> {
        self.inner.as_deref()
    }

    /// Whether the project has to be examined again, judged from the few files that are always looked at.
    pub(crate) fn is_outdated(&self, tree: &Tree) -> bool {
        self.stamp != Stamp::of(tree)
    }
}

fn shared(folders: Vec<PathBuf>) -> Vec<Arc<Path>> {
    folders.into_iter().map(Arc::from).collect()
}

fn is_hot(changed_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(changed_ms) < HOT_MS
}
