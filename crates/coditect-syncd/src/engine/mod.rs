//! What the daemon knows and can be asked: the store, the wakes of the loops, and what they tell of themselves.
//!
//! The only thing the control server sees. It makes no network calls: whoever asks waits for a loop's commit, so a
//! hung network cannot hang a question.

pub(crate) mod api;
mod ask;
mod credential;
mod deliver;
mod diagnosis;
mod discover;
mod events;
mod flight;
mod holds;
mod index;
mod inspect;
mod legacy;
mod patience;
mod pause;
mod queue;
mod register;
mod report;
mod settings;
#[cfg(test)]
mod tests;
mod troubles;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync_cloud::Source;
use sync_core::{CloudId, EntryId, LocalId, MachineId, Scope, ScopeId, Tenant, Timestamp};
use sync_store::Store;
use sync_wire::ProblemCode;
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::dice::Dice;
use crate::logging::LogState;
use crate::sandbox::Sandbox;
use crate::stop::Stop;
use crate::surroundings::Around;
use crate::wake::Wake;
use api::{CloudState, LastScan, Refusal, RootView, Scanned};

pub(crate) use credential::credential;
pub(crate) use deliver::deliver;
pub(crate) use discover::discover;
pub(crate) use events::chronicle;
pub(crate) use holds::HOLDERS;
pub(crate) use legacy::legacy;
pub(crate) use patience::Patience;
pub(crate) use pause::Pausing;
pub(crate) use settings::{DevSettings, Settings};
pub(crate) use troubles::Trouble;
pub(crate) use wait::Goal;

/// The engine; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    dice: Dice,
    store: Store,
    machine: MachineId,
    started_at: Timestamp,
    started: tokio::time::Instant,
    stop: Stop,
    settings: watch::Sender<Arc<Settings>>,
    scope: watch::Sender<CurrentScope>,
    /// Held for reading from asking for the scope until what was made for it is committed; for writing while the scope
    /// changes, so that nothing is left behind in one that was adopted from.
    scope_gate: tokio::sync::RwLock<()>,
    delivery: watch::Sender<DeliveryView>,
    discovery: watch::Sender<DiscoveryView>,
    /// Grows with every commit that somebody may wait for.
    progress: watch::Sender<u64>,
    deliver_wake: Wake,
    discover_wake: Wake,
    reload_wake: Wake,
    reloads: Mutex<Vec<oneshot::Sender<Reread>>>,
    paused: Mutex<Option<Pausing>>,
    around: Around,
    standing: Mutex<holds::Standing>,
    looking: holds::Looking,
    troubles: Mutex<troubles::Troubles>,
    log: LogState,
    most_items: u32,
    flush: AtomicBool,
    credential_changed: AtomicBool,
    network_changed: AtomicBool,
    /// There may be projects that were never sent and do not wait.
    unsent: AtomicBool,
    /// The process before this one did not end in order.
    unclean: bool,
    sandbox: Sandbox,
    look_ups: Mutex<Waiting<LocalId, ()>>,
    /// Who asks where a registration stands, by its UUID in the cloud.
    statuses: Mutex<Waiting<CloudId, Arc<api::ToldByCloud>>>,
    scans: Mutex<Vec<ScanWish>>,
    index: index::Index,
    /// Looks for registrations that may run at once: a mount that hangs must not take all blocking threads.
    looks: Arc<tokio::sync::Semaphore>,
    legacy: tokio::sync::Mutex<legacy::Memory>,
    counters: Counting,
}

/// The scope that entries and mappings belong to now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CurrentScope {
    id: ScopeId,
    scope: Scope,
    /// The credential was asked for once, so the tenant is known as well as it can be.
    settled: bool,
    /// While the tenant is not known: the last one that was, whose mappings are answered, as stale ones.
    last: Option<(ScopeId, Scope)>,
}

/// What the delivery loop tells of itself.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct DeliveryView {
    state: CloudState,
    since: Timestamp,
    last_success_at: Option<Timestamp>,
    last_failure: Option<sync_core::Failure>,
    next_attempt_at: Option<Timestamp>,
    /// Until when what failed before is not repeated, for the cloud's sake.
    spared_until: Option<Timestamp>,
    /// The cloud took or refused something, and nothing came into the way since.
    reached: bool,
    in_flight: Vec<EntryId>,
    /// Flights that came back, good or bad.
    landings: u64,
}

/// What the discovery loop tells of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiscoveryView {
    roots: Vec<RootView>,
    watches: u64,
    problems: Vec<String>,
    last_scan: Option<LastScan>,
    surveyed: bool,
    /// New projects that were met and are still being written.
    arriving: usize,
}

/// Those who wait for look-ups, by what they asked for.
type Waiting<K, T> = BTreeMap<K, Vec<oneshot::Sender<LookedUpFor<T>>>>;

/// What a look-up came to, for whoever waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LookedUpFor<T> {
    /// The cloud knows it, and the mapping of a project of this machine is in the store.
    Known(T),
    /// The cloud does not know it.
    Unknown,
    /// There is no credential that the cloud takes.
    Unauthorized,
    /// The cloud could not be asked; with why.
    Unreachable(String),
}

/// Somebody wants a scan.
#[derive(Debug)]
pub(crate) struct ScanWish {
    /// Empty means everything.
    paths: Vec<PathBuf>,
    done: oneshot::Sender<Scanned>,
}

#[derive(Debug, Default)]
struct Counting {
    requests: AtomicU64,
    failures: AtomicU64,
    delivered: AtomicU64,
    buried: AtomicU64,
    enqueued: AtomicU64,
    scans: AtomicU64,
}

/// Everything the engine is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub dice: Dice,
    /// The database.
    pub store: Store,
    /// This machine.
    pub machine: MachineId,
    /// The configuration as it applies.
    pub settings: Settings,
    /// When everything ends.
    pub stop: Stop,
    /// The process before this one did not end in order.
    pub unclean: bool,
    /// What holds the daemon.
    pub sandbox: Sandbox,
    /// Where the system shows how the machine stands.
    pub around: Around,
    /// Whether the log is written.
    pub log: LogState,
}

/// What came of reading the configuration again: what somebody should know of it, or why nothing was changed.
pub(crate) type Reread = Result<Vec<String>, String>;

const MOST_LOOKS: usize = 2;

impl Engine {
    /// Puts the engine together.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn new(parts: Parts) -> Result<Self, sync_store::Error> {
        let Parts { clock, dice, store, machine, settings, stop, unclean, sandbox, around, log } = parts;
        let now = clock.now();
        // Whose the first registration is, is known before it is acknowledged, where a token is at hand.
        let scope = settings.scope(tenant_at_hand(&settings.credential_source()).await);
        let id = store.scope().ensure(&scope).await?;
        adopt(&store, &scope, id, now).await?;
        let most_items = settings.config.sync_daemon.queue_max_items;
        let paused = Self::kept_pause(&store, now).await?;
        let view = DeliveryView {
            state: CloudState::Unknown,
            since: now,
            last_success_at: None,
            last_failure: None,
            next_attempt_at: None,
            spared_until: None,
            reached: false,
            in_flight: Vec::new(),
            landings: 0,
        };
        Ok(Self(Arc::new(Inner {
            clock,
            dice,
            store,
            machine,
            started_at: now,
            started: tokio::time::Instant::now(),
            stop,
            settings: watch::Sender::new(Arc::new(settings)),
            scope: watch::Sender::new(CurrentScope { id, scope, settled: false, last: None }),
            scope_gate: tokio::sync::RwLock::default(),
            delivery: watch::Sender::new(view),
            discovery: watch::Sender::new(DiscoveryView::default()),
            progress: watch::Sender::new(0),
            deliver_wake: Wake::new("deliver"),
            discover_wake: Wake::new("discover"),
            reload_wake: Wake::new("reload"),
            reloads: Mutex::default(),
            paused: Mutex::new(paused),
            around,
            standing: Mutex::default(),
            looking: holds::Looking::default(),
            troubles: Mutex::default(),
            log,
            most_items,
            flush: AtomicBool::new(false),
            credential_changed: AtomicBool::new(false),
            network_changed: AtomicBool::new(false),
            unsent: AtomicBool::new(true),
            unclean,
            sandbox,
            look_ups: Mutex::default(),
            statuses: Mutex::default(),
            scans: Mutex::default(),
            index: index::Index::default(),
            looks: Arc::new(tokio::sync::Semaphore::new(MOST_LOOKS)),
            legacy: tokio::sync::Mutex::default(),
            counters: Counting::default(),
        })))
    }

    /// Whether questions can be answered well.
    ///
    /// # Errors
    /// Why not yet.
    pub(crate) fn is_ready(&self) -> Result<(), String> {
        if self.0.stop.is_finishing() {
            return Err("the daemon is shutting down".to_owned());
        }
        if !self.scope().settled {
            return Err("the credential is being obtained".to_owned());
        }
        Ok(())
    }

    /// Whether the daemon is well. A cloud that cannot be reached does not make it ill.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn is_healthy(&self) -> Result<(), String> {
        if self.0.stop.is_finishing() {
            return Err("the daemon is shutting down".to_owned());
        }
        match self.0.store.figures().disk_full_since {
            Some(since) => {
                Err(format!("the disk is full since {}: nothing new can be queued", since.to_rfc3339()))
            }
            None => Ok(()),
        }
    }

    /// Whether the sandbox alone keeps the daemon from writing in this folder.
    pub(crate) fn is_shut_out_of(&self, folder: &std::path::Path) -> bool {
        self.0.sandbox.shuts_out_of(folder)
    }

    /// The two levels of stopping.
    pub(crate) fn stop(&self) -> Stop {
        self.0.stop.clone()
    }

    /// Links or addresses of this machine changed.
    pub(crate) fn network_changed(&self) {
        self.0.network_changed.store(true, Ordering::Relaxed);
        self.look_around_anew();
        self.0.deliver_wake.wake();
    }

    /// The place the credential comes from changed.
    pub(crate) fn credential_changed(&self) {
        self.0.credential_changed.store(true, Ordering::Relaxed);
        self.0.deliver_wake.wake();
    }

    /// Reads the configuration again. Answers what somebody should know of it.
    ///
    /// # Errors
    /// When it was refused: what was read before is in force.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, Refusal> {
        let (done, answer) = oneshot::channel();
        locked(&self.0.reloads).push(done);
        self.0.reload_wake.wake();
        let reread = tokio::select! {
            // One that ends the daemon answers first.
            biased;
            reread = answer => reread.map_err(|_gone| shutting_down())?,
            () = self.0.stop.finishing() => return Err(shutting_down()),
        };
        reread.map_err(|why| Refusal {
            hint: Some("mend it and run `coditect-sync reload`; what was read before is in force".to_owned()),
            ..refusal(ProblemCode::Conflict, format!("the configuration was not changed: {why}"))
        })
    }

    /// Waits until somebody wants a reload; cancel-safe.
    pub(crate) async fn reload_wanted(&self) {
        self.0.reload_wake.woken().await;
    }

    /// Those who want to know what comes of the next reload.
    pub(crate) fn who_reloads(&self) -> Vec<oneshot::Sender<Reread>> {
        std::mem::take(&mut *locked(&self.0.reloads))
    }

    /// Puts a changed configuration in force.
    pub(crate) fn follow(&self, settings: Settings) {
        self.0.settings.send_replace(Arc::new(settings));
        self.look_around_anew();
        self.0.credential_changed.store(true, Ordering::Relaxed);
        self.0.deliver_wake.wake();
        self.0.discover_wake.wake();
    }

    /// Ends the daemon.
    pub(crate) fn shutdown(&self) {
        tracing::info!("stopping: asked through the control socket");
        self.0.stop.finish();
    }

    /// Where the control socket is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.settings().places.socket.clone()
    }

    /// How everything is, in one line for the service manager; `None` when the database does not answer: this is the
    /// sign of life, so it asks the file and not what is known of it.
    pub(crate) async fn one_line(&self) -> Option<String> {
        let state = self.0.delivery.borrow().state;
        let counts = self.0.store.outbox().counts(self.scope().id, self.now()).await.ok()?;
        Some(format!("cloud {}, {} waiting", state.as_str(), counts.ready + counts.delayed))
    }

    /// Changes with every commit and state that somebody may wait for.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.0.progress.subscribe()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn scope(&self) -> CurrentScope {
        self.0.scope.borrow().clone()
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.borrow())
    }

    /// Something was committed that somebody may wait for.
    fn progressed(&self) {
        self.0.progress.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until `look` finds an answer, looking again after every commit, at most for `wait`.
    async fn wait_for<T, F>(
        &self,
        wait: impl Into<Patience>,
        mut look: impl FnMut() -> F,
    ) -> Result<Option<T>, Refusal>
    where
        F: Future<Output = Result<Option<T>, Refusal>>,
    {
        let mut progress = self.progress();
        let over = wait.into().over();
        tokio::pin!(over);
        loop {
            progress.mark_unchanged();
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            tokio::select! {
                changed = progress.changed() => {
                    if changed.is_err() {
                        return Ok(None);
                    }
                }
                () = self.0.stop.finishing() => return Err(shutting_down()),
                () = &mut over => return Ok(None),
            }
        }
    }
}

/// The tenant of a token that can be had without running anything.
async fn tenant_at_hand(source: &Source) -> Tenant {
    match source {
        Source::Command(_) | Source::None => Tenant::Unknown,
        Source::Inline(_) | Source::File(_) => match sync_cloud::obtain(source).await {
            Ok(Some(credential)) => credential.claims.tenant.map_or(Tenant::Opaque, Tenant::Named),
            // The delivery loop asks again and tells.
            Ok(None) | Err(_) => Tenant::Unknown,
        },
    }
}

/// Gives a tenant that is known the entries that were made before it was.
async fn adopt(store: &Store, scope: &Scope, id: ScopeId, now: Timestamp) -> Result<(), sync_store::Error> {
    if scope.tenant == Tenant::Unknown {
        return Ok(());
    }
    let unknown = Scope { tenant: Tenant::Unknown, ..scope.clone() };
    let from = store.scope().ensure(&unknown).await?;
    let adopted = store.scope().adopt(from, id, now).await?;
    if adopted > 0 {
        tracing::info!(entries = adopted, %scope, "entries made before the tenant was known are its own");
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of the engine's locks, and what they guard is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shutting_down() -> Refusal {
    refusal(ProblemCode::ShuttingDown, "the daemon is shutting down")
}

fn refusal(code: ProblemCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), hint: None, entry: None }
}

/// What a failure of the store means to whoever asked.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn store_refusal(error: sync_store::Error) -> Refusal {
    let message = format!("failed to {}", crate::chain(&error));
    let (code, hint) = match error {
        sync_store::Error::Full => {
            (ProblemCode::DiskFull, Some("make room on the disk of the state directory"))
        }
        sync_store::Error::QueueFull { .. } => (
            ProblemCode::QueueFull,
            Some(
                "restore the way to the cloud, or raise `sync_daemon.queue_max_items` and start the daemon again",
            ),
        ),
        sync_store::Error::Closed => (ProblemCode::ShuttingDown, None),
        sync_store::Error::Broken { .. } => {
            (ProblemCode::Internal, Some("restart the daemon: it sets a damaged database aside"))
        }
        sync_store::Error::Busy
        | sync_store::Error::Newer { .. }
        | sync_store::Error::Row { .. }
        | sync_store::Error::Other { .. } => (ProblemCode::Internal, None),
    };
    Refusal { code, message, hint: hint.map(str::to_owned), entry: None }
}
