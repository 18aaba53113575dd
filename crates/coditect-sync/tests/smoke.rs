//! The program starts, says what it is, and explains each of its commands.

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_coditect-sync"))
        .args(arguments)
        .env_clear()
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program starts");
    assert_eq!(run.status.code(), Some(0), "{arguments:?}");
    assert!(run.stderr.is_empty(), "{arguments:?}");
    String::from_utf8(run.stdout).expect("text")
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(help(&["--version"]), concat!("coditect-sync ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn every_command_explains_itself() {
    insta::assert_snapshot!("help", help(&["--help"]));
    for command in [
        &["status"][..],
        &["register"],
        &["resolve"],
        &["projects"],
        &["projects", "list"],
        &["projects", "show"],
        &["queue"],
        &["queue", "status"],
        &["queue", "list"],
        &["queue", "show"],
        &["queue", "retry"],
        &["queue", "drop"],
        &["queue", "flush"],
        &["scan"],
        &["inspect"],
        &["import"],
        &["pause"],
        &["resume"],
        &["wait"],
        &["reload"],
        &["stop"],
        &["service"],
        &["service", "install"],
        &["service", "uninstall"],
        &["service", "start"],
        &["service", "stop"],
        &["service", "restart"],
        &["service", "status"],
        &["doctor"],
        &["events"],
        &["top"],
        &["man"],
        &["logs"],
        &["config"],
        &["config", "path"],
        &["config", "show"],
        &["config", "check"],
        &["config", "init"],
        &["auth"],
        &["auth", "status"],
        &["auth", "set-token"],
        &["completions"],
    ] {
        let text = help(&[command, &["--help"]].concat());
        // What every command takes is in the general help already.
        let (own, _) = text.split_once("Options of every command:").expect("common options");
        insta::assert_snapshot!(format!("help-{}", command.join("-")), own.trim_end());
    }
}
