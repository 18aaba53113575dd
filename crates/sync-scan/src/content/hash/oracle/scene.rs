//! A scratch repository, the real git kept apart from this machine, and the comparison.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use sync_core::Vcs;
use tempfile::TempDir;

use crate::content::hash::{Found, Limits, Surroundings, hash};
use crate::exclude::Exclude;
use crate::shelf::{Files, Kept};

/// What would change if somebody wrote to a file.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Trace {
    path: PathBuf,
    inode: u64,
    modified: i64,
    changed: i64,
    content: Option<Vec<u8>>,
}

/// A folder in a scratch place.
pub(super) struct Scene {
    place: std::rc::Rc<TempDir>,
    pub(super) root: PathBuf,
}

impl Scene {
    /// A repository made by `git` with these arguments; `None`, and a word about it, when there is no git.
    pub(super) fn repository(init: &[&str]) -> Option<Self> {
        let scene = Self::folder()?;
        scene.git(init);
        Some(scene)
    }

    /// An empty folder.
    pub(super) fn folder() -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: there is no git program to compare with");
            return None;
        }
        let place = TempDir::new().unwrap();
        let root = place.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        Some(Self { place: std::rc::Rc::new(place), root })
    }

    /// The same scene seen from another folder.
    pub(super) fn at(&self, folder: &str) -> Self {
        Self { place: std::rc::Rc::clone(&self.place), root: self.root.join(folder).canonicalize().unwrap() }
    }

    /// Compares the hashes, sees that git's folder is as before, and returns the hash.
    pub(super) fn compare(&self) -> String {
        let theirs = self.theirs();
        let before = self.git_folder_state();
        let found = self.ours();
        assert_eq!(self.git_folder_state(), before, "something in the git folder was touched");
        assert_eq!(found.id, theirs, "warnings: {:?}", found.warnings);
        theirs
    }

    /// Compares a folder without git with what git makes of it under these excludes.
    pub(super) fn compare_folder(&self, excludes: &str) {
        let git_folder = self.place.path().join("elsewhere.git");
        let at = git_folder.to_str().unwrap();
        self.git(&["--git-dir", at, "--work-tree", ".", "init", "--quiet"]);
        fs::write(git_folder.join("info/exclude"), excludes).unwrap();
        self.git(&["--git-dir", at, "--work-tree", ".", "add", "-A"]);
        let theirs = self.git(&["--git-dir", at, "--work-tree", ".", "write-tree"]);
        let found = hash(
            &self.root,
            Vcs::None,
            Limits { exclude: &Exclude::new(&[], &[]), apart: &[] },
            &AtomicBool::new(false),
            Surroundings::Bare,
            &mut nothing_kept(),
        );
        assert_eq!(found.id, theirs, "warnings: {:?}", found.warnings);
    }

    pub(super) fn ours(&self) -> Found {
        self.hashed(&AtomicBool::new(false))
    }

    /// Ours, where something is mounted at these.
    pub(super) fn ours_beside(&self, mounted: &[&str]) -> Found {
        let apart: Vec<PathBuf> = mounted.iter().map(|name| self.root.join(name)).collect();
        let limits = Limits { exclude: &Exclude::new(&[], &[]), apart: &apart };
        let stop = AtomicBool::new(false);
        hash(&self.root, Vcs::Git, limits, &stop, Surroundings::Bare, &mut nothing_kept())
    }

    pub(super) fn ours_stopped(&self) -> Found {
        self.hashed(&AtomicBool::new(true))
    }

    /// Ours, unless it takes longer than `limit`.
    pub(super) fn ours_within(&self, limit: Duration) -> Found {
        let (send, receive) = mpsc::channel();
        let root = self.root.clone();
        std::thread::spawn(move || {
            let limits = Limits { exclude: &Exclude::new(&[], &[]), apart: &[] };
            let stop = AtomicBool::new(false);
            send.send(hash(&root, Vcs::Git, limits, &stop, Surroundings::Bare, &mut nothing_kept())).unwrap();
        });
        receive.recv_timeout(limit).expect("hashing was held up")
    }

    fn hashed(&self, stop: &AtomicBool) -> Found {
        let (first, kept) = self.hashed_after(Kept::default(), Vcs::Git, stop);
        let (again, _) = self.hashed_after(kept, Vcs::Git, stop);
        assert_eq!((&first.id, &first.warnings), (&again.id, &again.warnings), "with what was kept");
        first
    }

    /// The hash by what was kept `before`, and what is kept after it.
    pub(super) fn hashed_after(&self, mut before: Kept, vcs: Vcs, stop: &AtomicBool) -> (Found, Kept) {
        // As if it were much later, so that every file that is read is kept.
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        let mut files = Files::new(Some(&mut before), later);
        let limits = Limits { exclude: &Exclude::new(&[], &[]), apart: &[] };
        let found = hash(&self.root, vcs, limits, stop, Surroundings::Bare, &mut files);
        (found, files.kept(None, None).unwrap_or_default())
    }

    /// Git's answer, from a copy of the index.
    pub(super) fn theirs(&self) -> String {
        let index = PathBuf::from(self.git(&["rev-parse", "--path-format=absolute", "--git-path", "index"]));
        let objects = self.git(&["rev-parse", "--path-format=absolute", "--git-path", "objects"]);
        let scratch = TempDir::new_in(self.place.path()).unwrap();
        let copy = scratch.path().join("index");
        if let Ok(content) = fs::read(&index) {
            fs::write(&copy, content).unwrap();
            // As old as the original, because git judges by it which files could have changed unseen.
            let written = fs::metadata(&index).unwrap().modified().unwrap();
            File::options().write(true).open(&copy).unwrap().set_modified(written).unwrap();
            for shared in fs::read_dir(index.parent().unwrap()).unwrap().map(Result::unwrap) {
                if shared.file_name().as_bytes().starts_with(b"sharedindex.") {
                    fs::copy(shared.path(), scratch.path().join(shared.file_name())).unwrap();
                }
            }
        }
        let new_objects = scratch.path().join("objects");
        fs::create_dir(&new_objects).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = self.command(arguments);
            command.env("GIT_INDEX_FILE", &copy).env("GIT_OBJECT_DIRECTORY", &new_objects);
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &objects);
            succeeded(arguments, command.output().unwrap())
        };
        run(&["-c", "advice.addEmbeddedRepo=false", "add", "-A"]);
        run(&["write-tree"])
    }

    /// Runs git in the root; it has to succeed. Returns what it says.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        succeeded(arguments, self.command(arguments).output().unwrap())
    }

    pub(super) fn git_may_fail(&self, arguments: &[&str]) {
        self.command(arguments).output().unwrap();
    }

    /// A repository with one commit, beside the root.
    pub(super) fn other_repository(&self, name: &str) -> PathBuf {
        let folder = self.place.path().canonicalize().unwrap().join(name);
        let at = folder.to_str().unwrap();
        self.git(&["init", "--quiet", at]);
        fs::write(folder.join("file"), "x").unwrap();
        self.git(&["-C", at, "add", "-A"]);
        self.git(&["-C", at, "commit", "--quiet", "-m", "first"]);
        folder
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.root).args(arguments).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin").env("HOME", self.place.path());
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_ATTR_NOSYSTEM", "1");
        command.env("GIT_CEILING_DIRECTORIES", self.place.path()).env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Somebody")
                .env(format!("GIT_{role}_EMAIL"), "somebody@example.org");
        }
        command
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        self.write_bytes(name, content.as_bytes());
    }

    pub(super) fn write_bytes(&self, name: &str, content: &[u8]) {
        self.write_bytes_at(name.as_bytes(), content);
    }

    pub(super) fn write_bytes_at(&self, name: &[u8], content: &[u8]) {
        let path = self.root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn append(&self, name: &str, content: &str) {
        let mut file = File::options().append(true).open(self.root.join(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.root.join(name)).unwrap();
    }

    pub(super) fn pipe(&self, name: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    }

    pub(super) fn executable(&self, name: &str, on: bool) {
        let mode = if on { 0o755 } else { 0o644 };
        fs::set_permissions(self.root.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    pub(super) fn set_time(&self, name: &str, time: SystemTime) {
        File::options().write(true).open(self.root.join(name)).unwrap().set_modified(time).unwrap();
    }

    /// Everything in git's folder.
    pub(super) fn git_folder_state(&self) -> Vec<Trace> {
        let mut state = Vec::new();
        let mut folders = vec![self.root.join(".git")];
        while let Some(folder) = folders.pop() {
            let metadata = fs::symlink_metadata(&folder).unwrap();
            let content = metadata.is_file().then(|| fs::read(&folder).unwrap());
            if metadata.is_dir() {
                folders.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
            }
            state.push(Trace {
                path: folder,
                inode: metadata.ino(),
                modified: metadata.mtime_nsec(),
                changed: metadata.ctime_nsec(),
                content,
            });
        }
        state.sort();
        state
    }
}

fn succeeded(arguments: &[&str], output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn nothing_kept() -> Files {
    Files::new(None, SystemTime::UNIX_EPOCH)
}
