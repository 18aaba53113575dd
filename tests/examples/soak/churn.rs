//! Somebody who works: projects appear, change, move, are cloned and deleted. It knows what lies where, and nothing of
//! who watches.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sync_tests::Dice;

use crate::stage::{REFUSED, Stage};

/// Files of a branch that is checked out now and then.
const MANY: usize = 120;
/// One in so many is refused by the cloud.
const REFUSED_EACH: usize = 20;
/// Places in one folder.
const GROUP: usize = 15;

/// Where a project lies or may lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) project: Option<Project>,
}

/// What is known of a project here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Project {
    git: bool,
    pub(crate) refused: bool,
    /// Whether it has the branch with many files.
    branch: bool,
}

/// The worker.
pub(crate) struct Churn<'s> {
    stage: &'s Stage,
    dice: Dice,
    places: Vec<Place>,
    changes: u64,
}

impl<'s> Churn<'s> {
    /// Makes four projects for five places.
    pub(crate) fn new(stage: &'s Stage, count: usize) -> Self {
        let roots = fs::canonicalize(stage.home.roots()).expect("the roots");
        let place = |number: usize| roots.join(format!("group{}/place{number}", number / GROUP));
        let places = (0..count).map(|number| Place { path: place(number), project: None }).collect();
        let mut churn = Self { stage, dice: Dice::of(stage.seed, 1), places, changes: 0 };
        for number in (0..count).filter(|number| number % 5 != 4) {
            churn.appear(number);
        }
        churn
    }

    /// All places.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.places.clone()
    }

    /// Works until it is over; what lies where then.
    pub(crate) fn run(mut self, pace: Duration) -> Vec<Place> {
        while self.stage.rest(pace) {
            self.step();
        }
        self.places
    }

    fn step(&mut self) {
        let at = self.any();
        let Some(project) = self.places[at].project else { return self.fill(at) };
        match self.dice.below(100) {
            0..=34 => self.commit(at, project),
            35..=49 => self.edit(at),
            50..=59 => self.manifest(at, project),
            60..=69 => self.check_out(at, project),
            70..=84 => self.go_to_another_place(at),
            85..=94 => self.vanish(at),
            _ => self.install(at),
        }
    }

    /// A clone of another project, or a new one.
    fn fill(&mut self, at: usize) {
        let from = self.any();
        if let Some(origin @ Project { git: true, .. }) = self.places[from].project {
            let (origin_path, path) = (self.places[from].path.clone(), self.places[at].path.clone());
            self.stage.home.git(&parent(&path), &["clone", "-q", &text(&origin_path), &text(&path)]);
            self.places[at].project = Some(Project { branch: false, ..origin });
            self.stage.did("cloned");
        } else {
            self.appear(at);
        }
    }

    fn appear(&mut self, at: usize) {
        let path = self.places[at].path.clone();
        let refused = at % REFUSED_EACH == 3;
        let project = Project { git: self.dice.percent(70), refused, branch: false };
        fs::create_dir_all(path.join("src")).expect("a project");
        fs::write(path.join(".gitignore"), "node_modules/\n").expect("a file");
        for number in 0..8 {
            fs::write(path.join(format!("src/file{number}.ts")), format!("export const value = {number};\n"))
                .expect("a file");
        }
        self.write_manifest(&path, at, refused);
        if project.git {
            for words in [&["init", "-q"][..], &["add", "-A"], &["commit", "-qm", "first"]] {
                self.stage.home.git(&path, words);
            }
        }
        self.places[at].project = Some(project);
        self.stage.did("appeared");
    }

    fn write_manifest(&mut self, path: &Path, at: usize, refused: bool) {
        self.changes += 1;
        let name = if refused { REFUSED.to_owned() } else { format!("project{at}") };
        let text = format!("{{\"name\": \"{name}\", \"version\": \"1.0.{}\"}}\n", self.changes);
        fs::write(path.join("package.json"), text).expect("the manifest");
    }

    fn edit(&mut self, at: usize) {
        self.changes += 1;
        let file = self.places[at].path.join(format!("src/file{}.ts", self.dice.below(8)));
        fs::write(file, format!("export const value = {};\n", self.changes)).expect("a file");
        self.stage.did("edited");
    }

    fn manifest(&mut self, at: usize, project: Project) {
        let path = self.places[at].path.clone();
        self.write_manifest(&path, at, project.refused);
        self.stage.did("manifest changed");
    }

    fn commit(&mut self, at: usize, project: Project) {
        self.edit(at);
        if project.git {
            self.stage.home.git(&self.places[at].path, &["commit", "-qam", "more"]);
            self.stage.did("committed");
        }
    }

    /// Changes to the branch with many files, or back.
    fn check_out(&mut self, at: usize, project: Project) {
        if !project.git {
            return self.edit(at);
        }
        let path = self.places[at].path.clone();
        let git = |words: &[&str]| self.stage.home.git(&path, words);
        // What was edited goes with a commit, so that the branches can be changed.
        git(&["add", "-A"]);
        git(&["commit", "-qm", "before", "--allow-empty"]);
        if project.branch {
            git(&["checkout", "-qf", "-"]);
        } else {
            self.changes += 1;
            git(&["checkout", "-q", "-b", &format!("many-{}", self.changes)]);
            for number in 0..MANY {
                let folder = path.join(format!("lib/part{}", number % 12));
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join(format!("{number}.ts")), format!("export const n = {number};\n"))
                    .expect("a file");
            }
            git(&["add", "-A"]);
            git(&["commit", "-qm", "many", "--allow-empty"]);
            git(&["checkout", "-q", "-"]);
            self.places[at].project = Some(Project { branch: true, ..project });
        }
        self.stage.did("checked out");
    }

    fn go_to_another_place(&mut self, at: usize) {
        let (from, count) = (self.any(), self.places.len());
        let empty = (from..from + count).map(|to| to % count).find(|to| self.places[*to].project.is_none());
        let Some(to) = empty else { return };
        let target = self.places[to].path.clone();
        fs::create_dir_all(parent(&target)).expect("a folder");
        fs::rename(&self.places[at].path, &target).expect("a project that moves");
        self.places[to].project = self.places[at].project.take();
        self.stage.did("moved");
    }

    fn vanish(&mut self, at: usize) {
        fs::remove_dir_all(&self.places[at].path).expect("a project that goes");
        self.places[at].project = None;
        self.stage.did("deleted");
    }

    /// Dependencies, which are no part of a project.
    fn install(&mut self, at: usize) {
        self.changes += 1;
        let modules = self.places[at].path.join("node_modules");
        for number in 0..20 {
            let folder = modules.join(format!("package{number}/lib"));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("index.js"), format!("module.exports = {}\n", self.changes))
                .expect("a file");
        }
        self.stage.did("installed");
    }

    fn any(&mut self) -> usize {
        usize::try_from(self.dice.below(self.places.len() as u64)).expect("it is below a usize")
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().expect("a place lies in a folder").to_owned()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
