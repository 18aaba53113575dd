//! Connects to the socket without ever waiting for somebody who does not accept.
//!
//! A blocking `connect` to a Unix socket whose queue is full waits without limit, and the standard library has no
//! timeout for it; so the socket is made non-blocking first, and a full queue is tried again until the deadline.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::error::ClientError;
use super::patient::now;
use crate::socket::fits;

/// Between two tries at a full queue.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) fn connect(socket: &Path, deadline: Instant) -> Result<UnixStream, ClientError> {
    let socket = fits(socket.to_path_buf())?;
    let failed = |source: io::Error| ClientError::Failed { socket: socket.clone(), source };
    let address = SocketAddrUnix::new(&socket).map_err(|errno| failed(errno.into()))?;
    let endpoint = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)
        .map_err(|errno| failed(errno.into()))?;
    fcntl_setfd(&endpoint, FdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let stream = UnixStream::from(endpoint);
    stream.set_nonblocking(true).map_err(failed)?;
    loop {
        match rustix::net::connect(&stream, &address) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::ALREADY) if now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(errno) => return Err(meaning(errno, &socket)),
        }
    }
    stream.set_nonblocking(false).map_err(failed)?;
    if !is_ours(&stream, &socket).map_err(failed)? {
        return Err(ClientError::Strange { socket });
    }
    Ok(stream)
}

/// Whether who listens is this user: what is registered is not told to others.
#[cfg(target_os = "linux")]
fn is_ours(stream: &UnixStream, _socket: &Path) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid == rustix::process::geteuid())
}

/// Told by whose the socket's file is, where the system does not tell who listens.
#[cfg(not(target_os = "linux"))]
fn is_ours(_stream: &UnixStream, socket: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(socket)?.uid() == rustix::process::geteuid().as_raw())
}

fn meaning(errno: Errno, socket: &Path) -> ClientError {
    let is_socket = || fs::symlink_metadata(socket).is_ok_and(|found| found.file_type().is_socket());
    let is_link = || fs::metadata(socket).is_ok_and(|found| found.file_type().is_socket());
    let socket_path = socket.to_path_buf();
    match errno {
        Errno::NOENT | Errno::NOTDIR => ClientError::NoSocket { socket: socket_path },
        Errno::CONNREFUSED if is_socket() || is_link() => ClientError::NobodyListens { socket: socket_path },
        Errno::CONNREFUSED | Errno::PROTOTYPE | Errno::NOTSOCK => {
            ClientError::NotASocket { socket: socket_path }
        }
        Errno::AGAIN | Errno::INPROGRESS | Errno::ALREADY => ClientError::Busy { socket: socket_path },
        Errno::ACCESS | Errno::PERM => ClientError::Denied { socket: socket_path },
        other => ClientError::Failed { socket: socket_path, source: other.into() },
    }
}
