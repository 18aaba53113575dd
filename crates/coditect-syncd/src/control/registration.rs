//! A registration in the cloud, by its UUID there, on whichever machine it is.

use std::time::Duration;

use sync_core::CloudId;
use sync_wire::Problem;

use super::convert;
use super::limits;
use super::read::{Value, bad_request};
use super::reply::Reply;
use super::route::Question;

/// `GET /v1/registrations/{cloud_uuid}`.
pub(super) async fn show(question: Question) -> Result<Reply, Box<Problem>> {
    let Some(Value::Uuid(uuid)) = question.segment else {
        return Err(bad_request("the path has no registration's UUID"));
    };
    let wait = question.query.number("wait_ms").map_or(limits::RESOLVE_WAIT, Duration::from_millis);
    let found = question.while_asked(question.engine.registration(CloudId(uuid), wait)).await?;
    Ok(Reply::json(&convert::told_by_cloud(&found)))
}
