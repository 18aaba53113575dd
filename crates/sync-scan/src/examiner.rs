//! Examines the projects of one survey, one after the other, on a thread of its own once there are several.
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

use sync_core::Vcs;

use crate::content::{Examined, Means, examine};
use crate::survey::{Attention, Ground};

/// So many are examined where the survey is: a thread costs as much as a small project.
const FEW: usize = 4;

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
        let means = Means { exclude: &self.ground.exclude, rules, shelf, asked, members };
        catch_unwind(AssertUnwindSafe(|| examine(root, vcs, means, self.stop))).map_err(|_panic| Panicked)
    }
}

impl<'scope, 'env> Examiner<'scope, 'env> {
    /// One that has examined nothing yet.
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, errand: Errand<'env>) -> Self {
        Self { scope, errand, examined: 0, helper: None }
    }

    /// What the project at `root` is.
    ///
    /// # Errors
    /// When its examination panicked.
    pub(crate) fn examine(&mut self, root: &Path, vcs: Vcs) -> Result<Examined, Panicked> {
        self.examined += 1;
        if self.examined == FEW + 1 {
            self.helper = self.start();
        }
        let answer = self.helper.as_ref().and_then(|helper| helper.examine(root, vcs));
        // Where the system gives no thread it is done here.
        answer.unwrap_or_else(|| self.errand.examine(root, vcs))
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
