//! Walks folders that belong to no project yet, stops at work trees, and notes what it could not read.
//!
//! One listing and one question per folder; files are never asked about. What a project holds is not looked into:
//! that is the examination's business, which also tells of projects inside work trees.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sync_core::Place;

use crate::exclude::Exclude;
use crate::listing::Listing;
use crate::platform;
use crate::problem::{Problem, ProblemKind, is_absent};
use crate::vcs::{self, Control};

/// Most folders one survey reads outside projects.
const MOST_FOLDERS: usize = 500_000;

/// What bare repositories keep for themselves; anything else inside one may be a work tree.
const INSIDE_BARE: &[&str] =
    &["objects", "refs", "hooks", "info", "logs", "worktrees", "branches", "modules", "lfs", "reftable"];

/// The root of a project, not examined yet.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Where the root folder is; of a linked work tree, where the git folder is that it shares with others.
    pub(crate) place: Place,
    /// When that folder was made, in nanoseconds since 1970, where the file system tells.
    pub(crate) born: Option<i64>,
    /// `None` for a folder with a manifest.
    pub(crate) control: Option<Control>,
}

impl Tree {
    fn of(root: PathBuf, folder: &Metadata, control: Option<Control>) -> io::Result<Self> {
        let shared = control.as_ref().and_then(|control| control.shared.as_ref());
        let shared = shared.map(std::fs::metadata).transpose()?;
        let known_by = shared.as_ref().unwrap_or(folder);
        Ok(Self { root, place: platform::place(known_by), born: platform::born(known_by), control })
    }

    /// Of a linked work tree its own folder of version control, its root, and the git folder that it shares.
    pub(crate) fn linked(&self) -> Option<(PathBuf, PathBuf, &Path)> {
        let control = self.control.as_ref()?;
        Some((control.folder.clone(), self.root.clone(), control.shared.as_deref()?))
    }
}

/// What a folder lies in, as far as the walk knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Enclosed {
    /// Nothing: a manifest makes it a project.
    No,
    /// A project told by its manifest.
    ByManifest,
    /// A root that is a work tree and is walked on.
    ByRoot,
}

/// A folder to be read.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) path: PathBuf,
    /// Levels below the root.
    pub(crate) depth: u32,
    /// The device of the folder it was found in; `None` where a walk starts or a link leads.
    pub(crate) device: Option<u64>,
    pub(crate) enclosed: Enclosed,
}

/// The state of a walk, and in the end its result.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    exclude: &'a Exclude,
    /// What [`Options::homes`](crate::Options::homes) are.
    homes: &'a [PathBuf],
    stop: &'a AtomicBool,
    max_depth: u32,
    follow_symlinks: bool,
    /// Roots are walked on even when they are work trees.
    roots: BTreeSet<Place>,
    /// What is mounted, so that a dead one need not be touched (where the system lists none, devices are compared), and
    /// what is not to be looked at.
    ends: BTreeSet<PathBuf>,
    visited: BTreeMap<Place, PathBuf>,
    too_deep: Vec<PathBuf>,
    pub(crate) trees: Vec<Tree>,
    /// The folders outside projects.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Those of which it could not be told whether they are work trees.
    pub(crate) unclear: BTreeSet<PathBuf>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) blind: BTreeSet<PathBuf>,
    pub(crate) stopped: bool,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    pub(crate) fn new(
        exclude: &'a Exclude,
        homes: &'a [PathBuf],
        options: &crate::Options,
        roots: BTreeSet<Place>,
        ends: BTreeSet<PathBuf>,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            exclude,
            homes,
            stop,
            max_depth: options.max_depth,
            follow_symlinks: options.follow_symlinks,
            roots,
            ends,
            visited: BTreeMap::new(),
            too_deep: Vec::new(),
            trees: Vec::new(),
            folders: BTreeSet::new(),
            unclear: BTreeSet::new(),
            problems: Vec::new(),
            blind: BTreeSet::new(),
            stopped: false,
        }
    }

    /// Reads a folder and everything below it that is outside projects.
    pub(crate) fn from(&mut self, start: Step) {
        // It may lie where another walk was not to go.
        self.blind.remove(&start.path);
        let mut waiting = vec![start];
        while let Some(step) = waiting.pop() {
            if self.stop.load(Ordering::Relaxed) {
                self.stopped = true;
                return;
            }
            if self.visited.len() >= MOST_FOLDERS {
                self.miss(&step.path, ProblemKind::TooMany, "more folders outside projects than are read");
                self.blind.extend(waiting.into_iter().map(|left| left.path));
                break;
            }
            if let Err(error) = self.visit(&step, &mut waiting) {
                self.problems.push(Problem::from_io(&step.path, &error));
                self.blind.insert(step.path);
            }
        }
        self.tell_too_deep();
    }

    fn visit(&mut self, step: &Step, waiting: &mut Vec<Step>) -> io::Result<()> {
        let folder = platform::open_folder(&step.path)?;
        let metadata = folder.metadata()?;
        let place = platform::place(&metadata);
        if step.device.is_some_and(|device| device != place.device) {
            self.blind.insert(step.path.clone());
            return Ok(());
        }
        if self.visited.contains_key(&place) {
            return Ok(());
        }
        let listing = Listing::read(folder)?;
        if listing.cut {
            self.miss(&step.path, ProblemKind::TooMany, "holds more entries than are read");
        }

        let is_root = self.roots.contains(&place);
        // What a root lies in does not matter to what is in it: a look within it sees no further.
        let mut enclosed = if is_root { Enclosed::No } else { step.enclosed };
        let control = if listing.has_marker { vcs::detect(&step.path) } else { Ok(None) };
        let control = control.inspect_err(|_| {
            // When that is mended it is to be noticed.
            self.folders.insert(step.path.clone());
            self.unclear.insert(step.path.clone());
        })?;
        // Only now: who comes here again is to hear of it again.
        self.visited.insert(place, step.path.clone());
        if let Some(control) = control {
            self.trees.push(Tree::of(step.path.clone(), &metadata, Some(control))?);
            if !is_root {
                return Ok(());
            }
            enclosed = Enclosed::ByRoot;
        } else if enclosed == Enclosed::No && listing.makes_project(self.homes.contains(&step.path)) {
            self.trees.push(Tree::of(step.path.clone(), &metadata, None)?);
            enclosed = Enclosed::ByManifest;
        } else if enclosed != Enclosed::ByManifest {
            self.folders.insert(step.path.clone());
        }
        let depth = if is_root { 0 } else { step.depth };
        let below = Step { path: step.path.clone(), depth, device: Some(place.device), enclosed };
        self.go_down(&below, &listing, waiting);
        Ok(())
    }

    /// Puts the folders of `within` on the list, first name last so that it is taken first.
    fn go_down(&mut self, within: &Step, listing: &Listing, waiting: &mut Vec<Step>) {
        let is_bare = listing.is_bare();
        for name in listing.folders.iter().rev() {
            let path = within.path.join(name);
            if is_bare && INSIDE_BARE.iter().any(|own| OsStr::new(own) == name) {
                continue;
            }
            if self.prunes(listing, name, &path) || self.ends.contains(&path) {
                self.blind.insert(path);
            } else if within.depth >= self.max_depth {
                self.too_deep.push(path.clone());
                self.blind.insert(path);
            } else {
                waiting.push(Step { path, depth: within.depth + 1, ..within.clone() });
            }
        }
        if self.follow_symlinks {
            for name in listing.links.iter().rev() {
                self.follow(within, listing, name, waiting);
            }
        }
    }

    fn follow(&mut self, within: &Step, listing: &Listing, name: &OsStr, waiting: &mut Vec<Step>) {
        let link = within.path.join(name);
        if self.prunes(listing, name, &link) {
            return;
        }
        // A link that leads nowhere or in a circle of links is no folder, and nobody's problem.
        let Ok(path) = platform::true_path(&link) else { return };
        if !path.is_dir() {
            return;
        }
        if within.path.starts_with(&path) {
            let message = format!("leads back to {}", path.display());
            self.problems.push(Problem::new(&link, ProblemKind::Loop, message));
        } else if within.depth >= self.max_depth {
            self.too_deep.push(link);
        } else if !path.file_name().is_some_and(|own| self.prunes(&Listing::default(), own, &path)) {
            waiting.push(Step { path, depth: within.depth + 1, device: None, enclosed: within.enclosed });
        }
    }

    fn prunes(&self, listing: &Listing, name: &OsStr, path: &Path) -> bool {
        self.exclude.prunes(&|beside| listing.has(beside), name, path)
    }

    fn miss(&mut self, path: &Path, kind: ProblemKind, message: &str) {
        self.problems.push(Problem::new(path, kind, message));
        self.blind.insert(path.to_path_buf());
    }

    /// One problem for all folders that lie too deep: there may be thousands.
    fn tell_too_deep(&mut self) {
        let cut = std::mem::take(&mut self.too_deep);
        if let Some(first) = cut.iter().min() {
            let message = match cut.len() {
                1 => format!("lies deeper than {} levels below its root", self.max_depth),
                count => format!("this and {} more lie deeper than {} levels", count - 1, self.max_depth),
            };
            self.problems.push(Problem::new(first, ProblemKind::TooDeep, message));
        }
    }
}

/// The project at `root`, when it is a work tree.
pub(crate) fn tree_at(root: &Path) -> io::Result<Option<Tree>> {
    let root = platform::true_path(root)?;
    let Some(control) = vcs::detect(&root)? else { return Ok(None) };
    let metadata = std::fs::metadata(&root)?;
    Tree::of(root, &metadata, Some(control)).map(Some)
}

/// The project that was at `root`: a work tree still, or a folder with a manifest.
pub(crate) fn known_tree(root: &Path, homes: &[PathBuf]) -> io::Result<Option<Tree>> {
    let found = || {
        let root = platform::true_path(root)?;
        if let Some(tree) = tree_at(&root)? {
            return Ok(Some(tree));
        }
        let folder = platform::open_folder(&root)?;
        let metadata = folder.metadata()?;
        let makes_project = Listing::read(folder)?.makes_project(homes.contains(&root));
        makes_project.then(|| Tree::of(root, &metadata, None)).transpose()
    };
    match found() {
        Err(error) if is_absent(&error) => Ok(None),
        other => other,
    }
}
