//! What each field of a sighting was told by: which rule, which file, and what was left out and why.

use serde::{Deserialize, Serialize};

/// What one field was told by.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Proof {
    /// The rule that decided, for people.
    pub rule: String,
    /// The files that show it, from the project's root.
    pub files: Vec<String>,
    /// What was seen, for people.
    pub found: Vec<String>,
    /// What did not count and why, for people.
    pub left_out: Vec<String>,
}

impl Proof {
    pub(crate) fn by(rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), ..Self::default() }
    }

    pub(crate) fn in_file(mut self, file: impl Into<String>) -> Self {
        self.files.push(file.into());
        self
    }

    pub(crate) fn seeing(mut self, found: impl Into<String>) -> Self {
        self.found.push(found.into());
        self
    }
}

/// How much of a project is written in one language.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// GitHub Linguist's name.
    pub language: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// How many files.
    pub files: usize,
}

/// What a project's fields were told by.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// What makes the folder a project.
    pub root_path: Proof,
    /// Where the name is from.
    pub project_name: Proof,
    /// How the main language was told.
    pub primary_language: Proof,
    /// How the framework was told.
    pub framework: Proof,
    /// What the hash was made of.
    pub content_hash: Proof,
    /// How the kind was told.
    pub project_type: Proof,
    /// Which project it lies in.
    pub parent_root_path: Proof,
    /// The languages that count, the most bytes first.
    pub languages: Vec<Share>,
    /// The packages of a declared workspace, from the root; `.` is the root itself.
    pub members: Vec<String>,
}
