//! What outlives the process: waits that the server asked for and its hints, a credential that it refused, the last
//! tenant, and, after an unclean end, what is in the air.
//!
//! An entry that ends the process in a way that cannot be caught would be sent first at every start. So a process that
//! follows an unclean end writes down what it sends before it sends it: what was in the air in three crashes in a row
//! goes alone, and what crashes alone after that is dead.

use std::time::Duration;

use sync_core::{
    Cause, Entry, EntryId, Failure, Fate, Hints, Revision, ScopeId, Settled, Standing, TenantId, Timestamp,
};
use uuid::Uuid;

use super::super::CurrentScope;
use super::{DeliverError, Desk};

const AIR: &str = "flight.air";
const CRASHES: &str = "flight.crashes";
const REFUSED: &str = "credential.refused";
const LAST_SCOPE: &str = "scope.last";
const CLAIM: &str = "credential.claim";

/// In so many crashes in a row, then it goes alone.
const ALONE_FROM: u32 = 3;
/// A refusal that was kept for longer is of a clock that was set.
const LONGEST_REFUSAL: Duration = Duration::from_mins(17);
/// Machines that start together, after a power cut say, are spread over this.
const BOOT_SPREAD: Duration = Duration::from_secs(2);
const JUST_BOOTED: Duration = Duration::from_mins(1);

/// An entry that was in the air when the process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Crash {
    entry: EntryId,
    revision: Revision,
    /// In how many crashes in a row.
    times: u32,
}

/// What the crashes come to after one more, in which these were in the air.
fn after_crash(before: &[Crash], air: &[Crash]) -> Vec<Crash> {
    let times = |one: &Crash| {
        let same = |other: &&Crash| (other.entry, other.revision) == (one.entry, one.revision);
        before.iter().find(same).map_or(0, |crash| crash.times) + 1
    };
    air.iter().map(|one| Crash { times: times(one), ..*one }).collect()
}

fn written(crashes: &[Crash]) -> Option<String> {
    let words =
        crashes.iter().map(|Crash { entry, revision, times }| format!("{}:{}:{times}", entry.0, revision.0));
    let text = words.collect::<Vec<_>>().join(" ");
    Some(text).filter(|text| !text.is_empty())
}

/// What cannot be read is left out: it costs a try.
fn read(text: &str) -> Vec<Crash> {
    let one = |word: &str| {
        let mut numbers = word.splitn(3, ':');
        Some(Crash {
            entry: EntryId(numbers.next()?.parse().ok()?),
            revision: Revision(numbers.next()?.parse().ok()?),
            times: numbers.next()?.parse().ok()?,
        })
    };
    text.split_whitespace().filter_map(one).collect()
}

fn written_hints(hints: Hints) -> Option<String> {
    let word =
        |span: Option<Duration>| span.map_or_else(|| "-".to_owned(), |span| span.as_millis().to_string());
    (hints != Hints::default()).then(|| format!("{} {}", word(hints.link_up_spread), word(hints.probe_cap)))
}

fn read_hints(text: &str) -> Hints {
    let mut spans = text.split_whitespace().map(|word| word.parse().ok().map(Duration::from_millis));
    Hints { link_up_spread: spans.next().flatten(), probe_cap: spans.next().flatten() }
}

impl Desk {
    /// Takes up what the process before this one left.
    pub(super) async fn begin(&mut self) -> Result<(), DeliverError> {
        let (now, dice) = (self.engine.now(), self.engine.0.dice.throw());
        if self.engine.0.clock.since_boot().is_some_and(|since| since < JUST_BOOTED) {
            self.delivery.hold(now.after(sync_core::backoff::between(Duration::ZERO, BOOT_SPREAD, dice)));
        }
        self.refused = self.kept(REFUSED).await?.and_then(|text| {
            let (mark, until) = text.split_once(' ')?;
            Some((mark.parse().ok()?, Timestamp(until.parse().ok()?)))
        });
        let before = read(&self.kept(CRASHES).await?.unwrap_or_default());
        let air = read(&self.kept(AIR).await?.unwrap_or_default());
        let crashes = if self.engine.0.unclean { after_crash(&before, &air) } else { Vec::new() };
        self.suspects.clear();
        let store = self.engine.0.store.clone();
        let outbox = store.outbox();
        for crash in crashes.iter().filter(|crash| crash.times >= ALONE_FROM) {
            let Some(entry) = outbox.get(crash.entry).await? else { continue };
            if entry.revision != crash.revision || entry.standing == Standing::Dead {
                continue;
            }
            if crash.times == ALONE_FROM {
                self.suspects.push(entry);
                continue;
            }
            let message = "the daemon ended each time this was being sent, the last time alone".to_owned();
            tracing::error!(project = %entry.registration.local, "{message}");
            let failure = Failure { code: "crash".to_owned(), message, at: now };
            let settled = Settled {
                entry: entry.id,
                local: entry.registration.local,
                revision: entry.revision,
                hash: entry.hash,
                fate: Fate::Bury(failure),
            };
            outbox.settle(entry.scope, vec![settled], self.settings.mapping_life(), dice, now).await?;
        }
        // Last: where something before it failed, all of it is done again.
        self.keep(CRASHES, written(&crashes)).await?;
        self.keep(AIR, None).await?;
        if !crashes.is_empty() {
            tracing::warn!(entries = crashes.len(), "the daemon ended while these were being sent");
        }
        self.has_begun = true;
        let scope = self.engine.scope();
        if scope.settled {
            // It was entered while this could not be read.
            self.suspect(scope.id);
        }
        Ok(())
    }

    fn suspect(&mut self, scope: ScopeId) {
        for entry in self.suspects.iter().filter(|entry| entry.scope == scope) {
            self.delivery.suspect(entry);
        }
    }

    /// A scope's turn begins: what is known of it from before is taken up.
    pub(super) async fn take_up(&mut self, scope: ScopeId) -> Result<(), DeliverError> {
        if self.engine.0.unclean {
            self.delivery.begin_carefully();
        }
        self.suspect(scope);
        if let Some(hints) = self.kept(&hints_key(scope)).await? {
            self.delivery.take_hints(read_hints(&hints));
        }
        let wait = self
            .kept(&wait_key(scope))
            .await?
            .as_deref()
            .and_then(|text| text.split_once(' '))
            .and_then(|(cause, until)| Some((Cause::from_word(cause)?, Timestamp(until.parse().ok()?))));
        if let Some((cause, until)) = wait {
            self.delivery.restore(cause, until);
        }
        Ok(())
    }

    /// Keeps what outlives the process, where it changed.
    pub(super) async fn keep_lasting(&mut self, scope: ScopeId) -> Result<(), DeliverError> {
        let lasting = self.delivery.lasting(self.engine.now());
        let wait = lasting.map(|(cause, until)| format!("{} {}", cause.as_str(), until.0));
        self.keep(&wait_key(scope), wait).await?;
        self.keep(&hints_key(scope), written_hints(self.delivery.hints())).await
    }

    /// Keeps that the cloud refused the token at hand, so that a start does not ask again at once.
    pub(super) async fn keep_refusal(&mut self) -> Result<(), DeliverError> {
        let salt = self.engine.0.machine.0;
        let refused = self.delivery.refused().filter(|(fingerprint, _)| {
            self.token.as_ref().is_some_and(|token| token.fingerprint() == *fingerprint)
        });
        let mark = self.token.as_ref().map(|token| token.mark(salt));
        let text = refused.zip(mark).map(|((_, until), mark)| format!("{mark} {}", until.0));
        self.keep(REFUSED, text).await
    }

    /// The token at hand was refused before this process began, and until when it is not sent.
    pub(super) fn refused_before(&mut self, mark: Uuid, now: Timestamp) -> Option<Timestamp> {
        let (refused, until) = self.refused.take()?;
        (refused == mark && now < until && until <= now.after(LONGEST_REFUSAL)).then_some(until)
    }

    /// After an unclean end: writes down what is about to be sent.
    pub(super) async fn keep_air(&mut self, entries: &[Entry]) -> Result<(), DeliverError> {
        if !self.engine.0.unclean {
            return Ok(());
        }
        let air: Vec<Crash> = entries
            .iter()
            .map(|entry| Crash { entry: entry.id, revision: entry.revision, times: 0 })
            .collect();
        self.keep(AIR, written(&air)).await
    }

    /// Where the configuration names the tenant it is believed, whatever the token says, for the two may have other names for
    /// one tenant. That tokens begin to say something else is told: it may be the token of another one.
    pub(super) async fn compare_claims(&mut self, claim: Option<&TenantId>) -> Result<(), DeliverError> {
        let configured = self.settings.config.cloud_sync.tenant_id.clone();
        let Some((configured, claim)) = configured.zip(claim) else { return Ok(()) };
        let before = self.kept(CLAIM).await?;
        let before = before.as_deref().and_then(|text| text.split_once('\n'));
        if let Some((tenant, before)) = before
            && tenant == configured
            && before != claim.as_str()
            && configured != claim.as_str()
        {
            tracing::warn!(
                configured,
                token = claim.as_str(),
                before,
                "the token is of another tenant than the one before; `cloud_sync.tenant_id` is believed"
            );
        }
        self.keep(CLAIM, Some(format!("{configured}\n{claim}"))).await
    }

    /// Keeps whose turn it is, for a start at which that cannot be told.
    pub(super) async fn keep_scope(&mut self, scope: ScopeId) -> Result<(), DeliverError> {
        self.keep(LAST_SCOPE, Some(scope.0.to_string())).await
    }

    /// The last scope that was known, where it is of the same cloud.
    pub(super) async fn last_scope(
        &mut self,
        now: &CurrentScope,
    ) -> Result<Option<(ScopeId, sync_core::Scope)>, DeliverError> {
        let last = self.kept(LAST_SCOPE).await?.and_then(|text| text.parse().ok()).map(ScopeId);
        let Some(last) = last.filter(|last| *last != now.id) else { return Ok(None) };
        let all = self.engine.0.store.scope().all().await?;
        Ok(all.into_iter().find(|(id, scope)| *id == last && scope.origin == now.scope.origin))
    }

    async fn kept(&mut self, key: &str) -> Result<Option<String>, DeliverError> {
        let value = self.engine.0.store.meta().get(key).await?;
        if let Some(value) = &value {
            self.kept.insert(key.to_owned(), value.clone());
        }
        Ok(value)
    }

    async fn keep(&mut self, key: &str, value: Option<String>) -> Result<(), DeliverError> {
        if self.kept.get(key) == value.as_ref() {
            return Ok(());
        }
        let meta = self.engine.0.store.meta();
        if let Some(value) = value {
            meta.set(key, &value).await?;
            self.kept.insert(key.to_owned(), value);
        } else {
            meta.remove(key).await?;
            self.kept.remove(key);
        }
        Ok(())
    }
}

fn wait_key(scope: ScopeId) -> String {
    format!("scope.{}.wait", scope.0)
}

fn hints_key(scope: ScopeId) -> String {
    format!("scope.{}.hints", scope.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(entry: i64, revision: i64, times: u32) -> Crash {
        Crash { entry: EntryId(entry), revision: Revision(revision), times }
    }

    #[test]
    fn only_crashes_in_a_row_with_the_same_content_count() {
        let before = [crash(1, 1, 2), crash(2, 1, 2), crash(3, 1, 2)];
        let air = [crash(1, 1, 0), crash(2, 2, 0), crash(4, 1, 0)];
        assert_eq!(after_crash(&before, &air), [crash(1, 1, 3), crash(2, 2, 1), crash(4, 1, 1)]);
        assert_eq!(after_crash(&before, &[]), []);
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_is_left_out() {
        let crashes = [crash(1, 2, 3), crash(4, 5, 6)];
        assert_eq!(read(&written(&crashes).unwrap()), crashes);
        assert_eq!(written(&[]), None);
        assert_eq!(read("1:2:3 x 4:5 :: 9:9:-1"), [crash(1, 2, 3)]);

        let second = Some(Duration::from_secs(1));
        for hints in [
            Hints { link_up_spread: second, probe_cap: None },
            Hints { link_up_spread: None, probe_cap: second },
            Hints { link_up_spread: second, probe_cap: second },
        ] {
            assert_eq!(read_hints(&written_hints(hints).unwrap()), hints);
        }
        assert_eq!(written_hints(Hints::default()), None);
        assert_eq!(read_hints("x"), Hints::default());
    }
}
