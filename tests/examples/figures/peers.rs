//! What other daemons that watch the same folders take at rest, in the same minute. Those that are not installed are left out.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use sync_tests::{Daemon, Home, Process, now, short};

use crate::measure::Row;
use crate::projects::{surroundings, surveyed};

const MINUTE: Duration = Duration::from_mins(1);
/// One that did nothing for this long has seen everything.
const CALM: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_mins(10);

/// Another daemon, in a folder of its own.
struct Peer {
    name: &'static str,
    child: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// With the projects below `tree`, else with some that are made.
pub(crate) fn measure(tree: Option<&Path>) -> Vec<Row> {
    let (home, _cloud, roots) = surroundings(tree);
    drop_first(&home);
    let daemon = Daemon::start(&home);
    let projects = surveyed(&home).projects.total;
    let peers: Vec<Peer> =
        [watchman(&home, &roots), syncthing(&home, &roots)].into_iter().flatten().collect();

    let processes: Vec<(&str, Process)> = std::iter::once(("coditect-syncd", Process(daemon.pid())))
        .chain(peers.iter().map(|peer| (peer.name, Process(peer.child.id()))))
        .collect();
    for (_, process) in &processes {
        calm(process);
    }
    let work = |process: &Process| (process.switches(), process.written(), process.cpu());
    let before: Vec<_> = processes.iter().map(|(_, process)| work(process)).collect();
    thread::sleep(MINUTE);
    let rows = processes.iter().zip(before).map(|((name, process), (switches, written, cpu))| {
        let told = format!(
            "{} MB, {} MB of its own; {} threads, {} descriptors, {} watches; {} switches, {} kB written, {} ms of processor",
            short(process.pss() / 1024.0),
            short(process.anonymous() / 1024.0),
            process.threads(),
            process.descriptors(),
            process.watches(),
            process.switches() - switches,
            process.written() - written,
            process.cpu().saturating_sub(cpu).as_millis(),
        );
        Row::alone(format!("at rest for 60 s with {projects} projects: {name}"), told)
    });
    let rows = rows.collect();
    daemon.finish();
    rows
}

/// The first look and its registrations are not what is compared: every peer begins with what it keeps.
fn drop_first(home: &Home) {
    let first = Daemon::start(home);
    surveyed(home);
    first.finish();
}

fn calm(process: &Process) {
    let begun = now();
    let (mut last, mut since) = (process.cpu(), now());
    while since.elapsed() < CALM && begun.elapsed() < LONGEST {
        thread::sleep(CALM / 20);
        if process.cpu() != last {
            (last, since) = (process.cpu(), now());
        }
    }
}

/// Watches every file below the folder.
fn watchman(home: &Home, roots: &Path) -> Option<Peer> {
    let folder = own_folder(home, "watchman");
    let place = |name: &str| format!("--{name}={}", folder.join(name).display());
    let of_it = |command: &mut Command| {
        command.env("HOME", &folder).args([place("sockname"), place("statefile"), place("logfile")]);
    };
    let mut serve = Command::new("watchman");
    of_it(&mut serve);
    let peer = started("watchman", serve.args(["--foreground", "--no-save-state"]), &folder)?;
    let begun = now();
    while !folder.join("sockname").exists() && begun.elapsed() < MINUTE {
        thread::sleep(Duration::from_millis(50));
    }
    let mut ask = Command::new("watchman");
    of_it(&mut ask);
    let told = ask.args(["--no-spawn", "watch"]).arg(roots).output().ok()?;
    assert!(told.status.success(), "watchman does not watch: {told:?}");
    Some(peer)
}

/// Keeps the folder for others, of whom there are none, and talks to nobody.
fn syncthing(home: &Home, roots: &Path) -> Option<Peer> {
    let folder = own_folder(home, "syncthing");
    let config = format!(
        r#"<configuration version="36">
<folder id="tree" path="{}" type="sendonly" rescanIntervalS="3600" fsWatcherEnabled="true" markerName=".">
</folder>
<gui enabled="false"></gui>
<options>
<listenAddress>tcp://127.0.0.1:0</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled>
<natEnabled>false</natEnabled>
<urAccepted>-1</urAccepted>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<crashReportingEnabled>false</crashReportingEnabled>
<startBrowser>false</startBrowser>
</options>
</configuration>
"#,
        roots.display()
    );
    fs::write(folder.join("config.xml"), config).expect("a configuration");
    let mut serve = Command::new("syncthing");
    serve.arg("serve").arg(format!("--home={}", folder.display())).arg("--no-browser");
    // Without this it starts itself a second time and only looks after that.
    serve.env("HOME", &folder).env("STMONITORED", "yes");
    started("syncthing", &mut serve, &folder)
}

fn own_folder(home: &Home, name: &str) -> std::path::PathBuf {
    let folder = home.path().join("peers").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Nothing where there is no such program.
fn started(name: &'static str, command: &mut Command, folder: &Path) -> Option<Peer> {
    let log = File::create(folder.join("output")).expect("a log");
    let errors = log.try_clone().expect("a log");
    let child = command.stdout(log).stderr(errors).spawn().ok()?;
    Some(Peer { name, child })
}
