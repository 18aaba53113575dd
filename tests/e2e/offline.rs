//! The cloud goes away and comes back.

use sync_tests::{Daemon, until};

use crate::{drained, effects, queue, world};

#[test]
fn a_hundred_registrations_wait_for_the_cloud_and_go_in_at_most_five_requests() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    home.project("first");
    until("the first one is there", || (cloud.projects().len() == 1).then_some(()));
    let before = cloud.requests().len();
    let stopped = cloud.stop();

    let drafts: Vec<serde_json::Value> = (0..100)
        .map(|number| {
            let root = home.path().join(format!("drafts/{number}"));
            std::fs::create_dir_all(&root).unwrap();
            serde_json::json!({"root_path": root, "project_name": format!("draft {number}")})
        })
        .collect();
    let mut client = sync_wire::Client::new(home.state().join("sync.sock"), sync_tests::PATIENCE);
    let body = serde_json::json!({"projects": drafts});
    let answer = client.request("POST", "/v1/projects/sync", Some(&body)).unwrap();
    assert!(answer.status == 200 || answer.status == 202, "{}", answer.status);
    let waiting =
        home.run(&["register", "--wait=100ms", &home.path().join("drafts/0").display().to_string()]);
    assert_eq!(waiting.code, 75, "{waiting:?}");
    assert_eq!(queue(&home, "ready") + queue(&home, "delayed"), 100);

    let cloud = stopped.start();
    let flushed = home.json(&["queue", "flush", "--wait=30s"]);
    assert_eq!((&flushed["delivered"], &flushed["remaining"]), (&100.into(), &0.into()), "{flushed}");
    drained(&home);
    assert_eq!(cloud.projects().len(), 101);
    assert_eq!(effects(&cloud.ledger()), ["created"; 101], "nothing twice");
    let requests: Vec<_> =
        cloud.requests().into_iter().skip(before).filter(|request| request["method"] == "POST").collect();
    assert!(requests.len() <= 5, "{requests:#?}");
    daemon.finish();
}

#[test]
fn a_miss_is_answered_quickly_whether_or_not_the_cloud_is_there() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let nobody = "11111111-1111-4111-8111-111111111111";
    assert_eq!(home.run(&["resolve", nobody]).code, 3, "the cloud says no");
    cloud.stop();
    let shown = home.run(&["resolve", "22222222-2222-4222-8222-222222222222"]);
    assert_ne!(shown.code, 0);
    assert!(shown.stderr.contains("could not be asked"), "{shown:?}");
    assert_eq!(home.run(&["resolve", "/nowhere/at/all"]).code, 3);
    daemon.finish();
}
