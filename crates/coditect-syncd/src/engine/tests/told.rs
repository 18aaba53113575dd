//! What the status tells of the cloud, and what is told of the queue.

use super::*;
use sync_wire::ProblemCode;

use crate::engine::api::{EntryPage, EntryState, Registered};

#[tokio::test(flavor = "current_thread")]
async fn a_page_of_what_is_ready_is_full_though_others_are_in_the_air() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    world.register(world.project("in the air"), Duration::ZERO).await;
    world.until("it is in the air", async || world.engine.queue().await.unwrap().in_flight == 1).await;
    for number in 0..3 {
        world.register(world.project(&format!("ready {number}")), Duration::ZERO).await;
    }
    let page = async |state, limit| {
        let page = EntryPage { state: Some(state), after: None, limit };
        let found = world.engine.queue_items(page).await.unwrap();
        found.into_iter().map(|view| view.entry.registration.name).collect::<Vec<_>>()
    };
    assert_eq!(page(EntryState::InFlight, 2).await, ["in the air"]);
    assert_eq!(page(EntryState::Ready, 2).await, ["ready 0", "ready 1"]);
    assert_eq!(page(EntryState::Ready, 9).await.len(), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_cloud_refused_is_not_said_to_be_on_its_way() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(422))).unwrap();
    let root = world.project("refused");
    let local = sync_core::local_id(world.engine.0.machine, &root);
    world.register(root, Duration::ZERO).await;
    world.until("it is refused", async || world.engine.queue().await.unwrap().dead == 1).await;
    world.cloud.faults().clear();
    let refusal = world.engine.resolve(Which::Local(local), false, PATIENCE).await.unwrap_err();
    assert!(refusal.message.contains("waits for somebody"), "{refusal:?}");
    let asked = world.cloud.requests(0).await.unwrap();
    assert!(
        asked.iter().any(|request| request.method == "GET"),
        "the cloud may know it all the same: {asked:#?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_new_project_is_sent_at_once_though_one_over_which_the_cloud_stumbles_has_its_pause() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(500)).times(1)).unwrap();
    world.register(world.elsewhere("stumbled over"), Duration::ZERO).await;
    world.cloud_is(CloudState::Offline).await;
    // No time passes here.
    let outcome = world.register(world.elsewhere("new"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_cloud_takes_and_gives_up_each_time_is_sent_ever_more_seldom() {
    let world = World::new().await;
    let answers = |status: &str| Fault::OtherJson {
        body: Some(serde_json::json!({
            "cloud_uuid": "00000000-0000-4000-8000-0000000000c1", "registration_status": status
        })),
    };
    world.cloud.faults().add(Rule::new(answers("pending")).on_method("POST")).unwrap();
    world.cloud.faults().add(Rule::new(answers("failed")).on_method("GET")).unwrap();
    world.register(world.elsewhere("api"), Duration::ZERO).await;
    world
        .until("an hour has passed", async || {
            world.pass(Duration::from_secs(20));
            world.time.borrow().since(START) >= Duration::from_hours(1)
        })
        .await;
    let requests = world.cloud.requests(0).await.unwrap();
    let sent = requests.iter().filter(|request| request.method == "POST").count();
    assert!((3..=8).contains(&sent), "{sent} times in an hour");
}

#[tokio::test(flavor = "current_thread")]
async fn a_start_without_a_token_queues_nothing_of_what_the_last_tenant_has() {
    let world = World::new().await;
    let url = world.cloud.url();
    let with = |token: Option<String>| {
        let url = url.clone();
        move |settings: &mut Settings| {
            settings.dev = None;
            settings.config.cloud_sync.api_url = url;
            settings.config.cloud_sync.auth_token = token.map(sync_config::Secret::new);
        }
    };
    let world = world.restart_after(false, "acme", with(Some(dev_token("acme", None)))).await;
    world.project("api");
    world.engine.scan(Vec::new(), PATIENCE).await.unwrap();
    world.until("it is delivered", async || world.cloud.projects().await.unwrap().len() == 1).await;
    let world = world.restart_after(false, "acme", with(None)).await;
    world.cloud_is(CloudState::AuthRequired).await;
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    // What is queued is queued before the loop rests.
    world.pass(Duration::from_hours(1));
    let is_kept_up = async || world.engine.0.store.figures().log_bytes == 0;
    world.until("the loop rests", is_kept_up).await;
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test(flavor = "current_thread")]
async fn another_tenant_in_the_configuration_is_followed_without_a_credential() {
    let world = World::new().await;
    let no_token = |settings: &mut Settings| {
        settings.dev = None;
        settings.config.cloud_sync.api_url = "https://cloud.invalid".to_owned();
        settings.config.cloud_sync.tenant_id = Some("one".to_owned());
    };
    let world = world.restart_after(false, "acme", no_token).await;
    let tenant = || world.engine.scope().scope.tenant.name().map(ToString::to_string);
    world.until("the first is known", async || tenant().as_deref() == Some("one")).await;
    let mut settings = Settings::clone(&world.engine.settings());
    settings.config.cloud_sync.tenant_id = Some("other".to_owned());
    world.engine.follow(settings);
    world.until("the other is followed", async || tenant().as_deref() == Some("other")).await;
}

#[tokio::test(flavor = "current_thread")]
async fn newer_content_of_a_project_is_not_the_registration_that_was_waited_for() {
    let world = World::new().await;
    let root = world.elsewhere("api");
    let draft = |content: &str| Draft {
        root: root.clone(),
        content_hash: Some(content.to_owned()),
        ..Draft::default()
    };
    world.engine.register(vec![draft("first")], false, PATIENCE).await.unwrap();
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    let waited = world.engine.register(vec![draft("second")], false, Duration::from_secs(2));
    let replace = async {
        world.until("it waits", async || world.waiting().await == 1).await;
        world.engine.register(vec![draft("third")], false, Duration::ZERO).await.unwrap();
    };
    let (told, ()) = tokio::join!(waited, replace);
    assert!(matches!(told.unwrap()[0].outcome, RegisterOutcome::Queued(_)), "only the first was sent");
}

#[tokio::test(flavor = "current_thread")]
async fn the_cloud_counts_as_reached_when_something_came_through_and_not_when_it_is_tried_again() {
    let world = World::new().await;
    let cloud = async || world.engine.status().await.unwrap().cloud;
    world.register(world.project("one"), PATIENCE).await;
    world.until("it is reached", async || cloud().await == CloudState::Online).await;

    world.pass(Duration::from_mins(1));
    world.cloud.faults().add(Rule::new(Fault::status(401))).unwrap();
    world.register(world.project("two"), Duration::ZERO).await;
    world.until("a token is asked for", async || cloud().await == CloudState::AuthRequired).await;
    world.cloud.faults().clear();
    world.cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    world.engine.flush(Duration::ZERO).await.unwrap();
    world.until("it is in the air", async || world.engine.queue().await.unwrap().in_flight > 0).await;
    assert_eq!(cloud().await, CloudState::Unknown);

    world.cloud.faults().clear();
    world.pass(Duration::from_secs(1));
    world.engine.network_changed();
    world.until("it is reached again", async || cloud().await == CloudState::Online).await;
    assert_eq!(world.waiting().await, 0);
    // One project that is refused does not change that.
    world.cloud.faults().add(Rule::new(Fault::status(422))).unwrap();
    world.register(world.project("three"), Duration::ZERO).await;
    let is_refused = async || world.engine.queue().await.unwrap().dead == 1;
    world.until("it is refused", is_refused).await;
    assert_eq!(cloud().await, CloudState::Online);
}

#[tokio::test(flavor = "current_thread")]
async fn the_status_tells_until_when_repeats_are_spared() {
    let world = World::new().await;
    let soon = |settings: &mut Settings| {
        settings.config.cloud_sync.retry_initial = Some(Duration::from_secs(1));
        settings.config.cloud_sync.retry_max = Some(Duration::from_secs(1));
    };
    let world = world.restart_after(false, "acme", soon).await;
    world.cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    world.register(world.project("one"), Duration::ZERO).await;
    let spared = async || world.engine.status().await.unwrap().spared_until;
    // Repeats are there to be spent at first.
    for _ in 0..10 {
        let landings = world.engine.0.delivery.borrow().landings;
        world.engine.flush(Duration::ZERO).await.unwrap();
        let has_landed = async || world.engine.0.delivery.borrow().landings > landings;
        world.until("it was tried", has_landed).await;
        assert_eq!(spared().await, None);
    }
    world.pass(Duration::from_secs(5));
    world.until("they are spared", async || spared().await.is_some()).await;
    let status = world.engine.status().await.unwrap();
    assert_eq!((status.cloud, status.next_attempt_at), (CloudState::Offline, status.spared_until));
    let pause = status.spared_until.unwrap().since(status.now);
    assert!((20..=90).contains(&pause.as_secs()), "{pause:?}");

    world.cloud.faults().clear();
    world.pass(pause);
    world.until("it is sent then", async || world.waiting().await == 0).await;
    assert_eq!(spared().await, None);
}

#[tokio::test(flavor = "current_thread")]
async fn nobody_waits_for_a_project_that_the_cloud_does_not_take() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(422))).unwrap();
    let root = world.project("api");
    let RegisterOutcome::Failed(failure) = world.register(root.clone(), PATIENCE).await else {
        panic!("it is taken")
    };
    world.cloud.faults().clear();
    let waited = world.engine.wait_until(&Goal::Registered(root.clone()), Duration::from_secs(5)).await;
    let refused = waited.unwrap_err();
    assert_eq!(refused.code, ProblemCode::Conflict);
    assert!(refused.message.contains(&failure.message), "{}", refused.message);
    let entry = refused.entry.unwrap().entry.id;
    assert!(refused.hint.unwrap().contains(&format!("queue retry {entry}")));
    world.engine.retry(entry).await.unwrap();
    assert_eq!(world.engine.wait_until(&Goal::Registered(root), PATIENCE).await.unwrap(), None);
}

#[tokio::test(flavor = "current_thread")]
async fn nobody_waits_for_a_cloud_that_refuses_whatever_is_sent() {
    let world = World::new().await;
    for (status, state) in [(401, CloudState::AuthRequired), (403, CloudState::Forbidden)] {
        world.cloud.faults().add(Rule::new(Fault::status(status))).unwrap();
        let draft = |name: &str| Draft { root: world.project(name), ..Draft::default() };
        let drafts = vec![draft(&format!("{status} a")), draft(&format!("{status} b"))];
        let registering = world.engine.register(drafts, false, PATIENCE);
        let registered = tokio::time::timeout(PATIENCE / 2, registering).await;
        let registered = registered.unwrap_or_else(|_| panic!("{status}: it waits")).unwrap();
        let is_queued = |registered: &Registered| matches!(registered.outcome, RegisterOutcome::Queued(None));
        assert!(registered.iter().all(is_queued), "{status}: {registered:?}");
        assert_eq!(world.engine.status().await.unwrap().cloud, state);
        world.cloud.faults().clear();
        if state == CloudState::AuthRequired {
            // Who waits while there is a new token waits on.
            world.engine.credential_changed();
            let outcome = world.register(world.project("c"), PATIENCE).await;
            assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
        }
    }
}
