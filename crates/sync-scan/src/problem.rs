//! What a survey could not read or did not want to: part of its result, never the end of it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a place was not read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ProblemKind {
    /// The system does not let us.
    Denied,
    /// It was there a moment ago.
    Vanished,
    /// The system has no more of something: descriptors, memory.
    LimitReached,
    /// A link leads back to a folder it lies in.
    Loop,
    /// It lies deeper than the configured depth.
    TooDeep,
    /// It holds more than is read in one folder, or the survey found more folders than it reads.
    TooMany,
    /// Anything else: an input error, a name that is too long, a pattern that cannot be read.
    Unreadable,
}

impl ProblemKind {
    /// A short lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Vanished => "vanished",
            Self::LimitReached => "limit-reached",
            Self::Loop => "loop",
            Self::TooDeep => "too-deep",
            Self::TooMany => "too-many",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A place that was not read, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The folder or file.
    pub path: PathBuf,
    /// Why, for programs.
    pub kind: ProblemKind,
    /// Why, for people: a lower-case sentence without the path.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: &Path, kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), kind, message: message.into() }
    }

    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, kind_of(error), error.to_string())
    }
}

/// Whether the error says that there is nothing at the path.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn kind_of(error: &io::Error) -> ProblemKind {
    use rustix::io::Errno;
    if is_absent(error) {
        return ProblemKind::Vanished;
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM) => ProblemKind::Denied,
        // A folder that became a link between its listing and its opening.
        Some(Errno::LOOP) => ProblemKind::Vanished,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOSPC) => ProblemKind::LimitReached,
        Some(_) | None => ProblemKind::Unreadable,
    }
}
