//! The delivery loop: asks the machine what to do, does it, and tells the machine what came back.
//!
//! It waits in one place. What it does to the queue is settled in one commit per answer; what is in the air when the
//! daemon ends is simply still waiting, and goes again under the same key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_cloud::{Cloud, LookUpReply, Reply, Token};
use sync_core::{
    Answer, CloudId, Delivery, Entry, Flight, Heads, Held, Hints, LocalId, LookUp, ScopeId, Standing, Step,
    Tenant, Timestamp, Tokens, Unreachable, Wants, Why,
};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use uuid::Uuid;

mod ahead;
mod credential;
mod keep;
mod lately;
mod look_up;
mod publish;
mod refreshes;
mod settle;
mod status;
mod upkeep;

use super::flight::{Errand, Landing, fly};
use super::holds::LOOK_AGAIN;
use ahead::Ahead;
use credential::LONGEST_READY;
use lately::Lately;
use refreshes::Refreshes;
use settle::LONGEST_STORE_PAUSE;
use upkeep::Upkeep;

use super::{CurrentScope, Engine, Settings};
use crate::blocking::is_of_threads;
use crate::clock::Nap;
use crate::supervisor::panic_text;

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliverError {
    /// The store is not usable.
    #[error("use the store: {0}")]
    Store(String),
    /// The store is damaged or closed; only a new start helps.
    #[error("use the store: {0}")]
    StoreLost(String),
    /// The cloud client cannot be built.
    #[error("build the cloud client: {0}")]
    Cloud(#[from] sync_cloud::Error),
}

impl From<sync_store::Error> for DeliverError {
    fn from(error: sync_store::Error) -> Self {
        let words = crate::chain(&error);
        match error {
            sync_store::Error::Broken { .. } | sync_store::Error::Closed => Self::StoreLost(words),
            sync_store::Error::Full
            | sync_store::Error::Busy
            | sync_store::Error::Newer { .. }
            | sync_store::Error::Row { .. }
            | sync_store::Error::QueueFull { .. }
            | sync_store::Error::Other { .. } => Self::Store(words),
        }
    }
}

const MOST_UNSENT: u32 = 1_000;
/// A healthy request has landed by then.
const GIVEN_UP_FROM: Duration = Duration::from_millis(500);

/// Runs the loop until the daemon stops.
///
/// # Errors
/// When the store is damaged or closed under it, or the configured cloud cannot be spoken to at all.
pub(crate) async fn deliver(engine: Engine) -> Result<(), DeliverError> {
    let mut desk = Desk::new(engine)?;
    if let Err(error) = desk.begin().await {
        desk.store_trouble(error)?;
    }
    desk.ask_for_credential();
    let stop = desk.engine.0.stop.clone();
    while !stop.is_finishing() {
        let round = match desk.round().await {
            Ok(pause) => desk.keep_up(pause).await,
            Err(error) => Err(error),
        };
        let pause = match round {
            Ok(pause) => pause,
            Err(error) => {
                desk.store_trouble(error)?;
                continue;
            }
        };
        let settings = Arc::clone(&desk.settings);
        let clock = desk.engine.0.clock.clone();
        let engine = desk.engine.clone();
        tokio::select! {
            () = stop.finishing() => break,
            Some(landed) = desk.airborne.join_next_with_id() => {
                if let Err(error) = desk.take_in(landed).await {
                    desk.store_trouble(error)?;
                }
            }
            () = engine.0.deliver_wake.woken() => {}
            nap = wait(&clock, pause, desk.engine.now(), settings.config.sync_daemon.drain_interval) => {
                if nap == Nap::Slept {
                    let (now, dice) = (desk.engine.now(), desk.engine.0.dice.throw());
                    tracing::info!("the machine slept; what waits for the network is tried soon");
                    desk.cloud.forget_connections();
                    desk.give_up_what_flies(now);
                    desk.delivery.woke(now, dice);
                }
            }
        }
    }
    desk.finish().await
}

async fn wait(clock: &crate::clock::Clock, pause: Pause, now: Timestamp, drain_interval: Duration) -> Nap {
    // However seldom the queue is to be looked at: the database is kept up.
    let drain_interval = drain_interval.min(upkeep::INTERVAL);
    let drain = now.after(drain_interval);
    match pause {
        Pause::Until(until) => clock.until(until.min(drain)).await,
        Pause::Landing => clock.until(drain).await,
        Pause::Drain => {
            clock.rest(drain_interval).await;
            Nap::Over
        }
        Pause::LookAgain => {
            clock.rest(drain_interval.min(LOOK_AGAIN)).await;
            Nap::Over
        }
    }
}

/// How long the loop has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    Until(Timestamp),
    /// Something is in the air: a machine that sleeps meanwhile has lost it.
    Landing,
    Drain,
    /// Sending is held back: whether it still is, is looked at without hurry.
    LookAgain,
}

/// What is in the air, and the scope it belongs to.
struct Sent {
    errand: Errand,
    scope: ScopeId,
    at: Timestamp,
    handle: AbortHandle,
    /// Which token went with it; of a question for the token, how often there had been reason to ask.
    generation: u64,
}

/// Everything the loop holds.
struct Desk {
    engine: Engine,
    delivery: Delivery,
    settings: Arc<Settings>,
    cloud: Arc<Cloud>,
    token: Option<Token>,
    /// Grows with every token.
    generation: u64,
    /// Grows with every reason to ask for the credential again.
    asked: u64,
    /// What look-ups of projects of this machine came to a moment ago.
    lately: Lately<LocalId>,
    /// What came of asking by a UUID of the cloud.
    lately_by_cloud: Lately<CloudId>,
    /// What the cloud took and gave up, or did not know, afterwards.
    given_up: Lately<LocalId>,
    /// What look-ups came to, whatever they asked for.
    refreshes: Refreshes,
    /// When the loop last looked, to notice a clock that was set back.
    last_round: Timestamp,
    /// What the process before this one left is taken up.
    has_begun: bool,
    airborne: JoinSet<Landing>,
    /// What is in the air, to be judged even when it panics.
    errands: HashMap<Id, Sent>,
    /// What is kept over restarts, as it is on disk.
    kept: BTreeMap<String, String>,
    /// The mark of a token that was refused before this process began, and until when it is not sent.
    refused: Option<(Uuid, Timestamp)>,
    /// Entries that were in the air in too many crashes.
    suspects: Vec<Entry>,
    /// After which project the search for unsent ones goes on.
    unsent_after: Option<LocalId>,
    /// What was seen to wait while the way is closed: it matters only that something does.
    waits: Option<Entry>,
    /// What follows the flight in the air, while there seems to be more than it carries.
    ahead: Option<Ahead>,
    /// Rows of the queue that had been found damaged when they were looked at last.
    damaged_rows: u64,
    /// Bounds how often what is in the air is given up because the network changed.
    give_ups: Tokens,
    /// Bounds what local programs have the cloud asked, whatever they ask for.
    questions: Tokens,
    upkeep: Upkeep,
    /// Until when the store is left alone because it refused to work, and how often it did in a row.
    store_rests_until: Timestamp,
    store_refusals: u32,
    /// A problem with the credential that was logged, so that it is not logged again.
    told: Option<String>,
}

impl Desk {
    fn new(engine: Engine) -> Result<Self, DeliverError> {
        let settings = engine.settings();
        let cloud = Arc::new(Cloud::new(settings.cloud(engine.0.machine))?);
        let now = engine.now();
        let delivery = Delivery::new(settings.policy(), now);
        Ok(Self {
            engine,
            delivery,
            settings,
            cloud,
            token: None,
            generation: 0,
            asked: 0,
            lately: Lately::new(),
            lately_by_cloud: Lately::new(),
            given_up: Lately::new(),
            refreshes: Refreshes::default(),
            last_round: Timestamp::default(),
            has_begun: false,
            airborne: JoinSet::new(),
            errands: HashMap::new(),
            kept: BTreeMap::new(),
            refused: None,
            suspects: Vec::new(),
            unsent_after: None,
            waits: None,
            ahead: None,
            damaged_rows: 0,
            give_ups: Tokens::for_link_changes(now),
            questions: Tokens::for_questions(now),
            upkeep: Upkeep::default(),
            store_rests_until: Timestamp::default(),
            store_refusals: 0,
            told: None,
        })
    }

    /// One look at what is true, and what follows from it.
    async fn round(&mut self) -> Result<Pause, DeliverError> {
        let now = self.engine.now();
        if self.store_rests(now) {
            return Ok(Pause::Until(self.store_rests_until));
        }
        if !self.has_begun {
            self.begin().await?;
        }
        let paused_until =
            self.engine.end_pause().await.map_err(|refusal| DeliverError::Store(refusal.message))?;
        self.engine.look_around_before_sending().await;
        self.take_in_wishes()?;
        let scope = self.engine.scope();
        if !scope.settled {
            // Whatever kept the scope from being known is tried again.
            self.ask_for_credential();
            return Ok(Pause::Drain);
        }
        if now < self.last_round {
            let by = self.last_round.since(now);
            self.engine.0.store.outbox().set_back(scope.id, by, now).await?;
            // Whatever fails from here on, it is not done twice.
            self.last_round = now;
            self.pull_in(scope.id, now).await?;
        }
        self.last_round = now;
        self.send_look_ups(&scope);
        self.send_statuses(&scope);
        loop {
            let now = self.engine.now();
            let heads = self.heads(&scope, now).await?;
            let step = self.delivery.plan(now, self.engine.0.dice.throw(), &heads);
            self.publish(&step);
            let pause = match step {
                Step::Again => continue,
                Step::PutOff(settled) => {
                    self.put_off(&scope, settled, now).await?;
                    continue;
                }
                Step::Send(flight) => {
                    if let Err(error) = self.keep_air(&flight.entries).await {
                        // It stays on the ground.
                        self.delivery.landed_late();
                        return Err(error);
                    }
                    self.read_ahead(&scope, now, &heads, &flight);
                    self.send(Errand::Flight(flight), &scope);
                    Pause::Landing
                }
                Step::LookUp(entry, project) => {
                    self.send(Errand::Entry(entry, project), &scope);
                    Pause::Landing
                }
                Step::Renew => {
                    self.ask_for_credential();
                    Pause::Landing
                }
                Step::Rest { why: Why::Flying } => Pause::Landing,
                Step::Wait { until, why: Why::NotDue } if until > now.after(LONGEST_READY) => {
                    // The clock was set back while nobody looked, or these are parked; both are seen to.
                    if self.pull_in(scope.id, now).await? || self.queue_unsent(&scope, now).await? {
                        continue;
                    }
                    self.refresh(&scope, now).await?;
                    Pause::Until(until.min(now.after(LONGEST_READY)))
                }
                Step::Wait { until, why: Why::NotDue } => {
                    if self.queue_unsent(&scope, now).await? {
                        continue;
                    }
                    self.refresh(&scope, now).await?;
                    Pause::Until(until)
                }
                Step::Wait { until, .. } => Pause::Until(until),
                Step::Rest { why: Why::Empty } => {
                    if self.queue_unsent(&scope, now).await? {
                        continue;
                    }
                    self.refresh(&scope, now).await?;
                    Pause::Drain
                }
                Step::Rest { why: Why::Paused } if self.engine.is_held(Held::Sending) => Pause::LookAgain,
                Step::Rest { why: Why::Paused } => paused_until.map_or(Pause::Drain, Pause::Until),
                Step::Rest { .. } => Pause::Drain,
            };
            return Ok(pause);
        }
    }

    /// Whether the store is left alone. A clock that was set back does not make that longer.
    fn store_rests(&self, now: Timestamp) -> bool {
        now < self.store_rests_until && self.store_rests_until <= now.after(LONGEST_STORE_PAUSE)
    }

    /// Queues what was never sent, if there may be any. Answers whether there was.
    async fn queue_unsent(&mut self, scope: &CurrentScope, now: Timestamp) -> Result<bool, DeliverError> {
        let is_wanted = self.engine.0.unsent.load(Ordering::Relaxed) || self.unsent_after.is_some();
        if is_wanted && scope.scope.tenant == Tenant::Unknown && self.last_scope(scope).await?.is_some() {
            // What the tenant has is known when the tenant is; only what changes meanwhile waits here.
            return Ok(false);
        }
        let unsent = &self.engine.0.unsent;
        if unsent.swap(false, Ordering::Relaxed) {
            self.unsent_after = Some(LocalId(Uuid::nil()));
        }
        let (store, machine) = (self.engine.0.store.clone(), self.engine.0.machine);
        while let Some(after) = self.unsent_after {
            let page = store.project().enqueue_unsent(scope.id, machine, Some(after), MOST_UNSENT, now).await;
            let page = match page {
                Ok(page) => page,
                // What waits is still delivered; these are looked for when there is room again.
                Err(sync_store::Error::Full) => {
                    self.unsent_after = None;
                    unsent.store(true, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            self.unsent_after = page.next;
            if page.refused > 0 {
                unsent.store(true, Ordering::Relaxed);
                self.engine.queue_is_full(true);
            } else if page.next.is_none() && !unsent.load(Ordering::Relaxed) {
                self.engine.queue_is_full(false);
            }
            if page.queued > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What others left for the loop to take up.
    fn take_in_wishes(&mut self) -> Result<(), DeliverError> {
        let now = self.engine.now();
        let settings = self.engine.settings();
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.asked += 1;
            self.cloud = Arc::new(Cloud::new(settings.cloud(self.engine.0.machine))?);
            // The token at hand may be another cloud's.
            self.token = None;
            self.delivery.credential_changed();
            self.delivery.follow(settings.policy(), now);
            self.settings = settings;
        }
        self.delivery.pause(self.engine.pausing().is_some() || self.engine.is_held(Held::Sending));
        if self.engine.0.network_changed.swap(false, Ordering::Relaxed) {
            // A connection that was made over the old network may be dead without knowing it.
            self.cloud.forget_connections();
            if self.give_ups.next(now) <= now {
                self.give_ups.spend(now, self.engine.0.dice.throw());
                self.give_up_what_flies(now);
            }
            self.delivery.network_changed(now, self.engine.0.dice.throw());
        }
        if self.engine.0.flush.swap(false, Ordering::Relaxed) {
            self.delivery.flush(now);
        }
        if self.engine.0.credential_changed.swap(false, Ordering::Relaxed) {
            self.asked += 1;
            self.delivery.credential_changed();
            self.ask_for_credential();
        }
        Ok(())
    }

    async fn heads(&mut self, scope: &CurrentScope, now: Timestamp) -> Result<Heads, DeliverError> {
        if self.is_sending() {
            // The machine answers only what lands.
            return Ok(Heads::default());
        }
        if !self.delivery.is_shut(now) {
            self.waits = None;
        } else if let Some(entry) = self.waits.as_ref().filter(|entry| entry.scope == scope.id) {
            // What is queued meanwhile is seen when the way opens.
            return Ok(Heads { entries: vec![entry.clone()], next_due: None });
        }
        let store = self.engine.0.store.clone();
        let outbox = store.outbox();
        let entries = match self.delivery.wants() {
            // While the way is closed it matters only whether anything waits.
            Wants::Heads { .. } if self.delivery.is_shut(now) => {
                let entries = outbox.heads(scope.id, now, 1, &[]).await?;
                self.waits = entries.first().cloned();
                entries
            }
            Wants::Heads { limit } => {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                let ahead = match self.ahead.take() {
                    Some(ahead) => ahead.entries(&store, scope.id, limit).await,
                    None => None,
                };
                match ahead {
                    Some(entries) => entries,
                    None => outbox.heads(scope.id, now, limit, &[]).await?,
                }
            }
            Wants::These(ids) => {
                let mut entries = outbox.entries(&ids).await?;
                entries.retain(|entry| entry.standing == Standing::Ready && entry.scope == scope.id);
                entries
            }
        };
        let damaged_rows = self.engine.0.store.figures().damaged_rows;
        if damaged_rows != std::mem::replace(&mut self.damaged_rows, damaged_rows) {
            self.engine.0.unsent.store(true, Ordering::Relaxed);
        }
        let next_due = if entries.is_empty() { outbox.next_due(scope.id).await? } else { None };
        // What came due between the two questions is asked for again at once.
        Ok(Heads { entries, next_due: next_due.map(|due| due.max(Timestamp(now.0.saturating_add(1)))) })
    }

    /// Where more waits than was looked at, what comes next is read while the flight is in the air.
    fn read_ahead(&mut self, scope: &CurrentScope, now: Timestamp, heads: &Heads, flight: &Flight) {
        let Wants::Heads { limit } = self.delivery.wants() else { return };
        if flight.batch && heads.entries.len() >= limit {
            let flying = flight.entries.iter().map(|entry| entry.id).collect();
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            self.ahead = Some(Ahead::begin(&self.engine.0.store, scope.id, now, limit, flying));
        }
    }

    fn is_sending(&self) -> bool {
        let scope = self.engine.scope().id;
        self.errands.values().any(|sent| sent.errand.is_of_an_entry() && sent.scope == scope)
    }

    fn send(&mut self, errand: Errand, scope: &CurrentScope) {
        if let Errand::Flight(flight) = &errand {
            let ids = flight.entries.iter().map(|entry| entry.id).collect();
            self.engine.0.delivery.send_modify(|view| view.in_flight = ids);
            tracing::debug!(projects = flight.entries.len(), batch = flight.batch, "sending");
        }
        self.launch(errand, scope);
    }

    fn launch(&mut self, errand: Errand, scope: &CurrentScope) {
        if !matches!(errand, Errand::Credential(_)) {
            self.engine.0.counters.requests.fetch_add(1, Ordering::Relaxed);
        }
        let generation = if matches!(errand, Errand::Credential(_)) { self.asked } else { self.generation };
        let future = fly(Arc::clone(&self.cloud), self.token.clone(), scope.scope.clone(), errand.clone());
        let handle = self.airborne.spawn(future);
        let at = self.engine.now();
        self.errands.insert(handle.id(), Sent { errand, scope: scope.id, at, handle, generation });
    }

    /// The network changed, or the machine slept: a request that has been in the air for a while may wait for an answer
    /// that cannot come any more.
    fn give_up_what_flies(&self, now: Timestamp) {
        let hangs = |sent: &&Sent| {
            !matches!(sent.errand, Errand::Credential(_)) && now.since(sent.at) >= GIVEN_UP_FROM
        };
        self.errands.values().filter(hangs).for_each(|sent| sent.handle.abort());
    }

    /// Takes in what came back.
    async fn take_in(&mut self, landed: Result<(Id, Landing), JoinError>) -> Result<(), DeliverError> {
        let id = landed.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(Sent { errand, scope, at, generation, .. }) = self.errands.remove(&id) else {
            return Ok(());
        };
        if landed.as_ref().is_err_and(JoinError::is_cancelled) {
            return self.given_up(&errand).await;
        }
        let landing = landed.map_or_else(|error| panicked(errand, error), |(_, landing)| landing);
        if matches!(landing, Landing::Credential(_)) && generation != self.asked {
            // It was asked of a place that has changed since.
            self.ask_for_credential();
            return Ok(());
        }
        if scope != self.engine.scope().id {
            return self.take_in_late(landing, scope).await;
        }
        match landing {
            Landing::Credential(obtained) => self.take_credential(obtained).await,
            Landing::Flight(flight, reply) => self.take_flight(&flight, &reply).await,
            Landing::Entry(entry, LookUpReply { look_up, date, .. }) => {
                let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
                self.hear_time(date.filter(|_| look_up.tells_time()), now);
                let landed = self.delivery.looked_up(&entry, &look_up, now, dice);
                self.settle(landed, now, dice).await
            }
            Landing::LookUp(local, reply) => self.take_look_up(local, &reply, generation, at).await,
            Landing::Status(project, local, reply) => {
                self.take_status(project, local, reply, generation, at).await
            }
        }
    }

    /// What is in the air may land; nothing new is sent.
    async fn finish(mut self) -> Result<(), DeliverError> {
        let stop = self.engine.0.stop.clone();
        while self.errands.values().any(|sent| matches!(sent.errand, Errand::Flight(_))) {
            tokio::select! {
                Some(landed) = self.airborne.join_next_with_id() => {
                    // What could not be written down is still waiting.
                    if let Err(error) = self.take_in(landed).await {
                        self.store_trouble(error)?;
                    }
                }
                () = stop.dropping() => break,
            }
        }
        Ok(())
    }
}

/// A flight's panic is an answer like another.
fn panicked(errand: Errand, error: JoinError) -> Landing {
    let words = format!("sending it failed inside the daemon: {}", panic_text(error));
    tracing::error!(reason = words, "a request panicked");
    // A machine without a thread to look a name up with has no way to the cloud; no project is to blame.
    let answer = if is_of_threads(&words) {
        Answer::Unreachable(Unreachable::NoRoute)
    } else {
        Answer::Internal(words.clone())
    };
    let look_up = |answer| LookUpReply {
        look_up: LookUp::Failed(answer),
        told: None,
        hints: Hints::default(),
        took: Duration::ZERO,
        date: None,
    };
    match errand {
        Errand::Flight(flight) => Landing::Flight(
            flight,
            Reply { answer, hints: Hints::default(), took: Duration::ZERO, date: None },
        ),
        Errand::Entry(entry, _) => Landing::Entry(entry, look_up(answer)),
        Errand::LookUp(local) => Landing::LookUp(local, look_up(answer)),
        Errand::Status(project, local) => Landing::Status(project, local, look_up(answer)),
        Errand::Credential(_) => Landing::Credential(Ok(None)),
    }
}
