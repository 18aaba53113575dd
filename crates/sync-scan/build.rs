//! Turns what is told of languages into tables of the program: read when it runs, they would take two megabytes for
//! good, most of it left behind by the reading. The rules for frameworks become JSON, which every worker reads in a fraction
//! of the time.

#[path = "src/rules/word.rs"]
mod word;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

const RULES: &str = "src/rules";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    interpreters: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    kind: Kind,
    group: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Programming,
    Markup,
    Data,
    Prose,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    language: String,
    #[serde(default)]
    any_case: bool,
    #[serde(default)]
    begins: Vec<String>,
    #[serde(default)]
    has: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "cargo tells it so and in no other way")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={RULES}/word.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo names no folder to write to")?);
    std::fs::write(out.join("languages.rs"), languages(&read("languages.toml")?)?)?;
    std::fs::write(out.join("heuristics.rs"), heuristics(&read("heuristics.toml")?)?)?;
    let frameworks: toml::Value = toml::from_str(&read("frameworks.toml")?)?;
    std::fs::write(out.join("frameworks.json"), serde_json::to_vec(&frameworks)?)?;
    Ok(())
}

fn read(file: &str) -> Result<String, Box<dyn Error>> {
    let path = Path::new(RULES).join(file);
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(std::fs::read_to_string(&path)?)
}

/// In the order of their names.
fn languages(text: &str) -> Result<String, Box<dyn Error>> {
    let told: BTreeMap<String, Told> = toml::from_str(text)?;
    let mut table = "&[\n".to_owned();
    for (language, told) in &told {
        let ends: Vec<String> = told.ends.iter().map(|end| end.to_lowercase()).collect();
        let words = told.aliases.iter().chain([language]);
        let words: Vec<String> = words.map(|word| word::word_of(word)).collect();
        writeln!(
            table,
            "Told {{ language: {language:?}, ends: &{ends:?}, names: &{:?}, interpreters: &{:?}, words: &{words:?}, \
             kind: Kind::{:?}, group: {:?} }},",
            told.names, told.interpreters, told.kind, told.group,
        )?;
    }
    Ok(table + "]\n")
}

/// In the order of the ends, which stand side by side with spaces between.
fn heuristics(text: &str) -> Result<String, Box<dyn Error>> {
    let told: BTreeMap<String, Vec<Sign>> = toml::from_str(text)?;
    let mut table = "&[\n".to_owned();
    for (ends, signs) in &told {
        writeln!(table, "({ends:?}, &[")?;
        for Sign { language, any_case, begins, has, lacks } in signs {
            writeln!(
                table,
                "Sign {{ language: {language:?}, any_case: {any_case}, begins: &{begins:?}, has: &{has:?}, \
                 lacks: &{lacks:?} }},"
            )?;
        }
        writeln!(table, "]),")?;
    }
    Ok(table + "]\n")
}
