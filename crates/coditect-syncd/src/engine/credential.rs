//! Notices that the token's file was written, replaced or removed, also by renaming, and wakes the delivery loop.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut seen = Stamp::of(&path);
        loop {
            // Watched before it is looked at, so that nothing falls between; anew each time, because the folder itself
            // may have been replaced.
            let guard = Guard::of(folder);
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
}
