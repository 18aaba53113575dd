//! What went leaves no room behind, and nobody waits for that.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use sync_core::{
    Change, ChangeKind, EntryId, Failure, Fate, MachineId, Presence, Project, ScopeId, Standing, Timestamp,
};
use sync_store::{Keep, Step, Store};
use uuid::Uuid;

use crate::support::{
    Home, LIFE, NOW, added, delivered, enqueue, found, later, local, project, run, scope, settled, store,
};

const KEEP: Keep = Keep { events: 100, dead: 3, gone_weeks: 2 };
const ENTRIES: u128 = 3_000;

async fn fill(store: &Store, scope: ScopeId) {
    let long = "x".repeat(2_000);
    for first in (1..=ENTRIES).step_by(500) {
        let wishes = (first..first + 500).map(|number| found(number, &long)).collect();
        store.outbox().enqueue(scope, wishes, NOW).await.unwrap();
    }
}

async fn drain(store: &Store) {
    let ids: Vec<EntryId> = (1..=i64::try_from(ENTRIES).unwrap()).map(EntryId).collect();
    for some in ids.chunks(500) {
        store.outbox().drop_entries(some).await.unwrap();
    }
}

/// Goes on until nothing is left to do, and tells the steps.
async fn keep_up(store: &Store) -> Vec<Step> {
    keep_up_at(store, NOW).await
}

async fn keep_up_at(store: &Store, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        match store.upkeep().step(KEEP, now).await.unwrap() {
            Step::Done => return steps,
            step @ (Step::Events(_) | Step::Dead(_) | Step::Gone(_) | Step::Pages(_)) => steps.push(step),
        }
        assert!(steps.len() < 1_000, "there is no end");
    }
}

async fn look(home: &Home) -> SqliteConnection {
    SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap()
}

async fn number(connection: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

fn megabytes(home: &Home) -> u64 {
    std::fs::metadata(home.file()).unwrap().len() / 1_000_000
}

#[tokio::test]
async fn a_large_queue_that_has_drained_leaves_a_small_file_and_no_query_waits_for_that() {
    let (home, store, scope) = store().await;
    fill(&store, scope).await;
    store.checkpoint().await.unwrap();
    assert!(megabytes(&home) > 7, "{} MB", megabytes(&home));
    drain(&store).await;
    store.checkpoint().await.unwrap();
    assert!(megabytes(&home) > 7, "there is nothing to give back");

    // Somebody reads all the while, and sees what was when that began.
    let mut reader = look(&home).await;
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    let events = number(&mut reader, "select count(*) from event").await;
    assert_eq!(events, i64::try_from(ENTRIES).unwrap());
    let (steps, ()) = tokio::join!(keep_up(&store), async {
        for number in ENTRIES + 1..ENTRIES + 20 {
            store.outbox().enqueue(scope, vec![found(number, "a")], NOW).await.unwrap();
            assert!(store.outbox().counts(scope, NOW).await.unwrap().ready > 0);
        }
    });
    assert_eq!(number(&mut reader, "select count(*) from event").await, events);
    for step in &steps {
        match *step {
            Step::Events(rows) | Step::Dead(rows) | Step::Gone(rows) => assert!(rows <= 250, "{step:?}"),
            Step::Pages(pages) => assert!(pages <= 128, "{step:?}"),
            Step::Done => panic!("that is no step"),
        }
    }
    assert!(steps.len() > 10, "{steps:?}");

    // While it reads, the log cannot be emptied; that is said at once.
    let hurried = tokio::time::timeout(Duration::from_mins(1), store.checkpoint()).await;
    assert!(!hurried.expect("it waits for a reader").unwrap());
    sqlx::query("commit").execute(&mut reader).await.unwrap();
    assert!(store.checkpoint().await.unwrap());
    assert!(megabytes(&home) < 3, "{} MB", megabytes(&home));
    assert_eq!(store.figures().log_bytes, 0);
    keep_up(&store).await;
    assert_eq!(number(&mut reader, "select count(*) from event").await, 100);
    let sound: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut reader).await.unwrap();
    assert_eq!(sound, "ok");
    reader.close().await.unwrap();
    assert_eq!(keep_up(&store).await, []);
}

#[tokio::test]
async fn what_is_kept_up_already_costs_no_write() {
    let (_home, store, scope) = store().await;
    store.outbox().enqueue(scope, vec![found(1, "a")], NOW).await.unwrap();
    // The first time that a week is seen it is noted.
    assert_eq!(keep_up(&store).await, []);
    assert!(store.checkpoint().await.unwrap());
    let before = store.figures();
    assert_eq!(keep_up(&store).await, []);
    assert_eq!(store.figures(), before);
}

#[tokio::test]
async fn old_dead_entries_go_in_every_scope() {
    let (_home, store, acme) = store().await;
    let other = store.scope().ensure(&scope("other")).await.unwrap();
    let failure = Failure { code: "x".to_owned(), message: String::new(), at: NOW };
    for scope in [acme, other] {
        for number in 1..=5 {
            store.outbox().enqueue(scope, vec![found(number, "a")], NOW).await.unwrap();
            let flown = settled(&store, scope, number, Fate::Bury(failure.clone())).await;
            store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
        }
    }
    assert_eq!(keep_up(&store).await, [Step::Dead(2), Step::Dead(2)]);
    for scope in [acme, other] {
        assert_eq!(store.outbox().counts(scope, NOW).await.unwrap().dead, 3);
    }
}

#[tokio::test]
async fn projects_that_have_been_gone_for_long_are_forgotten_unless_something_needs_them() {
    const MACHINE: MachineId = MachineId(Uuid::from_u128(7));
    let (_home, store, acme) = store().await;
    let other = store.scope().ensure(&scope("other")).await.unwrap();
    let missing = |number: u128, at: Timestamp| {
        let project = project(number, &format!("/p/{number}"));
        let project = Project { presence: Presence::Missing, seen_at: at, ..project };
        Change { kind: ChangeKind::Missing, project }
    };
    let apply = async |changes: Vec<Change>, now: Timestamp| {
        store.project().apply(acme, MACHINE, changes, now).await.unwrap();
        for entry in store.outbox().list(acme, None, None, 1_000, now).await.unwrap() {
            let number = entry.registration.local.0.as_u128();
            let flown = vec![settled(&store, acme, number, delivered(1_000 + number)).await];
            store.outbox().settle(acme, flown, LIFE, 0, now).await.unwrap();
        }
    };
    let week = 7 * 24 * 3_600;
    let long = later(2 * week + 3_600);
    let child = {
        let mut child = added(5, "/p/5");
        child.project.parent = Some(local(4));
        child
    };
    apply(
        (1..=8).filter(|number| *number != 5).map(|number| added(number, &format!("/p/{number}"))).collect(),
        NOW,
    )
    .await;
    apply(vec![child], NOW).await;
    // 1 went long ago, 2 lately, 3 waits in another scope, 4 is a parent, 5 and 6 are on disk, 7 was displaced, 8 is dead.
    apply(vec![missing(1, NOW), missing(3, NOW), missing(4, NOW), missing(8, NOW)], NOW).await;
    apply(vec![missing(2, long)], long).await;
    let mut comer = added(9, "/p/7");
    comer.project.seen_at = long;
    apply(vec![comer], long).await;
    enqueue(&store, other, found(3, "a"), NOW).await;
    enqueue(&store, other, found(8, "a"), NOW).await;
    let failure = Failure { code: "http_422".to_owned(), message: String::new(), at: NOW };
    let flown = vec![settled(&store, other, 8, Fate::Bury(failure)).await];
    store.outbox().settle(other, flown, LIFE, 0, NOW).await.unwrap();

    assert_eq!(keep_up_at(&store, later(3_600)).await, []);
    // Nobody saw weeks pass, only one moment at which the clock was years ahead.
    for seconds in [300 * week, week, week + 3_600, 2 * week] {
        assert_eq!(keep_up_at(&store, later(seconds)).await, [], "{seconds}");
    }
    assert_eq!(keep_up_at(&store, long).await, [Step::Gone(2)]);
    let left: Vec<u128> =
        store.project().all().await.unwrap().iter().map(|left| left.local.0.as_u128()).collect();
    assert_eq!(left, [2, 3, 4, 5, 6, 7, 9]);
    for number in 1..=9 {
        let is_known = store.mapping().get(acme, local(number)).await.unwrap().is_some();
        assert_eq!(is_known, ![1, 8].contains(&number), "{number}");
    }
    // What comes back is as new, and goes again in steps.
    apply(vec![added(1, "/p/1")], long).await;
    assert!(store.mapping().get(acme, local(1)).await.unwrap().is_some());
    let many = |at: Timestamp| (100..700).map(|number| missing(number, at)).collect::<Vec<_>>();
    store.project().apply(acme, MACHINE, many(long), long).await.unwrap();
    let mut gone = Vec::new();
    for weeks in 1..=3 {
        let steps = keep_up_at(&store, long.after(Duration::from_hours(weeks * 7 * 24))).await;
        let forgotten = steps.into_iter().filter(|step| matches!(step, Step::Gone(_)));
        gone.push(forgotten.collect::<Vec<_>>());
    }
    assert_eq!(gone.concat(), [Step::Gone(250), Step::Gone(250), Step::Gone(102)]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_postpones_nothing() {
    let (_home, store, scope) = store().await;
    for (number, at) in [(1, later(7_000)), (2, later(7_300))] {
        enqueue(&store, scope, found(number, "a"), at).await;
    }
    store.outbox().set_back(scope, Duration::from_hours(2), NOW).await.unwrap();
    let entries = store.outbox().list(scope, None, None, 50, NOW).await.unwrap();
    let due: Vec<_> = entries.iter().map(|entry| entry.due).collect();
    assert_eq!(due, [NOW, later(100)]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_hold_entries_for_ever() {
    let (_home, store, scope) = store().await;
    let year = NOW.after(Duration::from_hours(24 * 365));
    for number in 1..=20 {
        enqueue(&store, scope, found(number, "a"), NOW).await;
        let back = Fate::Back { due: if number == 1 { later(59) } else { year }, failure: None };
        let flown = settled(&store, scope, number, back).await;
        store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    }
    let minute = Duration::from_mins(1);
    let pulled = store.outbox().pull_in(scope, Standing::Ready, minute, u64::MAX, NOW).await.unwrap();
    assert_eq!(pulled, 19);
    let entries = store.outbox().list(scope, None, None, 50, NOW).await.unwrap();
    assert_eq!(entries[0].due, later(59), "what lies within the cap stays");
    assert!(entries.iter().all(|entry| entry.due >= NOW && entry.due < later(60)));
    let distinct: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.due).collect();
    assert!(distinct.len() > 15);
}

#[tokio::test]
async fn what_was_put_off_under_a_clock_that_was_ahead_waits_as_long_as_it_was_to() {
    let (_home, store, scope) = store().await;
    let ahead = |seconds: u64| later(seconds + 24 * 60 * 60);
    for number in 1..=3 {
        enqueue(&store, scope, found(number, "a"), ahead(0)).await;
    }
    // Two that went wrong then, and were to wait for seconds and for hours.
    for (number, wait) in [(2, 30), (3, 7_200)] {
        let failure = Failure { code: "http_500".to_owned(), message: String::new(), at: ahead(10) };
        let flown = settled(&store, scope, number, Fate::Retry { due: ahead(10 + wait), failure }).await;
        store.outbox().settle(scope, vec![flown], LIFE, 0, ahead(10)).await.unwrap();
    }
    let (hour, dice) = (Duration::from_hours(1), u64::MAX);
    assert_eq!(store.outbox().pull_in(scope, Standing::Ready, hour, dice, NOW).await.unwrap(), 3);
    let entries = store.outbox().list(scope, None, None, 50, NOW).await.unwrap();
    let due: Vec<_> = entries.iter().map(|entry| entry.due).collect();
    assert_eq!(due, [NOW, later(30), later(3_600)]);
    assert_eq!(
        store.outbox().pull_in(scope, Standing::Ready, hour, dice, NOW).await.unwrap(),
        0,
        "only once"
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_none_that_follows() {
    let (home, store, _) = store().await;
    for number in 0..3 {
        store.event().add("test.tick", None, format!("{number}"), NOW).await.unwrap();
    }
    run(&home, "update event set message = cast(x'ff' as text) where message = '1'").await;
    let events = store.event().since(0, 10).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(told, ["0", "2"]);
}
