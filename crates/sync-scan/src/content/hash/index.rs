//! Reads a repository's index and tells what it says of one folder, and whether a file is as it was when it was added.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use gix::bstr::ByteSlice;
use gix::hash::Kind;
use gix::index::entry::{Flags, Mode, Stage};
use gix::index::{Entry, State};

use super::open::Settings;
use crate::stamps::Stamps;

/// Longest index that is read: more than ten million entries.
const LONGEST_INDEX: u64 = 2 << 30;

/// What the index has under one name of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Indexed<'i> {
    pub(super) name: Cow<'i, [u8]>,
    /// Where the file, link or gitlink of that name is among the entries.
    pub(super) entry: Option<usize>,
    /// Where the entries below the folder of that name are.
    pub(super) below: Option<Range<usize>>,
}

/// Reads the index at `path`; an empty one where there is none.
///
/// # Errors
/// In words, when it is no index.
pub(super) fn read(path: &Path, kind: Kind) -> Result<State, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::new(kind)),
        Err(error) => return Err(format!("the index cannot be read: {error}")),
        Ok(metadata) if !metadata.is_file() || metadata.len() > LONGEST_INDEX => {
            return Err("the index is no regular file or longer than 2 GiB".to_owned());
        }
        Ok(_) => {}
    }
    let options = gix::index::decode::Options {
        thread_limit: Some(1),
        alloc_limit_bytes: usize::try_from(LONGEST_INDEX).ok(),
        ..gix::index::decode::Options::default()
    };
    gix::index::File::at(path, kind, true, options)
        .map(State::from)
        .map_err(|error| format!("the index cannot be read: {error}"))
}

/// The names the entries of `range` have in the folder whose path is their first `depth` bytes, in byte order.
///
/// Names that git never makes and that would lead elsewhere are left out.
pub(super) fn children(index: &State, range: Range<usize>, depth: usize) -> Vec<Indexed<'_>> {
    let entries = index.entries();
    let mut children: Vec<Indexed<'_>> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let path: &[u8] = entries[at].path(index);
        let Some(rest) = path.get(depth..) else {
            at += 1;
            continue;
        };
        let Some(slash) = rest.find_byte(b'/') else {
            match children.last_mut().filter(|last| last.entry.is_some() && *last.name == *rest) {
                // Of a conflict's stages git goes by its own side.
                Some(last) if entries[at].stage() == Stage::Ours => last.entry = Some(at),
                Some(_) => {}
                None => children.push(Indexed { name: Cow::Borrowed(rest), entry: Some(at), below: None }),
            }
            at += 1;
            continue;
        };
        let folder = &path[..=depth + slash];
        let length =
            entries[at..range.end].partition_point(|entry| entry.path(index).starts_with(folder)).max(1);
        children.push(Indexed {
            name: Cow::Borrowed(&rest[..slash]),
            entry: None,
            below: Some(at..at + length),
        });
        at += length;
    }
    children.retain(|child| is_name(&child.name));
    children.sort_by(|left, right| left.name.cmp(&right.name));
    children.dedup_by(|later, earlier| {
        let same = later.name == earlier.name;
        if same {
            earlier.entry = earlier.entry.or(later.entry);
            earlier.below = earlier.below.take().or_else(|| later.below.take());
        }
        same
    });
    children
}

/// Whether `entry` stands for a whole folder outside a sparse checkout.
pub(super) fn is_folder(entry: &Entry) -> bool {
    entry.mode == Mode::DIR
}

/// Whether the file has to be read whatever its times say.
pub(super) fn is_open_question(entry: &Entry) -> bool {
    entry.stage() != Stage::Unconflicted || entry.flags.contains(Flags::INTENT_TO_ADD)
}

/// Whether the index was told not to look at the file that is there.
pub(super) fn is_taken_on_trust(entry: &Entry, settings: &Settings) -> bool {
    entry.flags.contains(Flags::ASSUME_VALID)
        || (entry.flags.contains(Flags::SKIP_WORKTREE) && !settings.sparse)
}

/// Whether the entry stays though there is no file.
pub(super) fn stays_without_file(entry: &Entry) -> bool {
    entry.stage() == Stage::Unconflicted && entry.flags.intersects(Flags::ASSUME_VALID | Flags::SKIP_WORKTREE)
}

/// Whether the file is certainly the one that was added.
///
/// Stricter than git where clocks are coarse: fractions of seconds are compared when both sides have them, and a
/// file as young as the index itself is never certain.
pub(super) fn is_unchanged(index: &State, entry: &Entry, stamps: &Stamps, settings: &Settings) -> bool {
    let stat = &entry.stat;
    let same_time = |recorded: gix::index::entry::stat::Time, seconds: i64, nanoseconds: i64| {
        i64::from(recorded.secs) == i64::from(low(seconds))
            && (recorded.nsecs == 0 || nanoseconds == 0 || i64::from(recorded.nsecs) == nanoseconds)
    };
    let same_mode = match entry.mode {
        Mode::FILE => stamps.is_file() && !(settings.file_mode && stamps.mode & 0o100 != 0),
        Mode::FILE_EXECUTABLE => stamps.is_file() && !(settings.file_mode && stamps.mode & 0o100 == 0),
        Mode::SYMLINK => stamps.is_symlink() || (!settings.symlinks && stamps.is_file()),
        _ => false,
    };
    let written = index.timestamp();
    let racy = match i64::from(stat.mtime.secs).cmp(&written.unix_seconds()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            stat.mtime.nsecs == 0 || written.nanoseconds() == 0 || stat.mtime.nsecs >= written.nanoseconds()
        }
        std::cmp::Ordering::Greater => true,
    };
    same_mode
        && !racy
        && stat.size == truncated(stamps.size)
        && same_time(stat.mtime, stamps.mtime, stamps.mtime_nsec)
        && (!settings.trust_ctime || same_time(stat.ctime, stamps.ctime, stamps.ctime_nsec))
        && (!settings.check_stat
            || (stat.ino == truncated(stamps.ino) && stat.uid == stamps.uid && stat.gid == stamps.gid))
}

fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.eq_ignore_ascii_case(b".git")
}

// The index keeps the lower 32 bits of what the system says.
#[expect(clippy::cast_possible_truncation, reason = "the index keeps 32 bits and compares those")]
fn truncated(number: u64) -> u32 {
    number as u32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the index keeps 32 bits and compares those"
)]
fn low(number: i64) -> u32 {
    number as u32
}
