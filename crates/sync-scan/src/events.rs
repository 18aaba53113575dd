//! Says which place an event of the system is about, and which events are about none.
//!
//! Places are project roots, and folders between projects. Told what each watched folder is; asks the disk only
//! whether something that appeared between projects is a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::EventKind;
use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

use crate::manifest;

/// What a watched folder is. Its path is shared by all who know it: they are many, in several lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// A project's root.
    Project,
    /// The version-control folder of the project with this root.
    Control(Arc<Path>),
    /// A folder inside the project with this root, which changed lately.
    Inside(Arc<Path>),
    /// A folder between projects.
    Frontier,
    /// Watched only for what is waited for below it.
    Outlook,
}

/// The watched folders and the folders that are not there yet.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) roles: BTreeMap<Arc<Path>, Role>,
    pub(crate) awaited: BTreeSet<PathBuf>,
}

/// The entries of version-control folders that say something about the project.
const TELLING: &[&str] = &[
    "index",
    "HEAD",
    "packed-refs",
    "refs",
    "dirstate",
    "branch",
    "bookmarks",
    "wc.db",
    "working_copy",
    "repo",
];

impl Watched {
    /// The places an event at `path` is about.
    pub(crate) fn places(&self, kind: EventKind, path: &Path) -> Vec<PathBuf> {
        if !matters(kind) {
            return Vec::new();
        }
        let awaited = self.awaited.iter().filter(|folder| folder.starts_with(path)).cloned();
        awaited.chain(self.place(kind, path)).collect()
    }

    /// The watched folders that an event at `path` takes away from us.
    pub(crate) fn lost(&self, kind: EventKind, path: &Path) -> Vec<Arc<Path>> {
        if !takes_away(kind) {
            return Vec::new();
        }
        self.below(path).map(|(folder, _)| folder.clone()).collect()
    }

    /// The roots of known projects at these places and below them.
    pub(crate) fn projects_at<'a>(&self, places: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
        let is_project = |role: &Role| matches!(role, Role::Project);
        let mut known = BTreeSet::new();
        for place in places {
            if self.roles.get(place.as_path()).is_some_and(is_project) {
                known.insert(place.clone());
            } else {
                let below = self.below(place).filter(|(_, role)| is_project(role));
                known.extend(below.map(|(folder, _)| folder.to_path_buf()));
            }
        }
        known
    }

    fn place(&self, kind: EventKind, path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?;
        match path.parent().and_then(|parent| Some((parent, self.roles.get(parent)?))) {
            Some((_, Role::Control(project))) if TELLING.iter().any(|own| OsStr::new(own) == name) => {
                return Some(project.to_path_buf());
            }
            Some((parent, Role::Project)) => return Some(parent.to_path_buf()),
            Some((_, Role::Inside(project))) => return Some(project.to_path_buf()),
            Some((parent, Role::Frontier)) => {
                return between_projects(kind, path, parent, || self.below(path).next().is_some());
            }
            Some((_, Role::Control(_) | Role::Outlook)) | None => {}
        }
        // The folder itself went, or may be read by others than before, and nobody watches the one it is in.
        let of_itself = takes_away(kind) || matches!(kind, EventKind::Modify(ModifyKind::Metadata(_)));
        match self.roles.get(path).filter(|_| of_itself)? {
            Role::Project | Role::Frontier => Some(path.to_path_buf()),
            Role::Control(project) | Role::Inside(project) => Some(project.to_path_buf()),
            Role::Outlook => None,
        }
    }

    fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Arc<Path>, &'a Role)> {
        let from = (Bound::Included(path), Bound::Unbounded);
        self.roles.range::<Path, _>(from).take_while(move |(folder, _)| folder.starts_with(path))
    }
}

/// What an event in a folder between projects is about: a folder in it, or by a manifest the folder itself.
fn between_projects(
    kind: EventKind,
    path: &Path,
    parent: &Path,
    was_watched: impl Fn() -> bool,
) -> Option<PathBuf> {
    let name = path.file_name()?;
    let makes_project = name == ".git" || name.to_str().is_some_and(manifest::is_manifest);
    if makes_project {
        return Some(parent.to_path_buf());
    }
    let is_folder = match kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        EventKind::Create(CreateKind::File)
        | EventKind::Remove(RemoveKind::File)
        | EventKind::Modify(ModifyKind::Data(_)) => false,
        EventKind::Any
        | EventKind::Access(_)
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => path.is_dir() || (takes_away(kind) && was_watched()),
    };
    is_folder.then(|| path.to_path_buf())
}

fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn takes_away(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::Any))
    )
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, DataChange, MetadataKind};

    use super::*;

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const FOLDER_MADE: EventKind = EventKind::Create(CreateKind::Folder);
    const FILE_MADE: EventKind = EventKind::Create(CreateKind::File);
    const RENAMED_AWAY: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));
    const RENAMED_HERE: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    fn watched() -> Watched {
        let roles = [
            ("/r", Role::Frontier),
            ("/r/p", Role::Project),
            ("/r/p/.git", Role::Control(Path::new("/r/p").into())),
            ("/r/p2", Role::Frontier),
            ("/kept/p.git", Role::Control(Path::new("/r/p").into())),
            ("/o", Role::Outlook),
        ];
        Watched {
            roles: roles.into_iter().map(|(path, role)| (Path::new(path).into(), role)).collect(),
            awaited: BTreeSet::from([PathBuf::from("/o/later/root")]),
        }
    }

    fn check(kind: EventKind, path: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(watched().places(kind, Path::new(path)), expected, "{kind:?} {path}");
    }

    #[test]
    fn an_event_is_about_the_project_it_is_in_or_the_folder_that_appeared() {
        check(WRITTEN, "/r/p/README", &["/r/p"]);
        check(RENAMED_HERE, "/r/p/.git/index", &["/r/p"]);
        check(RENAMED_HERE, "/r/p/.git/HEAD", &["/r/p"]);
        check(RENAMED_HERE, "/kept/p.git/HEAD", &["/r/p"]);
        check(FOLDER_MADE, "/r/new", &["/r/new"]);
        check(EventKind::Remove(RemoveKind::Folder), "/r/p", &["/r/p"]);
        check(RENAMED_AWAY, "/r/p", &["/r/p"]);
        check(FILE_MADE, "/r/package.json", &["/r"]);
        check(FOLDER_MADE, "/r/.git", &["/r"]);
        check(WRITTEN, "/r/p2/Cargo.toml", &["/r/p2"]);
        check(EventKind::Remove(RemoveKind::Folder), "/kept/p.git", &["/r/p"]);
    }

    #[test]
    fn a_root_that_may_be_read_again_is_looked_at() {
        const OPENED: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        check(OPENED, "/r", &["/r"]);
        check(OPENED, "/elsewhere", &[]);
        check(OPENED, "/r/p/.git", &["/r/p"]);
    }

    #[test]
    fn reading_and_the_noise_of_tools_are_about_nothing() {
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/r/p/README", &[]);
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/r/p/README", &[]);
        check(FILE_MADE, "/r/p/.git/index.lock", &[]);
        check(WRITTEN, "/r/p/.git/FETCH_HEAD", &[]);
        check(WRITTEN, "/r/notes.txt", &[]);
        check(FILE_MADE, "/r/notes.txt", &[]);
        check(RENAMED_AWAY, "/r/notes.txt", &[]);
        check(RENAMED_HERE, "/r/notes.txt", &[]);
        check(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/r/notes.txt", &[]);
        check(FOLDER_MADE, "/elsewhere/x", &[]);
    }

    #[test]
    fn what_is_waited_for_is_noticed_by_the_first_of_its_folders() {
        check(FOLDER_MADE, "/o/later", &["/o/later/root"]);
        check(FOLDER_MADE, "/o/later/root", &["/o/later/root"]);
        check(FOLDER_MADE, "/o/other", &[]);
        check(FOLDER_MADE, "/o/late", &[]);
    }

    #[test]
    fn a_folder_that_goes_takes_its_watches_with_it() {
        let lost = watched().lost(RENAMED_AWAY, Path::new("/r/p"));
        assert_eq!(lost, ["/r/p", "/r/p/.git"].map(|path| Arc::from(Path::new(path))));
        assert_eq!(watched().lost(WRITTEN, Path::new("/r/p")), Vec::<Arc<Path>>::new());
    }
}
