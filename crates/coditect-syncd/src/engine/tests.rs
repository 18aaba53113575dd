//! The loops with a real store and a dev cloud in this process, under a clock that is moved by hand.

mod held;
mod late;
mod moved;
mod others;
mod outlives;
mod told;
mod unanswered;
mod upkeep;

use std::path::PathBuf;
use std::time::Duration;

use coditect_devcloud::{DevCloud, Effect, Fault, Options, Rule, dev_token};
use sync_config::{Environment, PlaceFlags};
use sync_core::{Field, MachineId, Timestamp};
use sync_store::{Limits, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::api::{CloudState, Draft, RegisterOutcome, Which};
use super::settings::DevSettings;
use super::{Engine, Goal, Parts, Settings, deliver, discover};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::stop::Stop;

const START: Timestamp = Timestamp(1_700_000_000_000);
const PATIENCE: Duration = Duration::from_mins(1);

/// An engine with its loops and a dev cloud, in a folder of its own.
struct World {
    home: tempfile::TempDir,
    cloud: DevCloud,
    time: watch::Sender<Timestamp>,
    engine: Engine,
    stop: Stop,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let cloud = DevCloud::start(Options::default()).await.unwrap();
        let (time, _) = watch::channel(START);
        let (engine, stop, tasks) = start(&home, &cloud, &time, "acme").await;
        let world = Self { home, cloud, time, engine, stop, tasks };
        // What a test makes is then registered by the test alone, unless it lets time pass.
        let has_looked = async || world.engine.0.discovery.borrow().surveyed;
        world.until("discovery has looked at nothing", has_looked).await;
        world
    }

    /// Ends the loops and the store and starts them anew, with a token of this tenant.
    async fn restart(self, tenant: &str) -> Self {
        self.restart_after(false, tenant, |_| {}).await
    }

    /// Starts anew as after a process that did not end in order, or with another configuration.
    async fn restart_after(self, unclean: bool, tenant: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { home, cloud, time, engine, stop, tasks } = self;
        stop.finish();
        for task in tasks {
            task.await.unwrap();
        }
        engine.0.store.clone().close().await.unwrap();
        drop(engine);
        let (engine, stop, tasks) = start_with(&home, &cloud, &time, tenant, unclean, change).await;
        Self { home, cloud, time, engine, stop, tasks }
    }

    /// Lets time pass in one jump.
    fn pass(&self, span: Duration) {
        self.time.send_modify(|now| *now = now.after(span));
    }

    fn project(&self, name: &str) -> PathBuf {
        let root = self.home.path().join("roots").join(name);
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(root.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\n")).unwrap();
        std::fs::canonicalize(root).unwrap()
    }

    async fn register(&self, root: PathBuf, wait: Duration) -> RegisterOutcome {
        let draft = Draft { root, ..Draft::default() };
        self.engine.register(vec![draft], false, wait).await.unwrap().remove(0).outcome
    }

    /// Waits until what is asked is so; the loops run meanwhile.
    async fn until<F: Future<Output = bool>>(&self, what: &str, mut ask: impl FnMut() -> F) {
        let waiting = async {
            let mut progress = self.engine.progress();
            loop {
                progress.mark_unchanged();
                if ask().await {
                    return;
                }
                // Not every change is a commit, so it is looked again after a moment too.
                let moment = tokio::time::timeout(Duration::from_millis(20), progress.changed());
                if let Ok(Err(gone)) = moment.await {
                    panic!("{gone}");
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
    }

    async fn cloud_is(&self, state: CloudState) {
        let is = async || self.engine.status().await.unwrap().cloud == state;
        self.until(&format!("the cloud is {state:?}"), is).await;
    }

    async fn effects(&self) -> Vec<Effect> {
        self.cloud.ledger(0).await.unwrap().into_iter().map(|entry| entry.effect).collect()
    }

    async fn waiting(&self) -> u64 {
        let queue = self.engine.queue().await.unwrap();
        queue.ready + queue.delayed + queue.in_flight
    }
}

async fn start(
    home: &tempfile::TempDir,
    cloud: &DevCloud,
    time: &watch::Sender<Timestamp>,
    tenant: &str,
) -> (Engine, Stop, Vec<JoinHandle<()>>) {
    start_with(home, cloud, time, tenant, false, |_| {}).await
}

async fn start_with(
    home: &tempfile::TempDir,
    cloud: &DevCloud,
    time: &watch::Sender<Timestamp>,
    tenant: &str,
    unclean: bool,
    change: impl FnOnce(&mut Settings),
) -> (Engine, Stop, Vec<JoinHandle<()>>) {
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let flags = PlaceFlags { state_dir: Some(home.path().join("s")), ..PlaceFlags::default() };
    let places = environment.places(&flags).unwrap();
    std::fs::create_dir_all(&places.state_dir).unwrap();
    let mut config = environment.load(&places.config_file, Vec::new()).unwrap().config;
    config.sync_daemon.discovery.roots = vec![home.path().join("roots")];
    let now = *time.borrow();
    let opened = Store::open(&places.database, Limits { max_items: 1_000 }, now, Uuid::from_u128(7)).await;
    let stop = Stop::default();
    let mut settings = Settings {
        config,
        places,
        dev: Some(DevSettings { url: cloud.url(), token: dev_token(tenant, None) }),
        worker: None,
    };
    change(&mut settings);
    let parts = Parts {
        clock: Clock::Manual(time.clone()),
        dice: Dice::seeded(5),
        store: opened.unwrap().store,
        machine: MachineId(Uuid::from_u128(1)),
        settings,
        stop: stop.clone(),
        unclean,
        sandbox: crate::sandbox::Sandbox::none("a test"),
        around: crate::surroundings::tests::Machine::around(&home.path().join("machine")),
        log: crate::logging::LogState::default(),
    };
    let engine = Engine::new(parts).await.unwrap();
    let (delivering, discovering) = (engine.clone(), engine.clone());
    #[expect(clippy::disallowed_methods, reason = "the test holds the handles and joins them")]
    let tasks = vec![
        tokio::spawn(async move { deliver(delivering).await.unwrap() }),
        tokio::spawn(async move { discover(discovering).await.unwrap() }),
    ];
    (engine, stop, tasks)
}

#[tokio::test(flavor = "current_thread")]
async fn what_somebody_gives_stands_against_looks_until_it_is_given_back() {
    let world = World::new().await;
    let root = world.project("api");
    let register = async |draft: Draft| {
        let draft = Draft { root: root.clone(), ..draft };
        let registered = world.engine.register(vec![draft], false, PATIENCE).await.unwrap().remove(0);
        assert!(matches!(registered.outcome, RegisterOutcome::Registered(_) | RegisterOutcome::Cached(_)));
        let project = world.engine.project(registered.local).await.unwrap().project;
        (project.name, project.language, project.framework)
    };
    let of = |name: &str, language: &str, framework: &str| {
        (name.to_owned(), language.to_owned(), framework.to_owned())
    };
    let text = |text: &str| Some(text.to_owned());
    let given = Draft { language: text("Forth"), framework: text("own"), ..Draft::default() };
    assert_eq!(register(given).await, of("api", "Forth", "own"));
    std::fs::write(root.join("Cargo.toml"), "[package]\nname = \"api2\"\n").unwrap();
    std::fs::write(root.join("main.rs"), "fn main() {}\n").unwrap();
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    // A tool that knows nothing of it leaves it as it is, and so does one that says nothing in so many words.
    assert_eq!(register(Draft::default()).await, of("api2", "Forth", "own"));
    let silent = Draft { language: text(""), ..Draft::default() };
    assert_eq!(register(silent).await, of("api2", "Forth", "own"));
    let inspected = world.engine.inspect(root.clone()).await.unwrap();
    let on_record = inspected.projects[0].1.as_ref().unwrap();
    assert!(on_record.project.given.has(Field::Language) && !on_record.project.given.has(Field::Name));

    let back = Draft { framework: text("other"), detected: true, ..Draft::default() };
    assert_eq!(register(back).await, of("api2", "Rust", "other"));
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    assert_eq!(register(Draft::default()).await, of("api2", "Rust", "other"));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_registered_arrives_and_is_known_from_then_on() {
    let world = World::new().await;
    let root = world.project("api");
    let outcome = world.register(root.clone(), PATIENCE).await;
    let RegisterOutcome::Registered(mapping) = outcome else { panic!("{outcome:?}") };
    let outcome = world.register(root.clone(), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Cached(known) if known.cloud == mapping.cloud));
    let resolved = world.engine.resolve(Which::Path(root.join("src")), false, PATIENCE).await.unwrap();
    assert_eq!((resolved.mapping.cloud, resolved.stale, resolved.from_cloud), (mapping.cloud, false, false));
    assert_eq!(world.effects().await, [Effect::Created]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_week_offline_loses_nothing_and_asks_the_cloud_seldom() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    for number in 0..30 {
        let outcome = world.register(world.project(&format!("p{number}")), Duration::ZERO).await;
        assert!(matches!(outcome, RegisterOutcome::Queued(None)));
    }
    for hour in 0..168_u32 {
        let before = world.engine.counters().cloud_requests;
        world.pass(Duration::from_hours(1));
        world
            .until("the hour's probe came back", async || {
                world.engine.counters().cloud_requests > before
                    && world.engine.queue().await.unwrap().in_flight == 0
            })
            .await;
        let requests = world.engine.counters().cloud_requests - before;
        assert!(requests <= 3, "hour {hour}: {requests} requests");
    }
    assert_eq!(world.engine.status().await.unwrap().cloud, CloudState::Offline);
    assert_eq!(world.waiting().await, 30);
    world.cloud.faults().clear();
    world.pass(Duration::from_mins(10));
    world.until("all are delivered", async || world.waiting().await == 0).await;
    assert_eq!(world.effects().await, [Effect::Created; 30]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_mapping_is_asked_for_again_before_it_expires() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    world.pass(Duration::from_mins(24 * 60 - 1));
    let fresh_after = *world.time.borrow();
    world
        .until("the mapping is renewed", async || {
            let resolved =
                world.engine.resolve(Which::Path(root.clone()), false, Duration::ZERO).await.unwrap();
            resolved.mapping.cached_at >= fresh_after
        })
        .await;
}

#[tokio::test(flavor = "current_thread")]
async fn offline_an_expired_answer_is_given_and_marked_as_stale() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    world.pass(Duration::from_hours(25));
    let resolved = world.engine.resolve(Which::Path(root), false, Duration::ZERO).await.unwrap();
    assert!(resolved.stale);
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_the_cloud_forgot_is_registered_again() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    world.cloud.forget().await.unwrap();
    let refused = world.engine.resolve(Which::Path(root.clone()), true, PATIENCE).await;
    assert!(refused.is_err(), "the cloud does not know it at that moment");
    world
        .until("it is registered again", async || {
            world.engine.resolve(Which::Path(root.clone()), false, Duration::ZERO).await.is_ok()
        })
        .await;
    assert_eq!(world.effects().await, [Effect::Created, Effect::Created]);
}

#[tokio::test(flavor = "current_thread")]
async fn another_tenant_sees_and_sends_nothing_of_the_first() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    let waiting = world.project("waiting");
    world.register(waiting.clone(), Duration::ZERO).await;

    let world = world.restart("other").await;
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    assert!(world.engine.resolve(Which::Path(root.clone()), false, Duration::ZERO).await.is_err());
    world.cloud.faults().clear();
    world
        .until("both are the other tenant's too", async || {
            // A request that failed may still be on its way back; its wait ends too.
            world.pass(Duration::from_mins(1));
            let projects = world.cloud.projects().await.unwrap();
            projects.iter().filter(|project| project.tenant_id == "other").count() == 2
        })
        .await;
    let first: Vec<_> = world.cloud.projects().await.unwrap();
    assert_eq!(first.iter().filter(|project| project.tenant_id == "acme").count(), 1);

    let world = world.restart("acme").await;
    world
        .until("what waited for the first tenant arrives there", async || {
            // A request that failed may still be on its way back; its wait ends too.
            world.pass(Duration::from_mins(1));
            let projects = world.cloud.projects().await.unwrap();
            projects.iter().filter(|project| project.tenant_id == "acme").count() == 2
        })
        .await;
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_sent_while_paused_and_the_pause_outlives_a_restart() {
    let world = World::new().await;
    world.engine.pause(None, None).await.unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    let world = world.restart("acme").await;
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    assert!(world.engine.status().await.unwrap().paused.is_some());
    assert_eq!((world.waiting().await, world.engine.counters().cloud_requests), (1, 0));
    world.engine.resume().await.unwrap();
    world.until("it is delivered", async || world.waiting().await == 0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_pause_with_an_end_ends_by_itself_and_outlives_a_restart_until_then() {
    let world = World::new().await;
    let hour = Duration::from_hours(1);
    world.engine.pause(Some(hour * 2), Some("on the train".to_owned())).await.unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    let world = world.restart("acme").await;
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    let paused = world.engine.status().await.unwrap().paused.unwrap();
    assert_eq!(paused.reason(), Some("on the train"));
    assert_eq!(paused.until(), Some(paused.since().after(hour * 2)));
    world.pass(hour);
    world
        .until("nothing but the pause is in the way", async || {
            let missing = world.engine.wait_until(&Goal::Idle, Duration::ZERO).await.unwrap();
            missing.is_some_and(|missing| missing.contains("paused"))
        })
        .await;
    assert_eq!(world.engine.counters().cloud_requests, 0);
    world.pass(hour);
    world.until("it is delivered", async || world.waiting().await == 0).await;
    assert!(world.engine.status().await.unwrap().paused.is_none());
    let idle = world.engine.wait_until(&Goal::Idle, PATIENCE).await.unwrap();
    assert_eq!(idle, None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_project_that_is_waited_for_may_be_unknown_at_first() {
    let world = World::new().await;
    let root = world.project("api");
    let goal = Goal::Registered(root.clone());
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    let missing = world.engine.wait_until(&goal, Duration::ZERO).await.unwrap().unwrap();
    assert!(missing.contains("no project is known"), "{missing}");
    world.register(root, Duration::ZERO).await;
    assert_eq!(world.engine.wait_until(&goal, PATIENCE).await.unwrap(), None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_wait_the_cloud_asked_for_outlives_a_restart_and_a_flush() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::retry_after(429, "600")).times(1)).unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    world
        .until("the cloud asked for patience", async || {
            world.engine.status().await.unwrap().cloud == CloudState::Throttled
        })
        .await;
    let world = world.restart("acme").await;
    world
        .until("the wait is known again", async || {
            world.engine.status().await.unwrap().cloud == CloudState::Throttled
        })
        .await;
    world.engine.flush(Duration::from_millis(100)).await.unwrap();
    assert_eq!(world.engine.counters().cloud_requests, 0);
    world.pass(Duration::from_mins(21));
    world.until("it is delivered", async || world.waiting().await == 0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_look_up_that_is_refused_is_not_repeated_at_once() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    world.cloud.faults().add(Rule::new(Fault::status(403)).on_path("by-local-uuid")).unwrap();
    let (before, failed) = (world.engine.counters().cloud_requests, world.engine.counters().cloud_failures);
    world.pass(Duration::from_mins(24 * 60 - 1));
    world
        .until("it was asked once, and answered", async || {
            // The loop may have looked at the time just before it passed.
            world.engine.0.deliver_wake.wake();
            world.engine.counters().cloud_requests > before && world.engine.counters().cloud_failures > failed
        })
        .await;
    for _ in 0..20 {
        world.engine.flush(Duration::from_millis(5)).await.unwrap();
    }
    assert_eq!(world.engine.counters().cloud_requests, before + 1);
    let refused = world.engine.resolve(Which::Path(root), true, PATIENCE).await.unwrap_err();
    assert!(refused.message.contains("a moment ago"), "{}", refused.message);
}

#[tokio::test(flavor = "current_thread")]
async fn a_registration_that_is_pending_is_asked_for_until_it_is_final() {
    let world = World::new().await;
    let root = world.project("api");
    let RegisterOutcome::Registered(mapping) = world.register(root.clone(), PATIENCE).await else {
        panic!("lost")
    };
    let scope = world.engine.scope().id;
    let pending = sync_core::Mapping { status: "pending".to_owned(), refresh_at: START, ..mapping };
    world.engine.0.store.mapping().put(scope, pending.clone(), START).await.unwrap();
    world.engine.0.index.mappings_changed(scope, [pending.local]);
    world
        .until("its status is final", async || {
            world.engine.0.deliver_wake.wake();
            let known = world.engine.0.store.mapping().get(scope, pending.local).await.unwrap().unwrap();
            sync_core::is_final(&known.status)
        })
        .await;
    let asked = world.cloud.requests(0).await.unwrap();
    assert!(asked.iter().any(|request| request.path.contains("registration-status")), "{asked:#?}");
}

#[tokio::test(flavor = "current_thread")]
async fn what_was_unknown_a_moment_ago_is_known_when_it_is_delivered() {
    let world = World::new().await;
    let root = world.project("api");
    let local = sync_core::local_id(world.engine.0.machine, &root);
    assert!(world.engine.resolve(Which::Local(local), false, PATIENCE).await.is_err());
    world.register(root, PATIENCE).await;
    assert!(world.engine.resolve(Which::Local(local), true, PATIENCE).await.is_ok());
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_when_the_clock_is_set_back_a_little_is_sent_as_soon_as_it_can_be() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    world.register(world.project("one"), Duration::ZERO).await;
    world.cloud_is(CloudState::Offline).await;
    world.time.send_modify(|now| now.0 -= 2 * 3_600_000);
    world.cloud.faults().clear();
    world.engine.network_changed();
    let due = async || {
        let scope = world.engine.scope().id;
        let entry = world.engine.0.store.outbox().next_due(scope).await.unwrap();
        entry.is_none_or(|due| due.since(world.engine.now()) <= Duration::from_mins(10))
    };
    world.until("it is due within its pause, by the new clock", due).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_clock_that_jumps_holds_up_nothing_that_is_registered_afterwards() {
    const DAY: i64 = 86_400_000;
    let world = World::new().await;
    let jumps = [0, DAY, -365 * DAY, 365 * DAY, -DAY];
    for (number, jump) in jumps.into_iter().enumerate() {
        world.time.send_modify(|now| now.0 += jump);
        let root = world.project(&format!("p{number}"));
        let outcome = world.register(root, PATIENCE).await;
        assert!(matches!(outcome, RegisterOutcome::Registered(_)), "after {jump} ms: {outcome:?}");
    }
    assert_eq!(world.effects().await, [Effect::Created; 5], "{:#?}", world.cloud.ledger(0).await);
    // What waits for the cloud over a jump is delivered as well.
    for jump in [-365 * DAY, 365 * DAY] {
        world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
        let root = world.project(&format!("offline{jump}"));
        world.register(root, Duration::ZERO).await;
        let is_offline = async || world.engine.status().await.unwrap().cloud == CloudState::Offline;
        world.until("the cloud is missed", is_offline).await;
        world.time.send_modify(|now| now.0 += jump);
        world.cloud.faults().clear();
        let minutes = std::cell::Cell::new(0);
        let what = format!("it is delivered after a jump of {jump} ms");
        world
            .until(&what, async || {
                // What would be due in a year is due within hours.
                world.pass(Duration::from_mins(5));
                minutes.set(minutes.get() + 5);
                world.waiting().await == 0
            })
            .await;
        // Not when the clock is again where it was.
        assert!(minutes.get() < 600, "{} min after a jump of {jump} ms", minutes.get());
    }
    assert_eq!(world.effects().await, [Effect::Created; 7], "{:#?}", world.cloud.ledger(0).await);
}
