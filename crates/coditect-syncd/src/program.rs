//! Notices that the daemon's own program file was replaced, as an upgrade does.
//!
//! Looks when it is asked to, and waits for nothing: whoever is awake anyway asks.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// A file that was replaced has to be left alone for so long: an upgrade replaces several.
const SETTLE: Duration = Duration::from_secs(2);

/// The program as it was when the daemon began.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    began: Stamp,
    /// What is there instead, and since when it is known.
    other: Option<(Stamp, Instant)>,
}

/// What a look found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// The program the daemon runs, or none at all.
    Same,
    /// Another, which may still be changed; to be looked at again then.
    Settling(Instant),
    /// Another, which is finished.
    Replaced,
}

impl Program {
    /// The program by the path it was started by, where that is absolute: a link that is led elsewhere is a
    /// replacement too.
    pub(crate) fn started_as(called: Option<OsString>, running: Option<PathBuf>) -> Option<Self> {
        let called = called.map(PathBuf::from).filter(|path| path.is_absolute());
        let path = called.or(running)?;
        Some(Self { began: Stamp::of(&path)?, path, other: None })
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file.
    pub(crate) fn look(&mut self, now: Instant) -> Look {
        self.judge(Stamp::of(&self.path), now)
    }

    fn judge(&mut self, found: Option<Stamp>, now: Instant) -> Look {
        let Some(found) = found.filter(|found| *found != self.began) else {
            self.other = None;
            return Look::Same;
        };
        match self.other {
            Some((other, since)) if other == found && now >= since + SETTLE => Look::Replaced,
            Some((other, since)) if other == found => Look::Settling(since + SETTLE),
            Some(_) | None => {
                self.other = Some((found, now));
                Look::Settling(now + SETTLE)
            }
        }
    }
}

/// What tells one file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let written = (found.mtime(), found.mtime_nsec());
        Some(Self { device: found.dev(), inode: found.ino(), length: found.len(), written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_counts_when_it_has_been_left_alone_for_a_while() {
        let stamp = |inode| Stamp { device: 1, inode, length: 1, written: (1, 0) };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut program = Program { path: "/p".into(), began: stamp(1), other: None };
        for (second, found, expected) in [
            (0, Some(1), Look::Same),
            // Removed for a moment, as some upgrades do it.
            (1, None, Look::Same),
            (2, Some(2), Look::Settling(at(4))),
            (3, Some(3), Look::Settling(at(5))),
            (4, Some(3), Look::Settling(at(5))),
            (5, Some(1), Look::Same),
            (6, Some(3), Look::Settling(at(8))),
            (9, Some(3), Look::Replaced),
        ] {
            assert_eq!(program.judge(found.map(stamp), at(second)), expected, "second {second}");
        }
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_replacement() {
        let home = tempfile::tempdir().expect("a folder");
        let (one, two, link) = (home.path().join("1"), home.path().join("2"), home.path().join("link"));
        std::fs::write(&one, "one").expect("written");
        std::fs::write(&two, "two").expect("written");
        std::os::unix::fs::symlink(&one, &link).expect("made");
        let called = Some(link.clone().into_os_string());
        let mut program = Program::started_as(called, Some(one.clone())).expect("it is there");
        assert_eq!(program.look(Instant::now()), Look::Same);
        assert_eq!(program.path(), link);
        std::fs::remove_file(&link).expect("it is ours");
        std::os::unix::fs::symlink(&two, &link).expect("made");
        assert!(matches!(program.look(Instant::now()), Look::Settling(_)));
        let plain = Program::started_as(Some("coditect-syncd".into()), Some(one.clone()));
        assert_eq!(plain.expect("it is there").path(), one);
    }
}
