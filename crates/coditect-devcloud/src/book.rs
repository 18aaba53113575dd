//! The book: the SQLite database of projects, given answers, ledger and requests, and the one task that writes it.
//!
//! Work is handed over and carried out to its end even where the asker goes away meanwhile, as in
//! any server whose client hangs up. Knows nothing of HTTP.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::apply::{Decided, Submission, apply};
use crate::error::Error;
use crate::ledger::{self, LedgerEntry, Noted, RequestEntry};
use crate::project::{self, Project};

/// How much work may wait. Every connection asks for one thing at a time, so this is rarely reached.
const WAITING: usize = 256;
/// `cdev` in ASCII.
const APPLICATION_ID: i64 = 0x6364_6576;

const SCHEMA: &str = "
create table if not exists project (
    tenant text not null, machine text not null, local text not null, cloud text not null,
    name text not null, root_path text not null, primary_language text not null, framework text not null,
    content_hash text not null, project_type text not null, parent text, revision integer,
    registered_at integer not null, updated_at integer not null, hidden integer not null,
    primary key (tenant, machine, local)
) strict, without rowid;
create unique index if not exists project_cloud on project (cloud);
create table if not exists answer (
    tenant text not null, key text not null, status integer not null, body text not null,
    primary key (tenant, key)
) strict, without rowid;
create table if not exists ledger (
    id integer primary key autoincrement,
    at integer not null, tenant text not null, machine text, route text not null, local text, name text,
    root_path text, content_hash text, cloud text, key text, revision integer, effect text not null,
    request integer not null
) strict;
create table if not exists request (
    number integer primary key,
    at integer not null, tenant text, method text not null, path text not null, status integer,
    projects integer not null, body_bytes integer not null, key text, faults text not null
) strict;
pragma application_id = 0x63646576;
pragma user_version = 1;";

const WHOSE: &str = "
select (select application_id from pragma_application_id), (select user_version from pragma_user_version),
       (select count(*) from sqlite_schema)";
const LAST_REQUEST: &str = "
select max(coalesce((select max(number) from request), 0), coalesce((select max(request) from ledger), 0))";
const CLEAR_LOG: &str = "delete from ledger; delete from request;";
const FORGET: &str = "delete from project; delete from answer;";

/// The way to the task that owns the database. Clones share it; it ends when the last is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    work: mpsc::Sender<Work>,
}

type Asker<T> = oneshot::Sender<Result<T, Error>>;

enum Work {
    Apply(Box<Submission>, Asker<Decided>),
    Note { request: Box<Noted>, status: Option<u16>, refused: Vec<LedgerEntry>, asker: Asker<()> },
    ByLocal { tenant: String, key: project::Key, asker: Asker<Option<Project>> },
    ByCloud { tenant: String, cloud: String, asker: Asker<Option<Project>> },
    Projects(Asker<Vec<Project>>),
    Ledger(i64, Asker<Vec<LedgerEntry>>),
    Requests(i64, Asker<Vec<RequestEntry>>),
    ClearLog(Asker<()>),
    Forget(Asker<()>),
}

/// The task's side of a book.
pub(crate) struct Bookkeeper {
    connection: SqliteConnection,
    work: mpsc::Receiver<Work>,
}

/// Opens a database file, or one in memory; tells the number of the last request it knows.
pub(crate) async fn open(file: Option<&Path>) -> Result<(Book, Bookkeeper, i64), Error> {
    let name = file.map_or_else(|| PathBuf::from(":memory:"), Path::to_path_buf);
    let refused = |source: crate::error::Cause| Error::Open { file: name.clone(), source };
    let options = match file {
        Some(file) => SqliteConnectOptions::new().filename(file).create_if_missing(true),
        None => SqliteConnectOptions::new().in_memory(true),
    };
    // `NORMAL` may lose the last commits in a power cut; this is a cloud to try things with.
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
    // The daemon it may run in can write to its own folders only, not where SQLite puts what it holds for a moment.
    let options = options.pragma("temp_store", "memory");
    let mut connection = options.connect().await.map_err(|source| refused(source.into()))?;
    let (application, version, tables): (i64, i64, i64) =
        sqlx::query_as(WHOSE).fetch_one(&mut connection).await.map_err(|source| refused(source.into()))?;
    match (application, version, tables) {
        (0, 0, 0) | (APPLICATION_ID, 1, _) => {}
        (APPLICATION_ID, newer, _) => {
            return Err(refused(format!("it has the unknown version {newer}").into()));
        }
        (_, _, _) => return Err(refused("it is the database of another program".into())),
    }
    let last = async {
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
        sqlx::query_scalar::<_, i64>(LAST_REQUEST).fetch_one(&mut connection).await
    };
    let last = last.await.map_err(|source| refused(source.into()))?;
    let (sender, receiver) = mpsc::channel(WAITING);
    Ok((Book { work: sender }, Bookkeeper { connection, work: receiver }, last))
}

impl Book {
    /// Carries out a submission, writes its ledger and notes its request, all in one transaction.
    pub(crate) async fn apply(&self, submission: Submission) -> Result<Decided, Error> {
        self.ask(|asker| Work::Apply(Box::new(submission), asker)).await
    }

    /// Notes a request that changes nothing, and what of it was refused.
    pub(crate) async fn note(
        &self,
        request: Noted,
        status: Option<u16>,
        refused: Vec<LedgerEntry>,
    ) -> Result<(), Error> {
        self.ask(|asker| Work::Note { request: Box::new(request), status, refused, asker }).await
    }

    pub(crate) async fn by_local(&self, tenant: String, key: project::Key) -> Result<Option<Project>, Error> {
        self.ask(|asker| Work::ByLocal { tenant, key, asker }).await
    }

    pub(crate) async fn by_cloud(&self, tenant: String, cloud: String) -> Result<Option<Project>, Error> {
        self.ask(|asker| Work::ByCloud { tenant, cloud, asker }).await
    }

    pub(crate) async fn projects(&self) -> Result<Vec<Project>, Error> {
        self.ask(Work::Projects).await
    }

    pub(crate) async fn ledger(&self, since: i64) -> Result<Vec<LedgerEntry>, Error> {
        self.ask(|asker| Work::Ledger(since, asker)).await
    }

    pub(crate) async fn requests(&self, since: i64) -> Result<Vec<RequestEntry>, Error> {
        self.ask(|asker| Work::Requests(since, asker)).await
    }

    /// Empties ledger and requests.
    pub(crate) async fn clear_log(&self) -> Result<(), Error> {
        self.ask(Work::ClearLog).await
    }

    /// Forgets every project and every answer that was given.
    pub(crate) async fn forget(&self) -> Result<(), Error> {
        self.ask(Work::Forget).await
    }

    async fn ask<T>(&self, work: impl FnOnce(Asker<T>) -> Work) -> Result<T, Error> {
        let (asker, told) = oneshot::channel();
        self.work.send(work(asker)).await.map_err(|_closed| Error::Closed)?;
        told.await.map_err(|_closed| Error::Closed)?
    }
}

impl Bookkeeper {
    /// Works until nobody can ask any more.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        while let Some(work) = self.work.recv().await {
            carry_out(&mut self.connection, work).await;
        }
        self.connection.close().await?;
        Ok(())
    }
}

async fn carry_out(connection: &mut SqliteConnection, work: Work) {
    match work {
        Work::Apply(submission, asker) => tell(asker, apply(connection, *submission).await),
        Work::Note { request, status, refused, asker } => {
            tell(asker, note(connection, &request, status, &refused).await);
        }
        Work::ByLocal { tenant, key, asker } => {
            let found = project::known(connection, &tenant, std::slice::from_ref(&key)).await;
            tell(asker, found.map(|mut known| known.remove(&key)));
        }
        Work::ByCloud { tenant, cloud, asker } => {
            tell(asker, project::by_cloud(connection, &tenant, &cloud).await);
        }
        Work::Projects(asker) => tell(asker, project::all(connection).await),
        Work::Ledger(since, asker) => tell(asker, ledger::read(connection, since).await),
        Work::Requests(since, asker) => tell(asker, ledger::read_requests(connection, since).await),
        Work::ClearLog(asker) => tell(asker, run_all(connection, CLEAR_LOG).await),
        Work::Forget(asker) => tell(asker, run_all(connection, FORGET).await),
    }
}

async fn note(
    connection: &mut SqliteConnection,
    request: &Noted,
    status: Option<u16>,
    refused: &[LedgerEntry],
) -> Result<(), Error> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    ledger::write(&mut transaction, refused, request.at_ms).await?;
    ledger::note(&mut transaction, request, status).await?;
    transaction.commit().await?;
    Ok(())
}

/// Runs the statements of a text as one transaction.
async fn run_all(connection: &mut SqliteConnection, statements: &'static str) -> Result<(), Error> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    sqlx::raw_sql(statements).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

fn tell<T>(asker: Asker<T>, answer: Result<T, Error>) {
    if asker.send(answer).is_err() {
        debug!("the work was done, but who asked for it has left");
    }
}
