//! What is told of a project when the file with what was found out of it before is not what was left there.
//!
//! The first byte says how the rest is to be taken: `f`, it is the file; `d`, it says what is done to the true file, as
//! for a database; `e`, the same, counted from its end; `s`, as `d`, and the checksum is made right again; `b`, it follows the true beginning, which names
//! the program and the project, and gets a right checksum; `p`, the file is the true one, and the rest is in the project
//! as one more file. However that may be, what is told is what is told without such a file; only where the checksum is
//! right may it be something else, for then somebody made the file to be believed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_scan::{Lookout, Options, Survey, Task, Turn, look};

use crate::client::now;
use crate::salvage::damage;

const FILES: &[(&str, &str)] = &[
    (".git/HEAD", "ref: refs/heads/main\n"),
    (".git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"),
    ("package.json", r#"{"name": "whole", "workspaces": ["packages/*"]}"#),
    ("packages/a/package.json", r#"{"name": "one", "dependencies": {"next": "15"}}"#),
    ("packages/a/index.ts", "export {}\n"),
    ("packages/b/package.json", r#"{"name": "other"}"#),
    ("src/main.rs", "fn main() {}\n"),
];
/// Is there only while the input is in it.
const ONE_MORE: &str = "src/more";
/// The sum is the last of the file.
const SUM: usize = 8;

const LONG: Duration = Duration::from_secs(20);

/// A project that rests, and what is kept of it.
struct Scene {
    options: Options,
    project: PathBuf,
    lookout: Lookout,
    file: PathBuf,
    /// What is in the file when nobody changed it.
    whole: Vec<u8>,
    /// How much of that names its format, the program and the project.
    head: usize,
    _folder: tempfile::TempDir,
}

static SCENE: LazyLock<Mutex<Scene>> = LazyLock::new(|| Mutex::new(Scene::new()));

pub(crate) fn run(data: &[u8]) {
    let mut scene = SCENE.lock().expect("one target runs at a time");
    let (how, rest) = data.split_first().map_or((b'f', data), |(how, rest)| (*how, rest));
    let mut file = match how {
        b'd' | b'e' | b's' | b'p' => scene.whole.clone(),
        b'b' => [&scene.whole[..scene.head], rest, &[0; SUM]].concat(),
        _ => rest.to_vec(),
    };
    if matches!(how, b'd' | b's') {
        damage(&mut file, rest);
    }
    if how == b'e' {
        file.reverse();
        damage(&mut file, rest);
        file.reverse();
    }
    if matches!(how, b's' | b'b') {
        seal(&mut file);
    }
    let one_more = (how == b'p').then(|| scene.project.join(ONE_MORE));
    if let Some(path) = &one_more {
        fs::write(path, rest).expect("there is room for a file");
    }
    scene.judge(&file, one_more.is_some());
    if let Some(path) = one_more {
        fs::remove_file(path).expect("it is ours");
    }
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let real = fs::canonicalize(folder.path()).expect("it is there");
        let (roots, kept) = (real.join("roots"), real.join("kept"));
        let project = roots.join("project");
        for (path, content) in FILES {
            let path = project.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&project)).expect("there is room for a folder");
            fs::write(path, content).expect("there is room for a file");
        }
        for folder in [".git/objects", ".git/refs/heads"] {
            fs::create_dir_all(project.join(folder)).expect("there is room for a folder");
        }
        let options = Options { roots: vec![roots], workspace_members: true, ..Options::default() };
        let mut lookout = Lookout::new(options.clone(), None, Some(kept.clone()));
        // A file that was written a moment ago is not kept yet.
        let begun = now();
        let (file, whole) = loop {
            turn(&mut lookout, &project);
            if let Some(found) = file_in(&kept).filter(|(_, content)| has_all(content)) {
                break found;
            }
            assert!(begun.elapsed() < LONG, "nothing is kept of what was read");
            std::thread::yield_now();
        };
        let head = 8 + 8 + 8 + project.as_os_str().len();
        Self { options, project, lookout, file, whole, head, _folder: folder }
    }

    fn judge(&mut self, file: &[u8], has_one_more: bool) {
        fs::write(&self.file, file).expect("there is room for a file");
        let begun = now();
        let told = turn(&mut self.lookout, &self.project);
        assert!(begun.elapsed() < LONG, "{} bytes took {:?}", file.len(), begun.elapsed());
        assert!(told.examined > 0, "the project was looked at");
        for sighting in &told.sightings {
            let is_inside = sighting.root.starts_with(&self.project);
            assert!(is_inside && !has_way_up(&sighting.root), "{} is elsewhere", sighting.root.display());
        }
        if is_sealed(file) && file != self.whole {
            return;
        }
        let truth = look(&self.options, std::slice::from_ref(&self.project), &AtomicBool::new(false));
        assert_eq!(told.sightings, truth.sightings, "what was found out before is not true any more");
        if !has_one_more {
            let healed = fs::read(&self.file).expect("it is kept again");
            assert!(healed == self.whole, "what is kept now is not what was kept at first");
        }
    }
}

fn turn(lookout: &mut Lookout, project: &Path) -> Survey {
    let task = Task::Paths(vec![project.to_path_buf()]);
    let seen = lookout.turn(&Turn { task, now_ms: 0, quiet_ms: 0, most_ms: 0 }, &AtomicBool::new(false));
    seen.surveys.into_iter().next().expect("it was asked to look")
}

/// The one file in a folder.
fn file_in(folder: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let path = fs::read_dir(folder).ok()?.next()?.ok()?.path();
    fs::read(&path).ok().map(|content| (path, content))
}

/// Whether every file of the project is in it. The members of the workspace are named there as well, but not theirs.
fn has_all(content: &[u8]) -> bool {
    let names = FILES.iter().map(|(path, _)| path.as_bytes()).filter(|path| !path.starts_with(b".git/"));
    names.into_iter().all(|name| content.windows(name.len()).any(|window| window == name))
}

fn has_way_up(path: &Path) -> bool {
    path.components().any(|part| part == std::path::Component::ParentDir)
}

fn sum(content: &[u8]) -> [u8; SUM] {
    let mut sum = DefaultHasher::new();
    sum.write(content);
    sum.finish().to_le_bytes()
}

fn seal(file: &mut [u8]) {
    if let Some((content, last)) = file.split_last_chunk_mut::<SUM>() {
        *last = sum(content);
    }
}

/// Whether the checksum is right, whoever saw to that.
fn is_sealed(file: &[u8]) -> bool {
    file.split_last_chunk::<SUM>().is_some_and(|(content, last)| *last == sum(content))
}
