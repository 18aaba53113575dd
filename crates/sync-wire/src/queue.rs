//! What the routes below `/v1/queue` are asked and answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::status::LastError;

/// An entry of the queue: one project's newest registration that the cloud does not have yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItem {
    /// Its number; never used again for another entry.
    pub id: i64,
    /// The project.
    pub local_project_uuid: Uuid,
    /// The project's name.
    pub project_name: String,
    /// Where the project is.
    pub root_path: String,
    /// Where the entry stands.
    pub state: ItemState,
    /// How often it was replaced by something newer; the first is 1.
    pub revision: i64,
    /// Answers about this project itself that were against it.
    pub attempts: u32,
    /// When it is tried again; `null` while it is in flight or when it is dead.
    pub next_attempt_at: Option<String>,
    /// When the project began to wait.
    pub enqueued_at: String,
    /// Who wanted it.
    pub asked_by: AskedBy,
    /// What last went wrong with it.
    pub last_error: Option<LastError>,
}

/// As much of an entry as fits beside something else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItemBrief {
    /// Its number.
    pub id: i64,
    /// Where it stands.
    pub state: ItemState,
    /// Answers about this project itself that were against it.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<String>,
    /// What last went wrong with it.
    pub last_error: Option<LastError>,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// To be sent as soon as possible.
    Ready,
    /// To be sent later.
    Delayed,
    /// Being sent.
    InFlight,
    /// Waiting for a person, tried again daily.
    Parked,
    /// Refused for good.
    Dead,
}

impl ItemState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::InFlight => "in_flight",
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

/// Who wanted a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskedBy {
    /// A person or a tool; sent first.
    User,
    /// Discovery.
    Discovery,
}

/// A page of entries, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItemsPage {
    /// The entries.
    pub items: Vec<QueueItem>,
    /// What to hand in as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueItemsQuery {
    /// Only those in this state.
    pub state: Option<ItemState>,
    /// At most this many.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Body of `POST /v1/queue/flush`: send all that waits now, whatever the pauses say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlushRequest {
    /// How long to wait for the end of it, in milliseconds; nothing or 0: not at all.
    #[serde(default, deserialize_with = "crate::whole::optional")]
    #[schemars(range(max = 600_000))]
    pub wait_ms: Option<u64>,
}

/// What a flush came to within the wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlushAnswer {
    /// Entries the cloud took.
    pub delivered: u64,
    /// Entries that still wait.
    pub remaining: u64,
    /// Entries that the cloud refused for good, of all times.
    pub dead: u64,
}

/// What `POST /v1/queue/retry-dead` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryDeadAnswer {
    /// How many dead entries wait again.
    pub retried: u64,
}
