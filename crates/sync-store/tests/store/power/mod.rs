//! The power goes at some moment: what was acknowledged is there afterwards.
//!
//! A process enqueues and settles while `strace` records what it does to its files. From the recording the disk is
//! built as it may be after a cut at any call, with what was not synced dropped, kept or torn, and opened. The same
//! with a store that does not wait for the disk has to fail, or the test could not.

mod trace;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sync_store::{Durability, Limits, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{LIFE, NOW, delivered, enqueue, found, local, scope, settled};
use trace::{Call, Fate};

/// Tells the child where its database is.
const WHERE: &str = "SYNC_STORE_POWER_TEST_DATABASE";
/// Tells the child not to wait for the disk.
const WEAK: &str = "SYNC_STORE_POWER_TEST_WEAK";
/// How many moments are tried, for a longer run.
const CUTS: &str = "SYNC_STORE_POWER_CUTS";
const FATES: [Fate; 4] = [Fate::Dropped, Fate::Kept, Fate::Torn, Fate::Mixed];

/// Runs the child and returns what it did; `None` where nothing can be recorded.
fn record(weak: bool) -> Option<Vec<Call>> {
    let folder = TempDir::new().unwrap();
    let recording = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-xx", "-s", "1000000", "-o"]).arg(&recording);
    command.args(["-e", "trace=pwrite64,write,fsync,fdatasync,ftruncate,unlink"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["power::a_process_that_is_recorded", "--exact", "--ignored", "--nocapture"]);
    command.env(WHERE, folder.path().join("sync.db"));
    if weak {
        command.env(WEAK, "yes");
    }
    let ran = match command.output() {
        Ok(ran) if recording.exists() => ran,
        other => {
            eprintln!("skipped: calls cannot be recorded here, strace is needed ({other:?})");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    if !said.contains("ready") {
        eprintln!("skipped: calls cannot be recorded here ({})", String::from_utf8_lossy(&ran.stderr));
        return None;
    }
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    Some(trace::read(&fs::read_to_string(&recording).unwrap()))
}

/// Opens the disk as it is after a cut and says what of the acknowledged is not there.
async fn lost_after(
    calls: &[Call],
    end: usize,
    fate: Fate,
    throw: &mut dyn FnMut(usize) -> usize,
) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    for (name, content) in trace::after_cut(calls, end, fate, throw) {
        // The index of the log is in memory that does not outlive the power.
        if matches!(name.as_str(), "sync.db" | "sync.db-wal") {
            fs::write(folder.path().join(name), content).unwrap();
        }
    }
    let file = folder.path().join("sync.db");
    let limits = Limits { max_items: 1_000_000 };
    let opened = Store::open(&file, limits, NOW, Uuid::from_u128(1)).await.unwrap();
    let store = opened.store;
    let mut lost = Vec::new();
    if let Some(kept_at) = opened.set_aside {
        lost.push(format!("the database, which is at {}", kept_at.display()));
    }
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    for call in &calls[..end] {
        let Call::Said(said) = call else { continue };
        let Some((verb, number)) = said.split_once(' ') else { continue };
        let Ok(number) = number.parse::<u128>() else { continue };
        let waits = store.outbox().waiting_for(scope, local(number)).await.unwrap();
        let told = store.mapping().get(scope, local(number)).await.unwrap();
        let there = match verb {
            "put" => waits.is_some() || told.is_some(),
            "newer" => waits.is_some_and(|entry| entry.registration.name == "b") || told.is_some(),
            "settled" => waits.is_none() && told.is_some(),
            _ => continue,
        };
        if !there {
            lost.push(said.clone());
        }
    }
    store.close().await.unwrap();
    lost
}

/// Tries `cuts` moments and says how many lost something, and an example.
async fn cut_often(calls: &[Call], cuts: usize) -> (usize, String) {
    let ready = calls.iter().position(|call| matches!(call, Call::Said(said) if said == "ready")).unwrap();
    let mut seed = 0x5eed_u64;
    let mut throw = move |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % limit
    };
    let (mut bad, mut example) = (0, String::new());
    for number in 0..cuts {
        let end = ready + throw(calls.len() - ready);
        let fate = FATES[number % FATES.len()];
        let lost = lost_after(calls, end, fate, &mut throw).await;
        if !lost.is_empty() {
            bad += 1;
            example = format!("cut {number}, after {end} of {} calls, {fate:?}: {lost:?} lost", calls.len());
        }
    }
    (bad, example)
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by whoever starts it")]
fn cuts(usually: usize) -> usize {
    std::env::var(CUTS).ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(usually)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let Some(calls) = record(false) else { return };
    let acknowledged = calls.iter().filter(|call| matches!(call, Call::Said(_))).count();
    assert!(acknowledged > 200, "{acknowledged}");
    let (bad, example) = cut_often(&calls, cuts(200)).await;
    assert_eq!(bad, 0, "{example}");
}

#[tokio::test]
async fn a_store_that_does_not_wait_for_the_disk_is_found_out() {
    let Some(calls) = record(true) else { return };
    let (bad, _example) = cut_often(&calls, 40).await;
    assert!(bad > 5, "only {bad} of 40");
}

/// Not a test by itself: stores and settles, and says after each that it did.
#[tokio::test]
#[ignore = "is started by the tests above"]
#[expect(clippy::disallowed_methods, reason = "the only way to hand something to a test in another process")]
async fn a_process_that_is_recorded() {
    let Some(file) = std::env::var_os(WHERE).map(PathBuf::from) else { return };
    let durability = if std::env::var_os(WEAK).is_some() { Durability::Weak } else { Durability::Full };
    let limits = Limits { max_items: 1_000_000 };
    let opened = Store::open_with(&file, limits, durability, NOW, Uuid::from_u128(1)).await.unwrap();
    let store = opened.store;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    println!("\nready");
    for round in 0..24_u128 {
        let mut callers = JoinSet::new();
        for number in round * 8 + 1..=round * 8 + 8 {
            let store = store.clone();
            callers.spawn(async move {
                enqueue(&store, scope, found(number, "a"), NOW).await;
                println!("put {number}");
            });
        }
        callers.join_all().await;
        for number in [round * 8 + 1, round * 8 + 2] {
            enqueue(&store, scope, found(number, "b"), NOW).await;
            println!("newer {number}");
        }
        let mut flown = Vec::new();
        let numbers = [round * 8 + 2, round * 8 + 3, round * 8 + 4];
        for number in numbers {
            flown.push(settled(&store, scope, number, delivered(number + 1_000)).await);
        }
        store.outbox().settle(scope, flown, LIFE, 1, NOW).await.unwrap();
        for number in numbers {
            println!("settled {number}");
        }
        if round % 7 == 6 {
            store.checkpoint().await.unwrap();
        }
    }
    store.close().await.unwrap();
}
