//! What looks do not go into: what is mounted from elsewhere, for it may not answer, and where we write ourselves.
//!
//! Told by the table of mounts alone. Touches nothing, and knows nothing of what a look is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::platform::{self, Mount};

/// The file systems that lie elsewhere, seen from some roots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    mounts: Vec<Mount>,
    roots: Vec<PathBuf>,
    points: Vec<PathBuf>,
    /// Where we write ourselves; of `points` as well.
    own: Vec<PathBuf>,
}

impl Apart {
    /// As it is now. The roots are canonical, and lie where they lie on purpose.
    pub(crate) fn now(roots: Vec<PathBuf>) -> Self {
        Self::of(platform::mounts(), roots)
    }

    fn of(mounts: Vec<Mount>, roots: Vec<PathBuf>) -> Self {
        // Of two at one place the later one counts.
        let at: BTreeMap<&Path, bool> =
            mounts.iter().map(|mount| (mount.point.as_path(), mount.is_remote)).collect();
        let remote = at.into_iter().filter(|(_, is_remote)| *is_remote);
        let points = remote.map(|(point, _)| point.to_path_buf()).collect();
        Self { mounts, roots, points, own: Vec::new() }
    }

    /// And these folders, where we write ourselves, but for such as a root lies in on purpose. They are canonical.
    pub(crate) fn with_own(mut self, own: impl IntoIterator<Item = PathBuf>) -> Self {
        self.own =
            own.into_iter().filter(|own| !self.roots.iter().any(|root| root.starts_with(own))).collect();
        self.points.extend(self.own.iter().cloned());
        self
    }

    /// Whether it is or lies in what is mounted from elsewhere, and no root has it looked at there, or where we write
    /// ourselves.
    pub(crate) fn has(&self, path: &Path) -> bool {
        if !self.points.iter().any(|point| path.starts_with(point)) {
            return false;
        }
        if self.own.iter().any(|own| path.starts_with(own)) {
            return true;
        }
        let Some(mount) = innermost(&self.mounts, path).filter(|mount| mount.is_remote) else { return false };
        let is_on_it = |root: &&PathBuf| {
            path.starts_with(root)
                && innermost(&self.mounts, root).is_some_and(|around| around.point == mount.point)
        };
        !self.roots.iter().any(|root| is_on_it(&root))
    }

    /// Where it begins.
    pub(crate) fn points(&self) -> &[PathBuf] {
        &self.points
    }

    /// Where a walk ends: whatever is mounted, and where we write ourselves.
    pub(crate) fn ends(&self) -> BTreeSet<PathBuf> {
        self.mounts.iter().map(|mount| &mount.point).chain(&self.own).cloned().collect()
    }
}

/// Whether a path is or lies in what is mounted from elsewhere.
pub(crate) fn is_remote(mounts: &[Mount], path: &Path) -> bool {
    innermost(mounts, path).is_some_and(|mount| mount.is_remote)
}

fn innermost<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let around = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    // Of two at one place the later one counts.
    around.max_by_key(|mount| mount.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_from_elsewhere_is_apart_unless_a_root_is_on_it() {
        let mount = |point: &str, is_remote| Mount { point: PathBuf::from(point), is_remote };
        let mounts = vec![
            mount("/", false),
            mount("/home/u/p/data", true),
            mount("/home/u/p/data/disk", false),
            mount("/net", true),
            mount("/net/inner", true),
            mount("/twice", true),
            mount("/twice", false),
        ];
        let roots = ["/home/u", "/net/a", "/net/inner/b"].map(PathBuf::from).to_vec();
        let apart = Apart::of(mounts, roots);
        assert_eq!(apart.points(), ["/home/u/p/data", "/net", "/net/inner"].map(PathBuf::from));
        for (path, expected) in [
            ("/home/u/p", false),
            ("/home/u/p/data", true),
            ("/home/u/p/data/x", true),
            ("/home/u/p/data2", false),
            ("/home/u/p/data/disk/x", false),
            ("/net/a/x", false),
            ("/net/b", true),
            ("/net/inner/b", false),
            ("/net/inner/c", true),
            ("/twice/x", false),
        ] {
            assert_eq!(apart.has(Path::new(path)), expected, "{path}");
        }
    }
}
