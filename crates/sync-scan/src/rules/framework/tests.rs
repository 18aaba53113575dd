//! The rules and their examples.

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

fn answer(files: &BTreeMap<String, String>) -> Answer {
    let bytes = |(name, text): (&String, &String)| (name.clone(), text.clone().into_bytes());
    let mut manifests =
        Manifests::read(files.iter().filter(|(name, _)| Manifests::is_wanted(name)).map(bytes));
    let parts = manifests.parts();
    manifests.add(files.iter().filter(|(name, _)| parts.contains(name)).map(bytes));
    assert!(manifests.problems().is_empty(), "{:?}", manifests.problems());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let wanted = |name: &str| looked_into().any(|pattern| glob::matches(pattern, name));
    let beginnings: Vec<(String, String)> = files
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    framework(&manifests, &names, &beginnings)
}

fn json(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("package.json".to_owned(), text.to_owned())])
}

#[test]
fn the_rules_are_read_and_each_slug_is_one_rule() {
    toml::from_str::<Rules>(include_str!("../frameworks.toml")).map(drop).unwrap();
    let mut slugs: Vec<_> = RULES.iter().map(|rule| &rule.slug).collect();
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), RULES.len());
    for rule in RULES.iter() {
        assert!(!rule.any.is_empty() || !rule.all.is_empty(), "{} holds for everything", rule.slug);
        assert!(!rule.name.is_empty());
        let conditions = || rule.any.iter().chain(&rule.all).chain(&rule.none);
        let needs_ecosystem = conditions().any(|condition| matches!(condition, Condition::Dependency(_)));
        assert!(!needs_ecosystem || rule.ecosystem.is_some(), "{} depends on nothing known", rule.slug);
    }
}

#[test]
fn every_rule_has_an_example_that_holds_and_one_that_nearly_does() {
    let examples: Examples = toml::from_str(include_str!("../frameworks.examples.toml")).unwrap();
    let mut with_yes = Vec::new();
    let mut with_no = Vec::new();
    for example in &examples.example {
        assert!(RULES.iter().any(|rule| rule.slug == example.slug), "{} is no rule", example.slug);
        if let Some(files) = &example.yes {
            assert_eq!(answer(files).slug(), example.slug, "{files:?}");
            with_yes.push(&example.slug);
        }
        if let Some(files) = &example.no {
            assert_ne!(answer(files).slug(), example.slug, "{files:?}");
            with_no.push(&example.slug);
        }
    }
    for rule in RULES.iter() {
        assert!(with_yes.contains(&&rule.slug), "{} has no example that holds", rule.slug);
        assert!(with_no.contains(&&rule.slug), "{} has no near miss", rule.slug);
    }
}

#[test]
fn the_answer_says_which_rule_held_where_and_what_was_left_out() {
    let told = answer(&json(
        r#"{"dependencies": {"next": "15", "react": "19"}, "devDependencies": {"express": "5"}, "peerDependencies": {"vue": "3"}}"#,
    ));
    let first = told.first.unwrap();
    assert_eq!((first.rule.slug.as_str(), first.file.as_str()), ("nextjs", "package.json"));
    assert_eq!(first.because, "dependency next");
    assert_eq!(told.outranked.iter().map(|held| held.rule.slug.as_str()).collect::<Vec<_>>(), ["react"]);
    assert_eq!(
        told.nearly,
        [
            "vue: vue is only a peer dependency of package.json",
            "express: express is only a development dependency of package.json"
        ]
    );
}

#[test]
fn a_package_that_is_the_framework_is_not_an_application_of_it() {
    let told = answer(&json(r#"{"name": "next", "dependencies": {"next": "15"}}"#));
    assert_eq!(
        (told.slug(), told.nearly.as_slice()),
        ("", &["nextjs: the project is Next.js itself".to_owned()][..])
    );
    let flask = "[project]\nname = \"Flask\"\ndependencies = [\"flask\"]\n";
    let files = BTreeMap::from([("pyproject.toml".to_owned(), flask.to_owned())]);
    assert_eq!(answer(&files).slug(), "");
}

#[test]
fn a_star_at_the_end_stands_for_anything() {
    let pom = |artifact: &str| {
        let text = format!(
            "<project><dependencies><dependency><groupId>io.quarkus</groupId><artifactId>{artifact}</artifactId></dependency></dependencies></project>"
        );
        BTreeMap::from([("pom.xml".to_owned(), text)])
    };
    assert_eq!(answer(&pom("a")).slug(), "quarkus");
    assert_eq!(answer(&pom("quarkus-rest")).slug(), "quarkus");
}
