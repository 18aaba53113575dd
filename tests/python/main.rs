//! The Python module's own tests, over the built programs.
//!
//! Run by the first Python from 3.9 on that is found; skipped, with the reason, where there is none.

use std::path::Path;
use std::process::{Command, Stdio};

use sync_tests::program;

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

#[test]
fn the_python_module_does_what_the_old_client_did() {
    let Some(python) = python() else {
        let (major, minor) = OLDEST;
        eprintln!("skipped: no Python from {major}.{minor} on with sqlite3 was found as any of {NAMES:?}");
        return;
    };
    let folder = program("coditect-syncd").parent().expect("a folder of programs").to_owned();
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/python");
    let ran = Command::new(python)
        .args(["-W", "error", "-m", "unittest", "-v"])
        .current_dir(module)
        .env("CODITECT_BIN_DIR", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("python");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{python}: {}{said}", String::from_utf8_lossy(&ran.stdout));
    let count = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(count > 40, "only {count} tests were found: {said}");
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
