//! What is made of our own database when it is damaged.
//!
//! The input says what is done to a healthy one: four bytes of place, a byte of length and that many bytes, time and
//! again. A length of zero cuts the file there.

use std::sync::LazyLock;
use std::time::Duration;

use sync_core::{Asked, LocalId, MachineId, ProjectKind, Registration, Scope, Tenant, Timestamp};
use sync_store::{Limits, Store, Wish};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::client::now;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIMITS: Limits = Limits { max_items: 10_000 };
const ENTRIES: u128 = 60;
const LONG: Duration = Duration::from_secs(20);

/// A healthy database that was closed in order.
static HEALTHY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("sync.db");
    runtime().block_on(async {
        let opened = Store::open(&file, LIMITS, NOW, Uuid::from_u128(1)).await;
        let store = opened.expect("a new database can be made").store;
        let scope = Scope { origin: "https://cloud.example".to_owned(), tenant: Tenant::Opaque };
        let scope = store.scope().ensure(&scope).await.expect("a scope can be made");
        let wishes = (1..=ENTRIES)
            .map(|number| wish(number, format!("project {number}"), format!("/home/u/{number}")))
            .collect();
        store.outbox().enqueue(scope, wishes, NOW).await.expect("there is room");
        store.close().await.expect("it can be closed");
    });
    std::fs::read(file).expect("it was written")
});

pub(crate) fn run(data: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("sync.db");
    let mut bytes = HEALTHY.clone();
    damage(&mut bytes, data);
    std::fs::write(&file, &bytes).expect("there is room for a file");
    std::fs::write(folder.path().join("sync.db.instance"), Uuid::from_u128(1).to_string())
        .expect("there is room for a file");
    let begun = now();
    runtime().block_on(async {
        match Store::open(&file, LIMITS, NOW, Uuid::from_u128(2)).await {
            Ok(opened) => {
                let scopes = opened.store.scope().all().await;
                // Damage that no check at opening shows is found when it is met.
                if scopes.is_ok() {
                    drop(opened.store.close().await);
                }
            }
            // A schema of the future is refused by name.
            Err(error) => assert!(!error.to_string().is_empty(), "an error says what happened"),
        }
    });
    assert!(begun.elapsed() < LONG, "it took {:?}", begun.elapsed());
}

/// Does to `bytes` what the `orders` say.
pub(crate) fn damage(bytes: &mut Vec<u8>, mut orders: &[u8]) {
    while let Some(([a, b, c, d, length], rest)) = orders.split_first_chunk() {
        let at = u32::from_le_bytes([*a, *b, *c, *d]) as usize % bytes.len().max(1);
        let (what, after) = rest.split_at(usize::from(*length).min(rest.len()));
        orders = after;
        if *length == 0 {
            bytes.truncate(at);
        }
        for (byte, new) in bytes.iter_mut().skip(at).zip(what) {
            *byte = *new;
        }
    }
}

/// A wish for a project of this name at this place.
pub(crate) fn wish(number: u128, name: String, root: String) -> Wish {
    let registration = Registration {
        local: LocalId(Uuid::from_u128(number)),
        machine: MachineId(Uuid::from_u128(7)),
        name,
        root: root.into(),
        language: "Rust".to_owned(),
        framework: String::new(),
        content_hash: "ab".to_owned(),
        kind: ProjectKind::Standalone,
        parent: None,
    };
    Wish { registration, asked: Asked::ByDiscovery, force: false }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}
