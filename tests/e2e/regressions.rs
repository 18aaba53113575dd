//! What the earlier client did wrong, one test for each defect that can be seen from outside.
//!
//! `docs/regressions.md` lists all of them with the tests that keep them away, also those in the crates.

mod answers;
mod files;
mod mappings;
mod queue;

use crate::drained;
use serde_json::{Value, json};
use sync_tests::{Cloud, Home, PATIENCE, until};
use sync_wire::{Client, SyncResult, SyncResults};
use uuid::Uuid;

/// The UUID of a project.
fn local(number: u64) -> Uuid {
    Uuid::from_u128(0x1000_4000_8000_0000_0000 + u128::from(number))
}

/// A project with everything that can be said of it.
fn draft(home: &Home, number: u64) -> Value {
    let root = home.path().join(format!("work/p{number}"));
    std::fs::create_dir_all(&root).expect("a project");
    json!({
        "root_path": std::fs::canonicalize(root).expect("its real path"),
        "local_project_uuid": local(number), "project_name": format!("p{number}"), "primary_language": "Rust",
        "framework": "axum", "content_hash": format!("{number:040x}"), "project_type": "standalone",
    })
}

fn drafts(home: &Home, numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(|number| draft(home, number)).collect()
}

/// Registers projects in one call.
fn register(home: &Home, drafts: &[Value]) -> SyncResults {
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    let body = json!({"projects": drafts});
    let answer = client.request("POST", "/v1/projects/sync", Some(&body)).expect("an answer");
    assert!(answer.status == 200 || answer.status == 202, "{}", answer.status);
    let results: SyncResults = serde_json::from_slice(&answer.body).expect("the results");
    assert_eq!(results.results.len(), drafts.len());
    results
}

/// Registers one project and waits a while for the cloud.
fn register_one(home: &Home, draft: &Value, wait_ms: u64) -> SyncResult {
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    let mut draft = draft.clone();
    draft["wait_ms"] = wait_ms.into();
    let answer = client.request("POST", "/v1/projects", Some(&draft)).expect("an answer");
    serde_json::from_slice(&answer.body).expect("a result")
}

/// One project reaches the cloud: the next request is no probe but a batch.
fn way_is_known(home: &Home, cloud: &Cloud) {
    let before = cloud.projects().len();
    register(home, &drafts(home, 900..901));
    until("the way is known", || (cloud.projects().len() == before + 1).then_some(()));
    drained(home);
}

/// The entries of the queue.
fn items(home: &Home) -> Vec<Value> {
    home.json(&["queue", "list"])["items"].as_array().expect("a list").clone()
}

/// The requests in which the cloud was told of projects.
fn posts(cloud: &Cloud) -> Vec<Value> {
    cloud.requests().into_iter().filter(|request| request["method"] == "POST").collect()
}

/// Ends the waits that nobody but the daemon itself wants.
fn flush(home: &Home) {
    let shown = home.run(&["queue", "flush"]);
    assert_eq!(shown.code, 0, "{shown:?}");
}

/// A moment of a document, in milliseconds since 1970.
fn moment(document: &Value) -> i128 {
    let text = document.as_str().expect("a moment");
    let format = &time::format_description::well_known::Rfc3339;
    let moment = time::OffsetDateTime::parse(text, format).expect("RFC 3339");
    moment.unix_timestamp_nanos() / 1_000_000
}
