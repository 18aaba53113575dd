//! `doctor`: looks for everything that may be wrong, with a daemon and without one, and says how to mend it.

use std::path::Path;

use serde_json::json;
use sync_config::{CredentialSource, Loaded, Places};
use sync_wire::{Call, CloudState, Health, Ready, RootState, SandboxFigures, Status};

use super::Context;
use super::service::installed;
use crate::doctor::{Check, Outcome, counted, files, machine, status, token};
use crate::exit::Exit;
use crate::human::{Tone, clean, count};
use crate::out::Answer;
use crate::problem::Failure;
use crate::programs::{Programs, is_program};
use crate::width::wrapped;

/// Where what was found stands in a line.
const INDENT: usize = 30;

/// Where Linux says what may be watched.
const INOTIFY: &str = "/proc/sys/fs/inotify";

pub(super) fn run(context: &Context) -> Result<Answer, Failure> {
    let checks = match context.places() {
        Ok(places) => all(&places, context)?,
        Err(failure) => vec![of_failure("places.usable", &failure)],
    };
    let failed = counted(&checks, Outcome::Failed);
    let warnings = counted(&checks, Outcome::Warning);
    let document = json!({
        "ok": failed == 0,
        "failed": failed,
        "warnings": warnings,
        "checks": checks.iter().map(Check::document).collect::<Vec<_>>(),
    });
    let mut lines: Vec<String> = checks.iter().map(|check| shown(check, context)).collect();
    lines.push(String::new());
    lines.push(match (failed, warnings) {
        (0, 0) => context.view.paint(Tone::Good, "all is well"),
        (0, warnings) => format!("nothing failed, {}", count(warnings as u64, "warning", "warnings")),
        (failed, warnings) => format!("{failed} failed, {}", count(warnings as u64, "warning", "warnings")),
    });
    let exit = if failed == 0 { Exit::Done } else { Exit::Failed };
    Ok(Answer::result(document.to_string().into_bytes(), lines.join("\n")).ending(exit))
}

fn all(places: &Places, context: &Context) -> Result<Vec<Check>, Failure> {
    let mut checks = Vec::new();
    let loaded = context.environment.load(&places.config_file, Vec::new());
    match &loaded {
        Ok(loaded) => checks.extend(config(loaded, places)),
        Err(problems) => checks.extend(problems.iter().map(|problem| {
            let remedy = "mend it; `coditect-sync config check` says when it is in order";
            Check::failed("config.valid", problem.to_string(), remedy)
        })),
    }
    checks.extend(files::config(&places.config_file));
    let source = loaded.as_ref().ok().map(|loaded| loaded.config.cloud_sync.credential_source(places));
    let token_file = match source {
        Some(CredentialSource::File(file)) => Some(file),
        Some(CredentialSource::Inline(_) | CredentialSource::Command(_)) | None => None,
    };
    if let Some(source) = source {
        let programs = Programs::new(&context.environment);
        let there = |name: &str| {
            if name.contains('/') { is_program(Path::new(name)) } else { programs.find(name).is_some() }
        };
        checks.extend(token::checks(&token::find(source, there), context.now));
    }
    checks.extend(files::private(places, token_file));
    checks.push(files::space(&places.state_dir));

    let mut daemon = context.daemon()?;
    let answers = match daemon.ask_for::<Ready>(&Call::ready()) {
        Ok((Ready { ready: true, .. }, _)) => {
            Check::ok("daemon.answers", format!("the daemon answers on `{}`", places.socket.display()))
        }
        Ok((Ready { why, .. }, _)) => Check::failed(
            "daemon.answers",
            format!("the daemon is not ready: {}", clean(why.as_deref().unwrap_or("it does not say why"))),
            "give it a moment; then see `coditect-sync logs`",
        ),
        Err(failure) => of_failure("daemon.answers", &failure),
    };
    let reached = answers.outcome == Outcome::Ok;
    checks.push(answers);
    let mut said = None;
    if reached {
        match daemon.ask_for::<Health>(&Call::health()) {
            Ok((health, _)) => checks.push(status::health(&health)),
            Err(failure) => checks.push(of_failure("daemon.health", &failure)),
        }
        match daemon.ask_for::<Status>(&Call::status()) {
            Ok((status, _)) => {
                let configured = loaded.as_ref().ok().map(|loaded| &*loaded.config.cloud_sync.api_url);
                let sees = |path: &str| Path::new(path).is_dir();
                checks.extend(status::checks(&status, env!("CARGO_PKG_VERSION"), configured, sees));
                if status.dev {
                    checks.retain(|check| !check.code.starts_with("token."));
                } else if status.cloud.state == CloudState::Online
                    || configured.is_some_and(|address| !status::same(address, &status))
                {
                    // It has a token from elsewhere: `--dev`, or a variable of its own.
                    checks.iter_mut().filter(|check| check.code == "token.present").for_each(Check::relieve);
                }
                said = Some(status);
            }
            Err(failure) => checks.push(of_failure("daemon.status", &failure)),
        }
    }
    if said.is_some() {
        /// The part of the diagnostics that is judged; an older daemon has none of it.
        #[derive(serde::Deserialize)]
        struct Diagnosed {
            #[serde(default)]
            sandbox: Option<SandboxFigures>,
        }
        match daemon.ask_for::<Diagnosed>(&Call::diagnostics()) {
            Ok((diagnosed, _)) => checks.extend(diagnosed.sandbox.as_ref().map(status::sandbox)),
            Err(failure) => checks.push(of_failure("daemon.sandbox", &failure)),
        }
    }
    // A daemon may have been given other roots than the configuration's; it is its own that count.
    match (&said, &loaded) {
        (Some(status), _) => checks.extend(status.discovery.roots.iter().map(|root| match root.state {
            RootState::Watching | RootState::Polling => Check::ok(
                "discovery.roots",
                format!("the daemon keeps track of the root `{}`", clean(&root.path)),
            ),
            RootState::Missing | RootState::Denied => files::root(Path::new(&root.path)),
        })),
        (None, Ok(loaded)) if loaded.config.sync_daemon.discovery.enabled => {
            checks.extend(loaded.config.sync_daemon.discovery.roots.iter().map(|root| files::root(root)));
        }
        (None, Ok(_) | Err(_)) => {}
    }
    let limits = machine::WatchLimits::read(Path::new(INOTIFY));
    checks.extend(machine::watches(limits, said.as_ref().map(|status| status.discovery.watches)));
    let identity = std::fs::read(&places.machine_id);
    checks.push(machine::identity(
        &places.machine_id,
        identity,
        said.as_ref().map(|status| status.machine_uuid),
    ));
    checks.push(machine::clock(context.now, said.as_ref()));
    checks.extend(installed(context));
    Ok(checks)
}

fn config(loaded: &Loaded, places: &Places) -> Vec<Check> {
    let shown = places.config_file.display();
    let mut checks: Vec<Check> = loaded
        .warnings
        .iter()
        .map(|warning| {
            Check::warning("config.warnings", warning.to_string(), "see `coditect-sync config show`")
        })
        .collect();
    if checks.is_empty() {
        let exists = if places.config_file.exists() {
            "is in order"
        } else {
            "does not exist, so all has its default"
        };
        checks.push(Check::ok("config.valid", format!("`{shown}` {exists}")));
    }
    checks
}

fn of_failure(code: &'static str, failure: &Failure) -> Check {
    let remedy = failure.hint.clone().unwrap_or_else(|| "see `coditect-sync logs`".to_owned());
    Check::failed(code, failure.message.clone(), remedy)
}

fn shown(check: &Check, context: &Context) -> String {
    let (word, tone) = match check.outcome {
        Outcome::Ok => ("ok", Tone::Good),
        Outcome::Warning => ("warning", Tone::Mind),
        Outcome::Failed => ("failed", Tone::Bad),
    };
    let padding = " ".repeat(9 - word.len());
    let code = context.view.paint(Tone::Faint, &format!("{:<20}", check.code));
    let room = context.view.width.map_or(usize::MAX, |width| width.saturating_sub(INDENT + 3).max(20));
    let under = |text: &str, first: &str| {
        let lines = wrapped(text, room);
        lines.join(&format!("\n{}{}", " ".repeat(INDENT), " ".repeat(first.len())))
    };
    let message = under(&clean(&check.message), "");
    let line = format!("{}{padding}{code} {message}", context.view.paint(tone, word));
    match &check.remedy {
        Some(remedy) => format!("{line}\n{}-> {}", " ".repeat(INDENT), under(&clean(remedy), "-> ")),
        None => line,
    }
}
