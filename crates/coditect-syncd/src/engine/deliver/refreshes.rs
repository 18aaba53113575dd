//! Whether the cloud is asked about projects that nobody waits for, after it has failed to say time and again.
//!
//! A look-up that fails says nothing of the way: each project has a pause of its own. Where a cloud answers none of them, all
//! of them together would ask without a pause. Knows nothing of requests or those who wait.

use std::time::Duration;

use sync_core::Timestamp;
use sync_core::backoff::doubled;
use uuid::Uuid;

/// So many failures in a row may be chance.
const PATIENT_FROM: u32 = 3;
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What look-ups came to.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    failed_in_a_row: u32,
    rest_until: Timestamp,
    /// What was asked about when it failed last: that the cloud stumbles over one is no fault of the others.
    last: Option<Uuid>,
}

impl Refreshes {
    /// Whether nothing is asked now. A clock that was set back does not make that longer.
    pub(super) fn rest(&self, now: Timestamp) -> bool {
        now < self.rest_until && self.rest_until <= now.after(LONGEST_PAUSE)
    }

    /// The cloud said what it knows of a project.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The way was open, and the cloud did not say about this one. What was in the air together fails together.
    pub(super) fn failed(&mut self, about: Uuid, now: Timestamp) {
        if self.last.replace(about) == Some(about) || self.rest(now) {
            return;
        }
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if let Some(more) = self.failed_in_a_row.checked_sub(PATIENT_FROM) {
            self.rest_until = now.after(doubled(SHORTEST_PAUSE, more, LONGEST_PAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn a_cloud_that_never_says_is_asked_ever_more_seldom_and_one_that_does_at_once() {
        let mut refreshes = Refreshes::default();
        let (mut now, end) = (NOW, NOW.after(Duration::from_hours(24)));
        let mut asked = 0;
        while now < end {
            if !refreshes.rest(now) {
                // As many as are in the air at once.
                for _ in 0..4 {
                    asked += 1;
                    refreshes.failed(Uuid::from_u128(asked), now);
                }
            }
            now = now.after(Duration::from_secs(1));
        }
        assert!((40..200).contains(&asked), "{asked} questions in a day");
        assert!(refreshes.rest(now));
        assert!(!refreshes.rest(NOW), "a clock that was set back");
        refreshes.answered();
        assert!(!refreshes.rest(now));
    }

    #[test]
    fn one_about_which_the_cloud_never_says_holds_up_no_other() {
        let mut refreshes = Refreshes::default();
        for _ in 0..100 {
            refreshes.failed(Uuid::from_u128(1), NOW);
        }
        assert!(!refreshes.rest(NOW));
        refreshes.failed(Uuid::from_u128(2), NOW);
        refreshes.failed(Uuid::from_u128(3), NOW);
        assert!(refreshes.rest(NOW));
    }
}
