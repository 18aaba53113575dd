//! Takes in projects that a tool or a person gives, and says how far each came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sync_core::{
    Asked, Change, ChangeKind, Failure, LocalId, Mapping, PayloadHash, Presence, Project, Registration,
    Sighting, Standing, folder_name, local_id,
};
use sync_scan::Survey;
use sync_store::{Enqueued, How, Wish};
use sync_wire::ProblemCode;

use super::api::{CloudState, Draft, Refusal, RegisterOutcome, Registered};
use super::{DeliveryView, Engine, Patience, Settings, refusal, store_refusal};
use crate::blocking::blocking;

/// How long a look at given paths may take.
pub(super) const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// A token that somebody set just before is taken within this time.
const LATEST_TOKEN: Duration = Duration::from_secs(2);

impl Engine {
    /// Registers projects: what a draft leaves out is found out by looking. Answers when every one is durable, or
    /// known to the cloud just so; with a `wait`, when it has arrived, the cloud refuses whatever is sent, or the wait is over.
    ///
    /// # Errors
    /// When a path cannot be looked at, or nothing could be stored. A draft that is no registration fails alone.
    pub(crate) async fn register(
        &self,
        drafts: Vec<Draft>,
        force: bool,
        wait: impl Into<Patience>,
    ) -> Result<Vec<Registered>, Refusal> {
        let roots: Vec<PathBuf> = drafts.iter().map(|draft| draft.root.clone()).collect();
        Settings::check_paths(&roots)?;
        let seen =
            self.look_at(drafts.iter().map(|draft| (draft.root.clone(), draft.is_whole())).collect()).await?;
        let now = self.now();
        let mut places: BTreeMap<PathBuf, LocalId> = BTreeMap::new();
        let mut outcomes: Vec<Result<Registration, Registered>> = Vec::new();
        let mut changes = Vec::new();
        for (draft, root) in drafts.into_iter().zip(&seen.roots) {
            // Who names a linked work tree, or a folder in it, and says nothing else means the project it belongs to.
            let root = match root {
                Some(root) if draft.is_plain() => {
                    Some(seen.survey.stand_in(root).unwrap_or(root).to_path_buf())
                }
                given => given.clone(),
            };
            let known = self.known(&draft, root.as_deref(), &seen.sightings).await?;
            let failed = |local: LocalId, code: &str, message: String| {
                let failure = Failure { code: code.to_owned(), message, at: now };
                Registered { local, outcome: RegisterOutcome::Failed(failure) }
            };
            let Some(root) = root else {
                let local = draft.local.unwrap_or_else(|| local_id(self.0.machine, &draft.root));
                let message = format!("root_path `{}` is not a folder on this machine", draft.root.display());
                outcomes.push(Err(failed(local, "invalid", message)));
                continue;
            };
            let project = complete(draft, root, &seen.sightings, &known, self.0.machine, now);
            if let Some(other) = places.insert(project.root.clone(), project.local)
                && other != project.local
            {
                let message = format!("`{}` is given twice, under two UUIDs", project.root.display());
                places.insert(project.root.clone(), other);
                outcomes.push(Err(failed(project.local, "conflict", message)));
                continue;
            }
            match project.registration(self.0.machine).checked() {
                Ok(registration) => {
                    // The store knows whether it is.
                    changes.push(Change { kind: ChangeKind::Added, project });
                    outcomes.push(Ok(registration));
                }
                Err(invalid) => outcomes.push(Err(failed(project.local, "invalid", invalid.to_string()))),
            }
        }
        let gate = self.0.scope_gate.read().await;
        let scope = self.scope();
        let wishes: Vec<Wish> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().ok())
            .map(|registration| Wish { registration: registration.clone(), asked: Asked::ByUser, force })
            .collect();
        let asked = u64::try_from(wishes.len()).unwrap_or(u64::MAX);
        let taken =
            self.0.store.outbox().register(scope.id, wishes, changes, now).await.map_err(store_refusal)?;
        drop(gate);
        self.0.index.projects_changed();
        self.0.counters.enqueued.fetch_add(asked, Ordering::Relaxed);
        self.0.deliver_wake.wake();
        self.progressed();

        let mut taken = taken.into_iter();
        let mut registered = Vec::with_capacity(outcomes.len());
        let wait = wait.into();
        let deadline = wait.deadline();
        for outcome in outcomes {
            registered.push(match outcome {
                Err(failed) => failed,
                Ok(registration) => match taken.next() {
                    Some(taken) => self.outcome(taken, wait.until(deadline)).await?,
                    None => Registered { local: registration.local, outcome: RegisterOutcome::Queued(None) },
                },
            });
        }
        Ok(registered)
    }

    /// The records that a draft may be about: that of its UUID, that of its place, and those around it. A whole draft
    /// needs none: whoever is on record at its place is displaced by it.
    async fn known(
        &self,
        draft: &Draft,
        root: Option<&Path>,
        sightings: &Sightings,
    ) -> Result<Vec<Project>, Refusal> {
        let Some(root) = root.filter(|_| !draft.is_whole()) else { return Ok(Vec::new()) };
        let projects = self.0.store.project();
        let mut known = Vec::new();
        if let Some(local) = draft.local {
            known.extend(projects.get(local).await.map_err(store_refusal)?);
        }
        known.extend(projects.at_or_above(root).await.map_err(store_refusal)?);
        // One that is missing is found by the UUID it would have had.
        known.extend(projects.get(local_id(self.0.machine, root)).await.map_err(store_refusal)?);
        for parent in sightings.around(root).filter_map(|sighting| sighting.parent_root.as_deref()) {
            known.extend(projects.at_or_above(parent).await.map_err(store_refusal)?);
        }
        Ok(known)
    }

    async fn outcome(&self, taken: Enqueued, wait: Patience) -> Result<Registered, Refusal> {
        let Enqueued { local, hash, how } = taken;
        if let How::Known(mapping) = how {
            return Ok(Registered { local, outcome: RegisterOutcome::Cached(mapping) });
        }
        if wait.is_none() {
            return Ok(Registered { local, outcome: RegisterOutcome::Queued(None) });
        }
        let settled = tokio::select! {
            biased;
            settled = self.wait_for(wait, || self.settled(local, hash)) => settled,
            () = self.refused() => Ok(None),
        };
        let settled = match settled {
            // It is durable; that the daemon ends while somebody waits changes nothing about that.
            Err(ended) if ended.code == ProblemCode::ShuttingDown => None,
            other => other?,
        };
        let outcome = if let Some(outcome) = settled {
            outcome
        } else {
            let earlier = self.0.store.mapping().get(self.scope().id, local).await.map_err(store_refusal)?;
            RegisterOutcome::Queued(earlier.map(|mapping| mapping.cloud))
        };
        Ok(Registered { local, outcome })
    }

    /// Waits until the cloud refuses whatever is sent, which only a person can change.
    async fn refused(&self) {
        let is_refused = |view: &DeliveryView| {
            matches!(view.state, CloudState::AuthRequired | CloudState::Forbidden)
                && view.in_flight.is_empty()
        };
        let mut delivery = self.0.delivery.subscribe();
        while delivery.wait_for(is_refused).await.is_ok() {
            let changed = delivery.wait_for(|view| !is_refused(view));
            if tokio::time::timeout(LATEST_TOKEN, changed).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// What became of a registration, if anything did.
    async fn settled(&self, local: LocalId, hash: PayloadHash) -> Result<Option<RegisterOutcome>, Refusal> {
        let scope = self.scope().id;
        let entry = self.0.store.outbox().waiting_for(scope, local).await.map_err(store_refusal)?;
        match entry {
            Some(entry) if entry.hash == hash => match entry.standing {
                Standing::Ready => Ok(None),
                Standing::Parked | Standing::Dead => Ok(entry.last_failure.map(RegisterOutcome::Failed)),
            },
            // Delivered, or replaced by newer content before or after that: the mapping tells.
            replaced => {
                let mapping = self.0.store.mapping().get(scope, local).await.map_err(store_refusal)?;
                let is_sent = |mapping: &Mapping| match replaced {
                    Some(_) => mapping.sent == Some(hash),
                    None => mapping.sent.is_some(),
                };
                Ok(mapping.filter(is_sent).map(RegisterOutcome::Registered))
            }
        }
    }

    /// Looks at those of the paths about which not everything is given.
    async fn look_at(&self, paths: Vec<(PathBuf, bool)>) -> Result<Seen, Refusal> {
        // Nothing is left to be found out, and the system has the folders at hand: no thread is needed that may hang.
        if paths.iter().all(|(path, is_whole)| *is_whole && sync_scan::is_true_folder_at_hand(path)) {
            let roots = paths.into_iter().map(|(path, _)| Some(path)).collect();
            return Ok(Seen { survey: Survey::default(), sightings: Sightings::default(), roots });
        }
        let options = self.settings().scan();
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let busy = || {
            let message = "looking at the folder took too long; is it very large, or on a mount that hangs?";
            refusal(ProblemCode::Internal, message)
        };
        let permit = tokio::time::timeout(LONGEST_LOOK, Arc::clone(&self.0.looks).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(busy()) };
        let looking = blocking(move || {
            // Held by the thread, which may hang for longer than anybody waits.
            let _permit = permit;
            let mut wanted = Vec::new();
            let roots = paths
                .into_iter()
                .map(|(path, is_whole)| {
                    let root = std::fs::canonicalize(&path).ok().filter(|root| root.is_dir())?;
                    if !is_whole {
                        wanted.push(root.clone());
                    }
                    Some(root)
                })
                .collect();
            let survey =
                if wanted.is_empty() { Survey::default() } else { sync_scan::look(&options, &wanted, &stop) };
            Seen { sightings: Sightings::of(&survey.sightings), survey, roots }
        });
        let looked = tokio::select! {
            looked = tokio::time::timeout(LONGEST_LOOK, looking) => looked,
            () = self.0.stop.finishing() => {
                given_up.store(true, Ordering::Relaxed);
                return Err(super::shutting_down());
            }
        };
        let Ok(looked) = looked else {
            // Nobody waits for it any more.
            given_up.store(true, Ordering::Relaxed);
            return Err(busy());
        };
        looked.map_err(|error| {
            tracing::error!(?error, "a look at paths ended badly");
            refusal(ProblemCode::Internal, "looking at the path ended badly; see the daemon's log")
        })
    }
}

/// What a look found: the projects, and the canonical form of each path that is a folder.
struct Seen {
    survey: Survey,
    sightings: Sightings,
    roots: Vec<Option<PathBuf>>,
}

/// What was seen, by its root: there may be as many as there are drafts, and each draft asks.
#[derive(Default)]
struct Sightings(BTreeMap<PathBuf, Arc<Sighting>>);

impl Sightings {
    fn of(sightings: &[Arc<Sighting>]) -> Self {
        Self(sightings.iter().map(|sighting| (sighting.root.clone(), Arc::clone(sighting))).collect())
    }

    fn at(&self, root: &Path) -> Option<&Sighting> {
        self.0.get(root).map(AsRef::as_ref)
    }

    /// Those that the folder is in, the innermost first, and one that it is.
    fn around(&self, folder: &Path) -> impl Iterator<Item = &Sighting> {
        folder.ancestors().filter_map(|above| self.at(above))
    }
}

impl Draft {
    /// Whether it only names a folder.
    fn is_plain(&self) -> bool {
        self.local.is_none() && self.name.is_none()
    }

    /// Whether nothing is left to be found out.
    fn is_whole(&self) -> bool {
        self.local.is_some()
            && self.name.is_some()
            && self.language.is_some()
            && self.framework.is_some()
            && self.content_hash.is_some()
            && self.kind.is_some()
            && !self.detected
    }
}

/// Fills in what the tool left out: from what is seen at the path, else from what is on record, else by its name.
/// What every record keeps (its age, its parent) is filled in by the store.
fn complete(
    draft: Draft,
    root: PathBuf,
    sightings: &Sightings,
    known: &[Project],
    machine: sync_core::MachineId,
    now: sync_core::Timestamp,
) -> Project {
    let given = draft.given();
    // Somebody who names a folder inside a project and says nothing else means the project.
    let meant = sightings.at(&root).or_else(|| sightings.around(&root).next().filter(|_| draft.is_plain()));
    let root = meant.map_or(root, |sighting| sighting.root.clone());
    let recorded = match draft.local {
        Some(local) => known.iter().find(|project| project.local == local),
        None => known
            .iter()
            .filter(|project| project.root == root)
            .max_by_key(|project| project.presence == Presence::Present),
    };
    let text = |given: Option<String>, seen: fn(&Sighting) -> &String, before: fn(&Project) -> &String| {
        given
            .or_else(|| meant.map(|sighting| seen(sighting).clone()))
            .or_else(|| recorded.map(|project| before(project).clone()))
            .unwrap_or_default()
    };
    let name = text(draft.name, |sighting| &sighting.name, |project| &project.name);
    let parent = draft.parent.or_else(|| {
        let parent = meant?.parent_root.as_deref()?;
        known.iter().find(|project| project.root == parent).map(|project| project.local)
    });
    Project {
        local: draft
            .local
            .or_else(|| recorded.map(|project| project.local))
            .unwrap_or_else(|| local_id(machine, &root)),
        place: meant.map(|sighting| sighting.place),
        born: meant.and_then(|sighting| sighting.born),
        vcs_place: meant.and_then(|sighting| sighting.vcs_place),
        vcs: meant.map(|sighting| sighting.vcs).unwrap_or_default(),
        name: if name.is_empty() { folder_name(&root) } else { name },
        language: text(draft.language, |sighting| &sighting.language, |project| &project.language),
        framework: text(draft.framework, |sighting| &sighting.framework, |project| &project.framework),
        content_hash: text(
            draft.content_hash,
            |sighting| &sighting.content_hash,
            |project| &project.content_hash,
        ),
        kind: draft
            .kind
            .or_else(|| meant.map(|sighting| sighting.kind))
            .or_else(|| recorded.map(|project| project.kind))
            .unwrap_or_default(),
        parent,
        given,
        presence: Presence::Present,
        asked: Asked::ByUser,
        first_seen_at: now,
        seen_at: now,
        root,
    }
}

#[cfg(test)]
mod tests {
    use sync_core::{MachineId, Place, ProjectKind, Timestamp, Vcs};
    use uuid::Uuid;

    use super::*;

    const MACHINE: MachineId = MachineId(Uuid::from_u128(1));

    fn sighting(root: &str) -> Arc<Sighting> {
        Arc::new(Sighting {
            root: PathBuf::from(root),
            place: Place { device: 1, inode: 2 },
            born: None,
            vcs_place: None,
            vcs: Vcs::None,
            name: format!("name of {root}"),
            language: "Rust".to_owned(),
            framework: String::new(),
            content_hash: "ab".to_owned(),
            kind: ProjectKind::Standalone,
            parent_root: None,
            warnings: Vec::new(),
            broke_off: false,
        })
    }

    fn completed(root: &str, name: Option<&str>, sightings: &Sightings) -> Project {
        let draft = Draft { root: root.into(), name: name.map(str::to_owned), ..Draft::default() };
        complete(draft, root.into(), sightings, &[], MACHINE, Timestamp(1))
    }

    #[test]
    fn what_is_named_inside_a_project_means_the_innermost_unless_more_is_said() {
        let sightings = Sightings::of(&["/w/a", "/w/a/in", "/w/ab"].map(sighting));
        for (root, name, meant) in [
            ("/w/a", None, "/w/a"),
            ("/w/a/src", None, "/w/a"),
            ("/w/a/in/src/deep", None, "/w/a/in"),
            ("/w/a/in/src", Some("mine"), "/w/a/in/src"),
            ("/w/b", None, "/w/b"),
        ] {
            let project = completed(root, name, &sightings);
            assert_eq!(project.root, Path::new(meant), "{root} {name:?}");
        }
    }
}
