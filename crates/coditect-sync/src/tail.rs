//! Reads the ends of the daemon's daily log files, and what is added to them.
//!
//! Which file was written last is told by its time, and by its name, which ends with the day, where that is the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much is read at once, in bytes.
const BLOCK: u64 = 64 << 10;

/// The most that is read for the last lines, in bytes; no line of a log is a reason to fill the memory.
const MOST: u64 = 64 << 20;

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
        match fs::metadata(&path).and_then(|found| found.modified()) {
            Ok(written) => files.push((written, path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// The last lines of all files together, oldest first, each with its end as far as it has one; and where they end, to
/// go on from there.
pub(crate) fn last_lines(files: &[PathBuf], lines: usize) -> io::Result<(Vec<u8>, Position)> {
    let mut position = Position::default();
    let mut parts = Vec::new();
    let mut left = lines;
    for path in files.iter().rev() {
        let Some(mut file) = opened(path)? else { continue };
        let end = file.metadata()?.len();
        position.0.insert(path.clone(), end);
        if left == 0 {
            continue;
        }
        let (part, found) = end_of(&mut file, end, left)?;
        left -= found;
        parts.push(part);
    }
    Ok((forwards(parts), position))
}

/// The last lines of one file up to `end`, and how many they are.
fn end_of(file: &mut File, end: u64, lines: usize) -> io::Result<(Vec<u8>, usize)> {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let (mut start, mut left) = (end, lines);
    while start > 0 && end - start < MOST {
        let size = BLOCK.min(start);
        start -= size;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(size).read_to_end(&mut block)?;
        // The end of the last line begins no other.
        let last = if blocks.is_empty() { block.strip_suffix(b"\n") } else { None };
        let sought = begin_of_last(last.unwrap_or(&block), left);
        match sought {
            Ok(begin) => {
                blocks.push(block.split_off(begin));
                return Ok((forwards(blocks), lines));
            }
            Err(ends) => left -= ends,
        }
        blocks.push(block);
    }
    let text = forwards(blocks);
    let found = text.split_inclusive(|byte| *byte == b'\n').count();
    Ok((text, found.min(lines)))
}

/// Where the last so many lines begin, if there are more than those; else how many ends of lines there are.
fn begin_of_last(text: &[u8], lines: usize) -> Result<usize, usize> {
    let mut found = 0;
    for (at, _) in text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
        found += 1;
        if found == lines {
            return Ok(at + 1);
        }
    }
    Err(found)
}

/// Parts that were read backwards, as one text.
fn forwards(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.reverse();
    parts.concat()
}

/// How far each file of the log was read, in bytes; a file that is not here was not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position(BTreeMap<PathBuf, u64>);

impl Position {
    /// Where the log ends in this moment.
    pub(crate) fn end(folder: &Path) -> io::Result<Self> {
        last_lines(&files(folder)?, 0).map(|(_, position)| position)
    }

    /// What was added since, to whichever file; at most some blocks at once, and nothing when all is read.
    pub(crate) fn more(&mut self, folder: &Path) -> io::Result<Vec<u8>> {
        let files = files(folder)?;
        self.0.retain(|path, _| files.contains(path));
        for path in files {
            let Some(mut file) = opened(&path)? else { continue };
            let offset = self.0.entry(path).or_default();
            let end = file.metadata()?.len();
            // Somebody emptied it.
            if end < *offset {
                *offset = 0;
            }
            if end == *offset {
                continue;
            }
            file.seek(SeekFrom::Start(*offset))?;
            let mut text = Vec::new();
            *offset += file.take(16 * BLOCK).read_to_end(&mut text)? as u64;
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
        let (text, _) = last_lines(&files(folder).expect("read"), lines).expect("read");
        assert_eq!(String::from_utf8_lossy(&text), expected, "{lines} lines");
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
        let (_, mut position) = last_lines(&files(home.path()).expect("read"), 1).expect("read");
        assert_eq!(position, Position::end(home.path()).expect("read"));
        write(home.path(), 1, "c\n");
        assert_eq!(position.more(home.path()).expect("read"), b"c\n");
    }
}
