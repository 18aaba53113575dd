//! Dependencies of `package.json`, `deno.json`, `composer.json` and `pubspec.yaml`.

use serde_json::Value;

use super::{Ecosystem, Found, Use};
use crate::rules::manifest::Manifests;

pub(super) fn npm(found: &mut Found, manifests: &Manifests) {
    found.in_file("package.json");
    for (table, kind) in [
        ("dependencies", Use::Always),
        ("devDependencies", Use::Development),
        ("peerDependencies", Use::Peer),
        ("optionalDependencies", Use::Optional),
    ] {
        found.keys(kind, Ecosystem::Npm, manifests.value("package.json", &[table]));
    }
}

/// `npm:hono@4`, `jsr:@hono/hono@4` and `https://esm.sh/preact@10` are all told by the package's name.
pub(super) fn deno(found: &mut Found, manifests: &Manifests) {
    for file in ["deno.json", "deno.jsonc"] {
        found.in_file(file);
        let imports = manifests.value(file, &["imports"]).and_then(Value::as_object);
        for (alias, target) in imports.into_iter().flatten() {
            let Some(target) = target.as_str() else { continue };
            match target.split_once(':') {
                Some(("npm" | "jsr", rest)) => {
                    found.add(Ecosystem::Npm, without_version(rest.trim_start_matches('/')));
                }
                Some(_) | None => found.add(Ecosystem::Npm, alias.trim_end_matches('/')),
            }
        }
    }
}

fn without_version(specifier: &str) -> &str {
    let from = usize::from(specifier.starts_with('@'));
    let end = specifier[from..].find('@').map_or(specifier.len(), |at| from + at);
    &specifier[..end]
}

pub(super) fn composer(found: &mut Found, manifests: &Manifests) {
    found.in_file("composer.json");
    found.keys(Use::Always, Ecosystem::Composer, manifests.value("composer.json", &["require"]));
    found.keys(Use::Development, Ecosystem::Composer, manifests.value("composer.json", &["require-dev"]));
}

pub(super) fn dart(found: &mut Found, manifests: &Manifests) {
    found.in_file("pubspec.yaml");
    found.keys(Use::Always, Ecosystem::Pub, manifests.value("pubspec.yaml", &["dependencies"]));
    found.keys(Use::Development, Ecosystem::Pub, manifests.value("pubspec.yaml", &["dev_dependencies"]));
}
