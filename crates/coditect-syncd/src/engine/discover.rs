//! The discovery loop: has lookouts look at folders when they change, on demand and from time to time, and records what
//! is true.
//!
//! Lookouts take their turns on threads of their own; this loop says when, compares what they saw with what is on
//! record, and never touches a folder itself.

mod agenda;
mod outlying;
mod record;
mod station;
mod view;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sync_core::Timestamp;
use sync_scan::{Lookout, Post, Scout, Seen, Task, Turn, Watcher};
use tokio::sync::oneshot;

use super::api::Scanned;
use super::{Engine, ScanWish, Settings, locked};
use agenda::Due;
pub(super) use agenda::Strain;
use station::{Destination, Finished, Inbox, Station};

use crate::blocking::{Blocked, blocking};
use crate::worker;

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoverError {
    /// The store is not usable.
    #[error("use the store: {0}")]
    Store(String),
    /// A look at the disk ended badly.
    #[error("look at the disk: {0}")]
    Look(String),
}

const MOST_QUIET: Duration = Duration::from_secs(30);
/// A look for which the system gave no thread is begun again after this.
const THREAD_PAUSE: Duration = Duration::from_secs(2);
const NO_THREAD: &str = "the system gives no thread to look at folders with; they are looked at later";
/// A look at roots that lie elsewhere is taken to hang after this.
const STALLED: Duration = Duration::from_secs(30);

/// Runs the loop until the daemon stops.
///
/// # Errors
/// When the store is damaged or closed under it, or a look panicked.
pub(crate) async fn discover(engine: Engine) -> Result<(), DiscoverError> {
    let stop = engine.0.stop.clone();
    loop {
        if engine.scope().settled {
            break;
        }
        tokio::select! {
            () = stop.finishing() => return Ok(()),
            () = engine.0.discover_wake.woken() => {}
        }
    }
    engine.take_over_first().await;
    let mut eye = Eye::new(engine).await?;
    while !stop.is_finishing() {
        let next = eye.round().await?;
        let clock = eye.engine.0.clock.clone();
        let idle = next.since(eye.engine.now());
        let is_pressing = eye.is_pressing();
        tokio::select! {
            () = stop.finishing() => break,
            () = eye.engine.0.discover_wake.woken() => {}
            // What is due from time to time may come late; naps that notice a sleep would only keep an idle machine awake.
            () = clock.rest(idle), if !is_pressing => {}
            _ = clock.until(next), if is_pressing => {}
        }
    }
    Ok(())
}

/// Everything the loop holds.
struct Eye {
    engine: Engine,
    settings: Arc<Settings>,
    stations: Vec<Station>,
    /// Of the stations: what earlier ones still see is of no interest.
    generation: u64,
    inbox: Inbox,
    /// Set when the system told of changes.
    told: Arc<AtomicBool>,
    /// The look at everything that is under way.
    whole: Option<Whole>,
    /// Where projects are, to be counted by root.
    present: Vec<PathBuf>,
    /// The whereabouts that were counted last.
    counted: Option<u64>,
    /// A sweep is over: what is mounted where may have changed since the last one.
    mounts_in_doubt: bool,
    scout: Arc<Scout>,
    /// Whether a thread is asking for projects outside the roots.
    asks_outlying: Arc<AtomicBool>,
}

/// A look at everything, by all stations.
struct Whole {
    started_at: Timestamp,
    started: tokio::time::Instant,
    waiting_for: BTreeSet<usize>,
    scanned: Scanned,
    wishes: Vec<ScanWish>,
}

impl Eye {
    async fn new(engine: Engine) -> Result<Self, DiscoverError> {
        let settings = engine.settings();
        let mut eye = Self {
            engine,
            settings,
            stations: Vec::new(),
            generation: 0,
            inbox: Inbox::default(),
            told: Arc::default(),
            whole: None,
            present: Vec::new(),
            counted: None,
            mounts_in_doubt: false,
            scout: Arc::default(),
            asks_outlying: Arc::default(),
        };
        eye.man_stations().await?;
        Ok(eye)
    }

    /// Divides the configured roots among new stations, which look at everything first.
    async fn man_stations(&mut self) -> Result<(), DiscoverError> {
        let posts = loop {
            if let Some(posts) = self.posts().await? {
                break posts;
            }
            tokio::select! {
                () = self.engine.0.stop.finishing() => return Ok(()),
                () = self.engine.0.clock.rest(THREAD_PAUSE) => {}
            }
        };
        self.man(posts);
        Ok(())
    }

    /// `None` while the system gives no thread to ask with.
    async fn posts(&self) -> Result<Option<Vec<Post>>, DiscoverError> {
        let roots = self.settings.scan().roots;
        let scout = Arc::clone(&self.scout);
        match blocking(move || scout.posts(&roots)).await {
            Ok(Ok(posts)) => Ok(Some(posts)),
            Ok(Err(_)) | Err(Blocked::NoThread) => {
                tracing::warn!(pause_seconds = THREAD_PAUSE.as_secs(), "{NO_THREAD}");
                Ok(None)
            }
            Err(Blocked::Panicked(words)) => Err(DiscoverError::Look(words)),
        }
    }

    fn man(&mut self, posts: Vec<Post>) {
        self.generation += 1;
        self.stations = posts.into_iter().map(|post| self.station(post)).collect();
        self.begin_whole(Vec::new());
    }

    fn station(&self, post: Post) -> Station {
        let watcher = if post.is_remote { None } else { self.watcher() };
        let options = sync_scan::Options { roots: post.roots.clone(), ..self.settings.scan() };
        let kept = worker::shelf(&self.settings.places);
        Station::new(post, Lookout::new(options, watcher, Some(kept)), self.engine.now())
    }

    fn watcher(&self) -> Option<Watcher> {
        let (engine, told) = (self.engine.clone(), Arc::clone(&self.told));
        let wake = move || {
            told.store(true, Ordering::Release);
            engine.0.discover_wake.wake();
        };
        match Watcher::start(Box::new(wake)) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(
                    reason = crate::chain(&error),
                    "the system tells of no changes; folders are looked at from time to time"
                );
                None
            }
        }
    }

    /// Takes in what was seen and begins what is due. Answers when to look again without being woken.
    async fn round(&mut self) -> Result<Timestamp, DiscoverError> {
        let settings = self.engine.settings();
        if !Arc::ptr_eq(&settings, &self.settings) {
            let differs = settings.scan() != self.settings.scan();
            self.settings = settings;
            if differs {
                self.man_stations().await?;
            } else {
                self.begin_whole(Vec::new());
            }
        }
        let finished = std::mem::take(&mut *locked(&self.inbox));
        for turn in finished {
            self.take(turn).await?;
        }
        if std::mem::take(&mut self.mounts_in_doubt)
            && let Some(posts) = self.posts().await?
            && !posts.iter().eq(self.stations.iter().map(|station| &station.post))
        {
            tracing::info!("roots were mounted or unmounted; looking at everything");
            self.man(posts);
        }
        let now = self.engine.now();
        if self.told.swap(false, Ordering::Acquire) {
            for station in self.stations.iter_mut().filter(|station| !station.post.is_remote) {
                station.agenda.events_now(now);
            }
        }
        self.take_wishes();
        self.notice_stalls(now);
        let interval = self.interval();
        let could_wait =
            |station: &mut Station| station.could_begin(now) && station.agenda.could_wait(now, interval);
        if self.stations.iter_mut().any(could_wait) {
            self.engine.look_around().await;
        }
        for at in 0..self.stations.len() {
            self.begin_due(at, now);
        }
        Ok(self.next(now))
    }

    fn is_pressing(&self) -> bool {
        self.stations.iter().any(|station| station.is_free() && station.agenda.is_pressing())
    }

    fn next(&self, now: Timestamp) -> Timestamp {
        let next = |station: &Station| match &station.running {
            None => station.agenda.next().max(station.next_begin(now)),
            Some(running) if station.post.is_remote && !station.is_stalled => running.since.after(STALLED),
            Some(_) => now.after(station::LONG / 4),
        };
        // A clock set back must not let anything sleep for years.
        let longest = now.after(self.interval());
        self.stations.iter().map(next).fold(longest, Timestamp::min)
    }

    fn interval(&self) -> Duration {
        self.settings.config.sync_daemon.discovery.rescan_interval
    }

    /// Has every station look at everything; who waits is told when all have, or hang.
    fn begin_whole(&mut self, wishes: Vec<ScanWish>) {
        let now = self.engine.now();
        let earlier = self.whole.take();
        let mut wishes = wishes;
        wishes.extend(earlier.into_iter().flat_map(|earlier| earlier.wishes));
        for station in &mut self.stations {
            station.agenda.survey_by(now);
        }
        let answers = |(at, station): (usize, &Station)| (!station.is_stalled).then_some(at);
        self.whole = Some(Whole {
            started_at: now,
            started: tokio::time::Instant::now(),
            waiting_for: self.stations.iter().enumerate().filter_map(answers).collect(),
            scanned: Scanned { done: true, ..Scanned::default() },
            wishes,
        });
    }

    fn take_wishes(&mut self) {
        let wishes: Vec<ScanWish> = std::mem::take(&mut *locked(&self.engine.0.scans));
        let (everything, some): (Vec<_>, Vec<_>) = wishes.into_iter().partition(|wish| wish.paths.is_empty());
        if !everything.is_empty() {
            self.begin_whole(everything);
        }
        for wish in some {
            let is_at = |station: &Station| {
                station.post.is_remote
                    && station.roots.iter().any(|root| {
                        wish.paths
                            .iter()
                            .any(|path| path.starts_with(&root.path) || path.starts_with(&root.real))
                    })
            };
            let at = self.stations.iter().position(is_at).unwrap_or(0);
            if let Some(station) = self.stations.get_mut(at) {
                station.wishes.push_back(wish);
            }
        }
    }

    fn notice_stalls(&mut self, now: Timestamp) {
        let mut stalled = Vec::new();
        for (at, station) in self.stations.iter_mut().enumerate() {
            let hangs = |running: &mut station::Running| {
                // As if it had begun when the clock was set back.
                running.since = running.since.min(now);
                now.since(running.since) >= STALLED
            };
            if station.post.is_remote && !station.is_stalled && station.running.as_mut().is_some_and(hangs) {
                station.is_stalled = true;
                tracing::warn!(roots = ?station.post.roots, "roots do not answer; the others are looked after");
                stalled.push(at);
            }
        }
        let mut is_news = !stalled.is_empty();
        for station in &mut self.stations {
            is_news |= station.notices_rest();
        }
        if is_news {
            self.publish();
        }
        for at in stalled {
            self.whole_done(at, None);
        }
    }

    fn begin_due(&mut self, at: usize, now: Timestamp) {
        let interval = self.interval();
        let Some(station) = self.stations.get_mut(at).filter(|station| station.could_begin(now)) else {
            return;
        };
        let mut wish = None;
        let task = match station.agenda.due(now, interval) {
            Some(Due::Everything) => {
                if !station.agenda.survey_begins(now, self.engine.strain()) {
                    return;
                }
                Task::Everything
            }
            _ if !station.wishes.is_empty() => {
                wish = station.wishes.pop_front();
                Task::Paths(wish.as_ref().map(|wish| wish.paths.clone()).unwrap_or_default())
            }
            Some(Due::Events) => Task::Events,
            Some(Due::Sweep) => {
                if !station.agenda.sweep_begins(now, self.engine.strain()) {
                    return;
                }
                Task::Sweep
            }
            Some(Due::Glance) => Task::Glance,
            None => return,
        };
        // Whoever asks wants to know how it is now: what is new and still being written is not left for later.
        let is_wished =
            task == Task::Everything && self.whole.as_ref().is_some_and(|whole| !whole.wishes.is_empty());
        let debounce = self.settings.config.sync_daemon.discovery.debounce;
        let quiet = if is_wished { Duration::ZERO } else { debounce };
        let turn = Turn {
            task,
            now_ms: millis_of(now),
            quiet_ms: millis(quiet),
            most_ms: millis(MOST_QUIET.max(debounce)),
        };
        let to = Destination {
            engine: self.engine.clone(),
            inbox: Arc::clone(&self.inbox),
            generation: self.generation,
            station: at,
        };
        station.agenda.turn_begins();
        if let Err(error) = station.begin(turn, wish, to) {
            // What was due stays so.
            tracing::warn!(%error, pause_seconds = THREAD_PAUSE.as_secs(), "{NO_THREAD}");
            station.rests_until = now.after(THREAD_PAUSE);
            station.agenda.survey_by(station.rests_until);
        }
    }

    /// Takes in what a turn came to.
    async fn take(&mut self, finished: Finished) -> Result<(), DiscoverError> {
        let (lookout, seen) = finished.outcome.map_err(DiscoverError::Look)?;
        if finished.generation != self.generation || self.engine.0.stop.is_finishing() {
            return Ok(());
        }
        let at = finished.station;
        let Some(station) = self.stations.get_mut(at) else { return Ok(()) };
        let Some(running) = station.end(lookout) else { return Ok(()) };
        let took = running.started.elapsed();
        let (task, wish) = running.join();
        if matches!(task, Task::Everything | Task::Sweep | Task::Glance) {
            self.engine.look_around().await;
        }
        self.note(at, &task, &seen);
        let whole = task == Task::Everything;
        let (mut first, mut refused) = (None, false);
        for survey in &seen.surveys {
            let recorded = self.record(survey, whole, took).await?;
            refused |= recorded.is_none();
            first = first.or(recorded);
        }
        if let Some(station) = self.stations.get_mut(at) {
            station.agenda.written_down(!refused, whole, self.engine.now());
        }
        if !seen.surveys.is_empty() {
            self.count().await;
        }
        if seen.watch.is_some() || seen.roots.is_some() || !seen.surveys.is_empty() {
            self.publish();
        }
        // A look at everything, or a sweep, is over.
        if whole || (task == Task::Sweep && !seen.sweeping) {
            self.count().await;
            self.miss_outlying().await?;
        }
        if whole {
            self.whole_done(at, first);
        }
        if let Some(wish) = wish {
            tell(wish.done, first.unwrap_or_default());
        }
        Ok(())
    }

    /// Writes into the agenda what a turn came to.
    fn note(&mut self, at: usize, task: &Task, seen: &Seen) {
        let (now, interval) = (self.engine.now(), self.interval());
        let Some(station) = self.stations.get_mut(at) else { return };
        let strain = || self.engine.strain();
        match task {
            Task::Everything => station.agenda.surveyed(now, interval, strain(), self.engine.0.dice.throw()),
            Task::Sweep => {
                station.agenda.sweeps_on(seen.sweeping, now, strain(), self.engine.0.dice.throw());
                self.mounts_in_doubt |= !seen.sweeping;
            }
            Task::Glance => station.agenda.glanced(now, strain()),
            Task::Events | Task::Paths(_) => {}
        }
        station.agenda.events_at(seen.next_ms.map(moment_of));
        if seen.overflow
            && let Some(pause) = station.agenda.lost(now)
        {
            let pause_seconds = pause.as_secs();
            tracing::info!(pause_seconds, "notices of change were lost; looking at everything");
        }
        station.see(task, seen);
    }

    /// A station has looked at everything, or will not for long.
    fn whole_done(&mut self, at: usize, scanned: Option<Scanned>) {
        let Some(whole) = &mut self.whole else { return };
        if !whole.waiting_for.remove(&at) {
            return;
        }
        match scanned {
            Some(scanned) => {
                whole.scanned.found += scanned.found;
                whole.scanned.added += scanned.added;
                whole.scanned.changed += scanned.changed;
                whole.scanned.missing += scanned.missing;
            }
            None => whole.scanned.done = false,
        }
        if !whole.waiting_for.is_empty() {
            return;
        }
        if let Some(whole) = self.whole.take() {
            self.publish_whole(&whole);
            for wish in whole.wishes {
                tell(wish.done, whole.scanned);
            }
        }
    }
}

impl Engine {
    /// Looks for projects now: below these paths, or everywhere when there are none. Waits for it at most `wait`.
    ///
    /// # Errors
    /// When a path is not absolute.
    pub(crate) async fn scan(
        &self,
        paths: Vec<PathBuf>,
        wait: impl Into<super::Patience>,
    ) -> Result<Scanned, super::Refusal> {
        Settings::check_paths(&paths)?;
        let (done, answer) = oneshot::channel();
        locked(&self.0.scans).push(ScanWish { paths, done });
        self.0.discover_wake.wake();
        tokio::select! {
            biased;
            answer = answer => Ok(answer.unwrap_or_default()),
            () = wait.into().over() => Ok(Scanned::default()),
            () = self.0.stop.finishing() => Err(super::shutting_down()),
        }
    }
}

fn tell(done: oneshot::Sender<Scanned>, scanned: Scanned) {
    if done.send(scanned).is_err() {
        tracing::trace!("nobody waits for the scan any more");
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn millis_of(moment: Timestamp) -> u64 {
    u64::try_from(moment.0).unwrap_or(0)
}

fn moment_of(millis: u64) -> Timestamp {
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}
