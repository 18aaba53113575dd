//! Tells whether a project declares a workspace, and which of its folders are packages of it.
//!
//! A declared workspace is a monorepo when at least two packages are really there, the root's own counted.

use serde_json::Value;

use super::glob;
use super::manifest::{Manifests, dependency_words::quoted};

/// What a workspace manifest says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Whose it is, for people.
    pub system: &'static str,
    /// Patterns of member folders.
    pub members: Vec<String>,
    /// Patterns of folders that are not members after all.
    pub without: Vec<String>,
    /// A member has one of these files.
    pub manifests: &'static [&'static str],
    /// The root is a package itself.
    pub root_is_package: bool,
}

impl Workspace {
    /// How many packages it has, when `files` are the paths of all files that are there.
    pub fn packages<'a>(&self, files: impl Iterator<Item = &'a str>) -> usize {
        let mut folders: Vec<&str> = files
            .filter_map(|file| {
                let (folder, name) = file.rsplit_once('/')?;
                self.has(folder, name).then_some(folder)
            })
            .collect();
        folders.sort_unstable();
        folders.dedup();
        folders.len() + usize::from(self.root_is_package)
    }

    fn has(&self, folder: &str, name: &str) -> bool {
        self.manifests.iter().any(|manifest| glob::matches(manifest, name))
            && self.members.iter().any(|pattern| glob::matches(pattern, folder))
            && !self.without.iter().any(|pattern| glob::matches(pattern, folder))
            && !folder.split('/').any(|part| part == "node_modules")
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
        Some(melos(manifests)),
        Some(pub_workspace(manifests)),
        go(manifests),
        gradle(manifests),
        mix(manifests),
        sbt(manifests),
    ];
    found.into_iter().flatten().filter(|workspace| !workspace.members.is_empty()).collect()
}

const NPM: &[&str] = &["package.json"];

fn workspace(system: &'static str, manifests: &'static [&'static str], members: Vec<String>) -> Workspace {
    let (without, members) = members.into_iter().partition(|pattern| pattern.starts_with('!'));
    let without: Vec<String> = without;
    let without = without.into_iter().map(|pattern| pattern[1..].to_owned()).collect();
    Workspace { system, members, without, manifests, root_is_package: false }
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

fn npm(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("package.json", &["workspaces"])?;
    let list = if declared.is_array() { Some(declared) } else { declared.get("packages") };
    Some(workspace("npm", NPM, strings(list)))
}

fn pnpm(manifests: &Manifests) -> Workspace {
    workspace("pnpm", NPM, strings(manifests.value("pnpm-workspace.yaml", &["packages"])))
}

fn lerna(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.tree("lerna.json")?;
    let defer = declared.get("useWorkspaces").and_then(Value::as_bool) == Some(true);
    let listed = strings(declared.get("packages"));
    let others = manifests.value("package.json", &["workspaces"]).is_some()
        || manifests.tree("pnpm-workspace.yaml").is_some();
    match (listed.is_empty(), defer || others) {
        (true, true) => None,
        (true, false) => Some(workspace("lerna", NPM, vec!["packages/*".to_owned()])),
        (false, _) => Some(workspace("lerna", NPM, listed)),
    }
}

fn rush(manifests: &Manifests) -> Option<Workspace> {
    let projects = manifests.value("rush.json", &["projects"])?.as_array()?;
    let folders = projects.iter().filter_map(|project| project.get("projectFolder")?.as_str());
    Some(workspace("rush", NPM, folders.map(str::to_owned).collect()))
}

fn cargo(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("Cargo.toml", &["workspace"])?;
    let root_is_package = manifests.value("Cargo.toml", &["package"]).is_some();
    let mut members = strings(declared.get("members"));
    // Packages that the root depends on by path are members without being listed.
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    for table in tables.iter().filter_map(|table| manifests.value("Cargo.toml", &[table])?.as_object()) {
        members.extend(table.values().filter_map(|told| told.get("path")?.as_str()).map(str::to_owned));
    }
    let mut found = workspace("cargo", &["Cargo.toml"], members);
    found.without =
        strings(declared.get("exclude")).into_iter().flat_map(|path| [format!("{path}/**"), path]).collect();
    found.root_is_package = root_is_package;
    Some(found)
}

fn uv(manifests: &Manifests) -> Option<Workspace> {
    let declared = manifests.value("pyproject.toml", &["tool", "uv", "workspace"])?;
    let mut found = workspace("uv", &["pyproject.toml"], strings(declared.get("members")));
    found.without = strings(declared.get("exclude"));
    found.root_is_package = manifests.value("pyproject.toml", &["project"]).is_some();
    Some(found)
}

fn maven(manifests: &Manifests) -> Option<Workspace> {
    let project = manifests.xml("pom.xml")?;
    let direct = project.all("modules");
    let in_profiles =
        project.all("profiles").flat_map(|list| list.all("profile")).flat_map(|one| one.all("modules"));
    let modules =
        direct.chain(in_profiles).flat_map(|list| list.all("module")).map(|module| module.text.clone());
    Some(workspace("maven", &["pom.xml"], modules.collect()))
}

fn melos(manifests: &Manifests) -> Workspace {
    let mut found =
        workspace("melos", &["pubspec.yaml"], strings(manifests.value("melos.yaml", &["packages"])));
    found.without = strings(manifests.value("melos.yaml", &["ignore"]));
    found
}

fn pub_workspace(manifests: &Manifests) -> Workspace {
    workspace("pub", &["pubspec.yaml"], strings(manifests.value("pubspec.yaml", &["workspace"])))
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
    let mut found = workspace("go", &["go.mod"], members);
    let root = |member: &String| member.trim_matches('"').trim_end_matches('/') == ".";
    found.root_is_package = found.members.iter().any(root) && manifests.text("go.mod").is_some();
    found.members.iter_mut().for_each(|member| *member = member.trim_matches('"').to_owned());
    Some(found)
}

fn gradle(manifests: &Manifests) -> Option<Workspace> {
    let text = manifests.text("settings.gradle").or_else(|| manifests.text("settings.gradle.kts"))?;
    let mut members = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let begins = line.strip_prefix("include").is_some_and(|rest| rest.starts_with(['(', ' ', '\'', '"']));
        if begins || inside {
            members.extend(quoted(line).map(|name| name.trim_matches(':').replace(':', "/")));
            inside = line.ends_with([',', '('])
                || (inside && !line.contains(')') && line.starts_with(['\'', '"']));
        }
    }
    let manifests = &["build.gradle", "build.gradle.kts", "*.gradle", "*.gradle.kts"];
    Some(workspace("gradle", manifests, members))
}

fn mix(manifests: &Manifests) -> Option<Workspace> {
    let text = manifests.text("mix.exs")?;
    let line = text.lines().find(|line| line.trim_start().starts_with("apps_path:"))?;
    let folder = quoted(line).next()?;
    Some(workspace("mix", &["mix.exs"], vec![format!("{folder}/*")]))
}

fn sbt(manifests: &Manifests) -> Option<Workspace> {
    let text = manifests.text("build.sbt")?;
    let mut members = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let Some((before, after)) = line.split_once("project") else { continue };
        let Some(name) =
            before.trim().strip_prefix("lazy val ").and_then(|rest| rest.split_whitespace().next())
        else {
            continue;
        };
        let at = after
            .split_once("file(")
            .or_else(|| line.split_once("file("))
            .and_then(|(_, rest)| quoted(rest).next());
        members.push(at.unwrap_or(name).trim_matches('`').to_owned());
    }
    members.retain(|member| member != ".");
    // A project of sbt need not have a build file of its own, but it has sources.
    let patterns = members.iter().flat_map(|member| [member.clone(), format!("{member}/src/**")]).collect();
    Some(workspace("sbt", &["build.sbt", "*.scala", "*.java"], patterns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], there: &[&str], expected: usize) {
        let manifests =
            Manifests::read(files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())));
        let most = workspaces(&manifests).iter().map(|found| found.packages(there.iter().copied())).max();
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
        let sbt = "lazy val core = project.in(file(\"core\"))\nlazy val web = (project in file(\"web\"))\n";
        check(&[("build.sbt", sbt)], &["core/build.sbt", "web/build.sbt"], 2);
    }
}
