//! The built daemon in a scratch home.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use crate::home::{Home, program, shown};
use crate::{Shown, until};

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
    announced: Vec<String>,
}

/// How a daemon ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its exit status, if it was not killed.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// What it logged.
    pub log: String,
}

impl Daemon {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, &[])
    }

    /// Starts it with these flags and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_with(home: &Home, args: &[&str]) -> Self {
        let mut daemon = Self::spawn(home, args);
        daemon.answers(home);
        daemon
    }

    /// Starts it by another program that becomes it, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_under(home: &Home, starter: &[&str]) -> Self {
        let mut daemon = Self::spawn_under(home, starter);
        daemon.answers(home);
        daemon
    }

    /// Starts it by another program that becomes it, and waits for nothing.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn_under(home: &Home, starter: &[&str]) -> Self {
        let (name, args) = starter.split_first().expect("a starter");
        Self::spawn_command(home, home.command(name).args(args).arg(program("coditect-syncd")))
    }

    /// Starts it with these flags, and waits for nothing.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(home: &Home, args: &[&str]) -> Self {
        Self::spawn_command(home, home.daemon().args(args))
    }

    fn spawn_command(home: &Home, command: &mut Command) -> Self {
        let logs = home.path().join("stderr");
        std::fs::create_dir_all(&logs).expect("the folder of the logs");
        let log = logs.join(std::fs::read_dir(&logs).expect("the folder of the logs").count().to_string());
        let file = std::fs::File::create(&log).expect("the log");
        let child = command.stdout(Stdio::null()).stderr(file).spawn().expect("the daemon");
        Self { child, log, announced: Vec::new() }
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn answers(&mut self, home: &Home) {
        until("the daemon answers", || {
            if let Some(ended) = self.child.try_wait().expect("its state") {
                panic!("it ended with {ended}: {}", self.log());
            }
            (home.run(&["--timeout", "1s", "status"]).code == 0).then_some(())
        });
    }

    /// Runs it to its end, for a daemon that does not start.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(home: &Home, args: &[&str]) -> Shown {
        shown(&home.daemon().args(args).output().expect("the daemon"))
    }

    /// What it logged until it ended, if it has ended by itself.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn has_ended(&mut self) -> Option<String> {
        let ended = self.child.try_wait().expect("its state").is_some();
        ended.then(|| self.log())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets lines with this text be warnings or errors.
    #[must_use]
    pub fn expecting(mut self, text: &str) -> Self {
        self.announced.push(text.to_owned());
        self
    }

    /// What it logged so far.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let mut file = std::fs::File::open(&self.log).expect("the log");
        file.read_to_string(&mut text).expect("text");
        text
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("kill").success(), "no {name} for {}", self.pid());
    }

    /// Kills it as a power cut would, as far as the process is concerned; what it logged until then.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end");
        self.log()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(mut self) -> Ended {
        let status = until("the daemon ends", || self.child.try_wait().expect("its state"));
        Ended { code: status.code(), signal: status.signal(), log: self.log() }
    }

    /// As [`Self::finish`], where somebody has told it to stop.
    ///
    /// # Panics
    /// In the same cases.
    pub fn finish_after_stop(self) {
        let announced = self.announced.clone();
        check_end(&self.ended(), &announced);
    }

    /// Stops it and fails when it did not end well or complained about something nobody announced.
    ///
    /// # Panics
    /// In these cases.
    pub fn finish(self) {
        self.signal("TERM");
        self.finish_after_stop();
    }
}

fn check_end(ended: &Ended, announced: &[String]) {
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let unexpected: Vec<&str> = ended
        .log
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .filter(|line| !announced.iter().any(|text| line.contains(text)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "what the daemon logged explains why a journey failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        if self.child.try_wait().is_ok_and(|state| state.is_none()) && self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
