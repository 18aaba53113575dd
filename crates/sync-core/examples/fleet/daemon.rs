//! A daemon of the fleet: the delivery machine itself, driven as the daemon's delivery loop drives it.
//!
//! In place of the outbox it keeps which entries wait and when those that came back are due; entries are made when the
//! machine wants to see them. Credentials are there and never refused.

use std::path::PathBuf;
use std::time::Duration;

use sync_core::backoff::{Throws, between};
use sync_core::{
    Answer, Asked, CloudId, CloudProject, Delivery, Entry, EntryId, Fate, Flight, Heads, Hints, ItemOutcome,
    ItemResult, LocalId, MachineId, Obtained, Pass, PayloadHash, Policy, ProjectKind, Refusal, Registration,
    Revision, ScopeId, Standing, Step, Timestamp, Unreachable, Wants,
};
use uuid::Uuid;

use crate::client::{Bits, Came, Client, Doing};
use crate::cloud::Said;

/// An entry that came back.
#[derive(Clone, Copy, Debug)]
struct Returned {
    entry: u32,
    attempts: u32,
    due: i64,
}

/// What is in the air.
#[derive(Clone, Debug)]
struct Air {
    entries: Vec<u32>,
    batch: bool,
    bisecting: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    number: u32,
    made: i64,
    delivery: Delivery,
    waiting: Bits,
    returned: Vec<Returned>,
    air: Option<Air>,
}

const PASS: Pass = Pass { fingerprint: 1, expires_at: None };
/// Daemons of machines that were just switched on wait up to this long, as in `engine/deliver/keep.rs`.
const BOOT_SPREAD: Duration = Duration::from_secs(2);
const MOST_STEPS: u32 = 100;

impl Daemon {
    fn round(&mut self, now: i64, dice: u64) -> Doing {
        let mut throws = Throws::new(dice);
        for _ in 0..MOST_STEPS {
            let heads = self.heads(now);
            match self.delivery.plan(Timestamp(now), throws.draw(), &heads) {
                Step::Send(flight) => return self.take_off(&flight),
                Step::Renew => {
                    self.delivery.credential_obtained(Obtained::Pass(PASS), Timestamp(now), throws.draw());
                }
                // Nothing here changes while it waits, so nothing is put off.
                Step::Again | Step::PutOff(_) => {}
                Step::Wait { until, .. } => return Doing::Waits(until.0.max(now + 1)),
                // Nothing here is accepted only, so nothing is asked about.
                Step::LookUp(..) | Step::Rest { .. } => return Doing::Rests,
            }
        }
        // The model's tests find a machine that turns in circles; here it would only stop the clock.
        Doing::Waits(now + 1_000)
    }

    fn heads(&self, now: i64) -> Heads {
        if self.air.is_some() {
            return Heads::default();
        }
        let entries: Vec<Entry> = match self.delivery.wants() {
            Wants::Heads { limit } => {
                self.due(now, if self.delivery.is_shut(Timestamp(now)) { 1 } else { limit })
            }
            Wants::These(ids) => {
                ids.iter().filter_map(|id| self.entry(u32::try_from(id.0 - 1).ok()?)).collect()
            }
        };
        let next_due = if entries.is_empty() { self.next_due() } else { None };
        Heads { entries, next_due: next_due.map(|due| Timestamp(due.max(now + 1))) }
    }

    /// In the outbox's order: by when it is due, then by number.
    fn due(&self, now: i64, limit: usize) -> Vec<Entry> {
        let is_returned = |entry: &u32| self.returned.iter().any(|one| one.entry == *entry);
        let fresh = self.waiting.iter().filter(|entry| !is_returned(entry)).map(|entry| (self.made, entry));
        let returned = self.returned.iter().map(|one| (one.due, one.entry));
        let mut due: Vec<(i64, u32)> =
            fresh.take(limit).chain(returned).filter(|(due, _)| *due <= now).collect();
        due.sort_unstable();
        due.truncate(limit);
        due.into_iter().filter_map(|(_, entry)| self.entry(entry)).collect()
    }

    fn next_due(&self) -> Option<i64> {
        let fresh = (self.waiting.iter().count() > self.returned.len()).then_some(self.made);
        self.returned.iter().map(|one| one.due).chain(fresh).min()
    }

    fn entry(&self, entry: u32) -> Option<Entry> {
        let returned = self.returned.iter().find(|one| one.entry == entry);
        let local = LocalId(Uuid::from_u128(u128::from(self.number) << 32 | u128::from(entry)));
        self.waiting.holds(entry).then(|| Entry {
            id: EntryId(i64::from(entry) + 1),
            scope: ScopeId(1),
            // Texts are left empty: nothing here depends on them, and they would fill the memory.
            registration: Registration {
                local,
                machine: MachineId(Uuid::nil()),
                name: String::new(),
                root: PathBuf::new(),
                language: String::new(),
                framework: String::new(),
                content_hash: String::new(),
                kind: ProjectKind::Standalone,
                parent: None,
            },
            hash: PayloadHash([0; 16]),
            revision: Revision::FIRST,
            asked: Asked::ByDiscovery,
            standing: Standing::Ready,
            attempts: returned.map_or(0, |one| one.attempts),
            due: Timestamp(returned.map_or(self.made, |one| one.due)),
            enqueued_at: Timestamp(self.made),
            last_failure: None,
        })
    }

    fn take_off(&mut self, flight: &Flight) -> Doing {
        let number = |entry: &Entry| u32::try_from(entry.id.0 - 1).unwrap_or(u32::MAX);
        let entries: Vec<u32> = flight.entries.iter().map(number).collect();
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.air = Some(Air { entries, batch: flight.batch, bisecting: flight.bisecting });
        Doing::Sends(count)
    }
}

impl Client for Daemon {
    fn new(number: u32, entries: u32, made: i64) -> Self {
        let delivery = Delivery::new(Policy::default(), Timestamp(made));
        Self { number, made, delivery, waiting: Bits::full(entries), returned: Vec::new(), air: None }
    }

    fn start(&mut self, hints: Hints, now: i64, dice: u64) -> Doing {
        let mut throws = Throws::new(dice);
        self.delivery = Delivery::new(Policy::default(), Timestamp(now));
        self.delivery.take_hints(hints);
        self.delivery.hold(Timestamp(now).after(between(Duration::ZERO, BOOT_SPREAD, throws.draw())));
        self.round(now, throws.draw())
    }

    fn wake(&mut self, now: i64, dice: u64) -> Doing {
        self.round(now, dice)
    }

    fn link_up(&mut self, now: i64, dice: u64) -> Doing {
        let mut throws = Throws::new(dice);
        self.delivery.network_changed(Timestamp(now), throws.draw());
        self.round(now, throws.draw())
    }

    fn land(&mut self, said: Said, hints: Hints, took: Duration, now: i64, dice: u64) -> Came {
        let Some(Air { entries, batch, bisecting }) = self.air.take() else {
            return Came { delivered: 0, doing: Doing::Rests };
        };
        let mut throws = Throws::new(dice);
        let entries = entries.into_iter().filter_map(|entry| self.entry(entry)).collect();
        let flight = Flight { entries, batch, bisecting };
        let answer = answer(&flight, said);
        let landed = self.delivery.landed(&flight, &answer, hints, took, Timestamp(now), throws.draw());
        let mut delivered = 0;
        for settled in landed.settled {
            let Ok(entry) = u32::try_from(settled.entry.0 - 1) else { continue };
            let before = self.returned.iter().position(|one| one.entry == entry);
            let attempts = before.map_or(0, |at| self.returned.swap_remove(at).attempts);
            let (due, attempts) = match settled.fate {
                Fate::Delivered(_) | Fate::Bury(_) => {
                    delivered += u32::from(self.waiting.take(entry));
                    continue;
                }
                Fate::Back { due, .. } | Fate::Park { due, .. } => (due, attempts),
                Fate::Retry { due, .. } => (due, attempts + 1),
            };
            self.returned.push(Returned { entry, attempts, due: due.0 });
        }
        Came { delivered, doing: self.round(now, throws.draw()) }
    }
}

/// What the cloud client would make of it.
fn answer(flight: &Flight, said: Said) -> Answer {
    let project = |local: LocalId| CloudProject {
        cloud: CloudId(local.0),
        status: String::new(),
        registered_at: None,
        tenant: None,
    };
    match said {
        Said::Done if flight.batch => Answer::Results(
            flight
                .locals()
                .into_iter()
                .map(|local| ItemResult { local, outcome: ItemOutcome::Done(project(local)) })
                .collect(),
        ),
        Said::Done => Answer::Registered(project(flight.entries[0].registration.local)),
        Said::Wait { status, wait } => {
            Answer::Refused(Refusal { status, wait: Some(wait), words: String::new() })
        }
        Said::Refused => Answer::Unreachable(Unreachable::ConnectRefused),
        Said::NoRoute => Answer::Unreachable(Unreachable::NoRoute),
        Said::ConnectTimeout => Answer::Unreachable(Unreachable::ConnectTimeout),
    }
}
