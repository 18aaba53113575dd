//! Opens the database, makes it, or sets a damaged one aside.
//!
//! A file is first looked at through a connection that cannot write, so that one of a newer version is not touched.
//! SQLite's full check runs after an end that was not clean, and whenever the file is small enough for it not to be
//! felt; else the file's length is compared with what its header says.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use sync_core::Timestamp;
use uuid::Uuid;

use crate::aside::{self, with_suffix};
use crate::ballast::Ballast;
use crate::error::{Error, result_code};
use crate::migrate::{self, APPLICATION_ID};
use crate::reads;
use crate::salvage::{self, Carried};

/// SQLite before this can damage a database in WAL mode that has two connections.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);
/// Up to this size a file is checked at every start, which takes some 2 ms a MiB.
const SMALL: u64 = 32 * 1024 * 1024;
/// How long another program's lock is waited for.
const BUSY: Duration = Duration::from_secs(5);

crate::sql::statements! {
    LIBRARY = "select sqlite_version()";
    LOOK = "\
        select a.application_id, u.user_version, (select count(*) from sqlite_schema)
        from pragma_application_id as a, pragma_user_version as u";
    FACTS = "\
        select
            (select value from meta where key = 'store.instance'),
            (select value from meta where key = 'store.state')";
    CHECK = "pragma quick_check(1)";
    REMEMBER = "\
        insert into meta (key, value) values (?1, ?2)
        on conflict (key) do update set value = excluded.value";
}

/// Whether a commit waits until it is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
pub enum Durability {
    /// It does.
    Full,
    /// Only the log's transfer into the file does: what a test of power cuts must find out.
    Weak,
}

/// What opening came to.
pub(crate) struct Ready {
    pub(crate) connection: SqliteConnection,
    pub(crate) options: SqliteConnectOptions,
    pub(crate) reads: SqlitePool,
    pub(crate) set_aside: Option<PathBuf>,
    pub(crate) carried: Carried,
    pub(crate) unclean: bool,
    pub(crate) instance: Uuid,
}

/// What a file turned out to be.
enum Found {
    /// Nothing is in it.
    Empty,
    /// A database of ours.
    Ours { instance: Option<Uuid>, unclean: bool },
    /// Something that cannot be used, and why.
    Unusable(String),
    /// Another program's or another installation's, and why it is held for that.
    Foreign(&'static str),
}

/// Opens or makes the database at `path`; `fresh_id` becomes the instance's id where it has none.
pub(crate) async fn open(
    path: &Path,
    durability: Durability,
    now: Timestamp,
    fresh_id: Uuid,
) -> Result<Ready, Error> {
    let interrupted = aside::finish(path, now)?;
    let beside = aside::read_instance(path)?;
    // What was rebuilt has no id yet, and what is beside it is the damaged one's.
    let found = if interrupted.is_some() { Found::Empty } else { find(path, beside).await? };
    let (set_aside, unclean, instance) = match found {
        Found::Empty => (interrupted, false, None),
        Found::Ours { instance, unclean } => (None, unclean, instance),
        Found::Unusable(why) => {
            tracing::warn!(file = %path.display(), why, "the database is damaged");
            return rebuilt(path, durability, now, fresh_id).await;
        }
        Found::Foreign(why) => {
            tracing::warn!(file = %path.display(), why, "the database is not this installation's");
            let kept_at = aside::move_aside(path, now)?;
            (Some(kept_at), true, None)
        }
    };
    match start(path, durability, beside, instance.unwrap_or(fresh_id), now).await {
        Ok((connection, instance)) => {
            let unclean = unclean || set_aside.is_some();
            Ok(ready(path, durability, connection, set_aside, Carried::default(), unclean, instance))
        }
        // What the look at it did not show.
        Err(Error::Broken { .. }) if set_aside.is_none() => {
            tracing::warn!(file = %path.display(), "the database is damaged where it was not looked at");
            rebuilt(path, durability, now, fresh_id).await
        }
        Err(error) => Err(error),
    }
}

/// Puts a new database with everything that can be read in the place of a damaged one.
async fn rebuilt(
    path: &Path,
    durability: Durability,
    now: Timestamp,
    fresh_id: Uuid,
) -> Result<Ready, Error> {
    let mut carried = rebuild(path, now).await;
    if matches!(carried, Err(Error::Full)) && Ballast::beside(path).give_up() {
        carried = rebuild(path, now).await;
    }
    let (kept_at, carried) = match carried {
        Ok(carried) => (aside::swap(path, now)?, carried),
        Err(error) => {
            // A start is worth more than what was not sent yet: a scan finds the projects again.
            tracing::error!(%error, "nothing can be carried over from the damaged database");
            aside::give_up(path)?;
            (aside::move_aside(path, now)?, Carried::default())
        }
    };
    tracing::warn!(kept_at = %kept_at.display(), ?carried, "the database is a new one");
    let (connection, instance) = start(path, durability, None, fresh_id, now).await?;
    Ok(ready(path, durability, connection, Some(kept_at), carried, true, instance))
}

/// Makes the new database beside the damaged one, complete and on the disk.
async fn rebuild(path: &Path, now: Timestamp) -> Result<Carried, Error> {
    let (database, log) = (path.to_owned(), with_suffix(path, "-wal"));
    let found = tokio::task::spawn_blocking(move || salvage::read(&database, &log))
        .await
        .map_err(|error| Error::other("read the damaged database", error))?
        .map_err(Error::file("read the damaged database", path))?;
    let building = aside::building(path);
    aside::clear(&building)?;
    make_private(&building)?;
    // Whatever interrupts this, it is begun anew: no log, and no sync but the last.
    let options = writing(&building, Durability::Weak);
    let options = options
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-65536");
    let mut connection = options.connect().await?;
    migrate::migrate(&mut connection, now).await?;
    let carried = salvage::carry_over(&mut connection, found, now).await?;
    connection.close().await?;
    aside::complete(path)?;
    Ok(carried)
}

/// Opens a database that is as it should be, and writes down that it is in use; with the room that is kept for it, where
/// there is no other.
async fn start(
    path: &Path,
    durability: Durability,
    beside: Option<Uuid>,
    instance: Uuid,
    now: Timestamp,
) -> Result<(SqliteConnection, Uuid), Error> {
    let started = start_once(path, durability, beside, instance, now).await;
    if matches!(started, Err(Error::Full)) && Ballast::beside(path).give_up() {
        return start_once(path, durability, beside, instance, now).await;
    }
    started
}

async fn start_once(
    path: &Path,
    durability: Durability,
    beside: Option<Uuid>,
    instance: Uuid,
    now: Timestamp,
) -> Result<(SqliteConnection, Uuid), Error> {
    make_private(path)?;
    let mut connection = writing(path, durability).connect().await?;
    if let Err(error) = prepare(&mut connection, instance, now).await {
        // One that is only dropped goes on for a while, and would remove the log of who comes after it.
        if let Err(second) = connection.close().await {
            tracing::debug!(error = %second, "closing the database failed as well");
        }
        return Err(error);
    }
    if beside != Some(instance) {
        aside::write_instance(path, instance)?;
    }
    Ok((connection, instance))
}

async fn prepare(connection: &mut SqliteConnection, instance: Uuid, now: Timestamp) -> Result<(), Error> {
    check_library(connection).await?;
    migrate::migrate(connection, now).await?;
    mark_open(connection, instance).await
}

fn ready(
    path: &Path,
    durability: Durability,
    connection: SqliteConnection,
    set_aside: Option<PathBuf>,
    carried: Carried,
    unclean: bool,
    instance: Uuid,
) -> Ready {
    let reads = reads::pool(reading(path), BUSY);
    let options = writing(path, durability);
    Ready { connection, options, reads, set_aside, carried, unclean, instance }
}

/// What is at the database's place. Looking takes room as well, for what SQLite shares between its readers; with the room
/// that is kept for it, where there is no other.
async fn find(path: &Path, beside: Option<Uuid>) -> Result<Found, Error> {
    let found = find_once(path, beside).await;
    if matches!(found, Err(Error::Full)) && Ballast::beside(path).give_up() {
        return find_once(path, beside).await;
    }
    found
}

async fn find_once(path: &Path, beside: Option<Uuid>) -> Result<Found, Error> {
    match fs::metadata(path) {
        // SQLite would remove the log of an empty file.
        Ok(metadata) if metadata.len() == 0 && metadata.is_file() => Ok(judge(Found::Empty, beside)),
        Ok(metadata) if !metadata.is_file() => {
            let source = std::io::Error::other("it is not a file");
            Err(Error::other(format!("open the database `{}`", path.display()), source))
        }
        Ok(metadata) => Ok(judge(look(path, metadata.len()).await?, beside)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if beside.is_some() {
                tracing::warn!(file = %path.display(), "the database is gone; a new one is made");
            }
            Ok(Found::Empty)
        }
        Err(error) => Err(Error::file("look at the database", path)(error)),
    }
}

/// So many rows are ahead of who reads them. Each is six kilobytes or more until it is read, and what lay there at the
/// worst moment stays with the C library, in a heap of each reader.
const ROW_BUFFER: usize = 32;

/// The pragmas, in the order that matters on a new file.
fn writing(path: &Path, durability: Durability) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(4096)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Weak => SqliteSynchronous::Normal,
        })
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .row_buffer_size(ROW_BUFFER)
        .pragma("journal_size_limit", "4194304")
        .disable_statement_logging();
    let options = careful(options);
    if cfg!(target_os = "macos") {
        options.pragma("fullfsync", "on").pragma("checkpoint_fullfsync", "on")
    } else {
        options
    }
}

fn reading(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .row_buffer_size(ROW_BUFFER)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    // Several of these stay open, and what they read lies in the system's cache as well: enough for the way down a few
    // trees.
    careful(options).pragma("cache_size", "-64")
}

fn careful(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        // In KiB, as it is negative. It is filled by and by and never given back, and behind it is the system's cache.
        .pragma("cache_size", "-256")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .pragma("cell_size_check", "on")
        .pragma("trusted_schema", "off")
}

/// Looks at a file without changing it, but for one thing: what a process did not finish before the log was switched
/// on has to be taken back before anybody can read the file.
async fn look(path: &Path, length: u64) -> Result<Found, Error> {
    let unfinished = with_suffix(path, "-journal").exists();
    let attempt = async {
        let mut connection = reading(path).read_only(!unfinished).connect().await?;
        let found = examine(&mut connection, path, length).await;
        connection.close().await?;
        found
    };
    match attempt.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(newer)) => Err(newer),
        Err(error) if means_damage(&error) => Ok(Found::Unusable(error.to_string())),
        Err(error) => match Error::from(error).in_file(path) {
            Error::Other { source, .. } => {
                Err(Error::Other { what: format!("open the database `{}`", path.display()), source })
            }
            known @ (Error::Full
            | Error::Busy
            | Error::Broken { .. }
            | Error::Newer { .. }
            | Error::Row { .. }
            | Error::QueueFull { .. }
            | Error::Closed) => Err(known),
        },
    }
}

/// SQLite's own complaints about what is in the file, as against about getting at it.
fn means_damage(error: &sqlx::Error) -> bool {
    // A read that failed or came short, and a file system that says it is damaged.
    const READ: [i64; 3] = [0x010a, 0x020a, 0x210a];
    const ERROR: i64 = 1;
    const CORRUPT: i64 = 11;
    const NOTADB: i64 = 26;
    match result_code(error) {
        Some(code) => READ.contains(&code) || matches!(code & 0xff, ERROR | CORRUPT | NOTADB),
        None => matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound),
    }
}

async fn examine(
    connection: &mut SqliteConnection,
    path: &Path,
    length: u64,
) -> Result<Result<Found, Error>, sqlx::Error> {
    let (application, version, tables): (i64, i64, i64) =
        sqlx::query_as(LOOK).fetch_one(&mut *connection).await?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(Ok(Found::Empty));
    }
    if application != APPLICATION_ID {
        return Ok(Ok(Found::Foreign("it is another program's")));
    }
    if version > migrate::known() {
        return Ok(Err(Error::Newer { found: version, known: migrate::known() }));
    }
    let (instance, state): (Option<String>, Option<String>) =
        sqlx::query_as(FACTS).fetch_one(&mut *connection).await?;
    let unclean = state.as_deref() != Some("closed");
    if !unclean && !has_its_length(path, length) {
        return Ok(Ok(Found::Unusable("it is not as long as it says".to_owned())));
    }
    if unclean || length <= SMALL {
        let problems: Vec<String> = sqlx::query_scalar(CHECK).fetch_all(&mut *connection).await?;
        if problems != ["ok"] {
            return Ok(Ok(Found::Unusable(problems.join("; "))));
        }
    }
    Ok(Ok(Found::Ours { instance: instance.and_then(|text| text.parse().ok()), unclean }))
}

/// Compares what is in the file with the id beside it.
fn judge(found: Found, beside: Option<Uuid>) -> Found {
    match (found, beside) {
        (Found::Empty, Some(_)) => {
            Found::Unusable("it is empty, and was not when it was last used".to_owned())
        }
        (Found::Ours { instance: Some(inside), .. }, Some(beside)) if inside != beside => {
            Found::Foreign("it is the database of another installation")
        }
        (found @ (Found::Empty | Found::Ours { .. } | Found::Unusable(_) | Found::Foreign(_)), _) => found,
    }
}

/// Whether a file is as long as its header says, which it is when nothing is in the log.
fn has_its_length(path: &Path, length: u64) -> bool {
    let in_log = fs::metadata(with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let mut pages = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut pages, 28));
    in_log || read.is_ok() && u64::from(u32::from_be_bytes(pages)) * 4096 == length
}

async fn check_library(connection: &mut SqliteConnection) -> Result<(), Error> {
    let version: String = sqlx::query_scalar(LIBRARY).fetch_one(connection).await?;
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) < OLDEST_SQLITE {
        let source = std::io::Error::other(format!("this is {version}"));
        return Err(Error::other("use SQLite: 3.51.3 or newer is needed", source));
    }
    Ok(())
}

async fn mark_open(connection: &mut SqliteConnection, instance: Uuid) -> Result<(), Error> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    remember(&mut transaction, "store.instance", &instance.to_string()).await?;
    remember(&mut transaction, "store.state", "open").await?;
    transaction.commit().await?;
    Ok(())
}

/// Says inside the open transaction that this run ended well.
pub(crate) async fn mark_closed(connection: &mut SqliteConnection) -> Result<(), Error> {
    Ok(remember(connection, "store.state", "closed").await?)
}

async fn remember(connection: &mut SqliteConnection, key: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query(REMEMBER).bind(key).bind(value).execute(connection).await?;
    Ok(())
}

/// Makes the file where there is none, and keeps other users from reading it and what is beside it.
fn make_private(path: &Path) -> Result<(), Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("open the database", path))?;
    for file in [path.to_owned(), with_suffix(path, "-wal"), with_suffix(path, "-shm")] {
        match fs::metadata(&file) {
            Ok(metadata) if metadata.permissions().mode() & 0o777 != 0o600 => {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
                    .map_err(Error::file("set the permissions of", &file))?;
            }
            // SQLite gives the files it makes the database's permissions.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
