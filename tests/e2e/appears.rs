//! A folder appears, changes, moves, vanishes and comes back, and the cloud knows it.

use serde_json::Value;
use sync_tests::{Daemon, Home, until};

use crate::{effects, world};

fn resolved(home: &Home, path: &std::path::Path) -> String {
    until("the cloud knows it", || {
        let shown = home.run(&["resolve", &path.display().to_string()]);
        (shown.code == 0).then(|| shown.stdout.trim().to_owned())
    })
}

fn state(home: &Home, name: &str) -> Option<Value> {
    let projects = home.json(&["projects"]);
    let found = projects["projects"].as_array()?.iter().find(|project| project["project_name"] == name)?;
    Some(found.clone())
}

#[test]
fn projects_of_every_kind_are_registered_when_they_appear() {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home);
    let made = home.roots().join("made");
    std::fs::create_dir(&made).unwrap();
    home.git(&made, &["init", "-q"]);
    std::fs::write(made.join("main.py"), "print(1)\n").unwrap();
    home.git(&made, &["add", "-A"]);
    home.git(&made, &["commit", "-qm", "first"]);
    home.git(&home.roots(), &["clone", "-q", "made", "cloned"]);
    let plain = home.project("plain");

    let ids: Vec<String> =
        [&made, &home.roots().join("cloned"), &plain].iter().map(|path| resolved(&home, path)).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    assert_eq!(resolved(&home, &plain.join("src/deep/er")), ids[2], "a path inside counts as the project");
    until("its language is known", || {
        state(&home, "made").filter(|project| project["primary_language"] == "Python")
    });
    let tree = home.command("git").arg("-C").arg(&made).args(["rev-parse", "HEAD^{tree}"]).output().unwrap();
    until("its content is known", || {
        let known = cloud.projects();
        let project = known.iter().find(|project| project["project_name"] == "made")?;
        (project["content_hash"].as_str()? == String::from_utf8_lossy(&tree.stdout).trim()).then_some(())
    });
    daemon.finish();
}

#[test]
fn a_project_keeps_who_it_is_when_it_moves_and_when_it_comes_back() {
    let (home, cloud) = world();
    let root = home.project("api");
    let daemon = Daemon::start(&home);
    let first = resolved(&home, &root);
    let moved = home.roots().join("group/renamed");
    std::fs::create_dir(home.roots().join("group")).unwrap();
    std::fs::rename(&root, &moved).unwrap();
    until("it is known at its new place", || {
        state(&home, "api")
            .filter(|project| project["root_path"].as_str().is_some_and(|path| path.ends_with("renamed")))
    });
    assert_eq!(resolved(&home, &moved), first);

    let away = home.path().join("away");
    std::fs::rename(&moved, &away).unwrap();
    until("it is missed", || state(&home, "api").filter(|project| project["state"] == "missing"));
    std::fs::rename(&away, &moved).unwrap();
    until("it is back", || state(&home, "api").filter(|project| project["state"] == "registered"));
    assert_eq!(resolved(&home, &moved), first);
    assert_eq!(cloud.projects().len(), 1, "nothing is registered twice, nothing is deleted");
    daemon.finish();
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    let (home, cloud) = world();
    for number in 0..5 {
        home.project(&format!("p{number}"));
    }
    let daemon = Daemon::start(&home);
    until("all are registered", || (cloud.projects().len() == 5).then_some(()));
    let scanned = home.json(&["scan", "--wait"]);
    assert_eq!(
        (&scanned["found"], &scanned["added"], &scanned["changed"]),
        (&5.into(), &0.into(), &0.into())
    );
    assert_eq!(effects(&cloud.ledger()), ["created"; 5]);
    daemon.finish();

    let again = Daemon::start(&home);
    home.json(&["scan", "--wait"]);
    assert_eq!(effects(&cloud.ledger()), ["created"; 5], "nor after a restart");
    again.finish();
}

#[test]
fn what_is_still_being_made_is_told_until_it_is_registered() {
    let (mut home, cloud) = world();
    home.set_daemon("discovery", serde_json::json!({"roots": [home.roots()], "debounce": "5m"}));
    home.project("fresh");
    let daemon = Daemon::start(&home);
    let arriving = || home.json(&["status"])["discovery"]["arriving"].clone();
    until("it is seen", || (arriving() == 1).then_some(()));
    assert!(home.run(&["status"]).stdout.contains("; 1 more still being made"));
    assert_eq!(cloud.projects().len(), 0);
    home.json(&["scan", "--wait"]);
    assert_eq!(arriving(), 0);
    until("it is registered", || (cloud.projects().len() == 1).then_some(()));
    daemon.finish();
}

#[test]
fn whoever_asks_is_told_of_what_was_made_just_now() {
    let (mut home, cloud) = world();
    home.set_daemon("discovery", serde_json::json!({"roots": [home.roots()], "debounce": "3s"}));
    home.project("first");
    let daemon = Daemon::start(&home);
    let idle = home.run(&["wait", "--for", "idle", "--within", "1m"]);
    assert_eq!((idle.code, cloud.projects().len()), (0, 1), "{idle:?}");
    // Three seconds have to pass before it is looked at unasked.
    let second = home.project("second");
    let scanned = home.json(&["scan", "--wait"]);
    assert_eq!((&scanned["found"], &scanned["added"]), (&2.into(), &1.into()));
    assert!(home.json(&["resolve", &second.display().to_string()])["local_project_uuid"].is_string());
    daemon.finish();
}

#[test]
fn a_reload_looks_in_another_root() {
    let (mut home, cloud) = world();
    let other = home.path().join("other");
    std::fs::create_dir_all(other.join("lib")).unwrap();
    std::fs::write(other.join("lib/package.json"), "{\"name\": \"lib\"}").unwrap();
    let daemon = Daemon::start(&home);
    home.set_daemon("discovery", serde_json::json!({"roots": [other], "debounce": "200ms"}));
    assert_eq!(home.run(&["reload"]).code, 0);
    until("the other root's project is registered", || (cloud.projects().len() == 1).then_some(()));
    home.write_config_text("{\"sync_daemon\": {\"drain_interval\": 3}}");
    daemon.signal("HUP");
    let daemon = daemon.expecting("drain_interval").expecting("the configuration was not changed");
    until("the wrong configuration is refused", || daemon.log().contains("it has errors").then_some(()));
    assert_eq!(home.run(&["status"]).code, 0);
    daemon.finish();
}

#[test]
fn the_embedded_cloud_needs_nothing_and_outlives_a_kill() {
    let home = Home::new();
    home.project("api");
    let daemon = Daemon::start_with(&home, &["--dev"]);
    let first = resolved(&home, &home.roots().join("api"));
    daemon.kill();
    let daemon = Daemon::start_with(&home, &["--dev"]);
    assert_eq!(resolved(&home, &home.roots().join("api")), first);
    let refreshed = home.run(&["resolve", "--refresh", &home.roots().join("api").display().to_string()]);
    assert_eq!(refreshed.stdout.trim(), first);
    daemon.finish();
}
