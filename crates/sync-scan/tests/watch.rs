//! What real watches tell, and what they keep quiet about.

#[cfg(test)]
mod walk_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sync_scan::{DirtyState, Role, WatchReport, Watcher};
use walk_support::{Home, committed, git};

/// How long the system may take to tell.
const LONG: Duration = Duration::from_mins(1);
/// Any moment will do: the tests ask without patience.
const NOW_MS: u64 = 1_000_000;

struct Watching {
    home: Home,
    watcher: Watcher,
    wakes: Receiver<()>,
    folders: BTreeMap<Arc<Path>, Role>,
}

#[cfg(test)]
impl Watching {
    fn of(home: Home) -> (Self, WatchReport) {
        let (send, wakes) = channel();
        let mut watcher = Watcher::start(Box::new(move || send.send(()).unwrap_or_default())).unwrap();
        let folders = home.survey().folders;
        let report = watcher.watch(&folders);
        // What the test made just before counts as a change; a look at it is not of interest here.
        watcher.look_begins();
        watcher.dirty(NOW_MS, 0, 0);
        (Self { home, watcher, wakes, folders }, report)
    }

    fn ask(&mut self) -> DirtyState {
        self.watcher.dirty(NOW_MS, 0, 0)
    }

    /// Waits until every one of `expected` was reported, and gives all that was.
    #[track_caller]
    fn expect(&mut self, expected: &[&str]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        loop {
            let state = self.ask();
            assert!(!state.overflow);
            seen.extend(state.paths.iter().map(|path| self.home.name(path)));
            if expected.iter().all(|place| seen.contains(*place)) {
                return seen;
            }
            let woken = self.wakes.recv_timeout(LONG);
            assert!(woken.is_ok(), "waited for {expected:?} and was told of {seen:?}");
        }
    }

    /// Looks at what is dirty and watches what was found, as the daemon does.
    fn follow(&mut self, places: &BTreeSet<String>) -> Vec<String> {
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        self.watcher.look_begins();
        let look = self.home.look(&places);
        look.update(&mut self.folders);
        self.watcher.watch(&self.folders);
        self.home.names(&look)
    }
}

#[test]
fn a_new_project_is_noticed_and_then_watched_itself() {
    let home = Home::new();
    home.repository("old");
    let (mut watching, _) = Watching::of(home);
    committed(&watching.home.at("fresh"));
    let places = watching.expect(&["fresh"]);
    assert_eq!(watching.follow(&places), ["fresh"]);

    fs::write(watching.home.at("fresh/more"), "text").unwrap();
    git(&watching.home.at("fresh"), &["add", "more"]);
    watching.expect(&["fresh"]);
}

#[test]
fn folders_made_at_once_are_found_by_looking_at_the_first() {
    let (mut watching, _) = Watching::of(Home::new());
    watching.home.repository("a/b/c");
    let places = watching.expect(&["a"]);
    assert_eq!(watching.follow(&places), ["a/b/c"]);
}

#[test]
fn reading_wakes_nobody() {
    let home = Home::new();
    committed(&home.at("p"));
    home.file("notes.txt", "text");
    let (mut watching, _) = Watching::of(home);
    while watching.wakes.try_recv().is_ok() {}

    watching.home.survey();
    fs::read(watching.home.at("p/README")).unwrap();
    fs::read(watching.home.at("p/.git/index")).unwrap();
    fs::write(watching.home.at("notes.txt"), "noise between projects").unwrap();
    fs::write(watching.home.at("p/.git/description"), "noise of git").unwrap();
    // Events come in order: what came before the last one would be there with it.
    fs::create_dir(watching.home.at("last")).unwrap();
    assert_eq!(watching.expect(&["last"]), BTreeSet::from(["last".to_owned()]));
}

#[test]
fn a_project_that_moves_is_noticed_at_both_ends() {
    let home = Home::new();
    home.repository("here/p");
    home.folder("there");
    let (mut watching, _) = Watching::of(home);
    fs::rename(watching.home.at("here/p"), watching.home.at("there/q")).unwrap();
    let places = watching.expect(&["here/p", "there/q"]);
    assert_eq!(watching.follow(&places), ["there/q"]);

    // The system tells of a move in several parts; what comes after the last is told after it.
    watching.home.folder("sentinel");
    watching.expect(&["sentinel"]);
    // Its watches moved with it: the new place is told of, the old one is not.
    fs::write(watching.home.at("there/q/file"), "text").unwrap();
    assert_eq!(watching.expect(&["there/q"]), BTreeSet::from(["there/q".to_owned()]));
}

#[test]
fn a_root_that_goes_and_comes_again_is_watched_again() {
    let mut home = Home::new();
    home.folder("root");
    home.options.roots = vec![home.at("root")];
    let (mut watching, _) = Watching::of(home);
    fs::remove_dir(watching.home.at("root")).unwrap();
    let places = watching.expect(&["root"]);
    assert!(watching.follow(&places).is_empty());

    fs::create_dir(watching.home.at("beside")).unwrap();
    watching.home.repository("root/p");
    let places = watching.expect(&["root"]);
    assert!(!places.contains("beside"), "{places:?}");
    assert_eq!(watching.follow(&places), ["root/p"]);

    watching.home.repository("root/q");
    watching.expect(&["root/q"]);
}

#[test]
fn a_root_that_was_never_there_is_waited_for_through_its_parents() {
    let mut home = Home::new();
    home.options.roots = vec![home.at("a/b/root")];
    let (mut watching, report) = Watching::of(home);
    assert_eq!((report.watches, report.refused.len()), (1, 0), "{report:?}");
    watching.home.folder("a");
    let places = watching.expect(&["a/b/root"]);
    watching.follow(&places);
    watching.home.repository("a/b/root/p");
    let places = watching.expect(&["a/b/root"]);
    assert_eq!(watching.follow(&places), ["a/b/root/p"]);
}

#[test]
fn what_happens_between_the_survey_and_the_watching_is_not_lost() {
    let home = Home::new();
    let (send, wakes) = channel();
    let mut watcher = Watcher::start(Box::new(move || send.send(()).unwrap_or_default())).unwrap();
    let survey = home.survey();
    home.repository("late");
    watcher.watch(&survey.folders);
    assert_eq!(watcher.dirty(NOW_MS, 0, 0).paths, std::slice::from_ref(&home.path));
    drop(wakes);
}

#[test]
fn exactly_the_wanted_folders_are_watched() {
    let home = Home::new();
    home.repository("a");
    home.folder("b/c");
    let (mut watching, report) = Watching::of(home);
    let expected = WatchReport { watches: watching.folders.len(), ..WatchReport::default() };
    assert_eq!(report, expected);
    let only = BTreeMap::from([(watching.home.at("b").into(), Role::Frontier)]);
    assert_eq!(watching.watcher.watch(&only).watches, 1);
    fs::create_dir(watching.home.at("unseen")).unwrap();
    fs::create_dir(watching.home.at("b/seen")).unwrap();
    assert_eq!(watching.expect(&["b/seen"]), BTreeSet::from(["b/seen".to_owned()]));
}

#[cfg(target_os = "linux")]
#[test]
fn the_system_holds_one_watch_for_each_folder() {
    // In a process of its own, because the other tests of this program watch as well.
    if std::env::args().any(|argument| argument == "--exact") {
        let home = Home::new();
        for number in 0..20 {
            home.repository(&format!("group/{number}"));
        }
        let (watching, report) = Watching::of(home);
        assert_eq!(report.watches, 42);
        let folders = fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(Result::ok);
        let watches = folders
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .map(|text| text.lines().filter(|line| line.starts_with("inotify wd:")).count());
        assert_eq!(watches.sum::<usize>(), watching.folders.len());
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_system_holds_one_watch_for_each_folder"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_storm_in_one_project_is_one_report_after_it_rests() {
    let home = Home::new();
    home.repository("p");
    let (mut watching, _) = Watching::of(home);
    while watching.wakes.try_recv().is_ok() {}
    for number in 0..500 {
        fs::write(watching.home.at(&format!("p/{number}")), "text").unwrap();
    }
    watching.wakes.recv_timeout(LONG).unwrap();
    let state = watching.watcher.dirty(NOW_MS, 2_000, 30_000);
    assert_eq!(state.paths, Vec::<PathBuf>::new());
    let next = state.next.unwrap();
    assert!(next > NOW_MS && next <= NOW_MS + 2_000, "{next}");
    // While it is waited for, nobody is woken for it again.
    while watching.wakes.try_recv().is_ok() {}
    fs::write(watching.home.at("p/again"), "text").unwrap();
    fs::create_dir(watching.home.at("sentinel")).unwrap();
    watching.wakes.recv_timeout(LONG).unwrap();
    assert!(watching.wakes.try_recv().is_err());
    let state = watching.watcher.dirty(NOW_MS + 60_000, 2_000, 30_000);
    assert_eq!(state.paths, [watching.home.at("p")]);
}
