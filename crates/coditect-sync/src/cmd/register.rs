//! `register`: a project is to be known to the cloud.

use sync_wire::{Call, RegisterRequest, SyncResult};

use super::{Context, millis};
use crate::args::Register;
use crate::daemon::sent_path;
use crate::exit::Exit;
use crate::human::clean;
use crate::out::Answer;
use crate::problem::Failure;

pub(super) fn run(register: &Register, context: &Context) -> Result<Answer, Failure> {
    let path = sent_path(&register.path)?;
    if !path.exists() {
        // The daemon takes what it is told, also about folders it cannot see; a person most likely mistyped.
        return Err(Failure::new(
            Exit::NotFound,
            "not_found",
            format!("`{}` does not exist", path.display()),
        ));
    }
    let (root_path, root_path_exact) = sync_wire::path::to_fields(&path);
    let request = RegisterRequest {
        root_path,
        root_path_exact,
        local_project_uuid: register.uuid,
        project_name: register.name.clone(),
        primary_language: register.language.clone(),
        framework: register.framework.clone(),
        content_hash: register.content_hash.clone(),
        project_type: register.project_type,
        parent_project_uuid: register.parent,
        detected: register.detected,
        force: register.force,
        wait_ms: millis(register.wait),
    };
    let mut daemon = context.daemon()?;
    let (result, document) = daemon.ask_for::<SyncResult>(&Call::register(&request))?;
    let shown = path.display().to_string();
    if !result.success && !result.queued {
        let why = result.error.as_deref().unwrap_or("the daemon does not say why");
        let failure = Failure::failed(format!("`{shown}` is not registered: {why}")).with_answer(document);
        // Only who waits can be told that the cloud has refused it.
        let hint = register.wait.and_then(|_| daemon.what_keeps(result.local_project_uuid));
        return Err(match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        });
    }
    let (text, exit, why) = match (result.queued, register.wait) {
        (false, _) => (settled(&shown, &result), Exit::Done, None),
        (true, None) => (format!("`{shown}` is queued"), Exit::Done, None),
        (true, Some(_)) => {
            let (exit, why) = daemon.why_still_queued();
            (format!("`{shown}` is queued and not yet in the cloud"), exit, why)
        }
    };
    let answer = Answer::done(document, clean(&text)).ending(exit);
    Ok(match why.or(result.error) {
        Some(why) => answer.with_note(clean(&why)),
        None => answer,
    })
}

fn settled(shown: &str, result: &SyncResult) -> String {
    let uuid = result.cloud_uuid.map(|uuid| format!(" as {uuid}")).unwrap_or_default();
    let before = if result.status == SyncResult::CACHED { ", as it was before" } else { "" };
    format!("`{shown}` is registered{uuid}{before}")
}
