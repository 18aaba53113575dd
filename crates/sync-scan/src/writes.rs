//! Remembers which files of a project may be written to without its being looked at: those that an examination showed
//! to be no part of it.
//!
//! A log that git ignores, in a folder whose other files matter, would otherwise have its project examined twice a
//! minute for as long as somebody writes to it. Only writing is passed over; what makes, renames or removes a file may
//! change what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use notify::EventKind;
use notify::event::ModifyKind;

use crate::events::{Role, Watched};

/// Most files of one project that are kept apart; where more are written to, it is looked at.
const MOST_FILES: usize = 32;

/// Writing inside projects, by project.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    projects: BTreeMap<PathBuf, Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Written to since the project was examined last.
    written: BTreeSet<PathBuf>,
    /// No part of the project when it was.
    ignored: BTreeSet<PathBuf>,
}

/// Whether an event only says that something was written to a file.
pub(crate) fn is_write(kind: EventKind) -> bool {
    matches!(kind, EventKind::Modify(ModifyKind::Data(_)))
}

impl Writes {
    /// Whether what is written to the file at `path` concerns nobody. Notes it where that is not known.
    pub(crate) fn are_nobodys(&mut self, path: &Path, watched: &Watched) -> bool {
        let Some(folder) = path.parent() else { return false };
        let project = match watched.roles.get(folder) {
            Some(Role::Project) => folder,
            Some(Role::Inside(project)) => project,
            Some(Role::Control(_) | Role::Frontier | Role::Outlook) | None => return false,
        };
        // Which git folder a project has is no part of its content.
        if path.file_name().is_some_and(|name| name == ".git") {
            return false;
        }
        if !self.projects.contains_key(project) {
            self.projects.insert(project.to_path_buf(), Files::default());
        }
        let Some(files) = self.projects.get_mut(project) else { return false };
        if files.ignored.contains(path) {
            return true;
        }
        if files.written.len() < MOST_FILES && !files.written.contains(path) {
            files.written.insert(path.to_path_buf());
        }
        false
    }

    /// The files of each project that are to be looked for in it.
    pub(crate) fn written(&self) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        let all = |files: &Files| files.written.union(&files.ignored).cloned().collect();
        self.projects.iter().map(|(project, files)| (project.clone(), all(files))).collect()
    }

    /// The project with this root, if there was one, is not watched any more.
    pub(crate) fn forget(&mut self, root: &Path) {
        self.projects.remove(root);
    }

    /// The project was examined, and of the files that were looked for these are no part of it.
    pub(crate) fn examined(&mut self, project: PathBuf, mut ignored: BTreeSet<PathBuf>) {
        while ignored.len() > MOST_FILES {
            ignored.pop_last();
        }
        if ignored.is_empty() {
            self.projects.remove(&project);
        } else {
            self.projects.insert(project, Files { written: BTreeSet::new(), ignored });
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, MetadataKind, RenameMode};

    use super::*;

    fn watched() -> Watched {
        let roles = [
            ("/r", Role::Frontier),
            ("/r/p", Role::Project),
            ("/r/p/src", Role::Inside(Path::new("/r/p").into())),
            ("/r/p/.git", Role::Control(Path::new("/r/p").into())),
        ];
        let roles = roles.into_iter().map(|(path, role)| (Path::new(path).into(), role)).collect();
        Watched { roles, awaited: BTreeSet::new() }
    }

    fn paths(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn only_what_an_examination_left_out_is_written_to_in_silence() {
        let (mut writes, watched) = (Writes::default(), watched());
        let project = PathBuf::from("/r/p");
        for path in
            ["/r/p/a.log", "/r/p/src/b.log", "/r/p/src/main.rs", "/r/p/.git/index", "/r/p/.git", "/r/x"]
        {
            assert!(!writes.are_nobodys(Path::new(path), &watched), "{path}");
        }
        let asked = paths(&["/r/p/a.log", "/r/p/src/b.log", "/r/p/src/main.rs"]);
        assert_eq!(writes.written(), BTreeMap::from([(project.clone(), asked)]));

        writes.examined(project.clone(), paths(&["/r/p/a.log", "/r/p/src/b.log"]));
        for (path, expected) in [("/r/p/a.log", true), ("/r/p/src/b.log", true), ("/r/p/src/main.rs", false)]
        {
            assert_eq!(writes.are_nobodys(Path::new(path), &watched), expected, "{path}");
        }
        // All of them are looked for again.
        assert_eq!(writes.written()[&project].len(), 3);
        writes.examined(project, BTreeSet::new());
        assert!(!writes.are_nobodys(Path::new("/r/p/a.log"), &watched));
    }

    #[test]
    fn of_a_project_that_is_gone_nothing_is_remembered() {
        let (mut writes, watched) = (Writes::default(), watched());
        assert!(!writes.are_nobodys(Path::new("/r/p/file"), &watched));
        writes.forget(Path::new("/r/p/src"));
        assert_eq!(writes.written().len(), 1);
        writes.forget(Path::new("/r/p"));
        assert!(writes.written().is_empty());
    }

    #[test]
    fn a_storm_of_files_is_not_remembered() {
        let (mut writes, watched) = (Writes::default(), watched());
        for number in 0..1_000 {
            assert!(!writes.are_nobodys(&PathBuf::from(format!("/r/p/{number}")), &watched));
        }
        assert_eq!(writes.written()[Path::new("/r/p")].len(), MOST_FILES);
    }

    #[test]
    fn making_renaming_and_removing_are_no_writing() {
        let is = |kind| is_write(kind);
        assert!(is(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
        for kind in [
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
            EventKind::Any,
        ] {
            assert!(!is(kind), "{kind:?}");
        }
    }
}
