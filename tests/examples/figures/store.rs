//! Starts the store's own measurement, which knows the limit of SQLite on this disk, and reads its lines.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use sync_tests::Series;

/// A line of `name=value`.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn number(&self, name: &str) -> f64 {
        let value = self.0.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }

    /// Whether it is the line about this.
    pub(crate) fn begins(&self, field: &str) -> bool {
        self.0.split_whitespace().next() == Some(field)
    }
}

/// Rates and times of one thing over several rounds.
#[derive(Default)]
pub(crate) struct Rates {
    pub(crate) rate: Series,
    pub(crate) half: Series,
    pub(crate) most: Series,
}

impl Rates {
    pub(crate) fn take(&mut self, line: &Line) {
        self.rate.push(line.number("per_second"));
        self.half.push(line.number("p50_us"));
        self.most.push(line.number("p99_us"));
    }
}

/// Runs a program that prints such lines.
///
/// # Panics
/// When it fails.
pub(crate) fn lines(command: &mut Command) -> Vec<Line> {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| Line(line.to_owned())).collect()
}

/// Runs the store's measurement.
pub(crate) fn measured(args: &[&str]) -> Vec<Line> {
    lines(Command::new(program()).args(args))
}

/// Where it is, built beside this program.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let this = std::env::current_exe().expect("the path of this program");
        let folder = this.parent().expect("the folder of the examples");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "-p", "sync-store", "--example", "enqueue_rate"]);
        if folder.ancestors().any(|above| above.ends_with("release")) {
            build.arg("--release");
        }
        let target = folder.ancestors().nth(2).expect("a target folder");
        build.env("CARGO_TARGET_DIR", target).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        assert!(build.status().expect("cargo").success(), "the store's measurement cannot be built");
        folder.join("enqueue_rate")
    })
}
