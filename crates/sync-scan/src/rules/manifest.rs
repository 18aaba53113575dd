//! Reads the manifests of a project's root into one shape and tells what they depend on.
//!
//! Given names and bytes. A file that cannot be understood is a problem in words that names it, and the others hold.

use std::collections::BTreeMap;

use serde_json::Value;

mod dependency;
mod xml;

pub use dependency::{Dependency, Ecosystem, Use};
pub use xml::Element;

/// How lines of code are read.
pub(in crate::rules) mod dependency_words {
    pub(in crate::rules) use super::dependency::{quoted, without_major};
}

/// Longest manifest that is read, in bytes.
pub const LONGEST_MANIFEST: u64 = 1 << 20;

/// Deepest nesting of a manifest that is understood.
const DEEPEST: usize = 96;

/// Longest reason that is told, in letters.
const LONGEST_REASON: usize = 200;

/// What a manifest says.
#[derive(Debug)]
enum Content {
    /// JSON, TOML or YAML.
    Tree(Value),
    /// XML.
    Xml(Element),
    /// Code or lines, read as text.
    Text,
}

/// The manifests of one folder.
#[derive(Debug, Default)]
pub struct Manifests {
    contents: BTreeMap<String, Content>,
    texts: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Manifests {
    /// Reads files given by name and content. Files that are no manifests are kept as text.
    pub fn read(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut manifests = Self::default();
        manifests.add(files);
        manifests
    }

    /// Whether `name` is a file worth reading; a path of several folders is one too, for a few files that belong to
    /// the manifests of the root.
    pub fn is_wanted(name: &str) -> bool {
        if name.contains('/') { BELOW.contains(&name) } else { format_of(name).is_some() }
    }

    /// The files below that what was read names as its parts: the projects of a solution.
    pub fn parts(&self) -> Vec<String> {
        let solutions = self.texts.iter().filter(|(name, _)| is_solution(name));
        let mut parts: Vec<String> = solutions.flat_map(|(_, text)| solution(text)).collect();
        parts.sort_unstable();
        parts.dedup();
        parts.truncate(MOST_PARTS);
        parts
    }

    /// Adds files to those that were read.
    pub fn add(&mut self, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
        for (name, bytes) in files {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            let text = String::from_utf8_lossy(bytes).into_owned();
            if matches!(std::str::from_utf8(bytes), Err(_not_text)) {
                self.problems.push(format!("{name} is not UTF-8: what cannot be read of it is replaced"));
            }
            match understand(&name, &text) {
                Ok(content) => {
                    self.contents.insert(name.clone(), content);
                }
                Err(reason) => self.problems.push(format!("{name} cannot be understood: {reason}")),
            }
            self.texts.insert(name, text);
        }
    }

    /// What could not be understood.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The JSON, TOML or YAML of the file `name`.
    pub fn tree(&self, name: &str) -> Option<&Value> {
        match self.contents.get(name)? {
            Content::Tree(value) => Some(value),
            Content::Xml(_) | Content::Text => None,
        }
    }

    /// The value of the file `name` under a path of keys.
    pub fn value(&self, name: &str, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self.tree(name)?, |value, key| value.get(key))
    }

    /// The text of the file `name` under a path of keys, when it is there and not empty.
    pub fn words(&self, name: &str, keys: &[&str]) -> Option<&str> {
        self.value(name, keys)?.as_str().filter(|words| !words.is_empty())
    }

    /// The root element of the XML file `name`.
    pub fn xml(&self, name: &str) -> Option<&Element> {
        match self.contents.get(name)? {
            Content::Xml(element) => Some(element),
            Content::Tree(_) | Content::Text => None,
        }
    }

    /// The file `name` as it is.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The names of the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// Everything the manifests depend on, tests and optional things left out.
    pub fn dependencies(&self) -> Vec<Dependency> {
        dependency::all(self)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Json,
    Toml,
    Yaml,
    Xml,
    Text,
}

const FORMATS: &[(&str, Format)] = &[
    ("package.json", Format::Json),
    ("composer.json", Format::Json),
    ("lerna.json", Format::Json),
    ("rush.json", Format::Json),
    ("deno.json", Format::Json),
    ("deno.jsonc", Format::Json),
    ("angular.json", Format::Json),
    ("Cargo.toml", Format::Toml),
    ("pyproject.toml", Format::Toml),
    ("Pipfile", Format::Toml),
    ("pubspec.yaml", Format::Yaml),
    ("pnpm-workspace.yaml", Format::Yaml),
    ("melos.yaml", Format::Yaml),
    ("pom.xml", Format::Xml),
    ("go.mod", Format::Text),
    ("go.work", Format::Text),
    ("Gemfile", Format::Text),
    ("setup.cfg", Format::Text),
    ("setup.py", Format::Text),
    ("build.gradle", Format::Text),
    ("build.gradle.kts", Format::Text),
    ("settings.gradle", Format::Text),
    ("settings.gradle.kts", Format::Text),
    ("mix.exs", Format::Text),
    ("build.sbt", Format::Text),
    ("Package.swift", Format::Text),
    ("Project.toml", Format::Toml),
    ("_config.yml", Format::Text),
    ("project.godot", Format::Text),
    ("package.yaml", Format::Yaml),
    ("cabal.project", Format::Text),
    ("stack.yaml", Format::Yaml),
    ("environment.yml", Format::Yaml),
    ("environment.yaml", Format::Yaml),
    ("DESCRIPTION", Format::Text),
    ("manage.py", Format::Text),
    ("gradle/libs.versions.toml", Format::Toml),
    ("project/plugins.sbt", Format::Text),
];

/// Manifests of the root that lie in a folder.
const BELOW: &[&str] = &["gradle/libs.versions.toml", "project/plugins.sbt"];

/// Most projects of a solution that are looked at.
const MOST_PARTS: usize = 64;

/// Most parts of a YAML file that are there by reference: a few lines of references to references stand for millions.
const MOST_REPEATED: usize = 10_000;

fn is_solution(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "sln" | "slnx")))
}

/// The paths of the projects a solution names, but for tests.
fn solution(text: &str) -> Vec<String> {
    let quoted = text.lines().filter(|line| line.contains("proj\"")).flat_map(dependency::quoted);
    quoted
        .filter(|words| [".csproj", ".fsproj", ".vbproj"].iter().any(|end| words.ends_with(end)))
        .map(|path| path.replace('\\', "/"))
        .filter(|path| !path.contains("..") && !path.to_ascii_lowercase().contains("test"))
        .collect()
}

fn format_of(name: &str) -> Option<Format> {
    let known = FORMATS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
    known.or_else(|| match name.rsplit_once('.') {
        Some((_, "csproj" | "fsproj" | "vbproj")) => Some(Format::Xml),
        Some((stem, "txt" | "in")) if stem.starts_with("requirements") => Some(Format::Text),
        Some((_, "gemspec" | "cabal" | "tf" | "sln" | "slnx")) => Some(Format::Text),
        _ => None,
    })
}

fn understand(name: &str, text: &str) -> Result<Content, String> {
    match format_of(name) {
        Some(Format::Json) => json(text).map(Content::Tree),
        Some(Format::Toml) => toml_tree(text).map(Content::Tree),
        Some(Format::Yaml) => yaml(text).map(Content::Tree),
        Some(Format::Xml) => xml::read(text, DEEPEST).map(Content::Xml).map_err(|reason| first_line(&reason)),
        Some(Format::Text) | None => Ok(Content::Text),
    }
}

fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| first_line(&error))
}

fn toml_tree(text: &str) -> Result<Value, String> {
    // Keys parted by dots nest as well, without a bracket.
    if text.lines().any(|line| line.matches('.').count() > DEEPEST && is_long_key(line)) {
        return Err(format!("nested deeper than {DEEPEST}"));
    }
    toml::from_str(text).map_err(|error| first_line(&error))
}

/// Whether so many dots stand outside quotes, before any value.
fn is_long_key(line: &str) -> bool {
    let key = line.split(['=', '#']).next().unwrap_or(line);
    let outside: usize = key.split(['"', '\'']).step_by(2).map(|part| part.matches('.').count()).sum();
    outside > DEEPEST
}

fn json(text: &str) -> Result<Value, String> {
    if nesting(text) > DEEPEST {
        return Err(format!("nested deeper than {DEEPEST}"));
    }
    serde_json::from_str(text).or_else(|strict| {
        jsonc_parser::parse_to_serde_value(text, &jsonc_parser::ParseOptions::default())
            .map_err(|_lenient| first_line(&strict))
    })
}

/// How deep brackets are nested outside quoted text.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn first_line(error: &impl std::fmt::Display) -> String {
    // A parser may quote a line of any length.
    error.to_string().lines().next().unwrap_or_default().chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, content: &str, understood: bool) {
        let manifests = Manifests::read([(name.to_owned(), content.as_bytes().to_vec())]);
        assert_eq!(manifests.problems().is_empty(), understood, "{name}: {:?}", manifests.problems());
        assert!(manifests.problems().iter().all(|problem| problem.contains(name)));
    }

    #[test]
    fn what_cannot_be_understood_names_the_file() {
        check("package.json", "{\"name\": \"a\"}", true);
        check("package.json", "// said before\n{\"name\": \"a\",}", true);
        check("package.json", "\u{feff}{}", true);
        check("package.json", "{\"name\": ", false);
        check("package.json", &"[".repeat(100_000), false);
        check("Cargo.toml", "[package]\nname = \"a\"", true);
        check("Cargo.toml", "[package\n", false);
        check("Cargo.toml", &format!("a = {}", "[".repeat(100_000)), false);
        check("pubspec.yaml", "name: a\n", true);
        check("pubspec.yaml", "name: [a\n", false);
        check("pubspec.yaml", &"[".repeat(100_000), false);
        check("pom.xml", "<project><name>a</name></project>", true);
        check("pom.xml", "<project><name></project>", false);
        check("pom.xml", &"<a>".repeat(100_000), false);
        check("go.mod", "anything", true);
    }

    #[test]
    fn bombs_are_refused_or_harmless() {
        let laughs = |anchors: usize| {
            let line = |at: usize| match at.checked_sub(1) {
                None => "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
                Some(before) => format!("a{at}: &a{at} [{}]\n", vec![format!("*a{before}"); 9].join(", ")),
            };
            (0..anchors).map(line).collect::<String>()
        };
        check("pubspec.yaml", &laughs(3), true);
        // Half a million parts: few enough for a reader's own limits, and ten seconds of a debug build.
        check("pubspec.yaml", &laughs(6), false);
        check("pubspec.yaml", &laughs(20), false);
        check("pubspec.yaml", &"- ".repeat(100_000), false);
        check("pubspec.yaml", &"{a: ".repeat(100_000), false);
        check("pubspec.yaml", &"? ".repeat(100_000), false);
        check("package.json", &format!("// \"\n{}", "[".repeat(100_000)), false);
        check("package.json", &format!("/* \" */{}", "{\"a\":".repeat(100_000)), false);
        check("Cargo.toml", &format!("a{} = 1", ".a".repeat(100_000)), false);
        check("Cargo.toml", &format!("[a{}]\n", ".a".repeat(100_000)), false);
        check("Cargo.toml", &format!("a = {}", "{ b = ".repeat(100_000)), false);
        check("Cargo.toml", &format!("# {}\na = \"{}\"\n", ".".repeat(500), ".".repeat(500)), true);
        let entities = "<!DOCTYPE p [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><project><name>&b;</name></project>";
        check("pom.xml", entities, true);
        let outside = "<!DOCTYPE p [<!ENTITY a SYSTEM \"file:///etc/hostname\">]><project><artifactId>&a;</artifactId></project>";
        let manifests = Manifests::read([("pom.xml".to_owned(), outside.as_bytes().to_vec())]);
        assert_eq!(manifests.xml("pom.xml").and_then(|project| project.words("artifactId")), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_and_the_rest_is_read() {
        let manifests =
            Manifests::read([("package.json".to_owned(), b"{\"name\": \"a\", \"x\": \"\xff\"}".to_vec())]);
        assert_eq!(manifests.words("package.json", &["name"]), Some("a"));
        assert_eq!(
            manifests.problems(),
            ["package.json is not UTF-8: what cannot be read of it is replaced"]
        );
        let wide: Vec<u8> = "{\"name\": \"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let manifests =
            Manifests::read([("package.json".to_owned(), [&[0xff, 0xfe], wide.as_slice()].concat())]);
        assert_eq!(manifests.problems().len(), 2, "{:?}", manifests.problems());
    }

    #[test]
    fn a_reason_is_short_however_long_the_line_is() {
        let long = "x".repeat(500_000);
        for (name, text) in [
            ("Cargo.toml", format!("[package]\n{long} {long}")),
            ("pom.xml", format!("<project><{long}></b></project>")),
            ("pubspec.yaml", format!("a: [{long}")),
            ("package.json", format!("{{{long}")),
        ] {
            let manifests = Manifests::read([(name.to_owned(), text.into_bytes())]);
            assert!(manifests.problems().iter().all(|problem| problem.len() < 1_000), "{name}");
            assert_eq!(manifests.problems().len(), 1, "{name}");
        }
    }

    #[test]
    fn brackets_in_quotes_are_no_nesting() {
        assert_eq!(nesting(r#"{"a": "[[[[", "b": "\"[[" }"#), 1);
        assert_eq!(nesting("[[{}]]"), 3);
    }
}
