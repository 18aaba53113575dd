//! Runs other programs and finds them; nothing else in this program does.
//!
//! Every run has a limit: a service manager that does not answer must not make a command hang.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::fs::{Access, access};
use sync_config::Environment;

use crate::clock;

/// Between two looks at a program that runs.
const NAP: Duration = Duration::from_millis(5);

/// How long what a program wrote may take to arrive after its end: something it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

impl Invocation {
    pub(crate) fn new(program: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { program: program.to_owned(), arguments }
    }
}

impl fmt::Display for Invocation {
    /// As it would be typed into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&typed(&self.program))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", typed(argument)))
    }
}

/// A word as it is typed into a shell.
pub(crate) fn typed(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Whether it ended with status 0.
    pub(crate) succeeded: bool,
    /// What it wrote to its standard output.
    pub(crate) output: String,
    /// Its first words to the standard error, else how it ended; what follows is advice mostly.
    pub(crate) complaint: String,
}

/// The programs of this machine.
#[derive(Debug)]
pub(crate) struct Programs {
    folders: Vec<PathBuf>,
    /// Set for those that run, because this process lacks it.
    runtime_dir: Option<PathBuf>,
}

impl Programs {
    /// Those on `PATH`. A login without its session's variables still finds the user manager, if there is one.
    pub(crate) fn new(environment: &Environment) -> Self {
        let path: OsString = environment.variable("PATH").unwrap_or_default();
        let runtime_dir = match environment.variable("XDG_RUNTIME_DIR") {
            Some(_) => None,
            None => Some(PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw())))
                .filter(|folder| folder.is_dir()),
        };
        Self { folders: std::env::split_paths(&path).collect(), runtime_dir }
    }

    /// Where a program is.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    /// Runs a program to its end; it has nothing to read.
    ///
    /// # Errors
    /// When it cannot be started, or runs longer than the limit and is ended.
    pub(crate) fn run(&self, invocation: &Invocation, limit: Duration) -> io::Result<Ran> {
        let mut command = Command::new(&invocation.program);
        command
            .args(&invocation.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &self.runtime_dir {
            command.env("XDG_RUNTIME_DIR", folder);
        }
        let mut child = command.spawn()?;
        let output = child.stdout.take().map(heard);
        let complaint = child.stderr.take().map(heard);
        let deadline = clock::moment() + limit;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if clock::moment() >= deadline {
                child.kill()?;
                child.wait()?;
                let message = format!("it did not end within {} s", limit.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            std::thread::sleep(NAP);
        };
        let complaint = said(complaint);
        let complaint =
            complaint.lines().find(|line| !line.trim().is_empty() && !line.starts_with("Warning:"));
        Ok(Ran {
            succeeded: status.success(),
            output: said(output),
            complaint: complaint.map_or_else(|| ended(status), |line| line.trim().to_owned()),
        })
    }
}

/// Whether this user may run the file.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| "it was killed".to_owned(), |code| format!("it ended with status {code}"))
}

fn heard(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What arrived before an error is worth as much; nobody may be left to hear it.
        pipe.read_to_end(&mut bytes).unwrap_or_default();
        sender.send(bytes).unwrap_or_default();
    });
    receiver
}

fn said(pipe: Option<Receiver<Vec<u8>>>) -> String {
    let bytes = pipe.and_then(|pipe| pipe.recv_timeout(LAST_WORDS).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration) -> io::Result<Ran> {
        let programs = Programs { folders: Vec::new(), runtime_dir: None };
        programs.run(&Invocation::new("/bin/sh", &["-c", script]), limit)
    }

    #[test]
    fn what_came_of_a_run_is_told() {
        let minute = Duration::from_mins(1);
        let ran = run("echo out; echo Warning: x >&2; echo first >&2; echo last >&2; exit 3", minute)
            .expect("a shell is there");
        assert_eq!((ran.succeeded, ran.output.as_str(), ran.complaint.as_str()), (false, "out\n", "first"));
        let ran = run("exit 3", minute).expect("a shell is there");
        assert_eq!((ran.succeeded, ran.complaint.as_str()), (false, "it ended with status 3"));
        assert!(run("exit 0", minute).expect("a shell is there").succeeded);
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let error = run("exec sleep 600", Duration::from_millis(50)).expect_err("it is too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_invocation_reads_as_it_is_typed() {
        let invocation = Invocation::new("systemctl", &["--user", "a b", "it's", "", "$x"]);
        assert_eq!(invocation.to_string(), r"systemctl --user 'a b' 'it'\''s' '' '$x'");
    }
}
