//! The machine that decides what is sent, when, and what becomes of it.
//!
//! It never waits, reads no clock and touches no queue: it is told what happened, what time it is and which entries
//! are due, and answers what to do next and why. One machine serves the present scope; when the tenant changes,
//! [`Delivery::enter_scope`] begins a new lane and keeps the credential.

mod land;
mod note;
#[cfg(test)]
mod tests;
mod unanswered;

use std::time::Duration;

pub use land::{Landed, LookedUp};
use note::{Ask, Group, Notes};
use unanswered::Unanswered;

use crate::answer::Hints;
use crate::backoff::Throws;
use crate::breaker::{Breaker, Cause, Gate, Pauses};
use crate::credential::{CredentialState, Need, Obtained};
use crate::entry::{Entry, Settled, Standing};
use crate::ids::{CloudId, EntryId, LocalId, Revision};
use crate::pace::{MOST_BYTES, Pace, Tokens};
use crate::time::Timestamp;

/// What the configuration says about delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Overrides of the pauses.
    pub pauses: Pauses,
    /// Most projects in one request.
    pub batch_size: usize,
    /// Attempts that count, then an entry is dead.
    pub max_retries: u32,
    /// Pause after the cloud fails one project; doubles up to six hours.
    pub item_initial: Duration,
    /// How long a request that got no answer may still be carried out.
    pub request_lifetime: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            pauses: Pauses::default(),
            batch_size: 100,
            max_retries: 8,
            item_initial: Duration::from_mins(1),
            request_lifetime: Duration::from_mins(1),
        }
    }
}

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Send these and tell [`Delivery::landed`] what came back.
    Send(Flight),
    /// Ask the cloud what became of this entry's project, under the UUID where one is known, and tell
    /// [`Delivery::looked_up`].
    LookUp(Box<Entry>, Option<CloudId>),
    /// Write down that these wait, and look at the queue again.
    PutOff(Vec<Settled>),
    /// Obtain the credential and tell [`Delivery::credential_obtained`].
    Renew,
    /// Look at the queue again: what was waited for is gone.
    Again,
    /// Nothing until then, or until something happens.
    Wait {
        /// Until when.
        until: Timestamp,
        /// Why.
        why: Why,
    },
    /// Nothing until something happens.
    Rest {
        /// Why.
        why: Why,
    },
}

/// Why nothing is sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Nothing waits.
    Empty,
    /// A person paused sending.
    Paused,
    /// A request is in the air.
    Flying,
    /// What waits is not due.
    NotDue,
    /// The way is closed.
    Scope(Cause),
    /// There is no credential the cloud takes.
    AuthRequired,
    /// Repeats are scarce.
    Sparing,
}

/// Entries that go out in one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flight {
    /// In the order they are sent; at least one.
    pub entries: Vec<Entry>,
    /// Whether it goes to the batch endpoint.
    pub batch: bool,
    /// Whether it is part of a search for what is at fault.
    pub bisecting: bool,
}

impl Flight {
    /// The projects in it.
    pub fn locals(&self) -> Vec<LocalId> {
        self.entries.iter().map(|entry| entry.registration.local).collect()
    }
}

/// Which entries [`Delivery::plan`] wants to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wants {
    /// The first due entries, in the queue's order.
    Heads {
        /// How many at most.
        limit: usize,
    },
    /// These, where they are still waiting.
    These(Vec<EntryId>),
}

/// What the queue holds, as far as [`Delivery::plan`] asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heads {
    /// The entries that were wanted.
    pub entries: Vec<Entry>,
    /// When the next entry that is not due yet will be.
    pub next_due: Option<Timestamp>,
}

/// The delivery machine of the present scope.
#[derive(Clone, Debug)]
pub struct Delivery {
    policy: Policy,
    credential: CredentialState,
    lane: Lane,
    paused: bool,
    air: Option<Air>,
    /// Of all scopes: one may be entered again while its requests are still on their way.
    unanswered: Unanswered,
    held_until: Option<Timestamp>,
}

/// The registration request, or the look-up for an entry, that is in the air.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Air {
    /// The pass it went with.
    fingerprint: Option<u64>,
    /// Its scope was left while it flew: its answer says nothing of the present one.
    astray: bool,
}

/// Whether a single entry goes to find out whether there is a way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Probing {
    /// The way is known.
    No,
    /// Nothing was tried yet.
    First,
    /// The last try failed.
    Again,
}

/// Everything that belongs to one scope.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; together they are no state")]
struct Lane {
    breaker: Breaker,
    pace: Pace,
    retries: Tokens,
    bisecting: Tokens,
    notes: Notes,
    groups: Vec<Group>,
    /// Until when batches are not tried.
    no_batches_until: Option<Timestamp>,
    /// The last answer asked for the same once more.
    once_more: bool,
    /// Somebody wants it now: repeats are not counted for the next request.
    hurried: bool,
    /// Exchanges that took a registration.
    passes: u64,
    /// Entries over which the cloud stumbled alone since something passed.
    stumblers: Vec<(EntryId, Revision)>,
    /// The wait that is on is for the only one of them.
    lone_stumble: bool,
    /// A batch was refused with 402 or 403 and nothing passed since.
    batch_forbidden: bool,
    /// All seemed to be refused with 402 or 403, and nothing passed since.
    all_forbidden: bool,
    /// Whether the cloud ever answered well.
    ever_good: bool,
    /// From when the cloud may be asked about another entry that it accepted.
    next_ask: Timestamp,
    /// What the cloud asks of its daemons.
    hints: Hints,
    /// Bounds how often a change of the network is believed to be worth a try.
    link_changes: Tokens,
    /// The process before this one did not end in order: what is tried first is left to chance.
    careful: bool,
}

/// Questions about what the cloud accepted leave room for what it was not sent yet.
const ASKED_EVERY: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(30);
const LINK_UP_SPREAD: Duration = Duration::from_millis(250);
const WAKE_SPREAD: Duration = Duration::from_secs(2);
const MOST_LINK_UP_SPREAD: Duration = Duration::from_mins(1);
const BATCHES_RETRIED_AFTER: Duration = Duration::from_hours(24);
const MOST_PROBE_CAP: Duration = Duration::from_mins(10);

impl Delivery {
    /// A machine that knows nothing yet, at `now`.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        Self {
            policy,
            credential: CredentialState::default(),
            lane: Lane::new(policy, now),
            paused: false,
            air: None,
            unanswered: Unanswered::default(),
            held_until: None,
        }
    }

    /// Nothing is sent before `until`, half a minute from now at most: machines that start together do not come
    /// together.
    pub fn hold(&mut self, until: Timestamp) {
        self.held_until = Some(until);
    }

    /// The process before this one did not end in order: until something passes, chance says who goes first, so that
    /// an entry that ends the process is not first at every start.
    pub fn begin_carefully(&mut self) {
        self.lane.careful = true;
    }

    /// This one was in the air when the process ended, time and again: it goes alone.
    pub fn suspect(&mut self, entry: &Entry) {
        self.lane.notes.suspect(entry);
    }

    /// The tenant or the cloud changed: what was learned of the way there is forgotten. What is in the air lands
    /// before anything else is sent, by [`Delivery::landed`], [`Delivery::looked_up`] or [`Delivery::landed_late`].
    pub fn enter_scope(&mut self, now: Timestamp) {
        self.lane = Lane::new(self.policy, now);
        if let Some(air) = &mut self.air {
            air.astray = true;
        }
    }

    /// The configuration changed: every wait ends but one the server asked for.
    pub fn follow(&mut self, policy: Policy, now: Timestamp) {
        self.policy = policy;
        self.lane.breaker.follow(policy.pauses);
        self.lane.pace.follow(policy.batch_size);
        self.lane.breaker.hurried(now);
    }

    /// Which entries to hand to [`Delivery::plan`].
    pub fn wants(&self) -> Wants {
        match self.eligible_group() {
            Some(index) => Wants::These(self.lane.groups[index].members.iter().map(|(id, _)| *id).collect()),
            None => Wants::Heads {
                // Those in trouble must not hide the others.
                limit: self.policy.batch_size
                    + self.lane.blocked_count()
                    + self.lane.notes.troubled(self.lane.passes),
            },
        }
    }

    /// What to do now, given what the queue holds.
    pub fn plan(&mut self, now: Timestamp, dice: u64, heads: &Heads) -> Step {
        if heads.entries.iter().any(|entry| entry.standing == Standing::Dead) {
            // Members of a group are asked for by number, whatever became of them meanwhile.
            let alive =
                heads.entries.iter().filter(|entry| entry.standing != Standing::Dead).cloned().collect();
            return self.plan(now, dice, &Heads { entries: alive, next_due: heads.next_due });
        }
        let mut throws = Throws::new(dice);
        if self.air.is_some() {
            return Step::Rest { why: Why::Flying };
        }
        if self.paused {
            return Step::Rest { why: Why::Paused };
        }
        let put_off = self.unanswered.put_off(&heads.entries, now, self.policy.request_lifetime);
        if !put_off.is_empty() {
            return Step::PutOff(put_off);
        }
        self.lane.breaker.clamp(now, throws.draw());
        let group = self.eligible_group();
        if heads.entries.is_empty() {
            return match (group, heads.next_due) {
                (Some(index), _) => {
                    self.lane.groups.remove(index);
                    Step::Again
                }
                (None, Some(until)) => Step::Wait { until, why: Why::NotDue },
                (None, None) => {
                    self.lane.groups.clear();
                    Step::Rest { why: Why::Empty }
                }
            };
        }
        if let Some(until) = self.held_until.filter(|until| now < *until && *until <= now.after(LONGEST_HOLD))
        {
            return Step::Wait { until, why: Why::Sparing };
        }
        let probing = match self.lane.breaker.gate(now) {
            // Whether there is a way is for one to find out.
            Gate::Closed if !self.lane.ever_good => Probing::First,
            Gate::Closed => Probing::No,
            Gate::HalfOpen { .. } => Probing::Again,
            Gate::Open { cause: Cause::Forbidden, .. }
                if self.lane.has_untried_witness(&heads.entries, now) =>
            {
                Probing::Again
            }
            Gate::Open { cause: Cause::Server, .. } if self.lane.has_newcomer(&heads.entries, now) => {
                Probing::First
            }
            Gate::Open { cause, until } => return Step::Wait { until, why: Why::Scope(cause) },
        };
        match self.credential.need(now) {
            Need::Usable => {}
            Need::Renew => return Step::Renew,
            Need::Required { until } => return Step::Wait { until, why: Why::AuthRequired },
        }
        self.lane.notes.forget_replaced(&heads.entries);
        let (asked, heads): (Vec<&Entry>, Vec<&Entry>) =
            heads.entries.iter().partition(|entry| self.lane.notes.asks(entry).is_some());
        if let Some(entry) = asked.first() {
            let next = self.lane.next_ask;
            if next <= now || next > now.after(ASKED_EVERY) {
                return self.ask_about(entry, now);
            }
            if heads.is_empty() {
                return Step::Wait { until: next, why: Why::NotDue };
            }
        }
        let heads: Vec<Entry> = heads.into_iter().cloned().collect();
        let flight = match group {
            Some(index) => self.lane.group_flight(index, &heads, now),
            None => self.lane.head_flight(&heads, probing, now, throws.draw()),
        };
        if let (Some(index), true) = (group, flight.entries.is_empty()) {
            self.lane.groups.remove(index);
            return Step::Again;
        }
        let repeats = probing == Probing::Again || self.lane.notes.was_tried(&flight);
        if let Some(until) = self.lane.too_soon(&flight, repeats, now) {
            return Step::Wait { until, why: Why::Sparing };
        }
        self.lane.take_off(&flight, group, repeats, now, throws.draw());
        self.take_air();
        Step::Send(flight)
    }

    /// The network came, went or changed: what waits for the network goes at once, spread a little.
    pub fn network_changed(&mut self, now: Timestamp, dice: u64) {
        // A machine on which networks come and go all the time tries no more often than this pays for.
        if self.lane.link_changes.next(now) > now {
            return;
        }
        let spread = self.lane.hints.link_up_spread.unwrap_or(LINK_UP_SPREAD);
        if self.lane.breaker.network_changed(now, spread, dice) {
            self.lane.link_changes.spend(now, dice);
            self.lane.hurried = true;
        }
    }

    /// The machine woke from sleep.
    pub fn woke(&mut self, now: Timestamp, dice: u64) {
        let spread = self.lane.hints.link_up_spread.unwrap_or_default().max(WAKE_SPREAD);
        if self.lane.breaker.network_changed(now, spread, dice) {
            self.lane.hurried = true;
        }
    }

    /// Somebody wants it now. Ends every wait but one the server asked for.
    pub fn flush(&mut self, now: Timestamp) {
        self.lane.breaker.hurried(now);
        self.lane.hurried = true;
        if self.credential.is_required() {
            self.credential.changed();
        }
    }

    /// The credential's place changed.
    pub fn credential_changed(&mut self) {
        self.credential.changed();
    }

    /// Asking for the credential came to this.
    pub fn credential_obtained(&mut self, how: Obtained, now: Timestamp, dice: u64) {
        self.credential.obtained(how, now, dice);
    }

    /// The cloud's own clock said `told` at `now`: whether a token is expired is not for a wrong clock here to say.
    pub fn heard_time(&mut self, told: Timestamp, now: Timestamp) {
        self.credential.heard_time(told, now);
    }

    /// The credential that the cloud refused, by its fingerprint, and until when it is not sent; for keeping it over a
    /// restart.
    pub fn refused(&self) -> Option<(u64, Timestamp)> {
        self.credential.lasting()
    }

    /// The credential with this fingerprint was refused before this process began, and is not sent until then.
    pub fn restore_refused(&mut self, fingerprint: u64, until: Timestamp) {
        self.credential.restore(fingerprint, until);
    }

    /// Whether the credential has to be obtained before anything else can be known.
    pub fn credential_need(&self, now: Timestamp) -> Need {
        self.credential.need(now)
    }

    /// A person paused or resumed sending.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether sending is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether a look-up may be sent now, and if not, why not.
    pub fn may_look_up(&self, now: Timestamp) -> Result<(), Why> {
        match (self.credential.need(now), self.lane.breaker.gate(now)) {
            (_, Gate::Open { cause, .. }) => Err(Why::Scope(cause)),
            (Need::Required { .. }, _) => Err(Why::AuthRequired),
            (Need::Usable | Need::Renew, Gate::Closed | Gate::HalfOpen { .. }) => Ok(()),
        }
    }

    /// Why the way is not open, if it is not; and until when.
    pub fn obstacle(&self, now: Timestamp) -> Option<(Why, Timestamp)> {
        if let Need::Required { until } = self.credential.need(now) {
            return Some((Why::AuthRequired, until));
        }
        self.lane.breaker.obstacle(now).map(|(cause, until)| (Why::Scope(cause), until))
    }

    /// Whether the way is closed whoever waits: it matters only whether anything does. Where the cloud only stumbled over
    /// one entry or refused one, another one tells whether the entry is meant, so the queue has to be seen.
    pub fn is_shut(&self, now: Timestamp) -> bool {
        match self.obstacle(now) {
            None | Some((Why::Scope(Cause::Forbidden), _)) => false,
            Some((Why::Scope(Cause::Server), _)) if self.lane.tries_newcomers(now) => false,
            Some((_, until)) => now < until,
        }
    }

    /// Whether the cloud ever answered well in this scope since the start.
    pub fn was_ever_good(&self) -> bool {
        self.lane.ever_good
    }

    /// The wait that outlives this process, if one is on.
    pub fn lasting(&self, now: Timestamp) -> Option<(Cause, Timestamp)> {
        self.lane.breaker.lasting(now)
    }

    /// Takes up a wait that an earlier process left.
    pub fn restore(&mut self, cause: Cause, until: Timestamp) {
        self.lane.breaker.restore(cause, until);
    }

    fn ask_about(&mut self, entry: &Entry, now: Timestamp) -> Step {
        self.lane.next_ask = now.after(ASKED_EVERY);
        self.take_air();
        let cloud = match self.lane.notes.asks(entry) {
            Some(Ask::Accepted(cloud)) => cloud,
            Some(Ask::Conflict) | None => None,
        };
        Step::LookUp(Box::new(entry.clone()), cloud)
    }

    fn take_air(&mut self) {
        self.air = Some(Air { fingerprint: self.credential.fingerprint(), astray: false });
    }

    /// The group that is to be sent next: the last one that need not wait for another request to pass.
    /// While the way is closed there is none: what probes it may be anybody.
    fn eligible_group(&self) -> Option<usize> {
        if self.lane.breaker.waiting().is_some() {
            return None;
        }
        self.lane.groups.iter().rposition(|group| group.may_go(self.lane.passes))
    }
}

impl Lane {
    fn new(policy: Policy, now: Timestamp) -> Self {
        let mut pace = Pace::new(policy.batch_size);
        // Nothing is known of the way yet.
        pace.restart();
        Self {
            breaker: Breaker::new(policy.pauses),
            pace,
            retries: Tokens::for_retries(now),
            bisecting: Tokens::for_bisecting(now),
            notes: Notes::default(),
            groups: Vec::new(),
            no_batches_until: None,
            once_more: false,
            hurried: false,
            passes: 0,
            stumblers: Vec::new(),
            lone_stumble: false,
            batch_forbidden: false,
            all_forbidden: false,
            ever_good: false,
            next_ask: now,
            hints: Hints::default(),
            link_changes: Tokens::for_link_changes(now),
            careful: false,
        }
    }

    fn blocked_count(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }

    fn is_blocked(&self, entry: &Entry) -> bool {
        self.groups.iter().any(|group| group.members.iter().any(|(id, _)| *id == entry.id))
    }

    /// Only one project was refused so far and another one waits: it tells whether the tenant is meant.
    fn has_untried_witness(&self, entries: &[Entry], now: Timestamp) -> bool {
        let witnesses = self.notes.witnesses();
        witnesses.len() == 1
            && !self.batch_forbidden
            && !self.breaker.promised_until(now)
            && entries.iter().any(|entry| witnesses.iter().all(|witness| witness.entry != entry.id))
    }

    /// The way is only closed because the cloud stumbled over one entry, and another has not been tried: it tells
    /// whether the entry or the cloud is at fault.
    fn has_newcomer(&self, entries: &[Entry], now: Timestamp) -> bool {
        self.tries_newcomers(now) && entries.iter().any(|entry| self.notes.is_new(entry))
    }

    fn tries_newcomers(&self, now: Timestamp) -> bool {
        self.lone_stumble && !self.breaker.promised_until(now)
    }

    /// A part of a batch that was not taken as a whole.
    fn group_flight(&self, index: usize, entries: &[Entry], now: Timestamp) -> Flight {
        let members = &self.groups[index].members;
        let entries: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.standing == Standing::Ready && entry.due <= now)
            .filter(|entry| members.iter().any(|(id, _)| *id == entry.id))
            .cloned()
            .collect();
        self.flight(entries, true, now)
    }

    /// The first due entries; a single one where that is asked for or where it has to travel alone.
    fn head_flight(&mut self, entries: &[Entry], probing: Probing, now: Timestamp, dice: u64) -> Flight {
        let witnesses = self.notes.witnesses();
        let doubted = |entry: &Entry| witnesses.iter().any(|witness| witness.entry == entry.id);
        let free: Vec<&Entry> =
            entries.iter().filter(|entry| !self.is_blocked(entry) && !doubted(entry)).collect();
        // Where repeats are scarce, those that would not be repeats go first.
        let sparing =
            probing != Probing::Again && !self.hurried && !self.once_more && self.retries.next(now) > now;
        let repeats = |entry: &Entry| sparing && !self.notes.is_new(entry);
        let alone =
            probing != Probing::No || free.is_empty() || !witnesses.is_empty() || self.batch_forbidden;
        if alone {
            // Whoever waits for something to pass may be what passes, when the others are in trouble.
            let next = entries.iter().min_by_key(|entry| {
                let turn = self.notes.turn(entry.id, self.passes);
                let lot =
                    if self.careful { Throws::new(dice ^ entry.id.0.cast_unsigned()).draw() } else { 0 };
                (repeats(entry), turn, self.is_blocked(entry), lot, entry.enqueued_at, entry.id)
            });
            return self.flight(next.cloned().into_iter().collect(), false, now);
        }
        let fresh: Vec<&Entry> = free.iter().copied().filter(|entry| !repeats(entry)).collect();
        let free = if fresh.is_empty() { free } else { fresh };
        let size = if self.speaks_batches(now) { self.pace.size(now) } else { 1 };
        let mut bytes = 0;
        let mut chosen: Vec<Entry> = Vec::new();
        for entry in free {
            let solitary = self.notes.travels_alone(entry);
            bytes += estimated_bytes(entry);
            let fits = chosen.len() < size && bytes <= MOST_BYTES;
            if !chosen.is_empty() && (solitary || !fits) {
                break;
            }
            chosen.push(entry.clone());
            if solitary {
                break;
            }
        }
        self.flight(chosen, false, now)
    }

    fn flight(&self, entries: Vec<Entry>, bisecting: bool, now: Timestamp) -> Flight {
        let batch = entries.len() > 1 && self.speaks_batches(now);
        Flight { entries, batch, bisecting }
    }

    fn speaks_batches(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make the day longer.
        self.no_batches_until.is_none_or(|until| now >= until || until > now.after(BATCHES_RETRIED_AFTER))
    }

    /// Until when a repeat has to wait for the sake of the cloud.
    fn too_soon(&mut self, flight: &Flight, repeats: bool, now: Timestamp) -> Option<Timestamp> {
        if self.hurried || self.once_more {
            return None;
        }
        let next = if flight.bisecting {
            self.bisecting.next(now)
        } else if repeats {
            self.retries.next(now)
        } else {
            now
        };
        (next > now).then_some(next)
    }

    fn take_off(&mut self, flight: &Flight, group: Option<usize>, repeats: bool, now: Timestamp, dice: u64) {
        if flight.bisecting {
            self.bisecting.spend(now, dice);
        } else if repeats {
            self.retries.spend(now, dice);
        }
        if let Some(index) = group {
            self.groups.remove(index);
        }
        self.hurried = false;
    }
}

/// About how many bytes an entry takes in a body: its texts as JSON (RFC 8259 §7) and the contract's field names.
fn estimated_bytes(entry: &Entry) -> usize {
    let registration = &entry.registration;
    let texts = [
        &registration.name,
        &*registration.root.to_string_lossy(),
        &registration.language,
        &registration.framework,
        &registration.content_hash,
    ];
    400 + texts.into_iter().flat_map(str::bytes).map(escaped_len).sum::<usize>()
}

fn escaped_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}
