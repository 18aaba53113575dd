//! Takes the turns of a lookout over a scratch folder, and waits for what the system tells of it.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use sync_scan::{Lookout, Seen, Survey, Task, Turn, WatchReport, Watcher};

use super::{Home, sighting};

/// How long the system may take to tell.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A lookout over a scratch folder.
pub(crate) struct Looking {
    pub(crate) home: Home,
    pub(crate) lookout: Lookout,
    pub(crate) wakes: Receiver<()>,
    /// How far ahead of the clock it is told to be.
    pub(crate) ahead_ms: u64,
    pub(crate) quiet_ms: u64,
    /// The latest report of what is watched.
    pub(crate) watched: WatchReport,
}

impl Looking {
    /// After a first look at everything.
    pub(crate) fn at(home: Home) -> Self {
        Self::ahead(home, 0)
    }

    pub(crate) fn ahead(home: Home, ahead_ms: u64) -> Self {
        let (send, wakes) = channel();
        let watcher = Watcher::start(Box::new(move || send.send(()).unwrap_or_default())).unwrap();
        Self::with(home, Some(watcher), wakes, ahead_ms)
    }

    pub(crate) fn with(home: Home, watcher: Option<Watcher>, wakes: Receiver<()>, ahead_ms: u64) -> Self {
        let lookout = Lookout::new(home.options.clone(), watcher, Some(home.shelf()));
        let mut looking =
            Self { home, lookout, wakes, ahead_ms, quiet_ms: 0, watched: WatchReport::default() };
        looking.turn(Task::Everything);
        looking.settle();
        looking
    }

    #[expect(clippy::disallowed_methods, reason = "compared with the stamps of files")]
    pub(crate) fn turn(&mut self, task: Task) -> Seen {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now_ms = u64::try_from(now.as_millis()).unwrap() + self.ahead_ms;
        let turn = Turn { task, now_ms, quiet_ms: self.quiet_ms, most_ms: 30_000 };
        let seen = self.lookout.turn(&turn, &AtomicBool::new(false));
        if let Some(report) = &seen.watch {
            self.watched.clone_from(report);
        }
        seen
    }

    /// Takes turns until nothing more is due and the system tells of nothing more.
    pub(crate) fn settle(&mut self) {
        fs::create_dir_all(self.home.at("settling")).unwrap();
        fs::remove_dir(self.home.at("settling")).unwrap();
        while self.wakes.recv_timeout(Duration::from_millis(50)).is_ok()
            || self.turn(Task::Events).next_ms.is_some()
        {}
    }

    /// Takes turns until these projects, and no others, were examined; answers how often each turn examined any.
    #[track_caller]
    pub(crate) fn examined(&mut self, expected: &[&str]) -> Vec<usize> {
        let mut examined = Vec::new();
        loop {
            let seen = self.turn(Task::Events);
            for survey in &seen.surveys {
                if survey.examined > 0 {
                    examined.push(survey.examined);
                    assert_eq!(self.home.names(survey), expected);
                }
            }
            if examined.is_empty() {
                let woken = self.wakes.recv_timeout(LONG);
                assert!(woken.is_ok(), "waited in vain for {expected:?}");
            } else if seen.next_ms.is_none() {
                return examined;
            }
        }
    }

    /// These were seen, and never more than one of them examined: a write may be told in more than one turn.
    #[track_caller]
    pub(crate) fn only(&mut self, expected: &[&str]) {
        let examined = self.examined(expected);
        assert!(examined.iter().all(|count| *count == 1), "{examined:?}");
        self.settle();
    }

    pub(crate) fn hash(&mut self, project: &str) -> String {
        let seen = self.turn(Task::Glance);
        let root = self.home.at(project);
        sighting(&seen.surveys[0], &root).content_hash.clone()
    }

    /// Takes turns for what the system tells of until a look came to this.
    #[track_caller]
    pub(crate) fn until(&mut self, came: impl Fn(&Home, &Survey) -> bool) -> Survey {
        loop {
            let mut seen = self.turn(Task::Events);
            if let Some(at) = seen.surveys.iter().position(|survey| came(&self.home, survey)) {
                return seen.surveys.swap_remove(at);
            }
            assert!(seen.next_ms.is_some() || self.wakes.recv_timeout(LONG).is_ok(), "waited in vain");
        }
    }
}
