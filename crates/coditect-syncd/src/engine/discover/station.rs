//! One lookout at work: takes its turns on a thread of its own, one at a time, so that one that hangs holds up nobody.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use sync_core::Timestamp;
use sync_scan::{Gaze, Lookout, Post, Problem, Seen, Task, Turn};

use super::agenda::Agenda;
use crate::engine::api::RootState;
use crate::engine::{Engine, ScanWish, locked};

/// An examination that takes so long is told of.
pub(super) const LONG: Duration = Duration::from_mins(1);

/// A lookout, and everything about it that its turns do not change.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) post: Post,
    pub(super) agenda: Agenda,
    /// `None` while it takes a turn.
    lookout: Option<Lookout>,
    pub(super) running: Option<Running>,
    pub(super) wishes: VecDeque<ScanWish>,
    pub(super) roots: Vec<RootFound>,
    pub(super) problems: Vec<Problem>,
    pub(super) refused: Vec<PathBuf>,
    pub(super) limit_hint: Option<String>,
    pub(super) watches: usize,
    /// New projects that are still being written: they are seen when that is over.
    pub(super) arriving: BTreeSet<PathBuf>,
    /// No turn is begun before: there was no thread for one.
    pub(super) rests_until: Timestamp,
    /// Nobody tells it of changes.
    pub(super) is_deaf: bool,
    /// Its turn takes so long that it may never end.
    pub(super) is_stalled: bool,
    gaze: Gaze,
    /// A project that it has been examining for long, and for how many minutes.
    pub(super) rests_on: Option<(PathBuf, u64)>,
}

/// A turn in progress.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) task: Task,
    pub(super) since: Timestamp,
    pub(super) started: tokio::time::Instant,
    /// Who waits for what it sees.
    pub(super) wish: Option<ScanWish>,
    thread: JoinHandle<()>,
}

/// A root as it was found last.
#[derive(Clone, Debug)]
pub(super) struct RootFound {
    pub(super) path: PathBuf,
    pub(super) real: PathBuf,
    pub(super) state: RootState,
}

/// A turn that ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) generation: u64,
    pub(super) station: usize,
    /// What was seen, with the lookout; or what a panic said.
    pub(super) outcome: Result<(Lookout, Seen), String>,
}

/// Where turns put what they came to.
pub(super) type Inbox = Arc<Mutex<Vec<Finished>>>;

impl Station {
    pub(super) fn new(post: Post, lookout: Lookout, now: Timestamp) -> Self {
        let (is_deaf, gaze) = (!lookout.is_told(), lookout.gaze());
        let agenda = Agenda::new(now, !is_deaf);
        let roots = post.roots.iter().map(|root| RootFound {
            path: root.clone(),
            real: root.clone(),
            state: RootState::Polling,
        });
        let roots = roots.collect();
        Self {
            post,
            agenda,
            lookout: Some(lookout),
            running: None,
            wishes: VecDeque::new(),
            roots,
            problems: Vec::new(),
            refused: Vec::new(),
            limit_hint: None,
            watches: 0,
            arriving: BTreeSet::new(),
            rests_until: now,
            is_deaf,
            is_stalled: false,
            gaze,
            rests_on: None,
        }
    }

    /// Whether it could take a turn.
    pub(super) fn is_free(&self) -> bool {
        self.lookout.is_some()
    }

    /// Whether a turn may be begun.
    pub(super) fn could_begin(&self, now: Timestamp) -> bool {
        self.is_free() && now >= self.next_begin(now)
    }

    /// When a turn may be begun at the earliest. A clock that was set back does not put it off.
    pub(super) fn next_begin(&self, now: Timestamp) -> Timestamp {
        if self.rests_until.since(now) > super::THREAD_PAUSE { now } else { self.rests_until }
    }

    /// Begins a turn. The engine's discovery is woken at its end.
    ///
    /// # Errors
    /// When there is no thread for it. The station is as it was then, and the wish comes first the next time.
    pub(super) fn begin(&mut self, turn: Turn, wish: Option<ScanWish>, to: Destination) -> io::Result<()> {
        let Some(lookout) = self.lookout.take() else { return Ok(()) };
        let Destination { engine, inbox, generation, station } = to;
        let (task, since, started) = (turn.task.clone(), engine.now(), tokio::time::Instant::now());
        let stop = engine.0.stop.flag();
        let niceness = niceness(&turn.task);
        // Handed over when there is a thread: what a thread that is not begun was given is lost with it.
        let (hand, given) = mpsc::sync_channel::<Lookout>(1);
        let take_turn = move || {
            let Ok(mut lookout) = given.recv() else { return };
            sync_scan::step_back(niceness);
            let outcome = catch_unwind(AssertUnwindSafe(move || {
                let seen = lookout.turn(&turn, &stop);
                (lookout, seen)
            }));
            let outcome = outcome.map_err(|panic| crate::supervisor::panic_words(&*panic));
            locked(&inbox).push(Finished { generation, station, outcome });
            engine.0.discover_wake.wake();
        };
        // Not of the runtime's pool: its threads serve others as well, and a priority once lowered stays so.
        let thread = std::thread::Builder::new().name("look".to_owned()).spawn(take_turn);
        let thread = match thread {
            Ok(thread) => thread,
            Err(error) => {
                self.lookout = Some(lookout);
                if let Some(wish) = wish {
                    self.wishes.push_front(wish);
                }
                return Err(error);
            }
        };
        if let Err(mpsc::SendError(lookout)) = hand.send(lookout) {
            self.lookout = Some(lookout);
            return Err(io::Error::other("the thread ended at once"));
        }
        self.running = Some(Running { task, since, started, wish, thread });
        Ok(())
    }

    /// Takes the lookout back; answers what the turn was.
    pub(super) fn end(&mut self, lookout: Lookout) -> Option<Running> {
        self.lookout = Some(lookout);
        self.is_stalled = false;
        self.running.take()
    }

    /// Sees whether one project takes long. Whether there is something else to tell of it than before.
    pub(super) fn notices_rest(&mut self) -> bool {
        let rests_on = self.gaze.has_rested(LONG);
        let rests_on = rests_on.map(|(root, taken)| (root, taken.as_secs() / 60));
        if rests_on == self.rests_on {
            return false;
        }
        if let Some((root, _)) = rests_on.as_ref().filter(|(root, _)| !self.is_resting_on(root)) {
            tracing::warn!(root = %root.display(), "a project takes long to be looked at; the others wait");
        }
        self.rests_on = rests_on;
        true
    }

    fn is_resting_on(&self, root: &Path) -> bool {
        self.rests_on.as_ref().is_some_and(|(known, _)| known == root)
    }
}

impl Running {
    /// Waits for the thread, which has nothing left to do, and answers who waits for what was seen.
    pub(super) fn join(self) -> (Task, Option<ScanWish>) {
        if let Err(panic) = self.thread.join() {
            tracing::error!(reason = crate::supervisor::panic_words(&*panic), "a look ended badly");
        }
        (self.task, self.wish)
    }
}

/// Where a turn's outcome goes.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) engine: Engine,
    pub(super) inbox: Inbox,
    pub(super) generation: u64,
    pub(super) station: usize,
}

/// How far a task stands back behind other programs.
fn niceness(task: &Task) -> u8 {
    match task {
        Task::Events | Task::Paths(_) | Task::Everything => 5,
        Task::Glance => 10,
        Task::Sweep => 19,
    }
}
