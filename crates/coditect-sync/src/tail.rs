//! Reads the ends of the daemon's daily log files, and what is added to them.
//!
//! Which file was written last is told by its time, and by its name, which ends with the day, where that is the same.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much is read at once, in bytes.
const BLOCK: u64 = 64 << 10;

/// The most that is read for the last lines of all files together, in bytes; no log is a reason to fill the memory.
pub(crate) const MOST: u64 = 64 << 20;

/// The log files, the one that was written last at the end; none where there is no folder. A name has a date in it, and that
/// is the one of a clock that may have been wrong.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.strip_prefix("coditect-syncd.").and_then(|rest| rest.strip_suffix(".log"));
        if ours.is_none() {
            continue;
        }
        match fs::metadata(&path) {
            // Opening a pipe would wait for whoever writes into it.
            Ok(found) if found.is_file() => files.push((found.modified()?, path)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct End {
    /// The last lines of all files together, oldest first, each with its end as far as it has one.
    pub(crate) text: Vec<u8>,
    /// Where they end, to go on from there.
    pub(crate) position: Position,
    /// Whether they are fewer than were asked for because they are too much to read.
    pub(crate) cut: bool,
}

/// The last lines of these files.
pub(crate) fn last_lines(files: &[PathBuf], lines: usize) -> io::Result<End> {
    last_lines_within(files, lines, MOST)
}

fn last_lines_within(files: &[PathBuf], lines: usize, most: u64) -> io::Result<End> {
    let mut position = Position::default();
    let mut parts = Vec::new();
    let (mut left, mut room, mut cut) = (lines, most, false);
    for path in files.iter().rev() {
        let Some(mut file) = opened(path)? else { continue };
        let found = file.metadata()?;
        let end = found.len();
        position.0.insert(path.clone(), Read { offset: end, ..Read::begin(&found) });
        if left == 0 || cut {
            continue;
        }
        let begin = begin_of_last(&mut file, end, left, room)?;
        (left, room, cut) = (left - begin.lines, room.saturating_sub(end - begin.at), begin.cut);
        parts.push((file, begin.at, end));
    }
    // Read when it is known how much there is: it is in the memory once.
    let whole: u64 = parts.iter().map(|(_, begin, end)| end - begin).sum();
    let mut text = Vec::with_capacity(usize::try_from(whole).unwrap_or_default());
    for (mut file, begin, end) in parts.into_iter().rev() {
        file.seek(SeekFrom::Start(begin))?;
        file.take(end - begin).read_to_end(&mut text)?;
    }
    Ok(End { text, position, cut })
}

/// Where the last lines of a file begin.
#[derive(Clone, Copy, Debug)]
struct Begin {
    at: u64,
    /// How many they are.
    lines: usize,
    /// Whether there would be more, and there is no room for them.
    cut: bool,
}

/// Looks for the begin of the last so many lines up to `end`, no further back than there is room for, and finds that of a
/// whole line.
fn begin_of_last(file: &mut File, end: u64, lines: usize, room: u64) -> io::Result<Begin> {
    // The byte before says whether what there is room for begins with a whole line.
    let floor = end.saturating_sub(room.saturating_add(1));
    let (mut start, mut begin, mut found) = (end, end, 0);
    let mut block = Vec::new();
    while start > floor {
        let size = BLOCK.min(start - floor);
        start -= size;
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.by_ref().take(size).read_to_end(&mut block)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + at as u64 + 1;
            // The end of the last line begins no other.
            if after == end {
                continue;
            }
            (begin, found) = (after, found + 1);
            if found == lines {
                return Ok(Begin { at: begin, lines, cut: false });
            }
        }
    }
    Ok(if end <= room {
        Begin { at: 0, lines: found + usize::from(end > 0), cut: false }
    } else {
        Begin { at: begin, lines: found, cut: true }
    })
}

/// How far a file was read, and which one: the daemon begins another of the same name when its log is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Read {
    device: u64,
    inode: u64,
    /// Where the system knows it; the number of a file that has gone is given to the next.
    born: Option<SystemTime>,
    /// In bytes.
    offset: u64,
}

impl Read {
    fn begin(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino(), born: found.created().ok(), offset: 0 }
    }
}

/// How far each file of the log was read; a file that is not here was not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position(BTreeMap<PathBuf, Read>);

impl Position {
    /// Where the log ends in this moment.
    pub(crate) fn end(folder: &Path) -> io::Result<Self> {
        last_lines(&files(folder)?, 0).map(|end| end.position)
    }

    /// What was added since, to whichever file; at most some blocks at once, and nothing when all is read.
    pub(crate) fn more(&mut self, folder: &Path) -> io::Result<Vec<u8>> {
        let files = files(folder)?;
        self.0.retain(|path, _| files.contains(path));
        for path in files {
            let Some(mut file) = opened(&path)? else { continue };
            let found = file.metadata()?;
            let begin = Read::begin(&found);
            let read = self.0.entry(path).or_insert(begin);
            // It is another one, or somebody emptied it.
            if (Read { offset: 0, ..*read }) != begin || found.len() < read.offset {
                *read = begin;
            }
            if found.len() == read.offset {
                continue;
            }
            file.seek(SeekFrom::Start(read.offset))?;
            let mut text = Vec::new();
            read.offset += file.take(16 * BLOCK).read_to_end(&mut text)? as u64;
            return Ok(text);
        }
        Ok(Vec::new())
    }
}

/// Old files are removed by the daemon, also in this moment.
fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn write(folder: &Path, day: u32, text: &str) {
        let path = folder.join(format!("coditect-syncd.2026-01-{day:02}.log"));
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("it is ours");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn check(folder: &Path, lines: usize, expected: &str) {
        let end = last_lines(&files(folder).expect("read"), lines).expect("read");
        assert_eq!(String::from_utf8_lossy(&end.text), expected, "{lines} lines");
    }

    #[test]
    fn the_last_lines_are_counted_across_days() {
        let home = tempfile::tempdir().expect("a folder");
        check(home.path(), 3, "");
        check(&home.path().join("none"), 3, "");
        write(home.path(), 9, "a\nb\n");
        write(home.path(), 10, "c\n\nd\n");
        write(home.path(), 11, "");
        fs::write(home.path().join("other.log"), "x\n").expect("written");
        for (lines, expected) in [
            (0, ""),
            (1, "d\n"),
            (2, "\nd\n"),
            (3, "c\n\nd\n"),
            (4, "b\nc\n\nd\n"),
            (5, "a\nb\nc\n\nd\n"),
            (50, "a\nb\nc\n\nd\n"),
        ] {
            check(home.path(), lines, expected);
        }
        write(home.path(), 11, "half");
        check(home.path(), 2, "d\nhalf");
    }

    #[test]
    fn lines_longer_than_a_block_are_whole() {
        let home = tempfile::tempdir().expect("a folder");
        let long = "x".repeat(150_000);
        write(home.path(), 1, &format!("first\n{long}\nlast\n"));
        check(home.path(), 2, &format!("{long}\nlast\n"));
        check(home.path(), 3, &format!("first\n{long}\nlast\n"));
    }

    #[test]
    fn many_lines_are_read_once_wherever_the_blocks_end() {
        let home = tempfile::tempdir().expect("a folder");
        let block = usize::try_from(BLOCK).expect("a size");
        // The first end of a line is the last byte of a block from the end, one before it, and one after.
        for (day, last) in [(1, block), (2, block - 1), (3, block + 1), (4, 2 * block)] {
            let text: String = ["a\n", "\n", "b\n", &"x".repeat(last - 2), "\n\n"].concat();
            let folder = home.path().join(day.to_string());
            fs::create_dir(&folder).expect("made");
            write(&folder, day, &text);
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            for lines in 0..=all.len() + 1 {
                check(&folder, lines, &all[all.len().saturating_sub(lines)..].concat());
            }
        }
        let many = format!("{}\n", "y".repeat(29)).repeat(200_000);
        write(home.path(), 1, &many);
        check(home.path(), 199_999, &many[30..]);
        check(home.path(), usize::MAX, &many);
    }

    #[test]
    fn what_is_too_much_to_read_is_cut_between_lines_and_no_older_file_is_gone_on_with() {
        let home = tempfile::tempdir().expect("a folder");
        write(home.path(), 1, "old\n");
        write(home.path(), 2, "half\nb\nc\n");
        write(home.path(), 3, "d\n");
        let files = files(home.path()).expect("read");
        for (most, text, cut) in [
            (1, "", true),
            (2, "d\n", true),
            (3, "d\n", true),
            (6, "b\nc\nd\n", true),
            (10, "b\nc\nd\n", true),
            (11, "half\nb\nc\nd\n", true),
            (15, "old\nhalf\nb\nc\nd\n", false),
        ] {
            let end = last_lines_within(&files, 50, most).expect("read");
            assert_eq!((String::from_utf8_lossy(&end.text).as_ref(), end.cut), (text, cut), "{most}");
            assert_eq!(end.position, Position::end(home.path()).expect("read"), "{most}");
        }
        let end = last_lines_within(&files, 3, 6).expect("read");
        assert_eq!((end.text.as_slice(), end.cut), (&b"b\nc\nd\n"[..], false));
        // Wherever the blocks end.
        let block = usize::try_from(BLOCK).expect("a size");
        let folder = home.path().join("long");
        fs::create_dir(&folder).expect("made");
        write(&folder, 1, &format!("{}\nlast\n", "x".repeat(3 * block)));
        let files = super::files(&folder).expect("read");
        for most in [block as u64, 2 * BLOCK + 7, 3 * BLOCK] {
            let end = last_lines_within(&files, 50, most).expect("read");
            assert_eq!((end.text.as_slice(), end.cut), (&b"last\n"[..], true));
        }
    }

    #[test]
    fn a_file_that_was_begun_anew_is_read_from_its_beginning_however_long_it_is() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path();
        let path = folder.join("coditect-syncd.2026-01-01.log");
        write(folder, 1, "before\n");
        let mut position = Position::end(folder).expect("read");
        for text in ["second\n", "longer than before\n", "short\n"] {
            // Made while the other is there, as a daemon does that has it open: it is another file for certain.
            let other = folder.join("other");
            fs::write(&other, text).expect("written");
            fs::rename(&other, &path).expect("renamed");
            assert_eq!(position.more(folder).expect("read"), text.as_bytes());
            assert_eq!(position.more(folder).expect("read"), b"");
        }
    }

    #[test]
    fn what_is_no_file_is_no_log() {
        let home = tempfile::tempdir().expect("a folder");
        write(home.path(), 1, "a\n");
        let named = |name: &str| home.path().join(format!("coditect-syncd.{name}.log"));
        fs::create_dir(named("folder")).expect("made");
        let _socket = std::os::unix::net::UnixListener::bind(named("socket")).expect("bound");
        check(home.path(), 9, "a\n");
        let mut position = Position::end(home.path()).expect("read");
        write(home.path(), 1, "b\n");
        assert_eq!(position.more(home.path()).expect("read"), b"b\n");
    }

    #[test]
    fn what_is_added_is_read_once_also_in_the_next_days_file() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path();
        let mut position = Position::end(folder).expect("read");
        let mut more = || String::from_utf8(position.more(folder).expect("read")).expect("text");
        assert_eq!(more(), "");
        write(folder, 1, "a\n");
        assert_eq!(more(), "a\n");
        assert_eq!(more(), "");
        write(folder, 1, "b\n");
        write(folder, 2, "c\n");
        write(folder, 3, "d\n");
        assert_eq!([more(), more(), more(), more()], ["b\n", "c\n", "d\n", ""]);
        fs::write(folder.join("coditect-syncd.2026-01-03.log"), "").expect("emptied");
        assert_eq!(more(), "");
        write(folder, 3, "e\n");
        assert_eq!(more(), "e\n");
        fs::remove_file(folder.join("coditect-syncd.2026-01-03.log")).expect("removed");
        assert_eq!(more(), "");
        write(folder, 4, "f\n");
        assert_eq!(more(), "f\n");
    }

    #[test]
    fn a_file_of_a_clock_that_was_wrong_hides_none_that_is_written_later() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path();
        for (name, text) in [("2026-01-01", "first\n"), ("2031-05-01", "from the future\n")] {
            fs::write(folder.join(format!("coditect-syncd.{name}.log")), text).expect("written");
        }
        let written = |day: u32, age: u64| {
            let path = folder.join(format!("coditect-syncd.2026-01-{day:02}.log"));
            let file = fs::OpenOptions::new().append(true).open(path).expect("it is there");
            let future = fs::metadata(folder.join("coditect-syncd.2031-05-01.log")).expect("it is there");
            let moment = future.modified().expect("a time") + std::time::Duration::from_secs(age);
            file.set_modified(moment).expect("it is ours");
        };
        let mut position = Position::end(folder).expect("read");
        // The clock is right again, in the middle of a day that has its file, and then comes the next one.
        write(folder, 1, "again\n");
        written(1, 1);
        let mut more = || String::from_utf8(position.more(folder).expect("read")).expect("text");
        assert_eq!(more(), "again\n");
        write(folder, 2, "today\n");
        written(2, 2);
        assert_eq!([more(), more()], ["today\n", ""]);
        check(folder, 1, "today\n");
        check(folder, 4, "from the future\nfirst\nagain\ntoday\n");
        write(folder, 2, "more\n");
        assert_eq!([more(), more()], ["more\n", ""]);
    }

    #[test]
    fn the_end_is_where_the_last_lines_end() {
        let home = tempfile::tempdir().expect("a folder");
        write(home.path(), 1, "a\nb\n");
        let mut position = last_lines(&files(home.path()).expect("read"), 1).expect("read").position;
        assert_eq!(position, Position::end(home.path()).expect("read"));
        write(home.path(), 1, "c\n");
        assert_eq!(position.more(home.path()).expect("read"), b"c\n");
    }
}
