//! What somebody hears who comes back to the daemon's events, however the stream before was cut.
//!
//! Lines, each a word and what it is about: `since TEXT` and `last TEXT` ask for what is known after this number, in the
//! query and in the header; `cut N` ends the last answer after so many bytes, for a program that then goes on after the
//! last number it has; `happens` makes something happen. The daemon has a story of two pages already, whose beginning is
//! no longer kept.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_core::{Scope, Tenant, Timestamp};
use sync_store::{Limits, Store, Wish};
use sync_wire::events::GAP;
use sync_wire::{Call, Client, ClientError, Event, EventStream, EventsQuery, Heard, Missed, PauseRequest};
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::client::{Other, now};
use crate::daemon::{Daemon, PATIENCE};
use crate::salvage::wish;

struct World {
    daemon: Daemon,
    client: Client,
    /// Who says the daemon's words again, and stops where it is told.
    other: Other,
    /// The highest number that was seen.
    known: i64,
    happened: u32,
}

/// An answer, as it came and as it was read.
struct Told {
    asked: i64,
    raw: Vec<u8>,
    events: Vec<(Event, String)>,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));

/// How many events there are to begin with, and how many of them are kept.
const HAPPENED: u32 = 300;
const KEPT: u32 = 280;
const MOST_LINES: usize = 24;
/// What happens makes every later answer longer.
const MOST_HAPPENS: u32 = 200;
const LONGEST_NUMBER: usize = 64;
/// So often one wait is interrupted, at most.
const MOST_ALARMS: u32 = 5;
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn run(data: &[u8]) {
    let mut world = WORLD.lock().expect("one target runs at a time");
    let mut told = None;
    let begun = now();
    for line in data.split(|byte| *byte == b'\n').take(MOST_LINES) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (what, rest) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        match what {
            b"since" => told = world.ask(Some(rest), None),
            // What ends a line or a text there is for the target of requests.
            b"last" if !rest.iter().any(|byte| matches!(byte, b'\r' | 0)) => {
                told = world.ask(None, Some(rest));
            }
            b"cut" => {
                let number = std::str::from_utf8(rest).ok().and_then(|text| text.parse::<usize>().ok());
                if let (Some(told), Some(at)) = (&told, number) {
                    world.cut(told, at % (told.raw.len() + 1));
                }
            }
            b"happens" => world.happens(),
            _ => {}
        }
    }
    assert!(begun.elapsed() < LONG, "{} bytes took {:?}", data.len(), begun.elapsed());
}

impl World {
    fn new() -> Self {
        let daemon = Daemon::start(tell);
        let client = Client::new(&daemon.socket, PATIENCE);
        Self { daemon, client, other: Other::new(), known: HAPPENED.into(), happened: 0 }
    }

    /// Asks as anybody may; an answer is right in itself.
    fn ask(&mut self, since: Option<&[u8]>, last: Option<&[u8]>) -> Option<Told> {
        let mut words = b"GET /v1/events?follow=false".to_vec();
        if let Some(value) = since {
            words.extend_from_slice(b"&since=");
            words.extend_from_slice(encoded(shortened(value)).as_bytes());
        }
        words.extend_from_slice(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        if let Some(value) = last {
            words.extend_from_slice(b"last-event-id: ");
            words.extend_from_slice(shortened(value));
            words.extend_from_slice(b"\r\n");
        }
        words.extend_from_slice(b"\r\n");
        let raw = self.daemon.exchange(&words, PATIENCE).expect("the daemon can be spoken to");
        if since.is_none() && last.is_some_and(|value| trimmed(value).is_empty()) {
            // A header without a number is none, and only what happens from then on is told.
            assert!(raw.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&raw));
            return None;
        }
        let asked = asked(since, last);
        if !raw.starts_with(b"HTTP/1.1 200") {
            assert!(
                raw.starts_with(b"HTTP/1.1 400") && asked.is_none(),
                "{asked:?} was answered {}",
                String::from_utf8_lossy(&raw)
            );
            return None;
        }
        let asked = asked.unwrap_or_else(|| panic!("answered: {}", words.escape_ascii()));
        self.other.words.set(&raw);
        let (events, _last) = all(&self.other.client, None);
        let reached = whole(asked, self.known, &events);
        assert!(reached >= self.known, "{} was reached and not {}", reached, self.known);
        self.known = reached;
        Some(Told { asked, raw, events })
    }

    /// Who is cut off and goes on after the last number it has, hears all of it, once.
    fn cut(&self, told: &Told, at: usize) {
        self.other.words.set(&told.raw[..at]);
        let (mut heard, last) = all(&self.other.client, None);
        let (rest, _last) = all(&self.client, Some(last.unwrap_or(told.asked)));
        heard.extend(rest);
        let missing = told.events.iter().zip(&heard).find(|(expected, got)| !is_same(expected, got));
        assert!(
            heard.len() >= told.events.len() && missing.is_none(),
            "cut after {at} bytes, gone on after {last:?}: {missing:?}"
        );
    }

    fn happens(&mut self) {
        if self.happened >= MOST_HAPPENS {
            return;
        }
        self.happened += 1;
        let call =
            if self.happened % 2 == 1 { Call::pause(&PauseRequest::default()) } else { Call::resume() };
        let answer = self.client.send(&call).and_then(sync_wire::Response::or_problem);
        assert!(answer.is_ok(), "{answer:?}");
    }
}

/// What is missing is told anew to everybody, and is dated then.
fn is_same(one: &(Event, String), other: &(Event, String)) -> bool {
    if one.0.kind == GAP {
        Event { at: other.0.at.clone(), ..one.0.clone() } == other.0
    } else {
        one == other
    }
}

/// A story before the daemon is started.
fn tell(state: &Path) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        let file = state.join("sync.db");
        let opened = Store::open(&file, Limits { max_items: 1_000 }, Timestamp(0), Uuid::from_u128(1));
        let store = opened.await.expect("a new database can be made").store;
        let scope = Scope { origin: "https://cloud.example".to_owned(), tenant: Tenant::Opaque };
        let scope = store.scope().ensure(&scope).await.expect("a scope can be made");
        let wishes = (1..=HAPPENED.into()).map(told_of).collect();
        store.outbox().enqueue(scope, wishes, Timestamp(0)).await.expect("there is room");
        store.event().trim(KEPT, u32::MAX).await.expect("it can be written");
        assert_eq!(store.event().latest().await.expect("it can be read"), i64::from(HAPPENED));
        store.close().await.expect("it can be closed");
    });
}

/// A project whose name and place would end a line of the stream, if they were not written otherwise.
fn told_of(number: u128) -> Wish {
    wish(number, format!("a\r\n\r\ndata: {number}"), format!("/nonexistent/{number}\n\nid: 7"))
}

/// All that a stream says until it ends or is cut, and the number to go on after.
fn all(client: &Client, since: Option<i64>) -> (Vec<(Event, String)>, Option<i64>) {
    let mut events = Vec::new();
    let Some(mut stream) = followed(client, since) else { return (events, None) };
    while let Some((event, json)) = next(&mut stream) {
        events.push((event, json));
        let last = events.last().map(|(event, _)| event.id);
        assert_eq!(stream.last_id(), last, "the number to go on after is that of what was taken");
    }
    (events, stream.last_id())
}

/// A stream, unless what is said has no whole head. libFuzzer's alarm interrupts a wait, which then is begun anew.
fn followed(client: &Client, since: Option<i64>) -> Option<EventStream> {
    let call = Call::events(EventsQuery { since, follow: false });
    for _ in 0..MOST_ALARMS {
        match client.follow(&call) {
            Ok(stream) => return Some(stream),
            Err(ClientError::Failed { source, .. }) if source.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    panic!("nobody can be listened to");
}

fn next(stream: &mut EventStream) -> Option<(Event, String)> {
    for _ in 0..MOST_ALARMS {
        match stream.next(PATIENCE) {
            Ok(Heard::Event { event, json }) => return Some((event, json)),
            Ok(Heard::Nothing) => {}
            Ok(Heard::End) | Err(_) => return None,
        }
    }
    panic!("the daemon is silent");
}

/// Holds an answer to its promise: every number after the one asked for, in order, or an event that says which are
/// missing. Returns the last one.
fn whole(asked: i64, known: i64, events: &[(Event, String)]) -> i64 {
    let mut after = asked;
    for (event, json) in events {
        assert!(!json.contains(['\n', '\r']), "an event is on one line");
        match (event.kind == GAP, event.missed) {
            (true, None) => {
                assert!(after == asked && asked > known && event.id == 0, "{event:?} after {after}");
            }
            (true, Some(Missed { first, last })) => {
                assert!(
                    first == after.saturating_add(1) && last >= first && event.id == last,
                    "{event:?} after {after}"
                );
            }
            (false, missed) => {
                // Zero is nobody's number: it asks for what is kept.
                let is_next = event.id == after + 1 || (after == 0 && event.id > 0);
                assert!(is_next && missed.is_none(), "{event:?} after {after}");
            }
        }
        after = event.id;
    }
    after
}

/// The number that is asked for; the header counts more.
fn asked(since: Option<&[u8]>, last: Option<&[u8]>) -> Option<i64> {
    let value = last.map_or_else(|| since.map(shortened).unwrap_or_default(), trimmed);
    let number: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    i64::try_from(number).ok()
}

fn shortened(value: &[u8]) -> &[u8] {
    &value[..value.len().min(LONGEST_NUMBER)]
}

/// A header's value is without blanks around it.
fn trimmed(value: &[u8]) -> &[u8] {
    let value = shortened(value);
    let is_word = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_word).unwrap_or(value.len());
    let end = value.iter().rposition(is_word).map_or(start, |last| last + 1);
    &value[start..end]
}

fn encoded(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").expect("a text takes what is written");
        text
    })
}
