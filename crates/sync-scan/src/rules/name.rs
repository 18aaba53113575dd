//! A project's name as its manifests have it.

use super::manifest::{Manifests, dependency_words};

/// The name the first manifest that gives one gives.
pub fn name(manifests: &Manifests) -> Option<String> {
    let words = |file: &str, keys: &[&str]| manifests.words(file, keys).map(str::to_owned);
    words("package.json", &["name"])
        .or_else(|| words("Cargo.toml", &["package", "name"]))
        .or_else(|| words("pyproject.toml", &["project", "name"]))
        .or_else(|| words("pyproject.toml", &["tool", "poetry", "name"]))
        .or_else(|| manifests.text("go.mod").and_then(go))
        .or_else(|| words("composer.json", &["name"]))
        .or_else(|| {
            manifests
                .xml("pom.xml")?
                .words("artifactId")
                .filter(|name| !name.contains("${"))
                .map(str::to_owned)
        })
        .or_else(|| words("pubspec.yaml", &["name"]))
        .or_else(|| manifests.text("mix.exs").and_then(mix))
        .or_else(|| manifests.text("setup.cfg").and_then(setup))
        .or_else(|| {
            gradle(manifests.text("settings.gradle").or_else(|| manifests.text("settings.gradle.kts"))?)
        })
        .or_else(|| words("Project.toml", &["name"]))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

fn go(text: &str) -> Option<String> {
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module "))?;
    let module = module.split("//").next().unwrap_or(module).trim().trim_matches('"');
    dependency_words::without_major(module).rsplit('/').next().map(str::to_owned)
}

fn mix(text: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.trim().strip_prefix("app: :"))?;
    Some(rest.trim_end_matches(',').trim().to_owned())
}

fn setup(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| line.trim() != "[metadata]").skip(1);
    let line =
        lines.by_ref().take_while(|line| !line.starts_with('[')).find(|line| line.starts_with("name"))?;
    let (key, value) = line.split_once('=')?;
    (key.trim() == "name").then(|| value.trim().to_owned())
}

fn gradle(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.trim().starts_with("rootProject.name"))?;
    dependency_words::quoted(line).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expected: Option<&str>) {
        let files = files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()));
        assert_eq!(name(&Manifests::read(files)).as_deref(), expected);
    }

    #[test]
    fn each_manifest_gives_its_name() {
        check(&[("package.json", r#"{"name": "@scope/thing"}"#)], Some("@scope/thing"));
        check(&[("Cargo.toml", "[package]\nname = \"thing\"")], Some("thing"));
        check(&[("pyproject.toml", "[project]\nname = \"thing\"")], Some("thing"));
        check(&[("pyproject.toml", "[tool.poetry]\nname = \"thing\"")], Some("thing"));
        check(&[("go.mod", "// about\nmodule example.org/a/thing/v2\n\ngo 1.22\n")], Some("thing"));
        check(&[("composer.json", r#"{"name": "vendor/thing"}"#)], Some("vendor/thing"));
        let pom = "<project xmlns='x'><parent><artifactId>other</artifactId></parent><artifactId>thing</artifactId></project>";
        check(&[("pom.xml", pom)], Some("thing"));
        check(&[("pubspec.yaml", "name: thing\n")], Some("thing"));
        check(&[("mix.exs", "  def project do\n    [\n      app: :thing,\n")], Some("thing"));
        check(&[("setup.cfg", "[metadata]\nname = thing\n[options]\nname = other\n")], Some("thing"));
        check(&[("settings.gradle.kts", "rootProject.name = \"thing\"\n")], Some("thing"));
    }

    #[test]
    fn a_manifest_without_a_name_leaves_it_to_the_next() {
        check(
            &[("package.json", r#"{"private": true}"#), ("Cargo.toml", "[package]\nname = \"thing\"")],
            Some("thing"),
        );
        check(&[("package.json", r#"{"name": ""}"#)], None);
        check(&[("package.json", r#"{"name": 3}"#)], None);
        check(&[("Cargo.toml", "[workspace]\nmembers = []")], None);
        check(&[], None);
    }
}
