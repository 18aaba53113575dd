//! A scratch folder with projects in it, and surveys of it.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(
    clippy::allow_attributes,
    reason = "what is unused differs between the programs that share this file"
)]

pub(crate) mod looking;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use sync_core::Sighting;
use sync_scan::{Options, Survey, look, survey};
use tempfile::TempDir;

pub(crate) struct Home {
    folder: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
}

impl Home {
    /// An empty folder that is the only root.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let options = Options { roots: vec![path.clone()], ..Options::default() };
        Self { folder, path, options }
    }

    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        assert!(!relative.starts_with('/'), "{relative} would leave the scratch folder");
        if relative.is_empty() { self.path.clone() } else { self.path.join(relative) }
    }

    pub(crate) fn folder(&self, relative: &str) -> PathBuf {
        let path = self.at(relative);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn file(&self, relative: &str, text: &str) {
        let path = self.at(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, target: &str, relative: &str) {
        symlink(target, self.at(relative)).unwrap();
    }

    /// A folder beside the root for what a lookout keeps.
    pub(crate) fn shelf(&self) -> PathBuf {
        let name = self.path.file_name().unwrap().to_string_lossy().into_owned();
        self.path.with_file_name(format!("{name}-shelf"))
    }

    /// The id of the tree that git has for the commit of a repository.
    pub(crate) fn tree(&self, relative: &str) -> String {
        let output = Command::new("git")
            .args(["rev-parse", "HEAD^{tree}"])
            .current_dir(self.at(relative))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A git repository without a commit, made by hand.
    pub(crate) fn repository(&self, relative: &str) -> PathBuf {
        self.bare(format!("{relative}/.git").trim_start_matches('/'));
        self.at(relative)
    }

    pub(crate) fn bare(&self, relative: &str) {
        for inside in ["objects", "refs/heads"] {
            self.folder(&format!("{relative}/{inside}"));
        }
        self.file(&format!("{relative}/HEAD"), "ref: refs/heads/main\n");
        self.file(&format!("{relative}/config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
    }

    pub(crate) fn survey(&self) -> Survey {
        survey(&self.options, &AtomicBool::new(false))
    }

    pub(crate) fn look(&self, paths: &[&str]) -> Survey {
        let paths: Vec<_> = paths.iter().map(|path| self.at(path)).collect();
        look(&self.options, &paths, &AtomicBool::new(false))
    }

    /// The projects' roots, relative to this folder; `.` for the folder itself.
    pub(crate) fn names(&self, survey: &Survey) -> Vec<String> {
        survey.sightings.iter().map(|sighting| self.name(&sighting.root)).collect()
    }

    pub(crate) fn name(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.path).unwrap_or(path).to_string_lossy().into_owned();
        if relative.is_empty() { ".".to_owned() } else { relative }
    }

    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) -> Survey {
        let survey = self.survey();
        assert_eq!(self.names(&survey), expected, "problems: {:?}", survey.problems);
        survey
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let kept = self.shelf();
        if kept.exists() {
            fs::remove_dir_all(kept).unwrap();
        }
    }
}

pub(crate) fn sighting<'a>(survey: &'a Survey, root: &Path) -> &'a Sighting {
    survey.sightings.iter().find(|sighting| sighting.root == root).expect("the project is in the survey")
}

/// Runs git apart from anybody's configuration.
#[track_caller]
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin")
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "A")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "a@example.org")))
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with one commit.
pub(crate) fn committed(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet"]);
    fs::write(folder.join("README"), "text\n").unwrap();
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "--quiet", "-m", "first"]);
}
