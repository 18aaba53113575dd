//! What look-ups came to a moment ago, so that the cloud is not asked the same again at once.
//!
//! Keeps no more than a bounded number and knows nothing of entries, requests or those who wait.

use std::collections::BTreeMap;
use std::time::Duration;

use sync_core::backoff::doubled;
use sync_core::{Need, Timestamp, Why};

use super::publish::obstacle_text;

const UNKNOWN_REMEMBERED: Duration = Duration::from_mins(1);
/// How long a look-up that failed though the way was open is not repeated.
const SHORTEST_FAILED_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_FAILED_PAUSE: Duration = Duration::from_hours(1);
const MOST: usize = 10_000;

/// How it stands with the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// Whether the cloud may be asked, and if not, why not.
    pub(super) open: Result<(), Why>,
    /// What there is of a credential.
    pub(super) need: Need,
    /// Whether one more look-up may be in the air.
    pub(super) room: bool,
}

/// What to do about a look-up that somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Course {
    /// The cloud did not know it a moment ago: say so.
    Unknown,
    /// It takes no credential there is: say so.
    Unauthorized,
    /// It is not asked now; say why.
    InVain(&'static str),
    /// The credential comes first.
    Renew,
    /// Ask.
    Ask,
    /// Its turn comes when another look-up has landed.
    Wait,
}

/// What was looked up in vain, by what it was asked for.
#[derive(Debug)]
pub(super) struct Lately<K> {
    /// What the cloud did not know, and until when that is believed.
    unknown: BTreeMap<K, Timestamp>,
    /// What it refused to say though the way was open: until when it is not asked, and how often it refused.
    failed: BTreeMap<K, (Timestamp, u32)>,
}

impl<K: Ord + Copy> Lately<K> {
    pub(super) fn new() -> Self {
        Self { unknown: BTreeMap::new(), failed: BTreeMap::new() }
    }

    /// Lets go of what is past its time. A clock that was set back does not make that longer.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.unknown.retain(|_, until| now < *until && *until <= now.after(UNKNOWN_REMEMBERED));
    }

    /// Whether the cloud did not know it a moment ago.
    pub(super) fn is_unknown(&self, key: &K) -> bool {
        self.unknown.contains_key(key)
    }

    /// Whether the cloud refused to say not long ago.
    pub(super) fn has_failed(&self, key: &K, now: Timestamp) -> bool {
        self.failed
            .get(key)
            .is_some_and(|(until, _)| now < *until && *until <= now.after(LONGEST_FAILED_PAUSE))
    }

    /// What to do about a look-up that is not in the air.
    pub(super) fn course(&self, key: &K, now: Timestamp, way: Way) -> Course {
        if self.is_unknown(key) {
            return Course::Unknown;
        }
        match way {
            Way { open: Err(Why::AuthRequired), .. } => Course::Unauthorized,
            Way { open: Err(why), .. } => Course::InVain(obstacle_text(why)),
            Way { .. } if self.has_failed(key, now) => {
                Course::InVain("it did not say when it was asked a moment ago")
            }
            Way { need: Need::Renew, .. } => Course::Renew,
            Way { room: true, .. } => Course::Ask,
            Way { room: false, .. } => Course::Wait,
        }
    }

    pub(super) fn remember_unknown(&mut self, key: K, now: Timestamp) {
        make_room(&mut self.unknown, &key);
        self.unknown.insert(key, now.after(UNKNOWN_REMEMBERED));
    }

    /// The pause doubles, so that a look-up the cloud always refuses costs it next to nothing.
    pub(super) fn remember_failure(&mut self, key: K, now: Timestamp) {
        make_room(&mut self.failed, &key);
        let times = self.failed.get(&key).map_or(0, |(_, times)| *times);
        let pause = doubled(SHORTEST_FAILED_PAUSE, times, LONGEST_FAILED_PAUSE);
        self.failed.insert(key, (now.after(pause), times.saturating_add(1)));
    }

    /// It is known.
    pub(super) fn succeeded(&mut self, key: &K) {
        self.failed.remove(key);
    }

    /// It was delivered: whatever was found out before is no longer so.
    pub(super) fn forget(&mut self, key: &K) {
        self.unknown.remove(key);
        self.failed.remove(key);
    }

    /// Another tenant or cloud is asked.
    pub(super) fn clear(&mut self) {
        self.unknown.clear();
        self.failed.clear();
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.unknown.len() + self.failed.len()
    }
}

fn make_room<K: Ord, V>(kept: &mut BTreeMap<K, V>, key: &K) {
    while kept.len() >= MOST && !kept.contains_key(key) {
        kept.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use sync_core::Cause;

    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_unknown_is_not_asked_again_for_a_minute() {
        let mut lately = Lately::new();
        lately.remember_unknown(1, START);
        for (after, remembered) in [(0, true), (59, true), (60, false)] {
            lately.forget_old(START.after(after * SECOND));
            assert_eq!(lately.is_unknown(&1), remembered, "after {after} s");
        }
        assert!(!lately.is_unknown(&2));
    }

    #[test]
    fn what_fails_again_is_asked_ever_more_seldom_until_it_succeeds() {
        let mut lately = Lately::new();
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            lately.remember_failure(1, now);
            let pause = (1..=3_600).find(|pause| !lately.has_failed(&1, now.after(*pause * SECOND))).unwrap();
            pauses.push(pause);
            now = now.after(pause * SECOND);
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600, 3_600]);
        lately.succeeded(&1);
        lately.remember_failure(1, now);
        assert!(!lately.has_failed(&1, now.after(10 * SECOND)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_last_longer() {
        let mut lately = Lately::new();
        lately.remember_unknown(1, START);
        lately.remember_failure(1, START);
        let before = Timestamp(START.0 - 86_400_000);
        lately.forget_old(before);
        assert!(!lately.is_unknown(&1) && !lately.has_failed(&1, before));
    }

    #[test]
    fn the_cloud_is_asked_only_what_it_may_be_asked() {
        let way = Way { open: Ok(()), need: Need::Usable, room: true };
        let full = Way { room: false, ..way };
        let renew = Way { need: Need::Renew, ..full };
        let until = START.after(900 * SECOND);
        let closed = |why| Way { open: Err(why), need: Need::Required { until }, room: true };
        let mut lately = Lately::new();
        lately.remember_unknown(1, START);
        lately.remember_failure(2, START);
        let moment = Course::InVain("it did not say when it was asked a moment ago");
        for (key, way, expected) in [
            (1, way, Course::Unknown),
            (1, closed(Why::AuthRequired), Course::Unknown),
            (2, way, moment),
            (2, renew, moment),
            (2, closed(Why::AuthRequired), Course::Unauthorized),
            (2, closed(Why::Scope(Cause::Server)), Course::InVain("it is down")),
            (3, way, Course::Ask),
            (3, full, Course::Wait),
            (3, renew, Course::Renew),
            (3, closed(Why::AuthRequired), Course::Unauthorized),
            (3, closed(Why::Scope(Cause::Server)), Course::InVain("it is down")),
            (3, closed(Why::Scope(Cause::Rate)), Course::InVain("it asked for patience")),
        ] {
            assert_eq!(lately.course(&key, START, way), expected, "{key} {way:?}");
        }
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let mut lately = Lately::new();
        for number in 0..MOST + 100 {
            lately.remember_unknown(number, START);
            lately.remember_failure(number, START);
        }
        assert_eq!(lately.len(), 2 * MOST);
        let last = MOST + 99;
        assert!(lately.is_unknown(&last) && lately.has_failed(&last, START));
        lately.remember_unknown(last, START);
        assert_eq!(lately.len(), 2 * MOST);
        lately.clear();
        assert_eq!(lately.len(), 0);
    }
}
