//! What differs between Linux and macOS: how a folder is opened, named and bounded.

#[cfg(target_os = "linux")]
pub(crate) mod inotify;
mod power;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sync_core::Place;

use crate::problem::is_absent;

pub use power::{POWER_SUPPLIES, is_loaded, power, step_back};

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

/// Whether the folder with these numbers is at `root`, or that cannot be told.
pub fn is_at(root: &Path, was: Place) -> bool {
    match std::fs::symlink_metadata(root) {
        Ok(found) => place(&found) == was,
        Err(error) => !is_absent(&error),
    }
}

/// When what `metadata` is of was made, in nanoseconds since 1970, where the file system tells.
pub(crate) fn born(metadata: &Metadata) -> Option<i64> {
    let since = metadata.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok().filter(|born| *born > 0)
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

/// Whether the path is a folder's true path, as far as the system can tell without waiting for a disk or a mount.
/// "No" may as well mean that it could not tell. Never blocks.
#[cfg(target_os = "linux")]
pub fn is_true_folder_at_hand(path: &Path) -> bool {
    use std::path::Component;

    use rustix::fs::{CWD, ResolveFlags, openat2};
    let as_understood: PathBuf = path.components().collect();
    let is_plain = path.is_absolute()
        && as_understood.as_os_str() == path.as_os_str()
        && path.components().all(|part| part != Component::ParentDir);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    is_plain
        && openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS).is_ok()
}

/// The system cannot be asked without the risk to wait, so it is not.
#[cfg(not(target_os = "linux"))]
pub fn is_true_folder_at_hand(_path: &Path) -> bool {
    false
}

/// The path with the letters' case that the file system keeps, which resolving alone leaves as typed.
#[cfg(target_os = "macos")]
fn spelled_on_disk(path: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let file = open_folder(path).ok()?;
    let spelled = rustix::fs::getpath(&file).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(spelled.into_bytes())))
}

/// A mounted file system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// Others may change it without our being told, and it may not answer.
    pub(crate) is_remote: bool,
}

/// The mounts of file systems and bound folders, each after those it lies in; the later of two at one place hides the
/// other. Nothing where the system does not list them.
pub(crate) fn mounts() -> Vec<Mount> {
    #[cfg(target_os = "linux")]
    {
        match std::fs::read("/proc/self/mountinfo") {
            Ok(table) => mounts_in(&table),
            Err(error) => {
                tracing::debug!(%error, "mounts are told by their device alone");
                Vec::new()
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// File systems that live elsewhere, or in a program of somebody's.
#[cfg(target_os = "linux")]
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "autofs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "drvfs",
    "fuse",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "prl_fs",
    "smb3",
    "smbfs",
    "v9fs",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
];

#[cfg(target_os = "linux")]
fn mounts_in(table: &[u8]) -> Vec<Mount> {
    use std::os::unix::ffi::OsStringExt;
    let mut mounts: Vec<Mount> = table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ');
            let point = PathBuf::from(std::ffi::OsString::from_vec(without_escapes(fields.nth(4)?)));
            let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
            let kind = String::from_utf8_lossy(kind);
            let is_remote = kind.starts_with("fuse.") || REMOTE.contains(&kind.as_ref());
            Some(Mount { point, is_remote })
        })
        .collect();
    mounts.sort_by(|left, right| left.point.cmp(&right.point));
    mounts
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

/// How far a notice of change reaches here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// A folder's own entries.
    Folder,
    /// Everything below it. Such streams are few: the system refuses more of them than a tenth of the descriptors a
    /// process may have.
    Tree,
}

/// How the system of this machine tells of changes.
pub(crate) const REACH: Reach = if cfg!(target_os = "macos") { Reach::Tree } else { Reach::Folder };

/// How many folders inside projects are watched at most: an eighth of what the system allows this user.
pub(crate) fn most_watches_inside() -> usize {
    let allowed = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    watches_within(REACH, allowed.ok().as_deref())
}

/// As many of what the system allows, as far as it says: few where it does not, since other programs need theirs.
fn watches_within(reach: Reach, allowed: Option<&str>) -> usize {
    const MOST: usize = 8_192;
    const FEW: usize = 1_024;
    match (reach, allowed.and_then(|text| text.trim().parse::<usize>().ok())) {
        (_, Some(allowed)) => (allowed / 8).min(MOST),
        (Reach::Folder, None) => FEW,
        // There is no such limit.
        (Reach::Tree, None) => MOST,
    }
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
                      38 35 0:9 / /z rw - fuse.sshfs host:/ rw\n\
                      37 35 0:5 / /a\\040b\\134c rw - tmpfs tmpfs rw\nbroken line\n";
        let expected = [("/a b\\c", false), ("/mnt2", false), ("/z", true)]
            .map(|(point, is_remote)| Mount { point: PathBuf::from(point), is_remote });
        assert_eq!(mounts_in(table), expected);
        assert_eq!(without_escapes(b"\\04"), b"\\04");
    }

    #[test]
    fn an_eighth_of_the_watches_is_taken_and_few_where_nobody_says_how_many_there_are() {
        for (allowed, expected) in [
            (Some("8192\n"), 1_024),
            (Some("65536\n"), 8_192),
            (Some("1048576\n"), 8_192),
            (Some("0\n"), 0),
            (Some("many\n"), 1_024),
            (Some(""), 1_024),
            (None, 1_024),
        ] {
            assert_eq!(watches_within(Reach::Folder, allowed), expected, "{allowed:?}");
        }
        assert_eq!(watches_within(Reach::Tree, None), 8_192);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_true_path_of_a_folder_is_at_hand() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let folder = root.join("api");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&folder, root.join("link")).unwrap();
        if !is_true_folder_at_hand(&folder) {
            // Not on an old kernel, and not where the file system does not keep names at hand.
            return;
        }
        for other in ["file", "link", "absent", "api/", "./api", "api/.", "api/../api", "link/.."] {
            assert!(!is_true_folder_at_hand(&root.join(other)), "{other}");
        }
        assert!(!is_true_folder_at_hand(Path::new("api")));
    }

    #[test]
    fn a_folder_is_where_it_is_unless_another_or_nothing_is_there() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        std::fs::create_dir(&one).unwrap();
        let was = place(&std::fs::symlink_metadata(&one).unwrap());
        assert!(is_at(&one, was));
        std::fs::rename(&one, &other).unwrap();
        assert!(is_at(&other, was) && !is_at(&one, was));
        // A link to where it went is not the folder.
        std::os::unix::fs::symlink(&other, &one).unwrap();
        assert!(!is_at(&one, was));
        std::fs::write(home.path().join("file"), "").unwrap();
        assert!(!is_at(&home.path().join("file/one"), was));
        // What cannot be told is taken to be so.
        assert!(is_at(&home.path().join("n".repeat(300)), was));
    }
}
