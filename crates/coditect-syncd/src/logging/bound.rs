//! A bound on a day's log: a line that comes over and over, or `trace` that somebody forgot, must not fill the disk.
//!
//! How full the file is is asked of the file itself: others may have begun it, or made it shorter.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sync_config::LogFormat;
use sync_core::Timestamp;

use super::{LogState, day_at, name_of};
use crate::clock::Clock;

/// So much is written in a day.
const MOST: u64 = 64 * 1024 * 1024;

/// Asks for room for another day's worth: who changed the level is looking for something.
#[derive(Clone, Debug, Default)]
pub(super) struct Anew(Arc<AtomicBool>);

impl Anew {
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Daily files that take no more than so much.
pub(super) struct Bounded<W> {
    files: W,
    folder: PathBuf,
    format: LogFormat,
    state: LogState,
    anew: Anew,
    bound: Bound,
}

impl<W: Write> Bounded<W> {
    pub(super) fn new(files: W, folder: &Path, format: LogFormat, state: LogState, anew: Anew) -> Self {
        Self { files, folder: folder.to_owned(), format, state, anew, bound: Bound::new(MOST) }
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let now = Clock::System.now();
        let file = self.folder.join(name_of(&day_at(now)));
        // One that cannot be looked at is tried: who writes it tells what is in the way.
        let length = fs::metadata(&file).map_or(0, |found| found.len());
        if !self.bound.has_room(&file, length, self.anew.is_asked()) {
            let reason = format!(
                "`{}`: today's file is full; it goes on tomorrow (UTC), or when `sync_daemon.log.level` is changed",
                self.folder.display()
            );
            if self.state.see(Some(reason.clone()), now) {
                tracing::warn!(reason, "the log cannot be written");
            }
            return Ok(line.len());
        }
        let written = self.files.write(line)?;
        if !self.bound.has_room(&file, length.saturating_add(written as u64), false) {
            self.files.write_all(last(self.format, now).as_bytes())?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.files.flush()
    }
}

/// How long which file may become.
struct Bound {
    most: u64,
    file: PathBuf,
    /// How long it was when it was looked at last.
    length: u64,
    limit: u64,
}

impl Bound {
    fn new(most: u64) -> Self {
        Self { most, file: PathBuf::new(), length: 0, limit: most }
    }

    /// Whether anything may be added to a file of this length.
    fn has_room(&mut self, file: &Path, length: u64, anew: bool) -> bool {
        if self.file != file || length < self.length {
            file.clone_into(&mut self.file);
            self.limit = self.most;
        }
        if anew {
            self.limit = length.saturating_add(self.most);
        }
        self.length = length;
        length < self.limit
    }
}

/// The last line of a full file.
fn last(format: LogFormat, now: Timestamp) -> String {
    const TARGET: &str = module_path!();
    let (at, message) = (
        now.to_rfc3339(),
        "the log of today is full; nothing more is written to it until tomorrow (UTC) or until the level is changed",
    );
    match format {
        LogFormat::Text => format!("{at}  WARN {TARGET}: {message}\n"),
        LogFormat::Json => {
            let line =
                json!({"timestamp": at, "level": "WARN", "fields": {"message": message}, "target": TARGET});
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_a_shorter_file_and_another_level_have_room_again() {
        let mut bound = Bound::new(100);
        let (one, two) = (Path::new("one"), Path::new("two"));
        for (file, length, anew, expected) in [
            // As an earlier process left it.
            (one, 100, false, false),
            (one, 500, false, false),
            (one, 99, false, true),
            (one, 130, false, false),
            (one, 130, true, true),
            (one, 229, false, true),
            (one, 230, false, false),
            // Somebody emptied it, and what was asked for once is over.
            (one, 0, false, true),
            (one, 100, false, false),
            (two, 100, false, false),
            (two, 50, false, true),
            (one, 50, false, true),
        ] {
            assert_eq!(bound.has_room(file, length, anew), expected, "{file:?} {length} {anew}");
        }
    }

    #[test]
    fn a_full_log_ends_with_a_line_that_says_so_and_is_told() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join("logs");
            let log = sync_config::Config::default().sync_daemon.log;
            let (state, anew) = (LogState::default(), Anew::default());
            let daily = super::super::Daily::new(&log, &folder, state.clone()).unwrap();
            let mut files = Bounded::new(daily, &folder, format, state.clone(), anew.clone());
            files.bound.most = 30;
            let lines = || {
                let mut files = fs::read_dir(&folder).unwrap();
                let text = fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap();
                text.lines().map(str::to_owned).collect::<Vec<String>>()
            };
            for number in 0..9 {
                files.write_all(format!("line {number} of nine\n").as_bytes()).unwrap();
            }
            let written = lines();
            assert_eq!(written[..2], ["line 0 of nine", "line 1 of nine"]);
            assert!(written.len() == 3 && written[2].contains("the log of today is full"), "{written:?}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&written[2]).is_ok(),
                format == LogFormat::Json
            );
            assert!(state.trouble().unwrap().1.contains("logs`: today's file is full"));

            anew.ask();
            for number in 0..9 {
                files.write_all(format!("more {number} of nine\n").as_bytes()).unwrap();
                assert_eq!(state.trouble().is_some(), number > 1, "{number}");
            }
            let written = lines();
            assert_eq!(written[3..5], ["more 0 of nine", "more 1 of nine"]);
            assert!(written.len() == 6 && written[5].contains("the log of today is full"), "{written:?}");

            fs::remove_dir_all(&folder).unwrap();
            files.write_all(b"begun anew\n").unwrap();
            assert_eq!((lines(), state.trouble()), (vec!["begun anew".to_owned()], None));
        }
    }
}
