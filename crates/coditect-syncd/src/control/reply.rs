//! Answers on their way out: JSON, problems, and text.

use std::fmt;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use sync_wire::{Problem, ProblemCode};

/// The media type of documents.
const JSON: &str = "application/json";

/// The pieces of a body that has no end yet; an error cuts it off.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, io::Error>> + Send>>;
/// A body on its way out.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Pieces>>;

/// An answer.
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The body's media type.
    pub(super) content_type: &'static str,
    /// The body; ends with a newline where it is text.
    pub(super) body: Bytes,
    /// What the body is instead where it has no end yet.
    pub(super) pieces: Option<Pieces>,
    /// With status 405: the methods that are taken.
    pub(super) allow: Option<String>,
    /// Whether nothing more can be read from this connection.
    pub(super) close: bool,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} {}, {} bytes)", self.status.as_u16(), self.content_type, self.body.len())
    }
}

impl Reply {
    /// A document, with status 200.
    pub(super) fn json(document: &impl Serialize) -> Self {
        Self::json_with(StatusCode::OK, document)
    }

    /// A document, with a status.
    pub(super) fn json_with(status: StatusCode, document: &impl Serialize) -> Self {
        match serde_json::to_vec(document) {
            Ok(mut body) => {
                body.push(b'\n');
                Self::new(status, JSON, body.into())
            }
            Err(error) => (*unwritable(&error)).into(),
        }
    }

    /// A document that is written already, with status 200.
    pub(super) fn json_text(text: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, JSON, text.into())
    }

    /// A document that is written while it goes out.
    pub(super) fn json_stream(pieces: Pieces) -> Self {
        Self::stream(JSON, pieces)
    }

    /// Nothing to say, with status 204.
    pub(super) fn nothing() -> Self {
        Self::new(StatusCode::NO_CONTENT, "", Bytes::new())
    }

    /// Something that is done after the answer, with status 202 and an empty document.
    pub(super) fn accepted() -> Self {
        Self::json_with(StatusCode::ACCEPTED, &serde_json::Map::new())
    }

    /// Text for Prometheus.
    pub(super) fn metrics(text: String) -> Self {
        Self::new(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
    }

    /// Pieces that come one after the other.
    pub(super) fn stream(content_type: &'static str, pieces: Pieces) -> Self {
        Self { pieces: Some(pieces), ..Self::new(StatusCode::OK, content_type, Bytes::new()) }
    }

    /// The same with the methods that are taken.
    pub(super) fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// The same, after which the connection ends.
    pub(super) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        Self { status, content_type, body, pieces: None, allow: None, close: false }
    }
}

/// Says that a document cannot be written.
pub(super) fn unwritable(error: &serde_json::Error) -> Box<Problem> {
    Box::new(Problem::new(ProblemCode::Internal, format!("the answer cannot be written: {error}")))
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Invariant: a problem holds texts and numbers only, which can always be written.
        let mut body = serde_json::to_vec(&problem).unwrap_or_default();
        body.push(b'\n');
        Self::new(status, sync_wire::problem::MEDIA_TYPE, body.into())
    }
}

impl From<Reply> for Response<Body> {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(match reply.pieces {
            Some(pieces) => Either::Right(StreamBody::new(pieces)),
            None => Either::Left(Full::new(reply.body)),
        });
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !reply.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
        }
        if let Some(methods) = reply.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(ALLOW, methods);
        }
        if reply.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
