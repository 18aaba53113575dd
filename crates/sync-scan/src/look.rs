//! Looks only around a few paths: after a change there, or because somebody named them.
//!
//! Finds the project each path is in from the disk alone, by the rules of the walk, so that looking at every part gives
//! what a survey of the whole gives.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::listing::Listing;
use crate::posts::concerned;
use crate::problem::{Problem, is_absent};
use crate::root::{Found, as_far_as_there, hold};
use crate::survey::{Asked, Attention, Ground, Survey};
use crate::walk::{Enclosed, Step, Tree, tree_at};
use crate::{Options, platform, rulebook, vcs};

/// Examines the project around each path again, and walks a path that is in none. Blocks like
/// [`survey`](crate::survey()).
///
/// Paths need not be below a root. One that is not there any more is covered by the result all the same, unless it lies in
/// a root that is not there either.
pub fn look(options: &Options, paths: &[PathBuf], stop: &AtomicBool) -> Survey {
    let rules = rulebook::rules(options.rules.as_deref());
    look_with(options, paths, Attention::full(&rules), stop)
}

pub(crate) fn look_with(
    options: &Options,
    paths: &[PathBuf],
    attention: Attention<'_>,
    stop: &AtomicBool,
) -> Survey {
    let options = &Options { roots: concerned(&options.roots, paths), ..options.clone() };
    let ground = Ground::new(options);
    // Somebody who names a link means what it leads to; an event at one is about the link.
    let follows_links = options.follow_symlinks || matches!(attention.asked, Asked::All);
    let mut aim = Aim::nowhere(&ground, follows_links);
    for path in paths {
        if let Err(error) = aim.at(path) {
            aim.problems.push(Problem::from_io(path, &error));
            aim.blind.insert(as_far_as_there(path));
        }
    }
    aim.carry_out(options, attention, stop)
}

/// Where the looks go.
struct Aim<'a> {
    ground: &'a Ground,
    /// Whether a link may lead out of all roots.
    follows_links: bool,
    /// What is to be walked.
    starts: Vec<Step>,
    /// Roots that are work trees around a path: examined, not walked.
    around: Vec<Tree>,
    /// Projects around what is walked.
    enclosing: BTreeSet<PathBuf>,
    scopes: BTreeSet<PathBuf>,
    blind: BTreeSet<PathBuf>,
    problems: Vec<Problem>,
    /// What folders above the paths hold: thousands of paths may lie in one, and that may hold thousands more.
    trees: BTreeMap<PathBuf, bool>,
    manifests: BTreeMap<PathBuf, bool>,
}

impl<'a> Aim<'a> {
    fn nowhere(ground: &'a Ground, follows_links: bool) -> Self {
        Self {
            ground,
            follows_links,
            starts: Vec::new(),
            around: Vec::new(),
            enclosing: BTreeSet::new(),
            scopes: BTreeSet::new(),
            blind: BTreeSet::new(),
            problems: Vec::new(),
            trees: BTreeMap::new(),
            manifests: BTreeMap::new(),
        }
    }

    fn is_tree(&mut self, folder: &Path) -> io::Result<bool> {
        once(&mut self.trees, folder, |folder| Ok(vcs::detect(folder)?.is_some()))
    }

    fn has_manifest(&mut self, folder: &Path) -> io::Result<bool> {
        let is_home = self.ground.homes.iter().any(|home| home == folder);
        once(&mut self.manifests, folder, |folder| {
            Ok(Listing::read(platform::open_folder(folder)?)?.makes_project(is_home))
        })
    }

    fn at(&mut self, asked: &Path) -> io::Result<()> {
        let (target, is_there) = match platform::true_path(asked) {
            Ok(path) if path.metadata()?.is_dir() => (path, true),
            Ok(path) => (path.parent().unwrap_or(&path).to_path_buf(), true),
            Err(error) if is_absent(&error) => (as_far_as_there(asked), false),
            Err(error) => return Err(error),
        };
        // A root that is a file is there, and so is what lies at the place of one.
        if !is_there && self.ground.is_away(&target) {
            return Ok(());
        }
        let folder = target.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/")).to_path_buf();
        let roots = self.ground.roots.iter().filter(|root| matches!(root.found, Found::Folder(_)));
        let innermost = roots
            .filter(|root| folder.starts_with(&root.path))
            .max_by_key(|root| root.path.as_os_str().len());
        let start = match innermost.map(|root| root.path.clone()) {
            Some(root) => self.within(&root, &folder, is_there)?,
            None if !self.follows_links && (hold(&self.ground.roots, asked) || asked.is_symlink()) => {
                // It is a link, or lies behind one, that leads out of the roots. Of what it leads to nothing is said, and
                // no folder is at its place.
                self.scopes.insert(asked.to_path_buf());
                return Ok(());
            }
            None if folder.parent().is_none() => {
                return Err(io::Error::other("the whole file system is too wide to be looked at"));
            }
            None => self.outside(&folder, is_there)?,
        };
        if let Some(step) = start {
            self.scopes.insert(step.path.clone());
            self.starts.push(step);
        }
        self.scopes.insert(target);
        Ok(())
    }

    /// Where to start for a folder below a root: the outermost work tree, else the outermost manifest, else itself.
    fn within(&mut self, root: &Path, folder: &Path, is_there: bool) -> io::Result<Option<Step>> {
        let Ok(root_tree) = tree_at(root) else {
            return Ok(Some(self.unclear(root, folder, 0, Enclosed::No)));
        };
        let mut enclosed = if root_tree.is_some() { Enclosed::ByRoot } else { Enclosed::No };
        let mut manifest = None;
        let mut depth = 0;
        for (level, path) in downwards(root, folder).into_iter().enumerate() {
            if path != root && !self.ground.is_open(path.parent().unwrap_or(root), &path) {
                self.blind.insert(path);
                self.note_enclosing(folder)?;
                return Ok(manifest);
            }
            depth = u32::try_from(level).unwrap_or(u32::MAX);
            let step = Step { path: path.clone(), depth, device: None, enclosed };
            let is_tree = if path == root { Ok(false) } else { self.is_tree(&path) };
            match is_tree {
                Ok(false) => {}
                Ok(true) => {
                    self.note_enclosing(&path)?;
                    return Ok(Some(step));
                }
                Err(_) => {
                    self.note_enclosing(&path)?;
                    return Ok(Some(self.unclear(&path, folder, depth, enclosed)));
                }
            }
            if enclosed == Enclosed::No && self.has_manifest(&path)? {
                enclosed = Enclosed::ByManifest;
                manifest = Some(step);
            }
        }
        self.note_enclosing(folder)?;
        if let Some(tree) = root_tree {
            self.around.push(tree);
        }
        let itself = Step { path: folder.to_path_buf(), depth, device: None, enclosed };
        Ok(manifest.or(is_there.then_some(itself)))
    }

    /// Where to start for a `folder` at or below `path`, of which it cannot be told whether it is a work tree: there. So the
    /// walk tells of it once, however many paths lie in it, and has it watched.
    fn unclear(&mut self, path: &Path, folder: &Path, depth: u32, enclosed: Enclosed) -> Step {
        if folder != path {
            self.blind.insert(folder.to_path_buf());
        }
        Step { path: path.to_path_buf(), depth, device: None, enclosed }
    }

    /// Where to start for a folder outside all roots: the work tree it is in, or the superproject of that; else the
    /// nearest manifest; else itself. A folder that holds a root is too wide to be meant, and so is somebody's home.
    fn outside(&mut self, folder: &Path, is_there: bool) -> io::Result<Option<Step>> {
        let ground = self.ground;
        let Ground { roots, homes, .. } = ground;
        let too_wide = |path: &Path| {
            let holds_much = || {
                roots.iter().any(|root| root.path.starts_with(path))
                    || homes.iter().any(|home| home.starts_with(path))
            };
            path != folder && holds_much()
        };
        let step =
            |path: &Path| Step { path: path.to_path_buf(), depth: 0, device: None, enclosed: Enclosed::No };
        let above = || folder.ancestors().take_while(|path| path.parent().is_some() && !too_wide(path));
        let mut trees = above().filter_map(|path| Some((path, vcs::detect(path).ok()??)));
        if let Some((mut path, mut control)) = trees.next() {
            for (outer, outer_control) in trees {
                if !vcs::is_submodule(path, &control, outer) {
                    break;
                }
                (path, control) = (outer, outer_control);
            }
            return Ok(Some(step(path)));
        }
        for path in above() {
            if self.has_manifest(path)? {
                return Ok(Some(step(path)));
            }
        }
        Ok(is_there.then(|| step(folder)))
    }

    /// Notes the projects around `path`, told by the same rules from the outermost root down.
    fn note_enclosing(&mut self, path: &Path) -> io::Result<()> {
        let roots = self.ground.roots.iter().filter(|root| path.starts_with(&root.path));
        let Some(top) = roots.min_by_key(|root| root.path.as_os_str().len()) else { return Ok(()) };
        let mut enclosed = false;
        for above in downwards(&top.path.clone(), path.parent().unwrap_or(path)) {
            // What cannot be told is no project around another.
            let Ok(is_tree) = self.is_tree(&above) else { continue };
            if is_tree || (!enclosed && self.has_manifest(&above)?) {
                enclosed = true;
                self.enclosing.insert(above);
            }
        }
        Ok(())
    }

    fn carry_out(mut self, options: &Options, attention: Attention<'_>, stop: &AtomicBool) -> Survey {
        let mut walk = self.ground.walk(options, stop);
        self.starts.sort_by(|left, right| left.path.cmp(&right.path));
        self.starts.dedup_by(|left, right| left.path == right.path);
        for step in self.starts {
            walk.from(step);
        }
        walk.blind.append(&mut self.blind);
        walk.problems.append(&mut self.problems);
        let points: Vec<_> = self.around.iter().map(|tree| tree.root.clone()).collect();
        walk.trees.append(&mut self.around);
        let mut survey = self.ground.assemble(walk, self.scopes, &self.enclosing, attention, stop);
        survey.speaks_for(points);
        survey
    }
}

/// What is known of a folder, else what is found out about it.
fn once(
    known: &mut BTreeMap<PathBuf, bool>,
    folder: &Path,
    find_out: impl FnOnce(&Path) -> io::Result<bool>,
) -> io::Result<bool> {
    if let Some(known) = known.get(folder) {
        return Ok(*known);
    }
    let found = find_out(folder)?;
    known.insert(folder.to_path_buf(), found);
    Ok(found)
}

/// The folders from `top` to `path`, both included.
fn downwards(top: &Path, path: &Path) -> Vec<PathBuf> {
    let mut steps: Vec<_> =
        path.ancestors().take_while(|above| above.starts_with(top)).map(Path::to_path_buf).collect();
    steps.reverse();
    steps
}
