//! A file that keeps room on the disk, to be given up when there is none left.
//!
//! On a full disk nothing can be deleted from a database either: deleting is writing. The room this file frees is
//! enough for what is under way to end and for the log to be moved into the file, again and again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::aside::with_suffix;

/// How much is kept.
const SIZE: u64 = 1024 * 1024;
/// So much has to be there besides, or it would be given up again at once.
const BESIDES: u64 = 1024 * 1024;

/// The file beside one database.
#[derive(Clone, Debug)]
pub(crate) struct Ballast {
    file: PathBuf,
}

impl Ballast {
    pub(crate) fn beside(database: &Path) -> Self {
        Self { file: with_suffix(database, ".ballast") }
    }

    /// Keeps room, unless it is kept already.
    ///
    /// # Errors
    /// Why it cannot; [`no_room`] tells whether that is for want of room.
    pub(crate) fn keep(&self) -> io::Result<()> {
        // A file with holes keeps nothing.
        if fs::metadata(&self.file).is_ok_and(|found| found.len() == SIZE && found.blocks() * 512 >= SIZE) {
            // One that could not be removed, on a file system that became read-only, is no room.
            return OpenOptions::new().write(true).open(&self.file).map(drop);
        }
        self.give_up();
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
        let kept = allocate(&file, SIZE + BESIDES).and_then(|()| file.set_len(SIZE));
        if kept.is_err() {
            self.give_up();
        }
        kept
    }

    /// Frees the room; says whether there was any to free.
    pub(crate) fn give_up(&self) -> bool {
        match fs::remove_file(&self.file) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "the room kept for a full disk cannot be freed");
                false
            }
        }
    }
}

/// Whether an error says that nothing more can be written for now.
pub(crate) fn no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file, bytes),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    fill(file, bytes)
}

fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0; 4 * 1024];
    for _ in 0..bytes / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    // Some file systems look for room only now.
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_really_taken_and_really_freed() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::beside(&folder.path().join("sync.db"));
        assert!(!ballast.give_up());
        let file = folder.path().join("sync.db.ballast");
        for before in [None, Some(10), Some(SIZE)] {
            if let Some(length) = before {
                // Nothing but a hole.
                File::create(&file).unwrap().set_len(length).unwrap();
            }
            ballast.keep().unwrap();
            let found = fs::metadata(&file).unwrap();
            assert_eq!((found.len(), found.mode() & 0o777), (SIZE, 0o600), "{before:?}");
            assert!(found.blocks() * 512 >= SIZE, "{before:?}: {} blocks", found.blocks());
            assert!(ballast.give_up());
            assert!(!file.exists());
        }
    }

    #[test]
    fn filling_takes_the_room_too() {
        let file = tempfile::tempfile().unwrap();
        fill(&file, SIZE).unwrap();
        assert_eq!(file.metadata().unwrap().len(), SIZE);
    }
}
