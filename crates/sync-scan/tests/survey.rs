//! What belongs together: submodules, nested repositories, linked work trees; and what a look at a part tells.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sync_core::ProjectKind;
use sync_scan::{Options, Worktree, look, survey};
use walk_support::{Home, committed, git, sighting};

#[test]
fn packages_of_a_workspace_are_projects_where_that_is_wanted() {
    let mut home = Home::new();
    home.file("w/Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n");
    let package = |name: &str, more: &str| format!("[package]\nname = \"{name}\"\n{more}");
    home.file("w/crates/a/Cargo.toml", &package("served", "[dependencies]\naxum = \"0.8\"\n"));
    home.file("w/crates/a/src/main.rs", "fn main() {}\n");
    home.file("w/crates/b/Cargo.toml", &package("b", ""));
    home.file("w/crates/b/page.html", "<p>text</p>\n");
    // A package that declares a workspace itself, and one in a repository of its own, which is that project.
    home.file("w/crates/c/Cargo.toml", &package("c", "[workspace]\nmembers = [\"d\", \"e\"]\n"));
    home.file("w/crates/c/d/Cargo.toml", &package("d", ""));
    home.file("w/crates/c/e/Cargo.toml", &package("e", ""));
    committed(&home.at("w"));
    home.expect(&["w"]);

    home.options.workspace_members = true;
    let survey =
        home.expect(&["w", "w/crates/a", "w/crates/b", "w/crates/c", "w/crates/c/d", "w/crates/c/e"]);
    let served = sighting(&survey, &home.at("w/crates/a"));
    let told = (served.name.as_str(), served.language.as_str(), served.framework.as_str(), served.kind);
    assert_eq!(told, ("served", "Rust", "axum", ProjectKind::Standalone));
    assert_eq!(sighting(&survey, &home.at("w/crates/b")).language, "HTML");
    assert_eq!(sighting(&survey, &home.at("w/crates/c")).kind, ProjectKind::Monorepo);
    for (inner, outer) in [("w/crates/a", "w"), ("w/crates/c", "w"), ("w/crates/c/d", "w/crates/c")] {
        let inner = sighting(&survey, &home.at(inner));
        assert_eq!(inner.parent_root, Some(home.at(outer)));
    }
    // What lies in a folder is hashed as git does it.
    for folder in ["crates/a", "crates/c", "crates/c/d"] {
        let output = std::process::Command::new("git")
            .args(["rev-parse", &format!("HEAD:{folder}")])
            .current_dir(home.at("w"))
            .output()
            .unwrap();
        let expected = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(sighting(&survey, &home.at("w").join(folder)).content_hash, expected, "{folder}");
    }
    // Its insides are watched with the project around it.
    assert!(!survey.folders.contains_key(home.at("w/crates/a").as_path()));

    git(&home.at("w/crates/b"), &["init", "--quiet"]);
    let survey = home.survey();
    assert!(sighting(&survey, &home.at("w/crates/b")).vcs_place.is_some());
}

#[test]
fn submodules_and_nested_repositories_are_projects_with_a_parent() {
    let home = Home::new();
    let library = Home::new();
    committed(&library.at("library"));
    let app = home.at("app");
    committed(&app);
    let source = library.at("library");
    git(&app, &["submodule", "--quiet", "add", source.to_str().unwrap(), "libs/one"]);
    git(&app, &["submodule", "--quiet", "add", source.to_str().unwrap(), "libs/absent"]);
    git(&app, &["commit", "--quiet", "-m", "libraries"]);
    git(&app, &["submodule", "--quiet", "deinit", "-f", "libs/absent"]);
    committed(&app.join("scratch/nested"));
    let survey = home.expect(&["app", "app/libs/one", "app/scratch/nested"]);

    let submodule = sighting(&survey, &app.join("libs/one"));
    assert_eq!(
        (submodule.kind, submodule.parent_root.as_deref()),
        (ProjectKind::Submodule, Some(app.as_path()))
    );
    let nested = sighting(&survey, &app.join("scratch/nested"));
    assert_eq!((nested.kind, nested.parent_root.as_deref()), (ProjectKind::Standalone, Some(app.as_path())));
    assert_eq!(sighting(&survey, &app).parent_root, None);
    for watched in ["app", "app/.git", "app/libs/one", "app/.git/modules/libs/one", "app/scratch/nested/.git"]
    {
        assert!(survey.folders.contains_key(home.at(watched).as_path()), "{watched}: {:?}", survey.folders);
    }

    // A look inside any of them tells the same of all.
    for inside in ["app/README", "app/libs/one", "app/libs/one/README", "app/scratch/nested/.git"] {
        assert_eq!(home.look(&[inside]).sightings, survey.sightings, "{inside}");
    }
}

#[test]
fn linked_work_trees_are_listed_with_their_project() {
    let home = Home::new();
    let main = home.at("z-main");
    committed(&main);
    for name in ["../a-linked", "inside/linked"] {
        git(&main, &["worktree", "add", "--quiet", "--detach", name]);
    }
    let survey = home.expect(&["z-main"]);
    let mut expected = ["a-linked", "z-main/inside/linked"]
        .map(|linked| Worktree { path: home.at(linked), of: main.clone() })
        .to_vec();
    expected.sort();
    assert!(survey.worktrees.contains(&expected[0]), "{:?}", survey.worktrees);
    assert_eq!(home.names(&home.look(&["a-linked"])), ["z-main"]);

    // Without the main work tree the oldest of the others stands for all.
    let bare = Home::new();
    git(
        &home.path,
        &["clone", "--quiet", "--bare", main.to_str().unwrap(), bare.at("store").to_str().unwrap()],
    );
    for name in ["two", "one"] {
        git(&bare.at("store"), &["worktree", "add", "--quiet", "--detach", bare.at(name).to_str().unwrap()]);
    }
    let survey = bare.expect(&["two"]);
    assert_eq!(survey.worktrees, [Worktree { path: bare.at("one"), of: bare.at("two") }]);
    assert_eq!(bare.names(&bare.look(&["one"])), ["two"]);

    // No manifest makes the inside of a git folder a project, which would hide them.
    bare.file("store/package.json", "{}");
    bare.expect(&["two"]);
    assert_eq!(bare.names(&bare.look(&["one"])), ["two"]);
}

#[test]
fn a_linked_work_tree_whose_repository_moved_is_no_project_by_its_manifest() {
    let home = Home::new();
    committed(&home.at("main"));
    home.file("main/Cargo.toml", "[package]\nname = \"thing\"\n");
    home.file("main/tool/go.mod", "module example.org/tool\n");
    git(&home.at("main"), &["add", "-A"]);
    git(&home.at("main"), &["commit", "--quiet", "-m", "second"]);
    git(&home.at("main"), &["worktree", "add", "--quiet", "--detach", "../agent"]);
    home.expect(&["main"]);
    fs::rename(home.at("main"), home.at("main2")).unwrap();
    let survey = home.expect(&["main2"]);
    let [problem] = survey.problems.as_slice() else { panic!("{:?}", survey.problems) };
    assert_eq!(home.name(&problem.path), "agent");
    assert!(problem.message.contains("git worktree repair"), "{}", problem.message);
    assert!(!survey.covered.has(&home.at("agent")), "what is on record there stays");
    assert!(survey.folders.contains_key(home.at("agent").as_path()), "when it is mended that is seen");
    // However many paths in it are asked about, it is one problem.
    for asked in [&["agent"][..], &["agent/tool"], &["agent/tool", "agent", "agent/README"]] {
        let look = home.look(asked);
        assert_eq!((&look.sightings, &look.problems), (&Vec::new(), &survey.problems), "{asked:?}");
        assert!(look.came_to(&home.at("agent")) && look.folders.contains_key(home.at("agent").as_path()));
        assert!(["agent", "agent/tool"].iter().all(|stays| !look.covered.has(&home.at(stays))), "{asked:?}");
    }
    // Also where it is a root, or one lies in it.
    for roots in [&["agent"][..], &["", "agent"], &["agent", "agent/tool"]] {
        let roots: Vec<_> = roots.iter().map(|root| home.at(root)).collect();
        let options = Options { roots, ..Options::default() };
        let stop = AtomicBool::new(false);
        let paths = ["agent/README", "agent/new", "agent/tool/new"].map(|path| home.at(path));
        for seen in [sync_scan::survey(&options, &stop), look(&options, &paths, &stop)] {
            assert_eq!(seen.problems, survey.problems, "{:?}", options.roots);
            assert!(!seen.covered.has(&home.at("agent")), "{:?}", options.roots);
        }
    }
    git(&home.at("main2"), &["worktree", "repair", home.at("agent").to_str().unwrap()]);
    let survey = home.expect(&["main2"]);
    assert_eq!(survey.worktrees, [Worktree { path: home.at("agent"), of: home.at("main2") }]);
}

#[test]
fn a_bare_repository_is_no_project_wherever_it_lies_and_its_work_trees_are_found() {
    let home = Home::new();
    let plain = tempfile::tempdir().unwrap();
    committed(plain.path());
    let from = plain.path().to_str().unwrap();
    for (folder, store) in [("hidden", "hidden/.bare"), ("odd", "odd/.git"), ("told", "told/.git")] {
        home.folder(folder);
        git(&home.path, &["clone", "--quiet", "--bare", from, store]);
        git(&home.at(store), &["worktree", "add", "--quiet", "--detach", "../tree"]);
    }
    home.file("hidden/.git", "gitdir: ./.bare\n");
    // As `git sparse-checkout` in a linked work tree leaves it.
    git(&home.at("told/.git"), &["config", "extensions.worktreeConfig", "true"]);
    git(&home.at("told/.git"), &["config", "--unset", "core.bare"]);
    git(&home.at("told/.git"), &["config", "--worktree", "core.bare", "true"]);
    let survey = home.expect(&["hidden/tree", "odd/tree", "told/tree"]);
    assert!(survey.problems.is_empty(), "{:?}", survey.problems);
    for seen in &survey.sightings {
        assert_eq!(seen.content_hash, home.tree(&home.name(&seen.root)), "{}", seen.root.display());
        assert!(home.look(&[&home.name(&seen.root)]).sightings.contains(seen));
    }
}

#[test]
fn a_look_examines_the_project_a_path_is_in() {
    let home = Home::new();
    home.repository("a");
    home.file("a/src/main.rs", "");
    home.file("m/package.json", "{}");
    home.file("m/src/x.js", "");
    home.repository("m/tool");
    home.repository("b/c");
    home.repository("b/d");
    let check = |asked: &[&str], expected: &[&str]| {
        let look = home.look(asked);
        assert_eq!(home.names(&look), expected, "{asked:?}");
        assert!(look.problems.is_empty(), "{:?}", look.problems);
    };
    check(&["a/src/main.rs"], &["a"]);
    check(&["a/src/not/there"], &["a"]);
    check(&["a/.git/index"], &["a"]);
    check(&["m/src"], &["m", "m/tool"]);
    check(&["m/tool"], &["m/tool"]);
    check(&["b"], &["b/c", "b/d"]);
    check(&["b/gone"], &[]);
    check(&["a", "b/c"], &["a", "b/c"]);
    check(&[""], &["a", "b/c", "b/d", "m", "m/tool"]);
    let tool = home.look(&["m/tool"]);
    assert_eq!(tool.sightings[0].parent_root.as_deref(), Some(home.at("m").as_path()));
}

#[test]
fn a_look_outside_all_roots_finds_what_was_meant() {
    let home = Home::new();
    let other = Home::new();
    other.repository("p");
    other.file("p/src/x", "");
    other.file("m/Cargo.toml", "");
    other.file("m/src/x", "");
    let check = |asked: &str, expected: &[&str]| {
        let look = look(&home.options, &[other.at(asked)], &AtomicBool::new(false));
        assert_eq!(other.names(&look), expected, "{asked}");
        assert!(!look.covered.has(&home.at("x")), "{asked}");
    };
    check("p/src", &["p"]);
    check("m/src", &["m"]);
    check("", &["m", "p"]);
    check("gone", &[]);
}

#[test]
fn a_look_outside_all_roots_does_not_mean_the_home_around() {
    let mut home = Home::new();
    home.options.roots = Vec::new();
    home.folder("work/.coditect/config");
    committed(&home.at("ada"));
    home.folder("ada/notes/idea");
    home.folder("work/thoughts/idea");
    let told = |home: &Home, path: &str| home.names(&home.look(&[path]));
    assert_eq!(told(&home, "work/thoughts/idea"), ["work"]);
    assert_eq!(told(&home, "ada/notes/idea"), ["ada"]);
    home.options.homes = vec![home.at("ada"), home.at("work")];
    assert!(told(&home, "work/thoughts/idea").is_empty() && told(&home, "ada/notes/idea").is_empty());
    assert_eq!(told(&home, "ada"), ["ada"], "it is named itself");
}

#[test]
fn what_is_gone_is_covered_and_what_was_not_looked_at_is_not() {
    let home = Home::new();
    let gone = home.repository("a/gone");
    home.repository("b");
    let before = home.survey();
    fs::remove_dir_all(&gone).unwrap();
    let look = home.look(&["a/gone"]);
    assert!(look.sightings.is_empty() && look.covered.has(&gone));
    assert!(!look.covered.has(&home.at("b")) && !look.covered.has(&home.at("a/other")));

    let mut watched = before.folders;
    assert!(look.update(&mut watched));
    let expected: Vec<PathBuf> = ["", "a", "b", "b/.git"].map(|name| home.at(name)).into();
    assert_eq!(watched.keys().map(|folder| folder.to_path_buf()).collect::<Vec<_>>(), expected);
    assert_eq!(home.survey().folders, watched);
    assert!(!look.update(&mut watched) && !home.survey().update(&mut watched));
}

#[test]
fn of_a_root_that_is_away_nothing_is_said_and_it_is_waited_for() {
    let mut home = Home::new();
    home.options.roots = vec![home.at("later/root"), home.at("a-file")];
    home.file("a-file", "");
    let survey = home.survey();
    assert!(!survey.covered.has(&home.at("later/root/x")));
    for asked in ["later", "later/root", "later/root/x/src"] {
        let looked = look(&home.options, &[home.at(asked)], &AtomicBool::new(false));
        assert!(!looked.covered.has(&home.at("later/root/x")), "{asked}");
        assert_eq!(looked.covered.has(&home.at("later/x")), asked == "later");
    }
    let folders: Vec<_> = survey.folders.keys().map(|folder| folder.to_path_buf()).collect();
    assert_eq!(folders, [home.at("a-file"), home.at("later/root")]);
    let around = Options { roots: vec![home.at(""), home.at("later/root")], ..home.options.clone() };
    let around = sync_scan::survey(&around, &AtomicBool::new(false));
    assert!(around.covered.has(&home.at("later/x")) && !around.covered.has(&home.at("later/root/x")));
    assert_eq!(survey.problems.len(), 1, "{:?}", survey.problems);
    assert!(survey.problems[0].message.contains("not a folder"));
}

#[test]
fn a_survey_that_is_stopped_speaks_for_nothing() {
    let home = Home::new();
    home.repository("a");
    let stopped = survey(&home.options, &AtomicBool::new(true));
    assert!(stopped.sightings.is_empty());
    assert!(!stopped.covered.has(&home.at("a")) && !stopped.covered.has(Path::new("/")));
}

#[test]
fn a_moved_project_keeps_its_places() {
    let home = Home::new();
    let old = home.repository("old");
    let before = home.survey();
    fs::rename(old, home.at("new")).unwrap();
    let after = home.survey();
    assert_eq!(before.sightings[0].place, after.sightings[0].place);
    assert_eq!(before.sightings[0].vcs_place, after.sightings[0].vcs_place);
    assert_ne!(before.sightings[0].place, before.sightings[0].vcs_place.unwrap());
}

#[test]
fn a_pattern_that_cannot_be_read_is_a_problem_and_no_more() {
    let mut home = Home::new();
    home.options.exclude = vec!["{a".to_owned()];
    home.repository("p");
    let survey = home.expect(&["p"]);
    assert_eq!(survey.problems.len(), 1);
    assert!(survey.problems[0].message.contains("{a"), "{:?}", survey.problems);
}
