//! Answers which UUID a project has in the cloud, and lists projects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sync_core::{CloudId, Freshness, LocalId, Mapping, Project, Standing};
use sync_wire::ProblemCode;
use tokio::sync::oneshot;

use super::api::{Listing, ProjectFilter, ProjectState, ProjectView, Refusal, Resolved, ToldByCloud, Which};
use super::queue::view;
use super::{CurrentScope, Engine, LookedUpFor, locked, refusal, store_refusal};

/// Most registrations that are asked for at a time by their UUIDs in the cloud.
const MOST_STATUSES: usize = 64;

impl Engine {
    /// A project's UUID in the cloud. What is fresh or stale in the cache is answered at once; only a miss or
    /// `refresh` waits for the cloud, at most for `wait`.
    ///
    /// # Errors
    /// `not_registered` when the cloud does not have it (yet), `auth_required` when it takes no credential there is,
    /// `cloud_unreachable` when it could not be asked.
    pub(crate) async fn resolve(
        &self,
        which: Which,
        refresh: bool,
        wait: Duration,
    ) -> Result<Resolved, Refusal> {
        let local = self.local(which).await?;
        let scope = self.scope();
        let cached = self.cached(&scope, local).await?;
        if let (None, Some((id, last))) = (&cached, scope.last.clone()) {
            // Who this is cannot be told now; what was true of the last one known is better than nothing.
            let last = CurrentScope { id, scope: last, settled: true, last: None };
            if let Some(mapping) = self.cached(&last, local).await? {
                return Ok(resolved(mapping, &last, false, true));
            }
        }
        if let Some(mapping) = cached.clone().filter(|_| !refresh) {
            let stale = match mapping.freshness(self.now()) {
                Freshness::Fresh => false,
                Freshness::DueForRefresh => {
                    self.want_look_up(local, None);
                    false
                }
                Freshness::Stale => {
                    self.want_look_up(local, None);
                    true
                }
            };
            return Ok(resolved(mapping, &scope, false, stale));
        }
        let waiting = self.0.store.outbox().waiting_for(scope.id, local).await.map_err(store_refusal)?;
        let is_on_its_way = waiting.is_some_and(|entry| entry.standing == Standing::Ready);
        if is_on_its_way && cached.is_none() {
            // The cloud will know it when it has arrived; asking would only say no.
            let arrived = self
                .wait_for(wait, || async {
                    self.0.store.mapping().get(scope.id, local).await.map_err(store_refusal)
                })
                .await?;
            return match arrived {
                Some(mapping) => Ok(resolved(mapping, &scope, true, false)),
                None => Err(self.not_registered(&scope, local).await?),
            };
        }
        let (done, answer) = oneshot::channel();
        self.want_look_up(local, Some(done));
        match self.looked_up(wait, answer).await? {
            LookedUpFor::Known(()) => {
                match self.0.store.mapping().get(scope.id, local).await.map_err(store_refusal)? {
                    Some(mapping) => Ok(resolved(mapping, &scope, true, false)),
                    None => Err(self.not_registered(&scope, local).await?),
                }
            }
            LookedUpFor::Unknown => Err(self.not_registered(&scope, local).await?),
            LookedUpFor::Unauthorized => Err(unauthorized()),
            LookedUpFor::Unreachable(why) => Err(unreachable(&why)),
        }
    }

    /// What a look-up comes to within `wait`.
    async fn looked_up<T>(
        &self,
        wait: Duration,
        answer: oneshot::Receiver<LookedUpFor<T>>,
    ) -> Result<LookedUpFor<T>, Refusal> {
        let looked_up = tokio::select! {
            looked_up = tokio::time::timeout(wait, answer) => looked_up,
            () = self.0.stop.finishing() => return Err(super::shutting_down()),
        };
        let in_vain = |why: &str| LookedUpFor::Unreachable(why.to_owned());
        Ok(match looked_up {
            Ok(Ok(looked_up)) => looked_up,
            Ok(Err(_)) => in_vain("the question was dropped"),
            Err(_) => in_vain("it did not answer within the time allowed"),
        })
    }

    /// A registration by its UUID in the cloud, on whichever machine it is, as the cloud has it now; waits for that at
    /// most `wait`.
    ///
    /// # Errors
    /// `not_found` when the cloud knows no such registration of this tenant, `auth_required` when it takes no credential
    /// there is, `cloud_unreachable` when it could not be asked.
    pub(crate) async fn registration(
        &self,
        cloud: CloudId,
        wait: Duration,
    ) -> Result<Arc<ToldByCloud>, Refusal> {
        let (done, answer) = oneshot::channel();
        if !self.want_status(cloud, done) {
            return Err(unreachable("too many registrations are asked for at a time"));
        }
        match self.looked_up(wait, answer).await? {
            LookedUpFor::Known(registered) => Ok(registered),
            LookedUpFor::Unknown => Err(Refusal {
                hint: Some("see `coditect-sync projects show` for a project's UUID in the cloud".to_owned()),
                ..refusal(
                    ProblemCode::NotFound,
                    format!("the cloud knows no registration {cloud} of this tenant"),
                )
            }),
            LookedUpFor::Unauthorized => Err(unauthorized()),
            LookedUpFor::Unreachable(why) => Err(unreachable(&why)),
        }
    }

    /// Begins a list of projects by their UUID, with those after `after`.
    pub(crate) fn list_projects(&self, filter: ProjectFilter, after: Option<LocalId>) -> Listing {
        Listing { scope: self.scope().id, filter, after }
    }

    /// The next projects of a list, at most `limit`; fewer are the last ones.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn projects(
        &self,
        listing: &mut Listing,
        limit: u32,
    ) -> Result<Vec<ProjectView>, Refusal> {
        let Listing { scope, filter, after } = listing;
        let filter = sync_store::Filter {
            state: filter.state.map(stored_state),
            kind: filter.kind,
            language: filter.language.clone(),
        };
        let found =
            self.0.store.project().list(*scope, &filter, *after, limit).await.map_err(store_refusal)?;
        *after = found.last().map(|last| last.project.local).or(*after);
        let in_flight = self.0.delivery.borrow().in_flight.clone();
        let now = self.now();
        Ok(found
            .into_iter()
            .map(|found| ProjectView {
                state: state(found.state),
                mapping: found.mapping,
                entry: found.entry.map(|entry| view(entry, &in_flight, now)),
                project: found.project,
            })
            .collect())
    }

    /// One project.
    ///
    /// # Errors
    /// `not_found` when there is no such project on record.
    pub(crate) async fn project(&self, local: LocalId) -> Result<ProjectView, Refusal> {
        let store = &self.0.store;
        let Some(project) = store.project().get(local).await.map_err(store_refusal)? else {
            return Err(refusal(ProblemCode::NotFound, format!("no project {local} is known")));
        };
        let scope = self.scope().id;
        let mapping = store.mapping().get(scope, local).await.map_err(store_refusal)?;
        let entry = store.outbox().waiting_for(scope, local).await.map_err(store_refusal)?;
        let in_flight = self.0.delivery.borrow().in_flight.clone();
        let entry = entry.map(|entry| view(entry, &in_flight, self.now()));
        Ok(ProjectView {
            state: super::report::state_of(&project, mapping.as_ref(), entry.as_ref()),
            project,
            mapping,
            entry,
        })
    }

    pub(super) async fn local(&self, which: Which) -> Result<LocalId, Refusal> {
        let path = match which {
            Which::Local(local) => return Ok(local),
            Which::Path(path) => path,
        };
        super::Settings::check_paths(std::slice::from_ref(&path))?;
        if let Some(local) = self.0.index.project_at(&path) {
            return Ok(local);
        }
        let read_at = self.0.index.generation();
        match self.project_around(&path).await? {
            Some(project) => {
                self.0.index.keep_path(&path, project.local, read_at);
                Ok(project.local)
            }
            None => Err(Refusal {
                hint: Some(format!("run `coditect-sync register {}`", path.display())),
                ..refusal(
                    ProblemCode::NotRegistered,
                    format!("no project is known at `{}` or above it", path.display()),
                )
            }),
        }
    }

    /// The innermost project that the path is in; of a linked work tree, the one that stands for it.
    async fn project_around(&self, path: &Path) -> Result<Option<Project>, Refusal> {
        let around = |path: PathBuf| async move {
            self.0.store.project().at_or_above(&path).await.map_err(store_refusal)
        };
        let project = around(path.to_path_buf()).await?;
        let Some((linked, of)) = self.0.index.worktree_at(path) else { return Ok(project) };
        if project.as_ref().is_some_and(|project| project.root.starts_with(&linked)) {
            return Ok(project);
        }
        let keeper = around(of.clone()).await?.filter(|keeper| keeper.root == of);
        Ok(keeper.or(project))
    }

    async fn cached(&self, scope: &CurrentScope, local: LocalId) -> Result<Option<Mapping>, Refusal> {
        if let Some(mapping) = self.0.index.mapping(scope.id, local) {
            return Ok(Some(mapping));
        }
        let read_at = self.0.index.generation();
        let mapping = self.0.store.mapping().get(scope.id, local).await.map_err(store_refusal)?;
        if let Some(mapping) = &mapping {
            self.0.index.keep_mapping(scope.id, mapping, read_at);
        }
        Ok(mapping)
    }

    /// Asks the delivery loop to look a project up; many askers share one question.
    pub(super) fn want_look_up(&self, local: LocalId, done: Option<oneshot::Sender<LookedUpFor<()>>>) {
        locked(&self.0.look_ups).entry(local).or_default().extend(done);
        self.0.deliver_wake.wake();
    }

    /// Asks the delivery loop where a registration stands; many askers share one question. Answers whether there is room
    /// for one more.
    fn want_status(&self, cloud: CloudId, done: oneshot::Sender<LookedUpFor<Arc<ToldByCloud>>>) -> bool {
        {
            let mut statuses = locked(&self.0.statuses);
            statuses.retain(|_, waiters| waiters.iter().any(|waiter| !waiter.is_closed()));
            if statuses.len() >= MOST_STATUSES && !statuses.contains_key(&cloud) {
                return false;
            }
            statuses.entry(cloud).or_default().push(done);
        }
        self.0.deliver_wake.wake();
        true
    }

    async fn not_registered(&self, scope: &CurrentScope, local: LocalId) -> Result<Refusal, Refusal> {
        let entry = self.0.store.outbox().waiting_for(scope.id, local).await.map_err(store_refusal)?;
        let in_flight = self.0.delivery.borrow().in_flight.clone();
        let (message, hint) = match &entry {
            Some(entry) if entry.standing == Standing::Ready => (
                format!("project {local} is on its way to the cloud and not there yet"),
                "see `coditect-sync queue`, or `coditect-sync status` for the way to the cloud",
            ),
            Some(_) => (
                format!("project {local} waits for somebody: the cloud did not take it"),
                "see `coditect-sync queue list`",
            ),
            None => (format!("the cloud does not know project {local}"), "run `coditect-sync register PATH`"),
        };
        Ok(Refusal {
            hint: Some(hint.to_owned()),
            entry: entry.map(|entry| Box::new(view(entry, &in_flight, self.now()))),
            ..refusal(ProblemCode::NotRegistered, message)
        })
    }
}

fn unauthorized() -> Refusal {
    Refusal {
        hint: Some("run `coditect-sync auth set-token`".to_owned()),
        ..refusal(ProblemCode::AuthRequired, "the cloud could not be asked: there is no credential it takes")
    }
}

fn unreachable(why: &str) -> Refusal {
    Refusal {
        hint: Some("run `coditect-sync status`: it says since when and when it is tried again".to_owned()),
        ..refusal(ProblemCode::CloudUnreachable, format!("the cloud could not be asked: {why}"))
    }
}

fn resolved(mapping: Mapping, scope: &CurrentScope, from_cloud: bool, stale: bool) -> Resolved {
    let tenant = mapping.tenant.clone().or_else(|| scope.scope.tenant.name().cloned());
    Resolved { mapping, tenant, from_cloud, stale }
}

fn stored_state(state: ProjectState) -> sync_store::State {
    match state {
        ProjectState::Registered => sync_store::State::Registered,
        ProjectState::Pending => sync_store::State::Pending,
        ProjectState::Missing => sync_store::State::Missing,
        ProjectState::Rejected => sync_store::State::Rejected,
    }
}

fn state(state: sync_store::State) -> ProjectState {
    match state {
        sync_store::State::Registered => ProjectState::Registered,
        sync_store::State::Pending => ProjectState::Pending,
        sync_store::State::Missing => ProjectState::Missing,
        sync_store::State::Rejected => ProjectState::Rejected,
    }
}
