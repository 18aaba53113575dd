//! What `doctor` wants to know of the service.

use super::scene::{Scene, Seen};
use crate::cmd::Context;
use crate::doctor::Check;
use crate::service::Manager;
use crate::service::marker::{State, state};

/// Whether the daemon is a service of this user, from a file that is current, and outlives the last logout.
pub(crate) fn installed(context: &Context) -> Vec<Check> {
    let code = "service.installed";
    let scene = match Scene::look(context) {
        Ok(scene) => scene,
        Err(failure) => {
            return vec![Check::warning(code, failure.message, failure.hint.unwrap_or_default())];
        }
    };
    let file = state(&scene.seen.target().found, &scene.wanted_anyway().unit);
    let shown = scene.seen.file().display().to_string();
    let install = "run `coditect-sync service install`";
    let (elsewhere, in_use) = match &scene.seen {
        Seen::Systemd { found, job, .. } => (found.elsewhere(job), job.is_in_use()),
        Seen::Launchd { .. } => (None, false),
    };
    let mut checks = vec![match file {
        State::Absent if let Some(theirs) = elsewhere.filter(|_| in_use) => {
            let theirs = theirs.display();
            Check::ok(code, format!("the service is installed: `{theirs}`, as a package brings it"))
        }
        State::Absent => Check::warning(
            code,
            "the daemon is not a service: nobody starts it with the next session",
            install,
        ),
        State::Current => Check::ok(code, format!("the service is installed: `{shown}`")),
        State::Outdated { version } => Check::warning(
            code,
            format!(
                "`{shown}` was written by version {version}, for other places or for another `shutdown_grace`"
            ),
            install,
        ),
        State::Edited { .. } | State::Foreign => Check::warning(
            code,
            format!("`{shown}` was edited or written by somebody else"),
            "put changes into a drop-in; `coditect-sync service install --force` writes the file anew and keeps this one",
        ),
    }];
    if !scene.seen.is_installed() || (elsewhere.is_some() && !in_use) {
        return checks;
    }
    match &scene.seen {
        Seen::Systemd { job, socket, .. } => {
            if let Some(socket) = socket {
                if socket.active != "active" || !matches!(socket.enabled.as_str(), "enabled" | "") {
                    let message = format!("the socket's unit is {} and {}", socket.active, socket.enabled);
                    let remedy = "run `coditect-sync service install --socket-activated`";
                    checks.push(Check::warning("service.enabled", message, remedy));
                }
            } else if !matches!(job.enabled.as_str(), "enabled" | "") {
                let message = format!("the service is {}: it is not started with the session", job.enabled);
                let remedy =
                    if elsewhere.is_some() { "run `systemctl --user enable coditect-sync`" } else { install };
                checks.push(Check::warning("service.enabled", message, remedy));
            }
            if job.active == "failed" {
                let message = format!("the service failed: {}", job.end().unwrap_or_default());
                let remedy = "see `coditect-sync logs`, then `coditect-sync service start`";
                checks.push(Check::failed("service.state", message, remedy));
            }
        }
        Seen::Launchd { job, .. } if !job.loaded => {
            checks.push(Check::warning(
                "service.state",
                "the agent is not loaded",
                "run `coditect-sync service start`",
            ));
        }
        Seen::Launchd { .. } => {}
    }
    if scene.manager == Manager::Systemd {
        match scene.lingers() {
            Some(true) => {
                checks.push(Check::ok("service.linger", "the daemon goes on after the last logout"));
            }
            Some(false) => checks.push(Check::warning(
                "service.linger",
                "the daemon stops at the last logout",
                "run `loginctl enable-linger` if it should go on; on a laptop it need not",
            )),
            None => {}
        }
    }
    checks
}
