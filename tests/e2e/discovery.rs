//! What discovery survives and leaves alone: storms, edits out of sight, mounts that hang, limits of the system.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sync_tests::{Daemon, Home, PATIENCE, now, timed, until};
use sync_wire::{Client, ResolveQuery, Subject};

use crate::{drained, effects, world};

fn hash_in_cloud(projects: &[Value], name: &str) -> Option<String> {
    let project = projects.iter().find(|project| project["project_name"] == name)?;
    Some(project["content_hash"].as_str()?.to_owned())
}

fn repository(home: &Home, name: &str) -> PathBuf {
    let root = home.roots().join(name);
    std::fs::create_dir_all(root.join("src/deep")).expect("the folders");
    std::fs::write(root.join("src/deep/main.py"), "print(1)\n").expect("a file");
    home.git(&root, &["init", "-q"]);
    home.git(&root, &["add", "-A"]);
    home.git(&root, &["commit", "-qm", "first"]);
    root
}

/// The id that git gives to everything in the work tree.
fn tree(home: &Home, root: &Path) -> String {
    home.git(root, &["add", "-A"]);
    let output = home.command("git").arg("-C").arg(root).arg("write-tree").output().expect("git");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn what_the_daemon_writes_itself_is_no_change_of_the_project_it_lies_in() {
    let (mut home, cloud) = world();
    let root = home.path().to_path_buf();
    home.set_daemon("discovery", json!({"roots": [root], "debounce": "100ms"}));
    std::fs::write(root.join(".gitignore"), "/stderr\n/cloud.db*\n").expect("a file");
    home.git(&root, &["init", "-q"]);
    home.git(&root, &["add", ".gitignore"]);
    home.git(&root, &["commit", "-qm", "first"]);
    let daemon = Daemon::start(&home);
    until("the home is registered", || (cloud.projects().len() == 1).then_some(()));
    drained(&home);
    // That wrote to the database, the log and what is kept of looks, and so does each scan.
    for _ in 0..3 {
        let scanned = home.json(&["scan", "--wait"]);
        assert_eq!((&scanned["found"], &scanned["changed"]), (&1.into(), &0.into()));
    }
    drained(&home);
    assert_eq!(effects(&cloud.ledger()), ["created"]);
    daemon.finish();
}

#[test]
fn a_link_that_is_made_between_projects_leads_nobody_out_of_the_roots() {
    let (home, cloud) = world();
    let outside = home.path().join("outside");
    std::fs::create_dir_all(outside.join("private")).expect("a folder");
    std::fs::write(outside.join("private/package.json"), "{}").expect("a manifest");
    let link = |name: &str| home.roots().join(name);
    std::os::unix::fs::symlink(&outside, link("first")).expect("a link");
    let daemon = Daemon::start(&home);
    until("it watches", || home.json(&["status"])["discovery"]["last_scan"].is_object().then_some(()));
    std::fs::rename(link("first"), link("second")).expect("ours");
    home.project("after");
    let names = || cloud.projects().iter().map(|project| project["project_name"].clone()).collect::<Vec<_>>();
    until("what is made after it is registered", || names().contains(&"after".into()).then_some(()));
    drained(&home);
    assert_eq!(names(), ["after"]);
    // Somebody who names it means it.
    assert_eq!(home.run(&["scan", "--wait", &link("second").display().to_string()]).code, 0);
    until("what it leads to is registered", || (names().len() == 2).then_some(()));
    daemon.finish();
}

/// How long what changes has to be quiet in a journey's home.
const DEBOUNCE: Duration = Duration::from_millis(200);

#[test]
fn a_storm_in_a_project_is_one_registration_more() {
    let (home, cloud) = world();
    let root = repository(&home, "storm");
    let daemon = Daemon::start(&home);
    until("it is registered", || hash_in_cloud(&cloud.projects(), "storm"));
    // Where the machine pauses in the middle, the storm is two, or more.
    let mut pauses = 0;
    let mut step = |deed: &dyn Fn()| pauses += usize::from(timed(deed).0 > DEBOUNCE / 2);
    for number in 0..400 {
        step(&|| {
            std::fs::create_dir_all(root.join(format!("lib/part{}", number % 20))).unwrap();
            std::fs::write(root.join(format!("lib/part{}/{number}", number % 20)), number.to_string())
                .unwrap();
        });
    }
    step(&|| drop(tree(&home, &root)));
    let last = tree(&home, &root);
    until("its last state is known", || {
        hash_in_cloud(&cloud.projects(), "storm").filter(|hash| *hash == last)
    });
    let effects = effects(&cloud.ledger()).len();
    assert!((2..=3 + pauses).contains(&effects), "{effects}: the machine paused {pauses} times");
    daemon.finish();
}

#[test]
fn an_edit_deep_inside_reaches_the_cloud() {
    let (home, cloud) = world();
    let root = repository(&home, "deep");
    let daemon = Daemon::start(&home);
    let first = until("it is registered", || hash_in_cloud(&cloud.projects(), "deep"));
    std::fs::write(root.join("src/deep/main.py"), "print(2)\n").unwrap();
    let second =
        until("the edit is known", || hash_in_cloud(&cloud.projects(), "deep").filter(|hash| *hash != first));
    // Only now, because git writes to the index for this.
    assert_eq!(second, tree(&home, &root));
    daemon.finish();
}

#[test]
fn what_cannot_be_read_is_in_the_status_and_hides_nothing_else() {
    let (home, cloud) = world();
    let patterns = json!({"roots": [home.roots()], "debounce": "200ms", "exclude": ["[z-a]"]});
    let mut home = home;
    home.set_daemon("discovery", patterns);
    repository(&home, "seen");
    std::fs::create_dir_all(home.roots().join("1/2/3/4/5/6/7/8/9")).unwrap();
    let daemon = Daemon::start(&home);
    until("it is registered", || hash_in_cloud(&cloud.projects(), "seen"));
    let status = until("everything was looked at", || {
        let status = home.json(&["status"]);
        (!status["discovery"]["last_scan"].is_null()).then_some(status)
    });
    let problems = status["discovery"]["problems"].to_string();
    assert!(problems.contains("[z-a]") && problems.contains("deeper than 8 levels"), "{problems}");
    daemon.finish();
}

#[test]
fn a_home_that_is_a_root_is_no_project_and_hides_none() {
    let (mut home, cloud) = world();
    home.set_daemon("discovery", json!({"roots": [home.path()], "debounce": "200ms"}));
    home.project("one");
    let idea = home.path().join("notes/idea");
    std::fs::create_dir_all(&idea).unwrap();
    let daemon = Daemon::start(&home);
    assert_eq!(home.json(&["scan", "--wait"])["found"], 1);
    assert_eq!(home.json(&["scan", "--wait", &idea.display().to_string()])["found"], 0);
    drained(&home);
    let names: Vec<_> = cloud.projects().iter().map(|project| project["project_name"].clone()).collect();
    assert_eq!(names, ["one"]);
    daemon.finish();
}

#[test]
fn a_linked_work_tree_is_answered_for_by_the_project_it_belongs_to() {
    let (home, cloud) = world();
    let main = repository(&home, "main");
    let (fix, inside) = (home.roots().join("main-fix"), home.roots().join("main-fix/src/deep"));
    home.git(&main, &["worktree", "add", "-q", "--detach", &fix.display().to_string()]);
    let daemon = Daemon::start(&home);
    let id = until("it is registered", || {
        let projects = cloud.projects();
        Some(projects.first()?["local_project_uuid"].as_str()?.to_owned())
    });
    assert_eq!(home.json(&["scan", "--wait"])["found"], 1);
    drained(&home);
    let uuid = |told: &Value| told["local_project_uuid"].as_str().map(str::to_owned);
    for path in [&fix, &inside] {
        let path = path.display().to_string();
        assert_eq!(uuid(&home.json(&["resolve", &path])), Some(id.clone()), "{path}");
        let inspected = home.json(&["inspect", &path]).to_string();
        assert!(
            inspected.contains(&format!("\"root_path\":\"{}\"", main.canonicalize().unwrap().display())),
            "{inspected}"
        );
        let registered = home.json(&["register", &path]).to_string();
        assert!(registered.contains(&id), "{registered}");
    }
    drained(&home);
    assert_eq!(cloud.projects().len(), 1);
    // Somebody may want it to be one all the same.
    let own = home.json(&["register", "--name", "fix", &fix.display().to_string()]).to_string();
    assert!(!own.contains(&id), "{own}");
    daemon.finish();
}

#[test]
fn a_linked_work_tree_whose_repository_moved_is_told_of_once_until_it_is_mended() {
    let (home, cloud) = world();
    let main = repository(&home, "main");
    let (moved, agent) = (home.roots().join("main2"), home.roots().join("agent"));
    let tree = agent.display().to_string();
    home.git(&main, &["worktree", "add", "-q", "--detach", &tree]);
    let daemon = Daemon::start(&home);
    until("it is registered", || (cloud.projects().len() == 1).then_some(()));
    drained(&home);
    let lines = || {
        let status = home.json(&["status"]);
        status["discovery"]["problems"].as_array().expect("a list").clone()
    };
    let is_told = || (lines().len() == 1).then_some(());
    let is_mended = || (lines().is_empty() && home.run(&["resolve", &tree]).code == 0).then_some(());
    std::fs::rename(&main, &moved).expect("ours");
    until("it is told", is_told);
    for number in 0..30 {
        std::fs::create_dir(agent.join(format!("sub{number}"))).expect("ours");
    }
    home.project("after");
    until("what happened last is known", || (cloud.projects().len() == 2).then_some(()));
    let told = lines();
    assert!(told.len() == 1 && told[0].to_string().contains("/agent: "), "{told:?}");
    // As advised, and by taking the repository back, when nothing happens in the work tree.
    home.git(&moved, &["worktree", "repair", &tree]);
    until("it is mended", is_mended);
    std::fs::rename(&moved, &main).expect("ours");
    until("it is told again", is_told);
    std::fs::rename(&main, &moved).expect("ours");
    until("it is mended again", is_mended);
    daemon.finish();
}

#[test]
fn packages_become_projects_and_stay_in_the_cloud_when_they_are_none_any_more() {
    let (mut home, cloud) = world();
    let root = repository(&home, "w");
    std::fs::write(root.join("package.json"), r#"{"name": "w", "workspaces": ["packages/*"]}"#).unwrap();
    for name in ["a", "b"] {
        let package = root.join("packages").join(name);
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("package.json"), format!(r#"{{"name": "@w/{name}"}}"#)).unwrap();
    }
    let daemon = Daemon::start(&home);
    until("the workspace is registered", || hash_in_cloud(&cloud.projects(), "w"));
    assert_eq!(cloud.projects().len(), 1);
    let mut discovery = json!({"roots": [home.roots()], "debounce": "200ms", "workspace_members": true});
    home.set_daemon("discovery", discovery.clone());
    assert_eq!(home.run(&["reload"]).code, 0);
    let projects = until("the packages are too", || {
        let projects = cloud.projects();
        (projects.len() == 3).then_some(projects)
    });
    let of = |name: &str| projects.iter().find(|project| project["project_name"] == name).expect(name);
    assert_eq!(of("@w/a")["parent_project_uuid"], of("w")["local_project_uuid"], "{projects:?}");

    discovery["workspace_members"] = false.into();
    home.set_daemon("discovery", discovery);
    assert_eq!(home.run(&["reload"]).code, 0);
    until("they are known to be none any more", || {
        let scanned = home.json(&["scan", "--wait"]);
        (scanned["found"] == 1).then_some(())
    });
    assert_eq!(cloud.projects().len(), 3, "nothing is deleted there");
    daemon.finish();
}

#[test]
fn a_users_rule_tells_the_framework_after_a_reload() {
    let (mut home, cloud) = world();
    let root = repository(&home, "kit");
    std::fs::write(root.join("package.json"), r#"{"name": "kit", "dependencies": {"@house/kit": "1"}}"#)
        .unwrap();
    let rules = home.path().join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    home.set_daemon("discovery", json!({"roots": [home.roots()], "debounce": "200ms", "rules_dir": rules}));
    let daemon = Daemon::start(&home);
    let framework = |cloud: &sync_tests::Cloud| {
        let projects = cloud.projects();
        let kit = projects.iter().find(|project| project["project_name"] == "kit")?;
        Some(kit["framework"].as_str().unwrap_or_default().to_owned())
    };
    let first = until("it is registered", || framework(&cloud));
    assert_eq!(first, "");
    let rule = "[[framework]]\nslug = \"house\"\nname = \"House\"\necosystem = \"npm\"\nrank = 3\n\
                any = [{ dependency = \"@house/kit\" }]\n";
    std::fs::write(rules.join("house.toml"), rule).unwrap();
    std::fs::write(rules.join("wrong.toml"), "\n[[framework]\n").unwrap();
    assert_eq!(home.run(&["reload"]).code, 0);
    until("the rule is heard of", || framework(&cloud).filter(|framework| framework == "house"));
    let status = home.json(&["status"])["discovery"]["problems"].to_string();
    assert!(status.contains("wrong.toml: line 2"), "{status}");
    let told = home.json(&["inspect", &root.display().to_string()]).to_string();
    assert!(told.contains("in ") && told.contains("house.toml"), "{told}");
    daemon.finish();
}

/// A mounted file system that never answers. Dropping it takes it away.
struct Hung {
    shell: Child,
}

impl Hung {
    /// `None` where this may not be done.
    fn at(folder: &Path) -> Option<Self> {
        // Nobody reads what the kernel asks of this file system, so whoever touches it waits.
        const SCRIPT: &str = "exec 9<>/dev/fuse || exit 1
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hung \"$1\" || exit 1
            echo up; read -r over; umount -l \"$1\"";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let stdout = shell.stdout.take()?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).ok()?;
        let hung = Self { shell };
        (said.trim() == "up").then_some(hung)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            drop(stdin.write_all(b"\n"));
        }
        drop(self.shell.wait());
    }
}

#[test]
fn a_root_that_hangs_holds_up_nobody_else() {
    let (mut home, cloud) = world();
    let hung = home.path().join("hung");
    std::fs::create_dir_all(&hung).unwrap();
    home.set_daemon("discovery", json!({"roots": [hung.clone(), home.roots()], "debounce": "200ms"}));
    let Some(mount) = Hung::at(&hung) else {
        eprintln!("skipped: mounting needs root and /dev/fuse");
        return;
    };
    repository(&home, "first");
    let daemon = Daemon::start(&home).expecting("roots do not answer");
    until("the other root's project is registered", || hash_in_cloud(&cloud.projects(), "first"));
    repository(&home, "second");
    until("events are heard", || hash_in_cloud(&cloud.projects(), "second"));
    let outside = home.project("named");
    assert_eq!(home.run(&["register", &outside.display().to_string(), "--wait"]).code, 0);
    // The one that hangs is noticed after half a minute, which is longer than a test should take.
    let status = home.json(&["status"]);
    let roots = status["discovery"]["roots"].to_string();
    assert!(roots.contains("watching"), "{roots}");
    drop(mount);
    daemon.finish();
}

#[test]
fn what_hangs_in_a_project_or_beside_it_holds_up_neither_it_nor_the_others() {
    let (home, cloud) = world();
    let root = repository(&home, "first");
    repository(&home, "first/data/inner");
    let daemon = Daemon::start(&home);
    let new = until("its project is registered", || hash_in_cloud(&cloud.projects(), "first"));
    until("and the one inside", || hash_in_cloud(&cloud.projects(), "inner"));
    // What was new is looked at once more; a look that is under way when something is mounted may go into it, and is begun
    // anew seconds later.
    std::fs::write(root.join("settled"), "x").unwrap();
    let before = until("it is looked at when it is watched", || {
        hash_in_cloud(&cloud.projects(), "first").filter(|hash| *hash != new)
    });
    let places = [root.join("data"), home.roots().join("mounted")];
    let mounts = places.each_ref().map(|place| {
        std::fs::create_dir_all(place).unwrap();
        Hung::at(place)
    });
    if mounts.iter().any(Option::is_none) {
        eprintln!("skipped: mounting needs root and /dev/fuse");
        daemon.finish();
        return;
    }
    std::fs::write(root.join("more"), "x").unwrap();
    until("it is looked at again", || {
        hash_in_cloud(&cloud.projects(), "first").filter(|hash| *hash != before)
    });
    repository(&home, "second");
    until("events are heard", || hash_in_cloud(&cloud.projects(), "second"));
    // What happens where they are mounted is of the folder around them.
    std::fs::write(home.roots().join("go.mod"), "module example.org/m\n").unwrap();
    std::fs::remove_file(home.roots().join("go.mod")).unwrap();
    assert_eq!(home.run(&["scan", "--wait"]).code, 0);
    let told = home.json(&["inspect", &root.display().to_string()]).to_string();
    assert!(told.contains("what is mounted from elsewhere") && told.contains("data"), "{told}");
    let missing = home.json(&["projects"]).to_string().matches("\"missing\"").count();
    assert_eq!(missing, 0, "what lies in it is not taken for gone");
    drop(mounts);
    daemon.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_systems_limit_refuses_is_polled_and_said() {
    const LIMIT: &str = "echo 7 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let (home, cloud) = world();
    let possible = home.command("unshare").args(["-Ur", "sh", "-c", LIMIT, "sh", "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: user namespaces are not to be had here");
        return;
    }
    for number in 0..10 {
        repository(&home, &format!("p{number}"));
    }
    let daemon = Daemon::start_under(&home, &["unshare", "-Ur", "sh", "-c", LIMIT, "sh"])
        .expecting("some folders cannot be watched");
    until("all are registered", || (cloud.projects().len() == 10).then_some(()));
    let status = until("it is said", || {
        let status = home.json(&["status"]);
        (status["discovery"]["roots"][0]["state"] == "polling").then_some(status)
    });
    let problems = status["discovery"]["problems"].to_string();
    assert!(problems.contains("cannot be watched") && problems.contains("max_user_watches"), "{problems}");
    assert!(status["discovery"]["watches"].as_u64().unwrap_or(0) <= 7, "{status}");
    daemon.finish();
}

/// As many projects as there are go into the table, and not one more.
const FULL: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute('''create trigger full before insert on project when (select count(*) from project) >= 128
    begin select raise(abort, 'no more go in'); end''')
database.commit()
";
const OPEN: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=30)
database.execute('drop trigger full')
database.commit()
";

#[test]
fn what_is_written_down_before_the_rest_cannot_be_is_told_and_sent() {
    let (mut home, cloud) = world();
    let python = |home: &Home, words: &str| {
        let mut python = home.command("python3");
        python.args(["-c", words]).arg(home.state().join("sync.db"));
        python.status().map(|status| assert!(status.success(), "{words}"))
    };
    // Whatever is sent by then was sent at once.
    home.set_daemon("drain_interval", "1h");
    Daemon::start(&home).finish();
    if python(&home, FULL).is_err() {
        eprintln!("SKIPPED what_is_written_down_before_the_rest_cannot_be_is_told_and_sent: no python3");
        return;
    }
    let roots: Vec<PathBuf> = (0..200).map(|number| home.project(&format!("project-{number}"))).collect();
    // One look has to find them all: what was made just now is left for the next one.
    let made = now();
    until("all have come to rest", || (made.elapsed() > 5 * DEBOUNCE).then_some(()));
    let daemon = Daemon::start(&home).expecting("cannot be written down");
    until("what went in is in the cloud", || (cloud.projects().len() == 128).then_some(()));
    // The cloud has it a moment before it is on record here.
    drained(&home);
    let names: Vec<_> = cloud.projects().iter().map(|project| project["project_name"].clone()).collect();
    let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
    for root in &roots {
        let name = root.file_name().expect("it has one").to_string_lossy();
        let subject = Subject::Path(root.join("src"));
        let told = client.resolve(&ResolveQuery { subject, refresh: false, wait_ms: Some(0) });
        assert_eq!(told.is_ok(), names.contains(&json!(name)), "{name}: {told:?}");
    }
    python(&home, OPEN).expect("it was there before");
    assert_eq!(home.run(&["scan", "--wait"]).code, 0);
    until("all are in the cloud", || (cloud.projects().len() == roots.len()).then_some(()));
    daemon.finish();
}

#[test]
fn a_project_of_which_nothing_can_be_told_is_not_called_missing() {
    let (mut home, cloud) = world();
    let group = home.roots().join("group");
    repository(&home, "group/project");
    let away = home.path().join("away");
    let roots = [home.roots(), home.path().join("disk/projects")];
    home.set_daemon("discovery", json!({"roots": roots, "debounce": "200ms"}));
    std::fs::create_dir_all(home.path().join("disk")).unwrap();
    repository(&home, "../disk/projects/other");
    let daemon = Daemon::start(&home);
    until("both are registered", || (cloud.projects().len() == 2).then_some(()));
    drained(&home);
    let missing = || {
        assert_eq!(home.run(&["scan", "--wait"]).code, 0);
        let status: Value = serde_json::from_str(&home.run(&["status", "--json"]).stdout).unwrap();
        status["projects"]["missing"].clone()
    };
    assert_eq!(missing(), 0);
    // What lies behind a link to itself is not there and not away.
    std::fs::rename(&group, &away).unwrap();
    std::os::unix::fs::symlink(&group, &group).unwrap();
    // As a disk that was ejected, and took its mount point along.
    std::fs::rename(home.path().join("disk"), home.path().join("ejected")).unwrap();
    assert_eq!(missing(), 0);
    std::fs::remove_file(&group).unwrap();
    std::fs::create_dir_all(home.path().join("disk/projects")).unwrap();
    assert_eq!(missing(), 2);
    std::fs::remove_dir_all(home.path().join("disk")).unwrap();
    std::fs::rename(home.path().join("ejected"), home.path().join("disk")).unwrap();
    std::fs::rename(&away, &group).unwrap();
    assert_eq!(missing(), 0);
    drained(&home);
    assert_eq!(cloud.projects().len(), 2, "they are the same projects as before");
    daemon.finish();
}
