//! Decides when a place that changes has come to rest.
//!
//! Told what changed and when, and what keeps a place busy; answers what is due and when to ask again. Knows no files,
//! events or clocks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How long a lock is believed, in milliseconds: after that whoever held it is gone.
pub(crate) const LONGEST_LOCK_MS: u64 = 10 * 60 * 1000;

/// As far ahead of the clock as what is changed during a look may lie. What lies further ahead was stamped before the
/// clock was set back, or by another machine's, and tells nothing of now.
pub(crate) const AHEAD_MS: u64 = 10_000;

/// How long a place has to be quiet, and how long it may keep us waiting, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) quiet_ms: u64,
    pub(crate) most_ms: u64,
}

/// What somebody else is doing at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Busy {
    /// Nothing that is known of.
    No,
    /// The index is locked since then (by the wall clock).
    Locked {
        /// When the lock was made.
        since_ms: u64,
    },
    /// A clone has begun and `HEAD` leads nowhere yet; something arrived then last.
    Cloning {
        /// When, by the wall clock; 0 when unknown.
        active_ms: u64,
    },
    /// Something that is not known yet is being copied or unpacked; something changed in it then.
    Arriving {
        /// When, by the wall clock.
        active_ms: u64,
    },
}

/// What came to rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rest {
    /// The places, by path.
    pub(crate) due: Vec<PathBuf>,
    /// When to ask again; `None` when nothing waits.
    pub(crate) next: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Unrest {
    /// In milliseconds, like all of these.
    first: u64,
    last: u64,
    /// Since when we have seen it locked.
    locked: Option<u64>,
}

/// The places that changed and are not at rest.
#[derive(Debug, Default)]
pub(crate) struct Debounce {
    pending: BTreeMap<PathBuf, Unrest>,
}

impl Debounce {
    /// Something changed at `place`, first and last at these moments.
    pub(crate) fn touched(&mut self, place: PathBuf, first_ms: u64, last_ms: u64) {
        let fresh = Unrest { first: first_ms, last: last_ms, locked: None };
        let unrest = self.pending.entry(place).or_insert(fresh);
        unrest.last = unrest.last.max(last_ms);
    }

    /// Forgets everything, because everything will be looked at.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    /// The places that are not at rest.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &PathBuf> {
        self.pending.keys()
    }

    /// What is at rest at `now_ms`. `busy` is asked only about places that would be due.
    pub(crate) fn rest(&mut self, now_ms: u64, patience: Patience, busy: &dyn Fn(&Path) -> Busy) -> Rest {
        let mut rest = Rest::default();
        self.pending.retain(|place, unrest| match unrest.verdict(now_ms, patience, &|| busy(place)) {
            None => {
                rest.due.push(place.clone());
                false
            }
            Some(later) => {
                rest.next = Some(rest.next.map_or(later, |next| next.min(later)));
                true
            }
        });
        rest
    }
}

impl Unrest {
    /// When to ask again; `None` when it is due.
    fn verdict(&mut self, now_ms: u64, patience: Patience, busy: &dyn Fn() -> Busy) -> Option<u64> {
        // The wall clock may have been set back: what lies ahead happened at the latest just now.
        self.last = self.last.min(now_ms);
        self.first = self.first.min(self.last);
        let due_ms = (self.last + patience.quiet_ms).min(self.first + patience.most_ms);
        if now_ms < due_ms {
            return Some(due_ms);
        }
        // A poll and not an event ends these: the place may not be watched yet.
        let again_ms = now_ms + patience.quiet_ms.max(1);
        match busy() {
            Busy::No => None,
            Busy::Locked { since_ms } => {
                let seen_ms = *self.locked.get_or_insert(now_ms);
                let locked_ms = since_ms.min(seen_ms).min(now_ms);
                (now_ms - locked_ms < LONGEST_LOCK_MS).then_some(again_ms)
            }
            Busy::Cloning { active_ms } => {
                let last_ms = self.last.max(believed(active_ms, now_ms));
                (now_ms - last_ms < patience.most_ms).then_some(again_ms)
            }
            // Where something always changes, there would never be a first look.
            Busy::Arriving { active_ms } => {
                let is_quiet = now_ms - believed(active_ms, now_ms) >= patience.quiet_ms;
                (!is_quiet && now_ms - self.first < LONGEST_LOCK_MS).then_some(again_ms)
            }
        }
    }
}

/// When something changed that carries this stamp: now at the latest, and long ago where another clock stamped it.
fn believed(stamp_ms: u64, now_ms: u64) -> u64 {
    if stamp_ms > now_ms.saturating_add(AHEAD_MS) { 0 } else { stamp_ms.min(now_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { quiet_ms: 2_000, most_ms: 30_000 };

    /// One place's history: what is touched when, and at each moment of asking what somebody does there and
    /// whether it must be due, else when to ask again.
    fn check(touches: &[u64], asked: &[(u64, Busy, Option<u64>)]) {
        let mut debounce = Debounce::default();
        let mut touches = touches.iter().copied().peekable();
        for (now_ms, busy, expected) in asked {
            while let Some(moment) = touches.next_if(|moment| moment <= now_ms) {
                debounce.touched(PathBuf::from("/p"), moment, moment);
            }
            let rest = debounce.rest(*now_ms, PATIENCE, &|_| *busy);
            let due = if expected.is_none() { vec![PathBuf::from("/p")] } else { Vec::new() };
            assert_eq!(rest, Rest { due, next: *expected }, "at {now_ms} ms");
        }
    }

    #[test]
    fn a_place_is_due_two_seconds_after_the_last_change() {
        check(&[0], &[(0, Busy::No, Some(2_000)), (1_999, Busy::No, Some(2_000)), (2_000, Busy::No, None)]);
        check(&[0, 1_500], &[(1_600, Busy::No, Some(3_500)), (3_500, Busy::No, None)]);
    }

    #[test]
    fn a_place_that_never_rests_is_due_after_thirty_seconds() {
        let storm: Vec<u64> = (0..40_000).step_by(100).collect();
        check(&storm, &[(29_000, Busy::No, Some(30_000)), (30_000, Busy::No, None)]);
    }

    #[test]
    fn a_storm_is_one_report() {
        let mut debounce = Debounce::default();
        for moment in 0..10_000 {
            debounce.touched(PathBuf::from("/p"), moment / 10, moment / 10);
        }
        assert_eq!(debounce.rest(5_000, PATIENCE, &|_| Busy::No).due.len(), 1);
        assert_eq!(debounce.rest(50_000, PATIENCE, &|_| Busy::No), Rest::default());
    }

    #[test]
    fn a_locked_index_holds_a_place_beyond_any_patience_until_the_lock_is_gone() {
        let locked = Busy::Locked { since_ms: 0 };
        check(
            &[0],
            &[
                (2_000, locked, Some(4_000)),
                (40_000, locked, Some(42_000)),
                (599_000, locked, Some(601_000)),
                (599_500, Busy::No, None),
            ],
        );
    }

    #[test]
    fn a_lock_of_ten_minutes_is_nobodys() {
        check(
            &[0],
            &[
                (2_000, Busy::Locked { since_ms: 0 }, Some(4_000)),
                (600_000, Busy::Locked { since_ms: 0 }, None),
            ],
        );
        // A lock from the future is believed for ten minutes from when it was seen.
        let ahead = Busy::Locked { since_ms: 9_000_000 };
        check(&[0], &[(2_000, ahead, Some(4_000)), (601_000, ahead, Some(603_000)), (602_000, ahead, None)]);
    }

    #[test]
    fn a_clone_is_due_when_head_resolves_or_nothing_arrived_for_thirty_seconds() {
        let cloning = |active_ms| Busy::Cloning { active_ms };
        check(&[0], &[(2_000, cloning(1_900), Some(4_000)), (4_000, Busy::No, None)]);
        check(
            &[0],
            &[
                (2_000, cloning(0), Some(4_000)),
                (29_000, cloning(20_000), Some(31_000)),
                (49_999, cloning(20_000), Some(51_999)),
                (50_000, cloning(20_000), None),
            ],
        );
    }

    #[test]
    fn what_is_being_copied_is_due_when_nothing_in_it_changes_or_after_ten_minutes() {
        let arriving = |active_ms| Busy::Arriving { active_ms };
        check(
            &[0],
            &[
                (2_000, arriving(1_000), Some(4_000)),
                (100_000, arriving(99_000), Some(102_000)),
                (102_000, arriving(100_000), None),
            ],
        );
        check(&[0], &[(599_999, arriving(599_999), Some(601_999)), (601_999, arriving(601_999), None)]);
        // What is changed while it is looked at counts as now.
        check(&[0], &[(2_000, arriving(11_000), Some(4_000)), (599_000, arriving(600_000), Some(601_000))]);
    }

    #[test]
    fn stamps_of_another_clock_keep_nothing_waiting() {
        let a_year = 365 * 24 * 3_600_000;
        check(&[0], &[(2_000, Busy::Arriving { active_ms: a_year }, None)]);
        check(&[0], &[(2_000, Busy::Arriving { active_ms: 2_000 + AHEAD_MS + 1 }, None)]);
        // A clone is still waited for as long as nothing is known of its progress.
        let cloning = Busy::Cloning { active_ms: a_year };
        check(
            &[0],
            &[(2_000, cloning, Some(4_000)), (29_999, cloning, Some(31_999)), (30_000, cloning, None)],
        );
    }

    #[test]
    fn a_clock_set_back_does_not_strand_a_place() {
        check(
            &[1_000_000],
            &[
                (1_000_000, Busy::No, Some(1_002_000)),
                (5_000, Busy::No, Some(7_000)),
                (7_000, Busy::No, None),
            ],
        );
    }

    #[test]
    fn the_next_question_is_for_the_earliest_place() {
        let mut debounce = Debounce::default();
        debounce.touched(PathBuf::from("/late"), 1_000, 1_000);
        debounce.touched(PathBuf::from("/early"), 0, 0);
        assert_eq!(debounce.rest(1_000, PATIENCE, &|_| Busy::No).next, Some(2_000));
        let rest = debounce.rest(2_000, PATIENCE, &|_| Busy::No);
        assert_eq!(rest, Rest { due: vec![PathBuf::from("/early")], next: Some(3_000) });
    }
}
