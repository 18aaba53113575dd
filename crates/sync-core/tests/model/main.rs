//! The delivery machine against random histories of a laptop and a cloud, over a queue in memory, in invented time.
//!
//! ```text
//! cargo test -p sync-core --test model                                        # what CI runs
//! MODEL_HISTORIES=2000000 MODEL_SEED=$RANDOM cargo test --release -p sync-core --test model every_history
//! ```
//!
//! A history is a few dozen events (wishes, faults, restarts, clocks set, sleep, tenants, tokens, people's commands)
//! at random moments; then all faults end, and everything has to arrive. `world` drives the machine as the daemon
//! does, `cloud` is the other side, `reference` says what must be true, `life` is what happens. The same files run
//! over the real store in `sync-store/tests/model`.
#![cfg(test)]

mod chance;
mod cloud;
mod landing;
mod life;
mod memory;
mod mutation;
mod queue;
mod reference;
mod run;
mod sabotage;
mod world;

use memory::MemoryQueue;
use mutation::Mutation;
use run::{Many, hold, notice};

fn queue(mutation: Option<Mutation>) -> MemoryQueue {
    MemoryQueue::without(mutation)
}

#[test]
fn every_history_keeps_the_promise() {
    hold("sync-core", Many::from_environment(10_000, 40), queue);
}

#[test]
fn every_rule_that_is_left_out_is_noticed() {
    notice(&mutation::ALL, Many { histories: 2_000, events: 40, seed: 1 }, queue);
}
