//! Tells languages apart that share the end of a file's name, by a look at the beginning of the file.

/// Ends that two languages share: signs of the first anywhere in the file, the first, the other.
const BY_SIGN: &[(&str, &[&str], &str, &str)] = &[
    (".r", &["Rebol", "REBOL"], "Rebol", "R"),
    (".hh", &["<?hh"], "Hack", "C++"),
    (".es", &["-module(", "-export(", "escript"], "Erlang", "JavaScript"),
    (".frag", &["void main", "#version", "uniform ", "varying "], "GLSL", "JavaScript"),
    (".gs", &["void main", "#version"], "GLSL", "JavaScript"),
    (".sc", &["SynthDef", "SinOsc", "*new {", "{ |"], "SuperCollider", "Scala"),
    (".shader", &["Shader \"", "SubShader"], "ShaderLab", "GLSL"),
    (".trigger", &["#!/"], "Shell", "Apex"),
    (".vba", &["Vimball"], "Vim Script", "VBA"),
    (".cake", &["Task(\"", "#addin", "#tool", "#load"], "C#", "CoffeeScript"),
    (".mc", &["using Toybox", "import Toybox"], "Monkey C", "M4"),
    (".bb", &["SUMMARY", "LICENSE", "inherit ", "DESCRIPTION", "require "], "BitBake", "Clojure"),
    (".plt", &[":-"], "Prolog", "Gnuplot"),
    (".rpy", &["label ", "init:", "define ", "screen "], "Ren'Py", "Python"),
    (".tst", &["gap>"], "GAP", "Scilab"),
    (".vsh", &["void main", "attribute "], "GLSL", "V"),
    (".tcc", &[""], "C++", "C++"),
];

/// The language among `candidates` that `head` is written in.
///
/// `others` tells whether the project has files that are certainly of a language.
pub(super) fn choose<'a>(
    end: &str,
    head: &str,
    candidates: &[&'a str],
    others: &dyn Fn(&str) -> bool,
) -> Option<&'a str> {
    let chosen = match end {
        ".h" => header(head, others),
        ".m" => m(head, others),
        ".pl" | ".pm" | ".t" => perl_like(head, end),
        ".fs" => fs(head, others),
        ".v" => v(head, others),
        ".cls" => cls(head),
        ".d" => d(head),
        ".inc" if head.contains("<?php") || others("PHP") => "PHP",
        ".inc" if lines(head, &["<"]) => "HTML",
        ".spec" if any(head, &["describe ", "RSpec", "require '", "require \""]) => "Ruby",
        ".spec" if any(head, &["a = Analysis(", "# -*- mode: python"]) => "Python",
        _ if ROFF.contains(&end) && lines(head, &[".TH ", ".Dd ", ".SH", ".\\\"", "'\\\"", ".so "]) => "Roff",
        _ if SUSPECT.contains(&end) => return None,
        _ => match BY_SIGN.iter().find(|(shared, ..)| *shared == end) {
            Some((_, signs, first, other)) => {
                if any(head, signs) {
                    first
                } else {
                    other
                }
            }
            None => return candidates.first().copied(),
        },
    };
    candidates.iter().copied().find(|candidate| *candidate == chosen)
}

const ROFF: &[&str] = &[".1", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".9", ".man", ".ms", ".me"];

/// Ends that are looked into though only one language claims them, because most such files are something else.
pub(super) const SUSPECT: &[&str] = &[
    ".1", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".9", ".man", ".ms", ".me", ".spec", ".inc", ".cgi",
    ".fcgi",
];

fn any(head: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| head.contains(sign))
}

fn lines(head: &str, starts: &[&str]) -> bool {
    head.lines().any(|line| starts.iter().any(|start| line.trim_start().starts_with(start)))
}

fn header(head: &str, others: &dyn Fn(&str) -> bool) -> &'static str {
    let objective = ["@interface", "@protocol", "@class", "@property", "@import", "@end", "#import "];
    let plus = [
        "namespace ",
        "template<",
        "template <",
        "class ",
        "public:",
        "private:",
        "protected:",
        "using ",
        "constexpr ",
        "#include <string>",
        "#include <vector>",
        "#include <cstdint>",
        "#include <memory>",
        "#include <map>",
        "#include <functional>",
        "#include <utility>",
        "#include <iostream>",
        "#include <algorithm>",
        "#include <c",
    ];
    let commented = |line: &&str| !line.trim_start().starts_with("//") && !line.trim_start().starts_with('*');
    let code: Vec<&str> = head.lines().filter(commented).collect();
    let begins =
        |signs: &[&str]| code.iter().any(|line| signs.iter().any(|sign| line.trim_start().starts_with(sign)));
    if begins(&objective) {
        "Objective-C"
    } else if begins(&plus)
        || code.iter().any(|line| line.contains("std::") || line.contains("nullptr"))
        || (!others("C") && others("C++") && !head.contains("extern \"C\""))
    {
        "C++"
    } else {
        "C"
    }
}

fn m(head: &str, others: &dyn Fn(&str) -> bool) -> &'static str {
    if lines(
        head,
        &[
            "#import",
            "@interface",
            "@implementation",
            "@import",
            "#include",
            "@class",
            "@protocol",
            "//",
            "/*",
        ],
    ) {
        "Objective-C"
    } else if lines(head, &["%", "function ", "function[", "classdef ", "end"]) || !others("Objective-C++") {
        "MATLAB"
    } else {
        "Objective-C"
    }
}

fn perl_like(head: &str, end: &str) -> &'static str {
    if lines(
        head,
        &["use v6", "unit module", "unit class", "my class", "#!/usr/bin/env raku", "#!/usr/bin/env perl6"],
    ) {
        "Raku"
    } else if end == ".pl"
        && !lines(head, &["use ", "my ", "#!", "sub ", "package ", "require "])
        && head.contains(":-")
    {
        "Prolog"
    } else {
        "Perl"
    }
}

fn fs(head: &str, others: &dyn Fn(&str) -> bool) -> &'static str {
    if any(head, &["gl_FragColor", "void main", "#version", "precision mediump", "uniform "]) {
        "GLSL"
    } else if lines(head, &[": ", "\\ ", "( "])
        && !lines(head, &["let ", "open ", "module ", "namespace "])
        && !others("F#")
    {
        "Forth"
    } else {
        "F#"
    }
}

fn v(head: &str, others: &dyn Fn(&str) -> bool) -> &'static str {
    if lines(
        head,
        &["Require ", "From ", "Theorem ", "Lemma ", "Definition ", "Inductive ", "Proof", "(*", "Section "],
    ) {
        "Rocq Prover"
    } else if lines(head, &["fn ", "pub fn ", "import ", "struct ", "pub struct "])
        && !head.contains("endmodule")
    {
        "V"
    } else if others("SystemVerilog")
        || any(head, &["module ", "endmodule", "`timescale", "`include", "`define", "always @"])
    {
        "Verilog"
    } else if head.contains("module main") {
        "V"
    } else {
        "Verilog"
    }
}

fn cls(head: &str) -> &'static str {
    if any(head, &["\\ProvidesClass", "\\NeedsTeXFormat", "\\LoadClass", "\\RequirePackage"])
        || lines(head, &["%"])
    {
        "TeX"
    } else if any(head, &["Attribute VB_", "VERSION 1.0 CLASS", "Option Explicit", "End Sub"]) {
        "VBA"
    } else {
        "Apex"
    }
}

fn d(head: &str) -> &'static str {
    let rule = head
        .lines()
        .any(|line| line.contains(".o:") || line.contains(".o :") || line.trim_end().ends_with('\\'));
    if rule && !head.contains("module ") && !head.contains("import ") { "Makefile" } else { "D" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: &str, head: &str, there: &[&str], expected: Option<&str>) {
        let all = [
            "C",
            "C++",
            "Objective-C",
            "MATLAB",
            "Perl",
            "Raku",
            "Prolog",
            "F#",
            "GLSL",
            "Forth",
            "R",
            "Rebol",
            "Rocq Prover",
            "Verilog",
            "V",
            "TeX",
            "VBA",
            "Apex",
            "D",
            "Makefile",
            "Roff",
            "PHP",
            "HTML",
        ];
        assert_eq!(choose(end, head, &all, &|name| there.contains(&name)), expected, "{end}: {head}");
    }

    #[test]
    fn content_tells_languages_apart() {
        check(".h", "#ifndef A_H\nint f(void);\n", &["C"], Some("C"));
        check(".h", "#pragma once\nclass A {\npublic:\n};\n", &["C"], Some("C++"));
        check(".h", "// a class of things\nint f(void);\n", &["C"], Some("C"));
        check(".h", "#define A 1\n", &["C++"], Some("C++"));
        check(".h", "#import <Foundation/Foundation.h>\n@interface A\n@end\n", &[], Some("Objective-C"));
        check(".m", "#import \"A.h\"\n@implementation A\n", &[], Some("Objective-C"));
        check(".m", "% adds\nfunction y = add(x)\ny = x + 1;\nend\n", &[], Some("MATLAB"));
        check(".pl", "use strict;\nmy $x = 1;\n", &[], Some("Perl"));
        check(".pl", "parent(a, b).\nolder(X, Y) :- parent(X, Y).\n", &[], Some("Prolog"));
        check(".pl", "use v6;\nsay 1;\n", &[], Some("Raku"));
        check(".fs", "module A\nlet x = 1\n", &[], Some("F#"));
        check(".fs", "#version 300 es\nvoid main() {}\n", &[], Some("GLSL"));
        check(".r", "x <- 1\n", &[], Some("R"));
        check(".r", "REBOL [Title: \"x\"]\n", &[], Some("Rebol"));
        check(".v", "module top(input clk);\nendmodule\n", &[], Some("Verilog"));
        check(".v", "Theorem t : True.\nProof. exact I. Qed.\n", &[], Some("Rocq Prover"));
        check(".v", "module main\n\nfn main() {\n\tprintln('x')\n}\n", &[], Some("V"));
        check(".cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{a}\n", &[], Some("TeX"));
        check(".cls", "public class A {}\n", &[], Some("Apex"));
        check(".d", "module a;\nimport std.stdio;\n", &[], Some("D"));
        check(".d", "main.o: main.c \\\n  main.h\n", &[], Some("Makefile"));
        check(".1", ".TH LS 1\n.SH NAME\n", &[], Some("Roff"));
        check(".1", "just a numbered log\n", &[], None);
    }
}
