//! How much a client may take: bytes, time and connections.

use std::time::Duration;

/// Most connections at a time; one more is told so and closed.
pub(super) const CONNECTIONS: usize = 256;
/// Most clients at a time that follow the events; the others are for questions.
pub(super) const LISTENERS: usize = 64;
/// Most events that are read for a client at a time.
pub(super) const EVENTS: u32 = 64;
/// How long a client that lost the stream of events rests before it comes back.
pub(super) const RECONNECT: Duration = Duration::from_secs(2);
/// Most clients at a time that are told why they are not served; any more are just closed on.
pub(super) const TURNED_AWAY: usize = 64;
/// Largest head of a request, in bytes.
pub(super) const HEAD: usize = 16 * 1024;
/// Most header fields of a request.
pub(super) const HEADER_FIELDS: usize = 100;
/// Longest time until a request's head is complete, and that a connection may lie idle.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(5);
/// Largest body of a request, in bytes.
pub(super) const BODY: usize = 8 * 1024 * 1024;
/// Longest time until a request's body is complete.
pub(super) const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest time that a client may take nothing of an answer that is written to it.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(30);
/// Longest time that is spent on throwing away what a refused client still sends.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(1);
/// Longest `wait_ms`.
pub(super) const WAIT: Duration = Duration::from_mins(10);
/// `wait_ms` of a resolve that names none.
pub(super) const RESOLVE_WAIT: Duration = Duration::from_millis(1_500);
/// Largest `limit` of a page.
pub(super) const PAGE: u32 = 1_000;
/// `limit` of a page that names none.
pub(super) const PAGE_BY_DEFAULT: u32 = 100;
/// First and longest pause after a connection could not be accepted.
pub(super) const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// First and longest pause after the socket could not be bound anew.
pub(super) const BIND_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
