//! Tells the service manager how the daemon is: one datagram for each state (`sd_notify(3)`'s protocol).
//!
//! Without a manager that listens, telling is doing nothing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::io::Errno;
use sync_config::Environment;

/// When a manager that had no room for a state is told it again.
pub(crate) const REPEAT: Duration = Duration::from_secs(1);

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

/// The manager's ear. A manager that does not listen for a while is not waited for: that would hold up everything, for it is
/// told on the thread that all tasks share. What it has to know in the end is told again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    address: Option<OsString>,
    /// What it had no room for.
    owed: VecDeque<(Matter, String)>,
}

/// What is told; of one matter only the latest counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Matter {
    Ready,
    Status,
    Stopping,
}

impl Service {
    /// The manager at `NOTIFY_SOCKET`, where the environment names one.
    pub(crate) fn new(notify_socket: Option<OsString>) -> Self {
        Self { address: notify_socket.filter(|address| !address.is_empty()), owed: VecDeque::new() }
    }

    /// Whether anybody listens.
    pub(crate) fn listens(&self) -> bool {
        self.address.is_some()
    }

    /// The daemon answers.
    pub(crate) fn ready(&mut self) {
        self.tell(Matter::Ready, "READY=1".to_owned());
    }

    /// A line for people.
    pub(crate) fn status(&mut self, line: &str) {
        self.tell(Matter::Status, format!("STATUS={line}"));
    }

    /// The daemon is alive. Where that finds no room, an earlier one still lies there to be heard.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The daemon is ending.
    pub(crate) fn stopping(&mut self) {
        self.tell(Matter::Stopping, "STOPPING=1".to_owned());
    }

    /// Whether something is to be told [again](Self::again) after [`REPEAT`].
    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Tells what there was no room for.
    pub(crate) fn again(&mut self) {
        while let Some((_, state)) = self.owed.front() {
            if !self.send(state) {
                return;
            }
            self.owed.pop_front();
        }
    }

    fn tell(&mut self, matter: Matter, state: String) {
        self.owed.retain(|(owed, _)| *owed != matter);
        self.owed.push_back((matter, state));
        self.again();
    }

    /// Says whether there was room for it; what cannot be told at all is not worth another try.
    fn send(&self, state: &str) -> bool {
        let Some(address) = &self.address else { return true };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            match address.as_bytes() {
                #[cfg(target_os = "linux")]
                [b'@', name @ ..] => {
                    use std::os::linux::net::SocketAddrExt;
                    socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)
                }
                _ => socket.send_to_addr(state.as_bytes(), &SocketAddr::from_pathname(address)?),
            }
        });
        let Err(error) = sent else { return true };
        tracing::debug!(%error, "the service manager was not told");
        !matches!(Errno::from_io_error(&error), Some(Errno::AGAIN | Errno::NOBUFS))
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
        let mut service = Service::new(Some(path.into_os_string()));
        service.ready();
        service.status("3 waiting");
        let mut buffer = [0; 64];
        for expected in ["READY=1", "STATUS=3 waiting"] {
            let length = ear.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected.as_bytes());
        }
    }

    #[test]
    fn a_manager_that_does_not_listen_is_not_waited_for_and_hears_the_latest_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        ear.set_nonblocking(true).unwrap();
        let mut service = Service::new(Some(path.into_os_string()));
        let mut told = 0;
        while !service.owes() {
            service.status(&told.to_string());
            told += 1;
        }
        service.alive();
        service.ready();
        service.status("the latest");
        let mut heard = Vec::new();
        let mut buffer = [0; 64];
        for _ in 0..2 {
            while let Ok(length) = ear.recv(&mut buffer) {
                heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            service.again();
        }
        let before = (0..told - 1).map(|number| format!("STATUS={number}"));
        let expected: Vec<String> =
            before.chain(["READY=1".to_owned(), "STATUS=the latest".to_owned()]).collect();
        assert_eq!((heard, service.owes()), (expected, false));
    }
}
