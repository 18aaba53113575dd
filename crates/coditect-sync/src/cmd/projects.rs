//! `projects`: what is known on this machine.

use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::{Value, json};
use sync_wire::{Call, Project, ProjectState, ProjectsPage, ProjectsQuery, Subject};
use uuid::Uuid;

use super::project::text;
use super::{Context, resolve};
use crate::args::{Projects, ProjectsCommand, ProjectsList};
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::human::{Tone, count};
use crate::out::Answer;
use crate::problem::Failure;
use crate::table::{Table, Way};

pub(super) fn run(projects: &Projects, context: &Context) -> Result<Answer, Failure> {
    match &projects.command {
        None => list(&projects.list, context),
        Some(ProjectsCommand::List(wanted)) => list(wanted, context),
        Some(ProjectsCommand::Show { subject }) => show(subject, context),
    }
}

fn list(wanted: &ProjectsList, context: &Context) -> Result<Answer, Failure> {
    let query = ProjectsQuery {
        state: wanted.state,
        project_type: wanted.project_type,
        language: wanted.language.clone(),
        ..ProjectsQuery::default()
    };
    let limit = wanted.limit.map_or(usize::MAX, NonZeroUsize::get);
    let mut found = all(&mut context.daemon()?, query)?;
    found.sort_by(|(one, _), (other, _)| one.root_path.cmp(&other.root_path));
    found.truncate(limit);
    let (projects, documents): (Vec<Project>, Vec<Value>) = found.into_iter().unzip();
    let document = json!({"projects": documents, "next_cursor": null}).to_string().into_bytes();
    if projects.is_empty() {
        return Ok(Answer::result(document, "").with_note("no projects"));
    }
    let mut table = Table::new(
        &["STATE", "NAME", "LANGUAGE", "PATH", "LOCAL UUID"],
        &[(4, Way::Uuid), (3, Way::Path), (1, Way::Name)],
    );
    for project in &projects {
        table.row(vec![
            (project.state.as_str().to_owned(), Some(tone(project.state))),
            (project.project_name.clone(), None),
            (dash(&project.primary_language), None),
            (project.root_path.clone(), None),
            (project.local_project_uuid.to_string(), Some(Tone::Faint)),
        ]);
    }
    let total = count(projects.len() as u64, "project", "projects");
    let answer = Answer::result(document, table.render(context.view));
    Ok(if context.view.verbose { answer.with_note(total) } else { answer })
}

fn show(subject: &Path, context: &Context) -> Result<Answer, Failure> {
    let mut daemon = context.daemon()?;
    let local = match resolve::subject(subject)? {
        Subject::Local(local) => local,
        Subject::Path(path) => innermost(&mut daemon, &path)?,
    };
    let (project, document) = daemon.ask_for::<Project>(&Call::project(local))?;
    Ok(Answer::result(document, text(&project, context)))
}

/// The project that holds a path. The daemon's own answer to this question is for registered ones only.
fn innermost(daemon: &mut Daemon, path: &Path) -> Result<Uuid, Failure> {
    let projects = all(daemon, ProjectsQuery::default())?;
    let root = |project: &Project| {
        sync_wire::path::from_fields(&project.root_path, project.root_path_exact.as_deref())
    };
    projects
        .iter()
        .map(|(project, _)| project)
        .filter(|project| path.starts_with(root(project)))
        .max_by_key(|project| (root(project).components().count(), project.state != ProjectState::Missing))
        .map(|project| project.local_project_uuid)
        .ok_or_else(|| {
            let message = format!("no known project holds `{}`", path.display());
            Failure::new(Exit::NotFound, "not_found", message)
                .with_hint("make it known with `coditect-sync register` or `coditect-sync scan`")
        })
}

/// All pages, in the daemon's own order: the projects, each with its document as it came.
fn all(daemon: &mut Daemon, mut query: ProjectsQuery) -> Result<Vec<(Project, Value)>, Failure> {
    let mut found = Vec::new();
    loop {
        let (page, document) = daemon.ask_for::<ProjectsPage>(&Call::projects(&query))?;
        found.extend(page.projects.into_iter().zip(elements(&document, "projects")));
        // A cursor that stays where it is would be followed for ever.
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            return Ok(found);
        }
        query.cursor = page.next_cursor;
    }
}

/// The elements of a list in a document.
pub(super) fn elements(document: &[u8], name: &str) -> Vec<Value> {
    let mut document: Value = serde_json::from_slice(document).unwrap_or_default();
    match document.get_mut(name).map(Value::take) {
        Some(Value::Array(elements)) => elements,
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn tone(state: ProjectState) -> Tone {
    match state {
        ProjectState::Registered => Tone::Good,
        ProjectState::Pending => Tone::Mind,
        ProjectState::Missing => Tone::Faint,
        ProjectState::Rejected => Tone::Bad,
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
