//! Puts wishes into the outbox: at most one row for each project of a scope, the newest wish.
//!
//! [`rule`] decides over one wish and is the whole of the rules; the rest reads what the rules need and writes what
//! they say, for many wishes of many callers with a handful of statements.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::SqliteConnection;
use sync_core::{
    Asked, EntryId, LocalId, Mapping, PayloadHash, Registration, Revision, ScopeId, Standing, Timestamp,
};
use uuid::Uuid;

use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns};
use crate::sql::{Hex, json, path_bytes};

/// So many bytes of payload may wait.
const LARGEST_QUEUE: u64 = 64 * 1024 * 1024;
/// What a row costs besides its texts.
const ROW_OVERHEAD: u64 = 160;

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

/// The wishes of one caller: all are taken, or none.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) scope: ScopeId,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) now: Timestamp,
}

/// What one caller is told.
pub(crate) type OneAnswer = Result<Vec<Enqueued>, Error>;

/// What the rules need to know of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    // None while it is only about to be added.
    id: Option<EntryId>,
    hash: PayloadHash,
    revision: Revision,
    asked: Asked,
    standing: Standing,
    bytes: u64,
}

/// What is to be done about a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ruling {
    /// Nothing: the cloud has it.
    Known,
    /// Nothing: it is there.
    Keep,
    /// It goes before those of discovery, now.
    Hurry,
    /// It was given up or waits for a person, and is tried again from the start.
    Revive,
    /// It takes the older one's place.
    Replace,
    /// It is new.
    Add(Revision),
}

/// The rules of the outbox.
fn rule(wish: &Wish, hash: PayloadHash, row: Option<&Row>, mapping: Option<&Mapping>) -> Ruling {
    let by_user = wish.asked == Asked::ByUser;
    match row {
        Some(row) if row.hash != hash => Ruling::Replace,
        Some(row) => match row.standing {
            Standing::Ready if by_user => Ruling::Hurry,
            Standing::Parked | Standing::Dead if by_user || wish.force => Ruling::Revive,
            Standing::Ready | Standing::Parked | Standing::Dead => Ruling::Keep,
        },
        None => match mapping {
            Some(mapping) if mapping.sent == Some(hash) && !wish.force => Ruling::Known,
            // Invariant: a revision is never given to other content, so an Idempotency-Key is not either.
            Some(mapping) => Ruling::Add(mapping.revision.next()),
            None => Ruling::Add(Revision::FIRST),
        },
    }
}

type Key = (ScopeId, LocalId);

/// What is known of a project in a scope, and what is to be written about it.
#[derive(Clone, Debug, Default)]
struct Place {
    row: Option<Row>,
    mapping: Option<Mapping>,
    /// The payload that is to be stored: which caller's, which wish.
    put: Option<(usize, usize)>,
    touch: Option<Touch>,
    now: Timestamp,
}

/// What changes about a row whose payload stays.
#[derive(Clone, Copy, Debug)]
struct Touch {
    by_user: bool,
    revive: bool,
}

/// Everything the wishes are decided with, as it is in the database and then as it is going to be.
struct Book {
    places: BTreeMap<Key, Place>,
    rows: u64,
    bytes: u64,
    limit: u64,
}

/// What one wish came to, before a new row has its number.
enum Taken {
    Row { key: Key, verb: Verb, revision: Revision },
    Known(Mapping),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Added,
    Replaced,
    Revived,
    Waiting,
}

/// Puts everybody's wishes into the outbox, inside the transaction that is open, with events.
///
/// # Errors
/// The outer one concerns everybody and nothing is to be kept; the inner ones are each caller's own.
pub(crate) async fn place(
    connection: &mut SqliteConnection,
    calls: &[&Call],
    limit: u64,
) -> Result<Vec<OneAnswer>, Error> {
    let mut book = read_book(connection, calls, limit).await?;
    let taken: Vec<Result<Vec<Taken>, Error>> =
        calls.iter().enumerate().map(|(number, call)| book.take(number, call)).collect();
    let ids = write(connection, &book, calls).await?;

    let mut events = Vec::new();
    let mut answers = Vec::with_capacity(calls.len());
    for (call, taken) in calls.iter().zip(taken) {
        answers.push(taken.and_then(|taken| {
            taken
                .into_iter()
                .zip(&call.wishes)
                .map(|(taken, wish)| {
                    events.extend(event_of(&taken, wish, call.now));
                    answer(taken, wish.registration.local, &ids)
                })
                .collect()
        }));
    }
    event::append(connection, &events).await?;
    Ok(answers)
}

impl Book {
    /// Decides over one caller's wishes; when one is refused, all of them leave no trace.
    fn take(&mut self, number: usize, call: &Call) -> Result<Vec<Taken>, Error> {
        let (rows, bytes) = (self.rows, self.bytes);
        let mut before: Vec<(Key, Place)> = Vec::new();
        let mut taken = Vec::with_capacity(call.wishes.len());
        for (index, wish) in call.wishes.iter().enumerate() {
            let key = (call.scope, wish.registration.local);
            before.push((key, self.places.get(&key).cloned().unwrap_or_default()));
            if let Some(one) = self.take_one(key, (number, index), wish, call.now) {
                taken.push(one);
            } else {
                (self.rows, self.bytes) = (rows, bytes);
                self.places.extend(before.into_iter().rev());
                return Err(Error::QueueFull { limit: self.limit });
            }
        }
        Ok(taken)
    }

    /// `None` when there is no room for it.
    fn take_one(&mut self, key: Key, source: (usize, usize), wish: &Wish, now: Timestamp) -> Option<Taken> {
        let hash = wish.registration.payload_hash();
        let bytes = payload_bytes(&wish.registration);
        let full = self.rows >= self.limit || self.bytes.saturating_add(bytes) > LARGEST_QUEUE;
        let place = self.places.entry(key).or_default();
        let by_user = wish.asked == Asked::ByUser;
        let ruling = rule(wish, hash, place.row.as_ref(), place.mapping.as_ref());
        let (verb, row) = match (ruling, place.row.take()) {
            (Ruling::Known, row) => {
                place.row = row;
                return place.mapping.clone().map(Taken::Known);
            }
            (Ruling::Add(revision), _) => {
                if full {
                    return None;
                }
                self.rows += 1;
                self.bytes += bytes;
                place.put = Some(source);
                let row =
                    Row { id: None, hash, revision, asked: wish.asked, standing: Standing::Ready, bytes };
                (Verb::Added, row)
            }
            (Ruling::Replace, Some(row)) => {
                if row.standing == Standing::Dead {
                    self.rows += 1;
                } else {
                    self.bytes = self.bytes.saturating_sub(row.bytes);
                }
                self.bytes += bytes;
                place.put = Some(source);
                let row = Row {
                    hash,
                    revision: row.revision.next(),
                    asked: row.asked.min(wish.asked),
                    standing: Standing::Ready,
                    bytes,
                    id: row.id,
                };
                (Verb::Replaced, row)
            }
            (Ruling::Revive, Some(row)) => {
                if row.standing == Standing::Dead {
                    self.rows += 1;
                    self.bytes += row.bytes;
                }
                place.touch = Some(Touch { by_user, revive: true });
                let row = Row { asked: row.asked.min(wish.asked), standing: Standing::Ready, ..row };
                (Verb::Revived, row)
            }
            (Ruling::Hurry, Some(row)) => {
                place.touch.get_or_insert(Touch { by_user, revive: false }).by_user = true;
                (Verb::Waiting, Row { asked: Asked::ByUser, ..row })
            }
            (Ruling::Keep, Some(row)) => (Verb::Waiting, row),
            // `rule` says these three only where there is a row.
            (Ruling::Replace | Ruling::Revive | Ruling::Hurry | Ruling::Keep, None) => return None,
        };
        let revision = row.revision;
        place.row = Some(row);
        place.now = now;
        Some(Taken::Row { key, verb, revision })
    }
}

fn payload_bytes(registration: &Registration) -> u64 {
    let texts = registration.name.len()
        + path_bytes(&registration.root).len()
        + registration.language.len()
        + registration.framework.len()
        + registration.content_hash.len();
    ROW_OVERHEAD + texts as u64
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

fn answer(taken: Taken, local: LocalId, ids: &BTreeMap<Key, EntryId>) -> Result<Enqueued, Error> {
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
    Ok(Enqueued { local, how })
}

async fn read_book(connection: &mut SqliteConnection, calls: &[&Call], limit: u64) -> Result<Book, Error> {
    let keys: Vec<(i64, Hex)> = calls
        .iter()
        .flat_map(|call| call.wishes.iter().map(|wish| (call.scope.0, Hex::of(wish.registration.local.0))))
        .collect();
    let keys = json(&keys)?;
    let mut places: BTreeMap<Key, Place> = BTreeMap::new();
    for found in sqlx::query(WAITING).bind(&keys).fetch_all(&mut *connection).await? {
        let mut columns = Columns::new(&found, 0, "outbox", row::number(&found, 2).to_string());
        let key = (ScopeId(columns.take("scope")?), LocalId(columns.uuid("local")?));
        let row = Row {
            id: Some(EntryId(columns.take("id")?)),
            // An unreadable hash is none that any content has, so the row is replaced.
            hash: PayloadHash(columns.uuid("hash").map_or([0; 16], Uuid::into_bytes)),
            revision: Revision(columns.take("revision")?),
            asked: columns.number("asked", row::asked_of)?,
            standing: columns.number("standing", row::standing_of)?,
            bytes: columns.number("bytes", |bytes| u64::try_from(bytes).ok())?,
        };
        places.entry(key).or_default().row = Some(row);
    }
    for found in sqlx::query(SENT).bind(&keys).fetch_all(&mut *connection).await? {
        let scope = ScopeId(row::number(&found, 0));
        if let Some(mapping) = row::or_warn(row::mapping(&found, 1)) {
            let place = places.entry((scope, mapping.local)).or_default();
            place.mapping = Some(mapping);
        }
    }
    let size = sqlx::query(WAITING_SIZE).fetch_one(&mut *connection).await?;
    let mut columns = Columns::new(&size, 0, "tally", "sum".to_owned());
    let mut total = |column| columns.number(column, |number| Some(u64::try_from(number).unwrap_or(0)));
    Ok(Book { places, rows: total("rows")?, bytes: total("bytes")?, limit })
}

/// Writes what the book says and returns the number of every row in it.
async fn write(
    connection: &mut SqliteConnection,
    book: &Book,
    calls: &[&Call],
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
    if !rows.is_empty() {
        for stored in sqlx::query(PUT).bind(json(&rows)?).fetch_all(&mut *connection).await? {
            let mut columns = Columns::new(&stored, 0, "outbox", row::number(&stored, 2).to_string());
            let key = (ScopeId(columns.take("scope")?), LocalId(columns.uuid("local")?));
            ids.insert(key, EntryId(columns.take("id")?));
        }
    }
    if !touched.is_empty() {
        sqlx::query(TOUCH).bind(json(&touched)?).execute(&mut *connection).await?;
    }
    Ok(ids)
}

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

crate::sql::statements! {
    WAITING = "\
        select o.scope, o.local, o.id, o.hash, o.revision, o.asked, o.standing, o.bytes
        from json_each(?1) as w
        cross join outbox o on o.scope = w.value ->> 0 and o.operation = 0 and o.local = unhex(w.value ->> 1)";
    SENT = concat!("\
        select m.scope, ", row::mapping_columns!(), "
        from json_each(?1) as w
        cross join mapping m on m.scope = w.value ->> 0 and m.local = unhex(w.value ->> 1)");
    WAITING_SIZE = "\
        select coalesce(sum(rows), 0), coalesce(sum(bytes), 0)
        from tally
        where standing < 2";
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
            due = min(due, w.value ->> 'now'),
            failure_code = case when w.value ->> 'revive' then null else failure_code end,
            failure_message = case when w.value ->> 'revive' then null else failure_message end,
            failure_at = case when w.value ->> 'revive' then null else failure_at end
        from w
        where outbox.scope = w.value ->> 'scope' and outbox.operation = 0
            and outbox.local = unhex(w.value ->> 'local')";
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sync_core::{CloudId, MachineId, ProjectKind};

    use super::*;

    const SAME: PayloadHash = PayloadHash([1; 16]);
    const OTHER: PayloadHash = PayloadHash([2; 16]);

    /// What the cloud told of the project.
    enum Known {
        Not,
        /// By a look-up only.
        Unsent,
        Sent(PayloadHash),
    }

    fn check(
        (asked, force): (Asked, bool),
        row: Option<(PayloadHash, Standing)>,
        known: &Known,
        expected: Ruling,
    ) {
        let registration = Registration {
            local: LocalId(Uuid::nil()),
            machine: MachineId(Uuid::nil()),
            name: String::new(),
            root: PathBuf::new(),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
        };
        let wish = Wish { registration, asked, force };
        let row = row.map(|(hash, standing)| Row {
            id: Some(EntryId(1)),
            hash,
            revision: Revision(3),
            asked: Asked::ByDiscovery,
            standing,
            bytes: 0,
        });
        let sent = match known {
            Known::Not => None,
            Known::Unsent => Some(None),
            Known::Sent(hash) => Some(Some(*hash)),
        };
        let mapping = sent.map(|sent| Mapping {
            local: LocalId(Uuid::nil()),
            cloud: CloudId(Uuid::nil()),
            tenant: None,
            status: String::new(),
            sent,
            revision: Revision(7),
            cached_at: Timestamp(0),
            expires_at: Timestamp(0),
            refresh_at: Timestamp(0),
        });
        let ruling = rule(&wish, SAME, row.as_ref(), mapping.as_ref());
        assert_eq!(ruling, expected, "{asked:?}, force {force}, {row:?}, {mapping:?}");
    }

    #[test]
    fn the_rules_of_the_outbox() {
        use Standing::{Dead, Parked, Ready};
        let found = (Asked::ByDiscovery, false);
        let forced = (Asked::ByDiscovery, true);
        let user = (Asked::ByUser, false);

        check(found, None, &Known::Not, Ruling::Add(Revision(1)));
        check(found, None, &Known::Sent(SAME), Ruling::Known);
        check(user, None, &Known::Sent(SAME), Ruling::Known);
        check(forced, None, &Known::Sent(SAME), Ruling::Add(Revision(8)));
        check(found, None, &Known::Sent(OTHER), Ruling::Add(Revision(8)));
        check(found, None, &Known::Unsent, Ruling::Add(Revision(8)));

        check(found, Some((SAME, Ready)), &Known::Not, Ruling::Keep);
        check(forced, Some((SAME, Ready)), &Known::Not, Ruling::Keep);
        check(user, Some((SAME, Ready)), &Known::Not, Ruling::Hurry);
        for given_up in [Parked, Dead] {
            check(found, Some((SAME, given_up)), &Known::Not, Ruling::Keep);
            check(forced, Some((SAME, given_up)), &Known::Not, Ruling::Revive);
            check(user, Some((SAME, given_up)), &Known::Not, Ruling::Revive);
        }
        for standing in [Ready, Parked, Dead] {
            for who in [found, forced, user] {
                check(who, Some((OTHER, standing)), &Known::Not, Ruling::Replace);
                // The row is the newer wish, whatever the cloud has.
                check(who, Some((OTHER, standing)), &Known::Sent(SAME), Ruling::Replace);
            }
        }
    }
}
