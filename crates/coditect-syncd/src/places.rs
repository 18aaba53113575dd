//! Makes the state directory and refuses one that others could read or replace.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sync_config::{Places, Stranger};

/// The folders the daemon writes to, which are no part of any project they may lie in.
pub(crate) fn own(places: &Places) -> Vec<PathBuf> {
    vec![places.state_dir.clone(), places.data_dir.clone()]
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It is not what it has to be.
    #[error("use `{path}` as the {what}: it {why}")]
    Unsafe {
        /// The directory.
        path: String,
        /// What it is for.
        what: &'static str,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// It would be made in a folder of another user, who could not use what is made there.
    #[error(
        "make `{path}`: run the daemon as that user, and not with `sudo`, or choose another place with `{by}`"
    )]
    Elsewhere {
        /// The directory.
        path: String,
        /// What names another place.
        by: &'static str,
        /// Whose it would be in.
        #[source]
        stranger: Stranger,
    },
    /// The system refused.
    #[error("make or write to `{path}`; check its owner and its disk, or choose another with `--state-dir`")]
    Refused {
        /// The directory.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Makes the state directory and its log folder, 0700, and the other folders that the daemon writes to.
///
/// # Errors
/// When the state directory is a symlink or not UTF-8, or one of them belongs to somebody else, is open to others, or cannot be written
/// to; when another folder or the machine's identity would be made in a folder of another user.
pub(crate) fn prepare(places: &Places) -> Result<(), PlaceError> {
    if places.database.to_str().is_none() {
        return Err(PlaceError::Unsafe {
            path: places.state_dir.display().to_string(),
            what: Use::State.as_str(),
            why: "is not UTF-8, and the database can lie in no such place; choose another with `--state-dir`",
        });
    }
    private(&places.state_dir, Use::State)?;
    private(&places.logs, Use::Logs)?;
    // These have to be there before the sandbox closes. Whoever needs one says why it could not be made.
    for (folder, by) in [(Some(&*places.data_dir), BY_DATA_DIR), (places.socket.parent(), "--socket")] {
        let Some(folder) = folder.filter(|folder| !folder.exists()) else { continue };
        nobody_elses(folder, by)?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap_or_default();
    }
    // It is made later, and may be all that is missing in a folder which another user made.
    if !places.machine_id.exists() {
        nobody_elses(&places.machine_id, BY_DATA_DIR)?;
    }
    Ok(())
}

/// What names another data folder.
const BY_DATA_DIR: &str = "CODITECT_DATA_DIR";

/// Sees that what is to be made there is not made in a folder of another user.
fn nobody_elses(folder: &Path, by: &'static str) -> Result<(), PlaceError> {
    let path = folder.display().to_string();
    Stranger::none_at(folder).map_err(|stranger| PlaceError::Elsewhere { path, by, stranger })
}

/// What a folder is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    State,
    /// May be a link, to another disk for example: it lies in the state directory, where nobody else can make one.
    Logs,
}

impl Use {
    fn as_str(self) -> &'static str {
        match self {
            Self::State => "state directory",
            Self::Logs => "log folder",
        }
    }
}

fn private(folder: &Path, used: Use) -> Result<(), PlaceError> {
    let path = folder.display().to_string();
    let refused = |source| PlaceError::Refused { path: path.clone(), source };
    let unsafe_place = |why| Err(PlaceError::Unsafe { path: path.clone(), what: used.as_str(), why });
    let is_link = fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink());
    match (fs::metadata(folder), used) {
        (_, Use::State) if is_link => {
            unsafe_place("is a symbolic link; name the folder it leads to with `--state-dir`")
        }
        (Ok(found), _) if !found.is_dir() => unsafe_place("is not a folder; move it away"),
        (Ok(found), _) if found.uid() != rustix::process::geteuid().as_raw() => unsafe_place(match used {
            Use::State => "belongs to another user; choose another with `--state-dir`",
            Use::Logs => "belongs to another user; remove it, another is made then",
        }),
        (Ok(found), _) if found.permissions().mode() & 0o077 != 0 => {
            unsafe_place("is open to other users; run `chmod 700` on it")
        }
        (Ok(_), _) => writable(folder).map_err(refused),
        (Err(error), _) if is_link && error.kind() == io::ErrorKind::NotFound => unsafe_place(
            "is a symbolic link that leads nowhere; make the folder it leads to, or remove the link",
        ),
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
            nobody_elses(folder, "--state-dir")?;
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)
        }
        (Err(error), _) => Err(refused(error)),
    }
}

fn writable(folder: &Path) -> io::Result<()> {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_in_the_home_of_another_user() {
        let home = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(home.path(), Some(4719), None).is_err() {
            eprintln!("SKIPPED nothing_is_made_in_the_home_of_another_user: only root gives folders away");
            return;
        }
        let error = private(&home.path().join("new/deep"), Use::State).unwrap_err();
        assert!(
            crate::chain(&error).ends_with("belongs to another user (uid 4719)"),
            "{}",
            crate::chain(&error)
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn of_the_other_places_nothing_is_made_in_the_home_of_another_user_either() {
        let home = tempfile::tempdir().unwrap();
        let (theirs, ours) = (home.path().join("theirs"), home.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        if std::os::unix::fs::chown(&theirs, Some(4719), None).is_err() {
            eprintln!(
                "SKIPPED of_the_other_places_nothing_is_made_in_the_home_of_another_user_either: only root gives folders away"
            );
            return;
        }
        let prepared = |data: &Path, socket: &Path| {
            let flags = sync_config::PlaceFlags {
                config: Some(theirs.join("config.json")),
                state_dir: Some(ours.join("state")),
                socket: Some(socket.join("sync.sock")),
            };
            let env = |name: &str| (name == "CODITECT_DATA_DIR").then(|| data.as_os_str().to_owned());
            prepare(&Places::find(&flags, &env, None).unwrap()).map_err(|error| crate::chain(&error))
        };
        let (data, run) = (ours.join("data"), ours.join("run"));
        for (data, socket, made, by) in [
            (&theirs.join("data"), &run, "theirs/data`", "CODITECT_DATA_DIR"),
            (&data, &theirs.join("run"), "theirs/run`", "--socket"),
            // The folder is there, and only the identity would be made.
            (&theirs, &run, "theirs/machine-id.json`", "CODITECT_DATA_DIR"),
        ] {
            let error = prepared(data, socket).unwrap_err();
            assert!(error.contains(made) && error.contains(&format!("with `{by}`")), "{error}");
            assert!(error.ends_with("belongs to another user (uid 4719)"), "{error}");
            assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);
        }
        prepared(&data, &run).unwrap();
        assert!(data.is_dir() && run.is_dir());
        // What is there already is only read.
        fs::write(theirs.join("machine-id.json"), "").unwrap();
        prepared(&theirs, &run).unwrap();
    }

    #[test]
    fn a_state_directory_others_could_reach_is_refused_with_the_reason() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path();
        let plain = base.join("new/deep");
        private(&plain, Use::State).unwrap();
        assert_eq!(fs::metadata(&plain).unwrap().permissions().mode() & 0o777, 0o700);
        private(&plain, Use::State).unwrap();

        fs::set_permissions(&plain, fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(&plain, base.join("link")).unwrap();
        fs::write(base.join("file"), "").unwrap();
        for (path, why) in [
            (plain.clone(), "open to other users"),
            (base.join("link"), "symbolic link"),
            (base.join("file"), "not a folder"),
        ] {
            let error = private(&path, Use::State).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_log_folder_may_be_a_link_to_a_folder_that_is_as_private() {
        let home = tempfile::tempdir().unwrap();
        let (disk, link) = (home.path().join("disk"), home.path().join("logs"));
        std::os::unix::fs::symlink(&disk, &link).unwrap();
        let refused = || private(&link, Use::Logs).unwrap_err().to_string();
        assert!(
            refused().contains("log folder: it is a symbolic link that leads nowhere; make"),
            "{}",
            refused()
        );
        fs::create_dir(&disk).unwrap();
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(refused().contains("open to other users"), "{}", refused());
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o700)).unwrap();
        private(&link, Use::Logs).unwrap();
        if std::os::unix::fs::chown(&disk, Some(4719), None).is_ok() {
            assert!(refused().contains("belongs to another user; remove it"), "{}", refused());
        }
    }
}
