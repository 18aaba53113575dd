//! What is in a folder on disk.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::exclude::Exclude;

/// What an entry of a folder is, links not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    File,
    Link,
    Folder,
    /// A pipe, a socket, a device.
    Other,
}

/// A folder on disk.
#[derive(Debug)]
pub(super) enum Listing {
    /// Its entries, and the folder itself while it is held open.
    Of(Entries, Option<Dir>),
    /// There is none.
    Absent,
    /// There is one and it cannot be read.
    Unreadable,
    /// Something is mounted there that may not answer.
    Apart,
}

/// The entries of a folder in byte order, their names in one piece: folders are many and most of them small.
#[derive(Debug, Default)]
pub(super) struct Entries {
    names: Vec<u8>,
    entries: Vec<(Range<usize>, Kind)>,
}

impl Entries {
    fn push(&mut self, name: &[u8], kind: Kind) {
        let from = self.names.len();
        self.names.extend_from_slice(name);
        self.entries.push((from..self.names.len(), kind));
    }

    fn sort(&mut self) {
        let names = &self.names;
        self.entries.sort_unstable_by(|left, right| names[left.0.clone()].cmp(&names[right.0.clone()]));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.entries.iter().map(|(name, kind)| (&self.names[name.clone()], *kind))
    }

    fn kind_of(&self, name: &[u8]) -> Option<Kind> {
        let found = self.entries.binary_search_by(|(other, _)| self.names[other.clone()].cmp(name));
        found.ok().and_then(|at| self.entries.get(at)).map(|(_, kind)| *kind)
    }
}

impl Listing {
    /// Lists the folder `name` of the folder `within`, or the one at the path `name`. It is held open if wanted.
    pub(super) fn read(within: Option<BorrowedFd<'_>>, name: &[u8], hold: bool) -> Self {
        let flags =
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let folder = match rustix::fs::openat(within.unwrap_or(rustix::fs::CWD), name, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Self::Absent,
            Err(_) => return Self::Unreadable,
        };
        let Ok(mut entries) = Dir::new(folder) else { return Self::Unreadable };
        let mut listed = Entries::default();
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::INTR) => continue,
                Err(_) => return Self::Unreadable,
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let mut told = entry.file_type();
            if told == FileType::Unknown
                && let Ok(folder) = entries.fd()
                && let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            {
                told = FileType::from_raw_mode(stat.st_mode);
            }
            let kind = match told {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => Kind::Other,
            };
            listed.push(name.to_bytes(), kind);
        }
        listed.sort();
        Self::Of(listed, hold.then_some(entries))
    }

    /// Takes out what `exclude` says is never looked at in the folder at `path`.
    pub(super) fn without(self, exclude: &Exclude, path: &Path) -> Self {
        let (listed, folder) = match self {
            Self::Of(listed, folder) => (listed, folder),
            Self::Absent | Self::Unreadable | Self::Apart => return self,
        };
        let has = |name: &str| listed.kind_of(name.as_bytes()).is_some();
        let keep = |name: &[u8], kind: Kind| {
            let name = std::ffi::OsStr::from_bytes(name);
            match kind {
                Kind::Folder => !exclude.prunes(&has, name, &path.join(name)),
                Kind::File | Kind::Link | Kind::Other => !exclude.leaves_out_file(&path.join(name)),
            }
        };
        let kept: Vec<bool> = listed.iter().map(|(name, kind)| keep(name, kind)).collect();
        let mut kept = kept.into_iter();
        let mut listed = listed;
        listed.entries.retain(|_| kept.next().unwrap_or(true));
        Self::Of(listed, folder)
    }

    /// What the entry `name` is.
    pub(super) fn kind_of(&self, name: &[u8]) -> Option<Kind> {
        match self {
            Self::Of(listed, _) => listed.kind_of(name),
            Self::Absent | Self::Unreadable | Self::Apart => None,
        }
    }
}
