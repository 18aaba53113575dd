//! No daemon runs: every command says so and how to start one.

use sync_tests::{Daemon, Home};

use crate::world;

#[test]
fn every_command_that_needs_one_says_so() {
    let home = Home::new();
    let path = home.path().display().to_string();
    for args in [
        &["status"][..],
        &["projects"],
        &["resolve", &path],
        &["register", &path],
        &["queue"],
        &["queue", "flush"],
        &["scan"],
        &["pause"],
        &["reload"],
    ] {
        let shown = home.run(args);
        assert_eq!(shown.code, 69, "{args:?}: {shown:?}");
        assert!(shown.stderr.contains("sync.sock") && shown.stderr.contains("coditect-syncd"), "{shown:?}");
        let document = home.json(args);
        assert!(document["code"].is_string(), "{args:?}: {document}");
    }
}

#[test]
fn one_that_does_not_answer_is_told_from_one_that_is_not_there() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let pid = daemon.pid().to_string();
    daemon.signal("STOP");
    let shown = home.run(&["--timeout", "300ms", "status"]);
    daemon.signal("CONT");
    assert_eq!(shown.code, 69, "{shown:?}");
    assert!(shown.stderr.contains(&pid), "{shown:?}");
    daemon.finish();
}
