//! Opens files of unknown people: regular files only, bounded, never waiting for a pipe's other end.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens the regular file at `path`, following links.
///
/// # Errors
/// Like [`File::open`]; anything that is not a regular file is refused.
pub(super) fn open(path: &Path) -> Result<File> {
    open_with(path, OFlags::empty())
}

/// Opens the regular file at `path`, which must not be a link.
///
/// # Errors
/// Like [`open`], and for a link.
pub(super) fn open_itself(path: &Path) -> Result<File> {
    open_with(path, OFlags::NOFOLLOW)
}

/// The content of the regular file at `path`; `None` when there is none.
///
/// # Errors
/// When it is longer than `limit` bytes, is no regular file or cannot be read.
pub(crate) fn whole(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let too_long = || Error::new(ErrorKind::FileTooLarge, format!("longer than {limit} bytes"));
    if file.metadata()?.len() > limit {
        return Err(too_long());
    }
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(Some(content))
}

/// At most the first `length` bytes of the regular file at `path`.
///
/// # Errors
/// Like [`open`].
pub(super) fn head(path: &Path, length: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(length).read_to_end(&mut content)?;
    Ok(content)
}

// NONBLOCK, so that opening a pipe returns at once; what was opened is looked at, not what the name stood for before.
fn open_with(path: &Path, flags: OFlags) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | flags;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}
