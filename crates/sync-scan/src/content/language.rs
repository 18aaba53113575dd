//! Counts the bytes of a project by language: which files count, and which language has the most.
//!
//! Files are told by their paths where that is enough. A beginning is read where several languages share an end, and,
//! as far as it can change which language comes first, where it can show that a tool made the file: the largest files
//! of the leading language are looked at until what remains of it is ahead of all others. So a project in one language
//! costs a few reads, and the answer is the one that reading every file would give.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hash::{Entry, Mode};
use super::read;
use crate::evidence::{Proof, Share};
use crate::rules::language::{self, Guess, LeftOut, Overrides};

/// Most files whose beginning is read.
const MOST_HEADS: usize = 4_096;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The language with the most bytes, or empty.
    pub(super) first: &'static str,
    /// The languages that count, the most bytes first.
    pub(super) shares: Vec<Share>,
    left_out: BTreeMap<LeftOut, Left>,
    /// Files that would have been looked into but for the limit.
    unread: usize,
    /// Files whose beginning could show that a tool made them, but not change which language is first.
    doubtful: usize,
}

/// Files that do not count for one reason.
#[derive(Debug, Default)]
struct Left {
    files: usize,
    bytes: u64,
    /// The largest of them.
    example: String,
    largest: u64,
}

impl Tally {
    /// What shows the main language.
    pub(super) fn proof(&self) -> Proof {
        let all: u64 = self.shares.iter().map(|share| share.bytes).sum();
        let rule = if self.first.is_empty() {
            "no file counts: programming and markup that is not vendored, generated or documentation"
        } else {
            "the language with the most bytes of programming and markup"
        };
        let mut proof = Proof::by(rule);
        for share in self.shares.iter().take(6) {
            let per_mille = share.bytes.saturating_mul(1000) / all.max(1);
            let part = format!("{}.{} %", per_mille / 10, per_mille % 10);
            proof.found.push(format!("{} {part}, {}", share.language, measure(share.files, share.bytes)));
        }
        for (why, left) in &self.left_out {
            let example = format!("the largest is {}", left.example);
            proof.left_out.push(format!("{}: {}, {example}", why.words(), measure(left.files, left.bytes)));
        }
        if self.doubtful > 0 {
            let noun = if self.doubtful == 1 { "file" } else { "files" };
            proof.left_out.push(format!(
                "not looked into: {} {noun} that a tool may have made, which cannot change the first language",
                self.doubtful
            ));
        }
        if self.unread > 0 {
            proof
                .left_out
                .push(format!("{} files that had to be looked into: more than {MOST_HEADS}", self.unread));
        }
        proof
    }
}

fn measure(files: usize, bytes: u64) -> String {
    let noun = if files == 1 { "file" } else { "files" };
    format!("{bytes} bytes in {files} {noun}")
}

/// Counts the files of the project at `root`.
pub(super) fn count(root: &Path, entries: &[Entry], stop: &AtomicBool) -> Tally {
    let mut count =
        Count { root, entries, stop, counted: BTreeMap::new(), tally: Tally::default(), heads: 0 };
    let open = count.by_path();
    count.by_content(open);
    count.look_again();
    count.finish()
}

struct Count<'a> {
    root: &'a Path,
    entries: &'a [Entry],
    stop: &'a AtomicBool,
    /// By language, groups folded.
    counted: BTreeMap<&'static str, Counted>,
    tally: Tally,
    heads: usize,
}

#[derive(Default)]
struct Counted {
    files: usize,
    bytes: u64,
    /// Entries whose beginning may show that a tool made them, and their bytes.
    doubtful: Vec<(u64, usize)>,
    doubtful_bytes: u64,
}

impl Counted {
    fn certain(&self) -> u64 {
        self.bytes - self.doubtful_bytes
    }
}

/// Languages told by path alone, and entries whose beginning must be looked at.
struct Open(Vec<(usize, Guess)>);

impl Count<'_> {
    fn by_path(&mut self) -> Open {
        let mut open = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
            if entry.size == 0 || entry.mode == Mode::Link {
                continue;
            }
            let marks = entry.marks.as_deref();
            let given = marks.and_then(|marks| language::named(marks.language.as_deref()?));
            let guess =
                given.map_or_else(|| language::guess(path, entry.mode == Mode::Executable), Guess::Certain);
            if guess == Guess::None {
                continue;
            }
            if let Some(why) = language::left_out(path, &overrides(entry)) {
                self.leave_out(at, why);
                continue;
            }
            match guess {
                Guess::Certain(language) => self.take(at, language, false),
                Guess::Open(..) | Guess::Nameless | Guess::None => open.push((at, guess)),
            }
        }
        Open(open)
    }

    fn by_content(&mut self, Open(open): Open) {
        let certain: Vec<&'static str> = self.counted.keys().copied().collect();
        let others = |language: &str| certain.contains(&language);
        for (at, guess) in open {
            let Some(head) = self.head(at) else { continue };
            let Some(language) = language::by_content(&guess, &head, &others) else { continue };
            let path = std::str::from_utf8(&self.entries[at].path).unwrap_or_default();
            let may_be_generated = overrides(&self.entries[at]).generated.is_none();
            if may_be_generated && language::is_generated(path, &head) {
                self.leave_out(at, LeftOut::Generated);
            } else {
                self.take(at, language, true);
            }
        }
    }

    /// Looks into files of the leading language as long as that can change which one leads.
    fn look_again(&mut self) {
        for counted in self.counted.values_mut() {
            // The largest last, so that they are taken off first.
            counted.doubtful.sort_unstable();
        }
        loop {
            let mut order: Vec<_> =
                self.counted.iter().map(|(language, counted)| (counted.bytes, *language)).collect();
            order.sort_unstable_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
            let Some(&(_, leader)) = order.first() else { return };
            let second = order.get(1).map_or(0, |(bytes, _)| *bytes);
            let Some(counted) = self.counted.get_mut(leader).filter(|counted| counted.certain() <= second)
            else {
                return;
            };
            let Some((size, at)) = counted.doubtful.pop() else { return };
            counted.doubtful_bytes -= size;
            let path = std::str::from_utf8(&self.entries[at].path).unwrap_or_default();
            let is_generated = self.head(at).is_some_and(|head| language::is_generated(path, &head));
            if is_generated && let Some(counted) = self.counted.get_mut(leader) {
                counted.bytes -= size;
                counted.files -= 1;
                self.leave_out(at, LeftOut::Generated);
            }
        }
    }

    fn finish(mut self) -> Tally {
        let mut shares: Vec<(u64, &'static str, usize)> = self
            .counted
            .iter()
            .filter(|(_, counted)| counted.bytes > 0)
            .map(|(language, counted)| (counted.bytes, *language, counted.files))
            .collect();
        shares.sort_unstable_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
        self.tally.doubtful = self.counted.values().map(|counted| counted.doubtful.len()).sum();
        self.tally.first = shares.first().map_or("", |(_, language, _)| language);
        self.tally.shares = shares
            .into_iter()
            .map(|(bytes, language, files)| Share { language: language.to_owned(), bytes, files })
            .collect();
        self.tally
    }

    fn take(&mut self, at: usize, language: &'static str, is_looked_into: bool) {
        let entry = &self.entries[at];
        let given = overrides(entry);
        if given.detectable != Some(true) && !language::is_detectable(language) {
            self.leave_out(at, LeftOut::Data);
            return;
        }
        let path = std::str::from_utf8(&entry.path).unwrap_or_default();
        let is_doubtful = !is_looked_into && given.generated.is_none() && language::may_be_generated(path);
        let counted = self.counted.entry(language::group(language)).or_default();
        counted.files += 1;
        counted.bytes += entry.size;
        if is_doubtful {
            counted.doubtful.push((entry.size, at));
            counted.doubtful_bytes += entry.size;
        }
    }

    fn leave_out(&mut self, at: usize, why: LeftOut) {
        let entry = &self.entries[at];
        let left = self.tally.left_out.entry(why).or_default();
        left.files += 1;
        left.bytes += entry.size;
        if entry.size > left.largest {
            left.largest = entry.size;
            left.example = String::from_utf8_lossy(&entry.path).into_owned();
        }
    }

    fn head(&mut self, at: usize) -> Option<Vec<u8>> {
        if self.heads >= MOST_HEADS || self.stop.load(Ordering::Relaxed) {
            self.tally.unread += 1;
            return None;
        }
        self.heads += 1;
        let path = self.root.join(std::str::from_utf8(&self.entries[at].path).ok()?);
        read::head(&path, language::LONGEST_HEAD).ok()
    }
}

fn overrides(entry: &Entry) -> Overrides {
    entry.marks.as_deref().map_or_else(Overrides::default, |marks| Overrides {
        vendored: marks.vendored,
        generated: marks.generated,
        documentation: marks.documentation,
        detectable: marks.detectable,
    })
}
