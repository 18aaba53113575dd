//! The disk of the state directory is full, or can only be read.
//!
//! The promise is the same as ever: what was acknowledged arrives, and what cannot be kept is not acknowledged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use coditect_devcloud::{Fault, Rule};
use serde_json::{Value, json};
use sync_tests::{Cloud, Daemon, Home, Needs, PATIENCE, apart, ran, until};
use sync_wire::Client;

use crate::{cloud_is, drained, world};

#[test]
fn what_a_full_disk_acknowledged_arrives_and_the_rest_is_refused() {
    apart(
        module_path!(),
        "what_a_full_disk_acknowledged_arrives_and_the_rest_is_refused",
        Needs::Mounts,
        || {
            let (home, cloud) = world();
            let state = small_disk(&home);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
            let daemon = expecting_trouble(Daemon::start(&home));
            let mut promised = Promised::default();
            promised.register_some(&home, 10);
            cloud_is(&home, "offline");
            fill(&state);
            let refusal = until("there is no room for more", || promised.register(&home));
            assert_eq!(refusal["code"], "disk_full", "{refusal}");
            assert!(refusal["hint"].as_str().is_some_and(|hint| hint.contains("make room")), "{refusal}");
            assert_eq!(home.run(&["status"]).code, 0, "questions are answered");
            let doctor = home.run(&["doctor"]);
            assert!(doctor.stdout.contains("cannot do its work: the disk is full"), "{doctor:?}");

            // What waits is delivered although nothing new can be taken.
            cloud.faults().clear();
            home.run(&["queue", "flush", "--wait=20s"]);
            drained(&home);
            promised.were_kept(&cloud);
            assert!(promised.register(&home).is_some(), "the disk is still full");

            fs::remove_file(state.join("filler")).expect("the filler");
            until("there is room again", || promised.register(&home).is_none().then_some(()));
            promised.register_some(&home, 10);
            drained(&home);
            promised.were_kept(&cloud);
            daemon.finish();
        },
    );
}

#[test]
fn a_daemon_that_is_killed_on_a_full_disk_starts_and_delivers_once_there_is_room() {
    apart(
        module_path!(),
        "a_daemon_that_is_killed_on_a_full_disk_starts_and_delivers_once_there_is_room",
        Needs::Mounts,
        || {
            let (home, cloud) = world();
            let state = small_disk(&home);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
            let daemon = Daemon::start(&home);
            let mut promised = Promised::default();
            promised.register_some(&home, 10);
            for round in 0..3 {
                fill(&state);
                until("there is no room for more", || promised.register(&home));
                // Also of what the daemon had kept for this case nothing is left.
                fill(&state);
                for _ in 0..5 {
                    promised.register(&home);
                }
                if round == 1 {
                    cloud.faults().clear();
                }
            }
            daemon.kill();
            let mut daemon = Daemon::spawn(&home, &[]);
            let started = until("it answers or says why it cannot", || match daemon.has_ended() {
                Some(log) => Some(Err(log)),
                None => (home.run(&["status"]).code == 0).then_some(Ok(())),
            });
            if let Err(log) = &started {
                assert!(log.contains("full") || log.contains("No space left"), "{log}");
            }
            fs::remove_file(state.join("filler")).expect("the filler");
            let daemon = if started.is_ok() { daemon } else { Daemon::start(&home) };
            until("there is room again", || promised.register(&home).is_none().then_some(()));
            drained(&home);
            promised.were_kept(&cloud);
            expecting_trouble(daemon).finish();
        },
    );
}

#[test]
fn a_daemon_that_ended_in_order_starts_on_a_disk_that_was_filled_since_and_delivers() {
    apart(
        module_path!(),
        "a_daemon_that_ended_in_order_starts_on_a_disk_that_was_filled_since_and_delivers",
        Needs::Mounts,
        || {
            let (home, cloud) = world();
            let state = small_disk(&home);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
            let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
            let mut promised = Promised::default();
            promised.register_some(&home, 10);
            daemon.finish();
            assert!(state.join("sync.db.ballast").exists(), "it keeps room for this");
            fill(&state);

            cloud.faults().clear();
            let daemon = expecting_trouble(Daemon::start(&home));
            // Until it is ready, that is what doctor tells.
            until("doctor says it", || {
                let doctor = home.run(&["doctor"]);
                doctor.stdout.contains("cannot do its work: the disk is full").then_some(())
            });
            drained(&home);
            promised.were_kept(&cloud);
            assert!(promised.register(&home).is_some(), "the disk is still full");

            fs::remove_file(state.join("filler")).expect("the filler");
            until("there is room again", || promised.register(&home).is_none().then_some(()));
            drained(&home);
            promised.were_kept(&cloud);
            daemon.finish();
        },
    );
}

#[test]
fn a_disk_that_can_only_be_read_is_named_at_the_start_and_nothing_is_lost() {
    apart(
        module_path!(),
        "a_disk_that_can_only_be_read_is_named_at_the_start_and_nothing_is_lost",
        Needs::Mounts,
        || {
            let (home, cloud) = world();
            let state = small_disk(&home);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
            let daemon = Daemon::start(&home);
            let mut promised = Promised::default();
            promised.register_some(&home, 10);
            daemon.kill();
            assert!(ran("mount", &["-o", "remount,ro", text(&state)]));
            let shown = Daemon::run(&home, &[]);
            assert_ne!(shown.code, 0, "{shown:?}");
            assert!(shown.stderr.contains("ead-only"), "{shown:?}");

            assert!(ran("mount", &["-o", "remount,rw", text(&state)]));
            cloud.faults().clear();
            let daemon = Daemon::start(&home);
            drained(&home);
            promised.were_kept(&cloud);
            daemon.finish();
        },
    );
}

#[test]
fn a_disk_that_fails_under_the_daemon_loses_nothing_that_was_acknowledged() {
    apart(
        module_path!(),
        "a_disk_that_fails_under_the_daemon_loses_nothing_that_was_acknowledged",
        Needs::Disks,
        || {
            let (home, cloud) = world();
            let (disk, state) = (home.path().join("disk"), state_directory(&home));
            File::create(&disk).and_then(|file| file.set_len(64 * 1024 * 1024)).expect("a disk");
            assert!(ran("mkfs.ext4", &["-q", text(&disk)]));
            let mount = || assert!(ran("mount", &["-o", "loop", text(&disk), text(&state)]));
            mount();
            private(&state);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
            let mut daemon = Daemon::start(&home);
            let mut promised = Promised::default();
            promised.register_some(&home, 10);
            // What the system does when it finds that it cannot trust the disk.
            assert!(ran("mount", &["-o", "remount,abort", text(&state)]));
            let refusal = until("nothing is taken any more", || promised.register(&home));
            assert!(!refusal["code"].is_null(), "{refusal}");
            for _ in 0..5 {
                assert!(promised.register(&home).is_some(), "nothing is acknowledged that is not kept");
            }
            // It may have ended, so that the service manager starts it anew, or go on without a disk.
            if daemon.has_ended().is_none() {
                daemon.kill();
            }
            assert!(ran("umount", &["-l", text(&state)]));
            // Put in order, as at the next start of the machine. 1: there was something to mend.
            let mended = Command::new("fsck.ext4").args(["-p", text(&disk)]).status().expect("fsck.ext4");
            assert!(mended.code().is_some_and(|code| code <= 1), "{mended}");
            mount();
            cloud.faults().clear();
            let daemon = Daemon::start(&home);
            drained(&home);
            promised.were_kept(&cloud);
            daemon.finish();
        },
    );
}

/// What the daemon said it would deliver, and what it refused.
#[derive(Default)]
struct Promised {
    count: u64,
    kept: BTreeMap<String, String>,
}

impl Promised {
    fn register_some(&mut self, home: &Home, count: u64) {
        for _ in 0..count {
            let refusal = self.register(home);
            assert!(refusal.is_none(), "{refusal:?}");
        }
    }

    /// Registers one more project; the refusal, if it is refused.
    fn register(&mut self, home: &Home) -> Option<Value> {
        let root = home.path().join(format!("work/{}", self.count));
        fs::create_dir_all(&root).expect("a project");
        let root = fs::canonicalize(root).expect("its real path").display().to_string();
        let content = format!("{:040x}", self.count);
        self.count += 1;
        let draft = json!({"root_path": root, "project_name": "n".repeat(200), "content_hash": content});
        let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
        match client.request("POST", "/v1/projects", Some(&draft)) {
            Ok(answer) if answer.status == 200 || answer.status == 202 => {
                self.kept.insert(root, content);
                None
            }
            Ok(answer) => {
                let refusal: Value = serde_json::from_slice(&answer.body).expect("a problem");
                assert!(
                    answer.status == 507 || refusal["code"] != "disk_full",
                    "{}: {refusal}",
                    answer.status
                );
                assert!(answer.status >= 500, "{}: {refusal}", answer.status);
                Some(refusal)
            }
            Err(error) => Some(json!({"code": "gone", "detail": error.to_string()})),
        }
    }

    /// Every project that was acknowledged is in the cloud as it was acknowledged.
    fn were_kept(&self, cloud: &Cloud) {
        let known: BTreeMap<String, String> = cloud
            .projects()
            .iter()
            .map(|project| {
                let field = |name: &str| project[name].as_str().unwrap_or_default().to_owned();
                (field("root_path"), field("content_hash"))
            })
            .collect();
        let lost: Vec<_> =
            self.kept.iter().filter(|(root, content)| known.get(*root) != Some(*content)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:#?}", lost.len(), self.kept.len());
    }
}

/// Where the state is kept, as the daemon would make it.
fn state_directory(home: &Home) -> PathBuf {
    fs::create_dir_all(home.state()).expect("the state directory");
    private(&home.path().join("state"));
    private(&home.state());
    home.state()
}

/// Puts the state directory on a file system that is soon full.
fn small_disk(home: &Home) -> PathBuf {
    let state = state_directory(home);
    assert!(ran("mount", &["-t", "tmpfs", "-o", "size=6m,mode=0700", "none", text(&state)]));
    state
}

/// Takes all the room there is.
fn fill(state: &Path) {
    let mut filler =
        File::options().append(true).create(true).open(state.join("filler")).expect("the filler");
    for length in [64 * 1024, 4096, 1] {
        while filler.write_all(&vec![0; length]).is_ok() {}
    }
}

fn private(folder: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(folder, mode).expect("the mode of the state directory");
}

fn expecting_trouble(daemon: Daemon) -> Daemon {
    ["the cloud cannot be used", "the disk is full", "nothing can be written down", "No space left", "full"]
        .iter()
        .fold(daemon, |daemon, text| daemon.expecting(text))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}
