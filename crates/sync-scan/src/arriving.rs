//! Reads from the disk whether something new is still being copied, unpacked or made.
//!
//! Nothing is watched inside a folder that just appeared, but the system stamps whatever is written. The folder that was
//! changed last is read first, so that a copy in progress is seen after a few folders, however large it is.

use std::collections::{BTreeSet, BinaryHeap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};

use crate::debounce::Busy;
use crate::platform;

/// Most entries that are asked about; what is larger and quiet so far is taken to be at rest.
const MOST_ENTRIES: usize = 50_000;

/// Whether something at `place` changed since `since_ms` by the wall clock, the projects of `known` left out.
pub(crate) fn arriving(place: &Path, known: &BTreeSet<PathBuf>, since_ms: u64) -> Busy {
    let mut folders = BinaryHeap::from([(0, place.to_path_buf())]);
    let mut asked = 0;
    while let Some((_, path)) = folders.pop() {
        // What cannot be read does not hold anybody up.
        let Ok(mut entries) = platform::open_folder(&path).and_then(|folder| Ok(Dir::new(folder)?)) else {
            continue;
        };
        while let Some(Ok(entry)) = entries.read() {
            let name = entry.file_name();
            if name == c".." {
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
            if changed_ms >= since_ms {
                return Busy::Arriving { active_ms: changed_ms };
            }
            if name != c"." && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let below = path.join(OsStr::from_bytes(name.to_bytes()));
                if !known.contains(&below) {
                    folders.push((changed_ms, below));
                }
            }
        }
    }
    Busy::No
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
            assert_eq!(arriving(home.path(), &known, since_ms), expected, "{known:?} since {since_ms}");
        };
        check(&[], stamp(&file), Busy::Arriving { active_ms: stamp(&file) });
        check(&[], stamp(&file) + 1, Busy::No);
        check(&[&home.path().join("a")], stamp(&file), Busy::No);
        assert_eq!(arriving(Path::new("/nowhere/at/all"), &BTreeSet::new(), 0), Busy::No);
    }
}
