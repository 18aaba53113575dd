//! What waited: rows that multiplied, starved, lost their fields or were forgotten.

use coditect_devcloud::{Fault, PoisonedBatch, Rule};
use serde_json::Value;
use sync_tests::{Cloud, Daemon, Proxy, until};

use super::{draft, drafts, flush, items, moment, posts, register, way_is_known};
use crate::{cloud_is, drained, effects, queue, world};

#[test]
fn a_week_offline_keeps_one_entry_per_project() {
    let (mut home, cloud) = world();
    let network = Proxy::start(cloud.address(), 1);
    home.set_cloud("api_url", network.url());
    // Only somebody who asks for it makes it try.
    home.set_cloud("retry_initial", "1h");
    home.set_cloud("retry_max", "2h");
    let stopped = cloud.stop();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let ten = drafts(&home, 0..10);
    let attempts = || network.tally().values().sum::<u64>();
    register(&home, &ten);
    for pass in 1..=20 {
        let before = attempts();
        flush(&home);
        until("the pass has failed", || {
            (attempts() > before && queue(&home, "in_flight") == 0).then_some(())
        });
        register(&home, &ten);
        let items = items(&home);
        assert_eq!(items.len(), 10, "pass {pass}: {items:#?}");
        assert!(items.iter().all(|item| item["attempts"] == 0), "pass {pass}: {items:#?}");
    }
    assert!(attempts() <= 22, "a pass offline makes one attempt, not one for each project: {}", attempts());
    daemon.finish();

    let cloud = stopped.start();
    let daemon = Daemon::start(&home);
    drained(&home);
    assert_eq!(effects(&cloud.ledger()), ["created"; 10]);
    assert!(posts(&cloud).len() <= 3, "they go together");
    daemon.finish();
}

#[test]
fn a_cloud_that_asks_for_two_minutes_is_not_asked_again_by_anybody() {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(Fault::retry_after(503, "120"))).unwrap();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    register(&home, &drafts(&home, 0..10));
    cloud_is(&home, "offline");
    for _pass in 0..5 {
        flush(&home);
        register(&home, &drafts(&home, 0..10));
    }
    let status = home.json(&["status"]);
    let (since, next) = (moment(&status["cloud"]["since"]), moment(&status["cloud"]["next_attempt_at"]));
    assert!(next - since >= 119_000, "{status}");
    assert_eq!(posts(&cloud).len(), 1);
    assert_eq!(items(&home).len(), 10);
    daemon.finish();
}

#[test]
fn projects_that_fail_again_and_again_do_not_starve_the_others() {
    let (mut home, cloud) = world();
    home.set_cloud("item_retry_initial", "1h");
    let daemon =
        Daemon::start(&home).expecting("the cloud refused projects").expecting("the cloud cannot be used");
    way_is_known(&home, &cloud);
    poison(&cloud, 0..10);
    register(&home, &drafts(&home, 0..30));
    until("the others are there", || (cloud.projects().len() == 21).then_some(()));
    until("the ten wait", || (queue(&home, "delayed") == 10).then_some(()));
    daemon.finish();
}

#[test]
fn a_failed_batch_loses_no_field() {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(Fault::status(503)).times(1)).unwrap();
    cloud.faults().add(Rule::new(Fault::status(500)).on_path("/sync/").times(2)).unwrap();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let mut drafts = drafts(&home, 0..8);
    for draft in &mut drafts[1..] {
        draft["project_type"] = "submodule".into();
        draft["parent_project_uuid"] = super::local(0).to_string().into();
    }
    register(&home, &drafts);
    until("all are there", || {
        flush(&home);
        (cloud.projects().len() == 8).then_some(())
    });
    let known = cloud.projects();
    for draft in &drafts {
        let same = known.iter().find(|project| project["local_project_uuid"] == draft["local_project_uuid"]);
        let project = same.expect("it is there");
        for (field, sent) in draft.as_object().expect("a draft") {
            assert_eq!(&project[field], sent, "{field}");
        }
    }
    let failed = posts(&cloud).iter().filter(|request| request["status"].as_u64() >= Some(500)).count();
    assert!(failed >= 2, "they failed as a batch");
    daemon.finish();
}

#[test]
fn the_first_pause_is_the_configured_one() {
    let (mut home, cloud) = world();
    home.set_cloud("item_retry_initial", "1h");
    let daemon =
        Daemon::start(&home).expecting("the cloud refused projects").expecting("the cloud cannot be used");
    way_is_known(&home, &cloud);
    poison(&cloud, 0..1);
    register(&home, &drafts(&home, 0..2));
    let failed = |item: &Value| item["attempts"] == 1 && item["state"] == "delayed";
    let item = until("it has failed", || items(&home).into_iter().find(failed));
    let pause = moment(&item["next_attempt_at"]) - moment(&item["last_error"]["at"]);
    let minute = 60_000;
    assert!((30 * minute..=60 * minute).contains(&pause), "{} s: {item}", pause / 1_000);
    daemon.finish();
}

#[test]
fn entries_that_failed_together_are_not_due_together() {
    let (mut home, cloud) = world();
    home.set_cloud("item_retry_initial", "1h");
    let daemon =
        Daemon::start(&home).expecting("the cloud refused projects").expecting("the cloud cannot be used");
    way_is_known(&home, &cloud);
    poison(&cloud, 0..5);
    register(&home, &drafts(&home, 0..6));
    until("they have failed", || (queue(&home, "delayed") == 5).then_some(()));
    let mut due: Vec<i128> = items(&home).iter().map(|item| moment(&item["next_attempt_at"])).collect();
    due.sort_unstable();
    assert!(due[4] - due[0] > 10_000, "{due:?}");
    daemon.finish();
}

#[test]
fn nothing_is_stranded_after_the_last_retry() {
    let (mut home, cloud) = world();
    home.set_cloud("max_retries", 2);
    home.set_cloud("item_retry_initial", "100ms");
    poison(&cloud, 0..2);
    let daemon =
        Daemon::start(&home).expecting("the cloud refused projects").expecting("the cloud cannot be used");
    register(&home, &drafts(&home, 0..3));
    until("they are given up", || (queue(&home, "dead") == 2).then_some(()));
    let status = home.json(&["status"]);
    assert_eq!(status["queue"]["dead"], 2, "{status}");
    let dead = home.json(&["queue", "list", "--state", "dead"]);
    for item in dead["items"].as_array().unwrap() {
        let shown = home.json(&["queue", "show", &item["id"].to_string()]);
        assert!(shown["last_error"]["message"].is_string(), "{shown}");
    }

    cloud.faults().clear();
    // One comes back because it changed, one because somebody says so.
    let mut changed = draft(&home, 0);
    changed["content_hash"] = "f".repeat(40).into();
    register(&home, &[changed]);
    until("the changed one is there", || (cloud.projects().len() == 2).then_some(()));
    assert_eq!(home.run(&["queue", "retry", "--dead"]).code, 0);
    until("the other one is there", || (cloud.projects().len() == 3).then_some(()));
    assert_eq!(queue(&home, "dead"), 0);
    daemon.finish();
}

#[test]
fn an_older_content_never_overwrites_a_newer_one() {
    let (home, cloud) = world();
    let with = |content: &str| {
        let mut draft = draft(&home, 0);
        draft["content_hash"] = content.into();
        draft
    };
    let sent = |cloud: &Cloud| -> Vec<String> {
        let content = |entry: &Value| entry["content_hash"].as_str().unwrap_or_default().to_owned();
        cloud.ledger().iter().map(content).collect()
    };
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    // While it waits.
    let stopped = cloud.stop();
    register(&home, &[with("old")]);
    // Or it may be on its way still when the cloud is back.
    until("it was tried", || (home.json(&["status"])["cloud"]["state"] == "offline").then_some(()));
    register(&home, &[with("new")]);
    let cloud = stopped.start();
    flush(&home);
    drained(&home);
    assert_eq!(sent(&cloud), ["new"]);
    // While it is in the air.
    let rule = cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    register(&home, &[with("newer")]);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    register(&home, &[with("newest")]);
    cloud.faults().remove(rule);
    drained(&home);
    assert_eq!(sent(&cloud), ["new", "newer", "newest"]);
    assert_eq!(cloud.projects()[0]["content_hash"], "newest");
    daemon.finish();
}

#[test]
fn concurrent_drains_send_once() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home);
    way_is_known(&home, &cloud);
    let asked = posts(&cloud).len();
    cloud.faults().add(Rule::new(Fault::Latency { ms: 200 })).unwrap();
    register(&home, &drafts(&home, 0..10));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(home.run(&["queue", "flush", "--wait=20s"]).code, 0));
        }
    });
    drained(&home);
    assert_eq!(effects(&cloud.ledger()), ["created"; 11]);
    assert!(posts(&cloud).len() <= asked + 2, "{:#?}", posts(&cloud));
    daemon.finish();
}

#[test]
fn more_than_a_hundred_that_wait_are_all_counted() {
    let (home, cloud) = world();
    cloud.stop();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    register(&home, &drafts(&home, 0..250));
    cloud_is(&home, "offline");
    let counted = &home.json(&["status"])["queue"];
    let waiting: u64 =
        ["ready", "delayed", "in_flight"].iter().filter_map(|state| counted[state].as_u64()).sum();
    assert_eq!(waiting, 250, "{counted}");
    daemon.finish();
}

/// From now on the cloud fails these projects of a batch.
fn poison(cloud: &Cloud, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let fault = Fault::PoisonedName { name: format!("p{number}"), batch: PoisonedBatch::ItemError };
        cloud.faults().add(Rule::new(fault)).expect("a rule");
    }
}
