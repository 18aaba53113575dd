//! Chooses which of the work trees that share one git folder is the project; the others are listed with it.
//!
//! Decided from what git itself keeps on disk, so that a look at one of them and a survey of all agree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::vcs::{configuration, detect, path_in, setting, small_file};

/// The project among the work trees of the git folder `shared`: the main one where `reachable`, else the first
/// linked one that is; when none is, the main one or the first all the same. Those that are not `touchable` are passed over.
pub(crate) fn keeper(
    shared: &Path,
    reachable: &dyn Fn(&Path) -> bool,
    touchable: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let mut candidates: Vec<_> = main_tree(shared, touchable).into_iter().collect();
    candidates.extend(linked_trees(shared, touchable));
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

/// The linked work trees that are there, in the order of their paths.
fn linked_trees(shared: &Path, touchable: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(shared.join("worktrees")) else { return Vec::new() };
    let mut trees: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let own = entry.path();
            let bytes = small_file(&own.join("gitdir")).ok()??;
            let tree = path_in(&bytes, &own);
            let root = tree.parent().filter(|root| touchable(root))?.canonicalize().ok()?;
            has_git_folder(&root, &own).then_some(root)
        })
        .collect();
    trees.sort();
    trees
}

fn has_git_folder(root: &Path, folder: &Path) -> bool {
    let Ok(Some(control)) = detect(root) else { return false };
    match (control.folder.canonicalize(), folder.canonicalize()) {
        (Ok(own), Ok(expected)) => own == expected,
        (Err(_), _) | (_, Err(_)) => false,
    }
}
