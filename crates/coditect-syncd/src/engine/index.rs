//! Answers of the store kept in memory, so that a question asked again costs no SQL.
//!
//! Filled by questions, emptied by commits: whoever changes mappings or projects says so after the commit. An answer
//! that was read before a change and arrives after it is not kept.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sync_core::{LocalId, Mapping, ScopeId};
use sync_scan::Worktree;

use super::locked;

/// Most answers of each kind; beyond that all are dropped and begun anew.
const MOST: usize = 16_384;

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    mappings: HashMap<(ScopeId, LocalId), Mapping>,
    paths: HashMap<PathBuf, LocalId>,
    /// Linked work trees, each with the root of the project that stands for it, as they were seen last.
    worktrees: BTreeMap<PathBuf, PathBuf>,
    /// Grows with every change.
    generation: u64,
    /// Grows whenever projects come, go or move.
    whereabouts: u64,
}

/// A moment in the life of the index, before something is read from the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Generation(u64);

impl Index {
    /// To be taken before the store is read.
    pub(super) fn generation(&self) -> Generation {
        Generation(locked(&self.0).generation)
    }

    /// The mapping of a project, if it was asked for since it last changed.
    pub(super) fn mapping(&self, scope: ScopeId, local: LocalId) -> Option<Mapping> {
        locked(&self.0).mappings.get(&(scope, local)).cloned()
    }

    /// The project at or above a path, if it was asked for since projects last changed.
    pub(super) fn project_at(&self, path: &Path) -> Option<LocalId> {
        locked(&self.0).paths.get(path).copied()
    }

    /// Keeps a mapping that was read.
    pub(super) fn keep_mapping(&self, scope: ScopeId, mapping: &Mapping, read_at: Generation) {
        let mut kept = locked(&self.0);
        if kept.generation == read_at.0 {
            if kept.mappings.len() >= MOST {
                kept.mappings.clear();
            }
            kept.mappings.insert((scope, mapping.local), mapping.clone());
        }
    }

    /// Keeps which project is at or above a path.
    pub(super) fn keep_path(&self, path: &Path, local: LocalId, read_at: Generation) {
        let mut kept = locked(&self.0);
        if kept.generation == read_at.0 {
            if kept.paths.len() >= MOST {
                kept.paths.clear();
            }
            kept.paths.insert(path.to_owned(), local);
        }
    }

    /// Which linked work trees a survey saw, which would have seen any at a path that is `covered`.
    pub(super) fn worktrees_seen(&self, covered: &dyn Fn(&Path) -> bool, seen: &[Worktree]) {
        let mut kept = locked(&self.0);
        let before = kept.worktrees.clone();
        kept.worktrees.retain(|path, _| !covered(path));
        let seen = seen.iter().map(|linked| (linked.path.clone(), linked.of.clone()));
        kept.worktrees.extend(seen);
        if kept.worktrees != before {
            kept.generation += 1;
            kept.paths.clear();
        }
    }

    /// The innermost linked work tree that the path is in, and the root of the project that stands for it.
    pub(super) fn worktree_at(&self, path: &Path) -> Option<(PathBuf, PathBuf)> {
        let kept = locked(&self.0);
        let found = path.ancestors().find_map(|above| kept.worktrees.get_key_value(above));
        found.map(|(path, of)| (path.clone(), of.clone()))
    }

    /// The mappings of these projects changed.
    pub(super) fn mappings_changed(&self, scope: ScopeId, locals: impl IntoIterator<Item = LocalId>) {
        let mut kept = locked(&self.0);
        kept.generation += 1;
        for local in locals {
            kept.mappings.remove(&(scope, local));
        }
    }

    /// A number that is the same as long as projects neither come nor go nor move.
    pub(super) fn whereabouts(&self) -> u64 {
        locked(&self.0).whereabouts
    }

    /// Projects were forgotten, with their mappings.
    pub(super) fn projects_forgotten(&self) {
        self.projects_changed();
        locked(&self.0).mappings.clear();
    }

    /// Projects came, went or moved.
    pub(super) fn projects_changed(&self) {
        let mut kept = locked(&self.0);
        kept.generation += 1;
        kept.whereabouts += 1;
        kept.paths.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_core::{CloudId, Revision, Timestamp};
    use uuid::Uuid;

    const SCOPE: ScopeId = ScopeId(1);
    const LOCAL: LocalId = LocalId(Uuid::from_u128(1));

    fn mapping() -> Mapping {
        Mapping {
            local: LOCAL,
            cloud: CloudId(Uuid::from_u128(2)),
            tenant: None,
            status: String::new(),
            sent: None,
            revision: Revision(1),
            cached_at: Timestamp(0),
            expires_at: Timestamp(1),
            refresh_at: Timestamp(1),
        }
    }

    #[test]
    fn an_answer_is_kept_until_what_it_is_about_changes() {
        let index = Index::default();
        index.keep_mapping(SCOPE, &mapping(), index.generation());
        index.keep_path(Path::new("/w/a/src"), LOCAL, index.generation());
        assert_eq!(index.mapping(SCOPE, LOCAL), Some(mapping()));
        assert_eq!(index.mapping(ScopeId(2), LOCAL), None, "another scope has answers of its own");
        let whereabouts = index.whereabouts();
        index.projects_changed();
        assert_ne!(index.whereabouts(), whereabouts);
        assert_eq!(
            (index.project_at(Path::new("/w/a/src")), index.mapping(SCOPE, LOCAL)),
            (None, Some(mapping()))
        );
        index.mappings_changed(SCOPE, [LOCAL]);
        assert_eq!(index.mapping(SCOPE, LOCAL), None);
        index.keep_mapping(SCOPE, &mapping(), index.generation());
        index.keep_path(Path::new("/w/a/src"), LOCAL, index.generation());
        index.projects_forgotten();
        assert_eq!((index.project_at(Path::new("/w/a/src")), index.mapping(SCOPE, LOCAL)), (None, None));
    }

    #[test]
    fn linked_work_trees_are_those_that_were_seen_last() {
        let index = Index::default();
        let see = |scope: &str, seen: &[(&str, &str)]| {
            let linked = |(path, of): &(&str, &str)| Worktree { path: path.into(), of: of.into() };
            let seen: Vec<_> = seen.iter().map(linked).collect();
            index.worktrees_seen(&|path| path.starts_with(scope), &seen);
        };
        let at = |path: &str| index.worktree_at(Path::new(path)).map(|(_, of)| of.display().to_string());
        see("/w", &[("/w/a-fix", "/w/a"), ("/w/b-fix", "/w/b")]);
        assert_eq!((at("/w/a-fix/src"), at("/w/a")), (Some("/w/a".to_owned()), None));
        index.keep_path(Path::new("/w/a-fix"), LOCAL, index.generation());
        see("/w/b-fix", &[]);
        assert_eq!((at("/w/a-fix"), at("/w/b-fix")), (Some("/w/a".to_owned()), None));
        assert_eq!(index.project_at(Path::new("/w/a-fix")), None, "it may be another's now");
    }

    #[test]
    fn an_answer_that_was_read_before_a_change_is_not_kept_after_it() {
        let index = Index::default();
        let read_at = index.generation();
        index.mappings_changed(SCOPE, [LOCAL]);
        index.keep_mapping(SCOPE, &mapping(), read_at);
        index.keep_path(Path::new("/w"), LOCAL, read_at);
        assert_eq!((index.mapping(SCOPE, LOCAL), index.project_at(Path::new("/w"))), (None, None));
    }
}
