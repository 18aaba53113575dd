//! What is to be said to the user manager of systemd, and what it says.

use std::path::{Path, PathBuf};

use super::marker::OnDisk;
use super::step::{Otherwise, Step, Target, removed, written};
use crate::exit::Exit;
use crate::problem::Failure;
use crate::programs::Invocation;

/// The unit's name.
pub(crate) const UNIT: &str = "coditect-sync.service";

/// The name of the unit that listens for the daemon, where it is started when somebody asks.
pub(crate) const SOCKET: &str = "coditect-sync.socket";

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) unit: PathBuf,
    pub(crate) drop_ins: PathBuf,
    pub(crate) sandbox: PathBuf,
    pub(crate) socket: PathBuf,
}

impl Files {
    /// In the user's configuration folder, which a variable may name; a relative value does not count.
    pub(crate) fn new(xdg_config_home: Option<&Path>, home: &Path) -> Self {
        let named = xdg_config_home.filter(|folder| folder.is_absolute());
        let folder = named.map_or_else(|| home.join(".config"), Path::to_path_buf).join("systemd/user");
        let drop_ins = folder.join(format!("{UNIT}.d"));
        Self {
            unit: folder.join(UNIT),
            socket: folder.join(SOCKET),
            sandbox: drop_ins.join("50-sandbox.conf"),
            drop_ins,
            folder,
        }
    }
}

/// The question whose answer [`Job::read`] reads; it fails where no user manager can be reached.
pub(crate) fn question() -> Invocation {
    let properties = "--property=LoadState,FragmentPath,ActiveState,SubState,UnitFileState,MainPID,Result,ExecMainStatus,StatusText,NRestarts,NeedDaemonReload";
    Invocation::new("systemctl", &["--user", "show", UNIT, properties])
}

/// The question where the manager looks for units.
pub(crate) fn path_question() -> Invocation {
    Invocation::new("systemctl", &["--user", "show", "--property=UnitPath"])
}

/// Whether the answer to it has a folder; `None` when it does not tell. It shows no path with white space.
pub(crate) fn looks_in(answer: &str, is_the_folder: impl Fn(&Path) -> bool) -> Option<bool> {
    let mut folders = answer.trim().strip_prefix("UnitPath=")?.split(' ').filter(|word| !word.is_empty());
    let first = folders.next()?;
    let folders: Vec<&str> = std::iter::once(first).chain(folders).collect();
    let found = folders.iter().any(|folder| is_the_folder(Path::new(folder)));
    (found || folders.iter().all(|folder| folder.starts_with('/'))).then_some(found)
}

/// The question how the socket's unit is.
pub(crate) fn socket_question() -> Invocation {
    Invocation::new(
        "systemctl",
        &["--user", "show", SOCKET, "--property=LoadState,ActiveState,UnitFileState,Result"],
    )
}

/// The question whether the manager outlives the last logout.
pub(crate) fn linger_question(user: u32) -> Invocation {
    Invocation::new("loginctl", &["show-user", &user.to_string(), "--property=Linger"])
}

/// What the answer to it says; `None` when it says nothing.
pub(crate) fn lingers(answer: &str) -> Option<bool> {
    match answer.trim() {
        "Linger=yes" => Some(true),
        "Linger=no" => Some(false),
        _ => None,
    }
}

/// How the manager sees the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Job {
    /// The file it was read from, whoever wrote it; `None` where the manager has no such unit.
    pub(crate) fragment: Option<PathBuf>,
    /// Whether the manager says that there is no such unit.
    pub(crate) is_unknown: bool,
    /// `active`, `activating`, `deactivating`, `failed` or `inactive`.
    pub(crate) active: String,
    /// The same more exactly: `running`, `auto-restart`, `dead`.
    pub(crate) sub: String,
    /// Whether it is started with the manager: `enabled`, `disabled`, `masked`.
    pub(crate) enabled: String,
    /// Its process; `None` when there is none.
    pub(crate) pid: Option<u32>,
    /// How it last ended: `success`, `exit-code`, `timeout`, `start-limit-hit`.
    pub(crate) result: String,
    /// The exit status of the last process.
    pub(crate) exit_status: Option<u8>,
    /// What the daemon says of itself.
    pub(crate) said: String,
    /// How often the manager started it again.
    pub(crate) restarts: u64,
    /// Whether its files changed since the manager read them.
    pub(crate) stale: bool,
}

impl Job {
    /// Reads lines of `NAME=VALUE`.
    pub(crate) fn read(answer: &str) -> Self {
        let value = |name: &str| {
            let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        let fragment = Some(value("FragmentPath")).filter(|path| !path.is_empty());
        Self {
            fragment: fragment.filter(|_| value("LoadState") == "loaded").map(PathBuf::from),
            is_unknown: value("LoadState") == "not-found",
            active: value("ActiveState"),
            sub: value("SubState"),
            enabled: value("UnitFileState"),
            pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
            result: value("Result"),
            exit_status: value("ExecMainStatus").parse().ok(),
            said: value("StatusText"),
            restarts: value("NRestarts").parse().unwrap_or_default(),
            stale: value("NeedDaemonReload") == "yes",
        }
    }

    /// How the last process ended, when that was no success, with what the daemon means by it.
    pub(crate) fn end(&self) -> Option<String> {
        if matches!(self.result.as_str(), "" | "success") {
            return None;
        }
        let means = match self.exit_status.filter(|_| self.result == "exit-code") {
            Some(64) => ": wrong usage",
            Some(70) => ": a part of it ended by itself",
            Some(75) => ": another daemon holds the lock",
            Some(78) => ": bad configuration, or a place that cannot be used",
            Some(79) => ": it is to be started again",
            Some(203) => ": the program cannot be run",
            Some(217 | 218 | 226) => ": this system cannot put it into its sandbox",
            Some(_) | None => "",
        };
        let status = self.exit_status.filter(|_| self.result == "exit-code");
        let status = status.map(|status| format!(" {status}")).unwrap_or_default();
        Some(format!("{}{status}{means}", self.result))
    }

    /// Whether somebody made it a service: it is started with the session, or was started.
    pub(crate) fn is_in_use(&self) -> bool {
        self.enabled.starts_with("enabled") || !matches!(self.active.as_str(), "" | "inactive")
    }

    /// Whether a process runs, or soon will.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading")
    }
}

/// The files, and what they should say; no sandbox where it would do harm, a socket where it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) unit: String,
    pub(crate) sandbox: Option<String>,
    pub(crate) socket: Option<String>,
}

/// The same files as they are on disk.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) unit: Target,
    pub(crate) sandbox: Target,
    pub(crate) socket: Target,
}

impl Found {
    /// Whether the daemon is started when somebody asks it.
    pub(crate) fn is_activated(&self) -> bool {
        self.socket.found != OnDisk::Nothing
    }

    /// The file of the manager's unit where there is none of ours, as that of a package.
    pub(crate) fn elsewhere<'a>(&self, job: &'a Job) -> Option<&'a Path> {
        self.other(job).filter(|_| self.unit.found == OnDisk::Nothing)
    }

    /// The same, also where there is one of ours that the manager did not read.
    pub(crate) fn other<'a>(&self, job: &'a Job) -> Option<&'a Path> {
        job.fragment.as_deref().filter(|file| *file != self.unit.path)
    }
}

/// What `install` does.
pub(crate) fn install(
    files: &Files,
    found: &Found,
    wanted: &Wanted,
    job: &Job,
    force: bool,
) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    let unit_steps = written(&found.unit, &wanted.unit, force)?;
    let wished = |target: &Target, text: &Option<String>| match text {
        Some(text) => written(target, text, force),
        None => removed(target, "", force),
    };
    let sandbox_steps = wished(&found.sandbox, &wanted.sandbox)?;
    let socket_steps = wished(&found.socket, &wanted.socket)?;
    let changed = !(unit_steps.is_empty() && sandbox_steps.is_empty() && socket_steps.is_empty());
    if found.is_activated() && wanted.socket.is_none() {
        steps.push(told(&["disable", "--now", SOCKET]));
    }
    if !(unit_steps.is_empty() && socket_steps.is_empty()) {
        steps.push(Step::MakeFolder { path: files.folder.clone(), mode: 0o755 });
    }
    if wanted.sandbox.is_some() && !sandbox_steps.is_empty() {
        steps.push(Step::MakeFolder { path: files.drop_ins.clone(), mode: 0o755 });
    }
    steps.extend(unit_steps);
    steps.extend(sandbox_steps);
    steps.extend(socket_steps);
    if changed {
        steps.push(told(&["daemon-reload"]));
    }
    steps.extend(prepared(&Job { stale: job.stale && !changed, ..job.clone() }));
    if wanted.socket.is_some() {
        if changed && job.runs() {
            // The manager does not listen for a daemon that runs.
            steps.push(told(&["stop", UNIT]));
        }
        if job.enabled == "enabled" {
            steps.push(told(&["disable", UNIT]));
        }
        steps.push(told(&["enable", "--now", SOCKET]));
        return Ok(steps);
    }
    steps.push(told(&["enable", "--now", UNIT]));
    if changed && job.runs() {
        // Enabling leaves a daemon that runs as it was started.
        steps.push(told(&["restart", UNIT]));
    }
    Ok(steps)
}

/// What `uninstall` does; nothing where nothing is installed.
pub(crate) fn uninstall(
    files: &Files,
    found: &Found,
    wanted: &Wanted,
    job: &Job,
    force: bool,
) -> Result<Vec<Step>, Failure> {
    let mut gone = removed(&found.unit, &wanted.unit, force)?;
    gone.extend(removed(&found.socket, wanted.socket.as_deref().unwrap_or_default(), force)?);
    let sandbox_gone = removed(&found.sandbox, wanted.sandbox.as_deref().unwrap_or_default(), force)?;
    if !sandbox_gone.is_empty() {
        gone.extend(sandbox_gone);
        gone.push(Step::RemoveFolder { path: files.drop_ins.clone() });
    }
    if gone.is_empty() {
        return match found.elsewhere(job).filter(|_| job.is_in_use()) {
            Some(file) => Err(not_ours(file)),
            None => Ok(gone),
        };
    }
    let units = if found.is_activated() { &[SOCKET, UNIT][..] } else { &[UNIT] };
    let words = [&["--user", "disable", "--now"], units].concat();
    // What the manager does not know, as files where it does not look, it cannot disable; they go all the same.
    let otherwise = if job.is_unknown { Otherwise::GoOn } else { Otherwise::Stop };
    let mut steps = match found.other(job) {
        Some(_) => Vec::new(),
        None => vec![Step::run("systemctl", &words, otherwise)],
    };
    steps.extend(gone);
    steps.push(told(&["daemon-reload"]));
    if job.active == "failed" {
        steps.push(Step::run("systemctl", &["--user", "reset-failed", UNIT], Otherwise::GoOn));
    }
    Ok(steps)
}

/// A unit that is not from a file of this user is not removed with one.
fn not_ours(file: &Path) -> Failure {
    let message = format!(
        "the service is not one of `coditect-sync service install`: its unit is `{}`, as a package brings it, and is left alone",
        file.display()
    );
    Failure::new(Exit::Failed, "service_file_foreign", message).with_hint(format!(
        "`systemctl --user disable --now {UNIT}` stops it and keeps it from being started with the session; the file goes with its package, or by the XDG_CONFIG_HOME that it was installed with"
    ))
}

/// What `start` does; where the daemon is started when somebody asks it, it is asked afterwards.
pub(crate) fn start(found: &Found, job: &Job) -> Vec<Step> {
    let unit = if found.is_activated() && !job.runs() { SOCKET } else { UNIT };
    prepared(job).into_iter().chain([told(&["start", unit])]).collect()
}

/// What `stop` does.
pub(crate) fn stop(found: &Found) -> Vec<Step> {
    let units = if found.is_activated() { &[SOCKET, UNIT][..] } else { &[UNIT] };
    vec![told(&[&["stop"], units].concat())]
}

/// What `restart` does: a socket that lost its name gets it again.
pub(crate) fn restart(found: &Found, job: &Job) -> Vec<Step> {
    if found.is_activated() {
        let stopped = Job { active: "inactive".to_owned(), ..job.clone() };
        return stop(found).into_iter().chain(start(found, &stopped)).collect();
    }
    prepared(job).into_iter().chain([told(&["restart", UNIT])]).collect()
}

/// What goes before a start: files that changed are read again, and a unit that failed too often is not started before
/// that is forgotten.
fn prepared(job: &Job) -> Vec<Step> {
    let reload = job.stale.then(|| told(&["daemon-reload"]));
    let forget = (job.active == "failed")
        .then(|| Step::run("systemctl", &["--user", "reset-failed", UNIT], Otherwise::GoOn));
    reload.into_iter().chain(forget).collect()
}

fn told(words: &[&str]) -> Step {
    Step::run("systemctl", &[&["--user"], words].concat(), Otherwise::Stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::marker::{OnDisk, sealed};

    fn target(path: &str, text: Option<&str>) -> Target {
        let found = text.map_or(OnDisk::Nothing, |text| OnDisk::Text(text.to_owned()));
        Target { path: path.into(), found, backup: format!("{path}.bak").into() }
    }

    fn files() -> Files {
        Files::new(None, Path::new("/h"))
    }

    /// Each step in a few words, with the plain part of paths.
    fn told(steps: &[Step]) -> Vec<String> {
        let line = |step: &Step| step.shown().lines().next().unwrap_or_default().to_owned();
        steps
            .iter()
            .map(line)
            .map(|line| line.replace("/h/.config/systemd/user", "DIR").replace("systemctl --user ", ""))
            .collect()
    }

    fn job(active: &str) -> Job {
        Job { active: active.to_owned(), ..Job::default() }
    }

    fn found(unit: Option<&str>, sandbox: Option<&str>, socket: Option<&str>) -> Found {
        Found {
            unit: target("/h/.config/systemd/user/coditect-sync.service", unit),
            sandbox: target("/h/.config/systemd/user/coditect-sync.service.d/50-sandbox.conf", sandbox),
            socket: target("/h/.config/systemd/user/coditect-sync.socket", socket),
        }
    }

    fn check(
        unit: Option<&str>,
        sandbox: Option<&str>,
        sandboxed: bool,
        active: &str,
        install_is: &[&str],
        uninstall_is: &[&str],
    ) {
        let files = files();
        let found = found(unit, sandbox, None);
        let sandbox = sandboxed.then(|| sealed("@MARKER@\nbox"));
        let wanted = Wanted { unit: sealed("@MARKER@\nunit"), sandbox, socket: None };
        let steps = install(&files, &found, &wanted, &job(active), false).expect("all is ours");
        assert_eq!(told(&steps), install_is, "install with {unit:?} {active}");
        let steps = uninstall(&files, &found, &wanted, &job(active), false).expect("all is ours");
        assert_eq!(told(&steps), uninstall_is, "uninstall with {unit:?} {active}");
    }

    #[test]
    fn a_daemon_that_is_started_by_who_asks_has_a_socket_that_is_enabled_in_its_place() {
        let (unit, socket) = (sealed("@MARKER@\nunit"), sealed("@MARKER@\nsocket"));
        let wanted = |activated: bool| Wanted {
            unit: unit.clone(),
            sandbox: None,
            socket: activated.then(|| socket.clone()),
        };
        let running = Job { enabled: "enabled".to_owned(), ..job("active") };
        let installed = |found: &Found, activated, job: &Job| {
            told(&install(&files(), found, &wanted(activated), job, false).expect("all is ours"))
        };
        let (mkdir, enable) = ("mkdir -p -m 0755 DIR", "enable --now coditect-sync.socket");
        let (write_unit, write) = ("write DIR/coditect-sync.service:", "write DIR/coditect-sync.socket:");
        let new = installed(&found(None, None, None), true, &job("inactive"));
        assert_eq!(new, [mkdir, write_unit, write, "daemon-reload", enable]);
        // The one there is becomes one that is asked for, and the other way round.
        let plain = found(Some(&unit), None, None);
        assert_eq!(
            installed(&plain, true, &running),
            [
                mkdir,
                write,
                "daemon-reload",
                "stop coditect-sync.service",
                "disable coditect-sync.service",
                enable
            ]
        );
        let activated = found(Some(&unit), None, Some(&socket));
        assert_eq!(installed(&activated, true, &job("active")), [enable]);
        assert_eq!(
            installed(&activated, false, &job("active")),
            [
                "disable --now coditect-sync.socket",
                mkdir,
                "rm DIR/coditect-sync.socket",
                "daemon-reload",
                "enable --now coditect-sync.service",
                "restart coditect-sync.service"
            ]
        );
        let both = "coditect-sync.socket coditect-sync.service";
        assert_eq!(told(&stop(&activated)), [format!("stop {both}")]);
        assert_eq!(told(&start(&activated, &job("inactive"))), ["start coditect-sync.socket"]);
        let again = told(&restart(&activated, &running));
        assert_eq!(again, [format!("stop {both}"), "start coditect-sync.socket".to_owned()]);
        let gone = uninstall(&files(), &activated, &wanted(true), &running, false).expect("all is ours");
        assert_eq!(
            told(&gone),
            [
                &*format!("disable --now {both}"),
                "rm DIR/coditect-sync.service",
                "rm DIR/coditect-sync.socket",
                "daemon-reload"
            ]
        );
    }

    #[test]
    fn what_is_done_depends_on_what_is_there() {
        let (unit, sandbox, old) =
            (sealed("@MARKER@\nunit"), sealed("@MARKER@\nbox"), sealed("@MARKER@\nold"));
        let enable = "enable --now coditect-sync.service";
        let disable = "disable --now coditect-sync.service";
        let write_unit = "write DIR/coditect-sync.service:";
        let write_box = "write DIR/coditect-sync.service.d/50-sandbox.conf:";
        let (rm_unit, rm_box) =
            ("rm DIR/coditect-sync.service", "rm DIR/coditect-sync.service.d/50-sandbox.conf");
        let (mkdir, mkdir_box) = ("mkdir -p -m 0755 DIR", "mkdir -p -m 0755 DIR/coditect-sync.service.d");
        let rmdir = "rmdir DIR/coditect-sync.service.d";
        let reset = "reset-failed coditect-sync.service";
        // A machine that never saw it.
        check(None, None, false, "inactive", &[mkdir, write_unit, "daemon-reload", enable], &[]);
        check(
            None,
            None,
            true,
            "inactive",
            &[mkdir, mkdir_box, write_unit, write_box, "daemon-reload", enable],
            &[],
        );
        // All is as it should be.
        check(Some(&unit), None, false, "active", &[enable], &[disable, rm_unit, "daemon-reload"]);
        check(
            Some(&unit),
            Some(&sandbox),
            true,
            "active",
            &[enable],
            &[disable, rm_unit, rm_box, rmdir, "daemon-reload"],
        );
        // An upgrade of a daemon that runs, and one that failed too often.
        let upgrade = [mkdir, write_unit, "daemon-reload", enable, "restart coditect-sync.service"];
        check(Some(&old), None, false, "active", &upgrade, &[disable, rm_unit, "daemon-reload"]);
        let mend = [mkdir, write_unit, "daemon-reload", reset, enable];
        check(Some(&old), None, false, "failed", &mend, &[disable, rm_unit, "daemon-reload", reset]);
        // A system that can no longer make namespaces.
        check(
            Some(&unit),
            Some(&sandbox),
            false,
            "active",
            &[rm_box, "daemon-reload", enable, "restart coditect-sync.service"],
            &[disable, rm_unit, rm_box, rmdir, "daemon-reload"],
        );
    }

    #[test]
    fn before_a_start_files_are_read_again_and_failures_forgotten() {
        let plain = found(Some(""), None, None);
        assert_eq!(told(&start(&plain, &job("inactive"))), ["start coditect-sync.service"]);
        assert_eq!(
            told(&start(&plain, &job("failed"))),
            ["reset-failed coditect-sync.service", "start coditect-sync.service"]
        );
        assert_eq!(told(&restart(&plain, &job("failed")))[1], "restart coditect-sync.service");
        assert_eq!(told(&stop(&plain)), ["stop coditect-sync.service"]);
        let stale = Job { stale: true, ..job("active") };
        assert_eq!(told(&restart(&plain, &stale)), ["daemon-reload", "restart coditect-sync.service"]);
    }

    #[test]
    fn a_unit_of_a_package_is_not_uninstalled_and_keeps_ours_from_nothing() {
        let unit = sealed("@MARKER@\nunit");
        let wanted = Wanted { unit: unit.clone(), sandbox: None, socket: None };
        let of = |file: &str, enabled: &str| Job {
            fragment: Some(file.into()),
            enabled: enabled.to_owned(),
            ..job("inactive")
        };
        let (theirs, ours) =
            ("/usr/lib/systemd/user/coditect-sync.service", "/h/.config/systemd/user/coditect-sync.service");
        let gone = |found: &Found, job: &Job| uninstall(&files(), found, &wanted, job, false);
        let (none, there) = (found(None, None, None), found(Some(&unit), None, None));
        let refused = gone(&none, &of(theirs, "enabled")).expect_err("it is a package's");
        assert!(
            refused.message.contains(theirs)
                && refused.hint.is_some_and(|hint| hint.contains("disable --now"))
        );
        // Nobody uses it, or the file went and the manager was not told.
        assert_eq!(gone(&none, &of(theirs, "disabled")).expect("nothing to do"), []);
        assert_eq!(gone(&none, &of(ours, "enabled")).expect("nothing to do"), []);
        assert_eq!(none.elsewhere(&of(ours, "enabled")), None);
        let disable = "disable --now coditect-sync.service";
        let rest = ["rm DIR/coditect-sync.service", "daemon-reload"];
        let steps = |job: &Job| told(&gone(&there, job).expect("it is ours"));
        assert_eq!(steps(&of(ours, "enabled")), [&[disable], &rest[..]].concat());
        // Ours is where the manager does not look: what it has is another's.
        assert_eq!(steps(&of(theirs, "enabled")), rest);
        let unknown =
            gone(&there, &Job::read("LoadState=not-found\nActiveState=inactive")).expect("it is ours");
        assert!(matches!(unknown[0], Step::Run { otherwise: Otherwise::GoOn, .. }), "{unknown:?}");
    }

    #[test]
    fn where_the_manager_looks_is_read_as_far_as_it_tells() {
        let check = |answer: &str, expected| {
            let found = looks_in(answer, |folder| folder == Path::new("/h/.config/systemd/user"));
            assert_eq!(found, expected, "{answer}");
        };
        check(
            "UnitPath=/run/user/1/systemd/transient /h/.config/systemd/user/ /usr/lib/systemd/user\n",
            Some(true),
        );
        check("UnitPath=/h/.config/systemd/user.control /usr/lib/systemd/user\n", Some(false));
        check("UnitPath=[unprintable] /usr/lib/systemd/user\n", None);
        check("UnitPath=[unprintable] /h/.config/systemd/user\n", Some(true));
        check("UnitPath=\n", None);
        check("", None);
    }

    #[test]
    fn the_folder_is_the_one_of_the_users_configuration() {
        for (given, expected) in [(None, "/h/.config"), (Some("/x"), "/x"), (Some("x"), "/h/.config")] {
            let files = Files::new(given.map(Path::new), Path::new("/h"));
            assert_eq!(files.unit, Path::new(expected).join("systemd/user/coditect-sync.service"));
        }
    }

    #[test]
    fn how_it_ended_is_told_with_what_that_means() {
        let check = |result: &str, status, expected: Option<&str>| {
            let job = Job { result: result.to_owned(), exit_status: status, ..Job::default() };
            assert_eq!(job.end().as_deref(), expected);
        };
        check("success", Some(0), None);
        check("", None, None);
        check("exit-code", Some(78), Some("exit-code 78: bad configuration, or a place that cannot be used"));
        check("exit-code", Some(3), Some("exit-code 3"));
        check("watchdog", Some(6), Some("watchdog"));
        check("start-limit-hit", Some(1), Some("start-limit-hit"));
    }

    #[test]
    fn a_package_that_goes_stops_the_socket_before_the_service() {
        for script in [
            include_str!("../../../../packaging/deb/prerm.in"),
            include_str!("../../../../packaging/rpm/coditect-sync.spec.in"),
        ] {
            let stops =
                script.lines().filter_map(|line| line.trim().strip_prefix("tell_user_managers stop "));
            let units: Vec<&str> = stops.filter_map(|rest| rest.split(' ').next()).collect();
            assert_eq!(units, [SOCKET, UNIT]);
        }
    }

    #[test]
    fn the_managers_answer_is_read() {
        let job = Job::read(
            "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=42\nResult=success\nExecMainStatus=0\nStatusText=3 waiting = few\nNRestarts=2\nNeedDaemonReload=yes\n",
        );
        assert!(job.runs());
        assert_eq!((job.pid, job.said.as_str(), job.restarts), (Some(42), "3 waiting = few", 2));
        assert!(job.stale);
        assert_eq!(Job::read("MainPID=0\n").pid, None);
        let fragment =
            |state: &str| Job::read(&format!("LoadState={state}\nFragmentPath=/u/x.service")).fragment;
        assert_eq!(["loaded", "masked", ""].map(fragment), [Some("/u/x.service".into()), None, None]);
        assert_eq!(Job::read(""), Job::default());
        assert_eq!(
            ["Linger=yes\n", "Linger=no\n", "", "Failed"].map(lingers),
            [Some(true), Some(false), None, None]
        );
    }
}
