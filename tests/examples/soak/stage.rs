//! What all take part in: the home, the cloud, the way to it, the daemon, and what they complain about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use coditect_devcloud::{Fault, PoisonedBatch, Rule, dev_token};
use serde_json::json;
use sync_tests::{Cloud, Daemon, Home, Proxy, Series, now};
use sync_wire::{Client, ClientError, ProblemCode};

use crate::plan::Plan;

/// The tenant of everything.
pub(crate) const TENANT: &str = "acme";
/// Projects of this name are refused by the cloud, for good.
pub(crate) const REFUSED: &str = "refused";
/// The longest a client waits for what comes at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many different complaints are kept.
const MOST_COMPLAINTS: usize = 50;

/// The surroundings of one run.
pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) cloud: Cloud,
    pub(crate) link: Proxy,
    pub(crate) seed: u64,
    pub(crate) beat: Duration,
    over: AtomicBool,
    /// Whether the daemon is to answer.
    up: AtomicBool,
    /// How often it was started.
    lives: AtomicU64,
    pid: AtomicU32,
    complaints: Mutex<BTreeMap<String, u64>>,
    done: Mutex<BTreeMap<&'static str, u64>>,
    asked: Mutex<Asked>,
}

/// How long questions took since they were last looked at, in milliseconds.
#[derive(Clone, Default, Debug)]
pub(crate) struct Asked {
    pub(crate) echo: Series,
    pub(crate) status: Series,
    pub(crate) resolve: Series,
}

impl Stage {
    /// A home with a cloud behind a network, and no daemon yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut home = Home::new();
        home.handle_memory_as_the_unit();
        let cloud = Cloud::start(home.path().join("cloud.db"));
        let link = Proxy::start(cloud.address(), plan.seed);
        home.set_cloud("api_url", link.url());
        home.set_cloud("auth_token", dev_token(TENANT, None));
        home.set_cloud("request_timeout", "2s");
        home.set_cloud("connect_timeout", "2s");
        home.set_cloud("retry_max", "3s");
        // Requests that the cloud hangs over are carried out when it goes on, long after they were given up.
        home.set_cloud("request_lifetime", "1m");
        // So that known UUIDs grow old and are asked for again.
        home.set_cloud("cache_ttl", "5m");
        home.set_daemon(
            "discovery",
            json!({"roots": [home.roots()], "debounce": "500ms", "rescan_interval": "10m"}),
        );
        let stage = Self {
            home,
            cloud,
            link,
            seed: plan.seed,
            beat: plan.beat(),
            over: AtomicBool::new(false),
            up: AtomicBool::new(false),
            lives: AtomicU64::new(0),
            pid: AtomicU32::new(0),
            complaints: Mutex::default(),
            done: Mutex::default(),
            asked: Mutex::default(),
        };
        stage.cloud_fails(None);
        stage
    }

    /// Starts the daemon.
    pub(crate) fn begin_life(&self) -> Daemon {
        let daemon = Daemon::start(&self.home);
        self.pid.store(daemon.pid(), Ordering::SeqCst);
        self.lives.fetch_add(1, Ordering::SeqCst);
        self.up.store(true, Ordering::SeqCst);
        daemon
    }

    /// From now on nobody wonders why there is no answer.
    pub(crate) fn end_life(&self) {
        self.up.store(false, Ordering::SeqCst);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Pauses; whether it goes on afterwards.
    pub(crate) fn rest(&self, length: Duration) -> bool {
        let until = now() + length;
        while !self.is_over() {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return true;
            }
            // The pace of a run is a thing of the clock; nothing is waited for.
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.state().join("sync.sock")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.socket(), PATIENCE)
    }

    /// Makes a call while the daemon is to answer. That it does not, or answers nonsense, is a complaint, unless it was
    /// killed meanwhile; so is a fault of its own. A refusal is an answer.
    pub(crate) fn ask<T>(
        &self,
        what: &'static str,
        call: impl FnOnce() -> Result<T, ClientError>,
    ) -> Option<T> {
        let life = self.lives.load(Ordering::SeqCst);
        if !self.up.load(Ordering::SeqCst) {
            self.rest(Duration::from_millis(20));
            return None;
        }
        let answer = call();
        let undisturbed = self.up.load(Ordering::SeqCst) && self.lives.load(Ordering::SeqCst) == life;
        match answer {
            Ok(answer) => {
                self.did(what);
                return Some(answer);
            }
            Err(ClientError::Problem(problem)) if problem.code != ProblemCode::Internal => self.did(what),
            Err(error) if undisturbed => self.complain(format!("{what}: {error}")),
            Err(_) => {}
        }
        None
    }

    /// Counts something that was done.
    pub(crate) fn did(&self, what: &'static str) {
        *held(&self.done).entry(what).or_default() += 1;
    }

    pub(crate) fn done(&self) -> BTreeMap<&'static str, u64> {
        held(&self.done).clone()
    }

    pub(crate) fn complain(&self, what: String) {
        let mut complaints = held(&self.complaints);
        if complaints.len() < MOST_COMPLAINTS || complaints.contains_key(&what) {
            *complaints.entry(what).or_default() += 1;
        }
    }

    /// What was complained about, with how often.
    pub(crate) fn complaints(&self) -> Vec<String> {
        held(&self.complaints).iter().map(|(what, times)| format!("{what} ({times} times)")).collect()
    }

    /// Adds how long a round of questions took.
    pub(crate) fn measured(&self, echo: f64, status: Option<f64>, resolve: Option<f64>) {
        let mut asked = held(&self.asked);
        asked.echo.push(echo);
        asked.status.extend(&status.into_iter().collect());
        asked.resolve.extend(&resolve.into_iter().collect());
    }

    /// What was added since this was called last.
    pub(crate) fn take_measured(&self) -> Asked {
        std::mem::take(&mut *held(&self.asked))
    }

    /// What goes wrong in the cloud besides refusing what it always refuses.
    pub(crate) fn cloud_fails(&self, how: Option<Fault>) {
        let refused = Fault::PoisonedName { name: REFUSED.to_owned(), batch: PoisonedBatch::ItemError };
        let rules = how.into_iter().chain([refused]).map(Rule::new).collect();
        self.cloud.faults().replace(rules).expect("these are rules");
    }
}

/// Ends the run when whoever holds it ends, whatever ended him: nobody goes on alone after a panic.
pub(crate) struct Ends<'s>(pub(crate) &'s Stage);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
