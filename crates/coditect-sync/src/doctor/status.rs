//! What the daemon says of itself, of the cloud and of its roots, judged.

use sync_wire::{CloudState, Health, HoldStatus, RootState, SandboxFigures, Status};

use super::Check;
use crate::human::{clean, cloud_sentence, count, held_back};

/// All that can be told from the daemon's status, for this command line: its version, the cloud of its configuration,
/// and whether it sees a folder itself.
pub(crate) fn checks(
    status: &Status,
    own_version: &str,
    configured: Option<&str>,
    sees: impl Fn(&str) -> bool,
) -> Vec<Check> {
    let mut checks = vec![version(status, own_version), cloud(status)];
    if status.dev {
        let message = "the daemon has a cloud of its own inside (`--dev`); no token is needed, nothing leaves this machine";
        checks.push(Check::ok("daemon.configuration", message));
    }
    let configured = configured.filter(|address| !status.dev && !same(address, status));
    checks.extend(configured.map(|address| {
        let message = format!(
            "the daemon uses the cloud at {}, the configuration says {address}",
            clean(&status.cloud.api_url)
        );
        let remedy =
            "run `coditect-sync reload`, or start the daemon without `--dev` and with the same variables";
        Check::warning("daemon.configuration", message, remedy)
    }));
    if status.paused {
        let pause = status.pause.as_ref();
        let until = pause.and_then(|pause| pause.until.as_deref());
        let until = until.map(|until| format!(" until {}", clean(until))).unwrap_or_default();
        let reason = pause.and_then(|pause| pause.reason.as_deref());
        let reason = reason.map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
        let message = format!("sending is paused{until}{reason}");
        checks.push(Check::warning("daemon.paused", message, "run `coditect-sync resume`"));
    }
    checks.extend(status.holds.iter().filter_map(held));
    checks.extend(queue(status));
    checks.extend(roots(status, sees));
    checks.extend(status.discovery.problems.iter().map(|problem| {
        let remedy = "check the permissions, or leave the place out with `sync_daemon.discovery.exclude`";
        Check::warning("discovery.problems", clean(problem), remedy)
    }));
    checks
}

/// Something that is held back by itself. What keeps it from sending is told by its pause and by the cloud's state, a full
/// disk by its health.
fn held(hold: &HoldStatus) -> Option<Check> {
    let code = "daemon.held";
    let (what, reason, ends) = (held_back(&hold.stops), clean(&hold.reason), clean(&hold.ends));
    match (&*hold.by, &*hold.stops) {
        ("disk", _) | (_, "sending") => None,
        (_, "sweeps") => Some(Check::ok(code, format!("{what}: {reason}; it goes on {ends}"))),
        _ => Some(Check::warning(code, format!("{what}: {reason}"), format!("it goes on {ends}"))),
    }
}

/// Whether the daemon uses the configured cloud.
pub(crate) fn same(configured: &str, status: &Status) -> bool {
    configured.trim_end_matches('/') == status.cloud.api_url.trim_end_matches('/')
}

/// Whether the daemon can do its work.
pub(crate) fn health(health: &Health) -> Check {
    let why = health.why.as_deref().unwrap_or("it does not say why");
    if health.healthy {
        Check::ok("daemon.health", "the daemon can do its work")
    } else {
        let remedy = "see `coditect-sync logs`; `coditect-sync service restart` starts it anew";
        Check::failed("daemon.health", format!("the daemon cannot do its work: {}", clean(why)), remedy)
    }
}

/// What keeps the daemon from doing more than it has to. None of it is a fault: not every system has it.
pub(crate) fn sandbox(sandbox: &SandboxFigures) -> Check {
    let SandboxFigures { confined, folders, landlock, why_not, no_new_privileges, system_calls_filtered } =
        sandbox;
    let folders: Vec<String> = folders.iter().map(|folder| format!("`{}`", clean(folder))).collect();
    let version = landlock.map(|version| format!(" (Landlock {version})")).unwrap_or_default();
    let writes = match (confined, why_not) {
        (true, _) => format!("the daemon can write to {} alone{version}", folders.join(", ")),
        (false, Some(why)) => format!("the daemon is not kept from writing elsewhere: {}", clean(why)),
        (false, None) => "the daemon is not kept from writing elsewhere".to_owned(),
    };
    let also = [
        (*no_new_privileges, "it can gain no privileges"),
        (*system_calls_filtered, "its system calls are filtered"),
    ];
    let also = also.into_iter().filter(|(so, _)| *so == Some(true)).map(|(_, words)| words);
    let parts: Vec<String> = std::iter::once(writes).chain(also.map(str::to_owned)).collect();
    Check::ok("daemon.sandbox", parts.join("; "))
}

fn version(status: &Status, own: &str) -> Check {
    let code = "daemon.version";
    let theirs = clean(&status.version);
    if theirs == own {
        Check::ok(code, format!("daemon and command line are both {own}"))
    } else {
        let message = format!("the daemon is {theirs}, this command line is {own}");
        Check::warning(
            code,
            message,
            "run `coditect-sync service restart`; if that changes nothing, install both programs anew",
        )
    }
}

fn cloud(status: &Status) -> Check {
    let code = "cloud.state";
    let cloud = &status.cloud;
    let sentence = cloud_sentence(cloud.state);
    let said =
        cloud.last_error.as_ref().map(|error| format!(": {}", clean(&error.message))).unwrap_or_default();
    let address = clean(&cloud.api_url);
    let plain = format!("{sentence} ({address})");
    let message = format!("{plain}{said}");
    match cloud.state {
        CloudState::Online => Check::ok(code, plain),
        CloudState::Unknown => Check::ok(code, message),
        CloudState::Throttled => {
            Check::warning(code, message, "nothing: it is tried again when the cloud asked for it")
        }
        CloudState::Offline => Check::failed(
            code,
            message,
            "check the network, a proxy (HTTPS_PROXY) and `cloud_sync.api_url`; what waits is kept",
        ),
        CloudState::Portal => {
            Check::failed(code, message, "sign in to this network: open a page in a browser")
        }
        CloudState::AuthRequired => Check::failed(code, message, "run `coditect-sync auth set-token`"),
        CloudState::Forbidden => Check::failed(
            code,
            message,
            "ask whoever runs your tenant, or set another token with `coditect-sync auth set-token`",
        ),
        CloudState::Protocol => {
            Check::failed(code, message, "check `cloud_sync.api_url`: what answers there is not the cloud")
        }
    }
}

fn queue(status: &Status) -> Vec<Check> {
    let code = "queue.entries";
    let queue = &status.queue;
    let mut checks = Vec::new();
    if queue.dead > 0 {
        let message = format!("{} refused for good", count(queue.dead, "project was", "projects were"));
        checks.push(Check::warning(code, message, "see why with `coditect-sync queue list --state dead`"));
    }
    if queue.parked > 0 {
        let message = format!("{} for a person", count(queue.parked, "project waits", "projects wait"));
        checks.push(Check::warning(code, message, "see why with `coditect-sync queue list --state parked`"));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            code,
            format!("{} to be sent", count(queue.waiting(), "project waits", "projects wait")),
        ));
    }
    checks
}

fn roots(status: &Status, sees: impl Fn(&str) -> bool) -> impl Iterator<Item = Check> {
    status.discovery.roots.iter().filter_map(move |root| {
        let path = clean(&root.path);
        match root.state {
            RootState::Watching => None,
            RootState::Polling => Some(Check::warning(
                "discovery.watching",
                format!("`{path}` is looked through at intervals only"),
                "see the limits on watches; on network disks this is as it has to be",
            )),
            // That it does not exist is found by looking at the roots.
            RootState::Missing if !sees(&root.path) => None,
            RootState::Missing => Some(Check::warning(
                "discovery.watching",
                format!("the daemon finds no root `{path}`, which is there"),
                "run `coditect-sync scan`; a service may be let see less than you, see `coditect-sync service status`",
            )),
            RootState::Denied => Some(Check::failed(
                "discovery.watching",
                format!("the daemon must not read the root `{path}`"),
                if cfg!(target_os = "macos") {
                    "allow it for `coditect-syncd` in System Settings, Privacy & Security, Files and Folders"
                } else {
                    "check its permissions; a service may be let see less than you, see `coditect-sync service status`"
                },
            )),
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::doctor::Outcome;

    pub(crate) fn status() -> Status {
        serde_json::from_str(
            r#"{"version":"0.1.0","api":1,"pid":42,"started_at":"2026-06-01T12:00:00Z","uptime_seconds":1,"paused":false,
            "machine_uuid":"33333333-3333-4333-8333-333333333333","tenant_id":null,
            "cloud":{"api_url":"https://c","state":"online","since":"2026-01-01T00:00:00Z","last_success_at":null,"last_error":null,"next_attempt_at":null},
            "queue":{"ready":0,"delayed":0,"in_flight":0,"parked":0,"dead":0,"oldest_enqueued_at":null},
            "cache":{"entries":0,"fresh":0,"stale":0},
            "projects":{"total":0,"registered":0,"pending":0,"missing":0,"rejected":0},
            "discovery":{"roots":[{"path":"/p","state":"watching","projects":0}],"watches":0,"last_scan":null}}"#,
        )
        .expect("a status")
    }

    fn check(change: impl FnOnce(&mut Status), expected: &[(&str, Outcome)]) {
        let mut status = status();
        change(&mut status);
        let found = checks(&status, "0.1.0", Some("https://c/"), |_| true);
        let found: Vec<_> = found
            .iter()
            .filter(|check| check.outcome != Outcome::Ok)
            .map(|check| (check.code, check.outcome))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_thing_that_is_amiss_is_found() {
        use Outcome::{Failed, Warning};
        check(|_| {}, &[]);
        check(|status| status.version = "0.2.0".to_owned(), &[("daemon.version", Warning)]);
        let elsewhere = |status: &mut Status| status.cloud.api_url = "http://127.0.0.1:1".to_owned();
        check(elsewhere, &[("daemon.configuration", Warning)]);
        let with_a_cloud_of_its_own = |status: &mut Status| {
            elsewhere(status);
            status.dev = true;
        };
        check(with_a_cloud_of_its_own, &[]);
        check(|status| status.paused = true, &[("daemon.paused", Warning)]);
        for (by, stops, expected) in [
            ("queue", "queueing", &[("daemon.held", Warning)][..]),
            ("configuration", "reloads", &[("daemon.held", Warning)]),
            ("legacy", "imports", &[("daemon.held", Warning)]),
            ("log", "logging", &[("daemon.held", Warning)]),
            ("low_battery", "sweeps", &[]),
            // Told by others.
            ("disk", "queueing", &[]),
            ("metered", "sending", &[]),
        ] {
            let [by, stops] = [by, stops].map(str::to_owned);
            let (since, reason, ends) =
                ("2026-06-01T12:00:00Z".to_owned(), "why".to_owned(), "one day".to_owned());
            check(
                |status| status.holds = vec![HoldStatus { by, stops, since, until: None, reason, ends }],
                expected,
            );
        }
        check(|status| status.queue.dead = 1, &[("queue.entries", Warning)]);
        check(|status| status.queue.parked = 1, &[("queue.entries", Warning)]);
        check(|status| status.discovery.problems.push("x".to_owned()), &[("discovery.problems", Warning)]);
        for (state, outcome) in
            [(RootState::Polling, Warning), (RootState::Missing, Warning), (RootState::Denied, Failed)]
        {
            check(|status| status.discovery.roots[0].state = state, &[("discovery.watching", outcome)]);
        }
        for (state, outcome) in [
            (CloudState::Throttled, Warning),
            (CloudState::Offline, Failed),
            (CloudState::Portal, Failed),
            (CloudState::AuthRequired, Failed),
            (CloudState::Forbidden, Failed),
            (CloudState::Protocol, Failed),
        ] {
            check(|status| status.cloud.state = state, &[("cloud.state", outcome)]);
        }
        check(|status| status.cloud.state = CloudState::Unknown, &[]);
    }

    #[test]
    fn what_holds_the_daemon_is_told() {
        let held = SandboxFigures {
            confined: true,
            folders: vec!["/s".to_owned(), "/d".to_owned()],
            landlock: Some(7),
            why_not: None,
            no_new_privileges: Some(true),
            system_calls_filtered: Some(false),
        };
        assert_eq!(
            sandbox(&held).message,
            "the daemon can write to `/s`, `/d` alone (Landlock 7); it can gain no privileges"
        );
        let free =
            SandboxFigures { why_not: Some("this system has no Landlock".to_owned()), ..Default::default() };
        assert_eq!(
            sandbox(&free).message,
            "the daemon is not kept from writing elsewhere: this system has no Landlock"
        );
    }

    #[test]
    fn a_daemon_that_cannot_work_says_why() {
        let check = health(&Health { healthy: false, why: Some("the disk is full".to_owned()) });
        assert!(
            check.outcome == Outcome::Failed && check.message.ends_with(": the disk is full"),
            "{check:?}"
        );
    }
}
