//! How fast a queue is emptied, beside a client that posts the same bodies and has no queue.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Process, Series, float, micros, per_second, timed};
use sync_wire::{Call, FlushRequest};
use uuid::Uuid;

use crate::cloud::{Other, post};
use crate::drafts::{BATCH, Folders, client, give, quiet_home, whole};
use crate::measure::Row;
use crate::python::Python;

const LONGEST: Duration = Duration::from_mins(5);

pub(crate) fn measure(folders: &Folders, rounds: usize, python: Option<&Path>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (cloud, start) in [("dev cloud", Start::Dev), ("cloud that answers at once", Start::Null)] {
        for count in [1_000, 10_000] {
            let (mut daemon, mut bare, mut cpu) = (Series::default(), Series::default(), Series::default());
            for _ in 0..rounds {
                let (rate, used) = by_daemon(start, folders.first(count));
                daemon.push(rate);
                cpu.push(used);
                bare.push(by_hand(start, folders.first(count)));
            }
            let what = format!("drain of {count}, {cloud}");
            let rate = (daemon.median(), "/s");
            rows.push(Row::beside(&what, rate, "bare client, the same bodies", (bare.median(), "/s")));
            let used = format!("{} µs of processor each", sync_tests::short(cpu.median()));
            rows.push(Row::alone(format!("{what}: the daemon"), used));
            // It neither gets faster with more nor with a quicker cloud; the limit is its own.
            if let (Some(folder), Start::Dev, 1_000) = (python, start, count) {
                let line =
                    other(start, |cloud| Python(folder).drain(count, &cloud.url(), &dev_token("acme", None)));
                rows.push(Row::beside(&what, rate, "Python client", (line.number("per_second"), "/s")));
            }
        }
    }
    rows
}

#[derive(Clone, Copy)]
enum Start {
    Dev,
    Null,
}

fn other<T>(start: Start, work: impl FnOnce(&Other) -> T) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cloud = match start {
        Start::Dev => Other::dev(folder.path().join("cloud.db")),
        Start::Null => Other::null(),
    };
    work(&cloud)
}

/// Registrations a second from `resume` until nothing waits, and the processor's time for each.
fn by_daemon(start: Start, folders: &[PathBuf]) -> (f64, f64) {
    let count = folders.len();
    other(start, |cloud| {
        let mut home = quiet_home();
        home.set_cloud("api_url", cloud.url());
        home.set_cloud("auth_token", dev_token("acme", None));
        let daemon = Daemon::start(&home);
        let mut client = client(&home);
        client.accomplish(&Call::pause(&sync_wire::PauseRequest::default())).expect("a pause");
        give(&mut client, folders, 1);
        let process = Process(daemon.pid());
        let before = process.cpu();
        let wait_ms = u64::try_from(LONGEST.as_millis()).ok();
        let (taken, flushed) = timed(|| {
            client.accomplish(&Call::resume()).expect("the end of the pause");
            client.flush(&FlushRequest { wait_ms }).expect("a flush")
        });
        let used = process.cpu().saturating_sub(before);
        assert_eq!((flushed.remaining, flushed.dead), (0, 0), "{flushed:?}");
        cloud.has(count);
        daemon.finish();
        (per_second(count, taken), micros(used) / float(count))
    })
}

fn by_hand(start: Start, folders: &[PathBuf]) -> f64 {
    let count = folders.len();
    other(start, |cloud| {
        let machine = Uuid::from_u128(7);
        let body = |some: &[PathBuf]| {
            let projects: Vec<serde_json::Value> = some
                .iter()
                .map(|folder| {
                    let mut project = serde_json::to_value(whole(folder, 1)).expect("a document");
                    project["machine_uuid"] = machine.to_string().into();
                    project
                })
                .collect();
            serde_json::json!({"projects": projects}).to_string().into_bytes()
        };
        let bodies: Vec<Vec<u8>> = folders.chunks(BATCH).map(body).collect();
        let (taken, ()) = timed(|| post(&cloud.url(), &dev_token("acme", None), machine, &bodies));
        cloud.has(count);
        per_second(count, taken)
    })
}
