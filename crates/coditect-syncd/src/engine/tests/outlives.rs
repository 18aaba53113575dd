//! What outlives the process, and what is given up before it lands.

use super::*;

/// Entries that wait, by the first number of their standing.
async fn standings(world: &World) -> Vec<sync_core::Standing> {
    let scope = world.engine.scope().id;
    let now = *world.time.borrow();
    let entries = world.engine.0.store.outbox().list(scope, None, None, 100, now).await.unwrap();
    entries.into_iter().map(|entry| entry.standing).collect()
}

/// A cloud that takes requests and does not answer them.
fn silent() -> Rule {
    Rule::new(Fault::Hang)
}

async fn flies(world: &World) {
    world.until("it is in the air", async || world.engine.queue().await.unwrap().in_flight > 0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_in_the_air_in_three_crashes_goes_alone_and_then_is_dead() {
    let mut world = World::new().await;
    world.cloud.faults().add(silent()).unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    flies(&world).await;
    // The first unclean end is not noted by anybody; then three count, and the one after them is the last.
    for crash in 0..5 {
        assert_eq!(standings(&world).await, [sync_core::Standing::Ready], "after {crash} crashes");
        // As a process leaves it that is killed with a request in the air.
        let meta = world.engine.0.store.meta();
        let air = meta.get("flight.air").await.unwrap();
        assert_eq!(air.is_some(), crash > 0, "only a start after an unclean end writes down what flies");
        world.stop.drop_everything();
        world = world.restart_after(true, "acme", |_| {}).await;
        if crash < 4 {
            flies(&world).await;
        }
    }
    world.until("it is dead", async || standings(&world).await == [sync_core::Standing::Dead]).await;
    let dead = &world.engine.0.store.outbox();
    let entry = dead.list(world.engine.scope().id, None, None, 1, START).await.unwrap().remove(0);
    assert_eq!(entry.last_failure.unwrap().code, "crash");
    assert_eq!(world.engine.0.store.meta().get("flight.air").await.unwrap(), None);

    world.cloud.faults().clear();
    let world = world.restart_after(false, "acme", |_| {}).await;
    world
        .until("what was written down of crashes is gone", async || {
            world.engine.0.store.meta().get("flight.crashes").await.unwrap().is_none()
        })
        .await;
    world.engine.retry_dead().await.unwrap();
    world.until("it is delivered all the same", async || world.waiting().await == 0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_token_is_not_sent_again_by_a_new_process() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::status(401))).unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    let needs_token = async |world: &World| {
        world
            .until("a token is asked for", async || {
                world.engine.status().await.unwrap().cloud == CloudState::AuthRequired
            })
            .await;
    };
    needs_token(&world).await;
    let asked = world.cloud.requests(0).await.unwrap().len();
    let world = world.restart("acme").await;
    needs_token(&world).await;
    assert_eq!(world.cloud.requests(0).await.unwrap().len(), asked);
    // Another one is tried at once.
    world.cloud.faults().clear();
    let world = world
        .restart_after(false, "acme", |settings| {
            settings.dev.as_mut().unwrap().token = dev_token("acme", Some(START.0 / 1_000 + 1_000_000_000));
        })
        .await;
    world.until("it is delivered", async || world.waiting().await == 0).await;
}

#[tokio::test(flavor = "current_thread")]
async fn known_uuids_are_answered_as_stale_while_no_token_can_be_had() {
    let world = World::new().await;
    let url = world.cloud.url();
    let by_command = |token: String| {
        let (url, token) = (url.clone(), token);
        move |settings: &mut Settings| {
            settings.dev = None;
            settings.config.cloud_sync.api_url = url;
            settings.config.cloud_sync.credential_command =
                Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), token]);
        }
    };
    let token = format!("echo {}", dev_token("acme", None));
    let world = world.restart_after(false, "acme", by_command(token)).await;
    let root = world.project("api");
    let RegisterOutcome::Registered(mapping) = world.register(root.clone(), PATIENCE).await else {
        panic!("lost")
    };
    let world = world.restart_after(false, "acme", by_command("exit 1".to_owned())).await;
    world.until("the credential was asked for", async || world.engine.is_ready().is_ok()).await;
    let resolved = world.engine.resolve(Which::Path(root), false, Duration::ZERO).await.unwrap();
    assert_eq!((resolved.mapping.cloud, resolved.stale), (mapping.cloud, true));
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_that_hangs_is_given_up_when_the_network_changes() {
    let world = World::new().await;
    world.cloud.faults().add(silent()).unwrap();
    world.register(world.project("api"), Duration::ZERO).await;
    flies(&world).await;
    world.cloud.faults().clear();
    world.pass(Duration::from_secs(1));
    world.engine.network_changed();
    world.until("it is delivered", async || world.waiting().await == 0).await;
    assert!(world.engine.0.delivery.borrow().last_failure.is_none(), "nothing is concluded from it");
}
