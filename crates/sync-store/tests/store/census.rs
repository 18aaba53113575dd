//! What is known without reading is what reading would tell, whatever happened in between.

use std::time::Duration;

use proptest::prelude::*;
use sync_core::{
    Change, ChangeKind, EntryId, Failure, Fate, MachineId, Presence, Project, ScopeId, Timestamp,
};
use sync_store::{Census, Error, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Home, LIFE, NOW, added, delivered, found, later, local, project, settled, store};

const MACHINE: MachineId = MachineId(Uuid::from_u128(7));

/// What is written, or what passes.
#[derive(Clone, Debug)]
enum Deed {
    Write(Write),
    TurnTo(Tenant),
    /// In seconds; a clock can be set back.
    Pass(i64),
}

#[derive(Clone, Debug)]
enum Write {
    Enqueue(u128),
    Settle(u128, Outcome),
    Retry(u128),
    RetryDead,
    Hurry,
    Drop(u128),
    Forget(u128),
    See(u128),
    Lose(u128),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Delivered,
    Back(i64),
    Park(i64),
    Bury,
}

#[derive(Clone, Copy, Debug)]
enum Tenant {
    Acme,
    Other,
}

fn deed() -> impl Strategy<Value = Deed> {
    let number = 1..5_u128;
    let outcome = prop_oneof![
        Just(Outcome::Delivered),
        (-5..60_i64).prop_map(Outcome::Back),
        (-5..60_i64).prop_map(Outcome::Park),
        Just(Outcome::Bury),
    ];
    let write = prop_oneof![
        3 => number.clone().prop_map(Write::Enqueue),
        4 => (number.clone(), outcome).prop_map(|(number, outcome)| Write::Settle(number, outcome)),
        1 => number.clone().prop_map(Write::Retry),
        1 => Just(Write::RetryDead),
        1 => Just(Write::Hurry),
        1 => number.clone().prop_map(Write::Drop),
        1 => number.clone().prop_map(Write::Forget),
        2 => number.clone().prop_map(Write::See),
        1 => number.prop_map(Write::Lose),
    ];
    prop_oneof![
        15 => write.prop_map(Deed::Write),
        1 => prop_oneof![Just(Tenant::Acme), Just(Tenant::Other)].prop_map(Deed::TurnTo),
        4 => (-30..120_i64).prop_map(Deed::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_what_would_be_read(deeds in prop::collection::vec(deed(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(walk(deeds))?;
    }
}

async fn walk(deeds: Vec<Deed>) -> Result<(), TestCaseError> {
    let (_home, store, acme) = store().await;
    let other = store.scope().ensure(&crate::support::scope("other")).await.unwrap();
    let (mut scope, mut now) = (acme, NOW);
    for deed in deeds {
        match deed {
            Deed::TurnTo(Tenant::Acme) => scope = acme,
            Deed::TurnTo(Tenant::Other) => scope = other,
            Deed::Pass(seconds) => now = Timestamp(now.0 + seconds * 1_000),
            Deed::Write(ref what) => write(&store, scope, what, now).await,
        }
        // The second answer is the one that was kept.
        for _ in 0..2 {
            prop_assert_eq!(
                store.census(scope, now).await.unwrap(),
                read(&store, scope, now).await,
                "{:?}",
                deed
            );
        }
    }
    Ok(())
}

async fn read(store: &Store, scope: ScopeId, now: Timestamp) -> Census {
    Census {
        outbox: store.outbox().counts(scope, now).await.unwrap(),
        mapping: store.mapping().counts(scope, now).await.unwrap(),
        project: store.project().counts(scope).await.unwrap(),
        // It holds many more than are enqueued here.
        is_full: false,
    }
}

#[tokio::test]
async fn a_queue_is_full_when_it_refuses_whose_ever_the_entries_are() {
    let mut home = Home::new();
    home.limit = 3;
    let store = home.open().await;
    let [acme, other] = ["acme", "other"].map(crate::support::scope);
    let acme = store.scope().ensure(&acme).await.unwrap();
    let other = store.scope().ensure(&other).await.unwrap();
    for number in 1..=3 {
        assert!(!store.census(acme, NOW).await.unwrap().is_full, "{number}");
        let scope = if number == 2 { other } else { acme };
        store.outbox().enqueue(scope, vec![found(number, "a")], NOW).await.unwrap();
    }
    for scope in [acme, other] {
        assert!(store.census(scope, NOW).await.unwrap().is_full);
    }
    let refused = store.outbox().enqueue(acme, vec![found(4, "a")], NOW).await;
    assert!(matches!(refused, Err(Error::QueueFull { limit: 3 })), "{refused:?}");
    let flown = vec![settled(&store, acme, 1, delivered(1)).await];
    store.outbox().settle(acme, flown, LIFE, 0, NOW).await.unwrap();
    assert!(!store.census(acme, NOW).await.unwrap().is_full);
}

async fn write(store: &Store, scope: ScopeId, what: &Write, now: Timestamp) {
    let failure = || Failure { code: "http_422".to_owned(), message: String::new(), at: now };
    let at = |seconds: i64| Timestamp(now.0 + seconds * 1_000);
    let outbox = store.outbox();
    match *what {
        Write::Enqueue(number) => {
            outbox.enqueue(scope, vec![found(number, "a")], now).await.unwrap();
        }
        Write::Settle(number, outcome) => {
            if outbox.waiting_for(scope, local(number)).await.unwrap().is_none() {
                return;
            }
            let fate = match outcome {
                Outcome::Delivered => delivered(50 + number),
                Outcome::Back(due) => Fate::Back { due: at(due), failure: None },
                Outcome::Park(due) => Fate::Park { due: at(due), failure: failure() },
                Outcome::Bury => Fate::Bury(failure()),
            };
            let flown = vec![settled(store, scope, number, fate).await];
            outbox.settle(scope, flown, Duration::from_secs(45), 0, now).await.unwrap();
        }
        Write::Retry(number) => {
            outbox.retry(&waiting(store, scope, number).await, now).await.unwrap();
        }
        Write::Drop(number) => {
            outbox.drop_entries(&waiting(store, scope, number).await).await.unwrap();
        }
        Write::RetryDead => {
            outbox.retry_dead(scope, now).await.unwrap();
        }
        Write::Hurry => {
            outbox.hurry(scope, now).await.unwrap();
        }
        Write::Forget(number) => {
            store.mapping().forget(scope, local(number)).await.unwrap();
        }
        Write::See(number) => {
            let changes = vec![added(number, &format!("/p/{number}"))];
            store.project().apply(scope, MACHINE, changes, now).await.unwrap();
        }
        Write::Lose(number) => {
            let gone = Project { presence: Presence::Missing, ..project(number, &format!("/p/{number}")) };
            let changes = vec![Change { kind: ChangeKind::Missing, project: gone }];
            store.project().apply(scope, MACHINE, changes, now).await.unwrap();
        }
    }
}

async fn waiting(store: &Store, scope: ScopeId, number: u128) -> Vec<EntryId> {
    let entry = store.outbox().waiting_for(scope, local(number)).await.unwrap();
    entry.into_iter().map(|entry| entry.id).collect()
}

/// A store that is closed answers nothing that it has to read.
#[tokio::test]
async fn it_is_read_again_only_when_it_may_be_another() {
    let (_home, store, scope) = store().await;
    store.outbox().enqueue(scope, vec![found(1, "a"), found(2, "a")], NOW).await.unwrap();
    let back = settled(&store, scope, 2, Fate::Back { due: later(9), failure: None }).await;
    store.outbox().settle(scope, vec![back], LIFE, 0, NOW).await.unwrap();
    let counted = store.census(scope, NOW).await.unwrap();
    assert_eq!((counted.outbox.ready, counted.outbox.delayed), (1, 1));

    store.clone().close().await.unwrap();
    assert!(store.outbox().counts(scope, NOW).await.is_err());
    assert_eq!(store.census(scope, later(8)).await.unwrap(), counted);
    assert!(matches!(store.census(scope, later(9)).await, Err(Error::Closed)));
    let other = ScopeId(scope.0 + 1);
    assert!(matches!(store.census(other, NOW).await, Err(Error::Closed)));
}

#[tokio::test]
async fn who_wrote_is_counted_in() {
    let (_home, store, scope) = store().await;
    let mut callers = JoinSet::new();
    for caller in 0..4_u128 {
        let store = store.clone();
        callers.spawn(async move {
            for number in 1..=50 {
                let told = store.outbox().enqueue(scope, vec![found(caller * 100 + number, "a")], NOW).await;
                let counted = store.census(scope, NOW).await.unwrap().outbox.ready;
                assert!(
                    told.is_ok() && counted >= u64::try_from(number).unwrap(),
                    "{counted} after {number}"
                );
            }
        });
    }
    callers.join_all().await;
    assert_eq!(store.census(scope, NOW).await.unwrap().outbox.ready, 200);
}
