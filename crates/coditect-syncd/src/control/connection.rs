//! One connection, from the first byte of the first request to the end.
//!
//! Whatever a client sends, it is answered: what is no request is answered by [`last_words`].

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sync_wire::{Problem, ProblemCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::answer::answer;
use super::events;
use super::limits;
use super::peer::Peer;
use super::reply::Reply;
use super::serve::Server;
use super::stream::{Stream, Turn};

/// How long a request whose head is on its way may still take once the daemon stops.
const LAST_CHANCE: Duration = Duration::from_millis(100);

/// Serves one client until it goes, misbehaves, lies idle or the daemon stops.
pub(super) async fn converse(socket: UnixStream, server: Arc<Server>) {
    let peer = Peer::new(socket);
    let turn = Arc::new(Turn::default());
    let stop = server.stop.clone();
    let service = {
        let (turn, peer) = (Arc::clone(&turn), peer.clone());
        service_fn(move |request: Request<Incoming>| {
            turn.answering.store(true, Ordering::Relaxed);
            let (turn, peer, server) = (Arc::clone(&turn), peer.clone(), Arc::clone(&server));
            Box::pin(async move {
                let has_body = !request.body().is_end_stream();
                let response = answer(request, &peer, &server).await;
                turn.unread.store(has_body && response.status().is_client_error(), Ordering::Relaxed);
                turn.endless.store(events::is_followed(&response), Ordering::Relaxed);
                turn.answering.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(response)
            })
        })
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::HEAD)
        .max_headers(limits::HEADER_FIELDS)
        .half_close(true)
        .serve_connection(TokioIo::new(Stream::new(peer, Arc::clone(&turn))), service);

    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        let mut finished = poll_fn(|cx| connection.poll_without_shutdown(cx));
        // A long answer is none of these while its next part is read. An endless one is no request in progress.
        let is_busy = || {
            let is_written = turn.writing.load(Ordering::Relaxed) && !turn.endless.load(Ordering::Relaxed);
            turn.answering.load(Ordering::Relaxed) || is_written
        };
        match timeout(LAST_CHANCE, &mut finished).await {
            Ok(ended) => ended,
            Err(_elapsed) if is_busy() => finished.await,
            Err(_elapsed) => Ok(()),
        }
    };

    let parts = connection.into_parts();
    let (mut peer, refused) = parts.io.into_inner().into_parts();
    let begun = !parts.read_buf.is_empty();
    let problem = match &ended {
        Ok(()) if stop.is_cancelled() && begun => Some(shutting_down()),
        Ok(()) => None,
        Err(error) => {
            debug!(%error, "a connection to the control socket ended early");
            last_words(error, refused, begun)
        }
    };
    let refused = problem.is_some();
    if let Some(problem) = problem {
        write(&mut peer, &problem).await;
    }
    linger(peer, refused || begun || turn.unread.load(Ordering::Relaxed), &stop).await;
}

/// Tells a client why it is not served, whatever it wants.
pub(super) async fn turn_away(socket: UnixStream, problem: Problem) {
    let mut peer = Peer::new(socket);
    write(&mut peer, &problem).await;
    linger(peer, true, &CancellationToken::new()).await;
}

/// Why a client is turned away once the daemon stops.
pub(super) fn shutting_down() -> Problem {
    Problem::new(ProblemCode::ShuttingDown, "the daemon stops and takes no more requests")
}

/// Why one client more is turned away.
pub(super) fn too_many() -> Problem {
    let detail =
        format!("{} connections are open already, which is the most there can be", limits::CONNECTIONS);
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        ..Problem::new(ProblemCode::Conflict, detail)
    }
    .with_hint("close connections that are no longer used, or try again in a few seconds")
}

/// What to say to a client whose request is none. `refused` is the status the HTTP library has for it, `begun` whether
/// anything of a request had arrived.
fn last_words(error: &hyper::Error, refused: Option<StatusCode>, begun: bool) -> Option<Problem> {
    let (status, detail) = match refused {
        _ if error.is_timeout() && begun => (
            StatusCode::REQUEST_TIMEOUT,
            format!("the head of the request is not complete after {} s", limits::HEAD_TIME.as_secs()),
        ),
        _ if error.is_incomplete_message() && begun => {
            (StatusCode::BAD_REQUEST, "the connection ended in the middle of the request's head".to_owned())
        }
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!(
                "the head of the request is larger than {} KiB or has more than {} fields",
                limits::HEAD / 1024,
                limits::HEADER_FIELDS
            ),
        ),
        Some(status) => (status, format!("the head of the request is not HTTP/1.1: {error}")),
        None if error.is_parse() => {
            (StatusCode::BAD_REQUEST, format!("the request is not HTTP/1.1: {error}"))
        }
        None => return None,
    };
    Some(Problem { status: status.as_u16(), ..Problem::new(ProblemCode::BadRequest, detail) })
}

async fn write(peer: &mut Peer, problem: &Problem) {
    match timeout(limits::LINGER_TIME, peer.write_all(&raw(problem))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a client cannot be told why it is refused"),
        Err(_elapsed) => debug!("a client does not take its answer"),
    }
}

/// An answer as it goes over the socket, for those who never became a request.
fn raw(problem: &Problem) -> Vec<u8> {
    let reply = Reply::from(problem.clone());
    let mut bytes = format!(
        "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reply.status,
        reply.content_type,
        reply.body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&reply.body);
    bytes
}

/// Ends a connection so that a client that is still sending gets to read its answer: what it sends is thrown away for
/// a moment, because closing on unread bytes resets the connection.
async fn linger(mut peer: Peer, sending: bool, stop: &CancellationToken) {
    if let Err(error) = peer.shutdown().await {
        debug!(%error, "a client has gone already");
    }
    if !sending {
        return;
    }
    let mut thrown_away = vec![0; 64 * 1024];
    let drain = async { while matches!(peer.read(&mut thrown_away).await, Ok(1..)) {} };
    tokio::select! {
        () = drain => {}
        () = tokio::time::sleep(limits::LINGER_TIME) => {}
        () = stop.cancelled() => {}
    }
}
