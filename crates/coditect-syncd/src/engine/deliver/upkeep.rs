//! The upkeep of the database, when nothing can be delivered: once an hour, or after some thousands of commits, what is
//! old goes and what nothing fills is given back, and a log that nobody wrote to for a while is emptied.
//!
//! It has no timer of its own: the delivery loop, which wakes now and then whatever the cloud does, asks each time it
//! has nothing to do. Then one short step is taken, and the loop looks around again before the next one.

use std::time::Duration;

use sync_core::Timestamp;
use sync_store::{Keep, Step};

use super::{DeliverError, Desk, Pause};

/// How much of the past is kept.
const KEEP: Keep = Keep { events: 10_000, dead: 5_000, gone_weeks: 26 };
pub(super) const INTERVAL: Duration = Duration::from_hours(1);
/// So many commits make it due before its time: each may have told an event.
const MANY_COMMITS: u64 = 5_000;
/// The log is emptied when nothing was written to it for this long.
const QUIET: Duration = Duration::from_secs(10);

/// When the database is to be kept up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Upkeep {
    due: Timestamp,
    /// How many commits there were when all was done last.
    commits: u64,
    /// How many commits there were when the log was looked at last, and when that was.
    seen: Option<(u64, Timestamp)>,
    done: Done,
}

/// What was done since the last time all was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Done {
    events: u64,
    dead: u64,
    gone: u64,
    pages: u64,
}

/// What the upkeep wants now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Want {
    Nothing,
    /// A step.
    Step,
    /// The log is to be emptied.
    EmptyLog,
}

impl Upkeep {
    /// What is wanted at `now`, when this many commits were made and the log has this length. While something is in the
    /// air the upkeep waits, but for no longer than an interval, or as many commits again.
    fn wants(&mut self, now: Timestamp, flying: bool, commits: u64, log_bytes: u64) -> Want {
        if self.due > now.after(INTERVAL) {
            // The clock was set back.
            self.due = now;
        }
        let since = commits.saturating_sub(self.commits);
        let is_due = now >= self.due || since >= MANY_COMMITS;
        let is_overdue = now >= self.due.after(INTERVAL) || since >= 2 * MANY_COMMITS;
        if is_overdue || is_due && !flying {
            return Want::Step;
        }
        let quiet_since = match self.seen {
            Some((seen, since)) if seen == commits && since <= now => since,
            Some(_) | None => now,
        };
        self.seen = Some((commits, quiet_since));
        if flying || log_bytes == 0 || now.since(quiet_since) < QUIET {
            return Want::Nothing;
        }
        // One that somebody holds is tried again after a while.
        self.seen = None;
        Want::EmptyLog
    }

    fn over(&mut self, now: Timestamp, commits: u64) -> Done {
        (self.due, self.commits) = (now.after(INTERVAL), commits);
        std::mem::take(&mut self.done)
    }
}

impl Desk {
    /// Keeps the database up where that is due, a step at most. Says how long the loop has nothing to do.
    pub(super) async fn keep_up(&mut self, pause: Pause) -> Result<Pause, DeliverError> {
        let now = self.engine.now();
        if self.store_rests(now) {
            return Ok(pause);
        }
        let figures = self.engine.0.store.figures();
        let flying = pause == Pause::Landing;
        match self.upkeep.wants(now, flying, figures.commits, figures.log_bytes) {
            Want::Nothing => Ok(pause),
            Want::Step => match self.keep_up_a_step(now).await {
                Ok(true) => Ok(Pause::Until(now)),
                Ok(false) => Ok(pause),
                Err(error) => self.upkeep_failed(error, now, pause),
            },
            Want::EmptyLog => match self.engine.0.store.checkpoint().await {
                Ok(_) => Ok(pause),
                Err(error) => self.upkeep_failed(error, now, pause),
            },
        }
    }

    /// Says whether there may be more to do.
    async fn keep_up_a_step(&mut self, now: Timestamp) -> Result<bool, sync_store::Error> {
        let store = &self.engine.0.store;
        match store.upkeep().step(KEEP, now).await? {
            Step::Events(events) => self.upkeep.done.events += events,
            Step::Dead(dead) => self.upkeep.done.dead += dead,
            Step::Gone(gone) => {
                self.engine.0.index.projects_forgotten();
                tracing::info!(projects = gone, "projects that have been gone for half a year are forgotten");
                self.upkeep.done.gone += gone;
            }
            Step::Pages(pages) => self.upkeep.done.pages += pages,
            Step::Done => {
                if store.figures().log_bytes > 0 {
                    store.checkpoint().await?;
                }
                let Done { events, dead, gone, pages } = self.upkeep.over(now, store.figures().commits);
                tracing::debug!(events, dead, gone, pages, "the database was kept up");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What cannot be kept up is not what keeps anything from being sent.
    fn upkeep_failed(
        &mut self,
        error: sync_store::Error,
        now: Timestamp,
        pause: Pause,
    ) -> Result<Pause, DeliverError> {
        self.upkeep.over(now, self.engine.0.store.figures().commits);
        match DeliverError::from(error) {
            lost @ (DeliverError::StoreLost(_) | DeliverError::Cloud(_)) => Err(lost),
            DeliverError::Store(reason) => {
                tracing::warn!(reason, "the database cannot be kept up; it is tried again in an hour");
                Ok(pause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn it_comes_once_an_hour_and_waits_an_hour_at_most_for_what_flies() {
        let mut upkeep = Upkeep::default();
        upkeep.over(START, 0);
        for (seconds, flying, expected) in [
            (3_599, false, Want::Nothing),
            (3_600, true, Want::Nothing),
            (7_199, true, Want::Nothing),
            (7_200, true, Want::Step),
            (3_600, false, Want::Step),
            // One that is not over goes on.
            (3_601, false, Want::Step),
        ] {
            assert_eq!(upkeep.wants(at(seconds), flying, 0, 0), expected, "{seconds} {flying}");
        }
        upkeep.over(at(7_200), 0);
        // A clock that is set back does not put it off.
        assert_eq!(upkeep.wants(at(7_201), false, 0, 0), Want::Nothing);
        assert_eq!(upkeep.wants(START, false, 0, 0), Want::Step);
    }

    #[test]
    fn many_commits_do_not_wait_for_the_hour() {
        let mut upkeep = Upkeep::default();
        upkeep.over(START, 100);
        for (flying, commits, expected) in [
            (false, 5_099, Want::Nothing),
            (true, 5_100, Want::Nothing),
            (true, 10_100, Want::Step),
            (false, 5_100, Want::Step),
        ] {
            assert_eq!(upkeep.wants(at(1), flying, commits, 0), expected, "{flying} {commits}");
        }
        upkeep.over(at(1), 10_100);
        assert_eq!(upkeep.wants(at(2), false, 15_099, 0), Want::Nothing);
    }

    #[test]
    fn a_log_that_rests_is_emptied() {
        let mut upkeep = Upkeep::default();
        upkeep.over(START, 0);
        for (seconds, flying, commits, log_bytes, expected) in [
            (0, false, 1, 100, Want::Nothing),
            (9, false, 1, 100, Want::Nothing),
            (10, true, 1, 100, Want::Nothing),
            (10, false, 1, 0, Want::Nothing),
            (10, false, 1, 100, Want::EmptyLog),
            // Somebody held it.
            (11, false, 1, 100, Want::Nothing),
            (20, false, 1, 100, Want::Nothing),
            (21, false, 1, 100, Want::EmptyLog),
            // It does not rest.
            (30, false, 2, 100, Want::Nothing),
            (39, false, 3, 100, Want::Nothing),
            (48, false, 4, 100, Want::Nothing),
            (58, false, 4, 100, Want::EmptyLog),
        ] {
            assert_eq!(upkeep.wants(at(seconds), flying, commits, log_bytes), expected, "{seconds}");
        }
        // A clock that was set back begins anew.
        assert_eq!(upkeep.wants(at(40), false, 5, 100), Want::Nothing);
        assert_eq!(upkeep.wants(at(30), false, 5, 100), Want::Nothing);
        assert_eq!(upkeep.wants(at(40), false, 5, 100), Want::EmptyLog);
    }
}
