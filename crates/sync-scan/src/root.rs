//! Turns the configured roots into folders to start from, canonical and told apart by device and inode; tells how they stand.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use sync_core::Place;

use crate::problem::{Problem, ProblemKind, is_absent};
use crate::survey::Survey;
use crate::{platform, vcs};

/// A configured root as it is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// As configured.
    pub(crate) given: PathBuf,
    /// Canonical; for one that is not there, as far as the part of it that is.
    pub(crate) path: PathBuf,
    /// Where it is, or why that cannot be told.
    pub(crate) found: Found,
}

/// Whether a root is there.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A folder.
    Folder(Place),
    /// Nothing, or no folder.
    Nothing,
    /// Something that cannot be reached.
    Hidden,
}

/// One configured root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootReport {
    /// As configured.
    pub path: PathBuf,
    /// Canonical, as far as it is there.
    pub real: PathBuf,
    /// Whether it can be read.
    pub state: RootState,
    /// How many projects are in it, itself included.
    pub projects: usize,
}

/// Whether a root can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RootState {
    /// It was read.
    Ready,
    /// There is no such folder.
    Missing,
    /// It cannot be reached or read.
    Denied,
}

/// Whether the path is or lies in one of the roots, by its words.
pub(crate) fn hold(roots: &[Root], path: &Path) -> bool {
    roots.iter().any(|root| path.starts_with(&root.path))
}

/// Resolves the roots, outermost first, and says what is wrong with them.
pub(crate) fn resolve_all(given: &[PathBuf]) -> (Vec<Root>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut roots: Vec<_> = given.iter().map(|root| resolve(root, &mut problems)).collect();
    roots.sort_by(|left, right| left.path.cmp(&right.path));
    (roots, problems)
}

fn resolve(given: &Path, problems: &mut Vec<Problem>) -> Root {
    let (path, found) = match place_of(given) {
        Ok((path, Some(place))) => (path, Found::Folder(place)),
        Ok((path, None)) => {
            problems.push(Problem::new(given, ProblemKind::Unreadable, "is not a folder"));
            (path, Found::Nothing)
        }
        Err(error) if is_absent(&error) => (as_far_as_there(given), Found::Nothing),
        Err(error) => {
            problems.push(Problem::from_io(given, &error));
            (as_far_as_there(given), Found::Hidden)
        }
    };
    Root { given: given.to_path_buf(), path, found }
}

/// The canonical path, and where the folder is if it is one.
fn place_of(path: &Path) -> io::Result<(PathBuf, Option<Place>)> {
    let canonical = platform::true_path(path)?;
    let metadata = fs::metadata(&canonical)?;
    Ok((canonical, metadata.is_dir().then(|| platform::place(&metadata))))
}

/// How the roots stand just now, whatever a look before was about; `count` tells of the projects in them. Costs a few calls
/// for each.
pub(crate) fn roots_now(roots: &[PathBuf], count: impl Fn(&Path) -> usize) -> Vec<RootReport> {
    let (roots, _) = resolve_all(roots);
    let report = |root: Root| {
        let state = match root.found {
            Found::Folder(_) if is_shut(&root.path) => RootState::Denied,
            Found::Folder(_) => RootState::Ready,
            Found::Nothing => RootState::Missing,
            Found::Hidden => RootState::Denied,
        };
        RootReport { projects: count(&root.path), path: root.given, real: root.path, state }
    };
    roots.into_iter().map(report).collect()
}

/// Whether a walk would come to nothing in the root.
fn is_shut(root: &Path) -> bool {
    platform::open_folder(root).is_err() || vcs::detect(root).is_err()
}

/// How the roots stand after a survey that walked them all.
pub(crate) fn reports(roots: &[Root], survey: &Survey) -> Vec<RootReport> {
    let report = |root: &Root| {
        let is_unread = |problem: &Problem| problem.path == root.path && problem.kind != ProblemKind::TooMany;
        let state = match root.found {
            Found::Folder(_) if survey.problems.iter().any(is_unread) => RootState::Denied,
            Found::Folder(_) => RootState::Ready,
            Found::Nothing => RootState::Missing,
            Found::Hidden => RootState::Denied,
        };
        let within = survey.sightings.iter().filter(|sighting| sighting.root.starts_with(&root.path));
        RootReport { path: root.given.clone(), real: root.path.clone(), state, projects: within.count() }
    };
    roots.iter().map(report).collect()
}

/// A path whose existing part is canonical and whose rest is kept as it is, `..` resolved by name.
pub(crate) fn as_far_as_there(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut above = Some(path);
    let mut known = PathBuf::from("/");
    while let Some(step) = above {
        if let Ok(canonical) = platform::true_path(step) {
            known = canonical;
            break;
        }
        rest.extend(step.components().next_back());
        above = step.parent();
    }
    for component in rest.into_iter().rev() {
        match component {
            Component::Normal(name) => known.push(name),
            Component::ParentDir => {
                known.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_keeps_its_name_below_what_is() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        for (asked, expected) in
            [("link/x/y", "a/x/y"), ("a", "a"), ("none/x", "none/x"), ("none/x/../y", "none/y")]
        {
            assert_eq!(as_far_as_there(&real.join(asked)), real.join(expected), "{asked}");
        }
    }
}
