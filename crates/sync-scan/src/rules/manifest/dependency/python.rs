//! Dependencies of Python projects, in all the files they are written to.

use serde_json::Value;

use super::words::quoted;
use super::{Ecosystem, Found, Use};
use crate::rules::manifest::Manifests;

/// Those of `pyproject.toml`, `Pipfile` and `environment.yml`.
pub(super) fn trees(found: &mut Found, manifests: &Manifests) {
    found.in_file("pyproject.toml");
    let project = |keys: &[&str]| manifests.value("pyproject.toml", keys);
    list(found, Use::Always, project(&["project", "dependencies"]));
    for (_, extra) in tables(project(&["project", "optional-dependencies"])) {
        list(found, Use::Optional, Some(extra));
    }
    for (_, group) in tables(project(&["dependency-groups"])) {
        list(found, Use::Development, Some(group));
    }
    poetry(found, Use::Always, project(&["tool", "poetry", "dependencies"]));
    poetry(found, Use::Development, project(&["tool", "poetry", "dev-dependencies"]));
    for (_, group) in tables(project(&["tool", "poetry", "group"])) {
        poetry(found, Use::Development, group.get("dependencies"));
    }
    found.in_file("Pipfile");
    poetry(found, Use::Always, manifests.value("Pipfile", &["packages"]));
    poetry(found, Use::Development, manifests.value("Pipfile", &["dev-packages"]));
    for file in ["environment.yml", "environment.yaml"] {
        found.in_file(file);
        let listed = manifests.value(file, &["dependencies"]).and_then(Value::as_array);
        for entry in listed.into_iter().flatten() {
            match entry.as_str() {
                Some(line) => one(found, Use::Always, line.rsplit("::").next().unwrap_or(line)),
                None => list(found, Use::Always, entry.get("pip")),
            }
        }
    }
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn list(found: &mut Found, kind: Use, value: Option<&Value>) {
    for line in value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        one(found, kind, line);
    }
}

fn poetry(found: &mut Found, kind: Use, value: Option<&Value>) {
    for (name, told) in tables(value).filter(|(name, _)| *name != "python") {
        let is_optional = told.get("optional").and_then(Value::as_bool) == Some(true);
        one(found, if is_optional { Use::Optional } else { kind }, name);
    }
}

pub(super) fn setup_cfg(found: &mut Found, text: &str) {
    let mut inside = false;
    let mut kind = Use::Always;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("install_requires") {
            inside = true;
            one(found, kind, rest.trim_start().trim_start_matches('='));
        } else if line.starts_with('[') {
            inside = false;
            let is_extra = line.starts_with("[options.extras_require]");
            kind = if is_extra { Use::Optional } else { Use::Always };
        } else if line.starts_with([' ', '\t']) {
            if inside || kind == Use::Optional {
                one(found, kind, line);
            }
        } else {
            inside = false;
        }
    }
}

/// Most mentions of `install_requires` that are followed in one file.
const MOST_LISTS: usize = 8;

/// What stands quoted between the brackets after `install_requires`.
pub(super) fn setup_py(found: &mut Found, text: &str) {
    for after in text.split("install_requires").skip(1).take(MOST_LISTS) {
        let Some(list) = after.trim_start().strip_prefix('=').map(str::trim_start) else { continue };
        // A name stands for a list that is made elsewhere in the file.
        let name: String =
            list.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        let made = format!("{name} = [");
        let list = match (list.strip_prefix('['), text.split_once(made.as_str())) {
            (Some(list), _) => list,
            (None, Some((_, list))) if !name.is_empty() => list,
            (None, _) => continue,
        };
        let end = list.find("\n]").or_else(|| list.find(']')).unwrap_or(list.len());
        for line in list[..end].lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            for requirement in quoted(line) {
                one(found, Use::Always, requirement);
            }
        }
    }
}

pub(super) fn requirements(found: &mut Found, name: &str, text: &str) {
    let for_others = ["dev", "test", "doc", "lint", "ci", "build", "optional", "extra"];
    let stem = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".in")).unwrap_or(name);
    let rest = stem.trim_start_matches("requirements");
    let is_for_others =
        rest.split(['-', '_', '.', '/']).any(|part| for_others.iter().any(|other| part.starts_with(other)));
    let kind = if is_for_others { Use::Development } else { Use::Always };
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['-', '#'])) {
        one(found, kind, line);
    }
}

fn one(found: &mut Found, kind: Use, requirement: &str) {
    let requirement = requirement.trim();
    let end = requirement.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
    let name = &requirement[..end.unwrap_or(requirement.len())];
    if !name.is_empty() {
        found.add_for(kind, Ecosystem::Pypi, name.to_ascii_lowercase().replace(['_', '.'], "-"));
    }
}
