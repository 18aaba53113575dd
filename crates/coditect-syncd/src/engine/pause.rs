//! Pauses of sending: who, why and until when. They outlive the process, and end by themselves where they have an end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sync_core::Timestamp;

use super::api::Refusal;
use super::{Engine, locked, store_refusal};

const META_PAUSED: &str = "paused";

/// A pause that is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pausing {
    /// When it began, in milliseconds since 1970.
    since: i64,
    /// For how long; `None` until somebody resumes.
    length: Option<u64>,
    /// Why, where somebody said.
    reason: Option<String>,
}

/// What time makes of a pause.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Judged {
    /// It goes on.
    On,
    /// It is over.
    Over,
    /// The clock was set back before its beginning: it begins anew, so that it does not last longer than it was to.
    Shifted(Pausing),
}

impl Pausing {
    /// When it began.
    pub(crate) fn since(&self) -> Timestamp {
        Timestamp(self.since)
    }

    /// When it ends by itself.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.length.map(|length| self.since().after(Duration::from_millis(length)))
    }

    /// Why.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn new(since: Timestamp, length: Option<Duration>, reason: Option<String>) -> Self {
        let length = length.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        Self { since: since.0, length, reason }
    }

    /// Reads what was written down. What cannot be read is a pause all the same: somebody wanted one.
    fn read(text: &str, now: Timestamp) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self::new(now, None, None))
    }

    fn judge(&self, now: Timestamp) -> Judged {
        match self.until() {
            Some(until) if now >= until => Judged::Over,
            Some(_) if now < self.since() => Judged::Shifted(Self { since: now.0, ..self.clone() }),
            Some(_) | None => Judged::On,
        }
    }
}

impl Engine {
    /// The pause that was in force when the process before this one ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn kept_pause(
        store: &sync_store::Store,
        now: Timestamp,
    ) -> Result<Option<Pausing>, sync_store::Error> {
        let kept = store.meta().get(META_PAUSED).await?;
        Ok(kept.map(|text| Pausing::read(&text, now)))
    }

    /// The pause that is in force.
    pub(crate) fn pausing(&self) -> Option<Pausing> {
        locked(&self.0.paused).clone()
    }

    /// Stops sending for so long, or until somebody resumes it; over restarts too.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) async fn pause(
        &self,
        length: Option<Duration>,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        let pausing = Pausing::new(self.now(), length, reason);
        self.keep_pause(Some(pausing.clone())).await?;
        let until = pausing.until().map(Timestamp::to_rfc3339);
        let end =
            until.map_or_else(|| "it is resumed".to_owned(), |until| format!("{until} or it is resumed"));
        let why = pausing.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        tracing::info!(reason = pausing.reason(), "sending is paused until {end}");
        self.record("sending.paused", format!("nothing is sent until {end}{why}")).await;
        Ok(())
    }

    /// Goes on with all that was paused or held back.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) async fn resume(&self) -> Result<(), Refusal> {
        self.lift_holds();
        self.go_on().await
    }

    async fn go_on(&self) -> Result<(), Refusal> {
        self.keep_pause(None).await?;
        tracing::info!("sending is resumed");
        self.record("sending.resumed", "what waits is sent again".to_owned()).await;
        Ok(())
    }

    /// Ends a pause whose time has come. Answers until when one lasts that is in force, where it has an end.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) async fn end_pause(&self) -> Result<Option<Timestamp>, Refusal> {
        let Some(pausing) = self.pausing() else { return Ok(None) };
        match pausing.judge(self.now()) {
            Judged::On => Ok(pausing.until()),
            Judged::Shifted(pausing) => {
                let until = pausing.until();
                self.keep_pause(Some(pausing)).await?;
                Ok(until)
            }
            Judged::Over => {
                self.go_on().await?;
                Ok(None)
            }
        }
    }

    async fn keep_pause(&self, pausing: Option<Pausing>) -> Result<(), Refusal> {
        let meta = self.0.store.meta();
        match &pausing {
            Some(pausing) => {
                let text = serde_json::to_string(pausing).unwrap_or_default();
                meta.set(META_PAUSED, &text).await
            }
            None => meta.remove(META_PAUSED).await.map(drop),
        }
        .map_err(store_refusal)?;
        *locked(&self.0.paused) = pausing;
        self.0.deliver_wake.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_as_long_as_it_was_to_whatever_the_clock_does() {
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let pause = Pausing::new(at(100), Some(Duration::from_secs(10)), Some("x".to_owned()));
        let shifted = |seconds: i64| Judged::Shifted(Pausing { since: seconds * 1_000, ..pause.clone() });
        for (now, expected) in [
            (100, Judged::On),
            (109, Judged::On),
            (110, Judged::Over),
            (9_999, Judged::Over),
            (99, shifted(99)),
            (-5, shifted(-5)),
        ] {
            assert_eq!(pause.judge(at(now)), expected, "{now}");
        }
        assert_eq!(Pausing::new(at(100), None, None).judge(at(9_999)), Judged::On);
    }

    #[test]
    fn what_is_written_down_is_read_again_and_what_cannot_be_read_is_a_pause() {
        let pause = Pausing::new(Timestamp(5), Some(Duration::from_secs(1)), Some("a \"b\"".to_owned()));
        let text = serde_json::to_string(&pause).unwrap();
        assert_eq!(Pausing::read(&text, Timestamp(9)), pause);
        for text in ["1", "", "{}", "{\"since\": \"x\"}"] {
            assert_eq!(Pausing::read(text, Timestamp(9)), Pausing::new(Timestamp(9), None, None), "{text}");
        }
    }
}
