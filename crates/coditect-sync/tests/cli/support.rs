//! A home, a daemon that says what it is told to, and the program run between them.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A home of its own, with nothing in it.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

/// How the program ended, in the form of a snapshot.
pub(crate) struct Run {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One answer of the scripted daemon.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) body: String,
}

pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply { status: "200 OK", body: body.into() }
}

/// A moment so many seconds before the present, as the daemon writes it.
pub(crate) fn ago(seconds: i64) -> String {
    moment(-seconds)
}

/// A moment so many seconds from now.
pub(crate) fn ahead(seconds: i64) -> String {
    moment(seconds)
}

#[expect(clippy::disallowed_methods, reason = "the program compares with the present")]
fn moment(seconds: i64) -> String {
    let moment = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    moment.format(&Rfc3339).expect("a year of four digits")
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    /// A home that a service with temporary files of its own can see.
    pub(crate) fn outside_of_temporary_files() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        Self { directory }
    }

    /// The home's path, as the system knows it.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().expect("it exists")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("sync.sock")
    }

    /// Starts a daemon that gives these answers, one for each request, whatever the connection; its requests are
    /// returned when all are given.
    pub(crate) fn daemon(&self, replies: Vec<Reply>) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(self.socket()).expect("bound");
        let socket = self.socket();
        std::thread::spawn(move || {
            let mut requests = Vec::new();
            let mut replies = replies.into_iter();
            while replies.len() > 0 {
                let (mut stream, _) = listener.accept().expect("a connection");
                while let Some(request) = request(&mut stream) {
                    requests.push(request);
                    let Reply { status, body } = replies.next().expect("a reply is left");
                    let length = body.len();
                    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
                        .expect("written");
                    if replies.len() == 0 {
                        break;
                    }
                }
            }
            std::fs::remove_file(socket).expect("the socket goes with the daemon");
            requests
        })
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A program that does not read its input is free not to.
        stdin.write_all(input.as_ref()).ok();
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let home = self.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").replace(&home, "HOME");
        Run {
            exit: output.status.code().expect("not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Makes a program that is found on this home's search path; it writes down how it was called before it runs the
    /// script.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let bin = self.path().join("bin");
        std::fs::create_dir_all(&bin).expect("made");
        let calls = self.path().join("calls");
        let text = format!("#!/bin/sh\necho \"{name} $*\" >>'{}'\n{script}\n", calls.display());
        std::fs::write(bin.join(name), text).expect("written");
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// How programs were called since it was last asked, a line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        let home = self.path().display().to_string();
        let file = self.path().join("calls");
        let calls = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, "").expect("it is ours");
        calls.lines().map(|line| line.replace(&home, "HOME")).collect()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coditect-sync"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", self.path().join("bin"))
            .env("CODITECT_SYNC_STATE_DIR", self.path())
            .current_dir(self.path());
        command
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.exit, self.stdout, self.stderr)
    }
}

/// Reads one request; `None` when the other side has nothing more to ask.
fn request(stream: &mut UnixStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).expect("text");
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next())
        .map_or(0, |digits| digits.parse::<usize>().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    let (line, _) = head.split_once(" HTTP/1.1")?;
    Some(format!("{line} {}", String::from_utf8(body).expect("text")).trim_end().to_owned())
}
