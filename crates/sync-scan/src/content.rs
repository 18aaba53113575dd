//! Says what a project is: its name, kind, language, framework and the hash of what it holds.
//!
//! Reads and never writes, starts no program, and looks at `stop` between files. What could not be read or told is a
//! warning in words, never a lost project. Called by the survey once per project.

mod hash;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use sync_core::{ProjectKind, Vcs, folder_name};

use crate::exclude::Exclude;
use crate::rules::framework::framework;
use crate::rules::kind::workspaces;
use crate::rules::language::{self, Guess, Overrides, Split};
use crate::rules::manifest::{LONGEST_MANIFEST, Manifests};
use crate::rules::name;
use crate::shelf::{Files as KeptFiles, Shelf, Told};
use hash::{Entry, Found, Mode, Surroundings};

/// Most files whose beginning is read to tell their language.
const MOST_HEADS: usize = 4_096;
/// Most folders below the root that are asked for a framework when the root has no manifest.
const MOST_FOLDERS: usize = 32;

/// What was found out about one project.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Examined {
    /// The manifest's name, else the folder's.
    pub(crate) name: String,
    /// GitHub Linguist's name of the main language, or empty.
    pub(crate) language: String,
    /// The framework's slug, or empty.
    pub(crate) framework: String,
    /// Lower-case hex id of the tree `git add -A && git write-tree` would make, or empty when it could not be told.
    pub(crate) content_hash: String,
    /// How it stands to others.
    pub(crate) kind: ProjectKind,
    /// Submodules that are checked out, absolute.
    pub(crate) submodules: Vec<PathBuf>,
    /// Repositories inside that are no submodules of it, absolute.
    pub(crate) nested: Vec<PathBuf>,
    /// The folders in it that are not ignored, absolute, but the root; at most one more than are ever watched.
    pub(crate) folders: Vec<PathBuf>,
    /// When what differs from the index was last written, in seconds since 1970; 0 when nothing does.
    pub(crate) newest: i64,
    /// What could not be read or told, for people.
    pub(crate) warnings: Vec<String>,
}

/// Finds out what the project at `root` is; what was found out before is on the `shelf`, and left there.
pub(crate) fn examine(
    root: &Path,
    vcs: Vcs,
    exclude: &Exclude,
    stop: &AtomicBool,
    shelf: Option<&Shelf>,
) -> Examined {
    examine_in(root, vcs, exclude, stop, Surroundings::Usual, shelf)
}

fn examine_in(
    root: &Path,
    vcs: Vcs,
    exclude: &Exclude,
    stop: &AtomicBool,
    surroundings: Surroundings,
    shelf: Option<&Shelf>,
) -> Examined {
    let mut kept = shelf.map(|shelf| shelf.open(root));
    let before = kept.as_mut().and_then(|kept| kept.told.take());
    let mut files = KeptFiles::new(kept.as_mut(), wall_clock());
    let mut found = hash::hash(root, vcs, exclude, stop, surroundings, &mut files);
    let told = match before.as_ref().filter(|told| is_same(told, &found)) {
        Some(told) => told.clone(),
        None => tell(root, vcs, &mut found, stop),
    };
    if let Some(shelf) = shelf.filter(|_| !stop.load(Ordering::Relaxed)) {
        let is_whole = !told.content_hash.is_empty() && found.warnings.is_empty();
        if let Some(kept) = files.kept(before.as_ref(), is_whole.then(|| told.clone())) {
            shelf.put(root, &kept);
        }
    }
    let Found { submodules, nested, folders, newest, warnings, .. } = found;
    Examined {
        name: told.name,
        language: told.language,
        framework: told.framework,
        content_hash: told.content_hash,
        kind: ProjectKind::from_word(&told.kind).unwrap_or_default(),
        submodules,
        nested,
        folders: folders.iter().skip(1).map(|folder| root.join(OsStr::from_bytes(folder))).collect(),
        newest,
        warnings,
    }
}

/// Whether everything that was told of the content then holds of what was found now.
fn is_same(told: &Told, found: &Found) -> bool {
    // Where submodules are, their files count for the kind and are not in the hash.
    told.content_hash == found.id && found.warnings.is_empty() && found.submodules.is_empty()
}

fn tell(root: &Path, vcs: Vcs, found: &mut Found, stop: &AtomicBool) -> Told {
    let files = Files::of(&found.entries);
    let manifests = manifests_in(root, "", &files, &mut found.warnings);
    Told {
        name: name::name(&manifests).unwrap_or_else(|| folder_name(root)),
        language: main_language(root, &found.entries, stop).unwrap_or_default().to_owned(),
        framework: main_framework(root, &manifests, &files, &mut found.warnings),
        content_hash: found.id.clone(),
        kind: kind(root, vcs, &manifests, &files, &found.submodules).as_str().to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "compared with time stamps of files, which are the system's")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The paths of the project's files that are text.
struct Files<'a>(Vec<&'a str>);

impl<'a> Files<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        Self(entries.iter().filter_map(|entry| std::str::from_utf8(&entry.path).ok()).collect())
    }

    /// What is in `folder`, which is empty or ends in a slash; paths are from there.
    fn below(&self, folder: &str) -> Vec<&'a str> {
        self.0.iter().filter_map(|path| path.strip_prefix(folder)).collect()
    }

    /// The folders of the root that have a manifest.
    fn folders_with_manifest(&self) -> Vec<String> {
        let mut folders: Vec<String> = self
            .0
            .iter()
            .filter_map(|path| path.split_once('/'))
            .filter(|(_, name)| !name.contains('/') && Manifests::is_wanted(name))
            .map(|(folder, _)| format!("{folder}/"))
            .collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

fn manifests_in(root: &Path, folder: &str, files: &Files<'_>, warnings: &mut Vec<String>) -> Manifests {
    let mut read = Vec::new();
    for path in &files.0 {
        let Some(name) =
            path.strip_prefix(folder).filter(|name| !name.contains('/') && Manifests::is_wanted(name))
        else {
            continue;
        };
        match read::whole(&root.join(path), LONGEST_MANIFEST) {
            Ok(content) => read.extend(content.map(|content| ((*name).to_owned(), content))),
            Err(error) => warnings.push(format!("{path} cannot be read: {error}")),
        }
    }
    let manifests = Manifests::read(read);
    warnings.extend(manifests.problems().iter().map(|problem| format!("{folder}{problem}")));
    manifests
}

fn main_framework(
    root: &Path,
    manifests: &Manifests,
    files: &Files<'_>,
    warnings: &mut Vec<String>,
) -> String {
    if !manifests.is_empty() {
        return framework(manifests, &files.0).map_or_else(String::new, |found| found.slug.clone());
    }
    if let Some(found) = framework(manifests, &files.0) {
        return found.slug.clone();
    }
    // Without a manifest in the root the folders below are asked, and believed when all say the same.
    let folders = files.folders_with_manifest();
    if folders.len() > MOST_FOLDERS {
        return String::new();
    }
    let mut slugs: Vec<String> = Vec::new();
    for folder in folders {
        let manifests = manifests_in(root, &folder, files, warnings);
        let found = framework(&manifests, &files.below(&folder));
        slugs.push(found.map_or_else(String::new, |found| found.slug.clone()));
    }
    slugs.dedup();
    if slugs.len() == 1 { slugs.remove(0) } else { String::new() }
}

fn kind(
    root: &Path,
    vcs: Vcs,
    manifests: &Manifests,
    files: &Files<'_>,
    submodules: &[PathBuf],
) -> ProjectKind {
    if vcs == Vcs::Git && is_submodule(root) {
        return ProjectKind::Submodule;
    }
    let many = workspaces(manifests).iter().any(|workspace| {
        // Members may be submodules, whose files are not the project's own.
        let inside: Vec<String> = submodules
            .iter()
            .filter_map(|path| path.strip_prefix(root).ok()?.to_str())
            .flat_map(|folder| workspace.manifests.iter().map(move |name| format!("{folder}/{name}")))
            .filter(|path| root.join(path).is_file())
            .collect();
        workspace.packages(files.0.iter().copied().chain(inside.iter().map(String::as_str))) >= 2
    });
    if many { ProjectKind::Monorepo } else { ProjectKind::Standalone }
}

/// Whether the git folder lies among those a superproject keeps for its submodules.
fn is_submodule(root: &Path) -> bool {
    if !std::fs::symlink_metadata(root.join(".git")).is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let Some(folder) = hash::git_folder(root).and_then(|folder| folder.canonicalize().ok()) else {
        return false;
    };
    let names: Vec<_> = folder
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect();
    // A superproject's linked work tree keeps its submodules in a folder of its own.
    let kept = names.iter().rposition(|name| *name == "modules" || *name == "worktrees");
    kept.is_some_and(|at| names[at] == "modules" && names[..at].iter().any(|name| *name == ".git"))
}

fn main_language(root: &Path, entries: &[Entry], stop: &AtomicBool) -> Option<&'static str> {
    let mut split = Split::default();
    let mut open: BTreeMap<usize, Guess> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
        if entry.size == 0 || entry.mode == Mode::Link {
            continue;
        }
        let marks = entry.marks.as_deref();
        let overrides = marks.map_or_else(Overrides::default, |marks| Overrides {
            vendored: marks.vendored,
            generated: marks.generated,
            documentation: marks.documentation,
            detectable: marks.detectable,
        });
        let given = marks.and_then(|marks| language::named(marks.language.as_deref()?));
        let guess =
            given.map_or_else(|| language::guess(path, entry.mode == Mode::Executable), Guess::Certain);
        if guess == Guess::None || !language::counts(path, &overrides) {
            continue;
        }
        match guess {
            Guess::Certain(language) => split.add(language, entry.size),
            Guess::Open(..) | Guess::Nameless | Guess::None => {
                open.insert(at, guess);
            }
        }
    }
    let certain = split.clone();
    for (at, guess) in open.iter().take(MOST_HEADS) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let entry = &entries[*at];
        let path = root.join(std::str::from_utf8(&entry.path).unwrap_or_default());
        let Ok(head) = read::head(&path, language::LONGEST_HEAD) else { continue };
        if let Some(language) = language::by_content(guess, &head, &|language| certain.has(language)) {
            split.add(language, entry.size);
        }
    }
    split.first()
}
