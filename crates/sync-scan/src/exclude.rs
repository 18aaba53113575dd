//! Says which folders are never looked into: what package managers make, and what the user named.
//!
//! Only names and listings are judged, nothing is read from disk. Used by the walk between projects and by the
//! reading of folders that no version control answers for; inside a work tree git's own rules stand alone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Version-control folders: read when asked for by name, never walked.
const VERSION_CONTROL: &[&str] = &[".git", ".hg", ".svn", ".jj", ".bzr", "_darcs", ".fslckout", ".pijul"];

/// Names that only ever hold what a tool downloaded or made.
const ALWAYS: &[&str] = &[
    "node_modules",
    "bower_components",
    "jspm_packages",
    "web_modules",
    ".yarn",
    ".pnpm-store",
    ".npm",
    ".venv",
    "__pycache__",
    "__pypackages__",
    "site-packages",
    ".tox",
    ".nox",
    ".eggs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".gradle",
    ".terraform",
    ".direnv",
    ".dart_tool",
    ".pub-cache",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".turbo",
    ".parcel-cache",
    ".angular",
    ".stack-work",
    "elm-stuff",
    ".cache",
    ".rustup",
    ".m2",
    ".ivy2",
    ".nuget",
    ".gem",
    ".bundle",
    ".Trash",
    ".vscode-server",
    ".cursor-server",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
];

/// The last parts of paths that hold downloads or leavings, whatever is beside them.
const PLACES: &[&str] = &[
    ".cargo/registry",
    ".cargo/git",
    "pkg/mod",
    ".local/share/Trash",
    ".local/share/containers",
    ".local/lib",
    ".vscode/extensions",
    ".cursor/extensions",
    "Library/Caches",
    "Library/Containers",
    "Library/Developer",
    "Library/pnpm",
];

/// Common words that are leavings only beside one of the manifests that make them.
const BESIDE: &[(&str, &[&str])] = &[
    ("target", &["Cargo.toml", "pom.xml", "build.sbt", "project.clj", "deps.edn"]),
    ("vendor", &["composer.json", "go.mod", "Gemfile", "Cargo.toml"]),
    (
        "build",
        &[
            "build.gradle",
            "build.gradle.kts",
            "settings.gradle",
            "settings.gradle.kts",
            "CMakeLists.txt",
            "pubspec.yaml",
            "package.json",
            "pyproject.toml",
            "setup.py",
            "meson.build",
        ],
    ),
    ("dist", &["package.json", "pyproject.toml", "setup.py"]),
    ("env", PYTHON),
    ("venv", PYTHON),
    ("deps", &["mix.exs"]),
    ("_build", &["mix.exs", "rebar.config", "dune-project"]),
    ("Pods", &["Podfile"]),
    (".build", &["Package.swift"]),
    ("Carthage", &["Cartfile"]),
    ("zig-cache", &["build.zig"]),
    ("dist-newstyle", &["cabal.project"]),
];

const PYTHON: &[&str] =
    &["pyproject.toml", "requirements.txt", "setup.py", "setup.cfg", "Pipfile", "manage.py", "tox.ini"];

/// The folders and files that are not looked at.
#[derive(Debug)]
pub(crate) struct Exclude {
    /// The user's patterns, once per root, innermost root first.
    anchored: Vec<(PathBuf, Gitignore)>,
    /// The same patterns for what lies outside every root.
    elsewhere: Gitignore,
    refused: Vec<String>,
}

impl Exclude {
    /// Reads the user's patterns, which mean what they would in a `.gitignore` in each of `roots`.
    ///
    /// An absolute path below a root is understood as well.
    pub(crate) fn new(roots: &[PathBuf], patterns: &[String]) -> Self {
        let mut refused = Vec::new();
        let mut anchored: Vec<_> =
            roots.iter().map(|root| (root.clone(), compile(root, patterns, &mut refused))).collect();
        anchored.sort_by_key(|(root, _)| std::cmp::Reverse(root.components().count()));
        let elsewhere = compile(Path::new("/"), patterns, &mut refused);
        refused.sort();
        refused.dedup();
        Self { anchored, elsewhere, refused }
    }

    /// Whether the folder `path`, called `name`, is not to be looked into.
    ///
    /// `parent_has` tells whether the folder it lies in has an entry of the given name.
    pub(crate) fn prunes(&self, parent_has: &dyn Fn(&str) -> bool, name: &OsStr, path: &Path) -> bool {
        built_in(parent_has, name, path) || self.matcher(path).matched(path, true).is_ignore()
    }

    /// Whether the user's patterns leave out the file `path` itself; its folders were asked about before.
    pub(crate) fn leaves_out_file(&self, path: &Path) -> bool {
        self.matcher(path).matched(path, false).is_ignore()
    }

    /// The patterns that could not be read, each with the reason.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    fn matcher(&self, path: &Path) -> &Gitignore {
        self.anchored.iter().find(|(root, _)| path.starts_with(root)).map_or(&self.elsewhere, |(_, own)| own)
    }
}

/// Whether a file of this name can make a folder beside it one that is pruned.
pub(crate) fn is_maker(name: &str) -> bool {
    BESIDE.iter().any(|(_, makers)| makers.contains(&name))
}

/// Whether folders of this name are pruned wherever they are.
pub(crate) fn is_always_pruned(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| ALWAYS.contains(&name)) || is_version_control(name)
}

/// Whether a folder of this name is version control's own.
pub(crate) fn is_version_control(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| VERSION_CONTROL.contains(&name))
}

fn built_in(parent_has: &dyn Fn(&str) -> bool, name: &OsStr, path: &Path) -> bool {
    is_version_control(name) || is_made(parent_has, name, path)
}

/// Whether the folder `path`, called `name`, holds only what tools download or make, beside what `parent_has` tells of.
pub(crate) fn is_made(parent_has: &dyn Fn(&str) -> bool, name: &OsStr, path: &Path) -> bool {
    let Some(name) = name.to_str() else { return false };
    ALWAYS.contains(&name)
        || PLACES.iter().any(|place| place.ends_with(name) && path.ends_with(place))
        || BESIDE.iter().any(|(made, makers)| *made == name && makers.iter().any(|maker| parent_has(maker)))
}

fn compile(root: &Path, patterns: &[String], refused: &mut Vec<String>) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        let below = root.to_str().filter(|root| *root != "/").and_then(|root| pattern.strip_prefix(root));
        let line = below.filter(|rest| rest.starts_with('/')).unwrap_or(pattern);
        if let Err(error) = builder.add_line(None, line) {
            refused.push(format!("{pattern}: {error}"));
        }
    }
    builder.build().unwrap_or_else(|error| {
        refused.push(format!("{}: {error}", patterns.join(", ")));
        Gitignore::empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], parent: &[&str], path: &str, expected: bool) {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let exclude = Exclude::new(&[PathBuf::from("/home/u/code")], &patterns);
        let path = Path::new(path);
        let pruned = exclude.prunes(&|name| parent.contains(&name), path.file_name().unwrap(), path);
        assert_eq!(pruned, expected, "{} beside {parent:?} with {patterns:?}", path.display());
    }

    #[test]
    fn common_words_prune_only_beside_the_manifest_that_makes_them() {
        for (made, maker) in [
            ("target", "Cargo.toml"),
            ("vendor", "go.mod"),
            ("build", "build.gradle.kts"),
            ("env", "requirements.txt"),
            ("deps", "mix.exs"),
        ] {
            check(&[], &[maker, "src"], &format!("/home/u/code/p/{made}"), true);
            check(&[], &["src", "README"], &format!("/home/u/code/p/{made}"), false);
        }
        check(&[], &["package.json"], "/home/u/code/p/target", false);
    }

    #[test]
    fn what_package_managers_make_prunes_everywhere() {
        for path in [
            "/home/u/code/node_modules",
            "/x/.venv",
            "/home/u/.cargo/registry",
            "/home/u/go/pkg/mod",
            "/home/u/.local/share/Trash",
            "/home/u/code/p/.git",
        ] {
            check(&[], &[], path, true);
        }
        for path in ["/home/u/code/registry", "/home/u/.config", "/home/u/code/mod", "/home/u/code/packages"]
        {
            check(&[], &[], path, false);
        }
    }

    #[test]
    fn the_users_patterns_are_those_of_a_gitignore_in_the_root() {
        check(&["attic/"], &[], "/home/u/code/a/attic", true);
        check(&["/attic"], &[], "/home/u/code/attic", true);
        check(&["/attic"], &[], "/home/u/code/a/attic", false);
        check(&["a/*", "!a/keep"], &[], "/home/u/code/a/drop", true);
        check(&["a/*", "!a/keep"], &[], "/home/u/code/a/keep", false);
        check(&["/home/u/code/attic"], &[], "/home/u/code/attic", true);
        check(&["/elsewhere/attic"], &[], "/elsewhere/attic", true);
        check(&["*.bak"], &[], "/elsewhere/x.bak", true);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_named_and_the_others_hold() {
        let exclude =
            Exclude::new(&[PathBuf::from("/r")], &["a{b".to_owned(), "attic".to_owned(), "[z-a]".to_owned()]);
        let refused: Vec<_> = exclude.refused().iter().filter_map(|words| words.split(':').next()).collect();
        assert_eq!(refused, ["[z-a]", "a{b"]);
        assert!(exclude.prunes(&|_| false, OsStr::new("attic"), Path::new("/r/attic")));
        assert!(exclude.leaves_out_file(Path::new("/r/attic")));
    }
}
