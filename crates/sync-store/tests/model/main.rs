//! The delivery machine over the real store against random histories of a laptop and a cloud, in invented time.
//!
//! ```text
//! cargo test -p sync-store --test model                                        # what CI runs
//! MODEL_HISTORIES=100000 MODEL_SEED=$RANDOM cargo test --release -p sync-store --test model every_history
//! ```
//!
//! The model is that of `sync-core/tests/model`, which runs more histories over a queue in memory; here a kill drops
//! the store and opens its file again. The clock is handed in, so tokio's own never has to be paused.
#![cfg(test)]

#[path = "../../../sync-core/tests/model/chance.rs"]
mod chance;
#[path = "../../../sync-core/tests/model/cloud.rs"]
mod cloud;
#[path = "../../../sync-core/tests/model/landing.rs"]
mod landing;
#[path = "../../../sync-core/tests/model/life.rs"]
mod life;
#[path = "../../../sync-core/tests/model/mutation.rs"]
mod mutation;
#[path = "../../../sync-core/tests/model/queue.rs"]
mod queue;
#[path = "../../../sync-core/tests/model/reference.rs"]
mod reference;
#[path = "../../../sync-core/tests/model/run.rs"]
mod run;
#[path = "../../../sync-core/tests/model/sabotage.rs"]
mod sabotage;
mod stored;
#[path = "../../../sync-core/tests/model/world.rs"]
mod world;

use mutation::Mutation;
use run::{Many, hold, notice};
use stored::StoredQueue;

fn queue(_: Option<Mutation>) -> StoredQueue {
    StoredQueue::new()
}

#[test]
fn every_history_keeps_the_promise() {
    hold("sync-store", Many::from_environment(300, 14), queue);
}

#[test]
fn every_rule_that_is_left_out_is_noticed() {
    let rules: Vec<Mutation> = mutation::ALL.into_iter().filter(|rule| concerns_the_store(*rule)).collect();
    notice(&rules, Many { histories: 500, events: 14, seed: 1 }, queue);
}

/// Whether what the store keeps would be wrong; the others show in the model over memory.
fn concerns_the_store(rule: Mutation) -> bool {
    matches!(
        rule,
        Mutation::SettlingIgnoresTheRevision
            | Mutation::AdoptionIsSkipped
            | Mutation::MappingsGoToEveryScope
            | Mutation::WishesAreAcknowledgedBeforeTheyAreDurable
            | Mutation::DeadEntriesVanish
    )
}
