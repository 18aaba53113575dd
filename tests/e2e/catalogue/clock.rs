//! The clock on the wall jumps under the whole program, while it runs and while it does not.
//!
//! A library that the test compiles (`clock.c`) shifts what the C library tells of the time. What the kernel writes itself,
//! such as the times of files, stays: as after a clock that was wrong and was set right.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use coditect_devcloud::{Fault, Rule};
use serde_json::Value;
use sync_tests::{Cloud, Daemon, Home, until};

use super::knows;
use crate::{cloud_is, drained, queue, world};

const DAY: i64 = 24 * 60 * 60;

/// A clock that is set by hand.
struct Wall(File);

impl Wall {
    /// Has the home's daemon started under a clock of its own, where such a one can be compiled.
    fn of(home: &mut Home) -> Option<Self> {
        let library = home.path().join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/catalogue/clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        if !cfg!(target_os = "linux") || !compiler.output().is_ok_and(|ran| ran.status.success()) {
            super::skipped("SKIPPED: needs a C compiler, `cc`, on Linux");
            return None;
        }
        let shift = home.path().join("shift");
        fs::write(&shift, 0_i64.to_ne_bytes()).expect("the shift");
        let variable = |name: &str, path: &PathBuf| format!("{name}={}", path.display());
        let (preload, place) = (variable("LD_PRELOAD", &library), variable("CODITECT_TEST_CLOCK", &shift));
        home.start_daemon_by(&["env", &preload, &place]);
        Some(Self(File::options().write(true).open(shift).expect("the shift")))
    }

    /// Sets it to so many seconds from the true time.
    fn is_off_by(&self, seconds: i64) {
        self.0.write_all_at(&seconds.to_ne_bytes(), 0).expect("the shift");
    }
}

/// Waits until the cloud knows a project at this place.
fn arrives(cloud: &Cloud, root: &Path, after: i64) {
    let root = root.display().to_string();
    until(&format!("{root} is delivered after {after} s"), || knows(cloud, &root).then_some(()));
}

fn content(cloud: &Cloud, root: &Path) -> Option<Value> {
    let root = root.display().to_string();
    cloud.projects().iter().find(|one| one["root_path"] == *root).map(|one| one["content_hash"].clone())
}

#[test]
fn whatever_the_clock_says_projects_are_found_and_delivered() {
    let (mut home, cloud) = world();
    let Some(wall) = Wall::of(&mut home) else { return };
    let changing = home.project("changing");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    arrives(&cloud, &changing, 0);
    for (number, off) in [DAY, 400 * DAY, -400 * DAY, -2 * DAY, 20_000 * DAY, 0].into_iter().enumerate() {
        let before = content(&cloud, &changing);
        wall.is_off_by(off);
        let found = home.project(&format!("found{number}"));
        arrives(&cloud, &found, off);
        fs::write(changing.join("README.md"), format!("{number}\n")).expect("a file");
        until(&format!("the change is delivered after {off} s"), || {
            (content(&cloud, &changing) != before).then_some(())
        });
        let registered = || home.json(&["status"])["projects"]["registered"] == number + 2;
        until("all are registered", || registered().then_some(()));
        drained(&home);

        // And what waits for the cloud while the clock jumps.
        cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
        let waiting = home.project(&format!("waiting{number}"));
        until("it waits", || (queue(&home, "ready") + queue(&home, "delayed") > 0).then_some(()));
        cloud_is(&home, "offline");
        wall.is_off_by(-off);
        cloud.faults().clear();
        arrives(&cloud, &waiting, -off);
        drained(&home);
        fs::remove_dir_all(waiting).expect("it is ours");
        until("it is seen to be gone", || registered().then_some(()));
    }
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    daemon.finish();
}

#[test]
fn what_was_kept_under_another_clock_is_delivered_after_a_restart() {
    for (then, now) in [(400 * DAY, 0), (0, -400 * DAY), (-400 * DAY, 0), (0, 20_000 * DAY)] {
        let (mut home, cloud) = world();
        let Some(wall) = Wall::of(&mut home) else { return };
        let known = home.project("known");
        wall.is_off_by(then);
        let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
        arrives(&cloud, &known, then);
        cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
        let waiting = home.project("waiting");
        cloud_is(&home, "offline");
        until("it waits", || (queue(&home, "ready") + queue(&home, "delayed") > 0).then_some(()));
        daemon.finish();

        wall.is_off_by(now);
        cloud.faults().clear();
        let daemon = Daemon::start(&home);
        arrives(&cloud, &waiting, now);
        drained(&home);
        let answer = home.json(&["resolve", &known.display().to_string()]);
        assert!(answer["cloud_uuid"].is_string(), "{answer}");
        assert_eq!(cloud.projects().len(), 2, "from {then} to {now}");
        daemon.finish();
    }
}
