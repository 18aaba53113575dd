//! Looking for projects now, and at what they are told by.

use std::path::PathBuf;

use hyper::StatusCode;
use sync_wire::{Problem, ScanRequest};

use super::convert;
use super::read::{self, bad_request};
use super::reply::Reply;
use super::route::Question;

/// `POST /v1/discovery/scan`.
pub(super) async fn scan(question: Question) -> Result<Reply, Box<Problem>> {
    let request: ScanRequest = read::json(&question.body)?;
    let wait = read::wait(request.wait_ms)?;
    let paths: Vec<PathBuf> = request.paths.into_iter().map(PathBuf::from).collect();
    for (index, path) in paths.iter().enumerate() {
        read::absolute(path).map_err(|why| bad_request(format!("paths[{index}] {why}")))?;
    }
    let scanned = question.unless_stopped(question.engine.scan(paths, question.patience(wait))).await?;
    let status = if scanned.done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(Reply::json_with(status, &convert::scanned(scanned)))
}

/// `GET /v1/discovery/inspect`.
pub(super) async fn inspect(question: Question) -> Result<Reply, Box<Problem>> {
    let path =
        question.query.path("path").ok_or_else(|| bad_request("the query has no `path`"))?.to_path_buf();
    let answer = question.while_asked(question.engine.inspect(path)).await?;
    Ok(Reply::json(&convert::inspected(answer)))
}
