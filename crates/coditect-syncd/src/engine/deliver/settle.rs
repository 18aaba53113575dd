//! Writes down what becomes of entries after an answer, in one commit, and counts it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_cloud::Reply;
use sync_core::backoff::doubled;
use sync_core::verdict::{EntriesVerdict, ItemVerdict, Words, judge};
use sync_core::{Failure, Fate, Flight, Landed, Need, ScopeId, Settled, Timestamp};

use super::super::flight::{Errand, Landing};
use super::super::{CurrentScope, LookedUpFor};
use super::{DeliverError, Desk};

/// How long the loop leaves the store alone after it refused to work.
const STORE_PAUSE: Duration = Duration::from_secs(5);
pub(super) const LONGEST_STORE_PAUSE: Duration = Duration::from_mins(5);

impl Desk {
    pub(super) async fn take_flight(&mut self, flight: &Flight, reply: &Reply) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        self.hear_time(reply.date.filter(|_| reply.answer.tells_time()), now);
        let landed = self.delivery.landed(flight, &reply.answer, reply.hints, reply.took, now, dice);
        if landed.fresh_connection {
            self.cloud.forget_connections();
        }
        self.settle(landed, now, dice).await
    }

    /// Takes in what comes back when another tenant's or cloud's turn has begun: what was delivered is written down
    /// where it belongs, and nothing else is concluded from it.
    pub(super) async fn take_in_late(
        &mut self,
        landing: Landing,
        scope: ScopeId,
    ) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        match landing {
            Landing::Credential(obtained) => self.take_credential(obtained).await,
            Landing::LookUp(local, _) => {
                self.answer(local, &tenant_changed());
                Ok(())
            }
            Landing::Status(project, local, _) => {
                self.answer_status(project, &tenant_changed());
                if let Some(local) = local {
                    self.answer(local, &tenant_changed());
                }
                Ok(())
            }
            Landing::Entry(..) => {
                self.delivery.landed_late();
                Ok(())
            }
            Landing::Flight(flight, reply) => {
                self.delivery.landed_late();
                self.delivery.left_open(&flight, &reply.answer, now);
                self.engine.0.delivery.send_modify(|view| {
                    view.in_flight.clear();
                    view.landings += 1;
                });
                self.engine.progressed();
                let verdict = judge(&flight.locals(), flight.batch, &reply.answer);
                let EntriesVerdict::Each(each) = verdict.entries else { return Ok(()) };
                let delivered = each.into_iter().filter_map(|(local, verdict)| {
                    let ItemVerdict::Delivered(project) = verdict else { return None };
                    let entry = flight.entries.iter().find(|entry| entry.registration.local == local)?;
                    Some(Settled {
                        entry: entry.id,
                        revision: entry.revision,
                        local,
                        hash: entry.hash,
                        fate: Fate::Delivered(project),
                    })
                });
                let life = self.settings.mapping_life();
                let outbox = self.engine.0.store.outbox();
                let report = outbox.settle(scope, delivered.collect(), life, dice, now).await?;
                let changed = report.delivered.into_iter().map(|(local, _)| local);
                self.engine.0.index.mappings_changed(scope, changed);
                Ok(())
            }
        }
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
        let wanted = landed.settled.len();
        let report = match outbox.settle(scope.id, landed.settled, life, dice, now).await {
            Ok(report) => report,
            // What was sent is sent again under the same key once the store works.
            Err(error) => {
                self.landed_view(now, false, landed.trouble.as_ref());
                return Err(error.into());
            }
        };
        self.store_refusals = 0;
        if report.delivered.len() != wanted || report.superseded > 0 {
            // What goes back into the queue was not there when it was read ahead.
            self.ahead = None;
        }
        for (local, cloud) in &report.delivered {
            self.lately.forget(local);
            self.lately_by_cloud.forget(cloud);
        }
        self.engine.0.index.mappings_changed(scope.id, report.delivered.iter().map(|(local, _)| *local));
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
        self.landed_view(now, landed.good, landed.trouble.as_ref());
        // A project that is refused has come to the cloud as well.
        let came =
            self.delivery.obstacle(now).is_none() && self.delivery.credential_need(now) == Need::Usable;
        if landed.good || came {
            self.engine.0.delivery.send_modify(|view| view.reached = true);
        }
        self.engine.progressed();
        // Whoever waits for what landed is told whether or not this can be written down.
        self.keep_lasting(scope.id).await?;
        self.keep_refusal().await?;
        self.keep_air(&[]).await
    }

    /// The cloud's clock, where an answer told it.
    pub(super) fn hear_time(&mut self, told: Option<Timestamp>, now: Timestamp) {
        if let Some(told) = told {
            self.delivery.heard_time(told, now);
        }
    }

    /// Writes down that newer content waits while an older request about its project may still be carried out.
    pub(super) async fn put_off(
        &mut self,
        scope: &CurrentScope,
        settled: Vec<Settled>,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        // What was seen to wait is not due any more.
        self.waits = None;
        tracing::debug!(projects = settled.len(), "newer content waits for older requests without an answer");
        let life = self.settings.mapping_life();
        self.engine.0.store.outbox().settle(scope.id, settled, life, 0, now).await?;
        self.engine.progressed();
        Ok(())
    }

    /// A request that was given up: its entries are as they were, and all that is concluded is that it may still be
    /// carried out.
    pub(super) async fn given_up(&mut self, errand: &Errand) -> Result<(), DeliverError> {
        match errand {
            Errand::Flight(flight) => self.delivery.given_up(flight, self.engine.now()),
            Errand::Entry(..) => self.delivery.landed_late(),
            // Who waits for it is served by the next one.
            Errand::LookUp(_) | Errand::Status(..) | Errand::Credential(_) => return Ok(()),
        }
        // What is read ahead counts on its being settled.
        self.ahead = None;
        self.engine.0.delivery.send_modify(|view| {
            view.in_flight.clear();
            view.landings += 1;
        });
        self.engine.progressed();
        self.keep_air(&[]).await
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
                // What was waited for is over; the next look at the queue tells what is waited for now.
                view.next_attempt_at = None;
            }
            if let Some(words) = trouble {
                view.last_failure =
                    Some(Failure { code: words.code.clone(), message: words.message.clone(), at: now });
            }
        });
    }

    /// What a look-up said of the way to the cloud.
    pub(super) fn heard_view(&self, now: Timestamp, trouble: Option<&Words>) {
        if trouble.is_some() {
            self.engine.0.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.engine.0.delivery.send_modify(|view| match trouble {
            None => {
                view.last_success_at = Some(now);
                view.reached = true;
            }
            Some(words) => {
                view.last_failure =
                    Some(Failure { code: words.code.clone(), message: words.message.clone(), at: now });
            }
        });
    }

    /// A full or busy store is left alone for a while, longer each time, and so is the cloud: what cannot be written
    /// down would only be sent again. A damaged one ends the daemon, whose next start mends it.
    pub(super) fn store_trouble(&mut self, error: DeliverError) -> Result<(), DeliverError> {
        match error {
            DeliverError::Cloud(_) | DeliverError::StoreLost(_) => Err(error),
            DeliverError::Store(words) => {
                let pause = doubled(STORE_PAUSE, self.store_refusals, LONGEST_STORE_PAUSE);
                self.store_refusals = self.store_refusals.saturating_add(1);
                self.store_rests_until = self.engine.now().after(pause);
                tracing::error!(
                    reason = words,
                    pause_seconds = pause.as_secs(),
                    "nothing can be written down; sending waits"
                );
                Ok(())
            }
        }
    }
}

fn tenant_changed<T>() -> LookedUpFor<T> {
    LookedUpFor::Unreachable("the tenant changed meanwhile".to_owned())
}
