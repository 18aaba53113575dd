//! Projects are examined by processes that come and go, and what becomes of these is not what becomes of the daemon.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use sync_tests::{Daemon, Home, Process, until};

use crate::{drained, world};

/// So many files that an examination takes a while.
const FILES: usize = 6_000;
/// What a worker calls itself before anything else.
const NAME: &str = "syncd-worker";
const LOST: &str = "a worker was lost over a project";

#[test]
fn an_examination_that_is_killed_is_begun_again_and_the_daemon_lives() {
    if !are_children_told() {
        return eprintln!("SKIPPED: this system does not tell of the children of a process");
    }
    let (home, cloud) = world();
    let project = large(&home);
    // Who is killed at the end of its work is lost over no project.
    let daemon =
        Daemon::start(&home).expecting(LOST).expecting("a worker that examined projects ended badly");
    until("it is registered", || content(&home).map(|_| ()));
    until("an examination is killed", || {
        let (before, worker) = examined(&home, &daemon, &project)?;
        kill_process(worker, Signal::KILL).ok()?;
        until("its content is told all the same", || content(&home).filter(|now| *now != before));
        daemon.log().contains(LOST).then_some(())
    });
    drained(&home);
    until("nothing is left of who examined it", || Process(daemon.pid()).children().is_empty().then_some(()));
    let status = home.json(&["status"]);
    assert_eq!(status["discovery"]["problems"], json!([]), "{status:#}");
    daemon.finish();
    drop(cloud);
}

#[test]
fn a_worker_ends_with_a_daemon_that_is_killed() {
    if !are_children_told() {
        return eprintln!("SKIPPED: this system does not tell of the children of a process");
    }
    let (home, cloud) = world();
    let project = large(&home);
    let daemon = Daemon::start(&home);
    until("it is registered", || content(&home).map(|_| ()));
    let (_, worker) = until("an examination", || examined(&home, &daemon, &project));
    daemon.kill();
    until("the worker is gone as well", || is_gone(worker).then_some(()));
    drop(cloud);
}

/// Whether the kernel tells of children, as Linux may.
fn are_children_told() -> bool {
    Path::new(&format!("/proc/self/task/{}/children", std::process::id())).exists()
}

/// Whether nothing is left of the process but what its parent has not asked for.
fn is_gone(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    test_kill_process(process).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

/// A project that takes a while.
fn large(home: &Home) -> PathBuf {
    let project = home.project("large");
    for number in 0..FILES {
        fs::write(project.join(format!("{number}.txt")), number.to_string()).expect("written");
    }
    project
}

/// Changes the project, and answers what its content was before and who examines it now, which was there the last time it
/// was asked for as well: the first moments of a worker are no examination. Nothing when the look was over before.
fn examined(home: &Home, daemon: &Daemon, project: &Path) -> Option<(String, Pid)> {
    let before = content(home)?;
    fs::write(project.join("changed"), &before).expect("written");
    let (mut misses, mut seen) = (0_u32, None);
    until("it is examined or told", || {
        let children = Process(daemon.pid()).children();
        let at_work = |child: &&u32| {
            let name = fs::read_to_string(format!("/proc/{child}/comm"));
            name.is_ok_and(|name| name.trim_end() == NAME)
        };
        let worker =
            children.iter().find(at_work).and_then(|child| Pid::from_raw(i32::try_from(*child).ok()?));
        let before_that = std::mem::replace(&mut seen, worker);
        if let Some(worker) = worker {
            return (before_that == Some(worker)).then(|| Some((before.clone(), worker)));
        }
        misses += 1;
        (misses.is_multiple_of(50) && content(home).as_ref() != Some(&before)).then_some(None)
    })
}

/// The content of the only project, once it is registered.
fn content(home: &Home) -> Option<String> {
    let projects = home.json(&["projects"]);
    let project = projects["projects"].as_array()?.first()?;
    (project["state"] == "registered").then(|| project["content_hash"].as_str().map(str::to_owned))?
}
