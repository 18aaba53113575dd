//! A process that is killed in the middle of acknowledging has stored all it acknowledged.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sync_core::LocalId;
use sync_store::{Limits, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Home, NOW, found, scope};

/// Tells the child where its database is.
const WHERE: &str = "SYNC_STORE_CRASH_TEST_DATABASE";
const CALLERS: u128 = 8;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let home = Home::new();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::a_process_to_be_killed", "--exact", "--ignored", "--nocapture"])
            .env(WHERE, home.file())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut this_round = 0;
        for line in lines {
            let Some(id) = line.strip_prefix("stored ").and_then(|id| id.parse::<Uuid>().ok()) else {
                continue;
            };
            acknowledged.insert(LocalId(id));
            this_round += 1;
            // What was in the pipe when it died is read to the end.
            if this_round == 40 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(this_round >= 40 * round, "the child ended by itself after {this_round}");

        let opened = home.try_open(1).await.unwrap();
        assert_eq!((opened.unclean, opened.set_aside), (true, None));
        let scope = opened.store.scope().ensure(&scope("acme")).await.unwrap();
        let entries = opened.store.outbox().list(scope, None, None, u32::MAX, NOW).await.unwrap();
        let stored: BTreeSet<LocalId> = entries.iter().map(|entry| entry.registration.local).collect();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} lost", lost.len(), acknowledged.len());
        let counts = opened.store.outbox().counts(scope, NOW).await.unwrap();
        assert_eq!(counts.ready, stored.len() as u64);
    }
}

/// Not a test by itself: enqueues without end and prints what was acknowledged.
#[tokio::test]
#[ignore = "is started by the test above"]
#[expect(clippy::disallowed_methods, reason = "the only way to hand something to a test in another process")]
async fn a_process_to_be_killed() {
    let Some(file) = std::env::var_os(WHERE).map(PathBuf::from) else { return };
    let opened = Store::open(&file, Limits { max_items: 1_000_000 }, NOW, Uuid::from_u128(1)).await.unwrap();
    let scope = opened.store.scope().ensure(&scope("acme")).await.unwrap();
    let start = u128::from(opened.store.event().latest().await.unwrap().unsigned_abs()) * 1_000;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = opened.store.clone();
        callers.spawn(async move {
            for number in (start + caller + 1..).step_by(8) {
                let told = store.outbox().enqueue(scope, vec![found(number, "a")], NOW).await.unwrap();
                println!("stored {}", told[0].local);
            }
        });
    }
    callers.join_all().await;
}
