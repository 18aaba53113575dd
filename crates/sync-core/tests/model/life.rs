//! What happens to a laptop, its owner and the cloud: one random event after another, and how a history ends.

use std::path::PathBuf;

use sync_core::{Asked, EntryId, LocalId, ProjectKind, Registration, Standing, Timestamp, Unreachable};
use uuid::Uuid;

use crate::chance::Chance;
use crate::cloud::{Fault, MACHINE, Poison};
use crate::mutation::Mutation;
use crate::queue::{Queue, Taken, Wish};
use crate::reference::Broken;
use crate::world::{Doom, Place, World};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Within this time after the last fault ended, everything that is not parked is in the cloud: the longest
/// Retry-After that is obeyed with its jitter, or the longest pause of an entry, and an hour.
pub(crate) const DELIVERED_WITHIN: i64 = 7 * HOUR + 5 * MINUTE;
/// And what is parked, or waits behind it: the daily retry, an hour of a refused tenant, and the above.
pub(crate) const EVERYTHING_WITHIN: i64 = DAY + 2 * HOUR + DELIVERED_WITHIN;

/// How a history goes: so many events over so many projects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) events: i64,
    pub(crate) projects: i64,
    /// One fault may last for weeks.
    pub(crate) long: bool,
    tenants: usize,
}

impl Plan {
    pub(crate) fn draw(chance: &mut Chance, most_events: i64) -> Self {
        Self {
            events: chance.between(5, most_events),
            projects: if chance.one_in(12) { chance.between(20, 60) } else { chance.between(1, 6) },
            long: chance.one_in(250),
            tenants: if chance.one_in(2) { 1 } else { 3 },
        }
    }
}

fn registration(number: i64, content: i64, nested: bool) -> Registration {
    let local = |number: i64| LocalId(Uuid::from_u128(u128::try_from(number).unwrap() + 1));
    Registration {
        local: local(number),
        machine: MACHINE,
        name: format!("p{number}"),
        root: PathBuf::from(format!("/w/p{number}")),
        language: String::new(),
        framework: String::new(),
        content_hash: content.to_string(),
        kind: ProjectKind::Standalone,
        parent: (nested && number > 0).then(|| local((number - 1) / 2)),
    }
}

impl<Q: Queue> World<Q> {
    /// Lives through one history.
    pub(crate) fn live(&mut self, most_events: i64) -> Result<(), Broken> {
        let plan = Plan::draw(&mut self.chance, most_events);
        self.say(|| format!("{plan:?}"));
        let tenant = self.chance.index(plan.tenants);
        self.place = match self.chance.index(4) {
            0 => Place::Nothing,
            1 => Place::Makes(tenant, HOUR),
            _ => Place::Holds(self.new_token(tenant, 400 * DAY, false)),
        };
        self.round()?;
        for _ in 0..plan.events {
            let gap = self.gap();
            self.advance(self.now + gap)?;
            self.event(plan)?;
            self.reference.outside(self.now);
            self.round()?;
            self.check()?;
        }
        self.end_well(plan)
    }

    fn gap(&mut self) -> i64 {
        let most = self.chance.pick(&[100, SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, HOUR]);
        self.chance.between(1, most)
    }

    fn check(&mut self) -> Result<(), Broken> {
        let rows = self.rows();
        self.reference.nothing_is_lost(&self.cloud, &rows)?;
        for (owner, _) in &rows {
            let Some(tenant) = *owner else { continue };
            let scope = self.scope_of(*owner);
            for mapping in self.queue.mappings(scope) {
                if !self.cloud.issued(tenant, mapping.local, mapping.cloud) {
                    return Err(format!(
                        "{} is answered in tenant {tenant} with a foreign UUID",
                        mapping.local
                    ));
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, plan: Plan) -> Result<(), Broken> {
        if !self.up {
            match self.chance.index(3) {
                0 => self.trouble(plan),
                1 => self.clock()?,
                _ => {
                    let down = self.chance.between(SECOND, 10 * MINUTE);
                    self.advance(self.now + down)?;
                    self.start(false);
                }
            }
            return Ok(());
        }
        match self.chance.index(40) {
            0..=13 => self.edit(plan)?,
            14..=19 => self.trouble(plan),
            20 => self.cloud.faults.clear(),
            21 | 22 => self.poison(plan),
            23 => {
                self.say(|| "flush".to_owned());
                self.hurry();
            }
            24 => self.retry_or_drop(true),
            25 => self.retry_or_drop(false),
            26 => {
                self.paused = !self.paused;
                let paused = self.paused;
                self.say(|| format!("paused: {paused}"));
            }
            27 | 28 => self.network_changed(),
            29 => self.clock()?,
            30 | 31 => {
                let span = self.chance.pick(&[MINUTE, HOUR, DAY, 20 * DAY]);
                self.say(|| format!("sleeps {} s", span / SECOND));
                self.slept(span)?;
            }
            32 => {
                self.kill();
            }
            33 => {
                self.doom = Some(self.chance.pick(&[Doom::BeforeSettling, Doom::AfterSettling]));
            }
            34 => {
                self.say(|| "ends in order".to_owned());
                self.kill();
                self.start(true);
            }
            35 | 36 => self.credential(plan),
            37 => {
                self.say(|| "reload".to_owned());
                self.reload();
            }
            38 => self.disk_full = !self.disk_full && self.chance.one_in(2),
            _ => self.ask_about(plan),
        }
        Ok(())
    }

    /// Somebody registers projects, new or changed or the same.
    fn edit(&mut self, plan: Plan) -> Result<(), Broken> {
        let several = self.chance.one_in(3);
        let count = if several { plan.projects } else { 1 };
        let asked = self.chance.pick(&[Asked::ByUser, Asked::ByDiscovery, Asked::ByDiscovery]);
        for _ in 0..count {
            let number = self.chance.between(0, plan.projects - 1);
            let content = if self.chance.one_in(4) { 0 } else { self.chance.between(0, 5) };
            let wish = Wish {
                registration: registration(number, content, plan.projects > 3),
                asked,
                force: self.chance.one_in(10),
            };
            self.enqueue(wish)?;
        }
        Ok(())
    }

    fn enqueue(&mut self, wish: Wish) -> Result<(), Broken> {
        if self.disk_full {
            // Refused, so nothing was promised.
            return Ok(());
        }
        let (owner, scope, now) = (self.owner(), self.scope.0, self.wall());
        let registration = wish.registration.clone();
        let (local, hash) = (registration.local, registration.payload_hash());
        self.say(|| format!("wish {} content {}", wish.registration.name, wish.registration.content_hash));
        if self.mutated(Mutation::WishesAreAcknowledgedBeforeTheyAreDurable) && self.chance.one_in(4) {
            self.reference.acknowledged(owner, registration, hash);
            return Ok(());
        }
        if self.mutated(Mutation::OlderContentStays)
            && self.queue.rows(scope).iter().any(|row| row.registration.local == local)
        {
            self.reference.acknowledged(owner, registration, hash);
            return Ok(());
        }
        match self.queue.enqueue(scope, wish, now) {
            Taken::Waits => self.reference.acknowledged(owner, registration, hash),
            Taken::Known => self.reference.said_to_be_known(&self.cloud, owner, local, hash)?,
        }
        Ok(())
    }

    /// The cloud forgot a project: it is registered again, as it was wanted last, under a revision of its own.
    pub(crate) fn register_again(&mut self, local: LocalId, now: Timestamp) {
        if self.disk_full {
            return;
        }
        let (scope, owner) = (self.scope.0, self.owner());
        if let Some(registration) = self.reference.wanted(owner, local) {
            self.say(|| format!("registers {} again", registration.name));
            let hash = registration.payload_hash();
            let wish = Wish { registration, asked: Asked::ByDiscovery, force: true };
            self.queue.enqueue(scope, wish, now);
            // What is in the air may have been taken before the cloud forgot; the next refresh tells.
            let rows = self.queue.rows(scope);
            if !rows.iter().any(|row| row.registration.local == local && self.in_the_air(row.id)) {
                self.reference.acknowledged_again(owner, local, hash);
            }
        }
        // Invariant: after the wish, so that its revision is one the cloud has not seen.
        self.queue.forget_mapping(scope, local);
    }

    fn trouble(&mut self, plan: Plan) {
        let chance = &mut self.chance;
        let wait =
            |chance: &mut Chance| chance.one_in(2).then(|| chance.pick(&[0, 1, 30, 120, 900, 7_200, 90_000]));
        let fault = match chance.index(24) {
            0 => Fault::NoAnswer(Unreachable::Dns, false),
            1 | 2 => Fault::NoAnswer(Unreachable::NoRoute, false),
            3 => Fault::NoAnswer(Unreachable::ConnectTimeout, false),
            4 => Fault::NoAnswer(Unreachable::ConnectRefused, false),
            5 => Fault::NoAnswer(Unreachable::Reset, chance.one_in(2)),
            6 => Fault::NoAnswer(Unreachable::Tls, false),
            7 | 8 => Fault::NoAnswer(Unreachable::AnswerTimeout, chance.one_in(2)),
            9 => Fault::Portal,
            10 => Fault::Redirect,
            11 => Fault::Certificate,
            12 => Fault::NoBatches(chance.pick(&[404, 405, 410, 426, 501])),
            13 => Fault::TooLarge(chance.index(4) + 1),
            14 => Fault::LeavesOut,
            15 => Fault::ItemsFail,
            16 => Fault::AcceptsOnly,
            17 => Fault::Panics,
            18 => Fault::Status(429, wait(chance)),
            19 => Fault::Status(503, wait(chance)),
            20 => Fault::Status(chance.pick(&[502, 504, 520, 522, 599]), wait(chance)),
            21 => Fault::Status(500, wait(chance)),
            22 => {
                Fault::Status(chance.pick(&[401, 402, 403, 404, 405, 407, 408, 409, 421, 425]), wait(chance))
            }
            _ => Fault::Status(chance.pick(&[400, 402, 403, 413, 422, 418]), wait(chance)),
        };
        let most = if plan.long && chance.one_in(4) {
            21 * DAY
        } else {
            chance.pick(&[SECOND, 20 * SECOND, 2 * MINUTE, 30 * MINUTE, 2 * HOUR])
        };
        let lasts = chance.between(1, most);
        self.say(|| format!("fault for {} s: {fault:?}", lasts / SECOND));
        self.cloud.faults.push((self.now, self.now + lasts, fault));
    }

    fn poison(&mut self, plan: Plan) {
        let number = self.chance.between(0, plan.projects - 1);
        let poison = match self.chance.index(14) {
            0 => Poison::Status(400),
            1 => Poison::Status(422),
            2 => Poison::Status(413),
            3 | 4 => Poison::Status(500),
            5 => Poison::Status(403),
            6 => Poison::ItemFails,
            7 => Poison::ItemIsTurnedAway,
            8 => Poison::ItemIsRejected,
            9 | 10 => Poison::Breaks,
            11 => Poison::Page,
            12 => Poison::Status(502),
            _ => self.chance.pick(&[Poison::Panics, Poison::Status(409)]),
        };
        let most = self.chance.pick(&[MINUTE, HOUR, 3 * DAY]);
        let lasts = self.chance.between(1, most);
        let local = registration(number, 0, false).local;
        self.say(|| format!("p{number} is poison for {} s: {poison:?}", lasts / SECOND));
        self.cloud.poison.insert(local, (self.now + lasts, poison));
    }

    fn retry_or_drop(&mut self, retry: bool) {
        let (scope, now, owner) = (self.scope.0, self.wall(), self.owner());
        let rows = self.queue.rows(scope);
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|row| if retry { row.standing == Standing::Dead } else { !self.in_the_air(row.id) })
            .collect();
        if rows.is_empty() || self.disk_full {
            return;
        }
        let row = rows[self.chance.index(rows.len())].clone();
        self.say(|| format!("{} {}", if retry { "retry" } else { "drop" }, row.id));
        if retry {
            self.queue.retry(row.id, now);
        } else {
            self.queue.drop_entry(row.id);
            self.reference.dropped(owner, row.registration.local);
            if let Some(tenant) = owner {
                self.cloud.never_mind(tenant, row.registration.local);
            }
        }
    }

    fn clock(&mut self) -> Result<(), Broken> {
        let by = self.chance.pick(&[5 * SECOND, HOUR, 3 * DAY, 400 * DAY]);
        let by = if self.chance.one_in(2) { by } else { -by };
        self.say(|| format!("the clock is set by {} s", by / SECOND));
        self.set_clock(by)
    }

    fn credential(&mut self, plan: Plan) {
        let tenant = self.chance.index(plan.tenants);
        self.place = match self.chance.index(8) {
            0 => Place::Nothing,
            1 => Place::Fails,
            2 | 3 => Place::Makes(tenant, HOUR),
            4 => Place::Holds(self.new_token(tenant, 10 * MINUTE, true)),
            // Revoked already, which only the cloud knows.
            5 => Place::Holds(self.new_token(tenant, 0, false)),
            _ => Place::Holds(self.new_token(tenant, 400 * DAY, false)),
        };
        let place = self.place;
        self.say(|| format!("the credential's place: {place:?}"));
        self.credential_changed();
    }

    /// Somebody resolves a project; now and then the cloud has forgotten it.
    fn ask_about(&mut self, plan: Plan) {
        let number = self.chance.between(0, plan.projects - 1);
        let local = registration(number, 0, false).local;
        if let Some(tenant) = self.owner()
            && self.chance.one_in(3)
            && self.cloud.forget(tenant, local)
        {
            self.say(|| format!("the cloud forgets p{number}"));
            self.reference.cloud_forgot(tenant, local);
        }
        self.want_look_up(local);
    }

    /// All faults end; from now on everything that can be delivered is, in every tenant, within the stated time.
    fn end_well(&mut self, plan: Plan) -> Result<(), Broken> {
        self.say(|| "all faults end".to_owned());
        let link_came = self.cloud.heal(self.now);
        if !self.chance.one_in(5) {
            self.cloud.poison.clear();
        }
        for (until, _) in self.cloud.poison.values_mut() {
            *until = i64::MAX;
        }
        (self.paused, self.disk_full, self.doom) = (false, false, None);
        if !self.up {
            self.start(false);
        }
        if link_came {
            self.network_changed();
        }
        let first = self.owner().unwrap_or(0);
        for tenant in (0..plan.tenants).map(|step| (first + step) % plan.tenants) {
            self.place = Place::Holds(self.new_token(tenant, 4_000 * DAY, false));
            self.say(|| format!("a good credential of tenant {tenant}"));
            self.credential_changed();
            self.reference.outside(self.now);
            let since = self.now;
            self.round()?;
            while self.now < since + EVERYTHING_WITHIN && !self.deliverable(true).is_empty() {
                let step = if self.now < since + HOUR { MINUTE } else { HOUR / 4 };
                self.advance(self.now + step)?;
                let late = self.deliverable(false);
                if self.now > since + DELIVERED_WITHIN && !late.is_empty() {
                    return Err(format!("entries {late:?} of tenant {tenant} are not delivered in time"));
                }
            }
            let late = self.deliverable(true);
            if !late.is_empty() {
                return Err(format!("entries {late:?} of tenant {tenant} are never delivered"));
            }
            self.check()?;
        }
        Ok(())
    }

    /// What waits and nothing is wrong with.
    fn deliverable(&mut self, parked_too: bool) -> Vec<EntryId> {
        let scope = self.scope.0;
        let rows = self.queue.rows(scope);
        rows.iter()
            .filter(|row| !self.cloud.poison.contains_key(&row.registration.local))
            .filter(|row| match row.standing {
                Standing::Ready => true,
                Standing::Parked => parked_too,
                Standing::Dead => false,
            })
            .map(|row| row.id)
            .collect()
    }
}
