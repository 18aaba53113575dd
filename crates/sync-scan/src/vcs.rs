//! Tells whether a folder is a work tree, of which version control, and where that keeps its own folder.
//!
//! Only looks for a few names and reads a few small files; no repository is opened and nothing of its configuration
//! is obeyed.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use sync_core::{Place, Vcs};

use crate::platform;
use crate::problem::is_absent;

/// Longest `.git` file or `commondir` that is read.
const LONGEST_FILE: u64 = 64 * 1024;
/// How much of a configuration is read: it has a few lines for each branch, of which there may be thousands.
const MOST_CONFIGURED: u64 = 1024 * 1024;

const ORPHAN: &str = "is a linked work tree whose repository is not where it was; if that was moved, run `git worktree repair` \
                      with this path there";

/// The version control of a work tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Control {
    pub(crate) vcs: Vcs,
    /// Its own folder: `.git` or what a `.git` file points to, `.hg`, `.jj`, `.svn`.
    pub(crate) folder: PathBuf,
    /// Where that folder is, or the one that it shares with others.
    pub(crate) place: Place,
    /// The git folder that this linked work tree shares with others; `None` when it has one of its own.
    pub(crate) shared: Option<PathBuf>,
}

/// The version control of the folder at `root`, if it is a work tree.
///
/// # Errors
/// When it cannot be told, because something there cannot be read, or because it is a linked work tree whose place in its
/// repository is not there: that was moved or is gone.
pub(crate) fn detect(root: &Path) -> io::Result<Option<Control>> {
    if let Some(control) = detect_git(root)? {
        return Ok(Some(control));
    }
    for (vcs, name, signs) in [
        (Vcs::Hg, ".hg", &["requires", "store", "00changelog.i"][..]),
        (Vcs::Jj, ".jj", &["repo"][..]),
        (Vcs::Svn, ".svn", &["wc.db", "entries"][..]),
    ] {
        let folder = root.join(name);
        let Some(metadata) = present(fs::metadata(&folder))?.filter(fs::Metadata::is_dir) else { continue };
        for sign in signs {
            if present(fs::symlink_metadata(folder.join(sign)))?.is_some() {
                let place = platform::place(&metadata);
                return Ok(Some(Control { vcs, folder, place, shared: None }));
            }
        }
    }
    if is_orphan(root)? { Err(io::Error::other(ORPHAN)) } else { Ok(None) }
}

/// Whether the folder is a linked work tree of which the repository it names knows nothing.
fn is_orphan(root: &Path) -> io::Result<bool> {
    let Some(target) = pointer(root)? else { return Ok(false) };
    let is_linked = target.parent().and_then(Path::file_name).is_some_and(|above| above == "worktrees");
    Ok(is_linked && present(fs::symlink_metadata(&target))?.is_none())
}

/// Whether the work tree `root` is a submodule of the work tree `outer` around it, as far as files tell: its git
/// folder lies among the other's modules, or the other declares it.
pub(crate) fn is_submodule(root: &Path, control: &Control, outer: &Path) -> bool {
    if control.vcs != Vcs::Git {
        return false;
    }
    let kept_by_another = control
        .folder
        .ancestors()
        .skip(1)
        .filter(|above| above.file_name().is_some_and(|name| name == "modules"))
        .filter_map(Path::parent)
        .any(|git| matches!(is_git_folder(git), Ok(true)));
    kept_by_another || root.strip_prefix(outer).is_ok_and(|relative| declares(outer, relative))
}

/// The value of a key in a git configuration file, without includes; the last one counts.
pub(crate) fn setting(config: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    let mut value = None;
    for line in config.lines().map(str::trim) {
        // A key without a value is switched on.
        let (name, text) = line.split_once('=').unwrap_or((line, "true"));
        if let Some(header) = line.strip_prefix('[') {
            inside = header.trim_end_matches(']').trim().eq_ignore_ascii_case(section);
        } else if inside && name.trim().eq_ignore_ascii_case(key) {
            value = Some(text.trim().trim_matches('"').to_owned());
        }
    }
    value
}

/// What is set for the git folder, without includes: its configuration, and the part of it that is for its own work tree
/// alone where it says that there is one.
pub(crate) fn configuration(folder: &Path) -> io::Result<String> {
    let read = |name: &str| -> io::Result<String> {
        let (bytes, _) = start_of(&folder.join(name), MOST_CONFIGURED)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut text = read("config")?;
    if setting(&text, "extensions", "worktreeConfig").is_some_and(|value| is_on(&value)) {
        text.push('\n');
        text.push_str(&read("config.worktree")?);
    }
    Ok(text)
}

/// A small file's bytes; `None` when there is none or it is too long to be what was looked for.
pub(crate) fn small_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let read = start_of(path, LONGEST_FILE)?;
    Ok(read.filter(|(_, is_whole)| *is_whole).map(|(bytes, _)| bytes))
}

/// The first bytes of a file, and whether they are all of it; `None` when there is none.
fn start_of(path: &Path, most: u64) -> io::Result<Option<(Vec<u8>, bool)>> {
    let Some(file) = present(platform::open_file(path))? else { return Ok(None) };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some((bytes, metadata.len() <= most)))
}

/// The path that a file holds, relative to `base` when it is not absolute.
pub(crate) fn path_in(bytes: &[u8], base: &Path) -> PathBuf {
    let text = bytes.trim_ascii_end();
    base.join(std::ffi::OsString::from_vec(text.to_vec()))
}

fn detect_git(root: &Path) -> io::Result<Option<Control>> {
    let dot_git = root.join(".git");
    let Some(metadata) = present(fs::metadata(&dot_git))? else { return Ok(None) };
    if metadata.is_dir() {
        let has_tree = is_git_folder(&dot_git)? && !is_bare(&dot_git)?;
        return Ok(has_tree.then(|| Control {
            vcs: Vcs::Git,
            folder: dot_git,
            place: platform::place(&metadata),
            shared: None,
        }));
    }
    let Some(target) = pointer(root)? else { return Ok(None) };
    if target == root || !is_git_folder(&target)? {
        return Ok(None);
    }
    let Some(folder) = present(target.canonicalize())? else { return Ok(None) };
    let shared = match small_file(&folder.join("commondir"))? {
        Some(bytes) => match present(path_in(&bytes, &folder).canonicalize())? {
            // A linked work tree whose repository is gone is none.
            None => return Ok(None),
            found => found,
        },
        None if is_bare(&folder)? => return Ok(None),
        None => None,
    };
    let place = platform::place(&fs::metadata(shared.as_ref().unwrap_or(&folder))?);
    Ok(Some(Control { vcs: Vcs::Git, folder, place, shared }))
}

/// Where the `.git` of a folder points to, if it is a file that does.
fn pointer(root: &Path) -> io::Result<Option<PathBuf>> {
    let bytes = small_file(&root.join(".git"))?;
    let target = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(b"gitdir:"));
    Ok(target.map(|target| path_in(target.trim_ascii_start(), root)))
}

/// Whether the folder has a `HEAD`, and objects of its own or another's.
fn is_git_folder(folder: &Path) -> io::Result<bool> {
    if present(fs::symlink_metadata(folder.join("HEAD")))?.is_none() {
        return Ok(false);
    }
    Ok(present(fs::metadata(folder.join("objects")))?.is_some_and(|objects| objects.is_dir())
        || present(fs::metadata(folder.join("commondir")))?.is_some_and(|common| common.is_file()))
}

/// Whether the git folder says that no work tree belongs to it. Linked ones may: they have folders of their own in it.
fn is_bare(folder: &Path) -> io::Result<bool> {
    let configured = configuration(folder)?;
    let is_bare = setting(&configured, "core", "bare").is_some_and(|value| is_on(&value));
    Ok(is_bare && setting(&configured, "core", "worktree").is_none())
}

fn is_on(value: &str) -> bool {
    let word = value.split_ascii_whitespace().next().unwrap_or_default();
    ["true", "yes", "on"].iter().any(|on| word.eq_ignore_ascii_case(on))
        || word.parse::<i64>().is_ok_and(|number| number != 0)
}

fn declares(outer: &Path, relative: &Path) -> bool {
    let Ok(Some(bytes)) = small_file(&outer.join(".gitmodules")) else { return false };
    String::from_utf8_lossy(&bytes).lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            key.trim() == "path" && Path::new(value.trim().trim_matches('"')) == relative
        })
    })
}

fn present<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(folder: &Path) {
        fs::create_dir_all(folder.join("objects")).unwrap();
        fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    fn configured(root: &Path, text: &str) {
        repository(&root.join(".git"));
        fs::write(root.join(".git/config"), text).unwrap();
    }

    #[test]
    fn a_work_tree_is_told_by_what_its_folder_of_version_control_holds() {
        let check = |expected: Option<Vcs>, make: fn(&Path)| {
            let home = tempfile::tempdir().unwrap();
            make(home.path());
            assert_eq!(detect(home.path()).unwrap().map(|control| control.vcs), expected);
        };
        check(Some(Vcs::Git), |root| repository(&root.join(".git")));
        check(None, |root| fs::create_dir(root.join(".git")).unwrap());
        check(None, |root| fs::write(root.join(".git"), "gitdir: nowhere\n").unwrap());
        check(None, |root| fs::write(root.join(".git"), "something else").unwrap());
        check(None, |root| fs::write(root.join(".git"), "gitdir: \n").unwrap());
        check(None, |root| {
            repository(&root.join("kept"));
            fs::write(root.join("kept/commondir"), "../gone\n").unwrap();
            fs::write(root.join(".git"), "gitdir: kept\n").unwrap();
        });
        check(Some(Vcs::Git), |root| {
            repository(&root.join("kept"));
            fs::write(root.join(".git"), "gitdir: kept\n").unwrap();
        });
        check(None, |root| configured(root, "[core]\n\tbare = true\n"));
        check(None, |root| configured(root, "[core]\n\tbare\n"));
        check(Some(Vcs::Git), |root| configured(root, "[core]\n\tbare = off\n"));
        check(Some(Vcs::Git), |root| configured(root, "[core]\n\tbare = 1\n\tworktree = ..\n"));
        check(None, |root| {
            configured(root, "[core]\n\tbare = false\n[extensions]\n\tworktreeConfig = true\n");
            fs::write(root.join(".git/config.worktree"), "[core]\n\tbare = yes\n").unwrap();
        });
        check(None, |root| {
            repository(&root.join("kept"));
            fs::write(root.join("kept/config"), "[core]\n\tbare = true\n").unwrap();
            fs::write(root.join(".git"), "gitdir: ./kept\n").unwrap();
        });
        // Of one that is very long the start is enough: what is asked for comes first.
        for branches in [2_000, 40_000] {
            let home = tempfile::tempdir().unwrap();
            let branch = "[branch \"some/topic\"]\n\tremote = origin\n\tmerge = refs/heads/some/topic\n";
            configured(home.path(), &format!("[core]\n\tbare = true\n{}", branch.repeat(branches)));
            assert_eq!(detect(home.path()).unwrap(), None, "{branches} branches");
        }
        check(None, |root| fs::create_dir(root.join(".hg")).unwrap());
        check(Some(Vcs::Hg), |root| fs::create_dir_all(root.join(".hg/store")).unwrap());
        check(Some(Vcs::Jj), |root| fs::create_dir_all(root.join(".jj/repo")).unwrap());
        check(Some(Vcs::Svn), |root| {
            fs::create_dir(root.join(".svn")).unwrap();
            fs::write(root.join(".svn/wc.db"), "").unwrap();
        });
        check(Some(Vcs::Git), |root| {
            repository(&root.join(".git"));
            fs::create_dir_all(root.join(".jj/repo")).unwrap();
        });
    }

    #[test]
    fn settings_are_read_from_their_section_only() {
        let config = "[core]\n\tbare = false\n\tworktree = \"../../a\"\n[remote \"origin\"]\n\turl = x\n";
        assert_eq!(setting(config, "core", "worktree").as_deref(), Some("../../a"));
        assert_eq!(setting(config, "core", "url"), None);
        assert_eq!(setting(config, "remote \"origin\"", "url").as_deref(), Some("x"));
        assert_eq!(setting("", "core", "worktree"), None);
    }
}
