//! A daemon of one's own for a test: its home, its socket, its log, and its end.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_millis(10);

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let so = (0..PATIENCE.as_millis() / STEP.as_millis()).any(|_| {
        let so = so();
        if !so {
            thread::sleep(STEP);
        }
        so
    });
    assert!(so, "waited in vain until {what}");
}

/// A scratch home with a state directory, and the program in it.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    socket: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("state/sync.sock");
        for name in ["state", "projects"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).expect("a directory");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its mode");
        }
        Self { directory, socket }
    }

    /// A home whose socket is in a folder of its own, which the daemon has to be told (`--socket`).
    pub(crate) fn with_socket_apart() -> Self {
        let home = Self::new();
        Self { socket: home.directory.path().join("run/sync.sock"), ..home }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs a daemon that is not expected to stay; its exit code and what it said.
    pub(crate) fn run_to_its_end(&self) -> (Option<i32>, String) {
        let mut child = self.spawn(self.command());
        let code = end_of(&mut child);
        (code, self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coditect-syncd"));
        command.arg("--root").arg(self.path().join("projects"));
        command
    }

    pub(crate) fn spawn(&self, mut command: Command) -> Child {
        let log = File::options().append(true).create(true).open(self.path().join("log")).expect("a log");
        command
            .env_remove("CODITECT_SYNC_SOCKET")
            .env("HOME", self.path())
            .env("CODITECT_CONFIG", self.path().join("config.json"))
            .env("CODITECT_DATA_DIR", self.path().join("data"))
            .env("CODITECT_SYNC_STATE_DIR", self.path().join("state"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the daemon starts")
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) home: Home,
    child: Child,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_in(Home::new())
    }

    pub(crate) fn start_in(home: Home) -> Self {
        Self::start_with(home, |command| command)
    }

    /// Starts it by a command made from the plain one.
    pub(crate) fn start_with(home: Home, change: impl FnOnce(Command) -> Command) -> Self {
        let child = home.spawn(change(home.command()));
        let mut daemon = Self { home, child };
        until("the daemon is ready", || {
            assert!(daemon.child.try_wait().expect("its state").is_none(), "{}", daemon.log());
            crate::raw::try_get(daemon.home.socket(), "/v1/ready").is_some_and(|reply| reply.status == 200)
        });
        daemon
    }

    pub(crate) fn socket(&self) -> &Path {
        self.home.socket()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.home.log()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    pub(crate) fn terminate(&self) {
        let told = Command::new("kill").arg(self.pid().to_string()).status().expect("`kill`");
        assert!(told.success());
    }

    /// Waits for its end; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        end_of(&mut self.child)
    }

    /// Its home, for the next one.
    pub(crate) fn into_home(mut self) -> Home {
        std::mem::replace(&mut self.home, Home::new())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            write_all(std::io::stderr(), self.log().as_bytes());
        }
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

/// Writes as much as can be written; a test that fails has more to say than that it cannot be said.
fn write_all(mut to: impl std::io::Write, bytes: &[u8]) {
    to.write_all(bytes).ok();
}

fn end_of(child: &mut Child) -> Option<i32> {
    let mut code = None;
    until("the daemon ends", || {
        let ended = child.try_wait().expect("its state");
        code = ended.and_then(|status| status.code());
        ended.is_some()
    });
    code
}
