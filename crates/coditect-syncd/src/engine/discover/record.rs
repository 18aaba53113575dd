//! Writes down what a survey says: compares it with what is on record and queues what the cloud does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_core::{
    Asked, Change, Concerned, MachineId, Place, Presence, Project, Sighting, Timestamp, diff, is_same,
};
use sync_scan::{Covered, Survey, is_absent, is_at};
use sync_store::Applied;

use super::outlying::{Roots, disk_of, is_gone};
use super::{DiscoverError, Eye};
use crate::blocking::{Blocked, blocking};
use crate::engine::api::Scanned;

/// What was seen of no more projects is compared with the records that concern it, and with no others.
const FEW: usize = 64;
/// The folders of projects that were not seen have so long to say whether they are there.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

impl Eye {
    /// Records what was seen. `None` when it could not be written down.
    pub(super) async fn record(
        &self,
        survey: &Survey,
        whole: bool,
        took: Duration,
    ) -> Result<Option<Scanned>, DiscoverError> {
        self.engine.0.index.worktrees_seen(&|path| survey.covered.has(path), &survey.worktrees);
        let Some(applied) = self.apply(survey).await? else {
            // A part of it may have been: what is told by path, and what waits to be sent, is another.
            self.engine.0.index.projects_changed();
            self.engine.0.deliver_wake.wake();
            self.engine.progressed();
            return Ok(None);
        };
        if applied.added + applied.moved + applied.returned + applied.missing > 0 {
            self.engine.0.index.projects_changed();
        }
        let scanned = Scanned {
            found: u64::try_from(survey.sightings.len()).unwrap_or(u64::MAX),
            added: applied.added,
            changed: applied.changed + applied.moved + applied.returned,
            missing: applied.missing,
            done: true,
        };
        self.tell(survey, &applied, scanned, whole, took);
        Ok(Some(scanned))
    }

    async fn apply(&self, survey: &Survey) -> Result<Option<Applied>, DiscoverError> {
        let store = &self.engine.0.store;
        let (machine, now) = (self.engine.0.machine, self.engine.now());
        let result = async {
            let known = self.known(survey).await?;
            let compared = Comparison {
                roots: self.roots(),
                known,
                sightings: survey.sightings.clone(),
                covered: survey.covered.clone(),
            };
            let changes = match compared.changes(machine, now).await {
                Ok(changes) => changes,
                Err(blocked) => return Ok(Err(blocked)),
            };
            // Until it is committed, what is queued belongs to the scope of now.
            let _gate = self.engine.0.scope_gate.read().await;
            store.project().apply(self.engine.scope().id, machine, changes, now).await.map(Ok)
        };
        let reason = match result.await {
            Ok(Ok(applied)) => return Ok(Some(applied)),
            Err(error @ (sync_store::Error::Broken { .. } | sync_store::Error::Closed)) => {
                return Err(DiscoverError::Store(crate::chain(&error)));
            }
            Err(error) => crate::chain(&error),
            Ok(Err(blocked)) => format!("{blocked:?}"),
        };
        tracing::error!(reason, "what was found cannot be written down; trying later");
        Ok(None)
    }

    /// The projects on record that a comparison with this survey needs.
    async fn known(&self, survey: &Survey) -> Result<Vec<Project>, sync_store::Error> {
        let projects = self.engine.0.store.project();
        if survey.sightings.len() <= FEW {
            let (seen, covered) = (&survey.sightings, &survey.covered);
            let looked_at = seen.iter().map(AsRef::as_ref);
            let concerned = Concerned::new(looked_at, self.engine.0.machine, covered.below(), covered.at());
            let known = projects.concerned(&concerned).await?;
            if concerned.is_enough(&known) {
                return Ok(known);
            }
        }
        projects.all().await
    }

    fn tell(&self, survey: &Survey, applied: &Applied, scanned: Scanned, whole: bool, took: Duration) {
        self.engine.0.counters.enqueued.fetch_add(applied.enqueued, Ordering::Relaxed);
        self.engine.0.counters.scans.fetch_add(1, Ordering::Relaxed);
        let new = scanned.added + scanned.changed + scanned.missing;
        if whole || new > 0 {
            tracing::info!(
                found = scanned.found,
                added = scanned.added,
                changed = scanned.changed,
                missing = scanned.missing,
                arriving = survey.arriving.len(),
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "looked for projects"
            );
        }
        for sighting in &survey.sightings {
            for warning in &sighting.warnings {
                tracing::debug!(root = %sighting.root.display(), warning, "a project was seen only in part");
            }
        }
        for problem in &survey.problems {
            tracing::debug!(path = %problem.path.display(), kind = problem.kind.as_str(), "{}", problem.message);
        }
        if whole || applied.refused > 0 {
            self.engine.0.unsent.store(true, Ordering::Relaxed);
        }
        if applied.refused > 0 {
            tracing::warn!(projects = applied.refused, "the queue is full; these wait for room");
            self.engine.queue_is_full(true);
        }
        if applied.enqueued > 0 {
            self.engine.0.deliver_wake.wake();
        }
        self.engine.progressed();
    }
}

/// What was seen beside what is on record.
struct Comparison {
    roots: Roots,
    known: Vec<Project>,
    sightings: Vec<Arc<Sighting>>,
    covered: Covered,
}

impl Comparison {
    /// What has changed. Thousands are compared on another thread: this one answers everybody else.
    async fn changes(self, machine: MachineId, now: Timestamp) -> Result<Vec<Change>, Blocked> {
        if self.known.len().max(self.sightings.len()) <= FEW {
            let doubts = Doubts::open(&self);
            let doubts = doubts.settled().await;
            return Ok(self.diff(&doubts, machine, now));
        }
        let (own, doubts) = blocking(move || {
            let doubts = Doubts::open(&self);
            (self, doubts)
        })
        .await?;
        let doubts = doubts.settled().await;
        // What is on record goes with it: of thousands that move there are copies enough.
        blocking(move || own.diff(&doubts, machine, now)).await
    }

    fn diff(&self, Settled { standing, left }: &Settled, machine: MachineId, now: Timestamp) -> Vec<Change> {
        let covered =
            |path: &Path| (self.covered.has(path) && !standing.contains(path)) || left.contains(path);
        diff(&self.known, &self.sightings, &covered, machine, now)
    }
}

/// The projects on record of which a survey leaves open whether they are where they were.
struct Doubts {
    /// These were not seen where the survey looked.
    unseen: BTreeMap<PathBuf, Unseen>,
    /// What was here, at this place of the disk, was seen elsewhere, by a survey that did not look here: the end of a move is
    /// often met before its beginning.
    elsewhere: Vec<(PathBuf, Place)>,
}

/// A project that was not seen.
struct Unseen {
    asked: Asked,
    /// Whether it lies outside the roots: what is there may come and go with its disk.
    is_outlying: bool,
    disk: Option<u64>,
}

/// What a second look at the folders in doubt tells.
#[derive(Default)]
struct Settled {
    /// These are not gone. What somebody gave need not look like a project, and may have been given while the survey ran; and
    /// of what lies in a folder that cannot be read nobody knows.
    standing: BTreeSet<PathBuf>,
    /// These are here no more.
    left: BTreeSet<PathBuf>,
}

impl Doubts {
    fn open(compared: &Comparison) -> Self {
        let seen: BTreeSet<&Path> = compared.sightings.iter().map(|seen| seen.root.as_path()).collect();
        // No folder is seen twice.
        let by_place: BTreeMap<Place, &Sighting> =
            compared.sightings.iter().map(|seen| (seen.place, seen.as_ref())).collect();
        let same = |project: &Project| {
            let seen = *by_place.get(&project.place?)?;
            is_same(project, seen).then_some(seen)
        };
        let mut open = Self { unseen: BTreeMap::new(), elsewhere: Vec::new() };
        for project in compared.known.iter().filter(|project| project.presence == Presence::Present) {
            if compared.covered.has(&project.root) {
                if !seen.contains(project.root.as_path()) {
                    let is_outlying = !compared.roots.hold(&project.root);
                    let unseen = Unseen { asked: project.asked, is_outlying, disk: disk_of(project) };
                    open.unseen.insert(project.root.clone(), unseen);
                }
            } else if let Some(seen) = same(project) {
                open.elsewhere.push((project.root.clone(), seen.place));
            }
        }
        open
    }

    async fn settled(self) -> Settled {
        let Self { unseen, elsewhere } = self;
        if unseen.is_empty() && elsewhere.is_empty() {
            return Settled::default();
        }
        // A look that fails, hangs or is cut off by the end of the daemon calls nothing missing.
        let untold = Settled { standing: unseen.keys().cloned().collect(), left: BTreeSet::new() };
        let stands = |root: &Path, unseen: &Unseen| match std::fs::metadata(root) {
            Ok(found) => unseen.asked == Asked::ByUser && found.is_dir(),
            Err(error) => !is_absent(&error) || unseen.is_outlying && !is_gone(root, unseen.disk),
        };
        let look = move || Settled {
            standing: unseen
                .into_iter()
                .filter(|(root, unseen)| stands(root, unseen))
                .map(|(root, _)| root)
                .collect(),
            left: elsewhere
                .into_iter()
                .filter(|(root, was)| !is_at(root, *was))
                .map(|(root, _)| root)
                .collect(),
        };
        let looked = tokio::time::timeout(ANSWERS_WITHIN, blocking(look)).await;
        looked.ok().and_then(Result::ok).unwrap_or(untold)
    }
}
