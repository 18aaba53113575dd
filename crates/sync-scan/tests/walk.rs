//! Which folders are projects, and what the walk survives.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sync_core::Vcs;
use sync_scan::{ProblemKind, RootState, Survey};
use walk_support::{Home, committed, sighting};

#[test]
fn the_walk_finds_work_trees_and_stops_at_them() {
    let home = Home::new();
    home.repository("a");
    home.file("a/sub/package.json", "{}");
    home.repository("deep/er/b");
    home.folder("c/.hg/store");
    home.folder("d/.jj/repo");
    home.file("e/.svn/wc.db", "");
    home.folder("empty/.git");
    home.file("text/.git", "not a pointer");
    home.bare("bare.git");
    let survey = home.expect(&["a", "c", "d", "deep/er/b", "e"]);
    let kinds: Vec<_> = survey.sightings.iter().map(|sighting| sighting.vcs).collect();
    assert_eq!(kinds, [Vcs::Git, Vcs::Hg, Vcs::Jj, Vcs::Git, Vcs::Svn]);
    assert!(survey.problems.is_empty(), "{:?}", survey.problems);
}

#[test]
fn the_outermost_manifest_is_a_project_but_hides_no_work_tree() {
    let home = Home::new();
    home.file("m/Cargo.toml", "[workspace]\n");
    home.file("m/member/Cargo.toml", "[package]\n");
    home.repository("m/deep/inner");
    home.file("n/App.csproj", "<Project/>");
    home.folder("o/.coditect");
    let survey = home.expect(&["m", "m/deep/inner", "n", "o"]);
    let inner = sighting(&survey, &home.at("m/deep/inner"));
    assert_eq!(inner.parent_root.as_deref(), Some(home.at("m").as_path()));
    assert_eq!(sighting(&survey, &home.at("m")).vcs_place, None);
}

#[test]
fn a_home_is_no_project_by_where_programs_are_configured_and_hides_none() {
    let mut home = Home::new();
    home.folder(".coditect/config");
    home.file("notes/idea/go.mod", "module example.org/idea\n");
    home.folder("other/.coditect");
    home.expect(&["."]);
    home.options.homes = vec![home.at("")];
    let survey = home.expect(&["notes/idea", "other"]);
    assert_eq!(home.look(&[""]).sightings, survey.sightings);
    assert_eq!(home.look(&["notes/idea"]).sightings, survey.sightings[..1]);
    // What somebody made one says so by another manifest.
    home.file("package.json", "{}");
    home.expect(&["."]);
}

#[test]
fn dependencies_and_what_the_user_excludes_are_not_looked_into() {
    let mut home = Home::new();
    home.options.exclude = vec!["attic/".to_owned(), "/top".to_owned()];
    for pruned in ["node_modules/x", "w/.venv/x", "attic/x", "w/attic/x", "top/x", ".cache/x"] {
        home.repository(pruned);
    }
    home.file("rust/Cargo.toml", "");
    home.repository("rust/target/x");
    for kept in ["target/x", "build/y", "w/top/x", ".config/x", "vendor/z"] {
        home.repository(kept);
    }
    home.file(".gitignore", "*\n");
    home.expect(&[".config/x", "build/y", "rust", "target/x", "vendor/z", "w/top/x"]);
}

#[test]
fn a_root_that_is_a_work_tree_is_a_project_and_is_walked_on() {
    let home = Home::new();
    home.repository("");
    home.file("loose/package.json", "{}");
    home.repository("x/y");
    let survey = home.expect(&[".", "x/y"]);
    assert_eq!(sighting(&survey, &home.at("x/y")).parent_root.as_deref(), Some(home.path.as_path()));
    assert!(
        survey.folders.contains_key(home.at("x").as_path())
            && survey.folders.contains_key(home.at(".git").as_path())
    );
}

#[test]
fn roots_that_overlap_or_are_links_double_no_project() {
    let mut home = Home::new();
    home.repository("a/one");
    home.repository("a/b/two");
    home.repository("a/one/lib/three");
    home.link("a", "alias");
    home.options.roots =
        ["a", "a/b", "alias", "a", "a/one/lib", "gone"].map(|root| home.at(root)).into_iter().collect();
    let survey = home.expect(&["a/b/two", "a/one", "a/one/lib/three"]);
    let counts: Vec<_> =
        survey.roots.iter().map(|root| (home.name(&root.path), root.state, root.projects)).collect();
    let ready = |name: &str, projects| (name.to_owned(), RootState::Ready, projects);
    let mut expected = vec![
        ready("a", 3),
        ready("alias", 3),
        ready("a", 3),
        ready("a/b", 1),
        ready("a/one/lib", 1),
        ("gone".to_owned(), RootState::Missing, 0),
    ];
    let mut counts = counts;
    counts.sort_by(|left, right| left.0.cmp(&right.0));
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(counts, expected);
}

#[test]
fn what_a_root_lies_in_does_not_matter_to_what_is_in_it() {
    let mut home = Home::new();
    home.file("m/package.json", "{}");
    home.file("m/vendor/in/Cargo.toml", "");
    home.file("m/node_modules/dep/package.json", "{}");
    home.options.roots = vec![home.at(""), home.at("m/vendor"), home.at("m/node_modules")];
    let survey = home.expect(&["m", "m/node_modules/dep", "m/vendor/in"]);
    assert_eq!(
        home.look(&["m/vendor/in"]).sightings,
        [sighting(&survey, &home.at("m/vendor/in")).clone().into()]
    );
    assert!(survey.covered.has(&home.at("m/node_modules/other")));
}

#[test]
fn links_are_followed_only_when_asked_and_loops_are_survived() {
    let mut home = Home::new();
    let elsewhere = Home::new();
    elsewhere.repository("far");
    home.repository("a/near");
    home.link("..", "a/up");
    home.link("self", "self");
    home.link("nowhere", "broken");
    home.link(elsewhere.path.to_str().unwrap(), "out");
    home.expect(&["a/near"]);
    home.options.follow_symlinks = true;
    let survey = home.survey();
    let mut expected = vec![home.at("a/near"), elsewhere.at("far")];
    expected.sort();
    assert_eq!(survey.sightings.iter().map(|seen| seen.root.clone()).collect::<Vec<_>>(), expected);
    let kinds: Vec<_> =
        survey.problems.iter().map(|problem| (home.name(&problem.path), problem.kind)).collect();
    assert_eq!(kinds, [("a/up".to_owned(), ProblemKind::Loop)]);
}

/// A folder bound to another place. Dropping it unbinds it.
#[cfg(target_os = "linux")]
struct Bound(PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Bound {
    fn drop(&mut self) {
        let unbound = std::process::Command::new("umount").arg(&self.0).status();
        assert!(unbound.is_ok_and(|status| status.success()), "{} stays bound", self.0.display());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_bound_inside_itself_is_walked_once() {
    let home = Home::new();
    home.repository("p");
    let inside = home.folder("group/again");
    let binding = std::process::Command::new("mount").arg("--bind").args([&home.path, &inside]).output();
    if !binding.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: binding folders needs root");
        return;
    }
    let bound = Bound(inside);
    let survey = home.expect(&["p"]);
    assert!(!survey.covered.has(&home.at("group/again/p")), "nothing is said of what is mounted there");
    drop(bound);
}

#[test]
fn finding_alone_meets_what_a_survey_finds_but_what_lies_inside_of_others() {
    let home = Home::new();
    committed(&home.at("a"));
    committed(&home.at("a/nested"));
    home.file("m/Cargo.toml", "");
    home.repository("m/tool");
    let found = sync_scan::find(&home.options, &std::sync::atomic::AtomicBool::new(false));
    assert_eq!(found, ["a", "m", "m/tool"].map(|name| home.at(name)));
    home.expect(&["a", "a/nested", "m", "m/tool"]);
}

#[test]
fn what_lies_too_deep_is_said_once() {
    let mut home = Home::new();
    home.options.max_depth = 2;
    home.repository("1/2");
    home.repository("1/x/3");
    home.repository("1/x/4");
    let survey = home.expect(&["1/2"]);
    let [problem] = survey.problems.as_slice() else { panic!("{:?}", survey.problems) };
    assert_eq!((problem.kind, home.name(&problem.path).as_str()), (ProblemKind::TooDeep, "1/x/3"));
    assert!(problem.message.contains("1 more"), "{}", problem.message);
    assert!(!survey.covered.has(&home.at("1/x/3")) && survey.covered.has(&home.at("1/y")));
}

/// Other systems' file systems refuse such names.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_are_kept_byte_for_byte() {
    use std::os::unix::ffi::OsStrExt;
    let home = Home::new();
    let odd = home.path.join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(odd.join(".git/objects")).unwrap();
    fs::write(odd.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    let survey = home.survey();
    assert_eq!(survey.sightings.iter().map(|seen| &seen.root).collect::<Vec<_>>(), [&odd]);
}

#[test]
fn pipes_sockets_and_folders_named_like_manifests_are_survived() {
    let home = Home::new();
    home.folder("pipe");
    for name in ["pipe/package.json", "pipe/.git", "pipe/Cargo.toml"] {
        let made = std::process::Command::new("mkfifo").arg(home.at(name)).status().unwrap();
        assert!(made.success());
    }
    home.folder("socket");
    let _listener = std::os::unix::net::UnixListener::bind(home.at("socket/go.mod")).unwrap();
    home.folder("named/pom.xml");
    let survey = home.expect(&[]);
    assert!(survey.problems.is_empty(), "{:?}", survey.problems);
}

#[test]
fn ten_thousand_entries_are_nothing_special() {
    let home = Home::new();
    let mail = home.folder("mail");
    for number in 0..10_000 {
        fs::write(mail.join(format!("{number}.eml")), "").unwrap();
    }
    home.repository("mail/zz");
    let survey = home.expect(&["mail/zz"]);
    assert!(survey.problems.is_empty());
}

#[test]
fn what_cannot_be_read_is_reported_and_not_taken_for_empty() {
    if rustix::process::geteuid().is_root() {
        return unreadable_as_somebody_else();
    }
    let home = Home::new();
    home.repository("locked/inner");
    home.repository("open");
    home.repository("sealed");
    let close =
        |name: &str, mode| fs::set_permissions(home.at(name), fs::Permissions::from_mode(mode)).unwrap();
    close("locked", 0o000);
    close("sealed/.git", 0o000);
    let survey = home.survey();
    close("locked", 0o755);
    close("sealed/.git", 0o755);
    expect_locked(&home, &survey);
}

/// The superuser reads everything, so the test runs itself again as nobody.
#[cfg(test)]
fn unreadable_as_somebody_else() {
    use std::os::unix::process::CommandExt;
    let test = "what_cannot_be_read_is_reported_and_not_taken_for_empty";
    let program = std::env::current_exe().unwrap();
    // Nobody may not be let in to where the program was built.
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let copy = home.path().join("test");
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(&copy)
        .args(["--exact", test])
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn expect_locked(home: &Home, survey: &Survey) {
    assert_eq!(home.names(survey), ["open"]);
    let told: Vec<_> =
        survey.problems.iter().map(|problem| (home.name(&problem.path), problem.kind)).collect();
    let denied = |name: &str| (name.to_owned(), ProblemKind::Denied);
    assert_eq!(told, [denied("locked"), denied("sealed")]);
    for (path, expected) in
        [("locked/inner", false), ("locked", false), ("sealed", false), ("open", true), ("gone", true)]
    {
        assert_eq!(survey.covered.has(&home.at(path)), expected, "{path}");
    }
}

/// A random tree: what each folder is made of.
#[derive(Clone, Debug)]
struct Folder {
    made: Made,
    inside: Vec<(&'static str, Folder)>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Made {
    Plain,
    Repository,
    Hollow,
    Cargo,
    Npm,
}

fn folders() -> impl Strategy<Value = Folder> {
    let made = prop_oneof![
        4 => Just(Made::Plain),
        2 => Just(Made::Repository),
        1 => Just(Made::Hollow),
        1 => Just(Made::Cargo),
        1 => Just(Made::Npm),
    ];
    let leaf = made.clone().prop_map(|made| Folder { made, inside: Vec::new() });
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let names = prop::sample::subsequence(vec!["a", "b", ".c", "node_modules", "target", "dist"], 0..4);
        (made.clone(), names, prop::collection::vec(inner, 4)).prop_map(|(made, names, inner)| {
            // What is inside a work tree is the examination's business.
            let inside =
                if made == Made::Repository { Vec::new() } else { names.into_iter().zip(inner).collect() };
            Folder { made, inside }
        })
    })
}

fn make(home: &Home, path: &str, folder: &Folder) {
    home.folder(path);
    match folder.made {
        Made::Plain => {}
        Made::Repository => drop(home.repository(path)),
        Made::Hollow => drop(home.folder(&format!("{path}/.git"))),
        Made::Cargo => home.file(&format!("{path}/Cargo.toml"), ""),
        Made::Npm => home.file(&format!("{path}/package.json"), "{}"),
    }
    for (name, inner) in &folder.inside {
        make(home, &format!("{path}/{name}"), inner);
    }
}

/// What must be found, said as simply as it can be.
fn expected(path: &Path, folder: &Folder, in_manifest: bool, found: &mut Vec<PathBuf>) {
    let has_manifest = matches!(folder.made, Made::Cargo | Made::Npm);
    if folder.made == Made::Repository || (has_manifest && !in_manifest) {
        found.push(path.to_path_buf());
    }
    for (name, inner) in &folder.inside {
        let pruned = match *name {
            "node_modules" => true,
            "target" => folder.made == Made::Cargo,
            "dist" => folder.made == Made::Npm,
            _ => false,
        };
        if !pruned {
            expected(&path.join(name), inner, in_manifest || has_manifest, found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_project_of_a_random_tree_is_found_and_none_invented(folder in folders()) {
        let home = Home::new();
        make(&home, "top", &folder);
        let mut wanted = Vec::new();
        expected(&home.at("top"), &folder, false, &mut wanted);
        wanted.sort();
        let survey = home.survey();
        let found: Vec<_> = survey.sightings.iter().map(|sighting| sighting.root.clone()).collect();
        prop_assert_eq!(&found, &wanted);

        // A look at every project tells the same of it.
        for sighting in &survey.sightings {
            let look = home.look(&[&home.name(&sighting.root)]);
            let again = look.sightings.iter().find(|seen| seen.root == sighting.root);
            prop_assert_eq!(again, Some(sighting));
            prop_assert!(look.covered.has(&sighting.root));
        }
    }
}
