//! A project's UUID in the cloud: the question most tools ask.

use std::time::Duration;

use sync_core::LocalId;
use sync_wire::Problem;

use super::convert;
use super::limits;
use super::read::bad_request;
use super::reply::Reply;
use super::route::Question;
use crate::engine::api::Which;

/// `GET /v1/resolve`.
pub(super) async fn resolve(question: Question) -> Result<Reply, Box<Problem>> {
    let which = match (question.query.uuid("local_uuid"), question.query.path("path")) {
        (Some(uuid), None) => Which::Local(LocalId(uuid)),
        (None, Some(path)) => Which::Path(path.to_path_buf()),
        (Some(_), Some(_)) => {
            return Err(bad_request("the query has both `local_uuid` and `path`; give one"));
        }
        (None, None) => return Err(bad_request("the query has neither `local_uuid` nor `path`; give one")),
    };
    let refresh = question.query.flag("refresh");
    let wait = question.query.number("wait_ms").map_or(limits::RESOLVE_WAIT, Duration::from_millis);
    let resolved = question.while_asked(question.engine.resolve(which, refresh, wait)).await?;
    Ok(Reply::json(&convert::resolved(&resolved)))
}
