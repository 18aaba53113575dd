//! What a lookout notices, what it leaves alone, and how many watches that takes.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use sync_scan::{RootState, Task};
use walk_support::looking::{LONG, Looking};
use walk_support::{Home, committed, git};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[test]
fn what_is_moved_out_of_the_roots_and_linked_to_is_gone() {
    for is_told in [true, false] {
        let (home, elsewhere) = (Home::new(), Home::new());
        committed(&home.at("group/p"));
        home.file("group/q/package.json", "{}");
        let mut looking = if is_told { Looking::at(home) } else { Looking::with(home, None, channel().1, 0) };
        let projects = ["group/p", "group/q"].map(|project| looking.home.at(project));
        // So that something is to be looked at there when it is gone.
        fs::write(projects[0].join("README"), "other").unwrap();
        fs::rename(looking.home.at("group"), elsewhere.at("group")).unwrap();
        looking.home.link(elsewhere.at("group").to_str().unwrap(), "group");
        let mut gone = [false; 2];
        while gone != [true; 2] {
            let seen = looking.turn(if is_told { Task::Events } else { Task::Sweep });
            for survey in &seen.surveys {
                assert!(survey.sightings.is_empty());
                for (gone, project) in gone.iter_mut().zip(&projects) {
                    *gone |= survey.covered.has(project);
                }
            }
            let is_over = seen.next_ms.is_none() && gone != [true; 2];
            assert!(!is_over || looking.wakes.recv_timeout(LONG).is_ok(), "waited in vain");
        }
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
fn what_is_watched_is_gone_through_only_when_other_folders_are_to_be() {
    let home = Home::new();
    let project = home.at("p");
    committed(&project);
    let mut looking = Looking::at(home);
    let before = looking.watched.clone();
    // How often that was, and how many are watched after it.
    let told = |looking: &mut Looking, change: &dyn Fn()| {
        change();
        let (mut reports, mut looks) = (Vec::new(), 0);
        loop {
            let seen = looking.turn(Task::Events);
            looks += seen.surveys.len();
            reports.extend(seen.watch.map(|report| report.watches));
            let is_over = seen.next_ms.is_none();
            if is_over && looks > 0 {
                return reports;
            }
            assert!(!is_over || looking.wakes.recv_timeout(LONG).is_ok(), "waited in vain");
        }
    };
    assert!(told(&mut looking, &|| fs::write(project.join("README"), "other").unwrap()).is_empty());
    looking.settle();
    let more = told(&mut looking, &|| fs::create_dir(project.join("inside")).unwrap());
    assert_eq!(more.last(), Some(&(before.watches + 1)));
    looking.settle();
    // A watch that went is had again, though the folders are the same as before.
    told(&mut looking, &|| {
        fs::remove_dir(project.join("inside")).unwrap();
        fs::create_dir(project.join("inside")).unwrap();
    });
    looking.settle();
    assert_eq!(looking.watched.watches, before.watches + 1);
    fs::write(project.join("inside/file"), "text").unwrap();
    looking.only(&["p"]);
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
        if seen
            .surveys
            .iter()
            .any(|survey| survey.folders.contains_key(looking.home.at("empty/deeper").as_path()))
        {
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
        if seen.surveys.iter().any(|survey| survey.folders.contains_key(looking.home.at("last").as_path())) {
            break;
        }
        assert!(looking.wakes.recv_timeout(LONG).is_ok());
    }
}

#[test]
fn a_log_that_is_ignored_is_looked_at_once_however_long_it_is_written_to() {
    let home = Home::new();
    committed(&home.at("p"));
    home.file("p/src/file", "one\n");
    home.file("p/src/a.log", "1\n");
    home.file("p/.gitignore", "*.log\n");
    let mut looking = Looking::at(home);
    let log = |looking: &Looking, text: &str| fs::write(looking.home.at("p/src/a.log"), text).unwrap();
    log(&looking, "2\n");
    looking.only(&["p"]);
    let mut last = 0;
    let mut examined_meanwhile = |looking: &mut Looking| {
        last += 1;
        let last = format!("last{last}");
        looking.home.folder(&last);
        let mut examined = 0;
        loop {
            let seen = looking.turn(Task::Events);
            examined += seen.surveys.iter().map(|survey| survey.examined).sum::<usize>();
            // Events come in order, so that what came before this one was told.
            if seen.surveys.iter().any(|survey| survey.folders.contains_key(looking.home.at(&last).as_path()))
            {
                return examined;
            }
            assert!(looking.wakes.recv_timeout(LONG).is_ok());
        }
    };
    for text in ["3\n", "4\n", "5\n"] {
        log(&looking, text);
        assert_eq!(examined_meanwhile(&mut looking), 0);
    }
    // A sweep in between changes nothing, an edit beside it is seen, and so is the log when it is ignored no more.
    looking.turn(Task::Sweep);
    log(&looking, "6\n");
    assert_eq!(examined_meanwhile(&mut looking), 0);
    fs::write(looking.home.at("p/src/file"), "two\n").unwrap();
    looking.only(&["p"]);
    fs::write(looking.home.at("p/.gitignore"), "\n").unwrap();
    looking.only(&["p"]);
    let before = looking.hash("p");
    log(&looking, "7\n");
    looking.examined(&["p"]);
    assert_ne!(looking.hash("p"), before);
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
fn a_root_that_is_another_folder_is_noticed_by_a_sweep_and_watched_anew() {
    let mut home = Home::new();
    committed(&home.at("work/projects/old"));
    home.options.roots = vec![home.at("work/projects")];
    let mut looking = Looking::at(home);
    // Above all that is watched, as a disk that is mounted over a root.
    fs::rename(looking.home.at("work"), looking.home.at("away")).unwrap();
    fs::create_dir_all(looking.home.at("work/projects")).unwrap();
    committed(&looking.home.at("work/projects/new"));
    assert!(looking.turn(Task::Sweep).overflow, "everything is to be looked at");
    let seen = looking.turn(Task::Everything);
    assert_eq!(looking.home.names(&seen.surveys[0]), ["work/projects/new"]);
    looking.settle();
    assert!(!looking.turn(Task::Sweep).overflow);
    committed(&looking.home.at("work/projects/newer"));
    looking.examined(&["work/projects/newer"]);
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
fn packages_are_told_from_memory_and_the_shelf_and_go_when_they_are_gone() {
    let mut home = Home::new();
    home.options.workspace_members = true;
    home.file("w/package.json", r#"{"workspaces": ["packages/*"]}"#);
    for name in ["a", "b", "c"] {
        home.file(&format!("w/packages/{name}/package.json"), &format!(r#"{{"name": "@w/{name}"}}"#));
        home.file(&format!("w/packages/{name}/index.ts"), "export {}\n");
    }
    committed(&home.at("w"));
    let all = ["w", "w/packages/a", "w/packages/b", "w/packages/c"].map(str::to_owned);
    let mut looking = Looking::at(home);
    let first = looking.turn(Task::Everything).surveys.remove(0);
    assert_eq!(looking.home.names(&first), all);
    for task in [Task::Everything, Task::Glance] {
        let seen = looking.turn(task.clone());
        assert_eq!(seen.surveys[0].sightings, first.sightings, "{task:?}");
    }
    assert!(looking.turn(Task::Sweep).surveys.is_empty(), "nothing changed");

    fs::write(looking.home.at("w/packages/a/index.ts"), "export const a = 1\n").unwrap();
    looking.examined(&all.each_ref().map(String::as_str));
    let hash = |survey: &sync_scan::Survey, name: &str, home: &Home| {
        walk_support::sighting(survey, &home.at(name)).content_hash.clone()
    };
    let second = looking.turn(Task::Glance).surveys.remove(0);
    for (name, changed) in [("w", true), ("w/packages/a", true), ("w/packages/b", false)] {
        let is_other = hash(&first, name, &looking.home) != hash(&second, name, &looking.home);
        assert_eq!(is_other, changed, "{name}");
    }

    fs::remove_dir_all(looking.home.at("w/packages/b")).unwrap();
    let swept = looking.turn(Task::Sweep);
    let gone = looking.home.at("w/packages/b");
    let survey = swept.surveys.iter().find(|survey| survey.covered.has(&gone)).expect("it speaks for it");
    assert_eq!(looking.home.names(survey), ["w", "w/packages/a", "w/packages/c"]);
    looking.home.options.workspace_members = false;
    looking.lookout.set_options(looking.home.options.clone());
    let off = looking.turn(Task::Everything).surveys.remove(0);
    assert_eq!(looking.home.names(&off), ["w"]);
    assert!(off.covered.has(&looking.home.at("w/packages/a")));
}

#[test]
fn other_rules_tell_a_project_anew() {
    let mut home = Home::new();
    let rules = tempfile::tempdir().unwrap();
    home.options.rules = Some(rules.path().to_path_buf());
    home.file("p/package.json", r#"{"dependencies": {"@house/kit": "1"}}"#);
    committed(&home.at("p"));
    let mut looking = Looking::with(home, None, channel().1, 0);
    let framework = |looking: &mut Looking| {
        let survey = looking.turn(Task::Everything).surveys.remove(0);
        let root = looking.home.at("p");
        (walk_support::sighting(&survey, &root).framework.clone(), survey.problems.len())
    };
    assert_eq!(framework(&mut looking).0, "");
    let file = rules.path().join("house.toml");
    let rule = "framework = [{ slug = 'house', name = 'House', ecosystem = 'npm', rank = 3, any = [{ dependency = '@house/kit' }] }]";
    fs::write(&file, rule).unwrap();
    let expected = format!("House: the rule of rank 3 in {}", file.display());
    assert_eq!(framework(&mut looking), ("house".to_owned(), 0));
    // From the shelf.
    assert_eq!(framework(&mut looking), ("house".to_owned(), 0));
    // What is told by what is found out for who asks.
    let shown = sync_scan::look(&looking.home.options, &[looking.home.at("p")], &AtomicBool::new(false));
    assert_eq!(shown.evidence[&looking.home.at("p")].framework.rule, expected);
    fs::write(&file, "framework = [").unwrap();
    let (told, problems) = framework(&mut looking);
    assert_eq!((told.as_str(), problems), ("", 1));
}

#[test]
fn a_slow_copy_is_one_sighting_of_the_whole() {
    check_slow_copy(|| Looking::at(Home::new()), "copy", &Task::Events);
}

/// How long what is copied has to be quiet.
const QUIET: Duration = Duration::from_secs(2);

/// A copy, with a git folder that looks whole from the beginning, goes on for longer than it has to be quiet, while a
/// lookout takes turns of this kind. Only the whole may be seen.
#[cfg(test)]
fn check_slow_copy(looking: impl Fn() -> Looking, to: &str, task: &Task) {
    let elsewhere = Home::new();
    let source = elsewhere.at("source");
    committed(&source);
    for number in 0..20 {
        elsewhere.file(&format!("source/part{number}/file"), &number.to_string());
    }
    git(&source, &["add", "-A"]);
    git(&source, &["commit", "--quiet", "-m", "parts"]);
    for _ in 0..5 {
        let (states, longest_pause) = seen_of_a_copy(looking(), &source, to, task);
        // A file's stamp is older than the call that made it by whatever the machine pauses in it.
        if longest_pause < QUIET / 2 {
            assert_eq!(states, [elsewhere.tree("source")]);
            return;
        }
        // The machine paused in the middle, and the copy was at rest for that long.
    }
    eprintln!("SKIPPED: this machine pauses for longer than a copy has to be quiet");
}

/// The states of the copy that were seen, and how long nothing was copied at most.
#[cfg(test)]
fn seen_of_a_copy(mut looking: Looking, from: &Path, to: &str, task: &Task) -> (Vec<String>, Duration) {
    looking.quiet_ms = u64::try_from(QUIET.as_millis()).unwrap();
    let (source, target) = (from.to_path_buf(), looking.home.at(to));
    let copying = std::thread::spawn(move || copy_slowly(&source, &target));
    let mut states = Vec::new();
    loop {
        let is_over = copying.is_finished();
        let seen = looking.turn(task.clone());
        let found = seen.surveys.iter().flat_map(|survey| &survey.sightings);
        let found = found.filter(|sighting| sighting.root.ends_with("copy"));
        states.extend(found.map(|sighting| sighting.content_hash.clone()));
        if is_over && !states.is_empty() && seen.next_ms.is_none() {
            break;
        }
        // Woken by an event, or when the next question is due; either way it is asked again.
        let _is_told: bool = looking.wakes.recv_timeout(Duration::from_millis(50)).is_ok();
    }
    states.dedup();
    (states, copying.join().unwrap())
}

#[test]
fn a_slow_copy_that_a_look_at_everything_meets_is_seen_when_it_is_whole() {
    check_slow_copy(|| Looking::at(Home::new()), "copy", &Task::Everything);
}

#[test]
fn a_slow_copy_where_nobody_tells_of_changes_is_seen_when_it_is_whole() {
    check_slow_copy(|| Looking::with(Home::new(), None, channel().1, 0), "copy", &Task::Glance);
}

#[test]
fn a_slow_copy_into_another_project_is_seen_when_it_is_whole() {
    let looking = || {
        let home = Home::new();
        committed(&home.at("outer"));
        Looking::at(home)
    };
    check_slow_copy(looking, "outer/copy", &Task::Events);
}

#[test]
fn what_is_still_being_made_is_not_missed_and_is_told_of_by_name() {
    let home = Home::new();
    committed(&home.at("p"));
    let mut looking = Looking::with(home, None, channel().1, 0);
    looking.quiet_ms = 60_000;
    // Another takes its place.
    fs::remove_dir_all(looking.home.at("p")).unwrap();
    committed(&looking.home.at("p"));
    for task in [Task::Everything, Task::Glance, Task::Sweep] {
        let seen = looking.turn(task.clone());
        for survey in &seen.surveys {
            assert_eq!(survey.arriving, [looking.home.at("p")], "{task:?}");
            assert!(survey.sightings.is_empty() && !survey.covered.has(&looking.home.at("p")), "{task:?}");
        }
    }
    let named = looking.turn(Task::Paths(vec![looking.home.at("p")]));
    assert_eq!(looking.home.names(&named.surveys[0]), ["p"]);
}

/// Pauses between entries: that the copy takes time is what is tested. Answers how long the longest pause was.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "how long the machine paused, a duration")]
fn copy_slowly(from: &Path, to: &Path) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut made = || {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(30));
    };
    let mut folders = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((from, to)) = folders.pop() {
        fs::create_dir(&to).unwrap();
        made();
        let mut entries: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries.into_iter().rev() {
            let target = to.join(entry.file_name().unwrap());
            if entry.is_dir() {
                folders.push((entry, target));
            } else {
                fs::copy(&entry, &target).unwrap();
                made();
            }
        }
    }
    longest
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
            looking.turn(Task::Everything);
            assert!(looking.watched.refused.is_empty());
            assert_eq!(looking.watched.watches, watches_of_this_process());
            looking.watched.watches
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

/// Takes turns until the root stands so, by what is told of no look at everything.
#[expect(clippy::disallowed_methods, reason = "how long a test waits, a duration")]
#[track_caller]
fn root_is(looking: &mut Looking, expected: RootState) {
    let begun = Instant::now();
    loop {
        let seen = looking.turn(Task::Events);
        if let Some(roots) = seen.roots {
            let stands: Vec<_> = roots.iter().map(|root| (root.path.clone(), root.state)).collect();
            if stands == [(looking.home.at("root"), expected)] {
                return;
            }
        }
        assert!(begun.elapsed() < LONG, "waited in vain for {expected:?}");
        looking.wakes.recv_timeout(Duration::from_millis(50)).unwrap_or_default();
    }
}

#[test]
fn a_root_that_is_made_goes_or_is_shut_is_told_of_without_a_look_at_everything() {
    let mut home = Home::new();
    home.options.roots = vec![home.at("root")];
    let mut looking = Looking::at(home);
    let made = looking.home.folder("root");
    root_is(&mut looking, RootState::Ready);
    fs::remove_dir(&made).unwrap();
    root_is(&mut looking, RootState::Missing);
    // A link to itself cannot be resolved by anybody, root included.
    looking.home.link("root", "root");
    root_is(&mut looking, RootState::Denied);
    fs::remove_file(&made).unwrap();
    looking.home.file("root/p/Cargo.toml", "[package]\nname = \"p\"\n");
    // Nothing tells of that; so it is among what is looked at every minute.
    assert_eq!(looking.watched.refused, [looking.home.at("root")]);
    let roots = looking.turn(Task::Glance).roots.expect("they are told of");
    assert_eq!((roots[0].state, roots[0].projects), (RootState::Ready, 1));
}

#[test]
fn a_root_that_nobody_told_of_is_seen_by_the_end_of_a_sweep() {
    let mut home = Home::new();
    home.options.roots = vec![home.at("root")];
    let mut looking = Looking::with(home, None, channel().1, 0);
    looking.home.folder("root");
    let seen = looking.turn(Task::Sweep);
    let roots = seen.roots.expect("they are told of");
    assert!(!seen.sweeping && roots[0].state == RootState::Ready, "{roots:?}");
}
