//! A project as the cloud has it, the rule by which a registration changes it, and its rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::contract::Registration;
use crate::error::Error;
use crate::ledger::Effect;

/// A project in the book. UUIDs are in lower case with hyphens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Project {
    /// Whose it is.
    pub tenant_id: String,
    /// The machine it lies on.
    pub machine_uuid: String,
    /// Its UUID on that machine.
    pub local_project_uuid: String,
    /// The cloud's UUID of it; never changes.
    pub cloud_uuid: String,
    /// Its name.
    pub project_name: String,
    /// Where it lies.
    pub root_path: String,
    /// The language most of it is written in.
    pub primary_language: String,
    /// The framework it uses.
    pub framework: String,
    /// The hash of its content.
    pub content_hash: String,
    /// `standalone`, `submodule` or `monorepo`.
    pub project_type: String,
    /// The local UUID of the project it belongs to.
    pub parent_project_uuid: Option<String>,
    /// The highest revision it was registered with, where the client told one.
    pub revision: Option<i64>,
    /// When it is registered, ms since 1970; ahead of the clock while it is pending.
    pub registered_at_ms: i64,
    /// When it changed last, ms since 1970.
    pub updated_at_ms: i64,
    /// True where nobody can look it up while it is pending.
    pub hidden: bool,
}

/// What tells one project from all others within a tenant: machine and local UUID.
pub(crate) type Key = (String, String);

impl Project {
    /// A project that was not known before; it stays pending for `pending_ms`.
    pub(crate) fn create(tenant: &str, sent: &Registration, now_ms: i64, pending_ms: i64) -> Self {
        Self {
            tenant_id: tenant.to_owned(),
            machine_uuid: sent.machine.to_string(),
            local_project_uuid: sent.local.to_string(),
            cloud_uuid: Uuid::new_v4().to_string(),
            project_name: sent.name.clone(),
            root_path: sent.root_path.clone(),
            primary_language: sent.primary_language.clone(),
            framework: sent.framework.clone(),
            content_hash: sent.content_hash.clone(),
            project_type: sent.project_type.clone(),
            parent_project_uuid: sent.parent.map(|parent| parent.to_string()),
            revision: sent.revision,
            registered_at_ms: now_ms.saturating_add(pending_ms),
            updated_at_ms: now_ms,
            hidden: false,
        }
    }

    /// Takes what a registration says, unless it is known to be older than what is here.
    pub(crate) fn take(&mut self, sent: &Registration, now_ms: i64) -> Effect {
        // Invariant: the revision only grows.
        if sent.revision.zip(self.revision).is_some_and(|(sent, known)| sent < known) {
            return Effect::Stale;
        }
        let before = self.clone();
        self.project_name.clone_from(&sent.name);
        self.root_path.clone_from(&sent.root_path);
        self.primary_language.clone_from(&sent.primary_language);
        self.framework.clone_from(&sent.framework);
        self.content_hash.clone_from(&sent.content_hash);
        self.project_type.clone_from(&sent.project_type);
        self.parent_project_uuid = sent.parent.map(|parent| parent.to_string());
        let same = *self == before;
        self.revision = sent.revision.or(self.revision);
        if same {
            return Effect::Unchanged;
        }
        self.updated_at_ms = now_ms;
        Effect::Updated
    }

    /// Whether the registration is still to come.
    pub(crate) fn pending(&self, now_ms: i64) -> bool {
        self.registered_at_ms > now_ms
    }

    /// The contract's `CloudProject`.
    pub(crate) fn as_answer(&self, now_ms: i64) -> Value {
        let mut answer = json!({
            "cloud_uuid": self.cloud_uuid,
            "local_project_uuid": self.local_project_uuid,
            "tenant_id": self.tenant_id,
        });
        if self.pending(now_ms) {
            answer["registration_status"] = json!("pending");
        } else {
            answer["registration_status"] = json!("registered");
            answer["registered_at"] = json!(rfc3339(self.registered_at_ms));
        }
        answer
    }

    pub(crate) fn key(&self) -> Key {
        (self.machine_uuid.clone(), self.local_project_uuid.clone())
    }
}

const KNOWN: &str = "
select p.tenant, p.machine, p.local, p.cloud, p.name, p.root_path, p.primary_language, p.framework,
       p.content_hash, p.project_type, p.parent, p.revision, p.registered_at, p.updated_at, p.hidden
from jsonb_each(?2) asked
cross join project p on p.tenant = ?1 and p.machine = asked.value ->> 0 and p.local = asked.value ->> 1";

/// The projects of a tenant among those asked for.
pub(crate) async fn known(
    connection: &mut SqliteConnection,
    tenant: &str,
    keys: &[Key],
) -> Result<BTreeMap<Key, Project>, Error> {
    let asked = serde_json::to_string(keys)?;
    let rows = sqlx::query(KNOWN).bind(tenant).bind(asked).fetch_all(connection).await?;
    rows.iter().map(|row| from_row(row).map(|project| (project.key(), project))).collect()
}

const BY_CLOUD: &str = "
select tenant, machine, local, cloud, name, root_path, primary_language, framework,
       content_hash, project_type, parent, revision, registered_at, updated_at, hidden
from project
where cloud = ?1 and tenant = ?2";

/// The project of a tenant with this cloud UUID.
pub(crate) async fn by_cloud(
    connection: &mut SqliteConnection,
    tenant: &str,
    cloud: &str,
) -> Result<Option<Project>, Error> {
    let rows = sqlx::query(BY_CLOUD).bind(cloud).bind(tenant).fetch_all(connection).await?;
    rows.first().map(from_row).transpose()
}

const ALL: &str = "
select tenant, machine, local, cloud, name, root_path, primary_language, framework,
       content_hash, project_type, parent, revision, registered_at, updated_at, hidden
from project
order by tenant, machine, local";

/// Every project of every tenant.
pub(crate) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Project>, Error> {
    sqlx::query(ALL).fetch_all(connection).await?.iter().map(from_row).collect()
}

const WRITE: &str = "
insert into project (tenant, machine, local, cloud, name, root_path, primary_language, framework,
                     content_hash, project_type, parent, revision, registered_at, updated_at, hidden)
select value ->> 'tenant_id', value ->> 'machine_uuid', value ->> 'local_project_uuid',
       value ->> 'cloud_uuid', value ->> 'project_name', value ->> 'root_path',
       value ->> 'primary_language', value ->> 'framework', value ->> 'content_hash',
       value ->> 'project_type', value ->> 'parent_project_uuid', value ->> 'revision',
       value ->> 'registered_at_ms', value ->> 'updated_at_ms', value ->> 'hidden'
from jsonb_each(?1)
where true
on conflict (tenant, machine, local) do update set
    name = excluded.name, root_path = excluded.root_path, primary_language = excluded.primary_language,
    framework = excluded.framework, content_hash = excluded.content_hash, project_type = excluded.project_type,
    parent = excluded.parent, revision = excluded.revision, updated_at = excluded.updated_at";

/// Writes new and changed projects in one statement.
pub(crate) async fn write(connection: &mut SqliteConnection, projects: &[Project]) -> Result<(), Error> {
    if projects.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(projects)?;
    sqlx::query(WRITE).bind(rows).execute(connection).await?;
    Ok(())
}

fn from_row(row: &SqliteRow) -> Result<Project, Error> {
    Ok(Project {
        tenant_id: row.try_get(0)?,
        machine_uuid: row.try_get(1)?,
        local_project_uuid: row.try_get(2)?,
        cloud_uuid: row.try_get(3)?,
        project_name: row.try_get(4)?,
        root_path: row.try_get(5)?,
        primary_language: row.try_get(6)?,
        framework: row.try_get(7)?,
        content_hash: row.try_get(8)?,
        project_type: row.try_get(9)?,
        parent_project_uuid: row.try_get(10)?,
        revision: row.try_get(11)?,
        registered_at_ms: row.try_get(12)?,
        updated_at_ms: row.try_get(13)?,
        hidden: row.try_get(14)?,
    })
}
