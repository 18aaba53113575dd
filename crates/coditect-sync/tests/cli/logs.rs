//! `logs`: the end of the log, and following it.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::commands::status;
use crate::support::Home;

fn write(home: &Home, day: u32, text: &str) {
    let folder = home.path().join("logs");
    std::fs::create_dir_all(&folder).expect("made");
    let path = folder.join(format!("coditect-syncd.2026-01-{day:02}.log"));
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("it is ours");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn the_end_of_the_log_is_shown_across_days() {
    let home = Home::new();
    let run = home.run(&["logs"]);
    assert_eq!(run.exit, 3, "{run}");
    assert!(run.stderr.contains("no daemon has run"), "{run}");

    let lines: Vec<String> = (1..=60).map(|number| format!("line {number}\n")).collect();
    write(&home, 1, &lines.concat());
    write(&home, 2, "today\n");
    let run = home.run(&["logs"]);
    assert_eq!((run.exit, run.stdout.lines().count()), (0, 50), "{run}");
    assert!(run.stdout.starts_with("line 12\n") && run.stdout.ends_with("line 60\ntoday\n"), "{run}");
    assert_eq!(home.run(&["logs", "-n", "2"]).stdout, "line 60\ntoday\n");
    assert_eq!(home.run(&["logs", "-n0"]).stdout, "");
    let run = home.run(&["logs", "-n2", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!(document["lines"], serde_json::json!(["line 60", "today"]));
    assert_eq!(home.run(&["logs", "-f", "--json"]).exit, 2);
}

#[test]
fn a_log_that_was_removed_under_a_daemon_is_not_said_never_to_have_been() {
    let home = Home::new();
    let daemon = home.daemon(vec![status("online", &[])]);
    let run = home.run(&["logs"]);
    daemon.join().expect("asked");
    assert!(run.exit == 3 && run.stderr.contains("a daemon runs: its log was removed under it"), "{run}");
}

#[test]
fn a_followed_log_goes_on_with_the_next_day_and_ends_with_its_reader() {
    let home = Home::new();
    write(&home, 1, "before\nlast\n");
    let mut child = home
        .command(&["logs", "-f", "-n", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "last");
    write(&home, 1, "more\n");
    assert_eq!(next(), "more");
    write(&home, 2, "tomorrow\n");
    assert_eq!(next(), "tomorrow");
    write(&home, 2, "and on\n");
    assert_eq!(next(), "and on");
    // Nothing is written any more: the end of the reader alone ends it.
    drop(lines);
    let mut naps = 0;
    while child.try_wait().expect("it can be asked").is_none() {
        if naps > 1_000 {
            child.kill().expect("it is ours");
            panic!("it did not end within 10 s after its reader");
        }
        naps += 1;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_log_that_was_removed_and_begun_anew_is_followed_from_its_beginning() {
    let home = Home::new();
    write(&home, 1, "before\n");
    let mut child = home
        .command(&["logs", "-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "before");
    let folder = home.path().join("logs");
    for text in ["second", "longer than it"] {
        // The daemon has the one that was removed open until it begins the next.
        std::fs::write(folder.join("next"), format!("{text}\n")).expect("written");
        std::fs::rename(folder.join("next"), folder.join("coditect-syncd.2026-01-01.log")).expect("renamed");
        assert_eq!(next(), text);
    }
    drop(lines);
    child.wait().expect("it ends with its reader");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_not_said_to_be_unread() {
    let home = Home::new();
    write(&home, 1, "a line\n");
    for arguments in [&["logs", "-f"][..], &["logs"], &["--help"], &["--version"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("it is always there");
        let output =
            home.command(arguments).stdout(full).stderr(Stdio::piped()).output().expect("the program ends");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains("error: cannot write the answer: No space left"), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("owner and permissions"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn only_files_are_logs_and_no_other_is_waited_for() {
    let home = Home::new();
    write(&home, 1, "a line\n");
    let named = |name: &str| home.path().join(format!("logs/coditect-syncd.{name}.log"));
    std::fs::create_dir(named("folder")).expect("made");
    let made = std::process::Command::new("mkfifo").arg(named("pipe")).status().expect("`mkfifo` runs");
    assert!(made.success());
    let run = home.run(&["logs"]);
    assert_eq!((run.exit, run.stdout.as_str()), (0, "a line\n"), "{run}");
}
