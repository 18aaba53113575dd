//! A survey: what projects there are, what could not be read, and what to watch from now on.
//!
//! Walk first, then choose among linked work trees, then examine each project and those inside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sync_core::{Place, ProjectKind, Sighting, Vcs, folder_name};

use crate::apart::Apart;
use crate::arriving::is_being_made;
use crate::content::{Examined, Member};
use crate::covered::Covered;
use crate::debounce::Patience;
use crate::events::Role;
use crate::evidence::{Evidence, Proof};
use crate::examiner::{Errand, Examiner};
use crate::exclude::Exclude;
use crate::gaze::Gaze;
use crate::memory::{Memory, Noted, Remembered, Stamp};
use crate::problem::{Problem, ProblemKind, is_absent};
use crate::root::{Found, Root, RootReport, hold, reports, resolve_all};
use crate::rulebook;
use crate::rules::framework::Rules;
use crate::shelf::Shelf;
use crate::walk::{Enclosed, Step, Tree, Walk, known_tree, tree_at};
use crate::worker::{Spare, Worker};
use crate::worktree::Families;
use crate::{Options, platform};

/// How deep projects inside projects inside projects are followed.
const DEEPEST_NESTING: u32 = 16;

/// What was found, and how far the search could see.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The projects, by path; no place on disk twice.
    pub sightings: Vec<Arc<Sighting>>,
    /// What each was told by, by path; nothing where only what is on record is to be kept true.
    pub evidence: BTreeMap<PathBuf, Evidence>,
    /// What could not be read, by path.
    pub problems: Vec<Problem>,
    /// How the configured roots stand, in the order of their paths; empty after a look.
    pub roots: Vec<RootReport>,
    /// What this survey can speak for.
    pub covered: Covered,
    /// The folders whose changes matter, by path: those outside projects, each project's root and its version-control
    /// folder, and roots that are not there yet.
    pub folders: BTreeMap<Arc<Path>, Role>,
    /// Work trees that are listed with the project whose git folder they share, by path.
    pub worktrees: Vec<Worktree>,
    /// New projects that are still being copied or cloned: they are seen when they have come to rest, and until then
    /// this survey does not speak for them. Projects that left while they were examined are among them.
    pub arriving: Vec<PathBuf>,
    /// Projects whose examination broke off: this survey does not speak for what lies in them.
    pub(crate) broken: Vec<PathBuf>,
    /// What is mounted from elsewhere: nothing in there is looked after.
    pub(crate) apart: Apart,
    /// How many projects were examined; the others are told from memory.
    pub examined: usize,
    /// Folders of which it could not be told whether they are work trees.
    pub(crate) unclear: BTreeSet<PathBuf>,
    /// Of the projects that were examined, what is remembered besides; by root.
    pub(crate) noted: BTreeMap<PathBuf, Noted>,
}

impl Survey {
    /// Turns the `watched` folders into those to watch after this survey: what it does not speak for stays. Whether they
    /// are others now.
    pub fn update(&self, watched: &mut BTreeMap<Arc<Path>, Role>) -> bool {
        let is_left = |folder: &Path, role: &Role| match role {
            Role::Control(root) | Role::Inside(root) => self.covered.has(root),
            Role::Project | Role::Frontier | Role::Outlook => self.covered.has(folder),
        };
        if watched.is_empty() {
            // A map that is made at once is full; one that grows in order stays half empty.
            *watched = self.folders.iter().map(|(folder, role)| (Arc::clone(folder), role.clone())).collect();
            return !watched.is_empty();
        }
        let before = watched.len();
        watched.retain(|folder, role| !is_left(folder, role) || self.folders.contains_key(folder));
        let mut is_other = watched.len() < before;
        for (folder, role) in &self.folders {
            if watched.get(folder) != Some(role) {
                watched.insert(folder.clone(), role.clone());
                is_other = true;
            }
        }
        is_other
    }

    /// Whether it came to where `path` is, so that what could not be read there before and is not among its problems was
    /// read.
    pub fn came_to(&self, path: &Path) -> bool {
        let mut places = self.covered.below().iter().chain(self.covered.at());
        !self.covered.stopped && places.any(|place| path.starts_with(place))
    }

    /// Of a path in a linked work tree, and in no project there, the root of the project that stands for the tree.
    pub fn stand_in(&self, path: &Path) -> Option<&Path> {
        let linked = self.worktrees.iter().filter(|linked| path.starts_with(&linked.path));
        let linked = linked.max_by_key(|linked| linked.path.as_os_str().len())?;
        let is_inside = |root: &Path| path.starts_with(root) && root.starts_with(&linked.path);
        let has_own = self.sightings.iter().any(|sighting| is_inside(&sighting.root));
        (!has_own).then_some(linked.of.as_path())
    }

    /// Has it speak for exactly these as well, but not for what is at or below a project that is still being made, or
    /// mounted from elsewhere.
    pub(crate) fn speaks_for(&mut self, points: impl IntoIterator<Item = PathBuf>) {
        let unseen: BTreeSet<&Path> =
            self.arriving.iter().chain(&self.broken).map(PathBuf::as_path).collect();
        let is_settled = |point: &PathBuf| {
            !self.apart.has(point) && !point.ancestors().any(|above| unseen.contains(above))
        };
        self.covered.points = points.into_iter().filter(is_settled).collect();
    }
}

/// A linked work tree, which is no project of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Worktree {
    /// Its root.
    pub path: PathBuf,
    /// The root of the project it is listed with.
    pub of: PathBuf,
}

/// Reads everything under all roots. Blocks; asks `stop` between folders and projects.
pub fn survey(options: &Options, stop: &AtomicBool) -> Survey {
    let rules = rulebook::rules(options.rules.as_deref());
    survey_with(options, Attention::full(&rules), stop)
}

/// The roots of the projects that a walk meets, by path, without examining them: what lies inside of others is found
/// only by that.
pub fn find(options: &Options, stop: &AtomicBool) -> Vec<PathBuf> {
    let ground = Ground::new(options);
    let mut walk = ground.walk(options, stop);
    ground.walk_roots(&mut walk);
    let mut roots: Vec<_> = walk.trees.into_iter().map(|tree| tree.root).collect();
    roots.sort();
    roots
}

pub(crate) fn survey_with(options: &Options, attention: Attention<'_>, stop: &AtomicBool) -> Survey {
    let ground = Ground::new(options);
    let mut walk = ground.walk(options, stop);
    ground.walk_roots(&mut walk);
    // Of a root that is not there nothing is said, not even that its projects are gone: it may be a disk that is away.
    let scopes = ground.roots.iter().filter(|root| matches!(root.found, Found::Folder(_)));
    let scopes = scopes.map(|root| root.path.clone()).collect();
    let mut survey = ground.assemble(walk, scopes, &BTreeSet::new(), attention, stop);
    survey.roots = reports(&ground.roots, &survey);
    survey
}

/// Examines some projects again, and those inside them; walks nowhere.
pub(crate) fn examine_again(
    options: &Options,
    roots: &[PathBuf],
    memory: &Memory,
    attention: Attention<'_>,
    stop: &AtomicBool,
) -> Survey {
    let ground = Ground::new(options);
    let mut walk = ground.walk(options, stop);
    let (mut points, mut enclosing) = (BTreeSet::new(), BTreeSet::new());
    for root in roots {
        if ground.is_away(root) || ground.apart.has(root) {
            continue;
        }
        enclosing.extend(memory.around(root));
        match known_tree(root, &ground.homes) {
            Ok(tree) => {
                points.extend(memory.with_inner(root));
                // What lies behind a link that leads out of the roots is not there any more.
                walk.trees.extend(tree.filter(|tree| tree.root == *root || hold(&ground.roots, &tree.root)));
            }
            Err(error) => walk.problems.push(Problem::from_io(root, &error)),
        }
    }
    let mut survey = ground.assemble(walk, BTreeSet::new(), &enclosing, attention, stop);
    survey.speaks_for(points);
    survey
}

/// Which projects are examined, and which are known well enough.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub(crate) memory: Option<&'a Memory>,
    pub(crate) asked: Asked<'a>,
    pub(crate) rules: &'a Rules,
    pub(crate) shelf: Option<&'a Shelf>,
    /// Files in projects, by project, of which is asked whether they are a part of it.
    pub(crate) written: Option<&'a BTreeMap<PathBuf, BTreeSet<PathBuf>>>,
    /// `None` where everything is examined as it is.
    pub(crate) arrivals: Option<Arrivals<'a>>,
    /// Where a worker process stays for the next survey.
    pub(crate) spare: Option<&'a Spare>,
    /// Who is told what is being examined.
    pub(crate) gaze: Option<&'a Gaze>,
}

/// By what new projects that are still being made are told: they are left for later.
#[derive(Clone, Copy)]
pub(crate) struct Arrivals<'a> {
    /// What is not new.
    pub(crate) memory: &'a Memory,
    pub(crate) now_ms: u64,
    pub(crate) patience: Patience,
    /// Known to be at rest, with everything below but what is inside of other projects.
    pub(crate) at_rest: &'a BTreeSet<PathBuf>,
}

/// What is to be examined whatever is remembered.
#[derive(Clone, Copy)]
pub(crate) enum Asked<'a> {
    All,
    /// The projects these are or lie in.
    At(&'a BTreeSet<PathBuf>),
}

impl<'a> Attention<'a> {
    /// Everything is examined, and nothing kept.
    pub(crate) fn full(rules: &'a Rules) -> Self {
        Self {
            memory: None,
            rules,
            asked: Asked::All,
            shelf: None,
            written: None,
            arrivals: None,
            spare: None,
            gaze: None,
        }
    }

    /// Whether somebody wants to know what is told by what. With a shelf, much of it is not looked at again.
    fn is_to_prove(&self) -> bool {
        self.shelf.is_none()
    }

    /// Whether the project is new and still being made.
    fn awaits(&self, tree: &Tree, nesting: u32, apart: &Apart) -> bool {
        let Some(Arrivals { memory, now_ms, patience, at_rest }) = self.arrivals else { return false };
        // A place inside may be at rest while more arrives beside it.
        if nesting == 0 && tree.root.ancestors().any(|above| at_rest.contains(above)) {
            return false;
        }
        memory.recall(tree).is_none()
            && is_being_made(tree, &memory.below(&tree.root), apart, now_ms, patience)
    }

    /// What is remembered of the project, unless it has to be examined.
    fn recall(&self, tree: &Tree) -> Option<&'a Remembered> {
        let Asked::At(places) = self.asked else { return None };
        let known = self.memory?.recall(tree)?;
        // In the order of paths, what lies in a folder follows it at once.
        let asked = places.range::<PathBuf, _>(&tree.root..).next();
        let is_asked = asked.is_some_and(|place| place.starts_with(&tree.root));
        (!is_asked && !known.is_outdated(tree)).then_some(known)
    }
}

/// What every survey starts from: the resolved roots and what is left out.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) roots: Vec<Root>,
    pub(crate) exclude: Exclude,
    /// As far as they are there, canonical.
    pub(crate) homes: Vec<PathBuf>,
    pub(crate) workspace_members: bool,
    /// The user's, as they were written.
    pub(crate) patterns: Vec<String>,
    pub(crate) worker: Option<Worker>,
    pub(crate) apart: Apart,
    problems: Vec<Problem>,
}

impl Ground {
    pub(crate) fn new(options: &Options) -> Self {
        let (roots, mut problems) = resolve_all(&options.roots);
        let paths: Vec<_> = roots.iter().map(|root| root.path.clone()).collect();
        let exclude = Exclude::new(&paths, &options.exclude);
        problems.extend(exclude.refused().iter().map(|words| {
            let message = format!("the pattern to exclude cannot be read: {words}");
            Problem::new(Path::new("/"), ProblemKind::Unreadable, message)
        }));
        let Options { exclude: patterns, workspace_members, worker, .. } = options.clone();
        let apart = Apart::now(paths).with_own(options.own.iter().map(|own| canonical(own)));
        let homes = options.homes.iter().filter_map(|home| platform::true_path(home).ok()).collect();
        Self { roots, exclude, homes, workspace_members, patterns, worker, apart, problems }
    }

    pub(crate) fn walk<'a>(&'a self, options: &Options, stop: &'a AtomicBool) -> Walk<'a> {
        let places = self.roots.iter().filter_map(|root| match root.found {
            Found::Folder(place) => Some(place),
            Found::Nothing | Found::Hidden => None,
        });
        Walk::new(&self.exclude, &self.homes, options, places.collect(), self.apart.ends(), stop)
    }

    fn walk_roots(&self, walk: &mut Walk<'_>) {
        for root in &self.roots {
            if matches!(root.found, Found::Folder(_)) {
                walk.from(Step { path: root.path.clone(), depth: 0, device: None, enclosed: Enclosed::No });
            }
        }
    }

    /// Whether it is or lies in a root that is not there.
    pub(crate) fn is_away(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| matches!(root.found, Found::Nothing) && path.starts_with(&root.path))
    }

    /// Whether no folder between `top` and `path` is one that is never looked into.
    pub(crate) fn is_open(&self, top: &Path, path: &Path) -> bool {
        path.ancestors().take_while(|folder| *folder != top && folder.starts_with(top)).all(|folder| {
            let (Some(name), Some(parent)) = (folder.file_name(), folder.parent()) else { return true };
            !self.exclude.prunes(&|beside| parent.join(beside).exists(), name, folder)
        })
    }

    /// Makes a survey of what a walk found. `enclosing` are projects around it that are not examined.
    pub(crate) fn assemble(
        &self,
        walk: Walk<'_>,
        scopes: BTreeSet<PathBuf>,
        enclosing: &BTreeSet<PathBuf>,
        attention: Attention<'_>,
        stop: &AtomicBool,
    ) -> Survey {
        let mut families = Families::default();
        for (own, root, shared) in walk.trees.iter().filter_map(Tree::linked) {
            families.meet(own, root, shared);
        }
        let mut gathering = Gathering {
            ground: self,
            attention,
            waiting: walk.trees.into_iter().map(|tree| (tree, 0)).collect(),
            taken: BTreeSet::new(),
            submodules: BTreeSet::new(),
            sightings: BTreeMap::new(),
            evidence: BTreeMap::new(),
            worktrees: BTreeSet::new(),
            families,
            called: BTreeSet::new(),
            folders: walk.folders.into_iter().map(|folder| (folder.into(), Role::Frontier)).collect(),
            noted: BTreeMap::new(),
            unclear: walk.unclear,
            arriving: Vec::new(),
            broken: Vec::new(),
            problems: walk.problems,
        };
        let errand = Errand { ground: self, attention, stop };
        let stopped =
            std::thread::scope(|scope| gathering.examine_all(&mut Examiner::new(scope, errand), stop))
                || walk.stopped;
        let mut blind = walk.blind;
        blind.extend(gathering.arriving.iter().cloned());
        // What lies in them was not seen.
        blind.extend(gathering.broken.iter().cloned());
        let away = || self.roots.iter().filter(|root| !matches!(root.found, Found::Folder(_)));
        gathering.folders.extend(away().map(|root| (root.path.as_path().into(), Role::Frontier)));
        // What is said of the folder around such a root says nothing of what lies in it.
        blind.extend(away().map(|root| root.path.clone()));
        // Nor does what is said of a project of what is mounted in it.
        blind.extend(self.apart.points().iter().filter(|point| !scopes.contains(*point)).cloned());
        gathering.problems.extend(self.problems.iter().cloned().chain(rulebook::problems(attention.rules)));
        let covered = Covered { scopes, points: BTreeSet::new(), blind, stopped };
        gathering.finish(covered, enclosing)
    }
}

/// The real path, as far as it is there.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    platform::true_path(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The examination of what a walk found.
struct Gathering<'a> {
    ground: &'a Ground,
    attention: Attention<'a>,
    /// Each with how many projects it was found inside of.
    waiting: VecDeque<(Tree, u32)>,
    taken: BTreeSet<Place>,
    submodules: BTreeSet<Place>,
    sightings: BTreeMap<PathBuf, Arc<Sighting>>,
    evidence: BTreeMap<PathBuf, Evidence>,
    worktrees: BTreeSet<Worktree>,
    families: Families,
    /// Work trees that stand for others and were put among the waiting because of that.
    called: BTreeSet<PathBuf>,
    folders: BTreeMap<Arc<Path>, Role>,
    noted: BTreeMap<PathBuf, Noted>,
    unclear: BTreeSet<PathBuf>,
    arriving: Vec<PathBuf>,
    /// Their examination broke off.
    broken: Vec<PathBuf>,
    problems: Vec<Problem>,
}

impl Gathering<'_> {
    /// Whether it was told to stop.
    fn examine_all(&mut self, by: &mut Examiner<'_, '_>, stop: &AtomicBool) -> bool {
        while let Some((tree, nesting)) = self.waiting.pop_front() {
            if stop.load(Ordering::Relaxed) {
                return true;
            }
            if self.is_listed_with_another(&tree, nesting) || !self.taken.insert(tree.place) {
                continue;
            }
            if self.attention.awaits(&tree, nesting, &self.ground.apart) {
                self.arriving.push(tree.root);
                continue;
            }
            let root: Arc<Path> = tree.root.as_path().into();
            self.folders.insert(Arc::clone(&root), Role::Project);
            if let Some(control) = &tree.control {
                self.folders.insert(control.folder.as_path().into(), Role::Control(root));
            }
            match self.attention.recall(&tree) {
                Some(known) => {
                    if let Some(inner) = known.inner() {
                        self.take_all_inner(&tree.root, nesting, &inner.submodules, &inner.nested);
                        let members = inner.members.iter().filter_map(|root| self.attention.memory?.at(root));
                        self.sightings.extend(members.map(|member| (member.root.clone(), member.clone())));
                    }
                    self.sightings.insert(tree.root, known.sighting.clone());
                }
                None => self.take(tree, nesting, by),
            }
        }
        stop.load(Ordering::Relaxed)
    }

    fn take(&mut self, tree: Tree, nesting: u32, by: &mut Examiner<'_, '_>) {
        let vcs = tree.control.as_ref().map_or(Vcs::None, |control| control.vcs);
        // Before the examination, so that what happens during it makes another one.
        let stamp = Stamp::of(&tree);
        let mut examined = self.examine(&tree.root, vcs, by);
        // By its absence and not by its numbers, which some network file systems change.
        if std::fs::symlink_metadata(&tree.root).is_err_and(|error| is_absent(&error)) {
            self.let_go(tree);
            return;
        }
        self.take_all_inner(&tree.root, nesting, &examined.submodules, &examined.nested);
        // Of a thousand projects a few are, and the folders of all of them are many.
        let is_hot = self.attention.arrivals.is_none_or(|arrivals| {
            let written = examined.newest.max(stamp.newest);
            arrivals.memory.would_be_hot(&tree.root, &examined.content_hash, written, arrivals.now_ms)
        });
        let members = std::mem::take(&mut examined.members);
        let members = members.into_iter().filter_map(|member| self.take_member(member, vcs)).collect();
        let noted = Noted {
            members,
            submodules: std::mem::take(&mut examined.submodules),
            nested: std::mem::take(&mut examined.nested),
            stamp,
            is_outermost: nesting == 0,
            newest: examined.newest,
            folders: if is_hot { std::mem::take(&mut examined.folders) } else { Vec::new() },
            left_out: std::mem::take(&mut examined.left_out),
        };
        self.noted.insert(tree.root.clone(), noted);
        let mut evidence = std::mem::take(&mut examined.evidence);
        if self.attention.is_to_prove() {
            evidence.root_path = root_proof(&tree);
            self.evidence.insert(tree.root.clone(), evidence);
        }
        self.sightings.insert(tree.root.clone(), sighting(tree, vcs, examined).into());
    }

    /// It left meanwhile: what was seen of it is not it, and where it is now it may be met yet.
    fn let_go(&mut self, tree: Tree) {
        self.folders.remove(tree.root.as_path());
        if let Some(control) = &tree.control {
            self.folders.remove(control.folder.as_path());
            if let Some(shared) = &control.shared {
                self.families.forget(shared);
            }
        }
        self.called.remove(&tree.root);
        self.taken.remove(&tree.place);
        self.arriving.push(tree.root);
    }

    /// Its root, if it is one that nobody else has.
    fn take_member(&mut self, member: Member, vcs: Vcs) -> Option<PathBuf> {
        // Gone since it was seen.
        let metadata = std::fs::symlink_metadata(&member.root).ok().filter(std::fs::Metadata::is_dir)?;
        let (root, place) = (member.root, platform::place(&metadata));
        if !self.taken.insert(place) {
            return None;
        }
        let tree = Tree { root: root.clone(), place, born: platform::born(&metadata), control: None };
        let noted = Noted {
            submodules: Vec::new(),
            nested: Vec::new(),
            members: Vec::new(),
            stamp: Stamp::of(&tree),
            is_outermost: false,
            newest: 0,
            folders: Vec::new(),
            left_out: BTreeSet::new(),
        };
        self.noted.insert(root.clone(), noted);
        if self.attention.is_to_prove() {
            self.evidence.insert(root.clone(), member.evidence);
        }
        let told = member.told;
        let examined = Examined {
            name: told.name,
            language: told.language,
            framework: told.framework,
            content_hash: told.content_hash,
            kind: ProjectKind::from_word(&told.kind).unwrap_or_default(),
            warnings: member.warnings,
            ..Examined::default()
        };
        self.sightings.insert(root.clone(), sighting(tree, vcs, examined).into());
        Some(root)
    }

    fn take_all_inner(&mut self, root: &Path, nesting: u32, submodules: &[PathBuf], nested: &[PathBuf]) {
        for inner in submodules {
            self.take_inner(inner, root, nesting, true);
        }
        for inner in nested {
            self.take_inner(inner, root, nesting, false);
        }
    }

    /// One project that makes the examination panic must not keep the others from being seen.
    fn examine(&mut self, root: &Path, vcs: Vcs, by: &mut Examiner<'_, '_>) -> Examined {
        by.examine(root, vcs).unwrap_or_else(|_| {
            let message = "its examination broke off; the log says of what";
            self.problems.push(Problem::new(root, ProblemKind::Unreadable, message));
            self.broken.push(root.to_path_buf());
            let warnings = vec![message.to_owned()];
            Examined { name: folder_name(root), warnings, broke_off: true, ..Examined::default() }
        })
    }

    /// Whether the tree shares its git folder with the project that stands for both, which is then examined instead.
    fn is_listed_with_another(&mut self, tree: &Tree, nesting: u32) -> bool {
        let Some((own, root, shared)) = tree.linked() else { return false };
        self.families.meet(own, root, shared);
        let ground = self.ground;
        let reachable = |path: &Path| {
            ground.roots.iter().any(|root| path.starts_with(&root.path) && ground.is_open(&root.path, path))
        };
        let touchable = |path: &Path| !ground.apart.has(path);
        let Some(of) = self.families.keeper(shared, &reachable, &touchable) else { return false };
        if of == tree.root {
            return false;
        }
        if !self.called.contains(&of) {
            match tree_at(&of) {
                Ok(Some(keeper)) => self.waiting.push_back((keeper, nesting)),
                Ok(None) => {
                    self.families.forget(shared);
                    return false;
                }
                Err(error) => self.problems.push(Problem::from_io(&of, &error)),
            }
            self.called.insert(of.clone());
        }
        self.worktrees.insert(Worktree { path: tree.root.clone(), of });
        true
    }

    fn take_inner(&mut self, inner: &Path, outer: &Path, nesting: u32, is_submodule: bool) {
        if nesting >= DEEPEST_NESTING {
            let message = "projects inside projects are not followed any deeper";
            self.problems.push(Problem::new(inner, ProblemKind::TooDeep, message));
            return;
        }
        // It is known from before something was mounted over it, perhaps.
        if self.ground.apart.has(inner) || (!self.ground.is_open(outer, inner) && !is_submodule) {
            return;
        }
        match tree_at(inner) {
            Ok(Some(tree)) => {
                if is_submodule {
                    self.submodules.insert(tree.place);
                }
                self.waiting.push_back((tree, nesting + 1));
            }
            Ok(None) => {}
            Err(error) => {
                self.unclear.insert(inner.to_path_buf());
                self.problems.push(Problem::from_io(inner, &error));
            }
        }
    }

    fn finish(mut self, covered: Covered, enclosing: &BTreeSet<PathBuf>) -> Survey {
        let roots = self.sightings.keys().chain(enclosing).chain(&self.arriving);
        let roots: BTreeSet<_> = roots.cloned().collect();
        for sighting in self.sightings.values_mut() {
            let parent_root = sighting.root.ancestors().skip(1).find(|above| roots.contains(*above));
            let is_submodule = self.submodules.contains(&sighting.place);
            let kind = if is_submodule { ProjectKind::Submodule } else { sighting.kind };
            // What is as it is remembered stays shared with the memory.
            if sighting.parent_root.as_deref() != parent_root || sighting.kind != kind {
                let parent_root = parent_root.map(Path::to_path_buf);
                let own = Arc::make_mut(sighting);
                (own.parent_root, own.kind) = (parent_root, kind);
            }
            if !self.attention.is_to_prove() {
                continue;
            }
            let evidence = self.evidence.entry(sighting.root.clone()).or_default();
            evidence.parent_root_path = Proof::by(match sighting.parent_root {
                Some(_) => "the project it lies in",
                None => "it lies in no project",
            });
            if is_submodule {
                evidence.project_type = Proof::by("the project around it has it as a submodule");
                evidence.members.clear();
            }
        }
        self.problems.sort();
        self.problems.dedup();
        Survey {
            sightings: self.sightings.into_values().collect(),
            evidence: self.evidence,
            problems: self.problems,
            roots: Vec::new(),
            covered,
            folders: self.folders,
            examined: self.noted.len(),
            noted: self.noted,
            unclear: self.unclear,
            worktrees: self.worktrees.into_iter().collect(),
            arriving: self.arriving,
            broken: self.broken,
            apart: self.ground.apart.clone(),
        }
    }
}

fn root_proof(tree: &Tree) -> Proof {
    match &tree.control {
        Some(control) => Proof::by(format!("a {} work tree", control.vcs.as_str()))
            .in_file(format!(".{}", control.vcs.as_str())),
        None => Proof::by("the outermost folder with a manifest, in no work tree"),
    }
}

fn sighting(tree: Tree, vcs: Vcs, examined: Examined) -> Sighting {
    Sighting {
        root: tree.root,
        place: tree.place,
        born: tree.born,
        vcs_place: tree.control.map(|control| control.place),
        vcs,
        name: examined.name,
        language: examined.language,
        framework: examined.framework,
        content_hash: examined.content_hash,
        kind: examined.kind,
        parent_root: None,
        warnings: examined.warnings,
        broke_off: examined.broke_off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_project_that_leaves_while_it_is_looked_at_nothing_is_told_but_where_it_came_to() {
        let home = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(home.path()).unwrap();
        for folder in ["a", "b"] {
            std::fs::create_dir(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("go.mod"), "module example.org/m\n").unwrap();
        }
        let options = Options { roots: vec![root.clone()], ..Options::default() };
        let (rules, stop) = (rulebook::rules(None), AtomicBool::new(false));
        let ground = Ground::new(&options);
        let mut walk = ground.walk(&options, &stop);
        ground.walk_roots(&mut walk);
        // What the walk met last is here already.
        std::fs::rename(root.join("a"), root.join("c")).unwrap();
        let met = Tree { root: root.join("c"), ..walk.trees[0].clone() };
        walk.trees.push(met);
        let survey =
            ground.assemble(walk, [root.clone()].into(), &BTreeSet::new(), Attention::full(&rules), &stop);
        let seen: Vec<&Path> = survey.sightings.iter().map(|sighting| sighting.root.as_path()).collect();
        assert_eq!(seen, [root.join("b"), root.join("c")]);
        assert_eq!(survey.arriving, [root.join("a")]);
        assert!(!survey.covered.has(&root.join("a")) && survey.covered.has(&root.join("b")));
        assert!(!survey.folders.contains_key(root.join("a").as_path()));
    }
}
