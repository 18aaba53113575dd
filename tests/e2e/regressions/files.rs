//! Files and descriptors: what the earlier client left open, open to others, or unread.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coditect_devcloud::{Fault, Rule, dev_token};
use serde_json::Value;
use sync_tests::{Daemon, Home, until};

use super::{draft, drafts, flush, register};
use crate::{drained, effects, world};

/// Databases that the earlier client left after an hour offline: rows of three projects, each twice, and one of an
/// operation that nobody knows.
const LEFT_BEHIND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/coditect-syncd/tests/old-client");

#[test]
fn an_unknown_operation_blocks_nobody_and_every_project_left_behind_arrives_once() {
    let (home, cloud) = world();
    let storage = home.path().join("data/context-storage");
    fs::create_dir_all(&storage).unwrap();
    for name in ["sync_queue.db", "sessions.db"] {
        fs::copy(Path::new(LEFT_BEHIND).join(name), storage.join(name)).unwrap();
    }
    let daemon = Daemon::start(&home).expecting("earlier client").expecting("set aside");
    until("all are there", || (cloud.projects().len() == 3).then_some(()));
    drained(&home);
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("could not be read were set aside")).unwrap_or_default();
    assert!(told.contains("WARN") && told.contains("operation is `deregister`"), "{log}");
    daemon.finish();
    let again = Daemon::start(&home);
    drained(&home);
    assert_eq!(effects(&cloud.ledger()), ["created"; 3]);
    again.finish();
}

#[test]
fn questions_and_failures_leave_no_descriptor_open() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let folder = PathBuf::from(format!("/proc/{}/fd", daemon.pid()));
    if !folder.exists() {
        eprintln!("SKIPPED: needs /proc");
        return daemon.finish();
    }
    let open = || fs::read_dir(&folder).expect("its descriptors").count();
    register(&home, &drafts(&home, 0..2));
    drained(&home);
    let before = open();
    for number in 2..52 {
        if number % 10 == 0 {
            cloud.faults().add(Rule::new(Fault::Reset).times(1)).unwrap();
        }
        register(&home, &[draft(&home, number)]);
        home.run(&["status"]);
    }
    // On a slow machine more requests were broken than repeats are paid for: they would come in a minute.
    until("all are delivered", || {
        flush(&home);
        (cloud.projects().len() == 52).then_some(())
    });
    drained(&home);
    // A pool keeps some connections for a while, to the cloud and to the database.
    until("as many are open as before", || (open() <= before + 4).then_some(()));
    daemon.finish();
}

#[test]
fn nothing_that_is_kept_is_for_others() {
    let (mut home, cloud) = world();
    home.set_cloud("auth_token", Value::Null);
    home.project("api");
    let daemon = Daemon::start(&home).expecting("no token is set").expecting("the cloud cannot be used");
    set_token(&home);
    until("it is there", || (cloud.projects().len() == 1).then_some(()));
    let mut seen = Vec::new();
    for folder in [home.state(), home.path().join("data")] {
        closed_to_others(&folder, &mut seen);
    }
    for name in ["sync.db", "sync.db-wal", "sync.sock", "daemon.lock", "machine-id.json", "token", "logs"] {
        assert!(seen.iter().any(|path| path.ends_with(name)), "no {name} among {seen:#?}");
    }
    daemon.finish();
}

fn closed_to_others(path: &Path, seen: &mut Vec<PathBuf>) {
    let about = fs::symlink_metadata(path).expect("it can be looked at");
    let mode = about.permissions().mode() & 0o777;
    assert_eq!(mode & 0o077, 0, "{} is open to others: {mode:o}", path.display());
    seen.push(path.to_owned());
    if about.is_dir() {
        for entry in fs::read_dir(path).expect("the folder") {
            closed_to_others(&entry.expect("an entry").path(), seen);
        }
    }
}

/// As a person does it who has not tightened anything.
fn set_token(home: &Home) {
    let set = home
        .command("/bin/sh")
        .arg("-c")
        .arg("umask 022; echo \"$1\" | \"$0\" auth set-token")
        .arg(sync_tests::program("coditect-sync"))
        .arg(dev_token("acme", None))
        .status()
        .expect("a shell");
    assert!(set.success());
}
