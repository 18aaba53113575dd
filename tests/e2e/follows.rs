//! Somebody follows what happens, over the daemon's restarts and until nobody reads any more.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;
use sync_tests::{Daemon, Home, program, until};

use crate::{drained, world};

/// A follower, killed when dropped.
struct Follower {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut child = home
            .command(program("coditect-sync"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command line");
        let lines = Some(BufReader::new(child.stdout.take().expect("piped")));
        Self { child, lines }
    }

    /// Reads lines until one has these words; returns all that were read.
    fn until(&mut self, words: &str) -> Vec<String> {
        let lines = self.lines.as_mut().expect("a reader");
        let mut read = Vec::new();
        loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended before `{words}`: {read:?}");
            read.push(line.trim_end().to_owned());
            if line.contains(words) {
                return read;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

#[test]
fn a_follower_sees_every_event_once_though_the_daemon_is_killed_and_started_again() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let mut follower = Follower::start(&home, &["events", "--since", "0", "--json"]);
    home.project("first");
    let mut seen = follower.until("registration.delivered");
    drained(&home);
    daemon.kill();
    let daemon = Daemon::start(&home);
    home.project("second");
    seen.extend(follower.until("second: is"));
    let numbers: Vec<i64> = seen
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("a document a line")["id"].as_i64().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    follower.child.kill().unwrap();
    let mut said = String::new();
    follower.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the daemon has gone") && said.contains("the daemon is back"), "{said}");
    daemon.finish();
}

#[test]
fn a_follower_ends_when_nobody_reads_and_without_a_daemon_it_does_not_begin() {
    let (home, _cloud) = world();
    assert_eq!(home.run(&["events"]).code, 69);
    let daemon = Daemon::start(&home);
    let mut follower = Follower::start(&home, &["events"]);
    drop(follower.lines.take());
    let status = until("it notices that its reader has gone", || follower.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    daemon.finish();
}
