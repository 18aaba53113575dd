//! Examines the projects of one survey, one after the other: in a worker process where there is one, else on a thread of
//! its own once there are several.
//!
//! What an examination needs for a moment is ten times what is kept of it. glibc gives threads heaps of their own, and
//! a heap shrinks only where nothing lies above what was freed: where both came from one heap, a first look at a thousand
//! projects left forty megabytes of gaps. So what is kept is copied by the thread that keeps it, and the heap of this one
//! is empty when it ends. It changes nothing of what is found. Knows neither the walk nor what is made of the findings.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

use sync_core::{Vcs, folder_name};

use crate::content::{Examined, Means, examine};
use crate::shelf::Shelf;
use crate::survey::{Attention, Ground};
use crate::worker::{Process, Setup, Spare, Worker, WorkerError};

/// So many are examined where the survey is: a thread costs as much as a small project.
const FEW: usize = 4;
/// So many workers may be lost over one project.
const MOST_WORKERS: usize = 2;

/// What is the same for all projects of a survey.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) attention: Attention<'a>,
    pub(crate) stop: &'a AtomicBool,
}

/// Examines for one survey.
pub(crate) struct Examiner<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    errand: Errand<'env>,
    examined: usize,
    helper: Option<Helper>,
    worker: Option<&'env Worker>,
    process: Option<Process>,
    setup: Option<Setup>,
}

/// A thread that examines. It ends when this is dropped.
struct Helper {
    asked: SyncSender<(PathBuf, Vcs)>,
    found: Receiver<Result<Examined, Panicked>>,
}

/// The examination panicked, which is logged.
#[derive(Clone, Debug)]
pub(crate) struct Panicked;

impl Errand<'_> {
    fn examine(&self, root: &Path, vcs: Vcs) -> Result<Examined, Panicked> {
        let Attention { rules, shelf, written, .. } = self.attention;
        let asked = written.and_then(|written| written.get(root));
        let members = self.ground.workspace_members;
        let Ground { exclude, apart, .. } = self.ground;
        let means = Means { exclude, rules, shelf, asked, members, apart: apart.points() };
        catch_unwind(AssertUnwindSafe(|| examine(root, vcs, means, self.stop))).map_err(|_panic| Panicked)
    }

    fn setup(&self) -> Setup {
        let Ground { roots, patterns, workspace_members, apart, .. } = self.ground;
        let kept = self.attention.shelf.map(Shelf::parts);
        Setup {
            roots: roots.iter().map(|root| root.path.clone()).collect(),
            patterns: patterns.clone(),
            rules: self.attention.rules.files().to_vec(),
            shelf: kept.map(|(folder, program)| (folder.as_os_str().to_owned(), program)),
            members: *workspace_members,
            apart: apart.points().to_vec(),
        }
    }
}

impl<'scope, 'env> Examiner<'scope, 'env> {
    /// One that has examined nothing yet.
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, errand: Errand<'env>) -> Self {
        let is_missed = errand.attention.spare.is_some_and(Spare::is_missed);
        let worker = errand.ground.worker.as_ref().filter(|_| !is_missed);
        Self { scope, errand, examined: 0, helper: None, worker, process: None, setup: None }
    }

    /// What the project at `root` is.
    ///
    /// # Errors
    /// When its examination panicked.
    pub(crate) fn examine(&mut self, root: &Path, vcs: Vcs) -> Result<Examined, Panicked> {
        let _rests = self.errand.attention.gaze.map(|gaze| gaze.rests_on(root));
        if let Some(worker) = self.worker {
            match self.examine_apart(worker, root, vcs) {
                Ok(outcome) => return outcome,
                Err(error) => {
                    self.worker = None;
                    self.tell_of_none(&error);
                }
            }
        }
        self.examined += 1;
        if self.examined == FEW + 1 {
            self.helper = self.start();
        }
        let answer = self.helper.as_ref().and_then(|helper| helper.examine(root, vcs));
        // Where the system gives no thread it is done here.
        answer.unwrap_or_else(|| self.errand.examine(root, vcs))
    }

    /// Asks a worker, and a second one where the first ended over it.
    ///
    /// # Errors
    /// When there is no worker that could be asked.
    fn examine_apart(
        &mut self,
        worker: &Worker,
        root: &Path,
        vcs: Vcs,
    ) -> Result<Result<Examined, Panicked>, WorkerError> {
        let Errand { attention, stop, .. } = self.errand;
        let asked = attention.written.and_then(|written| written.get(root));
        let mut is_lost_over_it = false;
        let mut failed = None;
        for _ in 0..MOST_WORKERS {
            let mut process = match self.ready(worker) {
                Ok(process) => process,
                Err(WorkerError::Stopped) => return Ok(Ok(unlooked(root))),
                Err(error) => {
                    tracing::debug!(reason = words(&error), "a worker did not begin");
                    failed = Some(error);
                    continue;
                }
            };
            match process.examine(root, vcs, asked, stop) {
                Ok(outcome) => {
                    self.process = Some(process);
                    return Ok(outcome.map_err(|words| {
                        tracing::error!(root = %root.display(), words, "an examination broke off");
                        Panicked
                    }));
                }
                Err(WorkerError::Stopped) => return Ok(Ok(unlooked(root))),
                Err(WorkerError::Mounted(points)) => {
                    // It may hang there for as long as the other side does not answer.
                    tracing::info!(
                        root = %root.display(),
                        ?points,
                        "something was mounted in a project while it was looked at; it is looked at again without that"
                    );
                    is_lost_over_it = true;
                    self.setup.get_or_insert_with(|| self.errand.setup()).apart.extend(points);
                }
                Err(error) => {
                    is_lost_over_it = true;
                    tracing::warn!(root = %root.display(), reason = words(&error), "a worker was lost over a project");
                }
            }
        }
        match failed {
            // What ended a worker is not tried on the daemon, also where there was no other one.
            Some(error) if !is_lost_over_it => Err(error),
            Some(_) | None => Ok(Err(Panicked)),
        }
    }

    /// A worker that goes by what this survey goes by.
    fn ready(&mut self, worker: &Worker) -> Result<Process, WorkerError> {
        let Errand { attention, stop, .. } = self.errand;
        let at_hand = self.process.take().or_else(|| attention.spare.and_then(Spare::take));
        let mut process = match at_hand {
            Some(process) => process,
            None => Process::start(worker, stop)?,
        };
        let setup = self.setup.get_or_insert_with(|| self.errand.setup());
        process.prepare(setup, stop)?;
        if let Some(spare) = attention.spare {
            spare.is_there();
        }
        Ok(process)
    }

    fn tell_of_none(&self, error: &WorkerError) {
        let reason = words(error);
        if self.errand.attention.spare.is_some_and(Spare::is_missed_now) {
            tracing::warn!(reason, "projects are examined in the daemon itself: there is no worker");
        } else {
            tracing::debug!(reason, "there is no worker");
        }
    }

    fn start(&self) -> Option<Helper> {
        let (asked, questions) = sync_channel::<(PathBuf, Vcs)>(1);
        let (answers, found) = sync_channel(1);
        let errand = self.errand;
        let work = move || {
            for (root, vcs) in questions {
                if answers.send(errand.examine(&root, vcs)).is_err() {
                    break;
                }
            }
        };
        let started = Builder::new().name("examine".to_owned()).spawn_scoped(self.scope, work);
        started
            .inspect_err(|error| tracing::debug!(%error, "no thread to examine projects on"))
            .ok()
            .map(|_| Helper { asked, found })
    }
}

impl Drop for Examiner<'_, '_> {
    fn drop(&mut self) {
        if let (Some(spare), Some(process)) = (self.errand.attention.spare, self.process.take()) {
            spare.keep(process);
        }
    }
}

/// What is told of a project when everything is to stop; nobody believes it.
fn unlooked(root: &Path) -> Examined {
    Examined { name: folder_name(root), broke_off: true, ..Examined::default() }
}

/// The error and its causes.
fn words(error: &WorkerError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

impl Helper {
    /// `None` when there is nobody to ask.
    fn examine(&self, root: &Path, vcs: Vcs) -> Option<Result<Examined, Panicked>> {
        self.asked.send((root.to_path_buf(), vcs)).ok()?;
        let theirs = self.found.recv().ok()?;
        // Copied here, in the heap of this thread; the original goes back to the other's.
        let ours = theirs.clone();
        drop(theirs);
        Some(ours)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::Options;

    #[test]
    fn many_projects_are_told_the_same_as_each_of_them_alone() {
        let home = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(home.path()).unwrap();
        let projects: Vec<PathBuf> = (0..3 * FEW).map(|number| root.join(format!("p{number:02}"))).collect();
        for (number, project) in projects.iter().enumerate() {
            std::fs::create_dir(project).unwrap();
            std::fs::write(project.join("go.mod"), format!("module example.org/m{number}\n")).unwrap();
        }
        let (options, stop) = (Options { roots: vec![root], ..Options::default() }, AtomicBool::new(false));
        let together = crate::survey(&options, &stop);
        let alone: Vec<_> = projects
            .iter()
            .flat_map(|project| crate::look(&options, std::slice::from_ref(project), &stop).sightings)
            .collect();
        assert_eq!(together.sightings, alone);
        assert_eq!(alone.len(), projects.len());
    }
}
