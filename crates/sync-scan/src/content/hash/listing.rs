//! What is in a folder on disk.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

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
    /// Its entries in byte order.
    Of(Vec<(Vec<u8>, Kind)>),
    /// There is none.
    Absent,
    /// There is one and it cannot be read.
    Unreadable,
}

impl Listing {
    /// Lists the folder at `path`.
    pub(super) fn read(path: &Path) -> Self {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::Absent,
            Err(_) => return Self::Unreadable,
        };
        let mut listed = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else { return Self::Unreadable };
            let Ok(file_type) = entry.file_type() else { continue };
            let kind = if file_type.is_file() {
                Kind::File
            } else if file_type.is_dir() {
                Kind::Folder
            } else if file_type.is_symlink() {
                Kind::Link
            } else {
                Kind::Other
            };
            listed.push((entry.file_name().into_vec(), kind));
        }
        listed.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        Self::Of(listed)
    }

    /// Takes out what `exclude` says is never looked at in the folder at `path`.
    pub(super) fn without(self, exclude: &Exclude, path: &Path) -> Self {
        let Self::Of(listed) = self else { return self };
        let has = |name: &str| position(&listed, name.as_bytes()).is_some();
        let keep = |name: &[u8], kind: Kind| {
            let name = std::ffi::OsStr::from_bytes(name);
            match kind {
                Kind::Folder => !exclude.prunes(&has, name, &path.join(name)),
                Kind::File | Kind::Link | Kind::Other => !exclude.leaves_out_file(&path.join(name)),
            }
        };
        let kept: Vec<bool> = listed.iter().map(|(name, kind)| keep(name, *kind)).collect();
        let mut kept = kept.into_iter();
        let mut listed = listed;
        listed.retain(|_| kept.next().unwrap_or(true));
        Self::Of(listed)
    }

    /// What the entry `name` is.
    pub(super) fn kind_of(&self, name: &[u8]) -> Option<Kind> {
        match self {
            Self::Of(listed) => position(listed, name).map(|at| listed[at].1),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

fn position(listed: &[(Vec<u8>, Kind)], name: &[u8]) -> Option<usize> {
    listed.binary_search_by(|(other, _)| other.as_slice().cmp(name)).ok()
}
