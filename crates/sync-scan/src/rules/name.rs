//! A project's name as its manifests have it.

use super::manifest::{Manifests, dependency_words};

/// The name the first manifest that gives one gives, and which that is.
pub fn name(manifests: &Manifests) -> Option<(String, String)> {
    let words = |file: &str, keys: &[&str]| manifests.words(file, keys).map(str::to_owned);
    let text = |file: &str, read: fn(&str) -> Option<String>| manifests.text(file).and_then(read);
    let artifact = || {
        let name = manifests.xml("pom.xml")?.words("artifactId")?;
        (!name.contains("${")).then(|| name.to_owned())
    };
    let found = [
        ("package.json", words("package.json", &["name"])),
        ("Cargo.toml", words("Cargo.toml", &["package", "name"])),
        ("pyproject.toml", words("pyproject.toml", &["project", "name"])),
        ("pyproject.toml", words("pyproject.toml", &["tool", "poetry", "name"])),
        ("go.mod", text("go.mod", go)),
        ("composer.json", words("composer.json", &["name"])),
        ("pom.xml", artifact()),
        ("pubspec.yaml", words("pubspec.yaml", &["name"])),
        ("mix.exs", text("mix.exs", mix)),
        ("setup.cfg", text("setup.cfg", setup)),
        ("settings.gradle", text("settings.gradle", gradle)),
        ("settings.gradle.kts", text("settings.gradle.kts", gradle)),
        ("Project.toml", words("Project.toml", &["name"])),
        ("package.yaml", words("package.yaml", &["name"])),
        ("DESCRIPTION", text("DESCRIPTION", description)),
        ("setup.py", text("setup.py", |text| assigned(text, "name"))),
        ("Package.swift", text("Package.swift", swift)),
    ];
    let by_end = manifests.names().filter_map(|file| {
        let text = manifests.text(file)?;
        match file.rsplit_once('.')?.1 {
            "gemspec" => Some((assigned(text, ".name")?, file.to_owned())),
            "cabal" => Some((cabal(text)?, file.to_owned())),
            _ => None,
        }
    });
    let usable = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
    found
        .into_iter()
        .filter_map(|(file, name)| Some((name?.trim().to_owned(), file.to_owned())))
        .chain(by_end)
        .find(|(name, _)| usable(name))
}

fn description(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("Package:")).map(str::to_owned)
}

fn cabal(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        Some(line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case("name"))?.1.trim().to_owned())
    })
}

fn swift(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("Package(")?;
    let rest = rest.trim_start().strip_prefix("name:")?;
    dependency_words::quoted(rest.lines().next()?).next().map(str::to_owned)
}

/// The words in quotes that code gives to something whose name ends in `name`.
fn assigned(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        let before = line.split_once('=').map_or("", |(before, _)| before.trim());
        before == name || (before.ends_with(name) && name.starts_with('.'))
    })?;
    let value = line.split_once('=')?.1.trim_start();
    let is_plain = value.starts_with(['"', '\'']);
    is_plain.then(|| dependency_words::quoted(value).next().map(str::to_owned)).flatten()
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
        assert_eq!(name(&Manifests::read(files)).as_ref().map(|(name, _)| name.as_str()), expected);
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
        check(&[("setup.py", "setup(\n    name='thing',\n    version='1',\n)\n")], Some("thing"));
        check(&[("setup.py", "setup(\n    name=NAME,\n)\n")], None);
        check(&[("x.gemspec", "  spec.name          = \"thing\"\n")], Some("thing"));
        check(&[("x.cabal", "Name:           thing\nversion: 1\n")], Some("thing"));
        check(&[("Package.swift", "let package = Package(\n    name: \"thing\",\n)\n")], Some("thing"));
        check(&[("DESCRIPTION", "Package: thing\nTitle: x\n")], Some("thing"));
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
