//! The machine: its identity, its clock, and how much it lets one user watch.

use std::path::Path;

use sync_wire::Status;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Check;
use crate::human::span;

/// No clock that is right shows an earlier time: the program was not written then.
const WRITTEN: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

/// More than a round trip and the rounding to seconds.
const JUMP: Duration = Duration::minutes(2);

/// Watches a system should allow; below it a few large projects use them up.
const FEW_WATCHES: u64 = 65_536;
const FEW_INSTANCES: u64 = 128;

/// The identity: what the file holds, and who the daemon says it is.
pub(crate) fn identity(path: &Path, content: std::io::Result<Vec<u8>>, daemon: Option<Uuid>) -> Check {
    let code = "machine.identity";
    let shown = path.display();
    let content = match content {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::ok(
                code,
                format!("`{shown}` is not there yet; the daemon makes it when it starts first"),
            );
        }
        Err(error) => {
            let remedy = "check its owner and permissions; without it the daemon does not start";
            return Check::failed(code, format!("`{shown}` cannot be read: {error}"), remedy);
        }
    };
    let value: Option<serde_json::Value> = serde_json::from_slice(&content).ok();
    let id = value.as_ref().and_then(|value| value.get("machine_uuid")?.as_str()?.parse::<Uuid>().ok());
    match (id.filter(|id| !id.is_nil()), daemon) {
        (None, _) => Check::failed(
            code,
            format!("`{shown}` holds no `machine_uuid`"),
            "restore it from a backup; moving it away gives this machine a new identity, and the cloud its projects a second time",
        ),
        (Some(id), Some(daemon)) if id != daemon => Check::warning(
            code,
            format!("`{shown}` says {id}, and the daemon that runs is {daemon}"),
            "run `coditect-sync service restart`, and see that CODITECT_DATA_DIR is the same here and there",
        ),
        (Some(id), _) => Check::ok(code, format!("this machine is {id}")),
    }
}

/// The clock, by the time at which this program was written and by when the daemon started.
pub(crate) fn clock(now: OffsetDateTime, status: Option<&Status>) -> Check {
    let code = "clock.sane";
    let remedy = "set the clock, for example with `timedatectl set-ntp true`";
    if now < WRITTEN {
        return Check::failed(code, format!("the clock says {}: it is behind", now.date()), remedy);
    }
    let started = status.and_then(|status| OffsetDateTime::parse(&status.started_at, &Rfc3339).ok());
    match started.filter(|started| *started > now + JUMP) {
        Some(started) => {
            let ahead = span((started - now).whole_seconds().unsigned_abs());
            Check::warning(
                code,
                format!("the daemon started {ahead} from now: the clock was set back"),
                remedy,
            )
        }
        None => Check::ok(code, "the clock can be right"),
    }
}

/// What the system lets one user watch, as its files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchLimits {
    pub(crate) watches: Option<u64>,
    pub(crate) instances: Option<u64>,
}

impl WatchLimits {
    /// Reads them; systems without inotify have none.
    pub(crate) fn read(folder: &Path) -> Self {
        let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok();
        Self { watches: number("max_user_watches"), instances: number("max_user_instances") }
    }
}

/// Whether the limits leave room for what the daemon uses; all programs of the user share them.
pub(crate) fn watches(limits: WatchLimits, used: Option<u64>) -> Vec<Check> {
    let raise = |name: &str, to: u64| {
        format!(
            "run `echo fs.inotify.{name}={to} | sudo tee /etc/sysctl.d/60-{name}.conf && sudo sysctl --system`"
        )
    };
    let mut checks = Vec::new();
    if let Some(limit) = limits.watches {
        let code = "watches.limit";
        let remedy = raise("max_user_watches", 524_288.max(limit.saturating_mul(2)));
        let message = match used {
            Some(used) => format!("{used} of {limit} inotify watches are used by the daemon"),
            None => format!("{limit} inotify watches are allowed"),
        };
        let scarce = used.is_some_and(|used| used.saturating_mul(10) >= limit.saturating_mul(8));
        checks.push(if scarce || limit < FEW_WATCHES {
            Check::warning(
                code,
                message,
                format!("{remedy}; until then the rest is found by the periodic scan"),
            )
        } else {
            Check::ok(code, message)
        });
    }
    if let Some(limit) = limits.instances {
        let code = "watches.instances";
        let message = format!("{limit} inotify instances are allowed");
        checks.push(if limit < FEW_INSTANCES {
            Check::warning(code, message, raise("max_user_instances", 512))
        } else {
            Check::ok(code, message)
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use std::io::{Error, ErrorKind};

    #[test]
    fn the_identity_is_read_and_compared() {
        let id = "11111111-1111-4111-8111-111111111111";
        let good = || Ok(format!(r#"{{"machine_uuid": "{id}"}}"#).into_bytes());
        let same: Uuid = id.parse().expect("a UUID");
        for (content, daemon, expected) in [
            (good(), None, Outcome::Ok),
            (good(), Some(same), Outcome::Ok),
            (good(), Some(Uuid::from_u128(7)), Outcome::Warning),
            (Ok(b"{}".to_vec()), None, Outcome::Failed),
            (
                Ok(br#"{"machine_uuid": "00000000-0000-0000-0000-000000000000"}"#.to_vec()),
                None,
                Outcome::Failed,
            ),
            (Ok(Vec::new()), None, Outcome::Failed),
            (Err(Error::from(ErrorKind::NotFound)), None, Outcome::Ok),
            (Err(Error::from(ErrorKind::PermissionDenied)), None, Outcome::Failed),
        ] {
            let check = identity(Path::new("/m"), content, daemon);
            assert_eq!(check.outcome, expected, "{check:?}");
        }
    }

    #[test]
    fn a_clock_before_this_program_or_before_the_daemons_start_is_wrong() {
        assert_eq!(clock(datetime!(1970-01-01 0:00 UTC), None).outcome, Outcome::Failed);
        assert_eq!(clock(datetime!(2027-01-01 0:00 UTC), None).outcome, Outcome::Ok);
        let status = crate::doctor::status::tests::status();
        assert_eq!(clock(datetime!(2026-06-01 11:00 UTC), Some(&status)).outcome, Outcome::Warning);
        assert_eq!(clock(datetime!(2026-06-01 12:01 UTC), Some(&status)).outcome, Outcome::Ok);
    }

    #[test]
    fn the_limits_are_compared_with_what_is_used() {
        use Outcome::{Ok, Warning};
        let check = |allowed, instances, used, expected: &[Outcome]| {
            let limits = WatchLimits { watches: allowed, instances };
            let found: Vec<_> = watches(limits, used).iter().map(|check| check.outcome).collect();
            assert_eq!(found, expected, "{limits:?} {used:?}");
        };
        check(Some(524_288), Some(128), Some(10), &[Ok, Ok]);
        check(Some(524_288), Some(128), None, &[Ok, Ok]);
        check(Some(524_288), None, Some(419_431), &[Warning]);
        check(Some(8_192), None, Some(10), &[Warning]);
        check(None, Some(16), None, &[Warning]);
        check(None, None, Some(10), &[]);
        let remedy = watches(WatchLimits { watches: Some(8_192), instances: None }, None)[0].remedy.clone();
        assert!(remedy.expect("a remedy").contains("fs.inotify.max_user_watches=524288"));
    }

    #[test]
    fn the_limits_are_read_where_there_are_some() {
        let home = tempfile::tempdir().expect("a folder");
        assert_eq!(WatchLimits::read(home.path()), WatchLimits::default());
        std::fs::write(home.path().join("max_user_watches"), "8192\n").expect("written");
        assert_eq!(WatchLimits::read(home.path()).watches, Some(8_192));
    }
}
