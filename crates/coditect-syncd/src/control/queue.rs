//! The queue: what waits, and what a person can do about it.

use sync_core::EntryId;
use sync_wire::{FlushRequest, Problem, QueueItemsPage, RetryDeadAnswer};

use super::convert;
use super::read::{self, Value, bad_request};
use super::reply::Reply;
use super::route::Question;
use crate::engine::api::EntryPage;

/// `GET /v1/queue`.
pub(super) async fn counts(question: Question) -> Result<Reply, Box<Problem>> {
    Ok(Reply::json(&convert::queue_counts(&question.engine.queue().await?)))
}

/// `GET /v1/queue/items`.
pub(super) async fn list(question: Question) -> Result<Reply, Box<Problem>> {
    let query = &question.query;
    let after = query.number("cursor").and_then(|cursor| cursor.try_into().ok()).map(EntryId);
    let limit = query.limit();
    let page = EntryPage {
        state: query.word("state").map(convert::asked_entry_state),
        after,
        limit: limit.saturating_add(1),
    };
    let mut found = question.engine.queue_items(page).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| last.entry.id.to_string());
    Ok(Reply::json(&QueueItemsPage {
        items: found.into_iter().map(convert::queue_item).collect(),
        next_cursor,
    }))
}

/// `GET /v1/queue/items/{id}`.
pub(super) async fn show(question: Question) -> Result<Reply, Box<Problem>> {
    Ok(Reply::json(&convert::queue_item(question.engine.queue_item(entry(&question)?).await?)))
}

/// `POST /v1/queue/items/{id}/retry`.
pub(super) async fn retry(question: Question) -> Result<Reply, Box<Problem>> {
    Ok(Reply::json(&convert::queue_item(question.engine.retry(entry(&question)?).await?)))
}

/// `DELETE /v1/queue/items/{id}`.
pub(super) async fn drop_item(question: Question) -> Result<Reply, Box<Problem>> {
    question.engine.drop_entry(entry(&question)?).await?;
    Ok(Reply::nothing())
}

/// `POST /v1/queue/retry-dead`.
pub(super) async fn retry_dead(question: Question) -> Result<Reply, Box<Problem>> {
    Ok(Reply::json(&RetryDeadAnswer { retried: question.engine.retry_dead().await? }))
}

/// `POST /v1/queue/flush`.
pub(super) async fn flush(question: Question) -> Result<Reply, Box<Problem>> {
    let request: FlushRequest = read::json(&question.body)?;
    let wait = read::wait(request.wait_ms)?;
    let flushed = question.unless_stopped(question.engine.flush(question.patience(wait))).await?;
    Ok(Reply::json(&convert::flushed(flushed)))
}

fn entry(question: &Question) -> Result<EntryId, Box<Problem>> {
    if let Some(Value::Number(number)) = question.segment
        && let Ok(number) = number.try_into()
    {
        return Ok(EntryId(number));
    }
    Err(bad_request("the path has no entry's number"))
}
