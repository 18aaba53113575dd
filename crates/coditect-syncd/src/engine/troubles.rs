//! What is amiss until somebody mends it and keeps nothing else from going on: told in the log when it begins, in the status
//! for as long as it lasts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sync_core::Timestamp;

use super::api::HoldView;
use super::{Engine, locked};

/// What is amiss.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Trouble {
    /// The queue is full.
    Queue,
    /// The configuration that is on disk was refused.
    Configuration,
    /// A database of the old client cannot be taken over.
    Legacy(PathBuf),
    /// No log is written.
    Log,
}

/// All that is amiss.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<Trouble, Told>);

/// What is told of one trouble.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Told {
    since: Timestamp,
    reason: String,
    /// What passes by itself is shown when it has lasted this long.
    patience: Duration,
}

impl Troubles {
    /// Something is amiss since `now`, if it was not before, and for this reason.
    fn begin(&mut self, trouble: Trouble, reason: String, patience: Duration, now: Timestamp) {
        let since = self.0.get(&trouble).map_or(now, |told| told.since.min(now));
        self.0.insert(trouble, Told { since, reason, patience });
    }

    /// Says whether it was amiss.
    fn end(&mut self, trouble: &Trouble) -> bool {
        self.0.remove(trouble).is_some()
    }

    fn views(&self, now: Timestamp) -> impl Iterator<Item = (&Trouble, HoldView)> {
        let lasts = move |told: &Told| now.since(told.since) >= told.patience;
        self.0
            .iter()
            .filter(move |(_, told)| lasts(told))
            .map(|(trouble, told)| (trouble, view(trouble, told)))
    }
}

impl Engine {
    /// Something is amiss from now on, unless it was before.
    pub(crate) fn amiss(&self, trouble: Trouble, reason: String) {
        self.amiss_for(trouble, reason, Duration::ZERO);
    }

    /// As [`amiss`](Self::amiss), of what most often passes by itself: it is shown when it has lasted for `patience`.
    pub(super) fn amiss_for(&self, trouble: Trouble, reason: String, patience: Duration) {
        let now = self.now();
        locked(&self.0.troubles).begin(trouble, reason, patience, now);
    }

    /// Something is amiss no more.
    pub(crate) fn mended(&self, trouble: &Trouble) {
        if locked(&self.0.troubles).end(trouble) && *trouble == Trouble::Queue {
            tracing::info!("there is room in the queue again");
        }
    }

    /// The queue takes nothing more, or does again.
    pub(super) fn queue_is_full(&self, is_full: bool) {
        if is_full {
            let most = self.0.most_items;
            let reason = format!(
                "as many registrations wait as the queue takes (`sync_daemon.queue_max_items`, {most})"
            );
            self.amiss(Trouble::Queue, reason);
        } else {
            self.mended(&Trouble::Queue);
        }
    }

    /// All that is amiss, for the status.
    pub(super) fn troubles(&self) -> Vec<HoldView> {
        let takes_over = self.takes_over();
        let counts = |trouble: &Trouble| takes_over || !matches!(trouble, Trouble::Legacy(_));
        let log =
            self.0.log.trouble().map(|(since, reason)| {
                view(&Trouble::Log, &Told { since, reason, patience: Duration::ZERO })
            });
        let troubles = locked(&self.0.troubles);
        let views = troubles.views(self.now()).filter(|(trouble, _)| counts(trouble)).map(|(_, view)| view);
        views.chain(log).collect()
    }
}

fn view(trouble: &Trouble, told: &Told) -> HoldView {
    let (by, stops, ends) = match trouble {
        Trouble::Queue => (
            "queue",
            HoldView::QUEUEING,
            "when the cloud has taken some: restore the way to it, or raise that number and start the daemon again; what \
             is found meanwhile is queued then",
        ),
        Trouble::Configuration => (
            "configuration",
            HoldView::RELOADS,
            "when it is mended and `coditect-sync reload` is run; what was read before is in force",
        ),
        Trouble::Legacy(_) => {
            ("legacy", HoldView::IMPORTS, "when it can be read; move it away if nobody needs what is in it")
        }
        Trouble::Log => (
            "log",
            HoldView::LOGGING,
            "with the first line that can be written: check the folder, its owner and its disk; where it leads elsewhere \
             since the start, start the daemon again",
        ),
    };
    HoldView { by, stops, since: told.since, until: None, reason: told.reason.clone(), ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_from_its_beginning_and_what_passes_by_itself_when_it_lasts() {
        let mut troubles = Troubles::default();
        let legacy = Trouble::Legacy("/old.db".into());
        let told = |troubles: &Troubles, now: i64| -> Vec<(&'static str, i64, String)> {
            troubles.views(Timestamp(now)).map(|(_, view)| (view.by, view.since.0, view.reason)).collect()
        };
        troubles.begin(Trouble::Queue, "full".to_owned(), Duration::ZERO, Timestamp(5_000));
        troubles.begin(Trouble::Queue, "fuller".to_owned(), Duration::ZERO, Timestamp(6_000));
        troubles.begin(legacy.clone(), "in use".to_owned(), Duration::from_secs(10), Timestamp(5_000));
        let queue = ("queue", 5_000, "fuller".to_owned());
        assert_eq!(told(&troubles, 14_999), std::slice::from_ref(&queue));
        assert_eq!(told(&troubles, 15_000), [queue, ("legacy", 5_000, "in use".to_owned())]);
        assert!(troubles.end(&Trouble::Queue) && !troubles.end(&Trouble::Queue) && troubles.end(&legacy));
        assert_eq!(told(&troubles, 15_000), []);
    }

    #[test]
    fn each_trouble_has_a_word_that_is_known() {
        for trouble in [Trouble::Queue, Trouble::Configuration, Trouble::Legacy(PathBuf::new()), Trouble::Log]
        {
            let told = Told { since: Timestamp(1), reason: "why".to_owned(), patience: Duration::ZERO };
            assert!(crate::engine::HOLDERS.contains(&view(&trouble, &told).by), "{trouble:?}");
        }
    }
}
