//! What is promised and what is built are the same: configuration keys and exit codes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lexer::code;
use crate::none;
use crate::repository::{FILES, Source, file};

/// Generated from the types; a test of `sync-config` keeps it up to date.
const SCHEMA: &str = "config/config.schema.json";
const EXAMPLE: &str = "config/config.example.json";
const PREFIX: &str = "CODITECT_SYNC__";

const EXIT_SOURCE: &str = "crates/coditect-sync/src/exit.rs";
const EXIT_DOCUMENT: &str = "docs/exit-codes.md";

fn keys(schema: &Value, example: &Value) -> Vec<String> {
    let (mut known, mut shown) = (BTreeSet::new(), BTreeSet::new());
    known_keys(schema, "", &mut known);
    for section in ["cloud_sync", "sync_daemon"] {
        shown_keys(&example[section], section, &mut shown);
    }
    let missing = known.difference(&shown).map(|key| format!("{key} is not in {EXAMPLE}"));
    missing
        .chain(shown.difference(&known).map(|key| format!("{key} is in {EXAMPLE} and is no key")))
        .collect()
}

fn known_keys(schema: &Value, path: &str, known: &mut BTreeSet<String>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, part) in properties {
                known_keys(part, format!("{path}.{name}").trim_start_matches('.'), known);
            }
        }
        None => drop(known.insert(path.to_owned())),
    }
}

fn shown_keys(example: &Value, path: &str, shown: &mut BTreeSet<String>) {
    match example.as_object() {
        Some(members) => {
            for (name, part) in members {
                shown_keys(part, &format!("{path}.{name}"), shown);
            }
        }
        None => drop(shown.insert(path.to_owned())),
    }
}

/// Documents that name a variable of a key there is not.
fn variables<'a>(schema: &Value, documents: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let mut known = BTreeSet::new();
    known_keys(schema, "", &mut known);
    let known: BTreeSet<String> =
        known.iter().map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))).collect();
    let mut found = Vec::new();
    for document in documents {
        for (at, _) in document.text.match_indices(PREFIX) {
            let end = document.text[at..].find(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
            let variable = document.text[at..].split_at(end.unwrap_or(document.text.len() - at)).0;
            if variable != PREFIX && !known.contains(variable) {
                found.push(format!("{} names {variable}, which stands for no key", document.path));
            }
        }
    }
    found
}

/// What a newcomer is told to run in the README, and that the pipeline runs the same tests.
fn newcomers(readme: &str, pipeline: &str) -> Vec<String> {
    const MAIN: &str = "cargo run --release --bin coditect-syncd -- --dev";
    const TESTS: &str = "cargo test --workspace --locked";
    let told = |command: &str| readme.lines().any(|line| line.starts_with(&format!("    {command}")));
    let mut found: Vec<String> = [MAIN, TESTS]
        .into_iter()
        .filter(|command| !told(command))
        .map(|command| format!("README.md does not say `{command}`"))
        .collect();
    if !pipeline.lines().any(|line| line == format!("step {TESTS}")) {
        found.push(format!(".ci/run does not run `{TESTS}`"));
    }
    found
}

fn exit_codes(source: &str, document: &str) -> Vec<String> {
    let built = built_codes(source);
    let promised = promised_codes(document);
    let missing =
        built.difference(&promised).map(|code| format!("{code} is in {EXIT_SOURCE}, not in {EXIT_DOCUMENT}"));
    let extra =
        promised.difference(&built).map(|code| format!("{code} is in {EXIT_DOCUMENT}, not in {EXIT_SOURCE}"));
    missing.chain(extra).collect()
}

/// The numbers that something is set equal to in a source, its tests aside.
fn built_codes(source: &str) -> BTreeSet<u8> {
    let bare = code(source).bare;
    let bare = bare.split("#[cfg(test)]").next().unwrap_or_default();
    let set = bare.split('=').skip(1).map(|rest| rest.trim_start_matches('>').trim_start());
    let number = |rest: &str| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    set.filter_map(number).collect()
}

/// The first column of the command line's table.
fn promised_codes(document: &str) -> BTreeSet<u8> {
    let section =
        document.split("\n## ").find(|section| section.starts_with("coditect-sync\n")).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    rows.filter_map(|cell| cell.trim().parse().ok()).collect()
}

fn read(path: &str) -> &'static str {
    file(path).map(|file| &*file.text).unwrap_or_default()
}

fn json(path: &str) -> Value {
    serde_json::from_str(read(path)).expect("the file is JSON")
}

fn documents() -> impl Iterator<Item = &'static Source> {
    FILES.iter().filter(|file| {
        let folder = ["docs/", "systemd/", "launchd/"].iter().any(|folder| file.path.starts_with(folder));
        folder || matches!(&*file.path, "README.md" | "CHANGELOG.md")
    })
}

#[test]
fn every_key_is_in_the_example_and_every_key_of_the_example_exists() {
    none(&keys(&json(SCHEMA), &json(EXAMPLE)));
}

#[test]
fn documents_name_only_variables_that_stand_for_a_key() {
    none(&variables(&json(SCHEMA), documents()));
}

#[test]
fn exit_codes_are_documented_and_the_documented_ones_exist() {
    none(&exit_codes(read(EXIT_SOURCE), read(EXIT_DOCUMENT)));
}

fn sample_schema() -> Value {
    serde_json::json!({"properties": {
        "cloud_sync": {"properties": {"api_url": {}, "tenant_id": {}}},
        "sync_daemon": {"properties": {"log": {"properties": {"level": {}}}}},
    }})
}

#[test]
fn a_key_without_example_and_an_example_without_key_are_noticed() {
    let example = serde_json::json!({
        "cloud_sync": {"api_url": "", "colour": ""}, "sync_daemon": {"log": {"level": ""}}, "other": {"x": 1},
    });
    assert_eq!(
        keys(&sample_schema(), &example),
        [
            "cloud_sync.tenant_id is not in config/config.example.json",
            "cloud_sync.colour is in config/config.example.json and is no key",
        ]
    );
}

#[test]
fn a_documented_variable_without_key_is_noticed() {
    let document = |text: &str| Source::new("docs/a.md", text);
    let check = |text: &str| variables(&sample_schema(), [&document(text)]);
    assert_eq!(check("`CODITECT_SYNC__SYNC_DAEMON__LOG__LEVEL=debug` and CODITECT_SYNC__…"), [""; 0]);
    let expected = "docs/a.md names CODITECT_SYNC__LOG__LEVEL, which stands for no key";
    assert_eq!(check("CODITECT_SYNC__LOG__LEVEL"), [expected]);
}

#[test]
fn exit_codes_are_read_from_enums_and_constants() {
    let source = "const A: u8 = 0;\nenum E { B = 3, /* = 9 */ C = 69 }\nmatch x { D => 78, E => f(4) }\n#[cfg(test)]\nx = 5;";
    assert_eq!(built_codes(source), BTreeSet::from([0, 3, 69, 78]));
    let document = "# Exit codes\n\n## coditect-sync\n\n| code | means |\n|--:|---|\n| 0 | done |\n| 3 | no |\n| 70 | x |\n\n## coditect-syncd\n\n| 64 | usage |\n";
    assert_eq!(promised_codes(document), BTreeSet::from([0, 3, 70]));
    let found: BTreeMap<_, _> =
        exit_codes(source, document).into_iter().map(|line| (line[..2].to_owned(), line)).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["69", "70", "78"]);
}

#[test]
fn a_newcomer_is_told_both_commands_and_the_pipeline_runs_the_same_tests() {
    let text = |path: &str| &*file(path).expect(path).text;
    none(&newcomers(text("README.md"), text(".ci/run")));
    let (readme, pipeline) =
        ("    cargo run --release --bin coditect-syncd -- --dev --root x\n", "step cargo fmt\n");
    let expected = [
        "README.md does not say `cargo test --workspace --locked`",
        ".ci/run does not run `cargo test --workspace --locked`",
    ];
    assert_eq!(newcomers(readme, pipeline), expected);
}
