//! The real store behind the model's queue: a file in a folder of its own, each call waited for.

use std::path::{Path, PathBuf};

use sync_core::{Entry, EntryId, LocalId, Mapping, Scope, ScopeId, Settled, Standing, Timestamp};
use sync_store::{How, Limits, Store};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::queue::{MAPPING_LIFE, PARKED_CAP, Queue, READY_CAP, Taken, Wish};

pub(crate) struct StoredQueue {
    // Dropped in this order: what uses the folder goes before it.
    store: Store,
    runtime: Runtime,
    file: PathBuf,
    _folder: TempDir,
}

const LIMITS: Limits = Limits { max_items: 100_000 };

impl StoredQueue {
    pub(crate) fn new() -> Self {
        // Memory, where there is such a folder: thousands of commits are to be quick, and no power is cut here.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let file = folder.path().join("sync.db");
        let (runtime, store) = open(&file, Timestamp(0));
        Self { store, runtime, file, _folder: folder }
    }
}

fn open(file: &Path, now: Timestamp) -> (Runtime, Store) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let opened = runtime.block_on(Store::open(file, LIMITS, now, Uuid::from_u128(1))).unwrap();
    assert!(opened.set_aside.is_none(), "the database was set aside");
    (runtime, opened.store)
}

fn wait_key(scope: ScopeId) -> String {
    format!("scope.{}.wait", scope.0)
}

impl Queue for StoredQueue {
    fn scope(&mut self, scope: &Scope) -> ScopeId {
        self.runtime.block_on(self.store.scope().ensure(scope)).unwrap()
    }

    fn adopt(&mut self, from: ScopeId, into: ScopeId, now: Timestamp) {
        self.runtime.block_on(self.store.scope().adopt(from, into, now)).unwrap();
    }

    fn enqueue(&mut self, scope: ScopeId, wish: Wish, now: Timestamp) -> Taken {
        let Wish { registration, asked, force } = wish;
        let wish = sync_store::Wish { registration, asked, force };
        let taken = self.runtime.block_on(self.store.outbox().enqueue(scope, vec![wish], now)).unwrap();
        match taken[0].how {
            How::Added(..) | How::Replaced(..) | How::Waiting(..) => Taken::Waits,
            How::Known(_) => Taken::Known,
        }
    }

    fn heads(&mut self, scope: ScopeId, now: Timestamp, limit: usize) -> Vec<Entry> {
        let limit = u32::try_from(limit).unwrap();
        self.runtime.block_on(self.store.outbox().heads(scope, now, limit, &[])).unwrap()
    }

    fn entries(&mut self, ids: &[EntryId]) -> Vec<Entry> {
        self.runtime.block_on(self.store.outbox().entries(ids)).unwrap()
    }

    fn next_due(&mut self, scope: ScopeId) -> Option<Timestamp> {
        self.runtime.block_on(self.store.outbox().next_due(scope)).unwrap()
    }

    fn settle(&mut self, scope: ScopeId, settled: &[Settled], dice: u64, now: Timestamp) {
        let settled = settled.to_vec();
        self.runtime.block_on(self.store.outbox().settle(scope, settled, MAPPING_LIFE, dice, now)).unwrap();
    }

    fn rows(&mut self, scope: ScopeId) -> Vec<Entry> {
        let all = self.store.outbox().list(scope, None, None, 10_000, Timestamp(0));
        self.runtime.block_on(all).unwrap()
    }

    fn retry(&mut self, id: EntryId, now: Timestamp) {
        self.runtime.block_on(self.store.outbox().retry(&[id], now)).unwrap();
    }

    fn drop_entry(&mut self, id: EntryId) {
        self.runtime.block_on(self.store.outbox().drop_entries(&[id])).unwrap();
    }

    fn hurry(&mut self, scope: ScopeId, now: Timestamp) {
        self.runtime.block_on(self.store.outbox().hurry(scope, now)).unwrap();
    }

    fn pull_in(&mut self, scope: ScopeId, dice: u64, now: Timestamp) {
        for (standing, cap) in [(Standing::Ready, READY_CAP), (Standing::Parked, PARKED_CAP)] {
            self.runtime.block_on(self.store.outbox().pull_in(scope, standing, cap, dice, now)).unwrap();
        }
    }

    fn mapping(&mut self, scope: ScopeId, local: LocalId) -> Option<Mapping> {
        self.runtime.block_on(self.store.mapping().get(scope, local)).unwrap()
    }

    fn mappings(&mut self, scope: ScopeId) -> Vec<Mapping> {
        self.runtime.block_on(self.store.mapping().all_in(scope)).unwrap()
    }

    fn put_mapping(&mut self, scope: ScopeId, mapping: Mapping, now: Timestamp) {
        self.runtime.block_on(self.store.mapping().put(scope, mapping, now)).unwrap();
    }

    fn forget_mapping(&mut self, scope: ScopeId, local: LocalId) {
        self.runtime.block_on(self.store.mapping().forget(scope, local)).unwrap();
    }

    fn kept_wait(&mut self, scope: ScopeId) -> Option<String> {
        self.runtime.block_on(self.store.meta().get(&wait_key(scope))).unwrap()
    }

    fn keep_wait(&mut self, scope: ScopeId, wait: Option<String>) {
        let key = wait_key(scope);
        match wait {
            Some(wait) => self.runtime.block_on(self.store.meta().set(&key, &wait)).unwrap(),
            None => {
                self.runtime.block_on(self.store.meta().remove(&key)).unwrap();
            }
        }
    }

    fn reopen(&mut self, clean: bool, now: Timestamp) {
        if clean {
            self.runtime.block_on(self.store.clone().close()).unwrap();
        }
        let empty = Builder::new_current_thread().build().unwrap();
        // Nothing of the earlier process is left that could still write.
        drop(std::mem::replace(&mut self.runtime, empty));
        let (runtime, store) = open(&self.file, now);
        (self.runtime, self.store) = (runtime, store);
    }
}
