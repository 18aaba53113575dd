//! Reads from a project's git folder whether git is at work there: a locked index, or a clone that has not arrived.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sync_core::Vcs;

use crate::debounce::Busy;
use crate::vcs::{Control, detect, small_file};

/// What git is doing in the project at `place`; nothing where that cannot be told.
pub(crate) fn busy(place: &Path) -> Busy {
    let control = match detect(place) {
        Ok(Some(control)) if control.vcs == Vcs::Git => control,
        Ok(_) | Err(_) => return Busy::No,
    };
    if let Some(since_ms) = changed_ms(&control.folder.join("index.lock")) {
        return Busy::Locked { since_ms };
    }
    if head_resolves(&control) {
        return Busy::No;
    }
    let arriving = newest_arrival_ms(&control.folder);
    if arriving.is_some() || has_remote(&control.folder) {
        return Busy::Cloning { active_ms: arriving.unwrap_or(0) };
    }
    // A repository without a commit, as `git init` makes it.
    Busy::No
}

/// Whether `HEAD` leads to a commit. References in tables are taken to resolve: they are not read here.
fn head_resolves(control: &Control) -> bool {
    let Ok(Some(head)) = small_file(&control.folder.join("HEAD")) else { return true };
    let Some(target) = head.strip_prefix(b"ref:") else { return true };
    let target = String::from_utf8_lossy(target.trim_ascii()).into_owned();
    let refs = control.shared.as_deref().unwrap_or(&control.folder);
    if refs.join("reftable").is_dir() || refs.join(&target).is_file() {
        return true;
    }
    // A list of packed references may be long: its presence says that the transfer is over.
    refs.join("packed-refs").is_file()
}

/// When the pack that is being received last grew.
fn newest_arrival_ms(git: &Path) -> Option<u64> {
    let entries = fs::read_dir(git.join("objects/pack")).ok()?;
    let growing = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"tmp_pack_"));
    growing.filter_map(|entry| changed_ms(&entry.path())).max()
}

fn has_remote(git: &Path) -> bool {
    let Ok(Some(config)) = small_file(&git.join("config")) else { return false };
    String::from_utf8_lossy(&config).lines().any(|line| line.trim_start().starts_with("[remote "))
}

fn changed_ms(path: &Path) -> Option<u64> {
    let changed = fs::symlink_metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_at_work_is_told_from_a_new_repository() {
        type Make = fn(&Path);
        type Is = fn(Busy) -> bool;
        let cases: [(&str, Make, Is); 5] = [
            ("new", |_| {}, |busy| busy == Busy::No),
            (
                "locked",
                |git| fs::write(git.join("index.lock"), "").unwrap(),
                |busy| matches!(busy, Busy::Locked { since_ms } if since_ms > 0),
            ),
            (
                "clone begun",
                |git| fs::write(git.join("config"), "[core]\n[remote \"origin\"]\n").unwrap(),
                |busy| busy == Busy::Cloning { active_ms: 0 },
            ),
            (
                "pack arriving",
                |git| {
                    fs::create_dir_all(git.join("objects/pack")).unwrap();
                    fs::write(git.join("objects/pack/tmp_pack_x"), "").unwrap();
                },
                |busy| matches!(busy, Busy::Cloning { active_ms } if active_ms > 0),
            ),
            (
                "arrived",
                |git| {
                    fs::write(git.join("config"), "[remote \"origin\"]\n").unwrap();
                    fs::create_dir_all(git.join("refs/heads")).unwrap();
                    fs::write(git.join("refs/heads/main"), "0".repeat(40)).unwrap();
                },
                |busy| busy == Busy::No,
            ),
        ];
        for (name, make, is_expected) in cases {
            let home = tempfile::tempdir().unwrap();
            let git = home.path().join(".git");
            fs::create_dir_all(git.join("objects")).unwrap();
            fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            make(&git);
            let found = busy(home.path());
            assert!(is_expected(found), "{name}: {found:?}");
        }
        assert_eq!(busy(Path::new("/nowhere/at/all")), Busy::No);
    }
}
