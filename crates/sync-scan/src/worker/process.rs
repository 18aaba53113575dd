//! The daemon's side: starts a worker, asks it, and sees to it that it ends.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sync_core::Vcs;

use super::Worker;
use super::frame::{Hello, Outcome, Question, Setup, receive, send};

/// How often who waits for a worker asks whether to stop.
const HEED: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A worker that has not said what it is by then is none.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// A worker that has nothing to do and was told to end is killed after this.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Why a worker did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// Nobody waits for the answer any more.
    #[error("stopped")]
    Stopped,
    /// It could not be started.
    #[error("start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
    /// It ended, or said what is no answer.
    #[error("speak with it")]
    Speak(#[from] io::Error),
    /// It is another program.
    #[error("it is {program} {version}")]
    Other { program: String, version: String },
    /// The user's rules were changed since the daemon read them.
    #[error("it knows other rules")]
    OtherRules,
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
        let hello = process.hear(stop, Some(moment() + BEGINS_WITHIN));
        match hello? {
            hello if hello == Hello::ours() => {
                process.is_astray = false;
                Ok(process)
            }
            Hello { program, version } => Err(WorkerError::Other { program, version }),
        }
    }

    /// Has it go by `setup`, with `rules` of this digest.
    pub(crate) fn prepare(
        &mut self,
        setup: &Setup,
        rules: u64,
        stop: &AtomicBool,
    ) -> Result<(), WorkerError> {
        if self.setup.as_ref() == Some(setup) {
            return Ok(());
        }
        self.setup = None;
        let read: u64 = self.ask(&Question::Setup(setup.clone()), stop)?;
        if read != rules {
            return Err(WorkerError::OtherRules);
        }
        self.setup = Some(setup.clone());
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
        until: Option<Instant>,
    ) -> Result<T, WorkerError> {
        let heard = receive(&mut Heeding { from: &mut self.from, stop, until });
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
        let mut rest = Heeding { from: &mut self.from, stop: &never, until: Some(moment() + ENDS_WITHIN) };
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

/// Reads what a worker says, and gives up when it is to stop or the time is over.
struct Heeding<'a> {
    from: &'a mut ChildStdout,
    stop: &'a AtomicBool,
    until: Option<Instant>,
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
            if self.until.is_some_and(|until| moment() >= until) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a worker is waited for, a duration")]
fn moment() -> Instant {
    Instant::now()
}
