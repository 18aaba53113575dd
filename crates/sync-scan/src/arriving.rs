//! Reads from the disk whether something new is still being copied, unpacked or made.
//!
//! Nothing is watched inside a folder that just appeared, but the system stamps whatever is written. The folder that was
//! changed last is read first, so that a copy in progress is seen after a few folders, however large it is. What was
//! begun long ago is not asked about, so that a first look at a thousand projects reads none of them twice. Neither is
//! what is no part of the project, such as what a build makes: that may be written to for as long as somebody works.

use std::collections::{BTreeSet, BinaryHeap};
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, Dir, FileType};

use crate::apart::Apart;
use crate::busy::busy;
use crate::debounce::{AHEAD_MS, Busy, LONGEST_LOCK_MS, Patience};
use crate::exclude::is_made;
use crate::walk::Tree;
use crate::{platform, vcs};

/// Most entries that are asked about; what is larger and quiet so far is taken to be at rest.
const MOST_ENTRIES: usize = 50_000;

/// Whether the project at the root of `tree`, which nobody knows yet, is still being made at `now_ms`: it was begun a
/// short while ago, and git is at work there or something in it changed just now, the projects of `known` left out.
/// Nothing is asked of what lies `apart`.
pub(crate) fn is_being_made(
    tree: &Tree,
    known: &BTreeSet<PathBuf>,
    apart: &Apart,
    now_ms: u64,
    patience: Patience,
) -> bool {
    // Begun ahead of the clock is begun during the look; far ahead of it, by another machine's clock.
    let is_young = |begun_ms: u64| begun_ms.abs_diff(now_ms) < LONGEST_LOCK_MS;
    if patience.quiet_ms == 0 || !begun_ms(tree).is_some_and(is_young) {
        return false;
    }
    let is_recent = |since_ms: u64, span_ms: u64| now_ms.abs_diff(since_ms) < span_ms;
    match busy(&tree.root) {
        Busy::No => arriving(&tree.root, known, apart, lately(now_ms, patience.quiet_ms)) != Busy::No,
        Busy::Locked { since_ms } => is_recent(since_ms, LONGEST_LOCK_MS),
        Busy::Cloning { active_ms } | Busy::Arriving { active_ms } => {
            is_recent(active_ms.max(begun_ms(tree).unwrap_or(0)), patience.most_ms)
        }
    }
}

/// When the project's folder or its version control's was made, whichever is the younger. Where the file system does not
/// tell, when it was last changed.
fn begun_ms(tree: &Tree) -> Option<u64> {
    let control = tree.control.as_ref().map(|control| control.folder.as_path());
    let begun = [Some(tree.root.as_path()), control].into_iter().flatten().filter_map(|folder| {
        if let Some(born) = folder.metadata().ok().as_ref().and_then(platform::born) {
            return u64::try_from(born / 1_000_000).ok();
        }
        rustix::fs::stat(folder).ok().map(|stat| changed_ms(&stat))
    });
    begun.max()
}

/// The moments by the wall clock at which something changed just now. What changed `quiet_ms` ago has rested for as long
/// as is asked for, and must not stand for what changed since.
pub(crate) fn lately(now_ms: u64, quiet_ms: u64) -> RangeInclusive<u64> {
    now_ms.saturating_sub(quiet_ms).saturating_add(1)..=now_ms.saturating_add(AHEAD_MS)
}

/// Whether something at `place` changed at such moments, left out the projects of `known`, what tools make, and what the
/// `.gitignore` of `place` leaves out.
pub(crate) fn arriving(
    place: &Path,
    known: &BTreeSet<PathBuf>,
    apart: &Apart,
    lately: RangeInclusive<u64>,
) -> Busy {
    let left_out = left_out(place);
    let mut folders = BinaryHeap::from([(0, place.to_path_buf())]);
    let mut asked = 0;
    while let Some((_, path)) = folders.pop() {
        // What cannot be read does not hold anybody up.
        let Ok(mut entries) = platform::open_folder(&path).and_then(|folder| Ok(Dir::new(folder)?)) else {
            continue;
        };
        let apart_here: Vec<&[u8]> = apart
            .points()
            .iter()
            // Not even asked about: they may not answer.
            .filter(|point| point.parent() == Some(path.as_path()))
            .filter_map(|point| Some(point.file_name()?.as_bytes()))
            .collect();
        while let Some(Ok(entry)) = entries.read() {
            let name = entry.file_name();
            if name == c".." || apart_here.contains(&name.to_bytes()) {
                continue;
            }
            asked += 1;
            if asked > MOST_ENTRIES {
                return Busy::No;
            }
            let stat = entries
                .fd()
                .and_then(|descriptor| rustix::fs::statat(descriptor, name, AtFlags::SYMLINK_NOFOLLOW));
            let Ok(stat) = stat else { continue };
            let changed_ms = changed_ms(&stat);
            let is_late = lately.contains(&changed_ms);
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if name != c"." && (is_late || is_folder) {
                let own = OsStr::from_bytes(name.to_bytes());
                let below = path.join(own);
                let is_made = || is_made(&|beside| path.join(beside).exists(), own, &below);
                if left_out.matched(&below, is_folder).is_ignore() || (is_folder && is_made()) {
                    continue;
                }
                if is_folder && !known.contains(&below) {
                    folders.push((changed_ms, below));
                }
            }
            if is_late {
                return Busy::Arriving { active_ms: changed_ms };
            }
        }
    }
    Busy::No
}

/// What is said to be no part of the project in its own folder; most projects have one such list.
fn left_out(place: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(place);
    let list = vcs::small_file(&place.join(".gitignore")).ok().flatten().unwrap_or_default();
    for line in String::from_utf8_lossy(&list).lines() {
        // A line that cannot be understood leaves out nothing.
        drop(builder.add_line(None, line));
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// When the entry itself changed, which no program can set.
fn changed_ms(stat: &rustix::fs::Stat) -> u64 {
    // The types of the two differ between systems.
    let ms = i128::from(stat.st_ctime) * 1_000 + i128::from(stat.st_ctime_nsec) / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_was_begun_a_short_while_ago_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("package.json"), "{}").unwrap();
        let metadata = home.path().metadata().unwrap();
        let tree = Tree {
            root: home.path().to_path_buf(),
            place: platform::place(&metadata),
            born: platform::born(&metadata),
            control: None,
        };
        let made_ms = changed_ms(&rustix::fs::lstat(home.path().join("package.json")).unwrap());
        let check = |now_ms: u64, quiet_ms: u64, expected: bool| {
            let patience = Patience { quiet_ms, most_ms: 30_000 };
            let found = is_being_made(&tree, &BTreeSet::new(), &Apart::default(), now_ms, patience);
            assert_eq!(found, expected, "{} ms after it was made, with {quiet_ms}", now_ms.abs_diff(made_ms));
        };
        check(made_ms, 2_000, true);
        check(made_ms + 1_999, 2_000, true);
        check(made_ms + 2_000, 2_000, false);
        check(made_ms, 0, false);
        check(made_ms - 2_000, 2_000, true);
        // As if another machine's clock had stamped it.
        check(made_ms - 2 * LONGEST_LOCK_MS, 2_000, false);
        check(made_ms + LONGEST_LOCK_MS + 1, 2 * LONGEST_LOCK_MS, false);
        // As if the clock had been set back by a minute, and by a year.
        check(made_ms - 60_000, 2_000, false);
        check(made_ms - 365 * 24 * 3_600_000, 2_000, false);
    }

    #[test]
    fn what_has_just_come_to_rest_does_not_stand_for_what_goes_on() {
        let patience = Patience { quiet_ms: 2_000, most_ms: 30_000 };
        let place = Path::new("/home/u/copy");
        // Whatever is found to have changed lately holds the place up.
        for found in lately(10_000, patience.quiet_ms) {
            let mut debounce = crate::debounce::Debounce::default();
            debounce.touched(place.to_path_buf(), 1_000, 1_000);
            let goes_on = |_: &Path| Busy::Arriving { active_ms: found };
            assert!(debounce.rest(10_000, patience, &goes_on).due.is_empty(), "{found}");
        }
    }

    #[test]
    fn a_change_anywhere_inside_counts_but_in_a_known_project() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        let stamp = |path: &Path| changed_ms(&rustix::fs::lstat(path).unwrap());
        let file = deep.join("file");
        fs::write(&file, "text").unwrap();
        while stamp(&file) <= stamp(&deep) {
            fs::write(&file, "text").unwrap();
        }
        let check = |known: &[&Path], since_ms, expected| {
            let known = known.iter().map(|path| path.to_path_buf()).collect();
            let found = arriving(home.path(), &known, &Apart::default(), since_ms..=since_ms + AHEAD_MS);
            assert_eq!(found, expected, "{known:?} since {since_ms}");
        };
        check(&[], stamp(&file), Busy::Arriving { active_ms: stamp(&file) });
        check(&[], stamp(&file) + 1, Busy::No);
        check(&[&home.path().join("a")], stamp(&file), Busy::No);
        // Stamped by a clock that was ahead of this one.
        check(&[], stamp(&file) - 2 * AHEAD_MS, Busy::No);
        let nowhere = Path::new("/nowhere/at/all");
        assert_eq!(arriving(nowhere, &BTreeSet::new(), &Apart::default(), 0..=u64::MAX), Busy::No);
    }
    #[test]
    fn what_is_no_part_of_the_project_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let stamp = |path: &str| changed_ms(&rustix::fs::lstat(home.path().join(path)).unwrap());
        fs::create_dir(home.path().join("made")).unwrap();
        let write = |path: &str, text: &str| fs::write(home.path().join(path), text).unwrap();
        // Nothing else is written at the moment of the file.
        write(".gitignore", "");
        let written_after = |path: &str, moment: u64| {
            write(path, "");
            while stamp(path) <= moment {
                write(path, "");
            }
            stamp(path)
        };
        write("made/file", "");
        let then = written_after("made/file", stamp(".").max(stamp("made")));
        written_after(".gitignore", then);
        let check = |expected| {
            let found = arriving(home.path(), &BTreeSet::new(), &Apart::default(), then..=then);
            assert_eq!(found != Busy::No, expected);
        };
        check(true);
        for (list, expected) in [("/made\n", false), ("*.o\n", true), ("file\n", false), ("", true)] {
            write(".gitignore", list);
            check(expected);
        }
        fs::rename(home.path().join("made"), home.path().join("target")).unwrap();
        check(true);
        write("Cargo.toml", "");
        check(false);
    }
}
