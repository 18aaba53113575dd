//! What was remembered of the cloud: believed too long, by the wrong tenant, or instead of looking.

use coditect_devcloud::dev_token;
use serde_json::Value;
use sync_tests::{Daemon, Home, until};

use super::{draft, local, moment, posts, register_one};
use crate::{effects, world};

const WAIT_MS: u64 = 20_000;

#[test]
fn an_expired_mapping_is_compared_as_a_moment() {
    let (mut home, cloud) = world();
    // Both moments are on one day, which was enough to be believed until midnight.
    home.set_cloud("cache_ttl", "1s");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let registered = register_one(&home, &draft(&home, 0), WAIT_MS);
    cloud.stop();
    let resolved = home.json(&["resolve", &local(0).to_string()]);
    assert_eq!(moment(&resolved["expires_at"]) - moment(&resolved["cached_at"]), 1_000, "{resolved}");
    let stale = until("it is stale", || {
        let resolved = home.json(&["resolve", &local(0).to_string()]);
        (resolved["stale"] == true).then_some(resolved)
    });
    let told: Option<String> = registered.cloud_uuid.map(|uuid| uuid.to_string());
    assert_eq!(stale["cloud_uuid"].as_str(), told.as_deref(), "offline the old answer is given");
    daemon.finish();
}

#[test]
fn a_mapping_that_would_never_expire_is_refused() {
    let (mut home, _cloud) = world();
    home.set_cloud("cache_ttl", "0s");
    let shown = Daemon::run(&home, &[]);
    assert_eq!(shown.code, 78, "{shown:?}");
    assert!(shown.stderr.contains("cache_ttl") && shown.stderr.contains("0s"), "{shown:?}");
}

#[test]
fn one_tenant_never_gets_the_mapping_of_another() {
    let (mut home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let id = local(0).to_string();
    let resolve = |home: &Home| home.run(&["resolve", &id]);
    let in_acme = register_one(&home, &draft(&home, 0), WAIT_MS).cloud_uuid.expect("a UUID").to_string();
    enter(&mut home, "other");
    let shown = resolve(&home);
    assert_eq!((shown.code, shown.stdout.as_str()), (3, ""), "{shown:?}");
    let in_other = register_one(&home, &draft(&home, 0), WAIT_MS).cloud_uuid.expect("a UUID").to_string();
    assert_ne!(in_acme, in_other);
    // Both are remembered, each for its own.
    cloud.stop();
    assert_eq!(resolve(&home).stdout.trim(), in_other);
    enter(&mut home, "acme");
    let document = home.json(&["resolve", &id]);
    assert_eq!((document["cloud_uuid"].as_str(), &document["tenant_id"]), (Some(&*in_acme), &"acme".into()));
    daemon.finish();
}

fn enter(home: &mut Home, tenant: &str) {
    home.set_cloud("auth_token", dev_token(tenant, None));
    assert_eq!(home.run(&["reload"]).code, 0);
    until("it is another tenant's turn", || (home.json(&["status"])["tenant_id"] == tenant).then_some(()));
}

#[test]
fn a_known_project_with_new_content_is_sent() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home);
    let mut draft = draft(&home, 0);
    let register = |draft: &Value| register_one(&home, draft, WAIT_MS);
    assert_eq!(register(&draft).status, "registered");
    assert_eq!(register(&draft).status, "cached");
    assert_eq!(posts(&cloud).len(), 1, "what did not change is not sent");
    for (field, value) in [("content_hash", "changed"), ("primary_language", "Go")] {
        draft[field] = value.into();
        assert_eq!(register(&draft).status, "registered", "{field}");
        assert_eq!(cloud.projects()[0][field], value);
    }
    assert_eq!(effects(&cloud.ledger()), ["created", "updated", "updated"]);
    daemon.finish();
}
