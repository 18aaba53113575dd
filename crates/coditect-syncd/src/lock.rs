//! One daemon for one state directory: an exclusive lock on a file, held for life.
//!
//! The lock is the operating system's and ends with the process however it ends; the file's content only tells people
//! and clients who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sync_wire::LockInfo;

/// The lock; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The folder, which nobody takes for a leftover and deletes. It goes first: who takes the file next takes it too.
    folder: Option<File>,
    file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another daemon has it.
    #[error("another daemon is running{}", .holder.as_ref().map(|holder| format!(": process {}, since {}, on {}", holder.pid, holder.started_at, holder.socket)).unwrap_or_default())]
    Held {
        /// What it wrote of itself.
        holder: Option<LockInfo>,
    },
    /// The file cannot be used.
    #[error("cannot lock `{path}`: {source}")]
    File {
        /// The lock file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock and writes who has it.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be made.
    pub(crate) fn take(path: &Path, info: &LockInfo) -> Result<Self, LockError> {
        let failed = |source| LockError::File { path: path.display().to_string(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut content = Vec::new();
                let read = (&file).take(64 << 10).read_to_end(&mut content);
                let holder = read.ok().and_then(|_| LockInfo::from_bytes(&content));
                return Err(LockError::Held { holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let folder = path.parent().map(lock_folder).transpose()?.flatten();
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        file.write_all(info.to_line().as_bytes()).map_err(failed)?;
        Ok(Self { folder, file })
    }

    /// Gives the lock back, as the very last thing.
    pub(crate) fn release(self) {
        drop(self.folder);
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock was not given back; it ends with the process");
        }
    }
}

/// Locks the folder as well: the file may be another one than the daemon that runs has locked. `None` where the file
/// system locks no folders.
fn lock_folder(folder: &Path) -> Result<Option<File>, LockError> {
    let Ok(opened) = File::open(folder) else { return Ok(None) };
    match opened.try_lock() {
        Ok(()) => Ok(Some(opened)),
        Err(TryLockError::WouldBlock) => Err(LockError::Held { holder: None }),
        Err(TryLockError::Error(error)) => {
            tracing::debug!(%error, "the state directory cannot be locked; its lock file is");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_has_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("daemon.lock");
        let info = LockInfo {
            pid: 7,
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            socket: "/s".to_owned(),
            version: "0.1.0".to_owned(),
        };
        let first = Lock::take(&path, &info).unwrap();
        let refused = Lock::take(&path, &LockInfo { pid: 8, ..info.clone() }).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "another daemon is running: process 7, since 2026-01-02T03:04:05Z, on /s"
        );
        // Somebody takes it for a leftover.
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Lock::take(&path, &info), Err(LockError::Held { holder: None })));
        first.release();
        Lock::take(&path, &info).unwrap();
    }
}
