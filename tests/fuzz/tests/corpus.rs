//! Replays everything that was kept for the fuzzers, and tries a little more, the same every time.
//!
//! Each target runs in a process of its own: a panic anywhere in it, also one that the programs would survive, fails, and
//! the daemon that one of them starts has a home of its own. `fuzz/run.sh` goes on from here for as long as one likes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sync_fuzz::{Mutator, TARGETS};

/// For each target, in a debug build on a busy machine.
const AT_MOST: Duration = Duration::from_millis(700);
const INPUTS: usize = 400;
/// Names the target in the process that runs it.
const ROLE: &str = "SYNC_FUZZ_TARGET";

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn no_input_that_was_kept_nor_any_like_it_does_harm() {
    if let Some(name) = role() {
        return try_one(&name);
    }
    let processes = TARGETS.iter().map(|target| {
        let home = tempfile::tempdir().expect("a home");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "no_input_that_was_kept_nor_any_like_it_does_harm", "--nocapture"])
            .env(ROLE, target.name)
            .env("HOME", home.path())
            .env_remove("CODITECT_DATA_DIR")
            .output();
        (target.name, child.expect("this program runs again"), home)
    });
    let failed: Vec<String> = processes
        .filter(|(_, output, _)| !output.status.success())
        .map(|(name, output, _)| {
            format!(
                "{name}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders = std::fs::read_dir(corpus()).expect("the corpus is there");
    let mut folders: Vec<String> = folders
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort_unstable();
    assert_eq!(folders, TARGETS.iter().map(|target| target.name).collect::<Vec<_>>());
}

fn try_one(name: &str) {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        print(info);
    }));
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "there is nothing for `{name}`");
    for (path, seed) in &seeds {
        sync_fuzz::run(name, seed);
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{} does harm", path.display());
    }
    #[expect(clippy::disallowed_methods, reason = "a run is bounded by time too")]
    let begun = Instant::now();
    let mut mutator = Mutator::new(1);
    for _ in 0..INPUTS {
        if begun.elapsed() > AT_MOST {
            break;
        }
        let (one, other) = (mutator.below(seeds.len()), mutator.below(seeds.len()));
        let input = mutator.mutate(&seeds[one].1, &seeds[other].1);
        sync_fuzz::run(name, &input);
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "this does harm: {}", input.escape_ascii());
    }
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(corpus().join(name)).expect("a corpus");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort_unstable();
    files.into_iter().map(|path| (path.clone(), std::fs::read(&path).expect("it can be read"))).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn role() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "how a test tells itself what to do")]
    std::env::var(ROLE).ok()
}
