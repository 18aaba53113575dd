//! A project that is known on this machine, and what changed about it.

use std::path::PathBuf;

use crate::entry::Asked;
use crate::given::{Field, Given};
use crate::ids::{LocalId, MachineId};
use crate::registration::{ProjectKind, Registration};
use crate::sighting::{Place, Vcs};
use crate::time::Timestamp;

/// Whether a project is on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Presence {
    /// It is there.
    Present,
    /// It was there. Nothing is ever deleted from the cloud for it.
    Missing,
}

/// A project on record. Records belong to the machine, not to a scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Project {
    /// Its UUID here.
    pub local: LocalId,
    /// Where it is, or was last; no two present projects share one.
    pub root: PathBuf,
    /// Where its root folder is on the file system; `None` for one that was only ever told of.
    pub place: Option<Place>,
    /// When its root folder was made, in nanoseconds since 1970, where the file system tells.
    pub born: Option<i64>,
    /// Where its version-control folder is.
    pub vcs_place: Option<Place>,
    /// Its version control.
    pub vcs: Vcs,
    /// The manifest's name, else the folder's, else what a tool called it.
    pub name: String,
    /// Linguist's name of the main language, or empty.
    pub language: String,
    /// The framework's slug, or empty.
    pub framework: String,
    /// Hex id of the git tree, or empty.
    pub content_hash: String,
    /// How it stands to others.
    pub kind: ProjectKind,
    /// The project that encloses it.
    pub parent: Option<LocalId>,
    /// Which of these fields somebody gave.
    pub given: Given,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether discovery keeps track of it, or only a user named it.
    pub asked: Asked,
    /// When it became known.
    pub first_seen_at: Timestamp,
    /// When it was last seen to be as recorded here.
    pub seen_at: Timestamp,
}

impl Project {
    /// Takes over from `record` what somebody gave then and nobody gives now. Once more changes nothing.
    pub fn keep_given(&mut self, record: &Self) {
        for field in self.given.kept(record.given) {
            match field {
                Field::Name => self.name.clone_from(&record.name),
                Field::Language => self.language.clone_from(&record.language),
                Field::Framework => self.framework.clone_from(&record.framework),
                Field::Kind => self.kind = record.kind,
                Field::Parent => self.parent = record.parent,
            }
            self.given = self.given.with(field);
        }
    }

    /// What the cloud is to know of it.
    pub fn registration(&self, machine: MachineId) -> Registration {
        Registration {
            local: self.local,
            machine,
            name: self.name.clone(),
            root: self.root.clone(),
            language: self.language.clone(),
            framework: self.framework.clone(),
            content_hash: self.content_hash.clone(),
            kind: self.kind,
            parent: self.parent,
        }
    }
}

/// What happened to a project since it was last looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It was not known.
    Added,
    /// Something the cloud is told of it is different.
    Changed,
    /// It is at another path; this is the old one.
    Moved {
        /// Where it was.
        from: PathBuf,
    },
    /// It was missing and is there again, as itself.
    Returned,
    /// It is gone from disk.
    Missing,
}

impl ChangeKind {
    /// A short lower-case word, used as the event's kind after `project.`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Moved { .. } => "moved",
            Self::Returned => "returned",
            Self::Missing => "missing",
        }
    }
}

/// One project's record as it is to be from now on, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The whole record.
    pub project: Project,
}
