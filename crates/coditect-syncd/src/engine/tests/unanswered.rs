//! Newer content of a project of which an older request got no answer, through the loops.

use std::path::Path;

use super::*;

async fn write(world: &World, root: &Path, content: &str) {
    let draft =
        Draft { root: root.to_path_buf(), content_hash: Some(content.to_owned()), ..Draft::default() };
    world.engine.register(vec![draft], false, Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_for_an_older_request_is_written_down_once_also_while_the_cloud_is_down() {
    let world = World::new().await;
    let root = world.project("api");
    let slowly_fails = vec![Rule::new(Fault::Latency { ms: 500 }), Rule::new(Fault::status(502))];
    world.cloud.faults().replace(slowly_fails).unwrap();
    write(&world, &root, "older").await;
    world.until("it is in the air", async || world.engine.queue().await.unwrap().in_flight > 0).await;
    write(&world, &root, "newer").await;
    let waits = async || {
        let scope = world.engine.scope().id;
        let heads = world.engine.0.store.outbox().heads(scope, Timestamp::NEVER, 10, &[]).await.unwrap();
        heads
            .iter()
            .any(|entry| entry.last_failure.as_ref().is_some_and(|failure| failure.code == "unanswered"))
    };
    world.until("the newer one waits", waits).await;
    assert_eq!(world.engine.status().await.unwrap().cloud, CloudState::Offline);
    let commits = world.engine.0.store.figures().commits;
    for _ in 0..50 {
        world.engine.0.deliver_wake.wake();
        assert_eq!(world.waiting().await, 1);
    }
    assert_eq!(world.engine.0.store.figures().commits, commits);

    world.cloud.faults().clear();
    world.pass(Duration::from_mins(10));
    world.engine.flush(PATIENCE).await.unwrap();
    let contents: Vec<_> =
        world.cloud.projects().await.unwrap().into_iter().map(|project| project.content_hash).collect();
    assert_eq!(contents, ["newer"]);
}
