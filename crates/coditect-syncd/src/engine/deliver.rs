//! The delivery loop: asks the machine what to do, does it, and tells the machine what came back.
//!
//! It waits in one place. What it does to the queue is settled in one commit per answer; what is in the air when the
//! daemon ends is simply still waiting, and goes again under the same key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_cloud::{Cloud, Credential, CredentialError, LookUpReply, Reply, Token};
use sync_core::verdict::Words;
use sync_core::{
    Answer, Asked, Cause, Delivery, Failure, Flight, Heads, Hints, Landed, LocalId, LookUp, Mapping, Need,
    Obtained, Pass, Presence, Revision, Scope, ScopeId, Step, Tenant, Timestamp, Wants, Why, lifetime,
};
use sync_store::Wish;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};

use super::api::CloudState;
use super::flight::{Errand, Landing, fly};
use super::{CurrentScope, Engine, LookedUpFor, Settings, locked};
use crate::clock::Nap;
use crate::supervisor::panic_text;

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliverError {
    /// The store is not usable.
    #[error("use the store: {0}")]
    Store(String),
    /// The cloud client cannot be built.
    #[error("build the cloud client: {0}")]
    Cloud(#[from] sync_cloud::Error),
}

impl From<sync_store::Error> for DeliverError {
    fn from(error: sync_store::Error) -> Self {
        Self::Store(crate::chain(&error))
    }
}

const UNKNOWN_REMEMBERED: Duration = Duration::from_mins(1);
const MOST_REFRESHES: u32 = 25;
const MOST_LOOK_UPS: usize = 4;
const MOST_UNSENT: u32 = 1_000;
/// How long the loop leaves the store alone after it refused to work.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Runs the loop until the daemon stops.
///
/// # Errors
/// When the store is damaged or closed under it, or the configured cloud cannot be spoken to at all.
pub(crate) async fn deliver(engine: Engine) -> Result<(), DeliverError> {
    let mut desk = Desk::new(engine)?;
    desk.ask_for_credential();
    let stop = desk.engine.0.stop.clone();
    while !stop.is_finishing() {
        let pause = match desk.round().await {
            Ok(pause) => pause,
            Err(error) => desk.store_trouble(error)?,
        };
        let settings = Arc::clone(&desk.settings);
        let clock = desk.engine.0.clock.clone();
        let engine = desk.engine.clone();
        tokio::select! {
            () = stop.finishing() => break,
            Some(landed) = desk.airborne.join_next_with_id() => desk.take_in(landed).await?,
            () = engine.0.deliver_wake.woken() => {}
            nap = wait(&clock, pause, settings.config.sync_daemon.drain_interval) => {
                if nap == Nap::Slept {
                    let (now, dice) = (desk.engine.now(), desk.engine.0.dice.throw());
                    tracing::info!("the machine slept; what waits for the network is tried soon");
                    desk.cloud.forget_connections();
                    desk.delivery.woke(now, dice);
                }
            }
        }
    }
    desk.finish().await
}

async fn wait(clock: &crate::clock::Clock, pause: Pause, drain_interval: Duration) -> Nap {
    match pause {
        Pause::Until(until) => clock.until(until).await,
        Pause::Drain => {
            clock.rest(drain_interval).await;
            Nap::Over
        }
    }
}

/// How long the loop has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    Until(Timestamp),
    Drain,
}

/// Everything the loop holds.
struct Desk {
    engine: Engine,
    delivery: Delivery,
    settings: Arc<Settings>,
    cloud: Arc<Cloud>,
    token: Option<Token>,
    airborne: JoinSet<Landing>,
    /// What is in the air, to be judged even when it panics.
    errands: HashMap<Id, Errand>,
    /// Projects the cloud did not know a moment ago.
    unknown: BTreeMap<LocalId, Timestamp>,
    lasting: Option<(Cause, Timestamp)>,
    /// A problem with the credential that was logged, so that it is not logged again.
    told: Option<String>,
}

impl Desk {
    fn new(engine: Engine) -> Result<Self, DeliverError> {
        let settings = engine.settings();
        let cloud = Arc::new(Cloud::new(settings.cloud(engine.0.machine))?);
        let delivery = Delivery::new(settings.policy(), engine.now());
        Ok(Self {
            engine,
            delivery,
            settings,
            cloud,
            token: None,
            airborne: JoinSet::new(),
            errands: HashMap::new(),
            unknown: BTreeMap::new(),
            lasting: None,
            told: None,
        })
    }

    /// One look at what is true, and what follows from it.
    async fn round(&mut self) -> Result<Pause, DeliverError> {
        self.take_in_wishes()?;
        let scope = self.engine.scope();
        if !scope.settled {
            return Ok(Pause::Drain);
        }
        self.send_look_ups(&scope);
        loop {
            let now = self.engine.now();
            let heads = self.heads(&scope, now).await?;
            let step = self.delivery.plan(now, self.engine.0.dice.throw(), &heads);
            self.publish(&step);
            let pause = match step {
                Step::Again => continue,
                Step::Send(flight) => {
                    self.send(Errand::Flight(flight), &scope);
                    Pause::Drain
                }
                Step::LookUp(entry) => {
                    self.send(Errand::Entry(entry), &scope);
                    Pause::Drain
                }
                Step::Renew => {
                    self.ask_for_credential();
                    Pause::Drain
                }
                Step::Wait { until, why: Why::NotDue } => {
                    self.refresh(&scope, now).await?;
                    Pause::Until(until)
                }
                Step::Wait { until, .. } => Pause::Until(until),
                Step::Rest { why: Why::Empty } => {
                    if self
                        .engine
                        .0
                        .store
                        .project()
                        .enqueue_unsent(scope.id, self.engine.0.machine, MOST_UNSENT, now)
                        .await?
                        > 0
                    {
                        continue;
                    }
                    self.refresh(&scope, now).await?;
                    Pause::Drain
                }
                Step::Rest { .. } => Pause::Drain,
            };
            return Ok(pause);
        }
    }

    /// What others left for the loop to take up.
    fn take_in_wishes(&mut self) -> Result<(), DeliverError> {
        let now = self.engine.now();
        let settings = self.engine.settings();
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.cloud = Arc::new(Cloud::new(settings.cloud(self.engine.0.machine))?);
            self.delivery.follow(settings.policy(), now);
            self.settings = settings;
        }
        self.delivery.pause(self.engine.0.paused.load(Ordering::Relaxed));
        if self.engine.0.flush.swap(false, Ordering::Relaxed) {
            self.delivery.flush(now);
        }
        if self.engine.0.credential_changed.swap(false, Ordering::Relaxed) {
            self.delivery.credential_changed();
            self.ask_for_credential();
        }
        Ok(())
    }

    async fn heads(&self, scope: &CurrentScope, now: Timestamp) -> Result<Heads, DeliverError> {
        let outbox = self.engine.0.store.outbox();
        let entries = match self.delivery.wants() {
            Wants::Heads { limit } => {
                outbox.heads(scope.id, now, u32::try_from(limit).unwrap_or(u32::MAX), &[]).await?
            }
            Wants::These(ids) => outbox.entries(&ids).await?,
        };
        let next_due = if entries.is_empty() { outbox.next_due(scope.id).await? } else { None };
        // What came due between the two questions is asked for again at once.
        Ok(Heads { entries, next_due: next_due.map(|due| due.max(Timestamp(now.0.saturating_add(1)))) })
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
        let future = fly(Arc::clone(&self.cloud), self.token.clone(), scope.scope.clone(), errand.clone());
        let id = self.airborne.spawn(future).id();
        self.errands.insert(id, errand);
    }

    fn ask_for_credential(&mut self) {
        if self.errands.values().any(|errand| matches!(errand, Errand::Credential(_))) {
            return;
        }
        let scope = self.engine.scope();
        self.launch(Errand::Credential(self.settings.credential_source()), &scope);
    }

    /// Sends the look-ups somebody waits for, or answers at once where that is known to be in vain.
    fn send_look_ups(&mut self, scope: &CurrentScope) {
        let now = self.engine.now();
        self.unknown.retain(|_, until| *until > now);
        let wanted: Vec<LocalId> = locked(&self.engine.0.look_ups).keys().copied().collect();
        for local in wanted {
            let in_the_air = |errand: &Errand| matches!(errand, Errand::LookUp(other) if *other == local);
            if self.errands.values().any(in_the_air) {
                continue;
            }
            if self.unknown.contains_key(&local) {
                self.answer(local, &LookedUpFor::Unknown);
            } else if let Err(why) = self.delivery.may_look_up(now) {
                self.answer(local, &LookedUpFor::Unreachable(obstacle_text(why).to_owned()));
            } else if self.delivery.credential_need(now) == Need::Renew {
                self.ask_for_credential();
            } else if self.look_ups_in_the_air() < MOST_LOOK_UPS {
                self.launch(Errand::LookUp(local), scope);
            }
        }
    }

    fn look_ups_in_the_air(&self) -> usize {
        self.errands.values().filter(|errand| matches!(errand, Errand::LookUp(_))).count()
    }

    fn answer(&self, local: LocalId, answer: &LookedUpFor) {
        let waiting: Vec<oneshot::Sender<LookedUpFor>> =
            locked(&self.engine.0.look_ups).remove(&local).unwrap_or_default();
        for waiter in waiting {
            if waiter.send(answer.clone()).is_err() {
                tracing::trace!(project = %local, "nobody waits for the look-up any more");
            }
        }
    }

    /// Asks again for mappings that are about to expire or are not final.
    async fn refresh(&mut self, scope: &CurrentScope, now: Timestamp) -> Result<(), DeliverError> {
        if self.delivery.is_paused() || self.delivery.may_look_up(now).is_err() {
            return Ok(());
        }
        let due = self.engine.0.store.mapping().due_for_refresh(scope.id, now, MOST_REFRESHES).await?;
        let due: Vec<LocalId> = due
            .into_iter()
            .map(|mapping| mapping.local)
            .filter(|local| !self.unknown.contains_key(local))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        for local in due {
            locked(&self.engine.0.look_ups).entry(local).or_default();
        }
        self.send_look_ups(scope);
        Ok(())
    }

    /// Takes in what came back.
    async fn take_in(&mut self, landed: Result<(Id, Landing), JoinError>) -> Result<(), DeliverError> {
        let landing = match landed {
            Ok((id, landing)) => {
                self.errands.remove(&id);
                landing
            }
            Err(error) => match self.errands.remove(&error.id()) {
                Some(errand) => panicked(errand, error),
                None => return Ok(()),
            },
        };
        match landing {
            Landing::Credential(obtained) => self.take_credential(obtained).await,
            Landing::Flight(flight, reply) => self.take_flight(&flight, &reply).await,
            Landing::Entry(entry, LookUpReply { look_up, .. }) => {
                let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
                let landed = self.delivery.looked_up(&entry, &look_up, now, dice);
                self.settle(landed, now, dice).await
            }
            Landing::LookUp(local, LookUpReply { look_up, .. }) => self.take_look_up(local, &look_up).await,
        }
    }

    async fn take_flight(&mut self, flight: &Flight, reply: &Reply) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        let landed = self.delivery.landed(flight, &reply.answer, reply.hints, reply.took, now, dice);
        if landed.fresh_connection {
            self.cloud.forget_connections();
        }
        self.settle(landed, now, dice).await
    }

    /// Writes down what becomes of entries, in one commit, and tells about it.
    async fn settle(&mut self, landed: Landed, now: Timestamp, dice: u64) -> Result<(), DeliverError> {
        let scope = self.engine.scope();
        let life = self.settings.mapping_life();
        let outbox = self.engine.0.store.outbox();
        let report = match outbox.settle(scope.id, landed.settled, life, dice, now).await {
            Ok(report) => report,
            // What was sent is sent again under the same key once the store works.
            Err(error) => {
                self.landed_view(now, false, landed.trouble.as_ref());
                return self.store_trouble(error.into()).map(drop);
            }
        };
        let counters = &self.engine.0.counters;
        let delivered = u64::try_from(report.delivered.len()).unwrap_or(u64::MAX);
        counters.delivered.fetch_add(delivered, Ordering::Relaxed);
        counters.buried.fetch_add(report.buried, Ordering::Relaxed);
        match report.delivered.as_slice() {
            [] => {}
            [(local, cloud)] => {
                tracing::info!(project = %local, cloud_uuid = %cloud, "registration delivered");
            }
            several => tracing::info!(projects = several.len(), "registrations delivered"),
        }
        if report.buried > 0 || report.parked > 0 {
            let words =
                landed.trouble.as_ref().map_or("see `coditect-sync queue list`", |words| &words.message);
            tracing::warn!(
                dead = report.buried,
                parked = report.parked,
                reason = words,
                "the cloud refused projects"
            );
        }
        self.keep_lasting(&scope).await?;
        self.landed_view(now, landed.good, landed.trouble.as_ref());
        self.engine.progressed();
        Ok(())
    }

    fn landed_view(&self, now: Timestamp, good: bool, trouble: Option<&Words>) {
        if !good {
            self.engine.0.counters.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.engine.0.delivery.send_modify(|view| {
            view.in_flight.clear();
            view.landings += 1;
            if good {
                view.last_success_at = Some(now);
            }
            if let Some(words) = trouble {
                view.last_failure =
                    Some(Failure { code: words.code.clone(), message: words.message.clone(), at: now });
            }
        });
    }

    async fn take_look_up(&mut self, local: LocalId, look_up: &LookUp) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        let trouble = self.delivery.heard(look_up, now, dice);
        let scope = self.engine.scope();
        let store = self.engine.0.store.clone();
        let before = store.mapping().get(scope.id, local).await?;
        let answer = match look_up {
            LookUp::Found(project) => {
                let (expires_at, refresh_at) = lifetime(now, self.settings.mapping_life(), dice);
                let mapping = Mapping {
                    local,
                    cloud: project.cloud,
                    tenant: project.tenant.clone(),
                    status: project.status.clone(),
                    sent: before.as_ref().and_then(|mapping| mapping.sent),
                    revision: before.as_ref().map_or(Revision(0), |mapping| mapping.revision),
                    cached_at: now,
                    expires_at,
                    refresh_at,
                };
                store.mapping().put(scope.id, mapping, now).await?;
                LookedUpFor::Known
            }
            LookUp::Unknown => {
                self.unknown.insert(local, now.after(UNKNOWN_REMEMBERED));
                if before.is_some() {
                    self.register_again(local, &scope, now).await?;
                }
                LookedUpFor::Unknown
            }
            LookUp::Failed(_) => LookedUpFor::Unreachable(
                trouble.as_ref().map_or_else(|| "no answer".to_owned(), |words| words.message.clone()),
            ),
        };
        self.landed_view(now, trouble.is_none(), trouble.as_ref());
        self.answer(local, &answer);
        self.engine.progressed();
        Ok(())
    }

    /// The cloud forgot a project: the mapping goes, and what is still here is registered again.
    async fn register_again(
        &self,
        local: LocalId,
        scope: &CurrentScope,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        let store = &self.engine.0.store;
        store.mapping().forget(scope.id, local).await?;
        let project = store.project().get(local).await?;
        if let Some(project) = project.filter(|project| project.presence == Presence::Present) {
            tracing::info!(project = %local, "the cloud does not know it any more; it is registered again");
            let registration = project.registration(self.engine.0.machine);
            let wish = Wish { registration, asked: Asked::ByDiscovery, force: true };
            store.outbox().enqueue(scope.id, vec![wish], now).await?;
        }
        Ok(())
    }

    async fn take_credential(
        &mut self,
        obtained: Result<Option<Credential>, CredentialError>,
    ) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        let (how, told, words) = match obtained {
            Ok(Some(credential)) => {
                let pass = Pass {
                    fingerprint: credential.token.fingerprint(),
                    expires_at: credential.claims.expires_at,
                };
                if credential.readable_by_others {
                    tracing::warn!("the token's file can be read by other users; run `chmod 600` on it");
                }
                self.token = Some(credential.token);
                (Obtained::Pass(pass), credential.claims.tenant.map_or(Tenant::Opaque, Tenant::Named), None)
            }
            Ok(None) => {
                self.token = None;
                let words = "no credential is configured; run `coditect-sync auth set-token`";
                (Obtained::Nothing, Tenant::Unknown, Some(words.to_owned()))
            }
            Err(error) => {
                self.token = None;
                (
                    Obtained::Failed,
                    Tenant::Unknown,
                    Some(format!("no credential: failed to {}", crate::chain(&error))),
                )
            }
        };
        if words != self.told {
            if let Some(words) = &words {
                tracing::warn!("{words}");
            }
            self.told.clone_from(&words);
        }
        self.delivery.credential_obtained(how, now, dice);
        if let Some(message) = words {
            let failure = Failure { code: "no_credential".to_owned(), message, at: now };
            self.engine.0.delivery.send_modify(|view| view.last_failure = Some(failure));
        }
        self.enter_scope(told, now).await
    }

    /// The credential tells whose entries may be sent and whose mappings may be answered.
    async fn enter_scope(&mut self, told: Tenant, now: Timestamp) -> Result<(), DeliverError> {
        let store = self.engine.0.store.clone();
        let before = self.engine.scope();
        // A credential that cannot be had says nothing of the tenant: the scope of the last one stays, unless the
        // cloud is another.
        let fresh = self.settings.scope(told.clone());
        let scope = if told == Tenant::Unknown && fresh.origin == before.scope.origin {
            before.scope.clone()
        } else {
            fresh
        };
        let id = store.scope().ensure(&scope).await?;
        if scope != before.scope {
            let unknown = Scope { tenant: Tenant::Unknown, ..scope.clone() };
            if scope.tenant != Tenant::Unknown {
                let from = store.scope().ensure(&unknown).await?;
                let adopted = store.scope().adopt(from, id, now).await?;
                if adopted > 0 {
                    tracing::info!(entries = adopted, %scope, "entries made before the tenant was known are its own");
                }
            }
            self.delivery.enter_scope(now);
            self.lasting = None;
            tracing::info!(%scope, "registrations belong here");
        }
        if !before.settled || scope != before.scope {
            self.restore(id).await?;
        }
        self.engine.0.scope.send_replace(CurrentScope { id, scope, settled: true });
        self.engine.0.discover_wake.wake();
        self.engine.progressed();
        Ok(())
    }

    /// Waits the server asked for outlive the process.
    async fn keep_lasting(&mut self, scope: &CurrentScope) -> Result<(), DeliverError> {
        let lasting = self.delivery.lasting();
        if lasting == self.lasting {
            return Ok(());
        }
        let (meta, key) = (self.engine.0.store.meta(), lasting_key(scope.id));
        match lasting {
            Some((cause, until)) => meta.set(&key, &format!("{} {}", cause.as_str(), until.0)).await?,
            None => {
                meta.remove(&key).await?;
            }
        }
        self.lasting = lasting;
        Ok(())
    }

    async fn restore(&mut self, scope: ScopeId) -> Result<(), DeliverError> {
        let kept = self.engine.0.store.meta().get(&lasting_key(scope)).await?;
        let wait = kept
            .as_deref()
            .and_then(|text| text.split_once(' '))
            .and_then(|(cause, until)| Some((Cause::from_word(cause)?, Timestamp(until.parse().ok()?))));
        if let Some((cause, until)) = wait {
            self.delivery.restore(cause, until);
            self.lasting = wait;
        }
        Ok(())
    }

    /// A full or busy store is left alone for a while; a damaged one ends the daemon, whose next start mends it.
    fn store_trouble(&self, error: DeliverError) -> Result<Pause, DeliverError> {
        match &error {
            DeliverError::Cloud(_) => Err(error),
            DeliverError::Store(words) if words.contains("damaged") || words.contains("closed") => Err(error),
            DeliverError::Store(words) => {
                tracing::error!(reason = words, "nothing can be written down; sending waits");
                self.engine.0.delivery.send_modify(|view| view.in_flight.clear());
                Ok(Pause::Until(self.engine.now().after(STORE_PAUSE)))
            }
        }
    }

    /// Tells the world where the loop stands.
    fn publish(&self, step: &Step) {
        let now = self.engine.now();
        let next = match step {
            Step::Wait { until, why: Why::NotDue } => Some(*until),
            Step::Send(_)
            | Step::LookUp(_)
            | Step::Renew
            | Step::Again
            | Step::Wait { .. }
            | Step::Rest { .. } => self.delivery.obstacle(now).map(|(_, until)| until),
        };
        let obstacle = self.delivery.obstacle(now).map(|(why, _)| why);
        let state = match obstacle {
            Some(Why::AuthRequired) => CloudState::AuthRequired,
            Some(Why::Scope(Cause::Local | Cause::Server | Cause::Proxy)) => CloudState::Offline,
            Some(Why::Scope(Cause::Portal)) => CloudState::Portal,
            Some(Why::Scope(Cause::Rate)) => CloudState::Throttled,
            Some(Why::Scope(Cause::Forbidden)) => CloudState::Forbidden,
            Some(Why::Scope(Cause::Protocol)) => CloudState::Protocol,
            Some(Why::Empty | Why::Paused | Why::Flying | Why::NotDue | Why::Sparing) | None => {
                if self.delivery.was_ever_good() { CloudState::Online } else { CloudState::Unknown }
            }
        };
        let before = self.engine.0.delivery.borrow().state;
        self.engine.0.delivery.send_modify(|view| {
            view.next_attempt_at = next;
            if view.state != state {
                view.state = state;
                view.since = now;
            }
        });
        if before != state {
            let reason =
                self.engine.0.delivery.borrow().last_failure.as_ref().map(|failure| failure.message.clone());
            match state {
                CloudState::Online | CloudState::Unknown => tracing::info!("the cloud is reached"),
                CloudState::Offline
                | CloudState::Portal
                | CloudState::Throttled
                | CloudState::AuthRequired
                | CloudState::Forbidden
                | CloudState::Protocol => tracing::warn!(
                    state = ?state,
                    reason = reason.as_deref().unwrap_or_default(),
                    next_attempt_at = next.map(Timestamp::to_rfc3339).as_deref().unwrap_or_default(),
                    "the cloud cannot be used; registrations are kept"
                ),
            }
            self.engine.progressed();
        }
    }

    /// What is in the air may land; nothing new is sent.
    async fn finish(mut self) -> Result<(), DeliverError> {
        let stop = self.engine.0.stop.clone();
        while self.errands.values().any(|errand| matches!(errand, Errand::Flight(_))) {
            tokio::select! {
                Some(landed) = self.airborne.join_next_with_id() => self.take_in(landed).await?,
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
    let answer = Answer::Internal(words.clone());
    let look_up = |answer| LookUpReply {
        look_up: LookUp::Failed(answer),
        hints: Hints::default(),
        took: Duration::ZERO,
        date: None,
    };
    match errand {
        Errand::Flight(flight) => Landing::Flight(
            flight,
            Reply { answer, hints: Hints::default(), took: Duration::ZERO, date: None },
        ),
        Errand::Entry(entry) => Landing::Entry(entry, look_up(answer)),
        Errand::LookUp(local) => Landing::LookUp(local, look_up(answer)),
        Errand::Credential(_) => Landing::Credential(Ok(None)),
    }
}

fn lasting_key(scope: ScopeId) -> String {
    format!("scope.{}.wait", scope.0)
}

fn obstacle_text(why: Why) -> &'static str {
    match why {
        Why::AuthRequired => "there is no credential it takes; run `coditect-sync auth set-token`",
        Why::Scope(Cause::Local) => "there is no network to it",
        Why::Scope(Cause::Server) => "it is down",
        Why::Scope(Cause::Portal) => "something else answers in its place, perhaps a sign-in page",
        Why::Scope(Cause::Rate) => "it asked for patience",
        Why::Scope(Cause::Proxy) => "the proxy wants credentials",
        Why::Scope(Cause::Forbidden) => "it refuses this tenant",
        Why::Scope(Cause::Protocol) => "what answers there does not speak the API",
        Why::Empty | Why::Paused | Why::Flying | Why::NotDue | Why::Sparing => "it is not asked right now",
    }
}
