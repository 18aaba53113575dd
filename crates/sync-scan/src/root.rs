//! Turns the configured roots into folders to start from: canonical, told apart by device and inode.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use sync_core::Place;

use crate::platform;
use crate::problem::{Problem, ProblemKind, is_absent};

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
