//! Says when the cloud may be tried again after the way there failed.
//!
//! One breaker per scope. Knows nothing of entries, HTTP or sleeping: it is told what happened and when, and answers
//! until when to wait.

use std::time::Duration;

use crate::backoff::{between, doubled};
use crate::time::Timestamp;

/// Why nothing is sent for a while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// This machine has no way to the network: a change of the network ends the wait.
    Local,
    /// The cloud or its gateway is down or refuses connections.
    Server,
    /// Something else answers in the cloud's place.
    Portal,
    /// The cloud asked for patience.
    Rate,
    /// A proxy wants credentials.
    Proxy,
    /// The tenant is refused.
    Forbidden,
    /// This cloud does not speak the contract.
    Protocol,
}

impl Cause {
    /// A short lower-case word, stable: it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Server => "server",
            Self::Portal => "portal",
            Self::Rate => "rate",
            Self::Proxy => "proxy",
            Self::Forbidden => "forbidden",
            Self::Protocol => "protocol",
        }
    }

    /// Reads [`Cause::as_str`]'s word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Local, Self::Server, Self::Portal, Self::Rate, Self::Proxy, Self::Forbidden, Self::Protocol]
            .into_iter()
            .find(|cause| cause.as_str() == word)
    }

    /// Whether every pause is as long as the first.
    fn is_fixed(self) -> bool {
        match self {
            Self::Proxy | Self::Forbidden | Self::Protocol => true,
            Self::Local | Self::Server | Self::Portal | Self::Rate => false,
        }
    }

    /// Whether the wait outlives the process, though the server named no time. A plain one does not: a new process
    /// probes once.
    fn survives_restart(self) -> bool {
        match self {
            Self::Rate | Self::Proxy => true,
            Self::Local | Self::Server | Self::Portal | Self::Forbidden | Self::Protocol => false,
        }
    }
}

/// The first and the longest pause of each cause, with the configuration's overrides applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pauses {
    /// Replaces the first pause of every cause that doubles.
    pub initial: Option<Duration>,
    /// Replaces the longest pause of every cause that doubles.
    pub longest: Option<Duration>,
}

impl Pauses {
    fn of(self, cause: Cause) -> (Duration, Duration) {
        let (initial, longest) = match cause {
            Cause::Local => (Duration::from_secs(1), Duration::from_mins(1)),
            Cause::Server | Cause::Rate => (Duration::from_secs(10), Duration::from_mins(5)),
            Cause::Portal => (Duration::from_secs(30), Duration::from_mins(5)),
            Cause::Proxy => return (Duration::from_mins(15), Duration::from_mins(15)),
            Cause::Forbidden | Cause::Protocol => return (Duration::from_hours(1), Duration::from_hours(1)),
        };
        let longest = self.longest.unwrap_or(longest);
        (self.initial.unwrap_or(initial).min(longest), longest)
    }
}

/// What the breaker lets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Everything.
    Closed,
    /// Nothing until then.
    Open {
        /// Why.
        cause: Cause,
        /// Until when.
        until: Timestamp,
    },
    /// One single entry, to see.
    HalfOpen {
        /// Why it was open.
        cause: Cause,
    },
}

/// One scope's breaker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breaker {
    pauses: Pauses,
    /// The cloud's own cap for probes.
    probe_cap: Option<Duration>,
    open: Option<Open>,
    /// What the cloud asked for with an answer that says something else as well: nothing is sent before. When it is over
    /// all is as if nothing had been asked.
    patience: Option<Timestamp>,
    /// Failures in a row, halved by a success.
    step: u32,
    good_since: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Open {
    cause: Cause,
    until: Timestamp,
    /// The server named the time or caused the wait by name: no local event shortens it.
    told: bool,
}

/// Longest time a 429 is obeyed.
pub const LONGEST_RATE_WAIT: Duration = Duration::from_hours(1);
/// Longest time a Retry-After of any other status is obeyed.
pub const LONGEST_TOLD_WAIT: Duration = Duration::from_hours(6);
const LEAST_WAIT: Duration = Duration::from_secs(1);
const MOST_JITTER: Duration = Duration::from_mins(5);
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

impl Breaker {
    /// A closed breaker.
    pub fn new(pauses: Pauses) -> Self {
        Self { pauses, probe_cap: None, open: None, patience: None, step: 0, good_since: None }
    }

    /// What may be sent at `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        match (self.open, self.patience(now)) {
            (None, None) => Gate::Closed,
            (None, Some(until)) => Gate::Open { cause: Cause::Rate, until },
            (Some(Open { cause, until, .. }), patience) if now < until || patience.is_some() => {
                Gate::Open { cause, until: until.max(patience.unwrap_or(until)) }
            }
            (Some(open), _) => Gate::HalfOpen { cause: open.cause },
        }
    }

    /// The way there failed, or the cloud asked to wait for `told`. A told wait is never undercut and never met
    /// to the second.
    pub fn failed(&mut self, cause: Cause, told: Option<Duration>, now: Timestamp, dice: u64) {
        if self.good_since.is_some_and(|since| now.since(since) >= FORGOTTEN_AFTER) {
            self.step = 0;
        }
        let (base, cap) = self.pauses(cause);
        // What was sent before the way closed tells no more than what closed it.
        let known = self.open.is_some_and(|open| now < open.until && open.cause == cause && told.is_none());
        if known {
            return;
        }
        let pause = doubled(base, self.step, cap);
        let until = match told {
            Some(told) => {
                let longest = if cause == Cause::Rate { LONGEST_RATE_WAIT } else { LONGEST_TOLD_WAIT };
                self.not_before(told.min(longest), pause, now, dice)
            }
            None if cause.is_fixed() => {
                // A fixed pause, spread a little so that daemons stopped together do not come back together.
                now.after(pause).after(between(Duration::ZERO, pause / 10, dice))
            }
            None => now.after(between(Duration::ZERO, pause, dice).max(LEAST_WAIT)),
        };
        self.step = self.step.saturating_add(1);
        self.good_since = None;
        // An answer to something sent earlier may come while a told wait is on, and must not shorten it.
        if !self.is_told_until(until) {
            self.open = Some(Open { cause, until, told: told.is_some() || cause == Cause::Rate });
        }
    }

    /// The cloud asked to wait for `told`, with an answer that says something else as well.
    pub fn asked(&mut self, told: Duration, now: Timestamp, dice: u64) {
        if !told.is_zero() {
            let until = self.not_before(told.min(LONGEST_TOLD_WAIT), Duration::ZERO, now, dice);
            self.patience = self.patience.max(Some(until));
        }
    }

    /// Who is turned away again came with too many others: the more often, the further apart they come.
    fn not_before(&self, told: Duration, least_spread: Duration, now: Timestamp, dice: u64) -> Timestamp {
        let spread = doubled(told, self.step, MOST_JITTER).max(least_spread).min(MOST_JITTER);
        now.after(told).after(between(Duration::ZERO, spread, dice))
    }

    fn patience(&self, now: Timestamp) -> Option<Timestamp> {
        self.patience.filter(|until| now < *until)
    }

    fn is_told_until(&self, moment: Timestamp) -> bool {
        self.open.is_some_and(|open| open.told && open.until > moment)
    }

    /// Whether the server was promised that nothing is sent until `moment` or longer.
    pub fn promised_until(&self, moment: Timestamp) -> bool {
        self.is_told_until(moment) || self.patience(moment).is_some()
    }

    /// The configuration changed; a wait that is on stays.
    pub fn follow(&mut self, pauses: Pauses) {
        self.pauses = pauses;
    }

    /// The cloud says how far apart its probes may be at most.
    pub fn cap_probes(&mut self, cap: Duration) {
        self.probe_cap = Some(cap.max(LEAST_WAIT));
    }

    fn pauses(&self, cause: Cause) -> (Duration, Duration) {
        let (base, cap) = self.pauses.of(cause);
        match (cause, self.probe_cap) {
            (Cause::Server | Cause::Portal | Cause::Rate, Some(hint)) => (base.min(hint), hint),
            // A try that finds no network costs the cloud nothing.
            (Cause::Local | Cause::Proxy | Cause::Forbidden | Cause::Protocol, _) | (_, None) => (base, cap),
        }
    }

    /// An exchange was good. A wait that the server asked for meanwhile stays.
    pub fn passed(&mut self, now: Timestamp) {
        let since = *self.good_since.get_or_insert(now);
        self.step = if now.since(since) >= FORGOTTEN_AFTER { 0 } else { self.step / 2 };
        if !self.is_told_until(now) {
            self.open = None;
        }
    }

    /// The network changed: a wait for want of a network ends within `spread`. Any other wait stands.
    pub fn network_changed(&mut self, now: Timestamp, spread: Duration, dice: u64) -> bool {
        match &mut self.open {
            Some(open) if open.cause == Cause::Local => {
                let soon = now.after(between(Duration::ZERO, spread, dice));
                // A wait that is over and whose probe was held back must not end at once on all machines.
                open.until = if now < open.until { open.until.min(soon) } else { soon };
                self.step = 0;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Somebody wants it now: every wait ends but one the server asked for.
    pub fn hurried(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open
            && !open.told
        {
            open.until = open.until.min(now);
        }
    }

    /// A clock that was set back must not make a wait longer than its cause allows.
    pub fn clamp(&mut self, now: Timestamp, dice: u64) {
        let longest = LONGEST_TOLD_WAIT + MOST_JITTER;
        if self.patience.is_some_and(|until| until > now.after(longest)) {
            self.patience = Some(now.after(between(Duration::ZERO, MOST_JITTER, dice)));
        }
        if let Some(open) = self.open {
            let (_, cap) = self.pauses(open.cause);
            let longest = if open.told { LONGEST_TOLD_WAIT + MOST_JITTER } else { cap + cap / 10 };
            if open.until > now.after(longest) {
                let until = now.after(between(Duration::ZERO, cap, dice));
                self.open = Some(Open { until, ..open });
            }
        }
    }

    /// The wait that is on, or over and not yet followed by a try, because the way failed.
    pub fn waiting(&self) -> Option<(Cause, Timestamp)> {
        self.open.map(|open| (open.cause, open.until))
    }

    /// Why nothing is sent, or only a try, at `now`: for the status.
    pub fn obstacle(&self, now: Timestamp) -> Option<(Cause, Timestamp)> {
        match self.gate(now) {
            Gate::Open { cause, until } => Some((cause, until)),
            Gate::Closed | Gate::HalfOpen { .. } => self.waiting(),
        }
    }

    /// The wait that outlives this process: what the server asked for, and what only a person ends.
    pub fn lasting(&self, now: Timestamp) -> Option<(Cause, Timestamp)> {
        let open = self.open.filter(|open| open.told || open.cause.survives_restart());
        let patience = self.patience(now).map(|until| (Cause::Rate, until));
        open.map(|open| (open.cause, open.until)).into_iter().chain(patience).max_by_key(|(_, until)| *until)
    }

    /// Takes up a wait that an earlier process left.
    pub fn restore(&mut self, cause: Cause, until: Timestamp) {
        self.open = Some(Open { cause, until, told: cause != Cause::Proxy });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn until(breaker: &Breaker) -> Duration {
        breaker.waiting().map_or(Duration::ZERO, |(_, until)| until.since(NOW))
    }

    /// A probe that fails when the wait is over.
    fn fail_again(breaker: &mut Breaker, cause: Cause) {
        breaker.open = None;
        breaker.failed(cause, None, NOW, u64::MAX / 2);
    }

    #[test]
    fn requests_of_one_moment_that_fail_together_are_one_failure() {
        let mut breaker = Breaker::new(Pauses::default());
        breaker.failed(Cause::Server, None, NOW, u64::MAX);
        let first = until(&breaker);
        for _ in 0..4 {
            breaker.failed(Cause::Server, None, NOW, u64::MAX);
        }
        assert_eq!((until(&breaker), breaker.step), (first, 1));
        breaker.failed(Cause::Rate, Some(600 * SECOND), NOW, 0);
        assert_eq!(until(&breaker), 600 * SECOND, "but what the cloud asks for is heard");
    }

    #[test]
    fn what_the_cloud_asks_for_beside_something_else_is_kept_and_leaves_nothing_behind() {
        let minutes = |minutes: u32| minutes * 60 * SECOND;
        let opens = |breaker: &Breaker, now: Timestamp| match breaker.gate(now) {
            Gate::Open { cause, until } => Some((cause, until.since(NOW))),
            Gate::Closed | Gate::HalfOpen { .. } => None,
        };
        let mut breaker = Breaker::new(Pauses::default());
        breaker.failed(Cause::Forbidden, None, NOW, 0);
        breaker.asked(minutes(2), NOW, 0);
        assert_eq!(opens(&breaker, NOW), Some((Cause::Forbidden, minutes(60))));
        assert_eq!(breaker.lasting(NOW), Some((Cause::Rate, NOW.after(minutes(2)))), "no more was promised");
        breaker.hurried(NOW);
        assert_eq!(opens(&breaker, NOW), Some((Cause::Forbidden, minutes(2))), "nobody here ends it");
        breaker.failed(Cause::Local, None, NOW, u64::MAX);
        breaker.network_changed(NOW, SECOND, 0);
        assert_eq!(opens(&breaker, NOW), Some((Cause::Local, minutes(2))));
        breaker.passed(NOW);
        assert_eq!(opens(&breaker, NOW), Some((Cause::Rate, minutes(2))));
        let over = NOW.after(minutes(2));
        assert_eq!(
            (breaker.gate(over), breaker.obstacle(over), breaker.lasting(over)),
            (Gate::Closed, None, None)
        );

        let mut breaker = Breaker::new(Pauses::default());
        breaker.asked(minutes(2), NOW, u64::MAX);
        let (cause, until) = opens(&breaker, NOW).unwrap();
        assert!(
            cause == Cause::Rate && (minutes(2)..=minutes(4)).contains(&until),
            "never before, never exactly"
        );
        breaker.clamp(NOW.before(minutes(600)), u64::MAX);
        assert!(opens(&breaker, NOW).is_none(), "a clock that was set back does not make it longer");
        breaker.asked(Duration::ZERO, NOW, u64::MAX);
        assert_eq!(breaker.gate(NOW), Gate::Closed);
    }

    #[test]
    fn a_wait_that_the_cloud_asked_for_makes_none_of_those_after_it_last() {
        let mut breaker = Breaker::new(Pauses::default());
        breaker.failed(Cause::Server, Some(SECOND), NOW, 0);
        let later = NOW.after(60 * SECOND);
        breaker.failed(Cause::Server, None, later, u64::MAX);
        assert_eq!(breaker.lasting(later), None);
        breaker.hurried(later);
        assert_eq!(breaker.gate(later), Gate::HalfOpen { cause: Cause::Server });
    }

    #[test]
    fn an_hour_without_trouble_forgets_the_trouble_before_it() {
        let mut breaker = Breaker::new(Pauses::default());
        for _ in 0..6 {
            fail_again(&mut breaker, Cause::Server);
        }
        breaker.passed(NOW);
        breaker.failed(Cause::Server, None, NOW.after(Duration::from_hours(1)), u64::MAX);
        assert_eq!(breaker.step, 1);
    }

    #[test]
    fn pauses_double_up_to_their_cap() {
        for (cause, failures, longest) in [
            (Cause::Local, 1, 1),
            (Cause::Local, 3, 4),
            (Cause::Local, 20, 60),
            (Cause::Server, 1, 10),
            (Cause::Server, 2, 20),
            (Cause::Server, 20, 300),
            (Cause::Portal, 1, 30),
            (Cause::Portal, 20, 300),
        ] {
            let mut breaker = Breaker::new(Pauses::default());
            for _ in 1..failures {
                fail_again(&mut breaker, cause);
            }
            breaker.open = None;
            for (dice, expected) in [(0, 1.0), (u64::MAX, f64::from(longest))] {
                let mut breaker = breaker.clone();
                breaker.failed(cause, None, NOW, dice);
                let waited = until(&breaker).as_secs_f64();
                assert!((waited - expected).abs() < 0.01, "{cause:?} × {failures}: {waited} for {expected}");
            }
        }
    }

    #[test]
    fn a_told_wait_is_never_undercut_nor_met_to_the_second() {
        for (cause, told, least, most) in [
            (Cause::Rate, 120, 120, 240),
            (Cause::Rate, 100_000, 3_600, 3_900),
            (Cause::Server, 100_000, 21_600, 21_900),
            (Cause::Rate, 0, 0, 10),
        ] {
            for dice in [0, u64::MAX / 2, u64::MAX] {
                let mut breaker = Breaker::new(Pauses::default());
                breaker.failed(cause, Some(told * SECOND), NOW, dice);
                let waited = until(&breaker);
                assert!(waited >= least * SECOND && waited <= most * SECOND, "{cause:?} {told}: {waited:?}");
            }
        }
    }

    #[test]
    fn who_is_turned_away_time_and_again_comes_back_ever_further_apart() {
        let mut breaker = Breaker::new(Pauses::default());
        for most in [60, 90, 150, 270, 330, 330] {
            breaker.open = None;
            breaker.failed(Cause::Rate, Some(30 * SECOND), NOW, u64::MAX);
            let waited = until(&breaker).as_secs_f64();
            assert!((waited - f64::from(most)).abs() < 0.01, "{waited} for {most}");
        }
    }

    #[test]
    fn a_network_change_ends_only_a_wait_for_the_network() {
        for (cause, ends) in
            [(Cause::Local, true), (Cause::Server, false), (Cause::Rate, false), (Cause::Portal, false)]
        {
            let mut breaker = Breaker::new(Pauses::default());
            breaker.failed(cause, None, NOW, u64::MAX);
            assert_eq!(breaker.network_changed(NOW, SECOND / 4, u64::MAX), ends, "{cause:?}");
            assert_eq!(until(&breaker) <= SECOND / 4, ends, "{cause:?}");
        }
    }

    #[test]
    fn a_network_change_spreads_those_too_whose_wait_is_over() {
        for (waited, most) in [(0, 30), (600, 630)] {
            let mut breaker = Breaker::new(Pauses::default());
            breaker.failed(Cause::Local, None, NOW, u64::MAX);
            let later = NOW.after(waited * SECOND);
            breaker.network_changed(later, 60 * SECOND, u64::MAX / 2);
            let until = until(&breaker);
            assert!(until >= waited * SECOND && until <= most * SECOND, "{waited}: {until:?}");
            assert_eq!(
                until > waited * SECOND,
                breaker.gate(later) != Gate::HalfOpen { cause: Cause::Local }
            );
        }
    }

    #[test]
    fn haste_does_not_break_a_promise_to_the_server() {
        for (told, hurried) in [(None, true), (Some(60 * SECOND), false)] {
            let mut breaker = Breaker::new(Pauses::default());
            breaker.failed(Cause::Server, told, NOW, u64::MAX);
            breaker.hurried(NOW);
            assert_eq!(breaker.gate(NOW) == Gate::HalfOpen { cause: Cause::Server }, hurried);
        }
    }

    #[test]
    fn an_answer_to_an_earlier_request_does_not_shorten_a_told_wait() {
        for told in [None, Some(SECOND), Some(600 * SECOND)] {
            let mut breaker = Breaker::new(Pauses::default());
            breaker.failed(Cause::Rate, Some(120 * SECOND), NOW, 0);
            breaker.passed(NOW);
            breaker.failed(Cause::Server, told, NOW, 0);
            assert_eq!(until(&breaker), told.unwrap_or_default().max(120 * SECOND), "{told:?}");
        }
    }

    #[test]
    fn what_the_server_asked_for_outlives_the_process() {
        for (cause, told, outlives) in [
            (Cause::Rate, None, true),
            (Cause::Proxy, None, true),
            (Cause::Server, Some(120 * SECOND), true),
            (Cause::Server, None, false),
            (Cause::Local, None, false),
        ] {
            let mut breaker = Breaker::new(Pauses::default());
            breaker.failed(cause, told, NOW, u64::MAX);
            assert_eq!(breaker.lasting(NOW).is_some(), outlives, "{cause:?} {told:?}");
            let Some((cause, until)) = breaker.lasting(NOW) else { continue };
            let mut next = Breaker::new(Pauses::default());
            next.restore(cause, until);
            next.hurried(NOW);
            assert_eq!(next.waiting().is_some_and(|(_, until)| until > NOW), cause != Cause::Proxy);
        }
    }

    #[test]
    fn success_halves_the_step_and_a_minute_of_it_forgets() {
        let mut breaker = Breaker::new(Pauses::default());
        for _ in 0..4 {
            fail_again(&mut breaker, Cause::Server);
        }
        breaker.passed(NOW);
        assert_eq!((breaker.gate(NOW), breaker.step), (Gate::Closed, 2));
        breaker.passed(NOW.after(60 * SECOND));
        assert_eq!(breaker.step, 0);
    }

    #[test]
    fn a_clock_set_back_does_not_stretch_a_wait() {
        let mut breaker = Breaker::new(Pauses::default());
        breaker.failed(Cause::Server, None, NOW, u64::MAX);
        let earlier = NOW.before(Duration::from_hours(2400));
        breaker.clamp(earlier, u64::MAX);
        let (_, until) = breaker.waiting().unwrap();
        assert!(until.since(earlier) <= 300 * SECOND);
    }

    #[test]
    fn the_configuration_replaces_first_and_longest_pause() {
        let pauses = Pauses { initial: Some(SECOND / 10), longest: Some(2 * SECOND) };
        let mut breaker = Breaker::new(pauses);
        for _ in 0..10 {
            fail_again(&mut breaker, Cause::Portal);
        }
        assert!(until(&breaker) <= 2 * SECOND);
    }
}
