//! What is made of a project's manifests and sources.
//!
//! Parts: a file, its path on the first line and its content on the others.

use std::path::Path;
use std::time::Duration;

use sync_scan::rules::framework::{Rules, framework};
use sync_scan::rules::language::{Guess, by_content, guess, is_generated, left_out};
use sync_scan::rules::manifest::Manifests;
use sync_scan::rules::{glob, kind, name};

use crate::client::now;
use crate::parts::named;

/// Far more than a few kilobytes of manifests need.
const LONG: Duration = Duration::from_secs(10);

/// What would be a user's own rules, if it lay in their folder.
fn files_of_rules(files: &[(String, &[u8])]) -> Vec<(String, String)> {
    let is_table = |name: &str| Path::new(name).extension().is_some_and(|end| end == "toml");
    let tables = files.iter().filter(|(name, _)| is_table(name));
    tables.map(|(name, content)| (name.clone(), String::from_utf8_lossy(content).into_owned())).collect()
}

pub(crate) fn run(data: &[u8]) {
    let begun = now();
    let files: Vec<(String, &[u8])> = named(data).collect();
    let wanted = files.iter().filter(|(name, _)| Manifests::is_wanted(name));
    let manifests = Manifests::read(wanted.map(|(name, content)| (name.clone(), content.to_vec())));
    let mut paths: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    paths.sort_unstable();
    let beginnings: Vec<(String, String)> = files
        .iter()
        .map(|(name, content)| (name.clone(), String::from_utf8_lossy(content).into_owned()))
        .collect();
    let rules = Rules::with(&files_of_rules(&files));
    let answer = framework(&rules, &manifests, &paths, &beginnings);
    assert!(answer.slug().len() < 128, "a slug is short");
    for workspace in kind::workspaces(&manifests) {
        for package in workspace.packages(paths.iter().copied()) {
            assert!(
                package == "." || paths.iter().any(|path| path.starts_with(package)),
                "{package} is not there"
            );
        }
    }
    if let Some((name, file)) = name::name(&manifests) {
        assert!(!name.is_empty() && !file.is_empty(), "a name has letters");
    }
    let _dependencies = manifests.dependencies();
    let _parts = manifests.parts();
    for (path, content) in &files {
        let guessed = guess(path, false);
        let language = by_content(&guessed, content, &|_| false);
        if let Guess::Certain(certain) = guessed {
            assert_eq!(language, Some(certain), "what is certain does not change");
        }
        let _generated = is_generated(path, content);
        let _left_out = left_out(path, &sync_scan::rules::language::Overrides::default());
        let pattern = String::from_utf8_lossy(content);
        let _matches = glob::matches(pattern.lines().next().unwrap_or_default(), path);
    }
    assert!(begun.elapsed() < LONG, "{} bytes took {:?}", data.len(), begun.elapsed());
}
