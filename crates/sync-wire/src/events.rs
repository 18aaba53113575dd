//! What `GET /v1/events` is asked and sends, one event at a time.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kind of an event that says that others are missing before it.
pub const GAP: &str = "gap";

/// After this much silence the daemon says that it is still there, so whoever hears nothing for much longer has lost it.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its number. Numbers only grow; hand the last one in as `Last-Event-ID` or `since` to go on after it.
    pub id: i64,
    /// When.
    pub at: String,
    /// What, for example `project.added`; `gap` where events are missing.
    pub kind: String,
    /// The project it is about.
    pub local_project_uuid: Option<Uuid>,
    /// For people.
    pub message: String,
    /// With `gap`: which events were asked for and are no longer kept; `null` where the numbers began anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

/// Events that are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missed {
    /// The first of them.
    pub first: i64,
    /// The last of them.
    pub last: i64,
}

/// Which events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// Those after this number; without it those that happen from now on.
    pub since: Option<i64>,
    /// Whether to wait for more at the end of those that are known.
    pub follow: bool,
}
