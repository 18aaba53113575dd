//! The offline queue as people see it, and what they can do to it.

use std::sync::atomic::Ordering;

use sync_core::{Entry, EntryId, Timestamp};
use sync_wire::ProblemCode;

use super::api::{EntryPage, EntryState, EntryView, Flushed, QueueCounts, Refusal};
use super::{Engine, Patience, refusal, store_refusal};

impl Engine {
    /// How many entries stand where.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn queue(&self) -> Result<QueueCounts, Refusal> {
        let counts =
            self.0.store.outbox().counts(self.scope().id, self.now()).await.map_err(store_refusal)?;
        Ok(queue_counts(counts, &self.0.delivery.borrow().in_flight))
    }

    /// Entries by number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn queue_items(&self, page: EntryPage) -> Result<Vec<EntryView>, Refusal> {
        let (scope, now) = (self.scope().id, self.now());
        let in_flight = self.0.delivery.borrow().in_flight.clone();
        let outbox = self.0.store.outbox();
        let filter = match page.state {
            None => None,
            Some(EntryState::InFlight) => {
                let wanted: Vec<EntryId> = in_flight
                    .iter()
                    .copied()
                    .filter(|id| page.after.is_none_or(|after| *id > after))
                    .collect();
                let entries = outbox.entries(&wanted).await.map_err(store_refusal)?;
                let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
                return Ok(entries
                    .into_iter()
                    .take(limit)
                    .map(|entry| view(entry, &in_flight, now))
                    .collect());
            }
            Some(EntryState::Ready) => Some(sync_store::EntryState::Ready),
            Some(EntryState::Delayed) => Some(sync_store::EntryState::Delayed),
            Some(EntryState::Parked) => Some(sync_store::EntryState::Parked),
            Some(EntryState::Dead) => Some(sync_store::EntryState::Dead),
        };
        // What is in the air is not on record as that, so it is among these and left out: a page is full all the same.
        let most = page.limit.saturating_add(u32::try_from(in_flight.len()).unwrap_or(u32::MAX));
        let entries = outbox.list(scope, filter, page.after, most, now).await.map_err(store_refusal)?;
        Ok(entries
            .into_iter()
            .map(|entry| view(entry, &in_flight, now))
            .filter(|view| page.state.is_none_or(|state| view.state == state))
            .take(usize::try_from(page.limit).unwrap_or(usize::MAX))
            .collect())
    }

    /// One entry.
    ///
    /// # Errors
    /// `not_found` when it does not wait (any more).
    pub(crate) async fn queue_item(&self, id: EntryId) -> Result<EntryView, Refusal> {
        let entry = self.0.store.outbox().get(id).await.map_err(store_refusal)?;
        let entry = entry.filter(|entry| entry.scope == self.scope().id).ok_or_else(|| no_entry(id))?;
        Ok(view(entry, &self.0.delivery.borrow().in_flight, self.now()))
    }

    /// Drains now, whatever the backoff says but not before a time the cloud named, and waits for it at most `wait`:
    /// until nothing is due any more, or a request failed.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(crate) async fn flush(&self, wait: impl Into<Patience>) -> Result<Flushed, Refusal> {
        let scope = self.scope().id;
        let before = self.0.counters.delivered.load(Ordering::Relaxed);
        let landings = self.0.delivery.borrow().landings;
        self.0.store.outbox().hurry(scope, self.now()).await.map_err(store_refusal)?;
        self.0.flush.store(true, Ordering::Relaxed);
        self.0.deliver_wake.wake();
        let drained = self
            .wait_for(wait, || async {
                let queue = self.queue().await?;
                let failed = {
                    let view = self.0.delivery.borrow();
                    view.landings > landings && view.next_attempt_at.is_some() && view.in_flight.is_empty()
                };
                Ok((queue.ready + queue.in_flight == 0 || failed).then_some(queue))
            })
            .await?;
        let queue = match drained {
            Some(queue) => queue,
            None => self.queue().await?,
        };
        let delivered = self.0.counters.delivered.load(Ordering::Relaxed).saturating_sub(before);
        Ok(Flushed {
            delivered,
            remaining: queue.ready + queue.delayed + queue.in_flight + queue.parked,
            dead: queue.dead,
        })
    }

    /// Starts an entry anew: ready, due, no attempts.
    ///
    /// # Errors
    /// `not_found` when it does not wait (any more).
    pub(crate) async fn retry(&self, id: EntryId) -> Result<EntryView, Refusal> {
        self.queue_item(id).await?;
        self.0.store.outbox().retry(&[id], self.now()).await.map_err(store_refusal)?;
        self.progressed();
        self.0.deliver_wake.wake();
        self.queue_item(id).await
    }

    /// Takes an entry out of the queue; the project is sent again only when it changes or somebody asks.
    ///
    /// # Errors
    /// `not_found` when it does not wait (any more), `conflict` while it is in the air.
    pub(crate) async fn drop_entry(&self, id: EntryId) -> Result<(), Refusal> {
        let found = self.queue_item(id).await?;
        if found.state == EntryState::InFlight {
            return Err(refusal(ProblemCode::Conflict, format!("entry {id} is being sent right now")));
        }
        self.0.store.outbox().drop_entries(&[id]).await.map_err(store_refusal)?;
        self.progressed();
        Ok(())
    }

    /// Starts all dead entries anew. Answers how many.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(crate) async fn retry_dead(&self) -> Result<u64, Refusal> {
        let count =
            self.0.store.outbox().retry_dead(self.scope().id, self.now()).await.map_err(store_refusal)?;
        self.progressed();
        self.0.deliver_wake.wake();
        Ok(count)
    }
}

/// How many entries stand where, when these are in the air.
pub(super) fn queue_counts(counts: sync_store::Counts, in_flight: &[EntryId]) -> QueueCounts {
    let in_flight = u64::try_from(in_flight.len()).unwrap_or(u64::MAX);
    QueueCounts {
        ready: counts.ready.saturating_sub(in_flight),
        delayed: counts.delayed,
        in_flight,
        parked: counts.parked,
        dead: counts.dead,
        oldest_enqueued_at: counts.oldest_enqueued_at,
    }
}

/// An entry and where it stands, when these are in the air.
pub(super) fn view(entry: Entry, in_flight: &[EntryId], now: Timestamp) -> EntryView {
    let state = if in_flight.contains(&entry.id) {
        EntryState::InFlight
    } else {
        match sync_store::EntryState::of(&entry, now) {
            sync_store::EntryState::Ready => EntryState::Ready,
            sync_store::EntryState::Delayed => EntryState::Delayed,
            sync_store::EntryState::Parked => EntryState::Parked,
            sync_store::EntryState::Dead => EntryState::Dead,
        }
    };
    EntryView { entry, state }
}

fn no_entry(id: EntryId) -> Refusal {
    refusal(ProblemCode::NotFound, format!("no entry {id} is in the queue"))
}
