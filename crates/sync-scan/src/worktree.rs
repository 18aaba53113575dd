//! Chooses which of the work trees that share one git folder is the project; the others are listed with it.
//!
//! Decided from what git itself keeps on disk, so that a look at one of them and a survey of all agree, before and after
//! a restart. Whichever it is, it is one project: it is known by the git folder they share, and when it goes the next is it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::vcs::{configuration, detect, path_in, setting, small_file};

/// The project among the work trees of the git folder `shared`: the main one where `reachable`, else the first
/// linked one that is; when none is, the main one or the first all the same. Those that are not `touchable` are passed over.
/// `met` has linked ones that were met, by their own folders: where git knows of none at a place any more, that is because
/// it was moved.
pub(crate) fn keeper(
    shared: &Path,
    met: &BTreeMap<PathBuf, PathBuf>,
    reachable: &dyn Fn(&Path) -> bool,
    touchable: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let mut candidates: Vec<_> = main_tree(shared, touchable).into_iter().collect();
    candidates.extend(linked_trees(shared, met, touchable));
    let known = candidates.iter().find(|candidate| reachable(candidate)).cloned();
    known.or_else(|| candidates.into_iter().next())
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

/// The linked work trees that are there, the oldest first: one that is added comes last, whatever it is called.
fn linked_trees(
    shared: &Path,
    met: &BTreeMap<PathBuf, PathBuf>,
    touchable: &dyn Fn(&Path) -> bool,
) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(shared.join("worktrees")) else { return Vec::new() };
    let mut kept: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        // Written when the work tree is made, and never again.
        .map(|own| (changed(&own.join("commondir")).is_none(), changed(&own.join("commondir")), own))
        .collect();
    kept.sort();
    let met = |own: &Path| met.get(&own.canonicalize().ok()?).cloned();
    kept.into_iter().filter_map(|(_, _, own)| tree_of(&own, touchable).or_else(|| met(&own))).collect()
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
