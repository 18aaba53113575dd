//! What the manifests of a folder depend on, read as each ecosystem writes it down.
//!
//! Files that are programs (`setup.py`, Gradle, sbt, `mix.exs`) are read line by line and never run.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::Manifests;

mod dotnet;
mod jvm;
mod python;
mod web;
mod words;

pub(in crate::rules) use words::{quoted, without_major};

/// Where a dependency comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// `package.json`, `deno.json`
    Npm,
    /// `Cargo.toml`
    Cargo,
    /// `pyproject.toml`, `requirements*.txt`, `setup.cfg`, `setup.py`, `Pipfile`, `environment.yml`
    Pypi,
    /// `go.mod`
    Go,
    /// `Gemfile`, `*.gemspec`
    Gem,
    /// `composer.json`
    Composer,
    /// `pom.xml`, Gradle, sbt: `group:artifact`; plugins of Gradle by their id
    Maven,
    /// `mix.exs`
    Hex,
    /// `pubspec.yaml`
    Pub,
    /// `*.csproj` and the like; the SDK is one too
    Nuget,
    /// `Package.swift`: the last part of a package's address
    Swift,
    /// `*.cabal`, `package.yaml`
    Hackage,
    /// `DESCRIPTION`
    Cran,
    /// `Project.toml`
    Julia,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Use {
    /// To run.
    Always,
    /// By those who work on the project.
    Development,
    /// By its tests.
    Test,
    /// When somebody asks for it.
    Optional,
    /// From whoever uses the project.
    Peer,
}

impl Use {
    /// Words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Always => "dependency",
            Self::Development => "development dependency",
            Self::Test => "test dependency",
            Self::Optional => "optional dependency",
            Self::Peer => "peer dependency",
        }
    }
}

/// Something a project depends on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dependency {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name there.
    pub name: String,
    /// What for.
    pub kind: Use,
    /// The file that says so.
    pub file: String,
}

pub(super) fn all(manifests: &Manifests) -> Vec<Dependency> {
    let mut found = Found { into: BTreeSet::new(), file: String::new(), kind: Use::Always };
    web::npm(&mut found, manifests);
    web::deno(&mut found, manifests);
    web::composer(&mut found, manifests);
    web::dart(&mut found, manifests);
    cargo(&mut found, manifests);
    julia(&mut found, manifests);
    python::trees(&mut found, manifests);
    jvm::maven(&mut found, manifests);
    for name in manifests.names() {
        let Some(text) = manifests.text(name) else { continue };
        found.in_file(name);
        match name {
            "go.mod" => words::go(&mut found, text),
            "Gemfile" => words::gem(&mut found, text),
            "mix.exs" => words::hex(&mut found, text),
            "build.gradle" | "build.gradle.kts" => jvm::gradle(&mut found, manifests, text),
            "build.sbt" | "project/plugins.sbt" => jvm::sbt(&mut found, text),
            "Package.swift" => words::swift(&mut found, text),
            "setup.cfg" => python::setup_cfg(&mut found, text),
            "setup.py" => python::setup_py(&mut found, text),
            "DESCRIPTION" => words::cran(&mut found, text),
            "package.yaml" => words::hpack(&mut found, manifests),
            _ if name.starts_with("requirements") => python::requirements(&mut found, name, text),
            _ => match name.rsplit_once('.') {
                Some((_, "gemspec")) => words::gemspec(&mut found, text),
                Some((_, "cabal")) => words::cabal(&mut found, text),
                Some((_, "csproj" | "fsproj" | "vbproj")) => dotnet::project(&mut found, manifests, name),
                _ => {}
            },
        }
    }
    found.into.into_iter().collect()
}

/// Collects dependencies of the file that is being read.
struct Found {
    into: BTreeSet<Dependency>,
    file: String,
    kind: Use,
}

impl Found {
    fn in_file(&mut self, file: &str) {
        file.clone_into(&mut self.file);
        self.kind = Use::Always;
    }

    fn add(&mut self, ecosystem: Ecosystem, name: impl Into<String>) {
        let (kind, file) = (self.kind, self.file.clone());
        self.into.insert(Dependency { ecosystem, name: name.into(), kind, file });
    }

    /// Adds one that is needed for something else than the rest of the file.
    fn add_for(&mut self, kind: Use, ecosystem: Ecosystem, name: impl Into<String>) {
        let usual = std::mem::replace(&mut self.kind, kind);
        self.add(ecosystem, name);
        self.kind = usual;
    }

    fn keys(&mut self, kind: Use, ecosystem: Ecosystem, table: Option<&Value>) {
        for name in table.and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
            self.add_for(kind, ecosystem, name);
        }
    }
}

fn cargo(found: &mut Found, manifests: &Manifests) {
    let Some(manifest) = manifests.tree("Cargo.toml") else { return };
    found.in_file("Cargo.toml");
    let targets = manifest.get("target").and_then(Value::as_object).into_iter().flatten();
    for holder in std::iter::once(manifest).chain(targets.map(|(_, target)| target)) {
        for (table, kind) in [
            ("dependencies", Use::Always),
            ("dev-dependencies", Use::Test),
            ("build-dependencies", Use::Development),
        ] {
            for (name, told) in holder.get(table).and_then(Value::as_object).into_iter().flatten() {
                let is_optional = told.get("optional").and_then(Value::as_bool) == Some(true);
                let kind = if is_optional { Use::Optional } else { kind };
                let name = told.get("package").and_then(Value::as_str).unwrap_or(name);
                found.add_for(kind, Ecosystem::Cargo, name);
            }
        }
    }
}

fn julia(found: &mut Found, manifests: &Manifests) {
    found.in_file("Project.toml");
    found.keys(Use::Always, Ecosystem::Julia, manifests.value("Project.toml", &["deps"]));
    found.keys(Use::Optional, Ecosystem::Julia, manifests.value("Project.toml", &["weakdeps"]));
}
