//! The examples for authors of tools, run as they say it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use sync_tests::{Daemon, Home, program, until};

/// Where a built example is; the first asker has both built.
fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let programs = program("coditect-syncd").parent().expect("a folder of programs").to_owned();
        // …/target/PROFILE
        let target = programs.parent().expect("a target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "-p", "sync-wire", "-p", "coditect-syncd"]);
        build.args(["--example", "resolve", "--example", "ask"]).env("CARGO_TARGET_DIR", target);
        if programs.ends_with("release") {
            build.arg("--release");
        }
        let status = build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().expect("cargo");
        assert!(status.success(), "the examples cannot be built");
        programs.join("examples")
    });
    folder.join(name)
}

/// What an example ended with, printed, and said besides.
fn run(home: &Home, name: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let ran = home.command(example(name)).args(args).output().expect("the example");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

#[test]
fn the_examples_tell_a_uuid_what_is_unknown_and_that_nobody_is_there() {
    let home = Home::new();
    let (project, roots) = (home.project("api"), home.roots());
    let socket = home.state().join("sync.sock").display().to_string();
    let (inside, outside) = (project.join("src").display().to_string(), home.path().display().to_string());

    let (code, out, error) = run(&home, "resolve", &[&socket, &inside]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(
        error.contains("cannot reach the daemon: there is no socket") && error.contains("--dev"),
        "{error}"
    );
    let (code, out, error) = run(&home, "ask", &[&socket, &inside]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(error.contains("cannot ask the daemon at"), "{error}");

    let daemon = Daemon::start_with(&home, &["--dev", "--root", &roots.display().to_string()]);
    let known = until("the project is registered", || {
        let resolved = home.run(&["resolve", &inside]);
        (resolved.code == 0).then(|| resolved.stdout.trim().to_owned())
    });
    assert_eq!(run(&home, "resolve", &[&socket, &inside]), (Some(0), format!("{known}\n"), String::new()));
    let (code, out, error) = run(&home, "resolve", &[&socket, &outside]);
    assert_eq!((code, &*out), (Some(3), ""));
    assert!(error.contains("no project is known") && error.contains("coditect-sync register"), "{error}");

    let (code, out, error) = run(&home, "ask", &[&socket, &inside, &outside, &inside]);
    let lines: Vec<&str> =
        out.lines().map(|line| line.split("  ").next().unwrap_or_default().trim()).collect();
    assert_eq!((code, lines), (Some(0), vec![&*known, "not_registered", &*known]), "{error}");
    assert!(error.contains("coditect-sync register"), "{error}");
    for name in ["resolve", "ask"] {
        assert_eq!(run(&home, name, &[]).0, Some(2));
    }
    daemon.finish();
}
