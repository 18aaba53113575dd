//! `service` with managers that write down what they are told, and with the checker of systemd where it is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::status;
use crate::support::{Home, Reply, Run, ok};

/// The pid of the scripted daemon.
const SHOWN: &str = "ActiveState=STATE\nSubState=SUB\nUnitFileState=enabled\nMainPID=42\nResult=RESULT\nExecMainStatus=78\nStatusText=\nNRestarts=0";

const ASKS: &str = "systemctl --user show coditect-sync.service --property=LoadState,FragmentPath,ActiveState,SubState,UnitFileState,MainPID,Result,ExecMainStatus,StatusText,NRestarts,NeedDaemonReload";

fn shown(state: &str) -> String {
    let (sub, result) = match state {
        "active" => ("running", "success"),
        "failed" => ("failed", "exit-code"),
        _ => ("dead", "success"),
    };
    SHOWN.replace("STATE", state).replace("SUB", sub).replace("RESULT", result)
}

/// A user manager that says how the unit is, and does nothing.
pub(crate) fn systemd(home: &Home, state: &str) {
    home.program(
        "systemctl",
        &format!(
            "case $2 in show) echo '{}';; esac\n[ ! -e '{}/refuses' ] || {{ echo 'no bus' >&2; exit 1; }}",
            shown(state),
            home.path().display()
        ),
    );
    home.program("coditect-syncd", "");
    home.program("loginctl", "echo Linger=no");
}

fn unit(home: &Home) -> PathBuf {
    home.path().join(".config/systemd/user/coditect-sync.service")
}

fn ready() -> Reply {
    ok(r#"{"ready":true,"why":null}"#)
}

/// Runs a command while a daemon answers as one does that has just been started.
fn run_started(home: &Home, arguments: &[&str], asked_before: bool) -> Run {
    let before = if asked_before { vec![status("online", &[])] } else { Vec::new() };
    let daemon = home.daemon([before, vec![ready(), status("online", &[])]].concat());
    let run = home.run(arguments);
    daemon.join().expect("all was asked for");
    run
}

/// Text without what differs from build to build: the daemon beside the tested program, and the marker.
fn plain(text: &str) -> String {
    let beside = Path::new(env!("CARGO_BIN_EXE_coditect-sync")).with_file_name("coditect-syncd");
    let text = text.replace(&beside.display().to_string(), "HOME/bin/coditect-syncd");
    let lines = text
        .lines()
        .filter(|line| !line.contains("is in a build folder") && !line.contains("for temporary files"));
    let words = ["install, version ", "the stricter sandbox is left out"];
    lines
        .map(|line| match words.iter().find_map(|word| Some((line.split_once(word)?.0, word))) {
            Some((before, word)) => format!("{before}{word}..."),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn check(name: &str, run: &Run) {
    insta::assert_snapshot!(name.replace(' ', "-"), plain(&run.to_string()));
}

#[test]
fn a_service_is_installed_shown_and_removed() {
    let home = Home::new();
    systemd(&home, "active");
    let run = run_started(&home, &["service", "install"], true);
    check("service install", &run);
    let enable = "systemctl --user enable --now coditect-sync.service";
    assert_eq!(
        home.calls(),
        [
            ASKS,
            "systemctl --user show --property=UnitPath",
            "loginctl show-user UID --property=Linger",
            "systemctl --user daemon-reload",
            enable,
            "systemctl --user restart coditect-sync.service"
        ]
        .map(|line| line.replace("UID", &rustix::process::getuid().as_raw().to_string()))
    );
    let text = fs::read_to_string(unit(&home)).expect("it is written");
    assert!(text.starts_with("# written by coditect-sync service install, version "), "{text}");
    assert_eq!(fs::metadata(unit(&home)).expect("it is there").permissions().mode() & 0o777, 0o644);
    let left: Vec<_> = fs::read_dir(unit(&home).parent().expect("a folder")).expect("read").collect();
    assert_eq!(left.len(), 1, "{left:?}");

    // Once more: nothing is written, nothing is restarted.
    let written = fs::metadata(unit(&home)).expect("it is there").modified().expect("a time");
    let run = run_started(&home, &["service", "install"], true);
    assert_eq!(run.exit, 0, "{run}");
    assert_eq!(fs::metadata(unit(&home)).expect("it is there").modified().expect("a time"), written);
    let calls = home.calls();
    assert_eq!(calls.iter().filter(|call| !call.contains("show")).collect::<Vec<_>>(), [enable]);

    let daemon = home.daemon(vec![status("online", &[])]);
    check("service status", &home.run(&["service", "status"]));
    daemon.join().expect("asked");
    let newer = || status("online", &[(r#""version":"0.1.0""#, r#""version":"0.2.0""#)]);
    let daemon = home.daemon(vec![newer(), newer()]);
    let run = home.run(&["service", "status"]);
    assert!(run.stderr.contains("the daemon is 0.2.0 and this program 0.1.0"), "{run}");
    let run = home.run(&["service", "status", "--json"]);
    daemon.join().expect("asked twice");
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!((&document["file"]["state"], &document["job"]["pid"]), (&"current".into(), &42.into()));
    check("service status without a daemon", &home.run(&["service", "status"]));
    home.calls();

    check("service uninstall", &home.run(&["service", "uninstall"]));
    let calls = home.calls();
    assert_eq!(
        calls[1..],
        ["systemctl --user disable --now coditect-sync.service", "systemctl --user daemon-reload"]
    );
    assert!(!unit(&home).exists());
    // And once more.
    check("service uninstall again", &home.run(&["service", "uninstall"]));
    assert_eq!(home.calls(), [ASKS]);
    assert_eq!(home.run(&["service", "status"]).exit, 3);
}

#[test]
fn a_dry_run_shows_everything_and_does_nothing() {
    let home = Home::new();
    systemd(&home, "inactive");
    let before = entries(&home.path());
    let run = home.run(&["service", "install", "--dry-run"]);
    check("service install dry run", &run);
    let calls = home.calls();
    assert!(calls.iter().all(|call| call.contains(" show")), "{calls:?}");
    fs::remove_file(home.path().join("calls")).expect("it is there");
    assert_eq!(entries(&home.path()), before);
    let run = home.run(&["service", "install", "--dry-run", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!(
        (run.stderr.as_str(), &document["dry_run"], &document["daemon"]),
        ("", &true.into(), &serde_json::Value::Null)
    );
    assert_eq!(document["steps"][1]["do"], "make_folder");
    assert!(document["steps"].as_array().expect("steps").iter().any(|step| step["do"] == "write"));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("read").map(|entry| entry.expect("read").path()).collect();
    entries.sort();
    entries
}

#[test]
fn what_somebody_else_wrote_is_left_alone_and_kept_when_overruled() {
    let home = Home::new();
    systemd(&home, "inactive");
    fs::create_dir_all(unit(&home).parent().expect("a folder")).expect("made");
    let theirs = "[Service]\nExecStart=/theirs\n";
    fs::write(unit(&home), theirs).expect("written");
    for verb in ["install", "uninstall"] {
        let run = home.run(&["service", verb]);
        assert_eq!(fs::read_to_string(unit(&home)).expect("it is there"), theirs, "{verb}");
        let calls = home.calls();
        assert!(calls.iter().all(|call| call.contains(" show")), "{verb}: {calls:?}");
        check(&format!("service {verb} over a foreign file"), &run);
    }
    let run = run_started(&home, &["service", "install", "--force"], true);
    // The scripted daemon is not the service's before it is started.
    assert_eq!(run.exit, 0, "{run}");
    let kept = unit(&home).with_file_name("coditect-sync.service.bak");
    assert_eq!(fs::read_to_string(kept).expect("it is kept"), theirs);

    let edited = fs::read_to_string(unit(&home)).expect("it is there").replace("TasksMax=64", "TasksMax=65");
    fs::write(unit(&home), &edited).expect("written");
    let run = home.run(&["service", "install"]);
    assert!(
        run.stderr.contains("was changed since")
            && run.stderr.contains("is `TasksMax=65` and would be `TasksMax=64`"),
        "{run}"
    );
    assert_eq!(fs::read_to_string(unit(&home)).expect("it is there"), edited);
    let run = home.run(&["service", "uninstall", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!((run.exit, &document["code"]), (1, &"service_file_edited".into()));
    assert_eq!(home.run(&["service", "uninstall", "--force"]).exit, 0);
    assert!(!unit(&home).exists() && unit(&home).with_file_name("coditect-sync.service.bak1").exists());

    // A masked unit is a link to nothing.
    std::os::unix::fs::symlink("/dev/null", unit(&home)).expect("made");
    let run = home.run(&["service", "install"]);
    assert!(run.exit == 1 && run.stderr.contains("it is a link"), "{run}");
}

#[test]
fn a_daemon_that_does_not_start_is_shown_with_its_last_words() {
    let home = Home::new();
    systemd(&home, "failed");
    home.program(
        "systemctl",
        &format!(
            "case $2 in show) echo '{}';; enable) mkdir -p '{1}/logs'; echo 'the last words' >>'{1}/logs/coditect-syncd.2026-01-02.log'; echo 'Job failed.' >&2; exit 1;; esac",
            shown("failed"),
            home.path().display()
        )
        .replace("mkdir", "/bin/mkdir"),
    );
    fs::create_dir(home.path().join("logs")).expect("made");
    fs::write(home.path().join("logs/coditect-syncd.2026-01-02.log"), "of an earlier day\n")
        .expect("written");
    let run = home.run(&["service", "install"]);
    check("service install in vain", &run);
    assert!(home.calls().contains(&"systemctl --user reset-failed coditect-sync.service".to_owned()));
}

#[test]
fn a_daemon_that_runs_outside_of_the_service_is_not_fought() {
    let home = Home::new();
    systemd(&home, "active");
    let stranger = || status("online", &[(r#""pid":42"#, r#""pid":43"#)]);
    let daemon = home.daemon(vec![stranger()]);
    let run = home.run(&["service", "install"]);
    daemon.join().expect("asked");
    check("service install beside a daemon", &run);
    assert!(!unit(&home).exists());
    let daemon = home.daemon(vec![stranger()]);
    let run = home.run(&["service", "install", "--dry-run"]);
    daemon.join().expect("asked");
    assert!(run.exit == 0 && run.stderr.contains("runs already, pid 43"), "{run}");

    run_started(&home, &["service", "install"], true);
    let daemon = home.daemon(vec![stranger(), stranger()]);
    let run = home.run(&["service", "stop"]);
    daemon.join().expect("asked");
    assert_eq!(run.stdout, "a daemon that is not the service's runs on, pid 43\n", "{run}");
}

#[test]
fn the_sandbox_is_written_where_it_was_seen_to_hold() {
    let home = Home::outside_of_temporary_files();
    if home.path().starts_with("/tmp") || home.path().starts_with("/var/tmp") {
        eprintln!("skipped: the build folder is among the temporary files");
        return;
    }
    systemd(&home, "inactive");
    let install = || home.run(&["service", "install", "--dry-run"]);
    let note =
        |run: &Run| run.stderr.lines().find(|line| line.contains("sandbox")).unwrap_or_default().to_owned();
    let drop_in = "write HOME/.config/systemd/user/coditect-sync.service.d/50-sandbox.conf:";

    let run = install();
    assert!(note(&run).contains("no `systemd-run`") && !run.stdout.contains(drop_in), "{run}");
    home.program("systemd-run", "echo 'Failed at step USER' >&2; exit 217");
    let run = install();
    assert!(note(&run).contains("does not hold") && note(&run).contains("step USER"), "{run}");
    home.program("systemd-run", "");
    let run = install();
    assert!(note(&run).is_empty() && run.stdout.contains(drop_in), "{run}");
    assert!(run.stdout.contains(r#"ReadWritePaths="-HOME" "-HOME/.coditect-data" "-HOME""#), "{run}");
    let calls = home.calls();
    let asked = calls.iter().rfind(|call| call.starts_with("systemd-run")).expect("it was asked");
    assert!(asked.contains("--user --wait") && asked.ends_with("test ! -w HOME"), "{asked}");

    // A no of the system itself is a no of the manager, which is not asked then.
    home.program("unshare", "echo 'Operation not permitted' >&2; exit 1");
    home.program("true", "");
    let run = install();
    assert!(note(&run).contains("no user namespaces (Operation not permitted)"), "{run}");
    assert!(home.calls().iter().all(|call| !call.starts_with("systemd-run")));
}

#[test]
fn starting_stopping_and_restarting_need_an_installed_service() {
    let home = Home::new();
    systemd(&home, "active");
    for verb in ["start", "stop", "restart"] {
        let run = home.run(&["service", verb]);
        assert_eq!(run.exit, 3, "{run}");
        assert!(run.stderr.contains("`coditect-sync service install`"), "{run}");
    }
    run_started(&home, &["service", "install"], true);
    home.calls();
    for verb in ["start", "restart"] {
        let run = run_started(&home, &["service", verb], true);
        assert_eq!((run.exit, run.stdout.as_str()), (0, "the daemon runs: 0.1.0, pid 42\n"), "{run}");
        assert_eq!(home.calls()[1..], [format!("systemctl --user {verb} coditect-sync.service")]);
    }
    let run = home.run(&["service", "stop"]);
    assert_eq!((run.exit, run.stdout.as_str()), (0, "the daemon has stopped\n"), "{run}");
    assert_eq!(home.calls()[1..], ["systemctl --user stop coditect-sync.service"]);
    let run = home.run(&["service", "stop", "--dry-run"]);
    assert_eq!(run.stdout, "systemctl --user stop coditect-sync.service\n");
    assert_eq!(home.calls(), [ASKS]);
}

#[test]
fn a_unit_that_a_package_brought_is_a_service_as_well() {
    const FILE: &str = "/usr/lib/systemd/user/coditect-sync.service";
    let home = Home::new();
    let manager = |state: &str, enabled: &str| {
        let shown = shown(state).replace("UnitFileState=enabled", &format!("UnitFileState={enabled}"));
        let shown = format!("LoadState=loaded\nFragmentPath={FILE}\n{shown}");
        home.program("systemctl", &format!("case $2 in show) echo '{shown}';; esac"));
    };
    let doctor = || home.run(&["doctor"]).stdout;
    systemd(&home, "active");
    manager("active", "enabled");
    let daemon = home.daemon(vec![status("online", &[])]);
    check("service status of a packages unit", &home.run(&["service", "status"]));
    daemon.join().expect("asked");
    let run = home.run(&["service", "status", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!(document["file"], serde_json::json!({"path": FILE, "state": "elsewhere", "version": null}));
    assert!(doctor().contains(&format!("the service is installed: `{FILE}`")), "{}", doctor());
    home.calls();
    for verb in ["start", "restart"] {
        let run = run_started(&home, &["service", verb, "--json"], true);
        let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
        assert_eq!((run.exit, &document["file"]), (0, &FILE.into()), "{run}");
        assert_eq!(home.calls()[1..], [format!("systemctl --user {verb} coditect-sync.service")]);
    }
    let run = home.run(&["service", "stop"]);
    assert_eq!((run.exit, run.stdout.as_str()), (0, "the daemon has stopped\n"), "{run}");
    home.calls();
    check("service uninstall of a packages unit", &home.run(&["service", "uninstall"]));
    assert_eq!(home.calls(), [ASKS]);

    // The package alone makes it nobody's service; who starts it has one until it is stopped.
    manager("active", "disabled");
    assert!(doctor().contains("run `systemctl --user enable coditect-sync`"), "{}", doctor());
    manager("inactive", "disabled");
    assert!(doctor().contains("the daemon is not a service"), "{}", doctor());
    assert_eq!(home.run(&["service", "uninstall"]).stdout, "the service is not installed\n");
    let run = run_started(&home, &["service", "start"], true);
    assert_eq!(run.exit, 0, "{run}");
}

#[test]
fn files_where_the_manager_does_not_look_are_not_written_and_are_removed() {
    let home = Home::new();
    home.program("coditect-syncd", "");
    // It knows no unit, and cannot disable what it does not know.
    home.program(
        "systemctl",
        &format!(
            "case \"$2 $3\" in 'show --property=UnitPath') echo 'UnitPath=/run/x {}/.config/systemd/user';; show*) echo LoadState=not-found;; disable*) echo 'Unit file does not exist.' >&2; exit 1;; esac",
            home.path().display()
        ),
    );
    let elsewhere = home.path().join("xdg");
    let run = |verb: &str| {
        let mut command = home.command(&["service", verb]);
        let output = command.env("XDG_CONFIG_HOME", &elsewhere).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, said) = run("install");
    assert!(code == Some(1) && said.contains("XDG_CONFIG_HOME is set in this shell only"), "{said}");
    assert!(!elsewhere.exists());
    assert!(home.calls().iter().all(|call| call.contains(" show")));
    // The same folder by another way is the same.
    std::os::unix::fs::symlink(home.path(), home.path().join("self")).expect("made");
    let output = home
        .command(&["service", "install", "--dry-run"])
        .env("XDG_CONFIG_HOME", home.path().join("self/.config"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");

    // What an earlier version left there goes.
    let left = elsewhere.join("systemd/user/coditect-sync.service");
    fs::create_dir_all(left.parent().expect("a folder")).expect("made");
    systemd(&home, "active");
    run_started(&home, &["service", "install"], true);
    fs::rename(unit(&home), &left).expect("moved");
    home.program("systemctl", "case $2 in show) echo LoadState=not-found;; disable) exit 1;; esac");
    let (code, said, _) = run("uninstall");
    assert!(code == Some(0) && said.contains("the service is removed"), "{said}");
    assert!(!left.exists());
}

#[test]
fn without_a_manager_it_is_said_what_to_do_instead() {
    let home = Home::new();
    check("service without a manager", &home.run(&["service", "install"]));
    systemd(&home, "active");
    fs::write(home.path().join("refuses"), "").expect("written");
    let run = home.run(&["service", "status"]);
    let text = run
        .to_string()
        .replace(&format!("/run/user/{}", rustix::process::getuid().as_raw()), "/run/user/UID");
    insta::assert_snapshot!("service-without-a-bus", text);
}

#[test]
fn a_bad_configuration_is_said_before_anything_is_written() {
    let home = Home::new();
    systemd(&home, "inactive");
    fs::create_dir_all(home.path().join(".coditect/config")).expect("made");
    fs::write(home.path().join(".coditect/config/config.json"), r#"{"cloud_sync": {"batch_size": 0}}"#)
        .expect("written");
    let run = home.run(&["service", "install"]);
    assert_eq!(run.exit, 78, "{run}");
    assert!(!unit(&home).exists());
}

#[test]
fn a_stop_may_take_as_long_as_the_grace_that_is_configured() {
    let home = Home::new();
    systemd(&home, "inactive");
    let file = home.path().join(".coditect/config/config.json");
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    let written = |grace: &str| {
        fs::write(&file, format!(r#"{{"sync_daemon": {{"shutdown_grace": "{grace}"}}}}"#)).expect("written");
        let run = home.run(&["service", "install", "--dry-run"]);
        assert_eq!(run.exit, 0, "{run}");
        run.stdout
    };
    assert!(written("2s").contains("TimeoutStopSec=15\n"));
    assert!(written("1m").contains("TimeoutStopSec=65\n"));

    // What was installed for another grace is not what is wanted.
    let run = run_started(&home, &["service", "install"], true);
    assert_eq!(run.exit, 0, "{run}");
    let state = |grace: &str| {
        written(grace);
        let document: serde_json::Value =
            serde_json::from_str(&home.run(&["service", "status", "--json"]).stdout).expect("a document");
        document["file"]["state"].clone()
    };
    assert_eq!((state("1m"), state("2m")), ("current".into(), "outdated".into()));
}

#[test]
fn variables_of_the_shell_are_named_and_not_shown() {
    let home = Home::new();
    systemd(&home, "inactive");
    let output = home
        .command(&["service", "install", "--dry-run"])
        .env("HTTPS_PROXY", "http://s3cr3t")
        .env("CODITECT_SYNC__SYNC_DAEMON__LOG__LEVEL", "debug")
        .env("CODITECT_DATA_DIR", home.path().join("da ta"))
        .output()
        .expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        stderr.contains("CODITECT_SYNC__SYNC_DAEMON__LOG__LEVEL, HTTPS_PROXY") && !stderr.contains("s3cr3t"),
        "{stderr}"
    );
    assert!(stdout.contains("/da ta\"\n") && stdout.contains("Environment=\"CODITECT_DATA_DIR="), "{stdout}");
}

#[test]
fn an_agent_is_installed_restarted_and_removed() {
    let home = Home::new();
    let loaded = home.path().join("loaded");
    home.program("coditect-syncd", "");
    // Without a graphical session; what is loaded is known again.
    home.program(
        "launchctl",
        &format!(
            "case \"$1 $2\" in 'print gui/'*) exit 113;; 'print user/'*/*) [ -e '{0}' ] || exit 113; echo '\tpid = 42';; bootstrap*) : >'{0}';; bootout*) /bin/rm -f '{0}';; esac",
            loaded.display()
        ),
    );
    let agent = home.path().join("Library/LaunchAgents/ai.coditect.sync.plist");
    let domain = format!("user/{}", rustix::process::getuid().as_raw());
    let service = format!("{domain}/ai.coditect.sync");
    let questions =
        ["print gui/".to_owned() + &domain[5..], format!("print {domain}"), format!("print {service}")];
    let expect = |home: &Home, told: &[String]| {
        let calls: Vec<String> = home.calls().iter().map(|call| call.replacen("launchctl ", "", 1)).collect();
        assert_eq!(calls, [&questions[..], told].concat());
    };
    let (enable, kick) = (format!("enable {service}"), format!("kickstart {service}"));
    let bootstrap = format!("bootstrap {domain} HOME/Library/LaunchAgents/ai.coditect.sync.plist");
    let bootout = format!("bootout {service}");

    // Nothing is loaded, so no daemon is asked whether it is the service's.
    let daemon_is_asked_first = true;
    fs::write(&loaded, "").expect("written");
    let run = run_started(&home, &["service", "install"], daemon_is_asked_first);
    assert_eq!(run.exit, 0, "{run}");
    expect(&home, &[bootout.clone(), enable.clone(), bootstrap, kick.clone()]);
    assert!(fs::read_to_string(&agent).expect("it is written").starts_with("<?xml"));

    let run = run_started(&home, &["service", "install"], daemon_is_asked_first);
    assert_eq!(run.exit, 0, "{run}");
    expect(&home, &[enable, kick]);
    let run = run_started(&home, &["service", "restart"], daemon_is_asked_first);
    assert_eq!(run.exit, 0, "{run}");
    expect(&home, &[format!("kickstart -k {service}")]);
    let daemon = home.daemon(vec![status("online", &[])]);
    let run = home.run(&["service", "status"]);
    daemon.join().expect("asked");
    assert!(
        run.exit == 0 && run.stdout.contains(&format!("launchd agent in {domain}, loaded, pid 42")),
        "{run}"
    );
    home.calls();
    let run = home.run(&["service", "stop"]);
    assert_eq!(run.exit, 0, "{run}");
    expect(&home, std::slice::from_ref(&bootout));
    let run = home.run(&["service", "uninstall"]);
    assert_eq!(run.exit, 0, "{run}");
    expect(&home, &[]);
    assert!(!agent.exists());
}

/// What a reader of property lists that nobody here wrote makes of the agent: every key one of launchd.plist(5), every value
/// of the type that page gives it.
#[test]
fn a_real_reader_of_property_lists_takes_the_agent() {
    const READ: &str = r#"
import json, plistlib, sys
KNOWN = {"Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "WorkingDirectory": str,
    "StandardErrorPath": str, "Umask": int, "RunAtLoad": bool, "KeepAlive": dict, "ThrottleInterval": int,
    "ExitTimeOut": int, "ProcessType": str, "LowPriorityIO": bool}
KEPT = {"SuccessfulExit": bool, "Crashed": bool, "PathState": dict, "OtherJobEnabled": dict}
agent = plistlib.loads(json.load(sys.stdin)["steps"][-4]["text"].encode())
for key, value in agent.items():
    assert type(value) is KNOWN[key], key
for key, value in agent["KeepAlive"].items():
    assert type(value) is KEPT[key], key
for text in agent["ProgramArguments"] + list(agent["EnvironmentVariables"].values()):
    assert type(text) is str
assert agent["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
print(json.dumps([agent["KeepAlive"], agent["Umask"], agent["ProgramArguments"], agent["EnvironmentVariables"]]))
"#;
    let home = Home::new();
    let odd = home.path().join(r#"a "b" <c> & é %h"#);
    home.program("coditect-syncd", "");
    home.program("launchctl", "case \"$2\" in */*/*) exit 113;; esac");
    let shown = home
        .command(&["service", "install", "--dry-run", "--json"])
        .env("CODITECT_SYNC_STATE_DIR", &odd)
        .output()
        .expect("it runs");
    assert!(shown.status.success(), "{shown:?}");
    let file = home.path().join("shown");
    fs::write(&file, &shown.stdout).expect("written");
    let input = fs::File::open(&file).expect("it was written");
    let Ok(read) = Command::new("python3").args(["-c", READ]).stdin(input).output() else {
        eprintln!("SKIPPED a_real_reader_of_property_lists_takes_the_agent: there is no python3");
        return;
    };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read: serde_json::Value = serde_json::from_slice(&read.stdout).expect("a document");
    assert_eq!((&read[0], &read[1]), (&serde_json::json!({"SuccessfulExit": false}), &0o77.into()));
    let words = read[2].as_array().expect("words");
    assert_eq!(words[words.len() - 3], *odd.to_string_lossy(), "{read}");
    assert_eq!(read[3]["CODITECT_SYNC_MANAGER"], "launchd");
}

/// What systemd itself thinks of the files.
#[test]
fn systemd_accepts_the_unit_and_the_sandbox() {
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    let home = Home::new();
    // `verify` wants programs that are there; paths with everything that means something to systemd.
    let odd = home.path().join(r#"a "b" %h \d $HOME ${x} ;#"#);
    fs::create_dir_all(&odd).expect("made");
    systemd(&home, "inactive");
    let output = home
        .command(&["service", "install", "--dry-run", "--json"])
        .env("CODITECT_SYNC_STATE_DIR", &odd)
        .env("CODITECT_SYNC_SOCKET", home.path().join("s %% \" $x"))
        .output()
        .expect("it runs");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
    let steps = document["steps"].as_array().expect("steps");
    let text = steps.iter().find_map(|step| step["text"].as_str()).expect("the unit is written");
    let folder = home.path().join("units");
    fs::create_dir(&folder).expect("made");
    let sandbox = include_str!("../../../../systemd/50-sandbox.conf");
    fs::create_dir(folder.join("coditect-sync.service.d")).expect("made");
    for with_sandbox in [false, true] {
        fs::write(folder.join("coditect-sync.service"), text).expect("written");
        if with_sandbox {
            let sandbox = sandbox.replace("@STATE_DIR@", "/a \\\"b\\\" %%h").replace("@DATA_DIR@", "/d");
            let sandbox = sandbox.replace("@SOCKET_DIR@", "/s").replace("@LINKED@", " \"-/l\"");
            fs::write(folder.join("coditect-sync.service.d/50-sandbox.conf"), sandbox).expect("written");
        }
        let output = Command::new("systemd-analyze")
            .args(["--user", "verify", "./coditect-sync.service"])
            .current_dir(&folder)
            .env("XDG_RUNTIME_DIR", home.path())
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()))
            .output()
            .expect("it runs");
        // Exposure in tenths, as systemd scores it: an unprotected unit has 98.
        let threshold = if with_sandbox { "--threshold=16" } else { "--threshold=62" };
        let scored = Command::new("systemd-analyze")
            .args(["--user", "security", "--offline=true", "--no-pager", threshold, "coditect-sync.service"])
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()))
            .current_dir(&folder)
            .env("XDG_RUNTIME_DIR", home.path())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("Failed to initialize manager") {
            eprintln!("skipped: systemd-analyze cannot work here: {said}");
            return;
        }
        // A slice that is not among the units of this folder is no fault of the unit.
        let faults: Vec<_> = said
            .lines()
            .filter(|line| line.contains("coditect-sync") || line.contains("50-sandbox"))
            .collect();
        assert!(output.status.success() && faults.is_empty(), "{said}");
        let score = String::from_utf8_lossy(&scored.stdout);
        match score.lines().find(|line| line.contains("Overall exposure level")) {
            Some(level) => assert!(scored.status.success(), "{threshold} is exceeded: {level}\n{score}"),
            None => eprintln!("SKIPPED the score: this systemd-analyze cannot tell it of a file"),
        }
    }
}
