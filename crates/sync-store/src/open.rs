//! Opens the database, makes it, or sets a damaged one aside.
//!
//! A file is first looked at through a connection that cannot write, so that one of a newer version is not touched.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use sync_core::Timestamp;
use uuid::Uuid;

use crate::error::{Error, result_code};
use crate::migrate::{self, APPLICATION_ID};

/// SQLite before this can damage a database in WAL mode that has two connections.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);
/// Readers of one process: the control server's and the loops'.
const READERS: u32 = 3;
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

/// What opening came to.
pub(crate) struct Ready {
    pub(crate) connection: SqliteConnection,
    pub(crate) options: SqliteConnectOptions,
    pub(crate) reads: SqlitePool,
    pub(crate) set_aside: Option<PathBuf>,
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
}

/// Opens or makes the database at `path`; `fresh_id` becomes the instance's id where it has none.
pub(crate) async fn open(path: &Path, now: Timestamp, fresh_id: Uuid) -> Result<Ready, Error> {
    let beside = read_instance(path)?;
    let found = match fs::metadata(path) {
        Ok(_) => judge(look(path).await?, beside),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if beside.is_some() {
                tracing::warn!(file = %path.display(), "the database is gone; a new one is made");
            }
            Found::Empty
        }
        Err(error) => return Err(Error::file("look at the database", path)(error)),
    };
    let (set_aside, unclean, instance) = match found {
        Found::Empty => (None, false, None),
        Found::Ours { instance, unclean } => (None, unclean, instance),
        Found::Unusable(why) => {
            let aside = move_aside(path, now)?;
            tracing::warn!(file = %aside.display(), why, "the database cannot be used and was set aside");
            (Some(aside), true, None)
        }
    };

    make_private(path)?;
    let options = writing(path);
    let mut connection = options.connect().await?;
    check_library(&mut connection).await?;
    migrate::migrate(&mut connection).await?;
    let instance = instance.unwrap_or(fresh_id);
    mark_open(&mut connection, instance).await?;
    if beside != Some(instance) {
        write_instance(path, instance)?;
    }
    let reads = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(BUSY)
        .connect_lazy_with(reading(path));
    Ok(Ready { connection, options, reads, set_aside, unclean, instance })
}

/// The pragmas, in the order that matters on a new file.
fn writing(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(4096)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
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
        .busy_timeout(BUSY)
        .disable_statement_logging();
    careful(options)
}

fn careful(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .pragma("cache_size", "-2048")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "memory")
        .pragma("cell_size_check", "on")
        .pragma("trusted_schema", "off")
}

/// Looks at a file without changing it.
async fn look(path: &Path) -> Result<Found, Error> {
    let attempt = async {
        let mut connection = reading(path).connect().await?;
        let found = examine(&mut connection).await;
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
    const ERROR: i64 = 1;
    const CORRUPT: i64 = 11;
    const NOTADB: i64 = 26;
    match result_code(error) {
        Some(code) => matches!(code & 0xff, ERROR | CORRUPT | NOTADB),
        None => matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound),
    }
}

async fn examine(connection: &mut SqliteConnection) -> Result<Result<Found, Error>, sqlx::Error> {
    let (application, version, tables): (i64, i64, i64) =
        sqlx::query_as(LOOK).fetch_one(&mut *connection).await?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(Ok(Found::Empty));
    }
    if application != APPLICATION_ID {
        return Ok(Ok(Found::Unusable("it is another program's".to_owned())));
    }
    if version > migrate::known() {
        return Ok(Err(Error::Newer { found: version, known: migrate::known() }));
    }
    let (instance, state): (Option<String>, Option<String>) =
        sqlx::query_as(FACTS).fetch_one(&mut *connection).await?;
    let unclean = state.as_deref() != Some("closed");
    if unclean {
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
            Found::Unusable("it is the database of another installation".to_owned())
        }
        (found @ (Found::Empty | Found::Ours { .. } | Found::Unusable(_)), _) => found,
    }
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

fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let aside = with_suffix(path, &format!(".corrupt-{}", now.0));
    fs::rename(path, &aside).map_err(Error::file("set aside the damaged database", path))?;
    for suffix in ["-wal", "-shm"] {
        let file = with_suffix(path, suffix);
        match fs::rename(&file, with_suffix(&aside, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("set aside", &file)(error)),
        }
    }
    Ok(aside)
}

fn instance_file(path: &Path) -> PathBuf {
    with_suffix(path, ".instance")
}

fn read_instance(path: &Path) -> Result<Option<Uuid>, Error> {
    let file = instance_file(path);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::file("read", &file)(error)),
    }
}

fn write_instance(path: &Path, instance: Uuid) -> Result<(), Error> {
    let file = instance_file(path);
    let new = with_suffix(path, ".instance-new");
    let write = || {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(opened, "{instance}")?;
        opened.sync_all()?;
        fs::rename(&new, &file)
    };
    write().map_err(Error::file("write", &file))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
