//! Names of files, their ends, first lines and what counts.

use super::*;

#[test]
fn the_data_is_read_whole_and_names_only_groups_that_exist() {
    assert!(TOLD.len() > 800, "{} languages", TOLD.len());
    assert!(TOLD.is_sorted_by_key(|told| told.language));
    for Told { language, ends, group, .. } in TOLD.iter() {
        for end in ends {
            assert!(end.starts_with('.'), "{language}: {end}");
        }
        if let Some(group) = group {
            assert!(told(group).is_some(), "{language} is counted for {group}");
        }
    }
    for language in WIDELY_USED {
        assert!(told(language).is_some(), "{language}");
    }
}

#[test]
fn what_signs_tell_is_a_language_that_is_known() {
    for (end, _) in &LANGUAGES.ends.0 {
        for head in ["", "#import\n", "use v6\n", "<?php", "<?xml", "module x\n", "{", "(define x)\n"] {
            if let Some(found) = heuristic::told(end, head) {
                let claimed = languages(LANGUAGES.ends.get(end)).contains(&found);
                assert!(claimed || !is_detectable(found), "{end} is never {found}");
            }
        }
    }
}

#[test]
fn an_index_gives_all_of_a_key_in_their_order_and_nothing_else() {
    let index = Index::new(vec![("b", "2"), ("a", "9"), ("b", "1"), ("b", "1"), ("d", "4")]);
    assert_eq!(languages(index.get("b")), ["2", "1"]);
    assert_eq!(languages(index.get("d")), ["4"]);
    assert!(["", "aa", "c", "e"].iter().all(|key| index.get(key).is_empty()));
}

fn check(path: &str, head: &str, expected: Option<&str>) {
    assert_eq!(by_content(&guess(path, false), head.as_bytes(), &|_| false), expected, "{path}");
}

#[test]
fn names_ends_and_first_lines_tell_the_language() {
    check("src/main.rs", "", Some("Rust"));
    check("a/CMakeLists.txt", "", Some("CMake"));
    check("Dockerfile", "", Some("Dockerfile"));
    check("dev.dockerfile", "", Some("Dockerfile"));
    check("Dockerfile.dev", "", None);
    check("views/a.blade.php", "", Some("Blade"));
    check("a.PY", "", Some("Python"));
    check("a.b.tsx", "", Some("TSX"));
    check("script", "#!/usr/bin/env -S python3.11 -u\n", Some("Python"));
    check("script", "#!/bin/bash\n", Some("Shell"));
    check("script", "no first line\n", None);
    check("build.gradle.kts", "", Some("Gradle Kotlin DSL"));
    check("notes.txt", "", Some("Text"));
    check("data.json", "", Some("JSON"));
    check("README.md", "", Some("Markdown"));
    check("a.frag", "", Some("JavaScript"));
    check("a.odd-end", "", None);
}

#[test]
fn where_signs_tell_nothing_the_project_or_wide_use_decide() {
    let open = guess("a.as", false);
    assert_eq!(by_content(&open, b"x", &|language| language == "AngelScript"), Some("AngelScript"));
    assert_eq!(by_content(&open, b"x", &|_| false), Some("ActionScript"));
    check("a.cgi", "", Some("Perl"));
    check("a.cgi", "#!/usr/bin/env python3\n", Some("Python"));
    check("a.sol", "", None);
}

#[test]
fn an_executable_with_an_unknown_end_is_told_by_its_first_line() {
    assert_eq!(guess("run.unheard-of", true), Guess::Nameless);
    assert_eq!(guess("run.unheard-of", false), Guess::None);
}

#[test]
fn data_and_prose_do_not_count_and_groups_are_folded() {
    for (language, expected) in
        [("Rust", true), ("CSS", true), ("JSON", false), ("Markdown", false), ("?", false)]
    {
        assert_eq!(is_detectable(language), expected, "{language}");
    }
    assert_eq!((group("TSX"), group("Rust")), ("TypeScript", "Rust"));
    assert_eq!(named("golang"), Some("Go"));
    assert_eq!(named("c++"), Some("C++"));
    assert_eq!(named("emacs-lisp"), Some("Emacs Lisp"));
}
