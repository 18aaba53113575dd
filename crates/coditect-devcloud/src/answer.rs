//! An answer before it is put on the wire, and the ones Django, its REST framework and a gateway give.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::token::Stranger;

/// Status, headers and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::typed(status, "application/json", body.to_string())
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn detail(status: StatusCode, text: &str) -> Self {
        Self::json(status, &json!({"detail": text}))
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// 401 in the words of the framework and its JWT plug-in.
    pub(crate) fn unauthorized(why: Stranger) -> Self {
        let body = match why {
            Stranger::Absent => json!({"detail": "Authentication credentials were not provided."}),
            Stranger::Malformed => invalid_token("Token is invalid"),
            Stranger::Expired => invalid_token("Token is expired"),
        };
        Self::json(StatusCode::UNAUTHORIZED, &body).with(WWW_AUTHENTICATE, "Bearer realm=\"api\"")
    }

    /// 404 of a path that leads nowhere: a page, not JSON.
    pub(crate) fn no_such_path() -> Self {
        Self::typed(
            StatusCode::NOT_FOUND,
            "text/html; charset=utf-8",
            "<!doctype html>\n<html lang=\"en\">\n<head><title>Not Found</title></head>\n\
             <body><h1>Not Found</h1><p>The requested resource was not found on this server.</p></body>\n</html>\n",
        )
    }

    /// 404 of a project that is not there, for this tenant.
    pub(crate) fn no_such_project() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    /// 405.
    pub(crate) fn wrong_method(method: &str, allowed: &str) -> Self {
        let text = format!("Method \"{method}\" not allowed.");
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, &text).with(ALLOW, allowed)
    }

    /// 301 or another, without a body that anybody reads.
    pub(crate) fn moved(status: StatusCode, to: &str) -> Self {
        Self::typed(status, "text/html; charset=utf-8", "").with(LOCATION, to)
    }

    /// 413 as a gateway says it.
    pub(crate) fn too_large() -> Self {
        Self::typed(
            StatusCode::PAYLOAD_TOO_LARGE,
            "text/html",
            "<html><head><title>413 Request Entity Too Large</title></head>\
             <body><h1>413 Request Entity Too Large</h1></body></html>\n",
        )
    }

    /// A sign-in page of a hotel's network.
    pub(crate) fn sign_in_page() -> Self {
        Self::typed(
            StatusCode::OK,
            "text/html; charset=utf-8",
            "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Sign in to the guest network</h1>\
             <form method=\"post\" action=\"/login\"><input name=\"room\"></form></body></html>\n",
        )
    }
}

fn invalid_token(message: &str) -> Value {
    json!({
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    })
}
