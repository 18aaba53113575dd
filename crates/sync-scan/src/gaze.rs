//! What is being examined at this moment, for who wonders why nothing else is.
//!
//! Knows nothing of what an examination is or why it takes long.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The project that a [`Lookout`](crate::Lookout) is examining. Clones tell of the same.
#[derive(Clone, Debug, Default)]
pub struct Gaze(Arc<Mutex<Option<(PathBuf, Instant)>>>);

/// While this lives, its project is examined.
#[derive(Debug)]
pub(crate) struct Rests<'a>(&'a Gaze);

impl Gaze {
    /// The project that has been examined for so long already, and for how long.
    pub fn has_rested(&self, long: Duration) -> Option<(PathBuf, Duration)> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (root, since) = now.as_ref()?;
        let taken = since.elapsed();
        (taken >= long).then(|| (root.clone(), taken))
    }

    pub(crate) fn rests_on(&self, root: &Path) -> Rests<'_> {
        self.set(Some((root.to_path_buf(), moment())));
        Rests(self)
    }

    fn set(&self, what: Option<(PathBuf, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

impl Drop for Rests<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long an examination takes, a duration")]
fn moment() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_for_as_long_as_it_lasts() {
        let gaze = Gaze::default();
        let who_wonders = gaze.clone();
        let rests = gaze.rests_on(Path::new("/p"));
        let told = who_wonders.has_rested(Duration::ZERO).map(|(root, _)| root);
        assert_eq!(told, Some(PathBuf::from("/p")));
        assert_eq!(who_wonders.has_rested(Duration::from_hours(1)), None);
        drop(rests);
        assert_eq!(who_wonders.has_rested(Duration::ZERO), None);
    }
}
