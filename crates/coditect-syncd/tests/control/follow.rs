//! The stream of events, as a program that follows it meets it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use sync_wire::{Call, Client, EventStream, EventsQuery, Heard};

use crate::daemon::{Daemon, PATIENCE, until};
use crate::raw::{Reply, exchange, get, post, request};

/// A number from a clock that was ahead.
const FUTURE: i64 = 1 << 50;

#[test]
fn what_happens_is_told_in_order_and_told_again_from_any_number_on() {
    let daemon = Daemon::start();
    let mut stream = follow(&daemon, Some(0), true);
    register(&daemon, "one");
    register(&daemon, "two");
    let mut seen = Vec::new();
    until("both are told", || {
        seen.extend(heard(&mut stream));
        seen.iter().filter(|(_, kind, _)| kind == "registration.queued").count() == 2
    });
    let numbers: Vec<i64> = seen.iter().map(|(number, ..)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(stream.last_id(), numbers.last().copied());
    assert_ne!(seen[0].1, "gap", "who asks for all that is kept has missed nothing");

    let middle = numbers[1];
    let again: Vec<_> = all(&mut follow(&daemon, Some(middle), false));
    let expected: Vec<_> = seen.iter().filter(|(number, ..)| *number > middle).cloned().collect();
    assert_eq!(again[..expected.len()], expected);

    // The header of those who come back counts more than the query.
    let last = numbers.last().copied().unwrap_or_default();
    let resumed = format!(
        "GET /v1/events?since=0&follow=false HTTP/1.1\r\nLast-Event-ID: {last}\r\nconnection: close\r\n\r\n"
    );
    let reply = Reply::read(&exchange(daemon.socket(), resumed.as_bytes()));
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    assert!(!text.contains(&format!("id: {middle}\n")) && text.contains(&format!("id: {last}\n")), "{text}");
}

#[test]
fn without_a_number_only_what_happens_next_is_told() {
    let daemon = Daemon::start();
    register(&daemon, "before");
    until("it is written down", || !all(&mut follow(&daemon, Some(0), false)).is_empty());
    let mut stream = follow(&daemon, None, true);
    let mut seen = Vec::new();
    until("the number to go on after is known, though nothing happened yet", || {
        seen.extend(heard(&mut stream));
        stream.last_id().is_some_and(|last| last > 0)
    });
    assert_eq!(post(daemon.socket(), "/v1/pause", "").status, 200);
    until("the pause is told", || {
        seen.extend(heard(&mut stream));
        seen.iter().any(|(_, kind, _)| kind == "sending.paused")
    });
    assert!(seen.iter().all(|(_, _, message)| !message.contains("before")), "{seen:?}");
}

#[test]
fn events_that_are_no_longer_kept_are_a_gap_and_not_silence() {
    let mut daemon = Daemon::start();
    for name in ["a", "b", "c"] {
        register(&daemon, name);
    }
    daemon.terminate();
    assert_eq!(daemon.wait(), Some(0));
    let home = daemon.into_home();
    let oldest = forget_all_but(&home.path().join("state/sync.db"), 2);
    let daemon = Daemon::start_in(home);

    let kept = all(&mut follow(&daemon, Some(1), false));
    assert_eq!((kept[0].0, &*kept[0].1), (oldest - 1, "gap"), "{kept:?}");
    assert!(kept[0].2.contains(&format!("events 2 to {} are no longer kept", oldest - 1)), "{kept:?}");
    assert_eq!(kept[1].0, oldest);
    // Who goes on after the gap's number misses nothing more.
    assert_eq!(all(&mut follow(&daemon, Some(oldest - 1), false))[0].0, oldest);

    let replaced = all(&mut follow(&daemon, Some(FUTURE), false));
    assert!(replaced[0].1 == "gap" && replaced[0].2.contains("begin anew"), "{replaced:?}");
    assert_eq!(replaced[1].0, oldest, "all that is kept follows: {replaced:?}");
    let reply = get(daemon.socket(), &format!("/v1/events?since={FUTURE}&follow=false"));
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    // No number before the gap: who is cut off between the two would never hear why the numbers begin anew.
    assert!(text.contains("retry: 2000\n\nid: 0\nevent: gap\n"), "{text}");
}

#[test]
fn a_stream_ends_with_the_daemon_and_is_said_to_end() {
    let mut daemon = Daemon::start();
    let mut stream = follow(&daemon, Some(0), true);
    daemon.terminate();
    let mut last = Heard::Nothing;
    until("it ends", || {
        last = stream.next(Duration::from_millis(100)).expect("a proper end");
        last == Heard::End
    });
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn listeners_leave_room_for_questions_and_one_too_many_is_told_so() {
    let daemon = Daemon::start();
    let mut listeners: Vec<EventStream> = (0..64).map(|_| follow(&daemon, Some(0), true)).collect();
    let refused = get(daemon.socket(), "/v1/events");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("conflict")));
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);
    // None of them takes anything, and what they would take does not pile up.
    for number in 0..50 {
        register(&daemon, &format!("p{number}"));
    }
    until("the last one hears of it", || !heard(&mut listeners[63]).is_empty());
}

#[test]
fn listeners_that_have_gone_leave_their_places_before_a_heartbeat_finds_it_out() {
    let daemon = Daemon::start();
    let mut witness = UnixStream::connect(daemon.socket()).expect("a connection");
    witness.write_all(b"GET /v1/events HTTP/1.1\r\n\r\n").expect("a request");
    let mut heard = [0; 4096];
    let mut length = witness.read(&mut heard).expect("an answer");
    witness.set_nonblocking(true).expect("it does not wait");
    let listeners: Vec<EventStream> = (0..63).map(|_| follow(&daemon, None, true)).collect();
    drop(listeners);
    until("there is room again", || {
        crate::raw::try_get(daemon.socket(), "/v1/events?follow=false").is_some_and(|r| r.status == 200)
    });
    length += witness.read(&mut heard[length..]).unwrap_or(0);
    let heard = String::from_utf8_lossy(&heard[..length]);
    assert!(heard.starts_with("HTTP/1.1 200") && !heard.contains("still there"), "{heard}");
}

#[test]
fn who_follows_and_does_not_read_holds_up_no_end_of_the_daemon() {
    let mut daemon = Daemon::start();
    let below = daemon.home.path().canonicalize().expect("a home").join("projects").join("x".repeat(200));
    let projects: Vec<_> = (0..300)
        .map(|number| {
            let root = below.join("y".repeat(200)).join(number.to_string());
            fs::create_dir_all(&root).expect("a folder");
            json!({"root_path": root, "project_name": "a"})
        })
        .collect();
    let reply = post(daemon.socket(), "/v1/projects/sync", &json!({"projects": projects}).to_string());
    assert_eq!(reply.status, 200);
    let mut reader = UnixStream::connect(daemon.socket()).expect("a connection");
    reader.write_all(b"GET /v1/events?since=0 HTTP/1.1\r\n\r\n").expect("a request");
    until("it is written to, more than there is room for", || {
        rustix::io::ioctl_fionread(&reader).expect("how much waits") > 60_000
    });
    daemon.terminate();
    assert_eq!(daemon.wait(), Some(0));
    assert!(!daemon.log().contains("grace"), "it waited for its grace to end");
}

#[test]
fn what_cannot_be_a_number_is_refused() {
    let daemon = Daemon::start();
    for (query, header, words) in [
        ("?since=-1", "", "not a whole number"),
        ("?since=x", "", "not a whole number"),
        ("?follow=maybe", "", "`true` or `false`"),
        ("?from=1", "", "unknown name `from`"),
        ("", "Last-Event-ID: abc\r\n", "the header `last-event-id` is `abc`"),
        ("", "Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n", "twice"),
    ] {
        let bytes = format!("GET /v1/events{query} HTTP/1.1\r\n{header}connection: close\r\n\r\n");
        let reply = Reply::read(&exchange(daemon.socket(), bytes.as_bytes()));
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(reply.status == 400 && detail.contains(words), "{query}{header}: {detail}");
    }
}

fn follow(daemon: &Daemon, since: Option<i64>, follow: bool) -> EventStream {
    let client = Client::new(daemon.socket(), PATIENCE);
    client.follow(&Call::events(EventsQuery { since, follow })).expect("a stream")
}

/// What is heard within a moment: numbers, kinds, messages.
fn heard(stream: &mut EventStream) -> Vec<(i64, String, String)> {
    let mut heard = Vec::new();
    while let Heard::Event { event, json } = stream.next(Duration::from_millis(50)).expect("a stream") {
        assert!(json.starts_with('{') && !json.contains('\n'), "{json}");
        heard.push((event.id, event.kind, event.message));
    }
    heard
}

/// All that is said until the end.
fn all(stream: &mut EventStream) -> Vec<(i64, String, String)> {
    let mut all = Vec::new();
    loop {
        match stream.next(PATIENCE).expect("a stream") {
            Heard::Event { event, .. } => all.push((event.id, event.kind, event.message)),
            Heard::End => return all,
            Heard::Nothing => assert!(all.is_empty(), "it neither ends nor goes on"),
        }
    }
}

fn register(daemon: &Daemon, name: &str) {
    let root = daemon.home.path().canonicalize().expect("a home").join("projects").join(name);
    fs::create_dir_all(&root).expect("a directory");
    let body = json!({"root_path": root, "project_name": name}).to_string();
    let reply = Reply::read(&exchange(daemon.socket(), &request("POST", "/v1/projects", &body)));
    assert_eq!(reply.status, 202, "{}", reply.json());
}

/// Makes a database forget all events but the newest.
/// The number of the oldest event that is left.
fn forget_all_but(database: &std::path::Path, keep: u32) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let limits = sync_store::Limits { max_items: 1_000 };
        let opened =
            sync_store::Store::open(database, limits, sync_core::Timestamp(0), uuid::Uuid::nil()).await;
        let store = opened.expect("the store").store;
        store.event().trim(keep, 1_000).await.expect("it forgets");
        let latest = store.event().latest().await.expect("a number");
        store.close().await.expect("a clean end");
        latest + 1 - i64::from(keep)
    })
}
