//! What a daemon does while the cloud is away and a thousand projects change all the time.
//!
//! Minutes stand for the hour: they begin with the failure, when tries are most frequent, so what they tell of an hour
//! is too much rather than too little. The port is closed, which is the failure that costs least time for each try.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use sync_tests::{Daemon, Process, float, now, short};
use sync_wire::Client;

use crate::drafts::{Folders, client, give, own_pauses, quiet_home};
use crate::measure::Row;

const PROJECTS: usize = 1_000;
const EVERY: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// The server's base and cap, as the policy has them.
const PAUSES: (f64, f64) = (10.0, 300.0);

pub(crate) fn measure(folders: &Folders, length: Duration) -> Vec<Row> {
    let closed =
        TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port");
    let mut home = quiet_home();
    home.set_cloud("api_url", format!("http://{closed}"));
    own_pauses(&mut home);
    home.set_cloud("auth_token", coditect_devcloud::dev_token("acme", None));
    let folders = folders.first(PROJECTS);
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let process = Process(daemon.pid());
    let mut client = client(&home);
    give(&mut client, folders, 0);

    let (started, written, cpu) = (now(), process.written(), process.cpu());
    let mut times = 0;
    while started.elapsed() < length {
        times += 1;
        give(&mut client, folders, times);
        // The pace of the changes is what is measured under.
        thread::sleep((EVERY * u32::try_from(times).unwrap_or(u32::MAX)).saturating_sub(started.elapsed()));
    }
    let changes = float(times * PROJECTS);
    let requests = requests(&mut client);
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let bytes = process.written() - written;
    let used = process.cpu().saturating_sub(cpu).as_secs_f64();

    let (requests_before, written, switches) = (requests, process.written(), process.switches());
    thread::sleep(QUIET);
    let quiet_requests = self::requests(&mut client) - requests_before;
    let quiet_bytes = process.written() - written;
    let quiet_switches = process.switches() - switches;
    let waiting = client.queue().expect("the queue").waiting();
    assert_eq!(waiting, 1_000, "one entry for each project");
    daemon.finish();

    let offline = format!("offline, {PROJECTS} projects changing every {} s", EVERY.as_secs());
    vec![
        Row::beside(
            format!("{offline}, {} min: requests a minute", short(minutes)),
            (requests / minutes, "/min"),
            "the policy's mean for these minutes",
            (expected(minutes * 60.0) / minutes, "/min"),
        ),
        Row::alone(
            format!("{offline}: requests in the hour, by the policy"),
            format!("{} (at most one project each)", short(expected(HOUR.as_secs_f64()))),
        ),
        Row::alone(
            format!("{offline}: written"),
            format!(
                "{} kB a minute, {} bytes a change",
                short(bytes / minutes),
                short(bytes * 1024.0 / changes)
            ),
        ),
        Row::alone(
            format!("{offline}: processor"),
            format!(
                "{} ms a minute, {} µs a change",
                short(used * 1e3 / minutes),
                short(used * 1e6 / changes)
            ),
        ),
        Row::alone(
            format!("offline, {PROJECTS} waiting, nothing changes, 1 min"),
            format!("{quiet_requests} requests, {quiet_bytes} kB written, {quiet_switches} context switches"),
        ),
    ]
}

/// Requests to the cloud so far, by the daemon's own count.
fn requests(client: &mut Client) -> f64 {
    let metrics = client.metrics().expect("the metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("coditect_sync_cloud_requests_total "));
    line.and_then(|count| count.parse().ok()).expect("the count of requests")
}

/// How many tries the mean of the policy's pauses leaves room for.
fn expected(seconds: f64) -> f64 {
    let (base, cap) = PAUSES;
    let (mut tries, mut at, mut pause) = (0.0, 0.0, base);
    while at < seconds {
        tries += 1.0;
        at += pause / 2.0;
        pause = (pause * 2.0).min(cap);
    }
    tries
}
