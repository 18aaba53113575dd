//! Tells the framework a project is built on, by rules kept as data.
//!
//! Only the manifests of one folder and the names of its files are looked at. The rule with the lowest rank wins; a
//! package that is a framework itself is not an application of it.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::glob;
use super::manifest::{Dependency, Ecosystem, Manifests};
use super::name::name;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    framework: Vec<Framework>,
}

/// A framework, and what shows that a project is built on it.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// What the cloud calls it.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Where its packages come from.
    pub ecosystem: Ecosystem,
    /// The lower of two that both hold wins.
    pub rank: u32,
    /// Applications declare it as a dependency for development.
    #[serde(default)]
    for_development: bool,
    #[serde(default)]
    any: Vec<Condition>,
    #[serde(default)]
    all: Vec<Condition>,
    #[serde(default)]
    none: Vec<Condition>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// There is a file at this path or matching this pattern.
    File(String),
    /// The ecosystem's manifest names this; a star at the end stands for anything.
    Dependency(String),
    /// A manifest contains this text.
    FileContains { file: String, text: String },
    /// A TOML manifest has a value under these keys, parted by dots.
    TomlKey { file: String, key: String },
    /// A JSON manifest has a value under these keys, parted by dots.
    JsonKey { file: String, key: String },
}

static RULES: LazyLock<Vec<Framework>> = LazyLock::new(|| {
    let rules = toml::from_str::<Rules>(include_str!("frameworks.toml"));
    let mut rules = rules.map_or_else(|_error| Vec::new(), |rules| rules.framework);
    rules.sort_by_key(|rule| rule.rank);
    rules
});

/// The framework of a folder with these manifests and files; paths are from the folder.
pub fn framework(manifests: &Manifests, files: &[&str]) -> Option<&'static Framework> {
    let dependencies = manifests.dependencies();
    let own_name = name(manifests).unwrap_or_default();
    let seen = Seen { manifests, files, dependencies: &dependencies, own_name: &own_name };
    RULES.iter().find(|rule| seen.fulfils(rule))
}

struct Seen<'a> {
    manifests: &'a Manifests,
    files: &'a [&'a str],
    dependencies: &'a [Dependency],
    own_name: &'a str,
}

impl Seen<'_> {
    fn fulfils(&self, rule: &Framework) -> bool {
        let holds = |condition: &Condition| self.holds(rule, condition);
        let is_itself = rule.any.iter().chain(&rule.all).any(
            |condition| matches!(condition, Condition::Dependency(name) if !name.ends_with('*') && name == self.own_name),
        );
        !is_itself
            && (rule.any.is_empty() || rule.any.iter().any(holds))
            && rule.all.iter().all(holds)
            && !rule.none.iter().any(holds)
    }

    fn holds(&self, rule: &Framework, condition: &Condition) -> bool {
        match condition {
            Condition::File(pattern) => {
                self.files.iter().any(|file| *file == pattern || glob::matches(pattern, file))
            }
            Condition::Dependency(name) => self.dependencies.iter().any(|found| {
                found.ecosystem == rule.ecosystem
                    && (rule.for_development || !found.for_development)
                    && match name.strip_suffix('*') {
                        Some(start) => found.name.starts_with(start),
                        None => found.name == *name,
                    }
            }),
            Condition::FileContains { file, text } => {
                self.texts(file).any(|found| found.contains(text.as_str()))
            }
            Condition::TomlKey { file, key } | Condition::JsonKey { file, key } => {
                let start = self.manifests.tree(file);
                key.split('.')
                    .try_fold(start, |value, key| Some(value?.get(key)))
                    .flatten()
                    .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
            }
        }
    }

    fn texts(&self, pattern: &str) -> impl Iterator<Item = &str> {
        let names = self.manifests.names().filter(move |name| glob::matches(pattern, name));
        names.filter_map(|name| self.manifests.text(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Examples {
        example: Vec<Example>,
    }

    /// A folder, and whether the rule's framework is the answer for it.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        slug: String,
        #[serde(default)]
        yes: Option<BTreeMap<String, String>>,
        #[serde(default)]
        no: Option<BTreeMap<String, String>>,
    }

    fn answer(files: &BTreeMap<String, String>) -> &'static str {
        let manifests = Manifests::read(
            files
                .iter()
                .filter(|(name, _)| !name.contains('/'))
                .map(|(name, text)| (name.clone(), text.clone().into_bytes())),
        );
        assert!(manifests.problems().is_empty(), "{:?}", manifests.problems());
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        framework(&manifests, &names).map_or("", |found| &found.slug)
    }

    #[test]
    fn the_rules_are_read_and_each_slug_is_one_rule() {
        toml::from_str::<Rules>(include_str!("frameworks.toml")).map(drop).unwrap();
        let mut slugs: Vec<_> = RULES.iter().map(|rule| &rule.slug).collect();
        slugs.sort();
        slugs.dedup();
        assert_eq!(slugs.len(), RULES.len());
        for rule in RULES.iter() {
            assert!(!rule.any.is_empty() || !rule.all.is_empty(), "{} holds for everything", rule.slug);
            assert!(!rule.name.is_empty());
        }
    }

    #[test]
    fn every_rule_has_an_example_that_holds_and_one_that_nearly_does() {
        let examples: Examples = toml::from_str(include_str!("frameworks.examples.toml")).unwrap();
        let mut with_yes = Vec::new();
        let mut with_no = Vec::new();
        for example in &examples.example {
            if let Some(files) = &example.yes {
                assert_eq!(answer(files), example.slug, "{files:?}");
                with_yes.push(&example.slug);
            }
            if let Some(files) = &example.no {
                assert_ne!(answer(files), example.slug, "{files:?}");
                with_no.push(&example.slug);
            }
        }
        for rule in RULES.iter() {
            assert!(with_yes.contains(&&rule.slug), "{} has no example that holds", rule.slug);
            assert!(with_no.contains(&&rule.slug), "{} has no near miss", rule.slug);
        }
    }
}
