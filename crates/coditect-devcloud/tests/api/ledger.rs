//! What the dev cloud tells of itself under `/_…`, and what it keeps across a restart.

use coditect_devcloud::{DevCloud, Effect, LedgerEntry, Options, Project, RequestEntry, Standing};
use serde_json::{Value, json};

use crate::support::*;

async fn listed<T: serde::de::DeserializeOwned>(cloud: &DevCloud, path: &str) -> Vec<T> {
    let answer = ask("GET", path).without("authorization").of(cloud).await;
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn an_entry_tells_all_of_what_happened() {
    let cloud = cloud().await;
    let alpha = with(project("alpha"), "revision", json!(7));
    let created = register(&alpha).key("k").of(&cloud).await.cloud_uuid();
    let entries: Vec<Value> = listed(&cloud, "/_ledger").await;
    assert_eq!(
        entries,
        [json!({
            "id": 1,
            "time": entries[0]["time"],
            "tenant": "north",
            "machine_uuid": MACHINE,
            "route": "register",
            "local_project_uuid": local_of(&alpha),
            "project_name": "alpha",
            "root_path": "/home/dev/alpha",
            "content_hash": "aa",
            "cloud_uuid": created,
            "idempotency_key": "k",
            "revision": 7,
            "effect": "created",
            "request": 1,
        })]
    );
    assert!(entries[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')));
}

#[tokio::test]
async fn the_ledger_goes_on_where_it_was_read_last() {
    let cloud = cloud().await;
    sync(&batch(&["alpha", "beta", "gamma"])).of(&cloud).await;
    let all: Vec<LedgerEntry> = listed(&cloud, "/_ledger").await;
    let later: Vec<LedgerEntry> = listed(&cloud, &format!("/_ledger?since={}", all[1].id)).await;
    assert_eq!(later, all[2..]);
    assert_eq!(all, cloud.ledger(0).await.expect("the ledger can be read"));
    assert_eq!(ask("GET", "/_ledger?since=x").of(&cloud).await.status, 400);
}

#[tokio::test]
async fn every_request_is_listed_with_its_size_and_status() {
    let cloud = cloud().await;
    let sent = batch(&["alpha", "beta"]);
    sync(&sent).key("k").of(&cloud).await;
    by_local(LOCAL).of(&cloud).await;
    ask("GET", "/elsewhere").without("authorization").of(&cloud).await;
    let requests: Vec<RequestEntry> = listed(&cloud, "/_ledger/requests").await;
    let told: Vec<_> = requests
        .iter()
        .map(|entry| {
            (entry.number, entry.tenant.as_deref(), entry.method.as_str(), entry.status, entry.projects)
        })
        .collect();
    let north = Some("north");
    assert_eq!(
        told,
        [(1, north, "POST", Some(200), 2), (2, north, "GET", Some(404), 0), (3, None, "GET", Some(404), 0)]
    );
    assert_eq!(requests[0].body_bytes, sent.to_string().len() as u64);
    assert_eq!((requests[0].path.as_str(), requests[0].idempotency_key.as_deref()), (SYNC, Some("k")));
    assert_eq!(requests[1].path, format!("/api/v1/projects/by-local-uuid/{LOCAL}/?machine_uuid={MACHINE}"));
    assert_eq!(requests[1..], cloud.requests(1).await.expect("the requests can be read"));
}

#[tokio::test]
async fn clearing_the_ledger_keeps_projects_keys_and_numbers() {
    let cloud = cloud().await;
    register(&project("alpha")).key("k").of(&cloud).await;
    assert_eq!(ask("DELETE", "/_ledger").of(&cloud).await.status, 204);
    assert_eq!(listed::<LedgerEntry>(&cloud, "/_ledger").await, []);
    assert_eq!(listed::<RequestEntry>(&cloud, "/_ledger/requests").await, []);
    register(&project("alpha")).key("k").of(&cloud).await;
    let entries: Vec<LedgerEntry> = listed(&cloud, "/_ledger").await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.id, entry.request, entry.effect)).collect();
    assert_eq!(told, [(2, 2, Effect::Replay)]);
    assert_eq!(listed::<Project>(&cloud, "/_projects").await.len(), 1);
}

#[tokio::test]
async fn a_cloud_that_forgot_its_projects_knows_no_keys_either() {
    let cloud = cloud().await;
    let before = register(&project("alpha")).key("k").of(&cloud).await.cloud_uuid();
    assert_eq!(ask("DELETE", "/_projects").of(&cloud).await.status, 204);
    assert_eq!(status(&before).of(&cloud).await.status, 404);
    let after = register(&project("alpha")).key("k").of(&cloud).await;
    assert_eq!(after.status, 201);
    assert_ne!(after.cloud_uuid(), before);
}

#[tokio::test]
async fn faults_are_switched_over_http() {
    let cloud = cloud().await;
    let rules = json!([{"path": "/register/", "times": 1, "fault": {"status": {"code": 503}}}]);
    let put = ask("PUT", "/_faults").json(&rules).of(&cloud).await;
    assert_eq!(put.status, 200);
    assert_eq!(register(&project("alpha")).of(&cloud).await.status, 503);
    let standing: Vec<Standing> = listed(&cloud, "/_faults").await;
    assert_eq!((standing.len(), standing[0].used, standing[0].worn_off()), (1, 1, true));
    let refused = ask("PUT", "/_faults").json(&json!([{"fault": "unheard_of"}])).of(&cloud).await;
    assert_eq!(refused.status, 400);
    assert_eq!(cloud.faults().standing(), standing, "a list with a bad rule changes nothing");
    assert_eq!(ask("DELETE", "/_faults").of(&cloud).await.status, 204);
    assert_eq!(cloud.faults().standing(), []);
    assert_eq!(ask("PATCH", "/_faults").of(&cloud).await.status, 405);
    assert_eq!(ask("GET", "/_elsewhere").of(&cloud).await.status, 404);
}

#[tokio::test]
async fn web_pages_are_told_nothing() {
    let cloud = cloud().await;
    for (name, value) in [("origin", "http://localhost:1"), ("host", "evil.example"), ("host", "10.0.0.1:80")]
    {
        assert_eq!(
            ask("GET", "/_projects").header(name, value).of(&cloud).await.status,
            403,
            "{name}: {value}"
        );
    }
    for host in ["127.0.0.1:8080", "[::1]:8080", "localhost"] {
        assert_eq!(ask("GET", "/_projects").header("host", host).of(&cloud).await.status, 200, "{host}");
    }
    // The contract's own routes ask for a token.
    assert_eq!(register(&project("alpha")).header("host", "cloud.example").of(&cloud).await.status, 201);
}

#[tokio::test]
async fn a_file_keeps_all_of_it_across_a_restart() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let file = home.path().join("cloud.db");
    let options = || Options { database: Some(file.clone()), ..Options::default() };
    let cloud = DevCloud::start(options()).await.expect("the database can be made");
    let before = register(&project("alpha")).key("k").of(&cloud).await;
    let address = cloud.address();
    cloud.stop().await.expect("it stops in order");

    let again = Options { listen: address, ..options() };
    let cloud = DevCloud::start(again).await.expect("the database and the address can be used again");
    let replayed = register(&project("alpha")).key("k").of(&cloud).await;
    assert_eq!(replayed.body, before.body);
    let requests = cloud.requests(0).await.expect("the requests can be read");
    assert_eq!(requests.iter().map(|request| request.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(effects(&cloud).await.len(), 2);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_untouched() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let text = home.path().join("notes.txt");
    std::fs::write(&text, "not a database, but notes of somebody who would miss them").expect("a file");
    let error = DevCloud::start(Options { database: Some(text.clone()), ..Options::default() })
        .await
        .expect_err("a text is no database");
    assert!(error.to_string().starts_with("open the database "), "{error}");
    let kept = std::fs::read_to_string(&text).expect("the file is still there");
    assert!(kept.starts_with("not a database"));
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let first = cloud().await;
    let options = Options { listen: first.address(), ..Options::default() };
    let error = DevCloud::start(options).await.expect_err("the address is taken");
    assert_eq!(error.to_string(), format!("listen on {}", first.address()));
}
