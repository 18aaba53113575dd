//! What is made of a repository that somebody else prepared.
//!
//! Parts: a file of the repository, its path on the first line and its content on the others. Only a few paths are
//! written, all inside of the scratch repository; the rest of it is as git makes it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_scan::{Options, look};

use crate::client::now;
use crate::parts::named;

/// What may be written, by name.
const PATHS: &[&str] = &[
    ".git/HEAD",
    ".git/config",
    ".git/config.worktree",
    ".git/index",
    ".git/info/attributes",
    ".git/info/exclude",
    ".git/info/sparse-checkout",
    ".git/objects/info/alternates",
    ".git/packed-refs",
    ".git/refs/heads/main",
    ".git/commondir",
    ".git/shallow",
    ".gitattributes",
    ".gitignore",
    ".gitmodules",
    "inner/.git",
    "inner/.gitignore",
    "inner/HEAD",
    "package.json",
    "src/main.rs",
    "src/.gitattributes",
];

const LONG: Duration = Duration::from_secs(20);

static FOLDER: LazyLock<Mutex<tempfile::TempDir>> =
    LazyLock::new(|| Mutex::new(tempfile::tempdir().expect("there is room for a folder")));

pub(crate) fn run(data: &[u8]) {
    let folder = FOLDER.lock().expect("one target runs at a time");
    let root = folder.path().join("roots/project");
    prepare(&root);
    for (name, content) in named(data) {
        if PATHS.contains(&&*name) {
            put(&root.join(name), content);
        }
    }
    let beside = folder.path().join("beside");
    put(&beside, b"not looked at");
    let begun = now();
    let options =
        Options { roots: vec![folder.path().join("roots")], workspace_members: true, ..Options::default() };
    let survey = look(&options, &[root], &AtomicBool::new(false));
    for sighting in &survey.sightings {
        assert!(sighting.root.starts_with(real(folder.path())), "{} is elsewhere", sighting.root.display());
    }
    assert!(begun.elapsed() < LONG, "{} bytes took {:?}", data.len(), begun.elapsed());
}

/// An empty repository.
fn prepare(root: &Path) {
    if root.exists() {
        std::fs::remove_dir_all(root).expect("it is ours");
    }
    for folder in [".git/objects", ".git/refs/heads", "src", "inner"] {
        std::fs::create_dir_all(root.join(folder)).expect("there is room for a folder");
    }
    put(&root.join(".git/HEAD"), b"ref: refs/heads/main\n");
    put(&root.join(".git/config"), b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
    put(&root.join("src/main.rs"), b"fn main() {}\n");
    put(&root.join("Cargo.toml"), b"[package]\nname = \"a\"\n");
}

fn put(path: &Path, content: &[u8]) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).expect("there is room for a folder");
    }
    std::fs::write(path, content).expect("there is room for a file");
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).expect("it is there")
}
