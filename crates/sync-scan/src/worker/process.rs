//! The daemon's side: starts a worker, asks it, and sees to it that it ends.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sync_core::Vcs;

use super::Worker;
use super::frame::{Hello, Outcome, Question, Setup, receive, send};

/// How often who waits for a worker asks whether to stop.
const HEED: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A worker that is waited for so often in vain before it said what it is, is none: ten seconds, in which a machine that
/// stands still does not count.
const BEGINS_WITHIN: u32 = 100;
/// A worker that has nothing to do and was told to end is killed after so many.
const ENDS_WITHIN: u32 = 20;

/// Why a worker did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// Nobody waits for the answer any more.
    #[error("stopped")]
    Stopped,
    /// It could not be started.
    #[error("start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
    /// It ended before it was asked for anything, or said what no worker says.
    #[error("begin with it")]
    Begin(#[source] io::Error),
    /// It ended over a question, or said what is no answer.
    #[error("speak with it")]
    Speak(#[from] io::Error),
    /// It is another program.
    #[error("it is {program} {version}")]
    Other { program: String, version: String },
}

/// What was lost before any project was asked about.
fn at_first(error: WorkerError) -> WorkerError {
    if let WorkerError::Speak(error) = error { WorkerError::Begin(error) } else { error }
}

/// A worker process. Ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// `None` once it is to end.
    to: Option<ChildStdin>,
    from: ChildStdout,
    setup: Option<Setup>,
    /// An answer is owed or was none: it is not waited for at the end.
    is_astray: bool,
}

impl Process {
    /// Starts a worker.
    ///
    /// # Errors
    /// When it cannot be started or is none.
    pub(crate) fn start(worker: &Worker, stop: &AtomicBool) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::Start { program: worker.program.clone(), source };
        let mut command = Command::new(&worker.program);
        command.arg0(&worker.name).args(&worker.arguments).env_clear();
        command.envs(worker.environment.iter().map(|(name, value)| (name, value)));
        // A folder of its own would keep a disk from being unmounted; what ends the daemon's group is for the daemon.
        command.current_dir("/").process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::other("it has no input or no output")));
        };
        let mut process = Self { child, to: Some(to), from, setup: None, is_astray: true };
        match process.hear(stop, Some(BEGINS_WITHIN)).map_err(at_first)? {
            hello if hello == Hello::ours() => {
                process.is_astray = false;
                Ok(process)
            }
            Hello { program, version } => Err(WorkerError::Other { program, version }),
        }
    }

    /// Has it go by `setup`.
    pub(crate) fn prepare(&mut self, setup: &Setup, stop: &AtomicBool) -> Result<(), WorkerError> {
        if self.setup.as_ref() != Some(setup) {
            self.ask::<()>(&Question::Setup(setup.clone()), stop).map_err(at_first)?;
            self.setup = Some(setup.clone());
        }
        Ok(())
    }

    /// What the project at `root` is.
    pub(crate) fn examine(
        &mut self,
        root: &Path,
        vcs: Vcs,
        asked: Option<&BTreeSet<PathBuf>>,
        stop: &AtomicBool,
    ) -> Result<Outcome, WorkerError> {
        let asked = asked.into_iter().flatten().cloned().collect();
        self.ask(&Question::Examine { root: root.as_os_str().to_owned(), vcs, asked }, stop)
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        question: &Question,
        stop: &AtomicBool,
    ) -> Result<T, WorkerError> {
        self.is_astray = true;
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
        send(to, question)?;
        let answer = self.hear(stop, None)?;
        self.is_astray = false;
        Ok(answer)
    }

    fn hear<T: serde::de::DeserializeOwned>(
        &mut self,
        stop: &AtomicBool,
        patience: Option<u32>,
    ) -> Result<T, WorkerError> {
        let heard = receive(&mut Heeding { from: &mut self.from, stop, patience });
        match heard {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(WorkerError::Speak(io::ErrorKind::UnexpectedEof.into())),
            Err(_) if stop.load(Ordering::Relaxed) => Err(WorkerError::Stopped),
            Err(error) => Err(WorkerError::Speak(error)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.to.take());
        let never = AtomicBool::new(false);
        let mut rest = Heeding { from: &mut self.from, stop: &never, patience: Some(ENDS_WITHIN) };
        let is_over = !self.is_astray && rest.read(&mut [0]).is_ok_and(|read| read == 0);
        if !is_over && let Err(error) = self.child.kill() {
            tracing::debug!(%error, "a worker cannot be killed");
        }
        match self.child.wait() {
            Ok(status) if is_over && !status.success() => {
                tracing::warn!(%status, "a worker that examined projects ended badly");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a worker cannot be waited for"),
        }
    }
}

/// Reads what a worker says, and gives up when it is to stop or its patience is over.
struct Heeding<'a> {
    from: &'a mut ChildStdout,
    stop: &'a AtomicBool,
    /// How often it may wait in vain.
    patience: Option<u32>,
}

impl Read for Heeding<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = poll(&mut [PollFd::new(&*self.from, PollFlags::IN)], Some(&HEED));
            match ready {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.from.read(into),
                Err(error) => return Err(error.into()),
            }
            // Not `Interrupted`, which is tried again.
            if self.stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if let Some(patience) = &mut self.patience {
                *patience = patience.checked_sub(1).ok_or(io::ErrorKind::TimedOut)?;
            }
        }
    }
}
