//! Projects that no look comes to, most of them outside the roots: nobody tells of them, so it is asked from time to time
//! whether they are still there.
//!
//! Looks for nothing and examines nothing: what is in them is seen where somebody names them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sync_core::{Change, ChangeKind, Concerned, LocalId, Presence, Project};
use sync_scan::is_absent;

use super::record::ANSWERS_WITHIN;
use super::{DiscoverError, Eye};
use crate::blocking::blocking;

impl Eye {
    /// The roots, as they are configured and where they lead.
    pub(super) fn roots(&self) -> Roots {
        let roots = self.stations.iter().flat_map(|station| &station.roots);
        Roots(roots.flat_map(|root| [root.path.clone(), root.real.clone()]).collect())
    }

    /// Calls those missing that are gone, and those of which somebody told although a look may never come to them: they lie
    /// deeper than it goes, or in what is left out. Where it cannot be told or written down, the next time will do.
    pub(super) async fn miss_outlying(&mut self) -> Result<(), DiscoverError> {
        let roots = self.roots();
        let remote = self.stations.iter().filter(|station| station.post.is_remote);
        let remote = remote.flat_map(|station| &station.roots);
        // They are asked by who may hang on them.
        let remote = Roots(remote.flat_map(|root| [root.path.clone(), root.real.clone()]).collect());
        let projects = self.engine.0.store.project();
        let named = projects.by_user().await.unwrap_or_else(|error| {
            tracing::warn!(reason = crate::chain(&error), "projects outside the roots cannot be read");
            Vec::new()
        });
        let beyond = self.present.iter().filter(|root| !roots.hold(root)).cloned();
        let outlying: BTreeSet<PathBuf> =
            beyond.chain(named.into_iter().filter(|root| !remote.hold(root))).collect();
        // A thread that hangs on a mount is enough.
        if outlying.is_empty() || self.asks_outlying.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let machine = self.engine.0.machine;
        let concerned = Concerned::new([], machine, [], &outlying);
        let result = projects.concerned(&concerned).await;
        let known = result.unwrap_or_else(|error| {
            tracing::warn!(reason = crate::chain(&error), "projects outside the roots cannot be read");
            Vec::new()
        });
        let asks = Arc::clone(&self.asks_outlying);
        let look = move || {
            let is_here = |project: &Project| project.presence == Presence::Present;
            let known =
                known.into_iter().filter(|project| is_here(project) && outlying.contains(&project.root));
            let gone: Vec<Project> =
                known.filter(|project| is_gone(&project.root, disk_of(project))).collect();
            asks.store(false, Ordering::Release);
            gone
        };
        let mut gone = match tokio::time::timeout(ANSWERS_WITHIN, blocking(look)).await {
            Ok(Ok(gone)) => gone,
            Ok(Err(_)) => {
                self.asks_outlying.store(false, Ordering::Release);
                Vec::new()
            }
            // It is still asking.
            Err(_) => Vec::new(),
        };
        if gone.is_empty() {
            return Ok(());
        }
        // Somebody may have named one of them again meanwhile.
        let places: BTreeSet<PathBuf> = gone.iter().map(|project| project.root.clone()).collect();
        let known = projects.concerned(&Concerned::new([], machine, [], &places)).await.unwrap_or_default();
        let known: BTreeMap<LocalId, Project> =
            known.into_iter().map(|project| (project.local, project)).collect();
        gone.retain(|project| known.get(&project.local) == Some(project));
        if gone.is_empty() {
            return Ok(());
        }
        let gate = self.engine.0.scope_gate.read().await;
        let (now, scope) = (self.engine.now(), self.engine.scope().id);
        let missing = |project: Project| Change {
            kind: ChangeKind::Missing,
            project: Project { presence: Presence::Missing, seen_at: now, ..project },
        };
        let changes = gone.into_iter().map(missing).collect();
        let applied = self.engine.0.store.project().apply(scope, machine, changes, now).await;
        drop(gate);
        match applied {
            Ok(applied) => {
                tracing::info!(missing = applied.missing, "projects that no look comes to are gone");
            }
            Err(error @ (sync_store::Error::Broken { .. } | sync_store::Error::Closed)) => {
                return Err(DiscoverError::Store(crate::chain(&error)));
            }
            Err(error) => {
                tracing::warn!(
                    reason = crate::chain(&error),
                    "what is gone where no look comes to cannot be written down"
                );
            }
        }
        self.engine.0.index.projects_changed();
        self.engine.progressed();
        Ok(())
    }
}

/// Where roots are.
pub(super) struct Roots(BTreeSet<PathBuf>);

impl Roots {
    /// Whether the path is or lies in one.
    pub(super) fn hold(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.0.contains(above))
    }
}

/// The disk that the project's folder was on, as far as its record tells: of one that nobody looked at yet nothing is known,
/// and the place of a linked work tree is that of the git folder it shares.
pub(super) fn disk_of(project: &Project) -> Option<u64> {
    project.place.filter(|place| project.vcs_place != Some(*place)).map(|place| place.device)
}

/// Whether the folder of a project is not there, and the disk it was on is: where a disk is away, what is nearest above its
/// place lies on another. Where the disk is not known, the folder above has to be there and hold something: one that is empty
/// may be where a disk belongs.
pub(super) fn is_gone(root: &Path, disk: Option<u64>) -> bool {
    let is_there =
        |path: &Path| std::fs::symlink_metadata(path).map_or_else(|error| !is_absent(&error), |_| true);
    let mut above = root.ancestors().skip(1);
    let disk_is_there = match disk {
        Some(disk) => above.find_map(|above| above.metadata().ok()).is_some_and(|found| found.dev() == disk),
        None => {
            above.next().and_then(|above| above.read_dir().ok()).is_some_and(|mut held| held.next().is_some())
        }
    };
    disk_is_there && !is_there(root)
}

#[cfg(test)]
mod tests {
    use sync_core::{Asked, Given, Place, ProjectKind, Timestamp, Vcs};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_project_on_a_disk_that_is_away_is_not_gone() {
        let home = tempfile::tempdir().expect("a folder");
        for folder in ["empty", "full/other"] {
            std::fs::create_dir_all(home.path().join(folder)).expect("a folder");
        }
        let here = home.path().metadata().expect("it is there").dev();
        let check = |path: &str, disk: Option<u64>, expected: bool| {
            assert_eq!(is_gone(&home.path().join(path), disk), expected, "{path} on {disk:?}");
        };
        check("", Some(here), false);
        check("lost/deep", Some(here), true);
        // What is at the place of the mount is another disk now.
        check("lost/deep", Some(here + 1), false);
        check("full/lost", None, true);
        check("full/other", None, false);
        check("empty/lost", None, false);
        check("lost/deep", None, false);
    }

    #[test]
    fn what_the_place_of_a_linked_work_tree_is_on_says_nothing_of_its_disk() {
        let check = |vcs_place: Option<Place>, expected: Option<u64>| {
            let project = Project {
                local: LocalId(Uuid::from_u128(1)),
                root: PathBuf::from("/p"),
                place: Some(Place { device: 1, inode: 2 }),
                born: None,
                vcs_place,
                vcs: Vcs::None,
                name: String::new(),
                language: String::new(),
                framework: String::new(),
                content_hash: String::new(),
                kind: ProjectKind::Standalone,
                parent: None,
                given: Given::default(),
                presence: Presence::Present,
                asked: Asked::ByUser,
                first_seen_at: Timestamp(1),
                seen_at: Timestamp(1),
            };
            assert_eq!(disk_of(&project), expected, "{vcs_place:?}");
        };
        check(None, Some(1));
        check(Some(Place { device: 1, inode: 3 }), Some(1));
        check(Some(Place { device: 1, inode: 2 }), None);
    }
}
