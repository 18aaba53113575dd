//! Carries out the ruling on what came back from a flight or a look-up.

use std::time::Duration;

use super::note::{Ask, Group, SUSPECT_FROM, Witness};
use super::{Air, BATCHES_RETRIED_AFTER, Delivery, Flight, MOST_LINK_UP_SPREAD, MOST_PROBE_CAP};
use crate::answer::{Answer, Hints, LookUp};
use crate::backoff::{Throws, between, doubled};
use crate::breaker::Cause;
use crate::entry::{Entry, Failure, Fate, Settled, Standing};
use crate::mapping::{Progress, progress};
use crate::time::Timestamp;
use crate::verdict::{EntriesVerdict, Fault, ItemVerdict, PaceVerdict, ScopeVerdict, Verdict, Words, judge};

/// What follows from an answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Landed {
    /// What becomes of entries; to be applied in one commit. May name an entry that was not in the flight, where its
    /// flight only made clear what another's refusal meant.
    pub settled: Vec<Settled>,
    /// What went wrong, for the status and the log.
    pub trouble: Option<Words>,
    /// Whether the next request needs a new connection.
    pub fresh_connection: bool,
    /// Whether the exchange was good.
    pub good: bool,
}

/// What follows from a look-up about an entry.
pub type LookedUp = Landed;

const ITEM_LONGEST: Duration = Duration::from_hours(6);
const PARKED_FOR: Duration = Duration::from_hours(24);
/// The first and the longest pause before the cloud is asked what became of something it accepted.
const ACCEPTED_ASKED_AFTER: Duration = Duration::from_secs(30);
const ACCEPTED_LONGEST: Duration = Duration::from_hours(1);
const CONFLICTS_RETRIED: u32 = 3;
const STUMBLES_COUNTED: u32 = 3;

impl Delivery {
    /// Takes in what came back from `flight` after `took`.
    pub fn landed(
        &mut self,
        flight: &Flight,
        answer: &Answer,
        hints: Hints,
        took: Duration,
        now: Timestamp,
        dice: u64,
    ) -> Landed {
        let mut throws = Throws::new(dice);
        let Verdict { scope, pace, entries, trouble, patience } =
            judge(&flight.locals(), flight.batch, answer);
        let air = self.air.take();
        self.left_open(flight, answer, now);
        if air.is_some_and(|air| air.astray) {
            return astray();
        }
        // An endpoint that is not there says nothing of them: to send them one by one is no repeat.
        if scope != ScopeVerdict::NoBatches {
            for entry in &flight.entries {
                self.lane.notes.tried(entry);
            }
        }
        let was_open = self.lane.breaker.waiting().is_some();
        let fresh_connection = self.rule_on_scope(scope, air, now, &mut throws);
        if was_open && self.lane.breaker.waiting().is_none() {
            self.lane.retries.recovered(now);
        }
        match pace {
            PaceVerdict::Same => {}
            PaceVerdict::Good => self.lane.pace.good(flight.entries.len(), took),
            PaceVerdict::Halve => self.lane.pace.halve(),
            PaceVerdict::TimedOut => self.lane.pace.timed_out(),
            // One project that is too large says nothing of how many may go together.
            PaceVerdict::TooLarge if flight.entries.len() < 2 => self.lane.pace.one_was_too_large(),
            PaceVerdict::TooLarge => self.lane.pace.too_large(flight.entries.len(), now),
        }
        let good = pace == PaceVerdict::Good;
        let mut settled = Vec::new();
        match entries {
            EntriesVerdict::Return => {
                let may_cause_it =
                    matches!(scope, ScopeVerdict::Wait { cause: Cause::Server | Cause::Portal, .. });
                for entry in &flight.entries {
                    let due =
                        if may_cause_it { self.suspicion(flight, entry, now, &mut throws) } else { now };
                    settled.push(back(entry, due, None));
                }
            }
            EntriesVerdict::Each(each) => {
                self.take_hints(hints);
                settled.extend(flight.entries.iter().map(|entry| {
                    let verdict = each.iter().find(|(local, _)| *local == entry.registration.local);
                    self.rule_on_one(entry, verdict.map(|(_, verdict)| verdict), now, &mut throws)
                }));
                // Where all are turned away nothing has passed.
                if each.is_empty()
                    || each.iter().any(|(_, verdict)| !matches!(verdict, ItemVerdict::NotNow(_)))
                {
                    settled.extend(self.lane_passed(now));
                }
            }
            EntriesVerdict::AskLater(cloud) => {
                self.take_hints(hints);
                for entry in &flight.entries {
                    self.lane.notes.ask(entry, Ask::Accepted(cloud));
                    settled.push(back(entry, self.asked_again(entry, now, &mut throws), None));
                }
                settled.extend(self.lane_passed(now));
            }
            EntriesVerdict::Split(fault) => match flight.entries.as_slice() {
                [only] => settled.push(self.rule_on_single(only, fault, now, &mut throws)),
                several => {
                    self.split(several, &fault);
                    settled.extend(several.iter().map(|entry| back(entry, now, None)));
                }
            },
        }
        self.be_patient(patience, now, &mut throws);
        Landed { settled, trouble, fresh_connection, good }
    }

    /// What of a flight may still be carried out after this answer: newer content of those projects waits.
    pub fn left_open(&mut self, flight: &Flight, answer: &Answer, now: Timestamp) {
        let open = flight.entries.iter().filter(|entry| answer.leaves_open(entry.registration.local));
        self.unanswered.add(open, now, self.policy.request_lifetime);
    }

    /// A flight is given up before it lands, in the scope it was sent in or another: it may still be carried out, and to
    /// send it again is a repeat.
    pub fn given_up(&mut self, flight: &Flight, now: Timestamp) {
        self.unanswered.add(&flight.entries, now, self.policy.request_lifetime);
        if !self.air.take().is_some_and(|air| air.astray) {
            for entry in &flight.entries {
                self.lane.notes.tried(entry);
            }
        }
    }

    /// What was planned does not take off, or what was in the air for a scope that was left has landed: nothing is
    /// concluded from it, and the next may be sent.
    pub fn landed_late(&mut self) {
        self.air = None;
    }

    /// Takes in what the cloud said of an entry's project.
    pub fn looked_up(&mut self, entry: &Entry, look_up: &LookUp, now: Timestamp, dice: u64) -> LookedUp {
        let mut throws = Throws::new(dice);
        let air = self.air.take();
        if air.is_some_and(|air| air.astray) {
            return astray();
        }
        let (fate, trouble) = match look_up {
            LookUp::Failed(answer) => {
                let verdict = judge(&[entry.registration.local], false, answer);
                self.rule_on_look_up(&verdict, air, now, &mut throws);
                self.be_patient(verdict.patience, now, &mut throws);
                let due = self.asked_again(entry, now, &mut throws);
                (Fate::Back { due, failure: None }, verdict.trouble)
            }
            LookUp::Found(project) => {
                self.lane.breaker.passed(now);
                match progress(&project.status) {
                    Progress::Done => {
                        self.lane.notes.forget(entry.id);
                        (Fate::Delivered(project.clone()), None)
                    }
                    Progress::Pending => {
                        self.lane.notes.ask(entry, Ask::Accepted(Some(project.cloud)));
                        (Fate::Back { due: self.asked_again(entry, now, &mut throws), failure: None }, None)
                    }
                    Progress::Failed => {
                        self.lane.notes.forget(entry.id);
                        let message = format!("the cloud accepted it and then said `{}`", project.status);
                        let words = Words { code: "item_failed".to_owned(), message };
                        (self.counted(entry, &words, now, &mut throws), None)
                    }
                }
            }
            LookUp::Unknown => {
                self.lane.breaker.passed(now);
                match self.lane.notes.asked(entry.id) {
                    Some(Ask::Conflict) => {
                        self.lane.notes.forget(entry.id);
                        let message = "the cloud calls it a conflict and does not know it".to_owned();
                        (Fate::Bury(Failure { code: "conflict".to_owned(), message, at: now }), None)
                    }
                    // It said yes and did nothing: sent again.
                    Some(Ask::Accepted(_)) | None => {
                        (Fate::Back { due: self.asked_again(entry, now, &mut throws), failure: None }, None)
                    }
                }
            }
        };
        let good = trouble.is_none();
        Landed { settled: vec![settle(entry, fate)], trouble, fresh_connection: false, good }
    }

    /// Takes in the answer to a look-up that belongs to no entry: only what it says of the way.
    pub fn heard(&mut self, look_up: &LookUp, now: Timestamp, dice: u64) -> Option<Words> {
        let mut throws = Throws::new(dice);
        match look_up {
            LookUp::Found(_) | LookUp::Unknown => {
                self.lane.ever_good = true;
                self.credential.accepted();
                if self.lane.breaker.waiting().is_some() {
                    self.lane.breaker.passed(now);
                }
                None
            }
            LookUp::Failed(answer) => {
                let verdict = judge(&[], false, answer);
                self.rule_on_look_up(&verdict, None, now, &mut throws);
                self.be_patient(verdict.patience, now, &mut throws);
                verdict.trouble
            }
        }
    }

    /// When the cloud is asked (again) what became of something it accepted, or it is sent again.
    fn asked_again(&mut self, entry: &Entry, now: Timestamp, throws: &mut Throws) -> Timestamp {
        let pause = doubled(ACCEPTED_ASKED_AFTER, self.lane.notes.asked_before(entry), ACCEPTED_LONGEST);
        now.after(between(pause, pause * 2, throws.draw()))
    }

    /// The way failed under an entry. From when it may go again: at once, unless the way fails with it time and again
    /// and not without it; a gateway that breaks over one project must not keep the others waiting.
    fn suspicion(
        &mut self,
        flight: &Flight,
        entry: &Entry,
        now: Timestamp,
        throws: &mut Throws,
    ) -> Timestamp {
        let alone = flight.entries.len() == 1;
        let times = self.lane.notes.way_failed(entry, alone, self.lane.passes);
        match times.checked_sub(SUSPECT_FROM) {
            Some(more) if alone => now.after(self.item_pause(more, throws.draw())),
            Some(_) | None => now,
        }
    }

    /// A look-up tells less than a registration: a status that belongs to its own endpoint says nothing of the way,
    /// and neither does a stumble over one project.
    fn rule_on_look_up(&mut self, verdict: &Verdict, air: Option<Air>, now: Timestamp, throws: &mut Throws) {
        match verdict.scope {
            ScopeVerdict::Wait { cause: Cause::Protocol, .. }
            | ScopeVerdict::NoBatches
            | ScopeVerdict::OnceMore => {}
            ScopeVerdict::Wait { told: None, .. } if matches!(verdict.entries, EntriesVerdict::Split(_)) => {}
            scope @ (ScopeVerdict::Good
            | ScopeVerdict::Unchanged
            | ScopeVerdict::Wait { .. }
            | ScopeVerdict::CredentialRefused) => {
                self.rule_on_scope(scope, air, now, throws);
            }
        }
    }

    /// Answers whether the next request needs a new connection.
    fn rule_on_scope(
        &mut self,
        scope: ScopeVerdict,
        air: Option<Air>,
        now: Timestamp,
        throws: &mut Throws,
    ) -> bool {
        let again = std::mem::take(&mut self.lane.once_more);
        match scope {
            ScopeVerdict::Unchanged => {}
            ScopeVerdict::Good => {
                self.lane.breaker.passed(now);
                self.credential.accepted();
            }
            ScopeVerdict::Wait { cause, told } => self.wait(cause, told, now, throws),
            // What was refused is not what would be sent now.
            ScopeVerdict::CredentialRefused
                if air.is_some_and(|air| air.fingerprint != self.credential.fingerprint()) => {}
            ScopeVerdict::CredentialRefused => self.credential.refused(now, throws.draw()),
            ScopeVerdict::OnceMore if again => self.wait(Cause::Server, None, now, throws),
            ScopeVerdict::OnceMore => self.lane.once_more = true,
            ScopeVerdict::NoBatches => {
                self.lane.no_batches_until = Some(now.after(BATCHES_RETRIED_AFTER));
                self.lane.groups.clear();
            }
        }
        self.lane.once_more
    }

    /// What the cloud asked for is obeyed, whatever else its answer says.
    fn be_patient(&mut self, told: Option<Duration>, now: Timestamp, throws: &mut Throws) {
        if let Some(told) = told {
            self.lane.breaker.asked(told, now, throws.draw());
        }
    }

    fn wait(&mut self, cause: Cause, told: Option<Duration>, now: Timestamp, throws: &mut Throws) {
        self.lane.breaker.failed(cause, told, now, throws.draw());
        self.lane.lone_stumble = false;
        self.lane.pace.restart();
    }

    /// A registration was taken: the way is good, and who was refused meanwhile was meant himself. Where several were, and
    /// nothing was sent for a while because all seemed to be, each is tried once more: it may have been the tenant.
    fn lane_passed(&mut self, now: Timestamp) -> Vec<Settled> {
        self.lane.passes += 1;
        (self.lane.ever_good, self.lane.careful) = (true, false);
        self.lane.stumblers.clear();
        self.lane.retries.earn();
        let witnesses = self.lane.notes.witnesses();
        let several = std::mem::take(&mut self.lane.batch_forbidden) || witnesses.len() > 1;
        if std::mem::take(&mut self.lane.all_forbidden) && several {
            for witness in witnesses {
                self.lane.notes.acquit(witness.entry);
            }
            return Vec::new();
        }
        witnesses
            .into_iter()
            .map(|Witness { entry, local, revision, hash }| {
                self.lane.notes.forget(entry);
                Settled { entry, local, revision, hash, fate: parked(now) }
            })
            .collect()
    }

    /// Takes in what the cloud asks of its daemons: with an answer, or as an earlier process kept it.
    pub fn take_hints(&mut self, hints: Hints) {
        if let Some(spread) = hints.link_up_spread {
            self.lane.hints.link_up_spread = Some(spread.min(MOST_LINK_UP_SPREAD));
        }
        if let Some(cap) = hints.probe_cap {
            let cap = cap.min(MOST_PROBE_CAP);
            self.lane.hints.probe_cap = Some(cap);
            self.lane.breaker.cap_probes(cap);
        }
    }

    /// What the cloud asked of its daemons, to be kept.
    pub fn hints(&self) -> Hints {
        self.lane.hints
    }

    fn rule_on_one(
        &mut self,
        entry: &Entry,
        verdict: Option<&ItemVerdict>,
        now: Timestamp,
        throws: &mut Throws,
    ) -> Settled {
        let fate = match verdict {
            Some(ItemVerdict::Delivered(project)) => Fate::Delivered(project.clone()),
            Some(ItemVerdict::AskLater(cloud)) => {
                self.lane.notes.ask(entry, Ask::Accepted(*cloud));
                Fate::Back { due: self.asked_again(entry, now, throws), failure: None }
            }
            Some(ItemVerdict::NotNow(words)) if entry.standing == Standing::Parked => {
                Fate::Park { due: now.after(PARKED_FOR), failure: failure(words, now) }
            }
            Some(ItemVerdict::NotNow(words)) => {
                let times = self.lane.notes.turned_away(entry);
                let due = now.after(self.item_pause(times - 1, throws.draw()));
                Fate::Back { due, failure: Some(failure(words, now)) }
            }
            Some(ItemVerdict::Rejected(words)) => Fate::Bury(failure(words, now)),
            Some(ItemVerdict::Failed(words)) => self.counted(entry, words, now, throws),
            None if self.lane.notes.left_out(entry) < 2 => Fate::Back { due: now, failure: None },
            None => {
                let message = "the cloud left it out of its results".to_owned();
                self.counted(entry, &Words { code: "left_out".to_owned(), message }, now, throws)
            }
        };
        if matches!(fate, Fate::Delivered(_) | Fate::Bury(_)) {
            self.lane.notes.forget(entry.id);
        }
        settle(entry, fate)
    }

    /// A request with one project was not taken: the reason is its own, unless it is the tenant's or the cloud's.
    fn rule_on_single(
        &mut self,
        entry: &Entry,
        fault: Fault,
        now: Timestamp,
        throws: &mut Throws,
    ) -> Settled {
        let fate = match fault {
            Fault::Rejected(words) | Fault::TooLarge(words) => {
                self.lane.notes.forget(entry.id);
                Fate::Bury(failure(&words, now))
            }
            Fault::Internal(words) => self.counted(entry, &words, now, throws),
            Fault::Stumbled(words) => match self.stumbled(entry) {
                (times, true) if times >= STUMBLES_COUNTED => {
                    self.lane.notes.stumbles_are_counted(entry);
                    self.counted(entry, &words, now, throws)
                }
                (times, true) => Fate::Back {
                    due: now.after(self.item_pause(times - 1, throws.draw())),
                    failure: Some(failure(&words, now)),
                },
                (_, false) => Fate::Back { due: now, failure: Some(failure(&words, now)) },
            },
            Fault::Conflict(words) => {
                let times = self.lane.notes.conflict(entry);
                if times > CONFLICTS_RETRIED {
                    self.lane.notes.ask(entry, Ask::Conflict);
                }
                let pause = if times > CONFLICTS_RETRIED {
                    Duration::ZERO
                } else {
                    self.item_pause(times - 1, throws.draw())
                };
                Fate::Back { due: now.after(pause), failure: Some(failure(&words, now)) }
            }
            // It was this one's own already, and is: nobody else waits for that.
            Fault::Forbidden(words) if entry.standing == Standing::Parked => {
                Fate::Park { due: now.after(PARKED_FOR), failure: failure(&words, now) }
            }
            Fault::Forbidden(_) if self.lane.notes.was_acquitted(entry) => {
                self.lane.notes.forget(entry.id);
                parked(now)
            }
            Fault::Forbidden(words) => {
                let others = self.lane.notes.witnesses().iter().any(|witness| witness.entry != entry.id);
                let again = self.lane.notes.witness(entry);
                if others || again || self.lane.batch_forbidden || !self.lane.ever_good {
                    self.lane.all_forbidden = true;
                    self.wait(Cause::Forbidden, None, now, throws);
                }
                Fate::Back { due: now, failure: Some(failure(&words, now)) }
            }
        };
        settle(entry, fate)
    }

    /// The cloud stumbled over one entry alone. Answers the times so far and whether something else passed meanwhile.
    fn stumbled(&mut self, entry: &Entry) -> (u32, bool) {
        let what = (entry.id, entry.revision);
        if !self.lane.stumblers.contains(&what) {
            self.lane.stumblers.push(what);
        }
        self.lane.lone_stumble = self.lane.stumblers.len() == 1;
        self.lane.notes.stumbled(entry, self.lane.passes)
    }

    /// A request with several projects was not taken as a whole: look for the one at fault by halves.
    fn split(&mut self, entries: &[Entry], fault: &Fault) {
        let after_passes = match fault {
            // The cloud itself may be at fault until something else passes.
            Fault::Stumbled(_) => Some(self.lane.passes),
            Fault::Forbidden(_) => {
                self.lane.batch_forbidden = true;
                Some(self.lane.passes)
            }
            Fault::Rejected(_) | Fault::TooLarge(_) | Fault::Conflict(_) | Fault::Internal(_) => None,
        };
        let (first, second) = entries.split_at(entries.len() / 2);
        // The last group goes first.
        for half in [second, first] {
            let members = half.iter().map(|entry| (entry.id, entry.revision)).collect();
            self.lane.groups.push(Group { members, after_passes });
        }
    }

    fn counted(&self, entry: &Entry, words: &Words, now: Timestamp, throws: &mut Throws) -> Fate {
        let failure = failure(words, now);
        if entry.attempts.saturating_add(1) >= self.policy.max_retries {
            return Fate::Bury(failure);
        }
        Fate::Retry { due: now.after(self.item_pause(entry.attempts, throws.draw())), failure }
    }

    fn item_pause(&self, attempts: u32, dice: u64) -> Duration {
        let longest = doubled(self.policy.item_initial, attempts, ITEM_LONGEST);
        between(longest / 2, longest, dice)
    }
}

/// What was in the air for a scope that was left: the rows are as they were, and go again under the same key.
fn astray() -> Landed {
    Landed { settled: Vec::new(), trouble: None, fresh_connection: false, good: false }
}

/// Refused while others are taken.
fn parked(now: Timestamp) -> Fate {
    let message = "the cloud refuses this project and takes others".to_owned();
    let failure = Failure { code: "http_403".to_owned(), message, at: now };
    Fate::Park { due: now.after(PARKED_FOR), failure }
}

fn back(entry: &Entry, due: Timestamp, failure: Option<Failure>) -> Settled {
    settle(entry, Fate::Back { due, failure })
}

fn settle(entry: &Entry, fate: Fate) -> Settled {
    Settled {
        entry: entry.id,
        local: entry.registration.local,
        revision: entry.revision,
        hash: entry.hash,
        fate,
    }
}

fn failure(words: &Words, now: Timestamp) -> Failure {
    Failure { code: words.code.clone(), message: words.message.clone(), at: now }
}
