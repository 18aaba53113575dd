//! Finds the commit another repository is at, by reading its few small files.
//!
//! Only regular files are opened and nothing of its configuration is looked at.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::content::read;

const LONGEST_FILE: u64 = 1 << 16;
const LONGEST_PACKED_REFS: u64 = 256 << 20;
const DEEPEST_REFERENCE: usize = 5;

/// What a folder with something named `.git` in it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Nested {
    /// No repository.
    No,
    /// A repository without a commit, or whose commit cannot be told.
    Unborn,
    /// A repository that keeps its references in tables, which are not read here.
    InTables,
    /// A repository at this commit.
    At(ObjectId),
}

/// What the folder at `work_tree` is.
pub(super) fn nested(work_tree: &Path) -> Nested {
    let Some(git_folder) = git_folder(work_tree) else { return Nested::No };
    let shared = shared_folder(&git_folder);
    if shared.join("reftable").is_dir() {
        return Nested::InTables;
    }
    let mut name: Vec<u8> = b"HEAD".to_vec();
    for _ in 0..DEEPEST_REFERENCE {
        let Some(content) = reference(&git_folder, &shared, &name) else { return Nested::Unborn };
        match content.strip_prefix(b"ref:") {
            Some(target) => name = target.trim_ascii().to_vec(),
            None => return ObjectId::from_hex(content.trim_ascii()).map_or(Nested::Unborn, Nested::At),
        }
    }
    Nested::Unborn
}

/// The git folder of the work tree at `work_tree`: `.git` itself, or where the file `.git` points.
pub(in crate::content) fn git_folder(work_tree: &Path) -> Option<PathBuf> {
    let dot_git = work_tree.join(".git");
    let metadata = std::fs::symlink_metadata(&dot_git).ok()?;
    let folder = if metadata.is_file() {
        let content = read::whole(&dot_git, LONGEST_FILE).ok()??;
        let target = content.strip_prefix(b"gitdir:")?.trim_ascii();
        work_tree.join(OsStr::from_bytes(target))
    } else {
        dot_git
    };
    let is_file = |name: &str| std::fs::metadata(folder.join(name)).is_ok_and(|metadata| metadata.is_file());
    let is_folder = |name: &str| folder.join(name).is_dir();
    let head =
        is_file("HEAD") || std::fs::symlink_metadata(folder.join("HEAD")).is_ok_and(|head| head.is_symlink());
    (head && (is_file("commondir") || (is_folder("objects") && is_folder("refs")))).then_some(folder)
}

/// Where the references and objects shared by all work trees are.
fn shared_folder(git_folder: &Path) -> PathBuf {
    match read::whole(&git_folder.join("commondir"), LONGEST_FILE) {
        Ok(Some(content)) => git_folder.join(OsStr::from_bytes(content.trim_ascii())),
        Ok(None) | Err(_) => git_folder.to_owned(),
    }
}

fn reference(git_folder: &Path, shared: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let relative = Path::new(OsStr::from_bytes(name));
    let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !plain {
        return None;
    }
    for folder in [git_folder, shared] {
        if let Ok(Some(content)) = read::whole(&folder.join(relative), LONGEST_FILE) {
            return Some(content);
        }
    }
    let packed = read::whole(&shared.join("packed-refs"), LONGEST_PACKED_REFS).ok()??;
    packed.split(|byte| *byte == b'\n').find_map(|line| {
        let (id, rest) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
        (rest.get(1..)? == name).then(|| id.to_vec())
    })
}
