//! What `GET /v1/discovery/inspect` answers, and what `coditect-syncd inspect` prints a line of for each project.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::projects::{Project, ProjectType};

/// The projects a path stands for: the innermost one that holds it, else all below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InspectAnswer {
    /// Each as it is on disk and as it is on record.
    pub projects: Vec<Inspected>,
    /// How many more there are than are told.
    pub more: u64,
    /// Places that could not be read, and why.
    pub problems: Vec<String>,
}

/// A project as it is on disk and as it is on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inspected {
    /// What is, or would be, registered.
    pub seen: Inspection,
    /// What is known of it on this machine; `null` where it is not known.
    pub on_record: Option<Project>,
    /// The fields in which the record says something else than the disk.
    pub differs: Vec<String>,
}

/// A project as it would be registered, and what every field was told by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// Where it is. Bytes that are not UTF-8 are replaced; see `root_path_exact`.
    pub root_path: String,
    /// The path's bytes, percent-encoded; only there where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_path_exact: Option<String>,
    /// Its name.
    pub project_name: String,
    /// GitHub Linguist's name of its main language, or empty.
    pub primary_language: String,
    /// Its framework, or empty.
    pub framework: String,
    /// Hex id of the git tree its files make, or empty.
    pub content_hash: String,
    /// How it stands to others.
    pub project_type: ProjectType,
    /// The root of the project it lies in.
    pub parent_root_path: Option<String>,
    /// What the fields were told by.
    pub evidence: Evidence,
    /// What could not be read or told.
    pub warnings: Vec<String>,
}

/// What the fields of an inspection were told by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Its version control: `git`, `hg`, `jj`, `svn` or `none`.
    pub version_control: String,
    /// What makes the folder a project.
    pub root_path: Proof,
    /// Where the name is from.
    pub project_name: Proof,
    /// How the main language was told.
    pub primary_language: Proof,
    /// The languages that count, the most bytes first.
    pub languages: Vec<LanguageShare>,
    /// How the framework was told.
    pub framework: Proof,
    /// What the hash was made of.
    pub content_hash: Proof,
    /// How the type was told.
    pub project_type: Proof,
    /// The packages of a declared workspace, from the root; `.` is the root itself.
    pub members: Vec<String>,
    /// Which project it lies in.
    pub parent_root_path: Proof,
}

/// What one field was told by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The rule that decided, in words.
    pub rule: String,
    /// The files that show it, from the project's root.
    pub files: Vec<String>,
    /// What was seen, in words.
    pub found: Vec<String>,
    /// What did not count and why, in words.
    pub left_out: Vec<String>,
}

/// How much of a project is written in one language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LanguageShare {
    /// GitHub Linguist's name.
    pub language: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
}
