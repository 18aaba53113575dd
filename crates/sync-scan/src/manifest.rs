//! The names of files by which a folder outside version control is told to be a project.

/// Whole names.
const NAMES: &[&str] = &[
    ".coditect",
    "Cargo.toml",
    "package.json",
    "pnpm-workspace.yaml",
    "deno.json",
    "deno.jsonc",
    "pyproject.toml",
    "setup.py",
    "Pipfile",
    "requirements.txt",
    "pixi.toml",
    "go.mod",
    "go.work",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "build.sbt",
    "project.clj",
    "deps.edn",
    "composer.json",
    "Gemfile",
    "mix.exs",
    "rebar.config",
    "pubspec.yaml",
    "CMakeLists.txt",
    "meson.build",
    "MODULE.bazel",
    "Package.swift",
    "dune-project",
    "stack.yaml",
    "cabal.project",
    "build.zig",
    "elm.json",
    "shard.yml",
    "gleam.toml",
    "flake.nix",
    "Project.toml",
];

/// Ends of names, each after something else.
const ENDINGS: &[&str] =
    &[".sln", ".slnx", ".csproj", ".fsproj", ".vbproj", ".gemspec", ".cabal", ".nimble", ".rockspec"];

/// Whether a file of this name makes its folder a project.
pub(crate) fn is_manifest(name: &str) -> bool {
    NAMES.contains(&name) || ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// The one manifest that may also be a folder.
pub(crate) const FOLDER: &str = ".coditect";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_told_by_name() {
        for name in ["Cargo.toml", "package.json", "App.csproj", "x.sln", ".coditect", "build.gradle.kts"] {
            assert!(is_manifest(name), "{name}");
        }
        for name in ["cargo.toml.bak", ".sln", "README.md", "package-lock.json", "Makefile", ""] {
            assert!(!is_manifest(name), "{name}");
        }
    }
}
