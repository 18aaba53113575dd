//! The built daemon as a worker that examines projects.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use sync_scan::{Lookout, Options, Task, Turn, Worker};

const ARGUMENT: &str = "--worker";
/// Far ahead of the files of the tests, so that nothing counts as still being made.
const NOW_MS: u64 = 4_000_000_000_000;

/// What a lookout left on the shelf `kept`, whose workers may write to `allowed`: how many files. And that it saw all.
fn kept(home: &Path, allowed: Option<&Path>, kept: &Path) -> usize {
    let roots = home.join("roots");
    fs::create_dir_all(roots.join("one")).expect("made");
    fs::write(roots.join("one/go.mod"), "module example.org/one\n").expect("written");
    let mut arguments = vec![OsString::from(ARGUMENT)];
    arguments.extend(allowed.map(OsString::from));
    let worker = Worker {
        program: env!("CARGO_BIN_EXE_coditect-syncd").into(),
        name: OsString::from("coditect-syncd"),
        arguments,
        environment: Vec::new(),
    };
    let options = Options { roots: vec![roots], worker: Some(worker), ..Options::default() };
    let mut lookout = Lookout::new(options, None, Some(kept.to_path_buf()));
    let turn = Turn { task: Task::Everything, now_ms: NOW_MS, quiet_ms: 0, most_ms: 0 };
    let seen = lookout.turn(&turn, &AtomicBool::new(false));
    let names: Vec<&str> =
        seen.surveys.iter().flat_map(|survey| &survey.sightings).map(|seen| seen.name.as_str()).collect();
    assert_eq!(names, ["one"], "{seen:?}");
    fs::read_dir(kept).map_or(0, Iterator::count)
}

/// A thread that confines itself is told whether anything confines it.
#[cfg(target_os = "linux")]
fn is_landlock_there() -> bool {
    use landlock::{ABI, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
    let confined = std::thread::spawn(|| {
        let rules = Ruleset::default().handle_access(AccessFs::from_write(ABI::V1))?.create()?;
        rules.restrict_self()
    });
    confined.join().expect("no panic").expect("asked").ruleset != RulesetStatus::NotEnforced
}

#[cfg(not(target_os = "linux"))]
fn is_landlock_there() -> bool {
    false
}

#[test]
fn a_worker_writes_nowhere_but_to_the_folder_it_was_given() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| home.path().join(name);
    assert_eq!(kept(home.path(), None, &folder("free")), 1);
    assert_eq!(kept(home.path(), Some(&folder("shelf")), &folder("shelf")), 1);
    let elsewhere = kept(home.path(), Some(&folder("shelf")), &folder("elsewhere"));
    if !is_landlock_there() {
        return eprintln!("SKIPPED the rest of a_worker_writes_nowhere…: this system has no Landlock");
    }
    assert_eq!(elsewhere, 0);
}

#[test]
fn a_worker_that_is_asked_nothing_ends_with_its_input_and_one_that_is_asked_nonsense_says_so() {
    let worker = |input: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coditect-syncd"))
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("piped").write_all(input).expect("written");
        child.wait_with_output().expect("it ends")
    };
    let asked_nothing = worker(b"");
    assert!(asked_nothing.status.success(), "{asked_nothing:?}");
    assert!(String::from_utf8_lossy(&asked_nothing.stdout).contains(env!("CARGO_PKG_VERSION")));
    for nonsense in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x01\0\0\0\x07", b"\x09\0\0\0\0"] {
        let ended = worker(nonsense);
        assert_eq!(ended.status.code(), Some(1), "{nonsense:?}: {ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.starts_with("coditect-syncd, as a worker: speak with the daemon: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
