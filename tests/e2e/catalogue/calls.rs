//! System calls that fail: `strace` makes them, at the start and while the daemon runs.
//!
//! Not tried, because the system never does it: an event counter or a socket pair of the process's own that fails (what
//! ends a runtime or a signal's way into it), and random numbers that are refused.
//! Memory that is refused while it runs is not tried either: the language ends the process where a new thread finds none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sync_tests::{Cloud, Daemon, Home, PATIENCE, Shown, until};
use sync_wire::Client;

use super::{cloud, each, has, home_of, knows};

/// A call, how it fails, from which time on and how often, and what is to come of it.
type Case<T> = (&'static str, &'static str, Often, T);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Often {
    Always,
    /// Every second time, as an interruption that is no end.
    EverySecond,
}

use Often::{Always, EverySecond};

/// How a start ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Start {
    /// It works all the same.
    Works,
    /// With this exit code and a reason.
    Ends(i32),
}

use Start::{Ends, Works};

/// 70 is tried again by the service manager, 75 and 78 are not: nothing that may pass may end with them.
const AT_START: &[Case<Start>] = &[
    ("openat", "EMFILE", Always, Ends(70)),
    ("openat", "ENFILE", Always, Ends(70)),
    ("openat", "EIO", Always, Ends(70)),
    ("openat", "EACCES", Always, Ends(78)),
    ("openat", "EINTR", EverySecond, Works),
    ("read", "EIO", Always, Ends(70)),
    ("read", "EINTR", EverySecond, Works),
    ("pread64", "EIO", Always, Ends(70)),
    ("pwrite64", "ENOSPC", Always, Ends(70)),
    ("pwrite64", "EIO", Always, Ends(70)),
    ("pwrite64", "EINTR", EverySecond, Works),
    ("fsync", "ENOSPC", Always, Ends(70)),
    ("fsync", "EIO", Always, Ends(70)),
    ("fdatasync", "ENOSPC", Always, Ends(70)),
    ("fdatasync", "EIO", Always, Ends(70)),
    ("ftruncate", "ENOSPC", Always, Ends(70)),
    ("ftruncate", "EROFS", Always, Ends(78)),
    ("fallocate", "ENOSPC", Always, Works),
    ("mkdir", "ENOSPC", Always, Ends(70)),
    ("mkdir", "EACCES", Always, Ends(78)),
    ("mkdir", "EROFS", Always, Ends(78)),
    ("linkat", "EROFS", Always, Ends(78)),
    ("unlink", "EACCES", Always, Ends(78)),
    ("rename", "EACCES", Always, Ends(70)),
    ("getdents64", "EIO", Always, Works),
    ("socket", "EMFILE", Always, Ends(70)),
    ("socket", "ENFILE", Always, Ends(70)),
    ("bind", "EACCES", Always, Ends(78)),
    ("flock", "EAGAIN", Always, Ends(75)),
    ("flock", "ENOLCK", Always, Ends(70)),
    ("epoll_create1", "EMFILE", Always, Ends(70)),
    ("eventfd2", "EMFILE", Always, Ends(70)),
    ("socketpair", "EMFILE", Always, Ends(70)),
    ("inotify_init1", "EMFILE", Always, Works),
    ("inotify_add_watch", "ENOSPC", Always, Works),
    ("inotify_add_watch", "ENOMEM", Always, Works),
    ("clone3", "EAGAIN", Always, Ends(70)),
    ("mmap", "ENOMEM", Always, Ends(70)),
];

#[test]
fn a_call_that_fails_while_it_starts_ends_it_with_a_reason_or_does_not_matter() {
    if !can_trace() {
        return;
    }
    let (_keeper, cloud) = cloud();
    let Some(before) = calls_before_it_begins(&cloud) else { return };
    let before = |call: &str| before.iter().filter(|made| *made == call).count();
    each(AT_START, |&(call, error, often, expected)| {
        let fault = injected(call, error, before(call) + 1, often);
        let mut home = home_of(&cloud);
        let trace = home.path().join("trace");
        home.start_daemon_by(&[
            "strace",
            "-D",
            "-f",
            "-qq",
            "-o",
            text(&trace),
            "-e",
            &format!("trace={call}"),
            "-e",
            &fault,
        ]);
        let mut daemon = Daemon::spawn(&home, &[]);
        let answers = until(&format!("it answers or ends, with {fault}"), || match daemon.has_ended() {
            Some(_) => Some(false),
            None => (home.run(&["--timeout", "1s", "status"]).code == 0).then_some(true),
        });
        if answers {
            daemon.signal("TERM");
        }
        let ended = daemon.ended();
        if !fs::read_to_string(&trace).unwrap_or_default().contains("INJECTED") {
            super::skipped(&format!("{call} is not called here"));
            return Ok(());
        }
        let reason = ended.log.lines().last().unwrap_or_default();
        let said = reason.starts_with("coditect-syncd: ") && !ended.log.contains("panicked");
        let well = match expected {
            Works => answers && ended.code == Some(0),
            Ends(code) => !answers && ended.code == Some(code) && said,
        };
        if !well {
            return Err(format!("{fault}: expected {expected:?}, answers {answers}, {ended:?}"));
        }
        // Nothing of it is left.
        home.start_daemon_by(&[]);
        let daemon = Daemon::start(&home);
        daemon.signal("TERM");
        let again = daemon.ended();
        if again.code == Some(0) { Ok(()) } else { Err(format!("after {fault}: {again:?}")) }
    });
}

/// What it does meanwhile.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Meanwhile {
    /// It answers questions, and says this of its trouble, if there is any.
    Answers(&'static str),
    /// Nobody gets through to it.
    Silent(&'static str),
    /// It answers or has ended with 70, so that the service manager starts it again.
    MayEnd,
}

use Meanwhile::{Answers, MayEnd, Silent};

const NO_THREAD: &str = "the system gives no thread";

const WHILE_IT_RUNS: &[Case<Meanwhile>] = &[
    ("pwrite64", "ENOSPC", Always, Answers("the disk is full")),
    ("pwrite64", "EIO", Always, Answers("the disk is full")),
    ("fdatasync", "EIO", Always, Answers("the disk is full")),
    ("fsync", "EIO", Always, Answers("")),
    ("ftruncate", "ENOSPC", Always, Answers("")),
    ("pread64", "EIO", Always, MayEnd),
    ("openat", "EMFILE", Always, Answers("")),
    ("openat", "EACCES", Always, Answers("")),
    ("read", "EIO", Always, Answers("")),
    ("getdents64", "EIO", Always, Answers("")),
    ("statx", "EIO", Always, Answers("")),
    ("socket", "EMFILE", Always, Answers("")),
    ("socket", "ENFILE", Always, Answers("")),
    ("connect", "ENETUNREACH", Always, Answers("")),
    ("connect", "EPERM", Always, Answers("")),
    ("accept4", "EMFILE", Always, Silent("is not accepted")),
    ("accept4", "ENFILE", Always, Silent("is not accepted")),
    ("epoll_ctl", "ENOMEM", Always, Silent("is not accepted")),
    ("sendto", "ECONNRESET", Always, Silent("")),
    ("inotify_add_watch", "ENOSPC", Always, Answers("cannot be watched")),
    ("clone3", "EAGAIN", Always, Answers(NO_THREAD)),
    ("pipe2", "EMFILE", Always, Answers(NO_WORKER)),
    ("execve", "EACCES", Always, Answers(NO_WORKER)),
    ("openat", "EINTR", EverySecond, Answers("")),
    ("pread64", "EINTR", EverySecond, Answers("")),
    ("pwrite64", "EINTR", EverySecond, Answers("")),
    ("epoll_wait", "EINTR", EverySecond, Answers("")),
    ("getdents64", "EINTR", EverySecond, Answers("")),
];

#[test]
fn a_call_that_fails_while_it_runs_loses_nothing_and_it_goes_on_afterwards() {
    if !can_trace() {
        return;
    }
    let (_keeper, cloud) = cloud();
    each(WHILE_IT_RUNS, |case| {
        // A call that `strace` had begun to fail when it let go fails as one that does not exist, which is no error any
        // system answers with: that is tried again.
        let mut tried = fails_while_it_runs(&cloud, case);
        for _ in 0..3 {
            if tried.as_ref().is_err_and(|words| words.contains(NO_SUCH_CALL)) {
                tried = fails_while_it_runs(&cloud, case);
            }
        }
        tried
    });
}

const NO_WORKER: &str = "projects are examined in the daemon itself: there is no worker";
/// What the system says of a call that does not exist.
const NO_SUCH_CALL: &str = "Function not implemented";

fn fails_while_it_runs(cloud: &Cloud, case: &Case<Meanwhile>) -> Result<(), String> {
    let &(call, error, often, expected) = case;
    let fault = injected(call, error, 1, often);
    let home = home_of(cloud);
    home.project("before");
    let mut daemon = Daemon::start(&home);
    until("it is found", || knows(cloud, text(&home.roots().join("before"))).then_some(()));
    let Some(tracer) = Tracer::attach(&daemon, call, &fault, None) else { return Ok(()) };
    let during = home.project("during");
    let mut promised = Vec::new();
    // Who gets no answer waits for one in vain.
    let (words, patience, timeout) = match expected {
        Answers(words) => (words, PATIENCE, "2m"),
        Silent(words) => (words, Duration::from_secs(3), "3s"),
        MayEnd => ("", Duration::from_secs(3), "3s"),
    };
    for number in 0..3 {
        promised.extend(register(&home, number, patience));
    }
    let status = home.run(&["--timeout", timeout, "status"]);
    until(&format!("{fault}: it says `{words}`"), || daemon.log().contains(words).then_some(()));
    let ended = daemon.has_ended();
    tracer.detach();
    let log = daemon.log();
    let panicked = log.contains("panicked") && !log.contains("OS can't spawn worker thread");
    let well = match expected {
        Answers(_) => status.code == 0 && ended.is_none(),
        Silent(_) => status.code == 69 && ended.is_none(),
        MayEnd => true,
    };
    if !well || panicked {
        return Err(format!("{fault}: expected {expected:?}, {status:?}, {log}"));
    }
    if ended.is_some() || expected == MayEnd {
        let code = daemon_code(daemon);
        if code.is_some_and(|code| code != 70) {
            return Err(format!("{fault}: it ended with {code:?}, {log}"));
        }
        daemon = Daemon::start(&home);
    } else {
        until("it answers again or has ended", || {
            let answers = home.run(&["--timeout", "1s", "status"]).code == 0;
            (answers || daemon.has_ended().is_some()).then_some(())
        });
        if let Some(log) = daemon.has_ended() {
            return Err(format!("{fault}: it has ended: {log}"));
        }
    }
    // Who was told of nothing while it could not look is told by the next look, which comes by itself; here it is
    // asked for.
    let looked = until("it looks again", || {
        let looked = home.run(&["scan"]);
        (looked.code == 0).then_some(looked)
    });
    promised.push(during);
    let missing = arrived(&home, cloud, &promised);
    daemon.signal("TERM");
    let ended = daemon.ended();
    if !missing.is_empty() || ended.code != Some(0) {
        return Err(format!("{fault}: {missing:?} did not arrive; {looked:?}; {ended:?}"));
    }
    Ok(())
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    if !can_trace() {
        return;
    }
    let (home, cloud) = crate::world();
    let mut daemon = Daemon::start(&home).expecting("the log cannot be written");
    let logs = fs::read_dir(home.state().join("logs")).expect("the logs");
    let log = logs.map(|entry| entry.expect("an entry").path()).next().expect("a log");
    let fault = injected("write", "ENOSPC", 1, Always);
    let Some(tracer) = Tracer::attach(&daemon, "write", &fault, Some(&log)) else { return daemon.finish() };
    let before = fs::metadata(&log).expect("the log").len();
    let promised: Vec<PathBuf> = (0..3).filter_map(|number| register(&home, number, PATIENCE)).collect();
    assert_eq!(promised.len(), 3);
    assert_eq!(arrived(&home, &cloud, &promised), Vec::<PathBuf>::new());
    assert_eq!(fs::metadata(&log).expect("the log").len(), before, "nothing was written");
    assert!(daemon.log().contains("registration delivered"), "what goes to stderr is not lost");
    tracer.detach();
    let more = register(&home, 3, PATIENCE).expect("it is taken");
    assert_eq!(arrived(&home, &cloud, &[more]), Vec::<PathBuf>::new());
    until("it is written again", || (fs::metadata(&log).ok()?.len() > before).then_some(()));
    assert!(daemon.has_ended().is_none());
    daemon.finish();
}

/// So often it is asked whether `strace` has let go by itself, a hundred times a second.
const LETS_GO_WITHIN: u32 = 500;

/// `strace` with its hold on a daemon.
struct Tracer(Child);

impl Tracer {
    /// `None`, and said so, where the system does not allow it.
    fn attach(daemon: &Daemon, call: &str, fault: &str, path: Option<&Path>) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", fault]);
        command.args(path.iter().flat_map(|path| ["-P", text(path)]));
        command.args(["-p", &daemon.pid().to_string()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
        let status = format!("/proc/{}/status", daemon.pid());
        let held = until("it is traced", || {
            if child.try_wait().expect("its state").is_some() {
                return Some(false);
            }
            let status = fs::read_to_string(&status).ok()?;
            let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
            (tracer.trim() != "0").then_some(true)
        });
        if !held {
            super::skipped(&format!(
                "SKIPPED {fault}: the system does not let `strace` hold a program of the same user"
            ));
            return None;
        }
        Some(Self(child))
    }

    fn detach(mut self) {
        // It ends by itself when the daemon has ended.
        let told = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().expect("kill");
        let mut asked = 0;
        let ended = until("strace lets go", || {
            asked += 1;
            // One after the other it waits for each thread to stand still, and a thread that is starting a process does not
            // before that process runs, which strace holds as well. The kernel lets go of all for a tracer that is gone.
            if asked == LETS_GO_WITHIN {
                self.0.kill().expect("it is ours");
            }
            self.0.try_wait().expect("its state")
        });
        assert!(told.success() || ended.code().is_some(), "{ended}");
    }
}

/// The exit code of a daemon that has ended, or else is stopped here.
fn daemon_code(mut daemon: Daemon) -> Option<i32> {
    if daemon.has_ended().is_none() {
        daemon.signal("KILL");
    }
    daemon.ended().code
}

/// Registers a folder that no scan finds; the folder, when the daemon promised to deliver it.
fn register(home: &Home, number: u32, patience: Duration) -> Option<PathBuf> {
    let root = home.path().join(format!("work/{number}"));
    fs::create_dir_all(&root).expect("a project");
    let mut client = Client::new(home.state().join("sync.sock"), patience);
    let draft = json!({
        "root_path": root, "project_name": format!("w{number}"), "primary_language": "", "framework": "",
        "content_hash": format!("{number:040x}"), "project_type": "standalone",
    });
    let answer = client.request("POST", "/v1/projects", Some(&draft)).ok()?;
    (answer.status == 200 || answer.status == 202).then_some(root)
}

/// Waits until all of them are in the cloud; those that are not.
fn arrived(home: &Home, cloud: &Cloud, promised: &[PathBuf]) -> Vec<PathBuf> {
    let missing =
        || -> Vec<PathBuf> { promised.iter().filter(|root| !knows(cloud, text(root))).cloned().collect() };
    let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    loop {
        let left = missing();
        let waited = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(begun);
        if left.is_empty() || waited > PATIENCE {
            return left;
        }
        let _flushed: Shown = home.run(&["queue", "flush", "--wait=1s"]);
    }
}

/// All calls the first thread makes before the daemon's own first one, which sets the mode of new files.
fn calls_before_it_begins(cloud: &Cloud) -> Option<Vec<String>> {
    let mut home = home_of(cloud);
    let trace = home.path().join("trace");
    home.start_daemon_by(&["strace", "-D", "-f", "-qq", "-o", text(&trace)]);
    let daemon = Daemon::start(&home);
    let pid = daemon.pid().to_string();
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code, Some(0));
    let trace = fs::read_to_string(trace).expect("the trace");
    let calls = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(thread, _)| *thread == pid)
        .filter_map(|(_, call)| Some(call.trim_start().split_once('(')?.0.to_owned()));
    let before: Vec<String> = calls.take_while(|call| call != "umask").collect();
    if before.len() > 1_000 {
        super::skipped("SKIPPED: it is not known where the daemon begins in its trace");
        return None;
    }
    Some(before)
}

fn injected(call: &str, error: &str, first: usize, often: Often) -> String {
    let step = match often {
        Always => "",
        EverySecond => "2",
    };
    format!("inject={call}:error={error}:when={first}+{step}")
}

fn can_trace() -> bool {
    // The names of the calls are those of this processor.
    let can = cfg!(all(target_os = "linux", target_arch = "x86_64")) && has("strace");
    if !can {
        super::skipped("SKIPPED: needs `strace` on Linux, x86_64");
    }
    can
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}
