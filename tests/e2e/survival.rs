//! Input of every wrong kind at the start.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};

use sync_tests::{Daemon, Home, Shown, program, until};

use crate::world;

fn refused(shown: &Shown, code: i32, words: &[&str]) {
    assert_eq!(shown.code, code, "{shown:?}");
    for word in words {
        assert!(shown.stderr.contains(word), "no `{word}` in {}", shown.stderr);
    }
}

#[test]
fn a_wrong_configuration_is_named_with_its_place_all_at_once() {
    let home = Home::new();
    home.write_config_text(
        "{\n  \"cloud_sync\": {\"batch_size\": 0},\n  \"sync_daemon\": {\"drain_interval\": \"soon\"}\n}\n",
    );
    refused(
        &Daemon::run(&home, &[]),
        78,
        &["config.json:2:", "batch_size", "config.json:3:", "drain_interval"],
    );
    home.write_config_text("{\"cloud_sync\": ");
    refused(&Daemon::run(&home, &[]), 78, &["config.json:1:"]);
    refused(&Daemon::run(&home, &["--no-such-flag"]), 64, &["--no-such-flag"]);
}

#[test]
fn plain_http_with_a_token_is_refused_beyond_this_machine() {
    let mut home = Home::new();
    home.set_cloud("api_url", "http://cloud.example");
    home.set_cloud("auth_token", "opaque");
    refused(&Daemon::run(&home, &[]), 78, &["api_url", "https"]);
}

#[test]
fn an_empty_or_missing_configuration_is_none() {
    for text in [Some(""), Some("{}"), None] {
        let home = Home::new();
        match text {
            Some(text) => home.write_config_text(text),
            None => fs::remove_file(home.config_file()).unwrap(),
        }
        let daemon = Daemon::start_with(&home, &["--dev", "--root", &home.roots().display().to_string()]);
        daemon.finish();
    }
}

#[test]
fn a_second_daemon_names_the_first() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    refused(&Daemon::run(&home, &[]), 75, &[&daemon.pid().to_string()]);
    assert_eq!(home.run(&["status"]).code, 0, "the first one is unharmed");
    daemon.finish();
}

#[test]
fn a_socket_path_that_is_too_long_comes_with_a_suggestion() {
    let home = Home::new();
    let long = format!("/tmp/{}/sync.sock", "x".repeat(120));
    refused(&Daemon::run(&home, &["--socket", &long]), 78, &["107", "CODITECT_SYNC_SOCKET"]);
}

#[test]
fn what_lies_at_the_sockets_place_is_not_destroyed() {
    let (home, _cloud) = world();
    fs::create_dir_all(home.state()).unwrap();
    for folder in [home.path().join("state"), home.state()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let socket = home.state().join("sync.sock");
    fs::write(&socket, "precious").unwrap();
    refused(&Daemon::run(&home, &[]), 78, &["regular file"]);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");

    fs::remove_file(&socket).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    refused(&Daemon::run(&home, &[]), 78, &["another program listens"]);
    drop(other);
    // Now it is a stale socket, which nobody answers on.
    let daemon = Daemon::start(&home);
    fs::remove_file(&socket).unwrap();
    until("the socket is back", || (home.run(&["status"]).code == 0).then_some(()));
    daemon.expecting("socket").finish();
}

#[test]
fn a_state_directory_that_is_not_ours_alone_is_refused() {
    let home = Home::new();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    refused(&Daemon::run(&home, &["--state-dir", &open.display().to_string()]), 78, &["open to other users"]);
    let link = home.path().join("link");
    symlink(&open, &link).unwrap();
    refused(&Daemon::run(&home, &["--state-dir", &link.display().to_string()]), 78, &["symbolic link"]);
}

#[test]
fn a_home_that_is_not_utf_8_is_refused_with_what_helps() {
    let (home, _cloud) = world();
    let odd = home.path().join(OsStr::from_bytes(b"h\xff"));
    if fs::create_dir(&odd).is_err() {
        eprintln!(
            "SKIPPED a_home_that_is_not_utf_8_is_refused_with_what_helps: this file system has no such names"
        );
        return;
    }
    let refusing = home.command(program("coditect-syncd")).env("XDG_STATE_HOME", &odd).output().unwrap();
    let said = String::from_utf8_lossy(&refusing.stderr);
    assert_eq!(refusing.status.code(), Some(78), "{said}");
    assert!(said.contains("is not UTF-8") && said.contains("`--state-dir`"), "{said}");
    assert_eq!(fs::read_dir(&odd).unwrap().count(), 0, "nothing is made there");

    // And that does help, although the home is as it was.
    fs::create_dir_all(odd.join(".coditect/config")).unwrap();
    fs::copy(home.config_file(), odd.join(".coditect/config/config.json")).unwrap();
    let start = format!(
        "export HOME=\"$PWD\"/$(printf 'h\\377'); exec \"$0\" --state-dir '{}'",
        home.state().display()
    );
    Daemon::start_under(&home, &["sh", "-c", &start]).finish();
}

#[test]
fn roots_that_cannot_be_looked_at_are_said_and_survived() {
    let (mut home, cloud) = world();
    let gone = home.path().join("gone");
    home.set_daemon("discovery", serde_json::json!({"roots": [gone, home.roots()], "debounce": "200ms"}));
    home.project("api");
    let daemon = Daemon::start(&home);
    until("the other root's project is there", || (cloud.projects().len() == 1).then_some(()));
    let status = home.json(&["status"]);
    let roots = status["discovery"]["roots"].as_array().unwrap().clone();
    let state = |path: &std::path::Path| {
        let path = path.display().to_string();
        roots.iter().find(|root| root["path"] == path.as_str()).map(|root| root["state"].clone()).unwrap()
    };
    assert_eq!((state(&gone), state(&home.roots())), ("missing".into(), "watching".into()));
    fs::create_dir_all(gone.join("late/.git/objects")).unwrap();
    fs::create_dir_all(gone.join("late/.git/refs/heads")).unwrap();
    fs::write(gone.join("late/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
    until("a root that appears later is looked at", || (cloud.projects().len() == 2).then_some(()));
    daemon.finish();
}

#[test]
fn a_damaged_database_is_set_aside_and_the_projects_are_themselves() {
    let (home, cloud) = world();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is registered", || (cloud.projects().len() == 1).then_some(()));
    let first = home.json(&["projects"])["projects"][0]["local_project_uuid"].clone();
    daemon.finish();
    for content in [
        &b""[..],
        b"this is no database at all, and longer than a header of one hundred bytes would be \
        so that nothing of it can be mistaken for one",
    ] {
        for beside in ["sync.db-wal", "sync.db-shm"] {
            if home.state().join(beside).exists() {
                fs::remove_file(home.state().join(beside)).unwrap();
            }
        }
        fs::write(home.state().join("sync.db"), content).unwrap();
        let daemon = Daemon::start(&home).expecting("the database");
        until("it is found again", || {
            let projects = home.json(&["projects"]);
            (projects["projects"][0]["local_project_uuid"] == first).then_some(())
        });
        daemon.finish();
    }
    assert_eq!(cloud.projects().len(), 1, "the cloud sees no second project");
}

#[test]
fn a_database_of_a_newer_version_is_refused_by_name_and_untouched() {
    let (home, _cloud) = world();
    Daemon::start(&home).finish();
    let file = home.state().join("sync.db");
    let mut content = fs::read(&file).unwrap();
    // user_version: four bytes at offset 60 of the header (SQLite file format, section 1.3).
    content[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    fs::write(&file, &content).unwrap();
    refused(&Daemon::run(&home, &[]), 78, &["9999"]);
    assert_eq!(fs::read(&file).unwrap(), content);
}
