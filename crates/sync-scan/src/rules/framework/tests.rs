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

fn answer(files: &BTreeMap<String, String>) -> Answer<'static> {
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);
    answer_by(&RULES, files)
}

fn answer_by<'r>(rules: &'r Rules, files: &BTreeMap<String, String>) -> Answer<'r> {
    let bytes = |(name, text): (&String, &String)| (name.clone(), text.clone().into_bytes());
    let mut manifests =
        Manifests::read(files.iter().filter(|(name, _)| Manifests::is_wanted(name)).map(bytes));
    let parts = manifests.parts();
    manifests.add(files.iter().filter(|(name, _)| parts.contains(name)).map(bytes));
    assert!(manifests.problems().is_empty(), "{:?}", manifests.problems());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let wanted = |name: &str| rules.looked_into().any(|pattern| glob::matches(pattern, name));
    let beginnings: Vec<(String, String)> = files
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    framework(rules, &manifests, &names, &beginnings)
}

fn json(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("package.json".to_owned(), text.to_owned())])
}

#[test]
fn the_rules_are_read_and_each_slug_is_one_rule() {
    let file = toml::from_str::<RulesFile>(include_str!("../frameworks.toml")).unwrap();
    let mut written: Vec<Framework> = file.framework.into_iter().map(Spanned::into_inner).collect();
    written.sort_by_key(|rule| rule.rank);
    assert_eq!(format!("{written:#?}"), format!("{:#?}", Rules::built_in().all()));
    let mut slugs: Vec<_> = BUILT_IN.iter().map(|rule| &rule.slug).collect();
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), BUILT_IN.len());
    for rule in BUILT_IN.iter() {
        assert_eq!(fault(rule), None, "{}", rule.slug);
        assert!(!rule.name.is_empty());
    }
}

#[test]
fn every_rule_has_an_example_that_holds_and_one_that_nearly_does() {
    let examples: Examples = toml::from_str(include_str!("../frameworks.examples.toml")).unwrap();
    let mut with_yes = Vec::new();
    let mut with_no = Vec::new();
    for example in &examples.example {
        assert!(BUILT_IN.iter().any(|rule| rule.slug == example.slug), "{} is no rule", example.slug);
        if let Some(files) = &example.yes {
            assert_eq!(answer(files).slug(), example.slug, "{files:?}");
            with_yes.push(&example.slug);
        }
        if let Some(files) = &example.no {
            assert_ne!(answer(files).slug(), example.slug, "{files:?}");
            with_no.push(&example.slug);
        }
    }
    for rule in BUILT_IN.iter() {
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

fn with(files: &[(&str, &str)]) -> Rules {
    let files: Vec<(String, String)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Rules::with(&files)
}

const HOUSE: &str = r#"
[[framework]]
slug = "house-kit"
name = "House Kit"
ecosystem = "npm"
rank = 1
any = [{ dependency = "@house/kit" }]
"#;

#[test]
fn a_users_rule_comes_beside_those_of_the_program_or_takes_the_place_of_one() {
    let rules = with(&[("a.toml", HOUSE)]);
    assert_eq!(rules.all().len(), BUILT_IN.len() + 1);
    let both = json(r#"{"dependencies": {"next": "15", "@house/kit": "1"}}"#);
    let told = answer_by(&rules, &both);
    let first = told.first.as_ref().unwrap();
    assert_eq!((told.slug(), first.rule.origin.as_str()), ("house-kit", "a.toml"));
    assert_eq!(answer_by(&rules, &json(r#"{"dependencies": {"next": "15"}}"#)).slug(), "nextjs");

    let other = HOUSE.replace("house-kit", "nextjs").replace("rank = 1", "rank = 900");
    let rules = with(&[("a.toml", &other)]);
    assert_eq!(rules.all().len(), BUILT_IN.len());
    assert_eq!(answer_by(&rules, &json(r#"{"dependencies": {"next": "15"}}"#)).slug(), "");

    // Of two files the later counts, and of two of one rank the user's.
    let rules = with(&[("a.toml", HOUSE), ("b.toml", &HOUSE.replace("@house/kit", "next"))]);
    let told = answer_by(&rules, &json(r#"{"dependencies": {"next": "15"}}"#));
    assert_eq!(told.first.unwrap().rule.origin, "b.toml");
    let rank = BUILT_IN.iter().find(|rule| rule.slug == "nextjs").unwrap().rank;
    let same = with(&[("a.toml", &HOUSE.replace("rank = 1", &format!("rank = {rank}")))]);
    assert_eq!(answer_by(&same, &both).slug(), "house-kit");
}

#[test]
fn what_is_wrong_with_a_users_file_is_named_with_its_line_and_costs_no_other_rule() {
    let check = |text: &str, expected: &str, rules: usize| {
        let made = with(&[("good.toml", HOUSE), ("bad.toml", text)]);
        let words: Vec<String> =
            made.problems().iter().map(|problem| format!("{}: {}", problem.file, problem.words)).collect();
        assert_eq!(words.join("\n"), expected);
        assert_eq!(made.all().len(), BUILT_IN.len() + 1 + rules, "{text}");
    };
    let rule = |slug: &str, rest: &str| {
        format!("\n[[framework]]\nslug = \"{slug}\"\nname = \"X\"\nrank = 5\n{rest}\n")
    };
    let file = "any = [{ file = \"x.conf\" }]";
    check(&rule("x", file), "", 1);
    check(
        &format!("{}{}", rule("x", file), rule("y", "")),
        "bad.toml: line 8: the rule `y` does not count: it needs `any` or `all`, or it would hold for everything",
        1,
    );
    check(
        &rule("y", "all = [{ dependency = \"z\" }]"),
        "bad.toml: line 2: the rule `y` does not count: a `dependency` needs the rule's `ecosystem`",
        0,
    );
    check(
        &rule("Bad Slug", file),
        "bad.toml: line 2: the rule `Bad Slug` does not count: a slug has lower-case letters, digits, `-`, `.` and \
         `+`, at most 64",
        0,
    );
    let unknown = with(&[("bad.toml", &rule("y", "anny = []"))]);
    let words = &unknown.problems()[0].words;
    assert!(words.starts_with("line ") && words.contains(": unknown field `anny`"), "{words}");
    assert!(words.ends_with("; none of its rules count"), "{words}");
}

#[test]
fn other_rules_have_another_digest() {
    let digests = [
        Rules::built_in().digest(),
        with(&[("a.toml", HOUSE)]).digest(),
        with(&[("b.toml", HOUSE)]).digest(),
        with(&[("a.toml", "")]).digest(),
    ];
    assert_eq!(digests[0], with(&[]).digest());
    for (at, digest) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(digest));
    }
}
