//! `inspect`: what is or would be registered for a path, field by field, with what each was told by.
//!
//! Asks the daemon, which also knows what is on record. Where none answers, the daemon's program looks by itself and
//! writes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sync_wire::{Call, InspectAnswer, Inspected, Inspection, Proof};

use super::Context;
use super::project::field;
use super::projects::tone;
use crate::args::Inspect;
use crate::daemon::sent_path;
use crate::exit::Exit;
use crate::human::{Tone, View, clean, count};
use crate::out::Answer;
use crate::problem::Failure;
use crate::programs::{Invocation, Programs, is_program};
use crate::service::program;

/// How long the daemon's program may look at a path.
const LONGEST_LOOK: Duration = Duration::from_mins(5);
/// Most packages of a workspace that are named unless more is wanted.
const FEW: usize = 6;

pub(super) fn run(inspect: &Inspect, context: &Context) -> Result<Answer, Failure> {
    let path = sent_path(&inspect.path)?;
    let asked = context.daemon()?.ask_for::<InspectAnswer>(&Call::inspect(&path));
    let (answer, document, note) = match asked {
        Ok((answer, document)) => (answer, document, None),
        Err(failure) if failure.exit == Exit::NoDaemon && failure.problem.is_none() => {
            let (answer, document) = alone(&path, failure, context)?;
            (answer, document, Some("no daemon answers: what is on record is not known"))
        }
        Err(failure) => return Err(failure),
    };
    let mut text: Vec<String> = answer.projects.iter().map(|project| block(project, context.view)).collect();
    if answer.more > 0 {
        text.push(format!("and {} more; inspect a folder below\n", answer.more));
    }
    let mut notes: Vec<String> =
        answer.problems.iter().map(|problem| format!("not read: {}", clean(problem))).collect();
    notes.extend(note.map(str::to_owned));
    let shown = Answer::result(document, text.join("\n"));
    Ok(if notes.is_empty() { shown } else { shown.with_note(notes.join("\n")) })
}

/// What the daemon's program finds without a daemon.
fn alone(path: &Path, failure: Failure, context: &Context) -> Result<(InspectAnswer, Vec<u8>), Failure> {
    let programs = Programs::new(&context.environment);
    let Some(daemon) = beside_or_on_path(&programs) else {
        let hint = format!(
            "start one with `coditect-sync service start`; or look without one: `coditect-syncd inspect {}`",
            path.display()
        );
        return Err(failure.with_hint(hint));
    };
    let (Some(program), Some(path)) = (daemon.to_str(), path.to_str()) else { return Err(failure) };
    let mut arguments = Vec::new();
    let places = [("--config", &context.globals.config), ("--state-dir", &context.globals.state_dir)];
    for (flag, value) in places {
        if let Some(value) = value.as_deref().and_then(Path::to_str) {
            arguments.extend([flag, value]);
        }
    }
    arguments.extend(["inspect", "--", path]);
    let ran = programs.run(&Invocation::new(program, &arguments), LONGEST_LOOK).map_err(|error| {
        Failure::failed(format!("no daemon answers, and `{program} inspect` cannot be run: {error}"))
    })?;
    if !ran.succeeded {
        return Err(Failure::failed(format!("`{program} inspect` failed: {}", ran.complaint)));
    }
    let mut seen: Vec<Inspection> =
        ran.output.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|error| {
            Failure::failed(format!("`{program} inspect` says what this program does not read: {error}"))
                .with_hint("compare `coditect-sync --version` and `coditect-syncd --version`")
        })?;
    if seen.is_empty() {
        let message = format!("there is no project at or below `{path}`");
        return Err(Failure::new(Exit::NotFound, "not_found", message)
            .with_hint("a project is a git work tree, or a folder with a manifest"));
    }
    if let Some(innermost) = holder(&seen, path) {
        seen.retain(|project| project.root_path == innermost);
    }
    let projects = seen.into_iter().map(|seen| Inspected { seen, on_record: None, differs: Vec::new() });
    let answer = InspectAnswer { projects: projects.collect(), more: 0, problems: Vec::new() };
    let document = serde_json::to_vec(&answer)
        .map_err(|error| Failure::failed(format!("cannot write the answer down: {error}")))?;
    Ok((answer, document))
}

/// The root of the innermost project that holds the path: with a daemon only that one is told.
fn holder(seen: &[Inspection], path: &str) -> Option<String> {
    let around = seen.iter().filter(|project| Path::new(path).starts_with(&project.root_path));
    around.map(|project| project.root_path.clone()).max_by_key(String::len)
}

fn beside_or_on_path(programs: &Programs) -> Option<PathBuf> {
    let running = std::env::current_exe().ok();
    let on_path = programs.find(program::NAME);
    program::candidates(running.as_deref(), on_path.as_deref(), None)
        .into_iter()
        .find(|path| is_program(path))
}

/// One project, each field with what it was told by below it.
fn block(project: &Inspected, view: View) -> String {
    let Inspected { seen, on_record, differs } = project;
    let evidence = &seen.evidence;
    let mut text = String::new();
    let mut tell = |name: &str, value: &str, proof: &Proof| {
        let value = if value.is_empty() { "none".to_owned() } else { clean(value).into_owned() };
        text.push_str(&field(view, name, &view.paint(Tone::Strong, &value)));
        text.push_str(&below(view, proof));
    };
    tell("path", &seen.root_path, &evidence.root_path);
    tell("name", &seen.project_name, &evidence.project_name);
    tell("language", &seen.primary_language, &evidence.primary_language);
    tell("framework", &seen.framework, &evidence.framework);
    tell("type", seen.project_type.as_str(), &with_members(&evidence.project_type, &evidence.members, view));
    tell("content hash", &seen.content_hash, &evidence.content_hash);
    tell("parent", seen.parent_root_path.as_deref().unwrap_or_default(), &evidence.parent_root_path);
    if let Some(known) = on_record {
        let cloud = known.cloud_uuid.map(|uuid| format!(", in the cloud {uuid}")).unwrap_or_default();
        let state = view.paint(tone(known.state), known.state.as_str());
        text.push_str(&field(view, "on record", &format!("{state} as {}{cloud}", known.local_project_uuid)));
        if !differs.is_empty() {
            text.push_str(&line(view, "-", &format!("the record differs in {}", differs.join(", "))));
        }
    }
    for warning in &seen.warnings {
        text.push_str(&field(view, "warning", &view.paint(Tone::Mind, &clean(warning))));
    }
    text
}

fn with_members(proof: &Proof, members: &[String], view: View) -> Proof {
    let mut proof = proof.clone();
    let shown = if view.verbose { members.len() } else { FEW.min(members.len()) };
    proof.found.extend(members.iter().take(shown).cloned());
    if members.len() > shown {
        let more = (members.len() - shown) as u64;
        proof.found.push(format!("and {}", count(more, "more", "more")));
    }
    proof
}

fn below(view: View, proof: &Proof) -> String {
    if proof.rule.is_empty() {
        return String::new();
    }
    let files = if proof.files.is_empty() { String::new() } else { format!(" ({})", proof.files.join(", ")) };
    let mut text = line(view, " ", &format!("{}{files}", proof.rule));
    text.extend(proof.found.iter().map(|found| line(view, "+", found)));
    text.extend(proof.left_out.iter().map(|left_out| line(view, "-", left_out)));
    text
}

/// A line below a field: what it was told by, what was seen, what was left out.
fn line(view: View, sign: &str, words: &str) -> String {
    format!("{:<17}{}\n", "", view.paint(Tone::Faint, &format!("{sign} {}", clean(words))))
}
