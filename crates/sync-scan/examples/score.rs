//! Scores what is told of real projects against expectations that people wrote.
//!
//! `cargo run -p sync-scan --example score -- DIR EXPECTATIONS` looks at the folder `DIR/NAME` for each entry of the
//! file, prints every miss and the share that is right, and fails when a project is there that is not told right
//! without the file saying so.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use sync_core::Sighting;
use sync_scan::{Options, survey};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectations {
    project: Vec<Expected>,
}

/// A project as somebody who read it would tell it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "where it is from and which version is for who reads the file")]
struct Expected {
    name: String,
    from: String,
    version: String,
    language: String,
    framework: String,
    #[serde(rename = "type")]
    kind: String,
    /// Fields that are known to be told otherwise.
    #[serde(default)]
    known: Vec<String>,
}

#[derive(Default)]
struct Score {
    right: usize,
    all: usize,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(file), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return said(2, "usage: score DIR EXPECTATIONS");
    };
    let read = fs::read_to_string(&file).map_err(|error| error.to_string());
    let expectations: Expectations =
        match read.and_then(|text| toml::from_str(&text).map_err(|error| error.to_string())) {
            Ok(read) => read,
            Err(error) => return said(1, &format!("failed to read {}: {error}", file.display())),
        };
    match score(&folder, &expectations, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => said(1, &format!("failed to print: {error}")),
    }
}

fn said(code: u8, words: &str) -> ExitCode {
    if writeln!(io::stderr(), "{words}").is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(code)
}

/// Whether nothing was told wrong but what is known to be.
fn score(folder: &Path, expectations: &Expectations, out: &mut impl Write) -> io::Result<bool> {
    let mut scores =
        [("language", Score::default()), ("framework", Score::default()), ("type", Score::default())];
    let (mut absent, mut surprises) = (0, 0);
    for expected in &expectations.project {
        let Some(told) = sighting(&folder.join(&expected.name)) else {
            absent += 1;
            writeln!(out, "{}: not there", expected.name)?;
            continue;
        };
        let fields = [
            (expected.language.as_str(), told.language.as_str()),
            (expected.framework.as_str(), told.framework.as_str()),
            (expected.kind.as_str(), told.kind.as_str()),
        ];
        for ((field, score), (wanted, found)) in scores.iter_mut().zip(fields) {
            let is_right = wanted == found;
            let is_known = expected.known.iter().any(|known| known == field);
            score.all += 1;
            score.right += usize::from(is_right);
            surprises += usize::from(is_right == is_known);
            let note = match (is_right, is_known) {
                (true, false) => continue,
                (true, true) => "is right now; take it off the known misses",
                (false, true) => "a known miss",
                (false, false) => "a miss",
            };
            writeln!(out, "{}: {field} is `{found}`, expected `{wanted}`: {note}", expected.name)?;
        }
    }
    for (field, score) in &scores {
        let per_mille = score.right * 1000 / score.all.max(1);
        writeln!(
            out,
            "{field}: {} of {} right, {}.{} %",
            score.right,
            score.all,
            per_mille / 10,
            per_mille % 10
        )?;
    }
    if absent > 0 {
        writeln!(out, "{absent} projects are not there")?;
    }
    Ok(surprises == 0 && absent == 0)
}

fn sighting(root: &Path) -> Option<Sighting> {
    let root = root.canonicalize().ok()?;
    let options = Options { roots: vec![root.clone()], ..Options::default() };
    let found = survey(&options, &AtomicBool::new(false));
    let seen = found.sightings.into_iter().find(|sighting| sighting.root == root);
    seen.map(std::sync::Arc::unwrap_or_clone)
}
