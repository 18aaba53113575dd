//! The files beside the database: its id, one that was set aside, and a new one on its way to take its place.
//!
//! A new database is complete, under a name that says so, before the damaged one is moved. Whenever the process dies
//! in between, the next start goes on from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sync_core::Timestamp;
use uuid::Uuid;

use crate::error::Error;

/// The new database while it is written.
pub(crate) fn building(path: &Path) -> PathBuf {
    with_suffix(path, ".rebuilding")
}

/// The new database once it is complete.
fn built(path: &Path) -> PathBuf {
    with_suffix(path, ".rebuilt")
}

/// Says that the new database is complete and on the disk.
pub(crate) fn complete(path: &Path) -> Result<(), Error> {
    let (building, built) = (building(path), built(path));
    let rename = || {
        File::open(&building)?.sync_all()?;
        fs::rename(&building, &built)?;
        sync_folder(path)
    };
    rename().map_err(Error::file("complete the new database", &building))?;
    clear(&building)
}

/// Sets the damaged database aside and puts the complete new one in its place. Says where the damaged one is.
pub(crate) fn swap(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let kept_at = move_aside(path, now)?;
    fs::rename(built(path), path)
        .and_then(|()| sync_folder(path))
        .map_err(Error::file("put the new database in place of", path))?;
    Ok(kept_at)
}

/// Ends a change of databases that was interrupted, or takes it back where the new one was not complete. Says where
/// the damaged one is when the new one is in place now.
pub(crate) fn finish(path: &Path, now: Timestamp) -> Result<Option<PathBuf>, Error> {
    if built(path).exists() {
        tracing::info!(file = %path.display(), "the new database, complete before the last end, is put in place");
        return swap(path, now).map(Some);
    }
    clear(&building(path))?;
    Ok(None)
}

/// Takes back a change of databases: the new one is not to be used.
pub(crate) fn give_up(path: &Path) -> Result<(), Error> {
    clear(&built(path))?;
    clear(&building(path))
}

/// Removes a database that was not completed.
pub(crate) fn clear(building: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let file = with_suffix(building, suffix);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("remove the incomplete", &file)(error)),
        }
    }
    Ok(())
}

/// Gives a database, its log and its index names of their own, and takes away the id beside it.
pub(crate) fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let kept_at = (1..1_000)
        .map(|time| {
            let again = if time == 1 { String::new() } else { format!("-{time}") };
            with_suffix(path, &format!(".corrupt-{}{again}", now.0))
        })
        .find(|name| !name.exists() && !with_suffix(name, "-wal").exists())
        .unwrap_or_else(|| with_suffix(path, ".corrupt"));
    // The log goes first: beside another database it would be taken for that one's.
    for suffix in ["-wal", "-shm", ""] {
        let file = with_suffix(path, suffix);
        match fs::rename(&file, with_suffix(&kept_at, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("set aside the damaged database", &file)(error)),
        }
    }
    // It was that one's; the next has none until it is in use.
    let instance = with_suffix(path, ".instance");
    match fs::remove_file(&instance).and_then(|()| sync_folder(path)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Error::file("remove", &instance)(error)),
    }
    Ok(kept_at)
}

/// The id beside the database; `None` where there is none that can be read.
pub(crate) fn read_instance(path: &Path) -> Result<Option<Uuid>, Error> {
    let file = with_suffix(path, ".instance");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(Error::file("read", &file)(error)),
    }
}

/// Writes the id beside the database.
pub(crate) fn write_instance(path: &Path, instance: Uuid) -> Result<(), Error> {
    let file = with_suffix(path, ".instance");
    let new = with_suffix(path, ".instance-new");
    let write = || {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(opened, "{instance}")?;
        opened.sync_all()?;
        fs::rename(&new, &file)?;
        sync_folder(path)
    };
    write().map_err(Error::file("write", &file))
}

/// Makes the names in the folder of `path` last.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
