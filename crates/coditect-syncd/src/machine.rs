//! This machine's identity, which all coditect tools share.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sync_core::MachineId;
use uuid::Uuid;

/// Why there is no machine identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// The file is there and says something else.
    #[error("read `{0}`: it holds no `machine_uuid`; mend it or move it away to get a new identity")]
    Unreadable(String),
    /// The file cannot be read or made.
    #[error("read or make `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Reads the identity, or makes one from `fresh` where there is none.
///
/// # Errors
/// When the file says something else or cannot be read or made. A new identity is never made over an unreadable one:
/// it would make the cloud see all projects of this machine a second time.
pub(crate) fn identity(path: &Path, fresh: Uuid) -> Result<MachineId, MachineError> {
    let failed = |source| MachineError::File { path: path.display().to_string(), source };
    match fs::read(path) {
        Ok(content) => read(&content).ok_or_else(|| MachineError::Unreadable(path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            }
            make(path, fresh).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn read(content: &[u8]) -> Option<MachineId> {
    let value: serde_json::Value = serde_json::from_slice(content).ok()?;
    value.get("machine_uuid")?.as_str()?.parse().ok().filter(|id: &MachineId| !id.0.is_nil())
}

/// Written beside and linked into place, so that two tools that begin together agree on one identity.
fn make(path: &Path, fresh: Uuid) -> io::Result<MachineId> {
    let beside = path.with_extension(format!("json.{fresh}"));
    let linked = write(&beside, fresh).and_then(|()| match fs::hard_link(&beside, path) {
        // A file system without links.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            write(path, fresh)
        }
        linked => linked,
    });
    match fs::remove_file(&beside) {
        Err(error) if linked.is_ok() && error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match linked {
        Ok(()) => Ok(MachineId(fresh)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(&fs::read(path)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "another tool wrote it badly")),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, id: Uuid) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(format!("{{\"machine_uuid\": \"{id}\"}}\n").as_bytes());
    let written = written.and_then(|()| file.sync_all());
    // A piece of one would be taken for another tool's that is to be mended.
    if written.is_err()
        && let Err(error) = fs::remove_file(path)
    {
        tracing::debug!(%error, "a piece of a machine identity is left");
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data/machine-id.json");
        let first = identity(&path, Uuid::from_u128(1)).unwrap();
        assert_eq!(first, MachineId(Uuid::from_u128(1)));
        assert_eq!(identity(&path, Uuid::from_u128(2)).unwrap(), first);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_broken_identity_is_refused_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("machine-id.json");
        for content in ["", "{}", "{\"machine_uuid\": 3}", "{\"machine_uuid\": \"x\"}"] {
            fs::write(&path, content).unwrap();
            assert!(
                matches!(identity(&path, Uuid::from_u128(1)), Err(MachineError::Unreadable(_))),
                "{content}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
