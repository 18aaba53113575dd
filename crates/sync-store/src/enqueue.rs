//! Puts wishes into the outbox: at most one row for each project of a scope, the newest wish.
//!
//! Reads what the rules need and writes what they say, for many wishes of many callers, with two trips to SQLite's
//! thread: on a quick disk those cost more than the statements. The rules are in [`book`].

mod book;
mod record;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use sync_core::{
    Asked, Change, EntryId, LocalId, Mapping, PayloadHash, Project, Registration, Revision, ScopeId,
    Timestamp,
};
use uuid::Uuid;

use crate::apply::{self, Recording};
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns};
use crate::sql::{Hex, json, together};
pub(crate) use book::LARGEST_QUEUE;
use book::{Book, Key, Place, Row, Taken, Verb};

/// A registration somebody wants the cloud to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// What is to be sent.
    pub registration: Registration,
    /// Who wants it.
    pub asked: Asked,
    /// Send it even if the cloud already has exactly this, and revive it if it was given up.
    pub force: bool,
}

/// What became of one wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enqueued {
    /// Which project.
    pub local: LocalId,
    /// The hash of what is wanted now, with what was on record.
    pub hash: PayloadHash,
    /// What became of it.
    pub how: How,
}

/// How the outbox took a wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// It waits, and did not before.
    Added(EntryId, Revision),
    /// It took the place of an older wish for the same project.
    Replaced(EntryId, Revision),
    /// The same wish is there already: waiting, or given up and (unless a user asked) left so.
    Waiting(EntryId, Revision),
    /// The cloud has exactly this.
    Known(Mapping),
}

/// The wishes of one caller, and what is to be recorded of their projects: all are taken, or none.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) scope: ScopeId,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) records: Vec<Change>,
    pub(crate) now: Timestamp,
}

/// What one caller is told.
pub(crate) type OneAnswer = Result<Vec<Enqueued>, Error>;

/// Puts everybody's wishes into the outbox, inside the transaction that is open, with records and events.
///
/// # Errors
/// The outer one concerns everybody and nothing is to be kept; the inner ones are each caller's own.
pub(crate) async fn place(
    connection: &mut SqliteConnection,
    calls: &mut [&mut Call],
    limit: u64,
) -> Result<Vec<OneAnswer>, Error> {
    let (mut book, mut recorded) = read_book(connection, calls, limit).await?;
    let mut all_taken: Vec<Result<Vec<Taken>, Error>> = Vec::with_capacity(calls.len());
    let mut events = Vec::new();
    let mut recording = Recording::default();
    for (number, call) in calls.iter_mut().enumerate() {
        record::complete(call, &recorded);
        let taken = book.take(number, call);
        if let Ok(taken) = &taken {
            let each = taken.iter().zip(&call.wishes);
            events.extend(each.filter_map(|(taken, wish)| event_of(taken, wish, call.now)));
            recording.add(&call.records, call.now);
            recorded.extend(call.records.iter().map(|change| (change.project.local, change.project.clone())));
        }
        all_taken.push(taken);
    }
    let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
    let ids = write(connection, &book, calls, recording, events, now).await?;
    let answers = calls.iter().zip(all_taken).map(|(call, taken)| {
        let each = taken?.into_iter().zip(&call.wishes);
        each.map(|(taken, wish)| answer(taken, &wish.registration, &ids)).collect()
    });
    Ok(answers.collect())
}

fn event_of(taken: &Taken, wish: &Wish, now: Timestamp) -> Option<NewEvent> {
    let verb = match taken {
        Taken::Row { verb: Verb::Added, .. } => "queued",
        Taken::Row { verb: Verb::Replaced, .. } => "queued with newer content",
        Taken::Row { verb: Verb::Revived, .. } => "queued again",
        Taken::Row { verb: Verb::Waiting, .. } | Taken::Known(_) => return None,
    };
    let registration = &wish.registration;
    let message = format!("{verb}: {}", registration.root.display());
    Some(NewEvent::new("registration.queued", Some(registration.local), message, now))
}

fn answer(
    taken: Taken,
    registration: &Registration,
    ids: &BTreeMap<Key, EntryId>,
) -> Result<Enqueued, Error> {
    let local = registration.local;
    let how = match taken {
        Taken::Known(mapping) => How::Known(mapping),
        Taken::Row { key, verb, revision } => {
            let id = ids.get(&key).copied().ok_or(Error::Row {
                table: "outbox",
                column: "id",
                row: local.to_string(),
            })?;
            match verb {
                Verb::Added => How::Added(id, revision),
                Verb::Replaced => How::Replaced(id, revision),
                Verb::Revived | Verb::Waiting => How::Waiting(id, revision),
            }
        }
    };
    Ok(Enqueued { local, hash: registration.payload_hash(), how })
}

/// Reads what is there of the wanted projects, and their records where there is something to be recorded.
async fn read_book(
    connection: &mut SqliteConnection,
    calls: &[&mut Call],
    limit: u64,
) -> Result<(Book, BTreeMap<LocalId, Project>), Error> {
    let keys: Vec<(i64, Hex)> = calls
        .iter()
        .flat_map(|call| call.wishes.iter().map(|wish| (call.scope.0, Hex::of(wish.registration.local.0))))
        .collect();
    let statement = if calls.iter().all(|call| call.records.is_empty()) { BOOK } else { BOOK_AND_RECORDS };
    let mut recorded = BTreeMap::new();
    let mut book = Book { places: BTreeMap::new(), rows: 0, bytes: 0, limit };
    for found in sqlx::query(statement).bind(json(&keys)?).fetch_all(connection).await? {
        let mut columns = Columns::new(&found, 0, "tally", "sum".to_owned());
        let mut total = |column| columns.number(column, |number| Some(u64::try_from(number).unwrap_or(0)));
        (book.rows, book.bytes) = (total("rows")?, total("bytes")?);
        let key = (ScopeId(columns.take("scope")?), LocalId(columns.uuid("local")?));
        let row = if row::is_null(&found, WAITING) { None } else { Some(waiting(&found)?) };
        let is_known = !row::is_null(&found, WAITING + WAITING_WIDTH);
        let mapping = is_known.then(|| row::or_warn(row::mapping(&found, WAITING + WAITING_WIDTH))).flatten();
        book.places.insert(key, Place { row, mapping, ..Place::default() });
        if found.len() > RECORD && !row::is_null(&found, RECORD) {
            let record = row::or_warn(row::project(&found, RECORD));
            recorded.extend(record.map(|record| (record.local, record)));
        }
    }
    Ok((book, recorded))
}

/// Where the outbox's columns begin in [`BOOK`], and how many there are.
const WAITING: usize = 4;
const WAITING_WIDTH: usize = 6;
/// Where the project's columns begin in [`BOOK_AND_RECORDS`].
const RECORD: usize = WAITING + WAITING_WIDTH + row::MAPPING_WIDTH;

fn waiting(found: &SqliteRow) -> Result<Row, Error> {
    let mut columns = Columns::new(found, WAITING, "outbox", row::number(found, WAITING).to_string());
    Ok(Row {
        id: Some(EntryId(columns.take("id")?)),
        // An unreadable hash is none that any content has, so the row is replaced.
        hash: PayloadHash(columns.uuid("hash").map_or([0; 16], Uuid::into_bytes)),
        revision: Revision(columns.take("revision")?),
        asked: columns.number("asked", row::asked_of)?,
        standing: columns.number("standing", row::standing_of)?,
        bytes: columns.number("bytes", |bytes| u64::try_from(bytes).ok())?,
    })
}

/// Writes what the book and the recording say and returns the number of every row in the book.
async fn write(
    connection: &mut SqliteConnection,
    book: &Book,
    calls: &[&mut Call],
    recording: Recording,
    events: Vec<NewEvent>,
    now: Timestamp,
) -> Result<BTreeMap<Key, EntryId>, Error> {
    let mut ids: BTreeMap<Key, EntryId> =
        book.places.iter().filter_map(|(key, place)| Some((*key, place.row.as_ref()?.id?))).collect();
    let mut rows = Vec::new();
    let mut touched = Vec::new();
    for (key, place) in &book.places {
        let Some(row) = &place.row else { continue };
        if let Some(wish) = place.put.and_then(|(call, wish)| calls.get(call)?.wishes.get(wish)) {
            rows.push((place.put, NewRow::new(key.0, &wish.registration, row, place.now)));
        } else if let Some(touch) = place.touch {
            touched.push(TouchedRow {
                scope: key.0.0,
                local: Hex::of(key.1.0),
                by_user: touch.by_user,
                revive: touch.revive,
                now: place.now.0,
            });
        }
    }
    // Numbers are given in the order of the wishes.
    rows.sort_by_key(|(source, _)| *source);
    let rows: Vec<NewRow> = rows.into_iter().map(|(_, row)| row).collect();
    if rows.is_empty() && touched.is_empty() && events.is_empty() && recording.is_empty() {
        return Ok(ids);
    }
    let mut events = events;
    let mut query = if recording.is_empty() {
        sqlx::query(WRITE.as_str())
    } else {
        sqlx::query(WRITE_AND_RECORD.as_str())
    };
    query = query.bind(json(&rows)?).bind(json(&touched)?);
    if !recording.is_empty() {
        events.extend(recording.events());
        query = recording.bind(query)?;
    }
    let mut displaced = Vec::new();
    for stored in query.bind(json(&events)?).fetch_all(&mut *connection).await? {
        if let Some(event) = apply::displaced(&stored, now)? {
            displaced.push(event);
            continue;
        }
        let mut columns = Columns::new(&stored, 0, "outbox", row::number(&stored, 2).to_string());
        let key = (ScopeId(columns.take("scope")?), LocalId(columns.uuid("local")?));
        ids.insert(key, EntryId(columns.take("id")?));
    }
    event::append(connection, &displaced).await?;
    Ok(ids)
}

/// One trip to SQLite's thread for all there is to write.
static WRITE: LazyLock<String> = LazyLock::new(|| together(&[PUT, TOUCH, event::APPEND]));
static WRITE_AND_RECORD: LazyLock<String> =
    LazyLock::new(|| together(&[&[PUT, TOUCH], &apply::RECORD[..], &[event::APPEND]].concat()));

/// A row as it travels to [`PUT`].
#[derive(Serialize)]
struct NewRow {
    scope: i64,
    local: Hex,
    machine: Hex,
    name: Hex,
    root: Hex,
    language: Hex,
    framework: Hex,
    content_hash: Hex,
    kind: &'static str,
    parent: Option<Hex>,
    hash: Hex,
    bytes: u64,
    revision: i64,
    asked: i64,
    now: i64,
}

impl NewRow {
    fn new(scope: ScopeId, registration: &Registration, row: &Row, now: Timestamp) -> Self {
        Self {
            scope: scope.0,
            local: Hex::of(registration.local.0),
            machine: Hex::of(registration.machine.0),
            name: Hex::of(&registration.name),
            root: Hex::path(&registration.root),
            language: Hex::of(&registration.language),
            framework: Hex::of(&registration.framework),
            content_hash: Hex::of(&registration.content_hash),
            kind: registration.kind.as_str(),
            parent: registration.parent.map(|parent| Hex::of(parent.0)),
            hash: Hex::of(row.hash.0),
            bytes: row.bytes,
            revision: row.revision.0,
            asked: row::asked_number(row.asked),
            now: now.0,
        }
    }
}

/// A row that stays as it is but for its urgency and standing, as it travels to [`TOUCH`].
#[derive(Serialize)]
struct TouchedRow {
    scope: i64,
    local: Hex,
    by_user: bool,
    revive: bool,
    now: i64,
}

macro_rules! book_columns {
    () => {
        concat!(
            "\
            (select coalesce(sum(rows), 0) from tally where standing < 2),
            (select coalesce(sum(bytes), 0) from tally where standing < 2),
            w.value ->> 0, unhex(w.value ->> 1),
            o.id, o.hash, o.revision, o.asked, o.standing, o.bytes,
            ",
            row::mapping_columns!()
        )
    };
}

macro_rules! book_tables {
    () => {
        "\
        from json_each(?1) as w
        left join outbox o on o.scope = w.value ->> 0 and o.operation = 0 and o.local = unhex(w.value ->> 1)
        left join mapping m on m.scope = w.value ->> 0 and m.local = unhex(w.value ->> 1)"
    };
}

crate::sql::statements! {
    BOOK = concat!("select ", book_columns!(), " ", book_tables!());
    BOOK_AND_RECORDS = concat!("\
        select ", book_columns!(), ", ", row::project_columns!(), "
        ", book_tables!(), "
        left join project p on p.local = unhex(w.value ->> 1)");
    // Text goes as hexadecimal too: a zero byte inside a name would end it otherwise.
    PUT = "\
        with w as materialized (select value from json_each(?1))
        insert into outbox (
            scope, operation, local, machine, name, root, language, framework, content_hash, kind, parent, hash,
            bytes, revision, asked, standing, attempts, due, enqueued_at, changed_at
        )
        select
            w.value ->> 'scope', 0, unhex(w.value ->> 'local'), unhex(w.value ->> 'machine'),
            cast(unhex(w.value ->> 'name') as text), unhex(w.value ->> 'root'),
            cast(unhex(w.value ->> 'language') as text), cast(unhex(w.value ->> 'framework') as text),
            cast(unhex(w.value ->> 'content_hash') as text), w.value ->> 'kind', unhex(w.value ->> 'parent'),
            unhex(w.value ->> 'hash'), w.value ->> 'bytes', w.value ->> 'revision', w.value ->> 'asked', 0, 0,
            w.value ->> 'now', w.value ->> 'now', w.value ->> 'now'
        from w
        where true
        on conflict (scope, operation, local) do update set
            machine = excluded.machine, name = excluded.name, root = excluded.root, language = excluded.language,
            framework = excluded.framework, content_hash = excluded.content_hash, kind = excluded.kind,
            parent = excluded.parent, hash = excluded.hash, bytes = excluded.bytes, revision = excluded.revision,
            asked = excluded.asked, standing = 0, attempts = 0, due = excluded.due,
            changed_at = excluded.changed_at, failure_code = null, failure_message = null, failure_at = null
        returning scope, local, id";
    TOUCH = "\
        with w as materialized (select value from json_each(?1))
        update outbox
        set
            asked = case when w.value ->> 'by_user' then 0 else asked end,
            standing = 0,
            attempts = case when w.value ->> 'revive' then 0 else attempts end,
            due = case
                when w.value ->> 'revive' or failure_code is null then min(due, w.value ->> 'now')
                else due
            end,
            failure_code = case when w.value ->> 'revive' then null else failure_code end,
            failure_message = case when w.value ->> 'revive' then null else failure_message end,
            failure_at = case when w.value ->> 'revive' then null else failure_at end
        from w
        where outbox.scope = w.value ->> 'scope' and outbox.operation = 0
            and outbox.local = unhex(w.value ->> 'local')";
}
