//! Figures, diagnostics and registrations: what is for machines and for reports of faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Home, until};
use crate::raw::{get, post};

/// Reads Prometheus' text format as strictly as its own checker: each family has its help and its type, once and before
/// its samples, names are well formed, no sample stands there twice, counters end in `_total`.
fn read_metrics(text: &str) -> Result<BTreeMap<String, u64>, String> {
    let (mut helps, mut types) = (BTreeMap::new(), BTreeMap::new());
    let (mut samples, mut family) = (BTreeMap::new(), String::new());
    let mut closed = BTreeSet::new();
    let named = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| format!("no help: {line}"))?;
            if !named(name) || !help.ends_with('.') || helps.insert(name.to_owned(), help).is_some() {
                return Err(format!("a bad or second help: {line}"));
            }
            closed.insert(std::mem::replace(&mut family, name.to_owned()));
            if closed.contains(name) {
                return Err(format!("`{name}` is in two places"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| format!("no type: {line}"))?;
            let known = matches!(kind, "gauge" | "counter");
            let suffixed = name.ends_with("_total") == (kind == "counter");
            if name != family || !known || !suffixed || types.insert(name.to_owned(), kind).is_some() {
                return Err(format!("a bad or second type: {line}"));
            }
        } else {
            let (sample, value) = line.rsplit_once(' ').ok_or_else(|| format!("no value: {line}"))?;
            let name = sample.split('{').next().unwrap_or_default();
            let labelled = sample.strip_prefix(name).unwrap_or_default();
            let well_formed = labelled.is_empty()
                || labelled
                    .strip_prefix('{')
                    .and_then(|labels| labels.strip_suffix("\"}")?.split_once("=\""))
                    .is_some_and(|(label, value)| named(label) && !value.contains(['"', '\\']));
            let value: u64 = value.parse().map_err(|_why| format!("no number: {line}"))?;
            if name != family || !types.contains_key(name) || !well_formed {
                return Err(format!("a sample without its family: {line}"));
            }
            if samples.insert(sample.to_owned(), value).is_some() {
                return Err(format!("a second sample: {line}"));
            }
        }
    }
    match helps.keys().find(|name| !samples.keys().any(|sample| sample.starts_with(&***name))) {
        Some(name) => Err(format!("`{name}` has no sample")),
        None => Ok(samples),
    }
}

#[test]
fn figures_are_as_prometheus_reads_them_and_count_what_happened() {
    let daemon = Daemon::start_with(Home::new(), |mut command| {
        command.arg("--dev");
        command
    });
    let figures = || {
        let text = String::from_utf8(get(daemon.socket(), "/metrics").body).expect("text");
        read_metrics(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
    };
    assert_eq!(figures()["coditect_sync_registrations_delivered_total"], 0);
    registered(&daemon);
    // What became of the way is told after what became of the registration.
    until("the cloud is online", || figures()["coditect_sync_cloud_state{state=\"online\"}"] == 1);
    let now = figures();
    for (sample, expected) in [
        ("coditect_sync_registrations_delivered_total", 1),
        ("coditect_sync_registrations_enqueued_total", 1),
        ("coditect_sync_cloud_state{state=\"online\"}", 1),
        ("coditect_sync_projects{state=\"registered\"}", 1),
        ("coditect_sync_queue_entries{state=\"ready\"}", 0),
    ] {
        assert_eq!(now[sample], expected, "{sample}");
    }
    // What is measured is explained, and what is explained is measured.
    let explained = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md"));
    let explained = explained.expect("the document is kept");
    let rows = explained.lines().filter_map(|line| line.strip_prefix("| `coditect_sync_")?.split('`').next());
    let measured = now.keys().filter_map(|sample| sample.strip_prefix("coditect_sync_")?.split('{').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), measured.collect::<BTreeSet<_>>());
    for sample in now.keys() {
        let word = sample.split('"').nth(1).filter(|_| !sample.contains("version="));
        assert!(
            word.is_none_or(|word| explained.contains(&format!("`{word}`"))),
            "{sample} is not explained"
        );
    }
}

/// The names of figures in a text.
fn figures_named(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let words = text.split(|letter: char| !is_part(letter));
    words.filter(|word| word.starts_with("coditect_sync_")).collect()
}

#[test]
fn the_dashboard_shows_every_figure_and_neither_it_nor_an_alert_any_other() {
    let daemon = Daemon::start();
    let page = String::from_utf8(get(daemon.socket(), "/metrics").body).expect("text");
    let told = figures_named(&page);
    let dashboard = include_str!("../../../../config/grafana/coditect-sync.json");
    serde_json::from_str::<Value>(dashboard).expect("the dashboard is JSON");
    assert_eq!(figures_named(dashboard), told);
    let alerts = figures_named(include_str!("../../../../config/grafana/alerts.yaml"));
    assert!(!alerts.is_empty() && alerts.is_subset(&told), "{:?}", alerts.difference(&told));
}

#[test]
fn a_page_that_prometheus_would_refuse_is_noticed() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
    assert!(read_metrics(good).is_ok());
    for (page, words) in [
        ("a 1\n", "without its family"),
        ("# HELP a A.\na 1\n", "without its family"),
        ("# HELP a A.\n# TYPE a counter\na 1\n", "bad or second type"),
        ("# HELP a A\n# TYPE a gauge\na 1\n", "bad or second help"),
        ("# HELP a A.\n# TYPE a gauge\na x\n", "no number"),
        ("# HELP a A.\n# TYPE a gauge\na{b=c} 1\n", "without its family"),
        ("# HELP a A.\n# TYPE a gauge\na 1\na 2\n", "second sample"),
        ("# HELP a A.\n# TYPE a gauge\n", "no sample"),
        ("# HELP a A.\n# TYPE a gauge\na 1", "no end"),
        (
            "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\na{b=\"c\"} 1\n",
            "without its family",
        ),
    ] {
        assert!(read_metrics(page).is_err_and(|why| why.contains(words)), "{page}");
    }
}

#[test]
fn a_report_of_a_fault_has_all_but_the_secrets() {
    let home = Home::new();
    let secret = "eyJ-this-is-no-token-but-a-secret";
    let config = json!({"cloud_sync": {
        "api_url": "https://127.0.0.1:9", "credential_command": ["/bin/echo", "--password", secret],
    }});
    fs::write(home.path().join("config.json"), config.to_string()).expect("the configuration");
    let daemon = Daemon::start_in(home);
    let reply = get(daemon.socket(), "/v1/diagnostics");
    assert_eq!(reply.status, 200);
    assert!(!String::from_utf8_lossy(&reply.body).contains(secret));
    let report = reply.json();
    assert_eq!(report["configuration"]["cloud_sync"]["credential_command"], json!(["/bin/echo", "<hidden>"]));
    assert_eq!(report["places"]["socket"], json!(daemon.socket()));
    assert_eq!((&report["dev"], &report["status"]["pid"]), (&json!(false), &json!(daemon.pid())));
    assert!(report["store"]["file_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{report}");
    assert!(
        !cfg!(target_os = "linux") || report["process"]["threads"].as_u64().is_some_and(|count| count > 0)
    );
    assert!(report["left_out"].as_array().is_some_and(|left| !left.is_empty()));
}

#[test]
fn a_registration_is_found_by_its_uuid_in_the_cloud() {
    let daemon = Daemon::start_with(Home::new(), |mut command| {
        command.arg("--dev");
        command
    });
    let cloud = registered(&daemon);
    let found = get(daemon.socket(), &format!("/v1/registrations/{cloud}?wait_ms=10000"));
    let answer = found.json();
    assert_eq!(
        (found.status, &answer["cloud_uuid"], &answer["on_this_machine"]),
        (200, &json!(cloud), &json!(true))
    );
    assert_eq!(answer["registration_status"], json!("registered"));
    // What the cloud said is all there as it said it.
    for name in ["cloud_uuid", "local_project_uuid", "registration_status", "registered_at", "tenant_id"] {
        assert_eq!(answer["told"][name], answer[name], "{name}");
    }
    let unknown =
        get(daemon.socket(), "/v1/registrations/6b1c1d3e-52a7-4d0c-9f0b-7a5238d1e6c4?wait_ms=10000");
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("not_found")));
    let wrong = get(daemon.socket(), "/v1/registrations/x");
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("bad_request")));
}

#[test]
fn who_does_not_wait_for_the_cloud_is_told_that_it_was_not_asked() {
    let home = Home::new();
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    let config = json!({"cloud_sync": {"api_url": url, "auth_token": "opaque"}});
    fs::write(home.path().join("config.json"), config.to_string()).expect("the configuration");
    let daemon = Daemon::start_in(home);
    let hurried = get(daemon.socket(), "/v1/registrations/11111111-52a7-4d0c-9f0b-7a5238d1e6c4?wait_ms=0");
    assert_eq!((hurried.status, &hurried.json()["code"]), (503, &json!("cloud_unreachable")));
}

/// Registers a project and waits until the cloud has it; its UUID there.
fn registered(daemon: &Daemon) -> String {
    let root = daemon.home.path().canonicalize().expect("a home").join("api");
    fs::create_dir_all(&root).expect("a directory");
    let body = json!({"root_path": root, "project_name": "api", "wait_ms": 50_000}).to_string();
    let mut uuid = Value::Null;
    until("the cloud has it", || {
        uuid = post(daemon.socket(), "/v1/projects", &body).json()["cloud_uuid"].clone();
        uuid.is_string()
    });
    uuid.as_str().expect("a UUID").to_owned()
}
