//! What happens, as server-sent events: what is kept of it first, then everything as it comes.
//!
//! A listener pulls: the next page is read when the last one was taken, so a slow one costs nothing but its place, and one
//! that has gone not even that. The only thing that wakes for it is its own heartbeat. What cannot be read cuts the stream off,
//! and a listener sees that it has no end.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use sync_core::Timestamp;
use sync_wire::events::{GAP, HEARTBEAT};
use sync_wire::{Event, Missed, Problem, ProblemCode};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::convert;
use super::limits;
use super::read::with_status;
use super::reply::{Body, Pieces, Reply};
use super::route::Question;
use crate::engine::Engine;
use crate::engine::api::{Happening, Refusal};

/// The media type of the stream.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";
/// The header in which a listener that comes back names the last event it has.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// `GET /v1/events`.
pub(super) async fn follow(question: Question) -> Result<Reply, Box<Problem>> {
    let permit = Arc::clone(&question.listeners).try_acquire_owned().map_err(|_none_left| {
        let detail = format!(
            "{} clients follow the events already, which is the most there can be",
            limits::LISTENERS
        );
        let problem = Problem::new(ProblemCode::Conflict, detail)
            .with_hint("close connections that are no longer used, or try again in a few seconds");
        with_status(StatusCode::SERVICE_UNAVAILABLE, Box::new(problem))
    })?;
    // Subscribed before anything is read, so that nothing happens unheard in between.
    let progress = question.engine.progress();
    let last = question.engine.last_happening().await?;
    let since = question.headers.number(LAST_EVENT_ID).or_else(|| question.query.number("since"));
    let since = since.map(|since| i64::try_from(since).unwrap_or(i64::MAX));
    let mut replaced = String::new();
    let after = match since {
        Some(since) if since > last => {
            // The database was replaced since, and the numbers began anew. No number is told before that is: who is cut off
            // between the two would go on after it, and never hear why.
            replaced = written(&gap(question.engine.moment(), 0, None));
            0
        }
        Some(since) => since,
        None => last,
    };
    // The number alone tells a listener that has heard nothing yet where to go on.
    let id = if replaced.is_empty() { format!("id: {after}\n") } else { String::new() };
    let begun = format!("retry: {}\n{id}\n{replaced}", limits::RECONNECT.as_millis());
    let peer = question.peer;
    let listener = Listener {
        story: question.engine,
        stop: question.stop,
        gone: async move { peer.gone().await }.boxed(),
        progress,
        after,
        begun: Some(begun),
        follow: !question.query.is_unset("follow"),
        _permit: permit,
    };
    Ok(Reply::stream(MEDIA_TYPE, pieces(listener)))
}

/// What a listener is told, until its end.
fn pieces(listener: Listener<impl Story>) -> Pieces {
    Box::pin(stream::try_unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Ok(piece.map(|piece| (Frame::data(piece.into()), listener)))
    }))
}

/// Where it is read what happened.
trait Story: Send + Sync + 'static {
    /// What happened after number `after`, oldest first, at most `limit`.
    fn since(&self, after: i64, limit: u32) -> impl Future<Output = Result<Vec<Happening>, Refusal>> + Send;

    /// The present moment.
    fn moment(&self) -> Timestamp;
}

impl Story for Engine {
    fn since(&self, after: i64, limit: u32) -> impl Future<Output = Result<Vec<Happening>, Refusal>> + Send {
        self.happened_since(after, limit)
    }

    fn moment(&self) -> Timestamp {
        self.moment()
    }
}

/// Whether an answer is a stream of events.
pub(super) fn is_followed(response: &Response<Body>) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|found| found == MEDIA_TYPE)
}

/// Somebody who follows.
struct Listener<S> {
    story: S,
    stop: CancellationToken,
    gone: BoxFuture<'static, ()>,
    progress: watch::Receiver<u64>,
    /// The last number that was sent.
    after: i64,
    /// What is sent before all else.
    begun: Option<String>,
    /// Whether to wait for more.
    follow: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S: Story> Listener<S> {
    /// The next piece of the stream; nothing at its end.
    async fn next(&mut self) -> io::Result<Option<String>> {
        if let Some(begun) = self.begun.take() {
            return Ok(Some(begun));
        }
        loop {
            self.progress.mark_unchanged();
            let found = self.story.since(self.after, limits::EVENTS).await.map_err(|refusal| {
                debug!(reason = refusal.message, "a stream of events is cut off");
                io::Error::other(refusal.message)
            })?;
            if let (Some(first), Some(last)) = (found.first(), found.last()) {
                let mut piece = String::new();
                // Nobody has the number zero: it asks for what is kept.
                if self.after > 0 && first.number > self.after.saturating_add(1) {
                    let missed = Missed { first: self.after.saturating_add(1), last: first.number - 1 };
                    piece.push_str(&written(&gap(self.story.moment(), missed.last, Some(missed))));
                }
                self.after = last.number;
                piece.extend(found.into_iter().map(|event| written(&convert::event(event))));
                return Ok(Some(piece));
            }
            if !self.follow {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                () = &mut self.gone => return Ok(None),
                changed = self.progress.changed() => if changed.is_err() {
                    return Ok(None);
                },
                () = tokio::time::sleep(HEARTBEAT) => return Ok(Some(": still there\n\n".to_owned())),
            }
        }
    }
}

/// Says that events are missing before the next one. Its number is that of the last one missed, so that who goes on
/// after it goes on rightly.
fn gap(at: Timestamp, id: i64, missed: Option<Missed>) -> Event {
    let message = match missed {
        Some(Missed { first, last }) if first == last => format!("event {first} is no longer kept"),
        Some(Missed { first, last }) => format!("events {first} to {last} are no longer kept"),
        None => "the numbers of events begin anew: the database was replaced".to_owned(),
    };
    Event { id, at: at.to_rfc3339(), kind: GAP.to_owned(), local_project_uuid: None, message, missed }
}

/// An event as it goes over the socket.
fn written(event: &Event) -> String {
    // Invariant: an event holds texts and numbers only, which can always be written; JSON is one line.
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.kind)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// Two events, after which nothing can be read.
    struct Broken;

    impl Story for Broken {
        async fn since(&self, after: i64, _limit: u32) -> Result<Vec<Happening>, Refusal> {
            if after > 0 {
                let message = "the disk is gone".to_owned();
                return Err(Refusal { code: ProblemCode::Internal, message, hint: None, entry: None });
            }
            let happened = |number| Happening {
                number,
                at: Timestamp(0),
                kind: "project.added".to_owned(),
                local: None,
                message: "`/a`".to_owned(),
            };
            Ok([1, 2].map(happened).to_vec())
        }

        fn moment(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_cuts_the_stream_off_and_does_not_end_it() {
        for follow in [false, true] {
            let places = Arc::new(Semaphore::new(1));
            let listener = Listener {
                story: Broken,
                stop: CancellationToken::new(),
                gone: std::future::pending().boxed(),
                progress: watch::channel(0).1,
                after: 0,
                begun: None,
                follow,
                _permit: places.try_acquire_owned().expect("a place"),
            };
            let told: Vec<_> = pieces(listener).collect().await;
            let told: Vec<_> = told.iter().map(|piece| piece.as_ref().map_err(ToString::to_string)).collect();
            assert!(matches!(told[..], [Ok(_), Err(_)]), "{told:?}");
            assert_eq!(told[1].as_ref().err().map(String::as_str), Some("the disk is gone"));
        }
    }

    #[test]
    fn an_event_is_one_block_whatever_is_in_it() {
        let event = Event {
            id: 7,
            at: "1970-01-01T00:00:00Z".to_owned(),
            kind: "project.added".to_owned(),
            local_project_uuid: None,
            message: "a\n\ndata: b".to_owned(),
            missed: None,
        };
        assert_eq!(
            written(&event),
            "id: 7\nevent: project.added\ndata: {\"id\":7,\"at\":\"1970-01-01T00:00:00Z\",\
             \"kind\":\"project.added\",\"local_project_uuid\":null,\"message\":\"a\\n\\ndata: b\"}\n\n"
        );
    }
}
