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
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub use serve::{ServeError, serve};

pub(crate) use frame::{Setup, path, paths};
pub(crate) use process::{Process, WorkerError};

/// How to start a worker process.
#[derive(Clone, PartialEq, Eq, Debug)]
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

/// A worker process between two surveys of one turn.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    process: Mutex<Option<Process>>,
    /// That there is none is known already.
    is_missed: AtomicBool,
}

impl Spare {
    pub(crate) fn take(&self) -> Option<Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep(&self, process: Process) {
        let before = self.process.lock().unwrap_or_else(PoisonError::into_inner).replace(process);
        drop(before);
    }

    /// Whether this is the first time in a row that there is none.
    pub(crate) fn is_missed_now(&self) -> bool {
        !self.is_missed.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_there(&self) {
        self.is_missed.store(false, Ordering::Relaxed);
    }
}
