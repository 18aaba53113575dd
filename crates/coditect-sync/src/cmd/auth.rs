//! `auth`: where the credential comes from, and a way to hand one in. A token is never shown.

use std::io::ErrorKind;

use serde_json::json;
use sync_config::{CredentialSource, token};
use sync_wire::{Call, CloudState, Status};

use super::{Context, config};
use crate::args::AuthCommand;
use crate::doctor::{Outcome, files};
use crate::exit::Exit;
use crate::human::{clean, cloud_sentence};
use crate::out::Answer;
use crate::problem::Failure;
use crate::terminal;

pub(super) fn run(command: AuthCommand, context: &Context) -> Result<Answer, Failure> {
    match command {
        AuthCommand::Status => shown(context),
        AuthCommand::SetToken => set_token(context),
    }
}

fn shown(context: &Context) -> Result<Answer, Failure> {
    let places = context.places()?;
    let loaded = config::load(&places.config_file, context)?;
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let (source, present, place) = match loaded.config.cloud_sync.credential_source(&places) {
        CredentialSource::Inline(_) => ("inline", true, "the configuration".to_owned()),
        CredentialSource::File(file) => {
            let amiss = files::token(file).filter(|check| check.outcome != Outcome::Ok);
            warnings.extend(
                amiss.map(|check| format!("{}; {}", check.message, check.remedy.unwrap_or_default())),
            );
            ("file", file.exists(), format!("`{}`", file.display()))
        }
        CredentialSource::Command(words) => {
            ("command", true, format!("`{}`", words.first().map_or("", String::as_str)))
        }
    };
    // Whether the cloud takes it is known to a daemon only; without one the rest is still worth telling.
    let asked = context.daemon()?.ask_for::<Status>(&Call::status()).ok().map(|(status, _)| status);
    let state = asked.as_ref().map(|status| status.cloud.state);
    let document = json!({
        "source": source,
        "place": place.trim_matches('`'),
        "present": present,
        "tenant_id": asked.as_ref().and_then(|status| status.tenant_id.clone()),
        "cloud_state": state,
        "warnings": warnings,
    });
    let from = match (source, present) {
        (_, false) => format!("no token yet: it would be read from {place}"),
        ("command", true) => format!("the token is printed by {place}"),
        (_, true) => format!("the token is in {place}"),
    };
    let cloud = match state {
        Some(state) => cloud_sentence(state).to_owned(),
        None => "no daemon answers, so it is not known whether the cloud takes it".to_owned(),
    };
    let refused = matches!(state, Some(CloudState::AuthRequired | CloudState::Forbidden));
    let text = format!("{}\n{}", clean(&from), clean(&cloud));
    let answer = Answer::result(document.to_string().into_bytes(), text).ending(if refused {
        Exit::Refused
    } else {
        Exit::Done
    });
    let mut notes: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    if refused || (!present && state != Some(CloudState::Online)) {
        notes.push("hand one in with `coditect-sync auth set-token`".to_owned());
    }
    Ok(if notes.is_empty() { answer } else { answer.with_note(notes.join("\n")) })
}

fn set_token(context: &Context) -> Result<Answer, Failure> {
    let places = context.places()?;
    let loaded = config::load(&places.config_file, context)?;
    // Said before anything is typed, because it would be typed in vain.
    let file = token::place(&loaded, &places).map_err(|problem| Failure::configuration(&[problem]))?;
    let input = terminal::secret_input("token (not shown): ", token::LONGEST_INPUT).map_err(|error| {
        // It was read, and is none that could be sent.
        if error.kind() == ErrorKind::InvalidData {
            Failure::new(Exit::Usage, "usage", "the token is not UTF-8")
        } else {
            Failure::failed(format!("cannot read the token: {error}"))
        }
    })?;
    let secret =
        token::read(&input).map_err(|problem| Failure::new(Exit::Usage, "usage", problem.to_string()))?;
    let replaced = token::write(&file, &secret).map_err(|problem| Failure::failed(problem.to_string()))?;
    // A daemon that runs notices the file by itself; this only makes it notice at once.
    let told = context.daemon()?.ask(&Call::reload()).is_ok();
    let document =
        json!({"path": file.to_string_lossy(), "replaced": replaced, "daemon_told": told}).to_string();
    let instead = if replaced { ", in place of another" } else { "" };
    Ok(Answer::done(document.into_bytes(), format!("the token is stored in `{}`{instead}", file.display())))
}
