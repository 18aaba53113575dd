//! Telling the daemon what to do with itself, and what it can be asked.

use sync_wire::{PauseAnswer, Problem};

use super::openapi;
use super::reply::Reply;
use super::route::Question;

/// `POST /v1/pause`.
pub(super) async fn pause(question: Question) -> Result<Reply, Box<Problem>> {
    question.engine.pause().await?;
    Ok(Reply::json(&PauseAnswer { paused: true }))
}

/// `POST /v1/resume`.
pub(super) async fn resume(question: Question) -> Result<Reply, Box<Problem>> {
    question.engine.resume().await?;
    Ok(Reply::json(&PauseAnswer { paused: false }))
}

/// `POST /v1/reload`.
pub(super) fn reload(question: &Question) -> Reply {
    question.engine.reload();
    Reply::accepted()
}

/// `POST /v1/shutdown`. The answer is on its way before the connection ends: it is a request in progress.
pub(super) fn shutdown(question: &Question) -> Reply {
    question.engine.shutdown();
    Reply::accepted()
}

/// `GET /v1/openapi.json`.
pub(super) fn openapi() -> Reply {
    Reply::json(&openapi::document())
}
