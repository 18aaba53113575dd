//! What the system says of a file without its being read: by this it is told from another and from itself after a change.

use std::fs::Metadata;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat};

/// Size, times and place of a file, link or folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamps {
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) mtime_nsec: i64,
    pub(crate) ctime: i64,
    pub(crate) ctime_nsec: i64,
    pub(crate) ino: u64,
    pub(crate) dev: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Stamps {
    /// Those of the entry `name` of an open folder, a link itself and not what it leads to.
    pub(crate) fn within(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<Self> {
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Self::of_stat(&stat))
    }

    /// Those of what is at `path`, a link itself and not what it leads to.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|metadata| Self::of(&metadata))
    }

    /// Those that are in `metadata`.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            mtime: metadata.mtime(),
            mtime_nsec: metadata.mtime_nsec(),
            ctime: metadata.ctime(),
            ctime_nsec: metadata.ctime_nsec(),
            ino: metadata.ino(),
            dev: metadata.dev(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode(),
        }
    }

    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// Whether it is a link.
    pub(crate) fn is_symlink(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    #[allow(clippy::allow_attributes, reason = "what is useless differs between systems")]
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "the types of these numbers differ between systems; as `Metadata` gives them"
    )]
    fn of_stat(stat: &Stat) -> Self {
        Self {
            size: stat.st_size as u64,
            mtime: stat.st_mtime as i64,
            mtime_nsec: stat.st_mtime_nsec as i64,
            ctime: stat.st_ctime as i64,
            ctime_nsec: stat.st_ctime_nsec as i64,
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: u32::from(stat.st_mode),
        }
    }

    fn kind(&self) -> FileType {
        #[allow(clippy::allow_attributes, reason = "what is useless differs between systems")]
        #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation, reason = "as the system has it")]
        FileType::from_raw_mode(self.mode as rustix::fs::RawMode)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;
    use crate::platform::open_folder;

    #[test]
    fn both_ways_of_asking_tell_the_same() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", home.path().join("link")).unwrap();
        let folder = open_folder(home.path()).unwrap();
        for name in ["file", "link", "."] {
            let within = Stamps::within(folder.as_fd(), name.as_bytes()).unwrap();
            assert_eq!(within, Stamps::at(&home.path().join(name)).unwrap(), "{name}");
            assert_eq!((within.is_file(), within.is_symlink()), (name == "file", name == "link"));
        }
        assert!(Stamps::within(folder.as_fd(), b"none").is_err());
    }
}
