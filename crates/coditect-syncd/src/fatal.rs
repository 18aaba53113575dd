//! What ends the daemon, and its exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use sync_config::Problem;

use crate::supervisor::{EXIT_FAULT, Fault};

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
}

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 64;
const EXIT_LOCKED: u8 = 75;
const EXIT_CONFIG: u8 = 78;

impl Fatal {
    /// Prints clap's own words: help and version are no failure.
    pub fn usage(error: &clap::Error) -> ExitCode {
        if error.print().is_err() {
            return ExitCode::from(EXIT_USAGE);
        }
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    }

    pub(crate) fn config(error: &dyn std::error::Error) -> Self {
        Self::Config(vec![format!("failed to {}", crate::chain(error))])
    }

    /// Says on stderr what happened and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let (code, lines) = match self {
            Self::Fault(line) => (EXIT_FAULT, std::slice::from_ref(line)),
            Self::Locked(line) => (EXIT_LOCKED, std::slice::from_ref(line)),
            Self::Config(lines) => (EXIT_CONFIG, lines.as_slice()),
            Self::Failed(line) => (EXIT_FAILED, std::slice::from_ref(line)),
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

impl From<Fault> for Fatal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault.to_string())
    }
}
