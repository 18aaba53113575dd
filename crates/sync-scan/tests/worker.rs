//! Projects are examined by worker processes as they are without, whatever becomes of the workers.
//!
//! This program is the worker as well, a good one or one that fails in a certain way; so it has no test harness.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, test_kill_process};
use sync_scan::{Lookout, Options, Survey, Task, Turn, Worker, look, serve, survey};

/// A project of this name is the end of a worker that dies over it.
const DEADLY: &str = "deadly-to-workers";
/// In a while, so that nothing is new and still being made.
const NOW_MS: u64 = 4_000_000_000_000;
const GOOD: &str = "--good";
const DIES_ONCE: &str = "--dies-once";
const DIES: &str = "--dies";
const SAYS_NOTHING: &str = "--says-nothing";
const IS_NONE: &str = "--is-none";

/// Tests by their names, as a harness would collect them.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), $name as fn())),*]
    };
}

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(life) = Life::of(&arguments) {
        return life.live();
    }
    let checks = tests![
        by_workers_everything_is_found_that_is_found_without,
        nothing_is_left_of_a_worker,
        a_turn_has_one_worker,
        a_project_that_ends_a_worker_once_is_told,
        a_project_that_ends_each_worker_costs_nothing_else,
        where_there_is_no_worker_everything_is_found_all_the_same,
        rules_that_were_changed_meanwhile_wait_for_their_turn,
        who_is_to_stop_waits_for_no_worker,
    ];
    // What cargo is told after `--`: a part of a name.
    let wanted =
        arguments.iter().filter_map(|argument| argument.to_str()).find(|word| !word.starts_with('-'));
    for (name, check) in checks.iter().filter(|(name, _)| wanted.is_none_or(|part| name.contains(part))) {
        check();
        writeln!(io::stdout(), "test {name} ... ok").expect("somebody reads");
    }
}

/// A life as a worker.
struct Life {
    kind: String,
    /// Each life leaves a line with its number here.
    lives: PathBuf,
}

impl Life {
    fn of(arguments: &[OsString]) -> Option<Self> {
        let [kind, lives] = arguments else { return None };
        let kind =
            kind.to_str().filter(|kind| [GOOD, DIES_ONCE, DIES, SAYS_NOTHING, IS_NONE].contains(kind))?;
        Some(Self { kind: kind.to_owned(), lives: PathBuf::from(lives) })
    }

    fn live(self) {
        let before = fs::read_to_string(&self.lives).unwrap_or_default();
        fs::write(&self.lives, format!("{before}{}\n", std::process::id())).expect("written");
        match self.kind.as_str() {
            IS_NONE => io::stdout().write_all(b"good morning\n").expect("written"),
            SAYS_NOTHING => drop(io::stdin().read_to_end(&mut Vec::new()).expect("read")),
            DIES | DIES_ONCE => {
                let is_deadly = self.kind == DIES || before.is_empty();
                serve(Deadly { is_deadly, heard: Vec::new() }, io::stdout()).expect("served");
            }
            _ => serve(io::stdin(), io::stdout()).expect("served"),
        }
    }
}

/// Ends the process, as an overflown stack does, when the name of a project is read that is deadly.
struct Deadly {
    is_deadly: bool,
    heard: Vec<u8>,
}

impl Read for Deadly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = io::stdin().read(into)?;
        self.heard.extend_from_slice(&into[..read]);
        if self.is_deadly && self.heard.windows(DEADLY.len()).any(|window| window == DEADLY.as_bytes()) {
            std::process::abort();
        }
        Ok(read)
    }
}

/// A folder of projects, and the lives of the workers that examined them.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        let file = |path: &str, text: &str| home.write(path, text);
        file("roots/a/package.json", r#"{"name":"a","dependencies":{"next":"1"}}"#);
        file("roots/a/page.ts", "export const one = 1;\n");
        file("roots/b/Cargo.toml", "[workspace]\nmembers = ['one', 'two']\n");
        file("roots/b/one/Cargo.toml", "[package]\nname = 'one'\n");
        file("roots/b/two/Cargo.toml", "[package]\nname = 'two'\n");
        file("roots/b/one/src/lib.rs", "//! One.\n");
        file("roots/c/go.mod", "module example.org/c\n");
        file("roots/c/main.go", "package main\n");
        file("roots/c/left-out/big.go", "package big\n");
        file("roots/d/own.project", "");
        file("roots/d/go.mod", "module example.org/d\n");
        file(
            "rules/own.toml",
            "framework = [{ slug = 'own', name = 'Own', rank = 1, any = [{ file = 'own.project' }] }]",
        );
        #[cfg(target_os = "linux")]
        {
            let odd =
                home.roots().join(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(b"e\xff".to_vec()));
            fs::create_dir(&odd).expect("made");
            fs::write(odd.join("go.mod"), "module example.org/e\n").expect("written");
        }
        home
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("one")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn roots(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it is there").join("roots")
    }

    fn without(&self) -> Options {
        Options {
            roots: vec![self.roots()],
            exclude: vec!["left-out/".to_owned()],
            rules: Some(self.folder.path().join("rules")),
            workspace_members: true,
            ..Options::default()
        }
    }

    fn with(&self, kind: &str) -> Options {
        let worker = Worker {
            program: std::env::current_exe().expect("it runs"),
            name: OsString::from("worker"),
            arguments: vec![OsString::from(kind), self.lives_file().into()],
            environment: std::env::vars_os().collect(),
        };
        Options { worker: Some(worker), ..self.without() }
    }

    fn lives_file(&self) -> PathBuf {
        self.folder.path().join("lives")
    }

    /// The processes that were workers.
    fn lives(&self) -> Vec<Pid> {
        let lives = fs::read_to_string(self.lives_file()).unwrap_or_default();
        lives.lines().map(|line| Pid::from_raw(line.parse().expect("a number")).expect("one")).collect()
    }

    fn lookout(&self, options: Options) -> Lookout {
        Lookout::new(options, None, Some(self.folder.path().join("shelf")))
    }
}

fn all(options: &Options) -> Survey {
    survey(options, &AtomicBool::new(false))
}

fn turn(lookout: &mut Lookout, task: Task) -> Vec<Survey> {
    let turn = Turn { task, now_ms: NOW_MS, quiet_ms: 0, most_ms: 0 };
    lookout.turn(&turn, &AtomicBool::new(false)).surveys
}

/// Everything a survey tells of.
fn told(survey: &Survey) -> String {
    let Survey {
        sightings, evidence, problems, roots, covered, folders, worktrees, arriving, examined, ..
    } = survey;
    format!(
        "{sightings:#?}\n{evidence:#?}\n{problems:#?}\n{roots:#?}\n{covered:#?}\n{folders:#?}\n{worktrees:#?}\n{arriving:#?}\n{examined}"
    )
}

fn by_workers_everything_is_found_that_is_found_without() {
    let home = Home::new();
    let (without, with) = (all(&home.without()), all(&home.with(GOOD)));
    assert!(without.sightings.len() >= 6, "{without:#?}");
    assert!(without.sightings.iter().any(|sighting| sighting.framework == "own"), "{without:#?}");
    assert_eq!(told(&without), told(&with));
    assert_eq!(home.lives().len(), 1);
    let paths = [home.roots().join("b/one/src"), home.roots().join("a")];
    let stop = AtomicBool::new(false);
    assert_eq!(told(&look(&home.without(), &paths, &stop)), told(&look(&home.with(GOOD), &paths, &stop)));
    let (mut one, mut two) = (home.lookout(home.without()), home.lookout(home.with(GOOD)));
    for task in [Task::Everything, Task::Sweep, Task::Glance, Task::Paths(vec![home.roots().join("c")])] {
        let (without, with) = (turn(&mut one, task.clone()), turn(&mut two, task.clone()));
        assert_eq!(without.len(), with.len(), "{task:?}");
        for (without, with) in without.iter().zip(&with) {
            assert_eq!(told(without), told(with), "{task:?}");
        }
    }
}

fn nothing_is_left_of_a_worker() {
    let home = Home::new();
    all(&home.with(GOOD));
    let stop = AtomicBool::new(false);
    look(&home.with(GOOD), &[home.roots()], &stop);
    let mut lookout = home.lookout(home.with(GOOD));
    turn(&mut lookout, Task::Everything);
    assert_eq!(home.lives().len(), 3);
    for life in home.lives() {
        assert!(test_kill_process(life).is_err(), "{life:?}");
    }
}

fn a_turn_has_one_worker() {
    let home = Home::new();
    for number in 0..40 {
        home.write(&format!("roots/many/{number}/go.mod"), "module example.org/one-of-many\n");
    }
    let mut lookout = home.lookout(home.with(GOOD));
    turn(&mut lookout, Task::Everything);
    assert_eq!(home.lives().len(), 1);
    let before = home.lives().len();
    let mut turns = 0;
    loop {
        turns += 1;
        let pass = Turn { task: Task::Sweep, now_ms: NOW_MS, quiet_ms: 0, most_ms: 0 };
        if !lookout.turn(&pass, &AtomicBool::new(false)).sweeping {
            break;
        }
    }
    assert_eq!(home.lives().len() - before, turns);
}

fn a_project_that_ends_a_worker_once_is_told() {
    let home = Home::new();
    home.write(&format!("roots/{DEADLY}/go.mod"), "module example.org/deadly\n");
    assert_eq!(told(&all(&home.without())), told(&all(&home.with(DIES_ONCE))));
    assert_eq!(home.lives().len(), 2);
}

fn a_project_that_ends_each_worker_costs_nothing_else() {
    let home = Home::new();
    home.write(&format!("roots/{DEADLY}/go.mod"), "module example.org/deadly\n");
    let root = home.roots().join(DEADLY);
    let (without, with) = (all(&home.without()), all(&home.with(DIES)));
    let others = |survey: &Survey| {
        let others = survey.sightings.iter().filter(|sighting| sighting.root != root);
        others.cloned().collect::<Vec<_>>()
    };
    assert_eq!(others(&without), others(&with));
    let mine: Vec<_> = with.problems.iter().filter(|problem| problem.path == root).collect();
    assert_eq!(mine.len(), 1, "{:?}", with.problems);
    assert!(mine[0].message.contains("broke off"), "{mine:?}");
    // Two for the one that is deadly, and one for those before and those after it each, if there are any.
    assert!((2..=4).contains(&home.lives().len()), "{:?}", home.lives());
    let broken: Vec<_> = with.sightings.iter().filter(|sighting| sighting.broke_off).collect();
    assert!(broken.iter().map(|sighting| &sighting.root).eq([&root]), "{broken:?}");
    assert!(!with.covered.has(&root.join("inside")) && with.covered.has(&home.roots().join("gone")));
    // What was known before of it, and of what lies in it, is told from memory.
    home.write(&format!("roots/{DEADLY}/inside/.git/HEAD"), "ref: refs/heads/main\n");
    let mut lookout = home.lookout(home.without());
    let before = turn(&mut lookout, Task::Everything);
    lookout.set_options(home.with(DIES));
    turn(&mut lookout, Task::Paths(vec![root.clone()]));
    lookout.set_options(home.without());
    assert_eq!(before[0].sightings, turn(&mut lookout, Task::Glance)[0].sightings);
}

fn where_there_is_no_worker_everything_is_found_all_the_same() {
    let home = Home::new();
    let without = told(&all(&home.without()));
    assert_eq!(without, told(&all(&home.with(IS_NONE))));
    let missing = |program: &Path| {
        let mut options = home.with(GOOD);
        options.worker = options.worker.map(|worker| Worker { program: program.to_path_buf(), ..worker });
        options
    };
    assert_eq!(without, told(&all(&missing(Path::new("/there/is/none")))));
    assert_eq!(without, told(&all(&missing(Path::new("/bin/true")))));
}

fn rules_that_were_changed_meanwhile_wait_for_their_turn() {
    let home = Home::new();
    let framework = |surveys: &[Survey]| {
        let mine = home.roots().join("d");
        let seen = surveys.iter().flat_map(|survey| &survey.sightings).find(|sighting| sighting.root == mine);
        seen.map(|sighting| sighting.framework.clone())
    };
    let mut lookout = home.lookout(home.with(GOOD));
    assert_eq!(framework(&turn(&mut lookout, Task::Everything)).as_deref(), Some("own"));
    home.write(
        "rules/own.toml",
        "framework = [{ slug = 'other', name = 'Other', rank = 1, any = [{ file = 'own.project' }] }]",
    );
    home.write("roots/d/main.go", "package main\n");
    let paths = || Task::Paths(vec![home.roots().join("d")]);
    assert_eq!(framework(&turn(&mut lookout, paths())).as_deref(), Some("own"));
    assert_eq!(framework(&turn(&mut lookout, Task::Everything)).as_deref(), Some("other"));
    assert_eq!(framework(&turn(&mut lookout, paths())).as_deref(), Some("other"));
    assert_eq!(home.lives().len(), 4, "each turn has its worker");
}

fn who_is_to_stop_waits_for_no_worker() {
    let home = Home::new();
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let surveying = scope.spawn(|| survey(&home.with(SAYS_NOTHING), &stop));
        while home.lives().is_empty() && !surveying.is_finished() {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        surveying.join().expect("it ends")
    });
    assert!(!seen.covered.has(&home.roots()), "{seen:?}");
    assert_eq!(home.lives().len(), 1);
    assert!(test_kill_process(home.lives()[0]).is_err());
}
