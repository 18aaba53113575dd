//! Taking over the old client's databases now.

use std::path::PathBuf;

use sync_wire::{ImportAnswer, ImportRequest, Problem};

use super::read::{self, bad_request};
use super::reply::Reply;
use super::route::Question;

/// `POST /v1/import`.
pub(super) async fn import(question: Question) -> Result<Reply, Box<Problem>> {
    let request: ImportRequest = read::json(&question.body)?;
    let from = request.from.map(PathBuf::from);
    if let Some(from) = &from {
        read::absolute(from).map_err(|why| bad_request(format!("from {why}")))?;
    }
    let imported = question.unless_stopped(question.engine.import(from)).await?;
    Ok(Reply::json(&ImportAnswer {
        registrations: imported.rows,
        queued: imported.wishes,
        mappings: imported.mappings,
        set_aside: imported.aside,
        left: imported.left,
        problems: imported.problems,
    }))
}
