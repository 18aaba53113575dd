//! Look-ups: what the cloud knows of a project, for somebody who waits or because a mapping grows old.

use std::sync::atomic::Ordering;

use sync_cloud::LookUpReply;
use sync_core::verdict::Words;
use sync_core::{
    Answer, Asked, LocalId, LookUp, Mapping, Need, Presence, Progress, Revision, Timestamp, Why, is_final,
    lifetime, progress,
};
use sync_store::Wish;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::super::{CurrentScope, LookedUpFor, locked};
use super::lately::{Course, Way};
use super::{DeliverError, Desk, Duration, Errand};

/// How often a registration's status is asked for until it is final.
const SHORTEST_STATUS_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_STATUS_PAUSE: Duration = Duration::from_hours(1);
const MOST_REFRESHES: u32 = 25;

const MOST_LOOK_UPS: usize = 4;

const UNAUTHORIZED: u16 = 401;

/// Why a question does not go to the cloud that is the last of far too many.
pub(super) const TOO_MANY: &str = "it was asked for too much in a short time";

/// What the answer to a look-up said of the way.
pub(super) struct Heard {
    pub(super) trouble: Option<Words>,
    /// Whether there is no credential any more that the cloud takes.
    unauthorized: bool,
}

impl Heard {
    /// Why there is no answer about the project.
    pub(super) fn in_vain<T>(&self) -> LookedUpFor<T> {
        if self.unauthorized {
            return LookedUpFor::Unauthorized;
        }
        let why = self.trouble.as_ref().map_or("no answer", |words| &words.message);
        LookedUpFor::Unreachable(why.to_owned())
    }
}

/// Tells all who wait.
pub(super) fn tell<T: Clone>(waiting: Vec<oneshot::Sender<LookedUpFor<T>>>, answer: &LookedUpFor<T>) {
    for waiter in waiting {
        if waiter.send(answer.clone()).is_err() {
            tracing::trace!("nobody waits for the look-up any more");
        }
    }
}

impl Desk {
    /// Sends the look-ups somebody waits for, or answers at once where that is known to be in vain.
    pub(super) fn send_look_ups(&mut self, scope: &CurrentScope) {
        let now = self.engine.now();
        self.lately.forget_old(now);
        // Nobody waits for these any more; those without any waiter are refreshes.
        locked(&self.engine.0.look_ups)
            .retain(|_, waiters| waiters.is_empty() || waiters.iter().any(|waiter| !waiter.is_closed()));
        let wanted: Vec<LocalId> = locked(&self.engine.0.look_ups).keys().copied().collect();
        for local in wanted {
            if self.is_asked(local) {
                continue;
            }
            match self.lately.course(&local, now, self.way(now)) {
                Course::Unknown => self.answer(local, &LookedUpFor::Unknown),
                Course::Unauthorized => self.answer(local, &LookedUpFor::Unauthorized),
                Course::InVain(why) => self.answer(local, &LookedUpFor::Unreachable(why.to_owned())),
                Course::Renew => self.ask_for_credential(),
                // It is asked about again when others are.
                Course::Ask if self.is_refresh(local) && self.refreshes.rest(now) => {
                    self.answer(local, &LookedUpFor::Unreachable(TOO_MANY.to_owned()));
                }
                Course::Ask if self.is_refresh(local) || self.may_ask(now) => {
                    self.launch(Errand::LookUp(local), scope);
                }
                Course::Ask => self.answer(local, &LookedUpFor::Unreachable(TOO_MANY.to_owned())),
                Course::Wait => {}
            }
        }
    }

    /// Whether nobody waits for a look-up.
    fn is_refresh(&self, local: LocalId) -> bool {
        locked(&self.engine.0.look_ups).get(&local).is_none_or(Vec::is_empty)
    }

    /// Whether one more question of a local program goes to the cloud now; counts it.
    pub(super) fn may_ask(&mut self, now: Timestamp) -> bool {
        let may = self.questions.next(now) <= now;
        if may {
            self.questions.spend(now, self.engine.0.dice.throw());
        }
        may
    }

    /// How it stands with the way for a look-up.
    pub(super) fn way(&self, now: Timestamp) -> Way {
        Way {
            open: self.delivery.may_look_up(now),
            need: self.delivery.credential_need(now),
            room: self.look_ups_in_the_air() < MOST_LOOK_UPS,
        }
    }

    /// Whether a look-up that just failed says something of what was asked for: what is the fault of the way, or of the
    /// credential, does not.
    pub(super) fn is_of_the_project(&self, now: Timestamp) -> bool {
        let way = self.way(now);
        way.open.is_ok() && way.need == Need::Usable
    }

    fn is_asked(&self, local: LocalId) -> bool {
        self.errands.values().any(|sent| match sent.errand {
            Errand::LookUp(other) | Errand::Status(_, Some(other)) => other == local,
            Errand::Flight(_) | Errand::Entry(..) | Errand::Status(_, None) | Errand::Credential(_) => false,
        })
    }

    pub(super) fn look_ups_in_the_air(&self) -> usize {
        self.errands
            .values()
            .filter(|sent| matches!(sent.errand, Errand::LookUp(_) | Errand::Status(..)))
            .count()
    }

    pub(super) fn answer(&self, local: LocalId, answer: &LookedUpFor<()>) {
        let waiting = locked(&self.engine.0.look_ups).remove(&local);
        tell(waiting.unwrap_or_default(), answer);
    }

    /// Asks again for mappings that are about to expire or are not final.
    pub(super) async fn refresh(&mut self, scope: &CurrentScope, now: Timestamp) -> Result<(), DeliverError> {
        if self.delivery.is_paused() || self.delivery.may_look_up(now).is_err() || self.refreshes.rest(now) {
            return Ok(());
        }
        match self.delivery.credential_need(now) {
            Need::Usable => {}
            Need::Renew => {
                self.ask_for_credential();
                return Ok(());
            }
            Need::Required { .. } => return Ok(()),
        }
        // Those that are not asked about now must not hide the others.
        let hidden = u32::try_from(self.lately.len()).unwrap_or(u32::MAX);
        let limit = MOST_REFRESHES.saturating_add(hidden);
        let due = self.engine.0.store.mapping().due_for_refresh(scope.id, now, limit).await?;
        let askable = |local: &LocalId| !self.lately.is_unknown(local) && !self.lately.has_failed(local, now);
        let due: Vec<Mapping> = due.into_iter().filter(|mapping| askable(&mapping.local)).collect();
        let due = due.into_iter().take(usize::try_from(MOST_REFRESHES).unwrap_or(usize::MAX));
        for mapping in due {
            if is_final(&mapping.status) {
                locked(&self.engine.0.look_ups).entry(mapping.local).or_default();
            } else if !self.is_asked(mapping.local) && self.look_ups_in_the_air() < MOST_LOOK_UPS {
                self.launch(Errand::Status(mapping.cloud, Some(mapping.local)), scope);
            }
        }
        self.send_look_ups(scope);
        Ok(())
    }

    pub(super) async fn take_look_up(
        &mut self,
        local: LocalId,
        reply: &LookUpReply,
        generation: u64,
        asked_at: Timestamp,
    ) -> Result<(), DeliverError> {
        let now = self.engine.now();
        let Some(heard) = self.hear(reply, local.0, generation, now).await? else { return Ok(()) };
        let answer = self.learn(local, &reply.look_up, &heard, asked_at, now).await?;
        self.heard_view(now, heard.trouble.as_ref());
        self.answer(local, &answer);
        self.engine.progressed();
        Ok(())
    }

    /// Takes in what the answer to a look-up says of the way; nothing where the project has to be asked for again.
    pub(super) async fn hear(
        &mut self,
        LookUpReply { look_up, hints, date, .. }: &LookUpReply,
        about: Uuid,
        generation: u64,
        now: Timestamp,
    ) -> Result<Option<Heard>, DeliverError> {
        self.hear_time(date.filter(|_| look_up.tells_time()), now);
        let refused =
            matches!(look_up, LookUp::Failed(Answer::Refused(refusal)) if refusal.status == UNAUTHORIZED);
        if refused && generation != self.generation {
            // A refusal of an earlier token says nothing of the one in force: it is asked again with that.
            return Ok(None);
        }
        let trouble = self.delivery.heard(look_up, now, self.engine.0.dice.throw());
        if trouble.is_none() {
            self.delivery.take_hints(*hints);
        }
        self.keep_lasting(self.engine.scope().id).await?;
        self.keep_refusal().await?;
        if refused && self.delivery.credential_need(now) == Need::Renew {
            // Refused for the first time: it is obtained anew. What was asked is asked once more if that is another, and
            // else answered with the refusal.
            self.heard_view(now, trouble.as_ref());
            return Ok(None);
        }
        match look_up {
            LookUp::Found(_) | LookUp::Unknown => self.refreshes.answered(),
            LookUp::Failed(_) if self.is_of_the_project(now) => self.refreshes.failed(about, now),
            LookUp::Failed(_) => {}
        }
        let unauthorized = self.delivery.may_look_up(now) == Err(Why::AuthRequired);
        Ok(Some(Heard { trouble, unauthorized }))
    }

    /// Writes down what a look-up says of a project of this machine.
    pub(super) async fn learn(
        &mut self,
        local: LocalId,
        look_up: &LookUp,
        heard: &Heard,
        asked_at: Timestamp,
        now: Timestamp,
    ) -> Result<LookedUpFor<()>, DeliverError> {
        let (scope, dice) = (self.engine.scope(), self.engine.0.dice.throw());
        let store = self.engine.0.store.clone();
        let before = store.mapping().get(scope.id, local).await?;
        Ok(match look_up {
            LookUp::Found(project) => {
                let (expires_at, mut refresh_at) = lifetime(now, self.settings.mapping_life(), dice);
                if !is_final(&project.status) {
                    // Asked again after twice the time since the last answer, so ever more seldom.
                    let since = before.as_ref().map_or(Duration::ZERO, |before| now.since(before.cached_at));
                    let pause = (since * 2).clamp(SHORTEST_STATUS_PAUSE, LONGEST_STATUS_PAUSE);
                    refresh_at = refresh_at.min(now.after(pause));
                }
                let gave_up = progress(&project.status) == Progress::Failed
                    && before
                        .as_ref()
                        .is_some_and(|before| before.sent.is_some() && !is_final(&before.status));
                let sent = before.as_ref().and_then(|mapping| mapping.sent);
                let mapping = Mapping {
                    local,
                    cloud: project.cloud,
                    tenant: project.tenant.clone(),
                    status: project.status.clone(),
                    // What it gave up counts as not sent: whatever comes between this and the next try loses nothing.
                    sent: sent.filter(|_| !gave_up),
                    revision: before.as_ref().map_or(Revision(0), |mapping| mapping.revision),
                    cached_at: now,
                    expires_at,
                    refresh_at,
                };
                store.mapping().put(scope.id, mapping, now).await?;
                self.engine.0.index.mappings_changed(scope.id, [local]);
                self.lately_by_cloud.forget(&project.cloud);
                self.lately.succeeded(&local);
                if gave_up {
                    // That it takes it once more says nothing; a few tries follow each other, the next come with looks.
                    let lately = self.given_up.has_failed(&local, now);
                    self.given_up.remember_failure(local, now);
                    tracing::warn!(project = %local, status = project.status, "the cloud gave a registration up");
                    if !lately {
                        self.wish_again(local, &scope, now).await?;
                    }
                } else if is_final(&project.status) {
                    self.given_up.succeeded(&local);
                }
                LookedUpFor::Known(())
            }
            LookUp::Unknown => {
                self.lately.remember_unknown(local, now);
                // What was delivered since the question was asked is no news to its answer.
                if let Some(before) = before.filter(|before| before.cached_at <= asked_at) {
                    let unfinished = before.sent.is_some() && !is_final(&before.status);
                    let again = unfinished && self.given_up.has_failed(&local, now);
                    if unfinished {
                        self.given_up.remember_failure(local, now);
                    }
                    if again {
                        // It takes it and does not know it afterwards, time and again: the next try comes with a look.
                        self.forget_mapping(local, &scope).await?;
                    } else {
                        self.register_again(local, &scope, now).await?;
                    }
                }
                LookedUpFor::Unknown
            }
            LookUp::Failed(_) => {
                if self.is_of_the_project(now) {
                    self.lately.remember_failure(local, now);
                }
                heard.in_vain()
            }
        })
    }

    /// The cloud forgot a project: the mapping goes, and what is still here is registered again.
    pub(super) async fn register_again(
        &self,
        local: LocalId,
        scope: &CurrentScope,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        // Before the mapping goes: it knows the revision after which this one comes.
        if self.wish_again(local, scope, now).await? {
            tracing::info!(project = %local, "the cloud does not know it any more; it is registered again");
        }
        self.forget_mapping(local, scope).await
    }

    async fn forget_mapping(&self, local: LocalId, scope: &CurrentScope) -> Result<(), DeliverError> {
        self.engine.0.store.mapping().forget(scope.id, local).await?;
        self.engine.0.index.mappings_changed(scope.id, [local]);
        Ok(())
    }

    /// Queues a project that is still here as it is. Answers whether it is.
    async fn wish_again(
        &self,
        local: LocalId,
        scope: &CurrentScope,
        now: Timestamp,
    ) -> Result<bool, DeliverError> {
        let store = &self.engine.0.store;
        let project = store.project().get(local).await?;
        let Some(project) = project.filter(|project| project.presence == Presence::Present) else {
            return Ok(false);
        };
        let registration = project.registration(self.engine.0.machine);
        let wish = Wish { registration, asked: Asked::ByDiscovery, force: true };
        match store.outbox().enqueue(scope.id, vec![wish], now).await {
            Ok(_) => {}
            // There is no room now. What is not queued is found to be unsent when there is.
            Err(sync_store::Error::Full | sync_store::Error::QueueFull { .. }) => {
                self.engine.0.unsent.store(true, Ordering::Relaxed);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}
