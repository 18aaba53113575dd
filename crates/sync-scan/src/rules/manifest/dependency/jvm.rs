//! Dependencies of Maven, Gradle and sbt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::words::quoted;
use super::{Ecosystem, Found, Use};
use crate::rules::manifest::{Element, Manifests};

/// Of what is only managed, a bill of materials counts: it is imported whole.
pub(super) fn maven(found: &mut Found, manifests: &Manifests) {
    let Some(project) = manifests.xml("pom.xml") else { return };
    found.in_file("pom.xml");
    let listed = project.all("dependencies").flat_map(|list| list.all("dependency"));
    let managed = project.all("dependencyManagement").flat_map(|list| list.all("dependencies"));
    let imported = managed
        .flat_map(|list| list.all("dependency"))
        .filter(|told| matches!(told.words("scope"), Some("import")));
    let plugins =
        project.all("build").flat_map(|build| build.all("plugins")).flat_map(|list| list.all("plugin"));
    for told in listed.chain(imported).chain(project.all("parent")).chain(plugins) {
        let Some(artifact) = told.words("artifactId") else { continue };
        let kind = match told.words("scope") {
            Some("test") => Use::Test,
            _ if told.words("optional") == Some("true") => Use::Optional,
            _ => Use::Always,
        };
        let group = property(project, told.words("groupId").unwrap_or_default());
        let artifact = property(project, artifact);
        found.add_for(kind, Ecosystem::Maven, format!("{group}:{artifact}"));
    }
}

/// `${name}` as the project's own properties have it.
fn property<'a>(project: &'a Element, words: &'a str) -> &'a str {
    let name = words.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let value = name.and_then(|name| project.all("properties").find_map(|list| list.words(name)));
    value.unwrap_or(words)
}

pub(super) fn gradle(found: &mut Found, manifests: &Manifests, text: &str) {
    let catalogue = catalogue(manifests);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let is_test = ["test", "androidTest", "debugImplementation", "ksp", "kapt"]
            .iter()
            .any(|start| line.starts_with(start));
        found.kind = if is_test { Use::Test } else { Use::Always };
        for alias in line.split("libs.").skip(1) {
            let end = alias.find(|letter: char| !(letter.is_alphanumeric() || "._".contains(letter)));
            if let Some(name) = catalogue.get(alias[..end.unwrap_or(alias.len())].trim_end_matches(".get")) {
                found.add(Ecosystem::Maven, name);
            }
        }
        let mut words = quoted(line);
        let Some(first) = words.next() else { continue };
        let plugin = ["id ", "id(", "apply plugin", "apply(plugin", "kotlin("]
            .iter()
            .any(|start| line.starts_with(start));
        if plugin {
            found.add(Ecosystem::Maven, first);
        } else {
            let mut parts = first.split(':');
            if let (Some(group), Some(artifact)) = (parts.next(), parts.next())
                && !group.is_empty()
            {
                found.add(Ecosystem::Maven, format!("{group}:{artifact}"));
            }
        }
    }
}

/// The version catalogue by what build files call its entries: `plugins.android.application`.
fn catalogue(manifests: &Manifests) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (table, before) in [("libraries", ""), ("plugins", "plugins.")] {
        let entries = manifests.value("gradle/libs.versions.toml", &[table]).and_then(Value::as_object);
        for (alias, told) in entries.into_iter().flatten() {
            let words = |key: &str| told.get(key).and_then(Value::as_str);
            let whole = words("id").or_else(|| words("module")).or_else(|| told.as_str());
            let parted = || Some(format!("{}:{}", words("group")?, words("name")?));
            let Some(coordinates) = whole.map(str::to_owned).or_else(parted) else { continue };
            // Of `group:artifact:version` and `plugin:version` the version is left out.
            let kept = if table == "plugins" { 1 } else { 2 };
            let name: Vec<&str> = coordinates.split(':').take(kept).collect();
            names.insert(format!("{before}{}", alias.replace(['-', '_'], ".")), name.join(":"));
        }
    }
    names
}

pub(super) fn sbt(found: &mut Found, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//") && line.contains('%')) {
        let is_test = line.contains("% Test") || line.contains("% \"test") || line.contains("% 'test");
        found.kind = if is_test { Use::Test } else { Use::Always };
        let mut words = quoted(line);
        if let (Some(group), Some(artifact)) = (words.next(), words.next()) {
            found.add(Ecosystem::Maven, format!("{group}:{artifact}"));
        }
    }
}
