//! `resolve`: the cloud's UUID of a project, and nothing else.

use std::path::Path;

use sync_wire::{Call, ResolveAnswer, ResolveQuery, Subject};

use super::Context;
use crate::args::Resolve;
use crate::daemon::sent_path;
use crate::human::{next, relative};
use crate::out::Answer;
use crate::problem::Failure;

pub(super) fn run(resolve: &Resolve, context: &Context) -> Result<Answer, Failure> {
    let query = ResolveQuery { subject: subject(&resolve.subject)?, refresh: resolve.refresh, wait_ms: None };
    let asked = context.daemon()?.ask_for::<ResolveAnswer>(&Call::resolve(&query));
    let (answer, document) = asked.map_err(|failure| with_the_way_there(failure, context))?;
    let result = Answer::result(document, answer.cloud_uuid.to_string());
    if answer.stale && context.globals.verbose {
        let since = relative(context.now, &answer.cached_at);
        return Ok(result.with_note(format!("the cloud said so {since}; it is being asked again")));
    }
    Ok(result)
}

/// What is meant by a word: a UUID where it is one, else a path.
pub(super) fn subject(word: &Path) -> Result<Subject, Failure> {
    match word.to_str().and_then(|text| text.parse().ok()) {
        Some(local) => Ok(Subject::Local(local)),
        None => sent_path(word).map(Subject::Path),
    }
}

/// A project that is on its way gets told when it goes, one that is not how to send it.
fn with_the_way_there(failure: Failure, context: &Context) -> Failure {
    let Some(problem) = &failure.problem else { return failure };
    if problem.code != sync_wire::ProblemCode::NotRegistered || failure.hint.is_some() {
        return failure;
    }
    let hint = match &problem.queue_item {
        Some(item) => {
            let when = item
                .next_attempt_at
                .as_deref()
                .map(|moment| format!(", next try {}", next(context.now, moment)))
                .unwrap_or_default();
            format!("its entry {} in the queue is {}{when}", item.id, item.state.as_str())
        }
        None => "register it with `coditect-sync register`".to_owned(),
    };
    failure.with_hint(hint)
}
