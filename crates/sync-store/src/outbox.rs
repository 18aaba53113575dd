//! What waits for the cloud: at most one entry for each project of a scope.
//!
//! Reading and the changes a person asks for. How wishes get in is `enqueue`'s, how flights end is `settle`'s.
//! That an entry is in flight is not known here.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use sync_core::{Change, Entry, EntryId, LocalId, ScopeId, Settled, Standing, Timestamp};

use crate::Store;
use crate::enqueue::{Call, Enqueued, Wish};
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, Columns, entry_columns, standing_number};
use crate::settle::{self, SettleReport};
use crate::sql::{Hex, json};

/// The outbox's table.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'s> {
    pub(crate) store: &'s Store,
}

/// How many entries a scope has waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Those that may go now.
    pub ready: u64,
    /// Those whose time has not come.
    pub delayed: u64,
    /// Those that wait for a person.
    pub parked: u64,
    /// Those the cloud refused for good.
    pub dead: u64,
    /// Since when the oldest that is not dead waits.
    pub oldest_enqueued_at: Option<Timestamp>,
}

/// Where an entry stands, with the waiting ones told apart by their time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryState {
    /// It may go now.
    Ready,
    /// It goes later.
    Delayed,
    /// It waits for a person.
    Parked,
    /// The cloud refused it for good.
    Dead,
}

impl EntryState {
    /// The state of an entry at `now`.
    pub fn of(entry: &Entry, now: Timestamp) -> Self {
        match entry.standing {
            Standing::Ready if entry.due > now => Self::Delayed,
            Standing::Ready => Self::Ready,
            Standing::Parked => Self::Parked,
            Standing::Dead => Self::Dead,
        }
    }
}

/// How far up a chain of waiting parents is looked.
const DEEPEST_NESTING: usize = 16;

crate::sql::statements! {
    // Four short walks along the index, one for each standing and urgency, of which each stops at the limit.
    HEADS = concat!("\
        with head (id, asked, due) as (
            select id, asked, due from (
                select id, asked, due from outbox
                where scope = ?1 and standing = 0 and asked = 0 and due <= ?2
                    and id not in (select value from json_each(?4))
                order by due, id limit +?3)
            union all
            select id, asked, due from (
                select id, asked, due from outbox
                where scope = ?1 and standing = 1 and asked = 0 and due <= ?2
                    and id not in (select value from json_each(?4))
                order by due, id limit +?3)
            union all
            select id, asked, due from (
                select id, asked, due from outbox
                where scope = ?1 and standing = 0 and asked = 1 and due <= ?2
                    and id not in (select value from json_each(?4))
                order by due, id limit +?3)
            union all
            select id, asked, due from (
                select id, asked, due from outbox
                where scope = ?1 and standing = 1 and asked = 1 and due <= ?2
                    and id not in (select value from json_each(?4))
                order by due, id limit +?3)
            order by asked, due, id
            limit +?3
        )
        select ", entry_columns!(), "
        from head
        cross join outbox o on o.id = head.id
        order by head.asked, head.due, head.id");
    DUE_AMONG = concat!("\
        select ", entry_columns!(), "
        from json_each(?3) as w
        cross join outbox o on o.scope = ?1 and o.operation = 0 and o.local = unhex(w.value)
        where o.standing < 2 and o.due <= ?2 and o.id not in (select value from json_each(?4))");
    ENTRIES = concat!("\
        select ", entry_columns!(), "
        from json_each(?1) as w
        cross join outbox o on o.id = w.value
        order by w.key");
    WAITING_FOR = concat!("\
        select ", entry_columns!(), "
        from outbox o
        where o.scope = ?1 and o.operation = 0 and o.local = ?2");
    NEXT_DUE = "\
        select min(due) from (
            select min(due) as due from outbox where scope = ?1 and standing = 0 and asked = 0
            union all
            select min(due) from outbox where scope = ?1 and standing = 0 and asked = 1
            union all
            select min(due) from outbox where scope = ?1 and standing = 1 and asked = 0
            union all
            select min(due) from outbox where scope = ?1 and standing = 1 and asked = 1
        )";
    // Numbers grow with age, so the first that waits is the oldest. It is looked for only where one is known to wait.
    pub(crate) COUNTS = "\
        with delayed (number, due) as (
            select count(*), min(due) from outbox where scope = ?1 and standing = 0 and asked = 0 and due > ?2
            union all
            select count(*), min(due) from outbox where scope = ?1 and standing = 0 and asked = 1 and due > ?2
        )
        select
            coalesce((select rows from tally where scope = ?1 and standing = 0), 0),
            coalesce((select rows from tally where scope = ?1 and standing = 1), 0),
            coalesce((select rows from tally where scope = ?1 and standing = 2), 0),
            case when exists (select 1 from tally where scope = ?1 and standing < 2 and rows > 0) then (
                select enqueued_at from outbox not indexed where scope = ?1 and standing < 2 order by id limit 1
            ) end,
            sum(number),
            min(due)
        from delayed";
    LIST = concat!("\
        select ", entry_columns!(), "
        from outbox o not indexed
        where o.scope = ?1 and o.id > ?2
            and (?3 is null or (o.standing = 0 and (o.due > ?4) = ?3))
        order by o.id
        limit +?5");
    LIST_ASIDE = concat!("\
        select ", entry_columns!(), "
        from outbox o
        where o.scope = ?1 and o.standing = ?2 and o.id > ?3
        order by o.id
        limit +?4");
    RETRY = "\
        update outbox
        set
            standing = 0, attempts = 0, due = min(due, ?2),
            failure_code = null, failure_message = null, failure_at = null
        where id in (select value from json_each(?1))";
    RETRY_DEAD = "\
        update outbox
        set
            standing = 0, attempts = 0, due = min(due, ?2),
            failure_code = null, failure_message = null, failure_at = null
        where scope = ?1 and standing = 2";
    HURRY = "\
        update outbox
        set due = ?2
        where scope = ?1 and standing = 0 and asked in (0, 1) and due > ?2";
    PULL_IN = "\
        update outbox
        set due = ?3 + case
            when max(changed_at, ifnull(failure_at, changed_at)) between ?3 + 1 and due
            then min(due - max(changed_at, ifnull(failure_at, changed_at)), ?4)
            else abs(id * 7919 + ?5) % ?4
        end
        where scope = ?1 and standing = ?2 and asked in (0, 1) and due > ?3 and (
            due > ?3 + ?4 or max(changed_at, ifnull(failure_at, changed_at)) between ?3 + 1 and due
        )";
    SET_BACK = "\
        update outbox
        set due = max(?2, due - ?3)
        where scope = ?1 and standing in (0, 1) and asked in (0, 1) and due > ?2";
    DROP = "delete from outbox where id in (select value from json_each(?1))";
    REMEMBER_DROPPED = "\
        insert or ignore into dropped (scope, local)
        select scope, local from outbox where id in (select value from json_each(?1))";
    UNSENT_AGAIN = "\
        update mapping set sent = null
        where (scope, local) in (
            select scope, local from outbox where id in (select value from json_each(?1))
        )";
    OLD_DEAD = "\
        select id from outbox
        where scope = ?1 and standing = 2
        order by due desc, id desc
        limit +?3 offset +?2";
    CROWDED = "select scope from tally where standing = 2 and rows > ?1 limit 1";
}

impl Outbox<'_> {
    /// Puts wishes into the outbox, all or none, with an event for each that changes something.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when there is a new project among them and no room for it.
    pub async fn enqueue(
        self,
        scope: ScopeId,
        wishes: Vec<Wish>,
        now: Timestamp,
    ) -> Result<Vec<Enqueued>, Error> {
        self.register(scope, wishes, Vec::new(), now).await
    }

    /// [`enqueue`](Self::enqueue), and in the same commit records what is known of the projects on this machine.
    ///
    /// # Errors
    /// As `enqueue`; nothing is recorded then.
    pub async fn register(
        self,
        scope: ScopeId,
        wishes: Vec<Wish>,
        records: Vec<Change>,
        now: Timestamp,
    ) -> Result<Vec<Enqueued>, Error> {
        if wishes.is_empty() && records.is_empty() {
            return Ok(Vec::new());
        }
        self.store.writer().enqueue(Call { scope, wishes, records, now }).await
    }

    /// The next entries to send, at most `limit`, without those in `except`: due ones, asked for by a user before
    /// others, parents before children, then by due time and age.
    ///
    /// A row whose payload is not what was stored is dropped with an event, so that it never blocks the others; its
    /// project is queued again by [`Projects::enqueue_unsent`](crate::Projects::enqueue_unsent).
    pub async fn heads(
        self,
        scope: ScopeId,
        now: Timestamp,
        limit: u32,
        except: &[EntryId],
    ) -> Result<Vec<Entry>, Error> {
        let except = ids_json(except)?;
        let rows = loop {
            let query =
                sqlx::query(HEADS).bind(scope.0).bind(now.0).bind(i64::from(limit)).bind(except.clone());
            let (entries, damaged) = sort_out(self.store.read_as(query, entry).await?);
            if damaged.is_empty() {
                break entries;
            }
            self.drop_damaged(damaged, now).await?;
        };
        self.parents_first(rows, scope, now, limit, &except).await
    }

    async fn parents_first(
        self,
        mut entries: Vec<Entry>,
        scope: ScopeId,
        now: Timestamp,
        limit: u32,
        except: &str,
    ) -> Result<Vec<Entry>, Error> {
        let mut asked_for: BTreeSet<LocalId> = entries.iter().map(|entry| entry.registration.local).collect();
        for _ in 0..DEEPEST_NESTING {
            let parents: BTreeSet<LocalId> = entries
                .iter()
                .filter_map(|entry| entry.registration.parent)
                .filter(|parent| asked_for.insert(*parent))
                .collect();
            if parents.is_empty() {
                break;
            }
            let locals: Vec<Hex> = parents.into_iter().map(|parent| Hex::of(parent.0)).collect();
            let query =
                sqlx::query(DUE_AMONG).bind(scope.0).bind(now.0).bind(json(&locals)?).bind(except.to_owned());
            // A damaged parent is met again as a head.
            entries.extend(sort_out(self.store.read_as(query, entry).await?).0);
        }
        let mut ordered = order(entries);
        ordered.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(ordered)
    }

    async fn drop_damaged(self, damaged: Vec<EntryId>, now: Timestamp) -> Result<(), Error> {
        let ids = ids_json(&damaged)?;
        let dropped = self
            .store
            .write(move |connection| {
                Box::pin(async move {
                    // Newer content may have taken the place of what was damaged.
                    let found = sqlx::query(ENTRIES).bind(ids).fetch_all(&mut *connection).await?;
                    let (_, damaged) = sort_out(found.iter().map(entry).collect());
                    sqlx::query(DROP).bind(ids_json(&damaged)?).execute(&mut *connection).await?;
                    let told = |id: &EntryId| {
                        let message = format!(
                            "entry {id} was damaged on disk and is dropped; a scan finds its project"
                        );
                        NewEvent::new("queue.damaged", None, message, now)
                    };
                    let events: Vec<NewEvent> = damaged.iter().map(told).collect();
                    event::append(connection, &events).await?;
                    Ok(damaged.len() as u64)
                })
            })
            .await?;
        self.store.writer().figures().damaged_rows.fetch_add(dropped, Ordering::Relaxed);
        Ok(())
    }

    /// The entries with these numbers, in that order; those that are gone are left out.
    pub async fn entries(self, ids: &[EntryId]) -> Result<Vec<Entry>, Error> {
        let found = self.store.read_as(sqlx::query(ENTRIES).bind(ids_json(ids)?), entry).await?;
        Ok(sort_out(found).0)
    }

    /// One entry.
    pub async fn get(self, id: EntryId) -> Result<Option<Entry>, Error> {
        Ok(self.entries(&[id]).await?.pop())
    }

    /// The entry of one project.
    pub async fn waiting_for(self, scope: ScopeId, local: LocalId) -> Result<Option<Entry>, Error> {
        let query = sqlx::query(WAITING_FOR).bind(scope.0).bind(local.0.as_bytes().to_vec());
        self.store.read(query).await?.first().map(|found| row::entry(found, 0)).transpose()
    }

    /// When the first entry that is not dead is due; `None` when there is none.
    pub async fn next_due(self, scope: ScopeId) -> Result<Option<Timestamp>, Error> {
        let rows = self.store.read(sqlx::query(NEXT_DUE).bind(scope.0)).await?;
        let Some(found) = rows.first() else { return Ok(None) };
        let due: Option<i64> = Columns::new(found, 0, "outbox", "min".to_owned()).take("due")?;
        Ok(due.map(Timestamp))
    }

    /// How many entries wait, and since when.
    pub async fn counts(self, scope: ScopeId, now: Timestamp) -> Result<Counts, Error> {
        let rows = self.store.read(sqlx::query(COUNTS).bind(scope.0).bind(now.0)).await?;
        rows.first().map_or(Ok(Counts::default()), |found| Ok(Self::counted(found)?.0))
    }

    /// How many entries wait, since when, and when the next of the delayed ones is due: what [`COUNTS`] found.
    pub(crate) fn counted(found: &SqliteRow) -> Result<(Counts, Option<Timestamp>), Error> {
        let mut columns = Columns::new(found, 0, "tally", "count".to_owned());
        let waiting = columns.count("ready")?;
        let parked = columns.count("parked")?;
        let dead = columns.count("dead")?;
        let oldest: Option<i64> = columns.take("enqueued_at")?;
        let delayed = columns.count("delayed")?;
        let due: Option<i64> = columns.take("due")?;
        let ready = waiting.saturating_sub(delayed);
        let oldest_enqueued_at = oldest.map(Timestamp);
        Ok((Counts { ready, delayed, parked, dead, oldest_enqueued_at }, due.map(Timestamp)))
    }

    /// Entries by number, those after `after`, at most `limit`. Rows that cannot be read are left out.
    pub async fn list(
        self,
        scope: ScopeId,
        filter: Option<EntryState>,
        after: Option<EntryId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        let mut after = after.map_or(0, |id| id.0);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        loop {
            let wanted = most - entries.len();
            let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
            let by_due = |delayed: Option<bool>| {
                sqlx::query(LIST).bind(scope.0).bind(after).bind(delayed).bind(now.0).bind(limit)
            };
            let aside = |standing| {
                sqlx::query(LIST_ASIDE).bind(scope.0).bind(standing_number(standing)).bind(after).bind(limit)
            };
            let query = match filter {
                None => by_due(None),
                Some(EntryState::Ready) => by_due(Some(false)),
                Some(EntryState::Delayed) => by_due(Some(true)),
                Some(EntryState::Parked) => aside(Standing::Parked),
                Some(EntryState::Dead) => aside(Standing::Dead),
            };
            let found = self.store.read_as(query, |found| (row::number(found, 0), entry(found))).await?;
            let (count, last) = (found.len(), found.last().map(|(number, _)| *number));
            entries.extend(found.into_iter().filter_map(|(_, entry)| entry.ok()));
            // Rows that cannot be read must not hide those behind them.
            match last {
                Some(last) if count >= wanted && entries.len() < most && last > after => after = last,
                Some(_) | None => return Ok(entries),
            }
        }
    }

    /// What becomes of the entries of a flight, in one commit: delivered ones go and their mapping comes, others
    /// stand as their fate says, all only where the row still has the revision that was sent.
    ///
    /// `life` is how long a mapping is believed, and `dice` spreads when each is asked for again.
    pub async fn settle(
        self,
        scope: ScopeId,
        settled: Vec<Settled>,
        life: Duration,
        dice: u64,
        now: Timestamp,
    ) -> Result<SettleReport, Error> {
        if settled.is_empty() {
            return Ok(SettleReport::default());
        }
        self.store
            .write(move |connection| {
                Box::pin(async move { settle::settle(connection, scope, &settled, life, dice, now).await })
            })
            .await
    }

    /// Starts these entries anew: ready, due, no attempts. Says how many there were.
    pub async fn retry(self, ids: &[EntryId], now: Timestamp) -> Result<u64, Error> {
        let ids = ids_json(ids)?;
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    Ok(sqlx::query(RETRY).bind(ids).bind(now.0).execute(connection).await?.rows_affected())
                })
            })
            .await
    }

    /// Starts every dead entry of a scope anew.
    pub async fn retry_dead(self, scope: ScopeId, now: Timestamp) -> Result<u64, Error> {
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(RETRY_DEAD).bind(scope.0).bind(now.0);
                    Ok(query.execute(connection).await?.rows_affected())
                })
            })
            .await
    }

    /// Removes entries, whatever they wait for; their projects wait again only when they change or somebody asks.
    /// Says how many there were.
    pub async fn drop_entries(self, ids: &[EntryId]) -> Result<u64, Error> {
        let ids = ids_json(ids)?;
        self.store
            .write(move |connection| Box::pin(async move { drop_for_good(connection, ids).await }))
            .await
    }

    /// Makes every ready entry due. Says how many were delayed.
    pub async fn hurry(self, scope: ScopeId, now: Timestamp) -> Result<u64, Error> {
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(HURRY).bind(scope.0).bind(now.0);
                    Ok(query.execute(connection).await?.rows_affected())
                })
            })
            .await
    }

    /// The clock was set back by at least `by`: what waits, waits no longer for that.
    pub async fn set_back(self, scope: ScopeId, by: Duration, now: Timestamp) -> Result<(), Error> {
        let by = now.0.saturating_sub(now.before(by).0);
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query(SET_BACK).bind(scope.0).bind(now.0).bind(by).execute(connection).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Brings back entries that were put off under a clock which was ahead of `now`, by when their content was replaced or
    /// something went wrong: each waits as long as it was to wait then, and no longer than `cap`. Where nothing tells
    /// that and the due time lies further ahead than `cap`, the longest wait there is, they become due within `cap`,
    /// spread by `dice`. Says how many there were.
    pub async fn pull_in(
        self,
        scope: ScopeId,
        standing: Standing,
        cap: Duration,
        dice: u64,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let cap = now.after(cap).0.saturating_sub(now.0).max(1);
        // Small enough that adding to it cannot overflow.
        let offset = i64::from(u32::try_from(dice >> 32).unwrap_or(0));
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(PULL_IN)
                        .bind(scope.0)
                        .bind(standing_number(standing))
                        .bind(now.0)
                        .bind(cap)
                        .bind(offset);
                    Ok(query.execute(connection).await?.rows_affected())
                })
            })
            .await
    }

    /// Keeps the newest `keep` dead entries of each scope; at most `most` of the others go at once. Says how many went.
    pub async fn trim_dead(self, keep: u32, most: u32) -> Result<u64, Error> {
        let crowded = self.store.read(sqlx::query(CROWDED).bind(i64::from(keep))).await?;
        let Some(scope) = crowded.first().map(|found| row::number(found, 0)) else { return Ok(0) };
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(OLD_DEAD).bind(scope).bind(i64::from(keep)).bind(i64::from(most));
                    let old = query.fetch_all(&mut *connection).await?;
                    let old: Vec<EntryId> = old.iter().map(|found| EntryId(row::number(found, 0))).collect();
                    if old.is_empty() {
                        return Ok(0);
                    }
                    drop_for_good(connection, ids_json(&old)?).await
                })
            })
            .await
    }
}

fn ids_json(ids: &[EntryId]) -> Result<String, Error> {
    json(&ids.iter().map(|id| id.0).collect::<Vec<i64>>())
}

/// The rows that can be read, and the numbers of those that cannot.
async fn drop_for_good(connection: &mut SqliteConnection, ids: String) -> Result<u64, Error> {
    sqlx::query(REMEMBER_DROPPED).bind(ids.clone()).execute(&mut *connection).await?;
    // What was dropped may have arrived without an answer: nobody knows any more what the cloud has.
    sqlx::query(UNSENT_AGAIN).bind(ids.clone()).execute(&mut *connection).await?;
    Ok(sqlx::query(DROP).bind(ids).execute(connection).await?.rows_affected())
}

/// The entry of a row, or the number of one that is damaged.
fn entry(found: &SqliteRow) -> Result<Entry, EntryId> {
    row::or_warn(row::entry(found, 0)).ok_or_else(|| EntryId(row::number(found, 0)))
}

fn sort_out(found: Vec<Result<Entry, EntryId>>) -> (Vec<Entry>, Vec<EntryId>) {
    let mut entries = Vec::with_capacity(found.len());
    let mut damaged = Vec::new();
    for entry in found {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(id) => damaged.push(id),
        }
    }
    (entries, damaged)
}

/// By urgency, due time and age, but every parent before its children. A circle of parents is cut somewhere.
fn order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| (entry.asked, entry.due, entry.id));
    let mut ordered = Vec::with_capacity(entries.len());
    let mut waiting: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    for index in 0..waiting.len() {
        // From this one up to the outermost parent that is not placed yet.
        let mut chain = Vec::new();
        let mut next = Some(index);
        while let Some(entry) = next.and_then(|at| waiting.get_mut(at)).and_then(Option::take) {
            next = entry.registration.parent.and_then(|parent| {
                waiting
                    .iter()
                    .position(|other| other.as_ref().is_some_and(|other| other.registration.local == parent))
            });
            chain.push(entry);
        }
        ordered.extend(chain.into_iter().rev());
    }
    ordered
}
