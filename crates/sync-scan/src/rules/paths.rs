//! Tells by its path whether a file is somebody else's, made by a tool, or documentation.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Folders that hold others' work, wherever they are.
const VENDORED_FOLDERS: &[&str] = &[
    "node_modules",
    "bower_components",
    "vendor",
    "vendors",
    "third_party",
    "third-party",
    "thirdparty",
    "3rdparty",
    "3rd-party",
    "3rd_party",
    "ThirdParty",
    "Third-Party",
    "Third_Party",
    "dist",
    "deps",
    "extern",
    "external",
    "externals",
    "cache",
    "testdata",
    "Godeps",
    "Carthage",
    "Pods",
    "Sparkle",
    "MochiKit",
    "tiny_mce",
    "ckeditor",
    "codemirror",
    "mathjax",
    "MathJax",
    "bulma",
    "font-awesome",
    "fontawesome",
    ".yarn",
    ".mvn",
    ".github",
    ".gitlab",
    ".vscode",
    ".obsidian",
    ".teamcity",
    ".google_apis",
    ".venv",
    "venv",
    "__pypackages__",
    "site-packages",
    "admin_media",
    "jquery-ui",
    "cordova",
    "xvba_modules",
];

/// Folders that hold others' work when they are in the root.
const VENDORED_IN_ROOT: &[&str] = &["Dependencies", "dependencies", "debian", "rebar"];

const VENDORED_NAMES: &[&str] = &[
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    "configure",
    "config.guess",
    "config.sub",
    "aclocal.m4",
    "libtool.m4",
    "ltmain.sh",
    "install-sh",
    "missing",
    "depcomp",
    "compile",
    "waf",
    "run.n",
    "cpplint.py",
    "ez_setup.py",
    "modernizr.js",
    "less.js",
    "html5shiv.js",
    "raphael.js",
    "prototype.js",
    "controls.js",
    "dragdrop.js",
    "effects.js",
    "normalize.css",
    "animate.css",
    "foundation.css",
    "Vagrantfile",
    ".osx",
    "_esy",
    "d3.js",
    "Jenkinsfile.lock",
    "shBrush.js",
    "yahoo-dom-event.js",
    "skeleton.css",
    "proguard.pro",
    "proguard-rules.pro",
    ".pnp.js",
    ".pnp.cjs",
    ".pnp.loader.mjs",
];

const VENDORED_STARTS: &[(&str, &[&str])] = &[
    ("jquery", &[".js", ".css"]),
    ("bootstrap", &[".js", ".css", ".scss", ".less"]),
    ("react.", &[".js"]),
    ("react-", &[".js"]),
    ("angular.", &[".js"]),
    ("angular-", &[".js"]),
    ("modernizr-", &[".js"]),
    ("custom.bootstrap", &[".css"]),
    ("font-awesome", &[".css", ".scss", ".less"]),
    ("fontawesome", &[".css", ".js"]),
    ("tiny_mce", &[".js"]),
    ("d3.v", &[".js"]),
    ("gtest", &[".h", ".cc"]),
];

const DOCUMENTATION_IN_ROOT: &[&str] = &[
    "doc", "docs", "Doc", "Docs", "man", "Man", "examples", "Examples", "demo", "demos", "Demo", "Demos",
    "samples", "Samples",
];
const DOCUMENTATION_FOLDERS: &[&str] =
    &["documentation", "Documentation", "javadoc", "Javadoc", "groovydoc", "Groovydoc"];
const DOCUMENTATION_NAMES: &[&str] = &[
    "CHANGE",
    "CHANGES",
    "CHANGELOG",
    "CONTRIBUTING",
    "COPYING",
    "INSTALL",
    "LICENSE",
    "LICENCE",
    "README",
    "readme",
    "Readme",
];

const GENERATED_NAMES: &[&str] = &[
    "Gemfile.lock",
    "Cargo.lock",
    "Cargo.toml.orig",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "composer.lock",
    "poetry.lock",
    "pdm.lock",
    "uv.lock",
    "Pipfile.lock",
    "go.sum",
    "go.mod.lock",
    "flake.lock",
    "deno.lock",
    "bun.lock",
    "esy.lock",
    "mix.lock",
    "pubspec.lock",
    "Gopkg.lock",
    "glide.lock",
    "MODULE.bazel.lock",
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    ".terraform.lock.hcl",
];
const GENERATED_ENDS: &[&str] = &[
    ".min.js",
    "-min.js",
    ".min.css",
    "-min.css",
    ".js.map",
    ".css.map",
    ".pb.go",
    ".pb.cc",
    ".pb.h",
    ".pb.rs",
    "_pb2.py",
    "_pb2_grpc.py",
    "_pb.js",
    "_pb.ts",
    "_pb.rb",
    ".pb.swift",
    ".designer.cs",
    ".Designer.cs",
    ".Designer.vb",
    ".designer.vb",
    ".g.cs",
    ".feature.cs",
    ".nib",
    ".xib.lock",
    ".gql.d.ts",
    ".freezed.dart",
    ".g.dart",
    ".mocks.dart",
    ".generated.ts",
    ".generated.js",
];
const GENERATED_FOLDERS: &[&str] =
    &["node_modules", "__generated__", "Godeps", "generated-sources", ".xcodeproj"];

static VENDORED: LazyLock<HashSet<&str>> = LazyLock::new(|| VENDORED_FOLDERS.iter().copied().collect());

/// Whether the file is somebody else's.
pub(super) fn is_vendored(path: &str) -> bool {
    let (folders, name) = split(path);
    folders.clone().any(|folder| VENDORED.contains(folder))
        || folders.clone().next().is_some_and(|first| VENDORED_IN_ROOT.contains(&first))
        || is_fixture(folders)
        || VENDORED_NAMES.contains(&name)
        || [".min.js", "-min.js", ".min.css", "-min.css", "-vsdoc.js", ".d.ts"]
            .iter()
            .any(|end| name.ends_with(end) && (*end != ".d.ts" || path.contains("typings/")))
        || VENDORED_STARTS.iter().any(|(start, ends)| {
            name.starts_with(start) && ends.iter().any(|end| name.ends_with(end)) && is_versioned(name, start)
        })
}

/// Whether a tool made the file, as far as its path tells.
pub(super) fn is_generated(path: &str) -> bool {
    let (mut folders, name) = split(path);
    GENERATED_NAMES.contains(&name)
        || GENERATED_ENDS.iter().any(|end| name.ends_with(end))
        || folders.any(|folder| GENERATED_FOLDERS.contains(&folder))
}

/// Whether the file is documentation or an example.
pub(super) fn is_documentation(path: &str) -> bool {
    let (mut folders, name) = split(path);
    let stem = name.split('.').next().unwrap_or(name);
    folders.clone().next().is_some_and(|first| DOCUMENTATION_IN_ROOT.contains(&first))
        || folders.any(|folder| DOCUMENTATION_FOLDERS.contains(&folder))
        || DOCUMENTATION_NAMES.contains(&stem)
}

fn split(path: &str) -> (impl Iterator<Item = &str> + Clone, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder.split('/').filter(|part| !part.is_empty()), name)
}

// What only tests read: `test/fixtures/…`, `spec/fixtures/…`.
fn is_fixture<'a>(mut folders: impl Iterator<Item = &'a str>) -> bool {
    let first = folders
        .next()
        .is_some_and(|first| matches!(first, "test" | "Test" | "tests" | "spec" | "specs" | "Spec"));
    first && folders.next() == Some("fixtures")
}

// `jquery.js`, `jquery-3.1.js` and `jquery.ui.js` are copies; `jquerying.js` is a file of one's own.
fn is_versioned(name: &str, start: &str) -> bool {
    start.ends_with(['.', '-', 'v']) || name[start.len()..].starts_with(['.', '-', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_whose_a_file_is() {
        for (path, vendored, generated, documentation) in [
            ("src/main.rs", false, false, false),
            ("vendor/github.com/x/y.go", true, false, false),
            ("lib/node_modules/x/index.js", true, true, false),
            ("public/jquery-3.6.0.js", true, false, false),
            ("public/jquerying.js", false, false, false),
            ("js/app.min.js", true, true, false),
            ("gradlew", true, true, false),
            ("api/service.pb.go", false, true, false),
            ("docs/conf.py", false, false, true),
            ("src/docs/page.tsx", false, false, false),
            ("examples/a.py", false, false, true),
            ("README.md", false, false, true),
            ("src/readme_parser.rs", false, false, false),
            ("test/fixtures/a.js", true, false, false),
            ("pkg/testdata/a.go", true, false, false),
        ] {
            let found = (is_vendored(path), is_generated(path), is_documentation(path));
            assert_eq!(found, (vendored, generated, documentation), "{path}");
        }
    }
}
