//! Telling the daemon what to do with itself, and what it can be asked.

use std::time::Duration;

use sync_wire::{PauseAnswer, PauseRequest, Problem, ReloadAnswer, WaitAnswer};

use super::read::{self, bad_request};
use super::reply::Reply;
use super::route::Question;
use super::{convert, openapi};
use crate::engine::Goal;

/// The longest pause that ends by itself.
const LONGEST_PAUSE: Duration = Duration::from_hours(30 * 24);
const LONGEST_REASON: usize = 200;

/// `POST /v1/pause`.
pub(super) async fn pause(question: Question) -> Result<Reply, Box<Problem>> {
    let PauseRequest { for_ms, reason } = read::json(&question.body)?;
    let length = for_ms.map(Duration::from_millis);
    if length.is_some_and(|length| length.is_zero() || length > LONGEST_PAUSE) {
        let most = LONGEST_PAUSE.as_millis();
        return Err(bad_request(format!("`for_ms` is {}, not from 1 to {most}", for_ms.unwrap_or_default())));
    }
    let fits =
        |reason: &str| reason.chars().count() <= LONGEST_REASON && !reason.chars().any(char::is_control);
    if !reason.as_deref().is_none_or(fits) {
        return Err(bad_request(format!("`reason` is not one line of at most {LONGEST_REASON} characters")));
    }
    question.engine.pause(length, reason).await?;
    Ok(Reply::json(&answer(&question)))
}

/// `POST /v1/resume`.
pub(super) async fn resume(question: Question) -> Result<Reply, Box<Problem>> {
    question.engine.resume().await?;
    Ok(Reply::json(&answer(&question)))
}

fn answer(question: &Question) -> PauseAnswer {
    let pausing = question.engine.pausing();
    PauseAnswer { paused: pausing.is_some(), pause: pausing.as_ref().map(convert::pause) }
}

/// `GET /v1/wait`.
pub(super) async fn wait(question: Question) -> Result<Reply, Box<Problem>> {
    let named =
        question.query.word::<sync_wire::Goal>("for").ok_or_else(|| bad_request("the query has no `for`"))?;
    let goal = match (named, question.query.path("path")) {
        (sync_wire::Goal::Ready, None) => Goal::Ready,
        (sync_wire::Goal::Idle, None) => Goal::Idle,
        (sync_wire::Goal::Registered, Some(path)) => Goal::Registered(path.to_path_buf()),
        (sync_wire::Goal::Registered, None) => {
            return Err(bad_request("`for=registered` needs the `path` of a project"));
        }
        (sync_wire::Goal::Ready | sync_wire::Goal::Idle, Some(_)) => {
            return Err(bad_request("`path` belongs to `for=registered` alone"));
        }
    };
    let wait = read::wait(question.query.number("wait_ms"))?;
    let why = question.while_asked(question.engine.wait_until(&goal, wait)).await?;
    Ok(Reply::json(&WaitAnswer { goal: named, reached: why.is_none(), why }))
}

/// `POST /v1/reload`.
pub(super) async fn reload(question: Question) -> Result<Reply, Box<Problem>> {
    let warnings = question.engine.reload().await?;
    Ok(Reply::json(&ReloadAnswer { warnings }))
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
