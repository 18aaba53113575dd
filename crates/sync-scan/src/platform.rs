//! What differs between Linux and macOS: how a folder is opened, named and bounded.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sync_core::Place;

/// Opens a folder for listing; the last part of the path must not be a link.
pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
    open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// Opens a file for reading without waiting for anybody, should it be a pipe.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    open(path, OFlags::empty())
}

fn open(path: &Path, how: OFlags) -> io::Result<File> {
    let flags = how | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    loop {
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => return Ok(File::from(descriptor)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Device and inode of what `metadata` is of.
pub(crate) fn place(metadata: &Metadata) -> Place {
    Place { device: metadata.dev(), inode: metadata.ino() }
}

/// The one path a folder is known by: absolute, no links, letters as they are on disk.
pub(crate) fn true_path(path: &Path) -> io::Result<PathBuf> {
    let canonical = path.canonicalize()?;
    #[cfg(target_os = "macos")]
    if let Some(spelled) = spelled_on_disk(&canonical) {
        return Ok(spelled);
    }
    Ok(canonical)
}

/// The path with the letters' case that the file system keeps, which resolving alone leaves as typed.
#[cfg(target_os = "macos")]
fn spelled_on_disk(path: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let file = open_folder(path).ok()?;
    let spelled = rustix::fs::getpath(&file).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(spelled.into_bytes())))
}

/// Where other file systems (and bound folders) are mounted, so that the walk need not touch a dead one to see that.
///
/// Empty where the system does not list them; there the walk compares devices alone.
pub(crate) fn mount_points() -> BTreeSet<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        match std::fs::read("/proc/self/mountinfo") {
            Ok(table) => mounts_in(&table),
            Err(error) => {
                tracing::debug!(%error, "mounts are told by their device alone");
                BTreeSet::new()
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    BTreeSet::new()
}

#[cfg(target_os = "linux")]
fn mounts_in(table: &[u8]) -> BTreeSet<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(std::ffi::OsString::from_vec(without_escapes(field))))
        .collect()
}

/// The kernel writes blanks, tabs, line ends and backslashes as `\` and three octal digits.
#[cfg(target_os = "linux")]
fn without_escapes(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

/// What raises the system's limit on watches, for people.
pub(crate) fn watch_limit_hint() -> String {
    if cfg!(target_os = "linux") {
        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
        let limit = limit.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
        format!(
            "the system's limit on watched folders ({limit}) is reached; raise it with \
             `sysctl fs.inotify.max_user_watches=524288`; until then the rest is found by the periodic scan"
        )
    } else {
        "the system refuses more watched folders; the rest is found by the periodic scan".to_owned()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_escapes_undone() {
        let table = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n\
                      37 35 0:5 / /a\\040b\\134c rw - tmpfs tmpfs rw\nbroken line\n";
        let expected = [PathBuf::from("/a b\\c"), PathBuf::from("/mnt2")];
        assert_eq!(mounts_in(table).into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(without_escapes(b"\\04"), b"\\04");
    }
}
