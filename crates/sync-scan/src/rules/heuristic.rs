//! Tells languages apart that share the end of a file's name, by a look at the beginning of the file.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// What shows that a file is of a language, in the order in which it is built in.
#[derive(Deserialize)]
struct Sign<'a> {
    language: &'a str,
    any_case: bool,
    #[serde(borrow)]
    begins: Vec<&'a str>,
    has: Vec<&'a str>,
    lacks: Vec<&'a str>,
}

/// The signs of some ends, which stand side by side with spaces between.
#[derive(Deserialize)]
struct Signs<'a>(&'a str, #[serde(borrow)] Vec<Sign<'a>>);

/// What `heuristics.toml` tells.
static SIGNS: LazyLock<Vec<Signs<'static>>> = LazyLock::new(|| {
    // That it can be read is tested.
    postcard::from_bytes(include_bytes!(concat!(env!("OUT_DIR"), "/heuristics"))).unwrap_or_default()
});

static BY_END: LazyLock<HashMap<&'static str, &'static [Sign<'static>]>> = LazyLock::new(|| {
    SIGNS.iter().flat_map(|Signs(ends, signs)| ends.split(' ').map(|end| (end, signs.as_slice()))).collect()
});

/// The language the signs of `end` tell of a file that begins with `head`, whatever others claim the end.
pub(super) fn told(end: &str, head: &str) -> Option<&'static str> {
    let signs = BY_END.get(end)?;
    let mut lower = None;
    signs.iter().find(|sign| sign.holds(head, &mut lower)).map(|sign| sign.language)
}

/// Whether the signs of `end` are looked for even where one language alone claims it.
pub(super) fn is_open(end: &str) -> bool {
    BY_END.contains_key(end)
}

impl Sign<'_> {
    fn holds(&self, head: &str, lower: &mut Option<String>) -> bool {
        let text = if self.any_case {
            lower.get_or_insert_with(|| head.to_ascii_lowercase()).as_str()
        } else {
            head
        };
        let always = self.begins.is_empty() && self.has.is_empty();
        let begins = || {
            text.lines().any(|line| {
                let line = line.trim_start_matches([' ', '\t']);
                self.begins.iter().any(|begin| begins(line, begin))
            })
        };
        (always || self.has.iter().any(|words| text.contains(words)) || begins())
            && !self.lacks.iter().any(|words| text.contains(words))
    }
}

/// A sign that ends in a line break is the whole line.
fn begins(line: &str, sign: &str) -> bool {
    match sign.strip_suffix('\n') {
        Some(whole) => line.trim_end() == whole,
        None => line.starts_with(sign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_read_and_no_end_has_two_lists() {
        assert!(SIGNS.len() > 50, "{}", SIGNS.len());
        assert_eq!(SIGNS.iter().flat_map(|Signs(ends, _)| ends.split(' ')).count(), BY_END.len());
        for Signs(ends, signs) in SIGNS.iter() {
            for sign in signs {
                let words = || sign.begins.iter().chain(&sign.has).chain(&sign.lacks);
                assert!(
                    words().all(|words| !words.is_empty()),
                    "{ends}: {} looks for nothing",
                    sign.language
                );
                let is_lower = words().all(|words| words.to_ascii_lowercase() == *words);
                assert!(!sign.any_case || is_lower, "{ends}: {} never holds", sign.language);
            }
        }
    }

    fn check(end: &str, head: &str, expected: Option<&str>) {
        assert_eq!(told(end, head), expected, "{end}: {head}");
    }

    #[test]
    fn content_tells_languages_apart() {
        check(".h", "#ifndef A_H\nint f(void);\n", Some("C"));
        check(".h", "#pragma once\nclass A {\npublic:\n};\n", Some("C++"));
        check(".h", "// a class of things\nint f(void);\n", Some("C"));
        check(".h", "#import <Foundation/Foundation.h>\n@interface A\n@end\n", Some("Objective-C"));
        check(".m", "#import \"A.h\"\n@implementation A\n", Some("Objective-C"));
        check(".m", "% adds\nfunction y = add(x)\ny = x + 1;\nend\n", Some("MATLAB"));
        check(".m", ":- module hello.\n:- interface.\n", Some("Mercury"));
        check(".pl", "use strict;\nmy $x = 1;\n", Some("Perl"));
        check(".pl", "parent(a, b).\nolder(X, Y) :- parent(X, Y).\n", Some("Prolog"));
        check(".pl", "use v6;\nsay 1;\n", Some("Raku"));
        check(".fs", "module A\nlet x = 1\n", Some("F#"));
        check(".fs", "#version 300 es\nvoid main() {}\n", Some("GLSL"));
        check(".fs", ": square dup * ;\n", Some("Forth"));
        check(".r", "x <- 1\n", Some("R"));
        check(".r", "REBOL [Title: \"x\"]\n", Some("Rebol"));
        check(".v", "module top(input clk);\nendmodule\n", Some("Verilog"));
        check(".v", "Theorem t : True.\nProof. exact I. Qed.\n", Some("Rocq Prover"));
        check(".v", "module main\n\nfn main() {\n\tprintln('x')\n}\n", Some("V"));
        check(".cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{a}\n", Some("TeX"));
        check(".cls", "public class A {}\n", Some("Apex"));
        check(".d", "module a;\nimport std.stdio;\n", Some("D"));
        check(".d", "main.o: main.c \\\n  main.h\n", Some("Makefile"));
        check(".1", ".TH LS 1\n.SH NAME\n", Some("Roff"));
        check(".1", "just a numbered log\n", Some("Text"));
        check(".ts", "<?xml version=\"1.0\"?>\n<!DOCTYPE TS>\n<TS version=\"2.1\">\n", Some("XML"));
        check(".ts", "export const a: number = 1\n", Some("TypeScript"));
        check(
            ".sql",
            "CREATE FUNCTION f() RETURNS trigger AS $$\nBEGIN\nEND $$ LANGUAGE plpgsql;\n",
            Some("PLpgSQL"),
        );
        check(".sql", "SELECT 1;\n", Some("SQL"));
        check(".inc", "<?php\n", Some("PHP"));
        check(".inc", "some words\n", None);
        check(".spec", "Name: thing\nVersion: 1\n%description\n", Some("RPM Spec"));
        check(".rs", "fn main() {}\n", Some("Rust"));
        check(".php", "<?hh // strict\n", Some("Hack"));
        check(".s", "\t.globl main\nmain:\n\tmovl $1, %eax\n", Some("Unix Assembly"));
        check(".md", "# Title\n", Some("Markdown"));
        check(".sol", "pragma solidity ^0.8;\n", Some("Solidity"));
        check(".sol", "something else\n", None);
        check(".nobody", "", None);
    }
}
