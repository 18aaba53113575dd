//! Whole projects, looked at as the survey does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use sync_core::{ProjectKind, Vcs};
use tempfile::TempDir;

use super::hash::Limits;
use super::{Examined, Means, Surroundings, examine_in};
use crate::exclude::Exclude;
use crate::rules::framework::Rules;
use crate::shelf::{Files, Shelf};

struct Project {
    _place: TempDir,
    root: PathBuf,
}

fn project(files: &[(&str, &str)]) -> Project {
    let place = TempDir::new().unwrap();
    let root = place.path().canonicalize().unwrap().join("the-folder");
    fs::create_dir(&root).unwrap();
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    Project { _place: place, root }
}

fn examined(root: &Path, vcs: Vcs) -> Examined {
    let (exclude, rules) = (Exclude::new(&[], &[]), Rules::built_in());
    let means =
        Means { exclude: &exclude, rules: &rules, shelf: None, asked: None, members: false, apart: &[] };
    examine_in(root, vcs, means, &AtomicBool::new(false), Surroundings::Bare)
}

/// Name, language, framework and kind of a folder with these files.
fn check(files: &[(&str, &str)], expected: (&str, &str, &str, ProjectKind)) {
    let project = project(files);
    let found = examined(&project.root, Vcs::None);
    let told = (found.name.as_str(), found.language.as_str(), found.framework.as_str(), found.kind);
    assert_eq!(told, expected, "{files:?}: {:?}", found.warnings);
    assert_eq!(found.content_hash.len(), 40);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

const ROUTES: &str = "export default function Page() { return null }\n";

#[test]
fn a_project_is_told_by_its_manifest_and_its_files() {
    let next = r#"{"name": "shop", "dependencies": {"next": "15", "react": "19"}}"#;
    check(
        &[("package.json", next), ("app/page.tsx", ROUTES), ("styles.css", "a {}")],
        ("shop", "TypeScript", "nextjs", ProjectKind::Standalone),
    );
    check(
        &[
            ("Cargo.toml", "[package]\nname = \"served\"\n[dependencies]\naxum = \"0.8\"\n"),
            ("src/main.rs", "fn main() {}\n"),
        ],
        ("served", "Rust", "axum", ProjectKind::Standalone),
    );
    check(
        &[("a.py", "x = 1\n"), ("README.md", "much longer than the code\n")],
        ("the-folder", "Python", "", ProjectKind::Standalone),
    );
    check(&[], ("the-folder", "", "", ProjectKind::Standalone));
}

#[test]
fn a_monorepo_has_two_packages_that_are_there() {
    let root = ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n");
    let member = "[package]\nname = \"x\"\n";
    let code = ("crates/a/src/lib.rs", "// code\n");
    check(
        &[root, ("crates/a/Cargo.toml", member), ("crates/b/Cargo.toml", member), code],
        ("the-folder", "Rust", "", ProjectKind::Monorepo),
    );
    check(
        &[root, ("crates/a/Cargo.toml", member), code],
        ("the-folder", "Rust", "", ProjectKind::Standalone),
    );
}

#[test]
fn without_a_manifest_in_the_root_the_folders_below_must_agree() {
    let django = ("api/requirements.txt", "django\n");
    let code = ("api/manage.py", "import os\n");
    check(&[django, code], ("the-folder", "Python", "django", ProjectKind::Standalone));
    let vue = ("web/package.json", r#"{"dependencies": {"vue": "3"}}"#);
    check(&[django, code, vue], ("the-folder", "Python", "", ProjectKind::Standalone));
}

#[test]
fn attributes_overrule_what_paths_tell() {
    let attributes = "*.xyz linguist-language=Rust\nlib/** linguist-vendored\nvendor/** -linguist-vendored\n*.rb linguist-detectable=false\n";
    let long = "x".repeat(500);
    check(
        &[
            (".gitattributes", attributes),
            ("a.xyz", "0123456789"),
            ("lib/a.c", &long),
            ("b.rb", &long),
            ("vendor/a.go", "0123"),
        ],
        ("the-folder", "Rust", "", ProjectKind::Standalone),
    );
    check(
        &[(".gitattributes", "vendor/** -linguist-vendored"), ("vendor/a.go", "0123"), ("a.c", "0")],
        ("the-folder", "Go", "", ProjectKind::Standalone),
    );
}

#[test]
fn a_manifest_that_cannot_be_understood_is_named_and_the_rest_is_told() {
    let project = project(&[
        ("package.json", "{\"name\": "),
        ("Cargo.toml", "[package]\nname = \"thing\"\n"),
        ("a.rs", "fn a() {}\n"),
    ]);
    fs::write(project.root.join("composer.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    let found = examined(&project.root, Vcs::None);
    assert_eq!((found.name.as_str(), found.language.as_str()), ("thing", "Rust"));
    for file in ["package.json", "composer.json"] {
        assert!(found.warnings.iter().any(|warning| warning.contains(file)), "{:?}", found.warnings);
    }
}

#[test]
fn a_repository_that_cannot_be_opened_still_has_a_language() {
    let project = project(&[
        ("a.rs", "fn a() {}\n"),
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/config", "[core\n"),
    ]);
    for folder in ["objects", "refs"] {
        fs::create_dir(project.root.join(".git").join(folder)).unwrap();
    }
    let found = examined(&project.root, Vcs::Git);
    assert_eq!((found.language.as_str(), found.content_hash.as_str()), ("Rust", ""));
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
}

#[test]
fn a_submodule_is_one_whatever_it_declares() {
    let project = project(&[("sub/a.rs", "fn a() {}\n"), ("module/HEAD", "ref: refs/heads/main\n")]);
    let modules = project.root.join(".git/modules");
    fs::create_dir_all(&modules).unwrap();
    fs::rename(project.root.join("module"), modules.join("sub")).unwrap();
    for folder in ["objects", "refs"] {
        fs::create_dir(modules.join("sub").join(folder)).unwrap();
    }
    fs::write(project.root.join("sub/.git"), "gitdir: ../.git/modules/sub\n").unwrap();
    assert_eq!(examined(&project.root.join("sub"), Vcs::Git).kind, ProjectKind::Submodule);
}

#[test]
fn a_repository_that_becomes_a_submodule_with_the_same_content_is_told_anew() {
    let project = project(&[("sub/a.rs", "fn a() {}\n"), ("sub/.git/HEAD", "ref: refs/heads/main\n")]);
    let (sub, modules) = (project.root.join("sub"), project.root.join(".git/modules"));
    for folder in ["objects", "refs"] {
        fs::create_dir(sub.join(".git").join(folder)).unwrap();
    }
    let (exclude, rules) = (Exclude::new(&[], &[]), Rules::built_in());
    let shelf = Shelf::new(project.root.join("shelf"), 0);
    let means = Means {
        exclude: &exclude,
        rules: &rules,
        shelf: Some(&shelf),
        asked: None,
        members: false,
        apart: &[],
    };
    let kind = || examine_in(&sub, Vcs::Git, means, &AtomicBool::new(false), Surroundings::Bare).kind;
    assert_eq!(kind(), ProjectKind::Standalone);
    assert!(shelf.open(&sub).told.is_some(), "what was told is kept");
    fs::create_dir_all(&modules).unwrap();
    fs::rename(sub.join(".git"), modules.join("sub")).unwrap();
    fs::write(sub.join(".git"), "gitdir: ../.git/modules/sub\n").unwrap();
    assert_eq!(kind(), ProjectKind::Submodule);
    assert_eq!(kind(), ProjectKind::Submodule);
    fs::remove_file(sub.join(".git")).unwrap();
    fs::rename(modules.join("sub"), sub.join(".git")).unwrap();
    assert_eq!(kind(), ProjectKind::Standalone);
}

#[test]
fn names_that_are_not_text_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let project = project(&[("a.rs", "fn a() {}\n")]);
    fs::write(project.root.join(std::ffi::OsStr::from_bytes(b"\xff.c")), "x".repeat(99)).unwrap();
    assert_eq!(examined(&project.root, Vcs::None).language, "Rust");
}

#[test]
fn what_a_tool_made_does_not_count_however_large_it_is() {
    let packed = "x".repeat(9_000);
    let generated =
        format!("// Code generated by mockgen. DO NOT EDIT.\n\npackage a\n{}", "// filler\n".repeat(500));
    let project = project(&[
        ("web/app.js", &packed),
        ("web/own.js", "let a = 1;\n"),
        ("mocks/mocks.go", &generated),
        ("main.py", "print('hello')\n"),
    ]);
    let found = examined(&project.root, Vcs::None);
    assert_eq!(found.language, "Python", "{:?}", found.evidence.primary_language);
    let shares: Vec<_> = found.evidence.languages.iter().map(|share| share.language.as_str()).collect();
    assert_eq!(shares, ["Python", "JavaScript"]);
    let left_out = found.evidence.primary_language.left_out.join("\n");
    assert!(left_out.contains("generated: ") && left_out.contains("2 files"), "{left_out}");
}

#[test]
fn every_field_says_what_it_was_told_by() {
    let root =
        r#"{"name": "shop", "workspaces": ["packages/*"], "dependencies": {"next": "15", "react": "19"}}"#;
    let project = project(&[
        ("package.json", root),
        ("packages/a/package.json", "{}"),
        ("packages/b/package.json", "{}"),
        ("app/page.tsx", ROUTES),
        ("README.md", "words\n"),
        ("node_modules/x/index.js", "x\n"),
    ]);
    let evidence = examined(&project.root, Vcs::None).evidence;
    assert_eq!(evidence.project_name.files, ["package.json"]);
    assert_eq!(evidence.framework.files, ["package.json"]);
    assert_eq!(evidence.framework.found, ["dependency next"]);
    assert_eq!(evidence.framework.left_out, ["react: dependency react, but its rank is 48"]);
    assert_eq!(evidence.members, [".", "packages/a", "packages/b"]);
    assert_eq!(evidence.project_type.rule, "npm workspace of 3 packages");
    assert_eq!(evidence.primary_language.found, ["TypeScript 100.0 %, 47 bytes in 1 file"]);
    assert!(evidence.primary_language.left_out.iter().any(|words| words.starts_with("data or prose: ")));
    assert!(!evidence.content_hash.rule.is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures time")]
fn manifests_made_to_harm_are_named_and_the_rest_is_told_soon() {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};
    let project = project(&[
        ("Cargo.toml", "[package]\nname = \"thing\"\n"),
        ("a.rs", &"fn a() {}\n".repeat(100_000)),
        ("composer.json", &"[".repeat(1 << 19)),
        ("pubspec.yaml", &"- ".repeat(1 << 19)),
        ("pom.xml", &"<a>".repeat(1 << 18)),
        ("setup.py", &"install_requires=[".repeat(50_000)),
        ("build.gradle", &"libs.a libs.b ".repeat(60_000)),
        ("settings.gradle", &"include 'a'\n".repeat(80_000)),
        ("package.json", &format!("{{\"workspaces\": [{}\"x\"]}}", "\"a*/**/b*c*\",".repeat(70_000))),
    ]);
    let outside = project.root.parent().unwrap().join("secret.json");
    fs::write(&outside, "{\"name\": \"secret\"}").unwrap();
    symlink(&outside, project.root.join("lerna.json")).unwrap();
    symlink("go.mod", project.root.join("go.mod")).unwrap();
    fs::File::create(project.root.join("Pipfile")).unwrap().set_len(1 << 40).unwrap();
    let pipe = project.root.join("pyproject.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for at in 0..200 {
        fs::write(project.root.join(format!("requirements-{at}.txt")), "django\n").unwrap();
    }
    // A terabyte is not hashed here: as a manifest alone it is refused by its length.
    fs::write(project.root.join(".gitignore"), "Pipfile\n").unwrap();
    let begun = Instant::now();
    let found = examined(&project.root, Vcs::None);
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    let told = (found.name.as_str(), found.language.as_str(), found.framework.as_str());
    assert_eq!(told, ("thing", "Rust", "django"), "{:?}", found.warnings);
    for file in ["composer.json", "pubspec.yaml", "pom.xml", "lerna.json", "requirements-"] {
        assert!(
            found.warnings.iter().any(|warning| warning.starts_with(file)),
            "{file}: {:?}",
            found.warnings
        );
    }
    assert!(!format!("{found:?}").contains("secret\""), "what a link names outside is not read");
}

#[test]
fn a_manifest_may_be_a_link_within_the_project() {
    let project = project(&[("config/real.json", r#"{"name": "linked"}"#)]);
    std::os::unix::fs::symlink("config/real.json", project.root.join("package.json")).unwrap();
    assert_eq!(examined(&project.root, Vcs::None).name, "linked");
}

/// Cost beside `git status` on ten thousand files; run by hand with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "measures time")]
fn cost_beside_git_status() {
    use std::time::Instant;
    let project = project(&[]);
    for at in 0..10_000 {
        let path = project.root.join(format!("src/m{}/n{}/file{at}.rs", at % 37, at % 11));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("// {at}\nfn f() {{}}\n")).unwrap();
    }
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(&project.root)
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments);
        assert!(command.env("GIT_OPTIONAL_LOCKS", "0").output().unwrap().status.success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "x"]);
    for _ in 0..3 {
        let start = Instant::now();
        git(&["status"]);
        let theirs = start.elapsed();
        let start = Instant::now();
        let found = super::hash::hash(
            &project.root,
            Vcs::Git,
            Limits { exclude: &Exclude::new(&[], &[]), apart: &[] },
            &AtomicBool::new(false),
            Surroundings::Bare,
            &mut Files::new(None, SystemTime::UNIX_EPOCH),
        );
        let hash = start.elapsed();
        let start = Instant::now();
        let all = examined(&project.root, Vcs::Git);
        eprintln!("git status {theirs:?}, hash {hash:?}, all {:?}", start.elapsed());
        assert_eq!(found.id, all.content_hash);
    }
}
