//! Requests that ended without a final answer and may still be carried out.
//!
//! Whoever waits for an answer no longer does not call back what he sent, and a cloud that only accepted it says so: a
//! gateway or the cloud may work on it for a while. The contract knows no revisions in a batch, so newer content of the same project would be undone by it. Until
//! the older request cannot come any more, the newer content waits; the same content goes again at once.
//! What is in memory only is forgotten with the process.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::entry::{Entry, Failure, Fate, Settled};
use crate::ids::{LocalId, ScopeId};
use crate::registration::PayloadHash;
use crate::time::Timestamp;

/// The last content of each project that went without an answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unanswered(BTreeMap<(ScopeId, LocalId), Last>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Last {
    content: PayloadHash,
    /// From then on it cannot be carried out any more.
    until: Timestamp,
}

/// Most projects that are remembered. One that is not may be overtaken by its older content.
const MOST: usize = 10_000;

impl Unanswered {
    /// These may be carried out for so long from now on.
    pub(super) fn add<'e>(
        &mut self,
        entries: impl IntoIterator<Item = &'e Entry>,
        now: Timestamp,
        lifetime: Duration,
    ) {
        if lifetime.is_zero() {
            return;
        }
        for entry in entries {
            let whose = (entry.scope, entry.registration.local);
            if self.0.len() >= MOST && !self.0.contains_key(&whose) {
                self.0.retain(|_, last| is_ahead(last.until, now, lifetime));
            }
            if self.0.len() < MOST || self.0.contains_key(&whose) {
                self.0.insert(whose, Last { content: entry.hash, until: now.after(lifetime) });
            }
        }
    }

    /// Those of the entries that are due and have to wait for older content, and until when.
    pub(super) fn put_off(&mut self, entries: &[Entry], now: Timestamp, lifetime: Duration) -> Vec<Settled> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut put_off = Vec::new();
        for entry in entries.iter().filter(|entry| entry.due <= now) {
            let whose = (entry.scope, entry.registration.local);
            match self.0.get(&whose) {
                Some(last) if !is_ahead(last.until, now, lifetime) => drop(self.0.remove(&whose)),
                Some(last) if last.content != entry.hash => put_off.push(waits(entry, last.until, now)),
                Some(_) | None => {}
            }
        }
        put_off
    }
}

/// A clock that was set back does not make it longer.
fn is_ahead(until: Timestamp, now: Timestamp, lifetime: Duration) -> bool {
    now < until && until <= now.after(lifetime)
}

fn waits(entry: &Entry, until: Timestamp, now: Timestamp) -> Settled {
    let message = "an earlier request about it got no final answer and may still be carried out".to_owned();
    let failure = Failure { code: "unanswered".to_owned(), message, at: now };
    Settled {
        entry: entry.id,
        local: entry.registration.local,
        revision: entry.revision,
        hash: entry.hash,
        fate: Fate::Back { due: until, failure: Some(failure) },
    }
}
