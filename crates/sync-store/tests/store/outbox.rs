//! What gets into the outbox, in which order it comes out, and what flights do to it.

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sync_core::{Asked, EntryId, Failure, Fate, Settled, Standing};
use sync_store::{EntryState, Error, How, Limits, SettleReport, Store};

use crate::support::{
    Home, LIFE, NOW, added, cloud, delivered, enqueue, found, kinds, later, local, nth, picture,
    registration, run, scope, settled, store, which, wish,
};

fn failure(code: &str) -> Failure {
    Failure { code: code.to_owned(), message: format!("the cloud said {code}"), at: NOW }
}

#[tokio::test]
async fn a_registration_comes_back_as_it_went_in() {
    let (_home, store, scope) = store().await;
    let mut strange = registration(1, "na\0me \u{1f980} \"quoted\"");
    strange.root = {
        use std::os::unix::ffi::OsStringExt;
        std::ffi::OsString::from_vec(b"/srv/\xff\xfe'x".to_vec()).into()
    };
    strange.parent = Some(local(9));
    let wish = sync_store::Wish { registration: strange.clone(), asked: Asked::ByUser, force: false };
    let how = enqueue(&store, scope, wish, NOW).await;
    let entry = store.outbox().waiting_for(scope, local(1)).await.unwrap().unwrap();
    assert_eq!(how, How::Added(entry.id, nth(1)));
    assert_eq!(entry.hash, strange.payload_hash());
    assert_eq!(entry.registration, strange);
    assert_eq!(
        (entry.asked, entry.standing, entry.due, entry.enqueued_at),
        (Asked::ByUser, Standing::Ready, NOW, NOW)
    );
}

#[tokio::test]
async fn a_newer_registration_replaces_the_waiting_one() {
    let (_home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let retry = Fate::Retry { due: later(60), failure: failure("http_500") };
    let flown = settled(&store, scope, 1, retry).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    assert_eq!(picture(&store, scope, NOW).await, ["a r1 Delayed 1"]);

    let how = enqueue(&store, scope, found(1, "b"), later(1)).await;
    assert_eq!(how, How::Replaced(EntryId(1), nth(2)));
    assert_eq!(picture(&store, scope, later(1)).await, ["b r2 Ready 0"]);
    let entry = store.outbox().get(EntryId(1)).await.unwrap().unwrap();
    assert_eq!((entry.last_failure, entry.enqueued_at), (None, NOW));
    assert_eq!(kinds(&store).await, ["registration.queued", "registration.queued"]);
}

#[tokio::test]
async fn the_same_wish_writes_nothing_but_may_hurry() {
    let (_home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let back = Fate::Back { due: later(60), failure: None };
    let flown = settled(&store, scope, 1, back).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();

    assert!(matches!(enqueue(&store, scope, found(1, "a"), NOW).await, How::Waiting(..)));
    assert_eq!(picture(&store, scope, NOW).await, ["a r1 Delayed 0"]);
    let by_user = wish(1, "a", Asked::ByUser);
    assert!(matches!(enqueue(&store, scope, by_user, NOW).await, How::Waiting(..)));
    assert_eq!(picture(&store, scope, NOW).await, ["a r1 Ready 0"]);
    let entry = store.outbox().get(EntryId(1)).await.unwrap().unwrap();
    assert_eq!(entry.asked, Asked::ByUser);
    assert_eq!(kinds(&store).await, ["registration.queued"]);
}

#[tokio::test]
async fn what_was_given_up_comes_back_only_when_somebody_asks() {
    for (fate, state) in [
        (Fate::Bury(failure("http_422")), "Dead"),
        (Fate::Park { due: later(86_400), failure: failure("http_402") }, "Parked"),
    ] {
        let counted = usize::from(state == "Dead");
        for (asked, force, expected) in [
            (Asked::ByDiscovery, false, format!("a r1 {state} {counted}")),
            (Asked::ByUser, false, "a r1 Ready 0".to_owned()),
            (Asked::ByDiscovery, true, "a r1 Ready 0".to_owned()),
        ] {
            let (_home, store, scope) = store().await;
            enqueue(&store, scope, found(1, "a"), NOW).await;
            let flown = settled(&store, scope, 1, fate.clone()).await;
            store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
            let again = sync_store::Wish { force, ..wish(1, "a", asked) };
            assert!(matches!(enqueue(&store, scope, again, NOW).await, How::Waiting(..)));
            assert_eq!(picture(&store, scope, NOW).await, [expected]);
        }
    }
}

#[tokio::test]
async fn what_the_cloud_has_is_not_sent_again_unless_forced() {
    let (_home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();

    let how = enqueue(&store, scope, found(1, "a"), NOW).await;
    assert!(matches!(&how, How::Known(mapping) if mapping.cloud == cloud(51)), "{how:?}");
    assert!(picture(&store, scope, NOW).await.is_empty());
    let forced = sync_store::Wish { force: true, ..found(1, "a") };
    let how = enqueue(&store, scope, forced, NOW).await;
    // One above what was sent, and a number no entry had before.
    assert_eq!(how, How::Added(EntryId(2), nth(2)));
    let other = store.scope().ensure(&crate::support::scope("other")).await.unwrap();
    assert_eq!(enqueue(&store, other, found(1, "a"), NOW).await, How::Added(EntryId(3), nth(1)));
}

#[tokio::test]
async fn one_call_may_name_a_project_twice() {
    let (_home, store, scope) = store().await;
    let wishes = vec![found(1, "a"), found(2, "x"), wish(1, "b", Asked::ByUser), found(1, "b")];
    let told = store.outbox().enqueue(scope, wishes, NOW).await.unwrap();
    let shown: Vec<String> = told
        .iter()
        .map(|one| match &one.how {
            How::Added(_, revision) => format!("added r{}", which(*revision)),
            How::Replaced(_, revision) => format!("replaced r{}", which(*revision)),
            How::Waiting(_, revision) => format!("waiting r{}", which(*revision)),
            How::Known(_) => "known".to_owned(),
        })
        .collect();
    assert_eq!(shown, ["added r1", "added r1", "replaced r2", "waiting r2"]);
    assert_eq!(picture(&store, scope, NOW).await, ["x r1 Ready 0", "b r2 Ready 0"]);
}

#[tokio::test]
async fn a_full_queue_refuses_new_projects_and_takes_newer_content() {
    let home = Home { limit: 2, ..Home::new() };
    let store = home.open().await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let too_many = store.outbox().enqueue(scope, vec![found(2, "b"), found(3, "c")], NOW).await;
    assert!(matches!(too_many, Err(Error::QueueFull { limit: 2 })), "{too_many:?}");
    assert_eq!(picture(&store, scope, NOW).await, ["a r1 Ready 0"], "all or none");
    enqueue(&store, scope, found(2, "b"), NOW).await;
    let newer = vec![found(1, "a2"), found(2, "b2")];
    store.outbox().enqueue(scope, newer, NOW).await.unwrap();
    assert_eq!(picture(&store, scope, NOW).await, ["a2 r2 Ready 0", "b2 r2 Ready 0"]);

    // The dead do not count, and what goes makes room.
    let flown = settled(&store, scope, 1, Fate::Bury(failure("http_400"))).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    enqueue(&store, scope, found(3, "c"), NOW).await;
    assert!(store.outbox().enqueue(scope, vec![found(4, "d")], NOW).await.is_err());
    assert_eq!(store.outbox().drop_entries(&[EntryId(2)]).await.unwrap(), 1);
    enqueue(&store, scope, found(4, "d"), NOW).await;
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_too() {
    let (home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    // As if 64 MiB less 1,000 bytes waited.
    run(&home, "update tally set bytes = 67107864 where standing = 0").await;
    let big = |number: u128| {
        let mut wish = found(number, "a");
        wish.registration.root = format!("/{}/{number}", "x".repeat(900)).into();
        wish
    };
    let refused = store.outbox().enqueue(scope, vec![big(2)], NOW).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "{refused:?}");
    enqueue(&store, scope, found(3, "small"), NOW).await;
    assert!(matches!(enqueue(&store, scope, big(1), NOW).await, How::Replaced(..)));
}

/// Changes the database behind the store's back.
#[tokio::test]
async fn the_bytes_that_wait_are_those_of_the_rows() {
    let (home, store, scope) = store().await;
    let wishes = (1..=9).map(|number| found(number, &"x".repeat(number as usize))).collect();
    store.outbox().enqueue(scope, wishes, NOW).await.unwrap();
    let mut flown = Vec::new();
    for (number, fate) in [
        (1, delivered(51)),
        (2, Fate::Park { due: later(99), failure: failure("x") }),
        (3, Fate::Bury(failure("y"))),
    ] {
        flown.push(settled(&store, scope, number, fate).await);
    }
    store.outbox().settle(scope, flown, LIFE, 0, NOW).await.unwrap();
    enqueue(&store, scope, found(4, "longer than it was"), NOW).await;
    store.outbox().drop_entries(&[EntryId(5)]).await.unwrap();
    store.close().await.unwrap();

    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from tally t
        where (t.rows, t.bytes) is not (
            select count(*), coalesce(sum(o.bytes), 0) from outbox o
            where o.scope = t.scope and o.standing = t.standing
        )",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
}

#[tokio::test]
async fn entries_come_in_the_order_they_are_to_go() {
    let (_home, store, scope) = store().await;
    let child = |number: u128, parent: u128, asked| {
        let mut wish = wish(number, &number.to_string(), asked);
        wish.registration.parent = Some(local(parent));
        wish
    };
    let outbox = store.outbox();
    // 5 inside 4 inside 3; 7 inside a project that does not wait; 8 and 9 each inside the other.
    let wishes = vec![
        found(1, "1"),
        child(5, 4, Asked::ByUser),
        child(4, 3, Asked::ByDiscovery),
        found(3, "3"),
        wish(2, "2", Asked::ByUser),
        child(7, 99, Asked::ByDiscovery),
        child(8, 9, Asked::ByDiscovery),
        child(9, 8, Asked::ByDiscovery),
    ];
    outbox.enqueue(scope, wishes, NOW).await.unwrap();
    outbox.enqueue(scope, vec![found(6, "6")], later(60)).await.unwrap();

    let names = async |limit, except: &[EntryId], now| -> Vec<String> {
        let heads = outbox.heads(scope, now, limit, except).await.unwrap();
        heads.into_iter().map(|entry| entry.registration.name).collect()
    };
    assert_eq!(names(50, &[], NOW).await, ["3", "4", "5", "2", "1", "7", "9", "8"]);
    assert_eq!(names(2, &[], NOW).await, ["3", "4"], "the user's child waits for its parents");
    assert_eq!(names(50, &[], later(60)).await.len(), 9);
    let first = outbox.heads(scope, NOW, 3, &[]).await.unwrap();
    let flying: Vec<EntryId> = first.iter().map(|entry| entry.id).collect();
    assert_eq!(names(50, &flying, NOW).await, ["2", "1", "7", "9", "8"]);
}

#[tokio::test]
async fn a_flight_changes_only_the_revision_that_flew() {
    struct Case {
        fate: Fate,
        before: &'static [&'static str],
        replaced: &'static [&'static str],
        events: &'static [&'static str],
    }
    let cases = [
        Case {
            fate: delivered(51),
            before: &[],
            replaced: &["b r2 Ready 0"],
            events: &["registration.delivered"],
        },
        Case {
            fate: Fate::Back { due: later(60), failure: None },
            before: &["a r1 Delayed 0"],
            replaced: &["b r2 Ready 0"],
            events: &[],
        },
        Case {
            fate: Fate::Retry { due: later(60), failure: failure("left_out") },
            before: &["a r1 Delayed 1"],
            replaced: &["b r2 Ready 0"],
            events: &[],
        },
        Case {
            fate: Fate::Park { due: later(60), failure: failure("http_402") },
            before: &["a r1 Parked 0"],
            replaced: &["b r2 Ready 0"],
            events: &["registration.parked"],
        },
        Case {
            fate: Fate::Bury(failure("http_422")),
            before: &["a r1 Dead 1"],
            replaced: &["b r2 Ready 0"],
            events: &["registration.dead"],
        },
    ];
    for Case { fate, before, replaced, events } in cases {
        for newer in [false, true] {
            let (_home, store, scope) = store().await;
            enqueue(&store, scope, found(1, "a"), NOW).await;
            let flown = settled(&store, scope, 1, fate.clone()).await;
            if newer {
                enqueue(&store, scope, found(1, "b"), NOW).await;
            }
            let mark = store.event().latest().await.unwrap();
            let report = store.outbox().settle(scope, vec![flown], LIFE, 5, NOW).await.unwrap();
            assert_eq!(report.superseded, u64::from(newer), "{fate:?}");
            assert_eq!(picture(&store, scope, NOW).await, if newer { replaced } else { before }, "{fate:?}");
            let mapping = store.mapping().get(scope, local(1)).await.unwrap();
            let sent = Some(registration(1, "a").payload_hash());
            let told = mapping.as_ref().map(|mapping| (mapping.cloud, mapping.revision, mapping.sent));
            let reached = matches!(fate, Fate::Delivered(_));
            assert_eq!(told, reached.then_some((cloud(51), nth(1), sent)), "{fate:?}");
            let written: Vec<String> =
                store.event().since(mark, 10).await.unwrap().into_iter().map(|event| event.kind).collect();
            let expected = if newer && !reached { &[][..] } else { events };
            assert_eq!(written, expected, "{fate:?}");
        }
    }
}

#[tokio::test]
async fn one_flight_has_many_fates_and_one_commit() {
    let (_home, store, scope) = store().await;
    let wishes = (1..=5).map(|number| found(number, &number.to_string())).collect();
    store.outbox().enqueue(scope, wishes, NOW).await.unwrap();
    let fates = [
        delivered(51),
        delivered(52),
        Fate::Retry { due: later(9), failure: failure("x") },
        Fate::Bury(failure("y")),
        Fate::Back { due: later(9), failure: Some(failure("z")) },
    ];
    let mut flown = Vec::new();
    for (number, fate) in (1..).zip(fates) {
        flown.push(settled(&store, scope, number, fate).await);
    }
    let (hash, fate) = (registration(9, "x").payload_hash(), Fate::Bury(failure("x")));
    flown.push(Settled { entry: EntryId(999), local: local(9), revision: nth(1), hash, fate });
    let commits = store.figures().commits;
    let report = store.outbox().settle(scope, flown, LIFE, 77, NOW).await.unwrap();
    assert_eq!(store.figures().commits, commits + 1);
    let expected = SettleReport {
        delivered: vec![(local(1), cloud(51)), (local(2), cloud(52))],
        superseded: 0,
        back: 2,
        parked: 0,
        buried: 1,
        gone: 1,
    };
    assert_eq!(report, expected);
    assert_eq!(picture(&store, scope, NOW).await, ["3 r1 Delayed 1", "4 r1 Dead 1", "5 r1 Delayed 0"]);
    let last = store.outbox().get(EntryId(5)).await.unwrap().unwrap();
    assert_eq!(last.last_failure, Some(failure("z")));

    let mappings = store.mapping().all_in(scope).await.unwrap();
    assert_eq!(mappings.len(), 2);
    for mapping in &mappings {
        assert_eq!(mapping.expires_at, NOW.after(LIFE));
        assert!(mapping.refresh_at >= NOW.after(LIFE * 9 / 10) && mapping.refresh_at <= mapping.expires_at);
    }
    assert_ne!(mappings[0].refresh_at, mappings[1].refresh_at, "they are not all refreshed at once");
}

#[tokio::test]
async fn what_the_cloud_took_is_kept_when_the_row_left_meanwhile() {
    for adopted in [false, true] {
        let (_home, store, first) = store().await;
        enqueue(&store, first, found(1, "a"), NOW).await;
        let flown = settled(&store, first, 1, delivered(51)).await;
        let other = store.scope().ensure(&scope("other")).await.unwrap();
        if adopted {
            store.scope().adopt(first, other, NOW).await.unwrap();
        } else {
            store.outbox().drop_entries(&[flown.entry]).await.unwrap();
        }
        let report = store.outbox().settle(first, vec![flown], LIFE, 5, NOW).await.unwrap();
        assert_eq!((report.gone, report.delivered), (1, vec![(local(1), cloud(51))]));
        let told = store.mapping().get(first, local(1)).await.unwrap().unwrap();
        assert_eq!((told.cloud, told.sent), (cloud(51), Some(registration(1, "a").payload_hash())));
        assert_eq!(store.mapping().get(other, local(1)).await.unwrap(), None);
        // The other tenant's wish is its own, and the same content is not sent to the first again.
        let waits: &[&str] = if adopted { &["a r1 Ready 0"] } else { &[] };
        assert_eq!(picture(&store, other, NOW).await, waits);
        let again = enqueue(&store, first, found(1, "a"), NOW).await;
        assert!(matches!(again, How::Known(_)), "{again:?}");
    }
}

#[tokio::test]
async fn a_status_that_is_not_final_is_soon_asked_for() {
    let (_home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let Fate::Delivered(told) = delivered(51) else { panic!("not delivered") };
    let pending = Fate::Delivered(sync_core::CloudProject { status: "pending".to_owned(), ..told });
    let flown = settled(&store, scope, 1, pending).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    let mapping = store.mapping().get(scope, local(1)).await.unwrap().unwrap();
    assert_eq!((mapping.refresh_at, mapping.expires_at), (later(60), NOW.after(LIFE)));
}

#[tokio::test]
async fn another_uuid_in_the_cloud_is_an_event() {
    let (_home, store, scope) = store().await;
    for (name, told) in [("a", 51), ("b", 51), ("c", 52)] {
        enqueue(&store, scope, found(1, name), NOW).await;
        let flown = settled(&store, scope, 1, delivered(told)).await;
        store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    }
    let replaced = kinds(&store).await.into_iter().filter(|kind| kind == "mapping.replaced").count();
    assert_eq!(replaced, 1);
    let mapping = store.mapping().by_cloud(scope, cloud(52)).await.unwrap().unwrap();
    assert_eq!((mapping.local, mapping.revision), (local(1), nth(3)));
    assert_eq!(store.mapping().by_cloud(scope, cloud(51)).await.unwrap(), None);
}

#[tokio::test]
async fn counts_follow_every_change() {
    let (_home, store, scope) = store().await;
    let wishes = (1..=6).map(|number| found(number, "a")).collect();
    store.outbox().enqueue(scope, wishes, NOW).await.unwrap();
    let mut flown = Vec::new();
    for (number, fate) in [
        (1, delivered(51)),
        (2, Fate::Back { due: later(9), failure: None }),
        (3, Fate::Park { due: later(99), failure: failure("x") }),
        (4, Fate::Bury(failure("y"))),
    ] {
        flown.push(settled(&store, scope, number, fate).await);
    }
    store.outbox().settle(scope, flown, LIFE, 0, later(1)).await.unwrap();
    let shown = async |now| {
        let counts = store.outbox().counts(scope, now).await.unwrap();
        (counts.ready, counts.delayed, counts.parked, counts.dead)
    };
    assert_eq!(shown(later(1)).await, (2, 1, 1, 1));
    assert_eq!(shown(later(9)).await, (3, 0, 1, 1));
    assert_eq!(store.outbox().next_due(scope).await.unwrap(), Some(NOW));
    let list = async |state| -> Vec<i64> {
        let entries = store.outbox().list(scope, Some(state), None, 10, later(1)).await.unwrap();
        entries.iter().map(|entry| entry.id.0).collect()
    };
    assert_eq!(list(EntryState::Ready).await, [5, 6]);
    assert_eq!(list(EntryState::Delayed).await, [2]);
    assert_eq!(list(EntryState::Parked).await, [3]);
    assert_eq!(list(EntryState::Dead).await, [4]);

    assert_eq!(store.outbox().hurry(scope, later(1)).await.unwrap(), 1);
    assert_eq!(shown(later(1)).await, (3, 0, 1, 1));
    assert_eq!(store.outbox().retry_dead(scope, later(2)).await.unwrap(), 1);
    assert_eq!(store.outbox().retry(&[EntryId(3)], later(2)).await.unwrap(), 1);
    assert_eq!(shown(later(2)).await, (5, 0, 0, 0));
    assert_eq!(store.outbox().drop_entries(&[EntryId(2), EntryId(3), EntryId(77)]).await.unwrap(), 2);
    assert_eq!(shown(later(2)).await, (3, 0, 0, 0));
    assert_eq!(store.outbox().counts(scope, NOW).await.unwrap().oldest_enqueued_at, Some(NOW));
}

#[tokio::test]
async fn only_the_newest_dead_are_kept() {
    let (_home, store, scope) = store().await;
    for number in 1..=4 {
        enqueue(&store, scope, found(number, &number.to_string()), NOW).await;
        let flown = settled(&store, scope, number, Fate::Bury(failure("x"))).await;
        let moment = later(u64::try_from(number).unwrap());
        store.outbox().settle(scope, vec![flown], LIFE, 0, moment).await.unwrap();
    }
    assert_eq!(store.outbox().trim_dead(3, 100).await.unwrap(), 1);
    assert_eq!(picture(&store, scope, NOW).await, ["2 r1 Dead 1", "3 r1 Dead 1", "4 r1 Dead 1"]);
}

#[tokio::test]
async fn a_tenant_that_becomes_known_takes_over_what_waits() {
    let (_home, store, known) = store().await;
    let unknown = store.scope().ensure(&scope("")).await.unwrap();
    // 1 only there; 2 in both, there newer; 3 in both, here newer; 4 is in the cloud; 5 was other content in the cloud.
    for (scope, number, name, at) in [
        (unknown, 1, "a", NOW),
        (known, 2, "old", NOW),
        (unknown, 2, "new", later(1)),
        (unknown, 3, "old", NOW),
        (known, 3, "new", later(1)),
        (known, 4, "same", NOW),
        (known, 5, "before", NOW),
    ] {
        enqueue(&store, scope, found(number, name), at).await;
    }
    for number in [4, 5] {
        let flown = settled(&store, known, number, delivered(number)).await;
        store.outbox().settle(known, vec![flown], LIFE, 0, NOW).await.unwrap();
    }
    enqueue(&store, unknown, found(4, "same"), NOW).await;
    enqueue(&store, unknown, found(5, "after"), NOW).await;

    assert_eq!(store.scope().adopt(unknown, known, later(2)).await.unwrap(), 3);
    assert!(picture(&store, unknown, later(2)).await.is_empty());
    assert_eq!(
        picture(&store, known, later(2)).await,
        ["a r1 Ready 0", "new r2 Ready 0", "new r2 Ready 0", "after r2 Ready 0"]
    );
    assert_eq!(store.outbox().counts(known, later(2)).await.unwrap().ready, 4);
    assert_eq!(store.outbox().counts(unknown, later(2)).await.unwrap().ready, 0);
    assert_eq!(store.scope().adopt(unknown, known, later(3)).await.unwrap(), 0);
}

#[tokio::test]
async fn who_asks_again_before_the_tenant_is_known_revives_what_was_given_up_and_a_look_does_not() {
    for (asked, expected) in [(Asked::ByUser, "a r2 Ready 0"), (Asked::ByDiscovery, "a r1 Dead 1")] {
        let (_home, store, known) = store().await;
        let unknown = store.scope().ensure(&scope("")).await.unwrap();
        enqueue(&store, known, found(1, "a"), NOW).await;
        let flown = settled(&store, known, 1, Fate::Bury(failure("x"))).await;
        store.outbox().settle(known, vec![flown], LIFE, 0, NOW).await.unwrap();
        enqueue(&store, unknown, wish(1, "a", asked), later(1)).await;
        store.scope().adopt(unknown, known, later(2)).await.unwrap();
        assert_eq!(picture(&store, known, later(2)).await, [expected]);
    }
}

#[tokio::test]
async fn what_is_registered_after_the_loss_of_the_database_is_newer_than_what_was_before() {
    let (_home, before, scope) = store().await;
    for name in ["a", "b", "c"] {
        enqueue(&before, scope, found(1, name), NOW).await;
    }
    let last = before.outbox().waiting_for(scope, local(1)).await.unwrap().unwrap().revision;
    let (_home, store, scope) = store().await;
    let How::Added(_, first) = enqueue(&store, scope, found(1, "d"), later(60)).await else { panic!() };
    assert!(first > last, "{first} after {last}");
    // So is what follows an entry that was dropped and may have arrived.
    let entry = store.outbox().waiting_for(scope, local(1)).await.unwrap().unwrap();
    store.outbox().drop_entries(&[entry.id]).await.unwrap();
    let How::Added(_, second) = enqueue(&store, scope, found(1, "e"), later(120)).await else { panic!() };
    assert!(second > first, "{second} after {first}");
}

#[tokio::test]
async fn what_somebody_asks_for_before_the_tenant_is_known_is_dropped_there_no_more() {
    let (home, store, known) = store().await;
    let unknown = store.scope().ensure(&scope("")).await.unwrap();
    enqueue(&store, known, found(1, "a"), NOW).await;
    let entry = store.outbox().waiting_for(known, local(1)).await.unwrap().unwrap();
    store.outbox().drop_entries(&[entry.id]).await.unwrap();
    enqueue(&store, unknown, wish(1, "a", Asked::ByUser), later(1)).await;
    assert_eq!(store.scope().adopt(unknown, known, later(2)).await.unwrap(), 1);
    let mut database = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    let dropped: i64 =
        sqlx::query_scalar("select count(*) from dropped").fetch_one(&mut database).await.unwrap();
    assert_eq!(dropped, 0);
}

#[tokio::test]
async fn what_a_person_gave_one_tenant_and_took_back_is_not_told_to_another() {
    let (_home, store, acme) = store().await;
    let other = store.scope().ensure(&scope("other")).await.unwrap();
    let machine = sync_core::MachineId(uuid::Uuid::from_u128(7));
    let mut given = added(1, "/secret");
    given.project.asked = Asked::ByUser;
    store.project().apply(acme, machine, vec![given, added(2, "/found")], NOW).await.unwrap();
    let entry = store.outbox().waiting_for(acme, local(1)).await.unwrap().unwrap();
    store.outbox().drop_entries(&[entry.id]).await.unwrap();
    store.project().enqueue_unsent(other, machine, None, 100, later(1)).await.unwrap();
    assert_eq!(store.outbox().waiting_for(other, local(1)).await.unwrap(), None);
    assert!(store.outbox().waiting_for(other, local(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_dropped_before_the_tenant_is_known_stays_dropped() {
    let (_home, store, known) = store().await;
    let unknown = store.scope().ensure(&scope("")).await.unwrap();
    let machine = sync_core::MachineId(uuid::Uuid::from_u128(7));
    store.project().apply(unknown, machine, vec![added(1, "/a"), added(2, "/b")], NOW).await.unwrap();
    let entry = store.outbox().waiting_for(unknown, local(1)).await.unwrap().unwrap();
    store.outbox().drop_entries(&[entry.id]).await.unwrap();
    store.scope().adopt(unknown, known, later(2)).await.unwrap();
    store.project().enqueue_unsent(known, machine, None, 100, later(3)).await.unwrap();
    assert!(store.outbox().waiting_for(known, local(1)).await.unwrap().is_none());
    assert!(store.outbox().waiting_for(known, local(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_row_does_not_stop_the_others() {
    let (home, store, scope) = store().await;
    for number in 1..=3 {
        enqueue(&store, scope, found(number, &number.to_string()), NOW).await;
    }
    run(&home, "update outbox set name = 'other' where id = 1").await;

    assert!(matches!(
        store.outbox().waiting_for(scope, local(1)).await,
        Err(Error::Row { table: "outbox", column: "hash", .. })
    ));
    let heads = store.outbox().heads(scope, NOW, 1, &[]).await.unwrap();
    assert_eq!(heads.iter().map(|entry| entry.id).collect::<Vec<_>>(), [EntryId(2)]);
    assert_eq!(kinds(&store).await.last().map(String::as_str), Some("queue.damaged"));
    assert!(matches!(enqueue(&store, scope, found(1, "1"), NOW).await, How::Added(..)));
}

#[tokio::test]
async fn a_damaged_row_does_not_hide_those_behind_it_from_a_page() {
    let (home, store, scope) = store().await;
    for number in 1..=4 {
        enqueue(&store, scope, found(number, &number.to_string()), NOW).await;
    }
    run(&home, "update outbox set name = 'other' where id = 2").await;
    let page = store.outbox().list(scope, None, None, 3, NOW).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.id.0).collect::<Vec<_>>(), [1, 3, 4]);
}

#[tokio::test]
async fn an_entry_of_an_unknown_scope_is_refused_alone() {
    let (_home, store, scope) = store().await;
    let nowhere = sync_core::ScopeId(999);
    let (bad, good) =
        tokio::join!(async { store.outbox().enqueue(nowhere, vec![found(1, "a")], NOW).await }, async {
            store.outbox().enqueue(scope, vec![found(2, "b")], NOW).await
        },);
    assert!(matches!(bad, Err(Error::Other { .. })), "{bad:?}");
    assert!(good.is_ok(), "{good:?}");
    assert_eq!(picture(&store, scope, NOW).await, ["b r1 Ready 0"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (home, store, scope) = store().await;
    enqueue(&store, scope, found(1, "a"), NOW).await;
    store.meta().set("auth_wait", "soon").await.unwrap();
    store.clone().close().await.unwrap();
    assert!(matches!(store.outbox().next_due(scope).await, Err(Error::Closed)));
    assert!(matches!(store.meta().set("x", "y").await, Err(Error::Closed)));

    let limits = Limits { max_items: 10 };
    let again = Store::open(&home.file(), limits, NOW, uuid::Uuid::nil()).await.unwrap();
    assert_eq!((again.unclean, again.set_aside), (false, None));
    let store = again.store;
    assert_eq!(store.scope().ensure(&crate::support::scope("acme")).await.unwrap(), scope);
    assert_eq!(picture(&store, scope, NOW).await, ["a r1 Ready 0"]);
    assert_eq!(store.meta().get("auth_wait").await.unwrap().as_deref(), Some("soon"));
    assert!(store.meta().remove("auth_wait").await.unwrap());
    assert_eq!(store.meta().get("auth_wait").await.unwrap(), None);
}
