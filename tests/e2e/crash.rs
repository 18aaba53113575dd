//! The daemon is killed while registrations are acknowledged and delivered.

use std::collections::BTreeMap;

use sync_tests::{Daemon, until};

use crate::{drained, world};

/// Kills in one run; `CODITECT_CRASH_ROUNDS` asks for more.
fn rounds() -> u64 {
    std::env::vars_os()
        .find(|(name, _)| name == "CODITECT_CRASH_ROUNDS")
        .and_then(|(_, count)| count.to_str()?.parse().ok())
        .unwrap_or(10)
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_doubled() {
    let (home, cloud) = world();
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let mut number = 0_u64;
    for round in 0..rounds() {
        let daemon = Daemon::start(&home);
        let pid = daemon.pid();
        // A different number of acknowledgements each round, the last of them while others are in the air.
        let killed_after = 3 + (round * 7) % 11;
        let mut client = sync_wire::Client::new(home.state().join("sync.sock"), sync_tests::PATIENCE);
        for step in 0..killed_after {
            // Every project is written to several times, so that newer content replaces what waits or flies.
            let root = home.path().join(format!("work/{}", number % 17));
            std::fs::create_dir_all(&root).unwrap();
            let content = format!("{number:040x}");
            let draft = serde_json::json!({
                "root_path": root, "project_name": "p", "primary_language": "Rust", "framework": "",
                "content_hash": content, "project_type": "standalone",
            });
            number += 1;
            let answer = client.request("POST", "/v1/projects", Some(&draft)).unwrap();
            assert!(answer.status < 300, "round {round}, step {step}: {}", answer.status);
            acknowledged.insert(std::fs::canonicalize(&root).unwrap().display().to_string(), content);
        }
        assert_eq!(daemon.pid(), pid);
        daemon.kill();
    }
    let daemon = Daemon::start(&home);
    drained(&home);
    let known = until("the cloud has all of them", || {
        let known = cloud.projects();
        (known.len() == acknowledged.len()).then_some(known)
    });
    for project in known {
        let root = project["root_path"].as_str().unwrap();
        assert_eq!(project["content_hash"].as_str(), acknowledged.get(root).map(String::as_str), "{root}");
        assert_eq!(project["tenant_id"], "acme");
    }
    let mut cloud_ids: BTreeMap<String, String> = BTreeMap::new();
    for entry in cloud.ledger() {
        let Some(cloud_uuid) = entry["cloud_uuid"].as_str() else { continue };
        let local = entry["local_project_uuid"].as_str().unwrap().to_owned();
        let first = cloud_ids.entry(local).or_insert_with(|| cloud_uuid.to_owned());
        assert_eq!(first, cloud_uuid, "one project, one UUID");
    }
    daemon.finish();
}
