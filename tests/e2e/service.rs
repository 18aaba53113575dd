//! The daemon under a service manager: under a real systemd where that can be started, and what its manager relies on
//! without one: a socket that is handed over, exit codes, a program that is replaced, a sandbox that holds.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use coditect_devcloud::{Fault, Rule};
use rustix::fs::FlockOperation;
use sync_tests::{Daemon, Home, PATIENCE, program, until, within};
use sync_wire::{Call, Client, Diagnostics, SandboxFigures};

use crate::{queue, world};

/// The daemon by a path in the home, as the files of `service install` start it.
const MANAGED: &str = "CODITECT_SYNC_MANAGER=systemd exec \"$HOME/coditect-syncd\"";

#[test]
fn a_user_has_the_service_from_install_to_uninstall_under_a_real_systemd() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/service/run.sh");
    let can = Command::new(script).arg("--can").output().expect("a shell");
    if !can.status.success() {
        let why = String::from_utf8_lossy(&can.stdout).into_owned();
        eprintln!("SKIPPED a_user_has_the_service_from_install_to_uninstall_under_a_real_systemd: {why}");
        return;
    }
    let out = tempfile::tempdir().expect("a folder");
    // The user inside writes to it.
    fs::set_permissions(out.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let daemon = program("coditect-syncd");
    let ran = Command::new(script)
        .args([daemon.parent().expect("their folder"), out.path()])
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("service uninstall: nothing is left but data"), "{said}");
    println!("{said}");
    // What the journal got of its stderr, and of the whole log nothing twice.
    let journal = fs::read_to_string(out.path().join("journal")).expect("the journal was read");
    assert!(journal.contains("batch_size") && journal.contains(" WARN "), "{journal}");
    assert!(!journal.contains(" INFO "), "{journal}");
}

fn sandbox(home: &Home) -> SandboxFigures {
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    let answer = client.send(&Call::diagnostics()).expect("an answer");
    answer.json::<Diagnostics>().expect("diagnostics").sandbox
}

#[test]
fn a_daemon_can_write_to_its_own_folders_alone_and_says_so() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let held = sandbox(&home);
    if !held.confined {
        eprintln!("SKIPPED a_daemon_can_write_to_its_own_folders_alone_and_says_so: {:?}", held.why_not);
        daemon.finish();
        return;
    }
    let own: Vec<String> = [home.state(), home.path().join("data")]
        .iter()
        .map(|path| path.canonicalize().expect("it exists").display().to_string())
        .collect();
    assert_eq!((&held.folders, held.no_new_privileges), (&own, Some(true)));
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    fs::write(elsewhere.join("sync_queue.db"), "").expect("written");
    let shown = home.run(&["import", "--from", &elsewhere.display().to_string()]);
    assert!(shown.code == 1 && shown.stderr.contains("sync_daemon.sandbox"), "{shown:?}");
    daemon.finish();
}

#[test]
fn a_command_for_the_credential_keeps_its_own_files_and_the_daemon_says_that_it_is_not_held() {
    let (mut home, cloud) = world();
    let script = home.path().join("credential");
    let kept = home.path().join("kept");
    let text = format!(
        "#!/bin/sh\necho kept >'{}'\necho '{}'\n",
        kept.display(),
        coditect_devcloud::dev_token("acme", None)
    );
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    home.set_cloud("auth_token", "");
    home.set_cloud("credential_command", serde_json::json!([script]));
    home.project("api");
    let daemon = Daemon::start(&home);
    until("the project is there", || (cloud.projects().len() == 1).then_some(()));
    assert_eq!(fs::read_to_string(&kept).expect("it was written"), "kept\n");
    let free = sandbox(&home);
    assert!(!free.confined && free.why_not.is_some_and(|why| why.contains("credential_command")));
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains("is not kept from writing elsewhere"), "{doctor:?}");
    daemon.finish();
}

/// systemd says with `JOURNAL_STREAM` which file its journal reads.
#[test]
fn the_journal_hears_what_is_wrong_and_the_files_have_everything() {
    let (home, _cloud) = world();
    let old = home.path().join("data/context-storage");
    fs::create_dir_all(&old).expect("made");
    fs::write(old.join("sync_queue.db"), "no database at all, and no header").expect("written");
    let logs = home.state().join("logs");
    let written = || {
        let files = fs::read_dir(&logs).into_iter().flatten().map(|file| file.expect("an entry").path());
        files.map(|file| fs::read_to_string(file).expect("text")).collect::<String>()
    };
    for is_journal in [true, false] {
        let path = home.path().join(format!("stderr-{is_journal}"));
        let stderr = File::create(&path).expect("made");
        let found = stderr.metadata().expect("it is there");
        // A shell in a terminal inherits the variable, and has another stderr.
        let inode = if is_journal { found.ino() } else { found.ino() + 1 };
        let stream = format!("{}:{inode}", found.dev());
        let mut daemon = home
            .command(program("coditect-syncd"))
            .env("JOURNAL_STREAM", stream)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the daemon");
        let said = || fs::read_to_string(&path).expect("text");
        until("it says what is wrong", || said().contains("database is left as it is").then_some(()));
        until("it is ready", || (home.run(&["status"]).code == 0).then_some(()));
        assert_eq!(home.run(&["stop"]).code, 0);
        assert!(daemon.wait().expect("it ends").success());
        assert!(said().contains(" WARN "), "{}", said());
        assert_eq!(said().contains(" INFO "), !is_journal, "{}", said());
        let written = written();
        assert!(written.contains(" INFO ") && written.contains(" WARN "), "{written}");
    }
}

#[test]
fn a_sandbox_that_is_to_change_and_a_program_that_was_replaced_start_the_daemon_again() {
    let (mut home, _cloud) = world();
    let link = home.path().join("coditect-syncd");
    symlink(program("coditect-syncd"), &link).expect("made");
    let daemon = Daemon::start_under(&home, &["sh", "-c", MANAGED]);
    home.set_daemon("sandbox", "off");
    assert_eq!(home.run(&["reload"]).code, 0);
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(79), "{}", ended.log);
    assert!(
        ended.log.contains("to be started again: the configuration asks for no sandbox"),
        "{}",
        ended.log
    );

    let daemon = Daemon::start_under(&home, &["sh", "-c", MANAGED]);
    assert_eq!(sandbox(&home).why_not.as_deref(), Some("`sync_daemon.sandbox` is \"off\""));
    fs::remove_file(&link).expect("it is ours");
    fs::write(&link, "another\n").expect("written");
    // Whatever wakes it makes it look.
    home.project("api");
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(79), "{}", ended.log);
    assert!(ended.log.contains("coditect-syncd` was replaced"), "{}", ended.log);
    assert!(!home.state().join("sync.sock").exists(), "it ends in order");

    // Without a manager nobody would start it again: it says what is to be done, and goes on.
    let daemon = Daemon::start(&home);
    home.set_daemon("sandbox", "auto");
    assert_eq!(home.run(&["reload"]).code, 0);
    until("it says so", || daemon.log().contains("start the daemon again").then_some(()));
    assert_eq!(home.run(&["status"]).code, 0);
    daemon.expecting("start the daemon again").finish();
}

#[test]
fn a_program_that_is_replaced_while_the_daemon_starts_is_noticed() {
    let (home, _cloud) = world();
    Daemon::start(&home).finish();
    let link = home.path().join("coditect-syncd");
    symlink(program("coditect-syncd"), &link).expect("made");
    // For as long as another program holds the database, a start waits for it.
    let database = File::options().write(true).open(home.state().join("sync.db")).expect("it is there");
    rustix::fs::fcntl_lock(&database, FlockOperation::LockExclusive).expect("nobody has it");
    let daemon = Daemon::spawn_under(&home, &["sh", "-c", MANAGED]);
    until("it starts", || daemon.log().contains("starting").then_some(()));
    fs::remove_file(&link).expect("it is ours");
    fs::write(&link, "another\n").expect("written");
    assert!(!daemon.log().contains("ready"), "{}", daemon.log());
    drop(database);
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(79), "{}", ended.log);
    assert!(ended.log.contains("coditect-syncd` was replaced"), "{}", ended.log);
}

#[test]
fn a_fault_of_the_first_moments_is_not_followed_by_the_next_start_at_once() {
    let (home, _cloud) = world();
    let path = home.path().join("notify");
    let ear = UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let mut failing = home.command("sh");
    failing.args(["-c", "ulimit -n 8; exec \"$0\""]).arg(program("coditect-syncd")).stderr(Stdio::piped());
    let of = failing.output().expect("a shell");
    assert_eq!(of.status.code(), Some(70), "{}", String::from_utf8_lossy(&of.stderr));

    failing.env("CODITECT_SYNC_MANAGER", "systemd").env("NOTIFY_SOCKET", &path);
    // It stays for no longer than ten seconds of its life, and a machine may stand still for as long.
    let stopped = within("to be told that it stays, and to stop it", Duration::from_secs(9), || {
        let daemon = failing.spawn().expect("a shell");
        let mut buffer = [0; 512];
        let said =
            ear.recv(&mut buffer).map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
        let has_socket = home.state().join("sync.sock").exists();
        // Whoever stops the service does not wait for that.
        let id = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is there");
        (said, has_socket, daemon.wait_with_output().expect("it ends"))
    });
    let (said, has_socket, stopped) = stopped;
    let said = said.expect("it is told");
    assert!(said.starts_with("STATUS=tries again in ") && said.contains("failed to "), "{said}");
    assert!(!has_socket, "it has ended but for the wait");
    assert_eq!(stopped.status.signal(), Some(15), "it stays: {stopped:?}");
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("coditect-syncd: failed to "), "{stopped:?}");
}

#[test]
fn a_service_that_meets_data_of_a_newer_version_says_so_in_its_log_and_leaves_it() {
    let (home, _cloud) = world();
    Daemon::start(&home).finish();
    // SQLite's `user_version`, which is the version of the tables, ends there.
    let database = home.state().join("sync.db");
    let mut content = fs::read(&database).expect("it is there");
    content[63] = 99;
    fs::write(&database, &content).expect("it is ours");
    let mut command = home.command(program("coditect-syncd"));
    let ended = command.env("CODITECT_SYNC_MANAGER", "systemd").output().expect("the daemon");
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    let logged = home.run(&["logs"]).stdout;
    assert!(logged.contains("ERROR") && logged.contains("newer version"), "{logged}");
    assert!(fs::read(&database).expect("it is there") == content, "it was changed");
}

#[test]
fn launchd_is_told_a_success_where_another_start_would_not_help() {
    let (home, _cloud) = world();
    let under = |manager: &str, args: &[&str]| {
        let mut command = home.command(program("coditect-syncd"));
        let ended = command.env("CODITECT_SYNC_MANAGER", manager).args(args).output().expect("the daemon");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    home.write_config_text(r#"{"cloud_sync": {"batch_size": 0}}"#);
    for (manager, args, code, words) in [
        ("launchd", &[][..], 0, "batch_size"),
        ("systemd", &[], 78, "batch_size"),
        ("", &[], 78, "batch_size"),
        ("launchd", &["--no-such-flag"], 0, "--no-such-flag"),
        ("systemd", &["--no-such-flag"], 64, "--no-such-flag"),
    ] {
        let (ended, said) = under(manager, args);
        assert!(ended == Some(code) && said.contains(words), "{manager} {args:?}: {ended:?} {said}");
    }
    home.write_config_text("{}");
    let first = Daemon::start(&home);
    let (ended, said) = under("launchd", &[]);
    assert!(ended == Some(0) && said.contains("another daemon is running"), "{ended:?} {said}");
    first.expecting("token").expecting("the cloud cannot be used").finish();
}

#[test]
fn a_manager_hears_that_the_daemon_is_ready_lives_and_stops() {
    let (home, _cloud) = world();
    let path = home.path().join("notify");
    let ear = UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let hear = || {
        let mut buffer = [0; 256];
        let length = ear.recv(&mut buffer).expect("it is told");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // A bound, because a daemon that lives says so again and again.
    let hear_until = |word: &str| {
        let heard = (0..200).any(|_| hear().starts_with(word));
        assert!(heard, "it never says {word}");
    };
    let variables = [format!("NOTIFY_SOCKET={}", path.display()), "WATCHDOG_USEC=300000".to_owned()];
    let daemon = Daemon::start_under(&home, &["env", &variables[0], &variables[1]]);
    assert_eq!(hear(), "READY=1");
    hear_until("STATUS=cloud ");
    hear_until("WATCHDOG=1");
    hear_until("WATCHDOG=1");
    // One that does not go on does not say that it lives; all it said before is heard first.
    daemon.signal("STOP");
    until("it is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid()));
        stat.map_or(Some(()), |stat| stat.contains(") T ").then_some(()))
    });
    ear.set_nonblocking(true).expect("a socket");
    let mut buffer = [0; 256];
    while ear.recv(&mut buffer).is_ok() {}
    ear.set_nonblocking(false).expect("a socket");
    ear.set_read_timeout(Some(Duration::from_millis(700))).expect("a limit");
    assert!(ear.recv(&mut buffer).is_err(), "a stopped daemon says that it lives");
    ear.set_read_timeout(Some(PATIENCE)).expect("a limit");
    daemon.signal("CONT");
    hear_until("WATCHDOG=1");
    daemon.signal("TERM");
    hear_until("STOPPING=1");
    daemon.finish_after_stop();
}

#[test]
fn a_manager_hears_at_once_that_the_daemon_stops_and_until_it_has_that_it_lives() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "10m");
    cloud.faults().add(Rule::new(Fault::Hang)).expect("a rule");
    home.project("api");
    let path = home.path().join("notify");
    let ear = UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let variables = [format!("NOTIFY_SOCKET={}", path.display()), "WATCHDOG_USEC=300000".to_owned()];
    let mut daemon = Daemon::start_under(&home, &["env", &variables[0], &variables[1]]);
    let mut buffer = [0; 256];
    let mut hear_until = |word: &str| loop {
        let length = ear.recv(&mut buffer).expect("it is told");
        if &buffer[..length] == word.as_bytes() {
            return;
        }
    };
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    daemon.signal("TERM");
    hear_until("STOPPING=1");
    for _ in 0..3 {
        hear_until("WATCHDOG=1");
    }
    assert!(daemon.has_ended().is_none(), "it waits for what is in the air");
    daemon.signal("TERM");
    assert_eq!(daemon.ended().code, Some(0));
}

#[test]
fn a_manager_that_does_not_listen_holds_nothing_up_and_hears_the_latest_afterwards() {
    let (home, _cloud) = world();
    let path = home.path().join("notify");
    let ear = UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let variables = [format!("NOTIFY_SOCKET={}", path.display()), "WATCHDOG_USEC=3600000000".to_owned()];
    let daemon = Daemon::start_under(&home, &["env", &variables[0], &variables[1]]);
    assert_eq!(home.run(&["pause"]).code, 0);
    // More than the system lets lie there unheard.
    let most: u64 = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen")
        .map_or(10, |text| text.trim().parse().expect("a number"));
    let count = 2 * most + 10;
    for number in 0..count {
        let root = home.path().join(format!("elsewhere/{number}"));
        fs::create_dir_all(&root).expect("a project");
        let root = fs::canonicalize(root).expect("its real path").display().to_string();
        let draft = serde_json::json!({"root_path": root, "project_name": "one"});
        let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
        let answer = client.request("POST", "/v1/projects", Some(&draft)).expect("an answer");
        assert!([200, 202].contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(home.run(&["status"]).code, 0);
    let last = format!(", {count} waiting");
    let mut heard: Vec<String> = Vec::new();
    while !heard.last().is_some_and(|state| state.ends_with(&last)) {
        let mut buffer = [0; 256];
        let length = ear.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {heard:?}"));
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(heard[0], "READY=1");
    let lives = heard.iter().filter(|state| *state == "WATCHDOG=1").count();
    assert_eq!(lives, 1, "as often as it was asked to: {heard:?}");
    daemon.finish();
}

/// Listens where the daemon would and becomes the daemon, as systemd does it.
const HANDS_OVER: &str = "import os, socket, sys
os.umask(0o177)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='control')
os.execv(sys.argv[2], sys.argv[2:])
";

#[test]
fn a_socket_that_is_handed_over_is_answered_on_and_left_to_its_owner() {
    let (home, _cloud) = world();
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED a_socket_that_is_handed_over_is_answered_on_and_left_to_its_owner: no python3");
        return;
    }
    fs::create_dir_all(home.state()).expect("made");
    for folder in [home.path().join("state"), home.state()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }
    let socket = home.state().join("sync.sock");
    let start = |socket: &Path| {
        Daemon::start_under(&home, &["python3", "-c", HANDS_OVER, &socket.display().to_string()])
    };
    let daemon = start(&socket);
    let stopped = home.run(&["stop"]);
    assert!(stopped.code == 0 && stopped.stdout.contains("has stopped"), "{stopped:?}");
    assert!(socket.exists(), "the manager would go on listening there");
    daemon.finish_after_stop();

    // When it is taken away nevertheless, the daemon listens there itself.
    fs::remove_file(&socket).expect("it is there");
    let daemon = start(&socket);
    fs::remove_file(&socket).expect("it is there");
    until("the socket is back", || (home.run(&["status"]).code == 0).then_some(()));
    daemon.expecting("socket").finish();
    assert!(!socket.exists(), "its own it takes along");

    // One that listens elsewhere is refused: nobody would find the daemon there.
    let other = home.path().join("other.sock").display().to_string();
    let mut refused = home.command("python3");
    let refused =
        refused.args(["-c", HANDS_OVER, &other]).arg(program("coditect-syncd")).output().expect("it");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(78) && said.contains("--socket-activated"), "{said}");
}

#[test]
fn pauses_end_by_themselves_and_what_is_waited_for_comes() {
    let (home, cloud) = world();
    let mut ready = home.command(program("coditect-sync"));
    let mut ready =
        ready.args(["wait", "--for", "ready", "--within", "2m"]).stdout(Stdio::null()).spawn().expect("it");
    let daemon = Daemon::start(&home);
    let status = until("the one that waits for a daemon goes on", || ready.try_wait().expect("its state"));
    assert_eq!(status.code(), Some(0));

    assert_eq!(home.run(&["pause", "--for", "1h", "--reason", "on the train"]).code, 0);
    let root = home.project("api").display().to_string();
    let paused = home.run(&["status"]);
    assert!(paused.stdout.contains("(on the train)") && paused.stdout.contains("goes on in"), "{paused:?}");
    let not_yet = home.run(&["wait", "--for", "registered", &root, "--within", "100ms"]);
    assert!(not_yet.code == 75 && not_yet.stdout.contains("not registered within"), "{not_yet:?}");
    assert_eq!(cloud.projects().len(), 0);
    assert_eq!(home.run(&["pause", "--for", "2s"]).code, 0);
    let arrived = home.run(&["wait", "--for", "registered", &root, "--within", "2m"]);
    assert_eq!(arrived.code, 0, "{arrived:?}");
    assert_eq!(cloud.projects().len(), 1);
    let idle = home.json(&["wait", "--for", "idle", "--within", "2m"]);
    assert_eq!((&idle["for"], &idle["reached"]), (&"idle".into(), &true.into()), "{idle}");
    assert_eq!(home.json(&["status"])["paused"], false);
    daemon.finish();
}
