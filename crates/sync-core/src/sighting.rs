//! A project as it was seen on disk, before it is known who it is.

use std::path::PathBuf;

use crate::registration::ProjectKind;

/// Where something is on the file system, whatever it is called: device and inode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// The version control of a project.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Vcs {
    /// None: a folder with a manifest.
    #[default]
    None,
    /// Git.
    Git,
    /// Mercurial.
    Hg,
    /// Jujutsu without a git folder beside it.
    Jj,
    /// Subversion.
    Svn,
}

impl Vcs {
    /// A short lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Git => "git",
            Self::Hg => "hg",
            Self::Jj => "jj",
            Self::Svn => "svn",
        }
    }

    /// Reads [`Vcs::as_str`]'s word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::None, Self::Git, Self::Hg, Self::Jj, Self::Svn].into_iter().find(|vcs| vcs.as_str() == word)
    }
}

/// A project on disk with everything that was found out about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Its root, absolute and canonical.
    pub root: PathBuf,
    /// Where the root folder is; of a linked work tree that stands for all of its repository, where the git folder is that
    /// they share: when it goes, the next is the same project.
    pub place: Place,
    /// When that folder was made, in nanoseconds since 1970, where the file system tells: two folders that had the
    /// same number one after the other differ in it.
    pub born: Option<i64>,
    /// Where its version-control folder is (`.git` and the like), or the one it shares with others; the same after a move on one file system.
    pub vcs_place: Option<Place>,
    /// Its version control.
    pub vcs: Vcs,
    /// The manifest's name, else the folder's.
    pub name: String,
    /// GitHub Linguist's name of the main language, or empty.
    pub language: String,
    /// The framework's slug, or empty.
    pub framework: String,
    /// Hex id of the git tree, or empty.
    pub content_hash: String,
    /// How it stands to others.
    pub kind: ProjectKind,
    /// Root of the project that encloses it: the superproject of a submodule, the outer one of a nested one.
    pub parent_root: Option<PathBuf>,
    /// What could not be read or told, for people; empty when all went well.
    pub warnings: Vec<String>,
    /// It is there, and nobody knows what is in it: its name is the folder's, and what else is told of its inside is not so.
    pub broke_off: bool,
}
