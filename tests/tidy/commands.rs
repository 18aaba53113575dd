//! What the documents have somebody run is there: `coditect-sync` with the name of one of its commands.

use crate::manual::{help, listed};
use crate::none;
use crate::repository::{FILES, Source};

const PROGRAM: &str = "coditect-sync ";

/// What is to be run in a document: what stands between backquotes, also over the end of a line, and lines of code.
fn spoken(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut paragraph, mut fenced) = (String::new(), false);
    for line in document.lines().chain([""]) {
        let fence = line.trim_start().starts_with("```");
        let code = !fence && (fenced || line.starts_with("    "));
        if code {
            found.push(line.trim_start().trim_start_matches("$ ").to_owned());
        } else if !fence && !line.is_empty() {
            paragraph.extend([line, " "]);
        }
        if code || fence || line.is_empty() {
            found.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
            paragraph.clear();
        }
        fenced ^= fence;
    }
    found
}

/// Commands of a document that are not there; `below` tells what there is below a command, and below none.
fn violations(document: &Source, below: &dyn Fn(&str) -> Vec<&'static str>) -> Vec<String> {
    let mut found = Vec::new();
    for spoken in spoken(&document.text) {
        let Some(rest) = spoken.strip_prefix(PROGRAM) else { continue };
        let is_word = |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        let mut above = String::new();
        // Flags come behind the command; what has no commands below it takes words of its own.
        for word in rest.split_whitespace().take_while(is_word).take_while(|word| !word.starts_with('-')) {
            let there = below(&above);
            if there.is_empty() {
                break;
            }
            if !there.contains(&word) {
                found.push(format!("{} has `{PROGRAM}{rest}`, and there is no such command", document.path));
                break;
            }
            above = if above.is_empty() { word.to_owned() } else { format!("{above}-{word}") };
        }
    }
    found
}

#[test]
fn documents_name_only_commands_that_are_there() {
    let below = |name: &str| help(name).map(listed).unwrap_or_default();
    let is_document = |file: &&Source| {
        let path = std::path::Path::new(&file.path);
        path.extension().is_some_and(|kind| kind == "md")
    };
    let found: Vec<String> =
        FILES.iter().filter(is_document).flat_map(|document| violations(document, &below)).collect();
    none(&found);
}

#[test]
fn a_command_that_is_not_there_is_noticed() {
    let below = |name: &str| match name {
        "" => vec!["queue", "register"],
        "queue" => vec!["flush"],
        _ => vec![],
    };
    let check = |text: &str, expected: &[&str]| {
        let expected: Vec<String> = expected
            .iter()
            .map(|command| format!("docs/a.md has `{command}`, and there is no such command"))
            .collect();
        assert_eq!(violations(&Source::new("docs/a.md", text), &below), expected, "{text}");
    };
    check("`coditect-sync queue` and `coditect-sync\nregister api`, `coditect-sync --json nothing`\n", &[]);
    check("coditect-sync is a program.\n\n    cargo install coditect-sync nothing\n", &[]);
    check("`coditect-sync\nflush`", &["coditect-sync flush"]);
    check("| `coditect-sync flush` | x |\n", &["coditect-sync flush"]);
    check("    coditect-sync queue drain  # now\n", &["coditect-sync queue drain  # now"]);
    check("```text\n$ coditect-sync sent\n```\n", &["coditect-sync sent"]);
}
