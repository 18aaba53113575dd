//! Projects that no root covers: nobody tells of them, so it is asked from time to time whether they are still there.
//!
//! Looks for nothing and examines nothing: what is in them is seen where somebody names them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sync_core::{Change, ChangeKind, Concerned, Presence, Project};
use sync_scan::is_absent;

use super::record::ANSWERS_WITHIN;
use super::{DiscoverError, Eye};
use crate::blocking::blocking;

impl Eye {
    /// Calls those missing that are gone. Where it cannot be told or written down, the next time will do.
    pub(super) async fn miss_outlying(&mut self) -> Result<(), DiscoverError> {
        let roots = self.stations.iter().flat_map(|station| &station.roots);
        let roots: BTreeSet<&PathBuf> = roots.flat_map(|root| [&root.path, &root.real]).collect();
        let is_covered =
            |path: &&PathBuf| path.ancestors().any(|above| roots.iter().any(|root| *root == above));
        let outlying: BTreeSet<PathBuf> =
            self.present.iter().filter(|path| !is_covered(path)).cloned().collect();
        // A thread that hangs on a mount is enough.
        if outlying.is_empty() || self.asks_outlying.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let machine = self.engine.0.machine;
        let concerned = Concerned::new([], machine, [], &outlying);
        let result = self.engine.0.store.project().concerned(&concerned).await;
        let known = result.unwrap_or_else(|error| {
            tracing::warn!(reason = crate::chain(&error), "projects outside the roots cannot be read");
            Vec::new()
        });
        let asks = Arc::clone(&self.asks_outlying);
        let look = move || {
            let is_here = |project: &Project| project.presence == Presence::Present;
            let known =
                known.into_iter().filter(|project| is_here(project) && outlying.contains(&project.root));
            let gone: Vec<Project> = known.filter(is_gone).collect();
            asks.store(false, Ordering::Release);
            gone
        };
        let gone = match tokio::time::timeout(ANSWERS_WITHIN, blocking(look)).await {
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
            Ok(applied) => tracing::info!(missing = applied.missing, "projects outside the roots are gone"),
            Err(error @ (sync_store::Error::Broken { .. } | sync_store::Error::Closed)) => {
                return Err(DiscoverError::Store(crate::chain(&error)));
            }
            Err(error) => {
                tracing::warn!(
                    reason = crate::chain(&error),
                    "what is gone outside the roots cannot be written down"
                );
            }
        }
        self.engine.0.index.projects_changed();
        self.engine.progressed();
        Ok(())
    }
}

/// Whether the project's folder is not there, and the disk it was on is: where a disk is away, what is nearest above its
/// place lies on another. Of a folder that nobody looked at yet, the disk is not known.
fn is_gone(project: &Project) -> bool {
    let is_there =
        |path: &Path| std::fs::symlink_metadata(path).map_or_else(|error| !is_absent(&error), |_| true);
    let mut above = project.root.ancestors().skip(1);
    let disk_is_there = match project.place {
        Some(place) => {
            above.find_map(|above| above.metadata().ok()).is_some_and(|found| found.dev() == place.device)
        }
        None => above.next().is_some_and(is_there),
    };
    disk_is_there && !is_there(&project.root)
}

#[cfg(test)]
mod tests {
    use sync_core::{Asked, Given, LocalId, Place, ProjectKind, Timestamp, Vcs};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_project_on_a_disk_that_is_away_is_not_gone() {
        let home = tempfile::tempdir().expect("a folder");
        let here = home.path().metadata().expect("it is there").dev();
        let check = |path: &str, device: Option<u64>, expected: bool| {
            let project = Project {
                local: LocalId(Uuid::from_u128(1)),
                root: home.path().join(path),
                place: device.map(|device| Place { device, inode: 1 }),
                born: None,
                vcs_place: None,
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
            assert_eq!(is_gone(&project), expected, "{path} on {device:?}");
        };
        check("", Some(here), false);
        check("lost/deep", Some(here), true);
        // What is at the place of the mount is another disk now.
        check("lost/deep", Some(here + 1), false);
        check("lost", None, true);
        check("lost/deep", None, false);
    }
}
