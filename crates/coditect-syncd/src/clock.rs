//! What time it is, and waiting until a time comes.
//!
//! Due times are wall-clock times. Neither tokio's timers nor the monotonic clock count the time a machine sleeps, so
//! long waits are cut into naps, and a wall clock that ran further than the monotonic one means the machine slept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sync_core::Timestamp;
#[cfg(test)]
use tokio::sync::watch;
use tokio::time::Instant;

/// The system's time, or one that a test sets by hand.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The system's.
    System,
    /// Set by hand.
    #[cfg(test)]
    Manual(watch::Sender<Timestamp>),
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nap {
    /// The time came.
    Over,
    /// The machine slept meanwhile.
    Slept,
}

const LONGEST_NAP: Duration = Duration::from_secs(30);
const SLEEP_SUSPECTED: Duration = Duration::from_secs(5);

impl Clock {
    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            #[cfg(test)]
            Self::Manual(time) => *time.borrow(),
        }
    }

    /// How long the machine has been running, where the system tells.
    pub(crate) fn since_boot(&self) -> Option<Duration> {
        match self {
            Self::System => {
                let since = rustix::time::clock_gettime(SINCE_BOOT);
                Duration::try_from(since).ok()
            }
            #[cfg(test)]
            Self::Manual(_) => None,
        }
    }

    /// Waits until `deadline`, in naps where something is due, so that a sleep of the machine is noticed. Ends early
    /// when the wall clock is set back.
    pub(crate) async fn until(&self, deadline: Timestamp) -> Nap {
        match self {
            Self::System => loop {
                let (wall, monotonic) = (system_now(), Instant::now());
                if wall >= deadline {
                    return Nap::Over;
                }
                tokio::time::sleep(deadline.since(wall).min(LONGEST_NAP)).await;
                let now = system_now();
                if now < wall {
                    // The clock was set back: who waits thinks anew of how long.
                    return Nap::Over;
                }
                if now.since(wall) > monotonic.elapsed() + SLEEP_SUSPECTED {
                    return Nap::Slept;
                }
            },
            #[cfg(test)]
            Self::Manual(time) => {
                let begun = *time.borrow();
                // The sender lives in self, so waiting cannot fail.
                let over = |now: &Timestamp| *now >= deadline || *now < begun;
                let reached = time.subscribe().wait_for(over).await.is_ok();
                debug_assert!(reached, "the clock is held by its user");
                Nap::Over
            }
        }
    }

    /// Waits for `span` in one piece: for pauses that nobody's promise hangs on.
    pub(crate) async fn rest(&self, span: Duration) {
        match self {
            Self::System => tokio::time::sleep(span).await,
            #[cfg(test)]
            Self::Manual(_) => {
                self.until(self.now().after(span)).await;
            }
        }
    }
}

/// Counts from the machine's start, sleep included where the system has such a clock.
#[cfg(target_os = "linux")]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_clock_set_by_hand_ends_waits_when_it_is_moved() {
        let (time, _) = watch::channel(Timestamp(1_000));
        let clock = Clock::Manual(time.clone());
        let waiting = clock.until(Timestamp(2_000));
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        time.send_replace(Timestamp(2_000));
        assert_eq!(waiting.await, Nap::Over);
    }

    #[test]
    fn the_system_tells_how_long_it_has_been_running() {
        assert!(Clock::System.since_boot().is_some_and(|since| !since.is_zero()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_moment_that_has_passed_is_not_waited_for() {
        assert_eq!(Clock::System.until(Timestamp(0)).await, Nap::Over);
    }
}
