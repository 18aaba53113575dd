//! What a worker is asked and what it answers, as frames: four bytes of length, the lowest first, and so many of content.
//!
//! Both ends are the same program, so the content has no names and no versions but the one of the first frame. Nothing is
//! set aside for what a length claims before it came.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sync_core::Vcs;

use crate::content::Examined;

/// Longest content of a frame, in bytes.
const LONGEST: usize = 64 << 20;

/// The first frame a worker sends.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    pub(crate) program: String,
    pub(crate) version: String,
}

impl Hello {
    pub(crate) fn ours() -> Self {
        Self { program: "coditect-sync worker".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// By what all projects are examined until another one comes.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// The roots in which `patterns` hold.
    #[serde(with = "paths")]
    pub(crate) roots: Vec<PathBuf>,
    /// What the user leaves out.
    pub(crate) patterns: Vec<String>,
    /// The user's files of rules, each with its content.
    pub(crate) rules: Vec<(String, String)>,
    /// The folder of what is kept of examinations, and of which program it is.
    pub(crate) shelf: Option<(OsString, u64)>,
    pub(crate) members: bool,
    /// Where what is mounted is not looked into.
    #[serde(with = "paths")]
    pub(crate) apart: Vec<PathBuf>,
}

/// What a worker is asked.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// To go by this; answered with nothing, when it does.
    Setup(Setup),
    /// To examine a project; answered with what was found, or with the words of a panic.
    Examine {
        root: OsString,
        #[serde(with = "VcsWord")]
        vcs: Vcs,
        /// Files of which is asked whether they are a part of it.
        #[serde(with = "paths")]
        asked: Vec<PathBuf>,
    },
}

/// What a worker answers to a project.
pub(crate) type Outcome = Result<Examined, String>;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Vcs")]
enum VcsWord {
    None,
    Git,
    Hg,
    Jj,
    Svn,
}

/// Sends a frame.
///
/// # Errors
/// When the other end is gone, or there is more to say than a frame takes.
pub(crate) fn send(to: &mut impl Write, content: &impl Serialize) -> io::Result<()> {
    let mut frame = postcard::to_extend(content, vec![0; 4]).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > LONGEST {
        return Err(io::Error::other(format!("{length} bytes are too much for a frame")));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)?;
    to.flush()
}

/// Receives a frame; `None` where the other end ended before one.
///
/// # Errors
/// When the other end is gone in the middle of one, or sends what is none.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = Vec::with_capacity(4);
    from.take(4).read_to_end(&mut length)?;
    if length.is_empty() {
        return Ok(None);
    }
    let length: [u8; 4] = length.try_into().map_err(|_short| io::ErrorKind::UnexpectedEof)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut content = Vec::new();
    from.take(length as u64).read_to_end(&mut content)?;
    if content.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (value, rest) = postcard::take_from_bytes(&content).map_err(io::Error::other)?;
    if rest.is_empty() { Ok(Some(value)) } else { Err(io::Error::other("a frame with more than it says")) }
}

/// A path that need not be UTF-8.
pub(crate) mod path {
    use super::{OsString, PathBuf};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::path::Path;

    pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(from).map(PathBuf::from)
    }
}

/// Collections of paths that need not be UTF-8.
pub(crate) mod paths {
    use super::{OsString, PathBuf};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<'a, S: Serializer>(
        paths: impl IntoIterator<Item = &'a PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let paths: Vec<_> = paths.into_iter().map(|path| path.as_os_str()).collect();
        to.collect_seq(paths)
    }

    pub(crate) fn deserialize<'de, C: Collected, D: Deserializer<'de>>(from: D) -> Result<C, D::Error> {
        let paths = Vec::<OsString>::deserialize(from)?;
        Ok(C::collected(paths.into_iter().map(PathBuf::from)))
    }

    /// What paths can be collected into.
    pub(crate) trait Collected {
        fn collected(paths: impl Iterator<Item = PathBuf>) -> Self;
    }

    impl Collected for Vec<PathBuf> {
        fn collected(paths: impl Iterator<Item = PathBuf>) -> Self {
            paths.collect()
        }
    }

    impl Collected for std::collections::BTreeSet<PathBuf> {
        fn collected(paths: impl Iterator<Item = PathBuf>) -> Self {
            paths.collect()
        }
    }
}
