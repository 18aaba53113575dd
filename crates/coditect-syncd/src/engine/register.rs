//! Takes in projects that a tool or a person gives, and says how far each came.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_core::{
    Asked, Change, ChangeKind, Failure, LocalId, PayloadHash, Presence, Project, Registration, Sighting,
    Standing, folder_name, local_id,
};
use sync_store::{How, Wish};
use sync_wire::ProblemCode;

use super::api::{Draft, Refusal, RegisterOutcome, Registered};
use super::{Engine, Settings, refusal, store_refusal};

impl Engine {
    /// Registers projects: what a draft leaves out is found out by looking. Answers when every one is durable, or
    /// known to the cloud just so; with a `wait`, when it has arrived or the wait is over.
    ///
    /// # Errors
    /// When a path cannot be looked at, or nothing could be stored. A draft that is no registration fails alone.
    pub(crate) async fn register(
        &self,
        drafts: Vec<Draft>,
        force: bool,
        wait: Duration,
    ) -> Result<Vec<Registered>, Refusal> {
        let roots: Vec<PathBuf> = drafts.iter().map(|draft| draft.root.clone()).collect();
        Settings::check_paths(&roots)?;
        let (sightings, roots) = self.look_at(roots).await?;
        let known = self.0.store.project().all().await.map_err(store_refusal)?;
        let now = self.now();
        let mut outcomes: Vec<Result<Registration, Registered>> = Vec::new();
        let mut changes = Vec::new();
        for (draft, root) in drafts.into_iter().zip(roots) {
            let project = complete(draft, root, &sightings, &known, self.0.machine, now);
            match project.registration(self.0.machine).checked() {
                Ok(registration) => {
                    changes.extend(replaced(&known, &project, now));
                    let before = known.iter().find(|before| before.local == project.local);
                    let kind = if before.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
                    changes.push(Change { kind, project });
                    outcomes.push(Ok(registration));
                }
                Err(invalid) => {
                    let failure =
                        Failure { code: "invalid".to_owned(), message: invalid.to_string(), at: now };
                    outcomes.push(Err(Registered {
                        local: project.local,
                        outcome: RegisterOutcome::Failed(failure),
                    }));
                }
            }
        }
        let scope = self.scope();
        let wishes: Vec<Wish> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().ok())
            .map(|registration| Wish { registration: registration.clone(), asked: Asked::ByUser, force })
            .collect();
        let asked = u64::try_from(wishes.len()).unwrap_or(u64::MAX);
        // The wish is durable first: a record without a wish would look as if nobody had asked.
        let taken = self.0.store.outbox().enqueue(scope.id, wishes, now).await.map_err(store_refusal)?;
        self.0.store.project().apply(scope.id, self.0.machine, changes, now).await.map_err(store_refusal)?;
        self.0.counters.enqueued.fetch_add(asked, Ordering::Relaxed);
        self.0.deliver_wake.wake();
        self.progressed();

        let mut taken = taken.into_iter();
        let mut registered = Vec::with_capacity(outcomes.len());
        let deadline = tokio::time::Instant::now() + wait;
        for outcome in outcomes {
            registered.push(match outcome {
                Err(failed) => failed,
                Ok(registration) => {
                    let how = taken.next().map(|taken| taken.how);
                    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                    self.outcome(registration, how, left).await?
                }
            });
        }
        Ok(registered)
    }

    async fn outcome(
        &self,
        registration: Registration,
        how: Option<How>,
        wait: Duration,
    ) -> Result<Registered, Refusal> {
        let local = registration.local;
        if let Some(How::Known(mapping)) = how {
            return Ok(Registered { local, outcome: RegisterOutcome::Cached(mapping) });
        }
        let hash = registration.payload_hash();
        let settled = self.wait_for(wait, || self.settled(local, hash)).await?;
        let outcome = if let Some(outcome) = settled {
            outcome
        } else {
            let earlier = self.0.store.mapping().get(self.scope().id, local).await.map_err(store_refusal)?;
            RegisterOutcome::Queued(earlier.map(|mapping| mapping.cloud))
        };
        Ok(Registered { local, outcome })
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
            // Replaced or delivered: the mapping tells.
            Some(_) | None => {
                let mapping = self.0.store.mapping().get(scope, local).await.map_err(store_refusal)?;
                Ok(mapping.filter(|mapping| mapping.sent.is_some()).map(RegisterOutcome::Registered))
            }
        }
    }

    /// Looks at these paths; answers what was seen and the canonical form of each.
    async fn look_at(&self, paths: Vec<PathBuf>) -> Result<(Vec<Sighting>, Vec<PathBuf>), Refusal> {
        let options = self.settings().scan();
        let stop = self.0.stop.flag();
        let looking = tokio::task::spawn_blocking(move || {
            let canonical: Vec<PathBuf> =
                paths.into_iter().map(|path| std::fs::canonicalize(&path).unwrap_or(path)).collect();
            let there: Vec<PathBuf> = canonical.iter().filter(|path| path.is_dir()).cloned().collect();
            let seen = sync_scan::look(&options, &there, &Arc::clone(&stop));
            (seen.sightings, canonical)
        });
        looking.await.map_err(|error| {
            tracing::error!(%error, "a look at paths ended badly");
            refusal(ProblemCode::Internal, "looking at the path ended badly; see the daemon's log")
        })
    }
}

/// Fills in what the tool left out: from what is seen at the path, else from what is on record, else by its name.
fn complete(
    draft: Draft,
    root: PathBuf,
    sightings: &[Sighting],
    known: &[Project],
    machine: sync_core::MachineId,
    now: sync_core::Timestamp,
) -> Project {
    let at_root = sightings.iter().find(|sighting| sighting.root == root);
    // Somebody who names a folder inside a project and says nothing else means the project.
    let meant = at_root.or_else(|| {
        let inside = |sighting: &&Sighting| root.starts_with(&sighting.root);
        let plain = draft.local.is_none() && draft.name.is_none();
        sightings
            .iter()
            .filter(inside)
            .max_by_key(|sighting| sighting.root.as_os_str().len())
            .filter(|_| plain)
    });
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
    let parent = draft
        .parent
        .or_else(|| {
            let parent = meant?.parent_root.as_deref()?;
            known.iter().find(|project| project.root == parent).map(|project| project.local)
        })
        .or_else(|| recorded.and_then(|project| project.parent));
    Project {
        local: draft
            .local
            .or_else(|| recorded.map(|project| project.local))
            .unwrap_or_else(|| local_id(machine, &root)),
        place: meant.map(|sighting| sighting.place),
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
        presence: Presence::Present,
        asked: Asked::ByUser,
        first_seen_at: recorded.map_or(now, |project| project.first_seen_at),
        seen_at: now,
        root,
    }
}

/// A tool's UUID counts: a record of the same place under another UUID is of the past.
fn replaced(known: &[Project], project: &Project, now: sync_core::Timestamp) -> Option<Change> {
    let other = known.iter().find(|other| {
        other.root == project.root && other.local != project.local && other.presence == Presence::Present
    })?;
    let gone = Project { presence: Presence::Missing, seen_at: now, ..other.clone() };
    Some(Change { kind: ChangeKind::Missing, project: gone })
}
