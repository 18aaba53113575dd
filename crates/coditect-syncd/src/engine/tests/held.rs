//! What is held back while the machine's state wants it, through the loops.

use super::*;
use crate::surroundings::tests::{Machine, answer};

async fn with(on_battery: sync_config::OnBattery, on_metered: sync_config::OnMetered) -> (World, Machine) {
    let world = World::new().await;
    let machine = Machine::new(&world.home.path().join("machine"));
    let world = world
        .restart_after(false, "acme", |settings| {
            settings.config.sync_daemon.on_battery = on_battery;
            settings.config.sync_daemon.on_metered = on_metered;
        })
        .await;
    let has_looked = async || world.engine.0.discovery.borrow().surveyed;
    world.until("everything was looked at", has_looked).await;
    (world, machine)
}

impl World {
    fn scans(&self) -> u64 {
        self.engine.counters().scans
    }

    /// A project that no root leads to: nothing tells of it.
    pub(super) fn elsewhere(&self, name: &str) -> PathBuf {
        let root = self.home.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        std::fs::canonicalize(root).unwrap()
    }

    async fn holds(&self) -> Vec<(&'static str, &'static str)> {
        let status = self.engine.status().await.unwrap();
        status.held_back.iter().map(|hold| (hold.by, hold.stops)).collect()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn on_a_battery_nothing_is_sent_where_that_is_wanted_until_the_mains_are_back_or_somebody_wants_it() {
    let (world, machine) = with(sync_config::OnBattery::Pause, sync_config::OnMetered::GoOn).await;
    let outcome = world.register(world.project("one"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");

    machine.runs_on_battery(80);
    world.pass(Duration::from_mins(1));
    let outcome = world.register(world.project("two"), Duration::ZERO).await;
    assert!(matches!(outcome, RegisterOutcome::Queued(_)), "{outcome:?}");
    world.until("it is held back", async || world.holds().await == [("battery", "sending")]).await;
    assert_eq!(world.waiting().await, 1);
    let missing = world.engine.wait_until(&Goal::Idle, Duration::ZERO).await.unwrap();
    assert_eq!(missing.as_deref(), Some("1 to be sent, and sending is paused"));

    machine.runs_on_mains();
    world.pass(Duration::from_mins(6));
    world.until("it is sent", async || world.waiting().await == 0).await;
    assert_eq!(world.holds().await, []);

    machine.runs_on_battery(80);
    world.pass(Duration::from_mins(1));
    let outcome = world.register(world.project("three"), Duration::ZERO).await;
    assert!(matches!(outcome, RegisterOutcome::Queued(_)), "{outcome:?}");
    world.until("it is held back again", async || !world.holds().await.is_empty()).await;
    world.engine.resume().await.unwrap();
    world.until("it is sent on the battery", async || world.waiting().await == 0).await;
    let told = world.engine.happened_since(0, 1_000).await.unwrap();
    let told: Vec<_> =
        told.iter().map(|event| &*event.kind).filter(|kind| kind.starts_with("sending.")).collect();
    let expected = ["sending.paused", "sending.resumed", "sending.paused", "sending.resumed"];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "current_thread")]
async fn over_a_network_that_costs_by_the_byte_nothing_is_sent_where_that_is_wanted() {
    let (world, machine) = with(sync_config::OnBattery::Spare, sync_config::OnMetered::Pause).await;
    machine.network_says(answer(1));
    world.engine.network_changed();
    world.until("it is held back", async || world.holds().await == [("metered", "sending")]).await;
    let outcome = world.register(world.project("one"), Duration::ZERO).await;
    assert!(matches!(outcome, RegisterOutcome::Queued(_)), "{outcome:?}");

    // Another network.
    machine.network_says(answer(2));
    world.engine.network_changed();
    world.until("it is sent", async || world.waiting().await == 0).await;
    assert_eq!(world.holds().await, []);
}

#[tokio::test(flavor = "current_thread")]
async fn a_low_battery_puts_sweeps_off_and_nothing_else() {
    let (world, machine) = with(sync_config::OnBattery::Spare, sync_config::OnMetered::GoOn).await;
    machine.runs_on_battery(12);
    world.pass(Duration::from_mins(1));
    assert_eq!(world.holds().await, [("low_battery", "sweeps")]);
    let outcome = world.register(world.elsewhere("one"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
    // Neither sweep nor periodic search comes.
    let before = world.scans();
    world.pass(Duration::from_hours(7));
    let outcome = world.register(world.elsewhere("two"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
    assert_eq!(world.scans(), before);
    // One that somebody asks for does.
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    let asked = world.scans();
    assert!(asked > before);
    machine.runs_on_mains();
    world.pass(Duration::from_hours(7));
    world.until("the mains are back", async || world.holds().await.is_empty()).await;
    world.until("everything is looked at", async || world.scans() > asked).await;
}

/// A daemon that pauses on a battery, beside one that tells its charge when the test does.
async fn on_a_slow_battery() -> (World, crate::surroundings::tests::Slow) {
    let world = World::new().await;
    let charge = Machine::new(&world.home.path().join("machine")).runs_on_a_slow_battery();
    let pauses = |settings: &mut Settings| {
        settings.config.sync_daemon.on_battery = sync_config::OnBattery::Pause;
    };
    (world.restart_after(false, "acme", pauses).await, charge)
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_sent_while_the_first_look_is_under_way_and_nobody_else_waits_for_it() {
    let (world, charge) = on_a_slow_battery().await;
    let outcome = world.register(world.elsewhere("one"), Duration::ZERO).await;
    assert!(matches!(outcome, RegisterOutcome::Queued(_)), "{outcome:?}");
    // Two ask for the status while the battery does not tell; both are told what it says then.
    let answers = async {
        let pipe = charge.0.clone();
        let tell = move || std::fs::write(pipe, "80\n");
        assert_eq!(world.engine.queue().await.unwrap().ready, 1);
        crate::blocking::blocking(tell).await.unwrap().unwrap();
    };
    let (first, second, ()) = tokio::join!(world.holds(), world.holds(), answers);
    assert_eq!((first, second), (vec![("battery", "sending")], vec![("battery", "sending")]));
    assert_eq!(world.waiting().await, 1);
    assert_eq!(world.effects().await, []);
}

#[tokio::test(flavor = "current_thread")]
async fn a_look_that_something_overtook_is_followed_by_another() {
    use std::io::Write;
    let (world, charge) = on_a_slow_battery().await;
    let answers = async {
        let pipe = charge.0.clone();
        // Opens when somebody reads.
        let begun = crate::blocking::blocking(move || std::fs::File::options().write(true).open(pipe));
        let mut telling = begun.await.unwrap().unwrap();
        world.engine.network_changed();
        let later = charge.0.with_file_name("later");
        std::fs::write(&later, "12\n").unwrap();
        std::fs::rename(&later, &charge.0).unwrap();
        telling.write_all(b"80\n").unwrap();
    };
    let (status, ()) = tokio::join!(world.engine.status(), answers);
    let held = status.unwrap().held_back;
    let reason = &held.iter().find(|hold| hold.by == "battery").unwrap().reason;
    assert!(reason.contains("12 %"), "{reason}");
}
