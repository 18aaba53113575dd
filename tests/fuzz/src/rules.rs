//! What is made of somebody's own rules for frameworks.
//!
//! Parts: the file of rules, then files of a project, the path on the first line and the content on the others.

use std::time::Duration;

use sync_scan::rules::framework::{Held, Rules, framework};
use sync_scan::rules::glob;
use sync_scan::rules::manifest::Manifests;

use crate::client::now;
use crate::parts::{named, parts};

const FILE: &str = "/home/u/rules/own.toml";
/// What a rule may be called, at most.
const LONGEST_SLUG: usize = 64;
/// Far more than a few kilobytes of rules need.
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn run(data: &[u8]) {
    let begun = now();
    let text = String::from_utf8_lossy(parts(data).next().unwrap_or_default()).into_owned();
    let files: Vec<(String, &[u8])> = named(data).skip(1).collect();
    let wanted = files.iter().filter(|(name, _)| Manifests::is_wanted(name));
    let manifests = Manifests::read(wanted.map(|(name, content)| (name.clone(), content.to_vec())));
    let mut paths: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    paths.sort_unstable();

    let built_in = Rules::built_in();
    let rules = Rules::with(&[(FILE.to_owned(), text.clone())]);
    assert!(rules.digest() != 0 && rules.digest() == Rules::with(&[(FILE.to_owned(), text)]).digest());
    for problem in rules.problems() {
        assert!(problem.file == FILE && problem.words.starts_with("line "), "{problem:?}");
    }
    let looked_into: Vec<&str> = rules.looked_into().collect();
    let is_looked_into = |path: &str| looked_into.iter().any(|pattern| glob::matches(pattern, path));
    let beginnings: Vec<(String, String)> = files
        .iter()
        .filter(|(name, _)| is_looked_into(name))
        .map(|(name, content)| (name.clone(), String::from_utf8_lossy(content).into_owned()))
        .collect();

    let answer = framework(&rules, &manifests, &paths, &beginnings);
    let held: Vec<&Held<'_>> = answer.first.iter().chain(&answer.outranked).collect();
    assert!(held.windows(2).all(|pair| pair[0].rule.rank <= pair[1].rule.rank), "the lowest rank wins");
    for one in &held {
        let slug = &one.rule.slug;
        assert!(!slug.is_empty() && slug.len() <= LONGEST_SLUG, "{slug:?}");
        assert!(!slug.contains(|letter: char| letter.is_whitespace() || letter.is_control()), "{slug:?}");
        assert!(!one.because.is_empty(), "`{slug}` holds for no reason");
        assert!(one.rule.origin.is_empty() || one.rule.origin == FILE, "{}", one.rule.origin);
    }
    // What is wrong costs the rule or the file, and none of the program's own rules.
    if rules.problems().iter().any(|problem| problem.words.ends_with("none of its rules count")) {
        assert_eq!(rules.problems().len(), 1);
        let own = framework(&built_in, &manifests, &paths, &beginnings);
        assert_eq!(answer.slug(), own.slug());
    }
    assert!(begun.elapsed() < LONG, "{} bytes took {:?}", data.len(), begun.elapsed());
}
