//! Tells the world where the delivery loop stands.

use sync_core::{Cause, Step, Timestamp, Why};

use super::super::api::CloudState;
use super::Desk;

impl Desk {
    /// Tells the world where the loop stands.
    pub(super) fn publish(&self, step: &Step) {
        if matches!(step, Step::PutOff(_) | Step::Renew | Step::Again) {
            // Where things stand is known when the credential is, or the queue was looked at again.
            return;
        }
        let now = self.engine.now();
        let next = match step {
            Step::Wait { until, why: Why::NotDue | Why::Sparing } => Some(*until),
            Step::Send(_)
            | Step::LookUp(..)
            | Step::Renew
            | Step::PutOff(_)
            | Step::Again
            | Step::Wait { .. }
            | Step::Rest { .. } => self.delivery.obstacle(now).map(|(_, until)| until),
        };
        let spared_until = match step {
            Step::Wait { until, why: Why::Sparing } => Some(*until),
            Step::Send(_)
            | Step::LookUp(..)
            | Step::Renew
            | Step::PutOff(_)
            | Step::Again
            | Step::Wait { .. }
            | Step::Rest { .. } => None,
        };
        let obstacle = self.delivery.obstacle(now).map(|(why, _)| why);
        let reached = self.delivery.was_ever_good() && self.engine.0.delivery.borrow().reached;
        let state = match obstacle {
            Some(Why::AuthRequired) => CloudState::AuthRequired,
            Some(Why::Scope(Cause::Local | Cause::Server | Cause::Proxy)) => CloudState::Offline,
            Some(Why::Scope(Cause::Portal)) => CloudState::Portal,
            Some(Why::Scope(Cause::Rate)) => CloudState::Throttled,
            Some(Why::Scope(Cause::Forbidden)) => CloudState::Forbidden,
            Some(Why::Scope(Cause::Protocol)) => CloudState::Protocol,
            Some(Why::Empty | Why::Paused | Why::Flying | Why::NotDue | Why::Sparing) | None => {
                // That nothing speaks against a try any more does not mean that one came through.
                if reached { CloudState::Online } else { CloudState::Unknown }
            }
        };
        let (before, spared_before) = {
            let view = self.engine.0.delivery.borrow();
            (view.state, view.spared_until)
        };
        self.engine.0.delivery.send_modify(|view| {
            view.next_attempt_at = next;
            view.spared_until = spared_until;
            view.reached &= obstacle.is_none();
            if view.state != state {
                view.state = state;
                view.since = now;
            }
        });
        if let Some(until) = spared_until.filter(|_| spared_before != spared_until) {
            tracing::debug!(until = %until.to_rfc3339(), "what failed before is spared to the cloud");
        }
        if before != state {
            let reason =
                self.engine.0.delivery.borrow().last_failure.as_ref().map(|failure| failure.message.clone());
            match state {
                CloudState::Online => tracing::info!("the cloud is reached"),
                CloudState::Unknown => {}
                CloudState::Offline
                | CloudState::Portal
                | CloudState::Throttled
                | CloudState::AuthRequired
                | CloudState::Forbidden
                | CloudState::Protocol => tracing::warn!(
                    state = state.as_str(),
                    reason = reason.as_deref().unwrap_or_default(),
                    next_attempt_at = next.map(Timestamp::to_rfc3339).as_deref().unwrap_or_default(),
                    "the cloud cannot be used; registrations are kept"
                ),
            }
            self.engine.progressed();
        }
    }
}

/// Why the cloud is not asked now, as the rest of a sentence.
pub(super) fn obstacle_text(why: Why) -> &'static str {
    match why {
        Why::AuthRequired => "there is no credential it takes",
        Why::Scope(Cause::Local) => "there is no network to it",
        Why::Scope(Cause::Server) => "it is down",
        Why::Scope(Cause::Portal) => "something else answers in its place, perhaps a sign-in page",
        Why::Scope(Cause::Rate) => "it asked for patience",
        Why::Scope(Cause::Proxy) => "the proxy wants credentials",
        Why::Scope(Cause::Forbidden) => "it refuses this tenant",
        Why::Scope(Cause::Protocol) => "what answers there does not speak the API",
        Why::Empty | Why::Paused | Why::Flying | Why::NotDue | Why::Sparing => "it is not asked right now",
    }
}
