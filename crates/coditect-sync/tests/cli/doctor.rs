//! `doctor`, with a daemon and without one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::commands::status;
use crate::support::{Home, Reply, Run, ok};

fn ready() -> Reply {
    ok(r#"{"ready":true,"why":null}"#)
}

/// What the daemon says of its sandbox; doctor reads nothing else of it.
fn diagnostics() -> Reply {
    ok(
        r#"{"sandbox":{"confined":true,"folders":["/s"],"landlock":7,"why_not":null,"no_new_privileges":true,"system_calls_filtered":null}}"#,
    )
}

fn healthy() -> Reply {
    ok(r#"{"healthy":true,"why":null}"#)
}

/// The findings that are not `ok`, as `code outcome`; how much this machine lets one watch is its own affair.
fn findings(run: &Run) -> Vec<String> {
    let document: Value = serde_json::from_str(&run.stdout).expect("a document");
    let checks = document["checks"].as_array().expect("checks");
    let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    for check in checks {
        assert_eq!(check["remedy"].is_null(), check["outcome"] == "ok", "{check}");
    }
    let failed = checks.iter().filter(|check| check["outcome"] == "failed").count();
    assert_eq!((document["failed"].as_u64(), document["ok"] == true), (Some(failed as u64), failed == 0));
    assert_eq!(run.exit, i32::from(failed > 0), "{run}");
    checks
        .iter()
        .filter(|check| check["outcome"] != "ok" && !text(check, "code").starts_with("watches."))
        .map(|check| format!("{} {}", text(check, "code"), text(check, "outcome")))
        .filter(|line| !line.starts_with("disk.space warning"))
        .collect()
}

/// A home in which all is as it should be.
fn tidy() -> Home {
    let home = Home::new();
    let path = home.path();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");
    fs::create_dir_all(path.join("PROJECTS")).expect("made");
    fs::create_dir_all(path.join(".coditect-data")).expect("made");
    let id = r#"{"machine_uuid": "33333333-3333-4333-8333-333333333333"}"#;
    fs::write(path.join(".coditect-data/machine-id.json"), id).expect("written");
    fs::write(path.join("token"), "opaque\n").expect("written");
    fs::set_permissions(path.join("token"), fs::Permissions::from_mode(0o600)).expect("it is ours");
    home
}

fn with_daemon(home: &Home, replies: &[Reply]) -> Run {
    let daemon = home.daemon(replies.to_vec());
    fs::set_permissions(home.socket(), fs::Permissions::from_mode(0o600)).expect("it is ours");
    let run = home.run(&["doctor", "--json"]);
    daemon.join().expect("all was asked for");
    run
}

#[test]
fn a_machine_on_which_all_is_well_passes() {
    let home = tidy();
    let run = with_daemon(&home, &[ready(), healthy(), status("online", &[]), diagnostics()]);
    assert_eq!(findings(&run), ["service.installed warning"]);
    assert!(run.stdout.contains("the daemon can write to `/s` alone (Landlock 7)"), "{run}");
    assert!(!run.stdout.contains("opaque"), "{run}");
}

#[test]
fn without_a_daemon_the_rest_is_checked_all_the_same() {
    let home = tidy();
    let run = home.run(&["doctor", "--json"]);
    assert_eq!(findings(&run), ["daemon.answers failed", "service.installed warning"]);
    let run = home.run(&["doctor"]);
    assert!(run.stdout.contains("failed   daemon.answers       no daemon is running"), "{run}");
    assert!(run.stdout.contains("-> start one with"), "{run}");
    assert!(run.stdout.trim_end().lines().last().is_some_and(|line| line.starts_with("1 failed, ")), "{run}");
}

#[test]
fn a_daemon_that_runs_for_trying_out_needs_neither_a_token_nor_the_configured_cloud() {
    let home = tidy();
    fs::remove_file(home.path().join("token")).expect("it was there");
    let dev = status(
        "online",
        &[
            ("\"paused\":false", "\"dev\":true,\"paused\":false"),
            ("https://api.coditect.ai", "http://127.0.0.1:1"),
        ],
    );
    let run = with_daemon(&home, &[ready(), healthy(), dev, diagnostics()]);
    assert_eq!(findings(&run), ["service.installed warning"]);
    assert!(run.stdout.contains("no token is needed") && !run.stdout.contains("token.present"), "{run}");
}

#[test]
fn a_daemon_with_a_cloud_of_its_own_needs_no_token_of_the_configuration() {
    let home = tidy();
    fs::remove_file(home.path().join("token")).expect("it is there");
    let own = status("online", &[("https://api.coditect.ai", "http://127.0.0.1:9")]);
    let run = with_daemon(&home, &[ready(), healthy(), own, ok("{}")]);
    let found = ["token.present warning", "daemon.configuration warning", "service.installed warning"];
    assert_eq!(findings(&run), found);
}

#[test]
fn everything_that_is_amiss_is_found_at_once() {
    let home = tidy();
    let path = home.path();
    fs::write(path.join(".coditect-data/machine-id.json"), "{}").expect("written");
    fs::set_permissions(path.join("token"), fs::Permissions::from_mode(0o644)).expect("it is ours");
    fs::write(path.join("sync.db"), "").expect("written");
    fs::set_permissions(path.join("sync.db"), fs::Permissions::from_mode(0o664)).expect("it is ours");
    // {"exp": 1000000000}
    fs::write(path.join("token"), "e30.eyJleHAiOiAxMDAwMDAwMDAwfQ.c2ln").expect("written");
    let amiss = status(
        "offline",
        &[
            (r#""version":"0.1.0""#, r#""version":"0.2.0""#),
            (r#""dead":0"#, r#""dead":2"#),
            // Its own roots count, not those of a configuration that it may not have read.
            (r#""state":"watching""#, r#""state":"missing""#),
        ],
    );
    let unwell = Reply { status: "503 No", body: r#"{"healthy":false,"why":"the disk is full"}"#.to_owned() };
    let run = with_daemon(&home, &[ready(), unwell, amiss, diagnostics()]);
    assert_eq!(
        findings(&run),
        [
            "token.expiry failed",
            "state.database failed",
            "token.permissions failed",
            "daemon.health failed",
            "daemon.version warning",
            "cloud.state failed",
            "queue.entries warning",
            "discovery.roots warning",
            "machine.identity failed",
            "service.installed warning"
        ]
    );
    assert!(!run.stdout.contains("eyJleHAi"), "the token is shown");
}

#[test]
fn a_configuration_that_cannot_be_used_is_a_finding() {
    let home = tidy();
    let file = home.path().join(".coditect/config/config.json");
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::write(&file, r#"{"cloud_sync": {"batch_size": 0}}"#).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("it is ours");
    let run = home.run(&["doctor", "--json"]);
    let found = findings(&run);
    assert_eq!(found[..2], ["config.valid failed", "config.permissions failed"]);
    fs::write(&file, r#"{"cloud_sync": {"batch_sise": 3}}"#).expect("written");
    let run = home.run(&["doctor", "--json"]);
    assert_eq!(findings(&run)[0], "config.warnings warning");
    let long = format!("/{}/sync.sock", "x".repeat(120));
    let run = home.run(&["doctor", "--json", "--socket", &long]);
    assert_eq!(findings(&run), ["places.usable failed"]);
}
