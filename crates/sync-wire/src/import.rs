//! What `POST /v1/import` is asked and answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which databases of the old client to take over now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// An absolute path: the folder they are in, or the data folder above it; nothing: this machine's data folder.
    #[schemars(regex(pattern = r"^/[^\u0000]*$"), length(max = 4096))]
    pub from: Option<String>,
}

/// What the take-over came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportAnswer {
    /// Registrations of the old queue that were taken.
    pub registrations: u64,
    /// Projects that the cloud is told of because of them.
    pub queued: u64,
    /// Known UUIDs of the old cache that were taken.
    pub mappings: u64,
    /// Rows that say nothing that could be kept; they were set aside.
    pub set_aside: u64,
    /// Rows that stay for now: the queue is full, or it is not known yet whose they are.
    pub left: u64,
    /// What was in the way, a sentence for each database.
    pub problems: Vec<String>,
}
