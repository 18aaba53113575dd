//! Reads a request whole: its body within the limit, and the headers the contract knows.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::Value;

use crate::token::bearer;

/// The largest body that is read, in bytes.
pub(crate) const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// A request that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    /// `None` where it was larger than the limit.
    pub(crate) body: Option<Bytes>,
    /// What was read of it, kept or not.
    pub(crate) body_bytes: usize,
}

/// Reads to the end; a body beyond the limit is read and forgotten, so that its sender hears the answer.
pub(crate) async fn arrive(request: Request<Incoming>) -> Result<Arrived, hyper::Error> {
    let (Parts { method, uri, headers, .. }, mut incoming) = request.into_parts();
    let mut kept = BytesMut::new();
    let mut body_bytes: usize = 0;
    let mut too_large = incoming.size_hint().lower() > LARGEST_BODY as u64;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        body_bytes = body_bytes.saturating_add(data.len());
        too_large |= body_bytes > LARGEST_BODY;
        if too_large {
            kept.clear();
        } else {
            kept.extend_from_slice(&data);
        }
    }
    Ok(Arrived {
        method,
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers,
        body: (!too_large).then(|| kept.freeze()),
        body_bytes,
    })
}

impl Arrived {
    /// The text of a header, where it is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bearer token.
    pub(crate) fn token(&self) -> Option<&str> {
        bearer(self.header(AUTHORIZATION.as_str()))
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Whether the body calls itself JSON.
    pub(crate) fn says_json(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.as_deref()?.split('&');
        let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
        Some(percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    }
}

/// The projects a body tells of, valid or not.
pub(crate) fn projects(body: &Value) -> &[Value] {
    match body.get("projects") {
        Some(Value::Array(projects)) => projects,
        None if body.is_object() => std::slice::from_ref(body),
        Some(_) | None => &[],
    }
}
