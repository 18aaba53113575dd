//! How fast registrations become durable through the control socket, beside SQLite's own limit on this disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Home, Series, float, micros, now, per_second};

use crate::drafts::{Folders, client, own_pauses, quiet_home, whole};
use crate::measure::Row;
use crate::python::Python;
use crate::store::{self, Rates};

/// Callers, and how many each gives.
const CALLERS: [(usize, usize); 4] = [(1, 1_000), (16, 500), (64, 125), (200, 40)];

pub(crate) fn measure(folders: &Folders, rounds: usize, python: Option<&Path>) -> Vec<Row> {
    let (mut daemon, mut earlier) = (BTreeMap::<usize, Rates>::new(), BTreeMap::<usize, Rates>::new());
    let mut limits = BTreeMap::<String, Rates>::new();
    for _ in 0..rounds {
        for (callers, each) in CALLERS {
            through_the_socket(folders.first(callers * each), each, daemon.entry(callers).or_default());
            if let Some(folder) = python {
                let line = Python(folder).enqueue(callers, if callers == 1 { 200 } else { 25 });
                earlier.entry(callers).or_default().take(&line);
            }
        }
        let lines = store::measured(&["--seconds", "1"]);
        for (callers, _) in CALLERS {
            for what in ["bare", "enqueue", "register"] {
                let what = format!("{what}={callers}");
                let line = lines.iter().find(|line| line.begins(&what)).expect("a line of the store");
                limits.entry(what).or_default().take(line);
            }
        }
    }
    let mut rows = Vec::new();
    for (callers, each) in &daemon {
        let what = |figure: &str| format!("durable enqueue, {callers} caller(s): {figure}");
        let mut beside = |name: &str, line: &str, limit: &Rates| {
            let rate = (limit.rate.median(), "/s");
            let row = Row::beside(what("rate"), (each.rate.median(), "/s"), name, rate);
            let x = float(*callers);
            rows.push(row.at("callers", "through the socket", x).limit_at("callers", line, x));
            let half = (limit.half.median(), "µs");
            rows.push(Row::beside(what("p50"), (each.half.median(), "µs"), name, half));
            let most = (limit.most.median(), "µs");
            rows.push(Row::beside(what("p99"), (each.most.median(), "µs"), name, most));
        };
        let bare = format!("bare SQLite, {callers} row(s) a commit");
        beside(&bare, "bare SQLite", &limits[&format!("bare={callers}")]);
        beside("the store, entry only", "the store, entry only", &limits[&format!("enqueue={callers}")]);
        let whole = "the store, entry and record";
        beside(whole, whole, &limits[&format!("register={callers}")]);
        if let Some(earlier) = earlier.get(callers) {
            beside("Python client", "Python client", earlier);
        }
    }
    rows
}

fn through_the_socket(folders: &[PathBuf], each: usize, rates: &mut Rates) {
    let mut home = quiet_home();
    home.set_cloud("api_url", "http://127.0.0.1:9");
    home.set_cloud("auth_token", dev_token("acme", None));
    own_pauses(&mut home);
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let start = Barrier::new(folders.len() / each + 1);
    let (taken, calls) = thread::scope(|scope| {
        let callers: Vec<_> =
            folders.chunks(each).map(|some| scope.spawn(|| one_caller(&home, some, &start))).collect();
        start.wait();
        let started = now();
        let mut calls = Series::default();
        for caller in callers {
            calls.extend(&caller.join().expect("a caller"));
        }
        (started.elapsed(), calls)
    });
    rates.rate.push(per_second(folders.len(), taken));
    rates.half.push(calls.at(50));
    rates.most.push(calls.at(99));
    daemon.finish();
}

fn one_caller(home: &Home, folders: &[PathBuf], start: &Barrier) -> Series {
    let mut client = client(home);
    client.health().expect("a connection that is kept");
    let requests: Vec<_> = folders.iter().map(|folder| whole(folder, 1)).collect();
    let mut calls = Series::default();
    start.wait();
    for request in requests {
        let called = now();
        let result = client.register(&request).expect("the daemon takes it");
        calls.push(micros(called.elapsed()));
        assert!(result.queued, "{result:?}");
    }
    calls
}
