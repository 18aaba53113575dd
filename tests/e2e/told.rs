//! Every state that somebody can get into is told: in the status, by `doctor`, in a figure and in the log.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::UNIX_EPOCH;

use coditect_devcloud::{Fault, Rule};
use serde_json::Value;
use sync_tests::{Daemon, Home, until};

use crate::{cloud_is, drained, world};

/// What is held back, by what for.
fn hold(home: &Home, by: &str) -> Option<Value> {
    let status = home.json(&["status"]);
    status["holds"].as_array()?.iter().find(|hold| hold["by"] == by).cloned()
}

fn figures(home: &Home) -> String {
    let mut socket = UnixStream::connect(home.state().join("sync.sock")).expect("the daemon");
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("it is asked");
    let mut page = String::new();
    socket.read_to_string(&mut page).expect("it answers");
    page
}

/// Waits until this is told everywhere, with these words; answers what the status says for people.
fn is_told(home: &Home, by: &str, words: &str) -> String {
    let hold = until(&format!("{by} is told"), || hold(home, by));
    assert!(hold["reason"].as_str().expect("a reason").contains(words), "{hold}");
    assert!(figures(home).contains(&format!("coditect_sync_held{{by=\"{by}\"}} 1\n")), "{}", figures(home));
    // Until the daemon is ready, that is what doctor tells.
    until("doctor tells it", || home.run(&["doctor"]).stdout.contains(words).then_some(()));
    let screen = home.run(&["status"]).stdout;
    assert!(screen.contains(words) && !screen.contains("nothing to do"), "{screen}");
    screen
}

/// Waits until it is told no more.
fn is_mended(home: &Home, by: &str) {
    until(&format!("{by} is told no more"), || hold(home, by).is_none().then_some(()));
    assert!(figures(home).contains(&format!("coditect_sync_held{{by=\"{by}\"}} 0\n")), "{}", figures(home));
}

#[test]
fn a_queue_that_is_full_is_told_until_there_is_room() {
    let (mut home, cloud) = world();
    home.set_daemon("queue_max_items", 5);
    cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    for number in 0..10 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used").expecting("the queue is full");
    cloud_is(&home, "offline");
    let screen = is_told(&home, "queue", "`sync_daemon.queue_max_items`, 5");
    assert!(screen.contains("nothing new is queued"), "{screen}");
    daemon.kill();
    // It is as full after a restart, though nothing new is found then.
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used").expecting("the queue is full");
    is_told(&home, "queue", "`sync_daemon.queue_max_items`, 5");
    cloud.faults().clear();
    until("all are in the cloud", || (cloud.projects().len() == 10).then_some(()));
    drained(&home);
    is_mended(&home, "queue");
    daemon.finish();
}

#[test]
fn a_configuration_that_is_refused_is_told_to_who_asks_and_in_the_status() {
    let (mut home, _cloud) = world();
    let daemon =
        Daemon::start(&home).expecting("drain_interval").expecting("the configuration was not changed");
    let good = fs::read_to_string(home.config_file()).unwrap();
    home.write_config_text("{\"sync_daemon\": {\"drain_interval\": 3}}");
    daemon.signal("HUP");
    let screen = is_told(&home, "configuration", "drain_interval");
    assert!(screen.contains("a changed configuration is not followed"), "{screen}");
    home.write_config_text(&good);
    assert_eq!(home.run(&["reload"]).code, 0);
    is_mended(&home, "configuration");

    // Also where the command line knows better, the daemon is asked.
    home.write_config_text("{\"sync_daemon\":");
    let refused = home.run(&["reload"]);
    assert!(refused.code == 78 && refused.stderr.contains(":1:"), "{refused:?}");
    is_told(&home, "configuration", "not JSON");
    // What cannot be reached is not gone.
    fs::remove_file(home.config_file()).unwrap();
    std::os::unix::fs::symlink(home.config_file(), home.config_file()).unwrap();
    assert_eq!(home.run(&["reload"]).code, 78);
    is_told(&home, "configuration", "symbolic links");
    fs::remove_file(home.config_file()).unwrap();
    // Nobody writes into a pipe, and nobody waits for one.
    let pipe = std::process::Command::new("mkfifo").arg(home.config_file()).status().unwrap();
    assert!(pipe.success());
    assert_eq!(home.run(&["reload"]).code, 78);
    is_told(&home, "configuration", "not a file");
    fs::remove_file(home.config_file()).unwrap();
    home.write_config_text(&good);
    assert_eq!(home.run(&["reload"]).code, 0);
    is_mended(&home, "configuration");

    // What this command line takes for good is not what the daemon reads.
    fs::remove_file(home.config_file()).unwrap();
    let refused = home.run(&["reload"]);
    assert!(refused.code != 0 && refused.stderr.contains("is gone"), "{refused:?}");
    is_told(&home, "configuration", "is gone");
    home.set_daemon("queue_max_items", 77);
    // As long as it is so.
    for _ in 0..2 {
        let reread = home.run(&["reload"]);
        assert!(
            reread.code == 0 && reread.stdout.contains("`sync_daemon.queue_max_items` has changed"),
            "{reread:?}"
        );
    }
    home.write_config_text(&good);
    assert_eq!(home.run(&["reload"]).stdout, "the daemon has read its configuration again\n");
    is_mended(&home, "configuration");
    daemon.expecting("queue_max_items` has changed").expecting("not JSON").expecting("cannot read").finish();
}

#[test]
fn an_old_database_that_cannot_be_read_is_told() {
    let (home, _cloud) = world();
    let old = home.path().join("data/context-storage");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("sync_queue.db"), "no database at all, and no header").unwrap();
    let daemon = Daemon::start(&home).expecting("the old client's database is left as it is");
    let screen = is_told(&home, "legacy", "sync_queue.db");
    assert!(screen.contains("nothing is taken over from the earlier client"), "{screen}");
    fs::remove_file(old.join("sync_queue.db")).unwrap();
    is_mended(&home, "legacy");
    daemon.finish();
}

#[test]
fn a_log_that_is_removed_goes_on_and_one_that_cannot_is_told() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home).expecting("the log cannot be written");
    let logs = home.state().join("logs");
    fs::remove_dir_all(&logs).unwrap();
    assert_eq!(home.run(&["reload"]).code, 0);
    until("the log goes on", || {
        home.run(&["logs"]).stdout.contains("configuration read again").then_some(())
    });
    assert_eq!(hold(&home, "log"), None);

    fs::remove_dir_all(&logs).unwrap();
    fs::write(&logs, "").unwrap();
    assert_eq!(home.run(&["reload"]).code, 0);
    let screen = is_told(&home, "log", "logs`: ");
    assert!(screen.contains("no log is written"), "{screen}");
    fs::remove_file(&logs).unwrap();
    assert_eq!(home.run(&["reload"]).code, 0);
    is_mended(&home, "log");
    daemon.finish();
}

#[test]
fn a_log_that_is_full_is_told_and_another_level_gives_it_room() {
    const FULL: u64 = 64 * 1024 * 1024;
    let (mut home, _cloud) = world();
    let logs = home.state().join("logs");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&logs).unwrap();
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o700)).unwrap();
    // Also that of tomorrow: the test may run at midnight.
    let today = time::OffsetDateTime::UNIX_EPOCH + UNIX_EPOCH.elapsed().unwrap();
    let files = [today, today + time::Duration::DAY]
        .map(|day| logs.join(format!("coditect-syncd.{}.log", day.date())));
    for file in &files {
        fs::File::create(file).unwrap().set_len(FULL).unwrap();
    }
    let written = || files.iter().map(|file| fs::metadata(file).unwrap().len() - FULL).sum::<u64>();
    let daemon = Daemon::start(&home).expecting("the log cannot be written");
    is_told(
        &home,
        "log",
        "today's file is full; it goes on tomorrow (UTC), or when `sync_daemon.log.level` is changed",
    );
    // Reading the same level again gives it none.
    assert_eq!((home.run(&["reload"]).code, written()), (0, 0));
    home.set_daemon("log", serde_json::json!({"level": "debug"}));
    assert_eq!(home.run(&["reload"]).code, 0);
    is_mended(&home, "log");
    assert!(written() > 0);
    until("stderr has it", || daemon.log().contains("the log is written again").then_some(()));
    daemon.finish();
}

#[test]
fn how_a_root_stands_is_told_when_it_changes_and_not_with_the_next_look_at_everything() {
    let (mut home, _cloud) = world();
    let root = home.path().join("later");
    home.set_daemon("discovery", serde_json::json!({"roots": [root], "debounce": "200ms", "max_depth": 3}));
    let daemon = Daemon::start(&home);
    let stands = |expected: &str| {
        until(&format!("the root is {expected}"), || {
            let status = home.json(&["status"]);
            (status["discovery"]["roots"][0]["state"] == expected).then_some(())
        });
    };
    stands("missing");
    fs::create_dir_all(&root).unwrap();
    stands("watching");
    assert!(!home.run(&["status"]).stdout.contains("does not exist"));
    // What an event shows to be out of reach.
    let problems = || home.json(&["status"])["discovery"]["problems"].to_string();
    let made = home.path().join("deep");
    fs::create_dir_all(made.join("a/b/c/d/e")).unwrap();
    fs::rename(&made, root.join("deep")).unwrap();
    until("what lies too deep is told", || problems().contains("deep").then_some(()));
    fs::remove_dir_all(root.join("deep")).unwrap();
    until("it is told no more", || (problems() == "[]").then_some(()));
    fs::remove_dir(&root).unwrap();
    stands("missing");
    assert!(home.run(&["status"]).stdout.contains("does not exist: make it"));
    fs::create_dir_all(&root).unwrap();
    stands("watching");
    daemon.finish();
}

#[test]
fn a_log_folder_may_be_a_link_and_so_may_the_database() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (home, _cloud) = world();
    Daemon::start(&home).finish();
    let disk = home.path().join("disk");
    fs::create_dir(&disk).unwrap();
    fs::set_permissions(&disk, fs::Permissions::from_mode(0o700)).unwrap();
    for name in ["logs", "sync.db"] {
        fs::rename(home.state().join(name), disk.join(name)).unwrap();
        symlink(disk.join(name), home.state().join(name)).unwrap();
    }
    let daemon = Daemon::start(&home);
    let checks = home.run(&["--json", "doctor"]).stdout;
    let checks: Value = serde_json::from_str(&checks).unwrap();
    for check in checks["checks"].as_array().unwrap() {
        let is_of_links = check["code"] == "state.logs" || check["code"] == "state.database";
        assert!(!is_of_links || check["outcome"] == "ok", "{check}");
    }
    daemon.finish();
    assert!(fs::read_dir(disk.join("logs")).unwrap().count() > 0);
}
