//! One request, from its head to its answer: the checks that are the same for all, then the route's handler.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderMap, ORIGIN, REFERER};
use hyper::{Request, Response, StatusCode};
use sync_wire::{Problem, ProblemCode};
use tracing::{debug, error, trace};

use super::peer::Peer;
use super::read::{self, bad_request, with_status};
use super::reply::{self, Reply};
use super::route::{self, Found, Question, Route};
use super::serve::Server;

/// Answers a request, whatever it is.
pub(super) async fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    server: &Server,
) -> Response<reply::Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let read_whole = body.is_end_stream();
    let reply = match of_nobodys_page(&head.headers).map(|()| route::find(head.method.as_str(), &path)) {
        Err(problem) => Err(problem),
        Ok(Found::Route(route, segment)) => {
            ask(route, segment, head.uri.query(), &head.headers, body, peer, server).await
        }
        Ok(Found::OtherMethods(methods)) => {
            let detail = format!("`{path}` does not take {}; it takes {methods}", head.method);
            let problem = Problem::new(ProblemCode::MethodNotAllowed, detail).with_instance(&path);
            Ok(Reply::from(problem).allowing(methods))
        }
        Ok(Found::Nothing) => {
            let problem = Problem::new(ProblemCode::NotFound, format!("there is no route `{path}`"))
                .with_hint("see `GET /v1/openapi.json` for the routes");
            Err(Box::new(problem))
        }
    };
    let reply = reply.unwrap_or_else(|problem| {
        debug!(method = %head.method, path, code = %problem.code, "request refused: {}", problem.detail);
        let unread = !read_whole && matches!(problem.status, 403 | 404 | 408 | 413 | 415);
        let reply = Reply::from(problem.with_instance(&path));
        if unread { reply.closing() } else { reply }
    });
    trace!(method = %head.method, path, status = reply.status.as_u16(), "request answered");
    reply.into()
}

/// Passes a request that no web page can have made: browsers name the page, and the socket is not for pages.
fn of_nobodys_page(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    [ORIGIN, REFERER].iter().find(|name| headers.contains_key(*name)).map_or(Ok(()), |name| {
        let detail = format!("the request has the header `{name}`; web pages are not served");
        Err(with_status(StatusCode::FORBIDDEN, bad_request(detail)))
    })
}

async fn ask(
    route: &'static Route,
    segment: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Incoming,
    peer: &Peer,
    server: &Server,
) -> Result<Reply, Box<Problem>> {
    let segment = route.segment.as_ref().map(|parameter| read::segment(parameter, segment)).transpose()?;
    let query = read::query(route.query, query)?;
    let named = read::headers(route.headers, headers)?;
    let body = read::body(route.body.as_ref(), headers, body).await?;
    let question = Question {
        engine: server.engine.clone(),
        version: server.version,
        peer: peer.clone(),
        stop: server.stop.clone(),
        listeners: Arc::clone(&server.listeners),
        segment,
        query,
        headers: named,
        body,
    };
    AssertUnwindSafe((route.call)(question)).catch_unwind().await.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no words");
        error!(operation = route.operation, "a fault of the daemon while it answered a request: {what}");
        let problem = Problem::new(ProblemCode::Internal, "the daemon failed while it answered this request")
            .with_hint("its log says more; please report it");
        Ok(Reply::from(problem).closing())
    })
}
