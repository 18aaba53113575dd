//! What is made of an earlier client's database.
//!
//! The input is the file.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_core::{MachineId, Scope, ScopeId, Tenant, Timestamp};
use sync_store::{Heir, Limits, Store};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::client::now;

struct World {
    folder: tempfile::TempDir,
    runtime: Runtime,
    store: Store,
    scope: ScopeId,
    rounds: u32,
}

static WORLD: LazyLock<Mutex<Option<World>>> = LazyLock::new(|| Mutex::new(None));

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIFE: Duration = Duration::from_hours(24);
const LONG: Duration = Duration::from_secs(20);
/// What was taken over stays in our database; after so many it is a new one.
const ROUNDS: u32 = 2_000;

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        let limits = Limits { max_items: 1_000 };
        let file = folder.path().join("sync.db");
        let opened = runtime.block_on(Store::open(&file, limits, NOW, Uuid::from_u128(1)));
        let store = opened.expect("a new database can be made").store;
        let scope = runtime.block_on(store.scope().ensure(&scope())).expect("a scope can be made");
        Self { folder, runtime, store, scope, rounds: 0 }
    }
}

pub(crate) fn run(data: &[u8]) {
    let mut slot = WORLD.lock().expect("one target runs at a time");
    let world = slot.get_or_insert_with(World::new);
    let file = world.folder.path().join("old.db");
    for rest in ["old.db-wal", "old.db-shm", "old.db-journal"] {
        let rest = world.folder.path().join(rest);
        if rest.exists() {
            std::fs::remove_file(rest).expect("it is ours");
        }
    }
    std::fs::write(&file, data).expect("there is room for a file");
    let begun = now();
    let heir = Heir { scope: scope(), id: world.scope, machine: MachineId(Uuid::from_u128(7)) };
    let legacy = world.store.legacy();
    let taken = world.runtime.block_on(legacy.take_queue(&file, &heir, NOW, &|| true));
    taken.expect("our own database is in order");
    let legacy = world.store.legacy();
    let taken = world.runtime.block_on(legacy.take_cache(&file, &heir, LIFE, 1, NOW, &|| true));
    taken.expect("our own database is in order");
    assert!(begun.elapsed() < LONG, "a file of {} bytes took {:?}", data.len(), begun.elapsed());
    world.rounds += 1;
    if world.rounds > ROUNDS {
        *slot = None;
    }
}

fn scope() -> Scope {
    Scope { origin: "https://cloud.example".to_owned(), tenant: Tenant::Opaque }
}
