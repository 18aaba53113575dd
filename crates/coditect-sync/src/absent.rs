//! Explains why no daemon answers: what was looked at, what was found there, and what to do.

use std::error::Error as _;
use std::path::Path;

use sync_config::Places;
use sync_wire::{ClientError, LockInfo};

use crate::exit::Exit;
use crate::problem::Failure;

const START: &str = "start one with `coditect-sync service start`, after `coditect-sync service install` once; or run `coditect-syncd`";

/// What a failure to get an answer means to a person.
pub(crate) fn explain(error: ClientError, places: &Places) -> Failure {
    let absent = |message: String| Failure::new(Exit::NoDaemon, "no_daemon", message);
    let holder = || Holder::of(&places.lock);
    let socket = places.socket.display();
    match error {
        ClientError::Problem(problem) => Failure::of_problem(problem),
        ClientError::NoSocket { .. } => match holder() {
            Some(holder) if Path::new(&holder.info.socket) != places.socket => absent(format!(
                "there is no socket at `{socket}`, but {holder} and listens on `{}`",
                holder.info.socket
            ))
            .with_hint(format!("use `--socket {}`", holder.info.socket)),
            Some(holder) => absent(format!("there is no socket at `{socket}`, but {holder}"))
                .with_hint("it is stopping, or it makes its socket anew within seconds; try again"),
            None => absent(format!("no daemon is running: there is no socket at `{socket}`")).with_hint(START),
        },
        ClientError::NobodyListens { .. } => match holder() {
            Some(holder) => absent(format!("nobody listens on the socket `{socket}`, but {holder}"))
                .with_hint("it is starting or stopping; try again"),
            None => absent(format!(
                "no daemon is running: nobody listens on the socket `{socket}`, which a daemon left behind"
            ))
            .with_hint(START),
        },
        error @ (ClientError::Silent { .. } | ClientError::Slow { .. } | ClientError::Busy { .. }) => {
            let message = format!("cannot {error}");
            match holder() {
                Some(holder) if holder.stopped => absent(format!("{message}; {holder} and is stopped"))
                    .with_hint(format!("let it go on with `kill -CONT {}`", holder.info.pid)),
                Some(holder) => absent(format!("{message}; {holder} but does not answer")).with_hint(format!(
                    "give it longer with `--timeout 10s`, or end it with `kill {}` and start it again",
                    holder.info.pid
                )),
                None => absent(message).with_hint("give it longer with `--timeout 10s`"),
            }
        }
        error @ ClientError::Cut { .. } => absent(format!("cannot {error}"))
            .with_hint("the daemon is stopping, or it serves another user"),
        error @ (ClientError::Denied { .. } | ClientError::Strange { .. }) => absent(format!("cannot {error}"))
            .with_hint("a daemon serves only the user who started it; use your own `--state-dir` or `--socket`"),
        error @ ClientError::NotASocket { .. } => {
            absent(format!("cannot {error}")).with_hint("check `--socket` and CODITECT_SYNC_SOCKET")
        }
        ClientError::TooLong(too_long) => {
            Failure::new(Exit::Config, "bad_configuration", format!("cannot {too_long}"))
        }
        error @ (ClientError::Garbled { .. } | ClientError::TooLarge { .. }) => {
            Failure::failed(format!("cannot {error}")).with_hint(
                "something else may listen there, or the daemon is of another version; compare `coditect-sync --version` and `coditect-syncd --version`",
            )
        }
        error @ ClientError::Failed { .. } => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::failed(format!("cannot {error}{cause}"))
        }
    }
}

/// Whether a process holds the lock of the state directory.
pub(crate) fn is_locked(places: &Places) -> bool {
    Holder::of(&places.lock).is_some()
}

/// Whether the process that holds the lock listens, or is to listen, on this socket and none other.
pub(crate) fn is_locked_for_socket(places: &Places) -> bool {
    Holder::of(&places.lock).is_some_and(|holder| Path::new(&holder.info.socket) == places.socket)
}

/// Whether it makes sense to wait for whoever holds the lock: a stopped process answers nobody.
pub(crate) fn may_answer(lock: &Path) -> bool {
    Holder::of(lock).is_none_or(|holder| !holder.stopped)
}

/// A process that holds the lock of the state directory.
#[derive(Debug)]
struct Holder {
    info: LockInfo,
    stopped: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {} holds the lock", self.info.pid)
    }
}

impl Holder {
    /// Who holds the lock. It is not tried to take the lock for a moment to find out: a daemon that starts in that
    /// moment would find it taken.
    fn of(lock: &Path) -> Option<Self> {
        let info = LockInfo::from_bytes(&std::fs::read(lock).ok()?)?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(info.pid).ok()?)?;
        let lives = !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        let (holds, stopped) = proc_says(lock, info.pid);
        (lives && holds).then_some(Self { info, stopped })
    }
}

/// So often a lock is not in the list of all before nobody is taken to hold it.
#[cfg(target_os = "linux")]
const LOOKS_AT_LOCKS: u32 = 8;

/// Whether the process holds the lock, as far as the system tells, and whether it is stopped.
#[cfg(target_os = "linux")]
fn proc_says(lock: &Path, pid: u32) -> (bool, bool) {
    use std::os::unix::fs::MetadataExt;

    // `1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF`
    let inode = std::fs::metadata(lock).ok().map(|found| format!(":{}", found.ino()));
    let is_listed = || {
        let (Ok(locks), Some(inode)) = (std::fs::read_to_string("/proc/locks"), &inode) else { return true };
        locks.lines().any(|line| {
            let mut words = line.split_whitespace().skip(4);
            words.next() == Some(&pid.to_string()) && words.next().is_some_and(|place| place.ends_with(inode))
        })
    };
    // The list is read in pieces, and a lock that others take or give meanwhile shifts it: a line may be missed.
    let holds = (0..LOOKS_AT_LOCKS).any(|_| is_listed());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the program's name, which is in parentheses and may hold anything.
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    (holds, matches!(state, Some('T' | 't')))
}

/// Whether the process holds the lock, as far as the system tells, and whether it is stopped.
#[cfg(not(target_os = "linux"))]
fn proc_says(_: &Path, _: u32) -> (bool, bool) {
    (true, false)
}
