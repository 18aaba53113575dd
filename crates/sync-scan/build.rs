//! Turns what is told of languages and frameworks into what every worker reads in a fraction of the time. Tables of the
//! program would be read at once, but they are full of addresses, which every process sets when it starts.

#[path = "src/rules/word.rs"]
mod word;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Programming,
    Markup,
    Data,
    Prose,
}

#[derive(Deserialize, Serialize)]
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
    std::fs::write(out.join("languages"), languages(&read("languages.toml")?)?)?;
    std::fs::write(out.join("heuristics"), heuristics(&read("heuristics.toml")?)?)?;
    let frameworks: toml::Value = toml::from_str(&read("frameworks.toml")?)?;
    std::fs::write(out.join("frameworks.json"), serde_json::to_vec(&frameworks)?)?;
    Ok(())
}

fn read(file: &str) -> Result<String, Box<dyn Error>> {
    let path = Path::new(RULES).join(file);
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(std::fs::read_to_string(&path)?)
}

/// A language as `language.rs` reads it.
#[derive(Serialize)]
struct Language {
    name: String,
    ends: Vec<String>,
    names: Vec<String>,
    interpreters: Vec<String>,
    words: Vec<String>,
    kind: Kind,
    group: Option<String>,
}

/// In the order of their names.
fn languages(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let told: BTreeMap<String, Told> = toml::from_str(text)?;
    let table = told.into_iter().map(|(language, told)| {
        let Told { ends, names, interpreters, aliases, kind, group } = told;
        let ends = ends.iter().map(|end| end.to_lowercase()).collect();
        let words = aliases.iter().chain([&language]).map(|word| word::word_of(word)).collect();
        Language { name: language, ends, names, interpreters, words, kind, group }
    });
    Ok(postcard::to_stdvec(&table.collect::<Vec<_>>())?)
}

/// In the order of the ends, which stand side by side with spaces between.
fn heuristics(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let told: BTreeMap<String, Vec<Sign>> = toml::from_str(text)?;
    Ok(postcard::to_stdvec(&told.into_iter().collect::<Vec<_>>())?)
}
