//! `projects show`: one project, field by field.

use sync_wire::Project;

use super::Context;
use super::projects::tone;
use crate::human::{Tone, clean, next, relative};

/// The project, one field a line; what has no value is left out.
pub(super) fn text(project: &Project, context: &Context) -> String {
    let Context { now, view, .. } = context;
    let queue = project.queue_item.as_ref().map(|item| {
        let when = item.next_attempt_at.as_deref().map(|moment| format!(", next try {}", next(*now, moment)));
        format!("entry {}, {}{}", item.id, item.state.as_str(), when.unwrap_or_default())
    });
    let error = project.queue_item.as_ref().and_then(|item| item.last_error.as_ref());
    let fields = [
        ("name", Some(project.project_name.clone())),
        ("path", Some(project.root_path.clone())),
        ("state", Some(project.state.as_str().to_owned())),
        ("local UUID", Some(project.local_project_uuid.to_string())),
        ("cloud UUID", project.cloud_uuid.map(|uuid| uuid.to_string())),
        ("cloud says", project.registration_status.clone()),
        ("type", Some(project.project_type.as_str().to_owned())),
        ("parent", project.parent_project_uuid.map(|uuid| uuid.to_string())),
        ("version control", Some(project.vcs.clone())),
        ("language", Some(project.primary_language.clone())),
        ("framework", Some(project.framework.clone())),
        ("content hash", Some(project.content_hash.clone())),
        ("first seen", Some(relative(*now, &project.first_seen_at))),
        ("last seen", Some(relative(*now, &project.seen_at))),
        ("queue", queue),
        ("last error", error.map(|error| format!("{}, {}", error.message, relative(*now, &error.at)))),
    ];
    let mut lines = String::new();
    for (name, value) in fields {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let value = clean(&value).into_owned();
        let value = if name == "state" { view.paint(tone(project.state), &value) } else { value };
        let value = if is_given(project, name) {
            format!("{value} {}", view.paint(Tone::Faint, "(given)"))
        } else {
            value
        };
        lines.push_str(&field(*view, name, &value));
    }
    lines
}

/// Whether somebody gave what this line shows, so that no look at the folder replaces it.
fn is_given(project: &Project, line: &str) -> bool {
    let field = match line {
        "name" => "project_name",
        "type" => "project_type",
        "parent" => "parent_project_uuid",
        "language" => "primary_language",
        "framework" => "framework",
        _ => return false,
    };
    project.given.iter().any(|given| given == field)
}

/// A line of a description.
pub(super) fn field(view: crate::human::View, name: &str, value: &str) -> String {
    format!("{}{value}\n", view.paint(Tone::Faint, &format!("{name:<17}")))
}
