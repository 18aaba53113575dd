//! The state of the credential: whether there is one, until when it is good, and what follows when it is refused.
//!
//! Never sees a token: it is told a fingerprint, the tenant and the expiry.

use std::time::Duration;

use crate::backoff::{between, doubled};
use crate::time::Timestamp;

/// What is known of a credential without knowing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Differs when the token differs; says nothing of it.
    pub fingerprint: u64,
    /// The token's own expiry, where it tells one.
    pub expires_at: Option<Timestamp>,
}

/// How asking for a credential went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obtained {
    /// Here it is.
    Pass(Pass),
    /// None is configured.
    Nothing,
    /// It could not be had: the command failed, the file cannot be read.
    Failed,
}

/// What to do about the credential before something is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Send with it.
    Usable,
    /// Obtain it (again) first.
    Renew,
    /// Nothing is sent until it changes, or until this slow probe.
    Required {
        /// When it is tried all the same.
        until: Timestamp,
    },
}

/// The credential's state machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialState {
    pass: Option<Pass>,
    /// From when it is renewed: shortly before it expires, or at its expiry when it came too late for that.
    renew_at: Timestamp,
    /// Whether it must be obtained before the next request.
    ask: bool,
    /// The fingerprint the cloud refused last.
    refused: Option<u64>,
    /// Set while nothing may be sent.
    required_until: Option<Timestamp>,
    /// The slow probe may send with a refused or expired pass, once.
    probing: bool,
    failures: u32,
    /// So many milliseconds the clock here is ahead of the cloud's; unknown until an answer tells.
    ahead: Option<i64>,
    /// A pass that looks expired was tried all the same, to hear what time it is.
    asked_the_time: bool,
}

/// A difference of clocks as large as the way to the cloud makes is none.
const CLOCK_SLACK: i64 = 5_000;

const SLOW_PROBE: Duration = Duration::from_mins(15);
const RENEW_BEFORE: Duration = Duration::from_mins(1);
const COMMAND_PAUSE: Duration = Duration::from_secs(5);

impl Default for CredentialState {
    fn default() -> Self {
        Self {
            pass: None,
            renew_at: Timestamp::NEVER,
            ask: true,
            refused: None,
            required_until: None,
            probing: false,
            failures: 0,
            ahead: None,
            asked_the_time: false,
        }
    }
}

impl CredentialState {
    /// What has to happen before something is sent at `now`.
    pub fn need(&self, now: Timestamp) -> Need {
        if self.ask {
            return Need::Renew;
        }
        if let Some(until) = self.waits_until(now) {
            return Need::Required { until };
        }
        match (self.required_until, self.pass) {
            (Some(_), _) | (None, None) => Need::Renew,
            (None, Some(_)) if self.there(now) >= self.renew_at && !self.probing => Need::Renew,
            (None, Some(_)) => Need::Usable,
        }
    }

    /// Until when nothing is asked for. A clock that was set back does not stretch that.
    fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.required_until.filter(|until| now < *until && *until <= now.after(SLOW_PROBE * 2))
    }

    /// Takes in how asking went.
    pub fn obtained(&mut self, how: Obtained, now: Timestamp, dice: u64) {
        let probe_is_due = self.required_until.is_some_and(|until| now >= until);
        self.ask = false;
        match how {
            Obtained::Pass(pass) => {
                self.failures = 0;
                let refused = self.refused == Some(pass.fingerprint);
                let known_bad = refused || expired(pass, self.there(now));
                // By a clock that may be wrong: one request tells what time it is.
                let unheard = !refused && self.ahead.is_none() && !self.asked_the_time;
                self.pass = Some(pass);
                self.renew_at = renewal(pass, self.there(now));
                self.probing = known_bad && (probe_is_due || unheard);
                self.asked_the_time |= self.probing;
                let waits = self.waits_until(now);
                self.required_until =
                    (known_bad && !self.probing).then(|| waits.unwrap_or_else(|| slow_probe(now, dice)));
            }
            Obtained::Nothing => {
                self.pass = None;
                self.required_until = Some(slow_probe(now, dice));
            }
            Obtained::Failed => {
                let pause = doubled(COMMAND_PAUSE, self.failures, SLOW_PROBE);
                self.failures = self.failures.saturating_add(1);
                self.pass = None;
                self.required_until = Some(now.after(between(pause / 2, pause, dice)));
            }
        }
    }

    /// The cloud's clock said `told` at `now`.
    pub fn heard_time(&mut self, told: Timestamp, now: Timestamp) {
        let ahead = now.0.saturating_sub(told.0);
        let before = self.ahead.replace(if ahead.abs() < CLOCK_SLACK { 0 } else { ahead });
        if let Some(pass) = self.pass
            && self.ahead != before
        {
            self.renew_at = renewal(pass, self.there(now));
        }
    }

    /// What time it is there when it is `now` here.
    fn there(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(self.ahead.unwrap_or(0)))
    }

    /// The pass that was refused and until when it is not sent, for keeping it over a restart.
    pub fn lasting(&self) -> Option<(u64, Timestamp)> {
        self.refused.zip(self.required_until)
    }

    /// The pass with this fingerprint was refused in an earlier process and is not sent until then.
    pub fn restore(&mut self, fingerprint: u64, until: Timestamp) {
        self.refused = Some(fingerprint);
        self.required_until = Some(until);
    }

    /// What tells the pass at hand from others.
    pub fn fingerprint(&self) -> Option<u64> {
        self.pass.map(|pass| pass.fingerprint)
    }

    /// The cloud said 401. The first time it is renewed, the same one again is not sent.
    pub fn refused(&mut self, now: Timestamp, dice: u64) {
        let fingerprint = self.fingerprint();
        let again = self.refused.is_some();
        self.refused = fingerprint;
        self.probing = false;
        if again {
            self.required_until = Some(slow_probe(now, dice));
        } else {
            self.ask = true;
        }
    }

    /// The cloud took it.
    pub fn accepted(&mut self) {
        self.refused = None;
        self.required_until = None;
    }

    /// The place it comes from changed, or somebody wants another try.
    pub fn changed(&mut self) {
        self.ask = true;
        self.refused = None;
        self.required_until = None;
        self.failures = 0;
    }

    /// Whether nothing is sent because of it.
    pub fn is_required(&self) -> bool {
        self.required_until.is_some()
    }
}

fn renewal(pass: Pass, now: Timestamp) -> Timestamp {
    let expires = pass.expires_at.unwrap_or(Timestamp::NEVER);
    let early = expires.before(RENEW_BEFORE);
    if early > now { early } else { expires }
}

fn expired(pass: Pass, now: Timestamp) -> bool {
    pass.expires_at.is_some_and(|at| at <= now)
}

fn slow_probe(now: Timestamp, dice: u64) -> Timestamp {
    now.after(between(SLOW_PROBE, SLOW_PROBE + SLOW_PROBE / 10, dice))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn pass(fingerprint: u64, life: Option<u64>) -> Obtained {
        Obtained::Pass(Pass {
            fingerprint,
            expires_at: life.map(|secs| NOW.after(Duration::from_secs(secs))),
        })
    }

    fn with(how: Obtained) -> CredentialState {
        let mut state = CredentialState::default();
        assert_eq!(state.need(NOW), Need::Renew);
        state.obtained(how, NOW, 0);
        state
    }

    #[test]
    fn what_was_obtained_decides() {
        for (how, usable) in [
            (pass(1, None), true),
            (pass(1, Some(3600)), true),
            (Obtained::Nothing, false),
            (Obtained::Failed, false),
        ] {
            let state = with(how);
            assert_eq!(state.need(NOW) == Need::Usable, usable, "{how:?}");
            assert_eq!(state.is_required(), !usable, "{how:?}");
        }
    }

    #[test]
    fn it_is_renewed_shortly_before_it_expires() {
        let state = with(pass(1, Some(3600)));
        for (secs, need) in [(3_000, Need::Usable), (3_541, Need::Renew), (4_000, Need::Renew)] {
            assert_eq!(state.need(NOW.after(Duration::from_secs(secs))), need, "{secs}");
        }
    }

    #[test]
    fn a_token_that_always_comes_late_is_used_until_it_expires() {
        let mut state = with(pass(1, Some(30)));
        assert_eq!(state.need(NOW), Need::Usable);
        let late = NOW.after(Duration::from_secs(30));
        state.heard_time(late, late);
        assert_eq!(state.need(late), Need::Renew);
        state.obtained(pass(1, Some(30)), late, 0);
        assert!(matches!(state.need(late), Need::Required { .. }));
    }

    #[test]
    fn a_refusal_renews_once_and_a_new_token_is_sent() {
        let mut state = with(pass(1, None));
        state.refused(NOW, 0);
        assert_eq!(state.need(NOW), Need::Renew);
        state.obtained(pass(2, None), NOW, 0);
        assert_eq!(state.need(NOW), Need::Usable);
        state.refused(NOW, 0);
        assert!(matches!(state.need(NOW), Need::Required { .. }), "the second refusal ends it");
    }

    #[test]
    fn a_clock_that_is_set_back_has_a_refused_token_asked_for_once_and_not_for_ever() {
        let mut state = with(pass(1, None));
        state.refused(NOW, 0);
        state.obtained(pass(1, None), NOW, 0);
        let back = NOW.before(Duration::from_hours(2));
        assert_eq!(state.need(back), Need::Renew);
        state.obtained(pass(1, None), back, 0);
        assert_eq!(state.need(back), Need::Required { until: back.after(SLOW_PROBE) });
    }

    #[test]
    fn the_same_refused_token_is_not_sent_again_before_the_slow_probe() {
        let mut state = with(pass(1, None));
        state.refused(NOW, 0);
        state.obtained(pass(1, None), NOW, 0);
        let Need::Required { until } = state.need(NOW) else { panic!("not required") };
        assert_eq!(until, NOW.after(SLOW_PROBE));
        assert_eq!(state.need(until), Need::Renew);
        state.obtained(pass(1, None), until, 0);
        assert_eq!(state.need(until), Need::Usable, "the slow probe tries it");
        state.refused(until, 0);
        assert!(matches!(state.need(until), Need::Required { .. }));
        state.changed();
        assert_eq!(state.need(until), Need::Renew);
    }

    #[test]
    fn a_token_that_looks_expired_is_tried_once_to_hear_the_time_there() {
        let hour = Duration::from_hours(1);
        for (clock_here_is_ahead, usable) in [(Duration::ZERO, false), (2 * hour, true)] {
            let mut state = with(pass(1, Some(0)));
            assert_eq!(state.need(NOW), Need::Usable);
            state.heard_time(NOW.before(clock_here_is_ahead), NOW);
            state.refused(NOW, 0);
            state.obtained(pass(2, Some(0)), NOW, 0);
            assert_eq!(state.need(NOW) == Need::Usable, usable, "{clock_here_is_ahead:?}");
        }
        let mut state = with(pass(1, Some(0)));
        state.obtained(pass(1, Some(0)), NOW, 0);
        assert!(matches!(state.need(NOW), Need::Required { .. }), "and not once more");
    }

    #[test]
    fn a_token_is_renewed_by_the_clock_there() {
        let hour = Duration::from_hours(1);
        let mut state = with(pass(1, Some(3600)));
        state.heard_time(NOW.after(hour), NOW);
        assert_eq!(state.need(NOW), Need::Renew, "the clock here is behind");
        let mut state = with(pass(1, Some(3600)));
        state.heard_time(NOW.before(hour), NOW);
        assert_eq!(state.need(NOW.after(hour)), Need::Usable, "the clock here is ahead");
    }

    #[test]
    fn what_was_refused_before_a_restart_is_not_sent_after_it() {
        let mut state = with(pass(1, None));
        state.refused(NOW, 0);
        state.obtained(pass(1, None), NOW, 0);
        let (fingerprint, until) = state.lasting().unwrap();
        let later = NOW.after(Duration::from_mins(1));
        let mut next = CredentialState::default();
        next.restore(fingerprint, until);
        next.obtained(pass(1, None), later, 0);
        assert_eq!(next.need(later), Need::Required { until });
        next.obtained(pass(2, None), later, 0);
        assert_eq!(next.need(later), Need::Usable);
    }

    #[test]
    fn an_expired_token_is_still_tried_by_the_slow_probe_because_the_clock_may_be_wrong() {
        let mut state = with(pass(1, Some(0)));
        state.heard_time(NOW, NOW);
        state.obtained(pass(1, Some(0)), NOW, 0);
        let Need::Required { until } = state.need(NOW) else { panic!("not required") };
        state.obtained(pass(1, Some(0)), until, 0);
        assert_eq!(state.need(until), Need::Usable);
        state.accepted();
        assert_eq!(state.need(until), Need::Usable, "and kept while the cloud takes it");
    }
}
