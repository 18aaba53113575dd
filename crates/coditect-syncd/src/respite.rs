//! Lets time pass between a fault of the daemon's first moments and the next start.
//!
//! A lack that lasts (a full disk, no descriptors) makes one start after another fail. systemd counts them and gives a
//! service up for good that fails too often; without that count it would start it again every second; and a delay of its own that
//! grows (`RestartSteps=`) does not shrink again for as long as the service runs, upgrades included. So the daemon stays for a
//! while before it ends with a fault, and systemd's count is left for a program that crashes. launchd waits by itself.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use sync_config::read_environment;

use crate::fatal::Fatal;
use crate::service::{Manager, REPEAT, Service};

/// The shortest life that ends with a fault, where systemd starts the daemon again.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);

/// Knows since when the daemon lives and who starts it again.
#[derive(Debug)]
pub struct Respite {
    begun: Instant,
    manager: Option<Manager>,
    service: Service,
}

impl Respite {
    /// From the beginning of a life on.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a life's length is measured where there is no daemon yet")]
    pub fn begin() -> Self {
        let environment = read_environment();
        Self {
            begun: Instant::now(),
            manager: Manager::of(&environment),
            service: Service::new(environment.variable("NOTIFY_SOCKET")),
        }
    }

    /// Stays for as long as the next start should not come yet; a signal ends it at once.
    pub fn after(&self, fatal: &Fatal) {
        let Fatal::Fault(why) = fatal else { return };
        let rest = rest(self.manager, self.begun.elapsed());
        if rest.is_zero() {
            return;
        }
        // The thread that listened to them has ended, and nobody is to wait for this.
        let ends = Arc::new(AtomicBool::new(true));
        let heard = |signal| flag::register_conditional_default(signal, Arc::clone(&ends)).is_ok();
        if !(heard(SIGTERM) && heard(SIGINT)) {
            return;
        }
        let line = why.replace('\n', " ");
        let mut service = self.service.clone();
        service.status(&format!("tries again in {} s: {line}", rest.as_secs().max(1)));
        let mut left = rest;
        while service.owes() && !left.is_zero() {
            let step = left.min(REPEAT);
            thread::sleep(step);
            left -= step;
            service.again();
        }
        thread::sleep(left);
    }
}

/// How long a daemon that lived so long stays before it ends with a fault.
fn rest(manager: Option<Manager>, lived: Duration) -> Duration {
    match manager {
        Some(Manager::Systemd) => SHORTEST_LIFE.saturating_sub(lived),
        Some(Manager::Launchd) | None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_life_under_systemd_is_made_up_to_the_shortest() {
        let seconds = Duration::from_secs;
        for (manager, lived, expected) in [
            (Some(Manager::Systemd), 0, 10),
            (Some(Manager::Systemd), 3, 7),
            (Some(Manager::Systemd), 10, 0),
            (Some(Manager::Systemd), 86_400, 0),
            (Some(Manager::Launchd), 0, 0),
            (None, 0, 0),
        ] {
            assert_eq!(rest(manager, seconds(lived)), seconds(expected), "{manager:?} {lived}");
        }
    }
}
