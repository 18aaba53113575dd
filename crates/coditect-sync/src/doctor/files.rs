//! Files and folders: whose they are, who else may read or change them, whether they are there.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use sync_config::Places;

use super::Check;
use crate::programs::typed;

/// Less than this, in bytes, is little: the database, its log and the daily files need room.
const LITTLE: u64 = 200 << 20;

/// Less than this is too little to write anything.
const TOO_LITTLE: u64 = 16 << 20;

/// What a path should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Socket,
}

/// All that is the daemon's alone.
pub(crate) fn private(places: &Places, token_file: Option<&Path>) -> Vec<Check> {
    let wanted = [
        ("state.directory", &*places.state_dir, Kind::Folder),
        ("state.logs", &*places.logs, Kind::Folder),
        ("state.database", &*places.database, Kind::File),
        ("state.lock", &*places.lock, Kind::File),
        ("state.socket", &*places.socket, Kind::Socket),
    ];
    let found = wanted.into_iter().filter_map(|(code, path, kind)| owned(code, path, kind));
    found.chain(token_file.and_then(token)).collect()
}

/// Whether the token's file is this user's alone.
pub(crate) fn token(path: &Path) -> Option<Check> {
    owned("token.permissions", path, Kind::File)
}

/// What is looked at where its link leads to.
const MAY_BE_LINKS: &[&str] = &["token.permissions", "state.logs", "state.database"];

/// Whether something belongs to this user alone; nothing where it is not there, because it is made when it is needed.
fn owned(code: &'static str, path: &Path, kind: Kind) -> Option<Check> {
    let shown = path.display();
    let quoted = typed(&path.display().to_string());
    // The token's file may be a link into a password store, logs and database may lie on another disk: then that counts
    // which is there. What else is the daemon's own may not be a link.
    let may_be_link = MAY_BE_LINKS.contains(&code);
    let found = if may_be_link { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let found = match found {
        Ok(found) => found,
        Err(error) if may_be_link && error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let remedy = format!("make what it leads to, or remove the link: `rm {quoted}`");
            return Some(Check::failed(
                code,
                format!("`{shown}` is a symbolic link that leads nowhere"),
                remedy,
            ));
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        Err(error) => {
            let remedy = "check the owner and the permissions of the folders above it";
            return Some(Check::failed(code, format!("`{shown}` cannot be looked at: {error}"), remedy));
        }
    };
    let file_type = found.file_type();
    let right = match kind {
        Kind::Folder => file_type.is_dir(),
        Kind::File => file_type.is_file(),
        Kind::Socket => file_type.is_socket(),
    };
    let mode = found.permissions().mode() & 0o7777;
    let private = if kind == Kind::Folder { 0o700 } else { 0o600 };
    Some(if file_type.is_symlink() {
        Check::failed(
            code,
            format!("`{shown}` is a symbolic link"),
            format!("put the real thing there: `rm {quoted}`, or name another place"),
        )
    } else if !right {
        let what = match kind {
            Kind::Folder => "folder",
            Kind::File => "file",
            Kind::Socket => "socket",
        };
        Check::failed(
            code,
            format!("`{shown}` is no {what}"),
            format!("move it away: `mv {quoted} {quoted}.old`"),
        )
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        Check::failed(
            code,
            format!("`{shown}` belongs to another user (uid {})", found.uid()),
            format!(
                "take it back with `sudo chown \"$(id -u)\" {quoted}`, and do not run the programs with `sudo`"
            ),
        )
    } else if mode & 0o077 != 0 {
        Check::failed(
            code,
            format!("`{shown}` is open to other users (mode {mode:04o})"),
            format!("run `chmod {private:o} {quoted}`"),
        )
    } else {
        Check::ok(code, format!("`{shown}` is this user's alone"))
    })
}

/// Whether others can change the configuration, and with it what is run and where the token goes.
pub(crate) fn config(path: &Path) -> Option<Check> {
    let found = fs::metadata(path).ok()?;
    let (shown, mode) = (path.display(), found.permissions().mode() & 0o7777);
    let own = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    Some(if mode & 0o022 != 0 || !own {
        Check::failed(
            "config.permissions",
            format!("`{shown}` can be changed by other users (uid {}, mode {mode:04o})", found.uid()),
            format!(
                "run `chmod go-w {}`, and see that the file is yours",
                typed(&path.display().to_string())
            ),
        )
    } else {
        Check::ok("config.permissions", format!("`{shown}` can be changed by this user alone"))
    })
}

/// A root of discovery: whether it is there and can be read.
pub(crate) fn root(path: &Path) -> Check {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Check::failed(
            "discovery.roots",
            format!("the root `{shown}` is no folder"),
            "name a folder in `sync_daemon.discovery.roots`",
        ),
        Ok(_) if access(path, Access::READ_OK | Access::EXEC_OK).is_err() || fs::read_dir(path).is_err() => {
            Check::failed(
                "discovery.roots",
                format!("the root `{shown}` cannot be read"),
                if cfg!(target_os = "macos") {
                    "allow it in System Settings, Privacy & Security, Files and Folders; or check its permissions"
                } else {
                    "check its owner and permissions"
                },
            )
        }
        Ok(_) => Check::ok("discovery.roots", format!("the root `{shown}` can be read")),
        Err(error) if error.kind() == ErrorKind::NotFound => Check::warning(
            "discovery.roots",
            format!("the root `{shown}` does not exist"),
            "make it, or change `sync_daemon.discovery.roots`",
        ),
        Err(error) => Check::failed(
            "discovery.roots",
            format!("the root `{shown}` cannot be looked at: {error}"),
            "check the permissions of the folders above it",
        ),
    }
}

/// The room on the disk of the state directory, or of where it would be.
pub(crate) fn space(state_dir: &Path) -> Check {
    let code = "disk.space";
    let existing = state_dir.ancestors().find(|path| path.is_dir()).unwrap_or(state_dir);
    match statvfs(existing) {
        Ok(found) => judged_space(
            found.f_bavail.saturating_mul(found.f_frsize),
            found.f_files > 0 && found.f_favail == 0,
            state_dir,
        ),
        Err(error) => Check::warning(
            code,
            format!("the room on the disk of `{}` is not known: {error}", state_dir.display()),
            "check that the disk is there",
        ),
    }
}

fn judged_space(free: u64, no_files: bool, state_dir: &Path) -> Check {
    let code = "disk.space";
    let message = format!("{} MiB are free on the disk of `{}`", free >> 20, state_dir.display());
    let remedy = "make room, or choose another disk with `--state-dir`; nothing is lost, but nothing more can be queued";
    if no_files {
        Check::failed(code, format!("the disk of `{}` can hold no more files", state_dir.display()), remedy)
    } else if free < TOO_LITTLE {
        Check::failed(code, message, remedy)
    } else if free < LITTLE {
        Check::warning(code, message, remedy)
    } else {
        Check::ok(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_others_can_reach_is_found() {
        let home = tempfile::tempdir().expect("a folder");
        let path = |name: &str| home.path().join(name);
        fs::write(path("file"), "").expect("written");
        fs::create_dir(path("folder")).expect("made");
        let _socket = UnixListener::bind(path("socket")).expect("bound");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("made");
        for (name, mode, kind, expected) in [
            ("file", 0o600, Kind::File, (Outcome::Ok, "alone")),
            ("file", 0o400, Kind::File, (Outcome::Ok, "alone")),
            ("file", 0o640, Kind::File, (Outcome::Failed, "mode 0640")),
            ("folder", 0o700, Kind::Folder, (Outcome::Ok, "alone")),
            ("folder", 0o755, Kind::Folder, (Outcome::Failed, "mode 0755")),
            ("folder", 0o700, Kind::File, (Outcome::Failed, "no file")),
            ("file", 0o600, Kind::Socket, (Outcome::Failed, "no socket")),
            ("socket", 0o600, Kind::Socket, (Outcome::Ok, "alone")),
            ("socket", 0o660, Kind::Socket, (Outcome::Failed, "mode 0660")),
            ("link", 0o600, Kind::File, (Outcome::Failed, "symbolic link")),
        ] {
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).expect("it is ours");
            let check = owned("code", &path(name), kind).expect("it is there");
            assert_eq!(check.outcome, expected.0, "{check:?}");
            assert!(check.message.contains(expected.1), "{check:?}");
            assert_eq!(check.remedy.is_some(), check.outcome != Outcome::Ok);
        }
        assert_eq!(owned("code", &path("none"), Kind::File), None);
        for (mode, expected) in [(0o600, Outcome::Ok), (0o644, Outcome::Failed)] {
            fs::set_permissions(path("file"), fs::Permissions::from_mode(mode)).expect("it is ours");
            let check = owned("state.database", &path("link"), Kind::File).expect("it is there");
            assert_eq!(check.outcome, expected, "{check:?}");
        }
        fs::remove_file(path("file")).expect("it is there");
        let check = owned("state.logs", &path("link"), Kind::Folder).expect("the link is there");
        assert!(check.outcome == Outcome::Failed && check.message.contains("leads nowhere"), "{check:?}");
    }

    #[test]
    fn a_configuration_others_can_change_is_found() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("config.json");
        assert_eq!(config(&path), None);
        fs::write(&path, "{}").expect("written");
        for (mode, outcome) in [(0o644, Outcome::Ok), (0o664, Outcome::Failed), (0o602, Outcome::Failed)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(config(&path).expect("it is there").outcome, outcome, "{mode:o}");
        }
    }

    #[test]
    fn a_root_is_a_folder_that_can_be_read() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("file"), "").expect("written");
        for (name, outcome) in [
            ("", Outcome::Ok),
            ("file", Outcome::Failed),
            ("none", Outcome::Warning),
            ("file/x", Outcome::Failed),
        ] {
            assert_eq!(root(&home.path().join(name)).outcome, outcome, "{name}");
        }
    }

    #[test]
    fn little_room_is_told_before_there_is_none() {
        for (free, no_files, outcome) in [
            (10 << 30, false, Outcome::Ok),
            (100 << 20, false, Outcome::Warning),
            (1 << 20, false, Outcome::Failed),
            (10 << 30, true, Outcome::Failed),
        ] {
            assert_eq!(judged_space(free, no_files, Path::new("/s")).outcome, outcome, "{free}");
        }
        let home = tempfile::tempdir().expect("a folder");
        let check = space(&home.path().join("not/there/yet"));
        assert!(check.message.contains("MiB are free"), "{check:?}");
    }
}
