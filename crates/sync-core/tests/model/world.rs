//! The driver: does what the daemon's delivery loop does, over any queue, in invented time.
//!
//! Two times: true time, in which the cloud lives, and the wall clock, which may be set. What is in the air arrives at
//! the cloud and lands here at moments of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use sync_core::{
    Answer, Cause, Delivery, Entry, EntryId, Flight, Heads, LocalId, LookUp, Need, Policy, Scope, ScopeId,
    Step, Tenant, TenantId, Timestamp, Wants, Why, idempotency_key,
};
use uuid::Uuid;

use crate::chance::Chance;
use crate::cloud::{Cloud, Sent, TenantNumber, Token};
use crate::landing::fates;
use crate::mutation::Mutation;
use crate::queue::{Queue, READY_CAP};
use crate::reference::{Broken, Owner, Reference};

/// Where the credential comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Nothing,
    Fails,
    Holds(Token),
    /// A command that makes a new one each time, good for so long.
    Makes(TenantNumber, i64),
}

#[derive(Clone, Debug)]
enum Errand {
    Flight(Flight, ScopeId, Vec<Sent>),
    Entry(Box<Entry>),
    LookUp(LocalId),
    Credential,
}

#[derive(Clone, Debug)]
enum Reply {
    Answer(Answer),
    LookUp(LookUp),
}

#[derive(Clone, Debug)]
struct Airborne {
    errand: Errand,
    token: Option<Token>,
    arrives_at: i64,
    lands_at: i64,
    sent_at: i64,
    reply: Option<Reply>,
}

/// At which point of the next landing the process is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doom {
    BeforeSettling,
    AfterSettling,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct World<Q> {
    pub(crate) chance: Chance,
    pub(crate) queue: Q,
    pub(crate) cloud: Cloud,
    pub(crate) reference: Reference,
    pub(crate) mutation: Option<Mutation>,
    /// True time in milliseconds.
    pub(crate) now: i64,
    /// The wall clock is so far ahead.
    pub(crate) offset: i64,
    pub(crate) place: Place,
    pub(crate) paused: bool,
    pub(crate) up: bool,
    pub(crate) disk_full: bool,
    pub(crate) doom: Option<Doom>,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) scope: (ScopeId, Scope),
    pub(crate) delivery: Delivery,
    pub(crate) settled: bool,
    pub(crate) flush: bool,
    /// The store refused to work and is left alone until then, in true time.
    pub(crate) store_rests_until: i64,
    pub(crate) last_round: Timestamp,
    /// Those that were entered, with their numbers.
    pub(crate) scopes: Vec<(Owner, ScopeId)>,
    pub(crate) token: Option<Token>,
    pub(crate) first_token: Option<Token>,
    air: Vec<Airborne>,
    pub(crate) wanted_look_ups: BTreeSet<LocalId>,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) kept_wait: Option<(Cause, Timestamp)>,
    pub(crate) policy: Policy,
    pub(crate) tokens: u64,
}

const ORIGIN: &str = "https://cloud.example";
const START: i64 = 1_700_000_000_000;
pub(crate) const STORE_PAUSE: i64 = 5_000;
/// The delivery loop wakes at least so often while something is due.
const NAP: i64 = 30_000;
const MOST_STEPS: u32 = 200;

pub(crate) fn tenant_name(number: TenantNumber) -> Tenant {
    match number {
        0 => Tenant::Opaque,
        _ => Tenant::Named(TenantId::new(format!("tenant-{number}")).unwrap()),
    }
}

pub(crate) fn owner_of(scope: &Scope) -> Owner {
    match &scope.tenant {
        Tenant::Unknown => None,
        Tenant::Opaque => Some(0),
        Tenant::Named(name) => name.as_str().rsplit('-').next().and_then(|number| number.parse().ok()),
    }
}

impl<Q: Queue> World<Q> {
    pub(crate) fn new(queue: Q, mutation: Option<Mutation>, seed: u64, policy: Policy) -> Self {
        let mut queue = queue;
        let scope = Scope { origin: ORIGIN.to_owned(), tenant: Tenant::Unknown };
        let id = queue.scope(&scope);
        Self {
            chance: Chance::new(seed),
            queue,
            cloud: Cloud::default(),
            reference: Reference::default(),
            mutation,
            now: START,
            offset: 0,
            place: Place::Nothing,
            paused: false,
            up: true,
            disk_full: false,
            doom: None,
            trace: None,
            scope: (id, scope),
            delivery: Delivery::new(policy, Timestamp(START)),
            settled: false,
            flush: false,
            store_rests_until: START,
            last_round: Timestamp(START),
            scopes: vec![(None, id)],
            token: None,
            first_token: None,
            air: Vec::new(),
            wanted_look_ups: BTreeSet::new(),
            wake_at: None,
            kept_wait: None,
            policy,
            tokens: 0,
        }
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        let seconds = (self.now - START) / 1_000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{seconds:>9} s  {}", what()));
        }
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(self.now + self.offset)
    }

    pub(crate) fn owner(&self) -> Owner {
        owner_of(&self.scope.1)
    }

    pub(crate) fn scope_of(&mut self, owner: Owner) -> ScopeId {
        if let Some((_, id)) = self.scopes.iter().find(|(known, _)| *known == owner) {
            return *id;
        }
        let tenant = owner.map_or(Tenant::Unknown, tenant_name);
        self.queue.scope(&Scope { origin: ORIGIN.to_owned(), tenant })
    }

    /// Every row there is, by owner.
    pub(crate) fn rows(&mut self) -> Vec<(Owner, Vec<Entry>)> {
        let scopes = self.scopes.clone();
        scopes.into_iter().map(|(owner, id)| (owner, self.queue.rows(id))).collect()
    }

    pub(crate) fn in_the_air(&self, id: EntryId) -> bool {
        self.air.iter().any(|air| match &air.errand {
            Errand::Flight(flight, ..) => flight.entries.iter().any(|entry| entry.id == id),
            Errand::Entry(entry) => entry.id == id,
            Errand::LookUp(_) | Errand::Credential => false,
        })
    }

    pub(crate) fn new_token(&mut self, tenant: TenantNumber, life: i64, tells_expiry: bool) -> Token {
        self.tokens += 1;
        Token { number: self.tokens, tenant, good_until: self.now.saturating_add(life), tells_expiry }
    }

    /// Lets true time pass until `at`, with everything that happens meanwhile.
    pub(crate) fn advance(&mut self, at: i64) -> Result<(), Broken> {
        loop {
            let late = self.cloud.next_late();
            let arrival = self.air.iter().filter(|air| air.reply.is_none()).map(|air| air.arrives_at).min();
            let landing = self.air.iter().map(|air| air.lands_at).min();
            let wake = self.wake_at.filter(|_| self.up).map(|wake| (wake.0 - self.offset).max(self.now + 1));
            let Some(next) =
                [late, arrival, landing, wake].into_iter().flatten().min().filter(|next| *next <= at)
            else {
                self.now = self.now.max(at);
                return Ok(());
            };
            self.now = self.now.max(next);
            if late == Some(next) {
                self.carry_out_late(next)?;
            } else if arrival == Some(next) {
                self.arrive(next)?;
            } else if landing == Some(next) {
                self.land(next)?;
                self.round()?;
            } else {
                self.wake_at = None;
                self.round()?;
            }
        }
    }

    /// The cloud does now what nobody waits for any more and was to be done by then.
    fn carry_out_late(&mut self, by: i64) -> Result<(), Broken> {
        for late in self.cloud.take_late(by) {
            self.say(|| format!("the cloud carries out {:?} late", late.sent));
            self.reference.seen(late.token.tenant, &late.sent)?;
            self.cloud.carry_out(self.now, &late, &mut self.chance);
        }
        Ok(())
    }

    fn arrive(&mut self, at: i64) -> Result<(), Broken> {
        let Some(index) = self.air.iter().position(|air| air.reply.is_none() && air.arrives_at == at) else {
            return Ok(());
        };
        let reply = self.ask_the_cloud(index)?;
        self.air[index].reply = Some(reply);
        Ok(())
    }

    fn ask_the_cloud(&mut self, index: usize) -> Result<Reply, Broken> {
        let Airborne { errand, token, .. } = self.air[index].clone();
        Ok(match &errand {
            Errand::Flight(flight, _, sent) => {
                if let Some(token) = token {
                    self.reference.seen(token.tenant, sent)?;
                }
                Reply::Answer(self.cloud.register(self.now, token, flight.batch, sent, &mut self.chance))
            }
            Errand::Entry(entry) => {
                Reply::LookUp(self.cloud.look_up(self.now, token, entry.registration.local))
            }
            Errand::LookUp(local) => Reply::LookUp(self.cloud.look_up(self.now, token, *local)),
            Errand::Credential => Reply::LookUp(LookUp::Unknown),
        })
    }

    fn land(&mut self, at: i64) -> Result<(), Broken> {
        let Some(index) = self.air.iter().position(|air| air.lands_at == at) else { return Ok(()) };
        let Airborne { errand, token, reply, sent_at, .. } = self.air.swap_remove(index);
        match (errand, reply) {
            (Errand::Credential, _) => {
                self.take_credential();
                Ok(())
            }
            (Errand::Flight(flight, scope, sent), Some(Reply::Answer(answer))) => {
                let took = Duration::from_millis(u64::try_from(at - sent_at).unwrap_or(0));
                self.take_flight(&flight, scope, &sent, &answer, took)
            }
            (Errand::Entry(entry), Some(Reply::LookUp(look_up))) => self.take_entry(&entry, &look_up, token),
            (Errand::LookUp(local), Some(Reply::LookUp(look_up))) => {
                self.take_look_up(local, &look_up, token);
                Ok(())
            }
            (errand, reply) => Err(format!("the model is wrong: {errand:?} landed with {reply:?}")),
        }
    }

    /// One look at what is true, and what follows from it.
    pub(crate) fn round(&mut self) -> Result<(), Broken> {
        if !self.up {
            return Ok(());
        }
        self.delivery.pause(self.paused);
        if std::mem::take(&mut self.flush) || self.mutated(Mutation::WaitsAreIgnored) {
            self.delivery.flush(self.wall());
        }
        if !self.settled {
            self.ask_for_credential();
            return Ok(());
        }
        if self.now < self.store_rests_until {
            self.wake_at = Some(Timestamp(self.store_rests_until + self.offset));
            return Ok(());
        }
        let now = self.wall();
        if now < std::mem::replace(&mut self.last_round, now) {
            self.pull_in(now);
        }
        self.send_look_ups()?;
        for _ in 0..MOST_STEPS {
            let now = self.wall();
            let heads = self.heads(now);
            let dice = self.chance.draw();
            let step = self.delivery.plan(now, dice, &heads);
            self.wake_at = None;
            match step {
                Step::Again => continue,
                Step::PutOff(_) if self.disk_full => {
                    self.store_rests_until = self.now + STORE_PAUSE;
                    self.wake_at = Some(Timestamp(self.store_rests_until + self.offset));
                }
                Step::PutOff(settled) => {
                    self.say(|| format!("puts off {}", fates(&settled)));
                    self.queue.settle(self.scope.0, &settled, dice, now);
                    continue;
                }
                Step::Send(flight) => self.send_flight(&flight)?,
                Step::LookUp(entry, _) => {
                    self.reference.leaves(self.now, self.owner())?;
                    self.launch(Errand::Entry(entry));
                }
                Step::Renew => self.ask_for_credential(),
                Step::Wait { until, why: Why::NotDue } if until > now.after(READY_CAP) => {
                    self.pull_in(now);
                    self.wake_at = self.queue.next_due(self.scope.0);
                }
                Step::Wait { until, why } => {
                    if until <= now {
                        return Err(format!("a wait for {why:?} that is over is no wait"));
                    }
                    self.say(|| format!("waits {} ms: {why:?}", until.0 - now.0));
                    self.wake_at = Some(until);
                    if self.mutated(Mutation::DueTimesAreSleptThrough) && why == Why::NotDue {
                        self.wake_at = None;
                    }
                }
                Step::Rest { why } => self.say(|| format!("rests: {why:?}")),
            }
            return Ok(());
        }
        Err("the loop spins".to_owned())
    }

    /// What a clock that was set back left too far ahead comes back.
    pub(crate) fn pull_in(&mut self, now: Timestamp) {
        let dice = self.chance.draw();
        self.queue.pull_in(self.scope.0, dice, now);
    }

    fn heads(&mut self, now: Timestamp) -> Heads {
        let scope = self.scope.0;
        let entries = match self.delivery.wants() {
            Wants::Heads { limit } => self.queue.heads(scope, now, limit),
            Wants::These(ids) => self.queue.entries(&ids),
        };
        let next_due = if entries.is_empty() { self.queue.next_due(scope) } else { None };
        Heads { entries, next_due: next_due.map(|due| due.max(Timestamp(now.0 + 1))) }
    }

    fn send_flight(&mut self, flight: &Flight) -> Result<(), Broken> {
        let (scope, owner, now) = (self.scope.clone(), self.owner(), self.now);
        let token = if self.mutated(Mutation::TheFirstTokenIsKept) { self.first_token } else { self.token };
        let sent: Vec<Sent> = flight
            .entries
            .iter()
            .map(|entry| Sent {
                machine: entry.registration.machine,
                local: entry.registration.local,
                revision: entry.revision,
                hash: entry.hash,
                key: if self.mutated(Mutation::KeysChangeOnRetry) {
                    Uuid::from_u128(
                        u128::from(now.cast_unsigned()) << 64 | entry.registration.local.0.as_u128(),
                    )
                } else {
                    idempotency_key(&scope.1, entry)
                },
            })
            .collect();
        self.say(|| {
            let entries: Vec<String> =
                flight.entries.iter().map(|entry| format!("{}r{}", entry.id, entry.revision)).collect();
            format!("sends {}", entries.join(" "))
        });
        let times = if self.mutated(Mutation::FlightsGoTwice) { 2 } else { 1 };
        for _ in 0..times {
            self.reference.leaves(self.now, owner)?;
            let tenant = token.map(|token| token.tenant);
            self.reference.takes_off(scope.0, owner, tenant, flight, &sent)?;
            self.launch(Errand::Flight(flight.clone(), scope.0, sent.clone()));
        }
        if let Some(air) = self.air.last_mut() {
            air.token = token;
        }
        Ok(())
    }

    fn launch(&mut self, errand: Errand) {
        let arrives_at = self.now + self.chance.between(1, 200);
        let slow = if self.chance.one_in(8) { 30_000 } else { 400 };
        let lands_at = arrives_at + self.chance.between(1, slow);
        let token = self.token;
        self.air.push(Airborne { errand, token, arrives_at, lands_at, sent_at: self.now, reply: None });
    }

    fn ask_for_credential(&mut self) {
        if self.air.iter().all(|air| !matches!(air.errand, Errand::Credential)) {
            self.launch(Errand::Credential);
        }
    }

    fn send_look_ups(&mut self) -> Result<(), Broken> {
        let now = self.wall();
        for local in self.wanted_look_ups.clone() {
            let flies = |air: &Airborne| matches!(air.errand, Errand::LookUp(other) if other == local);
            if self.air.iter().any(flies) {
                continue;
            }
            if self.delivery.may_look_up(now).is_err() {
                self.wanted_look_ups.remove(&local);
            } else if self.delivery.credential_need(now) == Need::Renew {
                self.ask_for_credential();
            } else {
                self.reference.leaves(self.now, self.owner())?;
                self.launch(Errand::LookUp(local));
            }
        }
        Ok(())
    }

    pub(crate) fn all_entries(&mut self) -> Vec<Entry> {
        let scopes = self.scopes.clone();
        scopes.into_iter().flat_map(|(_, scope)| self.queue.rows(scope)).collect()
    }

    pub(crate) fn want_look_up(&mut self, local: LocalId) {
        self.wanted_look_ups.insert(local);
    }

    pub(crate) fn hurry(&mut self) {
        let (scope, now) = (self.scope.0, self.wall());
        self.queue.hurry(scope, now);
        self.flush = true;
    }

    pub(crate) fn credential_changed(&mut self) {
        if self.up {
            self.delivery.credential_changed();
            self.ask_for_credential();
        }
    }

    pub(crate) fn network_changed(&mut self) {
        let (now, dice) = (self.wall(), self.chance.draw());
        self.delivery.network_changed(now, dice);
    }

    /// The configuration is read again and says the same.
    pub(crate) fn reload(&mut self) {
        let (policy, now) = (self.policy, self.wall());
        self.delivery.follow(policy, now);
        self.credential_changed();
    }

    /// The machine slept: what was in the air is lost, with or without the cloud having done the work.
    pub(crate) fn slept(&mut self, millis: i64) -> Result<(), Broken> {
        let woken_at = self.now + millis;
        for index in 0..self.air.len() {
            let is_request = !matches!(self.air[index].errand, Errand::Credential);
            if is_request {
                if self.air[index].reply.is_none() && self.chance.one_in(2) {
                    self.ask_the_cloud(index)?;
                }
                let lost = Answer::Unreachable(sync_core::Unreachable::Reset);
                self.air[index].reply = Some(match self.air[index].errand {
                    Errand::Flight(..) => Reply::Answer(lost),
                    Errand::Entry(_) | Errand::LookUp(_) | Errand::Credential => {
                        Reply::LookUp(LookUp::Failed(lost))
                    }
                });
            }
            self.air[index].arrives_at = woken_at;
            self.air[index].lands_at = woken_at + self.chance.between(1, 500);
        }
        self.now = woken_at;
        let (now, dice) = (self.wall(), self.chance.draw());
        self.delivery.woke(now, dice);
        Ok(())
    }

    /// The wall clock is set; the loop notices a leap ahead as a sleep, and looks again within a nap otherwise.
    pub(crate) fn set_clock(&mut self, by: i64) -> Result<(), Broken> {
        // How long newer content waits is measured by the clock on the wall.
        self.carry_out_late(i64::MAX)?;
        self.cloud.keep_order();
        self.offset += by;
        self.reference.clock_set();
        if by < 0 {
            self.reference.clock_went_back = true;
        } else {
            let (now, dice) = (self.wall(), self.chance.draw());
            self.delivery.woke(now, dice);
        }
        if self.wake_at.is_some() {
            self.wake_at = self.wake_at.map(|wake| wake.min(Timestamp(self.now + self.offset + NAP)));
        }
        Ok(())
    }

    /// The process ends at once. What is in the air is lost, before or after the cloud did the work.
    pub(crate) fn kill(&mut self) {
        self.say(|| "killed".to_owned());
        for index in 0..self.air.len() {
            if self.air[index].reply.is_none() && self.chance.one_in(2) {
                // A rule that this breaks is found when the content is compared.
                drop(self.ask_the_cloud(index));
            }
        }
        // That something may still be carried out is forgotten with the process.
        drop(self.carry_out_late(i64::MAX));
        self.cloud.keep_order();
        self.air.clear();
        self.up = false;
        self.wake_at = None;
    }

    pub(crate) fn start(&mut self, clean: bool) {
        let now = self.wall();
        self.queue.reopen(clean, now);
        self.reference.restarted();
        let scope = Scope { origin: ORIGIN.to_owned(), tenant: Tenant::Unknown };
        self.scope = (self.queue.scope(&scope), scope);
        self.delivery = Delivery::new(self.policy, now);
        self.delivery.hold(now.after(Duration::from_millis(self.chance.index(2_000) as u64)));
        if !clean {
            self.delivery.begin_carefully();
        }
        (self.settled, self.flush, self.up) = (false, false, true);
        (self.token, self.kept_wait, self.doom) = (None, None, None);
        self.wanted_look_ups.clear();
        self.last_round = now;
        self.say(|| "starts".to_owned());
    }
}
