//! A cloud of a few lines: tenants, an upsert by (tenant, machine, local UUID), and every way to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sync_core::{
    Answer, CloudId, CloudProject, ItemOutcome, ItemResult, LocalId, LookUp, MachineId, PayloadHash, Refusal,
    Revision, Suspect, Unreachable,
};
use uuid::Uuid;

use crate::chance::Chance;

/// Which tenant, by number.
pub(crate) type TenantNumber = usize;

/// A token as the cloud knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) number: u64,
    pub(crate) tenant: TenantNumber,
    /// In true time.
    pub(crate) good_until: i64,
    pub(crate) tells_expiry: bool,
}

/// One registration on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) machine: MachineId,
    pub(crate) local: LocalId,
    pub(crate) revision: Revision,
    pub(crate) hash: PayloadHash,
    pub(crate) key: Uuid,
}

/// What is wrong for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// No answer; whether the work is done all the same, at once or later.
    NoAnswer(Unreachable, bool),
    Portal,
    Redirect,
    Certificate,
    /// A status, with how long to wait in seconds.
    Status(u16, Option<u64>),
    /// The batch endpoint has this status.
    NoBatches(u16),
    /// Batches of more than this are too large.
    TooLarge(usize),
    LeavesOut,
    ItemsFail,
    AcceptsOnly,
    /// Our own flight panics.
    Panics,
}

impl Fault {
    fn is_local(self) -> bool {
        matches!(
            self,
            Self::NoAnswer(Unreachable::Dns | Unreachable::NoRoute | Unreachable::ConnectTimeout, _)
        )
    }
}

/// What is wrong with one project for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Poison {
    /// The whole request is answered so.
    Status(u16),
    ItemFails,
    ItemIsTurnedAway,
    ItemIsRejected,
    Panics,
    /// The gateway breaks over it: the connection, or with a page of its own.
    Breaks,
    Page,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    cloud: CloudId,
    hash: PayloadHash,
    /// When that arrived.
    arrived: i64,
}

#[derive(Clone, Debug)]
struct Later {
    at: i64,
    asked: i64,
    /// When it counts as having arrived.
    arrived: i64,
    tenant: TenantNumber,
    sent: Sent,
}

/// A request that nobody waits for any more and that is still carried out.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    at: i64,
    pub(crate) token: Token,
    batch: bool,
    pub(crate) sent: Vec<Sent>,
}

/// The latest that something is carried out after its arrival: as long as newer content waits for it.
const LATEST: i64 = 60_000;

type Place = (TenantNumber, MachineId, LocalId);

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    /// What is wrong, and from when to when.
    pub(crate) faults: Vec<(i64, i64, Fault)>,
    pub(crate) poison: BTreeMap<LocalId, (i64, Poison)>,
    records: BTreeMap<Place, Record>,
    later: Vec<Later>,
    late: Vec<Late>,
    /// Every UUID that was ever told, by the tenant it belongs to.
    issued: BTreeSet<(TenantNumber, LocalId, CloudId)>,
    made: u128,
}

/// Tells a machine's projects from another's; the simulated machine is this one.
pub(crate) const MACHINE: MachineId = MachineId(Uuid::from_u128(9));

impl Cloud {
    pub(crate) fn fault(&self, now: i64) -> Option<Fault> {
        self.faults.iter().rev().find(|(from, to, _)| *from <= now && now < *to).map(|(_, _, fault)| *fault)
    }

    /// Ends everything that is wrong. Answers whether the network was.
    pub(crate) fn heal(&mut self, now: i64) -> bool {
        let local = self.fault(now).is_some_and(Fault::is_local);
        self.faults.clear();
        local
    }

    pub(crate) fn has(&self, tenant: TenantNumber, local: LocalId, hash: PayloadHash) -> bool {
        self.records.get(&(tenant, MACHINE, local)).is_some_and(|record| record.hash == hash)
            || self
                .later
                .iter()
                .any(|later| later.tenant == tenant && later.sent.local == local && later.sent.hash == hash)
    }

    fn knows(&self, tenant: TenantNumber, local: LocalId) -> bool {
        self.records.contains_key(&(tenant, MACHINE, local))
            || self.later.iter().any(|later| later.tenant == tenant && later.sent.local == local)
    }

    pub(crate) fn issued(&self, tenant: TenantNumber, local: LocalId, cloud: CloudId) -> bool {
        self.issued.contains(&(tenant, local, cloud))
    }

    /// Forgets a project; answers whether it knew it.
    pub(crate) fn forget(&mut self, tenant: TenantNumber, local: LocalId) -> bool {
        self.later.retain(|later| later.tenant != tenant || later.sent.local != local);
        self.never_mind(tenant, local);
        self.records.remove(&(tenant, MACHINE, local)).is_some()
    }

    /// What is still to be carried out of this project is not.
    pub(crate) fn never_mind(&mut self, tenant: TenantNumber, local: LocalId) {
        for late in self.late.iter_mut().filter(|late| late.token.tenant == tenant) {
            late.sent.retain(|sent| sent.local != local);
        }
    }

    /// What it accepted and still has to do is done in the order in which it came.
    pub(crate) fn keep_order(&mut self) {
        self.later.iter_mut().for_each(|later| later.arrived = later.asked);
    }

    /// When the next request that nobody waits for is carried out.
    pub(crate) fn next_late(&self) -> Option<i64> {
        self.late.iter().map(|late| late.at).min()
    }

    pub(crate) fn take_late(&mut self, by: i64) -> Vec<Late> {
        let (mut due, late): (Vec<Late>, _) =
            std::mem::take(&mut self.late).into_iter().partition(|late| late.at <= by);
        self.late = late;
        due.sort_by_key(|late| late.at);
        due
    }

    pub(crate) fn carry_out(&mut self, now: i64, late: &Late, chance: &mut Chance) {
        self.catch_up(now);
        self.answer(now, late.token.tenant, late.batch, &late.sent, None, chance);
    }

    /// The newest that arrived counts.
    fn store(&mut self, arrived: i64, tenant: TenantNumber, sent: &Sent) -> CloudProject {
        let fresh = CloudId(Uuid::from_u128(self.made + 1_000_000));
        let record = self.records.entry((tenant, sent.machine, sent.local)).or_insert_with(|| {
            self.made += 1;
            Record { cloud: fresh, hash: sent.hash, arrived }
        });
        if arrived >= record.arrived {
            (record.hash, record.arrived) = (sent.hash, arrived);
        }
        self.issued.insert((tenant, sent.local, record.cloud));
        CloudProject {
            cloud: record.cloud,
            status: "registered".to_owned(),
            registered_at: None,
            tenant: None,
        }
    }

    fn catch_up(&mut self, now: i64) {
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|later| later.at <= now);
        self.later = later;
        let due: Vec<Later> = due;
        for Later { tenant, arrived, sent, .. } in due {
            self.store(arrived, tenant, &sent);
        }
    }

    fn poison(&self, now: i64, local: LocalId) -> Option<Poison> {
        self.poison.get(&local).filter(|(until, _)| now < *until).map(|(_, poison)| *poison)
    }

    /// Answers a request with registrations that arrives at `now`.
    pub(crate) fn register(
        &mut self,
        now: i64,
        token: Option<Token>,
        batch: bool,
        sent: &[Sent],
        chance: &mut Chance,
    ) -> Answer {
        self.catch_up(now);
        let fault = self.fault(now);
        if let Some(answer) = in_the_way(fault) {
            if let (Some(Fault::NoAnswer(_, true)), Some(token)) =
                (fault, token.filter(|t| now < t.good_until))
            {
                if sent.iter().all(|one| answer.leaves_open(one.local)) && chance.one_in(2) {
                    let at = now + chance.between(1, LATEST);
                    self.late.push(Late { at, token, batch, sent: sent.to_vec() });
                } else {
                    self.answer(now, token.tenant, batch, sent, None, chance);
                }
            }
            return answer;
        }
        match fault {
            Some(Fault::NoBatches(status)) if batch => return refused(status, None),
            Some(Fault::TooLarge(most)) if batch && sent.len() > most => return refused(413, None),
            Some(Fault::Panics) => return Answer::Internal("it panicked".to_owned()),
            _ => {}
        }
        let Some(token) = token.filter(|token| now < token.good_until) else { return refused(401, None) };
        self.answer(now, token.tenant, batch, sent, fault, chance)
    }

    fn answer(
        &mut self,
        now: i64,
        tenant: TenantNumber,
        batch: bool,
        sent: &[Sent],
        fault: Option<Fault>,
        chance: &mut Chance,
    ) -> Answer {
        for one in sent {
            match self.poison(now, one.local) {
                Some(Poison::Status(status)) => return refused(status, None),
                Some(Poison::Panics) => return Answer::Internal("it panicked".to_owned()),
                Some(Poison::Breaks) => return Answer::Unreachable(Unreachable::Reset),
                Some(Poison::Page) => {
                    return Answer::Suspect(Suspect::NotTheContract("a page".to_owned()));
                }
                Some(Poison::ItemFails | Poison::ItemIsTurnedAway | Poison::ItemIsRejected) | None => {}
            }
        }
        if fault == Some(Fault::AcceptsOnly) {
            // A batch is accepted as a whole, or with a word about each of its projects.
            if batch && chance.one_in(2) {
                let mut accepted = |one: &Sent| ItemResult {
                    local: one.local,
                    outcome: ItemOutcome::Accepted(self.accept(now, tenant, one, chance)),
                };
                return Answer::Results(sent.iter().map(&mut accepted).collect());
            }
            let told = sent.iter().fold(None, |_, one| self.accept(now, tenant, one, chance));
            return Answer::Accepted(told.filter(|_| !batch));
        }
        let mut results = Vec::new();
        for one in sent {
            if fault == Some(Fault::LeavesOut) && chance.one_in(3) {
                if chance.one_in(2) {
                    self.store(now, tenant, one);
                }
                continue;
            }
            let outcome = match self.poison(now, one.local) {
                Some(Poison::ItemFails) => ItemOutcome::Failed("locked".to_owned()),
                Some(Poison::ItemIsTurnedAway) => ItemOutcome::NotNow("too many".to_owned()),
                Some(Poison::ItemIsRejected) => ItemOutcome::Rejected("never".to_owned()),
                _ if fault == Some(Fault::ItemsFail) && chance.one_in(2) => {
                    if chance.one_in(2) {
                        ItemOutcome::NotNow("too many".to_owned())
                    } else {
                        ItemOutcome::Failed("busy".to_owned())
                    }
                }
                _ => ItemOutcome::Done(self.store(now, tenant, one)),
            };
            results.push(ItemResult { local: one.local, outcome });
        }
        if batch && chance.one_in(10) {
            let stranger = LocalId(Uuid::from_u128(u128::MAX));
            results.push(ItemResult { local: stranger, outcome: ItemOutcome::Failed("who".to_owned()) });
        }
        match results.as_slice() {
            [ItemResult { outcome: ItemOutcome::Done(project), .. }] if !batch => {
                Answer::Registered(project.clone())
            }
            _ => Answer::Results(results),
        }
    }

    /// Takes a registration and does the work now or later; tells the UUID now and then.
    fn accept(
        &mut self,
        now: i64,
        tenant: TenantNumber,
        one: &Sent,
        chance: &mut Chance,
    ) -> Option<CloudProject> {
        if chance.one_in(2) {
            let project = self.store(now, tenant, one);
            return chance.one_in(2).then_some(project);
        }
        // Now and then it says yes and never does it; a look-up tells.
        if self.knows(tenant, one.local) || !chance.one_in(4) {
            let at = now + chance.between(1, 2 * LATEST);
            // What it comes to soon it does as if it had come then; what takes longer it puts in order.
            let arrived = if at <= now + LATEST { at } else { now };
            self.later.push(Later { at, asked: now, arrived, tenant, sent: *one });
        }
        None
    }

    pub(crate) fn look_up(&mut self, now: i64, token: Option<Token>, local: LocalId) -> LookUp {
        self.catch_up(now);
        if let Some(answer) = in_the_way(self.fault(now)) {
            return LookUp::Failed(answer);
        }
        let Some(token) = token.filter(|token| now < token.good_until) else {
            return LookUp::Failed(refused(401, None));
        };
        match self.records.get(&(token.tenant, MACHINE, local)) {
            Some(record) => LookUp::Found(CloudProject {
                cloud: record.cloud,
                status: "registered".to_owned(),
                registered_at: None,
                tenant: None,
            }),
            None => LookUp::Unknown,
        }
    }
}

/// The faults that meet every request.
fn in_the_way(fault: Option<Fault>) -> Option<Answer> {
    match fault? {
        Fault::NoAnswer(kind, _) => Some(Answer::Unreachable(kind)),
        Fault::Portal => Some(Answer::Suspect(Suspect::NotTheContract("a sign-in page".to_owned()))),
        Fault::Redirect => Some(Answer::Suspect(Suspect::Redirect(302))),
        Fault::Certificate => Some(Answer::Suspect(Suspect::Certificate("expired".to_owned()))),
        Fault::Status(status, wait) => Some(refused(status, wait)),
        Fault::NoBatches(_)
        | Fault::TooLarge(_)
        | Fault::LeavesOut
        | Fault::ItemsFail
        | Fault::AcceptsOnly
        | Fault::Panics => None,
    }
}

fn refused(status: u16, wait: Option<u64>) -> Answer {
    Answer::Refused(Refusal { status, wait: wait.map(Duration::from_secs), words: String::new() })
}
