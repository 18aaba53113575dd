//! Reads the manifests of a project's root, or of one of its folders, and asks the rules what they say.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use sync_core::{ProjectKind, folder_name};

use super::read;
use crate::evidence::{Evidence, Proof};
use crate::rules::framework::{Answer, Rules, framework};
use crate::rules::glob;
use crate::rules::kind::workspaces;
use crate::rules::manifest::{LONGEST_MANIFEST, Manifests};
use crate::rules::name;

/// Most folders below the root that are asked for a framework when the root has no manifest.
const MOST_FOLDERS: usize = 32;
/// Most files besides manifests whose beginning is read for each pattern of the rules.
const MOST_BEGINNINGS: usize = 16;
/// How much of such a file is read.
const LONGEST_BEGINNING: u64 = 16 << 10;
/// Most manifests in one folder: nobody has more than a few.
const MOST_MANIFESTS: usize = 64;

/// The paths of the project's files that are text, sorted.
pub(super) struct Files<'a>(Vec<&'a str>);

impl<'a> Files<'a> {
    pub(super) fn of(paths: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut paths: Vec<&str> = paths.filter_map(|path| std::str::from_utf8(path).ok()).collect();
        paths.sort_unstable();
        Self(paths)
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
        folders.dedup();
        folders
    }
}

/// The project as its manifests tell it.
pub(super) struct Told {
    pub(super) name: String,
    pub(super) framework: String,
    pub(super) kind: ProjectKind,
}

/// Asks the manifests of the project at `root` and writes down what they show.
pub(super) fn ask(
    root: &Path,
    files: &Files<'_>,
    submodules: &[PathBuf],
    rules: &Rules,
    evidence: &mut Evidence,
    warnings: &mut Vec<String>,
) -> Told {
    let manifests = read_in(root, "", files, warnings);
    let name = if let Some((name, file)) = name::name(&manifests) {
        evidence.project_name = Proof::by("the name the manifest gives").in_file(file);
        name
    } else {
        evidence.project_name = Proof::by("the folder's name: no manifest gives one");
        folder_name(root)
    };
    let framework = main_framework(root, &manifests, files, rules, evidence, warnings);
    let kind = kind(root, &manifests, files, submodules, evidence, warnings);
    Told { name, framework, kind }
}

fn read_in(root: &Path, folder: &str, files: &Files<'_>, warnings: &mut Vec<String>) -> Manifests {
    let below = files.below(folder);
    let wanted = below.iter().filter(|name| Manifests::is_wanted(name)).map(|name| (*name).to_owned());
    let mut manifests = Manifests::default();
    manifests.add(read_all(root, folder, wanted, warnings));
    let parts = manifests.parts().into_iter().filter(|part| below.binary_search(&part.as_str()).is_ok());
    manifests.add(read_all(root, folder, parts, warnings));
    warnings.extend(manifests.problems().iter().map(|problem| format!("{folder}{problem}")));
    manifests
}

fn read_all(
    root: &Path,
    folder: &str,
    names: impl Iterator<Item = String>,
    warnings: &mut Vec<String>,
) -> Vec<(String, Vec<u8>)> {
    let mut read = Vec::new();
    for (at, name) in names.enumerate() {
        if at == MOST_MANIFESTS {
            warnings.push(format!("{folder}{name} and those after it are not read: too many manifests"));
            break;
        }
        match inside(root, &root.join(folder).join(&name))
            .and_then(|path| read::whole(&path, LONGEST_MANIFEST))
        {
            Ok(content) => read.extend(content.map(|content| (name, content))),
            // Gone since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => warnings.push(format!("{folder}{name} cannot be read: {error}")),
        }
    }
    read
}

/// Where a file of the project really is. What a link names outside is nobody's business here: it could be anything of
/// this user's.
fn inside(root: &Path, path: &Path) -> Result<PathBuf> {
    let real = path.canonicalize()?;
    if real.starts_with(root.canonicalize()?) {
        return Ok(real);
    }
    Err(Error::new(ErrorKind::InvalidInput, "a link that leads out of the project is not followed"))
}

/// The files besides manifests that the rules want to look into, with how they begin.
fn beginnings(rules: &Rules, root: &Path, folder: &str, below: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pattern in rules.looked_into() {
        let matching = below.iter().filter(|file| glob::matches(pattern, file)).take(MOST_BEGINNINGS);
        for file in matching {
            // One that cannot be read shows nothing; the content hash tells of it.
            let path = inside(root, &root.join(folder).join(file));
            if let Ok(head) = path.and_then(|path| read::head(&path, LONGEST_BEGINNING)) {
                found.push(((*file).to_owned(), String::from_utf8_lossy(&head).into_owned()));
            }
        }
    }
    found
}

fn main_framework(
    root: &Path,
    manifests: &Manifests,
    files: &Files<'_>,
    rules: &Rules,
    evidence: &mut Evidence,
    warnings: &mut Vec<String>,
) -> String {
    let answer = framework(rules, manifests, &files.0, &beginnings(rules, root, "", &files.0));
    if !manifests.is_empty() || answer.first.is_some() {
        evidence.framework = proof(&answer, "");
        return answer.slug().to_owned();
    }
    // Without a manifest in the root the folders below are asked, and believed when all say the same.
    let folders = files.folders_with_manifest();
    if folders.len() > MOST_FOLDERS {
        let many = format!("no manifest in the root, and too many folders below have one: {}", folders.len());
        evidence.framework = Proof::by(many);
        return String::new();
    }
    if folders.is_empty() {
        evidence.framework = Proof::by("no manifest in the root or right below it");
        return String::new();
    }
    let mut answers = Vec::new();
    for folder in folders {
        let manifests = read_in(root, &folder, files, warnings);
        let below = files.below(&folder);
        let answer = framework(rules, &manifests, &below, &beginnings(rules, root, &folder, &below));
        answers.push((folder, answer));
    }
    let first = answers.first().map_or("", |(_, answer)| answer.slug());
    if answers.iter().all(|(_, answer)| answer.slug() == first) {
        let mut shown = Proof::by("no manifest in the root, and all folders below that have one agree");
        for (folder, answer) in &answers {
            let one = proof(answer, folder);
            shown.files.extend(one.files);
            shown.found.extend(one.found);
        }
        evidence.framework = shown;
        return first.to_owned();
    }
    let mut shown = Proof::by("no manifest in the root, and the folders below do not agree");
    shown.left_out = answers
        .iter()
        .map(|(folder, answer)| {
            format!("{folder} is {}", if answer.slug().is_empty() { "none" } else { answer.slug() })
        })
        .collect();
    evidence.framework = shown;
    String::new()
}

fn proof(answer: &Answer<'_>, folder: &str) -> Proof {
    let mut shown = match &answer.first {
        Some(held) => {
            let mut rule = format!("{}: the rule of rank {}", held.rule.name, held.rule.rank);
            if !held.rule.origin.is_empty() {
                rule = format!("{rule} in {}", held.rule.origin);
            }
            let shown = Proof::by(rule).seeing(format!("{folder}{}", held.because));
            if held.file.is_empty() { shown } else { shown.in_file(format!("{folder}{}", held.file)) }
        }
        None => Proof::by("no rule holds for the manifests and files of the root"),
    };
    shown.left_out = answer
        .outranked
        .iter()
        .map(|held| format!("{}: {}, but its rank is {}", held.rule.slug, held.because, held.rule.rank))
        .chain(answer.nearly.iter().cloned())
        .collect();
    shown
}

fn kind(
    root: &Path,
    manifests: &Manifests,
    files: &Files<'_>,
    submodules: &[PathBuf],
    evidence: &mut Evidence,
    warnings: &mut Vec<String>,
) -> ProjectKind {
    let mut too_few = Vec::new();
    for workspace in workspaces(manifests) {
        warnings.extend(workspace.warning());
        // Members may be submodules, whose files are not the project's own.
        let inside: Vec<String> = submodules
            .iter()
            .filter_map(|path| path.strip_prefix(root).ok()?.to_str())
            .flat_map(|folder| workspace.manifests.iter().map(move |name| format!("{folder}/{name}")))
            .filter(|path| root.join(path).is_file())
            .collect();
        let there = files.0.iter().copied().chain(inside.iter().map(String::as_str));
        let packages = workspace.packages(there);
        if packages.len() >= 2 {
            let rule = format!("{} workspace of {} packages", workspace.system, packages.len());
            evidence.project_type = Proof::by(rule).in_file(workspace.file);
            evidence.members = packages.into_iter().map(str::to_owned).collect();
            return ProjectKind::Monorepo;
        }
        too_few.push(format!(
            "{} declares a {} workspace, of which {} is there",
            workspace.file,
            workspace.system,
            match packages.len() {
                0 => "no package",
                _ => "one package",
            }
        ));
    }
    evidence.project_type = Proof::by("no workspace of two packages or more is declared");
    evidence.project_type.left_out = too_few;
    ProjectKind::Standalone
}
