//! Tells the framework a project is built on, by rules kept as data.
//!
//! Only the manifests of one folder and the names of its files are looked at. The rule with the lowest rank wins; a
//! package that is a framework itself is not an application of it. The user's own rules come beside those of the
//! program, or in their place.

use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::glob;
use super::manifest::{Dependency, Ecosystem, Manifests, Use};
use super::name::name;

#[cfg(test)]
mod tests;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    framework: Vec<Spanned<Framework>>,
}

/// The rules of the program, as they were built into it.
#[derive(Deserialize)]
struct BuiltIn {
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
    /// Where its packages come from, if it has any.
    #[serde(default)]
    pub ecosystem: Option<Ecosystem>,
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
    /// The user's file it is from; empty for a rule of the program.
    #[serde(skip)]
    pub origin: String,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// There is a file at this path or matching this pattern.
    File(String),
    /// The ecosystem's manifest names this; a star at the end stands for anything.
    Dependency(String),
    /// The same in another ecosystem than the rule's.
    DependencyOf { ecosystem: Ecosystem, name: String },
    /// A manifest, or one of the first few files of this pattern, contains this text.
    FileContains { file: String, text: String },
    /// A TOML manifest has a value under these keys, parted by dots.
    TomlKey { file: String, key: String },
    /// A JSON manifest has a value under these keys, parted by dots.
    JsonKey { file: String, key: String },
}

/// Read by who examines; the daemon leaves that to others and does without.
static BUILT_IN: LazyLock<Vec<Arc<Framework>>> = LazyLock::new(|| {
    let built_in =
        serde_json::from_str::<BuiltIn>(include_str!(concat!(env!("OUT_DIR"), "/frameworks.json")));
    let mut rules: Vec<Arc<Framework>> = Vec::new();
    rules.extend(built_in.into_iter().flat_map(|built_in| built_in.framework).map(Arc::new));
    rules.sort_by_key(|rule| rule.rank);
    rules
});

/// The rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Where the user has any: with those of the program, the lowest rank first.
    with_own: Option<Vec<Arc<Framework>>>,
    /// The user's files they were read from.
    files: Arc<[(String, String)]>,
    digest: u64,
    problems: Vec<RuleProblem>,
}

/// What is wrong with a user's file of rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleProblem {
    /// The file.
    pub file: String,
    /// Where and what, for people: a lower-case fragment.
    pub words: String,
}

impl Rules {
    /// Those of the program.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// Those of the program and of these files, each with its content, in this order: a rule takes the place of an
    /// earlier one with the same slug. What is wrong with one costs that rule or file and nothing else.
    pub fn with(files: &[(String, String)]) -> Self {
        if files.is_empty() {
            return Self::built_in();
        }
        let mut problems = Vec::new();
        let mut own: Vec<Arc<Framework>> = Vec::new();
        let mut digest = DefaultHasher::new();
        for (file, text) in files {
            for part in [file, text] {
                digest.write_usize(part.len());
                digest.write(part.as_bytes());
            }
            let (found, wrong) = read(file, text);
            problems.extend(wrong.into_iter().map(|words| RuleProblem { file: file.clone(), words }));
            for rule in found {
                own.retain(|earlier| earlier.slug != rule.slug);
                own.push(Arc::new(rule));
            }
        }
        let kept = |rule: &&Arc<Framework>| own.iter().all(|other| other.slug != rule.slug);
        let kept: Vec<_> = BUILT_IN.iter().filter(kept).cloned().collect();
        // Before the others, so that of two of one rank it is the user's that wins.
        own.extend(kept);
        own.sort_by_key(|rule| rule.rank);
        Self { with_own: Some(own), files: files.into(), digest: digest.finish(), problems }
    }

    fn all(&self) -> &[Arc<Framework>] {
        self.with_own.as_deref().unwrap_or(&BUILT_IN)
    }

    /// The user's files they were read from, each with its content: what [`Self::with`] makes the same rules of.
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Another one when the user's rules are others; 0 when there are none.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// What is wrong with the user's files.
    pub fn problems(&self) -> &[RuleProblem] {
        &self.problems
    }

    /// Notes that a file or folder could not be read.
    pub fn note(&mut self, file: String, words: String) {
        self.problems.push(RuleProblem { file, words });
    }

    /// The patterns of files besides manifests whose beginnings the rules look into.
    pub fn looked_into(&self) -> impl Iterator<Item = &str> {
        let all = self.all().iter().flat_map(|rule| rule.any.iter().chain(&rule.all).chain(&rule.none));
        all.filter_map(|condition| match condition {
            Condition::FileContains { file, .. } if !Manifests::is_wanted(file) => Some(file.as_str()),
            Condition::FileContains { .. }
            | Condition::File(_)
            | Condition::Dependency(_)
            | Condition::DependencyOf { .. }
            | Condition::TomlKey { .. }
            | Condition::JsonKey { .. } => None,
        })
    }
}

/// The rules of a user's file, and what is wrong with it, each with the line.
fn read(file: &str, text: &str) -> (Vec<Framework>, Vec<String>) {
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let rules = match toml::from_str::<RulesFile>(text) {
        Ok(rules) => rules.framework,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            return (
                Vec::new(),
                vec![format!("line {}: {}; none of its rules count", line(at), error.message())],
            );
        }
    };
    let mut problems = Vec::new();
    let mut good = Vec::new();
    for rule in rules {
        let at = line(rule.span().start);
        let rule = rule.into_inner();
        match fault(&rule) {
            Some(words) => {
                problems.push(format!("line {at}: the rule `{}` does not count: {words}", rule.slug));
            }
            None => good.push(Framework { origin: file.to_owned(), ..rule }),
        }
    }
    (good, problems)
}

/// Why a rule cannot be used.
fn fault(rule: &Framework) -> Option<&'static str> {
    let is_slug = |text: &str| {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.+".contains(&byte);
        !text.is_empty() && text.len() <= LONGEST_SLUG && text.bytes().all(good)
    };
    let mut conditions = rule.any.iter().chain(&rule.all).chain(&rule.none);
    if !is_slug(&rule.slug) {
        Some("a slug has lower-case letters, digits, `-`, `.` and `+`, at most 64")
    } else if rule.any.is_empty() && rule.all.is_empty() {
        Some("it needs `any` or `all`, or it would hold for everything")
    } else if rule.ecosystem.is_none()
        && conditions.any(|condition| matches!(condition, Condition::Dependency(_)))
    {
        Some("a `dependency` needs the rule's `ecosystem`")
    } else {
        None
    }
}

const LONGEST_SLUG: usize = 64;

/// Most mentions of what nearly held.
const MOST_NEARLY: usize = 8;

/// A rule that holds, and why.
#[derive(Clone, Debug)]
pub struct Held<'r> {
    /// The rule.
    pub rule: &'r Framework,
    /// What held, for people.
    pub because: String,
    /// The file that shows it; empty when none does by itself.
    pub file: String,
}

/// What the rules say of a folder.
#[derive(Clone, Debug, Default)]
pub struct Answer<'r> {
    /// The rule that wins.
    pub first: Option<Held<'r>>,
    /// Those that hold too, in the order of their ranks.
    pub outranked: Vec<Held<'r>>,
    /// Rules that nearly hold and why they do not, for people.
    pub nearly: Vec<String>,
}

impl<'r> Answer<'r> {
    /// The slug of the rule that wins, or nothing.
    pub fn slug(&self) -> &'r str {
        self.first.as_ref().map_or("", |held| held.rule.slug.as_str())
    }
}

/// What the rules say of a folder with these manifests and files; paths are from the folder and sorted.
///
/// `beginnings` are files that [`Rules::looked_into`] asked for, with how they begin.
pub fn framework<'r>(
    rules: &'r Rules,
    manifests: &Manifests,
    files: &[&str],
    beginnings: &[(String, String)],
) -> Answer<'r> {
    let dependencies = manifests.dependencies();
    let own_name = name(manifests).map(|(name, _)| name).unwrap_or_default();
    let names = files.iter().copied().filter(|file| !file.contains('/')).collect();
    let seen = Seen { manifests, files, names, beginnings, dependencies: &dependencies, own_name: &own_name };
    let mut answer = Answer::default();
    for rule in rules.all() {
        match seen.judge(rule) {
            Judgement::Holds(held) if answer.first.is_none() => answer.first = Some(held),
            Judgement::Holds(held) => answer.outranked.push(held),
            Judgement::Nearly(why) if answer.nearly.len() < MOST_NEARLY => answer.nearly.push(why),
            Judgement::Nearly(_) | Judgement::Not => {}
        }
    }
    answer
}

enum Judgement<'r> {
    Holds(Held<'r>),
    Nearly(String),
    Not,
}

struct Seen<'a> {
    manifests: &'a Manifests,
    files: &'a [&'a str],
    names: Vec<&'a str>,
    beginnings: &'a [(String, String)],
    /// Sorted, so that those of one name lie together.
    dependencies: &'a [Dependency],
    own_name: &'a str,
}

impl Seen<'_> {
    fn judge<'r>(&self, rule: &'r Framework) -> Judgement<'r> {
        let shown = |condition: &Condition| self.shown(rule, condition);
        let any = rule.any.iter().find_map(shown);
        let mut all = rule.all.iter().map(shown);
        let first = any.clone().or_else(|| rule.all.first().and_then(shown));
        let holds = (rule.any.is_empty() || any.is_some()) && all.all(|shown| shown.is_some());
        let Some((because, file)) = first.filter(|_| holds) else { return self.nearly(rule) };
        if rule.any.iter().chain(&rule.all).any(|condition| self.is_itself(rule, condition)) {
            return Judgement::Nearly(format!("{}: the project is {} itself", rule.slug, rule.name));
        }
        match rule.none.iter().find_map(shown) {
            Some((against, _)) => Judgement::Nearly(format!("{}: {because}, but {against}", rule.slug)),
            None => Judgement::Holds(Held { rule, because, file }),
        }
    }

    /// A dependency that would have counted had it been one for running.
    fn nearly<'r>(&self, rule: &'r Framework) -> Judgement<'r> {
        let found = rule.any.iter().chain(&rule.all).find_map(|condition| {
            let (ecosystem, name) = sought(rule, condition)?;
            self.named(ecosystem, name).find(|found| !counts(rule, found))
        });
        found.map_or(Judgement::Not, |found| {
            let kind = found.kind.words();
            Judgement::Nearly(format!("{}: {} is only a {kind} of {}", rule.slug, found.name, found.file))
        })
    }

    fn is_itself(&self, rule: &Framework, condition: &Condition) -> bool {
        sought(rule, condition).is_some_and(|(ecosystem, name)| {
            if ecosystem == Ecosystem::Pypi {
                name == self.own_name.to_ascii_lowercase().replace(['_', '.'], "-")
            } else {
                name == self.own_name
            }
        })
    }

    /// What shows that the condition holds: words for people, and the file.
    fn shown(&self, rule: &Framework, condition: &Condition) -> Option<(String, String)> {
        match condition {
            Condition::File(pattern) => {
                let file = self.file(pattern)?;
                Some((format!("there is {file}"), file.to_owned()))
            }
            Condition::Dependency(_) | Condition::DependencyOf { .. } => {
                let (ecosystem, name) = sought(rule, condition)?;
                let found = self.named(ecosystem, name).find(|found| counts(rule, found))?;
                Some((format!("{} {}", found.kind.words(), found.name), found.file.clone()))
            }
            Condition::FileContains { file, text } => {
                let name = self.texts(file).find(|(_, found)| found.contains(text.as_str()))?.0;
                Some((format!("{name} contains `{text}`"), name.to_owned()))
            }
            Condition::TomlKey { file, key } | Condition::JsonKey { file, key } => {
                let start = self.manifests.tree(file);
                let value = key.split('.').try_fold(start, |value, key| Some(value?.get(key))).flatten();
                value.filter(|value| !matches!(value, Value::Null | Value::Bool(false)))?;
                Some((format!("{file} has `{key}`"), file.clone()))
            }
        }
    }

    fn file(&self, pattern: &str) -> Option<&str> {
        if !pattern.contains(['*', '?', '{']) {
            return self.files.binary_search(&pattern).ok().map(|at| self.files[at]);
        }
        let among: &[&str] = if pattern.contains('/') { self.files } else { &self.names };
        among.iter().copied().find(|file| glob::matches(pattern, file))
    }

    fn named(&self, ecosystem: Ecosystem, name: &str) -> impl Iterator<Item = &Dependency> {
        let (start, is_whole) = name.strip_suffix('*').map_or((name, true), |start| (start, false));
        let from = self
            .dependencies
            .partition_point(|found| (found.ecosystem, found.name.as_str()) < (ecosystem, start));
        self.dependencies[from..].iter().take_while(move |found| {
            found.ecosystem == ecosystem
                && if is_whole { found.name == start } else { found.name.starts_with(start) }
        })
    }

    fn texts(&self, pattern: &str) -> impl Iterator<Item = (&str, &str)> {
        let manifests = self.manifests.names().filter_map(|name| Some((name, self.manifests.text(name)?)));
        let others = self.beginnings.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        manifests.chain(others).filter(move |(name, _)| glob::matches(pattern, name))
    }
}

fn sought<'a>(rule: &Framework, condition: &'a Condition) -> Option<(Ecosystem, &'a str)> {
    match condition {
        Condition::Dependency(name) => Some((rule.ecosystem?, name)),
        Condition::DependencyOf { ecosystem, name } => Some((*ecosystem, name)),
        Condition::File(_)
        | Condition::FileContains { .. }
        | Condition::TomlKey { .. }
        | Condition::JsonKey { .. } => None,
    }
}

fn counts(rule: &Framework, found: &Dependency) -> bool {
    match found.kind {
        Use::Always => true,
        Use::Development => rule.for_development,
        Use::Test | Use::Optional | Use::Peer => false,
    }
}
