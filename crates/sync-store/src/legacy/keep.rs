//! Makes rows of the old queue ours, inside the transaction that is open: wishes, records, what is set aside, notes
//! and events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use sqlx::SqliteConnection;
use sync_core::{Asked, LocalId, Mapping, Project, ScopeId, Timestamp};

use super::note::{self, Note, item, noted};
use super::queue::{OldRow, OldRows};
use super::record::record_all;
use super::rule::{self, Decision, Ours, Said};
use super::{Heir, Taken};
use crate::enqueue::{self, Call, How, Wish};
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns, entry_columns, mapping_columns, project_columns};
use crate::sql::{Hex, json};

/// A row that claims to be from further ahead than this has a time that cannot be believed.
const CLOCK_SLACK: Duration = Duration::from_mins(5);
crate::sql::statements! {
    WAITING = concat!("\
        select o.changed_at, ", entry_columns!(), "
        from json_each(?2) as w
        cross join outbox o on o.scope = ?1 and o.operation = 0 and o.local = unhex(w.value)");
    SENT = concat!("\
        select ", mapping_columns!(), "
        from json_each(?2) as w
        cross join mapping m on m.scope = ?1 and m.local = unhex(w.value)");
    RECORDS = concat!("\
        select ", project_columns!(), "
        from json_each(?1) as w
        cross join project p on p.local = unhex(w.value)");
    DATE = "\
        with w as materialized (select value from json_each(?2))
        update outbox
        set changed_at = w.value ->> 'at'
        from w
        where outbox.scope = ?1 and outbox.operation = 0 and outbox.local = unhex(w.value ->> 'local')";
}

/// Keeps rows of the old queue.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    rows: OldRows,
    heir: &Heir,
    limit: u64,
    now: Timestamp,
) -> Result<(OldRows, Taken), Error> {
    let OldRows { path, file, rows } = rows;
    let before = noted(connection, file, rows.iter().map(|row| item(row.number))).await?;
    let is_noted = |row: &OldRow| before.get(&item(row.number)) == Some(&row.content);
    let (mut gone, fresh): (Vec<OldRow>, Vec<OldRow>) = rows.into_iter().partition(is_noted);

    let mut by_project: BTreeMap<LocalId, Vec<(OldRow, Said)>> = BTreeMap::new();
    let mut aside = Vec::new();
    for row in fresh {
        match row.said.clone() {
            Ok((local, fields)) => {
                let believed = row.made_at.filter(|at| *at <= now.after(CLOCK_SLACK));
                let said = Said { made_at: believed.unwrap_or(Timestamp(0)), fields };
                by_project.entry(local).or_default().push((row, said));
            }
            Err(reason) => aside.push((row, reason)),
        }
    }
    let (decided, refused) = decide_all(connection, by_project, heir).await?;
    aside.extend(refused);

    let (kept, mut taken) = wish_all(connection, decided, heir.id, limit, now).await?;
    taken.rows = kept.iter().map(|project| project.rows.len() as u64).sum();
    record_all(connection, &kept, heir.machine, now).await?;

    taken.aside = aside.len() as u64;
    taken.reasons = note::reasons(&aside);
    let mut events = Vec::new();
    if taken.rows > 0 {
        let message = format!("{} registrations of the old client from {}", taken.rows, path.display());
        events.push(NewEvent::new("legacy.taken", None, message, now));
    }
    events.extend(note::aside_event(&path, &aside, now));
    note::set_aside(connection, &path, &aside, now).await?;
    event::append(connection, &events).await?;

    let mut fresh: Vec<OldRow> = kept.into_iter().flat_map(|project| project.rows).collect();
    fresh.extend(aside.into_iter().map(|(row, _)| row));
    let notes: Vec<Note> = fresh.iter().map(|row| Note::new(item(row.number), row.content)).collect();
    note::add(connection, file, &notes).await?;
    gone.extend(fresh);
    gone.sort_by_key(|row| row.number);
    Ok((OldRows { path, file, rows: gone }, taken))
}

/// A project, what is to be done about it, and the rows that say so.
pub(super) struct Decided {
    pub(super) decision: Decision,
    pub(super) record: Option<Project>,
    pub(super) rows: Vec<OldRow>,
}

type Refused = Vec<(OldRow, String)>;

async fn decide_all(
    connection: &mut SqliteConnection,
    by_project: BTreeMap<LocalId, Vec<(OldRow, Said)>>,
    heir: &Heir,
) -> Result<(Vec<Decided>, Refused), Error> {
    let locals: BTreeSet<LocalId> = by_project.keys().copied().collect();
    let mut known = read_known(connection, &locals, heir).await?;
    let (mut decided, mut refused) = (Vec::new(), Vec::new());
    for (local, rows) in by_project {
        let Knowledge { ours, record } = known.remove(&local).unwrap_or_default();
        let (mut rows, mut said): (Vec<OldRow>, Vec<Said>) = rows.into_iter().unzip();
        // One row too many does not take the others with it.
        while let Some(row) = rows.pop() {
            match rule::decide(local, &said, ours.as_ref(), heir.machine) {
                Ok(decision) => {
                    rows.push(row);
                    decided.push(Decided { decision, record, rows });
                    break;
                }
                Err(reason) => {
                    said.pop();
                    refused.push((row, reason));
                }
            }
        }
    }
    Ok((decided, refused))
}

#[derive(Default)]
struct Knowledge {
    ours: Option<Ours>,
    record: Option<Project>,
}

async fn read_known(
    connection: &mut SqliteConnection,
    locals: &BTreeSet<LocalId>,
    heir: &Heir,
) -> Result<BTreeMap<LocalId, Knowledge>, Error> {
    let keys: Vec<Hex> = locals.iter().map(|local| Hex::of(local.0)).collect();
    let keys = json(&keys)?;
    let mut known: BTreeMap<LocalId, Knowledge> = BTreeMap::new();
    for found in sqlx::query(RECORDS).bind(&keys).fetch_all(&mut *connection).await? {
        if let Some(project) = row::or_warn(row::project(&found, 0)) {
            let local = project.local;
            known.entry(local).or_default().record = Some(project);
        }
    }
    let mut sent: BTreeMap<LocalId, Mapping> = BTreeMap::new();
    for found in sqlx::query(SENT).bind(heir.id.0).bind(&keys).fetch_all(&mut *connection).await? {
        if let Some(mapping) = row::or_warn(row::mapping(&found, 0)) {
            sent.insert(mapping.local, mapping);
        }
    }
    for local in locals {
        let knowledge = known.entry(*local).or_default();
        let sent = sent.get(local).filter(|mapping| mapping.sent.is_some());
        knowledge.ours = match (&knowledge.record, sent) {
            (Some(record), sent) => Some(Ours {
                content: Some(record.registration(heir.machine)),
                at: record.seen_at,
                wished: sent.is_some(),
            }),
            (None, Some(sent)) => Some(Ours { content: None, at: sent.cached_at, wished: true }),
            (None, None) => None,
        };
    }
    for found in sqlx::query(WAITING).bind(heir.id.0).bind(&keys).fetch_all(&mut *connection).await? {
        let at = Columns::new(&found, 0, "outbox", "waiting".to_owned()).time("changed_at")?;
        if let Some(entry) = row::or_warn(row::entry(&found, 1)) {
            let local = entry.registration.local;
            let ours = Ours { content: Some(entry.registration), at, wished: true };
            known.entry(local).or_default().ours = Some(ours);
        }
    }
    Ok(known)
}

async fn wish_all(
    connection: &mut SqliteConnection,
    decided: Vec<Decided>,
    scope: ScopeId,
    limit: u64,
    now: Timestamp,
) -> Result<(Vec<Decided>, Taken), Error> {
    let wish = |decided: &Decided| Wish {
        registration: decided.decision.registration.clone(),
        asked: Asked::ByUser,
        force: decided.decision.force,
    };
    let (wanted, mut kept): (Vec<Decided>, Vec<Decided>) =
        decided.into_iter().partition(|decided| decided.decision.wish);
    let mut calls: Vec<Call> = wanted
        .iter()
        .map(|decided| Call { scope, wishes: vec![wish(decided)], records: Vec::new(), now })
        .collect();
    let mut taken = Taken::default();
    if calls.is_empty() {
        return Ok((kept, taken));
    }
    let answers = enqueue::place(connection, &mut calls.iter_mut().collect::<Vec<_>>(), limit).await?;
    let mut dates = Vec::new();
    for (decided, answer) in wanted.into_iter().zip(answers) {
        match answer {
            Ok(placed) => {
                if placed.iter().any(|one| matches!(one.how, How::Added(..) | How::Replaced(..))) {
                    // As old as what it says, so that the next row is compared with the one before it.
                    dates.push(Date {
                        local: Hex::of(decided.decision.registration.local.0),
                        at: decided.decision.content_at.0,
                    });
                }
                taken.wishes += 1;
                kept.push(decided);
            }
            // They stay where they are until there is room.
            Err(Error::QueueFull { .. }) => taken.left += decided.rows.len() as u64,
            Err(error) => return Err(error),
        }
    }
    if !dates.is_empty() {
        sqlx::query(DATE).bind(scope.0).bind(json(&dates)?).execute(connection).await?;
    }
    Ok((kept, taken))
}

#[derive(Serialize)]
struct Date {
    local: Hex,
    at: i64,
}
