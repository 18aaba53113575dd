//! What `GET /v1/events` sends, one event at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its number. Numbers only grow; hand the last one in as `Last-Event-ID` to go on after it.
    pub id: i64,
    /// When.
    pub at: String,
    /// What, for example `project.added`.
    pub kind: String,
    /// The project it is about.
    pub local_project_uuid: Option<Uuid>,
    /// More about it; depends on the kind.
    pub data: serde_json::Value,
}
