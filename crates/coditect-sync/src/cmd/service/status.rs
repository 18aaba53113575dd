//! `service status`: what the manager has, what it says, and what the daemon says itself.

use serde_json::{Value, json};
use sync_wire::{Call, Status};

use super::scene::{Scene, Seen};
use super::{linger_note, not_installed};
use crate::absent;
use crate::cmd::Context;
use crate::exit::Exit;
use crate::human::{Tone, clean, count, span};
use crate::out::Answer;
use crate::problem::Failure;
use crate::service::Manager;
use crate::service::marker::{State, state};

pub(super) fn run(context: &Context) -> Result<Answer, Failure> {
    let scene = Scene::look(context)?;
    let wanted = scene.wanted_anyway();
    let file = state(&scene.seen.target().found, &wanted.unit);
    if !scene.seen.is_installed() {
        return Err(not_installed());
    }
    let idle = scene.seen.would_be_started() && !absent::is_locked(&scene.places);
    let status = if idle {
        Err(Failure::new(Exit::NoDaemon, "no_daemon", "none runs; it is started for the first who asks"))
    } else {
        context.daemon()?.ask_for::<Status>(&Call::status())
    };
    let lingers = if scene.manager == Manager::Systemd { scene.lingers() } else { None };
    let sandbox = match &scene.seen {
        Seen::Systemd { found, .. } => {
            Some(state(&found.sandbox.found, wanted.sandbox.as_deref().unwrap_or_default()))
        }
        Seen::Launchd { .. } => None,
    };
    let socket = match &scene.seen {
        Seen::Systemd { found, socket: Some(job), .. } => {
            Some((state(&found.socket.found, wanted.socket.as_deref().unwrap_or_default()), job))
        }
        Seen::Systemd { .. } | Seen::Launchd { .. } => None,
    };
    let document = json!({
        "manager": scene.manager.as_str(),
        "file": file_document(&scene.seen, &file),
        "sandbox": sandbox.as_ref().map(State::as_str),
        "socket": socket.as_ref().map(|(file, job)| json!({
            "file": file.as_str(), "active": job.active, "enabled": job.enabled,
        })),
        "job": job_document(&scene.seen),
        "lingers": lingers,
        "daemon": status.as_ref().ok().map(|(status, _)| json!({
            "version": status.version, "pid": status.pid, "uptime_seconds": status.uptime_seconds,
        })),
    });
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| {
        lines.push(format!("{}{text}", context.view.paint(Tone::Faint, &format!("{name:<12}"))));
    };
    line("service", told(&scene.seen));
    line("file", file_in_words(&scene.seen, &file));
    if let Some(sandbox) = &sandbox {
        let words = if *sandbox == State::Absent {
            "the plain one of the unit".to_owned()
        } else {
            format!("stricter, {}", in_words(sandbox))
        };
        line("sandbox", words);
    }
    if let Some((file, job)) = &socket {
        let words = if file == &State::Current { String::new() } else { format!(", {}", in_words(file)) };
        line("socket", clean(&format!("{}, {}{words}", job.active, job.enabled)).into_owned());
    }
    let mut notes = Vec::new();
    if let Some((_, job)) = &socket
        && job.active != "active"
    {
        notes.push(
            "the user manager does not listen for the daemon: run `coditect-sync service start`".to_owned(),
        );
    }
    match &status {
        Ok((status, _)) => {
            let Status { version, pid, uptime_seconds, .. } = status;
            line("daemon", format!("{}, pid {pid}, up {}", clean(version), span(*uptime_seconds)));
            if !scene.seen.may_be(*pid) {
                notes.push("the daemon that answers is not the service's: end it with `coditect-sync stop`, then `coditect-sync service start`".to_owned());
            }
            if version != env!("CARGO_PKG_VERSION") {
                notes.push(format!(
                    "the daemon is {} and this program {}: run `coditect-sync service restart`",
                    clean(version),
                    env!("CARGO_PKG_VERSION")
                ));
            }
        }
        Err(failure) if idle => line("daemon", failure.message.clone()),
        Err(failure) => {
            line("daemon", clean(failure.message.lines().next().unwrap_or_default()).into_owned());
            notes.push(
                "start it with `coditect-sync service start`; `coditect-sync logs` shows what it said last"
                    .to_owned(),
            );
        }
    }
    notes.extend(about_file(&file).map(str::to_owned));
    notes.extend((lingers == Some(false)).then(linger_note));
    let exit = if status.is_ok() || idle { Exit::Done } else { Exit::NoDaemon };
    let answer = Answer::result(document.to_string().into_bytes(), lines.join("\n")).ending(exit);
    Ok(if notes.is_empty() { answer } else { answer.with_note(notes.join("\n")) })
}

/// The file from which the daemon is started, for programs.
fn file_document(seen: &Seen, file: &State) -> Value {
    if let Some(path) = seen.elsewhere() {
        return json!({"path": path.to_string_lossy(), "state": "elsewhere", "version": null});
    }
    let version = match file {
        State::Outdated { version } | State::Edited { version } => Some(version.as_str()),
        State::Current => Some(env!("CARGO_PKG_VERSION")),
        State::Absent | State::Foreign => None,
    };
    json!({"path": seen.file().to_string_lossy(), "state": file.as_str(), "version": version})
}

fn file_in_words(seen: &Seen, file: &State) -> String {
    match seen.elsewhere() {
        Some(path) => format!("`{}`, not of `service install`: as a package brings it", path.display()),
        None => format!("`{}`, {}", seen.file().display(), in_words(file)),
    }
}

/// What is to be done about the unit's file, if anything.
fn about_file(file: &State) -> Option<&'static str> {
    match file {
        State::Outdated { .. } => Some("bring the file up to date with `coditect-sync service install`"),
        State::Edited { .. } | State::Foreign => Some(
            "the file is left alone; `coditect-sync service install --force` would replace it and keep it as .bak",
        ),
        State::Absent | State::Current => None,
    }
}

/// How the manager sees the service, for programs.
fn job_document(seen: &Seen) -> Value {
    match seen {
        Seen::Systemd { job, .. } => json!({
            "active": job.active, "sub": job.sub, "enabled": job.enabled, "pid": job.pid, "result": job.result,
            "exit_status": job.exit_status, "said": job.said, "restarts": job.restarts,
        }),
        Seen::Launchd { job, domain, .. } => json!({
            "domain": domain, "loaded": job.loaded, "state": job.state, "pid": job.pid, "last_exit": job.last_exit,
        }),
    }
}

fn in_words(state: &State) -> String {
    match state {
        State::Absent => "missing".to_owned(),
        State::Current => "as this program writes it".to_owned(),
        State::Outdated { version } => {
            format!("written by version {}, for other places or for another `shutdown_grace`", clean(version))
        }
        State::Edited { version } => format!("edited since version {} wrote it", clean(version)),
        State::Foreign => "written by somebody else".to_owned(),
    }
}

fn told(seen: &Seen) -> String {
    match seen {
        Seen::Systemd { job, .. } => {
            let pid = job.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            let enabled = if job.enabled.is_empty() { "not known to it" } else { &job.enabled };
            let ended = job.end().map(|end| format!("; it ended: {end}")).unwrap_or_default();
            let again = if job.restarts > 0 {
                format!("; started again {}", count(job.restarts, "time", "times"))
            } else {
                String::new()
            };
            clean(&format!("systemd user unit, {} ({}), {enabled}{pid}{ended}{again}", job.active, job.sub))
                .into_owned()
        }
        Seen::Launchd { job, domain, .. } => {
            let pid = job.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            let state = match (job.loaded, job.state.as_str()) {
                (false, _) => "not loaded",
                (true, "") => "loaded",
                (true, state) => state,
            };
            clean(&format!("launchd agent in {domain}, {state}{pid}")).into_owned()
        }
    }
}
