//! What a shell offers while somebody types: projects and entries that the daemon knows, and words that are fixed.
//!
//! A shell waits for this, so a daemon that is not there or slow has nothing to offer. Whoever makes a repository chooses what
//! folders and projects are called: what has control characters is not offered, and the rest is quoted for the shell, see
//! `shells`.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::CompletionCandidate;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, PathCompleter, ValueCompleter};
use sync_config::PlaceFlags;
use sync_wire::{
    Call, Client, Goal, ItemState, ProjectState, ProjectType, ProjectsPage, ProjectsQuery, QueueItemsPage,
    QueueItemsQuery,
};

use crate::args::Cli;
use crate::clock;
use crate::human::clean;

/// How long a person at a prompt is kept waiting for an answer, and for all of them.
const PATIENCE: Duration = Duration::from_millis(300);
/// As many as the daemon tells of at once.
const MOST: u32 = 1_000;

/// The arguments, each path among them completed by what is here.
pub(crate) fn command() -> Command {
    completed(Cli::command())
}

fn completed(command: Command) -> Command {
    command.mut_args(path_completed).mut_subcommands(completed)
}

fn path_completed(arg: Arg) -> Arg {
    if arg.get::<ArgValueCompleter>().is_some() || arg.get::<ArgValueCandidates>().is_some() {
        return arg;
    }
    let hint = arg.get_value_hint();
    if hint == ValueHint::DirPath {
        arg.add(ArgValueCompleter::new(folders))
    } else if [ValueHint::AnyPath, ValueHint::FilePath].contains(&hint) {
        arg.add(ArgValueCompleter::new(files))
    } else {
        arg
    }
}

/// Projects by their path or the beginning of their name, and folders.
pub(crate) fn projects(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut offered = of_the_daemon(typed);
    offered.extend(folders(typed));
    offered
}

fn folders(typed: &OsStr) -> Vec<CompletionCandidate> {
    on_the_disk(&PathCompleter::dir(), typed)
}

fn files(typed: &OsStr) -> Vec<CompletionCandidate> {
    on_the_disk(&PathCompleter::any(), typed)
}

fn on_the_disk(paths: &PathCompleter, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let offered = paths.complete(OsStr::new(typed));
    offered.into_iter().filter_map(|candidate| as_a_path(candidate, typed)).collect()
}

/// The same, and no option and no other's home; `None` where it cannot be offered.
fn as_a_path(candidate: CompletionCandidate, typed: &str) -> Option<CompletionCandidate> {
    let value = candidate.get_value().to_str().filter(|value| is_plain(value))?;
    let means_more = value.starts_with(['-', '~']) && !(value.starts_with("~/") && typed.starts_with("~/"));
    match (means_more, typed.is_empty()) {
        (false, _) => Some(candidate),
        (true, true) => Some(candidate.add_prefix("./")),
        (true, false) => None,
    }
}

/// Whether it can be put into a line: a shell that reads control characters acts on them.
fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
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
            // Where it is not exact, no such folder is there.
            let offered = is_plain(&project.root_path) && project.root_path_exact.is_none();
            offered && (named || (!typed.is_empty() && project.root_path.starts_with(typed)))
        })
        .map(|project| {
            let name = clean(&project.project_name).into_owned();
            CompletionCandidate::new(project.root_path).help(Some(name.into()))
        })
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
            let help = format!("{}, {}", clean(&item.project_name), item.state.as_str());
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
