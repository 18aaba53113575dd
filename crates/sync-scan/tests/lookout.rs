//! What a lookout notices, what it leaves alone, and how many watches that takes.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use sync_scan::{Lookout, Seen, Task, Turn, Watcher};
use walk_support::{Home, committed, git};

/// How long the system may take to tell.
const LONG: Duration = Duration::from_secs(20);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

struct Looking {
    home: Home,
    lookout: Lookout,
    wakes: Receiver<()>,
    /// How far ahead of the clock it is told to be.
    ahead_ms: u64,
    quiet_ms: u64,
}

#[cfg(test)]
impl Looking {
    /// After a first look at everything.
    fn at(home: Home) -> Self {
        Self::ahead(home, 0)
    }

    fn ahead(home: Home, ahead_ms: u64) -> Self {
        let (send, wakes) = channel();
        let watcher = Watcher::start(Box::new(move || send.send(()).unwrap_or_default())).unwrap();
        Self::with(home, Some(watcher), wakes, ahead_ms)
    }

    fn with(home: Home, watcher: Option<Watcher>, wakes: Receiver<()>, ahead_ms: u64) -> Self {
        let lookout = Lookout::new(home.options.clone(), watcher, Some(home.shelf()));
        let mut looking = Self { home, lookout, wakes, ahead_ms, quiet_ms: 0 };
        looking.turn(Task::Everything);
        looking.settle();
        looking
    }

    #[expect(clippy::disallowed_methods, reason = "compared with the stamps of files")]
    fn turn(&mut self, task: Task) -> Seen {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now_ms = u64::try_from(now.as_millis()).unwrap() + self.ahead_ms;
        let turn = Turn { task, now_ms, quiet_ms: self.quiet_ms, most_ms: 30_000 };
        self.lookout.turn(&turn, &AtomicBool::new(false))
    }

    /// Takes turns until nothing more is due and the system tells of nothing more.
    fn settle(&mut self) {
        fs::create_dir_all(self.home.at("settling")).unwrap();
        fs::remove_dir(self.home.at("settling")).unwrap();
        while self.wakes.recv_timeout(Duration::from_millis(50)).is_ok()
            || self.turn(Task::Events).next_ms.is_some()
        {}
    }

    /// Takes turns until these projects, and no others, were examined; answers how often each turn examined any.
    #[track_caller]
    fn examined(&mut self, expected: &[&str]) -> Vec<usize> {
        let mut examined = Vec::new();
        loop {
            let seen = self.turn(Task::Events);
            for survey in &seen.surveys {
                if survey.examined > 0 {
                    examined.push(survey.examined);
                    assert_eq!(self.home.names(survey), expected);
                }
            }
            if examined.is_empty() {
                let woken = self.wakes.recv_timeout(LONG);
                assert!(woken.is_ok(), "waited in vain for {expected:?}");
            } else if seen.next_ms.is_none() {
                return examined;
            }
        }
    }

    /// These were seen, and never more than one of them examined: a write may be told in more than one turn.
    #[track_caller]
    fn only(&mut self, expected: &[&str]) {
        let examined = self.examined(expected);
        assert!(examined.iter().all(|count| *count == 1), "{examined:?}");
        self.settle();
    }

    fn hash(&mut self, project: &str) -> String {
        let seen = self.turn(Task::Glance);
        let root = self.home.at(project);
        walk_support::sighting(&seen.surveys[0], &root).content_hash.clone()
    }
}

#[test]
fn after_an_event_only_the_project_concerned_is_examined() {
    let home = Home::new();
    for name in ["a", "b", "group/c"] {
        committed(&home.at(name));
    }
    let mut looking = Looking::at(home);
    fs::write(looking.home.at("b/README"), "other\n").unwrap();
    looking.only(&["b"]);

    committed(&looking.home.at("new"));
    looking.only(&["new"]);

    // A manifest between projects makes the folder it is in a project, and walks it; the others are known.
    looking.home.file("group/package.json", "{}");
    looking.only(&["group", "group/c"]);
}

#[test]
fn a_folder_made_among_many_projects_examines_none_of_them() {
    let home = Home::new();
    for number in 0..50 {
        home.repository(&format!("p{number}"));
    }
    let mut looking = Looking::at(home);
    looking.home.folder("empty/deeper");
    loop {
        let seen = looking.turn(Task::Events);
        assert!(seen.surveys.iter().all(|survey| survey.examined == 0));
        if seen.surveys.iter().any(|survey| survey.folders.contains_key(&looking.home.at("empty/deeper"))) {
            break;
        }
        assert!(looking.wakes.recv_timeout(LONG).is_ok());
    }
}

#[test]
fn an_edit_deep_inside_a_project_that_changed_lately_is_told() {
    let home = Home::new();
    committed(&home.at("p"));
    home.file("p/src/deep/er/file", "one\n");
    home.file("p/.gitignore", "out/\n");
    home.file("p/out/made", "");
    let mut looking = Looking::at(home);
    let before = looking.hash("p");
    fs::write(looking.home.at("p/src/deep/er/file"), "two\n").unwrap();
    looking.examined(&["p"]);
    assert_ne!(looking.hash("p"), before);

    // What is ignored is not watched.
    looking.settle();
    fs::write(looking.home.at("p/out/made"), "again").unwrap();
    looking.home.folder("last");
    loop {
        let seen = looking.turn(Task::Events);
        assert!(seen.surveys.iter().all(|survey| survey.examined == 0));
        if seen.surveys.iter().any(|survey| survey.folders.contains_key(&looking.home.at("last"))) {
            break;
        }
        assert!(looking.wakes.recv_timeout(LONG).is_ok());
    }
}

#[test]
fn an_edit_deep_inside_a_project_that_rested_for_long_is_found_by_a_sweep() {
    let home = Home::new();
    for name in ["a", "b"] {
        committed(&home.at(name));
        home.file(&format!("{name}/src/file"), "one\n");
    }
    let mut looking = Looking::ahead(home, 10 * DAY_MS);
    fs::write(looking.home.at("a/src/file"), "two\n").unwrap();
    assert!(looking.turn(Task::Events).surveys.is_empty(), "nobody watches there");
    let swept = looking.turn(Task::Sweep);
    assert!(!swept.sweeping);
    assert!(looking.home.names(&swept.surveys[0]).contains(&"a".to_owned()));
    looking.settle();
    assert!(looking.turn(Task::Sweep).surveys.is_empty(), "what is as before is not told again");

    // It changed lately, so it is watched from then on.
    fs::write(looking.home.at("a/src/file"), "three\n").unwrap();
    looking.examined(&["a"]);
}

#[test]
fn a_project_that_vanished_unseen_is_found_missing_by_a_sweep() {
    let home = Home::new();
    committed(&home.at("a"));
    committed(&home.at("a/nested"));
    home.file("b/Cargo.toml", "[package]\nname = \"b\"\n");
    let mut looking = Looking::with(home, None, channel().1, 0);
    fs::remove_dir_all(looking.home.at("a")).unwrap();
    fs::remove_file(looking.home.at("b/Cargo.toml")).unwrap();
    let swept = looking.turn(Task::Sweep);
    let survey = &swept.surveys[0];
    assert!(survey.sightings.is_empty());
    for gone in ["a", "a/nested", "b"] {
        assert!(survey.covered.has(&looking.home.at(gone)), "{gone}");
    }
    assert!(!survey.covered.has(&looking.home.at("a/other")));
}

#[test]
fn where_nobody_tells_a_glance_finds_what_is_new_and_what_version_control_did() {
    let home = Home::new();
    committed(&home.at("a"));
    committed(&home.at("b"));
    let mut looking = Looking::with(home, None, channel().1, 0);
    let glance = |looking: &mut Looking| {
        let seen = looking.turn(Task::Glance);
        (looking.home.names(&seen.surveys[0]), seen.surveys[0].examined)
    };
    assert_eq!(glance(&mut looking), (vec!["a".to_owned(), "b".to_owned()], 0));
    fs::write(looking.home.at("a/README"), "other\n").unwrap();
    git(&looking.home.at("a"), &["add", "README"]);
    looking.home.repository("c");
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(glance(&mut looking), (names.clone(), 2));
    assert_eq!(glance(&mut looking), (names, 0));
}

#[test]
fn a_slow_copy_is_one_sighting_of_the_whole() {
    let home = Home::new();
    let elsewhere = Home::new();
    let source = elsewhere.at("source");
    committed(&source);
    for number in 0..20 {
        elsewhere.file(&format!("source/part{number}/file"), &number.to_string());
    }
    git(&source, &["add", "-A"]);
    git(&source, &["commit", "--quiet", "-m", "parts"]);
    let mut looking = Looking::at(home);
    looking.quiet_ms = 1_500;
    let target = looking.home.at("copy");
    // Longer than it has to be quiet, with a git folder that looks whole from the beginning.
    let copying = std::thread::spawn(move || copy_slowly(&source, &target));
    let mut sightings = Vec::new();
    loop {
        let seen = looking.turn(Task::Events);
        let found = seen.surveys.iter().flat_map(|survey| &survey.sightings);
        sightings.extend(
            found.filter(|sighting| sighting.root.ends_with("copy")).map(|seen| seen.content_hash.clone()),
        );
        if copying.is_finished() && !sightings.is_empty() && seen.next_ms.is_none() {
            break;
        }
        // Woken by an event, or when the next question is due; either way it is asked again.
        let _is_told: bool = looking.wakes.recv_timeout(Duration::from_millis(50)).is_ok();
    }
    copying.join().unwrap();
    sightings.dedup();
    assert_eq!(sightings, [elsewhere.tree("source")]);
}

/// Pauses between entries: that the copy takes time is what is tested.
#[cfg(test)]
fn copy_slowly(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    let mut entries: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_slowly(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn watches_depend_on_folders_between_projects_and_on_projects_but_on_nothing_inside() {
    // In a process of its own, because the other tests of this program watch as well.
    const NAME: &str = "watches_depend_on_folders_between_projects_and_on_projects_but_on_nothing_inside";
    if std::env::args().any(|argument| argument == "--exact") {
        let home = Home::new();
        for number in 0..20 {
            home.repository(&format!("group/{number}"));
            for inside in 0..30 {
                home.folder(&format!("group/{number}/src/{inside}"));
            }
        }
        home.folder("between/projects");
        let (frontier, projects, inside) = (4, 20, 31);
        let watched = |looking: &mut Looking| {
            let seen = looking.turn(Task::Everything);
            let report = seen.watch.unwrap();
            assert!(report.refused.is_empty());
            assert_eq!(report.watches, watches_of_this_process());
            report.watches
        };
        let mut cold = Looking::ahead(home, 10 * DAY_MS);
        assert_eq!(watched(&mut cold), frontier + 2 * projects);
        // One that changes is watched inside, and only that one.
        fs::write(cold.home.at("group/7/src/3/file"), "text").unwrap();
        cold.turn(Task::Sweep);
        assert_eq!(watched(&mut cold), frontier + 2 * projects + inside);
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(target_os = "linux")]
#[cfg(test)]
fn watches_of_this_process() -> usize {
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap().filter_map(Result::ok);
    let watches = descriptors
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .map(|text| text.lines().filter(|line| line.starts_with("inotify wd:")).count());
    watches.sum()
}
