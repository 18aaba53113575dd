//! Runs a test again in namespaces of its own: links and mounts that nobody else sees, gone when it ends.
//!
//! The test's program starts itself for the one test under `unshare`. Where the system does not allow that, or a program
//! it takes is missing, the test says so and is over.

use std::process::{Command, Stdio};

use crate::home::program;

/// Set in the process that is apart.
const INSIDE: &str = "CODITECT_TEST_APART";

/// What a test needs from its surroundings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Mounts of its own, among them file systems in memory.
    Mounts,
    /// That, and links between hosts.
    Links,
    /// Disks of its own, which only the machine's administrator has.
    Disks,
}

/// Runs `test` apart. `module` is the caller's `module_path!()`, `name` the test's own.
///
/// # Panics
/// When the test fails there.
#[expect(
    clippy::print_stderr,
    reason = "who runs the tests is to know what was not tried, and what was measured"
)]
pub fn apart(module: &str, name: &str, needs: Needs, test: impl FnOnce()) {
    if std::env::vars_os().any(|(known, _)| known == INSIDE) {
        // What every test relies on is down in a new network.
        assert!(needs == Needs::Mounts || needs == Needs::Disks || ran("ip", &["link", "set", "lo", "up"]));
        return test();
    }
    let Some(way) = needs.way() else {
        eprintln!("SKIPPED {name}: {}", needs.lacking());
        return;
    };
    let this = std::env::current_exe().expect("the path of this program");
    let programs = program("coditect-syncd");
    let module = module.split_once("::").map_or("", |(_program, module)| module);
    let mut command = Command::new(way[0]);
    command
        .args(&way[1..])
        .arg(this)
        .args(["--exact", &format!("{module}::{name}"), "--nocapture", "--test-threads=1"])
        .env(INSIDE, "yes")
        .env("CODITECT_BIN_DIR", programs.parent().expect("their folder"))
        .stdin(Stdio::null());
    let ran = command.output().expect("unshare");
    let (said, complained) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "apart it failed:\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "`{module}::{name}` is not the name of the test: {said}");
    eprint!("{complained}");
}

impl Needs {
    /// How a program is started that has all this, where it can be had.
    fn way(self) -> Option<&'static [&'static str]> {
        let administrator: &[&str] = &["unshare", "--net", "--mount", "--kill-child", "--fork"];
        let user: &[&str] =
            &["unshare", "--user", "--map-root-user", "--net", "--mount", "--kill-child", "--fork"];
        let mounts: &[&str] = &["unshare", "--mount", "--kill-child", "--fork"];
        let user_mounts: &[&str] =
            &["unshare", "--user", "--map-root-user", "--mount", "--kill-child", "--fork"];
        let ways = match self {
            Self::Mounts => vec![mounts, user_mounts],
            Self::Links => vec![administrator, user],
            Self::Disks => vec![mounts],
        };
        ways.into_iter().find(|way| {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args(["sh", "-ec", self.trial()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }

    /// What is tried first, so that a test which begins can also end.
    fn trial(self) -> &'static str {
        match self {
            Self::Mounts => "mount -t tmpfs none /mnt",
            Self::Links => {
                "mount -t tmpfs none /run; ip link set lo up; ip netns add trial; \
                 ip link add trial0 type veth peer name trial1 netns trial; nsenter --net=/run/netns/trial true"
            }
            Self::Disks => {
                "mount -t tmpfs none /mnt; truncate -s 16M /mnt/disk; mkfs.ext4 -q /mnt/disk; mkdir /mnt/at; \
                 mount -o loop /mnt/disk /mnt/at"
            }
        }
    }

    fn lacking(self) -> &'static str {
        match self {
            Self::Mounts => "needs `unshare --mount` (util-linux), as root or with user namespaces",
            Self::Links => {
                "needs `unshare --net` and `nsenter` (util-linux) and `ip` (iproute2), as root or with user namespaces"
            }
            Self::Disks => {
                "needs root, `unshare --mount` (util-linux), loop devices and `mkfs.ext4` (e2fsprogs)"
            }
        }
    }
}

/// Runs a program of the system; whether it ended well. What it complains about is shown.
///
/// # Panics
/// When it cannot be started.
pub fn ran(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(args).stdin(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{program}: {error}")).success()
}
