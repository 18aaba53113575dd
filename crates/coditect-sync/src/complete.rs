//! What a shell offers while somebody types: projects and entries that the daemon knows, and words that are fixed.
//!
//! A shell waits for this, so a daemon that is not there or slow has nothing to offer.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};
use sync_config::PlaceFlags;
use sync_wire::{
    Call, Client, Goal, ItemState, ProjectState, ProjectType, ProjectsPage, ProjectsQuery, QueueItemsPage,
    QueueItemsQuery,
};

use crate::clock;

/// How long a person at a prompt is kept waiting for an answer, and for all of them.
const PATIENCE: Duration = Duration::from_millis(300);
/// As many as the daemon tells of at once.
const MOST: u32 = 1_000;

/// Projects by their path or the beginning of their name, and folders.
pub(crate) fn projects(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut offered = of_the_daemon(typed);
    offered.extend(PathCompleter::dir().complete(typed));
    offered
}

fn of_the_daemon(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let Some(mut client) = client() else { return Vec::new() };
    let started = clock::moment();
    let mut query = ProjectsQuery { limit: Some(MOST), ..ProjectsQuery::default() };
    let mut known = Vec::new();
    // They come in no order that a person knows: the one that is typed may come last.
    while let Some(page) = page_of(&mut client, &query) {
        known.extend(page.projects);
        if page.next_cursor.is_none() || page.next_cursor == query.cursor || started.elapsed() > PATIENCE {
            break;
        }
        query.cursor = page.next_cursor;
    }
    known
        .into_iter()
        .filter(|project| {
            let named = !typed.contains('/')
                && project.project_name.to_lowercase().starts_with(&typed.to_lowercase());
            named || (!typed.is_empty() && project.root_path.starts_with(typed))
        })
        .map(|project| CompletionCandidate::new(project.root_path).help(Some(project.project_name.into())))
        .collect()
}

fn page_of(client: &mut Client, query: &ProjectsQuery) -> Option<ProjectsPage> {
    client.accomplish(&Call::projects(query)).ok()?.json().ok()
}

/// Numbers of entries.
pub(crate) fn entries(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_str().unwrap_or_default();
    let query = QueueItemsQuery { limit: Some(MOST), ..QueueItemsQuery::default() };
    let page = client().and_then(|mut client| {
        let answer = client.accomplish(&Call::queue_items(&query)).ok()?;
        answer.json::<QueueItemsPage>().ok()
    });
    page.into_iter()
        .flat_map(|page| page.items)
        .filter(|item| item.id.to_string().starts_with(typed))
        .map(|item| {
            let help = format!("{}, {}", item.project_name, item.state.as_str());
            CompletionCandidate::new(item.id.to_string()).help(Some(help.into()))
        })
        .collect()
}

/// The daemon of the surroundings; what is typed as `--socket` is not known here.
fn client() -> Option<Client> {
    let places = sync_config::read_environment().places(&PlaceFlags::default()).ok()?;
    Path::new(&places.socket).exists().then(|| Client::new(places.socket, PATIENCE))
}

/// Words that are fixed.
fn words(all: &[&'static str]) -> Vec<CompletionCandidate> {
    all.iter().map(CompletionCandidate::new).collect()
}

/// States of projects.
pub(crate) fn project_states() -> Vec<CompletionCandidate> {
    use ProjectState::{Missing, Pending, Registered, Rejected};
    words(&[Registered, Pending, Missing, Rejected].map(ProjectState::as_str))
}

/// What can be waited for.
pub(crate) fn goals() -> Vec<CompletionCandidate> {
    use Goal::{Idle, Ready, Registered};
    words(&[Ready, Idle, Registered].map(Goal::as_str))
}

/// Types of projects.
pub(crate) fn project_types() -> Vec<CompletionCandidate> {
    use ProjectType::{Monorepo, Standalone, Submodule};
    words(&[Standalone, Submodule, Monorepo].map(ProjectType::as_str))
}

/// States of entries.
pub(crate) fn entry_states() -> Vec<CompletionCandidate> {
    use ItemState::{Dead, Delayed, InFlight, Parked, Ready};
    words(&[Ready, Delayed, InFlight, Parked, Dead].map(ItemState::as_str))
}
