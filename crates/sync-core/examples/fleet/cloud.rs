//! The cloud as a fleet meets it: away for a while, then with a limit of requests and a limit of work.
//!
//! Knows nothing of who asks. Counts what reached it, second by second.

use std::time::Duration;

use sync_core::Hints;

use crate::series::Series;

/// Why the cloud does not answer well for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Away {
    /// Nothing listens: the connection is refused, and the cloud sees nothing.
    Refuses,
    /// There is no route to it, and the machines know.
    NoRoute,
    /// Packets are lost on the way.
    Silent,
    /// Its gateway says 503 with this Retry-After.
    Busy(Duration),
}

/// How the limit of requests is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Window {
    /// Each second for itself; who comes too much is told a fixed time.
    Second(Duration),
    /// Each minute for itself; who comes too much is told the time to the minute's end, the same moment for all.
    Minute,
}

/// What the cloud bears and says.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Requests a second that are taken; more get a 429.
    pub(crate) limit: u32,
    pub(crate) window: Window,
    /// Entries a second that are worked off.
    pub(crate) capacity: u32,
    /// How long an answer takes at least.
    pub(crate) latency: Duration,
    /// When it is away, in milliseconds of the run.
    pub(crate) away: Vec<(i64, i64, Away)>,
    /// What every good answer says besides.
    pub(crate) hints: Hints,
}

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Done,
    Wait { status: u16, wait: Duration },
    Refused,
    NoRoute,
    ConnectTimeout,
}

/// An answer and how long after the request's arrival it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) said: Said,
    pub(crate) after: i64,
}

/// So many times its limit the gateway can answer with a 429; what is beyond finds no open port.
const GATEWAY: u32 = 10;
/// More work than this is not taken on.
const LONGEST_BACKLOG: i64 = 5_000;
const BACKLOG_WAIT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: i64 = 10_000;

#[derive(Debug)]
pub(crate) struct Cloud {
    rules: Rules,
    window: (i64, u32),
    second: (i64, u32),
    /// When the work that was taken is done, in microseconds.
    busy_until_us: i64,
    /// Every request that reached it.
    pub(crate) offered: Series,
    /// Those that were taken.
    pub(crate) taken: Series,
}

impl Cloud {
    pub(crate) fn new(rules: Rules) -> Self {
        let (offered, taken) = (Series::default(), Series::default());
        Self { rules, window: (0, 0), second: (0, 0), busy_until_us: 0, offered, taken }
    }

    pub(crate) fn hints(&self) -> Hints {
        self.rules.hints
    }

    /// A request with so many entries arrives.
    pub(crate) fn ask(&mut self, now: i64, entries: u32) -> Reply {
        let away = self.rules.away.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        match away.map(|(_, _, away)| *away) {
            Some(Away::Refuses) => return Reply { said: Said::Refused, after: 1 },
            Some(Away::NoRoute) => return Reply { said: Said::NoRoute, after: 1 },
            Some(Away::Silent) => return Reply { said: Said::ConnectTimeout, after: CONNECT_TIMEOUT },
            Some(Away::Busy(wait)) => {
                self.offered.add(now, 1);
                return Reply { said: Said::Wait { status: 503, wait }, after: 20 };
            }
            None => {}
        }
        self.offered.add(now, 1);
        if counted(&mut self.second, now / 1_000) > self.rules.limit * GATEWAY {
            return Reply { said: Said::Refused, after: 1 };
        }
        if let Some(wait) = self.throttled(now) {
            return Reply { said: Said::Wait { status: 429, wait }, after: 20 };
        }
        let begins = self.busy_until_us.max(now * 1_000);
        if begins / 1_000 - now > LONGEST_BACKLOG {
            return Reply { said: Said::Wait { status: 503, wait: BACKLOG_WAIT }, after: 20 };
        }
        self.taken.add(now, 1);
        self.busy_until_us = begins + i64::from(entries) * 1_000_000 / i64::from(self.rules.capacity);
        let latency = i64::try_from(self.rules.latency.as_millis()).unwrap_or(i64::MAX);
        Reply { said: Said::Done, after: self.busy_until_us / 1_000 - now + latency }
    }

    fn throttled(&mut self, now: i64) -> Option<Duration> {
        let (length, wait) = match self.rules.window {
            Window::Second(wait) => (1, wait),
            Window::Minute => (60, Duration::from_secs(60 - now.cast_unsigned() / 1_000 % 60)),
        };
        let most = self.rules.limit.saturating_mul(u32::try_from(length).unwrap_or(u32::MAX));
        (counted(&mut self.window, now / 1_000 / length) > most).then_some(wait)
    }
}

/// Counts one more in the window it falls into.
fn counted(window: &mut (i64, u32), index: i64) -> u32 {
    if window.0 != index {
        *window = (index, 0);
    }
    window.1 += 1;
    window.1
}
