//! Writes down what becomes of entries after an answer, in one commit, and counts it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_cloud::Reply;
use sync_core::verdict::Words;
use sync_core::{Failure, Flight, Landed, Timestamp};

use super::{DeliverError, Desk, Pause};

/// How long the loop leaves the store alone after it refused to work.
const STORE_PAUSE: Duration = Duration::from_secs(5);

impl Desk {
    pub(super) async fn take_flight(&mut self, flight: &Flight, reply: &Reply) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        let landed = self.delivery.landed(flight, &reply.answer, reply.hints, reply.took, now, dice);
        if landed.fresh_connection {
            self.cloud.forget_connections();
        }
        self.settle(landed, now, dice).await
    }

    /// Writes down what becomes of entries, in one commit, and tells about it.
    pub(super) async fn settle(
        &mut self,
        landed: Landed,
        now: Timestamp,
        dice: u64,
    ) -> Result<(), DeliverError> {
        let scope = self.engine.scope();
        let life = self.settings.mapping_life();
        let outbox = self.engine.0.store.outbox();
        let report = match outbox.settle(scope.id, landed.settled, life, dice, now).await {
            Ok(report) => report,
            // What was sent is sent again under the same key once the store works.
            Err(error) => {
                self.landed_view(now, false, landed.trouble.as_ref());
                return self.store_trouble(error.into()).map(drop);
            }
        };
        let counters = &self.engine.0.counters;
        let delivered = u64::try_from(report.delivered.len()).unwrap_or(u64::MAX);
        counters.delivered.fetch_add(delivered, Ordering::Relaxed);
        counters.buried.fetch_add(report.buried, Ordering::Relaxed);
        match report.delivered.as_slice() {
            [] => {}
            [(local, cloud)] => {
                tracing::info!(project = %local, cloud_uuid = %cloud, "registration delivered");
            }
            several => tracing::info!(projects = several.len(), "registrations delivered"),
        }
        if report.buried > 0 || report.parked > 0 {
            let words =
                landed.trouble.as_ref().map_or("see `coditect-sync queue list`", |words| &words.message);
            tracing::warn!(
                dead = report.buried,
                parked = report.parked,
                reason = words,
                "the cloud refused projects"
            );
        }
        self.keep_lasting(&scope).await?;
        self.landed_view(now, landed.good, landed.trouble.as_ref());
        self.engine.progressed();
        Ok(())
    }

    pub(super) fn landed_view(&self, now: Timestamp, good: bool, trouble: Option<&Words>) {
        if !good {
            self.engine.0.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.engine.0.delivery.send_modify(|view| {
            view.in_flight.clear();
            view.landings += 1;
            if good {
                view.last_success_at = Some(now);
            }
            if let Some(words) = trouble {
                view.last_failure =
                    Some(Failure { code: words.code.clone(), message: words.message.clone(), at: now });
            }
        });
    }

    /// A full or busy store is left alone for a while; a damaged one ends the daemon, whose next start mends it.
    pub(super) fn store_trouble(&self, error: DeliverError) -> Result<Pause, DeliverError> {
        match &error {
            DeliverError::Cloud(_) => Err(error),
            DeliverError::Store(words) if words.contains("damaged") || words.contains("closed") => Err(error),
            DeliverError::Store(words) => {
                tracing::error!(reason = words, "nothing can be written down; sending waits");
                self.engine.0.delivery.send_modify(|view| view.in_flight.clear());
                Ok(Pause::Until(self.engine.now().after(STORE_PAUSE)))
            }
        }
    }
}
