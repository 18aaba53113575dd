//! Makes rows of the old cache mappings.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::SqliteConnection;
use sync_core::{LocalId, Mapping, Scope, ScopeId, Tenant, Timestamp};

use super::cache::{Known, OldMappings};
use super::note::{self, AsideRow, Note, noted};
use super::{Heir, Taken};
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row::{self, mapping_columns};
use crate::sql::{Hex, json};
use crate::{mapping, scope};

crate::sql::statements! {
    SENT = concat!("\
        select ", mapping_columns!(), "
        from json_each(?2) as w
        cross join mapping m on m.scope = ?1 and m.local = unhex(w.value)");
}

/// Keeps rows of the old cache.
pub(super) async fn mappings(
    connection: &mut SqliteConnection,
    rows: OldMappings,
    heir: &Heir,
    life: Duration,
    dice: u64,
    now: Timestamp,
) -> Result<Taken, Error> {
    let OldMappings { path, file, rows, .. } = rows;
    let before = noted(connection, file, rows.iter().map(|row| row.name.clone())).await?;
    let mut taken = Taken::default();
    let (mut notes, mut aside) = (Vec::new(), Vec::new());
    let mut by_scope: BTreeMap<ScopeId, BTreeMap<LocalId, Mapping>> = BTreeMap::new();
    for (number, row) in (0_u64..).zip(rows) {
        if before.get(&row.name) == Some(&row.content) {
            continue;
        }
        match row.said {
            Ok(known) => {
                let Some(scope) = owner(connection, &known, heir).await? else {
                    taken.left += 1;
                    continue;
                };
                let throw = dice.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                by_scope.entry(scope).or_default().insert(known.local, known.mapping(life, throw, now));
            }
            Err(reason) => aside.push((row.name.clone(), reason)),
        }
        notes.push(Note::new(row.name, row.content));
    }
    for (scope, mut mappings) in by_scope {
        let keys: Vec<Hex> = mappings.keys().map(|local| Hex::of(local.0)).collect();
        for found in sqlx::query(SENT).bind(scope.0).bind(json(&keys)?).fetch_all(&mut *connection).await? {
            if let Some(ours) = row::or_warn(row::mapping(&found, 0)) {
                mappings.remove(&ours.local);
            }
        }
        let mappings: Vec<Mapping> = mappings.into_values().collect();
        taken.mappings += mappings.len() as u64;
        mapping::put_all(connection, scope, &mappings, now).await?;
    }
    taken.aside = aside.len() as u64;
    let mut events = Vec::new();
    if taken.mappings > 0 {
        let message = format!("{} known UUIDs of the old client from {}", taken.mappings, path.display());
        events.push(NewEvent::new("legacy.taken", None, message, now));
    }
    let lines: Vec<AsideRow> =
        aside.iter().map(|(name, reason)| AsideRow::new(&path, name, "cache", name, reason, now)).collect();
    if let Some((_, reason)) = aside.first() {
        taken.reasons.push(reason.clone());
        let message = format!("{} rows of {} were set aside: {reason}", aside.len(), path.display());
        events.push(NewEvent::new("legacy.aside", None, message, now));
    }
    note::put_aside(connection, &lines).await?;
    note::add(connection, file, &notes).await?;
    event::append(connection, &events).await?;
    Ok(taken)
}

/// Whose a row of the cache is; `None` while that is not known.
async fn owner(
    connection: &mut SqliteConnection,
    known: &Known,
    heir: &Heir,
) -> Result<Option<ScopeId>, Error> {
    match (&known.tenant, &heir.scope.tenant) {
        (None, Tenant::Unknown) => Ok(None),
        (None, Tenant::Opaque | Tenant::Named(_)) => Ok(Some(heir.id)),
        (Some(theirs), Tenant::Named(ours)) if theirs == ours => Ok(Some(heir.id)),
        (Some(theirs), Tenant::Unknown | Tenant::Opaque | Tenant::Named(_)) => {
            let scope = Scope { origin: heir.scope.origin.clone(), tenant: Tenant::Named(theirs.clone()) };
            scope::ensure(connection, &scope).await.map(Some)
        }
    }
}
