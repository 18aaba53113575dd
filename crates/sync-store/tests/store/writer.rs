//! Many callers, few commits; and what a failure does to whom.

use sync_core::Timestamp;
use sync_store::{Error, Limits, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{NOW, found, kinds, picture, store};

#[tokio::test]
async fn many_callers_share_few_commits() {
    let (_home, store, scope) = store().await;
    let before = store.figures();
    let mut callers = JoinSet::new();
    for number in 1..=200_u128 {
        let store = store.clone();
        callers.spawn(async move {
            store.outbox().enqueue(scope, vec![found(number, "a")], NOW).await.map(|told| told.len())
        });
    }
    let told = callers.join_all().await;
    assert!(told.iter().all(|told| matches!(told, Ok(1))));
    let figures = store.figures();
    assert_eq!(figures.jobs - before.jobs, 200);
    // The first may go alone; the others gathered meanwhile.
    assert!(figures.commits - before.commits <= 3, "{} commits", figures.commits - before.commits);
    assert_eq!(picture(&store, scope, NOW).await.len(), 200);
}

#[tokio::test]
async fn callers_of_one_commit_see_each_others_wishes_in_order() {
    let (_home, store, scope) = store().await;
    let outbox = store.outbox();
    let events = store.event();
    let (first, second, event, third) = tokio::join!(
        outbox.enqueue(scope, vec![found(1, "a")], NOW),
        outbox.enqueue(scope, vec![found(1, "b")], NOW),
        events.add("test.marker", None, String::new(), NOW),
        outbox.enqueue(scope, vec![found(1, "c")], NOW),
    );
    assert!(first.is_ok() && second.is_ok() && event.is_ok() && third.is_ok());
    assert_eq!(picture(&store, scope, NOW).await, ["c r3 Ready 0"]);
    assert_eq!(
        kinds(&store).await,
        ["registration.queued", "registration.queued", "test.marker", "registration.queued"]
    );
}

#[tokio::test]
async fn closing_finishes_what_was_accepted() {
    let (home, store, scope) = store().await;
    let outbox = store.outbox();
    let (stored, closed, late) =
        tokio::join!(outbox.enqueue(scope, vec![found(1, "a")], NOW), store.clone().close(), async {
            tokio::task::yield_now().await;
            loop {
                match outbox.enqueue(scope, vec![found(2, "b")], NOW).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => return error,
                }
            }
        },);
    assert!(stored.is_ok() && closed.is_ok(), "{stored:?} {closed:?}");
    assert!(matches!(late, Error::Closed), "{late:?}");
    drop(store);
    let again = home.try_open(9).await.unwrap();
    assert!(!again.unclean);
    assert!(!picture(&again.store, scope, NOW).await.is_empty());
}

#[tokio::test]
async fn a_checkpoint_empties_the_log() {
    let (home, store, scope) = store().await;
    store.outbox().enqueue(scope, vec![found(1, "a")], NOW).await.unwrap();
    let log = home.folder.path().join("sync.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    store.checkpoint().await.unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(picture(&store, scope, NOW).await.len(), 1);
}

#[tokio::test]
async fn a_new_database_numbers_its_events_above_those_of_any_before_it() {
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for (hour, events) in [(0, 1), (1, 50), (2, 3)] {
        let path = home.path().join(format!("{hour}.db"));
        let now = Timestamp(NOW.0 + hour * 3_600_000);
        let opened = Store::open(&path, Limits { max_items: 10 }, now, Uuid::nil()).await.unwrap();
        let latest = opened.store.event().latest().await.unwrap();
        assert!(latest > last && latest < 1 << 53, "{latest} after {last}");
        for _ in 0..events {
            opened.store.event().add("test.tick", None, String::new(), now).await.unwrap();
        }
        last = opened.store.event().since(0, 100).await.unwrap().last().unwrap().id;
        assert_eq!((last, opened.store.event().latest().await.unwrap()), (latest + events, last));
        opened.store.close().await.unwrap();
        // The numbers of one that is there go on.
        let opened = Store::open(&path, Limits { max_items: 10 }, now, Uuid::nil()).await.unwrap();
        assert_eq!(opened.store.event().latest().await.unwrap(), last);
        opened.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn events_are_numbered_and_trimmed() {
    let (_home, store, _scope) = store().await;
    let before = store.event().latest().await.unwrap();
    for number in 0..5 {
        store.event().add("test.tick", None, format!("{number}"), NOW).await.unwrap();
    }
    assert_eq!(store.event().trim(2, 100).await.unwrap(), 3);
    let left = store.event().since(0, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|event| (event.id, event.message.as_str())).collect::<Vec<_>>(),
        [(before + 4, "3"), (before + 5, "4")]
    );
    assert_eq!(store.event().since(before + 4, 10).await.unwrap().len(), 1);
    assert_eq!(store.event().latest().await.unwrap(), before + 5);
}
