//! What `GET /v1/resolve` is asked and answers, the cloud's UUID of a project, and what
//! `GET /v1/registrations/{cloud_uuid}` answers: what the cloud says of one.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The cloud's UUID of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResolveAnswer {
    /// Its UUID here.
    pub local_project_uuid: Uuid,
    /// Its UUID there.
    pub cloud_uuid: Uuid,
    /// The tenant it belongs to, where the cloud named one.
    pub tenant_id: Option<String>,
    /// The cloud's word for its registration.
    pub registration_status: String,
    /// Where the answer is from.
    pub source: Source,
    /// Whether it is past its time; the daemon asks again by itself.
    pub stale: bool,
    /// When the cloud last said so.
    pub cached_at: String,
    /// Until when it is believed.
    pub expires_at: String,
}

/// A registration as the cloud tells of it now, on whichever machine it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationAnswer {
    /// Its UUID in the cloud.
    pub cloud_uuid: Uuid,
    /// The project's UUID on its own machine, where that is known.
    pub local_project_uuid: Option<Uuid>,
    /// Whether it is a project of this machine.
    pub on_this_machine: bool,
    /// The tenant it belongs to, where that has a name.
    pub tenant_id: Option<String>,
    /// The cloud's word for it; empty where it had none.
    pub registration_status: String,
    /// When it was registered, where the cloud told that.
    pub registered_at: Option<String>,
    /// The whole answer of the cloud, with what is not known here too.
    pub told: Map<String, Value>,
}

/// Where an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was known.
    Cache,
    /// The cloud was asked for it.
    Cloud,
}

/// Of which project the UUID is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The one with this UUID here.
    Local(Uuid),
    /// The innermost one that holds this path, which is absolute.
    Path(PathBuf),
}

/// What is asked of `GET /v1/resolve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveQuery {
    /// Of which project.
    pub subject: Subject,
    /// Whether to ask the cloud even if the answer is known.
    pub refresh: bool,
    /// How long to wait for the cloud, in milliseconds; the daemon's default is 1,500.
    pub wait_ms: Option<u64>,
}
