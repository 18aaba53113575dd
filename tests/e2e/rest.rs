//! What a daemon that looks after a thousand projects takes of the machine while there is nothing to do, and that it does
//! not grow by being asked. Counts and bytes only: what takes time is measured elsewhere.

use std::thread;
use std::time::Duration;

use serde_json::json;
use sync_tests::{Daemon, PATIENCE, Process, now, resting_repositories, until};
use sync_wire::Client;

use crate::world;

const PROJECTS: usize = 1_000;
const GROUPS: usize = 40;
const MINUTE: Duration = Duration::from_mins(1);
/// Nothing happens any more when nothing has for so long.
const QUIET: Duration = Duration::from_secs(8);

/// Waits until the daemon does nothing of its own accord any more.
fn comes_to_rest(process: &Process) {
    let did = || (process.switches(), process.written());
    let (mut last, mut since) = (did(), now());
    until("it rests", || {
        if did() != last {
            (last, since) = (did(), now());
        }
        (since.elapsed() > QUIET).then_some(())
    });
}

#[test]
fn a_thousand_projects_at_rest_take_next_to_nothing() {
    if !cfg!(target_os = "linux") {
        eprintln!(
            "SKIPPED a_thousand_projects_at_rest_take_next_to_nothing: the figures are read from /proc"
        );
        return;
    }
    let (mut home, cloud) = world();
    home.handle_memory_as_the_unit();
    home.set_daemon("discovery", json!({"roots": [home.roots()]}));
    resting_repositories(&home, PROJECTS, GROUPS);
    let daemon = Daemon::start(&home);
    until("all are registered", || (cloud.projects().len() == PROJECTS).then_some(()));
    daemon.finish();

    let daemon = Daemon::start(&home);
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    let status = until("everything is looked at", || {
        client.status().ok().filter(|status| status.discovery.last_scan.is_some())
    });
    assert_eq!((status.projects.registered, status.queue.ready), (1_000, 0));
    let process = Process(daemon.pid());
    comes_to_rest(&process);
    let (switches, written) = (process.switches(), process.written());
    thread::sleep(MINUTE);
    let (switches, written) = (process.switches() - switches, process.written() - written);
    assert!(switches <= 6.0, "{switches} context switches in a minute");
    assert!(written == 0.0, "{written} kB were written in a minute");
    let most = 2 * PROJECTS + GROUPS + 10;
    assert!(process.watches() <= most, "{} folders are watched, {most} at most", process.watches());
    assert!(process.children().is_empty(), "workers are left: {:?}", process.children());
    let own = process.allocated();
    assert!(own <= 4_096.0, "{own} kB are its own");

    for _ in 0..1_000 {
        client.status().expect("an answer");
    }
    let before = process.anonymous();
    for _ in 0..10_000 {
        client.status().expect("an answer");
    }
    let grown = process.anonymous() - before;
    assert!(grown <= 64.0, "{grown} kB more after ten thousand questions");
    daemon.finish();
}
