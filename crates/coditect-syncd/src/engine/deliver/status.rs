//! Where registrations stand, by their UUIDs in the cloud: for somebody who asks, or because one was not final.
//!
//! What the cloud says of a project of this machine is written down as after any other look-up; what it says of others
//! is passed on and kept nowhere.

use std::sync::Arc;

use sync_cloud::{LookUpReply, Told};
use sync_core::{CloudId, LocalId, LookUp, Timestamp};

use super::super::api::ToldByCloud;
use super::super::{CurrentScope, LookedUpFor, locked};
use super::lately::Course;
use super::look_up::{TOO_MANY, tell};
use super::{DeliverError, Desk, Errand};

impl Desk {
    /// Sends the questions somebody waits for, or answers at once where that is known to be in vain.
    pub(super) fn send_statuses(&mut self, scope: &CurrentScope) {
        let now = self.engine.now();
        self.lately_by_cloud.forget_old(now);
        locked(&self.engine.0.statuses).retain(|_, waiters| waiters.iter().any(|waiter| !waiter.is_closed()));
        let wanted: Vec<CloudId> = locked(&self.engine.0.statuses).keys().copied().collect();
        for project in wanted {
            if self.is_asked_by_cloud(project) {
                continue;
            }
            match self.lately_by_cloud.course(&project, now, self.way(now)) {
                Course::Unknown => self.answer_status(project, &LookedUpFor::Unknown),
                Course::Unauthorized => self.answer_status(project, &LookedUpFor::Unauthorized),
                Course::InVain(why) => {
                    self.answer_status(project, &LookedUpFor::Unreachable(why.to_owned()));
                }
                Course::Renew => self.ask_for_credential(),
                Course::Ask if self.may_ask(now) => self.launch(Errand::Status(project, None), scope),
                Course::Ask => {
                    self.answer_status(project, &LookedUpFor::Unreachable(TOO_MANY.to_owned()));
                }
                Course::Wait => {}
            }
        }
    }

    fn is_asked_by_cloud(&self, project: CloudId) -> bool {
        self.errands.values().any(|sent| match sent.errand {
            Errand::Status(other, _) => other == project,
            Errand::Flight(_) | Errand::Entry(..) | Errand::LookUp(_) | Errand::Credential(_) => false,
        })
    }

    pub(super) fn answer_status(&self, project: CloudId, answer: &LookedUpFor<Arc<ToldByCloud>>) {
        let waiting = locked(&self.engine.0.statuses).remove(&project);
        tell(waiting.unwrap_or_default(), answer);
    }

    /// Takes in where a registration stands; `local` is whose it was when it was asked for, where that was known.
    pub(super) async fn take_status(
        &mut self,
        project: CloudId,
        local: Option<LocalId>,
        reply: LookUpReply,
        generation: u64,
        asked_at: Timestamp,
    ) -> Result<(), DeliverError> {
        let now = self.engine.now();
        let Some(heard) = self.hear(&reply, project.0, generation, now).await? else { return Ok(()) };
        let scope = self.engine.scope();
        let on_record = self.engine.0.store.mapping().by_cloud(scope.id, project).await?;
        let local = local.or(on_record.map(|mapping| mapping.local));
        if let Some(local) = local {
            let answer = self.learn(local, &reply.look_up, &heard, asked_at, now).await?;
            self.answer(local, &answer);
        }
        let answer = match reply.look_up {
            LookUp::Found(found) => {
                self.lately_by_cloud.forget(&project);
                let Told { local: told, fields } = reply.told.unwrap_or_default();
                LookedUpFor::Known(Arc::new(ToldByCloud {
                    project: found,
                    local: local.or(told),
                    here: local.is_some(),
                    tenant: scope.scope.tenant.name().cloned(),
                    fields,
                }))
            }
            LookUp::Unknown => {
                self.lately_by_cloud.remember_unknown(project, now);
                LookedUpFor::Unknown
            }
            LookUp::Failed(_) => {
                if self.is_of_the_project(now) {
                    self.lately_by_cloud.remember_failure(project, now);
                }
                heard.in_vain()
            }
        };
        self.heard_view(now, heard.trouble.as_ref());
        self.answer_status(project, &answer);
        self.engine.progressed();
        Ok(())
    }
}
