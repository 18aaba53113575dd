//! The pages of a database file and of the log beside it, without SQLite: it refuses files that are damaged.
//!
//! The formats are those of `sqlite.org/fileformat2.html`. What the log holds is taken as SQLite takes it: as far as
//! its chain of checksums goes, up to the last commit. A page that cannot be read is as good as none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The size of every page this program writes.
pub(super) const PAGE: usize = 4096;
/// One page's bytes.
pub(super) type Page = [u8; PAGE];

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// So many pages, then one that says what each of them is.
const MAPPED: u32 = 819;

/// What a page is used for, as far as the file itself says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// Rows that are there.
    Live,
    /// What was there and was deleted, or the rest of a long row.
    Other,
    /// The file does not say.
    Unknown,
}

/// The pages of one database, the log's instead of the file's where it has them.
pub(super) struct Pages {
    file: File,
    log: Option<Log>,
    count: u32,
}

struct Log {
    file: File,
    /// Where each page begins in it.
    pages: BTreeMap<u32, u64>,
    /// How many pages the database had at its last commit.
    count: u32,
}

impl Pages {
    pub(super) fn open(database: &Path, log: &Path) -> io::Result<Self> {
        let file = File::open(database)?;
        let in_file = u32::try_from(file.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
        let log = match File::open(log) {
            Ok(file) => read_log(file),
            Err(_) => None,
        };
        let count = log.as_ref().map_or(in_file, |log| log.count);
        Ok(Self { file, log, count })
    }

    /// Page numbers, from the first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        1..=self.count
    }

    /// Reads one page; says whether it could.
    pub(super) fn read(&self, number: u32, into: &mut Page) -> bool {
        if number == 0 || number > self.count {
            return false;
        }
        let read = match self.log.as_ref().and_then(|log| Some((log, *log.pages.get(&number)?))) {
            Some((log, at)) => log.file.read_exact_at(into, at),
            None => self.file.read_exact_at(into, u64::from(number - 1) * PAGE as u64),
        };
        read.is_ok()
    }

    /// What every page is used for: the pages of a database that can be vacuumed step by step say so of each other.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = vec![Use::Unknown; usize::try_from(self.count).unwrap_or(0) + 1];
        let mut page = [0; PAGE];
        let mut map = 2;
        while map <= self.count {
            if let Some(used) = uses.get_mut(map as usize) {
                *used = Use::Other;
            }
            if self.read(map, &mut page) {
                let last = MAPPED.min(self.count.saturating_sub(map));
                let said: Option<Vec<Use>> =
                    page.chunks_exact(5).take(last as usize).map(|entry| said(entry[0])).collect();
                // One that says what none can say is not believed in anything.
                for (used, said) in uses.iter_mut().skip(map as usize + 1).zip(said.unwrap_or_default()) {
                    *used = said;
                }
            }
            map = map.saturating_add(MAPPED + 1);
        }
        uses
    }
}

fn said(kind: u8) -> Option<Use> {
    match kind {
        1 | 5 => Some(Use::Live),
        2..=4 => Some(Use::Other),
        _ => None,
    }
}

/// The log up to its last commit; `None` where there is none.
fn read_log(file: File) -> Option<Log> {
    let mut header = [0; LOG_HEADER];
    file.read_exact_at(&mut header, 0).ok()?;
    let word = |at: usize| u32::from_be_bytes(four(&header, at));
    let big_endian = match word(0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    if word(8) as usize != PAGE {
        return None;
    }
    let mut sum = (0, 0);
    chain(&mut sum, &header[..24], big_endian);
    if sum != (word(24), word(28)) {
        return None;
    }

    let mut frame = vec![0; FRAME_HEADER + PAGE];
    let mut at = LOG_HEADER as u64;
    let mut uncommitted = Vec::new();
    let mut log = Log { file, pages: BTreeMap::new(), count: 0 };
    while log.file.read_exact_at(&mut frame, at).is_ok() {
        let word = |at: usize| u32::from_be_bytes(four(&frame, at));
        chain(&mut sum, &frame[..8], big_endian);
        chain(&mut sum, &frame[FRAME_HEADER..], big_endian);
        if frame[8..16] != header[16..24] || sum != (word(16), word(20)) {
            break;
        }
        uncommitted.push((word(0), at + FRAME_HEADER as u64));
        if word(4) > 0 {
            log.count = word(4);
            log.pages.extend(uncommitted.drain(..));
        }
        at += frame.len() as u64;
    }
    (log.count > 0).then_some(log)
}

fn chain((first, second): &mut (u32, u32), bytes: &[u8], big_endian: bool) {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    for pair in bytes.chunks_exact(8) {
        *first = first.wrapping_add(read(four(pair, 0))).wrapping_add(*second);
        *second = second.wrapping_add(read(four(pair, 4))).wrapping_add(*first);
    }
}

/// Four bytes, zero where there are none.
fn four(bytes: &[u8], at: usize) -> [u8; 4] {
    let byte = |offset: usize| bytes.get(at + offset).copied().unwrap_or(0);
    [byte(0), byte(1), byte(2), byte(3)]
}
