//! The daemon as a service of this user: what the files of the service manager say, and what is to be done to them.
//!
//! Everything here but [`act`] decides and does nothing; it is told what is on disk and what the manager says.

pub(crate) mod act;
pub(crate) mod escape;
pub(crate) mod launchd;
pub(crate) mod marker;
pub(crate) mod program;
pub(crate) mod render;
pub(crate) mod sandbox;
pub(crate) mod step;
pub(crate) mod systemd;

use std::path::{Path, PathBuf};

use sync_config::{Places, written_folders};

use crate::exit::Exit;
use crate::problem::Failure;

/// Who starts and stops the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// The user manager of systemd.
    Systemd,
    /// The agents of macOS.
    Launchd,
}

impl Manager {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }

    /// The program through which it is spoken to.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Systemd => "systemctl",
            Self::Launchd => "launchctl",
        }
    }

    /// The manager of this machine: the platform's own, else the one whose program is there.
    pub(crate) fn of(finds: impl Fn(&str) -> bool) -> Option<Self> {
        let own = if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd };
        let other = if cfg!(target_os = "macos") { Self::Systemd } else { Self::Launchd };
        [own, other].into_iter().find(|manager| finds(manager.program()))
    }
}

/// What is started, and with which places: all absolute, and texts that a service manager can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The daemon's program.
    pub(crate) program: String,
    pub(crate) config: String,
    pub(crate) state_dir: String,
    pub(crate) socket: String,
    /// The data folder shared with other tools.
    pub(crate) data_dir: String,
    /// Folders it writes to that lie in none of these: where links in them lead.
    pub(crate) linked: Vec<PathBuf>,
}

impl Installation {
    /// What a service is made of.
    ///
    /// # Errors
    /// When a path cannot stand in a file of the service manager.
    pub(crate) fn new(program: &Path, places: &Places, manager: Manager) -> Result<Self, Failure> {
        let program = text("the daemon's program", program)?;
        if manager == Manager::Systemd && program.contains(['"', '\'', '\\']) {
            let message =
                format!("systemd starts no program with quotes or backslashes in its path: `{program}`");
            return Err(Failure::failed(message).with_hint("move the programs to another folder"));
        }
        Ok(Self {
            program,
            config: text("the configuration file", &places.config_file)?,
            state_dir: text("the state directory", &places.state_dir)?,
            socket: text("the socket", &places.socket)?,
            data_dir: text("the data directory", &places.data_dir)?,
            linked: linked(places),
        })
    }

    /// The folder of the socket.
    pub(crate) fn socket_dir(&self) -> &str {
        let folder = Path::new(&self.socket).parent().and_then(Path::to_str);
        folder.unwrap_or(&self.state_dir)
    }
}

/// Folders that the daemon writes to and that lie in none of its own.
fn linked(places: &Places) -> Vec<PathBuf> {
    let own = [Some(&*places.state_dir), Some(&*places.data_dir), places.socket.parent()];
    let own: Vec<PathBuf> =
        own.into_iter().flatten().filter_map(|folder| folder.canonicalize().ok()).collect();
    let lies_in_own = |folder: &PathBuf| own.iter().any(|own| folder.starts_with(own));
    written_folders(places).into_iter().filter(|folder| !lies_in_own(folder)).collect()
}

fn text(what: &str, path: &Path) -> Result<String, Failure> {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        Some(_) | None => Err(Failure::new(
            Exit::Failed,
            "path",
            format!("the path of {what} cannot stand in a service file: {}", path.display()),
        )
        .with_hint("use a path in UTF-8 without control characters")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plain installation.
    pub(crate) fn plain() -> Installation {
        Installation {
            program: "/usr/bin/coditect-syncd".to_owned(),
            config: "/home/ada/.coditect/config/config.json".to_owned(),
            state_dir: "/home/ada/.local/state/coditect-sync".to_owned(),
            socket: "/home/ada/.local/state/coditect-sync/sync.sock".to_owned(),
            data_dir: "/home/ada/.coditect-data".to_owned(),
            linked: Vec::new(),
        }
    }

    /// One in which every character that means something to a service manager occurs.
    pub(crate) fn strange() -> Installation {
        let odd = r#"a "b" 'c' %h \d $HOME ${x} <&> @STATE_DIR@ é;#"#;
        Installation {
            program: "/opt/50% $HOME/coditect-syncd".to_owned(),
            config: format!("/c {odd}"),
            state_dir: format!("/s {odd}"),
            socket: format!("/s {odd}/sync.sock"),
            data_dir: format!("/d {odd}"),
            linked: vec![PathBuf::from(format!("/l {odd}")), PathBuf::from("/l second")],
        }
    }

    #[test]
    fn the_manager_is_the_one_that_is_there() {
        for (there, expected) in [
            (&["systemctl"][..], Some(Manager::Systemd)),
            (&["launchctl"], Some(Manager::Launchd)),
            (&[], None),
        ] {
            assert_eq!(Manager::of(|name| there.contains(&name)), expected, "{there:?}");
        }
    }

    #[test]
    fn a_path_no_manager_can_read_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        for path in [&b"/a\nb"[..], b"/a\xff"] {
            assert!(text("it", Path::new(std::ffi::OsStr::from_bytes(path))).is_err(), "{path:?}");
        }
        assert_eq!(text("it", Path::new("/a b")).expect("it is text"), "/a b");
    }
}
