//! How fast registrations are stored durably beside what SQLite itself can do, and what an entry costs by how many wait.
//!
//! `cargo run --release -p sync-store --example enqueue_rate -- [--folder FOLDER] [--seconds SECONDS] [--depth ROWS]…`
//! Without a depth: rates by number of callers, and how long opening takes. With depths, in growing order: choosing the
//! next flight, storing one more and settling a flight, with that many entries waiting. The folder, by default the
//! temporary one, must not be in memory for the figures to mean anything. Not a test: figures differ by disk.
//! Each line is a list of `name=value`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use sync_core::{
    Asked, Change, ChangeKind, CloudId, CloudProject, Fate, LocalId, MachineId, Presence, Project,
    ProjectKind, Registration, Scope, ScopeId, Settled, Tenant, Timestamp, Vcs,
};
use sync_store::{Limits, Store, Wish};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIMITS: Limits = Limits { max_items: u64::MAX };
const FLIGHT: u32 = 100;

type Failed = Box<dyn std::error::Error>;

struct Given {
    folder: TempDir,
    long_enough: Duration,
    depths: Vec<u64>,
}

/// The calls of one measurement, in microseconds, in growing order.
struct Calls(Vec<u128>, Duration);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let given = given()?;
    let file = given.folder.path().join("sync.db");
    let store = Store::open(&file, LIMITS, NOW, Uuid::from_u128(1)).await?.store;
    let scope = Scope { origin: "https://cloud.example".to_owned(), tenant: Tenant::Opaque };
    let scope = store.scope().ensure(&scope).await?;
    let mut out = std::io::stdout().lock();
    if given.depths.is_empty() {
        for rows in [1, 16, 64, 200] {
            let calls = bare(&given.folder.path().join("bare.db"), rows, given.long_enough).await?;
            line(&mut out, "bare", rows, &calls, rows)?;
        }
        let mut next = 0;
        for callers in [1, 16, 64, 200, 512] {
            for what in ["enqueue", "register"] {
                let calls =
                    stored(&store, scope, callers, what == "register", &mut next, given.long_enough).await?;
                line(&mut out, what, callers, &calls, 1)?;
            }
        }
        store.close().await?;
        opening(&mut out, &file).await
    } else {
        for depth in given.depths {
            at_depth(&mut out, &store, &file, scope, depth).await?;
        }
        Ok(store.close().await?)
    }
}

fn given() -> Result<Given, Failed> {
    let mut folder = None;
    let mut long_enough = Duration::from_secs(2);
    let mut depths = Vec::new();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("every option has a value")?;
        let number = || value.to_str().unwrap_or_default().parse::<u64>();
        match name.to_str() {
            Some("--folder") => folder = Some(PathBuf::from(value)),
            Some("--seconds") => long_enough = Duration::from_secs(number()?),
            Some("--depth") => depths.push(number()?),
            _ => return Err(format!("there is no option {}", name.display()).into()),
        }
    }
    let folder = folder.map_or_else(TempDir::new, TempDir::new_in)?;
    Ok(Given { folder, long_enough, depths })
}

/// What SQLite does for one connection that begins, inserts and commits, and knows nothing of queues.
async fn bare(file: &Path, rows: u64, long_enough: Duration) -> Result<Calls, Failed> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .page_size(4096)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-2048");
    let mut connection = options.connect().await?;
    let table = "create table if not exists bare (
        id integer primary key, local blob not null unique, payload text not null) strict";
    sqlx::raw_sql(table).execute(&mut connection).await?;
    let payload = format!("{:?}", wish(0).registration);
    let (started, mut calls) = (now(), Vec::new());
    while started.elapsed() < long_enough {
        let call = now();
        let mut transaction = connection.begin_with("begin immediate").await?;
        for _ in 0..rows {
            sqlx::query("insert into bare (local, payload) values (?1, ?2)")
                .bind(Uuid::new_v4().into_bytes().to_vec())
                .bind(&payload)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        calls.push(call.elapsed().as_micros());
    }
    let taken = started.elapsed();
    connection.close().await?;
    Ok(Calls::new(calls, taken))
}

/// Each caller stores one registration after the other, with the project's record as the daemon does, or without.
async fn stored(
    store: &Store,
    scope: ScopeId,
    callers: u64,
    with_record: bool,
    next: &mut u64,
    long_enough: Duration,
) -> Result<Calls, Failed> {
    let started = now();
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let store = store.clone();
        let first = *next + caller * 1_000_000;
        tasks.spawn(async move {
            let (mut calls, mut number) = (Vec::new(), first);
            while started.elapsed() < long_enough {
                let wish = wish(number);
                let records = if with_record { vec![record(&wish.registration)] } else { Vec::new() };
                let call = now();
                store.outbox().register(scope, vec![wish], records, NOW).await?;
                calls.push(call.elapsed().as_micros());
                number += 1;
            }
            Ok::<_, sync_store::Error>(calls)
        });
    }
    let mut calls = Vec::new();
    for told in tasks.join_all().await {
        calls.extend(told?);
    }
    *next += 1_000_000_000;
    Ok(Calls::new(calls, started.elapsed()))
}

async fn at_depth(
    out: &mut impl Write,
    store: &Store,
    file: &Path,
    scope: ScopeId,
    depth: u64,
) -> Result<(), Failed> {
    let first = depth * 1_000_000;
    let present = store.outbox().counts(scope, NOW).await?.ready;
    for start in (present..depth).step_by(1_000) {
        let wishes = (start..depth.min(start + 1_000)).map(|number| wish(first + number)).collect();
        store.outbox().enqueue(scope, wishes, NOW).await?;
        if start % 50_000 < 1_000 {
            lighten(file).await?;
        }
    }
    lighten(file).await?;
    store.checkpoint().await?;
    let mut choosing = Vec::new();
    for _ in 0..200 {
        let call = now();
        store.outbox().heads(scope, NOW, FLIGHT, &[]).await?;
        choosing.push(call.elapsed().as_micros());
    }
    let mut storing = Vec::new();
    for number in 0..500 {
        let wishes = vec![wish(first + 900_000_000 + number)];
        let call = now();
        store.outbox().enqueue(scope, wishes, NOW).await?;
        storing.push(call.elapsed().as_micros());
    }
    let mut settling = Vec::new();
    for _ in 0..10 {
        let settled = delivered(store, scope).await?;
        let call = now();
        store.outbox().settle(scope, settled, Duration::from_hours(24), 0, NOW).await?;
        settling.push(call.elapsed().as_micros());
    }
    let median = |calls| Calls::new(calls, Duration::ZERO).at(50);
    writeln!(
        out,
        "depth={depth} choose_us={} enqueue_us={} settle_us={}",
        median(choosing),
        median(storing),
        median(settling),
    )?;
    Ok(())
}

/// Lets every entry count as one byte: a queue is full at 64 MiB, long before the depth that is looked at here.
async fn lighten(file: &Path) -> Result<(), Failed> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_mins(1));
    let mut connection = options.connect().await?;
    sqlx::raw_sql("update outbox set bytes = 1 where bytes > 1").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// The next flight as if the cloud had taken all of it.
async fn delivered(store: &Store, scope: ScopeId) -> Result<Vec<Settled>, Failed> {
    let flight = store.outbox().heads(scope, NOW, FLIGHT, &[]).await?;
    let settled = flight.into_iter().map(|entry| Settled {
        entry: entry.id,
        local: entry.registration.local,
        revision: entry.revision,
        hash: entry.hash,
        fate: Fate::Delivered(CloudProject {
            cloud: CloudId(Uuid::new_v4()),
            status: "registered".to_owned(),
            registered_at: Some(NOW),
            tenant: None,
        }),
    });
    Ok(settled.collect())
}

async fn opening(out: &mut impl Write, file: &Path) -> Result<(), Failed> {
    for end in ["clean", "kill", "damage"] {
        if end == "damage" {
            OpenOptions::new().write(true).open(file)?.write_all(&[0xff; 4096])?;
        }
        let started = now();
        let opened = Store::open(file, LIMITS, NOW, Uuid::from_u128(1)).await?;
        writeln!(
            out,
            "opening_after={end} ms={} carried={:?}",
            started.elapsed().as_millis(),
            opened.carried
        )?;
        if end == "kill" {
            opened.store.close().await?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, what: &str, callers: u64, calls: &Calls, rows: u64) -> Result<(), Failed> {
    let per_second = calls.rate(rows);
    let (half, most) = (calls.at(50), calls.at(99));
    Ok(writeln!(out, "{what}={callers} per_second={per_second:.0} p50_us={half} p99_us={most}")?)
}

impl Calls {
    fn new(mut calls: Vec<u128>, taken: Duration) -> Self {
        calls.sort_unstable();
        Self(calls, taken)
    }

    fn at(&self, percent: usize) -> u128 {
        self.0.get(self.0.len() * percent / 100).copied().unwrap_or_default()
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self, rows: u64) -> f64 {
        self.0.len() as f64 * rows as f64 / self.1.as_secs_f64()
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement, not the daemon")]
fn now() -> Instant {
    Instant::now()
}

fn record(registration: &Registration) -> Change {
    let project = Project {
        local: registration.local,
        root: registration.root.clone(),
        place: None,
        born: None,
        given: sync_core::Given::default(),
        vcs_place: None,
        vcs: Vcs::default(),
        name: registration.name.clone(),
        language: registration.language.clone(),
        framework: registration.framework.clone(),
        content_hash: registration.content_hash.clone(),
        kind: registration.kind,
        parent: None,
        presence: Presence::Present,
        asked: Asked::ByUser,
        first_seen_at: NOW,
        seen_at: NOW,
    };
    Change { kind: ChangeKind::Added, project }
}

fn wish(number: u64) -> Wish {
    // An odd factor: every number has a UUID of its own, and neighbours lie far apart, as real ones do.
    let local = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let registration = Registration {
        local: LocalId(Uuid::from_u128(local)),
        machine: MachineId(Uuid::from_u128(7)),
        name: format!("project-{number}"),
        root: PathBuf::from(format!("/home/somebody/code/group/project-{number}")),
        language: "Rust".to_owned(),
        framework: "axum".to_owned(),
        content_hash: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
        kind: ProjectKind::Standalone,
        parent: None,
    };
    Wish { registration, asked: Asked::ByUser, force: false }
}
