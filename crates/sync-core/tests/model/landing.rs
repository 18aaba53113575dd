//! What came back: tells the machine, writes down what it rules and shows the reference what changed.

use std::time::Duration;

use sync_core::verdict::{EntriesVerdict, ItemVerdict, judge};
use sync_core::{
    Answer, Cause, Entry, Fate, Flight, Hints, LocalId, LookUp, Mapping, Obtained, Pass, Revision, Scope,
    ScopeId, Settled, Timestamp, lifetime,
};

use crate::cloud::{Sent, Token};
use crate::mutation::Mutation;
use crate::queue::{MAPPING_LIFE, Queue};
use crate::reference::Broken;
use crate::world::{Doom, Place, STORE_PAUSE, World, owner_of, tenant_name};

impl<Q: Queue> World<Q> {
    pub(crate) fn take_flight(
        &mut self,
        flight: &Flight,
        scope: ScopeId,
        sent: &[Sent],
        answer: &Answer,
        took: Duration,
    ) -> Result<(), Broken> {
        self.say(|| format!("landed: {answer:?}"));
        if self.die(Doom::BeforeSettling) {
            return Ok(());
        }
        let (now, dice) = (self.wall(), self.chance.draw());
        let before = self.all_entries();
        let mut heard = answer.clone();
        if self.mutated(Mutation::RetryAfterIsIgnored)
            && let Answer::Refused(refusal) = &mut heard
        {
            refusal.wait = None;
        }
        if scope != self.scope.0 {
            return self.take_in_late(flight, scope, sent, answer, &before);
        }
        let hints = self.hints();
        let landed = self.delivery.landed(flight, &heard, hints, took, now, dice);
        let kept = !self.disk_full;
        let settled_nothing = landed.settled.is_empty();
        if kept {
            let settled = self.mutate_settled(landed.settled, answer, flight);
            self.queue.settle(self.scope.0, &settled, dice, now);
            self.mutate_rows(flight, &settled, now);
            self.say(|| format!("settled: {}", fates(&settled)));
        } else {
            self.store_rests_until = self.now + STORE_PAUSE;
        }
        let after = self.all_entries();
        // What the machine calls astray is settled nowhere.
        let here = kept && !settled_nothing;
        self.reference.landed(self.now, flight, sent, answer, &before, &after, here)?;
        if self.die(Doom::AfterSettling) {
            return Ok(());
        }
        if here {
            self.promise(answer);
            self.keep_wait();
        }
        Ok(())
    }

    /// Now and then the cloud asks something of its daemons.
    fn hints(&mut self) -> Hints {
        let mut seconds =
            |most| self.chance.one_in(20).then(|| Duration::from_secs(self.chance.index(most) as u64));
        Hints { link_up_spread: seconds(100), probe_cap: seconds(1_000) }
    }

    /// The scope was left while it flew: what was delivered is written down where it belongs, and nothing else is
    /// concluded.
    fn take_in_late(
        &mut self,
        flight: &Flight,
        scope: ScopeId,
        sent: &[Sent],
        answer: &Answer,
        before: &[Entry],
    ) -> Result<(), Broken> {
        self.delivery.landed_late();
        if let EntriesVerdict::Each(each) = judge(&flight.locals(), flight.batch, answer).entries
            && !self.disk_full
        {
            let delivered = each.into_iter().filter_map(|(local, verdict)| {
                let ItemVerdict::Delivered(project) = verdict else { return None };
                let entry = flight.entries.iter().find(|entry| entry.registration.local == local)?;
                Some(Settled {
                    entry: entry.id,
                    local,
                    revision: entry.revision,
                    hash: entry.hash,
                    fate: Fate::Delivered(project),
                })
            });
            let (now, dice) = (self.wall(), self.chance.draw());
            self.queue.settle(scope, &delivered.collect::<Vec<_>>(), dice, now);
        }
        let after = self.all_entries();
        self.reference.landed(self.now, flight, sent, answer, before, &after, false)
    }

    /// The cloud's wish for patience, where it is to be obeyed.
    fn promise(&mut self, answer: &Answer) {
        if let Answer::Refused(refusal) = answer
            && let Some(wait) = refusal.wait
        {
            let longest = match refusal.status {
                429 => Duration::from_hours(1),
                // The wish of a proxy of this machine's.
                407 => return,
                _ => Duration::from_hours(6),
            };
            let until = self.now + i64::try_from(wait.min(longest).as_millis()).unwrap();
            self.reference.promised(self.owner(), until);
        }
    }

    fn keep_wait(&mut self) {
        let lasting = self.delivery.lasting(self.wall());
        if lasting != self.kept_wait {
            let text = lasting.map(|(cause, until)| format!("{} {}", cause.as_str(), until.0));
            self.queue.keep_wait(self.scope.0, text);
            self.kept_wait = lasting;
        }
        if lasting.is_some() {
            self.reference.promise_is_kept(self.owner());
        }
    }

    pub(crate) fn take_entry(
        &mut self,
        entry: &Entry,
        look_up: &LookUp,
        token: Option<Token>,
    ) -> Result<(), Broken> {
        self.say(|| format!("entry {} looked up: {look_up:?}", entry.id));
        let (now, dice) = (self.wall(), self.chance.draw());
        if entry.scope != self.scope.0 {
            self.delivery.landed_late();
            return Ok(());
        }
        let landed = self.delivery.looked_up(entry, look_up, now, dice);
        if let (LookUp::Found(_), Some(token)) = (look_up, token)
            && self.owner() == Some(token.tenant)
        {
            self.reference.adopted_in_conflict(token.tenant, entry);
        }
        if self.disk_full {
            self.store_rests_until = self.now + STORE_PAUSE;
        } else {
            self.queue.settle(self.scope.0, &landed.settled, dice, now);
        }
        if let LookUp::Failed(answer) = look_up {
            self.promise(answer);
            self.reference.came_to_nothing(self.now)?;
        }
        self.keep_wait();
        Ok(())
    }

    pub(crate) fn take_look_up(&mut self, local: LocalId, look_up: &LookUp, token: Option<Token>) {
        self.say(|| format!("looked up: {look_up:?}"));
        let (now, dice) = (self.wall(), self.chance.draw());
        self.wanted_look_ups.remove(&local);
        // What an older token was answered says nothing of this one.
        let stale = token != self.token;
        if !stale || !refuses_the_token(look_up) {
            self.delivery.heard(look_up, now, dice);
        }
        if token.map(|token| token.tenant) != self.owner() {
            return;
        }
        let scope = self.scope.0;
        let before = self.queue.mapping(scope, local);
        match look_up {
            LookUp::Found(project) => {
                let (expires_at, refresh_at) = lifetime(now, MAPPING_LIFE, dice);
                let mapping = Mapping {
                    local,
                    cloud: project.cloud,
                    tenant: None,
                    status: project.status.clone(),
                    sent: before.as_ref().and_then(|mapping| mapping.sent),
                    revision: before.map_or(Revision(0), |mapping| mapping.revision),
                    cached_at: now,
                    expires_at,
                    refresh_at,
                };
                self.queue.put_mapping(scope, mapping, now);
            }
            LookUp::Unknown => {
                if before.is_some() {
                    self.register_again(local, now);
                }
            }
            LookUp::Failed(answer) => self.promise(answer),
        }
    }

    pub(crate) fn take_credential(&mut self) {
        let (now, dice) = (self.wall(), self.chance.draw());
        let token = match self.place {
            Place::Nothing | Place::Fails => None,
            Place::Holds(token) => Some(token),
            Place::Makes(tenant, life) => Some(self.new_token(tenant, life, true)),
        };
        self.say(|| format!("credential: {token:?}"));
        let how = match token {
            Some(token) => Obtained::Pass(Pass {
                fingerprint: token.number,
                expires_at: token.tells_expiry.then_some(Timestamp(token.good_until)),
            }),
            None if self.place == Place::Fails => Obtained::Failed,
            None => Obtained::Nothing,
        };
        self.token = token;
        self.first_token = self.first_token.or(token);
        self.delivery.credential_obtained(how, now, dice);
        self.enter_scope(token, now);
    }

    fn enter_scope(&mut self, token: Option<Token>, now: Timestamp) {
        let before = self.scope.1.clone();
        let told = token.map(|token| tenant_name(token.tenant));
        let scope = Scope { tenant: told.unwrap_or(before.tenant.clone()), ..before.clone() };
        let owner = owner_of(&scope);
        let id = self.scope_of(owner);
        if self.scopes.iter().all(|(known, _)| *known != owner) {
            self.scopes.push((owner, id));
        }
        if scope != before {
            if let Some(tenant) = owner_of(&scope) {
                let from = self.scope_of(None);
                if !self.mutated(Mutation::AdoptionIsSkipped) {
                    self.queue.adopt(from, id, now);
                }
                self.reference.adopted(tenant);
            }
            self.delivery.enter_scope(now);
            self.kept_wait = None;
            self.say(|| format!("scope {scope}"));
        }
        if (!self.settled || scope != before) && !self.mutated(Mutation::WaitsAreForgottenOnRestart) {
            let kept = self.queue.kept_wait(id);
            let wait = kept
                .as_deref()
                .and_then(|text| text.split_once(' '))
                .and_then(|(cause, until)| Some((Cause::from_word(cause)?, Timestamp(until.parse().ok()?))));
            if let Some((cause, until)) = wait {
                self.delivery.restore(cause, until);
                self.kept_wait = wait;
            }
        }
        self.scope = (id, scope);
        self.settled = true;
        self.pull_in(now);
    }

    fn die(&mut self, at: Doom) -> bool {
        let dies = self.doom == Some(at);
        if dies {
            self.doom = None;
            self.kill();
        }
        dies
    }
}

fn refuses_the_token(look_up: &LookUp) -> bool {
    matches!(look_up, LookUp::Failed(Answer::Refused(refusal)) if refusal.status == 401)
}

pub(crate) fn fates(settled: &[Settled]) -> String {
    let fates = settled.iter().map(|one| {
        let text = format!("{:?}", one.fate);
        let word = text.split([' ', '(']).next().unwrap_or_default().to_owned();
        format!("{}r{} {word}", one.entry, one.revision)
    });
    fates.collect::<Vec<_>>().join(", ")
}
