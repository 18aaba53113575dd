//! How the daemon is doing: the page for people, and the two answers for those who only want a yes.

use hyper::StatusCode;
use sync_wire::{Health, Problem, Ready};

use super::convert;
use super::reply::Reply;
use super::route::Question;

/// `GET /v1/status`.
pub(super) async fn status(question: Question) -> Result<Reply, Box<Problem>> {
    let report = question.engine.status().await?;
    Ok(Reply::json(&convert::status(report, question.version)))
}

/// `GET /v1/health`.
pub(super) fn health(question: &Question) -> Reply {
    let why = question.engine.is_healthy().err();
    Reply::json_with(status_of(why.as_ref()), &Health { healthy: why.is_none(), why })
}

/// `GET /v1/ready`.
pub(super) fn ready(question: &Question) -> Reply {
    let why = if question.stop.is_cancelled() {
        Some("the daemon stops".to_owned())
    } else {
        question.engine.is_ready().err()
    };
    Reply::json_with(status_of(why.as_ref()), &Ready { ready: why.is_none(), why })
}

fn status_of(why: Option<&String>) -> StatusCode {
    if why.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
