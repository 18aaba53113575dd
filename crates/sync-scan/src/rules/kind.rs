//! Tells whether a project declares a workspace, and which of its folders are packages of it.
//!
//! A declared workspace is a monorepo when at least two packages are really there, the root's own counted.

use std::collections::BTreeSet;

use serde_json::Value;

use super::glob;
use super::manifest::{Manifests, dependency_words::quoted};

/// Most patterns with stars that are compared with folders.
const MOST_PATTERNS: usize = 128;

/// What a workspace manifest says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Whose it is, for people.
    pub system: &'static str,
    /// The file that says so.
    pub file: &'static str,
    /// A member has one of these files.
    pub manifests: &'static [&'static str],
    /// Member folders.
    folders: BTreeSet<String>,
    /// Patterns of member folders.
    patterns: Vec<String>,
    /// Patterns of folders that are not members after all.
    without: Vec<String>,
    /// A member need not have a manifest: any file in its folder will do.
    needs_no_manifest: bool,
    /// The root is a package itself.
    root_is_package: bool,
    /// How many patterns are not compared, because there are too many.
    dropped: usize,
}

impl Workspace {
    /// The folders of its packages, when `files` are the paths of all files that are there; `.` is the root.
    pub fn packages<'a>(&self, files: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut found: BTreeSet<&str> = files.filter_map(|file| self.package_of(file)).collect();
        if self.root_is_package {
            found.insert(".");
        }
        found
    }

    /// What of it does not count, for people.
    pub fn warning(&self) -> Option<String> {
        let Self { file, system, dropped, .. } = self;
        (*dropped > 0).then(|| {
            format!(
                "{file}: {dropped} patterns of the {system} workspace do not count: more than {MOST_PATTERNS}"
            )
        })
    }

    /// Whether it declares anything beside the root.
    fn declares(&self) -> bool {
        !self.folders.is_empty() || !self.patterns.is_empty()
    }

    fn package_of<'a>(&self, file: &'a str) -> Option<&'a str> {
        let (folder, name) = file.rsplit_once('/')?;
        if self.needs_no_manifest {
            let inside = |at: &usize| self.folders.contains(&file[..*at]);
            return file.match_indices('/').map(|(at, _)| at).rfind(inside).map(|at| &file[..at]);
        }
        let is_manifest = self.manifests.iter().any(|manifest| glob::matches(manifest, name));
        let is_member = || {
            self.folders.contains(folder)
                || self.patterns.iter().any(|pattern| glob::matches(pattern, folder))
        };
        let is_out = || {
            self.without.iter().any(|pattern| glob::matches(pattern, folder))
                || folder.split('/').any(|part| part == "node_modules")
        };
        (is_manifest && is_member() && !is_out()).then_some(folder)
    }

    fn member(&mut self, words: &str) {
        let words = words.trim().trim_start_matches("./").trim_end_matches('/');
        if words.contains(['*', '?', '{']) {
            if self.patterns.len() < MOST_PATTERNS {
                self.patterns.push(words.to_owned());
            } else {
                self.dropped += 1;
            }
        } else if words != "." && !words.is_empty() {
            self.folders.insert(words.to_owned());
        }
    }

    fn leave_out(&mut self, words: &str) {
        if self.without.len() < MOST_PATTERNS {
            self.without.push(words.trim_start_matches("./").to_owned());
        } else {
            self.dropped += 1;
        }
    }
}

/// The workspaces the manifests of a root declare.
pub fn workspaces(manifests: &Manifests) -> Vec<Workspace> {
    let found = [
        npm(manifests),
        Some(pnpm(manifests)),
        lerna(manifests),
        rush(manifests),
        cargo(manifests),
        uv(manifests),
        maven(manifests),
        deno(manifests),
        Some(melos(manifests)),
        Some(pub_workspace(manifests)),
        go(manifests),
        gradle(manifests),
        mix(manifests),
        sbt(manifests),
        Some(haskell(manifests)),
    ];
    found.into_iter().flatten().filter(Workspace::declares).collect()
}

const NPM: &[&str] = &["package.json"];

fn workspace(
    system: &'static str,
    file: &'static str,
    manifests: &'static [&'static str],
    members: Vec<String>,
) -> Workspace {
    let mut made = Workspace {
        system,
        file,
        manifests,
        folders: BTreeSet::new(),
        patterns: Vec::new(),
        without: Vec::new(),
        needs_no_manifest: false,
        root_is_package: false,
        dropped: 0,
    };
    for member in members {
        match member.strip_prefix('!') {
            Some(without) => made.leave_out(without),
            None => made.member(&member),
        }
    }
    made
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Whether the root of a workspace of JavaScript packages is one itself: it is published, or needs something to run.
fn npm_root_is_package(manifests: &Manifests) -> bool {
    let has = |key: &str| manifests.words("package.json", &[key]).is_some();
    let is_private = manifests.value("package.json", &["private"]).and_then(Value::as_bool) == Some(true);
    let needs = manifests.value("package.json", &["dependencies"]).and_then(Value::as_object);
    (has("name") && has("version") && !is_private) || needs.is_some_and(|needs| !needs.is_empty())
}

fn npm(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("package.json", &["workspaces"])?;
    let list = if declared.is_array() { Some(declared) } else { declared.get("packages") };
    let mut found = workspace("npm", "package.json", NPM, strings(list));
    found.root_is_package = npm_root_is_package(manifests);
    Some(found)
}

fn pnpm(manifests: &Manifests) -> Workspace {
    const FILE: &str = "pnpm-workspace.yaml";
    let mut found = workspace("pnpm", FILE, NPM, strings(manifests.value(FILE, &["packages"])));
    found.root_is_package = npm_root_is_package(manifests);
    found
}

fn lerna(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.tree("lerna.json")?;
    let defer = declared.get("useWorkspaces").and_then(Value::as_bool) == Some(true);
    let listed = strings(declared.get("packages"));
    let others = manifests.value("package.json", &["workspaces"]).is_some()
        || manifests.tree("pnpm-workspace.yaml").is_some();
    match (listed.is_empty(), defer || others) {
        (true, true) => None,
        (true, false) => Some(workspace("lerna", "lerna.json", NPM, vec!["packages/*".to_owned()])),
        (false, _) => Some(workspace("lerna", "lerna.json", NPM, listed)),
    }
}

fn rush(manifests: &Manifests) -> Option<Workspace> {
    let projects = manifests.value("rush.json", &["projects"])?.as_array()?;
    let folders = projects.iter().filter_map(|project| project.get("projectFolder")?.as_str());
    Some(workspace("rush", "rush.json", NPM, folders.map(str::to_owned).collect()))
}

fn deno(manifests: &Manifests) -> Option<Workspace> {
    let of = |file: &'static str| {
        let declared = manifests.value(file, &["workspace"])?;
        let list = if declared.is_array() { Some(declared) } else { declared.get("members") };
        Some(workspace("deno", file, &["deno.json", "deno.jsonc", "package.json"], strings(list)))
    };
    of("deno.json").or_else(|| of("deno.jsonc"))
}

fn cargo(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("Cargo.toml", &["workspace"])?;
    let mut members = strings(declared.get("members"));
    // Packages that the root depends on by path are members without being listed.
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    for table in tables.iter().filter_map(|table| manifests.value("Cargo.toml", &[table])?.as_object()) {
        let paths = table.values().filter_map(|told| told.get("path")?.as_str());
        members.extend(paths.filter(|path| !path.starts_with("..")).map(str::to_owned));
    }
    let mut found = workspace("cargo", "Cargo.toml", &["Cargo.toml"], members);
    for path in strings(declared.get("exclude")) {
        found.leave_out(&format!("{}/**", path.trim_end_matches('/')));
        found.leave_out(&path);
    }
    found.root_is_package = manifests.value("Cargo.toml", &["package"]).is_some();
    Some(found)
}

fn uv(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("pyproject.toml", &["tool", "uv", "workspace"])?;
    let members = strings(declared.get("members"));
    let mut found = workspace("uv", "pyproject.toml", &["pyproject.toml"], members);
    for path in strings(declared.get("exclude")) {
        found.leave_out(&path);
    }
    found.root_is_package = manifests.value("pyproject.toml", &["project"]).is_some();
    Some(found)
}

fn maven(manifests: &Manifests) -> Option<Workspace> {
    let project = manifests.xml("pom.xml")?;
    let direct = project.all("modules");
    let in_profiles =
        project.all("profiles").flat_map(|list| list.all("profile")).flat_map(|one| one.all("modules"));
    let modules = direct.chain(in_profiles).flat_map(|list| list.all("module").chain(list.all("subproject")));
    // A module may be named by its file.
    let folder = |words: &str| match words.rsplit_once('/') {
        Some((folder, name)) if glob::matches("*.xml", name) => folder.to_owned(),
        _ => words.to_owned(),
    };
    Some(workspace("maven", "pom.xml", &["pom.xml"], modules.map(|module| folder(&module.text)).collect()))
}

fn melos(manifests: &Manifests) -> Workspace {
    const FILE: &str = "melos.yaml";
    let members = strings(manifests.value(FILE, &["packages"]));
    let mut found = workspace("melos", FILE, &["pubspec.yaml"], members);
    for path in strings(manifests.value(FILE, &["ignore"])) {
        found.leave_out(&path);
    }
    found
}

fn pub_workspace(manifests: &Manifests) -> Workspace {
    const FILE: &str = "pubspec.yaml";
    workspace("pub", FILE, &[FILE], strings(manifests.value(FILE, &["workspace"])))
}

fn go(manifests: &Manifests) -> Option<Workspace> {
    let mut members = Vec::new();
    let mut inside = false;
    for line in manifests.text("go.work")?.lines() {
        let line = line.split("//").next().unwrap_or(line).trim();
        match line.strip_prefix("use") {
            Some(rest) if rest.trim() == "(" => inside = true,
            Some(rest) if rest.starts_with([' ', '\t']) => members.push(rest.trim().to_owned()),
            _ if line == ")" => inside = false,
            _ if inside && !line.is_empty() => members.push(line.to_owned()),
            _ => {}
        }
    }
    for member in &mut members {
        *member = member.trim_matches('"').to_owned();
    }
    let has_root = members.iter().any(|member| member.trim_end_matches('/') == ".");
    let mut found = workspace("go", "go.work", &["go.mod"], members);
    found.root_is_package = has_root && manifests.text("go.mod").is_some();
    Some(found)
}

fn gradle(manifests: &Manifests) -> Option<Workspace> {
    let file =
        ["settings.gradle", "settings.gradle.kts"].into_iter().find(|file| manifests.text(file).is_some())?;
    let mut members = Vec::new();
    let mut inside = false;
    for line in manifests.text(file)?.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let begins = line
            .strip_prefix("include")
            .is_some_and(|rest| rest.starts_with(['(', ' ', '\'', '"']) || rest.is_empty());
        if begins || inside {
            members.extend(quoted(line).map(|name| name.trim_matches(':').replace(':', "/")));
            inside = line.ends_with([',', '('])
                || (inside && !line.contains(')') && line.starts_with(['\'', '"']));
        } else if let Some((_, place)) = line.split_once("projectDir") {
            members.extend(quoted(place).map(str::to_owned));
        }
    }
    let mut found = workspace("gradle", file, &["build.gradle", "build.gradle.kts"], members);
    found.needs_no_manifest = true;
    Some(found)
}

fn haskell(manifests: &Manifests) -> Workspace {
    let mut members = Vec::new();
    let file = if let Some(text) = manifests.text("cabal.project") {
        let mut inside = false;
        for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
            let listed = match line.strip_prefix("packages:") {
                Some(rest) => {
                    inside = true;
                    rest
                }
                None if inside && line.starts_with([' ', '\t']) => line,
                None => {
                    inside = false;
                    continue;
                }
            };
            members.extend(listed.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(str::to_owned));
        }
        "cabal.project"
    } else {
        members = strings(manifests.value("stack.yaml", &["packages"]));
        "stack.yaml"
    };
    // A package may be named by its file.
    for member in &mut members {
        let (folder, name) = member.rsplit_once('/').unwrap_or((".", member.as_str()));
        if glob::matches("*.cabal", name) {
            *member = folder.to_owned();
        }
    }
    let has_root = members.iter().any(|member| matches!(member.as_str(), "." | "./"));
    let mut found = workspace("haskell", file, &["*.cabal", "package.yaml"], members);
    found.root_is_package = has_root;
    found
}

fn mix(manifests: &Manifests) -> Option<Workspace> {
    let text = manifests.text("mix.exs")?;
    let line = text.lines().find(|line| line.trim_start().starts_with("apps_path:"))?;
    let folder = quoted(line).next()?;
    Some(workspace("mix", "mix.exs", &["mix.exs"], vec![format!("{folder}/*")]))
}

fn sbt(manifests: &Manifests) -> Option<Workspace> {
    let text = manifests.text("build.sbt")?;
    let mut members = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let Some((before, after)) = line.split_once('=') else { continue };
        let Some(name) = before.trim().strip_prefix("lazy val ").map(str::trim) else { continue };
        let name = name.split([' ', ':']).next().unwrap_or(name).trim_matches('`');
        let made = after.trim_start().trim_start_matches('(').trim_start();
        if made.starts_with("project") || made.starts_with("crossProject") || made.starts_with("Project(") {
            let folder = after.split_once("file(").and_then(|(_, rest)| quoted(rest).next());
            members.push(folder.unwrap_or(name).to_owned());
        }
    }
    let mut found = workspace("sbt", "build.sbt", &["build.sbt"], members);
    found.needs_no_manifest = true;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], there: &[&str], expected: usize) {
        let manifests =
            Manifests::read(files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
        let found = workspaces(&manifests);
        let most = found.iter().map(|found| found.packages(there.iter().copied()).len()).max();
        assert_eq!(most.unwrap_or(0), expected, "{files:?}");
    }

    #[test]
    fn javascript_workspaces_are_those_that_are_there() {
        let there = [
            "packages/a/package.json",
            "packages/b/package.json",
            "packages/c/README.md",
            "apps/x/package.json",
        ];
        check(&[("package.json", r#"{"workspaces": ["packages/*"]}"#)], &there, 2);
        check(&[("package.json", r#"{"workspaces": {"packages": ["packages/*", "apps/*"]}}"#)], &there, 3);
        check(&[("package.json", r#"{"workspaces": ["packages/*", "!packages/b"]}"#)], &there, 1);
        check(&[("package.json", r#"{"workspaces": ["nowhere/*"]}"#)], &there, 0);
        check(&[("package.json", "{}")], &there, 0);
        check(&[("pnpm-workspace.yaml", "packages:\n  - 'packages/**'\n  - '!**/b'\n")], &there, 1);
        check(&[("pnpm-workspace.yaml", "onlyBuiltDependencies:\n  - esbuild\n")], &there, 0);
        check(&[("lerna.json", r#"{"version": "1.0.0"}"#)], &there, 2);
        let rush =
            r#"{"projects": [{"projectFolder": "packages/a"}, {"projectFolder": "apps/x"}], /* why */ }"#;
        check(&[("rush.json", rush)], &there, 2);
    }

    #[test]
    fn cargo_counts_the_root_and_leaves_out_what_is_excluded() {
        let there =
            ["crates/a/Cargo.toml", "crates/b/Cargo.toml", "crates/b/fuzz/Cargo.toml", "macros/Cargo.toml"];
        check(&[("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]")], &there, 2);
        check(
            &[("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/b\"]")],
            &there,
            1,
        );
        check(&[("Cargo.toml", "[package]\nname = \"x\"\n[workspace]\nmembers = [\"macros\"]")], &there, 2);
        let by_path = "[package]\nname = \"x\"\n[workspace]\n[dependencies]\nm = { path = \"macros\" }";
        check(&[("Cargo.toml", by_path)], &there, 2);
        check(&[("Cargo.toml", "[package]\nname = \"x\"\n[workspace]")], &there, 0);
        check(&[("Cargo.toml", "[package]\nname = \"x\"")], &there, 0);
    }

    #[test]
    fn every_other_system_is_read() {
        let go = "go 1.22\n\nuse (\n\t./a\n\t./b // second\n)\n";
        check(&[("go.work", go)], &["a/go.mod", "b/go.mod", "c/go.mod"], 2);
        let root = [("go.work", "use .\nuse ./b\n"), ("go.mod", "module x\n")];
        check(&root, &["b/go.mod"], 2);
        let uv =
            "[project]\nname = \"x\"\n[tool.uv.workspace]\nmembers = [\"libs/*\"]\nexclude = [\"libs/b\"]";
        check(&[("pyproject.toml", uv)], &["libs/a/pyproject.toml", "libs/b/pyproject.toml"], 2);
        let maven = "<project><modules><module>core</module><module>web</module></modules></project>";
        check(&[("pom.xml", maven)], &["core/pom.xml", "web/pom.xml", "other/pom.xml"], 2);
        let gradle = "rootProject.name = 'x'\ninclude 'core', ':web:app'\nincludeBuild 'logic'\n";
        check(
            &[("settings.gradle", gradle)],
            &["core/build.gradle", "web/app/build.gradle.kts", "logic/build.gradle"],
            2,
        );
        let kotlin = "include(\n    \":core\",\n    \":web\",\n)\nval x = \"logic\"\n";
        check(
            &[("settings.gradle.kts", kotlin)],
            &["core/build.gradle.kts", "web/build.gradle.kts", "logic/build.gradle.kts"],
            2,
        );
        check(
            &[("melos.yaml", "packages:\n  - packages/**\n")],
            &["packages/a/pubspec.yaml", "packages/b/c/pubspec.yaml"],
            2,
        );
        check(
            &[("pubspec.yaml", "name: x\nworkspace:\n  - a\n  - b\n")],
            &["a/pubspec.yaml", "b/pubspec.yaml"],
            2,
        );
        check(&[("mix.exs", "      apps_path: \"apps\",\n")], &["apps/a/mix.exs", "apps/b/mix.exs"], 2);
        check(
            &[("deno.json", r#"{"workspace": ["./a", "./b"]}"#)],
            &["a/deno.json", "b/package.json", "c/deno.json"],
            2,
        );
        let cabal = "packages: .\n          server\n          lib/core.cabal\nconstraints: x\n";
        check(&[("cabal.project", cabal)], &["server/server.cabal", "lib/core.cabal", "other/o.cabal"], 3);
        check(
            &[("stack.yaml", "packages:\n- 'server'\n- core\n")],
            &["server/package.yaml", "core/c.cabal"],
            2,
        );
        let sbt = "lazy val core = project.in(file(\"core\"))\nlazy val web = (project in file(\"web\"))\n";
        check(&[("build.sbt", sbt)], &["core/build.sbt", "web/build.sbt"], 2);
        check(
            &[("build.sbt", sbt)],
            &["core/src/main/scala/A.scala", "core/src/test/scala/B.scala", "other/src/main/scala/C.scala"],
            1,
        );
        check(
            &[("build.sbt", "lazy val root = (project in file(\".\"))\n  .settings(name := \"x\")\n")],
            &["src/A.scala"],
            0,
        );
        let cross =
            "lazy val core = crossProject(JVMPlatform, JSPlatform)\nlazy val `web-app`: Project = project\n";
        check(&[("build.sbt", cross)], &["core/jvm/src/A.scala", "web-app/src/B.scala"], 2);
    }

    #[test]
    fn a_project_of_gradle_needs_no_build_file_and_may_lie_elsewhere() {
        let settings = "include ':app'\ninclude ':lib'\nproject(':lib').projectDir = file('modules/lib')\n";
        check(&[("settings.gradle", settings)], &["app/src/main/java/A.java", "modules/lib/src/B.java"], 2);
        check(&[("settings.gradle", settings)], &["app/src/main/java/A.java"], 1);
        check(&[("settings.gradle", "rootProject.name = 'x'\n")], &["src/main/java/A.java"], 0);
        check(&[("settings.gradle", "includeBuild('logic')\n")], &["logic/build.gradle"], 0);
    }

    #[test]
    fn the_root_counts_where_it_is_a_package_of_its_own() {
        let there = ["packages/a/package.json", "crates/a/Cargo.toml"];
        let root = r#"{"name": "x", "version": "1.0.0", "workspaces": ["packages/*"]}"#;
        check(&[("package.json", root)], &there, 2);
        let private = r#"{"name": "x", "version": "1.0.0", "private": true, "workspaces": ["packages/*"]}"#;
        check(&[("package.json", private)], &there, 1);
        let application = r#"{"private": true, "workspaces": ["packages/*"], "dependencies": {"nuxt": "4"}}"#;
        check(&[("package.json", application)], &there, 2);
    }

    #[test]
    fn the_members_are_named() {
        let manifests = Manifests::read([(
            "Cargo.toml".to_owned(),
            b"[package]\nname = \"x\"\n[workspace]\nmembers = [\"crates/*\"]\n".to_vec(),
        )]);
        let found = workspaces(&manifests);
        let files = ["crates/b/Cargo.toml", "crates/a/Cargo.toml", "crates/a/src/lib.rs", "other/Cargo.toml"];
        let packages: Vec<&str> = found[0].packages(files.into_iter()).into_iter().collect();
        assert_eq!(
            (found[0].system, found[0].file, packages),
            ("cargo", "Cargo.toml", vec![".", "crates/a", "crates/b"])
        );
    }

    #[test]
    fn many_patterns_and_many_files_cost_little() {
        let members: Vec<String> = (0..50_000).map(|at| format!("\"packages/p{at}*\"")).collect();
        let json = format!("{{\"workspaces\": [{}]}}", members.join(","));
        let files: Vec<String> = (0..5_000).map(|at| format!("packages/p{at}/package.json")).collect();
        let manifests = Manifests::read([("package.json".to_owned(), json.into_bytes())]);
        let found = workspaces(&manifests);
        assert!(found[0].packages(files.iter().map(String::as_str)).len() > 100);
        let expected =
            "package.json: 49872 patterns of the npm workspace do not count: more than 128".to_owned();
        assert_eq!(found[0].warning(), Some(expected));
    }
}
