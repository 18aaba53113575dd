//! What the old queue says about a project of which somebody told the daemon something.

use std::time::Duration;

use sync_core::{Change, ChangeKind, Field, Given, MachineId, Project, ProjectKind};
use uuid::Uuid;

use super::{Old, acme, single, waiting};
use crate::support::{NOW, enqueue, found, local, project, store};

/// Otherwise a later look finds the cloud behind the record and sends that.
#[tokio::test]
async fn the_record_says_what_is_queued_whatever_was_given_and_when() {
    for (created_at, name) in [("2023-11-14 21:13:20", "project 1"), ("2023-11-14T23:13:20+00:00", "row")] {
        let (_home, store, scope) = store().await;
        let given =
            Project { given: Given::from_bits(31), kind: ProjectKind::Submodule, ..project(1, "/old/1") };
        let changes = vec![Change { kind: ChangeKind::Added, project: given.clone() }];
        store.project().apply(scope, MachineId(Uuid::from_u128(7)), changes, NOW).await.unwrap();
        let date = format!("update project_sync_queue set created_at = '{created_at}';");
        let old = Old::new(&(single(1, "row", "") + &date)).await;
        let later = NOW.after(Duration::from_hours(2));
        store.legacy().take_queue(&old.file, &acme(scope), later, &|| true).await.unwrap();
        let record = store.project().get(local(1)).await.unwrap().unwrap();
        let queued = store.outbox().waiting_for(scope, local(1)).await.unwrap().unwrap();
        assert_eq!(record.registration(MachineId(Uuid::from_u128(7))), queued.registration, "{created_at}");
        assert_eq!((&*record.name, record.given), (name, given.given), "{created_at}");
    }
}

/// Otherwise what looking finds out takes its place, and the same call would mean another thing while no daemon runs.
#[tokio::test]
async fn what_a_marked_row_says_is_given_on_record_beside_what_was() {
    let (_home, store, scope) = store().await;
    let named = Project { given: Given::default().with(Field::Name), ..project(1, "/old/1") };
    let changes = vec![Change { kind: ChangeKind::Added, project: named }];
    store.project().apply(scope, MachineId(Uuid::from_u128(7)), changes, NOW).await.unwrap();
    let mark = "update project_sync_queue set created_at = '2023-11-14T23:13:20+00:00', \
        payload = json_set(payload, '$.given', json('true'));";
    let old = Old::new(&(single(1, "", "") + &single(2, "row", "") + mark)).await;
    let later = NOW.after(Duration::from_hours(2));
    store.legacy().take_queue(&old.file, &acme(scope), later, &|| true).await.unwrap();
    let given = async |number| store.project().get(local(number)).await.unwrap().unwrap().given;
    let said = Given::default().with(Field::Language).with(Field::Framework).with(Field::Kind);
    assert_eq!(given(1).await, said.with(Field::Name));
    assert_eq!(given(2).await, said.with(Field::Name));
}

#[tokio::test]
async fn older_rows_only_fill_in_what_is_lacking_here() {
    for (created_at, expected) in [
        // An hour before and after what waits here.
        ("2023-11-14 21:13:20", "ours Rust/ab Standalone 0 user r2"),
        ("2023-11-14T23:13:20+00:00", "row Rust/ab Standalone 0 user r2"),
        // Times that cannot be believed.
        ("2033-11-14 21:13:20", "ours Rust/ab Standalone 0 user r2"),
        ("soon", "ours Rust/ab Standalone 0 user r2"),
    ] {
        let (_home, store, scope) = store().await;
        let mut ours = found(1, "ours");
        ours.registration.content_hash = String::new();
        enqueue(&store, scope, ours, NOW).await;
        let date = format!("update project_sync_queue set created_at = '{created_at}';");
        let old = Old::new(&(single(1, "row", "") + &date)).await;
        let later = NOW.after(Duration::from_hours(2));
        let taken = store.legacy().take_queue(&old.file, &acme(scope), later, &|| true).await.unwrap();
        assert_eq!((taken.rows, taken.wishes), (1, 1), "{created_at}");
        assert_eq!(waiting(&store, scope).await, [expected], "{created_at}");
    }
}
