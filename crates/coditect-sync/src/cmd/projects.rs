//! `projects`: what is known on this machine.

use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::{Value, json};
use sync_wire::{Call, Project, ProjectState, ProjectsPage, ProjectsQuery, Subject};
use uuid::Uuid;

use super::project::text;
use super::{Context, page_limit, resolve};
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
    let (mut projects, documents) = all(&mut context.daemon()?, query, limit)?;
    projects.sort_by(|one, other| one.root_path.cmp(&other.root_path));
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
    let (projects, _) = all(daemon, ProjectsQuery::default(), usize::MAX)?;
    let root = |project: &Project| {
        sync_wire::path::from_fields(&project.root_path, project.root_path_exact.as_deref())
    };
    projects
        .iter()
        .filter(|project| path.starts_with(root(project)))
        .max_by_key(|project| (root(project).components().count(), project.state != ProjectState::Missing))
        .map(|project| project.local_project_uuid)
        .ok_or_else(|| {
            let message = format!("no known project holds `{}`", path.display());
            Failure::new(Exit::NotFound, "not_found", message)
                .with_hint("make it known with `coditect-sync register` or `coditect-sync scan`")
        })
}

/// All pages, up to a limit: the projects, and their documents as they came.
fn all(
    daemon: &mut Daemon,
    mut query: ProjectsQuery,
    limit: usize,
) -> Result<(Vec<Project>, Vec<Value>), Failure> {
    let (mut projects, mut documents) = (Vec::new(), Vec::new());
    loop {
        let left = limit - projects.len();
        query.limit = page_limit(left);
        let (page, document) = daemon.ask_for::<ProjectsPage>(&Call::projects(&query))?;
        projects.extend(page.projects.into_iter().take(left));
        documents.extend(elements(&document, "projects").into_iter().take(left));
        // A cursor that stays where it is would be followed for ever.
        if page.next_cursor.is_none() || page.next_cursor == query.cursor || projects.len() >= limit {
            return Ok((projects, documents));
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
