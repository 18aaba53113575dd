//! Remembers how far a survey saw, so that what it did not report can be told from what it could not see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::exclude::is_always_pruned;

/// So few that a path is compared with each of them sooner than with all that is above it.
const FEW_SCOPES: usize = 4;

/// The part of the disk a survey can speak for.
#[derive(Clone, Debug, Default)]
pub struct Covered {
    /// Everything below these was looked at, but for `blind`.
    pub(crate) scopes: BTreeSet<PathBuf>,
    /// Exactly these were looked at.
    pub(crate) points: BTreeSet<PathBuf>,
    /// At these and below them nothing is known.
    pub(crate) blind: BTreeSet<PathBuf>,
    /// The survey was told to stop and speaks for nothing.
    pub(crate) stopped: bool,
}

impl Covered {
    /// The folders at and below which it may have looked at everything.
    pub fn below(&self) -> &BTreeSet<PathBuf> {
        &self.scopes
    }

    /// The folders it looked at besides, each by itself.
    pub fn at(&self) -> &BTreeSet<PathBuf> {
        &self.points
    }

    /// Whether a project at `path` would have been seen.
    ///
    /// True as well below a place that is known not to be there. False below what could not be read, vanished while it
    /// was read, is excluded, is mounted from elsewhere or lies too deep.
    pub fn has(&self, path: &Path) -> bool {
        !self.stopped && (self.points.contains(path) || self.seen_below_a_scope(path))
    }

    /// Asked of every project and every watched folder: takes no longer the more scopes there are, and next to nothing where
    /// there are few, as after an event.
    fn seen_below_a_scope(&self, path: &Path) -> bool {
        if self.scopes.len() <= FEW_SCOPES && !self.scopes.iter().any(|scope| path.starts_with(scope)) {
            return false;
        }
        for above in path.ancestors() {
            if self.blind.contains(above) {
                return false;
            }
            if self.scopes.contains(above) {
                return true;
            }
            if above.file_name().is_some_and(is_always_pruned) {
                return false;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_speaks_only_for_what_it_saw() {
        let mut covered = Covered {
            scopes: ["/r", "/gone", "/r/a/node_modules/c"].map(PathBuf::from).into(),
            points: BTreeSet::from([PathBuf::from("/dot")]),
            blind: BTreeSet::from([PathBuf::from("/r/locked"), PathBuf::from("/")]),
            stopped: false,
        };
        // Few scopes are looked through otherwise than many.
        for more in [0, FEW_SCOPES] {
            covered.scopes.extend((0..more).map(|number| PathBuf::from(format!("/more/{number}"))));
            let check =
                |path: &str, expected| assert_eq!(covered.has(Path::new(path)), expected, "{path} {more}");
            check("/r", true);
            check("/r/a/b", true);
            check("/r/locked", false);
            check("/r/locked/a", false);
            check("/r/a/node_modules/b", false);
            check("/r/a/node_modules/c/d", true);
            check("/rest", false);
            check("/gone/a", true);
            check("/dot", true);
            check("/dot/a", false);
            check("/more", false);
        }
        covered.stopped = true;
        assert!(!covered.has(Path::new("/r/a")));
    }
}
