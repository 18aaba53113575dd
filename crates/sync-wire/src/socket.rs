//! Where the control socket is, and whether the platform can have one there.
//!
//! Pure: the flag, the environment's value and the state directory are handed in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The environment variable that names the socket.
pub const SOCKET_VARIABLE: &str = "CODITECT_SYNC_SOCKET";

/// The socket's name in the state directory.
pub const FILE_NAME: &str = "sync.sock";

/// The longest path of a socket, in bytes: what `sockaddr_un` holds, without the zero at its end.
pub const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A path at which the platform cannot have a socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "use the socket path `{}`: it has {} bytes and this system allows {limit}; set {SOCKET_VARIABLE}={suggestion} \
     for the daemon and for its clients",
    path.display(),
    path.as_os_str().len()
)]
pub struct TooLong {
    /// The path.
    pub path: PathBuf,
    /// How many bytes it may have.
    pub limit: usize,
    /// A path that fits, for the environment variable or `--socket`.
    pub suggestion: String,
}

/// The socket's path: the flag's, else the environment's if it is not empty, else `sync.sock` in the state directory.
///
/// # Errors
/// When it is longer than the platform allows.
pub fn socket_path(
    explicit: Option<&Path>,
    environment: Option<&OsStr>,
    state_dir: &Path,
) -> Result<PathBuf, TooLong> {
    let from_environment = || environment.filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = explicit
        .map(Path::to_path_buf)
        .or_else(from_environment)
        .unwrap_or_else(|| state_dir.join(FILE_NAME));
    fits(path)
}

/// Passes on a path that a socket can have.
///
/// # Errors
/// When it is longer than the platform allows.
pub fn fits(path: PathBuf) -> Result<PathBuf, TooLong> {
    if path.as_os_str().len() <= LONGEST {
        return Ok(path);
    }
    Err(TooLong { path, limit: LONGEST, suggestion: "$HOME/.coditect-sync/sync.sock".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_environment_beats_the_state_directory() {
        let check = |explicit: Option<&str>, environment: Option<&str>, expected: &str| {
            let found =
                socket_path(explicit.map(Path::new), environment.map(OsStr::new), Path::new("/state"));
            assert_eq!(found, Ok(PathBuf::from(expected)));
        };
        check(Some("/flag"), Some("/environment"), "/flag");
        check(None, Some("/environment"), "/environment");
        check(None, Some(""), "/state/sync.sock");
        check(None, None, "/state/sync.sock");
    }

    #[test]
    fn a_path_too_long_for_the_platform_is_refused_with_a_shorter_one() {
        let longest = PathBuf::from(format!("/{}", "x".repeat(LONGEST - 1)));
        assert_eq!(fits(longest.clone()), Ok(longest.clone()));
        let longer = PathBuf::from(format!("{}x", longest.display()));
        let refused = fits(longer).expect_err("one byte too many");
        assert_eq!(refused.path.as_os_str().len(), LONGEST + 1);
        let text = refused.to_string();
        assert!(text.contains(&format!("has {} bytes", LONGEST + 1)), "{text}");
        assert!(text.contains("CODITECT_SYNC_SOCKET="), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_limit_is_the_kernels() {
        let directory = tempfile::tempdir().expect("a directory");
        let base = directory.path().as_os_str().len() + 1;
        for (length, fit) in [(LONGEST, true), (LONGEST + 1, false)] {
            let path = directory.path().join("s".repeat(length - base));
            assert_eq!(std::os::unix::net::UnixListener::bind(&path).is_ok(), fit, "{length} bytes");
        }
    }
}
