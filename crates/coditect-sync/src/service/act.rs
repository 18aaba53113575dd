//! Does what was planned, and looks at what is on disk.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::marker::OnDisk;
use super::step::{Otherwise, Step, Target};
use crate::clock;
use crate::problem::Failure;
use crate::programs::{Invocation, Programs};

/// More than a unit may take to start, and to stop besides the daemon's grace.
const LONGEST_RUN: Duration = Duration::from_secs(90);

/// How long a program that may come too early is tried again, and the pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// What is at the path of a file of the service manager.
pub(crate) fn target(path: &Path) -> Target {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => OnDisk::Nothing,
        Ok(found) if found.is_file() => fs::read_to_string(path).map_or(OnDisk::Other, OnDisk::Text),
        Ok(_) | Err(_) => OnDisk::Other,
    };
    Target { path: path.to_path_buf(), found, backup: free_beside(path) }
}

/// Whether two paths lead to the same folder or file; of what is not there yet, whether they would.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    one == other || real(one) == real(other)
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, above)));
    let below = there.and_then(|(real, above)| Some(real.join(path.strip_prefix(above).ok()?)));
    below.unwrap_or_else(|| path.to_path_buf())
}

fn free_beside(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") });
        PathBuf::from(name)
    };
    let free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    (0..100).map(named).find(free).unwrap_or_else(|| named(100))
}

/// Does one step after the other, and tells of each before it; the daemon may take `grace` to stop.
///
/// # Errors
/// When one is not done; the ones after it are not tried.
pub(crate) fn all(
    steps: &[Step],
    programs: &Programs,
    grace: Duration,
    tell: &dyn Fn(&Step),
) -> Result<(), Failure> {
    steps.iter().try_for_each(|step| {
        tell(step);
        one(step, programs, LONGEST_RUN + grace)
    })
}

fn one(step: &Step, programs: &Programs, longest: Duration) -> Result<(), Failure> {
    let failed = |what: &str, path: &Path, error: &io::Error| {
        Failure::failed(format!("cannot {what} `{}`: {error}", path.display()))
            .with_hint("check the folder's owner and permissions")
    };
    match step {
        Step::MakeFolder { path, mode } => {
            let made = DirBuilder::new().recursive(true).mode(*mode).create(path);
            made.map_err(|error| failed("make the folder", path, &error))
        }
        Step::Save { path, to } => fs::rename(path, to).map_err(|error| failed("keep", path, &error)),
        Step::Write { path, text } => write(path, text).map_err(|error| failed("write", path, &error)),
        Step::Remove { path } => fs::remove_file(path).map_err(|error| failed("remove", path, &error)),
        Step::RemoveFolder { path } => match fs::remove_dir(path) {
            // Drop-ins of the user's own stay.
            Err(error) if !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
                Err(failed("remove the folder", path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        },
        Step::Run { invocation, otherwise } => run(invocation, *otherwise, programs, longest),
    }
}

fn run(
    invocation: &Invocation,
    otherwise: Otherwise,
    programs: &Programs,
    longest: Duration,
) -> Result<(), Failure> {
    let deadline = clock::now() + LONGEST_RETRY;
    loop {
        let why = match programs.run(invocation, longest) {
            Ok(ran) if ran.succeeded => return Ok(()),
            Ok(ran) => ran.complaint,
            Err(error) => error.to_string(),
        };
        match otherwise {
            Otherwise::GoOn => return Ok(()),
            Otherwise::TryAgain if clock::now() < deadline => std::thread::sleep(RETRY_PAUSE),
            Otherwise::TryAgain | Otherwise::Stop => {
                return Err(Failure::failed(format!("`{invocation}` failed: {why}")));
            }
        }
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        // The first error says more than one about what is left.
        fs::remove_file(&beside).unwrap_or_default();
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_kept_and_removed() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("x.service");
        assert_eq!(target(&path).found, OnDisk::Nothing);
        write(&path, "one").expect("it is ours");
        write(&path, "two").expect("it is ours");
        let found = target(&path);
        assert_eq!(found.found, OnDisk::Text("two".to_owned()));
        assert_eq!(found.backup, home.path().join("x.service.bak"));
        fs::write(&found.backup, "").expect("it is ours");
        assert_eq!(target(&path).backup, home.path().join("x.service.bak1"));
        assert_eq!(fs::read_dir(home.path()).expect("it is there").count(), 2, "nothing else is left");
        std::os::unix::fs::symlink(home.path(), home.path().join("self")).expect("it is ours");
        assert!(is_same(&home.path().join("self/a/b"), &home.path().join("a/b/")));
        assert!(!is_same(&home.path().join("self/a/b"), &home.path().join("a/c")));
        std::os::unix::fs::symlink("/dev/null", home.path().join("link")).expect("it is ours");
        assert_eq!(target(&home.path().join("link")).found, OnDisk::Other);
    }
}
