//! Notices that the token's file was written, replaced or removed, also by renaming, and wakes the delivery loop. Where it is
//! behind links, as tools put it that replace many secrets at once, each folder on the way counts as much as its own.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use sync_cloud::Source;

use super::Engine;
use crate::guard::Guard;

/// Runs until the daemon stops.
///
/// # Errors
/// None: where the system tells of no changes, the file is looked at from time to time.
pub(crate) async fn credential(engine: Engine) -> Result<(), String> {
    let stop = engine.stop();
    let gone = |gone| format!("follow the configuration: {gone}");
    let mut settings = engine.0.settings.subscribe();
    loop {
        let source = settings.borrow_and_update().credential_source();
        let Source::File(path) = source else {
            tokio::select! {
                () = stop.finishing() => return Ok(()),
                changed = settings.changed() => changed.map_err(gone)?,
            }
            continue;
        };
        let mut seen = Stamp::of(&path);
        loop {
            // Watched before it is looked at, so that nothing falls between; anew each time, because a folder itself
            // may have been replaced.
            let folders = leading_to(&path);
            let guard = Guard::of_all(&folders);
            if leading_to(&path) != folders {
                continue;
            }
            let stamp = Stamp::of(&path);
            if stamp != seen {
                tracing::info!(file = %path.display(), "the token's file changed");
                seen = stamp;
                engine.credential_changed();
            }
            tokio::select! {
                () = stop.finishing() => return Ok(()),
                changed = settings.changed() => {
                    changed.map_err(gone)?;
                    break;
                }
                () = guard.changed() => {}
            }
        }
    }
}

/// So many links are followed, as the system itself follows them.
const MOST_LINKS: usize = 40;

/// The folders where something happens when another file is at the end of a path: that of each link on the way, and the
/// file's own.
fn leading_to(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    let mut ahead: VecDeque<OsString> = names(path).collect();
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let target = fs::read_link(&next).ok().filter(|_| links < MOST_LINKS);
        if target.is_some() || ahead.is_empty() {
            folders.push(here.clone());
        }
        if let Some(target) = target {
            links += 1;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                ahead.push_front(name);
            }
        } else {
            here = next;
        }
    }
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
}

/// What tells one state of a file from another; `None` where there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stamp(Option<[i128; 5]>);

impl Stamp {
    fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|found| {
            let moment = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            [
                i128::from(found.dev()),
                i128::from(found.ino()),
                i128::from(found.len()),
                moment(found.mtime(), found.mtime_nsec()),
                moment(found.ctime(), found.ctime_nsec()),
            ]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_differs_when_a_file_is_written_replaced_or_gone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        let mut stamps = vec![Stamp::of(&path)];
        fs::write(&path, "a").unwrap();
        stamps.push(Stamp::of(&path));
        fs::write(&path, "ab").unwrap();
        stamps.push(Stamp::of(&path));
        fs::write(home.path().join("new"), "cd").unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
        stamps.push(Stamp::of(&path));
        for pair in stamps.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        assert_eq!(Stamp::of(&path), Stamp::of(&path));
    }

    #[test]
    fn each_folder_on_the_way_to_a_file_counts() {
        let home = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(home.path()).unwrap();
        for folder in ["own", "secrets/one", "other"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, base.join(at)).unwrap();
        link("../secrets/now/token", "own/token");
        link("one", "secrets/now");
        link(base.join("other").to_str().unwrap(), "secrets/elsewhere");
        link("nowhere/token", "own/broken");
        link("loop", "own/loop");
        fs::write(base.join("secrets/one/token"), "").unwrap();
        for (path, expected) in [
            ("secrets/one/token", &["secrets/one"][..]),
            ("own/token", &["own", "secrets", "secrets/one"]),
            ("secrets/elsewhere/token", &["other", "secrets"]),
            ("own/none", &["own"]),
            ("own/broken", &["own", "own/nowhere"]),
            ("own/loop", &["own"]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(|folder| base.join(folder)).collect();
            assert_eq!(leading_to(&base.join(path)), expected, "{path}");
        }
    }
}
