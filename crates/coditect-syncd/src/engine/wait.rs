//! Waits until something is so that tools want to go on from: the daemon answers, all is sent, a project is registered.

use std::path::PathBuf;
use std::time::Duration;

use sync_core::{Entry, Held, Standing};
use sync_wire::ProblemCode;

use super::api::{Refusal, Which};
use super::queue::view;
use super::{Engine, refusal, store_refusal};

/// What is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Questions are answered well.
    Ready,
    /// All projects were looked for and nothing waits to be sent.
    Idle,
    /// The cloud has the innermost project at this path.
    Registered(PathBuf),
}

impl Engine {
    /// Waits until it is so, at most for `wait`; what is missing when it is not.
    ///
    /// # Errors
    /// When the store cannot be read, or the daemon stops; `conflict` where it will not be so before a person does something.
    pub(crate) async fn wait_until(&self, goal: &Goal, wait: Duration) -> Result<Option<String>, Refusal> {
        let reached =
            self.wait_for(wait, || async { Ok(self.missing(goal).await?.is_none().then_some(())) }).await?;
        if reached.is_some() { Ok(None) } else { self.missing(goal).await }
    }

    /// What is missing.
    async fn missing(&self, goal: &Goal) -> Result<Option<String>, Refusal> {
        if let Err(why) = self.is_ready() {
            return Ok(Some(why));
        }
        match goal {
            Goal::Ready => Ok(None),
            Goal::Idle => self.what_goes_on().await,
            Goal::Registered(path) => self.what_keeps(path.clone()).await,
        }
    }

    /// Says that it is no use to wait for an entry: it waits for a person.
    fn not_taken(&self, entry: Entry) -> Refusal {
        let (local, id) = (entry.registration.local, entry.id);
        let message = match &entry.last_failure {
            Some(failure) => format!("project {local} is not registered: {}", failure.message),
            None => format!("project {local} is not registered, and its entry waits for a person"),
        };
        let in_flight = self.0.delivery.borrow().in_flight.clone();
        Refusal {
            hint: Some(format!(
                "see `coditect-sync queue show {id}`; `coditect-sync queue retry {id}` sends it again"
            )),
            entry: Some(Box::new(view(entry, &in_flight, self.now()))),
            ..refusal(ProblemCode::Conflict, message)
        }
    }

    async fn what_goes_on(&self) -> Result<Option<String>, Refusal> {
        let discovery = self.settings().config.sync_daemon.discovery.clone();
        if discovery.enabled {
            let (surveyed, arriving) = {
                let view = self.0.discovery.borrow();
                (view.surveyed, view.arriving)
            };
            if !surveyed {
                return Ok(Some("projects are being looked for".to_owned()));
            }
            if arriving > 0 {
                return Ok(Some(format!("{arriving} new projects are still being written")));
            }
        }
        let queue = self.queue().await?;
        let waiting = queue.ready + queue.delayed + queue.in_flight;
        let how = if self.pausing().is_some() || self.is_held(Held::Sending) {
            ", and sending is paused"
        } else {
            ""
        };
        Ok((waiting > 0).then(|| format!("{waiting} to be sent{how}")))
    }

    async fn what_keeps(&self, path: PathBuf) -> Result<Option<String>, Refusal> {
        let local = match self.local(Which::Path(path)).await {
            Ok(local) => local,
            Err(refusal) if refusal.code == ProblemCode::NotRegistered => return Ok(Some(refusal.message)),
            Err(refusal) => return Err(refusal),
        };
        let scope = self.scope();
        let entry = self.0.store.outbox().waiting_for(scope.id, local).await.map_err(store_refusal)?;
        if let Some(entry) = entry {
            return match entry.standing {
                Standing::Ready => Ok(Some(format!("project {local} waits to be sent"))),
                Standing::Parked | Standing::Dead => Err(self.not_taken(entry)),
            };
        }
        let mapping = self.0.store.mapping().get(scope.id, local).await.map_err(store_refusal)?;
        Ok(mapping.is_none().then(|| format!("the cloud does not know project {local}")))
    }
}
