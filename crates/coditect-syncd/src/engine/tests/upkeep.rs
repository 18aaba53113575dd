//! The database is kept up whatever the delivery does.

use super::*;

const KEPT: i64 = 10_000;

impl World {
    /// Makes more events than are kept.
    async fn much_happens(&self) {
        let store = &self.engine.0.store;
        let now = *self.time.borrow();
        // What keeps it up may come between, for a time that passed before.
        self.until("there are more than are kept", async || {
            let missing = KEPT + 50 - self.held().await;
            let told = (0..missing).map(|_| store.event().add("test.tick", None, String::new(), now));
            for told in futures_util::future::join_all(told).await {
                told.unwrap();
            }
            self.held().await > KEPT
        })
        .await;
    }

    /// How many events there are: their numbers have no gaps.
    async fn held(&self) -> i64 {
        let first = self.engine.0.store.event().since(0, 1).await.unwrap();
        let last = self.engine.0.store.event().latest().await.unwrap();
        first.first().map_or(0, |first| last - first.id + 1)
    }

    async fn is_kept_up(&self, what: &str) {
        self.much_happens().await;
        self.pass(Duration::from_hours(1));
        self.until(&format!("old events go: {what}"), async || self.held().await <= KEPT + 5).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn old_events_go_whether_or_not_anything_can_be_sent() {
    let world = World::new().await;
    world.is_kept_up("nothing waits").await;

    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    world.register(world.project("one"), Duration::ZERO).await;
    world.cloud_is(CloudState::Offline).await;
    world.is_kept_up("offline").await;
    assert_eq!(world.waiting().await, 1);

    world.engine.pause(None, None).await.unwrap();
    world.is_kept_up("paused").await;
    world.engine.resume().await.unwrap();

    // Without a moment between the two in which it would be taken.
    world.cloud.faults().replace(vec![Rule::new(Fault::Hang)]).unwrap();
    let is_in_the_air = async || {
        let is_so = world.engine.queue().await.unwrap().in_flight > 0;
        if !is_so {
            // One that was still taken under the first rule has its pause.
            world.pass(Duration::from_mins(1));
            world.engine.flush(Duration::ZERO).await.unwrap();
        }
        is_so
    };
    world.until("it is in the air", is_in_the_air).await;
    world.much_happens().await;
    // A request that never ends puts it off for an hour at most.
    world.pass(Duration::from_hours(2));
    world.until("old events go meanwhile", async || world.held().await <= KEPT + 5).await;
    world.stop.drop_everything();

    let machine = crate::surroundings::tests::Machine::new(&world.home.path().join("machine"));
    machine.runs_on_battery(80);
    let pauses = |settings: &mut Settings| {
        settings.config.sync_daemon.on_battery = sync_config::OnBattery::Pause;
    };
    let world = world.restart_after(false, "acme", pauses).await;
    let is_held = async || !world.engine.status().await.unwrap().held_back.is_empty();
    world.until("it is held back", is_held).await;
    world.is_kept_up("held back").await;

    let url = world.cloud.url();
    let no_token = |settings: &mut Settings| {
        settings.dev = None;
        settings.config.cloud_sync.api_url = url;
    };
    let world = world.restart_after(false, "acme", no_token).await;
    world.cloud_is(CloudState::AuthRequired).await;
    world.is_kept_up("no token").await;
    // And that is all it does.
    let figures = || world.engine.0.store.figures();
    let quiet_hours = std::cell::Cell::new(0);
    let rests = async || {
        let commits = figures().commits;
        world.pass(Duration::from_hours(1));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let is_quiet = figures().log_bytes == 0 && figures().commits == commits;
        quiet_hours.set(if is_quiet { quiet_hours.get() + 1 } else { 0 });
        quiet_hours.get() >= 5
    };
    world.until("hours pass in which nothing is written", rests).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_long_queue_took_is_given_back_while_others_register() {
    let world = World::new().await;
    let (store, file) = (&world.engine.0.store, world.engine.settings().places.database.clone());
    let megabytes = || std::fs::metadata(&file).unwrap().len() / 1_000_000;
    let keys: Vec<String> = (0..12).map(|number| format!("test.{number}")).collect();
    for key in &keys {
        store.meta().set(key, &"x".repeat(1_000_000)).await.unwrap();
    }
    for key in &keys {
        store.meta().remove(key).await.unwrap();
    }
    store.checkpoint().await.unwrap();
    assert!(megabytes() > 10, "{} MB", megabytes());
    world.pass(Duration::from_hours(1));
    let outcome = world.register(world.project("one"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
    world.until("the file is small", async || megabytes() < 3).await;
    // What was written since is moved into the file when nothing more comes.
    store.meta().set("test", "x").await.unwrap();
    assert!(store.figures().log_bytes > 0);
    let rests = async || {
        world.pass(Duration::from_mins(5));
        store.figures().log_bytes == 0
    };
    world.until("the log is empty", rests).await;
}
