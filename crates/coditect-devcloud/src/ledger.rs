//! What happened, in order: an entry per project that a request told of, and a line per request.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::clock::rfc3339;
use crate::error::Error;

/// What a request did to a project.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It was not known before.
    Created,
    /// Something of it changed.
    Updated,
    /// All was known already.
    Unchanged,
    /// The request's Idempotency-Key had been applied; its answer was given again.
    Replay,
    /// The project was not taken, and the answer said so or left it out.
    Refused,
    /// A higher revision is here; nothing was overwritten.
    Stale,
}

impl Effect {
    /// Its word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Replay => "replay",
            Self::Refused => "refused",
            Self::Stale => "stale",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Unchanged, Self::Replay, Self::Refused, Self::Stale]
            .into_iter()
            .find(|effect| effect.as_str() == word)
    }
}

/// One project of one request. Of a refused one, only what could be read is here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Grows by at least one; never used twice, even after the ledger was cleared.
    pub id: i64,
    /// When, RFC 3339.
    pub time: String,
    /// Whose request it was.
    pub tenant: String,
    /// The machine, as the project's own field has it.
    pub machine_uuid: Option<String>,
    /// `register` or `sync`.
    pub route: String,
    /// The project's UUID on its machine.
    pub local_project_uuid: Option<String>,
    /// Its name as sent.
    pub project_name: Option<String>,
    /// Its place as sent.
    pub root_path: Option<String>,
    /// Its content hash as sent.
    pub content_hash: Option<String>,
    /// The cloud's UUID, where it has one.
    pub cloud_uuid: Option<String>,
    /// The request's Idempotency-Key.
    pub idempotency_key: Option<String>,
    /// The revision as sent.
    pub revision: Option<i64>,
    /// What came of it.
    pub effect: Effect,
    /// The number of the request.
    pub request: i64,
}

/// One request to the API; those to the dev cloud's own `/_…` routes are not listed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestEntry {
    /// In the order the requests were read.
    pub number: i64,
    /// When it was read, RFC 3339.
    pub time: String,
    /// Whose it was, where that could be told.
    pub tenant: Option<String>,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// The status it was answered with; none where it got no answer, or none yet.
    pub status: Option<u16>,
    /// How many projects its body told of.
    pub projects: u32,
    /// How long its body was.
    pub body_bytes: u64,
    /// Its Idempotency-Key.
    pub idempotency_key: Option<String>,
    /// The faults that touched it, by name, with commas.
    pub faults: String,
}

const WRITE: &str = "
insert into ledger (at, tenant, machine, route, local, name, root_path, content_hash, cloud, key, revision, effect, request)
select ?2, value ->> 'tenant', value ->> 'machine_uuid', value ->> 'route', value ->> 'local_project_uuid',
       value ->> 'project_name', value ->> 'root_path', value ->> 'content_hash', value ->> 'cloud_uuid',
       value ->> 'idempotency_key', value ->> 'revision', value ->> 'effect', value ->> 'request'
from jsonb_each(?1)
order by key";

/// Adds entries in their order; their `id` and `time` are given here.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    entries: &[LedgerEntry],
    at_ms: i64,
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(entries)?;
    sqlx::query(WRITE).bind(rows).bind(at_ms).execute(connection).await?;
    Ok(())
}

const READ: &str = "
select id, at, tenant, machine, route, local, name, root_path, content_hash, cloud, key, revision, effect, request
from ledger
where id > ?1
order by id";

/// The entries after `since`.
pub(crate) async fn read(connection: &mut SqliteConnection, since: i64) -> Result<Vec<LedgerEntry>, Error> {
    sqlx::query(READ).bind(since).fetch_all(connection).await?.iter().map(entry_from_row).collect()
}

fn entry_from_row(row: &SqliteRow) -> Result<LedgerEntry, Error> {
    let word: String = row.try_get(12)?;
    let effect =
        Effect::from_word(&word).ok_or_else(|| Error::Book(format!("unknown effect {word}").into()))?;
    Ok(LedgerEntry {
        id: row.try_get(0)?,
        time: rfc3339(row.try_get(1)?),
        tenant: row.try_get(2)?,
        machine_uuid: row.try_get(3)?,
        route: row.try_get(4)?,
        local_project_uuid: row.try_get(5)?,
        project_name: row.try_get(6)?,
        root_path: row.try_get(7)?,
        content_hash: row.try_get(8)?,
        cloud_uuid: row.try_get(9)?,
        idempotency_key: row.try_get(10)?,
        revision: row.try_get(11)?,
        effect,
        request: row.try_get(13)?,
    })
}

const WRITE_REQUEST: &str = "
insert into request (number, at, tenant, method, path, status, projects, body_bytes, key, faults)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (number) do update set
    tenant = excluded.tenant, status = excluded.status, projects = excluded.projects, faults = excluded.faults";

/// A request on its way into the log.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) number: i64,
    pub(crate) at_ms: i64,
    pub(crate) tenant: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) projects: usize,
    pub(crate) body_bytes: usize,
    pub(crate) key: Option<String>,
    pub(crate) faults: String,
}

/// Notes a request and the status it gets; noting it again replaces the status.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    request: &Noted,
    status: Option<u16>,
) -> Result<(), Error> {
    sqlx::query(WRITE_REQUEST)
        .bind(request.number)
        .bind(request.at_ms)
        .bind(request.tenant.as_deref())
        .bind(&request.method)
        .bind(&request.path)
        .bind(status)
        .bind(i64::try_from(request.projects).unwrap_or(i64::MAX))
        .bind(i64::try_from(request.body_bytes).unwrap_or(i64::MAX))
        .bind(request.key.as_deref())
        .bind(&request.faults)
        .execute(connection)
        .await?;
    Ok(())
}

const READ_REQUESTS: &str = "
select number, at, tenant, method, path, status, projects, body_bytes, key, faults
from request
where number > ?1
order by number";

/// The requests after number `since`.
pub(crate) async fn read_requests(
    connection: &mut SqliteConnection,
    since: i64,
) -> Result<Vec<RequestEntry>, Error> {
    sqlx::query(READ_REQUESTS).bind(since).fetch_all(connection).await?.iter().map(request_from_row).collect()
}

fn request_from_row(row: &SqliteRow) -> Result<RequestEntry, Error> {
    let body_bytes: i64 = row.try_get(7)?;
    Ok(RequestEntry {
        number: row.try_get(0)?,
        time: rfc3339(row.try_get(1)?),
        tenant: row.try_get(2)?,
        method: row.try_get(3)?,
        path: row.try_get(4)?,
        status: row.try_get(5)?,
        projects: row.try_get(6)?,
        body_bytes: body_bytes.unsigned_abs(),
        idempotency_key: row.try_get(8)?,
        faults: row.try_get(9)?,
    })
}
