//! Tells the service manager how the daemon is: one datagram for each state (`sd_notify(3)`'s protocol).
//!
//! Without a manager that listens, telling is doing nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sync_config::Environment;

/// Who starts the daemon again when it ends, as the files of `coditect-sync service install` tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manager {
    /// The user manager of systemd, which knows what each exit status means.
    Systemd,
    /// launchd, which knows success and failure.
    Launchd,
}

impl Manager {
    /// By the variable in those files; another manager may not start the daemon again.
    pub(crate) fn of(environment: &Environment) -> Option<Self> {
        match environment.variable("CODITECT_SYNC_MANAGER")?.to_str()? {
            "systemd" => Some(Self::Systemd),
            "launchd" => Some(Self::Launchd),
            _ => None,
        }
    }
}

/// The manager's ear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    address: Option<OsString>,
}

impl Service {
    /// The manager at `NOTIFY_SOCKET`, where the environment names one.
    pub(crate) fn new(notify_socket: Option<OsString>) -> Self {
        Self { address: notify_socket.filter(|address| !address.is_empty()) }
    }

    /// Whether anybody listens.
    pub(crate) fn listens(&self) -> bool {
        self.address.is_some()
    }

    /// The daemon answers.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// A line for people.
    pub(crate) fn status(&self, line: &str) {
        self.tell(&format!("STATUS={line}"));
    }

    /// The daemon is alive.
    pub(crate) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The daemon is ending.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(address) = &self.address else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| match address.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)
            }
            _ => socket.send_to_addr(state.as_bytes(), &SocketAddr::from_pathname(address)?),
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_each_state() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let service = Service::new(Some(path.into_os_string()));
        service.ready();
        service.status("3 waiting");
        let mut buffer = [0; 64];
        for expected in ["READY=1", "STATUS=3 waiting"] {
            let length = ear.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    }
}
