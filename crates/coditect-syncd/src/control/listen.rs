//! Puts the control socket into the file system, and takes it away again.
//!
//! Only who holds the daemon's lock may call this: it is the lock that tells a socket nobody answers on from one
//! whose owner is about to listen. Nothing but such a dead socket is ever removed.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use tokio::sync::Notify;
use tracing::debug;

/// A socket that listens, and its name in the file system. Dropping it removes the name.
#[derive(Debug)]
pub(crate) struct Bound {
    // The name goes first: its inode cannot become another file's while the socket is open.
    pub(super) file: SocketFile,
    pub(super) listener: UnixListener,
    pub(super) look: Arc<Notify>,
}

/// Who the name of a socket belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// The daemon, which removes it at its end.
    Daemon,
    /// The service manager, which goes on listening there.
    Manager,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The platform has no room for such a path.
    #[error(transparent)]
    TooLong(#[from] sync_wire::TooLong),
    /// Others could reach or replace a socket in this directory.
    #[error("use `{}` as the directory of the control socket: it {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what to do, as the rest of a sentence.
        why: String,
    },
    /// There is something else of that name. It is left alone.
    #[error(
        "listen on `{}`: there is {what} of that name, which is left as it is; move it away or choose another path \
         with `--socket`",
        path.display()
    )]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Another program listens there. It is left alone.
    #[error("listen on `{}`: another program listens there; choose another path with `--socket`", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// The service manager handed over another socket.
    #[error(
        "take over the control socket: the service manager has {what}, and it is to be at `{}`; run \
         `coditect-sync service install --socket-activated` again",
        path.display()
    )]
    HandedOver {
        /// The path.
        path: PathBuf,
        /// What was handed over.
        what: String,
    },
    /// The operating system refused.
    #[error("{doing} `{}`", path.display())]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Binds the control socket and listens, for the holder of the daemon's lock. Blocks for a few system calls.
///
/// The directory is made if it is missing, and has to be ours alone. A socket that nobody answers on is replaced.
///
/// # Errors
/// Anything else of that name, a directory others can write to, a path too long, or a refusal of the system.
pub(crate) fn bind(path: &Path) -> Result<Bound, BindError> {
    sync_wire::socket::fits(path.to_path_buf())?;
    keep_directory(directory_of(path))?;
    clear(path)?;
    bound(path, bind_privately(path)?, Owner::Daemon)
}

/// Takes a socket that the service manager bound to this path and listens on.
///
/// # Errors
/// When it is another socket, or its directory is open to others, or the system refuses.
pub(crate) fn take(path: &Path, listener: UnixListener) -> Result<Bound, BindError> {
    keep_directory(directory_of(path))?;
    let address = listener.local_addr().map_err(|source| refused("ask for the address of", path, source))?;
    let listens = is_listened_on(&listener);
    let other = match (address.as_pathname(), listens) {
        (Some(other), Ok(true)) if same_place(other, path) => None,
        (Some(other), Ok(true)) => Some(format!("one at `{}`", other.display())),
        (_, Ok(true)) => Some("one without a path".to_owned()),
        (_, Ok(false)) => Some("one that nobody listens on".to_owned()),
        (_, Err(error)) => Some(format!("one that cannot be used ({error})")),
    };
    match other {
        None => bound(path, listener, Owner::Manager),
        Some(what) => Err(BindError::HandedOver { path: path.to_path_buf(), what }),
    }
}

/// Apple's systems cannot tell; launchd hands over what it listens on.
#[cfg(not(target_vendor = "apple"))]
fn is_listened_on(listener: &UnixListener) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_acceptconn(listener)?)
}

#[cfg(target_vendor = "apple")]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere the system may refuse to tell")]
fn is_listened_on(_listener: &UnixListener) -> io::Result<bool> {
    Ok(true)
}

fn same_place(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some((directory_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    one == other || place(one).is_some_and(|found| Some(found) == place(other))
}

fn bound(path: &Path, listener: UnixListener, owner: Owner) -> Result<Bound, BindError> {
    let metadata =
        fs::symlink_metadata(path).map_err(|source| refused("look at the new socket", path, source))?;
    let file = SocketFile { path: path.to_path_buf(), device: metadata.dev(), inode: metadata.ino(), owner };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode != 0o600 {
        let why = format!(
            "gave the new socket the mode {mode:o} instead of 600; choose one on another file system"
        );
        return Err(BindError::Directory { path: directory_of(path).to_path_buf(), why });
    }
    listener.set_nonblocking(true).map_err(|source| refused("prepare the socket", path, source))?;
    Ok(Bound { file, listener, look: Arc::new(Notify::new()) })
}

impl Bound {
    /// Makes the server look whether its name still leads to it, for those who are awake anyway.
    pub(crate) fn look_again(&self) -> Arc<Notify> {
        Arc::clone(&self.look)
    }
}

/// The name of a socket, known by its inode so that a successor's is not taken for it. Removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    owner: Owner,
}

impl SocketFile {
    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory the name is in.
    pub(super) fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    /// Whether the service manager made it: another start of the daemon alone would be handed the same one.
    pub(super) fn is_lent(&self) -> bool {
        self.owner == Owner::Manager
    }

    /// Whether the name still leads to the socket that was bound.
    pub(super) fn still_ours(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => found.dev() == self.device && found.ino() == self.inode,
            // A disk that does not tell has not taken the name away.
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.owner == Owner::Daemon
            && self.still_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            debug!(%error, path = %self.path.display(), "the control socket's name stays behind");
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the directory if it is missing, and passes it only when nobody else can reach into it.
fn keep_directory(directory: &Path) -> Result<(), BindError> {
    let metadata = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|source| refused("make the directory", directory, source))?;
            fs::symlink_metadata(directory)
        }
        found => found,
    }
    .map_err(|source| refused("look at the directory", directory, source))?;
    unfit(&metadata, rustix::process::geteuid().as_raw())
        .map_or(Ok(()), |why| Err(BindError::Directory { path: directory.to_path_buf(), why }))
}

/// What is wrong with a directory that is to hold the socket of `user`.
fn unfit(metadata: &Metadata, user: u32) -> Option<String> {
    let mode = metadata.mode() & 0o7777;
    if metadata.file_type().is_symlink() {
        Some("is a symbolic link; name the directory itself".to_owned())
    } else if !metadata.is_dir() {
        Some("is not a directory".to_owned())
    } else if metadata.uid() != user {
        Some(format!("belongs to user {}, not to user {user}", metadata.uid()))
    } else if mode & 0o077 != 0 {
        Some(format!("is open to other users (mode {mode:o}); run `chmod 700` on it or choose another"))
    } else {
        None
    }
}

/// Removes a socket that nobody answers on, and nothing else.
fn clear(path: &Path) -> Result<(), BindError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|source| refused("look at", path, source))?,
    };
    let kind = found.file_type();
    if !kind.is_socket() {
        let what = if kind.is_dir() {
            "a directory"
        } else if kind.is_symlink() {
            "a symbolic link"
        } else if kind.is_file() {
            "a regular file"
        } else {
            "a device or a pipe"
        };
        return Err(BindError::Occupied { path: path.to_path_buf(), what });
    }
    if somebody_answers(path)? {
        return Err(BindError::Taken { path: path.to_path_buf() });
    }
    debug!(path = %path.display(), "removing a socket that nobody answers on");
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(refused("remove the dead socket", path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether a program holds the other end. Does not wait for it: a program that is busy is a program.
fn somebody_answers(path: &Path) -> Result<bool, BindError> {
    // Linux tells a busy program from none; elsewhere both refuse, and only the second always does.
    let tries = if cfg!(target_os = "linux") { 0 } else { 3 };
    for _ in 0..tries {
        if is_connected(path)? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    is_connected(path)
}

fn is_connected(path: &Path) -> Result<bool, BindError> {
    let probe = || {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    match probe() {
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(refused("tell whether a program listens on", path, error.into())),
    }
}

/// Binds so that the socket is ours alone from its first moment; a `chmod` afterwards would come too late.
///
/// Linux gives the name the mode that the socket had before. That is used instead of the umask, which belongs to the
/// whole process: a thread that makes a directory at that moment would make one it cannot enter.
#[cfg(target_os = "linux")]
fn bind_privately(path: &Path) -> Result<UnixListener, BindError> {
    let bound = || {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::fs::fchmod(&socket, PRIVATE)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, QUEUE)?;
        Ok::<_, Errno>(UnixListener::from(socket))
    };
    bound().map_err(|error| refused("listen on", path, error.into()))
}

/// Binds so that the socket is ours alone from its first moment; a `chmod` afterwards would come too late.
#[cfg(not(target_os = "linux"))]
fn bind_privately(path: &Path) -> Result<UnixListener, BindError> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound.map_err(|source| refused("listen on", path, source))
}

/// The socket's mode.
#[cfg(target_os = "linux")]
const PRIVATE: Mode = Mode::from_raw_mode(0o600);
/// Most connections that wait to be accepted; the system takes fewer if it likes.
#[cfg(target_os = "linux")]
const QUEUE: i32 = 4096;

fn refused(doing: &'static str, path: &Path, source: io::Error) -> BindError {
    BindError::Refused { doing, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn private_directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("its mode");
        directory
    }

    #[test]
    fn a_new_socket_is_ours_alone_and_so_is_its_directory() {
        let home = private_directory();
        let path = home.path().join("a/b/sync.sock");
        let bound = bind(&path).expect("a socket");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().expect("a parent"))), (0o600, 0o700));
        assert!(bound.file.still_ours() && UnixStream::connect(&path).is_ok());
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced() {
        let home = private_directory();
        let path = home.path().join("s");
        drop(UnixListener::bind(&path).expect("a socket that is left behind"));
        assert!(path.exists());
        assert!(bind(&path).expect("a new one").file.still_ours());
    }

    #[test]
    fn whatever_else_has_the_name_is_left_alone() {
        type Make = fn(&Path) -> Box<dyn std::any::Any>;
        let mut cases: Vec<(Make, &str)> = vec![
            (|path| Box::new(File::create(path).expect("a file")), "a regular file"),
            (|path| Box::new(fs::create_dir(path).is_ok()), "a directory"),
            (|path| Box::new(symlink("/nowhere", path).is_ok()), "a symbolic link"),
            (|path| Box::new(UnixListener::bind(path).expect("a listener")), "another program"),
            (|path| Box::new(UnixDatagram::bind(path).expect("a datagram socket")), "another program"),
        ];
        if cfg!(target_os = "linux") {
            cases.push((|path| Box::new(full_listener(path)), "another program"));
        }
        for (make, words) in cases {
            let home = private_directory();
            let path = home.path().join("s");
            let owner = make(&path);
            let inode = |path: &Path| fs::symlink_metadata(path).expect("still there").ino();
            let before = inode(&path);
            let error = bind(&path).expect_err(words).to_string();
            assert!(error.contains(words), "{words}: {error}");
            assert_eq!(inode(&path), before, "{words}");
            drop(owner);
        }
    }

    /// A listener whose queue is full, so that nobody else can connect without waiting.
    fn full_listener(path: &Path) -> impl std::any::Any {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
        rustix::net::bind(&socket, &SocketAddrUnix::new(path).expect("an address")).expect("its name");
        rustix::net::listen(&socket, 0).expect("a queue of one");
        (socket, UnixStream::connect(path).expect("the one in the queue"))
    }

    #[test]
    fn a_directory_that_others_can_reach_is_refused() {
        let check = |prepare: fn(&Path) -> PathBuf, words: &str| {
            let home = private_directory();
            let directory = prepare(home.path());
            let error = bind(&directory.join("s")).expect_err(words).to_string();
            assert!(error.contains(words), "{words}: {error}");
        };
        check(
            |home| {
                fs::set_permissions(home, fs::Permissions::from_mode(0o750)).expect("its mode");
                home.to_path_buf()
            },
            "chmod 700",
        );
        check(
            |home| {
                fs::create_dir(home.join("real")).expect("a directory");
                symlink(home.join("real"), home.join("link")).expect("a link");
                home.join("link")
            },
            "symbolic link",
        );
        check(
            |home| {
                fs::write(home.join("file"), "").expect("a file");
                home.join("file")
            },
            "is not a directory",
        );
    }

    #[test]
    fn another_users_directory_is_refused() {
        let home = private_directory();
        let metadata = fs::symlink_metadata(home.path()).expect("metadata");
        assert_eq!(unfit(&metadata, metadata.uid()), None);
        assert!(unfit(&metadata, metadata.uid() + 1).expect("a reason").starts_with("belongs to user"));
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_by_its_length() {
        let error = bind(&PathBuf::from(format!("/{}", "x".repeat(200)))).expect_err("too long");
        assert!(matches!(error, BindError::TooLong(_)), "{error}");
    }

    #[test]
    fn a_socket_that_was_handed_over_is_used_and_stays() {
        let home = private_directory();
        let path = home.path().join("s");
        let manager = bind_privately(&path).expect("the manager's");
        let taken = take(&path, manager.try_clone().expect("handed over")).expect("it is the right one");
        assert!(taken.file.still_ours() && UnixStream::connect(&path).is_ok());
        drop(taken);
        assert!(path.exists() && UnixStream::connect(&path).is_ok(), "the manager goes on listening");

        let elsewhere = bind_privately(&home.path().join("other")).expect("another");
        let error = take(&path, elsewhere).expect_err("it is another").to_string();
        assert!(error.contains("other") && error.contains("service install --socket-activated"), "{error}");
        let deaf = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
        let error = take(&path, UnixListener::from(deaf)).expect_err("nobody listens").to_string();
        assert!(error.contains("nobody listens"), "{error}");
    }

    #[test]
    fn a_successors_socket_survives_the_end_of_its_predecessor() {
        let home = private_directory();
        let path = home.path().join("s");
        let first = bind(&path).expect("the first");
        fs::rename(&path, home.path().join("moved")).expect("the name is taken away");
        assert!(!first.file.still_ours());
        let second = bind(&path).expect("the second");
        drop(first);
        assert!(second.file.still_ours());
    }
}
