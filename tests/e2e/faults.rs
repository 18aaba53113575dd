//! The cloud fails in its many ways; what `status` and the queue say of it, and that all is well afterwards.

use coditect_devcloud::{Fault, PoisonedBatch, Rule, dev_token};
use serde_json::Value;
use sync_tests::{Daemon, until};

use crate::{cloud_is, drained, queue, world};

/// Four projects meet a fault: the cloud's state is this, no attempt is counted, and once the fault is gone all are
/// delivered.
fn check(name: &str, fault: Fault, state: &str) {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(fault)).expect("a rule");
    for number in 0..4 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    cloud_is(&home, state);
    // One that was still being made when the first look came is seen by the next.
    let items = until(&format!("{name}: all wait"), || {
        let items = home.json(&["queue", "list"])["items"].as_array().expect("a list").clone();
        (items.len() == 4).then_some(items)
    });
    assert!(items.iter().all(|item| item["attempts"] == 0), "{name}: {items:#?}");
    cloud.faults().clear();
    until(&format!("{name}: all are delivered"), || {
        // Somebody who flushes ends the wait; what the cloud asked for itself is short here.
        home.run(&["queue", "flush"]);
        (cloud.projects().len() == 4).then_some(())
    });
    drained(&home);
    daemon.finish();
}

#[test]
fn a_cloud_that_is_down() {
    check("503", Fault::status(503), "offline");
    check("502", Fault::status(502), "offline");
}

#[test]
fn a_cloud_that_stumbles_over_everything() {
    check("500", Fault::status(500), "offline");
}

#[test]
fn a_cloud_that_asks_for_patience() {
    check("429", Fault::retry_after(429, "1"), "throttled");
}

#[test]
fn a_sign_in_page_in_its_place() {
    check("html", Fault::HtmlPage, "portal");
    check("redirect", Fault::Redirect { to: "http://127.0.0.1:9/login".to_owned(), code: 302 }, "portal");
}

#[test]
fn answers_that_are_none() {
    check("empty", Fault::EmptyBody, "portal");
    check("reset", Fault::Reset, "offline");
}

#[test]
fn a_cloud_without_the_api() {
    check("404", Fault::status(404), "protocol");
}

#[test]
fn a_cloud_that_hangs() {
    let (mut home, cloud) = world();
    home.set_cloud("request_timeout", "1s");
    home.project("api");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    cloud_is(&home, "offline");
    cloud.faults().clear();
    until("it is delivered", || (cloud.projects().len() == 1).then_some(()));
    daemon.finish();
}

#[test]
fn work_that_was_done_before_the_connection_broke_is_not_done_twice() {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(Fault::Reset).after_work().times(1)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    until("it is registered here too", || {
        (home.json(&["status"])["projects"]["registered"] == 1).then_some(())
    });
    let ledger = cloud.ledger();
    let effects = crate::effects(&ledger);
    assert_eq!(effects, ["created", "replay"], "the same key came again");
    daemon.finish();
}

#[test]
fn only_the_bad_ones_of_a_batch_are_refused() {
    for batch in [PoisonedBatch::Refused, PoisonedBatch::ItemError] {
        let (home, cloud) = world();
        cloud.faults().add(Rule::new(Fault::PoisonedName { name: "p3".to_owned(), batch })).unwrap();
        for number in 0..8 {
            home.project(&format!("p{number}"));
        }
        let mut daemon = Daemon::start(&home).expecting("the cloud refused projects");
        if matches!(batch, PoisonedBatch::ItemError) {
            // Counted attempts, the last of which buries it.
            daemon = daemon.expecting("the cloud cannot be used");
        }
        until("the others are there", || (cloud.projects().len() == 7).then_some(()));
        until("the bad one is dead", || (queue(&home, "dead") == 1).then_some(()));
        let dead = home.json(&["queue", "list", "--state", "dead"]);
        assert_eq!(dead["items"][0]["project_name"], "p3", "{dead}");

        cloud.faults().clear();
        let retried = home.run(&["queue", "retry", "--dead"]);
        assert_eq!(retried.code, 0, "{retried:?}");
        until("it is there too", || (cloud.projects().len() == 8).then_some(()));
        daemon.finish();
    }
}

#[test]
fn what_the_cloud_leaves_out_goes_again() {
    let (home, cloud) = world();
    let fault = Fault::LeftOut { name: Some("p1".to_owned()), every: None };
    cloud.faults().add(Rule::new(fault).times(1)).unwrap();
    for number in 0..3 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home);
    until("all are there", || (cloud.projects().len() == 3).then_some(()));
    drained(&home);
    daemon.finish();
}

#[test]
fn without_a_batch_endpoint_projects_go_one_by_one() {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(Fault::NoSync { code: 404 })).unwrap();
    for number in 0..3 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home);
    until("all are there", || (cloud.projects().len() == 3).then_some(()));
    let singles =
        |request: &&Value| request["path"].as_str().is_some_and(|path| path.ends_with("/register/"));
    assert_eq!(cloud.requests().iter().filter(singles).count(), 3);
    daemon.finish();
}

#[test]
fn a_body_that_is_too_large_is_halved() {
    let (home, cloud) = world();
    cloud.faults().add(Rule::new(Fault::TooLarge { above_bytes: 1_200 })).unwrap();
    for number in 0..8 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home);
    until("all are there", || (cloud.projects().len() == 8).then_some(()));
    drained(&home);
    daemon.finish();
}

#[test]
fn a_refused_token_stops_everything_until_another_is_set() {
    let (mut home, cloud) = world();
    let good = dev_token("acme", None);
    let file = home.path().join("token");
    std::fs::write(&file, "stale.token").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.set_cloud("auth_token", Value::Null);
    home.set_cloud("auth_token_file", file.display().to_string());
    cloud.faults().add(Rule::new(Fault::Unauthorized { unless_token: Some(good.clone()) })).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    cloud_is(&home, "auth_required");
    let waited = home.run(&["register", "--wait=100ms", &home.roots().join("api").display().to_string()]);
    assert_eq!(waited.code, 77, "{waited:?}");
    let before = cloud.requests().len();
    home.run(&["status"]);
    let nobody = "00000000-0000-4000-8000-000000000001";
    let asked = home.run(&["resolve", nobody]);
    assert_eq!(asked.code, 77, "{asked:?}");
    assert!(asked.stderr.contains("auth set-token"), "{asked:?}");
    assert_eq!(cloud.requests().len(), before, "nothing is sent meanwhile");

    let beside = home.path().join("token.new");
    std::fs::write(&beside, good).unwrap();
    std::fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(beside, file).unwrap();
    until("it is delivered under the new token", || (cloud.projects().len() == 1).then_some(()));
    daemon.finish();
}

#[test]
fn a_token_behind_links_is_read_again_when_it_is_replaced_or_one_of_them_leads_elsewhere() {
    let (mut home, cloud) = world();
    let base = home.path().join("links");
    for folder in ["own", "secrets/one", "secrets/two"] {
        std::fs::create_dir_all(base.join(folder)).unwrap();
    }
    // Beside it and renamed, as everything that writes secrets does it.
    let put = |text: &str, at: &str| {
        let (file, beside) = (base.join(at), base.join("beside"));
        std::fs::write(&beside, text).unwrap();
        std::fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(beside, file).unwrap();
    };
    let link = |target: &str, at: &str| {
        std::os::unix::fs::symlink(target, base.join("beside")).unwrap();
        std::fs::rename(base.join("beside"), base.join(at)).unwrap();
    };
    put("stale.token", "secrets/one/token");
    put("another.stale.token", "secrets/two/token");
    link("one", "secrets/now");
    link("../secrets/now/token", "own/token");
    home.set_cloud("auth_token", Value::Null);
    home.set_cloud("auth_token_file", base.join("own/token").display().to_string());
    let good = dev_token("acme", None);
    cloud.faults().add(Rule::new(Fault::Unauthorized { unless_token: Some(good.clone()) })).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    cloud_is(&home, "auth_required");
    let noticed = |times: usize| {
        until("the token's file is read again", || {
            (daemon.log().matches("the token's file changed").count() >= times).then_some(())
        });
    };
    link("two", "secrets/now");
    noticed(1);
    cloud_is(&home, "auth_required");
    put(&good, "secrets/two/token");
    until("it is delivered under the new token", || (cloud.projects().len() == 1).then_some(()));
    noticed(2);
    daemon.finish();
}
