//! What happens, as server-sent events: what is kept of it first, then everything as it comes.
//!
//! A listener pulls: the next page is read when the last one was taken, so a slow one costs nothing but its place, and one
//! that has gone not even that. The only thing that wakes for it is its own heartbeat.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, stream};
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use sync_wire::events::{GAP, HEARTBEAT};
use sync_wire::{Event, Missed, Problem, ProblemCode};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::convert;
use super::limits;
use super::read::with_status;
use super::reply::{Body, Reply};
use super::route::Question;
use crate::engine::Engine;

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
            replaced = written(&gap(&question.engine, 0, None));
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
        engine: question.engine,
        stop: question.stop,
        gone: async move { peer.gone().await }.boxed(),
        progress,
        after,
        begun: Some(begun),
        follow: !question.query.is_unset("follow"),
        _permit: permit,
    };
    let pieces = stream::unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Some((Ok(Frame::data(piece.into())), listener))
    });
    Ok(Reply::stream(MEDIA_TYPE, Box::pin(pieces)))
}

/// Whether an answer is a stream of events.
pub(super) fn is_followed(response: &Response<Body>) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|found| found == MEDIA_TYPE)
}

/// Somebody who follows.
struct Listener {
    engine: Engine,
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

impl Listener {
    /// The next piece of the stream; nothing at its end.
    async fn next(&mut self) -> Option<String> {
        if let Some(begun) = self.begun.take() {
            return Some(begun);
        }
        loop {
            self.progress.mark_unchanged();
            let found = match self.engine.happened_since(self.after, limits::EVENTS).await {
                Ok(found) => found,
                Err(refusal) => {
                    debug!(reason = refusal.message, "a stream of events ends");
                    return None;
                }
            };
            if let (Some(first), Some(last)) = (found.first(), found.last()) {
                let mut piece = String::new();
                if first.number > self.after.saturating_add(1) {
                    let missed = Missed { first: self.after.saturating_add(1), last: first.number - 1 };
                    piece.push_str(&written(&gap(&self.engine, missed.last, Some(missed))));
                }
                self.after = last.number;
                piece.extend(found.into_iter().map(|event| written(&convert::event(event))));
                return Some(piece);
            }
            if !self.follow {
                return None;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = &mut self.gone => return None,
                changed = self.progress.changed() => changed.ok()?,
                () = tokio::time::sleep(HEARTBEAT) => return Some(": still there\n\n".to_owned()),
            }
        }
    }
}

/// Says that events are missing before the next one. Its number is that of the last one missed, so that who goes on
/// after it goes on rightly.
fn gap(engine: &Engine, id: i64, missed: Option<Missed>) -> Event {
    let message = match missed {
        Some(Missed { first, last }) if first == last => format!("event {first} is no longer kept"),
        Some(Missed { first, last }) => format!("events {first} to {last} are no longer kept"),
        None => "the numbers of events begin anew: the database was replaced".to_owned(),
    };
    Event {
        id,
        at: engine.moment().to_rfc3339(),
        kind: GAP.to_owned(),
        local_project_uuid: None,
        message,
        missed,
    }
}

/// An event as it goes over the socket.
fn written(event: &Event) -> String {
    // Invariant: an event holds texts and numbers only, which can always be written; JSON is one line.
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {json}\n\n", event.id, event.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

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
