//! The daemon is asked to stop, politely and not.

use std::process::Stdio;

use coditect_devcloud::{Fault, Rule};
use serde_json::json;
use sync_tests::{Daemon, program, until};

use crate::{queue, world};

#[test]
fn a_stop_waits_for_what_is_in_the_air_but_not_longer_than_the_grace() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "1s");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    daemon.signal("TERM");
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!home.state().join("sync.sock").exists(), "the socket is gone");

    cloud.faults().clear();
    let daemon = Daemon::start(&home);
    until("it is delivered after all", || (cloud.projects().len() == 1).then_some(()));
    daemon.finish();
}

#[test]
fn who_tells_it_to_stop_hears_where_it_still_runs() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "25s");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    let told = home.run(&["stop", "--json"]);
    assert_eq!((told.code, told.stdout.trim_end()), (75, r#"{"stopped":false}"#));
    // Its socket has gone, and it has not.
    let asked = home.run(&["status"]);
    assert!(asked.code == 69 && asked.stderr.contains("hint: it is stopping"), "{asked:?}");
    let told = home.run(&["stop", "--json"]);
    assert_eq!((told.code, told.stdout.trim_end()), (0, r#"{"stopped":true}"#));
    assert_eq!(daemon.ended().code, Some(0));
}

#[test]
fn the_second_signal_does_not_wait() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "10m");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    daemon.signal("INT");
    until("the first signal is heard", || daemon.log().contains("stopping").then_some(()));
    daemon.signal("TERM");
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn who_reads_its_stderr_and_stops_reading_stops_neither_it_nor_its_end() {
    let (mut home, _cloud) = world();
    home.set_daemon("log", json!({"level": "trace"}));
    let mut daemon = home.command(program("coditect-syncd")).stderr(Stdio::piped()).spawn().expect("started");
    let logged = || {
        let files = std::fs::read_dir(home.state().join("logs")).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>()
    };
    // More than any pipe holds.
    until("much was logged", || {
        home.run(&["status"]);
        (logged() > 256 * 1024).then_some(())
    });
    assert_eq!(home.run(&["status"]).code, 0);
    let killed = home.command("kill").arg(daemon.id().to_string()).status().expect("kill");
    assert!(killed.success());
    assert_eq!(until("it has ended", || daemon.try_wait().expect("a child")).code(), Some(0));
}

#[test]
fn the_command_line_stops_it_and_every_start_finds_the_place_free() {
    let (home, _cloud) = world();
    for _ in 0..3 {
        let daemon = Daemon::start(&home);
        assert_eq!(home.run(&["stop"]).code, 0);
        assert_eq!(daemon.ended().code, Some(0));
    }
}
