//! What discovery tells of itself: how each root is looked after, what could not be read, what is watched.

use std::path::Path;

use sync_scan::{Problem, ProblemKind, RootReport, Seen, Task};

use super::station::{RootFound, Station};
use super::{Eye, Whole};
use crate::engine::api::{LastScan, RootState, RootView};

const MOST_PROBLEMS: usize = 20;

impl Station {
    /// Takes in what a turn tells of roots, watches and what could not be read.
    pub(super) fn see(&mut self, task: &Task, seen: &Seen) {
        if let Some(report) = &seen.watch {
            if !report.refused.is_empty() && self.refused.is_empty() {
                tracing::warn!(
                    folders = report.refused.len(),
                    hint = report.limit_hint.as_deref().unwrap_or_default(),
                    "some folders cannot be watched; they are looked at every minute"
                );
            }
            self.watches = report.watches;
            self.refused.clone_from(&report.refused);
            self.limit_hint.clone_from(&report.limit_hint);
            self.agenda.glances(self.post.is_remote || self.is_deaf || !self.refused.is_empty());
        }
        for survey in &seen.surveys {
            self.arriving.retain(|root| !survey.covered.has(root));
            self.arriving.extend(survey.arriving.iter().cloned());
        }
        let mut surveys = seen.surveys.iter();
        if matches!(task, Task::Everything | Task::Glance)
            && let Some(whole) = surveys.next()
        {
            self.problems.clone_from(&whole.problems);
        }
        for look in surveys {
            self.problems.retain(|problem| !look.came_to(&problem.path));
            // What went while it was looked at is not for a person.
            let lasts = |problem: &&Problem| problem.kind != ProblemKind::Vanished;
            self.problems.extend(look.problems.iter().filter(lasts).cloned());
        }
        if let Some(reports) = &seen.roots {
            self.problems.retain(|problem| !reports.iter().any(|report| is_over(problem, report)));
            self.roots = reports.iter().map(|report| self.root(report)).collect();
        }
        self.problems.sort();
        self.problems.dedup();
    }

    fn root(&self, report: &RootReport) -> RootFound {
        let is_refused = || self.refused.iter().any(|path| path.starts_with(&report.real));
        let state = match report.state {
            sync_scan::RootState::Missing => RootState::Missing,
            sync_scan::RootState::Denied => RootState::Denied,
            sync_scan::RootState::Ready if self.is_deaf || is_refused() => RootState::Polling,
            sync_scan::RootState::Ready => RootState::Watching,
        };
        RootFound { path: report.path.clone(), real: report.real.clone(), state }
    }

    /// What is wrong, for people, the gravest first.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.is_stalled {
            words.extend(self.post.roots.iter().map(|root| {
                format!("{}: does not answer; is the other side of the mount there?", root.display())
            }));
        }
        words.extend(self.rests_on.iter().map(|(root, minutes)| {
            let root = root.display();
            format!("{root}: has been looked at for {minutes} min, and the others wait; is it very large, or its disk slow?")
        }));
        if !self.refused.is_empty() {
            let hint = self.limit_hint.as_deref().unwrap_or("they are looked at every minute");
            words.push(format!("{} folders cannot be watched: {hint}", self.refused.len()));
        }
        words.extend(self.problems.iter().map(self::words));
        words
    }
}

impl Eye {
    /// Counts the projects below each root, where some came, went or moved.
    pub(super) async fn count(&mut self) {
        let whereabouts = self.engine.0.index.whereabouts();
        if self.counted == Some(whereabouts) {
            return;
        }
        match self.engine.0.store.project().roots().await {
            Ok(roots) => (self.present, self.counted) = (roots, Some(whereabouts)),
            Err(error) => tracing::error!(reason = crate::chain(&error), "projects cannot be counted"),
        }
    }

    pub(super) fn publish(&self) {
        let count = |real: &Path| self.present.iter().filter(|root| root.starts_with(real)).count();
        let mut roots: Vec<RootView> = Vec::new();
        for station in &self.stations {
            roots.extend(station.roots.iter().map(|root| RootView {
                path: root.path.clone(),
                state: if station.is_stalled { RootState::Denied } else { root.state },
                projects: u64::try_from(count(&root.real)).unwrap_or(u64::MAX),
            }));
        }
        roots.sort_by(|left, right| left.path.cmp(&right.path));
        let watches: usize = self.stations.iter().map(|station| station.watches).sum();
        let arriving = self.stations.iter().map(|station| station.arriving.len()).sum();
        let problems = self.stations.iter().flat_map(Station::words).take(MOST_PROBLEMS).collect();
        let mut settled = false;
        self.engine.0.discovery.send_modify(|view| {
            settled = view.arriving > 0 && arriving == 0;
            view.roots = roots;
            view.problems = problems;
            view.arriving = arriving;
            view.watches = u64::try_from(watches).unwrap_or(u64::MAX);
        });
        if settled {
            self.engine.progressed();
        }
    }

    pub(super) fn publish_whole(&self, whole: &Whole) {
        let last =
            LastScan { started_at: whole.started_at, took: whole.started.elapsed(), scanned: whole.scanned };
        self.engine.0.discovery.send_modify(|view| {
            view.surveyed = true;
            view.last_scan = Some(last);
        });
        self.engine.progressed();
    }
}

fn words(problem: &Problem) -> String {
    format!("{}: {}", problem.path.display(), problem.message)
}

/// Whether how the root stands now shows that this is no longer so: what lay in a root that is gone, and what kept one from
/// being read that can be.
fn is_over(problem: &Problem, report: &RootReport) -> bool {
    match report.state {
        sync_scan::RootState::Missing => {
            problem.path != report.path && problem.path.starts_with(&report.real)
        }
        sync_scan::RootState::Ready => {
            problem.path == report.path && matches!(problem.kind, ProblemKind::Denied | ProblemKind::Vanished)
        }
        sync_scan::RootState::Denied => false,
    }
}
