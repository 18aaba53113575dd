//! Carries out one request that registers projects: one transaction, all of it or nothing.
//!
//! An Idempotency-Key that was applied before is answered as then and changes nothing. A request
//! of which something was refused or ignored is not remembered under its key, so that it can be
//! sent again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::clock::now_ms;
use crate::contract::Registration;
use crate::error::Error;
use crate::ledger::{self, Effect, LedgerEntry, Noted};
use crate::project::{self, Key, Project};

/// What one request wants registered.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) tenant: String,
    pub(crate) shape: Shape,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) later: Option<Later>,
    pub(crate) request: Noted,
    pub(crate) shown: Shown,
}

/// Which of the two calls it came by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Single,
    Batch,
}

/// One project and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) registration: Registration,
    pub(crate) treatment: Treatment,
}

/// What is to be done with a project.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Treatment {
    /// Registered and told of.
    Take,
    /// Registered, but missing from the answer.
    TakeSilently,
    /// Not registered, and missing from the answer.
    Ignore,
    /// Not registered, and the answer says why.
    Refuse(&'static str),
}

/// Projects are taken now and registered later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Later {
    pub(crate) after_ms: i64,
    /// Whether nothing can be looked up until then, and the answer names no UUID.
    pub(crate) hidden: bool,
}

/// What the client sees of the decided status, for the request log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    AsDecided,
    Instead(u16),
    Nothing,
}

impl Shown {
    pub(crate) fn of(self, decided: u16) -> Option<u16> {
        match self {
            Self::AsDecided => Some(decided),
            Self::Instead(status) => Some(status),
            Self::Nothing => None,
        }
    }
}

/// The answer to a submission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Decided {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Carries out a submission.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    submission: Submission,
) -> Result<Decided, Error> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let now = now_ms();
    let keys: Vec<Key> = submission.parcels.iter().map(key).collect();
    let mut projects = project::known(&mut transaction, &submission.tenant, &keys).await?;
    let given = match &submission.request.key {
        Some(key) => given_before(&mut transaction, &submission.tenant, key).await?,
        None => None,
    };
    let (decided, effects) = if let Some(given) = given {
        (given, vec![Effect::Replay; submission.parcels.len()])
    } else {
        let effects = take_all(&submission, &mut projects, now);
        let changed = changed(&submission.parcels, &keys, &effects, &projects);
        project::write(&mut transaction, &changed).await?;
        let results = results(&submission, &keys, &effects, &projects, now);
        let decided = decided(&submission, &effects, results);
        if let Some(key) = &submission.request.key
            && submission.parcels.iter().all(|parcel| parcel.treatment == Treatment::Take)
        {
            remember(&mut transaction, &submission.tenant, key, &decided).await?;
        }
        (decided, effects)
    };
    let entries = entries(&submission, &keys, &effects, &projects);
    ledger::write(&mut transaction, &entries, now).await?;
    ledger::note(&mut transaction, &submission.request, submission.shown.of(decided.status)).await?;
    transaction.commit().await?;
    Ok(decided)
}

fn key(parcel: &Parcel) -> Key {
    (parcel.registration.machine.to_string(), parcel.registration.local.to_string())
}

/// Lets every project take what was sent of it, in the order of the request.
fn take_all(submission: &Submission, projects: &mut BTreeMap<Key, Project>, now: i64) -> Vec<Effect> {
    let take = |parcel: &Parcel| match parcel.treatment {
        Treatment::Refuse(_) | Treatment::Ignore => Effect::Refused,
        Treatment::Take | Treatment::TakeSilently => match projects.entry(key(parcel)) {
            Entry::Occupied(mut known) => known.get_mut().take(&parcel.registration, now),
            Entry::Vacant(place) => {
                let pending_ms = submission.later.map_or(0, |later| later.after_ms);
                let mut project = Project::create(&submission.tenant, &parcel.registration, now, pending_ms);
                project.hidden = submission.later.is_some_and(|later| later.hidden);
                place.insert(project);
                Effect::Created
            }
        },
    };
    submission.parcels.iter().map(take).collect()
}

/// The projects to be written, each once. One that only learned a revision is among them.
fn changed(
    parcels: &[Parcel],
    keys: &[Key],
    effects: &[Effect],
    projects: &BTreeMap<Key, Project>,
) -> Vec<Project> {
    let mut touched = BTreeMap::new();
    for ((parcel, key), effect) in parcels.iter().zip(keys).zip(effects) {
        let wrote = match effect {
            Effect::Created | Effect::Updated => true,
            Effect::Unchanged => parcel.registration.revision.is_some(),
            Effect::Replay | Effect::Refused | Effect::Stale => false,
        };
        if let (true, Some(project)) = (wrote, projects.get(key)) {
            touched.insert(key, project.clone());
        }
    }
    touched.into_values().collect()
}

/// What the answer says of each project that it does not leave out.
fn results(
    submission: &Submission,
    keys: &[Key],
    effects: &[Effect],
    projects: &BTreeMap<Key, Project>,
    now: i64,
) -> Vec<Value> {
    let mut results = Vec::with_capacity(keys.len());
    for ((parcel, key), effect) in submission.parcels.iter().zip(keys).zip(effects) {
        match (&parcel.treatment, projects.get(key)) {
            (Treatment::Refuse(why), _) => results.push(json!({
                "local_project_uuid": key.1, "status": "error", "error": why,
            })),
            (Treatment::Take, Some(project)) => results.push(match submission.shape {
                Shape::Single => project.as_answer(now),
                Shape::Batch => result(project, *effect, now),
            }),
            (Treatment::Take | Treatment::TakeSilently | Treatment::Ignore, _) => {}
        }
    }
    results
}

fn result(project: &Project, effect: Effect, now: i64) -> Value {
    let status = match effect {
        Effect::Created | Effect::Updated | Effect::Unchanged if project.pending(now) => "pending",
        Effect::Created => "created",
        Effect::Updated => "updated",
        Effect::Unchanged | Effect::Stale | Effect::Replay => "synced",
        Effect::Refused => "error",
    };
    json!({
        "local_project_uuid": project.local_project_uuid,
        "cloud_uuid": project.cloud_uuid,
        "status": status,
        "tenant_id": project.tenant_id,
    })
}

fn decided(submission: &Submission, effects: &[Effect], mut results: Vec<Value>) -> Decided {
    // A refusal is said at once: hidden, it would look like a promise that was not kept.
    let refused = submission.parcels.iter().any(|parcel| matches!(parcel.treatment, Treatment::Refuse(_)));
    match (submission.shape, submission.later) {
        (_, Some(Later { hidden: true, .. })) if !refused => {
            Decided { status: 202, body: json!({"detail": "Accepted for later registration."}).to_string() }
        }
        (Shape::Single, later) => {
            let status = match (later, effects.first()) {
                (Some(_), _) => 202,
                (None, Some(Effect::Created)) => 201,
                (None, _) => 200,
            };
            Decided { status, body: results.pop().unwrap_or_else(|| json!({})).to_string() }
        }
        (Shape::Batch, later) => {
            let status = if later.is_some() { 202 } else { 200 };
            Decided { status, body: json!({"results": results}).to_string() }
        }
    }
}

fn entries(
    submission: &Submission,
    keys: &[Key],
    effects: &[Effect],
    projects: &BTreeMap<Key, Project>,
) -> Vec<LedgerEntry> {
    let route = match submission.shape {
        Shape::Single => "register",
        Shape::Batch => "sync",
    };
    let entry = |((parcel, key), effect): ((&Parcel, &Key), &Effect)| LedgerEntry {
        id: 0,
        time: String::new(),
        tenant: submission.tenant.clone(),
        machine_uuid: Some(key.0.clone()),
        route: route.to_owned(),
        local_project_uuid: Some(key.1.clone()),
        project_name: Some(parcel.registration.name.clone()),
        root_path: Some(parcel.registration.root_path.clone()),
        content_hash: Some(parcel.registration.content_hash.clone()),
        cloud_uuid: projects.get(key).map(|project| project.cloud_uuid.clone()),
        idempotency_key: submission.request.key.clone(),
        revision: parcel.registration.revision,
        effect: *effect,
        request: submission.request.number,
    };
    submission.parcels.iter().zip(keys).zip(effects).map(entry).collect()
}

const GIVEN: &str = "
select status, body
from answer
where tenant = ?1 and key = ?2";

async fn given_before(
    connection: &mut SqliteConnection,
    tenant: &str,
    key: &str,
) -> Result<Option<Decided>, Error> {
    let given: Option<(u16, String)> =
        sqlx::query_as(GIVEN).bind(tenant).bind(key).fetch_optional(connection).await?;
    Ok(given.map(|(status, body)| Decided { status, body }))
}

const REMEMBER: &str = "
insert into answer (tenant, key, status, body)
values (?1, ?2, ?3, ?4)";

async fn remember(
    connection: &mut SqliteConnection,
    tenant: &str,
    key: &str,
    decided: &Decided,
) -> Result<(), Error> {
    sqlx::query(REMEMBER)
        .bind(tenant)
        .bind(key)
        .bind(decided.status)
        .bind(&decided.body)
        .execute(connection)
        .await?;
    Ok(())
}
