//! Tells what the manifests of each ecosystem depend on.

use serde::Deserialize;
use serde_json::Value;

use super::{Element, Manifests};

/// Where a dependency comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// `package.json`
    Npm,
    /// `Cargo.toml`
    Cargo,
    /// `pyproject.toml`, `requirements*.txt`, `setup.cfg`, `Pipfile`
    Pypi,
    /// `go.mod`
    Go,
    /// `Gemfile`
    Gem,
    /// `composer.json`
    Composer,
    /// `pom.xml` and Gradle: `group:artifact`; Gradle plugins by their id
    Maven,
    /// `mix.exs`
    Hex,
    /// `pubspec.yaml`
    Pub,
    /// `*.csproj` and the like; the SDK is one too
    Nuget,
    /// `Package.swift`: the last part of a package's address
    Swift,
}

/// Something a project depends on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dependency {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name there.
    pub name: String,
    /// Only those who work on the project need it.
    pub for_development: bool,
}

pub(super) fn all(manifests: &Manifests) -> Vec<Dependency> {
    let mut found = Found(Vec::new());
    found.npm(manifests);
    found.cargo(manifests);
    found.pypi(manifests);
    found.composer_and_pub(manifests);
    found.maven(manifests);
    for name in manifests.names() {
        let Some(text) = manifests.text(name) else { continue };
        match name {
            "go.mod" => found.go(text),
            "Gemfile" => found.gem(text),
            "mix.exs" => found.hex(text),
            "build.gradle" | "build.gradle.kts" | "build.sbt" => found.gradle(text),
            "Package.swift" => found.swift(text),
            _ if name.starts_with("requirements") => found.requirements(name, text),
            _ => {}
        }
    }
    found.0.sort();
    found.0.dedup();
    found.0
}

struct Found(Vec<Dependency>);

impl Found {
    fn add(&mut self, ecosystem: Ecosystem, name: impl Into<String>) {
        self.0.push(Dependency { ecosystem, name: name.into(), for_development: false });
    }

    fn keys(&mut self, ecosystem: Ecosystem, table: Option<&Value>) {
        for name in table.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
            self.add(ecosystem, name);
        }
    }

    fn npm(&mut self, manifests: &Manifests) {
        self.keys(Ecosystem::Npm, manifests.value("package.json", &["dependencies"]));
        let before = self.0.len();
        self.keys(Ecosystem::Npm, manifests.value("package.json", &["devDependencies"]));
        self.0[before..].iter_mut().for_each(|found| found.for_development = true);
    }

    fn cargo(&mut self, manifests: &Manifests) {
        let Some(manifest) = manifests.tree("Cargo.toml") else { return };
        let targets =
            manifest.get("target").and_then(Value::as_object).into_iter().flatten().map(|(_, target)| target);
        for table in std::iter::once(manifest).chain(targets).filter_map(|holder| holder.get("dependencies"))
        {
            for (name, told) in table.as_object().into_iter().flatten() {
                if told.get("optional").and_then(Value::as_bool) != Some(true) {
                    self.add(Ecosystem::Cargo, told.get("package").and_then(Value::as_str).unwrap_or(name));
                }
            }
        }
    }

    fn pypi(&mut self, manifests: &Manifests) {
        let listed =
            manifests.value("pyproject.toml", &["project", "dependencies"]).and_then(Value::as_array);
        for line in listed.into_iter().flatten().filter_map(Value::as_str) {
            self.python(line);
        }
        let poetry = manifests.value("pyproject.toml", &["tool", "poetry", "dependencies"]);
        for table in [poetry, manifests.value("Pipfile", &["packages"])].into_iter().flatten() {
            for (name, told) in table.as_object().into_iter().flatten() {
                if name != "python" && told.get("optional").and_then(Value::as_bool) != Some(true) {
                    self.python(name);
                }
            }
        }
        if let Some(text) = manifests.text("setup.cfg") {
            let mut inside = false;
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("install_requires") {
                    inside = true;
                    self.python(rest.trim_start().trim_start_matches('='));
                } else if line.starts_with([' ', '\t']) && inside {
                    self.python(line);
                } else {
                    inside = false;
                }
            }
        }
    }

    fn requirements(&mut self, name: &str, text: &str) {
        let for_others = ["dev", "test", "doc", "lint", "ci", "build", "optional"];
        let rest = name.trim_start_matches("requirements").trim_end_matches(".txt");
        if rest.split(['-', '_', '.']).any(|part| for_others.iter().any(|other| part.starts_with(other))) {
            return;
        }
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['-', '#'])) {
            self.python(line);
        }
    }

    fn python(&mut self, requirement: &str) {
        let requirement = requirement.trim();
        let end =
            requirement.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
        let name = &requirement[..end.unwrap_or(requirement.len())];
        if !name.is_empty() {
            self.add(Ecosystem::Pypi, name.to_ascii_lowercase().replace(['_', '.'], "-"));
        }
    }

    fn composer_and_pub(&mut self, manifests: &Manifests) {
        self.keys(Ecosystem::Composer, manifests.value("composer.json", &["require"]));
        self.keys(Ecosystem::Pub, manifests.value("pubspec.yaml", &["dependencies"]));
    }

    fn maven(&mut self, manifests: &Manifests) {
        if let Some(project) = manifests.xml("pom.xml") {
            let listed = project.all("dependencies").flat_map(|list| list.all("dependency"));
            let managed = project.all("dependencyManagement").flat_map(|list| list.all("dependencies"));
            let managed = managed.flat_map(|list| list.all("dependency"));
            let plugins = project
                .all("build")
                .flat_map(|build| build.all("plugins"))
                .flat_map(|list| list.all("plugin"));
            for told in listed.chain(managed).chain(project.all("parent")).chain(plugins) {
                let optional =
                    matches!(told.words("scope"), Some("test")) || told.words("optional") == Some("true");
                if let (false, Some(artifact)) = (optional, told.words("artifactId")) {
                    self.add(
                        Ecosystem::Maven,
                        format!("{}:{artifact}", told.words("groupId").unwrap_or_default()),
                    );
                }
            }
        }
        for name in manifests.names().filter(|name| name.ends_with("proj")) {
            let Some(project) = manifests.xml(name) else { continue };
            self.nuget(project);
        }
    }

    fn nuget(&mut self, project: &Element) {
        if let Some(kit) = project.attribute("Sdk") {
            self.add(Ecosystem::Nuget, kit.split('/').next().unwrap_or(kit));
        }
        for told in project.all("ItemGroup").flat_map(|group| &group.children) {
            if matches!(told.name.as_str(), "PackageReference" | "FrameworkReference")
                && let Some(name) = told.attribute("Include")
            {
                self.add(Ecosystem::Nuget, name);
            }
        }
        for group in project.all("PropertyGroup") {
            if group.words("UseMaui").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                self.add(Ecosystem::Nuget, "UseMaui");
            }
        }
    }

    fn go(&mut self, text: &str) {
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            let line = match line.strip_prefix("require ") {
                Some(rest) if rest.trim() == "(" => {
                    inside = true;
                    continue;
                }
                Some(rest) => rest,
                None if line == ")" => {
                    inside = false;
                    continue;
                }
                None if inside => line,
                None => continue,
            };
            if line.contains("// indirect") || line.starts_with("//") {
                continue;
            }
            if let Some(path) = line.split_whitespace().next() {
                self.add(Ecosystem::Go, without_major(path));
            }
        }
    }

    fn gem(&mut self, text: &str) {
        let mut passed_over = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("group ") {
                passed_over = (line.contains(":test") || line.contains(":development"))
                    && !line.contains(":production");
            } else if line == "end" {
                passed_over = false;
            } else if let Some(rest) = line.strip_prefix("gem ").filter(|_| !passed_over)
                && let Some(name) = quoted(rest).next()
            {
                self.add(Ecosystem::Gem, name);
            }
        }
    }

    fn hex(&mut self, text: &str) {
        for line in
            text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.contains("only: :test"))
        {
            if let Some(rest) = line.strip_prefix("{:").or_else(|| line.strip_prefix("[{:"))
                && let Some((name, _)) = rest.split_once(',')
            {
                self.add(Ecosystem::Hex, name);
            }
        }
    }

    fn gradle(&mut self, text: &str) {
        for line in
            text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with("test"))
        {
            let mut words = quoted(line);
            let Some(first) = words.next() else { continue };
            let plugin = ["id ", "id(", "alias(", "apply plugin", "kotlin("]
                .iter()
                .any(|start| line.starts_with(start));
            if plugin {
                self.add(Ecosystem::Maven, first);
            } else if let (true, Some(artifact)) = (line.contains('%'), words.next()) {
                self.add(Ecosystem::Maven, format!("{first}:{artifact}"));
            } else {
                let mut parts = first.split(':');
                if let (Some(group), Some(artifact)) = (parts.next(), parts.next())
                    && !group.is_empty()
                {
                    self.add(Ecosystem::Maven, format!("{group}:{artifact}"));
                }
            }
        }
    }

    fn swift(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| line.contains("url:")) {
            let address = quoted(line).find(|words| words.contains("://"));
            if let Some(last) =
                address.and_then(|address| address.trim_end_matches(".git").rsplit('/').next())
            {
                self.add(Ecosystem::Swift, last);
            }
        }
    }
}

/// A Go module without its major version.
pub(in crate::rules) fn without_major(path: &str) -> &str {
    match path.rsplit_once("/v") {
        Some((before, major)) if !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit()) => {
            before
        }
        _ => path,
    }
}

/// The words of a line that stand in quotes.
pub(in crate::rules) fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\''])?;
        let quote = rest[start..].chars().next()?;
        let inside = &rest[start + 1..];
        let end = inside.find(quote)?;
        rest = &inside[end + 1..];
        Some(&inside[..end])
    })
}
