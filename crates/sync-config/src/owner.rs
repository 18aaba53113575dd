//! Whose the place is where something is to be made: with another user's HOME, as under `sudo`, what root makes there is in
//! that user's way for ever.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const ROOT: u32 = 0;

/// Who owns what a namespace of users has no name for, as the unit's has none for root: it cannot be told who that is.
const UNMAPPED: u32 = 65_534;

/// A folder of another user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` belongs to another user (uid {owner})", folder.display())]
pub struct Stranger {
    /// The folder.
    pub folder: PathBuf,
    /// Its owner.
    pub owner: u32,
}

impl Stranger {
    /// Sees that a folder, or the nearest one above it that is there, is this user's, or the system's: below a folder of
    /// root's, as `/tmp`, what others make is theirs.
    ///
    /// # Errors
    /// When it belongs to another user.
    pub fn none_at(folder: &Path) -> Result<(), Self> {
        // One that cannot be looked at cannot be written to either, which is said when it is tried.
        let found = folder.ancestors().find_map(|above| Some((above, fs::metadata(above).ok()?.uid())));
        match found {
            Some((above, owner)) if !is_ours(owner, rustix::process::geteuid().as_raw()) => {
                Err(Self { folder: above.to_path_buf(), owner })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn is_ours(owner: u32, user: u32) -> bool {
    [user, ROOT, UNMAPPED].contains(&owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_below_ones_own_and_the_systems() {
        for (owner, user, expected) in
            [(7, 7, true), (0, 7, true), (0, 0, true), (7, 0, false), (65_534, 7, true), (7, 8, false)]
        {
            assert_eq!(is_ours(owner, user), expected, "{owner} {user}");
        }
    }

    #[test]
    fn the_nearest_folder_that_is_there_counts() {
        let home = tempfile::tempdir().expect("a folder");
        let deep = home.path().join("a/b/c");
        assert_eq!(Stranger::none_at(&deep), Ok(()));
        let theirs = home.path().join("a");
        fs::create_dir(&theirs).expect("made");
        if std::os::unix::fs::chown(&theirs, Some(4719), None).is_err() {
            eprintln!("SKIPPED the_nearest_folder_that_is_there_counts: only root gives folders away");
            return;
        }
        let found = Stranger::none_at(&deep).expect_err("it is another's");
        assert_eq!((found.folder.as_path(), found.owner), (&*theirs, 4719));
        assert_eq!(Stranger::none_at(home.path()), Ok(()));
    }
}
