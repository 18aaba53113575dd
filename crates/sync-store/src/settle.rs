//! How a flight ends in the database: rows out or changed, mappings in, events, in one commit.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Serialize;
use sqlx::SqliteConnection;
use sync_core::{
    CloudId, CloudProject, Failure, Fate, LocalId, Mapping, Revision, ScopeId, Settled, Standing, Timestamp,
    is_final, lifetime,
};
use uuid::Uuid;

use crate::error::Error;
use crate::mapping;
use crate::row::{self, Columns};
use crate::sql::{Hex, json, together};

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
    // Mostly nothing: rows that cross to the caller cost more than finding them.
    ODD = "\
        select w.key, o.id is not null, o.revision, m.cloud
        from json_each(?2) as w
        left join outbox o on o.id = w.value ->> 0 and o.scope = ?1
        left join mapping m on m.scope = ?1 and m.local = unhex(w.value ->> 2)
        where o.id is null or o.revision <> w.value ->> 1 or m.cloud <> unhex(w.value ->> 3)";
    // Before the rows go, since they hold the names.
    TELL = "\
        with w as materialized (select key, value from json_each(?1))
        insert into event (at, kind, local, message)
        select
            w.value ->> 'at', w.value ->> 'kind', unhex(w.value ->> 'local'),
            case
                when w.value ->> 'entry' is null then ''
                else coalesce(
                    (
                        select cast(name as text) from outbox
                        where id = w.value ->> 'entry' and scope = w.value ->> 'scope'
                    ),
                    'left the queue'
                ) || ': '
            end || cast(unhex(w.value ->> 'message') as text)
        from w
        order by w.key";
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

/// Everything in one trip to SQLite's thread.
static WRITE: LazyLock<String> = LazyLock::new(|| together(&[TELL, REMOVE, CHANGE, mapping::PUT]));

/// In what the database is not as it was when the flight went.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Odd {
    row: Row,
    /// The project's UUID in the cloud, where it is another than the cloud says now.
    cloud_before: Option<CloudId>,
}

/// What became of the row while it flew.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Row {
    #[default]
    AsSent,
    Replaced,
    Gone,
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

/// An event as it travels to [`TELL`], which puts the name of the entry's project before the message.
#[derive(Serialize)]
struct Told {
    at: i64,
    kind: &'static str,
    local: Hex,
    scope: i64,
    entry: Option<i64>,
    message: Hex,
}

/// Everything there is to write.
struct Effects {
    scope: ScopeId,
    now: Timestamp,
    removed: Vec<(i64, i64)>,
    changed: Vec<Changed>,
    mappings: Vec<mapping::NewRow>,
    events: Vec<Told>,
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
    let odd = read_odd(connection, scope, settled).await?;
    let mut effects = Effects::new(scope, now);
    for (number, one) in settled.iter().enumerate() {
        let scattered = scatter(dice.wrapping_add(number as u64));
        effects.add(one, odd.get(&number).copied().unwrap_or_default(), lifetime(now, life, scattered));
    }
    if effects.removed.is_empty() && effects.changed.is_empty() && effects.mappings.is_empty() {
        return Ok(effects.report);
    }
    sqlx::query(WRITE.as_str())
        .bind(json(&effects.events)?)
        .bind(json(&effects.removed)?)
        .bind(json(&effects.changed)?)
        .bind(json(&effects.mappings)?)
        .execute(connection)
        .await?;
    Ok(effects.report)
}

impl Effects {
    fn new(scope: ScopeId, now: Timestamp) -> Self {
        Self {
            scope,
            now,
            removed: Vec::new(),
            changed: Vec::new(),
            mappings: Vec::new(),
            events: Vec::new(),
            report: SettleReport::default(),
        }
    }

    fn add(&mut self, settled: &Settled, odd: Odd, refresh: (Timestamp, Timestamp)) {
        match odd.row {
            Row::AsSent => {}
            Row::Replaced => self.report.superseded += 1,
            Row::Gone => self.report.gone += 1,
        }
        let now = self.now;
        match &settled.fate {
            // What the cloud took is kept even when the row is not there any more.
            Fate::Delivered(cloud) => {
                self.delivered(settled, cloud, odd.cloud_before, refresh);
                if odd.row == Row::AsSent {
                    self.removed.push((settled.entry.0, settled.revision.0));
                }
            }
            // What failed was older content; the newer has not been tried.
            Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_)
                if odd.row != Row::AsSent => {}
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
                self.tell("registration.parked", settled, &failure.message);
                self.changed.push(Changed::new(settled, Some(Standing::Parked), *due, Some(failure)));
            }
            Fate::Bury(failure) => {
                self.report.buried += 1;
                self.tell("registration.dead", settled, &failure.message);
                self.changed.push(Changed::new(settled, Some(Standing::Dead), now, Some(failure)).counted());
            }
        }
    }

    fn delivered(
        &mut self,
        settled: &Settled,
        cloud: &CloudProject,
        before: Option<CloudId>,
        refresh: (Timestamp, Timestamp),
    ) {
        if let Some(before) = before {
            let message = mapping::replaced(cloud.cloud, before);
            let told = self.told(mapping::REPLACED, settled, &message);
            self.events.push(Told { entry: None, ..told });
        }
        let mapping = told(settled, cloud, refresh, self.now);
        self.mappings.push(mapping::NewRow::new(self.scope, &mapping));
        self.report.delivered.push((settled.local, cloud.cloud));
        self.tell("registration.delivered", settled, &format!("is {} in the cloud", cloud.cloud));
    }

    fn tell(&mut self, kind: &'static str, settled: &Settled, message: &str) {
        let told = self.told(kind, settled, message);
        self.events.push(told);
    }

    fn told(&self, kind: &'static str, settled: &Settled, message: &str) -> Told {
        Told {
            at: self.now.0,
            kind,
            local: Hex::of(settled.local.0),
            scope: self.scope.0,
            entry: Some(settled.entry.0),
            message: Hex::of(message),
        }
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

/// What is not as it was, by the place among `settled`.
async fn read_odd(
    connection: &mut SqliteConnection,
    scope: ScopeId,
    settled: &[Settled],
) -> Result<BTreeMap<usize, Odd>, Error> {
    let rows: Vec<(i64, i64, Hex, Option<Hex>)> = settled
        .iter()
        .map(|one| {
            let cloud = match &one.fate {
                Fate::Delivered(project) => Some(Hex::of(project.cloud.0)),
                Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_) => None,
            };
            (one.entry.0, one.revision.0, Hex::of(one.local.0), cloud)
        })
        .collect();
    let found = sqlx::query(ODD).bind(scope.0).bind(json(&rows)?).fetch_all(connection).await?;
    let read = found.iter().filter_map(|found| {
        let number = usize::try_from(row::number(found, 0)).ok()?;
        let one = settled.get(number)?;
        let mut columns = Columns::new(found, 1, "outbox", one.entry.0.to_string());
        let there: bool = row::or_warn(columns.take("id"))?;
        let revision = there.then(|| row::or_warn(columns.take("revision"))).flatten().map(Revision);
        let row = match revision {
            // A row that cannot be read is as good as gone; it is dropped when it is chosen.
            None => Row::Gone,
            Some(revision) if revision == one.revision => Row::AsSent,
            Some(_) => Row::Replaced,
        };
        let mut columns = Columns::new(found, 3, "mapping", one.local.to_string());
        let before: Option<Vec<u8>> = row::or_warn(columns.take("cloud")).flatten();
        let before = before.and_then(|bytes| Uuid::from_slice(&bytes).ok()).map(CloudId);
        let cloud_before = match &one.fate {
            Fate::Delivered(project) => before.filter(|before| *before != project.cloud),
            Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_) => None,
        };
        Some((number, Odd { row, cloud_before }))
    });
    Ok(read.collect())
}

/// Another random number from each input (`SplitMix64`'s finishing steps).
fn scatter(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
