//! Chooses which of the work trees that share one git folder is the project; the others are listed with it.
//!
//! Decided from what git itself keeps on disk, so that a look at one of them and a survey of all agree, before and after
//! a restart. Whichever it is, it is one project: it is known by the git folder they share, and when it goes the next is it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::vcs::{configuration, detect, path_in, setting, small_file};

/// The git folders of one look that work trees share. What each holds is read once: there may be hundreds of work trees,
/// and all of them are asked about.
#[derive(Debug, Default)]
pub(crate) struct Families {
    known: BTreeMap<PathBuf, Family>,
    /// Linked work trees that were met, by their own folders.
    met: BTreeMap<PathBuf, PathBuf>,
}

/// The work trees of one git folder.
#[derive(Debug)]
struct Family {
    keeper: Option<PathBuf>,
    /// Those that may be it, the first first: where the main one is it, nobody asks for the others.
    candidates: Vec<Option<PathBuf>>,
    /// Which of them are not where git knows them to be, by their own folders.
    strayed: BTreeMap<PathBuf, usize>,
}

impl Families {
    /// Takes in that the linked work tree `root`, whose own folder of version control this is, was met: where git knows of
    /// none at a place any more, that is because it was moved.
    pub(crate) fn meet(&mut self, own: PathBuf, root: PathBuf, shared: &Path) {
        if let Some(family) = self.known.get_mut(shared)
            && let Some(number) = family.strayed.remove(&own)
            && let Some(candidate) = family.candidates.get_mut(number)
        {
            *candidate = Some(root.clone());
            family.keeper = None;
        }
        self.met.insert(own, root);
    }

    /// Something in the git folder is not as it was when it was read.
    pub(crate) fn forget(&mut self, shared: &Path) {
        self.known.remove(shared);
    }

    /// The project among the work trees of the git folder `shared`: the main one where `reachable`, else the first
    /// linked one that is; when none is, the main one or the first all the same. Those that are not `touchable` are passed
    /// over.
    pub(crate) fn keeper(
        &mut self,
        shared: &Path,
        reachable: &dyn Fn(&Path) -> bool,
        touchable: &dyn Fn(&Path) -> bool,
    ) -> Option<PathBuf> {
        if !self.known.contains_key(shared) {
            let family = Family::read(shared, &self.met, reachable, touchable);
            self.known.insert(shared.to_path_buf(), family);
        }
        let family = self.known.get_mut(shared)?;
        if family.keeper.is_none() {
            let mut there = family.candidates.iter().flatten();
            family.keeper = there.clone().find(|tree| reachable(tree)).or_else(|| there.next()).cloned();
        }
        family.keeper.clone()
    }
}

impl Family {
    fn read(
        shared: &Path,
        met: &BTreeMap<PathBuf, PathBuf>,
        reachable: &dyn Fn(&Path) -> bool,
        touchable: &dyn Fn(&Path) -> bool,
    ) -> Self {
        let main = main_tree(shared, touchable);
        let mut family = Self { keeper: None, candidates: Vec::new(), strayed: BTreeMap::new() };
        if let Some(main) = main {
            if reachable(&main) {
                family.keeper = Some(main);
                return family;
            }
            family.candidates.push(Some(main));
        }
        for own in linked_folders(shared) {
            let mut tree = tree_of(&own, touchable);
            if tree.is_none()
                && let Ok(own) = own.canonicalize()
            {
                tree = met.get(&own).cloned();
                if tree.is_none() {
                    family.strayed.insert(own, family.candidates.len());
                }
            }
            family.candidates.push(tree);
        }
        family
    }
}

/// The work tree the git folder was made in, if it has one.
fn main_tree(shared: &Path, touchable: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let beside =
        shared.file_name().filter(|name| *name == ".git").and(shared.parent()).map(Path::to_path_buf);
    let configured = || configured_tree(shared, touchable);
    beside.or_else(configured).filter(|root| touchable(root) && has_git_folder(root, shared))
}

fn configured_tree(shared: &Path, touchable: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let tree = shared.join(setting(&configuration(shared).ok()?, "core", "worktree")?);
    touchable(&tree).then(|| tree.canonicalize().ok())?
}

/// The folders that the linked work trees have in the git folder, the oldest first: one that is added comes last,
/// whatever it is called.
fn linked_folders(shared: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(shared.join("worktrees")) else { return Vec::new() };
    let mut kept: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        // Written when the work tree is made, and never again.
        .map(|own| (changed(&own.join("commondir")), own))
        .map(|(made, own)| (made.is_none(), made, own))
        .collect();
    kept.sort();
    kept.into_iter().map(|(_, _, own)| own).collect()
}

/// The work tree that the folder `own` of the shared git folder is about, if it is there.
fn tree_of(own: &Path, touchable: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let bytes = small_file(&own.join("gitdir")).ok()??;
    let tree = path_in(&bytes, own);
    let root = tree.parent().filter(|root| touchable(root))?.canonicalize().ok()?;
    has_git_folder(&root, own).then_some(root)
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn has_git_folder(root: &Path, folder: &Path) -> bool {
    let Ok(Some(control)) = detect(root) else { return false };
    match (control.folder.canonicalize(), folder.canonicalize()) {
        (Ok(own), Ok(expected)) => own == expected,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    const MANY: usize = 20;

    fn git_folder(folder: &Path) {
        fs::create_dir_all(folder.join("objects")).unwrap();
        fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    /// Adds a linked work tree to the git folder, the younger the higher its number; answers its own folder and its root.
    fn add(home: &Path, shared: &Path, number: usize) -> (PathBuf, PathBuf) {
        let root = home.join(format!("tree-{number:02}"));
        let own = shared.join("worktrees").join(number.to_string());
        for folder in [&root, &own] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(own.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(number).unwrap());
        fs::File::options().append(true).open(own.join("commondir")).unwrap().set_modified(made).unwrap();
        fs::write(own.join("gitdir"), format!("{}\n", root.join(".git").display())).unwrap();
        fs::write(root.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        (own, root)
    }

    #[test]
    fn however_many_work_trees_ask_each_is_read_once() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (bare, main) = (home.join("store.git"), home.join("main"));
        for (shared, most, expected) in
            [(&bare, MANY, home.join("tree-00")), (&main.join(".git"), 1, main.clone())]
        {
            git_folder(shared);
            let trees: Vec<_> = (0..MANY).map(|number| add(&home, shared, number)).collect();
            let mut families = Families::default();
            let asked = Cell::new(0);
            let touchable = |_: &Path| {
                asked.set(asked.get() + 1);
                true
            };
            for (own, root) in trees {
                families.meet(own, root, shared);
                assert_eq!(families.keeper(shared, &|_| true, &touchable).as_ref(), Some(&expected));
            }
            assert_eq!(asked.get(), most, "{}", shared.display());
        }
    }

    #[test]
    fn a_work_tree_that_strayed_is_the_project_from_when_it_is_met() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let shared = home.join("store.git");
        git_folder(&shared);
        let ((own, first), (_, second)) = (add(&home, &shared, 1), add(&home, &shared, 2));
        let moved = home.join("moved");
        fs::rename(&first, &moved).unwrap();
        let mut families = Families::default();
        let mut keeper = |met: Option<&Path>| {
            if let Some(met) = met {
                families.meet(own.clone(), met.to_path_buf(), &shared);
            }
            families.keeper(&shared, &|tree| !tree.ends_with("far"), &|_| true)
        };
        assert_eq!(keeper(None), Some(second.clone()));
        assert_eq!(keeper(Some(&moved)), Some(moved.clone()));
        // What was met before the folder was read counts as well; what is out of reach is it only when nothing else is.
        let far = home.join("far");
        fs::rename(&moved, &far).unwrap();
        let mut families = Families::default();
        families.meet(own, far.clone(), &shared);
        let mut keeper = || families.keeper(&shared, &|tree| !tree.ends_with("far"), &|_| true);
        assert_eq!(keeper(), Some(second.clone()));
        fs::remove_dir_all(&second).unwrap();
        assert_eq!(keeper(), Some(second));
        families.forget(&shared);
        let mut keeper = || families.keeper(&shared, &|tree| !tree.ends_with("far"), &|_| true);
        assert_eq!(keeper(), Some(far));
    }
}
