//! What `GET /v1/projects` and `GET /v1/projects/{local_uuid}` are asked and answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::queue::QueueItemBrief;

/// A project on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Its UUID here.
    pub local_project_uuid: Uuid,
    /// Its name.
    pub project_name: String,
    /// Where it is. Bytes that are not UTF-8 are replaced; see `root_path_exact`.
    pub root_path: String,
    /// The path's bytes, percent-encoded, where they are not UTF-8; else `null`.
    pub root_path_exact: Option<String>,
    /// GitHub Linguist's name of its main language, or empty.
    pub primary_language: String,
    /// Its framework, or empty.
    pub framework: String,
    /// Hex id of the git tree its files make, or empty.
    pub content_hash: String,
    /// How it stands to others.
    pub project_type: ProjectType,
    /// The project that encloses it.
    pub parent_project_uuid: Option<Uuid>,
    /// Which of these fields somebody gave, by their names here: a look at the folder does not replace them.
    #[serde(default)]
    pub given: Vec<String>,
    /// Its version control: `git`, `hg`, `jj`, `svn` or `none`.
    pub vcs: String,
    /// How it stands with the cloud.
    pub state: ProjectState,
    /// Its UUID in the cloud, once that is known.
    pub cloud_uuid: Option<Uuid>,
    /// The cloud's word for its registration.
    pub registration_status: Option<String>,
    /// When it became known.
    pub first_seen_at: String,
    /// When it was last seen as it is described here.
    pub seen_at: String,
    /// Its entry in the queue, while it has one.
    pub queue_item: Option<QueueItemBrief>,
}

/// How a project stands to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectType {
    /// By itself.
    Standalone,
    /// A git submodule of another.
    Submodule,
    /// A workspace of several packages.
    Monorepo,
}

impl ProjectType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Submodule => "submodule",
            Self::Monorepo => "monorepo",
        }
    }
}

/// How a project stands with the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectState {
    /// The cloud has it as it is.
    Registered,
    /// On its way.
    Pending,
    /// No longer on disk.
    Missing,
    /// The cloud does not want it.
    Rejected,
}

impl ProjectState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Pending => "pending",
            Self::Missing => "missing",
            Self::Rejected => "rejected",
        }
    }
}

/// A page of projects, in an order that does not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectsPage {
    /// The projects.
    pub projects: Vec<Project>,
    /// What to hand in as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Which projects are wanted. All parts narrow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectsQuery {
    /// Only those in this state.
    pub state: Option<ProjectState>,
    /// Only those of this type.
    #[serde(rename = "type")]
    pub project_type: Option<ProjectType>,
    /// Only those whose main language is this one.
    pub language: Option<String>,
    /// At most this many.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}
