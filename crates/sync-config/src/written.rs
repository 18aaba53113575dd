//! The folders that the daemon writes to, where they really are.
//!
//! Its own sandbox and the one that its service manager makes allow the same, and so ask here.

use std::path::{Path, PathBuf};

use crate::places::Places;

/// Where the old client keeps its databases; it may be a link to another disk.
const LEGACY: &str = "context-storage";

/// What the daemon writes to: its state, what it shares with other tools, and the folder of its socket, without those
/// that lie in another of them, and without links. What does not exist is left out.
pub fn written_folders(places: &Places) -> Vec<PathBuf> {
    let socket = places.socket.parent().map(Path::to_path_buf);
    let wanted = [
        Some(places.state_dir.clone()),
        Some(places.logs.clone()),
        Some(places.data_dir.clone()),
        Some(places.data_dir.join(LEGACY)),
        socket,
    ];
    let mut folders: Vec<PathBuf> = Vec::new();
    let real = wanted.into_iter().flatten().filter_map(|folder| folder.canonicalize().ok());
    for folder in real.chain(linked_out(&places.state_dir)) {
        if !folders.iter().any(|known| folder.starts_with(known)) {
            folders.push(folder);
        }
    }
    folders
}

/// Where links in the state directory lead: somebody keeps the database or the logs on another disk. Beside the database
/// SQLite writes; what else is a link to a file is only read.
fn linked_out(state: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(state).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.filter_map(|entry| {
        let end = entry.path().canonicalize().ok()?;
        let is_database = entry.file_name().as_encoded_bytes().starts_with(b"sync.db");
        if end.is_dir() { Some(end) } else { end.parent().filter(|_| is_database).map(Path::to_path_buf) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(home: &Path) -> Places {
        let flags = crate::PlaceFlags {
            config: Some(home.join("config.json")),
            state_dir: Some(home.join("state")),
            socket: Some(home.join("run/s.sock")),
        };
        let data = home.join("data").into_os_string();
        Places::find(&flags, &|name| (name == "CODITECT_DATA_DIR").then(|| data.clone()), None)
            .expect("all is given")
    }

    #[test]
    fn its_own_folders_are_told_once_and_without_links() {
        let home = tempfile::tempdir().expect("a folder");
        let base = home.path().canonicalize().expect("it exists");
        for folder in ["state/logs", "data", "elsewhere", "disk"] {
            std::fs::create_dir_all(base.join(folder)).expect("made");
        }
        std::os::unix::fs::symlink(base.join("elsewhere"), base.join("data").join(LEGACY)).expect("made");
        std::fs::write(base.join("disk/sync.db"), "").expect("written");
        std::os::unix::fs::symlink(base.join("disk/sync.db"), base.join("state/sync.db")).expect("made");
        let expected = ["state", "data", "elsewhere", "disk"].map(|name| base.join(name));
        assert_eq!(written_folders(&places(&base)), expected);
    }
}
