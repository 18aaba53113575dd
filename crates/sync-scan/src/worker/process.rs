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
use crate::platform::{self, Mount};

/// How often who waits for a worker asks whether to stop.
const HEED: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A worker that is waited for so often in vain before it said what it is, is none: ten seconds, in which a machine that
/// stands still does not count.
const BEGINS_WITHIN: u32 = 100;
/// So many waits are between two looks at what is mounted: a worker that hangs on a mount is not waited for.
const MOUNTS_EVERY: u32 = 50;
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
    /// Something that may not answer was mounted in the project while it was examined: at these places.
    #[error("something was mounted meanwhile")]
    Mounted(Vec<PathBuf>),
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
    /// What it is asked about.
    root: Option<PathBuf>,
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
        let mut process = Self { child, to: Some(to), from, setup: None, root: None, is_astray: true };
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
        self.root = Some(root.to_path_buf());
        let outcome = self.ask(&Question::Examine { root: root.as_os_str().to_owned(), vcs, asked }, stop);
        self.root = None;
        outcome
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
        let apart = self.setup.as_ref().map_or(&[][..], |setup| &setup.apart);
        let root = self.root.as_deref();
        let mounted = || root.map_or_else(Vec::new, |root| mounted_in(root, &platform::mounts(), apart));
        let mut heeding = Heeding::new(&mut self.from, stop, patience, &mounted);
        let heard = receive(&mut heeding);
        let met = heeding.met;
        match heard {
            Ok(Some(value)) => Ok(value),
            Err(_) if !met.is_empty() => Err(WorkerError::Mounted(met)),
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
        let nothing = || Vec::new();
        let mut rest = Heeding::new(&mut self.from, &never, Some(ENDS_WITHIN), &nothing);
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

/// Where something from elsewhere is mounted at or in the project, but for what is known.
fn mounted_in(root: &Path, mounts: &[Mount], apart: &[PathBuf]) -> Vec<PathBuf> {
    let remote = mounts.iter().filter(|mount| mount.is_remote && mount.point.starts_with(root));
    remote.map(|mount| mount.point.clone()).filter(|point| !apart.contains(point)).collect()
}

/// Reads what a worker says, and gives up when it is to stop, its patience is over, or something was mounted in its way.
struct Heeding<'a> {
    from: &'a mut ChildStdout,
    stop: &'a AtomicBool,
    /// How often it may wait in vain.
    patience: Option<u32>,
    mounted: &'a dyn Fn() -> Vec<PathBuf>,
    /// How often it has waited.
    waits: u32,
    /// What was mounted.
    met: Vec<PathBuf>,
}

impl<'a> Heeding<'a> {
    fn new(
        from: &'a mut ChildStdout,
        stop: &'a AtomicBool,
        patience: Option<u32>,
        mounted: &'a dyn Fn() -> Vec<PathBuf>,
    ) -> Self {
        Self { from, stop, patience, mounted, waits: 0, met: Vec::new() }
    }
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
            self.waits = self.waits.wrapping_add(1);
            if self.waits.is_multiple_of(MOUNTS_EVERY) {
                self.met = (self.mounted)();
                if !self.met.is_empty() {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            if let Some(patience) = &mut self.patience {
                *patience = patience.checked_sub(1).ok_or(io::ErrorKind::TimedOut)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_in_a_project_meanwhile_is_met() {
        let mount = |point: &str, is_remote| Mount { point: PathBuf::from(point), is_remote };
        let mounts = [
            mount("/", true),
            mount("/p/known", true),
            mount("/p/new", true),
            mount("/p/disk", false),
            mount("/q", true),
        ];
        let apart = [PathBuf::from("/p/known")];
        assert_eq!(mounted_in(Path::new("/p"), &mounts, &apart), [PathBuf::from("/p/new")]);
    }

    #[test]
    fn who_hangs_is_waited_for_until_something_is_mounted() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        let mut from = child.stdout.take().unwrap();
        let never = AtomicBool::new(false);
        let asked = std::cell::Cell::new(0);
        let mounted = || {
            asked.set(asked.get() + 1);
            if asked.get() < 2 { Vec::new() } else { vec![PathBuf::from("/p/new")] }
        };
        let mut heeding = Heeding::new(&mut from, &never, None, &mounted);
        assert!(heeding.read(&mut [0]).is_err());
        assert_eq!((heeding.met, heeding.waits), (vec![PathBuf::from("/p/new")], 2 * MOUNTS_EVERY));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
