//! Newer content of a project of which an older request got no answer, through the loops.

use std::path::Path;

use super::*;

async fn write(world: &World, root: &Path, content: &str) {
    let draft =
        Draft { root: root.to_path_buf(), content_hash: Some(content.to_owned()), ..Draft::default() };
    world.engine.register(vec![draft], false, Duration::ZERO).await.unwrap();
}

async fn newer_waits(world: &World) {
    let waits = async || {
        let scope = world.engine.scope().id;
        let heads = world.engine.0.store.outbox().heads(scope, Timestamp::NEVER, 10, &[]).await.unwrap();
        heads
            .iter()
            .any(|entry| entry.last_failure.as_ref().is_some_and(|failure| failure.code == "unanswered"))
    };
    world.until("the newer one waits", waits).await;
}

/// One that was sent under these faults and has no answer yet, and its newer content.
async fn in_the_air(world: &World, faults: Vec<Rule>) {
    world.cloud.faults().replace(faults).unwrap();
    // No look finds it, so its content is what is written.
    let root = world.elsewhere("api");
    write(world, &root, "older").await;
    world.until("it is in the air", async || world.engine.queue().await.unwrap().in_flight > 0).await;
    write(world, &root, "newer").await;
}

#[tokio::test(flavor = "current_thread")]
async fn newer_content_waits_for_a_request_that_was_given_up_when_the_network_changed() {
    let world = World::new().await;
    in_the_air(&world, vec![Rule::new(Fault::Hang)]).await;
    world.pass(Duration::from_secs(1));
    world.engine.network_changed();
    newer_waits(&world).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_for_an_older_request_is_written_down_once_also_while_the_cloud_is_down() {
    let world = World::new().await;
    in_the_air(&world, vec![Rule::new(Fault::Latency { ms: 500 }), Rule::new(Fault::status(502))]).await;
    newer_waits(&world).await;
    world.cloud_is(CloudState::Offline).await;
    // What else there is to be written down may come late; once for each wake it comes for ever.
    let rests = async || {
        let commits = world.engine.0.store.figures().commits;
        for _ in 0..50 {
            world.engine.0.deliver_wake.wake();
            assert_eq!(world.waiting().await, 1);
        }
        world.engine.0.store.figures().commits == commits
    };
    world.until("nothing is written for fifty wakes", rests).await;

    world.cloud.faults().clear();
    world.pass(Duration::from_mins(10));
    world.engine.flush(PATIENCE).await.unwrap();
    let contents: Vec<_> =
        world.cloud.projects().await.unwrap().into_iter().map(|project| project.content_hash).collect();
    assert_eq!(contents, ["newer"]);
}
