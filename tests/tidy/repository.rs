//! What the rules look at: the files of the repository and what cargo says about its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// A text file of the repository.
pub(crate) struct Source {
    /// The path from the repository's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

/// A package of the workspace with the names of what it depends on, tests aside.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) needs: BTreeSet<String>,
}

impl Package {
    pub(crate) fn new(name: &str, needs: &[&str]) -> Self {
        Self { name: name.to_owned(), needs: needs.iter().map(|need| (*need).to_owned()).collect() }
    }
}

/// Every text file that is kept in the repository.
pub(crate) static FILES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut files = Vec::new();
    collect(&root(), &root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
});

/// What cargo says of the workspace's own packages.
pub(crate) static MANIFESTS: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo runs")
});

/// What is linked with what on this platform, by package, tests aside.
pub(crate) static LINKED: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(linked);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in a folder of the repository")
        .to_owned()
}

/// The Rust sources.
pub(crate) fn rust() -> impl Iterator<Item = &'static Source> {
    FILES.iter().filter(|file| Path::new(&file.path).extension().is_some_and(|extension| extension == "rs"))
}

/// The file at a path from the root.
pub(crate) fn file(path: &str) -> Option<&'static Source> {
    FILES.iter().find(|file| file.path == path)
}

/// The workspace's packages with their direct dependencies, tests aside.
pub(crate) fn packages() -> Vec<Package> {
    let needs = |package: &cargo_metadata::Package| {
        let dependencies = package.dependencies.iter();
        let dependencies = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
        dependencies.map(|dependency| dependency.name.clone()).collect()
    };
    let packages = MANIFESTS.workspace_packages();
    packages
        .into_iter()
        .map(|package| Package { name: package.name.to_string(), needs: needs(package) })
        .collect()
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("the repository can be read") {
        let path = entry.expect("the repository can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // What is built or fetched, and trees that stand for somebody else's sources.
        if matches!(name, ".git" | "target" | "node_modules" | "__pycache__" | "trees" | "Cargo.lock") {
            continue;
        }
        if path.is_dir() {
            collect(&path, root, files);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).expect("it is below the root");
            files.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

fn linked() -> BTreeMap<String, BTreeSet<String>> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host =
        rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned();
    // Only this platform's packages were fetched by the build that made this test.
    let options = ["--filter-platform".to_owned(), host, "--locked".to_owned()];
    let mut command = MetadataCommand::new();
    let metadata =
        command.manifest_path(root().join("Cargo.toml")).other_options(options).exec().expect("cargo runs");
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in &metadata.resolve.as_ref().expect("cargo resolves the workspace").nodes {
        let needs = linked.entry(names[&node.id].to_owned()).or_default();
        for dependency in &node.deps {
            if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                needs.insert(names[&dependency.pkg].to_owned());
            }
        }
    }
    linked
}
