//! The built program: its version, its help, its token, its refusal, and one real life.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coditect-devcloud"))
        .args(arguments)
        .output()
        .expect("the program can be run")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_tells_its_version() {
    let output = run(&["--version"]);
    assert_eq!(stdout(&output), concat!("coditect-devcloud ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(output.status.success());
}

#[test]
fn its_help_names_every_flag() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn it_prints_a_token_and_exits() {
    let check = |arguments: &[&str], tenant: &str| {
        let output = run(arguments);
        assert_eq!(stdout(&output), format!("{}\n", coditect_devcloud::dev_token(tenant, None)));
        assert!(output.status.success());
    };
    check(&["--print-token", "north"], "north");
    check(&["--print-token"], "dev");
    check(&["--tenant", "south", "--print-token"], "south");
}

#[test]
fn it_prints_its_manual_page_and_exits() {
    let output = run(&["--man"]);
    let page = stdout(&output);
    assert!(page.contains(".TH coditect-devcloud 1") && page.contains("allow\\-any\\-address"), "{page}");
    assert!(output.status.success());
}

#[test]
fn it_does_not_listen_where_others_reach_it_unless_told_so() {
    let output = run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("--allow-any-address"), "{told}");
}

#[test]
fn a_wrong_flag_is_wrong_usage() {
    assert_eq!(run(&["--lisen"]).status.code(), Some(64));
}

/// A program that ends with the test, also with one that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended in a test that did not fail.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let home = tempfile::tempdir().expect("a scratch folder");
    let file = home.path().join("cloud.db");
    let program = Command::new(env!("CARGO_BIN_EXE_coditect-devcloud"))
        .args(["--listen", "127.0.0.1:0", "--database"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let Running(program) = &mut Running(program);
    let mut greeting = BufReader::new(program.stdout.take().expect("its output is ours"));
    let mut first = String::new();
    greeting.read_line(&mut first).expect("it greets");
    let address =
        first.split(' ').find_map(|word| word.strip_prefix("http://")).expect("the greeting has a URL");

    let mut stream = TcpStream::connect(address.trim_end_matches(',')).expect("it listens");
    stream
        .write_all(b"GET /_projects HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n[]"), "{answer}");

    let killed = Command::new("kill").arg(program.id().to_string()).status().expect("a signal can be sent");
    assert!(killed.success());
    assert!(program.wait().expect("it ends").success());
    let mut rest = String::new();
    greeting.read_to_string(&mut rest).expect("its output ends");
    assert!(rest.contains("curl"), "{rest}");
    assert!(!home.path().join("cloud.db-wal").exists(), "the database was closed in order");
}
