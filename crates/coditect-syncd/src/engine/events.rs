//! What happened, for those who follow it; and the daemon's own part of that story.
//!
//! What happens to projects and registrations is written by the store, in the commit of what it tells. What belongs to
//! no commit, the cloud's state and pauses, is written here.

use sync_core::Timestamp;

use super::api::{CloudState, Happening, Refusal};
use super::{DeliveryView, Engine, store_refusal};

impl Engine {
    /// What happened after number `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn happened_since(&self, after: i64, limit: u32) -> Result<Vec<Happening>, Refusal> {
        let found = self.0.store.event().since(after, limit).await.map_err(store_refusal)?;
        Ok(found
            .into_iter()
            .map(|event| Happening {
                number: event.id,
                at: event.at,
                kind: event.kind,
                local: event.local,
                message: event.message,
            })
            .collect())
    }

    /// The number of the last thing that happened; zero when nothing did.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn last_happening(&self) -> Result<i64, Refusal> {
        self.0.store.event().latest().await.map_err(store_refusal)
    }

    /// The present moment, for what is told of no other one.
    pub(crate) fn moment(&self) -> Timestamp {
        self.now()
    }

    /// Writes down something that belongs to no other change. The story goes on without it where that cannot be.
    pub(super) async fn record(&self, kind: &'static str, message: String) {
        let told = self.0.store.event().add(kind, None, message, self.now()).await;
        match told {
            Ok(()) => self.progressed(),
            Err(error) => {
                tracing::debug!(kind, reason = crate::chain(&error), "an event is not written down");
            }
        }
    }
}

/// Writes down how the cloud's state changes, until the daemon stops.
///
/// # Errors
/// When the delivery loop has gone.
pub(crate) async fn chronicle(engine: Engine) -> Result<(), String> {
    let stop = engine.0.stop.clone();
    let mut delivery = engine.0.delivery.subscribe();
    let mut told = CloudState::Unknown;
    loop {
        let view = delivery.borrow_and_update().clone();
        if view.state != told && view.state != CloudState::Unknown {
            told = view.state;
            let (kind, message) = state_told(&view);
            engine.record(kind, message).await;
        }
        tokio::select! {
            () = stop.finishing() => return Ok(()),
            changed = delivery.changed() => changed.map_err(|gone| format!("follow the delivery loop: {gone}"))?,
        }
    }
}

fn state_told(view: &DeliveryView) -> (&'static str, String) {
    let because = |what: &str| match &view.last_failure {
        Some(failure) => format!("{what}: {}", failure.message),
        None => what.to_owned(),
    };
    match view.state {
        CloudState::Online => ("cloud.online", "the cloud is reached".to_owned()),
        CloudState::Offline => ("cloud.offline", because("the cloud cannot be reached")),
        CloudState::Portal => ("cloud.portal", because("something else answers in the cloud's place")),
        CloudState::Throttled => ("cloud.throttled", because("the cloud asked for patience")),
        CloudState::AuthRequired => ("cloud.auth_required", because("the cloud wants a credential")),
        CloudState::Forbidden => ("cloud.forbidden", because("the cloud refuses this tenant")),
        CloudState::Protocol => ("cloud.protocol", because("what answers is not the cloud")),
        CloudState::Unknown => ("cloud.unknown", "the cloud was not asked yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_cloud_is_named_as_the_status_names_its_state() {
        for state in [
            CloudState::Online,
            CloudState::Offline,
            CloudState::Portal,
            CloudState::Throttled,
            CloudState::AuthRequired,
            CloudState::Forbidden,
            CloudState::Protocol,
            CloudState::Unknown,
        ] {
            let view = DeliveryView {
                state,
                since: Timestamp(0),
                last_success_at: None,
                last_failure: None,
                next_attempt_at: None,
                spared_until: None,
                reached: false,
                in_flight: Vec::new(),
                landings: 0,
            };
            assert_eq!(state_told(&view).0, format!("cloud.{}", state.as_str()));
        }
    }
}
