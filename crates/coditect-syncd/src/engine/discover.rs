//! The discovery loop: looks at folders when they change, on demand and from time to time, and records what is true.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_core::{Presence, Timestamp, diff};
use sync_scan::{Options, Survey, Watcher};
use sync_store::Applied;
use tokio::sync::oneshot;

use super::api::{LastScan, RootState, RootView, Scanned};
use super::{Engine, ScanWish, Settings, locked};

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
const MOST_PROBLEMS: usize = 20;
/// A store that refused what was found is tried again after this.
const STORE_PAUSE: Duration = Duration::from_secs(10);

/// Runs the loop until the daemon stops.
///
/// # Errors
/// When the store is damaged or closed under it, or a look panicked.
pub(crate) async fn discover(engine: Engine) -> Result<(), DiscoverError> {
    let stop = engine.0.stop.clone();
    let mut eye = Eye::new(engine);
    loop {
        if eye.engine.scope().settled {
            break;
        }
        tokio::select! {
            () = stop.finishing() => return Ok(()),
            () = eye.engine.0.discover_wake.woken() => {}
        }
    }
    eye.engine.take_over_first().await;
    while !stop.is_finishing() {
        let next = eye.round().await?;
        let clock = eye.engine.0.clock.clone();
        let idle = next.since(eye.engine.now());
        tokio::select! {
            () = stop.finishing() => break,
            () = eye.engine.0.discover_wake.woken() => {}
            // The interval's survey may come late; naps that notice a sleep would only keep an idle machine awake.
            () = clock.rest(idle), if eye.next_rest.is_none() => {}
            _ = clock.until(next), if eye.next_rest.is_some() => {}
        }
    }
    Ok(())
}

/// Everything the loop holds.
struct Eye {
    engine: Engine,
    settings: Arc<Settings>,
    watcher: Option<Watcher>,
    folders: Vec<PathBuf>,
    /// When everything is looked at again; in the past means now.
    next_survey: Timestamp,
    /// When the watcher wants to be asked again.
    next_rest: Option<Timestamp>,
    refused: Vec<PathBuf>,
    /// Where the configured roots really are, in the order of the last survey's reports.
    real_roots: Vec<PathBuf>,
}

impl Eye {
    fn new(engine: Engine) -> Self {
        let settings = engine.settings();
        let wake = engine.clone();
        let watcher = match Watcher::start(Box::new(move || wake.0.discover_wake.wake())) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(
                    reason = crate::chain(&error),
                    "the system tells of no changes; folders are looked at from time to time"
                );
                None
            }
        };
        let next_survey = Timestamp(i64::MIN);
        Self {
            engine,
            settings,
            watcher,
            folders: Vec::new(),
            next_survey,
            next_rest: None,
            refused: Vec::new(),
            real_roots: Vec::new(),
        }
    }

    /// Looks at what wants to be looked at. Answers when to look again without being woken.
    async fn round(&mut self) -> Result<Timestamp, DiscoverError> {
        let settings = self.engine.settings();
        if !Arc::ptr_eq(&settings, &self.settings) {
            self.settings = settings;
            self.next_survey = Timestamp(i64::MIN);
        }
        let now = self.engine.now();
        // A clock that was set back must not put the next survey off.
        let interval = self.settings.config.sync_daemon.discovery.rescan_interval;
        self.next_survey = self.next_survey.min(now.after(interval));
        let wishes: Vec<ScanWish> = std::mem::take(&mut *locked(&self.engine.0.scans));
        let (everything, some): (Vec<_>, Vec<_>) = wishes.into_iter().partition(|wish| wish.paths.is_empty());
        let mut paths = self.at_rest(now);
        if now >= self.next_survey || !everything.is_empty() || paths.is_none() {
            let scanned = self.look(None).await?;
            self.next_survey =
                if scanned.is_some() { self.engine.now().after(interval) } else { now.after(STORE_PAUSE) };
            for wish in everything {
                tell(wish.done, scanned.unwrap_or_default());
            }
            paths = None;
        }
        for wish in some {
            let scanned = self.look(Some(wish.paths)).await?;
            tell(wish.done, scanned.unwrap_or_default());
        }
        if let Some(paths) = paths.filter(|paths| !paths.is_empty())
            && self.look(Some(paths)).await?.is_none()
        {
            self.next_survey = now.after(STORE_PAUSE);
        }
        Ok(self.next_rest.map_or(self.next_survey, |next| next.min(self.next_survey)))
    }

    /// The places that changed and came to rest; `None` when notices were lost and everything has to be looked at.
    fn at_rest(&mut self, now: Timestamp) -> Option<Vec<PathBuf>> {
        self.next_rest = None;
        let Some(watcher) = &mut self.watcher else { return Some(Vec::new()) };
        let quiet = self.settings.config.sync_daemon.discovery.debounce;
        let dirty = watcher.dirty(millis_of(now), millis(quiet), millis(MOST_QUIET.max(quiet)));
        self.next_rest = dirty.next.map(|next| Timestamp(i64::try_from(next).unwrap_or(i64::MAX)));
        if dirty.overflow {
            tracing::info!("notices of change were lost; looking at everything");
            return None;
        }
        Some(dirty.paths)
    }

    /// Looks at these paths, or at everything, and writes down what changed. `None` when it could not be written.
    async fn look(&mut self, paths: Option<Vec<PathBuf>>) -> Result<Option<Scanned>, DiscoverError> {
        let started_at = self.engine.now();
        let clock = tokio::time::Instant::now();
        let options = self.settings.scan();
        let (survey, real_roots) = self.survey(options, paths.clone()).await?;
        if self.engine.0.stop.is_finishing() {
            return Ok(None);
        }
        let whole = paths.is_none();
        if whole {
            self.real_roots = real_roots;
        }
        let found = u64::try_from(survey.sightings.len()).unwrap_or(u64::MAX);
        let Some(applied) = self.apply(&survey).await? else { return Ok(None) };
        self.engine.0.index.projects_changed();
        let scanned = Scanned {
            found,
            added: applied.added,
            changed: applied.changed + applied.moved + applied.returned,
            missing: applied.missing,
            done: true,
        };
        self.watch(&survey);
        let took = clock.elapsed();
        self.tell(&survey, &applied, scanned, whole, took);
        self.publish(&survey, whole.then_some(LastScan { started_at, took, scanned })).await?;
        Ok(Some(scanned))
    }

    /// Looks on a blocking thread; answers what was seen and the real paths of the configured roots.
    async fn survey(
        &self,
        options: Options,
        paths: Option<Vec<PathBuf>>,
    ) -> Result<(Survey, Vec<PathBuf>), DiscoverError> {
        let stop = self.engine.0.stop.flag();
        tokio::task::spawn_blocking(move || {
            let survey = match paths {
                None => sync_scan::survey(&options, &stop),
                Some(paths) => sync_scan::look(&options, &paths, &stop),
            };
            let real = |report: &sync_scan::RootReport| {
                std::fs::canonicalize(&report.path).unwrap_or_else(|_| report.path.clone())
            };
            let roots = survey.roots.iter().map(real).collect();
            (survey, roots)
        })
        .await
        .map_err(|error| DiscoverError::Look(crate::supervisor::panic_text(error)))
    }

    async fn apply(&self, survey: &Survey) -> Result<Option<Applied>, DiscoverError> {
        let store = &self.engine.0.store;
        let (machine, now, scope) = (self.engine.0.machine, self.engine.now(), self.engine.scope().id);
        let result = async {
            let known = store.project().all().await?;
            let changes =
                diff(&known, &survey.sightings, &|path: &Path| survey.covered.has(path), machine, now);
            store.project().apply(scope, machine, changes, now).await
        };
        match result.await {
            Ok(applied) => Ok(Some(applied)),
            Err(error @ (sync_store::Error::Broken { .. } | sync_store::Error::Closed)) => {
                Err(DiscoverError::Store(crate::chain(&error)))
            }
            Err(error) => {
                tracing::error!(
                    reason = crate::chain(&error),
                    "what was found cannot be written down; trying later"
                );
                Ok(None)
            }
        }
    }

    fn watch(&mut self, survey: &Survey) {
        self.folders = survey.watched_after(&self.folders);
        let Some(watcher) = &mut self.watcher else { return };
        // What changed between the look and the watching counts as a change; nobody wakes us for it.
        self.next_rest = Some(self.engine.now());
        let report = watcher.watch(&self.folders);
        if !report.refused.is_empty() && self.refused.is_empty() {
            tracing::warn!(
                folders = report.refused.len(),
                hint = report.limit_hint.as_deref().unwrap_or_default(),
                "some folders cannot be watched; they are looked at from time to time"
            );
        }
        self.refused = report.refused;
        let count = u64::try_from(report.watches).unwrap_or(u64::MAX);
        self.engine.0.discovery.send_modify(|view| view.watches = count);
    }

    fn tell(&self, survey: &Survey, applied: &Applied, scanned: Scanned, whole: bool, took: Duration) {
        self.engine.0.counters.enqueued.fetch_add(applied.enqueued, Ordering::Relaxed);
        self.engine.0.counters.scans.fetch_add(1, Ordering::Relaxed);
        let new = scanned.added + scanned.changed + scanned.missing;
        if whole || new > 0 {
            tracing::info!(
                found = scanned.found,
                added = scanned.added,
                changed = scanned.changed,
                missing = scanned.missing,
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "looked for projects"
            );
        }
        for sighting in &survey.sightings {
            for warning in &sighting.warnings {
                tracing::debug!(root = %sighting.root.display(), warning, "a project was seen only in part");
            }
        }
        for problem in &survey.problems {
            tracing::debug!(path = %problem.path.display(), kind = problem.kind.as_str(), "{}", problem.message);
        }
        if whole || applied.refused > 0 {
            self.engine.0.unsent.store(true, Ordering::Relaxed);
        }
        if applied.refused > 0 {
            tracing::warn!(projects = applied.refused, "the queue is full; these wait for room");
        }
        if applied.enqueued > 0 {
            self.engine.0.deliver_wake.wake();
        }
        self.engine.progressed();
    }

    async fn publish(&self, survey: &Survey, scan: Option<LastScan>) -> Result<(), DiscoverError> {
        let whole = scan.is_some();
        let roots: Vec<(PathBuf, RootState)> = if whole {
            survey.roots.iter().map(|report| (report.path.clone(), self.root_state(report))).collect()
        } else {
            self.engine
                .0
                .discovery
                .borrow()
                .roots
                .iter()
                .map(|root| (root.path.clone(), root.state))
                .collect()
        };
        let known = match self.engine.0.store.project().all().await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(reason = crate::chain(&error), "projects cannot be counted");
                return Ok(());
            }
        };
        let present: Vec<&Path> = known
            .iter()
            .filter(|project| project.presence == Presence::Present)
            .map(|project| project.root.as_path())
            .collect();
        let roots = roots
            .into_iter()
            .zip(&self.real_roots)
            .map(|((path, state), real)| {
                let projects = present.iter().filter(|root| root.starts_with(real)).count();
                RootView { path, state, projects: u64::try_from(projects).unwrap_or(u64::MAX) }
            })
            .collect();
        let problems = survey
            .problems
            .iter()
            .take(MOST_PROBLEMS)
            .map(|problem| format!("{}: {}", problem.path.display(), problem.message));
        self.engine.0.discovery.send_modify(|view| {
            view.roots = roots;
            if whole {
                view.problems = problems.collect();
                view.surveyed = true;
                view.last_scan = scan;
            }
        });
        Ok(())
    }

    fn root_state(&self, report: &sync_scan::RootReport) -> RootState {
        match report.state {
            sync_scan::RootState::Missing => RootState::Missing,
            sync_scan::RootState::Denied => RootState::Denied,
            sync_scan::RootState::Ready => {
                let polled =
                    self.watcher.is_none() || self.refused.iter().any(|path| path.starts_with(&report.path));
                if polled { RootState::Polling } else { RootState::Watching }
            }
        }
    }
}

impl Engine {
    /// Looks for projects now: below these paths, or everywhere when there are none. Waits for it at most `wait`.
    ///
    /// # Errors
    /// When a path is not absolute.
    pub(crate) async fn scan(&self, paths: Vec<PathBuf>, wait: Duration) -> Result<Scanned, super::Refusal> {
        Settings::check_paths(&paths)?;
        let (done, answer) = oneshot::channel();
        locked(&self.0.scans).push(ScanWish { paths, done });
        self.0.discover_wake.wake();
        tokio::select! {
            answer = tokio::time::timeout(wait, answer) => {
                Ok(answer.ok().and_then(Result::ok).unwrap_or_default())
            }
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
