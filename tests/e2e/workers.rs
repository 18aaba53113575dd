//! Projects are examined by processes that come and go, and what becomes of these is not what becomes of the daemon.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use sync_tests::{Daemon, Home, Process, until};

use crate::{drained, world};

/// So many files that an examination takes a while.
const FILES: usize = 6_000;

#[test]
fn an_examination_that_is_killed_is_begun_again_and_the_daemon_lives() {
    if !Path::new("/proc/self/stat").exists() {
        return eprintln!("skipped: this system does not tell of processes in /proc");
    }
    let (home, cloud) = world();
    let project = large(&home);
    let daemon = Daemon::start(&home).expecting("a worker was lost over a project");
    until("it is registered", || content(&home).map(|_| ()));
    let before = until("an examination that can be killed", || {
        let (before, worker) = examined(&home, &daemon, &project)?;
        kill_process(worker, Signal::KILL).is_ok().then_some(before)
    });
    until("its content is told all the same", || content(&home).filter(|now| *now != before));
    drained(&home);
    until("nothing is left of who examined it", || Process(daemon.pid()).children().is_empty().then_some(()));
    let status = home.json(&["status"]);
    assert_eq!(status["discovery"]["problems"], json!([]), "{status:#}");
    assert!(daemon.log().contains("a worker was lost over a project"), "{}", daemon.log());
    daemon.finish();
    drop(cloud);
}

#[test]
fn a_worker_ends_with_a_daemon_that_is_killed() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: only Linux ends a process with its parent");
    }
    let (home, cloud) = world();
    let project = large(&home);
    let daemon = Daemon::start(&home);
    until("it is registered", || content(&home).map(|_| ()));
    let (_, worker) = until("an examination", || examined(&home, &daemon, &project));
    daemon.kill();
    until("the worker is gone as well", || test_kill_process(worker).is_err().then_some(()));
    drop(cloud);
}

/// A project that takes a while.
fn large(home: &Home) -> PathBuf {
    let project = home.project("large");
    for number in 0..FILES {
        fs::write(project.join(format!("{number}.txt")), number.to_string()).expect("written");
    }
    project
}

/// Changes the project, and answers what its content was before and who examines it now. Nothing when the look was over
/// before anybody saw who looks.
fn examined(home: &Home, daemon: &Daemon, project: &Path) -> Option<(String, Pid)> {
    let before = content(home)?;
    fs::write(project.join("changed"), &before).expect("written");
    let mut misses = 0_u32;
    until("it is examined or told", || {
        misses += 1;
        let children = Process(daemon.pid()).children();
        let worker = children.first().and_then(|child| Pid::from_raw(i32::try_from(*child).ok()?));
        match worker {
            Some(worker) => Some(Some((before.clone(), worker))),
            None => (misses.is_multiple_of(100) && content(home).as_ref() != Some(&before)).then_some(None),
        }
    })
}

/// The content of the only project, once it is registered.
fn content(home: &Home) -> Option<String> {
    let projects = home.json(&["projects"]);
    let project = projects["projects"].as_array()?.first()?;
    (project["state"] == "registered").then(|| project["content_hash"].as_str().map(str::to_owned))?
}
