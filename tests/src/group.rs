//! A group of processes that share a limit of memory, for daemons the kernel is to kill.
//!
//! Control groups of either version, as far as the machine's administrator can make one. Gone when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Becomes the program that is named, in the group, as the one of its processes that is killed first.
const ENTER: &str =
    r#"echo $$ >"$1/cgroup.procs" && echo 1000 >/proc/self/oom_score_adj && shift && exec "$@""#;

/// Uses up memory until it is killed: there is no line in it to be printed.
const USE_UP: &str = r#"echo $$ >"$1/cgroup.procs" && exec tail /dev/zero"#;

/// The files of one version.
#[derive(Clone, Copy, Debug)]
struct Version {
    /// Where its controller of memory lies.
    root: &'static str,
    limit: &'static str,
    /// What is set to 0 so that there is no way out into swap; missing without swap.
    swap: Option<&'static str>,
    /// Has a line `oom_kill`.
    events: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version {
        root: "/sys/fs/cgroup",
        limit: "memory.max",
        swap: Some("memory.swap.max"),
        events: "memory.events",
    },
    Version {
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        swap: None,
        events: "memory.oom_control",
    },
];

/// A group of processes that share a limit of memory.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
    version: Version,
}

impl MemoryGroup {
    /// An empty group, where this machine lets us make one.
    pub fn new() -> Option<Self> {
        VERSIONS.into_iter().find_map(|version| {
            let folder = Path::new(version.root).join(format!("coditect-test-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let group = Self { folder, version };
            // Where the controller is not switched on for groups, the folder is there and its files are not.
            let can = [version.limit, version.events].iter().all(|file| group.folder.join(file).exists());
            can.then_some(group)
        })
    }

    /// Lets its processes have so many bytes together.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn limit(&self, bytes: u64) {
        fs::write(self.folder.join(self.version.limit), bytes.to_string()).expect("a limit");
        if let Some(swap) = self.version.swap.map(|file| self.folder.join(file)).filter(|file| file.exists())
        {
            fs::write(swap, "0").expect("no swap");
        }
    }

    /// What starts a program in the group such that the kernel kills it before all others there.
    pub fn first_to_be_killed_in(&self) -> [String; 5] {
        ["sh", "-c", ENTER, "sh", &self.folder.display().to_string()].map(str::to_owned)
    }

    /// Starts a process that uses up all there is, until it is killed itself.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn use_up(&self) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", USE_UP, "sh"]).arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("sh")
    }

    /// How many of its processes the kernel has killed so far.
    ///
    /// # Panics
    /// When it does not tell.
    pub fn kills(&self) -> u64 {
        let events = fs::read_to_string(self.folder.join(self.version.events)).expect("its events");
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        kills.expect("a line `oom_kill`")
    }
}

impl Drop for MemoryGroup {
    #[expect(clippy::print_stderr, reason = "what a test leaves behind is to be known")]
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{} stays: {error}", self.folder.display());
        }
    }
}
