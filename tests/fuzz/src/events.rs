//! What a program makes of a stream of events.
//!
//! The input is what comes after an answer's head, with `chunked` or without: as its first byte is odd or even.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_wire::{Call, EventsQuery, Heard};

use crate::client::{LONG, Other, now};

static OTHER: LazyLock<Mutex<Other>> = LazyLock::new(|| Mutex::new(Other::new()));

const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

pub(crate) fn run(data: &[u8]) {
    let Some((how, said)) = data.split_first() else { return };
    let other = OTHER.lock().expect("one target runs at a time");
    let head = if how % 2 == 1 { CHUNKED } else { PLAIN };
    other.words.set(&[head, said].concat());
    let begun = now();
    let call = Call::events(EventsQuery { since: None, follow: true });
    let Ok(mut stream) = other.client.follow(&call) else { return };
    let mut events = 0_usize;
    while let Ok(Heard::Event { json, .. }) = stream.next(Duration::from_secs(2)) {
        events += 1;
        assert!(!json.contains('\n'), "an event is on one line");
        assert!(events <= said.len(), "more events than bytes");
    }
    // Where to go on from is known whatever was said.
    let _last = stream.last_id();
    assert!(begun.elapsed() < LONG, "a stream of {} bytes took {:?}", said.len(), begun.elapsed());
}
