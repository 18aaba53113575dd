//! Rows as domain values.
//!
//! What this program did not write, or what was changed on the way, becomes [`Error::Row`] with table, column and row.

use std::path::PathBuf;

use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use sync_core::{
    Asked, CloudId, Entry, EntryId, Failure, Given, LocalId, MachineId, Mapping, PayloadHash, Place,
    Presence, Project, ProjectKind, Registration, Revision, Scope, ScopeId, Standing, Tenant, TenantId,
    Timestamp, Vcs,
};
use uuid::Uuid;

use crate::error::Error;
use crate::sql::path_of;

/// The columns of an entry, of `outbox o`, in the order [`entry`] takes them.
macro_rules! entry_columns {
    () => {
        "o.id, o.scope, o.local, o.machine, o.name, o.root, o.language, o.framework, o.content_hash, o.kind, \
         o.parent, o.hash, o.revision, o.asked, o.standing, o.attempts, o.due, o.enqueued_at, o.failure_code, \
         o.failure_message, o.failure_at"
    };
}
pub(crate) use entry_columns;

/// The columns of a mapping, of `mapping m`, in the order [`mapping`] takes them.
macro_rules! mapping_columns {
    () => {
        "m.local, m.cloud, m.tenant, m.status, m.sent, m.revision, m.cached_at, m.expires_at, m.refresh_at"
    };
}
pub(crate) use mapping_columns;

/// The columns of a project, of `project p`, in the order [`project`] takes them.
macro_rules! project_columns {
    () => {
        "p.local, p.root, p.device, p.inode, p.vcs_device, p.vcs_inode, p.vcs, p.name, p.language, p.framework, \
         p.content_hash, p.kind, p.parent, p.presence, p.asked, p.first_seen_at, p.seen_at, p.born, p.given"
    };
}
pub(crate) use project_columns;

/// How many columns [`entry_columns`] names.
pub(crate) const ENTRY_WIDTH: usize = 21;
/// How many columns [`project_columns`] names.
pub(crate) const PROJECT_WIDTH: usize = 19;
/// How many columns [`mapping_columns`] names.
pub(crate) const MAPPING_WIDTH: usize = 9;

/// Takes the columns of a row one after the other.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
    table: &'static str,
    key: String,
}

impl<'r> Columns<'r> {
    /// Starts at column `from`; `key` names the row in errors.
    pub(crate) fn new(row: &'r SqliteRow, from: usize, table: &'static str, key: String) -> Self {
        Self { row, next: from, table, key }
    }

    pub(crate) fn take<T: Decode<'r, Sqlite> + Type<Sqlite>>(
        &mut self,
        column: &'static str,
    ) -> Result<T, Error> {
        let taken = self.row.try_get(self.next);
        self.next += 1;
        taken.map_err(|error| {
            tracing::debug!(table = self.table, column, %error, "a column is not what was written");
            self.wrong(column)
        })
    }

    pub(crate) fn uuid(&mut self, column: &'static str) -> Result<Uuid, Error> {
        let bytes: Vec<u8> = self.take(column)?;
        self.known(column, Uuid::from_slice(&bytes).ok())
    }

    pub(crate) fn optional_uuid(&mut self, column: &'static str) -> Result<Option<Uuid>, Error> {
        let bytes: Option<Vec<u8>> = self.take(column)?;
        bytes.map(|bytes| self.known(column, Uuid::from_slice(&bytes).ok())).transpose()
    }

    pub(crate) fn time(&mut self, column: &'static str) -> Result<Timestamp, Error> {
        self.take(column).map(Timestamp)
    }

    fn word<T>(&mut self, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        let word: String = self.take(column)?;
        self.known(column, read(&word))
    }

    pub(crate) fn number<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(i64) -> Option<T>,
    ) -> Result<T, Error> {
        let number: i64 = self.take(column)?;
        self.known(column, read(number))
    }

    pub(crate) fn count(&mut self, column: &'static str) -> Result<u64, Error> {
        self.number(column, |count| u64::try_from(count).ok())
    }

    fn place(&mut self, device: &'static str, inode: &'static str) -> Result<Option<Place>, Error> {
        let device: Option<i64> = self.take(device)?;
        let inode: Option<i64> = self.take(inode)?;
        Ok(device
            .zip(inode)
            .map(|(device, inode)| Place { device: device.cast_unsigned(), inode: inode.cast_unsigned() }))
    }

    fn known<T>(&self, column: &'static str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.wrong(column))
    }

    fn wrong(&self, column: &'static str) -> Error {
        Error::Row { table: self.table, column, row: self.key.clone() }
    }
}

/// A row's number, for errors, from its first column.
pub(crate) fn number(row: &SqliteRow, at: usize) -> i64 {
    row.try_get(at).unwrap_or(-1)
}

/// Whether a column holds nothing: the other side of a left join that found no row.
pub(crate) fn is_null(row: &SqliteRow, at: usize) -> bool {
    row.try_get_raw(at).is_ok_and(|value| sqlx::ValueRef::is_null(&value))
}

/// Leaves a row that cannot be read out of a list, so that it never keeps the others from being read.
pub(crate) fn or_warn<T>(read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(%error, "a damaged row is left out")).ok()
}

/// A row's key, from its first column; `None` when not even that can be read.
pub(crate) fn key(row: &SqliteRow) -> Option<Vec<u8>> {
    row.try_get(0).ok()
}

/// A row's key, for errors, from a column of 16 bytes.
fn uuid_key(row: &SqliteRow, at: usize) -> String {
    let bytes: Vec<u8> = row.try_get(at).unwrap_or_default();
    Uuid::from_slice(&bytes).map_or_else(|_| "unreadable".to_owned(), |uuid| uuid.to_string())
}

/// Reads an entry and compares its payload with its hash.
pub(crate) fn entry(row: &SqliteRow, from: usize) -> Result<Entry, Error> {
    let mut columns = Columns::new(row, from, "outbox", number(row, from).to_string());
    let id = EntryId(columns.take("id")?);
    let scope = ScopeId(columns.take("scope")?);
    let registration = Registration {
        local: LocalId(columns.uuid("local")?),
        machine: MachineId(columns.uuid("machine")?),
        name: columns.take("name")?,
        root: path_of(columns.take("root")?),
        language: columns.take("language")?,
        framework: columns.take("framework")?,
        content_hash: columns.take("content_hash")?,
        kind: columns.word("kind", ProjectKind::from_word)?,
        parent: columns.optional_uuid("parent")?.map(LocalId),
    };
    let hash = PayloadHash(columns.uuid("hash")?.into_bytes());
    if registration.payload_hash() != hash {
        return Err(columns.wrong("hash"));
    }
    Ok(Entry {
        id,
        scope,
        registration,
        hash,
        revision: Revision(columns.take("revision")?),
        asked: columns.number("asked", asked_of)?,
        standing: columns.number("standing", standing_of)?,
        attempts: columns.number("attempts", |attempts| u32::try_from(attempts).ok())?,
        due: columns.time("due")?,
        enqueued_at: columns.time("enqueued_at")?,
        last_failure: failure(&mut columns)?,
    })
}

fn failure(columns: &mut Columns<'_>) -> Result<Option<Failure>, Error> {
    let code: Option<String> = columns.take("failure_code")?;
    let message: Option<String> = columns.take("failure_message")?;
    let at: Option<i64> = columns.take("failure_at")?;
    Ok(code.zip(at).map(|(code, at)| Failure {
        code,
        message: message.unwrap_or_default(),
        at: Timestamp(at),
    }))
}

/// Reads a mapping.
pub(crate) fn mapping(row: &SqliteRow, from: usize) -> Result<Mapping, Error> {
    let mut columns = Columns::new(row, from, "mapping", uuid_key(row, from));
    Ok(Mapping {
        local: LocalId(columns.uuid("local")?),
        cloud: CloudId(columns.uuid("cloud")?),
        tenant: columns.take::<Option<String>>("tenant")?.and_then(TenantId::new),
        status: columns.take("status")?,
        sent: columns.optional_uuid("sent")?.map(|hash| PayloadHash(hash.into_bytes())),
        revision: Revision(columns.take("revision")?),
        cached_at: columns.time("cached_at")?,
        expires_at: columns.time("expires_at")?,
        refresh_at: columns.time("refresh_at")?,
    })
}

/// Reads a project.
pub(crate) fn project(row: &SqliteRow, from: usize) -> Result<Project, Error> {
    let mut columns = Columns::new(row, from, "project", uuid_key(row, from));
    Ok(Project {
        local: LocalId(columns.uuid("local")?),
        root: path_of(columns.take("root")?),
        place: columns.place("device", "inode")?,
        vcs_place: columns.place("vcs_device", "vcs_inode")?,
        vcs: columns.word("vcs", Vcs::from_word)?,
        name: columns.take("name")?,
        language: columns.take("language")?,
        framework: columns.take("framework")?,
        content_hash: columns.take("content_hash")?,
        kind: columns.word("kind", ProjectKind::from_word)?,
        parent: columns.optional_uuid("parent")?.map(LocalId),
        presence: columns.number("presence", presence_of)?,
        asked: columns.number("asked", asked_of)?,
        first_seen_at: columns.time("first_seen_at")?,
        seen_at: columns.time("seen_at")?,
        born: columns.take("born")?,
        given: Given::from_bits(columns.take("given")?),
    })
}

/// Reads where a project is: its UUID, its root.
pub(crate) fn root(row: &SqliteRow) -> Result<PathBuf, Error> {
    let mut columns = Columns::new(row, 1, "project", uuid_key(row, 0));
    Ok(path_of(columns.take("root")?))
}

/// Reads a scope: id, origin, kind, tenant.
pub(crate) fn scope(row: &SqliteRow) -> Result<(ScopeId, Scope), Error> {
    let mut columns = Columns::new(row, 0, "scope", number(row, 0).to_string());
    let id = ScopeId(columns.take("id")?);
    let origin = columns.take("origin")?;
    let kind: String = columns.take("kind")?;
    let name: String = columns.take("tenant")?;
    let tenant = match kind.as_str() {
        "unknown" => Tenant::Unknown,
        "opaque" => Tenant::Opaque,
        "named" => Tenant::Named(columns.known("tenant", TenantId::new(name))?),
        _ => return Err(columns.wrong("kind")),
    };
    Ok((id, Scope { origin, tenant }))
}

/// A scope's tenant as the columns `kind` and `tenant`.
pub(crate) fn tenant_columns(tenant: &Tenant) -> (&'static str, &str) {
    match tenant {
        Tenant::Unknown => ("unknown", ""),
        Tenant::Opaque => ("opaque", ""),
        Tenant::Named(name) => ("named", name.as_str()),
    }
}

pub(crate) fn asked_number(asked: Asked) -> i64 {
    match asked {
        Asked::ByUser => 0,
        Asked::ByDiscovery => 1,
    }
}

pub(crate) fn asked_of(number: i64) -> Option<Asked> {
    [Asked::ByUser, Asked::ByDiscovery].into_iter().find(|asked| asked_number(*asked) == number)
}

pub(crate) fn standing_number(standing: Standing) -> i64 {
    match standing {
        Standing::Ready => 0,
        Standing::Parked => 1,
        Standing::Dead => 2,
    }
}

pub(crate) fn standing_of(number: i64) -> Option<Standing> {
    [Standing::Ready, Standing::Parked, Standing::Dead]
        .into_iter()
        .find(|standing| standing_number(*standing) == number)
}

pub(crate) fn presence_number(presence: Presence) -> i64 {
    match presence {
        Presence::Present => 0,
        Presence::Missing => 1,
    }
}

fn presence_of(number: i64) -> Option<Presence> {
    [Presence::Present, Presence::Missing].into_iter().find(|presence| presence_number(*presence) == number)
}
