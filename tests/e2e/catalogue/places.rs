//! What the daemon stands on is taken away: its directories, its place; and the clock moves under it.

#![expect(clippy::print_stdout, reason = "a test that cannot be carried out here says so")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use coditect_devcloud::{Fault, Rule};
use sync_tests::{Daemon, program, until};

use super::knows;
use crate::{cloud_is, drained, world};

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
    fs::remove_dir_all(home.state()).expect("the state");
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

/// Adds what a file says, in seconds, to what the system tells of the time of day, and to nothing else: as when
/// somebody sets the clock, or the machine slept.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long offset(void) {
    char text[32] = {0};
    const char *name = getenv("TEST_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *to) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (to) *to = exact.tv_sec;
    return exact.tv_sec;
}
"#;

/// Builds the clock; `false`, and said so, where that cannot be done.
fn build_clock(folder: &Path) -> bool {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).expect("the clock's source");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    let built = cfg!(target_os = "linux") && compiler.output().is_ok_and(|ran| ran.status.success());
    if !built {
        println!("SKIPPED: needs Linux and a C compiler `cc` for a clock that can be set");
    }
    built
}

#[test]
fn a_clock_that_jumps_forth_and_back_and_a_sleep_lose_nothing_and_put_nothing_off() {
    const DAY: i64 = 24 * 60 * 60;
    let (mut home, cloud) = world();
    if !build_clock(home.path()) {
        return;
    }
    let clock = home.path().join("clock");
    // Put in place by a rename, so that nobody reads half of it.
    let set = |seconds: i64| {
        let beside = clock.with_extension("new");
        fs::write(&beside, seconds.to_string()).expect("the clock");
        fs::rename(beside, &clock).expect("the clock");
    };
    set(0);
    let (library, variable) = (home.path().join("clock.so"), format!("TEST_CLOCK={}", clock.display()));
    let preload = format!("LD_PRELOAD={}", library.display());
    home.start_daemon_by(&["env", &preload, &variable]);
    home.set_cloud("retry_initial", "4s");
    home.set_cloud("retry_max", "8s");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let mut number = 0;
    for jump in [0, DAY, -365 * DAY, 0, 10 * 365 * DAY, 0] {
        set(jump);
        number += 1;
        let root = home.project(&format!("p{number}"));
        until(&format!("it is delivered after a jump to {jump} s"), || {
            knows(&cloud, &root.display().to_string()).then_some(())
        });
        drained(&home);
    }
    // Asleep while it waits for a cloud that was down: the pause is over when the machine wakes, and it is known why.
    cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
    let root = home.project("late");
    cloud_is(&home, "offline");
    cloud.faults().clear();
    set(3_600);
    until("it is delivered after the sleep", || knows(&cloud, &root.display().to_string()).then_some(()));
    // The clock is an hour behind what is on record: nothing is put off for an hour.
    set(0);
    let root = home.project("later");
    until("it is delivered after the clock was set back", || {
        knows(&cloud, &root.display().to_string()).then_some(())
    });
    drained(&home);
    daemon.finish();
}
