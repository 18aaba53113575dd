//! What `POST /v1/projects` and `POST /v1/projects/sync` are asked and answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::projects::ProjectType;

/// A project to be registered. What is left out is found out by looking at the path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Where it is: an absolute path.
    #[schemars(regex(pattern = r"^/[^\u0000]*$"), length(max = 4096))]
    pub root_path: String,
    /// The path's bytes, percent-encoded, where they are not UTF-8; then this one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(/|%2[Ff])(?:(?!%00)[^\u0000])*$"), length(max = 12288))]
    pub root_path_exact: Option<String>,
    /// Its UUID here; by default the one that is known for the path, else one made from the machine and the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_project_uuid: Option<Uuid>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    /// Its main language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_language: Option<String>,
    /// Its framework.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// Hash of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// How it stands to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_type: Option<ProjectType>,
    /// The project that encloses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_project_uuid: Option<Uuid>,
    /// Whether fields that were given earlier, and are not now, are found out again by looking; else they stay as they were
    /// given, whatever is seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detected: bool,
    /// Whether to send it even if the cloud has it as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// How long to wait for the cloud, in milliseconds; nothing or 0: not at all.
    #[serde(default, deserialize_with = "crate::whole::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 600_000))]
    pub wait_ms: Option<u64>,
}

/// Several projects to be registered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// The projects. Their own `force` and `wait_ms` are not read.
    pub projects: Vec<RegisterRequest>,
    /// Whether to send them even if the cloud has them as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// How long to wait for all of them, in milliseconds; nothing or 0: not at all.
    #[serde(default, deserialize_with = "crate::whole::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 600_000))]
    pub wait_ms: Option<u64>,
}

/// What became of one project, in the shape the Python client has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncResult {
    /// The project.
    pub local_project_uuid: Uuid,
    /// Whether the cloud has it, or it waits safely on disk.
    pub success: bool,
    /// Its UUID in the cloud, where that is known.
    pub cloud_uuid: Option<Uuid>,
    /// `registered`, `cached`, `queued`, `error`, or a word of the cloud's.
    pub status: String,
    /// Whether it waits to be sent.
    pub queued: bool,
    /// What went wrong.
    pub error: Option<String>,
}

impl SyncResult {
    /// The `status` of a project the cloud took just now.
    pub const REGISTERED: &'static str = "registered";
    /// The `status` of a project the cloud has had as it is.
    pub const CACHED: &'static str = "cached";
    /// The `status` of a project that waits to be sent.
    pub const QUEUED: &'static str = "queued";
    /// The `status` of a project that cannot be registered.
    pub const ERROR: &'static str = "error";
}

/// What became of several projects, by their UUIDs here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncResults {
    /// One result for each project that was asked for.
    pub results: BTreeMap<Uuid, SyncResult>,
}
