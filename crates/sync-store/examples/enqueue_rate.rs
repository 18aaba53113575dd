//! How many registrations a second are stored durably, by number of callers, and how long choosing what to
//! send and opening take.
//!
//! `cargo run --release -p sync-store --example enqueue_rate [FOLDER [ROWS]]`; without a folder the temporary one,
//! which must not be in memory for the figures to mean anything. Not a test: figures differ by disk.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use sync_core::{Asked, LocalId, MachineId, ProjectKind, Registration, Scope, ScopeId, Tenant, Timestamp};
use sync_store::{Limits, Store, Wish};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LONG_ENOUGH: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = match arguments.next() {
        Some(parent) => TempDir::new_in(PathBuf::from(parent))?,
        None => TempDir::new()?,
    };
    let rows: u64 = arguments.next().and_then(|rows| rows.to_str()?.parse().ok()).unwrap_or(1_000);
    let limits = Limits { max_items: u64::MAX };
    let opened = Store::open(&folder.path().join("sync.db"), limits, NOW, Uuid::from_u128(1)).await?;
    let store = opened.store;
    let scope = Scope { origin: "https://cloud.example".to_owned(), tenant: Tenant::Opaque };
    let scope = store.scope().ensure(&scope).await?;
    let mut out = std::io::stdout().lock();

    let mut next = 0;
    for callers in [1_u64, 16, 64, 512] {
        let commits = store.figures().commits;
        let (stored, taken) = enqueue(&store, scope, callers, &mut next).await?;
        let commits = store.figures().commits - commits;
        writeln!(
            out,
            "{callers:>4} callers: {:>6.0} a second, {commits} commits, {:.0} µs each call",
            rate(stored, taken),
            taken.as_secs_f64() * 1e6 * rate(callers, Duration::from_secs(1))
                / rate(stored, Duration::from_secs(1)),
        )?;
    }

    let present = store.outbox().counts(scope, NOW).await?.ready;
    for thousand in present / 1_000..rows / 1_000 {
        let first = next + u128::from(thousand) * 1_000;
        let wishes = (first..first + 1_000).map(wish).collect();
        store.outbox().enqueue(scope, wishes, NOW).await?;
    }
    let started = started();
    for _ in 0..200 {
        store.outbox().heads(scope, NOW, 50, &[]).await?;
    }
    let each = started.elapsed() / 200;
    writeln!(out, "the next 50 of {rows} or more rows: {} µs", each.as_micros())?;
    let started = self::started();
    let mut counts = store.outbox().counts(scope, NOW).await?;
    for _ in 1..200 {
        counts = store.outbox().counts(scope, NOW).await?;
    }
    let each = started.elapsed() / 200;
    writeln!(out, "counting {} waiting: {} µs", counts.ready, each.as_micros())?;
    store.close().await?;
    let file = folder.path().join("sync.db");
    for end in ["a clean end", "a kill", "damage"] {
        if end == "damage" {
            OpenOptions::new().write(true).open(&file)?.write_all(&[0xff; 4096])?;
        }
        let started = self::started();
        let opened = Store::open(&file, limits, NOW, Uuid::from_u128(1)).await?;
        writeln!(out, "opening after {end}: {} ms, {:?}", started.elapsed().as_millis(), opened.carried)?;
        if end == "a kill" {
            opened.store.close().await?;
        }
    }
    Ok(())
}

async fn enqueue(
    store: &Store,
    scope: ScopeId,
    callers: u64,
    next: &mut u128,
) -> Result<(u64, Duration), Box<dyn std::error::Error>> {
    let started = started();
    let mut tasks = JoinSet::new();
    for caller in 0..u128::from(callers) {
        let store = store.clone();
        let first = *next + caller * 1_000_000_000;
        tasks.spawn(async move {
            let mut stored = 0;
            while started.elapsed() < LONG_ENOUGH {
                let wishes = vec![wish(first + u128::from(stored))];
                store.outbox().enqueue(scope, wishes, NOW).await?;
                stored += 1;
            }
            Ok::<u64, sync_store::Error>(stored)
        });
    }
    let mut stored = 0;
    for told in tasks.join_all().await {
        stored += told?;
    }
    *next += 1_000_000_000_000_000;
    Ok((stored, started.elapsed()))
}

#[expect(clippy::disallowed_methods, reason = "a measurement, not the daemon")]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(number: u64, taken: Duration) -> f64 {
    number as f64 / taken.as_secs_f64()
}

fn wish(number: u128) -> Wish {
    let registration = Registration {
        local: LocalId(Uuid::from_u128(number + 1)),
        machine: MachineId(Uuid::from_u128(7)),
        name: format!("project-{number}"),
        root: PathBuf::from(format!("/home/somebody/code/group/project-{number}")),
        language: "Rust".to_owned(),
        framework: "axum".to_owned(),
        content_hash: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
        kind: ProjectKind::Standalone,
        parent: None,
    };
    Wish { registration, asked: Asked::ByDiscovery, force: false }
}
