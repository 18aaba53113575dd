//! What the daemon stands on is taken away: its directories and its place.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use sync_tests::{Daemon, program, until};

use super::knows;
use crate::world;

const DAEMONS: usize = 20;

#[test]
fn of_twenty_daemons_that_start_at_once_one_stays_and_the_others_name_it() {
    let (home, _cloud) = world();
    let mut started: Vec<_> = (0..DAEMONS)
        .map(|_| {
            let mut command = home.command(program("coditect-syncd"));
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.process_group(0).spawn().expect("the daemon")
        })
        .collect();
    until("one answers and the others have ended", || {
        let running = started.iter_mut().map(|child| child.try_wait().expect("its state").is_none());
        (running.filter(|runs| *runs).count() == 1 && home.run(&["--timeout", "1s", "status"]).code == 0)
            .then_some(())
    });
    let status = home.json(&["status"]);
    let mut won = Vec::new();
    for mut child in started {
        if child.try_wait().expect("its state").is_none() {
            won.push(child.id());
            assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill").success());
            assert_eq!(child.wait().expect("its end").code(), Some(0));
            continue;
        }
        let ended = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(75), "{said}");
        assert!(said.contains("another daemon is running"), "{said}");
        // Whoever looked before the first one had written its number could not know it.
        if said.contains("process") {
            assert!(said.contains(&format!("process {}", status["pid"])), "{said}");
        }
    }
    assert_eq!(won, [u32::try_from(status["pid"].as_u64().expect("a number")).expect("a process")]);
}

#[test]
fn a_log_folder_that_is_removed_stops_nothing() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home);
    fs::remove_dir_all(home.state().join("logs")).expect("the logs");
    let root = home.project("api");
    until("it is delivered", || knows(&cloud, &root.display().to_string()).then_some(()));
    daemon.finish();
    let daemon = Daemon::start(&home);
    assert!(home.state().join("logs").is_dir(), "it is made anew");
    daemon.finish();
}

#[test]
fn a_state_directory_that_is_removed_costs_no_project_that_can_be_found() {
    let (home, cloud) = world();
    home.project("before");
    let mut daemon = Daemon::start(&home);
    until("it is delivered", || (cloud.projects().len() == 1).then_some(()));
    let uuid = home.json(&["projects"])["projects"][0]["local_project_uuid"].clone();
    // At once, so that nothing new is in it while it goes.
    let gone = home.path().join("gone");
    fs::rename(home.state(), &gone).and_then(|()| fs::remove_dir_all(&gone)).expect("the state");
    let after = home.project("after");
    until("it goes on, or ends with a reason and can be started", || {
        if let Some(log) = daemon.has_ended() {
            assert!(log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
            return Some(());
        }
        knows(&cloud, &after.display().to_string()).then_some(())
    });
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    if daemon.has_ended().is_none() {
        daemon.signal("TERM");
    }
    let ended = daemon.ended();
    assert!(matches!(ended.code, Some(0 | 70)), "{ended:?}");
    let daemon = Daemon::start(&home);
    until("both are known again, as who they were", || {
        let known = home.json(&["projects"]);
        let known = known["projects"].as_array()?;
        (known.len() == 2 && known.iter().any(|one| one["local_project_uuid"] == uuid)).then_some(())
    });
    until("both are in the cloud", || (cloud.projects().len() == 2).then_some(()));
    daemon.finish();
}
