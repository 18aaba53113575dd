//! Tells by its path whether a file is somebody else's, made by a tool, or documentation, as GitHub shows it.

/// Folders that hold others' work, wherever they are.
const VENDORED_FOLDERS: &[&str] = &[
    "cache",
    "dist",
    "node_modules",
    "bower_components",
    "testdata",
    "vendor",
    "vendors",
    "Vendor",
    "extern",
    "external",
    "externals",
    "Extern",
    "External",
    "Externals",
    "bootstrap-datepicker",
    "ace-builds",
    "MathJax",
    "admin_media",
    "env",
    "Carthage",
    "Sparkle",
    "puphpet",
    "Crashlytics.framework",
    "Fabric.framework",
    "BuddyBuildSDK.framework",
    "Realm.framework",
    "RealmSwift.framework",
    ".vscode",
    ".google_apis",
    ".github",
    ".obsidian",
    ".teamcity",
    "xvba_modules",
    "extjs",
];

/// The same, as one folder right in another.
const VENDORED_PAIRS: &[(&[&str], &[&str])] = &[
    (&[".yarn"], &["releases", "plugins", "sdks", "versions", "unplugged"]),
    (&["Godeps"], &["_workspace"]),
    (&["gradle", ".mvn"], &["wrapper"]),
    (&["inst"], &["extdata"]),
    (&["tiny_mce"], &["langs", "plugins", "themes", "utils"]),
    (
        &["CodeMirror", "codemirror", "codeMirror", "Codemirror"],
        &["lib", "mode", "theme", "addon", "keymap", "demo"],
    ),
    (
        &["doc", "docs"],
        &[
            "build",
            "_build",
            "theme",
            "_theme",
            "themes",
            "_themes",
            "template",
            "_template",
            "templates",
            "_templates",
            "static",
            "_static",
        ],
    ),
    (&["test", "tests", "Test", "Tests", "spec", "specs", "Spec", "Specs"], &["fixtures"]),
];

/// Folders that hold others' work when they are in the root.
const VENDORED_IN_ROOT: &[&str] = &["Dependencies", "dependencies", "debian", "deps"];

const VENDORED_NAMES: &[&str] = &[
    "configure",
    "config.guess",
    "config.sub",
    "dotnet-install.ps1",
    "dotnet-install.sh",
    "_esy",
    "run.n",
    "waf",
    ".osx",
    "fabfile.py",
    "Vagrantfile",
    "Jenkinsfile",
    ".gitpod.Dockerfile",
    "activator",
    "activator.bat",
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    "proguard.pro",
    "proguard-rules.pro",
    "effects.js",
    "controls.js",
    "dragdrop.js",
    "dojo.js",
    "MochiKit.js",
    "ckeditor.js",
    "Chart.js",
    "html5shiv.js",
    "shCore.js",
    "shLegacy.js",
    ".gitattributes",
    ".gitignore",
    ".gitmodules",
    "fuelux.js",
    "bootbox.js",
    "pdf.worker.js",
    "jquery.dataTables.js",
];

/// Names that only have to begin so.
const VENDORED_BEGINNINGS: &[&str] = &[
    "aclocal.m4",
    "libtool.m4",
    "ltoptions.m4",
    "ltsugar.m4",
    "ltversion.m4",
    "lt~obsolete.m4",
    "cpplint.py",
    "erlang.mk",
    ".indent.pro",
    "Control.FullScreen.",
    "leaflet.draw",
    "leaflet.spin.js",
    "wicket-leaflet.js",
];

const VENDORED_ENDS: &[&str] =
    &[".min.js", "-min.js", ".min.css", "-min.css", ".d.ts", "-vsdoc.js", ".intellisense.js"];

const STYLES: &[&str] = &["css", "less", "scss", "styl"];

/// Style sheets that are copies when they are called so.
const VENDORED_STYLES: &[&str] = &[
    "font-awesome",
    "fontawesome",
    "foundation",
    "normalize",
    "skeleton",
    "animate",
    "materialize",
    "bulma",
];

/// Scripts that are copies when their names begin so and what follows up to `.js` has no dot of its own.
const VENDORED_SCRIPTS: &[&str] = &[
    "jquery",
    "cordova",
    "yahoo-",
    "yui",
    "tiny_mce",
    "shBrush",
    "angular",
    "d3",
    "react-",
    "prototype",
    "fontello",
];

/// Scripts that are copies when nothing but a version follows the name.
const VERSIONED_SCRIPTS: &[&str] = &[
    "jquery-",
    "jquery-ui-",
    "modernizr-",
    "modernizr.custom.",
    "knockout-",
    "mootools",
    "cordova-",
    "d3.v",
];

/// Scripts that are copies when anything follows the name.
const PART_SCRIPTS: &[&str] = &[
    "jquery.ui.",
    "jquery.effects.",
    "jquery.fancybox",
    "jquery.fileupload",
    "jquery.validate",
    "foundation.",
    "slick.",
];

const GENERATED_NAMES: &[&str] = &[
    "Gopkg.lock",
    "glide.lock",
    "Package.resolved",
    "poetry.lock",
    "pdm.lock",
    "uv.lock",
    "pixi.lock",
    "deno.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "composer.lock",
    "Cargo.lock",
    "Cargo.toml.orig",
    "flake.lock",
    "MODULE.bazel.lock",
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    "Pipfile.lock",
    ".terraform.lock.hcl",
    ".secrets.baseline",
    "esy.lock",
    "mise.lock",
    "Gemfile.lock",
    "yarn.lock",
];
const GENERATED_ENDS: &[&str] = &[
    ".nib",
    ".xcworkspacedata",
    ".xcuserstate",
    ".designer.cs",
    ".designer.vb",
    ".feature.cs",
    ".js.map",
    ".css.map",
    ".zep.c",
    ".zep.h",
    ".zep.php",
    "_tlb.pas",
    ".pb.go",
    "_pb2.py",
    "_pb2_grpc.py",
    ".pb.cc",
    ".pb.h",
    ".freezed.dart",
    ".g.dart",
    ".mocks.dart",
];
const GENERATED_FOLDERS: &[&str] = &["node_modules", "__generated__", "Godeps", "Pods", ".idea", "htmlcov"];

const DOCUMENTATION_IN_ROOT: &[&str] = &[
    "doc", "docs", "Doc", "Docs", "man", "Man", "examples", "Examples", "demo", "demos", "Demo", "Demos",
    "sample", "samples", "Sample", "Samples",
];
const DOCUMENTATION_FOLDERS: &[&str] =
    &["documentation", "Documentation", "javadoc", "Javadoc", "groovydoc", "Groovydoc"];
const DOCUMENTATION_NAMES: &[&str] = &[
    "CHANGE",
    "CHANGES",
    "CHANGELOG",
    "CITATION",
    "CITATIONS",
    "CONTRIBUTING",
    "COPYING",
    "INSTALL",
    "LICENSE",
    "LICENCE",
    "License",
    "Licence",
    "license",
    "licence",
    "README",
    "readme",
    "Readme",
];

/// Whether the file is somebody else's.
pub(super) fn is_vendored(path: &str) -> bool {
    let (folders, name) = split(path);
    folders.clone().any(is_vendored_folder)
        || pairs(path).any(|(outer, inner)| {
            VENDORED_PAIRS.iter().any(|(outers, inners)| outers.contains(&outer) && inners.contains(&inner))
        })
        || folders.clone().next().is_some_and(|first| VENDORED_IN_ROOT.contains(&first))
        || path == "rebar"
        || VENDORED_NAMES.contains(&name)
        || VENDORED_BEGINNINGS.iter().any(|begin| name.starts_with(begin))
        || VENDORED_ENDS.iter().any(|end| name.ends_with(end))
        || is_copied_style(path, name)
        || is_copied_script(path, name)
}

fn is_vendored_folder(folder: &str) -> bool {
    let lower = folder.to_ascii_lowercase();
    let third = ["party", "_party", "-party"].iter().any(|party| {
        lower.strip_suffix(party).is_some_and(|rest| rest.ends_with("third") || rest.ends_with("3rd"))
    });
    third
        || VENDORED_FOLDERS.contains(&folder)
        || folder.ends_with(".xctemplate")
        || folder.ends_with(".imageset")
}

fn is_copied_style(path: &str, name: &str) -> bool {
    let Some((stem, end)) = name.rsplit_once('.') else { return false };
    let is_style = STYLES.contains(&end);
    let first = stem.split('.').next().unwrap_or(stem);
    (first.starts_with("bootstrap") && (is_style || end == "js"))
        || (is_style
            && (VENDORED_STYLES.contains(&stem)
                || stem.ends_with("import")
                || stem.starts_with("custom.bootstrap")))
        || (is_style
            && ["font-awesome/", "fontawesome/", "bourbon/", "Bourbon/", "select2/"]
                .iter()
                .any(|folder| within(path, folder)))
        || (stem == "materialize" && end == "js")
        || (stem == "bulma" && end == "sass")
        || (first.starts_with("fontello") && end == "css")
}

fn is_copied_script(path: &str, name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".js") else { return false };
    let plain = VENDORED_SCRIPTS.iter().any(|begin| stem.starts_with(begin) && !stem.contains('.'));
    plain
        || stem == "react"
        || VERSIONED_SCRIPTS.iter().any(|begin| stem.strip_prefix(begin).is_some_and(is_version))
        || PART_SCRIPTS.iter().any(|begin| stem.starts_with(begin))
        || within(path, "flow-typed/")
        || within(path, "select2/")
}

fn is_version(words: &str) -> bool {
    !words.is_empty() && words.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether a folder of the path is called so.
fn within(path: &str, folder: &str) -> bool {
    path.starts_with(folder) || path.match_indices(folder).any(|(at, _)| path[..at].ends_with('/'))
}

/// Whether a tool made the file, as far as its path tells.
pub(super) fn is_generated(path: &str) -> bool {
    let (mut folders, name) = split(path);
    let lower = name.to_ascii_lowercase();
    GENERATED_NAMES.contains(&name)
        || GENERATED_ENDS.iter().any(|end| lower.ends_with(end))
        || name.starts_with(".pnp.")
        || is_package_list(name)
        || folders.any(|folder| GENERATED_FOLDERS.contains(&folder))
        || pairs(path).any(|(outer, inner)| {
            (outer, inner) == ("Carthage", "Build") || (outer == "vendor" && is_domain(inner))
        })
}

/// Julia's `Manifest.toml`, also for a version of the language.
fn is_package_list(name: &str) -> bool {
    let rest = name.strip_prefix("Julia").unwrap_or(name).strip_prefix("Manifest");
    rest.and_then(|rest| rest.strip_suffix(".toml"))
        .is_some_and(|version| version.is_empty() || version.starts_with("-v"))
}

/// Go keeps what it depends on in `vendor`, in folders that are called like hosts.
fn is_domain(folder: &str) -> bool {
    folder
        .rsplit_once('.')
        .is_some_and(|(_, last)| ["com", "edu", "gov", "in", "me", "net", "org", "fm", "io"].contains(&last))
}

/// Whether the file is documentation or an example.
pub(super) fn is_documentation(path: &str) -> bool {
    let (mut folders, name) = split(path);
    let stem = name.split('.').next().unwrap_or(name);
    folders.clone().next().is_some_and(|first| DOCUMENTATION_IN_ROOT.contains(&first))
        || folders.any(|folder| DOCUMENTATION_FOLDERS.contains(&folder))
        || pairs(path).any(|pair| pair == ("inst", "doc"))
        || DOCUMENTATION_NAMES.contains(&stem)
}

fn split(path: &str) -> (impl Iterator<Item = &str> + Clone, &str) {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    (folder.split('/').filter(|part| !part.is_empty()), name)
}

/// Each folder of the path with the one in it.
fn pairs(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let (folders, _) = split(path);
    folders.clone().zip(folders.skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_whose_a_file_is() {
        for (path, vendored, generated, documentation) in [
            ("src/main.rs", false, false, false),
            ("vendor/github.com/x/y.go", true, true, false),
            ("vendor/rails/y.rb", true, false, false),
            ("lib/node_modules/x/index.js", true, true, false),
            ("public/jquery-3.6.0.js", true, false, false),
            ("public/jquery.js", true, false, false),
            ("public/jquery-3.2.0.slim.js", false, false, false),
            ("public/my-jquery.js", false, false, false),
            ("js/app.min.js", true, false, false),
            ("gradlew", true, true, false),
            ("api/service.pb.go", false, true, false),
            ("docs/conf.py", false, false, true),
            ("src/docs/page.tsx", false, false, false),
            ("src/docs/static/page.tsx", true, false, false),
            ("examples/a.py", false, false, true),
            ("README.md", false, false, true),
            ("src/readme_parser.rs", false, false, false),
            ("test/fixtures/a.js", true, false, false),
            ("pkg/tests/fixtures/a.js", true, false, false),
            ("pkg/testdata/a.go", true, false, false),
            ("libs/my_third_party/a.c", true, false, false),
            ("3rdparty/a.c", true, false, false),
            ("deps/a.c", true, false, false),
            ("src/deps/a.c", false, false, false),
            ("src/types/index.d.ts", true, false, false),
            (".github/workflows/a.js", true, false, false),
            ("css/bootstrap.rtl.css", true, false, false),
            ("css/boot.css", false, false, false),
            ("Manifest.toml", false, true, false),
            ("R/inst/doc/a.R", false, false, true),
            ("html/htmlcov/a.js", false, true, false),
            ("LICENSE-MIT", false, false, false),
        ] {
            let found = (is_vendored(path), is_generated(path), is_documentation(path));
            assert_eq!(found, (vendored, generated, documentation), "{path}");
        }
    }
}
