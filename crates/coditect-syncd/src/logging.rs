//! Where log lines go: to stderr for people and the service manager, and to daily files.
//!
//! Where stderr is systemd's journal only warnings and errors go there, since the files have everything (docs/adr/0046).

mod bound;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sync_config::{Log, LogFormat};
use sync_core::{Place, Timestamp};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::bound::{Anew, Bounded};
use crate::clock::Clock;
use crate::service::Manager;

/// Lines that may wait for the disk; more than that and they are dropped. The default of 128,000 takes 4 MB.
const WAITING_LINES: usize = 512;
const PREFIX: &str = "coditect-syncd";
const SUFFIX: &str = "log";

/// Changes the level of the running log.
#[derive(Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    anew: Anew,
    state: LogState,
}

/// Whether the files are written, as who writes them knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogState(Arc<Mutex<Option<(Timestamp, String)>>>);

impl LogState {
    /// Since when no line was written, and why.
    pub(crate) fn trouble(&self) -> Option<(Timestamp, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A line was written, or was not. Says whether that is news.
    fn see(&self, error: Option<String>, now: Timestamp) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.is_some() != error.is_some();
        *state = error.map(|reason| (state.as_ref().map_or(now, |(since, _)| *since), reason));
        is_news
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("log to `{folder}`")]
pub(crate) struct LogError {
    folder: String,
    source: io::Error,
}

/// While it lives, lines are written; at its end those that wait are, for a second at most.
#[derive(Debug)]
pub(crate) struct Written {
    _files: WorkerGuard,
    _stderr: Option<WorkerGuard>,
}

/// What of the log goes to stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Everything,
    /// Warnings and errors.
    Troubles,
    /// Nothing: what ends a start is written there all the same.
    Nothing,
}

impl Shown {
    /// `journal` is systemd's word on which file its journal reads: the device's and the file's number.
    fn of(manager: Option<Manager>, journal: Option<&OsStr>, stderr: Option<Place>) -> Self {
        let named = journal.and_then(OsStr::to_str).and_then(|named| named.split_once(':'));
        let number = |text: &str| text.parse::<u64>().ok();
        let named =
            named.and_then(|(device, inode)| Some(Place { device: number(device)?, inode: number(inode)? }));
        match manager {
            // launchd puts stderr into a file which nobody makes shorter.
            Some(Manager::Launchd) => Self::Nothing,
            // Who inherited the variable and not stderr, as a shell in a terminal, is read by somebody else.
            Some(Manager::Systemd) | None if named.is_some() && named == stderr => Self::Troubles,
            Some(Manager::Systemd) | None => Self::Everything,
        }
    }
}

/// Where stderr leads.
fn stderr_place() -> Option<Place> {
    let found = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    Some(Place { device: found.dev(), inode: found.ino() })
}

/// Starts logging: to files, and to stderr where somebody reads or bounds that; `journal` is what `JOURNAL_STREAM` says. The
/// files are written as long as the guard lives, so it has to outlive everything that logs.
///
/// # Errors
/// When the log folder cannot be used, or the system gives no thread to write to it.
pub(crate) fn start(
    log: &Log,
    folder: &Path,
    manager: Option<Manager>,
    journal: Option<&OsStr>,
) -> Result<(Logging, Written), LogError> {
    let shown = Shown::of(manager, journal, stderr_place());
    begin(log, folder, shown).map_err(|source| LogError { folder: folder.display().to_string(), source })
}

fn begin(log: &Log, folder: &Path, shown: Shown) -> Result<(Logging, Written), io::Error> {
    let (state, anew) = (LogState::default(), Anew::default());
    let appender = Daily::new(log, folder, state.clone())?;
    // The library panics where it gets no thread; so whether there is one is asked first.
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(|| ())?;
    if thread.join().is_err() {
        return Err(io::Error::other("a thread ended badly"));
    }
    let appender = Bounded::new(appender, folder, log.format, state.clone(), anew.clone());
    let (files, files_guard) = lines("log").finish(appender);
    let (filter, handle) = reload::Layer::new(filter(log));
    let mut layers: Vec<Box<dyn Layer<_> + Send + Sync>> = match log.format {
        LogFormat::Text => vec![Box::new(fmt::layer().with_writer(files).with_ansi(false))],
        LogFormat::Json => vec![Box::new(fmt::layer().json().with_writer(files))],
    };
    let stderr_guard = if shown == Shown::Nothing {
        None
    } else {
        let ansi = io::IsTerminal::is_terminal(&io::stderr());
        let level = if shown == Shown::Troubles { LevelFilter::WARN } else { LevelFilter::TRACE };
        // On a thread of its own, and nobody waits for it: who reads it may have stopped, and must not stop the daemon.
        let (stderr, guard) = lines("log-stderr").finish(io::stderr());
        layers.push(match log.format {
            LogFormat::Text => {
                let text = fmt::layer().with_writer(stderr).with_target(false).with_ansi(ansi);
                text.with_filter(level).boxed()
            }
            LogFormat::Json => fmt::layer().json().with_writer(stderr).with_filter(level).boxed(),
        });
        Some(guard)
    };
    tracing_subscriber::registry().with(filter).with(layers).try_init().map_err(io::Error::other)?;
    Ok((Logging { filter: handle, anew, state }, Written { _files: files_guard, _stderr: stderr_guard }))
}

fn lines(thread: &str) -> NonBlockingBuilder {
    NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).thread_name(thread)
}

/// The daily files. The library holds on to a file that somebody removed or put another in the place of; here the one that
/// is there is opened, or begun, with the next line.
struct Daily {
    keep_days: u32,
    folder: PathBuf,
    appender: RollingFileAppender,
    /// The file that is open, as far as is known.
    opened: Option<(PathBuf, Place)>,
    state: LogState,
}

impl Daily {
    fn new(log: &Log, folder: &Path, state: LogState) -> io::Result<Self> {
        let appender = appender(folder)?;
        Ok(Self { keep_days: log.keep_days.max(1), folder: folder.to_owned(), appender, opened: None, state })
    }

    /// Opens or begins today's file where another is open: on another day, or because it was removed or replaced.
    fn is_there(&mut self, now: Timestamp) -> io::Result<()> {
        let day = day_at(now);
        let file = self.folder.join(name_of(&day));
        let there = place(&file)?.map(|place| (file.clone(), place));
        if there.is_none() || there != self.opened {
            self.appender = appender(&self.folder)?;
            self.opened = place(&file)?.map(|place| (file, place));
            if let Err(error) = self.forget_old(&day) {
                tracing::warn!(%error, "an old log cannot be removed");
            }
        }
        Ok(())
    }
}

impl Daily {
    /// Removes all but the newest, besides today's. The library would count today's only where it is not there yet, and one
    /// less was left after each start.
    fn forget_old(&self, today: &str) -> io::Result<()> {
        let mut days: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let day = entry.file_name().to_str().and_then(day_of).map(str::to_owned);
            days.extend(
                day.filter(|day| day != today && entry.file_type().is_ok_and(|found| found.is_file())),
            );
        }
        days.sort_unstable_by(|one, other| other.cmp(one));
        for day in days.iter().skip(usize::try_from(self.keep_days).unwrap_or(usize::MAX)) {
            match std::fs::remove_file(self.folder.join(name_of(day))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Write for Daily {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let now = Clock::System.now();
        let is_there = self.is_there(now);
        // Also where another cannot be begun: the one that is open may be all there is.
        let written = self.appender.write(line);
        let error = is_there.err().or_else(|| written.as_ref().err().map(copy));
        let reason = error.map(|error| format!("`{}`: {error}", self.folder.display()));
        if self.state.see(reason.clone(), now) {
            if let Some(reason) = reason {
                tracing::warn!(reason, "the log cannot be written");
            } else {
                tracing::info!("the log is written again");
            }
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.appender.flush()
    }
}

/// Where on the disk the file is, if it is there.
fn place(file: &Path) -> io::Result<Option<Place>> {
    match std::fs::metadata(file) {
        Ok(found) => Ok(Some(Place { device: found.dev(), inode: found.ino() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Which day it is, in UTC.
fn day_at(now: Timestamp) -> String {
    now.to_rfc3339().chars().take("2026-01-01".len()).collect()
}

/// What the log of a day is called.
fn name_of(day: &str) -> String {
    format!("{PREFIX}.{day}.{SUFFIX}")
}

/// The day of a log by its name; other files are none of the log's.
fn day_of(name: &str) -> Option<&str> {
    let day = name.strip_prefix(PREFIX)?.strip_prefix('.')?.strip_suffix(SUFFIX)?.strip_suffix('.')?;
    let is_one = day.len() == "2026-01-01".len()
        && day.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_one.then_some(day)
}

/// Opens or begins today's file.
fn appender(folder: &Path) -> io::Result<RollingFileAppender> {
    // The library would make it for all to read, after it complained on stderr that it is not there.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(PREFIX)
        .filename_suffix(SUFFIX)
        .build(folder)
        .map_err(|error| kept(&error))
}

/// What the system said, below the library's own words for it.
fn kept(error: &tracing_appender::rolling::InitError) -> io::Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.map_or_else(|| io::Error::other(error.to_string()), copy)
}

impl Logging {
    /// Whether the files are written.
    pub(crate) fn state(&self) -> LogState {
        self.state.clone()
    }

    /// Follows a changed level; the other settings of the log need a restart.
    pub(crate) fn follow(&self, log: &Log) {
        let wanted = filter(log);
        let differs = self.filter.with_current(|current| current.to_string() != wanted.to_string());
        match self.filter.reload(wanted) {
            // A full file gets more room: who changes the level is looking for something.
            Ok(()) if differs.unwrap_or(false) => self.anew.ask(),
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the log level was not changed"),
        }
    }
}

/// Ours at the configured level, the libraries' only from warnings up, or from debug on at trace.
fn filter(log: &Log) -> EnvFilter {
    let level = log.level.as_str();
    let others = if level == "trace" {
        "debug"
    } else if level == "error" {
        "error"
    } else {
        "warn"
    };
    let ours = ["coditect_syncd", "sync_core", "sync_store", "sync_cloud", "sync_scan", "coditect_devcloud"];
    let directives = ours.map(|name| format!("{name}={level}")).join(",");
    EnvFilter::new(format!("{others},{directives}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_that_is_removed_is_begun_anew_and_what_is_in_its_way_is_told() {
        let home = tempfile::tempdir().unwrap();
        let (folder, state) = (home.path().join("logs"), LogState::default());
        let log = sync_config::Config::default().sync_daemon.log;
        let mut daily = Daily::new(&log, &folder, state.clone()).unwrap();
        let lines = || -> Vec<String> {
            let files = std::fs::read_dir(&folder).unwrap();
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
        };
        daily.write_all(b"one\n").unwrap();
        // Another file in its place, as an editor leaves it.
        let path = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let edited = home.path().join("edited");
        std::fs::write(&edited, "edited\n").unwrap();
        std::fs::rename(&edited, &path).unwrap();
        daily.write_all(b"two\n").unwrap();
        assert_eq!((lines(), state.trouble()), (vec!["edited\ntwo\n".to_owned()], None));
        for whole in [true, false] {
            let mut files = std::fs::read_dir(&folder).unwrap();
            std::fs::remove_file(files.next().unwrap().unwrap().path()).unwrap();
            if whole {
                std::fs::remove_dir(&folder).unwrap();
            }
            daily.write_all(b"two\n").unwrap();
            assert_eq!((lines(), state.trouble()), (vec!["two\n".to_owned()], None));
        }
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "").unwrap();
        daily.write_all(b"lost\n").unwrap();
        let (since, reason) = state.trouble().unwrap();
        assert!(reason.contains("logs`: ") && since > Timestamp(0), "{reason}");
        daily.write_all(b"lost\n").unwrap();
        assert_eq!(state.trouble(), Some((since, reason)));
        std::fs::remove_file(&folder).unwrap();
        daily.write_all(b"three\n").unwrap();
        assert_eq!((lines(), state.trouble()), (vec!["three\n".to_owned()], None));
    }

    #[test]
    fn the_journal_gets_what_is_wrong_and_everybody_else_everything() {
        let stderr = Some(Place { device: 9, inode: 4711 });
        for (manager, journal, stderr, expected) in [
            (None, Some("9:4711"), stderr, Shown::Troubles),
            (Some(Manager::Systemd), Some("9:4711"), stderr, Shown::Troubles),
            (Some(Manager::Systemd), None, stderr, Shown::Everything),
            // Inherited by what is read by somebody else.
            (None, Some("9:4712"), stderr, Shown::Everything),
            (None, Some("8:4711"), stderr, Shown::Everything),
            (None, Some("9:4711"), None, Shown::Everything),
            (None, Some(""), stderr, Shown::Everything),
            (None, Some("9"), None, Shown::Everything),
            (None, Some("9:x"), None, Shown::Everything),
            (None, None, None, Shown::Everything),
            (Some(Manager::Launchd), Some("9:4711"), stderr, Shown::Nothing),
            (Some(Manager::Launchd), None, stderr, Shown::Nothing),
        ] {
            assert_eq!(
                Shown::of(manager, journal.map(OsStr::new), stderr),
                expected,
                "{manager:?} {journal:?}"
            );
        }
    }

    #[test]
    fn what_was_logged_today_is_there_after_another_start() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log { keep_days: 1, ..sync_config::Config::default().sync_daemon.log };
        for line in ["first\n", "second\n"] {
            let mut daily = Daily::new(&log, folder.path(), LogState::default()).unwrap();
            daily.write_all(line.as_bytes()).unwrap();
        }
        let mut files = std::fs::read_dir(folder.path()).unwrap();
        let text = std::fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap();
        assert_eq!(text, "first\nsecond\n");
    }

    #[test]
    fn as_many_logs_as_are_to_be_kept_are_there_besides_todays_after_any_number_of_starts() {
        for keep_days in [1, 7] {
            let folder = tempfile::tempdir().unwrap();
            let log = Log { keep_days, ..sync_config::Config::default().sync_daemon.log };
            let others =
                ["coditect-syncd.log", "coditect-syncd.2019-01-01.log.gz", "coditect-syncd.mine.log"];
            for other in others {
                std::fs::write(folder.path().join(other), "").unwrap();
            }
            let names = || {
                let files = std::fs::read_dir(folder.path()).unwrap();
                let mut names: Vec<String> =
                    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
                names.sort_unstable();
                names
            };
            for day in 1..=9 {
                std::fs::write(folder.path().join(format!("coditect-syncd.2020-01-0{day}.log")), "").unwrap();
            }
            let today = name_of(&day_at(Clock::System.now()));
            for start in 1..=3 {
                let mut daily = Daily::new(&log, folder.path(), LogState::default()).unwrap();
                daily.write_all(b"a line\n").unwrap();
                let kept = (10 - keep_days..=9).map(|day| format!("coditect-syncd.2020-01-0{day}.log"));
                let mut expected: Vec<String> =
                    kept.chain([today.clone()]).chain(others.map(str::to_owned)).collect();
                expected.sort_unstable();
                assert_eq!(names(), expected, "{keep_days} days, start {start}");
            }
        }
    }
}
