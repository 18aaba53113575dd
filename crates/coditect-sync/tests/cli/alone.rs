//! The program without a daemon: what it says then, and what it can do by itself.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::support::{Home, Reply, ok};

fn lock(home: &Home, pid: u32, socket: &str) {
    let line = format!(
        r#"{{"pid":{pid},"started_at":"2026-01-01T00:00:00Z","socket":"{socket}","version":"0.1.0"}}"#
    );
    std::fs::write(home.path().join("daemon.lock"), line).expect("written");
}

/// What is seen of a process that holds the lock: this test.
fn locked(home: &Home, socket: &str) -> std::fs::File {
    lock(home, std::process::id(), socket);
    let file = std::fs::File::open(home.path().join("daemon.lock")).expect("it is there");
    file.lock().expect("nobody else has it");
    file
}

fn check(name: &str, home: &Home, arguments: &[&str]) {
    let run = home.run(arguments);
    let text = run.to_string().replace(&format!("pid {}", std::process::id()), "pid PID");
    let text = text.replace(&format!("kill {}", std::process::id()), "kill PID");
    insta::assert_snapshot!(name.replace(' ', "-"), text);
    let run = home.run(&[arguments, &["--json"]].concat());
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!((run.exit, &document["code"], run.stderr.as_str()), (69, &"no_daemon".into(), ""), "{name}");
}

#[test]
fn the_absence_of_a_daemon_is_explained() {
    let home = Home::new();
    check("no socket", &home, &["status"]);
    let nobody = i32::MAX.unsigned_abs();
    lock(&home, nobody, "elsewhere");
    check("no socket and an old lock", &home, &["status"]);
    if cfg!(target_os = "linux") {
        // Somebody else has the number of the daemon that was.
        lock(&home, 1, "elsewhere");
        check("no socket and an old lock", &home, &["status"]);
    }
    let held = locked(&home, "/elsewhere/sync.sock");
    check("no socket and a daemon elsewhere", &home, &["status"]);
    drop(held);
    let held = locked(&home, &home.socket().display().to_string());
    check("no socket and a daemon", &home, &["status"]);
    drop(held);

    let home = Home::new();
    drop(UnixListener::bind(home.socket()).expect("bound"));
    check("nobody listens", &home, &["resolve", "."]);
    let held = locked(&home, &home.socket().display().to_string());
    check("nobody listens and a daemon", &home, &["status"]);
    drop(held);

    let home = Home::new();
    std::fs::write(home.socket(), "").expect("written");
    check("no socket but a file", &home, &["status"]);

    let home = Home::new();
    let _silent = UnixListener::bind(home.socket()).expect("bound");
    check("a silent daemon", &home, &["status", "--timeout=100ms"]);
    let _held = locked(&home, &home.socket().display().to_string());
    check("a silent daemon with a lock", &home, &["status", "--timeout=100ms"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_daemon_is_told_from_a_busy_one() {
    let home = Home::new();
    let lock_file = home.path().join("daemon.lock");
    std::fs::write(&lock_file, "").expect("written");
    let _silent = UnixListener::bind(home.socket()).expect("bound");
    // A shell that takes the lock, says so, and waits for ever.
    let mut child = std::process::Command::new("flock")
        .arg("-F")
        .arg(&lock_file)
        .args(["sh", "-c", "echo; read x"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock is everywhere on Linux");
    let mut said = [0];
    std::io::Read::read_exact(&mut child.stdout.take().expect("piped"), &mut said).expect("it has the lock");
    lock(&home, child.id(), &home.socket().display().to_string());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it is ours");
    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::UNTRACED).expect("it stops");
    let run = home.run(&["status", "--timeout=100ms"]);
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    assert_eq!(run.exit, 69);
    let id = child.id();
    assert!(run.stderr.contains(&format!("pid {id} holds the lock and is stopped")), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("`kill -CONT {id}`")), "{}", run.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_whose_socket_is_not_there_is_told_to_stop_when_it_comes_and_waited_for() {
    use std::io::{BufRead, BufReader};
    let home = Home::new();
    let held = locked(&home, &home.socket().display().to_string());
    let mut child = home
        .command(&["stop", "--verbose"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let waits = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("its end is waited for")));
    assert!(waits.is_some(), "it ended without waiting");
    let daemon = home.daemon(vec![Reply { status: "202 Accepted", body: String::new() }]);
    assert_eq!(daemon.join().expect("it was told"), ["POST /v1/shutdown"]);
    assert!(child.try_wait().expect("it can be asked").is_none(), "the lock is still held");
    drop(held);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"the daemon has stopped\n"[..]));
}

#[test]
fn what_is_no_daemon_is_a_failure_of_its_own() {
    let home = Home::new();
    let daemon = home.daemon(vec![ok("[]"), Reply { status: "200 OK", body: "<html>".to_owned() }]);
    insta::assert_snapshot!("another-document", home.run(&["status"]));
    insta::assert_snapshot!("no-document", home.run(&["status", "--json"]));
    daemon.join().expect("asked twice");
}

#[test]
fn wrong_usage_is_two() {
    let home = Home::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["register", "--type=opera"],
        &["queue", "retry"],
        &["status", "--timeout=never"],
        &["status", "-q", "-v"],
        &["scan", "--wait=1"],
        &["projects", "--limit=0"],
    ] {
        let run = home.run(arguments);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{arguments:?}");
    }
    insta::assert_snapshot!("usage", home.run(&["register", "--type=opera"]));
    let run = home.run(&["nonsense", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!((run.exit, &document["code"], run.stderr.as_str()), (2, &"usage".into(), ""));
}

#[test]
fn places_that_cannot_be_are_bad_configuration() {
    let home = Home::new();
    let long = format!("/{}/sync.sock", "x".repeat(120));
    let run = home.run(&["status", "--socket", &long]);
    assert_eq!(run.exit, 78, "{run}");
    assert!(run.stderr.contains("CODITECT_SYNC_SOCKET="), "{run}");
    let run = home.run(&["status", "--socket", &long, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!((run.exit, &document["code"]), (78, &"bad_configuration".into()));
}

#[test]
fn the_configuration_is_shown_checked_and_begun() {
    let home = Home::new();
    insta::assert_snapshot!("config-path", home.run(&["config", "path"]));
    insta::assert_snapshot!("config-check-without-a-file", home.run(&["config", "check"]));
    insta::assert_snapshot!("config-init", home.run(&["config", "init"]));
    insta::assert_snapshot!("config-init-again", home.run(&["config", "init"]));
    // How wide a column is depends on where this machine has its temporary folders.
    let shown = home.run(&["config", "show"]).to_string();
    let narrow: Vec<String> = shown
        .lines()
        .map(|line| {
            line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>().join(" | ")
        })
        .collect();
    insta::assert_snapshot!("config-show", narrow.join("\n"));
    insta::assert_snapshot!("config-check", home.run(&["config", "check"]));
    let run = home.run(&["config", "show", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!(document["values"][0]["key"], "cloud_sync.api_url");
    assert_eq!(document["values"][0]["from"], "HOME/.coditect/config/config.json:3:16");

    let file = home.path().join(".coditect/config/config.json");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&file, "{\"cloud_sync\": {\"batch_size\": 0,\n\"api_ulr\": \"x\"}}").expect("written");
    let run = home.run(&["config", "check"]);
    insta::assert_snapshot!("config-check-of-a-bad-file", run);
    assert_eq!(run.exit, 78);
}

#[test]
fn a_token_is_stored_for_nobody_else_and_never_shown() {
    let home = Home::new();
    insta::assert_snapshot!("auth-status-without-a-token", home.run(&["auth", "status"]));
    let run = home.run_with(&["auth", "set-token"], "s3cr3t\n");
    insta::assert_snapshot!("auth-set-token", run);
    let run = home.run_with(&["auth", "set-token"], "s3cr3t\n");
    assert!(run.stdout.ends_with("/token`\n"), "the same is no other: {run}");
    home.run_with(&["auth", "set-token"], "other\n");
    let run = home.run_with(&["auth", "set-token"], "s3cr3t\n");
    insta::assert_snapshot!("auth-set-token-over-another", run);
    let run = home.run_with(&["auth", "set-token", "--json"], "s3cr3t\n");
    assert!(run.stdout.contains("\"replaced\":false"), "{run}");
    let file = home.path().join("token");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there").trim_end(), "s3cr3t");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let run = home.run(&["auth", "status", "--json"]);
    assert!(!run.stdout.contains("s3cr3t") && run.stdout.contains("\"present\":true"), "{run}");
    for input in [&b""[..], b"two words", b"\xff\xfe words"] {
        let run = home.run_with(&["auth", "set-token"], input);
        assert_eq!(run.exit, 2, "{run}");
        assert!(!run.stderr.contains("words"), "{run}");
    }
    std::fs::create_dir_all(home.path().join(".coditect/config")).expect("made");
    let text = r#"{"cloud_sync": {"auth_token": "other"}}"#;
    std::fs::write(home.path().join(".coditect/config/config.json"), text).expect("written");
    let run = home.run_with(&["auth", "set-token"], "s3cr3t\n");
    assert_eq!(run.exit, 78, "{run}");
}

#[test]
fn a_token_that_others_can_read_is_warned_of() {
    let home = Home::new();
    let open = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    };
    open("token", "s3cr3t\n");
    let run = home.run(&["auth", "status"]);
    assert!(
        run.stderr.contains("warning: `HOME/token` is open to other users (mode 0644); run `chmod 600"),
        "{run}"
    );
    open(".coditect/config/config.json", r#"{"cloud_sync": {"auth_token": "s3cr3t"}}"#);
    let run = home.run(&["auth", "status", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    let warning = document["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("others may read") && !run.to_string().contains("s3cr3t"), "{run}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let home = Home::new();
    let mut child = home
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_shell_is_told_to_ask_the_program_itself() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.run(&["completions", shell]);
        assert!(run.exit == 0 && run.stdout.contains("CODITECT_SYNC_COMPLETE"), "{shell}: {run}");
        assert!(!run.stdout.contains("target/"), "it is found by its name: {run}");
    }
}

/// What a shell is offered for the last of these words.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let asked = [&["--", "coditect-sync"], words].concat();
    let output = home.command(&asked).env("CODITECT_SYNC_COMPLETE", "fish").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {text}");
    text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn commands_words_projects_and_entries_are_completed() {
    let home = Home::new();
    assert_eq!(offered(&home, &["queue", "fl"]), ["flush"]);
    assert_eq!(offered(&home, &["queue", "list", "--state", "de"]), ["delayed", "dead"]);
    // Nobody there to ask is nothing to offer.
    assert!(offered(&home, &["resolve", "api"]).is_empty());

    let page = r#"{"projects":[{"local_project_uuid":"11111111-1111-4111-8111-111111111111","project_name":"Api",
        "root_path":"/home/ada/work/backend","root_path_exact":null,"primary_language":"Rust","framework":"",
        "content_hash":"","project_type":"standalone","parent_project_uuid":null,"vcs":"git","state":"registered",
        "cloud_uuid":null,"registration_status":null,"first_seen_at":"2026-01-01T00:00:00Z",
        "seen_at":"2026-01-01T00:00:00Z","queue_item":null}],"next_cursor":null}"#;
    for (typed, expected) in [
        ("api", &["/home/ada/work/backend"][..]),
        ("/home/ada/wo", &["/home/ada/work/backend"]),
        ("other", &[]),
    ] {
        let home = Home::new();
        let daemon = home.daemon(vec![ok(page)]);
        assert_eq!(offered(&home, &["resolve", typed]), expected, "{typed}");
        assert_eq!(daemon.join().expect("it was asked"), ["GET /v1/projects?limit=1000"]);
    }
}

#[test]
fn the_manual_is_printed_or_written() {
    let home = Home::new();
    let run = home.run(&["man"]);
    assert!(run.exit == 0 && run.stdout.contains(".TH coditect-sync 1"), "{run}");
    let folder = home.path().join("man/man1");
    let run = home.run(&["man", "--dir", &folder.display().to_string()]);
    assert!(run.exit == 0 && run.stdout.contains("written to `HOME/man/man1`"), "{run}");
    assert!(folder.join("coditect-sync-queue-flush.1").exists());
    let run = home.run(&["man", "--dir", "/dev/null/x"]);
    assert!(run.exit == 1 && run.stderr.contains("hint: name a folder"), "{run}");
}

#[test]
fn a_picture_needs_a_terminal_and_says_what_does_without() {
    let home = Home::new();
    let run = home.run(&["top"]);
    assert!(run.exit == 2 && run.stderr.contains("hint: use `coditect-sync status`"), "{run}");
    let run = home.run(&["top", "--json"]);
    assert!(run.exit == 2 && run.stdout.contains("coditect-sync events --json"), "{run}");
}

/// The program in a folder of its own, beside what stands for the daemon's program.
fn beside(home: &Home, daemon: &str) -> std::path::PathBuf {
    let folder = home.path().join("bin");
    std::fs::create_dir(&folder).expect("made");
    let written = home.path().join("script");
    std::fs::write(&written, format!("#!/bin/sh\n{daemon}")).expect("written");
    // By another process: a child that a test beside this one makes meanwhile would hold a program that this one writes
    // open, and what is open for writing cannot be started.
    for (from, name) in [
        (std::path::Path::new(env!("CARGO_BIN_EXE_coditect-sync")), "coditect-sync"),
        (written.as_path(), "coditect-syncd"),
    ] {
        let to = folder.join(name);
        let ended = std::process::Command::new("install").args(["-m", "755"]).arg(from).arg(to).status();
        assert!(ended.expect("`install` runs").success());
    }
    folder.join("coditect-sync")
}

fn inspect_alone(daemon: &str) -> (i32, String, String) {
    let home = Home::new();
    let program = beside(&home, daemon);
    let ended = std::process::Command::new(program)
        .args(["inspect", "--socket", "/nowhere/sync.sock", "/home/ada"])
        .env("HOME", home.path())
        .output()
        .expect("it runs");
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.path().display().to_string(), "HOME");
    (ended.status.code().expect("an exit status"), text(&ended.stdout), text(&ended.stderr))
}

#[test]
fn inspecting_without_a_daemon_has_its_program_look() {
    let proof = r#"{"rule":"x","files":[],"found":[],"left_out":[]}"#;
    let line = format!(
        r#"{{"root_path":"/home/ada/api","project_name":"$4","primary_language":"Rust","framework":"","content_hash":"","project_type":"standalone","parent_root_path":null,"evidence":{{"version_control":"git","root_path":{proof},"project_name":{proof},"primary_language":{proof},"languages":[],"framework":{proof},"content_hash":{proof},"project_type":{proof},"members":[],"parent_root_path":{proof}}},"warnings":[]}}"#
    );
    let (exit, stdout, stderr) =
        inspect_alone(&format!("[ \"$*\" = 'inspect -- /home/ada' ] && cat <<'end'\n{line}\nend\n"));
    assert_eq!((exit, stderr.as_str()), (0, "no daemon answers: what is on record is not known\n"));
    assert!(stdout.contains("/home/ada/api") && stdout.contains("Rust"), "{stdout}");
    let (exit, _, stderr) = inspect_alone("echo 'error: failed to read it' >&2; exit 1\n");
    assert_eq!(exit, 1);
    assert!(
        stderr.contains("error: `HOME/bin/coditect-syncd inspect` failed: error: failed to read it"),
        "{stderr}"
    );
    let (exit, _, stderr) = inspect_alone("echo nonsense\n");
    assert!(exit == 1 && stderr.contains("what this program does not read"), "{stderr}");
    let (exit, ..) = inspect_alone("exit 0\n");
    assert_eq!(exit, 3);
}
