//! Puts projects that the old queue names on record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::SqliteConnection;
use sync_core::{
    Asked, Change, ChangeKind, Given, MachineId, Presence, Project, Registration, Timestamp, Vcs,
};

use super::keep::Decided;
use super::rule::Decision;
use crate::apply;
use crate::error::Error;
use crate::row::{self, project_columns};
use crate::sql::{Hex, json};

crate::sql::statements! {
    AT_ROOTS = concat!("\
        select ", project_columns!(), "
        from json_each(?1) as w
        cross join project p on p.presence = 0 and p.root = unhex(w.value)");
}

/// Puts projects on record as a tool named them, so that discovery finds them under the UUIDs they have.
pub(super) async fn record_all(
    connection: &mut SqliteConnection,
    kept: &[Decided],
    machine: MachineId,
    now: Timestamp,
) -> Result<(), Error> {
    let here = || kept.iter().filter(|project| project.decision.registration.machine == machine);
    let roots: Vec<Hex> = here().map(|project| Hex::path(&project.decision.registration.root)).collect();
    let roots = json(&roots)?;
    let mut owners: BTreeMap<PathBuf, Project> = BTreeMap::new();
    for found in sqlx::query(AT_ROOTS).bind(&roots).fetch_all(&mut *connection).await? {
        if let Some(project) = row::or_warn(row::project(&found, 0)) {
            owners.insert(project.root.clone(), project);
        }
    }
    // Of two projects that name one folder, the one that was named last has it.
    let mut last_named: BTreeMap<&Path, i64> = BTreeMap::new();
    for project in here() {
        let named = last_named.entry(&project.decision.registration.root).or_insert(i64::MIN);
        *named = number(project).max(*named);
    }
    let changes: Vec<Change> = here()
        .filter_map(|project| {
            let Decided { decision, record, .. } = project;
            let root = decision.registration.root.as_path();
            let owner = owners.get(root).filter(|owner| owner.local != decision.registration.local);
            let told_later = owner
                .is_some_and(|owner| owner.asked == Asked::ByUser && owner.seen_at > decision.content_at);
            let has_root = !told_later && last_named.get(root) == Some(&number(project));
            recorded(decision, record.as_ref(), has_root, now)
        })
        .collect();
    if !changes.is_empty() {
        apply::record(connection, &changes, now).await?;
    }
    Ok(())
}

fn number(project: &Decided) -> i64 {
    project.rows.last().map_or(i64::MIN, |row| row.number)
}

fn recorded(decision: &Decision, record: Option<&Project>, has_root: bool, now: Timestamp) -> Option<Change> {
    let Registration { local, machine: _, name, root, language, framework, content_hash, kind, parent } =
        decision.registration.clone();
    let blank = Project {
        local,
        root: root.clone(),
        place: None,
        born: None,
        vcs_place: None,
        vcs: Vcs::default(),
        name: String::new(),
        language: String::new(),
        framework: String::new(),
        content_hash: String::new(),
        kind,
        parent: None,
        given: Given::default(),
        presence: Presence::Missing,
        asked: Asked::ByUser,
        first_seen_at: now,
        seen_at: now,
    };
    let before = record.unwrap_or(&blank);
    let moved = before.root != root;
    let named = decision.newer || record.is_none();
    let presence = match (has_root, named) {
        (false, _) => Presence::Missing,
        (true, true) => Presence::Present,
        (true, false) => before.presence,
    };
    let project = Project {
        root,
        place: before.place.filter(|_| !moved),
        born: before.born.filter(|_| !moved),
        vcs_place: before.vcs_place.filter(|_| !moved),
        name,
        language,
        framework,
        content_hash,
        kind,
        parent,
        // What was decided is what is queued, and a record that says something else would be sent after it: a newer row
        // says something else about what was given, an older one only what was lacking.
        given: before.given.and(decision.given),
        presence,
        asked: Asked::ByUser,
        // As old as what it says.
        seen_at: if decision.newer { decision.content_at } else { before.seen_at },
        ..before.clone()
    };
    let kind = match record {
        None => ChangeKind::Added,
        Some(before) if *before == project => return None,
        Some(before) if moved => ChangeKind::Moved { from: before.root.clone() },
        Some(_) => ChangeKind::Changed,
    };
    Some(Change { kind, project })
}
