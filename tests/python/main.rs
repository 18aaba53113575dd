//! The Python module's own tests, over the built programs.
//!
//! Run by the first Python from 3.9 on that is found; skipped, with the reason, where there is none.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use sync_tests::program;

/// The module, from the folder of these tests.
const MODULE: &str = "../clients/python";
/// What the module promises to run on.
const OLDEST: (u32, u32) = (3, 9);
const NAMES: &[&str] =
    &["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.9", "python"];
/// What the module needs besides the interpreter, which some distributions leave out.
const PROBE: &str = "import sys, sqlite3, unittest; print(*sys.version_info[:2])";

/// Whether a Python that tells this of its version is new enough.
fn is_usable(told: &str) -> bool {
    let version = told.trim().split_once(' ').and_then(|(major, minor)| {
        let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some(version)
    });
    version.is_some_and(|version| version >= OLDEST)
}

fn python() -> Option<&'static str> {
    NAMES.iter().copied().find(|name| {
        let asked =
            Command::new(name).args(["-c", PROBE]).stdin(Stdio::null()).stderr(Stdio::null()).output();
        asked.is_ok_and(|asked| asked.status.success() && is_usable(&String::from_utf8_lossy(&asked.stdout)))
    })
}

/// Runs one file of the module's tests.
#[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
fn check(file: &str, at_least: usize) {
    let Some(python) = python() else {
        let (major, minor) = OLDEST;
        eprintln!("skipped: no Python from {major}.{minor} on with sqlite3 was found as any of {NAMES:?}");
        return;
    };
    let folder = program("coditect-syncd").parent().expect("a folder of programs").to_owned();
    let ran = Command::new(python)
        .args(["-W", "error", "-m", "unittest", "-v", &format!("tests.{file}")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODULE))
        .env("CODITECT_BIN_DIR", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{python}: {}{said}", String::from_utf8_lossy(&ran.stdout));
    let count = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(count >= at_least, "only {count} tests were found: {said}");
}

#[test]
fn the_old_clients_calls_have_its_results() {
    check("test_calls", 16);
}

#[test]
fn without_a_daemon_nothing_is_lost_and_the_next_one_takes_it() {
    check("test_fallback", 13);
}

#[test]
fn nobody_waits_for_ever_and_nothing_raises() {
    check("test_limits", 10);
}

#[test]
fn nothing_goes_to_another_tenant_or_to_one_that_cannot_be_told() {
    check("test_tenants", 12);
}

#[test]
fn the_old_queue_and_cache_are_views_of_the_daemons() {
    check("test_views", 8);
}

#[test]
fn places_are_found_as_the_daemons_programs_find_them() {
    check("test_places", 8);
}

#[test]
fn the_old_command_line_has_its_flags_words_and_exit_codes() {
    check("test_cli", 4);
}

#[test]
fn the_package_is_what_it_says() {
    check("test_package", 5);
}

#[test]
fn every_file_of_tests_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODULE).join("tests");
    let entries = std::fs::read_dir(folder).expect("the module's tests");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let files: BTreeSet<String> = names
        .filter_map(|name| {
            Some(name.strip_suffix(".py")?.to_owned()).filter(|name| name.starts_with("test_"))
        })
        .collect();
    let run = include_str!("main.rs").lines().filter_map(|line| line.trim().strip_prefix("check(\""));
    let run: BTreeSet<String> = run.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
    assert_eq!(run, files);
}

#[test]
fn a_python_that_is_too_old_is_noticed() {
    for (told, expected) in [
        ("3 9\n", true),
        ("3 13", true),
        ("4 0", true),
        ("3 8\n", false),
        ("2 7\n", false),
        ("", false),
        ("Python", false),
        ("3.9", false),
    ] {
        assert_eq!(is_usable(told), expected, "{told}");
    }
}
