//! How a flight ends in the database: rows out or changed, mappings in, events, in one commit.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use sqlx::SqliteConnection;
use sync_core::{
    CloudId, CloudProject, EntryId, Failure, Fate, LocalId, Mapping, Revision, ScopeId, Settled, Standing,
    Timestamp, is_final, lifetime,
};

use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::mapping;
use crate::row::{self, Columns};
use crate::sql::{Hex, json};

/// When a status that is not final is asked for the first time.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// What settling a flight came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SettleReport {
    /// The projects the cloud has, and their UUIDs there.
    pub delivered: Vec<(LocalId, CloudId)>,
    /// The rows that were replaced while they flew; they wait with their newer content.
    pub superseded: u64,
    /// The rows that wait again.
    pub back: u64,
    /// The rows that wait for a person.
    pub parked: u64,
    /// The rows that are dead.
    pub buried: u64,
    /// The rows that were dropped or moved to another scope while they flew. What the cloud took is kept all the same.
    pub gone: u64,
}

crate::sql::statements! {
    FLOWN = "\
        select o.id, o.revision, o.name
        from json_each(?2) as w
        cross join outbox o on o.id = w.value and o.scope = ?1";
    REMOVE = "\
        delete from outbox
        where (id, revision) in (select w.value ->> 0, w.value ->> 1 from json_each(?1) as w)";
    CHANGE = "\
        with w as materialized (select value from json_each(?1))
        update outbox
        set
            standing = coalesce(w.value ->> 'standing', standing),
            attempts = attempts + (w.value ->> 'counts'),
            due = w.value ->> 'due',
            failure_code = coalesce(w.value ->> 'code', failure_code),
            failure_message = case
                when w.value ->> 'code' is null then failure_message
                else cast(unhex(w.value ->> 'message') as text)
            end,
            failure_at = coalesce(w.value ->> 'at', failure_at)
        from w
        where outbox.id = w.value ->> 'id' and outbox.revision = w.value ->> 'revision'";
}

/// What is known of a row when its flight ends.
struct Flown {
    revision: Revision,
    name: String,
}

/// A row as it is to stand from now on, as it travels to [`CHANGE`].
#[derive(Serialize, Debug)]
struct Changed {
    id: i64,
    revision: i64,
    /// `None`: as it stands.
    standing: Option<i64>,
    counts: i64,
    due: i64,
    code: Option<String>,
    message: Option<Hex>,
    at: Option<i64>,
}

impl Changed {
    fn new(settled: &Settled, standing: Option<Standing>, due: Timestamp, failure: Option<&Failure>) -> Self {
        Self {
            id: settled.entry.0,
            revision: settled.revision.0,
            standing: standing.map(row::standing_number),
            counts: 0,
            due: due.0,
            code: failure.map(|failure| failure.code.clone()),
            message: failure.map(|failure| Hex::of(&failure.message)),
            at: failure.map(|failure| failure.at.0),
        }
    }

    fn counted(self) -> Self {
        Self { counts: 1, ..self }
    }
}

/// Everything there is to write.
#[derive(Default)]
struct Effects {
    removed: Vec<(i64, i64)>,
    changed: Vec<Changed>,
    mappings: Vec<Mapping>,
    events: Vec<NewEvent>,
    report: SettleReport,
}

/// Applies the fates of a flight, inside the transaction that is open.
pub(crate) async fn settle(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    settled: &[Settled],
    life: Duration,
    dice: u64,
    now: Timestamp,
) -> Result<SettleReport, Error> {
    let flown = read_flown(connection, scope, settled).await?;
    let mut effects = Effects::default();
    for (number, one) in (0_u64..).zip(settled) {
        let refresh = lifetime(now, life, scatter(dice.wrapping_add(number)));
        if let Some(row) = flown.get(&one.entry) {
            effects.add(one, row, refresh, now);
        } else {
            effects.add_gone(one, refresh, now);
        }
    }
    if !effects.removed.is_empty() {
        sqlx::query(REMOVE).bind(json(&effects.removed)?).execute(&mut *connection).await?;
    }
    if !effects.changed.is_empty() {
        sqlx::query(CHANGE).bind(json(&effects.changed)?).execute(&mut *connection).await?;
    }
    mapping::put_all(connection, scope, &effects.mappings, now).await?;
    event::append(connection, &effects.events).await?;
    Ok(effects.report)
}

impl Effects {
    fn add(&mut self, settled: &Settled, row: &Flown, refresh: (Timestamp, Timestamp), now: Timestamp) {
        let replaced = row.revision != settled.revision;
        if replaced {
            self.report.superseded += 1;
        }
        match &settled.fate {
            Fate::Delivered(cloud) => {
                self.delivered(settled, cloud, &row.name, refresh, now);
                if !replaced {
                    self.removed.push((settled.entry.0, settled.revision.0));
                }
            }
            // What failed was older content; the newer has not been tried.
            Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_) if replaced => {}
            Fate::Back { due, failure } => {
                self.report.back += 1;
                self.changed.push(Changed::new(settled, None, *due, failure.as_ref()));
            }
            Fate::Retry { due, failure } => {
                self.report.back += 1;
                let changed = Changed::new(settled, Some(Standing::Ready), *due, Some(failure));
                self.changed.push(changed.counted());
            }
            Fate::Park { due, failure } => {
                self.report.parked += 1;
                self.event("registration.parked", settled.local, &row.name, &failure.message, now);
                self.changed.push(Changed::new(settled, Some(Standing::Parked), *due, Some(failure)));
            }
            Fate::Bury(failure) => {
                self.report.buried += 1;
                self.event("registration.dead", settled.local, &row.name, &failure.message, now);
                self.changed.push(Changed::new(settled, Some(Standing::Dead), now, Some(failure)).counted());
            }
        }
    }

    /// The row is not there any more: only what the cloud has now is worth keeping.
    fn add_gone(&mut self, settled: &Settled, refresh: (Timestamp, Timestamp), now: Timestamp) {
        self.report.gone += 1;
        match &settled.fate {
            Fate::Delivered(cloud) => self.delivered(settled, cloud, "left the queue", refresh, now),
            Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_) => {}
        }
    }

    fn delivered(
        &mut self,
        settled: &Settled,
        cloud: &CloudProject,
        name: &str,
        refresh: (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        self.mappings.push(told(settled, cloud, refresh, now));
        self.report.delivered.push((settled.local, cloud.cloud));
        let message = format!("is {} in the cloud", cloud.cloud);
        self.event("registration.delivered", settled.local, name, &message, now);
    }

    fn event(&mut self, kind: &'static str, local: LocalId, name: &str, message: &str, now: Timestamp) {
        self.events.push(NewEvent::new(kind, Some(local), format!("{name}: {message}"), now));
    }
}

fn told(
    settled: &Settled,
    cloud: &CloudProject,
    (expires_at, refresh_at): (Timestamp, Timestamp),
    now: Timestamp,
) -> Mapping {
    Mapping {
        local: settled.local,
        cloud: cloud.cloud,
        tenant: cloud.tenant.clone(),
        status: cloud.status.clone(),
        sent: Some(settled.hash),
        revision: settled.revision,
        cached_at: now,
        expires_at,
        refresh_at: if is_final(&cloud.status) { refresh_at } else { refresh_at.min(now.after(ASK_AGAIN)) },
    }
}

async fn read_flown(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    settled: &[Settled],
) -> Result<BTreeMap<EntryId, Flown>, Error> {
    let ids: Vec<i64> = settled.iter().map(|one| one.entry.0).collect();
    let rows = sqlx::query(FLOWN).bind(scope.0).bind(json(&ids)?).fetch_all(connection).await?;
    let read = rows.iter().map(|found| {
        let mut columns = Columns::new(found, 0, "outbox", row::number(found, 0).to_string());
        let id = EntryId(columns.take("id")?);
        let flown = Flown { revision: Revision(columns.take("revision")?), name: columns.take("name")? };
        Ok((id, flown))
    });
    Ok(read.filter_map(row::or_warn).collect())
}

/// Another random number from each input (`SplitMix64`'s finishing steps).
fn scatter(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
