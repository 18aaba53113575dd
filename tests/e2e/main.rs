//! Journeys over the built programs, a real cloud on loopback and real folders.

mod absent;
mod appears;
mod catalogue;
mod crash;
mod damage;
mod discovery;
mod disk;
mod examples;
mod faults;
mod follows;
mod live;
mod maltreated;
mod offline;
mod outlying;
mod overtaken;
mod regressions;
mod rest;
mod service;
mod stop;
mod survival;
mod tenants;
mod told;
mod transcripts;
mod two_hosts;
mod two_machines;
mod workers;

use coditect_devcloud::dev_token;
use serde_json::Value;
use sync_tests::{Cloud, Home, until};

/// A home whose cloud is a dev cloud, and the cloud.
fn world() -> (Home, Cloud) {
    let mut home = Home::new();
    let cloud = Cloud::start(home.path().join("cloud.db"));
    home.set_cloud("api_url", cloud.url());
    home.set_cloud("auth_token", dev_token("acme", None));
    (home, cloud)
}

/// How many entries of the queue stand so.
fn queue(home: &Home, state: &str) -> u64 {
    home.json(&["queue"])[state].as_u64().unwrap_or_default()
}

/// Waits until nothing waits any more.
fn drained(home: &Home) {
    until("the queue is empty", || {
        let waiting: u64 = ["ready", "delayed", "in_flight"].iter().map(|state| queue(home, state)).sum();
        (waiting == 0).then_some(())
    });
}

/// Waits until the daemon says this of the cloud.
fn cloud_is(home: &Home, state: &str) {
    until(&format!("the cloud is {state}"), || {
        (home.json(&["status"])["cloud"]["state"] == state).then_some(())
    });
}

fn effects(ledger: &[Value]) -> Vec<&str> {
    ledger.iter().filter_map(|entry| entry["effect"].as_str()).collect()
}
