//! What ends the daemon, and its exit code.

use std::any::Any;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use sync_config::Problem;

use crate::service::Manager;
use crate::supervisor::{EXIT_FAULT, Fault, panic_words};

/// Why the daemon ended otherwise than as asked.
#[derive(Debug)]
pub enum Fatal {
    /// A part of it ended by itself.
    Fault(String),
    /// Another daemon holds the lock.
    Locked(String),
    /// The configuration is wrong, or a place cannot be used; every line is one problem.
    Config(Vec<String>),
    /// An inspection did not work.
    Failed(String),
    /// It ended as asked, and is to be started again.
    Again(String),
    /// Another start would not mend it, and its manager knows only success and failure.
    Settled(Vec<String>),
}

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 64;
const EXIT_LOCKED: u8 = 75;
const EXIT_CONFIG: u8 = 78;
/// Not among those of sysexits, so that it means this alone.
const EXIT_AGAIN: u8 = 79;
const EXIT_SETTLED: u8 = 0;

impl Fatal {
    /// Prints clap's own words: help and version are no failure.
    pub fn usage(error: &clap::Error) -> ExitCode {
        let printed = error.print().is_ok();
        let settled = Manager::of(&sync_config::read_environment()) == Some(Manager::Launchd);
        if settled || (printed && !error.use_stderr()) {
            ExitCode::from(EXIT_SETTLED)
        } else {
            ExitCode::from(EXIT_USAGE)
        }
    }

    /// The same end as this manager has to be told of it: launchd starts again whatever did not succeed.
    pub(crate) fn under(self, manager: Option<Manager>) -> Self {
        match (manager, self) {
            (Some(Manager::Launchd), Self::Locked(line) | Self::Failed(line)) => Self::Settled(vec![line]),
            (Some(Manager::Launchd), Self::Config(lines)) => Self::Settled(lines),
            (Some(Manager::Launchd | Manager::Systemd) | None, fatal) => fatal,
        }
    }

    /// What keeps every start from succeeding until somebody mends it, in words.
    pub(crate) fn lasting(&self) -> Option<String> {
        match self {
            Self::Config(lines) | Self::Settled(lines) => Some(lines.join("; ")),
            Self::Locked(line) => Some(line.clone()),
            Self::Fault(_) | Self::Failed(_) | Self::Again(_) => None,
        }
    }

    pub(crate) fn config(error: &dyn Error) -> Self {
        Self::Config(vec![format!("failed to {}", crate::chain(error))])
    }

    /// What a place that cannot be used comes to. A lack that may be over at the next start is no bad configuration: the
    /// service manager does not start the daemon again after one.
    pub(crate) fn place(error: &(dyn Error + 'static)) -> Self {
        if passes(error) {
            Self::Fault(format!("failed to {}", crate::chain(error)))
        } else {
            Self::config(error)
        }
    }

    /// A panic of the thread that holds everything.
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        Self::Fault(format!("the daemon panicked: {}", panic_words(panic)))
    }

    /// Says on stderr what happened and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let (code, lines) = match self {
            Self::Fault(line) => (EXIT_FAULT, std::slice::from_ref(line)),
            Self::Locked(line) => (EXIT_LOCKED, std::slice::from_ref(line)),
            Self::Config(lines) => (EXIT_CONFIG, lines.as_slice()),
            Self::Failed(line) => (EXIT_FAILED, std::slice::from_ref(line)),
            Self::Again(line) => (EXIT_AGAIN, std::slice::from_ref(line)),
            Self::Settled(lines) => (EXIT_SETTLED, lines.as_slice()),
        };
        let mut stderr = io::stderr().lock();
        for line in lines {
            if writeln!(stderr, "coditect-syncd: {line}").is_err() {
                break;
            }
        }
        ExitCode::from(code)
    }
}

impl From<Vec<Problem>> for Fatal {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Config(problems.iter().map(ToString::to_string).collect())
    }
}

/// Whether what the system said, somewhere below the error, may be over at the next start.
fn passes(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return passes_by_itself(error.kind());
        }
        next = error.source();
    }
    false
}

/// Whether a failure may be over at the next start: a full disk, too many open files.
pub(crate) fn passes_by_itself(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem, Unsupported,
    };
    !matches!(
        kind,
        AlreadyExists
            | InvalidData
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
            | Unsupported
    )
}

impl From<Fault> for Fatal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_start_does_not_mend_is_success_to_launchd_and_a_failure_elsewhere() {
        let all = || {
            [
                Fatal::Fault("x".to_owned()),
                Fatal::Again("x".to_owned()),
                Fatal::Locked("x".to_owned()),
                Fatal::Config(vec!["x".to_owned()]),
                Fatal::Failed("x".to_owned()),
            ]
        };
        for (manager, settled) in [
            (None, [false; 5]),
            (Some(Manager::Systemd), [false; 5]),
            (Some(Manager::Launchd), [false, false, true, true, true]),
        ] {
            let ends = all().map(|fatal| matches!(fatal.under(manager), Fatal::Settled(_)));
            assert_eq!(ends, settled, "{manager:?}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("keep a secret")]
    struct Outer {
        source: io::Error,
    }

    #[test]
    fn a_lack_that_passes_is_a_fault_and_what_stays_is_bad_configuration() {
        use rustix::io::Errno;

        let code = |errno: Errno| match Fatal::place(&Outer { source: errno.into() }) {
            Fatal::Fault(line) => {
                assert!(line.starts_with("failed to keep a secret: "), "{line}");
                EXIT_FAULT
            }
            Fatal::Config(_) => EXIT_CONFIG,
            other @ (Fatal::Locked(_) | Fatal::Failed(_) | Fatal::Again(_) | Fatal::Settled(_)) => {
                panic!("{other:?}")
            }
        };
        for errno in
            [Errno::NOSPC, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN]
        {
            assert_eq!(code(errno), EXIT_FAULT, "{errno}");
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::NOENT, Errno::NOTDIR, Errno::ISDIR] {
            assert_eq!(code(errno), EXIT_CONFIG, "{errno}");
        }
    }
}
