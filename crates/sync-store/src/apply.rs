//! Records what a scan or a tool found out about projects, and queues what the cloud has to know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Serialize;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};
use sync_core::{
    Asked, Change, ChangeKind, LocalId, MachineId, Place, Presence, Project, ScopeId, Timestamp,
};

use crate::enqueue::{self, Call, How, Wish};
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns, project_columns};
use crate::sql::{Hex, json, together};

/// How many columns [`DISPLACE`] returns, and no other statement that goes with it.
const DISPLACED_WIDTH: usize = 1;

/// What recording changes came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Projects that were not known.
    pub added: u64,
    /// Projects about which something is different.
    pub changed: u64,
    /// Projects that are at another path.
    pub moved: u64,
    /// Projects that were missing and are there again.
    pub returned: u64,
    /// Projects that are gone from disk.
    pub missing: u64,
    /// Entries that were added, replaced or revived.
    pub enqueued: u64,
    /// Projects that were recorded but not queued, because the queue is full.
    pub refused: u64,
}

impl Applied {
    /// What both came to.
    pub(crate) fn both(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            changed: self.changed + other.changed,
            moved: self.moved + other.moved,
            returned: self.returned + other.returned,
            missing: self.missing + other.missing,
            enqueued: self.enqueued + other.enqueued,
            refused: self.refused + other.refused,
        }
    }
}

crate::sql::statements! {
    // No two present projects share a root: who comes to one displaces who was recorded there.
    DISPLACE = "\
        update project
        set presence = 1, seen_at = w.value ->> 'seen_at'
        from json_each(?1) as w
        where project.presence = 0
            and project.root = unhex(w.value ->> 'root')
            and project.local <> unhex(w.value ->> 'local')
        returning project.local";
    // Roots that are swapped within one scan would collide on the way.
    LIFT = "update project set presence = 1 where local in (select unhex(w.value ->> 'local') from json_each(?1) as w)";
    PUT = "\
        with w as materialized (select value from json_each(?1))
        insert into project (
            local, root, device, inode, vcs_device, vcs_inode, vcs, name, language, framework, content_hash, kind,
            parent, presence, asked, first_seen_at, seen_at, born, given
        )
        select
            unhex(w.value ->> 'local'), unhex(w.value ->> 'root'), w.value ->> 'device', w.value ->> 'inode',
            w.value ->> 'vcs_device', w.value ->> 'vcs_inode', w.value ->> 'vcs',
            cast(unhex(w.value ->> 'name') as text), cast(unhex(w.value ->> 'language') as text),
            cast(unhex(w.value ->> 'framework') as text), cast(unhex(w.value ->> 'content_hash') as text),
            w.value ->> 'kind', unhex(w.value ->> 'parent'), w.value ->> 'presence', w.value ->> 'asked',
            w.value ->> 'first_seen_at', w.value ->> 'seen_at', w.value ->> 'born',
            w.value ->> 'given'
        from w
        where true
        on conflict (local) do update set
            root = excluded.root, device = excluded.device, inode = excluded.inode,
            vcs_device = excluded.vcs_device, vcs_inode = excluded.vcs_inode, vcs = excluded.vcs,
            name = excluded.name, language = excluded.language, framework = excluded.framework,
            content_hash = excluded.content_hash, kind = excluded.kind, parent = excluded.parent,
            presence = excluded.presence, asked = excluded.asked, seen_at = excluded.seen_at,
            born = excluded.born, given = excluded.given";
    GIVEN = concat!("\
        select ", project_columns!(), "
        from json_each(?1) as w
        cross join project p on p.local = unhex(w.value)
        where p.given <> 0");
    UNSENT = concat!("\
        select ", project_columns!(), ", m.sent
        from project p
        left join mapping m on m.scope = ?1 and m.local = p.local
        left join outbox o on o.scope = ?1 and o.operation = 0 and o.local = p.local
        left join dropped d on d.scope = ?1 and d.local = p.local
        where p.local > ?3 and p.presence = 0 and o.id is null and d.local is null
            and (
                p.asked = 1
                or not exists (
                    select 1 from scope s
                    left join mapping sm on sm.scope = s.id and sm.local = p.local
                    left join outbox so on so.scope = s.id and so.operation = 0 and so.local = p.local
                    left join dropped sd on sd.scope = s.id and sd.local = p.local
                    where s.id <> ?1 and (sm.local is not null or so.id is not null or sd.local is not null)
                )
            )
        order by p.local
        limit +?2");
}

/// What looking for projects of which the cloud has not the newest came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unsent {
    /// Entries that were made.
    pub queued: u64,
    /// Projects for which the queue had no room.
    pub refused: u64,
    /// After which project to go on; `None` when all were looked at.
    pub next: Option<LocalId>,
}

/// So many changes go into one commit where each stands for itself. What a first look finds takes ten times the room on
/// its way into the database, and the C library keeps what was ever taken.
pub(crate) const PART: usize = 128;

/// The changes in parts that can be recorded one after the other: together those that come to where others were, or left
/// where others are now, and the rest, which concern nobody else, some at a time.
pub(crate) fn parts(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let left: BTreeSet<&Path> = changes.iter().filter_map(left_by).collect();
    let taken = changes.iter().filter_map(taken_by).filter(|root| left.contains(root));
    let contested: BTreeSet<PathBuf> = taken.map(Path::to_path_buf).collect();
    let is_contested = |root: Option<&Path>| root.is_some_and(|root| contested.contains(root));
    let (together, rest): (Vec<_>, Vec<_>) = if contested.is_empty() {
        // Most often, and of thousands that are new one copy is enough.
        (Vec::new(), changes)
    } else {
        changes
            .into_iter()
            .partition(|change| is_contested(left_by(change)) || is_contested(taken_by(change)))
    };
    let mut rest = rest.into_iter();
    let some = std::iter::from_fn(|| Some(rest.by_ref().take(PART).collect::<Vec<_>>()));
    let some = some.take_while(|part| !part.is_empty());
    (!together.is_empty()).then_some(together).into_iter().chain(some).collect()
}

/// Where a project is no more.
fn left_by(change: &Change) -> Option<&Path> {
    match &change.kind {
        ChangeKind::Moved { from } => Some(from),
        ChangeKind::Missing => Some(&change.project.root),
        ChangeKind::Added | ChangeKind::Changed | ChangeKind::Returned => None,
    }
}

/// Where a project is now.
fn taken_by(change: &Change) -> Option<&Path> {
    (change.project.presence == Presence::Present).then_some(&change.project.root)
}

/// Records changes and queues what the cloud has to know of them, inside the transaction that is open.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    machine: MachineId,
    mut changes: Vec<Change>,
    limit: u64,
    now: Timestamp,
) -> Result<Applied, Error> {
    keep_given(connection, &mut changes).await?;
    let changes = &changes;
    let mut applied = record(connection, changes, now).await?;
    let wanted: Vec<Wish> = changes
        .iter()
        .filter(|change| change.project.presence == Presence::Present)
        .map(|change| Wish {
            registration: change.project.registration(machine),
            asked: Asked::ByDiscovery,
            force: false,
        })
        .collect();
    (applied.enqueued, applied.refused) = enqueue_each(connection, scope, wanted, limit, now).await?;
    Ok(applied)
}

/// Has the changes keep what somebody gave meanwhile: whoever looked may have begun before that.
async fn keep_given(connection: &mut SqliteConnection, changes: &mut [Change]) -> Result<(), Error> {
    let locals: Vec<Hex> = changes.iter().map(|change| Hex::of(change.project.local.0)).collect();
    let mut given = BTreeMap::new();
    for found in sqlx::query(GIVEN).bind(json(&locals)?).fetch_all(connection).await? {
        let record = row::or_warn(row::project(&found, 0));
        given.extend(record.map(|record| (record.local, record)));
    }
    for change in changes {
        if let Some(record) = given.get(&change.project.local) {
            change.project.keep_given(record);
        }
    }
    Ok(())
}

/// Records changes and queues nothing, inside the transaction that is open.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    changes: &[Change],
    now: Timestamp,
) -> Result<Applied, Error> {
    let mut recording = Recording::default();
    recording.add(changes, now);
    let mut applied = recording.applied;
    let events = json(&recording.events().collect::<Vec<_>>())?;
    let query = recording.bind(sqlx::query(RECORD_AND_TELL.as_str()))?.bind(events);
    let mut gone = Vec::new();
    for found in query.fetch_all(&mut *connection).await? {
        gone.extend(displaced(&found, now)?);
    }
    applied.missing += gone.len() as u64;
    event::append(connection, &gone).await?;
    Ok(applied)
}

/// What is written to record changes, in this order; [`Recording::bind`] gives their parameters.
pub(crate) const RECORD: [&str; 3] = [LIFT, DISPLACE, PUT];
static RECORD_AND_TELL: LazyLock<String> =
    LazyLock::new(|| together(&[&RECORD[..], &[event::APPEND]].concat()));

/// Changes on their way into the database.
#[derive(Default)]
pub(crate) struct Recording {
    applied: Applied,
    rows: Vec<NewRow>,
    events: Vec<NewEvent>,
}

impl Recording {
    /// Takes in changes that were found at `now`.
    pub(crate) fn add(&mut self, changes: &[Change], now: Timestamp) {
        for change in changes {
            match &change.kind {
                ChangeKind::Added => self.applied.added += 1,
                ChangeKind::Changed => self.applied.changed += 1,
                ChangeKind::Moved { .. } => self.applied.moved += 1,
                ChangeKind::Returned => self.applied.returned += 1,
                ChangeKind::Missing => self.applied.missing += 1,
            }
            self.rows.push(NewRow::new(&change.project));
            self.events.push(event_of(change, now));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is to be told of them.
    pub(crate) fn events(&self) -> impl Iterator<Item = NewEvent> {
        self.events.iter().cloned()
    }

    /// Binds the parameters of [`RECORD`].
    pub(crate) fn bind(
        self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Query<'_, Sqlite, SqliteArguments>, Error> {
        let present = json(&self.rows.iter().filter(|row| row.presence == 0).collect::<Vec<_>>())?;
        let rows = json(&self.rows)?;
        Ok(query.bind(rows.clone()).bind(present).bind(rows))
    }
}

/// What is to be told of a project that [`DISPLACE`] found displaced; `None` for a row of another statement.
pub(crate) fn displaced(found: &SqliteRow, now: Timestamp) -> Result<Option<NewEvent>, Error> {
    if found.len() != DISPLACED_WIDTH {
        return Ok(None);
    }
    let mut columns = Columns::new(found, 0, "project", "displaced".to_owned());
    let local = LocalId(columns.uuid("local")?);
    let message = "another project is at its place".to_owned();
    Ok(Some(NewEvent::new("project.missing", Some(local), message, now)))
}

/// A project that was looked at, and what is to be queued of it.
struct Looked {
    local: LocalId,
    wish: Option<Wish>,
}

/// Queues what was not sent as it is now and does not wait, among the next `at_most` projects after `after`.
pub(crate) async fn enqueue_unsent(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    machine: MachineId,
    after: Option<LocalId>,
    at_most: u32,
    limit: u64,
    now: Timestamp,
) -> Result<Unsent, Error> {
    let after = after.map_or_else(Vec::new, |after| after.0.as_bytes().to_vec());
    let query = sqlx::query(UNSENT).bind(scope.0).bind(i64::from(at_most)).bind(after);
    // A row takes several times the room of what is kept of it, and most are kept not at all.
    let read = |found: SqliteRow| -> Result<Option<Looked>, Error> {
        let Some(project) = row::or_warn(row::project(&found, 0)) else { return Ok(None) };
        let sent: Option<Vec<u8>> =
            Columns::new(&found, row::PROJECT_WIDTH, "mapping", String::new()).take("sent")?;
        let registration = project.registration(machine);
        let is_sent = sent.as_deref() == Some(&registration.payload_hash().0[..]);
        let wish = (!is_sent).then_some(Wish { registration, asked: Asked::ByDiscovery, force: false });
        Ok(Some(Looked { local: project.local, wish }))
    };
    let found = query.map(read).fetch_all(&mut *connection).await?;
    let is_page = u32::try_from(found.len()).is_ok_and(|found| found == at_most);
    let mut wanted = Vec::new();
    let mut last = None;
    for looked in found {
        let Some(looked) = looked? else { continue };
        last = Some(looked.local);
        wanted.extend(looked.wish);
    }
    let (queued, refused) = enqueue_each(connection, scope, wanted, limit, now).await?;
    Ok(Unsent { queued, refused, next: last.filter(|_| is_page) })
}

/// Queues each wish by itself; returns how many rows changed and how many were refused.
async fn enqueue_each(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    wanted: Vec<Wish>,
    limit: u64,
    now: Timestamp,
) -> Result<(u64, u64), Error> {
    let mut calls: Vec<Call> =
        wanted.into_iter().map(|wish| Call { scope, wishes: vec![wish], records: Vec::new(), now }).collect();
    if calls.is_empty() {
        return Ok((0, 0));
    }
    let (mut enqueued, mut refused) = (0, 0);
    for answer in enqueue::place(connection, &mut calls.iter_mut().collect::<Vec<_>>(), limit).await? {
        match answer {
            Ok(taken) => {
                enqueued +=
                    taken.iter().filter(|one| matches!(one.how, How::Added(..) | How::Replaced(..))).count()
                        as u64;
            }
            Err(Error::QueueFull { .. }) => refused += 1,
            Err(error) => return Err(error),
        }
    }
    Ok((enqueued, refused))
}

fn event_of(change: &Change, now: Timestamp) -> NewEvent {
    let project = &change.project;
    let kind = match &change.kind {
        ChangeKind::Added => "project.added",
        ChangeKind::Changed => "project.changed",
        ChangeKind::Moved { .. } => "project.moved",
        ChangeKind::Returned => "project.returned",
        ChangeKind::Missing => "project.missing",
    };
    let message = match &change.kind {
        ChangeKind::Moved { from } => format!("{} to {}", from.display(), project.root.display()),
        ChangeKind::Added | ChangeKind::Changed | ChangeKind::Returned | ChangeKind::Missing => {
            project.root.display().to_string()
        }
    };
    NewEvent::new(kind, Some(project.local), message, now)
}

/// A project as it travels to [`PUT`].
#[derive(Serialize)]
struct NewRow {
    local: Hex,
    root: Hex,
    device: Option<i64>,
    inode: Option<i64>,
    vcs_device: Option<i64>,
    vcs_inode: Option<i64>,
    vcs: &'static str,
    name: Hex,
    language: Hex,
    framework: Hex,
    content_hash: Hex,
    kind: &'static str,
    parent: Option<Hex>,
    presence: i64,
    asked: i64,
    first_seen_at: i64,
    seen_at: i64,
    born: Option<i64>,
    given: i64,
}

impl NewRow {
    fn new(project: &Project) -> Self {
        let numbers = |place: Option<Place>| {
            (place.map(|place| place.device.cast_signed()), place.map(|place| place.inode.cast_signed()))
        };
        let (device, inode) = numbers(project.place);
        let (vcs_device, vcs_inode) = numbers(project.vcs_place);
        Self {
            local: Hex::of(project.local.0),
            root: Hex::path(&project.root),
            device,
            inode,
            vcs_device,
            vcs_inode,
            vcs: project.vcs.as_str(),
            name: Hex::of(&project.name),
            language: Hex::of(&project.language),
            framework: Hex::of(&project.framework),
            content_hash: Hex::of(&project.content_hash),
            kind: project.kind.as_str(),
            parent: project.parent.map(|parent| Hex::of(parent.0)),
            presence: row::presence_number(project.presence),
            asked: row::asked_number(project.asked),
            first_seen_at: project.first_seen_at.0,
            seen_at: project.seen_at.0,
            born: project.born,
            given: project.given.bits(),
        }
    }
}
