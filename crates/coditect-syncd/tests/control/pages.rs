//! Lists, page by page, as clients get them.

use std::fs;

use serde_json::{Map, Value, json};

use crate::daemon::Daemon;
use crate::raw::{Reply, exchange, get, post};

/// Registers so many projects at once; what came of each, by its UUID.
fn register(daemon: &Daemon, count: usize) -> Map<String, Value> {
    let roots: Vec<_> = (0..count)
        .map(|number| {
            let root = daemon.home.path().join(format!("projects/{number}"));
            fs::create_dir(&root).expect("a directory");
            json!({"root_path": root})
        })
        .collect();
    let reply = post(daemon.socket(), "/v1/projects/sync", &json!({"projects": roots}).to_string());
    assert_eq!(reply.status, 200);
    reply.json()["results"].as_object().expect("results").clone()
}

#[test]
fn several_projects_are_registered_at_once_and_shown_page_by_page() {
    let daemon = Daemon::start();
    let results = register(&daemon, 5);
    assert!(
        results.len() == 5
            && results.iter().all(|(uuid, result)| result["local_project_uuid"] == json!(uuid))
    );
    for (list, name) in [("/v1/projects", "projects"), ("/v1/queue/items", "items")] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = get(daemon.socket(), &format!("{list}?limit=2{cursor}")).json();
            let uuids = page[name].as_array().expect("a list").iter();
            seen.extend(uuids.filter_map(|one| one["local_project_uuid"].as_str().map(str::to_owned)));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), pages), (5, 3), "{list}");
    }
}

#[test]
fn a_long_page_of_projects_is_the_short_ones_together() {
    let daemon = Daemon::start();
    register(&daemon, 70);
    // An answer of unknown length ends with the connection in this version of HTTP.
    let page = |query: &str| {
        let words = format!("GET /v1/projects?{query} HTTP/1.0\r\n\r\n");
        let reply = Reply::read(&exchange(daemon.socket(), words.as_bytes()));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        reply.json()
    };
    let uuids = |page: &Value| -> Vec<String> {
        let projects = page["projects"].as_array().expect("a list").iter();
        projects.map(|one| one["local_project_uuid"].as_str().expect("a UUID").to_owned()).collect()
    };
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let short = page(&format!("limit=20{cursor}"));
        all.extend(uuids(&short));
        let Some(next) = short["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((all.len(), all.is_sorted()), (70, true));
    for (limit, shown, next) in [(1_000, 70, Value::Null), (70, 70, Value::Null), (69, 69, json!(all[68]))] {
        let long = page(&format!("limit={limit}"));
        assert_eq!(uuids(&long), all[..shown]);
        assert_eq!(long["next_cursor"], next, "{limit}");
    }
    // What is one connection's with others after it is told by its length or in chunks.
    let kept =
        "GET /v1/projects?limit=1000 HTTP/1.1\r\n\r\nGET /v1/health HTTP/1.1\r\nconnection: close\r\n\r\n";
    let answers = String::from_utf8(exchange(daemon.socket(), kept.as_bytes())).expect("text");
    assert!(answers.contains("\r\ntransfer-encoding: chunked\r\n"), "{answers}");
    assert!(answers.contains("\"next_cursor\":null}\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answers}");
}
