//! Worker processes: projects are examined in a process of their own, which ends when nothing is left to examine.
//!
//! What examines reads whatever lies in a project, and needs code and memory that the daemon has no use for at any other
//! time. Apart, a fault in it, were it an overflown stack or the kernel's lack of memory, costs the examination and not
//! the daemon, which holds nothing of it afterwards. The worker is this same program, told by an argument; the two speak
//! in frames over its standard input and output. Knows nothing of what is examined when, or of what becomes of it.

mod frame;
mod process;
mod serve;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub use serve::{ServeError, serve};

pub(crate) use frame::{Setup, path, paths};
pub(crate) use process::{Process, WorkerError};

/// How to start a worker process.
#[derive(Clone, PartialEq, Eq)]
pub struct Worker {
    /// The program: one that calls [`serve()`] with these arguments.
    pub program: PathBuf,
    /// What it is called in lists of processes.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of variables may be secrets.
        let variables: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        let Self { program, name, arguments, .. } = self;
        let mut out = out.debug_struct("Worker");
        out.field("program", program).field("name", name).field("arguments", arguments);
        out.field("environment", &variables).finish()
    }
}

/// A worker process between two surveys of one turn.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    process: Mutex<Option<Process>>,
    /// There is none to be had in this turn.
    is_missed: AtomicBool,
    /// That there is none was told.
    is_told: AtomicBool,
}

impl Spare {
    pub(crate) fn take(&self) -> Option<Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep(&self, process: Process) {
        let before = self.process.lock().unwrap_or_else(PoisonError::into_inner).replace(process);
        drop(before);
    }

    /// Whether there is none to be had in this turn.
    pub(crate) fn is_missed(&self) -> bool {
        self.is_missed.load(Ordering::Relaxed)
    }

    /// There is none to be had. Whether nobody was told of it since there was one.
    pub(crate) fn is_missed_now(&self) -> bool {
        self.is_missed.store(true, Ordering::Relaxed);
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// There is one.
    pub(crate) fn is_there(&self) {
        self.is_told.store(false, Ordering::Relaxed);
    }

    /// The turn is over, and so is a worker that is left of it.
    pub(crate) fn turn_ends(&self) {
        drop(self.take());
        self.is_missed.store(false, Ordering::Relaxed);
    }
}
