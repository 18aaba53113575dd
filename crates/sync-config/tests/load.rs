//! What the loader makes of files, variables and flags, read beside the messages people get.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sync_config::{
    CredentialSource, Environment, FileText, FlagValue, Loaded, LogFormat, LogLevel, Origin, PlaceFlags,
    Sources, load, schema, token,
};

const FILE: &str = "/home/ada/.coditect/config/config.json";

fn sources(text: &str) -> Sources {
    Sources {
        file: Some(FileText { path: PathBuf::from(FILE), text: text.to_owned(), mode: Some(0o600) }),
        home: Some(PathBuf::from("/home/ada")),
        current_dir: Some(PathBuf::from("/work")),
        ..Sources::default()
    }
}

fn with_env(text: &str, env: &[(&str, &str)]) -> Sources {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
    Sources { env: env.collect(), ..sources(text) }
}

fn with_flag(text: &str, flag: &str, key: &str, value: Value) -> Sources {
    let flag = FlagValue { flag: flag.to_owned(), key: key.to_owned(), value };
    Sources { flags: vec![flag], ..sources(text) }
}

/// Every message, errors or warnings, a line each.
fn said(sources: &Sources) -> String {
    let (kind, problems) = match load(sources) {
        Ok(loaded) => ("warning", loaded.warnings),
        Err(problems) => ("error", problems),
    };
    problems.iter().map(|problem| format!("{kind}: {problem}").replace(FILE, "FILE") + "\n").collect()
}

fn loaded(sources: &Sources) -> Loaded {
    load(sources).expect("nothing is wrong with it")
}

#[test]
fn files_that_say_nothing_give_the_defaults() {
    let defaults = loaded(&Sources { file: None, ..sources("") });
    for text in [
        "",
        " \n",
        "{}",
        "\u{feff}{}",
        "// a comment\n{ /* another */ }\n",
        r#"{"cloud_sync": {}, "sync_daemon": {"log": {},},}"#,
        r#"{"cloud_sync": null, "other_tool": {"api_url": 7}}"#,
        r#"{"cloud_sync": {"auth_token": "", "auth_token_file": null}}"#,
    ] {
        let found = loaded(&sources(text));
        assert_eq!(found.config, defaults.config, "{text}");
        assert_eq!(found.warnings, [], "{text}");
    }
    assert_eq!(defaults.config.sync_daemon.discovery.roots, [Path::new("/home/ada/PROJECTS")]);
    assert_eq!(defaults.config.cloud_sync.cache_ttl, Duration::from_hours(24));
    assert!(defaults.origins.values().all(|origin| *origin == Origin::Default));
}

#[test]
fn without_a_home_there_are_no_default_roots() {
    let found = loaded(&Sources::default());
    assert_eq!(found.config.sync_daemon.discovery.roots, Vec::<PathBuf>::new());
}

#[test]
fn broken_files_say_what_is_wrong_and_where() {
    let said = [
        "{",
        "[]",
        "7",
        "{\"cloud_sync\": \"x\"}",
        "{\n  \"cloud_sync\": {\n    \"api_url\": 7\n    \"x\": 1\n  }\n}",
        "{'cloud_sync': {}}",
        "{\"cloud_sync\": {}} {}",
        "{\"sync_daemon\": {\"log\": \"debug\"}}",
        "{\"sync_daemon\": {\"discovery\": []}}",
        "{\"é\": 1, \"cloud_sync\": 1}",
    ]
    .map(|text| format!("{text:?}\n{}", said(&sources(text))))
    .concat();
    insta::assert_snapshot!(said);
}

#[test]
fn every_bad_value_is_named_with_what_is_allowed() {
    let values = [
        ("cloud_sync.api_url", json!("api.coditect.ai")),
        ("cloud_sync.api_url", json!("https://ada:s3cr3t@api.coditect.ai")),
        ("cloud_sync.api_url", json!(null)),
        ("cloud_sync.auth_token", json!("s3cr3t token")),
        ("cloud_sync.auth_token", json!(["s3cr3t"])),
        ("cloud_sync.auth_token_file", json!("token")),
        ("cloud_sync.auth_token_file", json!("~bob/token")),
        ("cloud_sync.credential_command", json!("coditect auth print-token")),
        ("cloud_sync.credential_command", json!([])),
        ("cloud_sync.credential_command", json!(["coditect", 1])),
        ("cloud_sync.tenant_id", json!("")),
        ("cloud_sync.tenant_id", json!(7)),
        ("cloud_sync.connect_timeout", json!(30)),
        ("cloud_sync.connect_timeout", json!("30")),
        ("cloud_sync.request_timeout", json!("0s")),
        ("cloud_sync.batch_size", json!(0)),
        ("cloud_sync.batch_size", json!(-1)),
        ("cloud_sync.batch_size", json!(1.5)),
        ("cloud_sync.batch_size", json!("100")),
        ("cloud_sync.max_retries", json!(99_999_999_999_u64)),
        ("sync_daemon.discovery.enabled", json!("yes")),
        ("sync_daemon.discovery.roots", json!("~/PROJECTS")),
        ("sync_daemon.discovery.roots", json!(["~/a", "b\nc"])),
        ("sync_daemon.discovery.roots", json!([""])),
        ("sync_daemon.discovery.exclude", json!([1])),
        ("sync_daemon.log.level", json!("verbose")),
        ("sync_daemon.log.format", json!(true)),
        ("sync_daemon.queue_max_items", json!("x".repeat(500))),
    ];
    let said: String = values.iter().map(|(key, value)| said(&sources(&file_with(key, value)))).collect();
    assert!(!said.contains("s3cr3t"), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_its_place() {
    let text = r#"{
  "cloud_sync": {
    "api_urll": "https://x.example",
    "batch_size": 0, "max_retries": true,
    "retry_initial": "1m",
    "retry_max": "10s",
    "auth_token_file": "/t",
    "credential_command": ["print-token"]
  },
  "sync_daemon": {"log": {"level": "loud"}}
}"#;
    let env = [
        ("CODITECT_SYNC__CLOUD_SYNC__REQUEST_TIMEOUT", "soon"),
        ("CODITECT_SYNC__SYNC_DAEMON__LOG__KEEP_DAYS", ""),
    ];
    let sources = Sources {
        flags: with_flag("", "--root", "sync_daemon.discovery.roots", json!(["$OTHER\0/x"])).flags,
        ..with_env(text, &env)
    };
    insta::assert_snapshot!(said(&sources));
}

#[test]
fn an_unknown_key_of_ours_is_a_warning_with_the_nearest_name() {
    let text = r#"{
  "cloud_sync": {"api_urll": "x", "drain_interval": "1m", "colour": 1, "batch_size": 1, "batch_size": 2},
  "sync_daemon": {"discovery": {"root": []}, "logs": {}, "log": {"Level": "info"}},
  "cloudsync": {"left": "alone"}
}"#;
    let env = [
        ("CODITECT_SYNC__CLOUD_SYNC__AUTH_TOKN", "s3cr3t"),
        ("CODITECT_SYNC__SYNC_DAEMON__LOG", "{}"),
        ("CODITECT_SYNC__X", ""),
        ("CODITECT_SYNC_SOCKET", "/s"),
    ];
    let sources = with_env(text, &env);
    insta::assert_snapshot!(said(&sources));
    assert_eq!(loaded(&sources).config.cloud_sync.batch_size, 2, "the last of several counts");
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let text = "{\"cloud_sync\": {\n  \"batch_size\": 1,\n  \"max_retries\": 1},\n \"sync_daemon\": {\"discovery\": {\"roots\": [\"~/a\", \"$HOME/b\"]}}}";
    let env = [
        ("CODITECT_SYNC__CLOUD_SYNC__BATCH_SIZE", "2"),
        ("CODITECT_SYNC__SYNC_DAEMON__DISCOVERY__ROOTS", "~/c, /d"),
        ("CODITECT_SYNC__SYNC_DAEMON__LEGACY_IMPORT", "off"),
        ("CODITECT_SYNC__SYNC_DAEMON__LOG__LEVEL", "debug"),
        ("CODITECT_SYNC__SYNC_DAEMON__LOG__FORMAT", "json"),
        ("CODITECT_SYNC__CLOUD_SYNC__CREDENTIAL_COMMAND", r#"["print", "a token"]"#),
    ];
    let file_only = loaded(&sources(text));
    assert_eq!(
        file_only.config.sync_daemon.discovery.roots,
        ["/home/ada/a", "/home/ada/b"].map(PathBuf::from)
    );
    assert_eq!(
        file_only.origins["cloud_sync.max_retries"],
        Origin::File { path: PathBuf::from(FILE), line: 3, column: 18 }
    );

    let with_env = with_env(text, &env);
    let found = loaded(&with_env);
    assert_eq!((found.config.cloud_sync.batch_size, found.config.cloud_sync.max_retries), (2, 1));
    assert_eq!(found.config.sync_daemon.discovery.roots, ["/home/ada/c", "/d"].map(PathBuf::from));
    assert!(!found.config.sync_daemon.legacy_import);
    assert_eq!(found.config.sync_daemon.log.level, LogLevel::Debug);
    assert_eq!(found.config.sync_daemon.log.format, LogFormat::Json);
    let command = ["print".to_owned(), "a token".to_owned()];
    assert_eq!(found.config.cloud_sync.credential_command.as_deref(), Some(&command[..]));
    assert_eq!(
        found.origins["cloud_sync.batch_size"],
        Origin::Environment("CODITECT_SYNC__CLOUD_SYNC__BATCH_SIZE".to_owned())
    );

    let flags = with_flag("", "--root", "sync_daemon.discovery.roots", json!(["sub", "/e"])).flags;
    let found = loaded(&Sources { flags, ..with_env });
    assert_eq!(found.config.sync_daemon.discovery.roots, ["/work/sub", "/e"].map(PathBuf::from));
    assert_eq!(found.origins["sync_daemon.discovery.roots"], Origin::Flag("--root".to_owned()));
}

#[test]
fn an_empty_variable_takes_an_optional_value_away() {
    let text = r#"{"cloud_sync": {"auth_token": "t", "tenant_id": "acme", "retry_max": "1m"}}"#;
    let env = [
        ("CODITECT_SYNC__CLOUD_SYNC__AUTH_TOKEN", ""),
        ("CODITECT_SYNC__CLOUD_SYNC__TENANT_ID", ""),
        ("CODITECT_SYNC__CLOUD_SYNC__RETRY_MAX", ""),
        ("CODITECT_SYNC__CLOUD_SYNC__AUTH_TOKEN_FILE", "~/token"),
    ];
    let cloud = loaded(&with_env(text, &env)).config.cloud_sync;
    assert_eq!((cloud.auth_token, cloud.tenant_id, cloud.retry_max), (None, None, None));
    assert_eq!(cloud.auth_token_file.as_deref(), Some(Path::new("/home/ada/token")));
}

#[test]
fn a_credential_does_not_travel_in_the_clear() {
    let said: String = [
        r#"{"cloud_sync": {"api_url": "http://10.1.2.3:80", "auth_token": "s3cr3t"}}"#,
        r#"{"cloud_sync": {"api_url": "http://cloud.example/", "credential_command": ["p"]}}"#,
        r#"{"cloud_sync": {"api_url": "http://cloud.example"}}"#,
        r#"{"cloud_sync": {"api_url": "http://127.0.0.1:8080", "auth_token": "s3cr3t"}}"#,
    ]
    .map(|text| format!("{}\n", said(&sources(text))))
    .concat();
    insta::assert_snapshot!(said);
}

#[test]
fn a_token_in_a_file_that_others_can_read_is_a_warning() {
    let with_mode = |text: &str, mode| {
        let mut sources = sources(text);
        sources.file.as_mut().expect("there is a file").mode = mode;
        said(&sources)
    };
    let text = r#"{"cloud_sync": {"auth_token": "s3cr3t"}}"#;
    insta::assert_snapshot!(with_mode(text, Some(0o644)));
    assert_eq!(with_mode(text, Some(0o600)), "");
    assert_eq!(with_mode(text, None), "");
    assert_eq!(with_mode("{}", Some(0o644)), "");
}

#[test]
fn no_secret_is_shown_with_the_effective_values() {
    let found = loaded(&sources(r#"{"cloud_sync": {"auth_token": "s3cr3t"}}"#));
    let rows = found.rows();
    assert_eq!(rows.len(), found.origins.len(), "every key has a row");
    let token = rows.iter().find(|row| row.key == "cloud_sync.auth_token").expect("it is a key");
    assert_eq!(token.value, json!("<hidden>"));
    assert!(!format!("{found:?}").contains("s3cr3t"));
    let found =
        loaded(&sources(r#"{"cloud_sync": {"credential_command": ["vault-get", "--secret-id", "s3cr3t"]}}"#));
    let rows = found.rows();
    let command = rows.iter().find(|row| row.key == "cloud_sync.credential_command").expect("it is a key");
    assert_eq!(command.value, json!(["vault-get", "<hidden>"]));
    let wrong = load(&sources(r#"{"cloud_sync": {"credential_command": "vault-get --secret-id s3cr3t"}}"#));
    let told: Vec<String> = wrong.expect_err("it is no list").iter().map(ToString::to_string).collect();
    assert!(!told.join(" ").contains("s3cr3t"), "{told:?}");
}

#[test]
fn the_credential_comes_from_what_is_set_else_from_the_stored_token() {
    let environment = Environment { home: Some("/home/ada".into()), ..Environment::default() };
    let places = environment.places(&PlaceFlags::default()).expect("a home is enough");
    let check = |text: &str, expected: CredentialSource<'_>, place: Result<&Path, &str>| {
        let loaded = loaded(&sources(text));
        assert_eq!(loaded.config.cloud_sync.credential_source(&places), expected);
        let found =
            token::place(&loaded, &places).map_err(|problem| problem.to_string().replace(FILE, "FILE"));
        assert_eq!(found.as_deref().map_err(String::as_str), place);
    };
    check("{}", CredentialSource::File(&places.token_file), Ok(&places.token_file));
    check(
        r#"{"cloud_sync": {"auth_token_file": "/t"}}"#,
        CredentialSource::File(Path::new("/t")),
        Ok(Path::new("/t")),
    );
    check(
        r#"{"cloud_sync": {"credential_command": ["p"]}}"#,
        CredentialSource::Command(&["p".to_owned()]),
        Err(
            "FILE:1:39: `cloud_sync.credential_command` is set, so that a stored token would have no effect; \
             remove `cloud_sync.credential_command` and try again",
        ),
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_and_a_missing_one_is_not() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("config.json");
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let check = |expected: Option<&str>| {
        let said = environment.load(&path, Vec::new()).err().map(|problems| problems[0].to_string());
        let said = said.map(|said| said.replace(&home.path().display().to_string(), "HOME"));
        assert_eq!(said.as_deref(), expected);
    };
    check(None);
    std::fs::write(&path, b"{\"a\": \"\xff\"}").expect("the folder is ours");
    check(Some("cannot read the configuration HOME/config.json: not UTF-8 (byte 8)"));
    std::fs::write(&path, vec![b' '; 5 * 1024 * 1024]).expect("the folder is ours");
    check(Some("cannot read the configuration HOME/config.json: larger than 4 MiB"));
    std::fs::remove_file(&path).expect("it is there");
    std::fs::create_dir(&path).expect("the folder is ours");
    check(Some("cannot read the configuration HOME/config.json: not a file"));
}

/// A file with one key.
fn file_with(key: &str, value: &Value) -> String {
    key.rsplit('.').fold(value.clone(), |value, name| json!({ name: value })).to_string()
}

/// Every key of the schema, with its part of the schema.
fn leaves(schema: &Value, path: &str, out: &mut Vec<(String, Value)>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, part) in properties {
                leaves(part, format!("{path}.{name}").trim_start_matches('.'), out);
            }
        }
        None => out.push((path.to_owned(), schema.clone())),
    }
}

#[test]
fn the_schema_and_the_loader_know_the_same_keys() {
    let mut keys = Vec::new();
    leaves(&schema(), "", &mut keys);
    let mut in_schema: Vec<_> = keys.into_iter().map(|(key, _)| key).collect();
    in_schema.sort();
    let in_loader: Vec<_> = loaded(&sources("{}")).origins.into_keys().collect();
    assert_eq!(in_schema, in_loader);
}

#[test]
fn the_schema_has_the_bounds_the_loader_keeps() {
    let mut keys = Vec::new();
    leaves(&schema(), "", &mut keys);
    let mut bounded = 0;
    for (key, part) in &keys {
        if let (Some(least), Some(most)) = (part["minimum"].as_u64(), part["maximum"].as_u64()) {
            bounded += 1;
            let accepts = |value: u64| load(&sources(&file_with(key, &json!(value)))).is_ok();
            assert_eq!([least - 1, least, most, most + 1].map(accepts), [false, true, true, false], "{key}");
        }
        for word in part["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .chain(part["enum"].as_array().into_iter().flatten())
        {
            let word = word.get("const").unwrap_or(word);
            assert_eq!(said(&sources(&file_with(key, word))), "", "{key}");
        }
        // The ends of a duration's range are in its description: "from 10ms to 1h".
        if part.to_string().contains("(ms|s|m|h|d)") {
            bounded += 1;
            let words = part["description"].as_str().unwrap_or_default();
            let range = words.split_once("from ").and_then(|(_, rest)| rest.split_once(" to "));
            let (least, rest) = range.expect("a duration says its range");
            let most = rest.split([' ', ';', ',', '.']).next().unwrap_or_default();
            for end in [least, most] {
                assert_eq!(said(&sources(&file_with(key, &json!(end)))), "", "{key} {end}");
            }
            let over = most.trim_end_matches(char::is_alphabetic).parse::<u64>().expect("a number") + 1;
            let over = format!("{over}{}", most.trim_start_matches(char::is_numeric));
            assert_ne!(said(&sources(&file_with(key, &json!(over)))), "", "{key} {over}");
        }
    }
    assert!(bounded > 12, "{bounded} keys with bounds were found");
}

#[test]
fn the_defaults_in_the_schema_are_accepted() {
    let mut keys = Vec::new();
    leaves(&schema(), "", &mut keys);
    for (key, part) in keys {
        assert_eq!(said(&sources(&file_with(&key, &part["default"]))), "", "{key}");
    }
}

/// The generated file is renewed by running the tests with `UPDATE=1`.
#[test]
fn the_schema_file_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/config.schema.json");
    let generated = schema();
    // Compared as values: the order of members depends on features that other packages of a build switch on.
    let is_kept = || {
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        serde_json::from_str::<Value>(&kept).is_ok_and(|kept| kept == generated)
    };
    if !is_kept() && sync_config::read_environment().variable("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&generated).expect("a schema is JSON") + "\n";
        std::fs::write(&path, text).expect("the repository is ours");
    }
    assert!(is_kept(), "{} is out of date; run the tests again with UPDATE=1", path.display());
}

#[test]
fn the_example_is_the_defaults_and_loads_without_warnings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/config.example.json");
    let text = std::fs::read_to_string(&path).expect("the example is in the repository");
    serde_json::from_str::<Value>(&text).expect("other tools read it as plain JSON");
    let found = loaded(&sources(&text));
    assert_eq!(found.warnings, []);
    assert_eq!(found.config, loaded(&sources("{}")).config);
    let missing: Vec<_> = found.origins.iter().filter(|(_, origin)| **origin == Origin::Default).collect();
    assert!(missing.is_empty(), "{missing:?} is not in the example");
}
