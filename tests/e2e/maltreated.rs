//! Bad treatment that other daemons do not bear: each is survived, and said to whoever asks.
//!
//! What is tried elsewhere: a daemon killed and started again (`crash`), a socket that is removed, replaced by a file or
//! by another program's (`survival`, and the daemon's own `tests/control.rs` for what takes its place while it runs), no
//! daemon at all for every command (`absent`).

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sync_tests::{Daemon, Home, PATIENCE, program, timed, until, within};

use crate::world;

/// What every command allows itself for a daemon that does not answer, and a busy machine on top.
const GIVEN_UP_WITHIN: Duration = Duration::from_millis(2_000 + 1_500);

#[test]
fn a_stopped_daemon_hangs_no_command_and_each_says_how_it_goes_on() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let pid = daemon.pid().to_string();
    let path = home.path().display().to_string();
    daemon.signal("STOP");
    // A thread that waits for the disk stops only afterwards. Where there is no `/proc`, it is taken to have stopped.
    let stat = Path::new("/proc").join(&pid).join("stat");
    until("it stands still", || {
        let state = fs::read_to_string(&stat).ok().and_then(|text| text.rsplit(") ").next()?.chars().next());
        state.is_none_or(|state| state == 'T').then_some(())
    });
    for args in [
        &["status"][..],
        &["queue"],
        &["resolve", &path],
        &["register", &path],
        &["events"],
        &["queue", "flush", "--wait=1m"],
    ] {
        let shown = within(&format!("{args:?}"), GIVEN_UP_WITHIN, || home.run_as_it_is(args));
        assert_eq!(shown.code, 69, "{args:?}: {shown:?}");
        assert!(shown.stderr.contains(&format!("kill -CONT {pid}")), "{args:?}: {shown:?}");
    }
    daemon.signal("CONT");
    until("it goes on", || (home.run(&["status"]).code == 0).then_some(()));
    daemon.finish();
}

#[test]
fn a_daemon_that_is_told_to_end_at_any_moment_of_its_start_ends_well() {
    let (home, _cloud) = world();
    for delay in (0..400).step_by(25) {
        let mut child = home
            .command(program("coditect-syncd"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon");
        // The moment is what is tried here, not something to wait for.
        std::thread::sleep(Duration::from_millis(delay));
        let told = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
        assert!(told.success(), "after {delay} ms");
        let status = until("it ends", || child.try_wait().expect("its state"));
        let mut log = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
        // Before its first instruction the system ends it, afterwards it ends itself.
        assert!(status.code() == Some(0) || status.signal() == Some(15), "after {delay} ms: {status}: {log}");
        assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "after {delay} ms: {log}");
        if status.code() == Some(0) {
            assert!(!home.state().join("sync.sock").exists(), "after {delay} ms it leaves no socket");
        }
    }
    Daemon::start(&home).finish();
}

#[test]
fn a_daemon_that_stands_still_at_any_moment_of_its_start_goes_on_as_if_it_had_not() {
    // Longer than it waits for anything of its own.
    const STANDS_STILL: Duration = Duration::from_secs(6);
    let check = |delay: u64| {
        let (home, cloud) = world();
        home.project("api");
        let daemon = Daemon::spawn(&home, &[]);
        // The moment is what is tried here, and the pause, not something to wait for.
        std::thread::sleep(Duration::from_millis(delay));
        daemon.signal("STOP");
        std::thread::sleep(STANDS_STILL);
        daemon.signal("CONT");
        until("it has looked at everything, and watches", || {
            let discovery = home.json(&["status"])["discovery"].clone();
            (!discovery["last_scan"].is_null() && discovery["roots"][0]["state"] == "watching").then_some(())
        });
        until("the project is delivered", || (cloud.projects().len() == 1).then_some(()));
        // What it does not expect it would have warned of.
        daemon.finish();
    };
    std::thread::scope(|scope| (0..8).for_each(|moment| drop(scope.spawn(move || check(moment * 40)))));
}

#[test]
fn a_second_daemon_that_is_refused_leaves_the_first_as_it_was() {
    let (home, _cloud) = world();
    let first = Daemon::start(&home);
    for _ in 0..3 {
        assert_eq!(Daemon::run(&home, &[]).code, 75);
        assert_eq!(home.json(&["status"])["pid"], first.pid());
    }
    // Neither does one that was given another socket: it is the state directory that is taken.
    let other = home.path().join("other.sock").display().to_string();
    assert_eq!(Daemon::run(&home, &["--socket", &other]).code, 75);
    assert!(!Path::new(&other).exists());
    first.finish();
}

#[test]
fn garbage_without_an_end_costs_no_memory() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let Some(before) = resident(daemon.pid()) else {
        println!("skipped: the system does not tell how much memory a process holds");
        daemon.finish();
        return;
    };
    let garbage = vec![b'x'; 1024 * 1024];
    for _ in 0..3 {
        let mut stream = UnixStream::connect(home.state().join("sync.sock")).expect("a connection");
        let sent = (0..32).try_for_each(|_| stream.write_all(&garbage));
        // It does not have to be read to its end.
        assert!(
            sent.as_ref().map_or_else(
                |error| matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                |()| true
            ),
            "{sent:?}"
        );
    }
    let after = resident(daemon.pid()).expect("it told before");
    assert!(after < before + 8 * 1024, "{before} KiB became {after} KiB");
    assert_eq!(home.run(&["status"]).code, 0);
    daemon.finish();
}

#[test]
fn two_hundred_silent_connections_keep_nobody_waiting() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let socket = home.state().join("sync.sock");
    let silent: Vec<UnixStream> =
        (0..200).map(|_| UnixStream::connect(&socket).expect("a connection")).collect();
    let mut client = sync_wire::Client::new(&socket, PATIENCE);
    let took: Vec<Duration> = (0..100).map(|_| timed(|| client.status().expect("an answer")).0).collect();
    // A machine that stands still a few times makes a few of them slow; silence would make many so.
    let slow = took.iter().filter(|took| **took >= Duration::from_millis(250)).count();
    assert!(slow <= 5, "{took:?}");
    drop(silent);
    daemon.finish();
}

#[test]
fn a_thousand_questions_leave_nothing_in_the_log() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let mut client = sync_wire::Client::new(home.state().join("sync.sock"), PATIENCE);
    until("it has said what it says at its start", || {
        daemon.log().contains("looked for projects").then_some(())
    });
    let before = daemon.log();
    for _ in 0..250 {
        client.status().expect("an answer");
        client.health().expect("an answer");
        client.ready().expect("an answer");
        client.queue().expect("an answer");
    }
    let log = daemon.log();
    let more: Vec<&str> = log[before.len()..].lines().filter(|line| !line.contains("the cloud")).collect();
    assert!(more.is_empty(), "{more:#?}");
    daemon.finish();
}

/// The memory a process holds, in KiB.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
}

#[test]
fn a_home_without_a_daemon_is_said_at_once() {
    let home = Home::new();
    // Built before the clock runs.
    assert!(program("coditect-sync").exists());
    for args in [&["status"][..], &["events"], &["queue", "list"], &["stop"]] {
        let shown = within(&format!("{args:?}"), Duration::from_secs(1), || home.run_as_it_is(args));
        assert!(shown.code == 69 && shown.stderr.contains("hint: start one"), "{args:?}: {shown:?}");
    }
}
