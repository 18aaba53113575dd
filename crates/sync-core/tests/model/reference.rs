//! What must be true, said more simply than the machine does it.
//!
//! Knows what was acknowledged, what the cloud saw and how rows stood before and after; knows nothing of breakers,
//! groups or notes. Every check answers with the sentence that is broken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sync_core::{
    Answer, Entry, EntryId, Flight, ItemOutcome, LocalId, PayloadHash, Registration, Revision, ScopeId,
    Standing,
};
use uuid::Uuid;

use crate::cloud::{Cloud, Sent, TenantNumber};

/// A broken rule, as a sentence.
pub(crate) type Broken = String;

/// Whose: `None` while the tenant is not known.
pub(crate) type Owner = Option<TenantNumber>;

/// What somebody was promised.
#[derive(Clone, Debug)]
struct Want {
    registration: Registration,
    /// One of these has to arrive; more than one only where the clock went back between two wishes.
    hashes: Vec<PayloadHash>,
    number: u64,
    /// The cloud forgot it and the daemon does not know yet, or it was adopted with the content the cloud had.
    excused: bool,
}

/// So many requests that come to nothing may go in a minute, besides one for each thing that happens outside and the
/// searches by halves.
pub(crate) const IDLE_REQUESTS_PER_MINUTE: usize = 24;
const MINUTE: i64 = 60_000;
/// The shortest pause of an entry that had trouble of its own.
const OWN_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Reference {
    wants: BTreeMap<(Owner, LocalId), Want>,
    acknowledged: u64,
    /// Projects the cloud forgot, or whose entry was dropped when it might have arrived: what it has of them is not
    /// what the daemon knows.
    uncertain: BTreeSet<(Owner, LocalId)>,
    pub(crate) clock_went_back: bool,
    /// What the cloud saw last of each project.
    seen: BTreeMap<(TenantNumber, LocalId), (Revision, PayloadHash)>,
    keys: BTreeMap<(Owner, LocalId, Revision, PayloadHash), Uuid>,
    key_of: BTreeMap<Uuid, (Owner, LocalId, Revision, PayloadHash)>,
    /// Keys whose work was answered and written down.
    finished: BTreeSet<Uuid>,
    /// Until when nothing may be sent, in true time, and whether that was written down.
    promises: BTreeMap<Owner, (i64, bool)>,
    flying: BTreeMap<ScopeId, usize>,
    conflicted: BTreeSet<EntryId>,
    forbidden: BTreeSet<EntryId>,
    idle: VecDeque<i64>,
    /// What happened outside, each of which may cost a request.
    outside: VecDeque<i64>,
    pub(crate) most_idle: usize,
    pub(crate) requests: u64,
}

impl Reference {
    /// A wish was acknowledged.
    pub(crate) fn acknowledged(&mut self, owner: Owner, registration: Registration, hash: PayloadHash) {
        self.acknowledged += 1;
        let local = registration.local;
        // The same content may be in the air, and taken before the cloud forgot it.
        let excused = self
            .wants
            .get(&(owner, local))
            .is_some_and(|before| before.excused && before.hashes.contains(&hash));
        let want = Want { registration, hashes: vec![hash], number: self.acknowledged, excused };
        self.wants.insert((owner, local), want);
    }

    /// What was wanted last of a project.
    pub(crate) fn wanted(&self, owner: Owner, local: LocalId) -> Option<Registration> {
        self.wants.get(&(owner, local)).map(|want| want.registration.clone())
    }

    /// The daemon registers by itself what the cloud forgot.
    pub(crate) fn acknowledged_again(&mut self, owner: Owner, local: LocalId, hash: PayloadHash) {
        if let Some(want) = self.wants.get_mut(&(owner, local)) {
            (want.hashes, want.excused) = (vec![hash], false);
        }
    }

    /// A wish was answered with "the cloud has exactly this".
    pub(crate) fn said_to_be_known(
        &mut self,
        cloud: &Cloud,
        owner: Owner,
        local: LocalId,
        hash: PayloadHash,
    ) -> Result<(), Broken> {
        let excused = self.uncertain.contains(&(owner, local))
            || self.wants.get(&(owner, local)).is_some_and(|want| want.excused);
        match owner {
            Some(tenant) if excused || cloud.has(tenant, local, hash) => Ok(()),
            _ => Err(format!("{local} is said to be known with this content, and is not")),
        }
    }

    pub(crate) fn adopted(&mut self, tenant: TenantNumber) {
        let unowned: Vec<LocalId> =
            self.wants.keys().filter(|(owner, _)| owner.is_none()).map(|(_, local)| *local).collect();
        for local in unowned {
            let Some(mut newer) = self.wants.remove(&(None, local)) else { continue };
            if let Some(other) = self.wants.remove(&(Some(tenant), local)) {
                if self.clock_went_back {
                    newer.hashes.extend(other.hashes);
                    newer.excused |= other.excused;
                } else if other.number > newer.number {
                    newer = other;
                } else if other.hashes == newer.hashes {
                    newer.excused |= other.excused;
                }
            }
            // What the daemon was told before the cloud forgot makes it believe that nothing is left to send.
            newer.excused |= self.uncertain.contains(&(Some(tenant), local));
            self.wants.insert((Some(tenant), local), newer);
        }
    }

    /// A person took it out of the queue.
    pub(crate) fn dropped(&mut self, owner: Owner, local: LocalId) {
        self.wants.remove(&(owner, local));
        self.uncertain.insert((owner, local));
        // Its revisions may begin anew where the cloud was never heard of.
        let keys = &self.key_of;
        self.finished
            .retain(|key| keys.get(key).is_none_or(|(of, project, ..)| (*of, *project) != (owner, local)));
        if let Some(tenant) = owner {
            self.seen.remove(&(tenant, local));
        }
    }

    pub(crate) fn cloud_forgot(&mut self, tenant: TenantNumber, local: LocalId) {
        self.uncertain.insert((Some(tenant), local));
        if let Some(want) = self.wants.get_mut(&(Some(tenant), local)) {
            want.excused = true;
        }
    }

    /// A 202 the cloud did not mean, or a conflict that ended in the cloud's own content.
    pub(crate) fn adopted_in_conflict(&mut self, tenant: TenantNumber, entry: &Entry) {
        if self.conflicted.contains(&entry.id)
            && let Some(want) = self.wants.get_mut(&(Some(tenant), entry.registration.local))
        {
            want.excused = true;
        }
    }

    /// Something happened outside that may cost a request.
    pub(crate) fn outside(&mut self, now: i64) {
        self.outside.push_back(now);
    }

    /// The wall clock was set: waits by the wall clock say nothing of true time any more.
    pub(crate) fn clock_set(&mut self) {
        self.promises.clear();
    }

    pub(crate) fn promised(&mut self, owner: Owner, until: i64) {
        let before = self.promises.get(&owner).map_or(i64::MIN, |(until, _)| *until);
        self.promises.insert(owner, (until.max(before), false));
    }

    pub(crate) fn promise_is_kept(&mut self, owner: Owner) {
        if let Some((_, kept)) = self.promises.get_mut(&owner) {
            *kept = true;
        }
    }

    pub(crate) fn restarted(&mut self) {
        self.flying.clear();
        self.promises.retain(|_, (_, kept)| *kept);
    }

    /// Any request leaves.
    pub(crate) fn leaves(&mut self, now: i64, owner: Owner) -> Result<(), Broken> {
        self.requests += 1;
        match self.promises.get(&owner) {
            Some((until, _)) if now < *until => {
                Err(format!("a request goes {} ms before the Retry-After is over", until - now))
            }
            _ => Ok(()),
        }
    }

    /// A flight takes off with a token of `tenant`.
    pub(crate) fn takes_off(
        &mut self,
        scope: ScopeId,
        owner: Owner,
        tenant: Owner,
        flight: &Flight,
        sent: &[Sent],
    ) -> Result<(), Broken> {
        if flight.entries.is_empty() {
            return Err("a flight without entries".to_owned());
        }
        if flight.batch != (flight.entries.len() > 1) {
            return Err("several entries go to the endpoint of one, or the other way round".to_owned());
        }
        if tenant.is_some() && tenant != owner {
            return Err(format!("entries of {owner:?} go with a token of {tenant:?}"));
        }
        let flying = self.flying.entry(scope).or_default();
        *flying += 1;
        if *flying > 1 {
            return Err("a second registration request is in the air for this scope".to_owned());
        }
        for (index, (entry, sent)) in flight.entries.iter().zip(sent).enumerate() {
            if entry.scope != scope {
                return Err(format!("entry {} is of another scope", entry.id));
            }
            if entry.standing == Standing::Dead {
                return Err(format!("entry {} is dead and goes", entry.id));
            }
            let later = flight.entries.get(index + 1..).unwrap_or_default();
            if later.iter().any(|other| Some(other.registration.local) == entry.registration.parent) {
                return Err(format!("entry {} goes before its parent", entry.id));
            }
            let what = (owner, sent.local, sent.revision, sent.hash);
            if *self.keys.entry(what).or_insert(sent.key) != sent.key {
                return Err(format!("entry {} has another key than before", entry.id));
            }
            if *self.key_of.entry(sent.key).or_insert(what) != what {
                return Err(format!("entry {} has the key of another revision", entry.id));
            }
            if self.finished.contains(&sent.key) {
                return Err(format!("entry {} has the key of a request that was answered well", entry.id));
            }
        }
        Ok(())
    }

    /// The cloud sees registrations of one tenant.
    pub(crate) fn seen(&mut self, tenant: TenantNumber, sent: &[Sent]) -> Result<(), Broken> {
        for one in sent {
            let now = (one.revision, one.hash);
            let newest = self.seen.entry((tenant, one.local)).or_insert(now);
            let before = *newest;
            *newest = now.max(before);
            // An older wish for the same content undoes nothing.
            if now.0 < before.0 && now.1 != before.1 {
                return Err(format!("the cloud sees revision {} of {} after {}", now.0, one.local, before.0));
            }
            if now.0 == before.0 && now.1 != before.1 {
                return Err(format!("revision {} of {} has two contents", now.0, one.local));
            }
        }
        Ok(())
    }

    /// A flight landed and was written down; `kept` is false where it could not be, or its scope was left.
    #[expect(clippy::too_many_arguments, reason = "everything there is to compare")]
    pub(crate) fn landed(
        &mut self,
        now: i64,
        flight: &Flight,
        sent: &[Sent],
        answer: &Answer,
        before: &[Entry],
        after: &[Entry],
        kept: bool,
    ) -> Result<(), Broken> {
        for entry in &flight.entries {
            if let Some(flying) = self.flying.get_mut(&entry.scope) {
                *flying = 0;
            }
            if let Answer::Refused(refusal) = answer
                && flight.entries.len() == 1
            {
                match refusal.status {
                    409 => drop(self.conflicted.insert(entry.id)),
                    402 | 403 => drop(self.forbidden.insert(entry.id)),
                    _ => {}
                }
            }
        }
        let mut moved = match answer {
            Answer::Accepted(_) => true,
            Answer::Results(results) => {
                results.iter().any(|result| matches!(result.outcome, ItemOutcome::Accepted(_)))
            }
            Answer::Registered(_)
            | Answer::Unreachable(_)
            | Answer::Suspect(_)
            | Answer::Refused(_)
            | Answer::Internal(_) => false,
        };
        for row in before {
            let stands = after.iter().find(|other| other.id == row.id);
            let flew =
                flight.entries.iter().find(|entry| entry.id == row.id && entry.revision == row.revision);
            moved |= self.changes_rightly(row, stands, flew, flight, answer, kept)?;
        }
        for (entry, sent) in flight.entries.iter().zip(sent) {
            if before.iter().any(|row| row.id == entry.id && row.revision == entry.revision)
                && after.iter().all(|row| row.id != entry.id)
            {
                self.finished.insert(sent.key);
            }
        }
        if moved {
            return Ok(());
        }
        if flight.batch && splits(answer) {
            // The halves are a search; two more requests.
            self.outside(now);
            self.outside(now);
        }
        self.came_to_nothing(now)
    }

    /// A request that changed nothing.
    pub(crate) fn came_to_nothing(&mut self, now: i64) -> Result<(), Broken> {
        self.idle.push_back(now);
        for queue in [&mut self.idle, &mut self.outside] {
            while queue.front().is_some_and(|at| *at <= now - MINUTE) {
                queue.pop_front();
            }
        }
        let idle = self.idle.len().saturating_sub(self.outside.len());
        self.most_idle = self.most_idle.max(idle);
        if idle > IDLE_REQUESTS_PER_MINUTE {
            return Err(format!("{idle} requests in a minute came to nothing"));
        }
        Ok(())
    }

    /// Answers whether the row got further.
    fn changes_rightly(
        &self,
        row: &Entry,
        stands: Option<&Entry>,
        flew: Option<&Entry>,
        flight: &Flight,
        answer: &Answer,
        kept: bool,
    ) -> Result<bool, Broken> {
        let id = row.id;
        let Some(stands) = stands else {
            let good = match answer {
                Answer::Registered(_) | Answer::Accepted(Some(_)) => true,
                Answer::Results(results) => results.iter().any(|result| {
                    result.local == row.registration.local
                        && matches!(result.outcome, ItemOutcome::Done(_) | ItemOutcome::Accepted(Some(_)))
                }),
                Answer::Unreachable(_)
                | Answer::Suspect(_)
                | Answer::Refused(_)
                | Answer::Accepted(None)
                | Answer::Internal(_) => false,
            };
            return if flew.is_some() && good {
                Ok(true)
            } else {
                Err(format!("entry {id} is gone, and the cloud did not say that it has this revision"))
            };
        };
        let Some(_) = flew else {
            if stands == row {
                return Ok(false);
            }
            // The exception: another's success shows that this project itself was refused.
            let parked = stands.standing == Standing::Parked && stands.attempts == row.attempts;
            let passed = matches!(answer, Answer::Registered(_) | Answer::Accepted(_) | Answer::Results(_));
            return if parked && passed && self.forbidden.contains(&id) {
                Ok(true)
            } else {
                Err(format!("entry {id} changes by the flight of others: {row:?} becomes {stands:?}"))
            };
        };
        if (stands.revision, &stands.registration) != (row.revision, &row.registration) {
            return Err(format!("entry {id} has other content after its flight"));
        }
        let counted = stands.attempts.checked_sub(row.attempts).ok_or(format!("entry {id} lost attempts"))?;
        let (least, most) = if kept { counts(answer, flight, row) } else { (0, 0) };
        if counted < least || counted > most {
            return Err(format!("entry {id} was counted {counted} times for {answer:?}"));
        }
        if stands.standing == Standing::Dead && counted == 0 && row.standing != Standing::Dead {
            return Err(format!("entry {id} is dead, and nothing was counted"));
        }
        // An entry with a pause of its own is not what makes requests frequent.
        let pauses = stands.last_failure != row.last_failure
            && stands.last_failure.as_ref().is_some_and(|failure| stands.due.since(failure.at) >= OWN_PAUSE);
        Ok(counted > 0 || stands.standing != row.standing || pauses)
    }

    /// Nothing that was acknowledged is lost; at most one row for each project; no mapping of another tenant.
    pub(crate) fn nothing_is_lost(&self, cloud: &Cloud, rows: &[(Owner, Vec<Entry>)]) -> Result<(), Broken> {
        for (owner, rows) in rows {
            let locals: BTreeSet<LocalId> = rows.iter().map(|row| row.registration.local).collect();
            if locals.len() != rows.len() {
                return Err("two rows of one project".to_owned());
            }
            for row in rows {
                let want = self.wants.get(&(*owner, row.registration.local));
                if row.hash != row.registration.payload_hash() {
                    return Err(format!("entry {} has another hash than its payload", row.id));
                }
                if want.is_none_or(|want| !want.hashes.contains(&row.hash)) {
                    return Err(format!("entry {} waits with content nobody wants", row.id));
                }
            }
        }
        for ((owner, local), want) in &self.wants {
            let waits = rows.iter().any(|(of, rows)| {
                of == owner
                    && rows
                        .iter()
                        .any(|row| row.registration.local == *local && want.hashes.contains(&row.hash))
            });
            let arrived = owner.is_some_and(|tenant| {
                want.excused || want.hashes.iter().any(|hash| cloud.has(tenant, *local, *hash))
            });
            if !waits && !arrived {
                return Err(format!(
                    "{local} of {owner:?} was acknowledged and is neither in the cloud nor waiting"
                ));
            }
        }
        Ok(())
    }
}

/// How often an entry of this flight may be counted at least and at most: the table, said once more.
fn counts(answer: &Answer, flight: &Flight, row: &Entry) -> (u32, u32) {
    let single = flight.entries.len() == 1;
    match answer {
        Answer::Internal(_) if single => (1, 1),
        Answer::Refused(refusal) if single => match refusal.status {
            // Three times alone while others pass; the machine knows how often.
            500 => (0, 1),
            401..=405 | 407..=410 | 421 | 425 | 426 | 429 | 501.. => (0, 0),
            // With a wish for patience it may be the moment that is meant.
            413 if refusal.wait.is_some() => (0, 0),
            _ => (1, 1),
        },
        Answer::Internal(_)
        | Answer::Refused(_)
        | Answer::Unreachable(_)
        | Answer::Suspect(_)
        | Answer::Registered(_)
        | Answer::Accepted(_) => (0, 0),
        Answer::Results(results) => {
            let result = results.iter().find(|result| result.local == row.registration.local);
            match result.map(|result| &result.outcome) {
                Some(ItemOutcome::Failed(_) | ItemOutcome::Rejected(_)) => {
                    let names_any = results.iter().any(|result| flight.locals().contains(&result.local));
                    (u32::from(names_any), u32::from(names_any))
                }
                Some(ItemOutcome::Done(_) | ItemOutcome::Accepted(_) | ItemOutcome::NotNow(_)) => (0, 0),
                None => (0, 1),
            }
        }
    }
}

fn splits(answer: &Answer) -> bool {
    match answer {
        Answer::Internal(_) => true,
        Answer::Refused(refusal) => {
            !matches!(refusal.status, 401 | 404 | 405 | 407 | 408 | 410 | 421 | 425 | 426 | 429 | 501..)
        }
        Answer::Unreachable(_)
        | Answer::Suspect(_)
        | Answer::Registered(_)
        | Answer::Results(_)
        | Answer::Accepted(_) => false,
    }
}
