//! The manual: its generated pages are what they come from, its table of contents is whole, and links lead somewhere.
//!
//! The pages come from what other tests hold to the programs: the help of each command, the schema, the control API.
//! `UPDATE=1` writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::none;
use crate::repository::{FILES, Source, file, root};

const PAGES: &str = "docs/manual/src/";
const HELP: &str = "crates/coditect-sync/tests/snapshots/smoke__help";

fn text(path: &str) -> &'static str {
    file(path).map(|file| &*file.text).unwrap_or_default()
}

/// What a snapshot holds, without its head.
fn snapshot(path: &str) -> Option<&'static str> {
    let rest = file(path)?.text.strip_prefix("---\n")?;
    rest.split_once("\n---\n").map(|(_, held)| held.trim_end())
}

/// The help of a command, by its name with hyphens; of the program itself for none.
pub(crate) fn help(name: &str) -> Option<&'static str> {
    snapshot(&help_path(name))
}

fn help_path(name: &str) -> String {
    format!("{HELP}{}.snap", if name.is_empty() { String::new() } else { format!("-{name}") })
}

/// The commands that a help lists.
pub(crate) fn listed(help: &str) -> Vec<&str> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect()
}

/// The page of all commands, in the order in which the help lists them; a command whose help nobody keeps is said.
fn commands() -> Result<String, String> {
    let mut page =
        "# Commands\n\nEach with its help. The manual pages (`man coditect-sync-queue`) have the same.\n"
            .to_owned();
    let mut waiting = vec![String::new()];
    while let Some(name) = waiting.pop() {
        let held = help(&name)
            .ok_or_else(|| format!("the help of `{name}` is in no snapshot ({})", help_path(&name)))?;
        let title =
            format!("coditect-sync {}", name.replace('-', " ")).trim_end().replace("set token", "set-token");
        write!(page, "\n## {title}\n\n```text\n{held}\n```\n").map_err(|error| error.to_string())?;
        let below = listed(held).into_iter().rev();
        waiting.extend(below.map(|below| format!("{name}-{below}").trim_start_matches('-').to_owned()));
    }
    Ok(page)
}

/// The page of all keys.
fn configuration(schema: &Value) -> String {
    let mut page = "# Configuration\n\nThe file is `~/.coditect/config/config.json`, shared with the other coditect tools; \
        `--config` and `CODITECT_CONFIG` name another. It may be left out: these are the defaults. A key in the environment \
        beats the file: `CODITECT_SYNC__` and the key in capitals, with `__` for each dot. `coditect-sync config show` says \
        for every value where it came from, `config check` what is wrong with a file, and `coditect-sync reload` has it read \
        again.\n"
        .to_owned();
    section(schema, "", &mut page);
    page
}

fn section(part: &Value, path: &str, page: &mut String) {
    let Some(properties) = part["properties"].as_object() else { return };
    let keys: Vec<_> = properties.iter().filter(|(_, key)| key["properties"].is_null()).collect();
    if !keys.is_empty() {
        let about = part["description"].as_str().unwrap_or_default();
        page.extend(["\n## ", path, "\n\n", about, "\n\n| key | default | what it is |\n|---|---|---|\n"]);
        for (name, key) in keys {
            let about = key["description"].as_str().unwrap_or_default();
            let allowed = allowed(key);
            page.extend(["| `", name, "` | `", &key["default"].to_string(), "` | ", about, &allowed, " |\n"]);
        }
    }
    for (name, part) in properties {
        section(part, format!("{path}.{name}").trim_start_matches('.'), page);
    }
}

/// What a value may be, where the description leaves it to the schema.
fn allowed(key: &Value) -> String {
    let words = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str())
            .map(|word| format!("`{word}`"))
            .collect()
    };
    let mut choices = words(&key["enum"]);
    for choice in key["oneOf"].as_array().into_iter().flatten() {
        choices.extend(choice["const"].as_str().map(|word| format!("`{word}`")));
        choices.extend(words(&choice["enum"]));
    }
    match (key["minimum"].as_u64(), key["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        _ if !choices.is_empty() => format!(" One of {}.", choices.join(", ")),
        _ => String::new(),
    }
}

/// The page of all routes, from the form in which the document is generated.
fn routes(document: &str) -> String {
    let mut page = "# The control API\n\nHTTP/1.1 over the daemon's Unix socket, for this user's own programs. \
        [control-api.yaml](control-api.yaml) is the whole description (OpenAPI 3.1), with every parameter, body, answer and \
        problem; these are its routes.\n\n    curl --unix-socket ~/.local/state/coditect-sync/sync.sock \
        http://localhost/v1/status\n\n| route | does | parameters |\n|---|---|---|\n"
        .to_owned();
    let unquoted = |text: &str| text.trim().trim_matches('"').replace("\\\"", "\"");
    let (mut path, mut rows): (String, Vec<(String, String, Vec<String>)>) = (String::new(), Vec::new());
    let paths = document.split("\npaths:\n").nth(1).unwrap_or_default();
    for line in paths.lines().take_while(|line| line.starts_with(' ')) {
        let depth = line.len() - line.trim_start().len();
        let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        match (depth, name) {
            (2, _) => path = unquoted(line.trim().trim_end_matches(':')),
            (4, method) => {
                rows.push((format!("{} {path}", method.to_uppercase()), String::new(), Vec::new()));
            }
            (6, "summary") => rows.iter_mut().last().into_iter().for_each(|row| row.1 = unquoted(value)),
            (10, "name") => rows
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|row| row.2.push(format!("`{}`", unquoted(value)))),
            _ => {}
        }
    }
    for (route, does, parameters) in rows {
        page.extend(["| `", &route, "` | ", &does, " | ", &parameters.join(", "), " |\n"]);
    }
    page
}

fn generated() -> Vec<(&'static str, Result<String, String>)> {
    let schema = serde_json::from_str(text("config/config.schema.json")).expect("the schema is JSON");
    vec![
        ("commands.md", commands()),
        ("configuration.md", Ok(configuration(&schema))),
        ("control-api.md", Ok(routes(text("docs/control-api.yaml")))),
    ]
}

/// Links of a document that lead nowhere; what it includes is part of it.
fn broken(document: &Source, files: &BTreeSet<&str>) -> Vec<String> {
    let whole = included(document);
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    let mut rest = &*without_code(&whole);
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        let target = rest.split([')', ' ']).next().unwrap_or_default();
        if target.contains("://") || target.starts_with("mailto:") || target.is_empty() {
            continue;
        }
        let (path, place) = target.split_once('#').unwrap_or((target, ""));
        let own = path.is_empty();
        let to = if own { document.path.clone() } else { plain(&folder.join(path)) };
        let is_there = own
            || files.contains(&*to)
            || files.iter().any(|file| file.starts_with(&format!("{to}/")))
            || root().join(&to).exists();
        if !is_there {
            found.push(format!("{} links to {target}, which is not there", document.path));
        } else if !place.is_empty()
            && is_page(&to)
            && !has_place(if own { Some(document) } else { file(&to) }, place)
        {
            found.push(format!("{} links to {target}, and there is no such heading", document.path));
        }
    }
    found
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|kind| kind == "md")
}

fn included(document: &Source) -> String {
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    let line = |line: &str| match line.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}")) {
        Some(path) => match file(&plain(&folder.join(path))) {
            Some(other) => other.text.clone(),
            None => format!("[what is included]({path})\n"),
        },
        None => format!("{line}\n"),
    };
    document.text.lines().map(line).collect()
}

/// Text without what is code: blocks, and what is between backquotes on one line.
fn without_code(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside && !line.starts_with("    ") {
            kept.extend(line.split('`').step_by(2));
            kept.push('\n');
        }
    }
    kept
}

fn has_place(document: Option<&Source>, place: &str) -> bool {
    let Some(document) = document else { return false };
    included(document).lines().filter(|line| line.starts_with('#')).any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept =
            title.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>() == place
    })
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> String {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.to_string_lossy().into_owned()
}

#[test]
fn the_manuals_generated_pages_are_what_they_come_from() {
    let update = std::env::vars_os().any(|(name, _)| name == "UPDATE");
    let mut found = Vec::new();
    for (name, page) in generated() {
        let path = format!("{PAGES}{name}");
        match page {
            Err(why) => found.push(format!("{path} cannot be made: {why}")),
            Ok(page) if page == text(&path) => {}
            Ok(page) if update => std::fs::write(root().join(&path), page).expect("the repository is ours"),
            Ok(_) => found.push(format!("{path} is not what it comes from; UPDATE=1 renews it")),
        }
    }
    none(&found);
}

#[test]
fn every_page_of_the_manual_is_in_its_table_of_contents() {
    let contents = text("docs/manual/src/SUMMARY.md");
    let pages = FILES.iter().filter_map(|file| file.path.strip_prefix(PAGES)).filter(|page| is_page(page));
    let lost = pages.filter(|page| *page != "SUMMARY.md" && !contents.contains(&format!("({page})")));
    none(&lost.map(|page| format!("{page} is not in SUMMARY.md")).collect::<Vec<_>>());
}

#[test]
fn links_lead_somewhere() {
    let files: BTreeSet<&str> = FILES.iter().map(|file| &*file.path).collect();
    let documents = FILES.iter().filter(|file| is_page(&file.path));
    let found: Vec<String> = documents.flat_map(|document| broken(document, &files)).collect();
    none(&found);
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let files = BTreeSet::from(["docs/a.md", "docs/adr/1.md"]);
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(broken(&Source::new("docs/b.md", text), &files), expected, "{text}");
    };
    check("[a](a.md) [b](adr) [c](https://x.invalid/) [d](#here-1)\n# Here 1\n", &[]);
    check("[a](../docs/a.md), `[b](nowhere.md)`\n```\n[c](nowhere.md)\n```\n", &[]);
    check("[d](#there)\n# Here\n", &["docs/b.md links to #there, and there is no such heading"]);
    check("[a](nowhere.md)", &["docs/b.md links to nowhere.md, which is not there"]);
    check("{{#include nowhere.md}}", &["docs/b.md links to nowhere.md, which is not there"]);
}

#[test]
fn pages_are_made_of_what_is_there() {
    assert_eq!(
        listed("About.\n\nCommands:\n  list    List them\n          all\n  help    Help\n\nOptions:\n  -x\n"),
        ["list"]
    );
    let schema = serde_json::json!({"properties": {"a": {"description": "About a.", "properties": {
        "n": {"default": 3, "description": "How many.", "minimum": 1, "maximum": 9},
        "w": {"default": "x", "description": "Which.", "enum": ["x", "y"]},
    }}}});
    let page = configuration(&schema);
    assert!(page.contains("\n## a\n\nAbout a.\n"), "{page}");
    assert!(
        page.contains(
            "| `n` | `3` | How many. From 1 to 9. |\n| `w` | `\"x\"` | Which. One of `x`, `y`. |\n"
        ),
        "{page}"
    );
    let yaml = "x:\npaths:\n  \"/v1/a\":\n    get:\n      summary: \"Tells.\"\n      parameters:\n        -\n          name: since\n    post:\n      summary: Does.\ncomponents:\n";
    let page = routes(yaml);
    assert!(page.ends_with("| `GET /v1/a` | Tells. | `since` |\n| `POST /v1/a` | Does. |  |\n"), "{page}");
}
