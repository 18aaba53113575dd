//! The projects on this machine: shown, and registered.

use std::path::{Path, PathBuf};

use hyper::StatusCode;
use sync_core::LocalId;
use sync_wire::{Problem, RegisterRequest, SyncRequest, SyncResult, SyncResults};

use super::convert;
use super::page::{List, page};
use super::read::{self, Value, bad_request};
use super::reply::Reply;
use super::route::Question;
use crate::engine::Engine;
use crate::engine::api::{Draft, Listing, ProjectFilter};

/// `GET /v1/projects`.
pub(super) async fn list(question: Question) -> Result<Reply, Box<Problem>> {
    let query = &question.query;
    let filter = ProjectFilter {
        state: query.word("state").map(convert::asked_project_state),
        kind: query.word("type").map(convert::project_kind),
        language: query.text("language").filter(|language| !language.is_empty()).map(str::to_owned),
    };
    let after = query.uuid("cursor").map(LocalId);
    let limit = query.limit();
    let listing = question.engine.list_projects(filter, after);
    page("projects", limit, Listed { engine: question.engine, listing }).await
}

/// What is left of a list of projects.
struct Listed {
    engine: Engine,
    listing: Listing,
}

impl List for Listed {
    type Row = sync_wire::Project;

    async fn next(&mut self, limit: u32) -> Result<Vec<(String, Self::Row)>, Box<Problem>> {
        let found = self.engine.projects(&mut self.listing, limit).await?;
        let rows = found.into_iter().map(|found| (found.project.local.to_string(), convert::project(found)));
        Ok(rows.collect())
    }
}

/// `GET /v1/projects/{local_uuid}`.
pub(super) async fn show(question: Question) -> Result<Reply, Box<Problem>> {
    let Some(Value::Uuid(uuid)) = question.segment else {
        return Err(bad_request("the path has no project's UUID"));
    };
    let project = question.engine.project(LocalId(uuid)).await?;
    Ok(Reply::json(&convert::project(project)))
}

/// `POST /v1/projects`. Is not cut short when the daemon stops or the client goes: what the engine has begun to write, it ends.
pub(super) async fn register(question: Question) -> Result<Reply, Box<Problem>> {
    let request: RegisterRequest = read::json(&question.body)?;
    let wait = read::wait(request.wait_ms)?;
    let force = request.force;
    let draft = draft(request).map_err(bad_request)?;
    let registered = question.engine.register(vec![draft], force, question.patience(wait)).await?;
    let result = registered.into_iter().next().map(convert::registered).ok_or_else(|| {
        let detail = "the daemon lost sight of the project it was given";
        Box::new(Problem::new(sync_wire::ProblemCode::Internal, detail))
    })?;
    let status = match (result.queued, result.success) {
        (true, _) => StatusCode::ACCEPTED,
        (false, true) => StatusCode::OK,
        (false, false) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(Reply::json_with(status, &result))
}

/// `POST /v1/projects/sync`.
pub(super) async fn sync(question: Question) -> Result<Reply, Box<Problem>> {
    let request: SyncRequest = read::json(&question.body)?;
    let wait = read::wait(request.wait_ms)?;
    let drafts = request
        .projects
        .into_iter()
        .enumerate()
        .map(|(index, project)| {
            // Not used, but a mistake is a mistake.
            read::longest(project.wait_ms)
                .map_err(|why| format!("`wait_ms` {why}"))
                .and_then(|_| draft(project))
                .map_err(|why| bad_request(format!("projects[{index}]: {why}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let registered = if drafts.is_empty() {
        Vec::new()
    } else {
        question.engine.register(drafts, request.force, question.patience(wait)).await?
    };
    let results = registered.into_iter().map(convert::registered);
    Ok(Reply::json(&SyncResults {
        results: results.map(|result: SyncResult| (result.local_project_uuid, result)).collect(),
    }))
}

/// A project as a tool gives it, for the engine; else what is wrong with it.
fn draft(request: RegisterRequest) -> Result<Draft, String> {
    let root: PathBuf = sync_wire::path::from_fields(&request.root_path, request.root_path_exact.as_deref());
    // Both are looked at, also where only one of them counts: a mistake is a mistake.
    for path in [Path::new(&request.root_path), &root] {
        read::absolute(path).map_err(|why| format!("`root_path` {why}"))?;
    }
    Ok(Draft {
        root,
        local: request.local_project_uuid.map(LocalId),
        name: request.project_name,
        language: request.primary_language,
        framework: request.framework,
        detected: request.detected,
        content_hash: request.content_hash,
        kind: request.project_type.map(convert::project_kind),
        parent: request.parent_project_uuid.map(LocalId),
    })
}
