//! Walks a work tree beside its index and builds the tree that adding everything would make.
//!
//! One pass: each folder is listed once and merged with what the index has of it. A folder in which nothing differs
//! and whose id the index remembers gets that id; any other is built from its entries, from the bottom up. Nothing
//! recurses on the program's stack, however deep the folders are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::index::State;
use gix::index::extension::Tree;
use rustix::fs::Dir;

use super::blob::{Blob, Blobs, shown};
use super::gitlink::{Nested, git_folder, nested};
use super::index::{self, Indexed};
use super::listing::{Entries, Kind, Listing};
use super::object::{Mode, TreeEntry, tree_id};
use super::open::Settings;
use super::patterns::{LONGEST_PATTERNS, Patterns};
use super::{Entry, Found};
use crate::content::read;
use crate::exclude::Exclude;
use crate::shelf::Files;
use crate::stamps::Stamps;

/// Most folders that are held open.
const MOST_HELD: usize = 64;

/// Most folders that are named; one more than is ever watched tells that there are too many.
const MOST_FOLDERS: usize = 8_193;

/// What the walk goes by.
pub(super) struct Ground<'a> {
    pub(super) root: &'a Path,
    pub(super) settings: &'a Settings,
    pub(super) index: &'a State,
    pub(super) repository: Option<&'a gix::Repository>,
    /// What is left out of a folder that git does not answer for.
    pub(super) exclude: Option<&'a Exclude>,
    /// Mount points, from the root: what is mounted there may not answer, and is not touched.
    pub(super) apart: BTreeSet<Vec<u8>>,
    pub(super) stop: &'a AtomicBool,
}

/// The id of the root's tree, and everything seen on the way; no id when it was stopped or could not be told.
///
/// `files` remembers what was read, and is asked before a file is.
pub(super) fn walk(ground: &Ground<'_>, files: &mut Files, found: &mut Found) -> Option<ObjectId> {
    let patterns = Patterns::new(ground.settings, &mut found.warnings);
    let blobs = Blobs::new(ground.settings, ground.repository, ground.stop);
    let mut walk =
        Walk { ground, patterns, blobs, files, found, path: Vec::new(), frames: Vec::new(), finished: None };
    let listing = walk.list_root();
    if matches!(listing, Listing::Absent | Listing::Unreadable) {
        walk.found.warnings.push("the project's folder cannot be read".to_owned());
        return None;
    }
    walk.enter(listing, 0..ground.index.entries().len(), ground.index.tree(), false);
    while walk.step() {
        if ground.stop.load(Ordering::Relaxed) {
            return None;
        }
    }
    walk.finished
}

struct Walk<'a, 'g> {
    ground: &'g Ground<'a>,
    patterns: Patterns,
    blobs: Blobs<'g>,
    files: &'g mut Files,
    found: &'g mut Found,
    /// The path of what is looked at, from the root.
    path: Vec<u8>,
    frames: Vec<Frame<'g>>,
    finished: Option<ObjectId>,
}

/// A folder that is being walked.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one folder")]
struct Frame<'g> {
    /// How much of the path is the folder's, its slash counted.
    depth: usize,
    /// The folder itself, held open.
    folder: Option<Dir>,
    children: std::vec::IntoIter<Child<'g>>,
    entries: Vec<TreeEntry<'g>>,
    /// Nothing so far differs from the index.
    as_indexed: bool,
    /// How many entries the index has below.
    indexed: usize,
    remembered: Option<&'g Tree>,
    remembered_below: Vec<&'g Tree>,
    unreadable: bool,
    /// What is tracked here lies on what is mounted over it, and is not to be read.
    apart: bool,
    /// What is not tracked here is ignored.
    ignored: bool,
    pushed_ignores: bool,
    pushed_attributes: bool,
}

struct Child<'g> {
    indexed: Indexed<'g>,
    on_disk: Option<Kind>,
}

impl<'g> Walk<'_, 'g> {
    /// Looks at the next name of the innermost folder, or leaves it. False when the root was left.
    fn step(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        self.path.truncate(frame.depth);
        match frame.children.next() {
            Some(child) => self.visit(child),
            None => self.leave(),
        }
        true
    }

    fn absolute(&self) -> PathBuf {
        self.ground.root.join(OsStr::from_bytes(&self.path))
    }

    fn list_root(&self) -> Listing {
        self.admitted(Listing::read(None, self.ground.root.as_os_str().as_bytes(), true))
    }

    /// Lists the folder at the current path, to which a slash is added.
    fn list_below(&mut self) -> Listing {
        // Descriptors are few, and folders may lie deep.
        let hold = self.frames.len() < MOST_HELD;
        let listing =
            match self.frames.last().and_then(|frame| Some((frame.folder.as_ref()?.fd().ok()?, frame.depth)))
            {
                Some((folder, depth)) => Listing::read(Some(folder), &self.path[depth..], hold),
                None => Listing::read(None, self.absolute().as_os_str().as_bytes(), hold),
            };
        self.path.push(b'/');
        self.admitted(listing)
    }

    fn admitted(&self, listing: Listing) -> Listing {
        match self.ground.exclude {
            Some(exclude) => listing.without(exclude, &self.absolute()),
            None => listing,
        }
    }

    /// The stamps of what is at the current path.
    fn stamps(&self) -> std::io::Result<Stamps> {
        match self.frames.last().and_then(|frame| Some((frame.folder.as_ref()?.fd().ok()?, frame.depth))) {
            Some((folder, depth)) => Stamps::within(folder, &self.path[depth..]),
            None => Stamps::at(&self.absolute()),
        }
    }

    fn differs(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.as_indexed = false;
        }
    }

    /// Begins with the folder whose path, slash included, is the current one.
    fn enter(
        &mut self,
        mut listing: Listing,
        range: Range<usize>,
        remembered: Option<&'g Tree>,
        ignored: bool,
    ) {
        let depth = self.path.len();
        if matches!(listing, Listing::Of(..)) && !ignored && self.found.folders.len() < MOST_FOLDERS {
            self.found.folders.push(self.path.clone());
        }
        let indexed_below = range.len();
        let indexed = index::children(self.ground.index, range, depth);
        let pushed_ignores = !ignored && self.enter_patterns(&listing, &indexed, b".gitignore");
        let pushed_attributes = self.enter_patterns(&listing, &indexed, b".gitattributes");
        let apart = matches!(listing, Listing::Apart);
        let unreadable = apart || matches!(listing, Listing::Unreadable);
        if unreadable && !apart {
            self.found.partial(&self.path);
        }
        let mut remembered_below: Vec<&Tree> =
            remembered.map_or_else(Vec::new, |tree| tree.children.iter().collect());
        remembered_below.sort_by(|left, right| left.name.cmp(&right.name));
        let folder = match &mut listing {
            Listing::Of(_, folder) => folder.take(),
            Listing::Absent | Listing::Unreadable | Listing::Apart => None,
        };
        self.frames.push(Frame {
            depth,
            folder,
            children: merge(listing, indexed).into_iter(),
            entries: Vec::new(),
            as_indexed: true,
            indexed: indexed_below,
            remembered,
            remembered_below,
            unreadable,
            apart,
            ignored,
            pushed_ignores,
            pushed_attributes,
        });
    }

    /// Reads the folder's own rules: the file that is there, else the one of a sparse checkout's index.
    fn enter_patterns(&mut self, listing: &Listing, indexed: &[Indexed<'_>], name: &[u8]) -> bool {
        let content = if listing.kind_of(name) == Some(Kind::File) {
            read::whole(&self.absolute().join(OsStr::from_bytes(name)), LONGEST_PATTERNS).unwrap_or_default()
        } else {
            let at = indexed.binary_search_by(|child| child.name.as_ref().cmp(name)).ok();
            let entry = at.and_then(|at| indexed[at].entry).map(|at| &self.ground.index.entries()[at]);
            entry
                .filter(|entry| index::stays_without_file(entry))
                .and_then(|entry| self.ground.repository?.try_find_object(entry.id).ok().flatten())
                .map(|mut object| std::mem::take(&mut object.data))
        };
        let Some(content) = content else { return false };
        match name {
            b".gitignore" => self.patterns.enter_ignores(&self.path, &content, &mut self.found.warnings),
            _ => self.patterns.enter_attributes(&self.path, &content, &mut self.found.warnings),
        }
    }

    fn leave(&mut self) {
        let Some(mut frame) = self.frames.pop() else { return };
        self.patterns.leave(frame.pushed_ignores, frame.pushed_attributes);
        let remembered = frame.remembered.filter(|tree| {
            frame.as_indexed && tree.num_entries.is_some_and(|count| count as usize == frame.indexed)
        });
        let id = match remembered {
            Some(tree) => Some(tree.id),
            None => tree_id(self.ground.settings.kind, &mut frame.entries).ok(),
        };
        let Some(parent) = self.frames.last_mut() else {
            self.finished = id;
            return;
        };
        if frame.entries.is_empty() {
            parent.as_indexed &= frame.indexed == 0;
            return;
        }
        parent.as_indexed &= frame.as_indexed;
        let name = self.path[parent.depth..frame.depth - 1].to_vec();
        match id {
            Some(id) => {
                self.found.trees.insert(self.path[..frame.depth].to_vec(), id);
                parent.entries.push(TreeEntry { name: Cow::Owned(name), mode: Mode::Tree, id });
            }
            None => self.found.partial(&self.path),
        }
    }

    fn visit(&mut self, child: Child<'g>) {
        let Child { indexed, on_disk } = child;
        self.path.extend_from_slice(&indexed.name);
        let (unreadable, apart) =
            self.frames.last().map_or((false, false), |frame| (frame.unreadable, frame.apart));
        if unreadable {
            if let Some(at) = indexed.entry {
                self.keep(at);
            }
            if let Some(range) = indexed.below {
                self.enter_unseen(if apart { Listing::Apart } else { Listing::Unreadable }, range);
            }
            return;
        }
        match on_disk {
            Some(Kind::Folder) => self.visit_folder(indexed),
            Some(Kind::File | Kind::Link) => {
                if indexed.below.is_some() {
                    self.differs();
                }
                match indexed.entry {
                    Some(at) => self.visit_tracked_file(at),
                    None => self.visit_untracked_file(),
                }
            }
            Some(Kind::Other) | None => self.visit_missing(indexed),
        }
    }

    fn visit_missing(&mut self, indexed: Indexed<'g>) {
        if let Some(at) = indexed.entry {
            if index::stays_without_file(&self.ground.index.entries()[at]) {
                self.keep(at);
            } else {
                self.differs();
            }
        }
        if let Some(range) = indexed.below {
            self.enter_unseen(Listing::Absent, range);
        }
    }

    /// Goes on with what the index has below; a folder that it has as a whole is taken as a whole.
    fn enter_unseen(&mut self, listing: Listing, range: Range<usize>) {
        let first = &self.ground.index.entries()[range.start];
        if index::is_folder(first) {
            self.add(Mode::Tree, first.id, None);
        } else {
            self.enter_tracked(listing, range);
        }
    }

    /// What is mounted here may not answer: it is as the index has it.
    fn visit_mount(&mut self, indexed: Indexed<'g>) {
        if indexed.entry.is_none() && indexed.below.is_none() && self.is_ignored(true) {
            return;
        }
        self.found.apart.note(&self.path);
        if let Some(at) = indexed.entry {
            self.keep(at);
        }
        if let Some(range) = indexed.below {
            self.enter_unseen(Listing::Apart, range);
        }
    }

    fn visit_folder(&mut self, indexed: Indexed<'g>) {
        if self.ground.apart.contains(&self.path) {
            return self.visit_mount(indexed);
        }
        if let Some(at) = indexed.entry {
            let entry = &self.ground.index.entries()[at];
            if entry.mode == gix::index::entry::Mode::COMMIT {
                let path = self.absolute();
                let id = match nested(&path) {
                    Nested::At(id) => id,
                    Nested::Unborn | Nested::No => entry.id,
                    Nested::InTables => {
                        self.found.partial(&self.path);
                        entry.id
                    }
                };
                if git_folder(&path).is_some() {
                    self.found.submodules.push(path);
                }
                if id != entry.id || index::is_open_question(entry) {
                    self.differs();
                }
                self.add(Mode::Gitlink, id, None);
                return;
            }
            self.differs();
        }
        match indexed.below {
            Some(range) => {
                if index::is_folder(&self.ground.index.entries()[range.start]) {
                    self.found.partial(&self.path);
                    self.add(Mode::Tree, self.ground.index.entries()[range.start].id, None);
                    return;
                }
                let listing = self.list_below();
                if listing.kind_of(b".git").is_some() && git_folder(&self.absolute()).is_some() {
                    self.found.nested.push(self.absolute());
                }
                self.path.pop();
                self.enter_tracked(listing, range);
            }
            None => self.visit_untracked_folder(),
        }
    }

    fn enter_tracked(&mut self, listing: Listing, range: Range<usize>) {
        let Some(parent) = self.frames.last() else { return };
        let name = &self.path[parent.depth..];
        let remembered = parent
            .remembered_below
            .binary_search_by(|tree| tree.name.as_slice().cmp(name))
            .ok()
            .map(|at| parent.remembered_below[at]);
        let ignored = parent.ignored || self.patterns.ignores(&self.path, true);
        self.path.push(b'/');
        self.enter(listing, range, remembered, ignored);
    }

    fn visit_untracked_folder(&mut self) {
        if self.is_ignored(true) {
            if git_folder(&self.absolute()).is_some() {
                self.found.nested.push(self.absolute());
            }
            return;
        }
        let path = self.absolute();
        let listing = self.list_below();
        if listing.kind_of(b".git").is_some() || self.ground.exclude.is_some() {
            let repository = nested(&path);
            if repository != Nested::No {
                self.found.nested.push(path);
                if repository == Nested::InTables {
                    self.found.partial(&self.path);
                }
                self.path.pop();
                if let Nested::At(id) = repository {
                    self.differs();
                    self.add(Mode::Gitlink, id, None);
                }
                return;
            }
        }
        self.enter(listing, 0..0, None, false);
    }

    fn visit_untracked_file(&mut self) {
        if self.is_ignored(false) {
            return;
        }
        match self.stamps().and_then(|stamps| self.read(&stamps, None)) {
            Ok(Some((mode, id, size))) => {
                self.differs();
                self.add_file(mode, id, size, None);
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => self.found.partial(&self.path),
        }
    }

    fn visit_tracked_file(&mut self, at: usize) {
        let ground = self.ground;
        let entry = &ground.index.entries()[at];
        if !index::is_open_question(entry) && index::is_taken_on_trust(entry, ground.settings) {
            self.keep(at);
            return;
        }
        let stamps = match self.stamps() {
            Ok(stamps) => stamps,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.differs(),
            Err(_) => {
                self.found.partial(&self.path);
                return self.keep(at);
            }
        };
        if !index::is_open_question(entry)
            && index::is_unchanged(ground.index, entry, &stamps, ground.settings)
        {
            let mode = mode_of(entry.mode);
            return self.add_file(mode, entry.id, stamps.size, Some(at));
        }
        match self.read(&stamps, Some(at)) {
            Ok(Some((mode, id, size))) => {
                if id != entry.id || mode != mode_of(entry.mode) || index::is_open_question(entry) {
                    self.differs();
                }
                self.add_file(mode, id, size, Some(at));
            }
            Ok(None) => self.differs(),
            Err(error) if error.kind() == ErrorKind::NotFound => self.differs(),
            Err(_) => {
                self.found.partial(&self.path);
                self.keep(at);
            }
        }
    }

    /// Reads the file or link at the current path; nothing for what is neither.
    fn read(
        &mut self,
        stamps: &Stamps,
        indexed: Option<usize>,
    ) -> std::io::Result<Option<(Mode, ObjectId, u64)>> {
        let settings = self.ground.settings;
        let entry = indexed.map(|at| &self.ground.index.entries()[at]);
        self.found.newest = self.found.newest.max(stamps.mtime);
        if stamps.is_symlink() {
            return Ok(Some((Mode::Link, self.blobs.of_link(&self.absolute())?, stamps.size)));
        }
        if !stamps.is_file() {
            return Ok(None);
        }
        let before = entry.map(|entry| mode_of(entry.mode));
        let mode = match before {
            Some(Mode::Link) if !settings.symlinks => Mode::Link,
            Some(mode @ (Mode::File | Mode::Executable)) if !settings.file_mode => mode,
            _ if settings.file_mode && stamps.mode & 0o100 != 0 => Mode::Executable,
            _ => Mode::File,
        };
        let known = entry.filter(|entry| !entry.flags.contains(gix::index::entry::Flags::INTENT_TO_ADD));
        let known = known.map(|entry| entry.id);
        let rules = self.blobs.rules(&self.patterns, known);
        let kept = self.files.find(&self.path, stamps, rules);
        // Of another kind are those from before the folder was this repository.
        let kept = kept
            .and_then(|(id, filtered)| Some((ObjectId::try_from(&*id).ok()?, filtered)))
            .filter(|(id, _)| id.kind() == settings.kind);
        let blob = if let Some((id, filtered)) = kept {
            Blob { id, filtered }
        } else {
            let blob = self.blobs.of_file(&self.absolute(), &self.path, &mut self.patterns, known)?;
            self.files.note(&self.path, stamps, rules, (blob.id.as_bytes(), blob.filtered));
            blob
        };
        if blob.filtered {
            self.found.filtered(&self.path);
        }
        Ok(Some((mode, blob.id, stamps.size)))
    }

    fn is_ignored(&self, is_folder: bool) -> bool {
        self.frames.last().is_some_and(|frame| frame.ignored) || self.patterns.ignores(&self.path, is_folder)
    }

    /// Takes what the index has, unseen.
    fn keep(&mut self, at: usize) {
        let entry = &self.ground.index.entries()[at];
        if index::is_open_question(entry) {
            return self.differs();
        }
        match mode_of(entry.mode) {
            mode @ (Mode::File | Mode::Executable | Mode::Link) => {
                self.add_file(mode, entry.id, u64::from(entry.stat.size), Some(at));
            }
            mode @ (Mode::Gitlink | Mode::Tree) => self.add(mode, entry.id, None),
        }
    }

    /// Adds the file or link at the current path; `at` is where the index has it, if it does.
    fn add_file(&mut self, mode: Mode, id: ObjectId, size: u64, at: Option<usize>) {
        self.add(mode, id, at);
        if self.frames.last().is_some_and(|frame| frame.apart) {
            return;
        }
        let marks = self.patterns.marks(&self.path);
        self.found.entries.push(Entry { path: self.path.clone(), mode, id, size, marks });
    }

    fn add(&mut self, mode: Mode, id: ObjectId, at: Option<usize>) {
        let ground = self.ground;
        let Some(frame) = self.frames.last_mut() else { return };
        let indexed = at.and_then(|at| {
            let path: &[u8] = ground.index.entries()[at].path(ground.index);
            path.get(frame.depth..)
        });
        let name = indexed.map_or_else(|| Cow::Owned(self.path[frame.depth..].to_vec()), Cow::Borrowed);
        frame.entries.push(TreeEntry { name, mode, id });
    }
}

impl Found {
    fn partial(&mut self, path: &[u8]) {
        self.unread.note(path);
    }

    fn filtered(&mut self, path: &[u8]) {
        self.unfiltered.note(path);
    }
}

/// A few of the paths something is to be said of, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    first: Vec<String>,
    count: usize,
}

impl Mentions {
    const SHOWN: usize = 3;

    fn note(&mut self, path: &[u8]) {
        self.count += 1;
        if self.first.len() < Self::SHOWN {
            self.first.push(if path.is_empty() { ".".to_owned() } else { shown(path) });
        }
    }

    /// `words`, how many paths, and the first of them; nothing when there are none.
    pub(super) fn warning(&self, words: &str) -> Option<String> {
        (self.count > 0).then(|| {
            let more = if self.count > self.first.len() { ", …" } else { "" };
            format!("{words} ({}): {}{more}", self.count, self.first.join(", "))
        })
    }
}

fn mode_of(mode: gix::index::entry::Mode) -> Mode {
    use gix::index::entry::Mode as Indexed;
    match mode {
        Indexed::FILE_EXECUTABLE => Mode::Executable,
        Indexed::SYMLINK => Mode::Link,
        Indexed::COMMIT => Mode::Gitlink,
        Indexed::DIR => Mode::Tree,
        _ => Mode::File,
    }
}

/// Puts what is on disk and what the index has side by side, by name; both are in byte order.
fn merge(listing: Listing, indexed: Vec<Indexed<'_>>) -> Vec<Child<'_>> {
    let listed = match listing {
        Listing::Of(listed, _) => listed,
        Listing::Absent | Listing::Unreadable | Listing::Apart => Entries::default(),
    };
    let mut children = Vec::with_capacity(listed.len().max(indexed.len()));
    let mut indexed = indexed.into_iter().peekable();
    for (name, kind) in listed.iter() {
        while let Some(gone) = indexed.next_if(|other| *other.name < *name) {
            children.push(Child { indexed: gone, on_disk: None });
        }
        if name.eq_ignore_ascii_case(b".git") {
            continue;
        }
        let found = indexed.next_if(|other| *other.name == *name);
        let untracked = || Indexed { name: Cow::Owned(name.to_vec()), entry: None, below: None };
        children.push(Child { indexed: found.unwrap_or_else(untracked), on_disk: Some(kind) });
    }
    children.extend(indexed.map(|gone| Child { indexed: gone, on_disk: None }));
    children
}
