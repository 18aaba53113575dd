//! Dependencies of manifests that are lines of code or words: Go, Ruby, Elixir, Swift, Haskell, R.

use serde_json::Value;

use super::{Ecosystem, Found, Use};
use crate::rules::manifest::Manifests;

pub(super) fn go(found: &mut Found, text: &str) {
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
        if line.starts_with("//") {
            continue;
        }
        found.kind = if line.contains("// indirect") { Use::Optional } else { Use::Always };
        if let Some(path) = line.split_whitespace().next() {
            found.add(Ecosystem::Go, without_major(path));
        }
    }
}

pub(super) fn gem(found: &mut Found, text: &str) {
    for line in text.lines().map(str::trim) {
        if line.starts_with("group ") {
            let is_run = line.contains(":production") || line.contains(":default");
            found.kind = match (is_run, line.contains(":test"), line.contains(":development")) {
                (false, true, _) => Use::Test,
                (false, false, true) => Use::Development,
                _ => Use::Always,
            };
        } else if line == "end" {
            found.kind = Use::Always;
        } else if let Some(rest) = line.strip_prefix("gem ")
            && let Some(name) = quoted(rest).next()
        {
            let is_grouped =
                ["group: :test", "group: :development", ":group => :test", ":group => :development"];
            let kind =
                if is_grouped.iter().any(|words| rest.contains(words)) { Use::Test } else { found.kind };
            found.add_for(kind, Ecosystem::Gem, name);
        }
    }
}

pub(super) fn gemspec(found: &mut Found, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let kind = if line.contains(".add_development_dependency") {
            Use::Development
        } else if line.contains(".add_dependency") || line.contains(".add_runtime_dependency") {
            Use::Always
        } else {
            continue;
        };
        if let Some(name) = quoted(line).next() {
            found.add_for(kind, Ecosystem::Gem, name);
        }
    }
}

pub(super) fn hex(found: &mut Found, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        found.kind = match line.split_once("only:") {
            Some((_, rest)) if rest.contains(":prod") => Use::Always,
            Some((_, rest)) if rest.contains(":test") => Use::Test,
            Some(_) => Use::Development,
            None => Use::Always,
        };
        if let Some(rest) = line.strip_prefix("{:").or_else(|| line.strip_prefix("[{:"))
            && let Some((name, _)) = rest.split_once(',')
        {
            found.add(Ecosystem::Hex, name);
        }
    }
}

pub(super) fn swift(found: &mut Found, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| line.contains("url:")) {
        let address = quoted(line).find(|words| words.contains("://"));
        if let Some(last) = address.and_then(|address| address.trim_end_matches(".git").rsplit('/').next()) {
            found.add(Ecosystem::Swift, last);
        }
    }
}

/// `build-depends` of libraries and programs; those of test suites and benchmarks are for tests.
pub(super) fn cabal(found: &mut Found, text: &str) {
    let mut depth = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim();
        let lower = words.to_ascii_lowercase();
        if indent == 0 && !lower.contains(':') {
            let is_test = lower.starts_with("test-suite") || lower.starts_with("benchmark");
            found.kind = if is_test { Use::Test } else { Use::Always };
        }
        let listed = if let Some(rest) = lower.strip_prefix("build-depends:") {
            depth = Some(indent);
            Some(rest.to_owned())
        } else {
            depth = depth.filter(|depth| indent > *depth);
            depth.map(|_| lower.clone())
        };
        haskell(found, listed.as_deref().unwrap_or_default());
    }
}

/// `package.yaml`, from which a cabal file is made.
pub(super) fn hpack(found: &mut Found, manifests: &Manifests) {
    let mut listed = |kind: Use, value: Option<&Value>| {
        found.kind = kind;
        for entry in value.and_then(Value::as_array).into_iter().flatten() {
            haskell(found, entry.as_str().or_else(|| entry.get("name")?.as_str()).unwrap_or_default());
        }
    };
    let at = |keys: &[&str]| manifests.value("package.yaml", keys);
    listed(Use::Always, at(&["dependencies"]));
    listed(Use::Always, at(&["library", "dependencies"]));
    for (section, kind) in [("executables", Use::Always), ("tests", Use::Test), ("benchmarks", Use::Test)] {
        for (_, told) in at(&[section]).and_then(Value::as_object).into_iter().flatten() {
            listed(kind, told.get("dependencies"));
        }
    }
}

fn haskell(found: &mut Found, list: &str) {
    for part in list.split(',') {
        let name = part.trim();
        let end = name.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
        let name = &name[..end.unwrap_or(name.len())];
        if !name.is_empty() {
            found.add(Ecosystem::Hackage, name.to_ascii_lowercase());
        }
    }
}

pub(super) fn cran(found: &mut Found, text: &str) {
    let mut kind = None;
    for line in text.lines() {
        let rest = match line.split_once(':') {
            Some((field, rest)) if !line.starts_with([' ', '\t']) => {
                kind = match field {
                    "Imports" | "Depends" | "LinkingTo" => Some(Use::Always),
                    "Suggests" | "Enhances" => Some(Use::Optional),
                    _ => None,
                };
                rest
            }
            _ => line,
        };
        let Some(kind) = kind else { continue };
        for part in rest.split(',') {
            let name = part.trim().split([' ', '(']).next().unwrap_or_default();
            if !name.is_empty() && name != "R" {
                found.add_for(kind, Ecosystem::Cran, name);
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
