//! The credential and the scope it opens: whose entries may be sent and whose mappings may be answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_cloud::{Credential, CredentialError};
use sync_core::{Failure, Obtained, Pass, ScopeId, Standing, Tenant, Timestamp};

use super::super::{CurrentScope, adopt};
use super::refreshes::Refreshes;
use super::{DeliverError, Desk, Errand};

/// The longest pauses that the delivery machine gives an entry of each standing.
pub(super) const LONGEST_READY: Duration = Duration::from_hours(6);
const LONGEST_PARKED: Duration = Duration::from_hours(24);

const NO_TOKEN: &str = "no token is set; run `coditect-sync auth set-token`";

impl Desk {
    pub(super) fn ask_for_credential(&mut self) {
        if self.errands.values().any(|sent| matches!(sent.errand, Errand::Credential(_))) {
            return;
        }
        let scope = self.engine.scope();
        self.launch(Errand::Credential(self.settings.credential_source()), &scope);
    }

    pub(super) async fn take_credential(
        &mut self,
        obtained: Result<Option<Credential>, CredentialError>,
    ) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        if let Ok(Some(credential)) = &obtained {
            self.compare_claims(credential.claims.tenant.as_ref()).await?;
        }
        // A token never goes out in plain text, wherever it came from.
        let transport = self.cloud.check_transport(true);
        // No token goes with entries of another scope: it is in force only when the scope is.
        self.token = None;
        let mut token = None;
        let (how, told, words) = match obtained {
            Ok(Some(_)) if let Err(error) = &transport => {
                (Obtained::Failed, Tenant::Unknown, Some(format!("failed to {}", crate::chain(error))))
            }
            Ok(Some(credential)) => {
                let pass = Pass {
                    fingerprint: credential.token.fingerprint(),
                    expires_at: credential.claims.expires_at,
                };
                if credential.readable_by_others {
                    tracing::warn!("the token's file can be read by other users; run `chmod 600` on it");
                }
                if let Some(until) = self.refused_before(credential.token.mark(self.engine.0.machine.0), now)
                {
                    self.delivery.restore_refused(pass.fingerprint, until);
                }
                token = Some(credential.token);
                (Obtained::Pass(pass), credential.claims.tenant.map_or(Tenant::Opaque, Tenant::Named), None)
            }
            Ok(None) => (Obtained::Nothing, Tenant::Unknown, Some(NO_TOKEN.to_owned())),
            // Nobody configured anything, and `auth set-token` was not run: that is no failure of anything.
            Err(CredentialError::Missing(file)) if file == self.settings.places.token_file => {
                (Obtained::Nothing, Tenant::Unknown, Some(NO_TOKEN.to_owned()))
            }
            Err(error) => (
                Obtained::Failed,
                Tenant::Unknown,
                Some(format!("no credential: failed to {}", crate::chain(&error))),
            ),
        };
        if words != self.told {
            if let Some(words) = &words {
                tracing::warn!("{words}");
            }
            self.told.clone_from(&words);
        }
        let failed = how == Obtained::Failed;
        self.enter_scope(told, failed, now).await?;
        self.token = token;
        self.generation += 1;
        self.delivery.credential_obtained(how, now, dice);
        self.keep_refusal().await?;
        if let Some(message) = words {
            let failure = Failure { code: "no_credential".to_owned(), message, at: now };
            self.engine.0.delivery.send_modify(|view| view.last_failure = Some(failure));
        }
        self.engine.0.deliver_wake.wake();
        Ok(())
    }

    /// The credential tells whose entries may be sent and whose mappings may be answered.
    pub(super) async fn enter_scope(
        &mut self,
        told: Tenant,
        failed: bool,
        now: Timestamp,
    ) -> Result<(), DeliverError> {
        let engine = self.engine.clone();
        let store = engine.0.store.clone();
        let gate = engine.0.scope_gate.write().await;
        let before = self.engine.scope();
        // A credential that cannot be had says nothing of the tenant: the scope of the last one stays, unless the
        // cloud is another, or the configuration names another tenant.
        let fresh = self.settings.scope(told.clone());
        let scope = if fresh.tenant == Tenant::Unknown && fresh.origin == before.scope.origin {
            before.scope.clone()
        } else {
            fresh
        };
        let id = store.scope().ensure(&scope).await?;
        if scope != before.scope {
            adopt(&store, &scope, id, now).await?;
            self.lately.clear();
            self.lately_by_cloud.clear();
            self.given_up.clear();
            self.refreshes = Refreshes::default();
            self.delivery.enter_scope(now);
            tracing::info!(%scope, "registrations belong here");
        }
        let is_new = !before.settled || scope != before.scope;
        // At once: what is made from here on belongs to it.
        let mut current = CurrentScope { id, scope, settled: true, last: None };
        if current.scope.tenant != Tenant::Unknown {
            self.keep_scope(id).await?;
        } else if failed {
            current.last = self.last_scope(&current).await?;
        }
        if is_new {
            // What the cloud asked for is known before anything is sent; where it cannot be read, the scope is not entered.
            self.take_up(id).await?;
            self.pull_in(id, now).await?;
        }
        self.engine.0.scope.send_replace(current);
        drop(gate);
        self.engine.0.discover_wake.wake();
        if is_new {
            self.engine.0.unsent.store(true, Ordering::Relaxed);
        }
        self.engine.progressed();
        Ok(())
    }

    /// A clock that was set back must not leave entries waiting for years. Whether any did.
    pub(super) async fn pull_in(&self, scope: ScopeId, now: Timestamp) -> Result<bool, DeliverError> {
        let dice = self.engine.0.dice.throw();
        let mut any = false;
        for (standing, cap) in [(Standing::Ready, LONGEST_READY), (Standing::Parked, LONGEST_PARKED)] {
            let pulled_in = self.engine.0.store.outbox().pull_in(scope, standing, cap, dice, now).await?;
            any |= pulled_in > 0;
            if pulled_in > 0 {
                tracing::info!(entries = pulled_in, "due times lay too far ahead and were brought back");
            }
        }
        let life = self.settings.mapping_life();
        let younger = self.engine.0.store.mapping().set_back(scope, life, now).await?;
        self.engine.0.index.mappings_changed(scope, younger);
        Ok(any)
    }
}
