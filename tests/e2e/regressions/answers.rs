//! What the cloud answered: verdicts that lost a registration, and answers that were none.

use coditect_devcloud::{Canned, Fault, Rule};
use serde_json::{Value, json};
use sync_tests::{Cloud, Daemon, Home, until};

use super::{draft, drafts, flush, items, local, posts, register, register_one, way_is_known};
use crate::{drained, effects, queue, world};

#[test]
fn a_401_a_403_a_408_a_425_and_a_429_lose_nothing() {
    for status in [401, 402, 403, 404, 405, 408, 425, 429, 500, 507] {
        let (home, cloud) = world();
        let fault = if status == 429 { Fault::retry_after(429, "1") } else { Fault::status(status) };
        let daemon = Daemon::start(&home)
            .expecting("the cloud cannot be used")
            .expecting("the cloud refused projects");
        // One alone, then several together.
        for numbers in [0..1, 1..4] {
            let (count, all) = (numbers.end - numbers.start, numbers.end);
            let before = posts(&cloud).len();
            cloud.faults().add(Rule::new(fault.clone())).unwrap();
            register(&home, &drafts(&home, numbers));
            until("the cloud has said no", || {
                flush(&home);
                let asked = posts(&cloud).len() > before && queue(&home, "in_flight") == 0;
                (asked && !home.json(&["status"])["cloud"]["last_error"].is_null()).then_some(())
            });
            let items = items(&home);
            assert_eq!(items.len() as u64, count, "{status}: {items:#?}");
            let waits = |item: &Value| item["attempts"] == 0 && item["state"] != "dead";
            assert!(items.iter().all(waits), "{status}: {items:#?}");
            cloud.faults().clear();
            until(&format!("what met a {status} is delivered"), || {
                flush(&home);
                retry_parked(&home);
                (cloud.projects().len() as u64 == all).then_some(())
            });
            drained(&home);
        }
        assert_eq!(effects(&cloud.ledger()), ["created"; 4], "{status}");
        daemon.finish();
    }
}

/// What waits for a person is sent when the person says so.
fn retry_parked(home: &Home) {
    for item in items(home).iter().filter(|item| item["state"] == "parked") {
        home.run(&["queue", "retry", &item["id"].to_string()]);
    }
}

#[test]
fn a_201_a_202_and_a_207_are_good_answers_to_a_batch() {
    for code in [201, 202, 207] {
        let (home, cloud) = world();
        let daemon = Daemon::start(&home);
        way_is_known(&home, &cloud);
        let asked = posts(&cloud).len();
        cloud.faults().add(Rule::new(Fault::AnotherStatus { code }).on_path("/sync/")).unwrap();
        register(&home, &drafts(&home, 0..3));
        until("the cloud has taken them", || (cloud.projects().len() == 4).then_some(()));
        if code == 202 {
            // Accepted is not yet done: the cloud is asked later, and not told again.
            until("they wait to be asked for", || (queue(&home, "delayed") == 3).then_some(()));
            assert!(items(&home).iter().all(|item| item["attempts"] == 0), "{:#?}", items(&home));
        } else {
            drained(&home);
            assert_eq!(home.json(&["status"])["projects"]["registered"], 4, "{code}");
        }
        assert_eq!(effects(&cloud.ledger()), ["created"; 4], "{code}: nothing is sent again");
        assert_eq!(posts(&cloud).len(), asked + 1, "{code}");
        daemon.finish();
    }
}

#[test]
fn a_400_with_a_page_for_people_is_a_refusal_and_ends() {
    let (home, cloud) = world();
    let page = Some("<html><body><h1>Bad Request</h1></body></html>".to_owned());
    cloud
        .faults()
        .add(Rule::new(Fault::Status(Canned { code: 400, body: page, ..Canned::default() })))
        .unwrap();
    let daemon = Daemon::start(&home).expecting("the cloud refused projects");
    register(&home, &drafts(&home, 0..2));
    until("both are refused for good", || (queue(&home, "dead") == 2).then_some(()));
    for _pass in 0..6 {
        flush(&home);
    }
    drained(&home);
    let items = items(&home);
    assert!(items.iter().all(|item| item["last_error"]["code"] == "http_400"), "{items:#?}");
    assert!(posts(&cloud).len() <= 3, "a batch and its halves: {:#?}", posts(&cloud));
    daemon.finish();
}

#[test]
fn a_redirect_is_not_followed_to_another_host() {
    let (home, cloud) = world();
    let elsewhere = Cloud::start(home.path().join("elsewhere.db"));
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    register(&home, &drafts(&home, 0..2));
    drained(&home);
    let mut changed = drafts(&home, 0..2);
    for draft in &mut changed {
        draft["content_hash"] = "changed".into();
    }
    let known = cloud.projects();
    for code in [301, 302, 303, 307, 308] {
        let to = format!("{}/api/v1/projects/sync/", elsewhere.url());
        let before = cloud.requests().len();
        cloud.faults().replace(vec![Rule::new(Fault::Redirect { to, code })]).unwrap();
        register(&home, &changed);
        until("it is redirected", || {
            flush(&home);
            (cloud.requests().len() > before && queue(&home, "in_flight") == 0).then_some(())
        });
        assert_eq!(items(&home).len(), 2, "{code}");
        let resolved = home.json(&["resolve", &local(0).to_string()]);
        assert_eq!(resolved["cloud_uuid"], uuid_of(&known, 0), "{code}");
    }
    assert!(elsewhere.requests().is_empty(), "{:#?}", elsewhere.requests());
    cloud.faults().clear();
    until("they are delivered", || {
        flush(&home);
        cloud.projects().iter().all(|project| project["content_hash"] == "changed").then_some(())
    });
    daemon.finish();
}

fn uuid_of(projects: &[Value], number: u64) -> Value {
    let local = local(number).to_string();
    let found = projects.iter().find(|project| project["local_project_uuid"] == local.as_str());
    found.expect("it is there")["cloud_uuid"].clone()
}

#[test]
fn success_without_a_cloud_uuid_is_no_success() {
    let json = |body: Value| Fault::OtherJson { body: Some(body) };
    let named = |rest: Value| {
        let mut result = json!({"local_project_uuid": local(0)});
        result.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        result
    };
    let both = [
        ("nothing at all", Fault::status(204)),
        ("no body", Fault::EmptyBody),
        ("an empty list", json(json!({"results": []}))),
        ("a status alone", json(named(json!({"registration_status": "registered"})))),
        ("no UUID", json(named(json!({"cloud_uuid": null, "success": true})))),
        ("an empty UUID", json(named(json!({"cloud_uuid": ""})))),
        ("a result without a UUID", json(json!({"results": [named(json!({"status": "created"}))]}))),
    ];
    for numbers in [0..1, 0..2] {
        let (home, cloud) = world();
        let daemon = Daemon::start(&home)
            .expecting("the cloud cannot be used")
            .expecting("the cloud refused projects");
        for (what, fault) in &both {
            cloud.faults().replace(vec![Rule::new(fault.clone()).on_method("POST")]).unwrap();
            nothing_is_believed(&home, &cloud, numbers.clone(), what);
        }
        delivered_after_all(&home, &cloud, numbers.end);
        daemon.finish();
    }
}

#[test]
fn an_answer_that_is_no_object_is_no_answer() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let text = Canned {
        code: 502,
        body: Some("\"text\"".to_owned()),
        content_type: Some("application/json".to_owned()),
        ..Canned::default()
    };
    for (what, fault) in [
        ("a list", Fault::OtherJson { body: Some(json!([1, 2])) }),
        ("a text", Fault::OtherJson { body: Some(json!("text")) }),
        ("a number", Fault::OtherJson { body: Some(json!(7)) }),
        ("a page", Fault::HtmlPage),
        ("a text from a gateway", Fault::Status(text)),
        ("half of it", Fault::TruncatedBody { bytes: 20 }),
    ] {
        let rule = Rule::new(fault).on_method("POST");
        let rule = if what == "half of it" { rule.times(1) } else { rule };
        cloud.faults().replace(vec![rule]).unwrap();
        if what != "half of it" {
            nothing_is_believed(&home, &cloud, 0..2, what);
        }
    }
    delivered_after_all(&home, &cloud, 2);
    daemon.finish();
}

/// Under the present fault nothing counts as registered, and nothing is lost.
fn nothing_is_believed(home: &Home, cloud: &Cloud, numbers: std::ops::Range<u64>, what: &str) {
    let before = posts(cloud).len();
    register(home, &drafts(home, numbers.clone()));
    until(&format!("the cloud has answered {what}"), || {
        flush(home);
        (posts(cloud).len() > before && queue(home, "in_flight") == 0).then_some(())
    });
    let result = register_one(home, &draft(home, numbers.start), 1);
    assert!(!result.success && result.queued && result.cloud_uuid.is_none(), "{what}: {result:?}");
    assert_eq!(home.json(&["status"])["projects"]["registered"], 0, "{what}");
    let items = items(home);
    assert_eq!(items.len() as u64, numbers.end, "{what}: {items:#?}");
    assert!(items.iter().all(|item| item["state"] != "dead"), "{what}: {items:#?}");
}

/// Nothing was lost: without faults all arrive.
fn delivered_after_all(home: &Home, cloud: &Cloud, projects: u64) {
    cloud.faults().clear();
    until("they are delivered after all", || {
        flush(home);
        (cloud.projects().len() as u64 == projects).then_some(())
    });
    drained(home);
    until("they are registered here too", || {
        (home.json(&["status"])["projects"]["registered"] == projects).then_some(())
    });
}
