//! Whether the cloud is asked about projects that nobody waits for, after it has failed to say time and again.
//!
//! A look-up that fails says nothing of the way: each project has a pause of its own. Where a cloud answers none of them, all
//! of them together would ask without a pause. Knows nothing of projects, requests or those who wait.

use std::time::Duration;

use sync_core::Timestamp;
use sync_core::backoff::doubled;

/// So many failures in a row may be chance.
const PATIENT_FROM: u32 = 3;
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What look-ups came to.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    failed_in_a_row: u32,
    rest_until: Timestamp,
}

impl Refreshes {
    /// Whether nothing is asked now. A clock that was set back does not make that longer.
    pub(super) fn rest(&self, now: Timestamp) -> bool {
        now < self.rest_until && self.rest_until <= now.after(LONGEST_PAUSE)
    }

    /// The cloud said what it knows of a project.
    pub(super) fn answered(&mut self) {
        self.failed_in_a_row = 0;
    }

    /// The way was open, and the cloud did not say. What was in the air together fails together.
    pub(super) fn failed(&mut self, now: Timestamp) {
        if self.rest(now) {
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
                (0..4).for_each(|_| refreshes.failed(now));
                asked += 4;
            }
            now = now.after(Duration::from_secs(1));
        }
        assert!((40..200).contains(&asked), "{asked} questions in a day");
        assert!(refreshes.rest(now));
        assert!(!refreshes.rest(NOW), "a clock that was set back");
        refreshes.answered();
        refreshes.failed(end.after(LONGEST_PAUSE));
        assert!(!refreshes.rest(end.after(LONGEST_PAUSE)), "one failure is nothing");
    }
}
