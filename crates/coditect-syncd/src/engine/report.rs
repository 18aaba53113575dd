//! Tells how everything is: the status and the counters.

use std::sync::atomic::Ordering;

use sync_core::{Mapping, Presence, Project};
use sync_store::Census;

use super::api::{Counters, EntryState, EntryView, ProjectState, Refusal, StatusReport};
use super::queue::queue_counts;
use super::{Engine, store_refusal};

impl Engine {
    /// Everything `status` shows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn status(&self) -> Result<StatusReport, Refusal> {
        self.look_around().await;
        let (now, scope) = (self.now(), self.scope());
        let Census { outbox, mapping: cache, project: projects, is_full } =
            self.0.store.census(scope.id, now).await.map_err(store_refusal)?;
        self.queue_is_full(is_full);
        let delivery = self.0.delivery.borrow().clone();
        let discovery = self.0.discovery.borrow().clone();
        let settings = self.settings();
        Ok(StatusReport {
            now,
            dev: settings.dev.is_some(),
            started_at: self.0.started_at,
            uptime: self.0.started.elapsed(),
            paused: self.pausing(),
            held_back: self.held_back(&delivery),
            machine: self.0.machine.to_string(),
            tenant: scope.scope.tenant.name().cloned(),
            api_url: settings.api_url().to_owned(),
            cloud: delivery.state,
            cloud_since: delivery.since,
            last_success_at: delivery.last_success_at,
            last_failure: delivery.last_failure,
            next_attempt_at: delivery.next_attempt_at,
            spared_until: delivery.spared_until,
            queue: queue_counts(outbox, &delivery.in_flight),
            cache: (cache.entries, cache.fresh, cache.stale),
            projects: (
                projects.total,
                projects.registered,
                projects.pending,
                projects.missing,
                projects.rejected,
            ),
            roots: discovery.roots,
            watches: discovery.watches,
            arriving: u64::try_from(discovery.arriving).unwrap_or(u64::MAX),
            scan_problems: discovery.problems,
            last_scan: discovery.last_scan,
        })
    }

    /// What was counted since the start.
    pub(crate) fn counters(&self) -> Counters {
        let counters = &self.0.counters;
        Counters {
            cloud_requests: counters.requests.load(Ordering::Relaxed),
            cloud_failures: counters.failures.load(Ordering::Relaxed),
            delivered: counters.delivered.load(Ordering::Relaxed),
            buried: counters.buried.load(Ordering::Relaxed),
            enqueued: counters.enqueued.load(Ordering::Relaxed),
            scans: counters.scans.load(Ordering::Relaxed),
        }
    }
}

/// A project's state as people see it.
pub(super) fn state_of(
    project: &Project,
    mapping: Option<&Mapping>,
    entry: Option<&EntryView>,
) -> ProjectState {
    match (project.presence, entry.map(|entry| entry.state), mapping) {
        (Presence::Missing, _, _) => ProjectState::Missing,
        (Presence::Present, Some(EntryState::Dead | EntryState::Parked), _) => ProjectState::Rejected,
        (Presence::Present, None, Some(_)) => ProjectState::Registered,
        (
            Presence::Present,
            Some(EntryState::Ready | EntryState::Delayed | EntryState::InFlight) | None,
            _,
        ) => ProjectState::Pending,
    }
}
