//! What the cloud is told of a project, and what is too much to tell.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::ids::{LocalId, MachineId};

/// Longest project name, in bytes.
pub(crate) const LONGEST_NAME: usize = 255;
/// Longest root path, in bytes: Linux's `PATH_MAX`.
pub const LONGEST_PATH: usize = 4096;
/// Longest language or framework name and content hash, in bytes.
pub(crate) const LONGEST_WORD: usize = 128;

/// How a project stands to others (`project_type`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum ProjectKind {
    /// A project of its own.
    #[default]
    Standalone,
    /// A git submodule of another.
    Submodule,
    /// A workspace with at least two packages.
    Monorepo,
}

impl ProjectKind {
    /// The cloud's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Submodule => "submodule",
            Self::Monorepo => "monorepo",
        }
    }

    /// Reads the cloud's word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Standalone, Self::Submodule, Self::Monorepo].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One project as the cloud is to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The project's UUID on this machine.
    pub local: LocalId,
    /// The machine it is on.
    pub machine: MachineId,
    /// Its name: the manifest's, else the folder's.
    pub name: String,
    /// Absolute and canonical; its bytes need not be UTF-8.
    pub root: PathBuf,
    /// GitHub Linguist's name of the main language; empty when there is none.
    pub language: String,
    /// The framework's slug; empty when there is none.
    pub framework: String,
    /// Hex id of the git tree its files make; empty when it could not be told.
    pub content_hash: String,
    /// How it stands to others.
    pub kind: ProjectKind,
    /// The project that encloses it, if one does.
    pub parent: Option<LocalId>,
}

/// A field of a registration that cannot be accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field} {why}")]
pub struct Invalid {
    /// The field, by its name in the cloud's contract.
    pub field: &'static str,
    /// What is wrong with it, as the rest of a sentence.
    pub why: String,
}

impl Registration {
    /// Passes a registration on when every field is within its limits.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn checked(self) -> Result<Self, Invalid> {
        let fail = |field, why: &str| Err(Invalid { field, why: why.to_owned() });
        let root = self.root.as_os_str().as_encoded_bytes();
        if self.local.0.is_nil() {
            return fail("local_project_uuid", "is the nil UUID");
        }
        if self.name.trim().is_empty() {
            return fail("project_name", "is empty");
        }
        if self.name.len() > LONGEST_NAME {
            return fail("project_name", "is longer than 255 bytes");
        }
        if !self.root.is_absolute() {
            return fail("root_path", "is not an absolute path");
        }
        if root.len() > LONGEST_PATH || root.contains(&0) {
            return fail("root_path", "is longer than 4096 bytes or contains a zero byte");
        }
        for (field, word) in [
            ("primary_language", &self.language),
            ("framework", &self.framework),
            ("content_hash", &self.content_hash),
        ] {
            if word.len() > LONGEST_WORD {
                return fail(field, "is longer than 128 bytes");
            }
        }
        if self.parent == Some(self.local) {
            return fail("parent_project_uuid", "is the project itself");
        }
        Ok(self)
    }

    /// The hash by which two registrations are told to be the same.
    pub fn payload_hash(&self) -> PayloadHash {
        let mut bytes = Vec::with_capacity(256);
        let mut field = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        };
        field(self.local.0.as_bytes());
        field(self.machine.0.as_bytes());
        field(self.name.as_bytes());
        field(self.root.as_os_str().as_encoded_bytes());
        field(self.language.as_bytes());
        field(self.framework.as_bytes());
        field(self.content_hash.as_bytes());
        field(self.kind.as_str().as_bytes());
        field(self.parent.as_ref().map_or(&[][..], |parent| parent.0.as_bytes()));
        PayloadHash(Uuid::new_v5(&PAYLOAD_NAMESPACE, &bytes).into_bytes())
    }
}

/// The directory's own name, for a project whose manifest gives none; `/` for the root of the file system. The cloud takes
/// no name of white space alone: there each is a `_`.
pub fn folder_name(root: &Path) -> String {
    let name = root.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy());
    if name.trim().is_empty() { "_".repeat(name.chars().count()) } else { name.into_owned() }
}

/// 16 bytes that stand for a registration's content: a UUIDv5 (RFC 9562 §5.5) over its length-prefixed fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PayloadHash(pub [u8; 16]);

const PAYLOAD_NAMESPACE: Uuid = Uuid::from_u128(0x6b1c_1d3e_52a7_4d0c_9f0b_7a52_38d1_e6c4);

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Registration {
        Registration {
            local: LocalId(Uuid::from_u128(1)),
            machine: MachineId(Uuid::from_u128(2)),
            name: "api".to_owned(),
            root: PathBuf::from("/home/u/api"),
            language: "Rust".to_owned(),
            framework: "axum".to_owned(),
            content_hash: "ab".to_owned(),
            kind: ProjectKind::Standalone,
            parent: None,
        }
    }

    #[test]
    fn a_folder_of_any_name_has_one_that_the_cloud_takes() {
        for (root, expected) in
            [("/w/api", "api"), ("/", "/"), ("/w/ a ", " a "), ("/w/ ", "_"), ("/w/\u{a0}\t", "__")]
        {
            let name = folder_name(Path::new(root));
            assert_eq!(name, expected, "{root}");
            assert!(Registration { name, ..plain() }.checked().is_ok(), "{root}");
        }
    }

    #[test]
    fn every_field_is_in_the_payload_hash() {
        type Edit = fn(&mut Registration);
        let edits: [Edit; 9] = [
            |r| r.local = LocalId(Uuid::from_u128(3)),
            |r| r.machine = MachineId(Uuid::from_u128(3)),
            |r| r.name.push('x'),
            |r| r.root.push("x"),
            |r| r.language.push('x'),
            |r| r.framework.push('x'),
            |r| r.content_hash.push('x'),
            |r| r.kind = ProjectKind::Monorepo,
            |r| r.parent = Some(LocalId(Uuid::from_u128(9))),
        ];
        for (index, edit) in edits.into_iter().enumerate() {
            let mut edited = plain();
            edit(&mut edited);
            assert_ne!(edited.payload_hash(), plain().payload_hash(), "edit {index}");
        }
    }

    #[test]
    fn text_cannot_move_between_fields_unnoticed() {
        let (mut left, mut right) = (plain(), plain());
        (left.language, left.framework) = ("ab".to_owned(), "c".to_owned());
        (right.language, right.framework) = ("a".to_owned(), "bc".to_owned());
        assert_ne!(left.payload_hash(), right.payload_hash());
    }

    #[test]
    fn what_is_too_much_is_named() {
        type Edit = fn(&mut Registration);
        let cases: [(Edit, &str); 7] = [
            (|r| r.local = LocalId(Uuid::nil()), "local_project_uuid"),
            (|r| r.name = "  ".to_owned(), "project_name"),
            (|r| r.name = "x".repeat(256), "project_name"),
            (|r| r.root = PathBuf::from("api"), "root_path"),
            (|r| r.root = PathBuf::from(format!("/{}", "x".repeat(4096))), "root_path"),
            (|r| r.framework = "x".repeat(129), "framework"),
            (|r| r.parent = Some(r.local), "parent_project_uuid"),
        ];
        for (edit, field) in cases {
            let mut edited = plain();
            edit(&mut edited);
            assert_eq!(edited.checked().map_err(|invalid| invalid.field), Err(field));
        }
        assert_eq!(plain().checked(), Ok(plain()));
    }
}
