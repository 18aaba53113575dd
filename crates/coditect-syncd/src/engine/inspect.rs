//! Looks at a path and says what is or would be registered for it, beside what is on record. Writes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sync_scan::Survey;
use sync_wire::ProblemCode;

use super::api::{Inspected, ProjectView, Refusal, Seen};
use super::register::LONGEST_LOOK;
use super::{Engine, Settings, refusal, store_refusal};
use crate::blocking::blocking;

/// Most projects that are told at once.
const MOST_PROJECTS: usize = 100;

impl Engine {
    /// The innermost project that holds the path, else all below it.
    ///
    /// # Errors
    /// When there is none, or the path cannot be looked at.
    pub(crate) async fn inspect(&self, path: PathBuf) -> Result<Inspected, Refusal> {
        Settings::check_paths(std::slice::from_ref(&path))?;
        let survey = self.survey_of(path.clone()).await?;
        let problems = survey
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path.display(), problem.message))
            .collect();
        let mut seen = told(survey, &path);
        if seen.is_empty() {
            let message =
                format!("there is no project at or below `{}`, nor one that holds it", path.display());
            let mut none = refusal(ProblemCode::NotFound, message);
            none.hint = Some("a project is a git work tree, or a folder with a manifest".to_owned());
            return Err(none);
        }
        let more = u64::try_from(seen.len().saturating_sub(MOST_PROJECTS)).unwrap_or(u64::MAX);
        seen.truncate(MOST_PROJECTS);
        let mut projects = Vec::with_capacity(seen.len());
        for seen in seen {
            let on_record = self.on_record(&seen.sighting.root).await?;
            projects.push((seen, on_record));
        }
        Ok(Inspected { projects, more, problems })
    }

    async fn on_record(&self, root: &Path) -> Result<Option<ProjectView>, Refusal> {
        let around = self.0.store.project().at_or_above(root).await.map_err(store_refusal)?;
        match around.into_iter().find(|project| project.root == root) {
            Some(known) => self.project(known.local).await.map(Some),
            None => Ok(None),
        }
    }

    async fn survey_of(&self, path: PathBuf) -> Result<Survey, Refusal> {
        let options = self.settings().scan();
        let stop = self.0.stop.flag();
        let busy =
            || refusal(ProblemCode::Internal, "the folder does not answer; is it on a mount that hangs?");
        let permit = tokio::time::timeout(LONGEST_LOOK, Arc::clone(&self.0.looks).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(busy()) };
        let looking = blocking(move || {
            // Held by the thread, which may hang for longer than anybody waits.
            let _permit = permit;
            sync_scan::look(&options, &[path], &stop)
        });
        let Ok(looked) = tokio::time::timeout(LONGEST_LOOK, looking).await else { return Err(busy()) };
        looked.map_err(|error| {
            tracing::error!(?error, "a look at a path ended badly");
            refusal(ProblemCode::Internal, "looking at the path ended badly; see the daemon's log")
        })
    }
}

/// The innermost project that holds the path, else all below it.
fn told(mut survey: Survey, path: &Path) -> Vec<Seen> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let path = survey.stand_in(&path).map_or(path.clone(), Path::to_path_buf);
    let innermost = crate::inspect::innermost(&survey, &path).map(|sighting| sighting.root.clone());
    let is_meant =
        |root: &Path| innermost.as_deref().map_or_else(|| root.starts_with(&path), |inner| root == inner);
    survey
        .sightings
        .into_iter()
        .filter(|sighting| is_meant(&sighting.root))
        .map(|sighting| {
            let evidence = survey.evidence.remove(&sighting.root).unwrap_or_default();
            Seen { sighting: Arc::unwrap_or_clone(sighting), evidence }
        })
        .collect()
}
