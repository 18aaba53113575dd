//! What the clouds told of each project: its UUID there, by scope.

use std::time::Duration;

use serde::Serialize;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use sync_core::{CloudId, LocalId, Mapping, ScopeId, TenantId, Timestamp};

use crate::Store;
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns, mapping_columns};
use crate::sql::{Hex, json};

/// The mappings' table.
#[derive(Clone, Copy, Debug)]
pub struct Mappings<'s> {
    pub(crate) store: &'s Store,
}

/// How many mappings a scope has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MappingCounts {
    /// All of them.
    pub entries: u64,
    /// Those that are believed without asking.
    pub fresh: u64,
    /// Those that expired.
    pub stale: u64,
}

crate::sql::statements! {
    GET = concat!("select ", mapping_columns!(), " from mapping m where m.scope = ?1 and m.local = ?2");
    SOME = concat!("\
        select ", mapping_columns!(), "
        from json_each(?2) as w
        cross join mapping m on m.scope = ?1 and m.local = unhex(w.value)");
    ALL_IN = concat!("select ", mapping_columns!(), " from mapping m where m.scope = ?1 order by m.local");
    BY_CLOUD = concat!("\
        select ", mapping_columns!(), "
        from mapping m indexed by mapping_cloud
        where m.scope = ?1 and m.cloud = ?2");
    DUE = concat!("\
        select ", mapping_columns!(), "
        from mapping m
        where m.scope = ?1 and m.refresh_at <= ?2
        order by m.refresh_at
        limit +?3");
    AHEAD = "select 1 from mapping where scope = ?1 and cached_at > ?2 limit 1";
    pub(crate) COUNTS = "\
        select count(*), coalesce(sum(expires_at > ?2), 0), min(case when expires_at > ?2 then expires_at end)
        from mapping
        where scope = ?1";
    pub(crate) PUT = "\
        with w as materialized (select value from json_each(?1))
        insert into mapping (scope, local, cloud, tenant, status, sent, revision, cached_at, expires_at, refresh_at)
        select
            w.value ->> 'scope', unhex(w.value ->> 'local'), unhex(w.value ->> 'cloud'), cast(unhex(w.value ->> 'tenant') as text),
            cast(unhex(w.value ->> 'status') as text), unhex(w.value ->> 'sent'), w.value ->> 'revision',
            w.value ->> 'cached_at', w.value ->> 'expires_at', w.value ->> 'refresh_at'
        from w
        where true
        on conflict (scope, local) do update set
            cloud = excluded.cloud, tenant = excluded.tenant, status = excluded.status, sent = excluded.sent,
            revision = excluded.revision, cached_at = excluded.cached_at, expires_at = excluded.expires_at,
            refresh_at = excluded.refresh_at";
    // What the present clock could not have written; the refreshes of what is gone stay put off.
    SET_BACK = "\
        update mapping
        set
            cached_at = ?2, expires_at = min(expires_at, ?3),
            refresh_at = case when refresh_at = 9223372036854775807 then refresh_at else min(refresh_at, ?2) end
        where scope = ?1 and cached_at > ?2
        returning local";
    FORGET = "delete from mapping where scope = ?1 and local = ?2";
}

impl Mappings<'_> {
    /// The mapping of one project.
    pub async fn get(self, scope: ScopeId, local: LocalId) -> Result<Option<Mapping>, Error> {
        let query = sqlx::query(GET).bind(scope.0).bind(bytes(local));
        self.store.read(query).await?.first().map(|found| row::mapping(found, 0)).transpose()
    }

    /// Every mapping of a scope. A row that cannot be read is left out with a warning.
    pub async fn all_in(self, scope: ScopeId) -> Result<Vec<Mapping>, Error> {
        self.store.read_each(sqlx::query(ALL_IN).bind(scope.0), |found| row::mapping(found, 0)).await
    }

    /// The mapping with this UUID in the cloud.
    pub async fn by_cloud(self, scope: ScopeId, cloud: CloudId) -> Result<Option<Mapping>, Error> {
        let query = sqlx::query(BY_CLOUD).bind(scope.0).bind(cloud.0.as_bytes().to_vec());
        self.store.read(query).await?.first().map(|found| row::mapping(found, 0)).transpose()
    }

    /// The mappings that are to be asked for again, the most overdue first.
    pub async fn due_for_refresh(
        self,
        scope: ScopeId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Mapping>, Error> {
        let query = sqlx::query(DUE).bind(scope.0).bind(now.0).bind(i64::from(limit));
        self.store.read_each(query, |found| row::mapping(found, 0)).await
    }

    /// How many there are.
    pub async fn counts(self, scope: ScopeId, now: Timestamp) -> Result<MappingCounts, Error> {
        let rows = self.store.read(sqlx::query(COUNTS).bind(scope.0).bind(now.0)).await?;
        rows.first().map_or(Ok(MappingCounts::default()), |found| Ok(Self::counted(found)?.0))
    }

    /// How many there are, and when the next of them expires: what [`COUNTS`] found.
    pub(crate) fn counted(found: &SqliteRow) -> Result<(MappingCounts, Option<Timestamp>), Error> {
        let mut columns = Columns::new(found, 0, "mapping", "count".to_owned());
        let entries = columns.count("entries")?;
        let fresh = columns.count("fresh")?;
        let expires: Option<i64> = columns.take("expires_at")?;
        let counts = MappingCounts { entries, fresh, stale: entries.saturating_sub(fresh) };
        Ok((counts, expires.map(Timestamp)))
    }

    /// Keeps what the cloud told; another UUID than before is an event.
    pub async fn put(self, scope: ScopeId, mapping: Mapping, now: Timestamp) -> Result<(), Error> {
        self.store
            .write(move |connection| {
                Box::pin(async move { put_all(connection, scope, &[mapping], now).await })
            })
            .await
    }

    /// Lets no mapping be younger than `now`, as it is after a clock was set back: it is believed for `life` at most, and
    /// asked for again at once. Answers of which projects.
    pub async fn set_back(
        self,
        scope: ScopeId,
        life: Duration,
        now: Timestamp,
    ) -> Result<Vec<LocalId>, Error> {
        if self.store.read(sqlx::query(AHEAD).bind(scope.0).bind(now.0)).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(SET_BACK).bind(scope.0).bind(now.0).bind(now.after(life).0);
                    let rows = query.fetch_all(connection).await?;
                    let local = |found| Columns::new(found, 0, "mapping", "clock".to_owned()).uuid("local");
                    Ok(rows.iter().filter_map(|found| row::or_warn(local(found))).map(LocalId).collect())
                })
            })
            .await
    }

    /// Drops a mapping; says whether there was one.
    pub async fn forget(self, scope: ScopeId, local: LocalId) -> Result<bool, Error> {
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(FORGET).bind(scope.0).bind(bytes(local));
                    Ok(query.execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }
}

fn bytes(local: LocalId) -> Vec<u8> {
    local.0.as_bytes().to_vec()
}

/// A mapping as it travels to [`PUT`].
#[derive(Serialize)]
pub(crate) struct NewRow {
    scope: i64,
    local: Hex,
    cloud: Hex,
    tenant: Option<Hex>,
    status: Hex,
    sent: Option<Hex>,
    revision: i64,
    cached_at: i64,
    expires_at: i64,
    refresh_at: i64,
}

impl NewRow {
    pub(crate) fn new(scope: ScopeId, mapping: &Mapping) -> Self {
        Self {
            scope: scope.0,
            local: Hex::of(mapping.local.0),
            cloud: Hex::of(mapping.cloud.0),
            tenant: mapping.tenant.as_ref().map(TenantId::as_str).map(Hex::of),
            status: Hex::of(&mapping.status),
            sent: mapping.sent.map(|hash| Hex::of(hash.0)),
            revision: mapping.revision.0,
            cached_at: mapping.cached_at.0,
            expires_at: mapping.expires_at.0,
            refresh_at: mapping.refresh_at.0,
        }
    }
}

/// The kind of the event that a project's UUID in the cloud is another.
pub(crate) const REPLACED: &str = "mapping.replaced";

/// What is told when it is.
pub(crate) fn replaced(now: CloudId, before: CloudId) -> String {
    format!("the cloud's UUID is {now} instead of {before}")
}

/// Keeps mappings, and writes an event for each whose UUID in the cloud is another than before.
pub(crate) async fn put_all(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    mappings: &[Mapping],
    now: Timestamp,
) -> Result<(), Error> {
    if mappings.is_empty() {
        return Ok(());
    }
    let locals: Vec<Hex> = mappings.iter().map(|mapping| Hex::of(mapping.local.0)).collect();
    let known = sqlx::query(SOME).bind(scope.0).bind(json(&locals)?).fetch_all(&mut *connection).await?;
    let known: Vec<Mapping> = known.iter().filter_map(|found| row::or_warn(row::mapping(found, 0))).collect();
    let events: Vec<NewEvent> = mappings
        .iter()
        .filter_map(|mapping| {
            let before = known.iter().find(|known| known.local == mapping.local)?;
            (before.cloud != mapping.cloud).then(|| {
                let message = replaced(mapping.cloud, before.cloud);
                NewEvent::new(REPLACED, Some(mapping.local), message, now)
            })
        })
        .collect();
    let rows: Vec<NewRow> = mappings.iter().map(|mapping| NewRow::new(scope, mapping)).collect();
    sqlx::query(PUT).bind(json(&rows)?).execute(&mut *connection).await?;
    event::append(connection, &events).await
}
