//! A store in a folder of its own, and things to put into it.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use sync_core::{
    Asked, Change, ChangeKind, CloudId, CloudProject, Fate, Given, LocalId, MachineId, Place, Presence,
    Project, ProjectKind, Registration, Revision, Scope, ScopeId, Settled, Tenant, Timestamp, Vcs,
};
use sync_store::{EntryState, Error, How, Limits, Opened, Store, Wish};
use tempfile::TempDir;
use uuid::Uuid;

/// The moment most tests happen at.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const LIFE: Duration = Duration::from_hours(24);

pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) limit: u64,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), limit: 100_000 }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("sync.db")
    }

    pub(crate) async fn try_open(&self, fresh_id: u128) -> Result<Opened, Error> {
        let limits = Limits { max_items: self.limit };
        Store::open(&self.file(), limits, NOW, Uuid::from_u128(fresh_id)).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open(1).await.unwrap().store
    }
}

/// A store with one scope.
pub(crate) async fn store() -> (Home, Store, ScopeId) {
    let home = Home::new();
    let store = home.open().await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    (home, store, scope)
}

pub(crate) fn scope(tenant: &str) -> Scope {
    let tenant = sync_core::TenantId::new(tenant).map_or(Tenant::Unknown, Tenant::Named);
    Scope { origin: "https://cloud.example".to_owned(), tenant }
}

pub(crate) fn local(number: u128) -> LocalId {
    LocalId(Uuid::from_u128(number))
}

pub(crate) fn cloud(number: u128) -> CloudId {
    CloudId(Uuid::from_u128(number))
}

pub(crate) fn registration(number: u128, name: &str) -> Registration {
    Registration {
        local: local(number),
        machine: MachineId(Uuid::from_u128(7)),
        name: name.to_owned(),
        root: PathBuf::from(format!("/home/u/{number}")),
        language: "Rust".to_owned(),
        framework: String::new(),
        content_hash: "ab".to_owned(),
        kind: ProjectKind::Standalone,
        parent: None,
    }
}

pub(crate) fn wish(number: u128, name: &str, asked: Asked) -> Wish {
    Wish { registration: registration(number, name), asked, force: false }
}

pub(crate) fn found(number: u128, name: &str) -> Wish {
    wish(number, name, Asked::ByDiscovery)
}

/// Enqueues one wish.
pub(crate) async fn enqueue(store: &Store, scope: ScopeId, wish: Wish, now: Timestamp) -> How {
    store.outbox().enqueue(scope, vec![wish], now).await.unwrap().remove(0).how
}

/// The fate of the entry that waits for a project, as it is now.
pub(crate) async fn settled(store: &Store, scope: ScopeId, number: u128, fate: Fate) -> Settled {
    let entry = store.outbox().waiting_for(scope, local(number)).await.unwrap().unwrap();
    Settled {
        entry: entry.id,
        local: entry.registration.local,
        revision: entry.revision,
        hash: entry.hash,
        fate,
    }
}

pub(crate) fn delivered(number: u128) -> Fate {
    Fate::Delivered(CloudProject {
        cloud: cloud(number),
        status: "registered".to_owned(),
        registered_at: None,
        tenant: None,
    })
}

/// The revisions that an entry which was made at [`NOW`] has one after the other, counted from 1.
pub(crate) fn nth(number: i64) -> Revision {
    Revision(Revision::at(NOW).0 + number - 1)
}

/// Which of these a revision is.
pub(crate) fn which(revision: Revision) -> i64 {
    revision.0 - nth(0).0
}

/// Every entry as `name revision state attempts`, by number.
pub(crate) async fn picture(store: &Store, scope: ScopeId, now: Timestamp) -> Vec<String> {
    let entries = store.outbox().list(scope, None, None, 1_000, now).await.unwrap();
    entries
        .iter()
        .map(|entry| {
            let state = EntryState::of(entry, now);
            let revision = which(entry.revision);
            format!("{} r{revision} {state:?} {}", entry.registration.name, entry.attempts)
        })
        .collect()
}

pub(crate) async fn kinds(store: &Store) -> Vec<String> {
    store.event().since(0, 1_000).await.unwrap().into_iter().map(|event| event.kind).collect()
}

/// Changes the database behind the store's back.
pub(crate) async fn run(home: &Home, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

pub(crate) fn project(number: u128, root: &str) -> Project {
    Project {
        local: local(number),
        root: PathBuf::from(root),
        place: Some(Place { device: u64::MAX, inode: 3 }),
        born: i64::try_from(number).ok(),
        given: Given::from_bits(i64::try_from(number).unwrap_or(0) % 32),
        vcs_place: None,
        vcs: Vcs::Git,
        name: format!("project {number}"),
        language: "Rust".to_owned(),
        framework: String::new(),
        content_hash: "ab".to_owned(),
        kind: ProjectKind::Standalone,
        parent: None,
        presence: Presence::Present,
        asked: Asked::ByDiscovery,
        first_seen_at: NOW,
        seen_at: NOW,
    }
}

pub(crate) fn added(number: u128, root: &str) -> Change {
    Change { kind: ChangeKind::Added, project: project(number, root) }
}
