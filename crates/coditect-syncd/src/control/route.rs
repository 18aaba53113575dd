//! What a route is, and how a request finds its own.
//!
//! The server follows the [table](super::table), and the OpenAPI document is made from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use schemars::{Schema, SchemaGenerator};
use sync_wire::{Problem, ProblemCode};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::peer::Peer;
use super::read::{Kind, Query, Value};
use super::reply::Reply;
use super::table::ROUTES;
use crate::engine::{Engine, Patience};

/// A request that was understood, and whom to ask.
pub(super) struct Question {
    /// Whom to ask.
    pub(super) engine: Engine,
    /// The daemon's version.
    pub(super) version: &'static str,
    /// Who asks.
    pub(super) peer: Peer,
    /// Whether the daemon stops.
    pub(super) stop: CancellationToken,
    /// Places for those who follow the events.
    pub(super) listeners: Arc<Semaphore>,
    /// The part of the path that is a parameter.
    pub(super) segment: Option<Value>,
    /// The query.
    pub(super) query: Query,
    /// The headers that are parameters.
    pub(super) headers: Query,
    /// The body, as it came.
    pub(super) body: Bytes,
}

impl Question {
    /// Waits for an answer as long as somebody is there to hear it. Only for questions: what else was asked is done also for
    /// those who have gone.
    pub(super) async fn while_asked<T>(
        &self,
        answer: impl Future<Output = Result<T, crate::engine::api::Refusal>>,
    ) -> Result<T, Box<Problem>> {
        tokio::select! {
            biased;
            answer = self.unless_stopped(answer) => answer,
            () = self.peer.gone() => {
                let detail = "who asked has gone, so this is no longer waited for";
                Err(Box::new(Problem::new(ProblemCode::BadRequest, detail)))
            }
        }
    }

    /// For how long what was asked is waited for, of so long: only while somebody is there to hear of it.
    pub(super) fn patience(&self, wait: Duration) -> Patience {
        let peer = self.peer.clone();
        Patience::new(wait, async move { peer.gone().await })
    }

    /// Waits for an answer, but not when the daemon stops. Only for questions: what writes is not to be cut short.
    pub(super) async fn unless_stopped<T>(
        &self,
        answer: impl Future<Output = Result<T, crate::engine::api::Refusal>>,
    ) -> Result<T, Box<Problem>> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(Into::into),
            () = self.stop.cancelled() => {
                let detail = "the daemon stops, so this is no longer waited for";
                Err(Box::new(Problem::new(ProblemCode::ShuttingDown, detail)))
            }
        }
    }
}

/// A way to ask, and what comes of it.
pub(super) struct Route {
    /// The method; a route that takes `GET` takes `HEAD` as well.
    pub(super) method: &'static str,
    /// The path. A part in braces is the parameter.
    pub(super) path: &'static str,
    /// Its name in the OpenAPI document and in the log.
    pub(super) operation: &'static str,
    /// What it is for.
    pub(super) summary: &'static str,
    /// What the part in braces is.
    pub(super) segment: Option<Parameter>,
    /// What the query can hold.
    pub(super) query: &'static [Parameter],
    /// Which of these it cannot do without.
    pub(super) needs: &'static [&'static str],
    /// Which headers are looked at.
    pub(super) headers: &'static [Parameter],
    /// What the body is.
    pub(super) body: Option<Document>,
    /// What is answered when it went well.
    pub(super) answers: &'static [Answer],
    /// What is answered when it did not, beside [`EVERYWHERE`] and [`WITH_A_BODY`].
    pub(super) problems: &'static [ProblemCode],
    /// Its handler.
    pub(super) call: fn(Question) -> BoxFuture<'static, Result<Reply, Box<Problem>>>,
}

/// A parameter of a path, a query or a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What it can be.
    pub(super) kind: Kind,
    /// What it means.
    pub(super) description: &'static str,
}

/// The body of a request.
pub(super) struct Document {
    /// Whether it may not be left out.
    pub(super) required: bool,
    /// Its type.
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// An answer that is no problem.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// When it is given.
    pub(super) description: &'static str,
    /// What it holds.
    pub(super) content: Content,
}

/// What an answer holds.
pub(super) enum Content {
    /// Nothing.
    Nothing,
    /// A JSON document of this type.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Text of this media type.
    Text(&'static str),
    /// Text of this media type, in pieces that hold documents of this type.
    Stream(&'static str, fn(&mut SchemaGenerator) -> Schema),
}

/// The problems any route can answer with.
pub(super) const EVERYWHERE: &[ProblemCode] =
    &[ProblemCode::BadRequest, ProblemCode::Starting, ProblemCode::ShuttingDown, ProblemCode::Internal];

/// The problems any route with a body can answer with.
pub(super) const WITH_A_BODY: &[ProblemCode] =
    &[ProblemCode::PayloadTooLarge, ProblemCode::UnsupportedMediaType];

/// What a request's path leads to.
pub(super) enum Found<'path> {
    /// A route, and the part of the path that is its parameter; empty where it has none.
    Route(&'static Route, &'path str),
    /// Routes that take other methods, named here for the `Allow` header.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request.
pub(super) fn find<'path>(method: &str, path: &'path str) -> Found<'path> {
    let asked = if method == "HEAD" { "GET" } else { method };
    // A path that is a route's own is no other's parameter, whatever the method.
    let plain = ROUTES.iter().any(|route| route.segment.is_none() && route.path == path);
    let mut others = Vec::new();
    for route in ROUTES.iter().filter(|route| !plain || route.path == path) {
        match matched(route.path, path) {
            Some(segment) if route.method == asked => return Found::Route(route, segment),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    if others.is_empty() {
        return Found::Nothing;
    }
    if others.contains(&"GET") {
        others.push("HEAD");
    }
    Found::OtherMethods(others.join(", "))
}

/// Whether a path is of a pattern; if so, the part of it that stands where the pattern has braces, else nothing of it.
fn matched<'path>(pattern: &str, path: &'path str) -> Option<&'path str> {
    let (mut parts, mut segment) = (path.split('/'), "");
    for expected in pattern.split('/') {
        let part = parts.next()?;
        if expected.starts_with('{') && !part.is_empty() {
            segment = part;
        } else if expected != part {
            return None;
        }
    }
    parts.next().is_none().then_some(segment)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_request_finds_its_route() {
        let check = |method: &str, path: &str, expected: &str| {
            let found = match find(method, path) {
                Found::Route(route, segment) => {
                    format!("{} {segment}", route.operation).trim_end().to_owned()
                }
                Found::OtherMethods(methods) => methods,
                Found::Nothing => String::new(),
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        check("GET", "/v1/status", "status");
        check("HEAD", "/v1/status", "status");
        check("POST", "/v1/projects/sync", "registerProjects");
        check("GET", "/v1/projects/sync", "POST");
        check("OPTIONS", "/v1/projects/sync", "POST");
        check("GET", "/v1/projects/synced", "showProject synced");
        check("GET", "/v1/projects/{local_uuid}", "showProject {local_uuid}");
        check("DELETE", "/v1/queue/items/7", "dropQueueItem 7");
        check("POST", "/v1/queue/items/7/retry", "retryQueueItem 7");
        check("PUT", "/v1/queue/items/7", "GET, DELETE, HEAD");
        check("POST", "/v1/status", "GET, HEAD");
        check("get", "/v1/status", "GET, HEAD");
        check("GET", "/v1/reload", "POST");
        for path in
            ["", "/", "*", "/v1", "/v1/", "/v1/status/", "//v1/status", "/v1/queue/items/", "/V1/status"]
        {
            check("GET", path, "");
        }
    }

    #[test]
    fn every_route_has_a_name_of_its_own_and_says_what_it_is() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let ways: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), ways.len()), (ROUTES.len(), ROUTES.len()));
        for route in ROUTES {
            let braces = route.path.split('/').find_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            assert_eq!(braces, route.segment.map(|segment| segment.name), "{}", route.path);
            assert!(!route.answers.is_empty() && route.summary.ends_with('.'), "{}", route.path);
        }
    }
}
