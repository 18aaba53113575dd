//! The control socket as programs meet it: the built daemon, in a home of its own, spoken to in bytes.

#[path = "control/daemon.rs"]
mod daemon;
#[path = "control/figures.rs"]
mod figures;
#[path = "control/folder.rs"]
mod folder;
#[path = "control/follow.rs"]
mod follow;
#[path = "control/pages.rs"]
mod pages;
#[path = "control/raw.rs"]
mod raw;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::thread;

use daemon::{Daemon, Home, PATIENCE, until};
use raw::{Reply, exchange, get, post, request};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

#[test]
fn every_question_is_answered_with_a_document() {
    let daemon = Daemon::start();
    let check = |path: &str, field: &str| {
        let reply = get(daemon.socket(), path);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(JSON)), "{path}");
        assert!(reply.body.ends_with(b"}\n"), "{path}");
        assert!(reply.json().get(field).is_some(), "{path} has `{field}`");
    };
    check("/v1/status", "cloud");
    check("/v1/health", "healthy");
    check("/v1/ready", "ready");
    check("/v1/projects?state=registered&type=monorepo&language=Rust&limit=1", "projects");
    check("/v1/queue", "oldest_enqueued_at");
    check("/v1/queue/items?state=dead&limit=1000", "items");
    check("/v1/openapi.json", "openapi");
    let status = get(daemon.socket(), "http://localhost/v1/status").json();
    assert_eq!((&status["api"], &status["pid"]), (&json!(1), &json!(daemon.pid())));
    let metrics = get(daemon.socket(), "/metrics");
    assert!(metrics.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = String::from_utf8(metrics.body).expect("text");
    assert_eq!(text.matches("\ncoditect_sync_cloud_state{").count(), 8, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("cloud_state{") && line.ends_with(" 1")).count(), 1);
}

#[test]
fn a_look_at_a_path_says_what_each_field_is_told_by_with_and_without_a_daemon() {
    let daemon = Daemon::start();
    let inside = daemon.home.path().join("projects/shop/src");
    fs::create_dir_all(&inside).expect("a folder");
    let inside = inside.canonicalize().expect("it is there");
    let root = inside.parent().expect("a project");
    let manifest =
        r#"{"name": "the-shop", "dependencies": {"express": "5"}, "devDependencies": {"react": "19"}}"#;
    fs::write(root.join("package.json"), manifest).expect("written");
    fs::write(inside.join("a.js"), "let a = 1;\n").expect("written");
    let look = |path: &str| get(daemon.socket(), &format!("/v1/discovery/inspect?path={path}"));
    let mut answer = Value::Null;
    until("the project is on record", || {
        let reply = look(&inside.display().to_string());
        answer = reply.json();
        reply.status == 200 && !answer["projects"][0]["on_record"].is_null()
    });
    let project = &answer["projects"][0];
    let seen = &project["seen"];
    assert_eq!(
        (&seen["project_name"], &seen["primary_language"]),
        (&json!("the-shop"), &json!("JavaScript"))
    );
    assert_eq!((&seen["framework"], &seen["root_path"]), (&json!("express"), &json!(root)));
    let framework = &seen["evidence"]["framework"];
    assert_eq!(
        (&framework["files"], &framework["found"]),
        (&json!(["package.json"]), &json!(["dependency express"]))
    );
    let left_out = "react: react is only a development dependency of package.json";
    assert_eq!(framework["left_out"], json!([left_out]));
    assert_eq!(
        (&project["on_record"]["project_name"], &project["differs"]),
        (&json!("the-shop"), &json!([]))
    );

    let above = look(&root.parent().expect("a folder").display().to_string()).json();
    assert_eq!(above["projects"].as_array().map(Vec::len), Some(1));
    assert_eq!(look("/dev").status, 404);
    assert_eq!(get(daemon.socket(), "/v1/discovery/inspect").status, 400);

    let alone = Command::new(env!("CARGO_BIN_EXE_coditect-syncd"))
        .arg("inspect")
        .arg(&inside)
        .env("HOME", daemon.home.path())
        .env("CODITECT_CONFIG", daemon.home.path().join("config.json"))
        .output()
        .expect("it runs");
    let line: Value = serde_json::from_slice(&alone.stdout).expect("one line");
    assert_eq!(&line, seen);
}

#[test]
fn what_is_asked_for_without_a_body_is_done() {
    let daemon = Daemon::start();
    let check = |path: &str, status: u16, expected: Value| {
        assert_eq!((post(daemon.socket(), path, "").status, path), (status, path));
        let reply = post(daemon.socket(), path, "{}");
        assert_eq!((reply.status, reply.json()), (status, expected), "{path}");
    };
    let paused = post(daemon.socket(), "/v1/pause", "{\"for_ms\": 60000, \"reason\": \"a test\"}").json();
    assert_eq!(
        (&paused["paused"], &paused["pause"]["by"], &paused["pause"]["reason"]),
        (&json!(true), &json!("user"), &json!("a test"))
    );
    assert!(paused["pause"]["until"].as_str() > paused["pause"]["since"].as_str(), "{paused}");
    check("/v1/resume", 200, json!({"paused": false, "pause": null}));
    check("/v1/queue/flush", 200, json!({"delivered": 0, "remaining": 0, "dead": 0}));
    check("/v1/queue/retry-dead", 200, json!({"retried": 0}));
    check("/v1/reload", 200, json!({"warnings": []}));
}

#[test]
fn a_pause_is_taken_as_far_as_its_description_goes_and_no_further() {
    let daemon = Daemon::start();
    let described = &get(daemon.socket(), "/v1/openapi.json").json()["components"]["schemas"]["PauseRequest"]
        ["properties"];
    let bound = |field: &str, of: &str| described[field][of].as_u64().expect(of);
    let (least, most) = (bound("for_ms", "minimum"), bound("for_ms", "maximum"));
    let longest = usize::try_from(bound("reason", "maxLength")).expect("a length");
    for (body, status) in [
        (json!({"for_ms": least}), 200),
        (json!({"for_ms": most}), 200),
        (json!({"for_ms": 354.0}), 200),
        (json!({"for_ms": 354.5}), 400),
        (json!({"for_ms": least - 1}), 400),
        (json!({"for_ms": most + 1}), 400),
        (json!({"reason": "\u{e9}".repeat(longest)}), 200),
        (json!({"reason": "x".repeat(longest + 1)}), 400),
        (json!({"reason": "two\nlines"}), 400),
        (json!({"reason": "a \u{85} of the second kind"}), 400),
    ] {
        assert_eq!(post(daemon.socket(), "/v1/pause", &body.to_string()).status, status, "{body}");
    }
}

#[test]
fn what_cannot_be_understood_is_refused_with_a_problem_that_says_why() {
    let daemon = Daemon::start();
    for (bytes, status, code, words) in malformed() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(70)]).into_owned();
        let reply = Reply::read(&exchange(daemon.socket(), &bytes));
        assert_eq!((reply.status, reply.header("content-type")), (status, Some(PROBLEM)), "{shown}");
        let problem = reply.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{shown}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{shown}: {detail}");
    }
    assert_eq!(get(daemon.socket(), "/v1/status").status, 200);
}

/// Requests that are none, with the answer's status and code and some of its words.
fn malformed() -> Vec<(Vec<u8>, u16, &'static str, &'static str)> {
    let bad = "bad_request";
    let line = |line: &str| format!("{line} HTTP/1.1\r\n\r\n").into_bytes();
    let head = |field: &str| format!("GET /v1/queue HTTP/1.1\r\n{field}\r\n\r\n").into_bytes();
    let body = |body: &str| request("POST", "/v1/projects", body);
    let uuid = "6b1c1d3e-52a7-4d0c-9f0b-7a5238d1e6c4";
    vec![
        // Not HTTP, or not quite.
        (b"GARBAGE\r\n\r\n".to_vec(), 400, bad, "method"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, bad, "method"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400, bad, "HTTP2"),
        (b"GET / HTTP/3.0\r\n\r\n".to_vec(), 400, bad, "version"),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n".to_vec(), 400, bad, "URI"),
        (b"GET /v1/status HTTP/1.1\r\nhost".to_vec(), 400, bad, "in the middle of the request's head"),
        (head("no colon"), 400, bad, "header"),
        (head("content-length: x"), 400, bad, "content-length"),
        (head("content-length: 1\r\ncontent-length: 2"), 400, bad, "content-length"),
        (head(&format!("x: {}", "y".repeat(17_500))), 431, bad, "larger than 16 KiB"),
        (head(&"a: b\r\n".repeat(101)), 431, bad, "more than 100 fields"),
        (line(&format!("GET /v1/queue?{}", "x".repeat(17_500))), 431, bad, "larger than 16 KiB"),
        ("x".repeat(32_000_000).into_bytes(), 431, bad, "larger than 16 KiB"),
        (b"POST /v1/projects HTTP/1.1\r\ncontent-length: 10\r\n\r\n{".to_vec(), 400, bad, "to its end"),
        (
            b"POST /v1/projects HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            400,
            bad,
            "to its end",
        ),
        // Not for us.
        (head("Origin: http://localhost"), 403, bad, "web pages"),
        (head("Referer: http://localhost/"), 403, bad, "web pages"),
        (line("GET /v2/status"), 404, "not_found", "there is no route `/v2/status`"),
        (line("GET /v1/status/"), 404, "not_found", "there is no route"),
        (line("OPTIONS *"), 404, "not_found", "there is no route"),
        (line("POST /v1/status"), 405, "method_not_allowed", "takes GET, HEAD"),
        (line("GET /v1/projects/sync/"), 404, "not_found", "there is no route"),
        // Queries and paths.
        (line("GET /v1/resolve"), 400, bad, "neither `local_uuid` nor `path`"),
        (line(&format!("GET /v1/resolve?local_uuid={uuid}&path=/a")), 400, bad, "both"),
        (line("GET /v1/resolve?local_uuid=x"), 400, bad, "not a UUID"),
        (line("GET /v1/resolve?path=a"), 400, bad, "not an absolute path"),
        (line("GET /v1/resolve?path=/a&wait_ms=600001"), 400, bad, "from 0 to 600000"),
        (line("GET /v1/resolve?path=/a&refresh=maybe"), 400, bad, "`true` or `false`"),
        (line("GET /v1/projects?state=lost"), 400, bad, "registered, pending, missing, rejected"),
        (line("GET /v1/projects?status=lost"), 400, bad, "unknown name `status`"),
        (line("GET /v1/projects?cursor=x"), 400, bad, "`cursor`"),
        (line("GET /v1/queue/items?limit=0"), 400, bad, "from 1 to 1000"),
        (line("GET /v1/queue/items?limit=1&limit=1"), 400, bad, "twice"),
        (line("GET /v1/queue/items/first"), 400, bad, "not a whole number"),
        (line("GET /v1/queue/items/99999999999999999999"), 400, bad, "not a whole number"),
        (line("GET /v1/projects/x"), 400, bad, "not a UUID"),
        (line("GET /v1/queue/items/999999"), 404, "not_found", ""),
        (line(&format!("GET /v1/projects/{uuid}")), 404, "not_found", ""),
        // Bodies.
        (body(""), 400, bad, "empty"),
        (body("{"), 400, bad, "line 1 column 1"),
        (body("[]"), 400, bad, "an object is expected"),
        (body("{}"), 400, bad, "root_path"),
        (body(r#"{"root_path": "a"}"#), 400, bad, "not an absolute path"),
        (body(r#"{"root_path": "", "root_path_exact": "/a"}"#), 400, bad, "not an absolute path"),
        (body(r#"{"root_path": "/a", "root": 1}"#), 400, bad, "unknown field `root`"),
        (body(r#"{"root_path": "/a", "wait_ms": 600001}"#), 400, bad, "600000"),
        (body(r#"{"root_path": "/a", "project_type": "big"}"#), 400, bad, "unknown variant `big`"),
        (
            request(
                "POST",
                "/v1/projects/sync",
                r#"{"projects": [{"root_path": "/a"}, {"root_path": "b"}]}"#,
            ),
            400,
            bad,
            "projects[1]: `root_path` is `b`",
        ),
        (
            request("POST", "/v1/projects/sync", r#"{"projects": [{"root_path": "/a", "wait_ms": 600001}]}"#),
            400,
            bad,
            "projects[0]: `wait_ms` is 600001",
        ),
        (line("GET /v1/projects/sync"), 405, "method_not_allowed", "takes POST"),
        (request("POST", "/v1/discovery/scan", r#"{"paths": ["a"]}"#), 400, bad, "paths[0]"),
        (request("POST", "/v1/import", r#"{"from": "a"}"#), 400, bad, "from"),
        (
            b"POST /v1/projects HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            415,
            "unsupported_media_type",
            "text/plain",
        ),
        (body(&" ".repeat(9_000_000)), 413, "payload_too_large", "8 MiB"),
        (chunked(9), 413, "payload_too_large", "8 MiB"),
    ]
}

/// A body of so many MiB whose length is not told beforehand.
fn chunked(mebibytes: usize) -> Vec<u8> {
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    format!(
        "POST /v1/projects HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(mebibytes)
    )
    .into_bytes()
}

#[test]
fn a_method_that_is_not_taken_is_answered_with_those_that_are() {
    let daemon = Daemon::start();
    for (path, allowed) in [("/v1/projects", "GET, POST, HEAD"), ("/v1/queue/items/1", "GET, DELETE, HEAD")] {
        let reply = Reply::read(&exchange(daemon.socket(), &request("PATCH", path, "{}")));
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{path}");
    }
}

#[test]
fn a_head_is_an_answer_without_its_body() {
    let daemon = Daemon::start();
    let reply = Reply::read(&exchange(daemon.socket(), b"HEAD /v1/queue HTTP/1.1\r\n\r\n"));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert!(reply.header("content-length").is_some_and(|length| length != "0"));
}

#[test]
fn one_connection_takes_many_requests() {
    let daemon = Daemon::start();
    let ask = "GET /v1/queue HTTP/1.1\r\n\r\n";
    let last = "GET /v1/queue HTTP/1.0\r\n\r\n";
    let bytes = exchange(daemon.socket(), format!("{}{last}", ask.repeat(50)).as_bytes());
    assert_eq!(bytes.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count(), 50);
    assert!(bytes.windows(15).any(|window| window == b"HTTP/1.0 200 OK"));
}

#[test]
fn who_takes_too_long_is_told_so() {
    let daemon = Daemon::start();
    let wait = |bytes: &'static [u8]| {
        let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
        thread::spawn(move || {
            stream.write_all(bytes).expect("part of a request");
            read_to_end(stream)
        })
    };
    let head = wait(b"GET /v1/status HTTP/1.1\r\nhost: ");
    let body = wait(b"POST /v1/projects HTTP/1.1\r\ncontent-length: 10\r\n\r\n{");
    let silent = wait(b"");
    let idle = wait(b"GET /v1/queue HTTP/1.1\r\n\r\n");
    let told = |answer: thread::JoinHandle<Vec<u8>>, words: &str| {
        let reply = Reply::read(&answer.join().expect("a thread"));
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(reply.status == 408 && detail.contains(words), "{} {detail}", reply.status);
    };
    told(head, "not complete after 5 s");
    told(body, "not complete after 10 s");
    assert_eq!(silent.join().expect("a thread"), b"");
    assert_eq!(Reply::read(&idle.join().expect("a thread")).status, 200);
}

#[test]
fn silent_connections_keep_nobody_waiting() {
    let daemon = Daemon::start();
    let silent: Vec<_> = (0..200).map(|_| UnixStream::connect(daemon.socket())).collect();
    assert!(silent.iter().all(Result::is_ok));
    for _ in 0..50 {
        assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
    }
}

#[test]
fn one_connection_too_many_is_told_so_and_only_while_it_is() {
    let daemon = Daemon::start();
    // Who is silent is closed on after some seconds, for which a machine may stand still.
    let (crowd, answer) = (0..5)
        .map(|_| {
            let silent: Vec<_> = (0..256).map(|_| UnixStream::connect(daemon.socket())).collect();
            assert!(silent.iter().all(Result::is_ok));
            let one_more = UnixStream::connect(daemon.socket()).expect("a connection");
            (silent, read_to_end(one_more))
        })
        .find(|(_, answer)| !answer.is_empty())
        .expect("it is told something");
    let reply = Reply::read(&answer);
    assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("conflict")));
    drop(crowd);
    until("the daemon has room again", || {
        raw::try_get(daemon.socket(), "/v1/queue").is_some_and(|reply| reply.status == 200)
    });
}

#[test]
fn who_waits_and_goes_leaves_its_place_and_what_it_asked_is_done() {
    let daemon = Daemon::start();
    let root = project_in(&daemon);
    let unknown = "00000000-0000-0000-0000-000000000001";
    let wait = "wait_ms=600000";
    let register = json!({"root_path": root, "project_name": "api", "wait_ms": 600_000}).to_string();
    let waiting = json!({"wait_ms": 600_000}).to_string();
    let questions = [
        // The first waits with nothing to look at, so the others wait for what it leaves to be sent.
        request("POST", "/v1/projects", &register),
        request("GET", &format!("/v1/wait?for=idle&{wait}"), ""),
        request("POST", "/v1/queue/flush", &waiting),
        request("GET", &format!("/v1/resolve?path={root}&{wait}"), ""),
        request("GET", &format!("/v1/registrations/{unknown}?{wait}"), ""),
    ];
    for question in &questions {
        // More than there may be at once: there is room again as soon as it is noticed that those before have gone.
        for _ in 0..300 {
            until("there is room", || {
                let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
                stream.write_all(question).is_ok()
            });
        }
        until("there is room", || {
            raw::try_get(daemon.socket(), "/v1/queue").is_some_and(|reply| reply.status == 200)
        });
    }
    until("what was asked is done", || get(daemon.socket(), "/v1/queue").json()["ready"] != json!(0));
    // Who has closed one half only is still there.
    let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
    stream.write_all(&request("GET", "/v1/wait?for=idle&wait_ms=200", "")).expect("a request");
    stream.shutdown(std::net::Shutdown::Write).expect("its half");
    let answer = Reply::read(&read_to_end(stream));
    assert_eq!((answer.status, &answer.json()["reached"]), (200, &json!(false)));
}

#[test]
fn a_daemon_without_descriptors_serves_again_when_there_are_some() {
    let daemon = Daemon::start_with(Home::new(), |command| {
        let program = command.get_program().to_owned();
        let mut limited = Command::new("sh");
        limited.arg("-c").arg("ulimit -n 64; exec \"$0\" \"$@\"").arg(program).args(command.get_args());
        limited
    });
    let mut crowd: Vec<_> = (0..150).filter_map(|_| UnixStream::connect(daemon.socket()).ok()).collect();
    let latest = crowd.last_mut().expect("a connection");
    latest.set_read_timeout(Some(PATIENCE)).expect("a limit");
    // Whoever finds no room is not left waiting: it is closed on.
    let mut byte = [0];
    assert!(matches!(latest.read(&mut byte), Ok(0) | Err(_)));
    drop(crowd);
    until("the daemon serves again", || {
        raw::try_get(daemon.socket(), "/v1/queue").is_some_and(|reply| reply.status == 200)
    });
}

#[test]
fn a_socket_that_is_removed_is_bound_anew() {
    let daemon = Daemon::start();
    for _ in 0..3 {
        fs::remove_file(daemon.socket()).expect("the socket is removed");
        until("the socket is back", || daemon.socket().exists());
        assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
        assert_eq!(fs::metadata(daemon.socket()).expect("metadata").mode() & 0o7777, 0o600);
    }
}

#[test]
fn what_takes_the_sockets_place_is_left_alone_until_it_is_gone() {
    let daemon = Daemon::start();
    fs::remove_file(daemon.socket()).expect("the socket is removed");
    until("the socket is back", || daemon.socket().exists());
    let file = daemon.home.path().join("precious");
    fs::write(&file, "precious").expect("a file");
    fs::rename(&file, daemon.socket()).expect("it takes the socket's place");
    until("the daemon says so", || daemon.log().contains("cannot be bound anew yet"));
    assert_eq!(fs::read(daemon.socket()).expect("still there"), b"precious");
    fs::remove_file(daemon.socket()).expect("it goes");
    until("the socket is back", || {
        fs::metadata(daemon.socket()).is_ok_and(|found| found.file_type().is_socket())
    });
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
}

#[test]
fn a_daemon_does_not_start_over_what_is_not_its_own() {
    let check = |make: fn(&Home) -> Option<UnixListener>, words: &str| {
        let home = Home::new();
        let owner = make(&home);
        let inode = |home: &Home| fs::symlink_metadata(home.socket()).map(|found| found.ino()).ok();
        let before = inode(&home);
        let (code, log) = home.run_to_its_end();
        assert_ne!(code, Some(0), "{log}");
        assert!(log.contains(words), "{words}: {log}");
        assert_eq!(inode(&home), before);
        drop(owner);
    };
    check(
        |home| {
            fs::write(home.socket(), "precious").expect("a file");
            None
        },
        "a regular file",
    );
    check(
        |home| Some(UnixListener::bind(home.socket()).expect("a listener")),
        "another program listens there",
    );
}

#[test]
fn a_daemon_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let mut daemon = Daemon::start();
    daemon.kill();
    assert!(daemon.socket().exists());
    let daemon = Daemon::start_in(daemon.into_home());
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
}

#[test]
fn a_project_is_registered_shown_and_dropped() {
    let daemon = Daemon::start();
    let root = project_in(&daemon);
    let body = json!({"root_path": root, "project_name": "api", "primary_language": "Rust"}).to_string();
    let reply = post(daemon.socket(), "/v1/projects", &body);
    let result = reply.json();
    assert_eq!((reply.status, &result["status"], &result["queued"]), (202, &json!("queued"), &json!(true)));
    let uuid = result["local_project_uuid"].as_str().expect("a UUID").to_owned();

    let project = get(daemon.socket(), &format!("/v1/projects/{uuid}")).json();
    assert_eq!((&project["root_path"], &project["state"]), (&json!(root), &json!("pending")));
    let item = &get(daemon.socket(), "/v1/queue/items").json()["items"][0];
    assert_eq!((&item["local_project_uuid"], &item["asked_by"]), (&json!(uuid), &json!("user")));
    let id = item["id"].as_i64().expect("a number");
    let item_path = format!("/v1/queue/items/{id}");
    assert_eq!(get(daemon.socket(), &item_path).json(), *item);

    let asked =
        format!("/v1/resolve?path={}&wait_ms=0", sync_wire::path::encoded(format!("{root}/src").as_bytes()));
    let reply = get(daemon.socket(), &asked);
    let problem = reply.json();
    assert_eq!((reply.status, &problem["code"]), (404, &json!("not_registered")));
    assert_eq!(problem["queue_item"]["id"], json!(id));

    let dropped = Reply::read(&exchange(daemon.socket(), &request("DELETE", &item_path, "")));
    assert_eq!((dropped.status, dropped.body.len()), (204, 0));
    assert_eq!(get(daemon.socket(), &item_path).status, 404);
}

/// What is answered until the daemon ends the connection.
fn read_to_end(mut stream: UnixStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.read_to_end(&mut answer).expect("an answer and the end");
    answer
}

/// A folder that can be registered.
fn project_in(daemon: &Daemon) -> String {
    let root = daemon.home.path().canonicalize().expect("a home").join("projects/api");
    fs::create_dir_all(root.join("src")).expect("a directory");
    root.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_daemon_that_stops_answers_those_who_wait_and_removes_its_socket() {
    let mut daemon = Daemon::start();
    let root = project_in(&daemon);
    let ask = |path: &str, body: &Value| {
        let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
        stream.write_all(&request("POST", path, &body.to_string())).expect("a request");
        stream
    };
    // There is no cloud, so both wait in vain.
    let registering = ask("/v1/projects", &json!({"root_path": root, "wait_ms": 600_000}));
    until("the entry waits", || get(daemon.socket(), "/v1/queue").json()["ready"] != json!(0));
    let flushing = ask("/v1/queue/flush", &json!({"wait_ms": 600_000}));
    let idle = UnixStream::connect(daemon.socket()).expect("a connection");
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
    daemon.terminate();
    let flushed = Reply::read(&read_to_end(flushing));
    assert_eq!((flushed.status, &flushed.json()["code"]), (503, &json!("shutting_down")));
    // It is durable, whether it is said so or not.
    let registered = Reply::read(&read_to_end(registering));
    assert!(matches!(registered.status, 202 | 503), "{}", registered.json());
    assert_eq!(read_to_end(idle), b"");
    assert_eq!(daemon.wait(), Some(0));
    assert!(!daemon.socket().exists());
    let daemon = Daemon::start_in(daemon.into_home());
    assert_eq!(get(daemon.socket(), "/v1/queue").json()["ready"], json!(1));
}

#[test]
fn a_daemon_can_be_told_to_stop() {
    let mut daemon = Daemon::start();
    assert_eq!(post(daemon.socket(), "/v1/shutdown", "").status, 202);
    assert_eq!(daemon.wait(), Some(0));
    assert!(!daemon.socket().exists());
}

#[test]
fn another_user_is_closed_on_before_a_byte_is_read() {
    let daemon = Daemon::start();
    if fs::metadata(daemon.socket()).expect("metadata").uid() != 0 {
        println!("skipped: only root can be another user");
        return;
    }
    for (path, mode) in [
        (daemon.home.path(), 0o711),
        (daemon.socket().parent().expect("a directory"), 0o711),
        (daemon.socket(), 0o666),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
    let tried = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--max-time", "5"])
        .arg("--unix-socket")
        .args([daemon.socket().as_os_str(), "http://localhost/v1/status".as_ref()])
        .output();
    let Ok(tried) = tried else {
        println!("skipped: there is no `setpriv`");
        return;
    };
    let said = String::from_utf8_lossy(&tried.stderr);
    if said.contains("No such file") {
        println!("skipped: there is no `curl`");
        return;
    }
    assert!(!tried.status.success() && tried.stdout.is_empty(), "{said}");
    until("the daemon says so", || daemon.log().contains("another user's connection"));
    assert!(daemon.log().contains("65534"), "{}", daemon.log());
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
}

#[test]
fn a_folder_that_a_tool_gave_is_no_missing_project_as_long_as_it_is_there() {
    let daemon = Daemon::start();
    let root = daemon.home.path().canonicalize().expect("a home").join("projects").join("sketch");
    fs::create_dir_all(&root).expect("a folder");
    let reply = post(daemon.socket(), "/v1/projects", &json!({"root_path": root}).to_string()).json();
    let local = reply["local_project_uuid"].as_str().expect("a UUID").to_owned();
    let state_after_a_scan = || {
        post(daemon.socket(), "/v1/discovery/scan", r#"{"wait_ms": 20000}"#);
        get(daemon.socket(), &format!("/v1/projects/{local}")).json()["state"].clone()
    };
    assert_eq!(state_after_a_scan(), "pending");
    fs::remove_dir(&root).expect("a folder of ours");
    assert_eq!(state_after_a_scan(), "missing");
}

#[test]
fn what_the_daemon_starts_is_not_given_its_secrets() {
    let home = Home::new();
    let seen = home.path().join("seen");
    let script = format!("env > {0}.new && mv {0}.new {0} && echo token", seen.display());
    let config = json!({"cloud_sync": {
        "api_url": "https://127.0.0.1:9", "credential_command": ["/bin/sh", "-c", script],
    }});
    fs::write(home.path().join("config.json"), config.to_string()).expect("the configuration");
    let daemon = Daemon::start_with(home, |mut command| {
        command.env("NOTIFY_SOCKET", "/nowhere/of/a/manager").env("KEPT", "as it is");
        command
    });
    until("the command was run", || seen.exists());
    let seen = fs::read_to_string(&seen).expect("its environment");
    assert!(seen.contains("KEPT=as it is"), "{seen}");
    assert!(!seen.contains("NOTIFY_SOCKET"), "{seen}");
    drop(daemon);
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_the_daemon_is_not_dumped() {
    use std::os::unix::process::ExitStatusExt;

    // Who ends itself like this leaves a core file, if the system writes any.
    let aborts = "ulimit -c unlimited && kill -ABRT $$";
    let scratch = Home::new();
    let dumped = |script: &str, daemon: Option<&Home>| {
        let mut command = Command::new("/bin/sh");
        command.current_dir(scratch.path()).args(["-c", script]);
        let Some(home) = daemon else { return command.status().expect("a shell").core_dumped() };
        // It may write nowhere else, core files neither.
        command.current_dir(home.path().join("state"));
        let mut child = home.spawn(command);
        until("it answers", || raw::try_get(home.socket(), "/v1/ready").is_some());
        let told = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().expect("kill");
        assert!(told.success());
        child.wait().expect("its end").core_dumped()
    };
    if !dumped(aborts, None) {
        eprintln!("skipped: this system writes no core files");
        return;
    }
    let daemon = |variable: &str| {
        let program = env!("CARGO_BIN_EXE_coditect-syncd");
        format!("ulimit -c unlimited && {variable} exec {program} --dev --root {}", scratch.path().display())
    };
    assert!(!dumped(&daemon(""), Some(&Home::new())));
    assert!(dumped(&daemon("CODITECT_SYNC_DUMPABLE=1"), Some(&Home::new())));
}
