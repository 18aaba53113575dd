//! How much goes into one request, and how often a request may be repeated.
//!
//! The batch grows by addition and shrinks by halves (as TCP's congestion window does, RFC 5681 §3.1); repeats are
//! paid from a bucket of tokens that successes fill slowly.

use std::time::Duration;

use crate::backoff::between;
use crate::time::Timestamp;

/// How many entries go into one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    most: usize,
    size: usize,
    /// The largest batch the cloud has not called too large, and until when that is remembered.
    limit: Option<(usize, Timestamp)>,
    /// Batches of 1, 4, 16 … after a wait, until `size` is reached again.
    ramp: Option<usize>,
    timeouts: u32,
}

/// Most bytes of one request's body.
pub const MOST_BYTES: usize = 256 * 1024;
const FIRST_SIZE: usize = 25;
const GROWTH: usize = 10;
const QUICK: Duration = Duration::from_secs(2);
const RAMP: usize = 4;
const LIMIT_REMEMBERED: Duration = Duration::from_hours(24);

impl Pace {
    /// Begins with 25, or with `most` where that is less.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, size: FIRST_SIZE.min(most), limit: None, ramp: None, timeouts: 0 }
    }

    /// The configuration changed.
    pub fn follow(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// Entries the next request may hold; at least one.
    pub fn size(&self, now: Timestamp) -> usize {
        // A clock that was set back must not make the day longer.
        let limit = self.limit.filter(|(_, until)| now < *until && *until <= now.after(LIMIT_REMEMBERED));
        let limit = limit.map_or(usize::MAX, |(limit, _)| limit);
        self.size.min(self.most).min(limit).min(self.ramp.unwrap_or(usize::MAX)).max(1)
    }

    /// A good answer to a request with `entries` came after `took`.
    pub fn good(&mut self, entries: usize, took: Duration) {
        self.timeouts = 0;
        self.limit = self.limit.map(|(limit, until)| (limit.max(entries), until));
        if took < QUICK {
            self.size = self.size.saturating_add(GROWTH).min(self.most);
        }
        self.ramp = self.ramp.map(|ramp| ramp.saturating_mul(RAMP)).filter(|ramp| *ramp < self.size);
    }

    /// The cloud has trouble with the load: 429, 503.
    pub fn halve(&mut self) {
        self.size = (self.size / 2).max(1);
    }

    /// An answer did not arrive in time; the second in a row halves.
    pub fn timed_out(&mut self) {
        self.timeouts += 1;
        if self.timeouts >= 2 {
            self.timeouts = 0;
            self.halve();
        }
    }

    /// A batch of `entries` was too large: half of it is the limit for a day.
    pub fn too_large(&mut self, entries: usize, now: Timestamp) {
        self.halve();
        self.limit = Some(((entries / 2).max(1), now.after(LIMIT_REMEMBERED)));
    }

    /// A project is too large by itself: batches were refused because of it, whatever their number of entries.
    pub fn one_was_too_large(&mut self) {
        self.limit = None;
    }

    /// The way there had failed: begin small again.
    pub fn restart(&mut self) {
        self.ramp = Some(1);
    }
}

/// A bucket that pays for repeats.
#[derive(Clone, PartialEq, Debug)]
pub struct Tokens {
    level: f64,
    most: f64,
    scarce_below: f64,
    per_minute: f64,
    counted_at: Timestamp,
    next_when_scarce: Timestamp,
    recovered_at: Option<Timestamp>,
}

const RECOVERS_EVERY: Duration = Duration::from_mins(1);

impl Tokens {
    /// The bucket of a scope: ten tokens, one more a minute; below five at most one repeat per 30 to 90 seconds.
    pub fn for_retries(now: Timestamp) -> Self {
        Self::new(10.0, 5.0, 1.0, now)
    }

    /// The bucket of bisecting, which repeats quickly by design.
    pub fn for_bisecting(now: Timestamp) -> Self {
        Self::new(128.0, 1.0, 60.0, now)
    }

    /// The bucket of changes of the network, of which one makes several notices: twenty at once, one more every five
    /// seconds.
    pub fn for_link_changes(now: Timestamp) -> Self {
        Self::new(20.0, 1.0, 12.0, now)
    }

    /// Questions of local programs to the cloud: 300 at once, and one a second from then on.
    pub fn for_questions(now: Timestamp) -> Self {
        Self::new(300.0, 1.0, 60.0, now)
    }

    fn new(most: f64, scarce_below: f64, per_minute: f64, now: Timestamp) -> Self {
        Self {
            level: most,
            most,
            scarce_below,
            per_minute,
            counted_at: now,
            next_when_scarce: now,
            recovered_at: None,
        }
    }

    /// From when the next repeat may go; `now` or earlier means at once.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        self.fill(now);
        if self.level >= self.scarce_below { now } else { self.next_when_scarce }
    }

    /// A repeat goes out.
    pub fn spend(&mut self, now: Timestamp, dice: u64) {
        self.fill(now);
        self.level = (self.level - 1.0).max(0.0);
        self.next_when_scarce = now.after(between(Duration::from_secs(30), Duration::from_secs(90), dice));
    }

    /// The way is open again after it was not: what was spent on finding that out is given back, once a minute at
    /// most, so that those who flew when it closed do not wait for the bucket.
    pub fn recovered(&mut self, now: Timestamp) {
        let lately = self.recovered_at.is_some_and(|at| now.since(at) < RECOVERS_EVERY && at <= now);
        if !lately {
            self.recovered_at = Some(now);
            self.level = self.most;
        }
    }

    /// A request passed.
    pub fn earn(&mut self) {
        self.level = (self.level + 0.1).min(self.most);
    }

    fn fill(&mut self, now: Timestamp) {
        let minutes = now.since(self.counted_at).as_secs_f64() / 60.0;
        self.level = self.per_minute.mul_add(minutes, self.level).min(self.most);
        self.counted_at = now;
        // A clock that was set back must not hold repeats for longer than the rule says.
        self.next_when_scarce = self.next_when_scarce.min(now.after(Duration::from_secs(90)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn batches_grow_by_ten_and_shrink_by_half() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.size(NOW), 25);
        for expected in [35, 45, 55, 65, 75, 85, 95, 100, 100] {
            pace.good(1, SECOND);
            assert_eq!(pace.size(NOW), expected);
        }
        pace.good(1, 3 * SECOND);
        pace.halve();
        assert_eq!(pace.size(NOW), 50);
        pace.timed_out();
        assert_eq!(pace.size(NOW), 50);
        pace.timed_out();
        assert_eq!(pace.size(NOW), 25);
        for _ in 0..10 {
            pace.halve();
        }
        assert_eq!(pace.size(NOW), 1);
    }

    #[test]
    fn what_was_too_large_is_remembered_for_a_day() {
        let mut pace = Pace::new(100);
        pace.too_large(25, NOW);
        for _ in 0..5 {
            pace.good(12, SECOND);
        }
        assert_eq!(pace.size(NOW), 12);
        assert!(pace.size(NOW.after(Duration::from_hours(24))) > 12);
        assert!(
            pace.size(NOW.before(Duration::from_hours(24))) > 12,
            "nor for longer when the clock is set back"
        );
        pace.good(20, SECOND);
        assert_eq!(pace.size(NOW), 20, "a larger one that passes is the limit");
        pace.one_was_too_large();
        assert!(pace.size(NOW) > 20);
    }

    #[test]
    fn a_hundred_entries_after_a_wait_take_at_most_five_requests() {
        let mut pace = Pace::new(100);
        pace.restart();
        let (mut sent, mut requests) = (0, 0);
        while sent < 100 {
            sent += pace.size(NOW);
            requests += 1;
            pace.good(sent, SECOND);
        }
        assert_eq!(requests, 5);
    }

    #[test]
    fn questions_are_free_for_a_while_and_then_one_a_second() {
        let mut tokens = Tokens::for_questions(NOW);
        let mut asked = |now: Timestamp| {
            let goes = tokens.next(now) <= now;
            if goes {
                tokens.spend(now, 0);
            }
            goes
        };
        assert_eq!((0..1_000).filter(|_| asked(NOW)).count(), 300);
        let in_a_minute = (1..=60_000).step_by(100).filter(|millis| asked(Timestamp(NOW.0 + millis))).count();
        assert!((58..=60).contains(&in_a_minute), "{in_a_minute}");
    }

    #[test]
    fn repeats_become_rare_when_tokens_are_scarce() {
        let mut tokens = Tokens::for_retries(NOW);
        for _ in 0..6 {
            assert!(tokens.next(NOW) <= NOW);
            tokens.spend(NOW, 0);
        }
        assert_eq!(tokens.next(NOW), NOW.after(30 * SECOND));
        tokens.recovered(NOW);
        assert!(tokens.next(NOW) <= NOW);
        for _ in 0..6 {
            tokens.spend(NOW, 0);
        }
        tokens.recovered(NOW.after(SECOND));
        assert_eq!(tokens.next(NOW), NOW.after(30 * SECOND), "not twice in a minute");
        let later = NOW.after(60 * SECOND);
        assert!(tokens.next(later) <= later);
        for _ in 0..100 {
            tokens.earn();
        }
        assert!(tokens.next(NOW) <= NOW, "successes refill the bucket");
    }
}
