//! What `GET /v1/diagnostics` answers: all that a report of a fault needs, and no secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::Event;
use crate::status::{Health, Ready, Status};

/// All that a report of a fault needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostics {
    /// When it was put together.
    pub at: String,
    /// What is left out on purpose.
    pub left_out: Vec<String>,
    /// The system: its name and the kind of processor.
    pub platform: String,
    /// How the daemon is doing.
    pub status: Status,
    /// Whether it can do its work.
    pub health: Health,
    /// Whether it takes requests.
    pub ready: Ready,
    /// Whether it runs with a cloud of its own (`--dev`).
    pub dev: bool,
    /// Where its files are, by what they are for.
    pub places: BTreeMap<String, String>,
    /// The configuration in force; secrets are hidden.
    pub configuration: serde_json::Value,
    /// What was counted since the start, by name.
    pub counters: BTreeMap<String, u64>,
    /// The database.
    pub store: StoreFigures,
    /// The process, where the system tells.
    pub process: ProcessFigures,
    /// What keeps the daemon from doing more than it has to.
    #[serde(default)]
    pub sandbox: SandboxFigures,
    /// What happened last, the newest last.
    pub events: Vec<Event>,
}

/// How the database is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreFigures {
    /// The size of its file, in bytes.
    pub file_bytes: Option<u64>,
    /// The length of its write-ahead log, in bytes.
    pub log_bytes: u64,
    /// Transactions since the start.
    pub commits: u64,
    /// What was written in them.
    pub jobs: u64,
    /// Since when nothing new is stored for want of room on the disk.
    pub disk_full_since: Option<String>,
    /// Whether room is kept for a full disk.
    pub room_kept: bool,
}

/// What the process uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessFigures {
    /// Memory it holds, pages of its program file included, in bytes.
    pub resident_bytes: Option<u64>,
    /// Memory of its own, in bytes.
    pub anonymous_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and sockets.
    pub open_files: Option<u64>,
}

/// What keeps the daemon from doing more than it has to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxFigures {
    /// Whether it can write to its own folders alone.
    pub confined: bool,
    /// These folders.
    pub folders: Vec<String>,
    /// The version of Landlock that sees to it.
    pub landlock: Option<u8>,
    /// Why it is not confined.
    pub why_not: Option<String>,
    /// Whether it and what it starts can gain no privileges, where the system tells.
    pub no_new_privileges: Option<bool>,
    /// Whether it is let make some system calls only, where the system tells.
    pub system_calls_filtered: Option<bool>,
}
