//! Random histories of a real folder beside a simple reference of who is where.

#[cfg(test)]
mod walk_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use sync_core::{LocalId, MachineId, Presence, Project, Timestamp, diff};
use sync_scan::{Lookout, Task, Turn};
use walk_support::{Home, committed, git};

/// What a person does; the numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Create {
        repository: bool,
    },
    /// A repository inside a project.
    Nest(usize),
    Delete(usize),
    /// To a new name in one of two groups.
    Move(usize, bool),
    Swap(usize, usize),
    Copy(usize),
    /// Away and, with the next look between, made anew at the same place.
    Remake(usize),
    Link(usize),
    Edit(usize),
    /// Nothing is looked at until the next step.
    Unseen(Box<Step>),
}

#[cfg(test)]
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..1_000_usize;
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|repository| Step::Create { repository }),
        2 => which.clone().prop_map(Step::Nest),
        2 => which.clone().prop_map(Step::Delete),
        3 => (which.clone(), any::<bool>()).prop_map(|(which, group)| Step::Move(which, group)),
        2 => (which.clone(), which.clone()).prop_map(|(one, other)| Step::Swap(one, other)),
        2 => which.clone().prop_map(Step::Copy),
        1 => which.clone().prop_map(Step::Remake),
        1 => which.clone().prop_map(Step::Link),
        1 => which.prop_map(Step::Edit),
    ];
    let step = prop_oneof![3 => step.clone(), 1 => step.prop_map(|step| Step::Unseen(Box::new(step)))];
    prop::collection::vec(step, 1..16)
}

/// Who a project is, as the reference has it.
type Who = usize;

/// The folder, and the reference: which project is where.
struct World {
    home: Home,
    made: usize,
    here: BTreeMap<PathBuf, Who>,
    /// Where those that are gone were last, if a look saw them there.
    gone: BTreeMap<PathBuf, BTreeSet<Who>>,
    /// Where a look saw them last.
    seen: BTreeMap<Who, PathBuf>,
    /// First seen at a place where another was last seen: either is right, as long as it stays.
    same_as: BTreeMap<Who, BTreeSet<Who>>,
}

#[cfg(test)]
impl World {
    fn new() -> Self {
        let home = Home::new();
        home.folder("one");
        home.folder("two");
        Self {
            home,
            made: 0,
            here: BTreeMap::new(),
            gone: BTreeMap::new(),
            seen: BTreeMap::new(),
            same_as: BTreeMap::new(),
        }
    }

    fn new_path(&mut self, group: bool) -> PathBuf {
        self.made += 1;
        self.home.at(&format!("{}/p{}", if group { "one" } else { "two" }, self.made))
    }

    fn outermost(&self, which: usize) -> Option<PathBuf> {
        let all: Vec<_> =
            self.here.keys().filter(|path| self.home.name(path).matches('/').count() == 1).collect();
        (!all.is_empty()).then(|| all[which % all.len()].clone())
    }

    fn make(&mut self, path: &Path, repository: bool) {
        self.made += 1;
        let name = self.home.name(path);
        if repository {
            self.home.repository(&name);
        }
        self.home.file(&format!("{name}/package.json"), &format!("{{\"name\": \"n{}\"}}", self.made));
        let who = self.made;
        self.here.insert(path.to_path_buf(), who);
    }

    /// Changes the reference as if everything below `from` were below `to`.
    fn moved(&mut self, from: &Path, to: &Path) {
        let below: Vec<_> = self.here.keys().filter(|path| path.starts_with(from)).cloned().collect();
        let taken: Vec<_> = below.into_iter().map(|path| (self.here.remove(&path).unwrap(), path)).collect();
        for (who, path) in taken {
            self.here.insert(to.join(path.strip_prefix(from).unwrap()), who);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Create { repository } => {
                let path = self.new_path(*repository);
                self.make(&path, *repository);
            }
            Step::Nest(which) => {
                let Some(outer) = self.outermost(*which) else { return };
                self.made += 1;
                let path = outer.join(format!("inner{}", self.made));
                self.make(&path, true);
            }
            Step::Delete(which) => {
                let Some(path) = self.outermost(*which) else { return };
                fs::remove_dir_all(&path).unwrap();
                self.here.retain(|other, _| !other.starts_with(&path));
            }
            Step::Move(which, group) => {
                let Some(from) = self.outermost(*which) else { return };
                let to = self.new_path(*group);
                fs::rename(&from, &to).unwrap();
                self.moved(&from, &to);
            }
            Step::Swap(one, other) => {
                let (Some(one), Some(other)) = (self.outermost(*one), self.outermost(*other)) else { return };
                if one != other {
                    let aside = self.home.at("aside");
                    for (from, to) in [(&one, &aside), (&other, &one), (&aside, &other)] {
                        fs::rename(from, to).unwrap();
                        self.moved(from, to);
                    }
                }
            }
            Step::Copy(which) => {
                let Some(from) = self.outermost(*which) else { return };
                let to = self.new_path(true);
                let status = Command::new("cp").arg("-a").arg(&from).arg(&to).status().unwrap();
                assert!(status.success());
                let below: Vec<_> =
                    self.here.keys().filter(|path| path.starts_with(&from)).cloned().collect();
                for path in below {
                    self.made += 1;
                    self.here.insert(to.join(path.strip_prefix(&from).unwrap()), self.made);
                }
            }
            Step::Remake(which) => {
                let Some(path) = self.outermost(*which) else { return };
                fs::remove_dir_all(&path).unwrap();
                self.here.retain(|other, _| !other.starts_with(&path));
                self.make(&path, true);
            }
            Step::Link(which) => {
                let Some(path) = self.outermost(*which) else { return };
                self.made += 1;
                std::os::unix::fs::symlink(path, self.home.at(&format!("one/link{}", self.made))).unwrap();
            }
            Step::Edit(which) => {
                let Some(path) = self.outermost(*which) else { return };
                self.made += 1;
                fs::write(path.join("edited"), self.made.to_string()).unwrap();
            }
            Step::Unseen(step) => self.take(step),
        }
    }

    /// Who is seen now for the first time, where another was last seen who is not here any more, is the same for all
    /// anybody can see: made anew at its place.
    fn newcomers(&mut self) {
        for (path, who) in self.here.iter().filter(|(_, who)| !self.seen.contains_key(who)) {
            let gone = self.gone.get(path).into_iter().flatten();
            let left = self
                .seen
                .iter()
                .filter(|(other, at)| *at == path && !self.here.values().any(|here| here == *other));
            let before: BTreeSet<Who> = gone.chain(left.map(|(other, _)| other)).copied().collect();
            if !before.is_empty() {
                self.same_as.insert(*who, before);
            }
        }
    }

    /// A look saw everything as it is.
    fn looked(&mut self) {
        for (who, path) in &self.seen {
            if !self.here.values().any(|here| here == who) {
                self.gone.entry(path.clone()).or_default().insert(*who);
            }
        }
        self.seen.extend(self.here.iter().map(|(path, who)| (*who, path.clone())));
    }
}

/// Everybody's UUID as the first look at them told it.
#[derive(Default)]
struct Names(BTreeMap<Who, LocalId>);

impl Names {
    /// Whether the UUID is right for who was seen; remembers it when it is the first.
    fn agree(&mut self, world: &World, who: Who, id: LocalId) -> Result<(), String> {
        if let Some(known) = self.0.get(&who) {
            return if *known == id { Ok(()) } else { Err(format!("{who} was {known:?} and is {id:?}")) };
        }
        let others: BTreeSet<Who> =
            self.0.iter().filter(|(_, known)| **known == id).map(|(other, _)| *other).collect();
        // Whoever was taken for another before counts for that one too.
        let may_be = world.same_as.get(&who).is_some_and(|same| !same.is_disjoint(&others));
        if !others.is_empty() && !may_be {
            return Err(format!("{who} has the UUID of {others:?}"));
        }
        self.0.insert(who, id);
        Ok(())
    }
}

#[cfg(test)]
fn apply(known: &mut Vec<Project>, changes: Vec<sync_core::Change>) {
    for change in changes {
        known.retain(|project| project.local != change.project.local);
        known.push(change.project);
    }
}

#[test]
fn the_work_trees_of_a_bare_repository_are_one_project_whichever_comes_or_goes() {
    let home = Home::new();
    let plain = tempfile::tempdir().unwrap();
    committed(plain.path());
    let store = home.at("store.git");
    git(&home.path, &["clone", "--quiet", "--bare", plain.path().to_str().unwrap(), "store.git"]);
    let add = |name: &str| {
        git(&store, &["worktree", "add", "--quiet", "--detach", home.at(name).to_str().unwrap()]);
        // Another branch has another content.
        fs::write(home.at(name).join("README"), name).unwrap();
    };
    let stop = AtomicBool::new(false);
    let machine: MachineId = "00000000-0000-0000-0000-000000000007".parse().unwrap();
    let mut lookout = Lookout::new(home.options.clone(), None, None);
    let mut known: Vec<Project> = Vec::new();
    let mut turn = |lookout: &mut Lookout, task: Task| {
        let turn = Turn { task, now_ms: 0, quiet_ms: 0, most_ms: 0 };
        let mut told = Vec::new();
        for survey in lookout.turn(&turn, &stop).surveys {
            let covered = |path: &Path| survey.covered.has(path);
            let changes = diff(&known, &survey.sightings, &covered, machine, Timestamp(0));
            told.extend(changes.iter().map(|change| (change.kind.as_str(), home.name(&change.project.root))));
            apply(&mut known, changes);
        }
        let ids: BTreeSet<LocalId> = known.iter().map(|project| project.local).collect();
        (told, ids.len())
    };
    let told = |kind: &'static str, name: &str| (vec![(kind, name.to_owned())], 1);
    add("wt-main");
    assert_eq!(turn(&mut lookout, Task::Everything), told("added", "wt-main"));
    add("wt-aaa");
    assert_eq!(turn(&mut lookout, Task::Everything), (Vec::new(), 1));
    git(&store, &["worktree", "remove", "--force", home.at("wt-main").to_str().unwrap()]);
    // Whether a sweep finds it, or everything is looked at after a restart.
    assert_eq!(turn(&mut lookout, Task::Sweep), told("moved", "wt-aaa"));
    add("wt-zzz");
    fs::remove_dir_all(home.at("wt-aaa")).unwrap();
    let mut lookout = Lookout::new(home.options.clone(), None, None);
    assert_eq!(turn(&mut lookout, Task::Everything), told("moved", "wt-zzz"));
    add("other");
    // Git is not told of this move.
    fs::rename(home.at("wt-zzz"), home.at("there")).unwrap();
    assert_eq!(turn(&mut lookout, Task::Everything), told("moved", "there"));
    assert_eq!(turn(&mut lookout, Task::Everything), (Vec::new(), 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn through_any_history_projects_are_where_and_who_they_are(steps in steps()) {
        let mut world = World::new();
        let mut lookout = Lookout::new(world.home.options.clone(), None, Some(world.home.shelf()));
        let mut known: Vec<Project> = Vec::new();
        let mut names = Names::default();
        for (at, step) in steps.iter().enumerate() {
            world.take(step);
            if matches!(step, Step::Unseen(_)) && at + 1 < steps.len() {
                continue;
            }
            // A glance is enough: everything here shows in the stamps it looks at.
            let turn = Turn { task: Task::Glance, now_ms: 0, quiet_ms: 0, most_ms: 0 };
            let seen = lookout.turn(&turn, &AtomicBool::new(false));
            for survey in &seen.surveys {
                let covered = |path: &Path| survey.covered.has(path);
                let machine: MachineId = "00000000-0000-0000-0000-000000000007".parse().unwrap();
                let changes = diff(&known, &survey.sightings, &covered, machine, Timestamp(0));
                apply(&mut known, changes);
            }
            let present: BTreeMap<PathBuf, LocalId> = known
                .iter()
                .filter(|project| project.presence == Presence::Present)
                .map(|project| (project.root.clone(), project.local))
                .collect();
            let expected: Vec<_> = world.here.keys().collect();
            prop_assert_eq!(present.keys().collect::<Vec<_>>(), expected, "after {:?}", step);
            world.newcomers();
            for (path, who) in &world.here {
                let agreed = names.agree(&world, *who, present[path]);
                prop_assert!(agreed.is_ok(), "{}: {:?} after {:?}", path.display(), agreed, step);
            }
            world.looked();
        }
    }
}
