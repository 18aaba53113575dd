//! Projects that no look comes to: somebody named them, and they lie outside the roots or deeper than anybody looks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sync_tests::{Daemon, Home, until};

use crate::world;

fn registered(home: &Home, project: &Path) {
    assert_eq!(home.run(&["register", "--wait", &project.display().to_string()]).code, 0);
}

/// A folder that a manifest makes a project, registered by hand.
fn plain(home: &Home, root: PathBuf) -> PathBuf {
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join("package.json"), "{}").expect("a manifest");
    registered(home, &root);
    root
}

/// A bare repository, and a linked work tree of it that is registered by hand.
fn linked(home: &Home, plain: &Path, store: &Path, tree: &Path) {
    let text = |path: &Path| path.display().to_string();
    home.git(plain, &["clone", "-q", "--bare", ".", &text(store)]);
    home.git(store, &["worktree", "add", "-q", "--detach", &text(tree)]);
    registered(home, tree);
}

/// The states of all, by the names of their folders.
fn states(home: &Home) -> BTreeMap<String, String> {
    let projects = home.json(&["projects"]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let state = |project: &serde_json::Value| {
        let root = PathBuf::from(text(&project["root_path"]));
        (root.file_name().unwrap_or_default().to_string_lossy().into_owned(), text(&project["state"]))
    };
    projects["projects"].as_array().expect("a list").iter().map(state).collect()
}

fn expected(states: &[(&str, &str)]) -> BTreeMap<String, String> {
    states.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

#[test]
fn a_project_that_is_gone_is_missing_where_no_look_comes_to_as_well() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    plain(&home, home.path().join("elsewhere/stays"));
    let goes = plain(&home, home.path().join("elsewhere/work/goes"));
    let left_out = plain(&home, home.roots().join("node_modules/left-out"));
    fs::create_dir(home.roots().join("node_modules/other")).expect("a folder");
    let deep = plain(&home, home.roots().join("1/2/3/4/5/6/7/8/9/deep"));
    for gone in [goes.parent().expect("a folder"), &left_out, &deep] {
        fs::remove_dir_all(gone).expect("ours");
    }
    assert_eq!(home.run(&["scan", "--wait"]).code, 0);
    let told = [("stays", "registered"), ("goes", "missing"), ("left-out", "missing"), ("deep", "missing")];
    assert_eq!(states(&home), expected(&told));
    daemon.finish();
}

/// A disk that is mounted until it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this may not be done.
    fn at(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).expect("a folder");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "none"]).arg(&folder).status();
        status.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A daemon may still be about to let go of a folder in it.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_disk_that_is_away_takes_no_project_with_it() {
    let (home, cloud) = world();
    let (here, away) = (home.path().join("here"), home.path().join("away"));
    let Some(disk) = Disk::at(away.clone()) else {
        eprintln!("skipped: mounting needs root");
        return;
    };
    let source = home.path().join("source");
    fs::create_dir_all(&source).expect("a folder");
    home.git(&source, &["init", "-q"]);
    home.git(&source, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let daemon = Daemon::start(&home);
    plain(&home, away.join("plain"));
    // From then on it is watched.
    let scanned = plain(&home, away.join("scanned"));
    assert_eq!(home.run(&["scan", "--wait", &scanned.display().to_string()]).code, 0);
    linked(&home, &source, &here.join("store.git"), &away.join("tree-away"));
    linked(&home, &source, &away.join("store.git"), &here.join("tree-here"));
    until("all are in the cloud", || (cloud.projects().len() == 4).then_some(()));
    fs::remove_dir_all(here.join("tree-here")).expect("ours");
    drop(disk);
    assert_eq!(home.run(&["scan", "--wait"]).code, 0);
    let told = [
        ("plain", "registered"),
        ("scanned", "registered"),
        ("tree-away", "registered"),
        ("tree-here", "missing"),
    ];
    assert_eq!(states(&home), expected(&told));
    daemon.finish();
}
