//! A request that nobody waits for any more is carried out after all.

use std::time::Duration;

use coditect_devcloud::{Fault, Rule};
use serde_json::{Value, json};
use sync_tests::{Daemon, PATIENCE, Proxy, until, within};
use sync_wire::{Client, QueueItem, QueueItemsQuery};

use crate::{drained, world};

#[test]
fn what_the_cloud_carries_out_late_does_not_undo_newer_content() {
    let (mut home, cloud) = world();
    // Whoever passes requests on does not call them back when the daemon hangs up.
    let gateway = Proxy::start(cloud.address(), 1);
    home.set_cloud("api_url", gateway.url());
    home.set_cloud("request_timeout", "500ms");
    home.set_cloud("request_lifetime", "8s");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    let mut number = 0;
    // Within the time in which newer content waits.
    let root = within("two registrations and what becomes of them", Duration::from_secs(5), || {
        drained(&home);
        number += 1;
        let root = home.path().join(format!("drafts/{number}"));
        std::fs::create_dir_all(&root).unwrap();
        let root = root.to_string_lossy().into_owned();
        let hang = cloud.faults().add(Rule::new(Fault::Hang).on_method("POST")).unwrap();
        register(&mut client, &root, "older");
        until("nobody waits for the older one any more", || {
            (home.json(&["status"])["cloud"]["state"] == "offline").then_some(())
        });
        register(&mut client, &root, "newer");
        until("the newer one waits", || {
            let items = client.queue_items(&QueueItemsQuery::default()).unwrap().items;
            let unanswered =
                |item: &QueueItem| item.last_error.as_ref().is_some_and(|error| error.code == "unanswered");
            items.iter().any(|item| item.root_path == root && unanswered(item)).then_some(())
        });
        cloud.faults().remove(hang);
        until("the older one is carried out", || {
            (!took_effect(&cloud.ledger(), &root).is_empty()).then_some(())
        });
        root
    });
    drained(&home);
    assert_eq!(took_effect(&cloud.ledger(), &root), ["older", "newer"]);
    daemon.finish();
}

fn register(client: &mut Client, root: &str, content: &str) {
    let body = json!({"root_path": root, "content_hash": content});
    let answer = client.request("POST", "/v1/projects", Some(&body)).expect("an answer");
    assert!(matches!(answer.status, 200..=202), "{answer:?}");
}

/// The contents of a project that took effect in the cloud, in that order.
fn took_effect<'a>(ledger: &'a [Value], root: &str) -> Vec<&'a str> {
    let took = |entry: &&Value| {
        entry["root_path"] == root && matches!(entry["effect"].as_str(), Some("created" | "updated"))
    };
    ledger.iter().filter(took).filter_map(|entry| entry["content_hash"].as_str()).collect()
}
