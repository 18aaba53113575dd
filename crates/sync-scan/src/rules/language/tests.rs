//! Names of files, their ends, first lines and what counts.

use super::*;

#[test]
fn the_data_is_read_whole_and_names_only_groups_that_exist() {
    assert!(TOLD.len() > 800, "{} languages", TOLD.len());
    for (language, told) in TOLD.iter() {
        for end in &told.ends {
            assert!(end.starts_with('.'), "{language}: {end}");
        }
        if let Some(group) = &told.group {
            assert!(TOLD.contains_key(group), "{language} is counted for {group}");
        }
    }
    for language in WIDELY_USED {
        assert!(TOLD.contains_key(*language), "{language}");
    }
}

#[test]
fn what_signs_tell_is_a_language_that_is_known() {
    for (end, languages) in &LANGUAGES.by_end.iter().collect::<BTreeMap<_, _>>() {
        for head in ["", "#import\n", "use v6\n", "<?php", "<?xml", "module x\n", "{", "(define x)\n"] {
            if let Some(found) = heuristic::told(end, head) {
                let known = languages.contains(&found) || !is_detectable(found);
                assert!(known, "{end} is never {found}");
            }
        }
    }
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
