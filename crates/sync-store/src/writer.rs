//! The one connection that writes, and the task that owns it: what waits goes into one commit.
//!
//! Callers hand in work over a bounded channel and are answered after the commit, never before. There is no delay
//! that waits for company: while one commit is on its way to the disk, the next group gathers by itself. Registrations
//! that wait side by side are stored by the same few statements. A caller that stops waiting does not take its work
//! back.
//!
//! Transactions are plain statements here, because SQLite ends some of them by itself (a full disk), and a library's
//! count of open transactions is then wrong. `begin immediate` everywhere: a deferred transaction that turns into a
//! writing one can fail half way.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use sync_core::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::census::Edition;
use crate::enqueue::{self, Call, Enqueued, OneAnswer};
use crate::error::Error;
use crate::room::{Room, RoomSeen};

/// At most this much work goes into one commit.
const LARGEST_GROUP: usize = 256;
/// So much may wait for the writer; who comes then waits to be let in.
const WAITING_ROOM: usize = 1_024;

crate::sql::statements! {
    BEGIN = "begin immediate";
    COMMIT = "commit";
    ROLLBACK = "rollback";
    SAVE = "savepoint step";
    RELEASE = "release step";
    BACK = "rollback to step";
    CHECKPOINT = "pragma wal_checkpoint(truncate)";
    // The one that moves the log would hold up every write for as long as a reader holds it.
    WAIT_FOR_NOBODY = "pragma busy_timeout = 0";
    WAIT_AGAIN = "pragma busy_timeout = 5000";
}

/// A future that borrows the connection.
pub(crate) type Running<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// The callers' end.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    figures: Arc<Counters>,
    // Ends the task when the last handle goes without `close`.
    _task: Mutex<JoinSet<()>>,
}

/// What the writer did since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) edition: Edition,
    pub(crate) damage_seen: AtomicBool,
    pub(crate) damaged_rows: AtomicU64,
    /// A step failed for want of room, inside a group that may have been committed.
    full_seen: AtomicBool,
    pub(crate) room: Arc<RoomSeen>,
}

enum Job {
    Enqueue { call: Call, answer: oneshot::Sender<OneAnswer> },
    Work(Work),
    Checkpoint(oneshot::Sender<Result<bool, Error>>),
    Close(oneshot::Sender<Result<(), Error>>),
}

type Run = dyn for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, Outcome> + Send;

/// What a write does to the room that is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// It adds to what is stored, and is refused while the disk is full.
    More,
    /// It ends something or is small, and may use what is kept for a full disk.
    Little,
}

struct Work {
    need: Need,
    /// Says whether what it did is to be kept.
    run: Box<Run>,
    /// Is told how the commit ended.
    answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

/// How one step went, before the commit.
enum Outcome {
    Keep,
    Undo,
}

impl Writer {
    /// Starts the task. It has to run inside a tokio runtime.
    pub(crate) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        file: PathBuf,
        limit: u64,
        now: Timestamp,
    ) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING_ROOM);
        let figures = Arc::new(Counters::default());
        figures.room.tell(now);
        let mut room = Room::new(&file, Arc::clone(&figures.room));
        room.measure_log();
        let owner = Owner {
            connection: Some(connection),
            options,
            file,
            limit,
            figures: Arc::clone(&figures),
            room,
            crowded: false,
        };
        let mut task = JoinSet::new();
        task.spawn(owner.run(waiting));
        Self { jobs, figures, _task: Mutex::new(task) }
    }

    pub(crate) fn figures(&self) -> &Counters {
        &self.figures
    }

    /// Remembers damage that was met: the run then does not end clean, and the next one checks the file.
    pub(crate) fn noticed(&self, error: Error) -> Error {
        if matches!(error, Error::Broken { .. }) {
            self.figures.damage_seen.store(true, Ordering::Relaxed);
        }
        error
    }

    /// Runs `work` inside a transaction and returns what it returned once that is committed. When it fails, what it
    /// wrote is undone and the others of its group are not touched.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        need: Need,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let figures = Arc::clone(&self.figures);
        let (sender, answer) = oneshot::channel();
        let made: Arc<Mutex<Option<Result<T, Error>>>> = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&made);
        let job = Work {
            need,
            run: Box::new(move |connection| {
                Box::pin(async move {
                    let result = work(connection).await;
                    let outcome = if result.is_ok() { Outcome::Keep } else { Outcome::Undo };
                    if matches!(result, Err(Error::Full)) {
                        figures.full_seen.store(true, Ordering::Relaxed);
                    }
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    outcome
                })
            }),
            answer: Box::new(move |commit| {
                let result = made.lock().unwrap_or_else(PoisonError::into_inner).take();
                let told = match (result, commit) {
                    (Some(Err(error)), _) | (_, Err(error)) => Err(error),
                    (Some(Ok(value)), Ok(())) => Ok(value),
                    (None, Ok(())) => Err(Error::Closed),
                };
                // A caller that stopped waiting is no failure.
                drop(sender.send(told));
            }),
        };
        self.jobs.send(Job::Work(job)).await.map_err(closed)?;
        answer.await.map_err(closed)?
    }

    /// Stores wishes, in one commit with those of every other caller who waits.
    pub(crate) async fn enqueue(&self, call: Call) -> Result<Vec<Enqueued>, Error> {
        self.figures.room.tell(call.now);
        let (answer, told) = oneshot::channel();
        self.jobs.send(Job::Enqueue { call, answer }).await.map_err(closed)?;
        told.await.map_err(closed)?
    }

    /// Moves the log into the file and empties it, as far as no reader holds it. Says whether it is empty.
    pub(crate) async fn checkpoint(&self) -> Result<bool, Error> {
        let (answer, told) = oneshot::channel();
        self.jobs.send(Job::Checkpoint(answer)).await.map_err(closed)?;
        told.await.map_err(closed)?
    }

    /// Finishes what was accepted, moves the log into the file, and marks a clean end.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let (answer, told) = oneshot::channel();
        self.jobs.send(Job::Close(answer)).await.map_err(closed)?;
        told.await.map_err(closed)?
    }
}

fn closed<E>(_gone: E) -> Error {
    Error::Closed
}

/// The task's end.
struct Owner {
    // None after a failure that leaves the connection's state unknown; the next group opens another.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    file: PathBuf,
    limit: u64,
    figures: Arc<Counters>,
    room: Room,
    // The disk was full, and the log was not moved into the file since.
    crowded: bool,
}

/// What is stored between two savepoints.
enum Step {
    Enqueues(Vec<(Call, oneshot::Sender<OneAnswer>)>),
    Work(Work),
}

/// Who is answered after the commit.
enum Reply {
    Enqueue { sender: oneshot::Sender<OneAnswer>, result: OneAnswer },
    Work(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

impl Reply {
    /// Of work that is known only to its caller, `full_seen` tells.
    fn is_full(&self) -> bool {
        match self {
            Self::Enqueue { result, .. } => matches!(result, Err(Error::Full)),
            Self::Work(_) => false,
        }
    }

    fn tell(self, commit: Result<(), Error>) {
        match self {
            // A caller that stopped waiting is no failure.
            Self::Enqueue { sender, result } => drop(sender.send(commit.and(result))),
            Self::Work(answer) => answer(commit),
        }
    }
}

impl Owner {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        let mut closing = None;
        while waiting.recv_many(&mut group, LARGEST_GROUP).await > 0 {
            let mut steps = Vec::new();
            let mut checkpoints = Vec::new();
            for job in group.drain(..) {
                match job {
                    Job::Enqueue { call, answer } => match steps.last_mut() {
                        Some(Step::Enqueues(calls)) => calls.push((call, answer)),
                        Some(Step::Work(_)) | None => steps.push(Step::Enqueues(vec![(call, answer)])),
                    },
                    Job::Work(work) => steps.push(Step::Work(work)),
                    Job::Checkpoint(answer) => checkpoints.push(answer),
                    Job::Close(answer) => {
                        // What was accepted until here is still done.
                        waiting.close();
                        closing = Some(answer);
                    }
                }
            }
            if !steps.is_empty() {
                self.commit_together(steps).await;
            }
            if !checkpoints.is_empty() {
                let outcome = self.checkpoint().await.map_err(|error| error.in_file(&self.file));
                for answer in checkpoints {
                    // A caller that stopped waiting is no failure.
                    drop(answer.send(outcome.clone()));
                }
            }
        }
        if let Some(answer) = closing {
            drop(answer.send(self.finish().await.map_err(|error| error.in_file(&self.file))));
        }
    }

    async fn commit_together(&mut self, steps: Vec<Step>) {
        let steps = if self.room.is_full() && !self.room.look_again() { refuse_more(steps) } else { steps };
        if steps.is_empty() {
            return;
        }
        let was_full = self.room.is_full();
        let mut replies = Vec::new();
        // Whether what failed left something behind need not be known: what was counted is counted anew.
        self.figures.edition.turn();
        let outcome = self.transaction(steps, &mut replies).await.map_err(|error| error.in_file(&self.file));
        self.figures.edition.turn();
        let full_seen = self.figures.full_seen.swap(false, Ordering::Relaxed);
        if full_seen || matches!(outcome, Err(Error::Full)) || replies.iter().any(Reply::is_full) {
            self.room.fell_full();
            if was_full {
                self.reconnect().await;
            }
        }
        // While there is little room, the log is kept as short as it can be.
        self.crowded |= self.room.is_full();
        self.room.measure_log();
        if matches!(outcome, Err(Error::Broken { .. })) {
            self.figures.damage_seen.store(true, Ordering::Relaxed);
        }
        for reply in replies {
            reply.tell(outcome.clone());
        }
    }

    /// Everything in one transaction. Every step has a reply afterwards, also when this fails.
    async fn transaction(&mut self, steps: Vec<Step>, replies: &mut Vec<Reply>) -> Result<(), Error> {
        if self.crowded {
            self.make_room().await;
        }
        let limit = self.limit;
        let connection = match self.begin().await {
            Ok(connection) => connection,
            Err(error) => {
                replies.extend(steps.into_iter().flat_map(unstarted));
                return Err(error);
            }
        };
        let fence = if steps.len() == 1 { Fence::Transaction } else { Fence::Savepoint };
        let mut steps = steps.into_iter();
        let mut outcome = Ok(());
        for step in steps.by_ref() {
            outcome = take(connection, step, fence, limit, replies).await;
            if outcome.is_err() {
                break;
            }
        }
        replies.extend(steps.flat_map(unstarted));
        let outcome = match outcome {
            Ok(()) => execute(connection, COMMIT).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                self.figures.commits.fetch_add(1, Ordering::Relaxed);
                self.figures.jobs.fetch_add(replies.len() as u64, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                // SQLite may have rolled back by itself; in doubt a new connection knows what is true.
                if let Err(second) = execute(connection, ROLLBACK).await {
                    tracing::debug!(error = %second, "rolling back failed, the writing connection is opened anew");
                    self.connection = None;
                }
                Err(error)
            }
        }
    }

    async fn begin(&mut self) -> Result<&mut SqliteConnection, Error> {
        let connection = self.connected().await?;
        execute(connection, BEGIN).await?;
        Ok(connection)
    }

    async fn connected(&mut self) -> Result<&mut SqliteConnection, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// A connection that was opened while the disk refused to write stays one for reading.
    async fn reconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "closing the writing connection failed");
        }
    }

    async fn checkpoint(&mut self) -> Result<bool, Error> {
        let connection = self.connected().await?;
        // These two take effect when they are prepared, so they must not be kept prepared.
        sqlx::raw_sql(WAIT_FOR_NOBODY).execute(&mut *connection).await?;
        let outcome = execute(connection, CHECKPOINT).await;
        if let Err(error) = sqlx::raw_sql(WAIT_AGAIN).execute(connection).await {
            tracing::debug!(%error, "the writing connection is opened anew");
            self.connection = None;
        }
        self.room.measure_log();
        outcome?;
        Ok(self.figures.room.log_bytes() == 0)
    }

    /// After a full disk the log is moved into the file before anything else is written to it. It is mostly older
    /// versions of the same pages: a little new room is enough to give all of its own back.
    async fn make_room(&mut self) {
        match self.checkpoint().await {
            Ok(_) => self.crowded = false,
            Err(error) => tracing::debug!(%error, "the log cannot be moved into the file yet"),
        }
    }

    async fn finish(&mut self) -> Result<(), Error> {
        match self.end().await {
            Err(Error::Full) => {
                self.room.fell_full();
                self.connection = None;
                self.end().await
            }
            outcome => outcome,
        }
    }

    async fn end(&mut self) -> Result<(), Error> {
        let clean = !self.figures.damage_seen.load(Ordering::Relaxed);
        let connection = self.begin().await?;
        if clean {
            crate::open::mark_closed(connection).await?;
        }
        execute(connection, COMMIT).await?;
        execute(connection, CHECKPOINT).await?;
        if let Some(connection) = self.connection.take() {
            connection.close().await?;
        }
        Ok(())
    }
}

/// What a step that fails is undone back to. A step that is alone needs no savepoint inside its transaction.
#[derive(Clone, Copy)]
enum Fence {
    Transaction,
    Savepoint,
}

impl Fence {
    async fn raise(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        match self {
            Self::Transaction => Ok(()),
            Self::Savepoint => execute(connection, SAVE).await,
        }
    }

    async fn keep(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        match self {
            Self::Transaction => Ok(()),
            Self::Savepoint => execute(connection, RELEASE).await,
        }
    }

    async fn undo(self, connection: &mut SqliteConnection) -> Result<(), Error> {
        match self {
            Self::Transaction => {
                execute(connection, ROLLBACK).await?;
                execute(connection, BEGIN).await
            }
            Self::Savepoint => {
                execute(connection, BACK).await?;
                execute(connection, RELEASE).await
            }
        }
    }
}

/// Takes one step inside its fence. A failure of its own undoes it and is its own answer; what is returned
/// concerns the whole group. Whatever happens, every caller of the step has a reply afterwards.
async fn take(
    connection: &mut SqliteConnection,
    step: Step,
    fence: Fence,
    limit: u64,
    replies: &mut Vec<Reply>,
) -> Result<(), Error> {
    if let Err(error) = fence.raise(connection).await {
        replies.extend(unstarted(step));
        return Err(error);
    }
    match step {
        Step::Work(work) => {
            let outcome = (work.run)(connection).await;
            replies.push(Reply::Work(work.answer));
            match outcome {
                Outcome::Keep => fence.keep(connection).await,
                Outcome::Undo => fence.undo(connection).await,
            }
        }
        Step::Enqueues(mut calls) => {
            let mut wanted: Vec<&mut Call> = calls.iter_mut().map(|(call, _)| call).collect();
            match enqueue::place(connection, &mut wanted, limit).await {
                Ok(results) => {
                    replies.extend(reply_each(calls, results));
                    fence.keep(connection).await
                }
                Err(error) => {
                    let undone = fence.undo(connection).await;
                    if calls.len() == 1 || undone.is_err() {
                        let results = vec![Err(error); calls.len()];
                        replies.extend(reply_each(calls, results));
                        return undone;
                    }
                    tracing::debug!(%error, "registrations that failed together are stored apart");
                    let second_half = calls.split_off(calls.len() / 2);
                    let mut outcome = Ok(());
                    for half in [calls, second_half] {
                        let step = Step::Enqueues(half);
                        match outcome {
                            Ok(()) => {
                                let taken = take(connection, step, Fence::Savepoint, limit, replies);
                                outcome = Box::pin(taken).await;
                            }
                            Err(_) => replies.extend(unstarted(step)),
                        }
                    }
                    outcome
                }
            }
        }
    }
}

/// Answers what would add to what is stored, and returns the rest.
fn refuse_more(steps: Vec<Step>) -> Vec<Step> {
    let (refused, taken) = steps.into_iter().partition(|step| match step {
        Step::Enqueues(_) => true,
        Step::Work(work) => work.need == Need::More,
    });
    let refused: Vec<Step> = refused;
    for reply in refused.into_iter().flat_map(unstarted) {
        reply.tell(Err(Error::Full));
    }
    taken
}

fn reply_each(
    calls: Vec<(Call, oneshot::Sender<OneAnswer>)>,
    results: Vec<OneAnswer>,
) -> impl Iterator<Item = Reply> {
    calls.into_iter().zip(results).map(|((_, sender), result)| Reply::Enqueue { sender, result })
}

/// The replies of a step that was never taken: only the commit's failure can be told.
fn unstarted(step: Step) -> Vec<Reply> {
    match step {
        Step::Enqueues(calls) => calls
            .into_iter()
            .map(|(_, sender)| Reply::Enqueue { sender, result: Err(Error::Closed) })
            .collect(),
        Step::Work(work) => vec![Reply::Work(work.answer)],
    }
}

async fn execute(connection: &mut SqliteConnection, statement: &'static str) -> Result<(), Error> {
    sqlx::query(statement).execute(connection).await?;
    Ok(())
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Enqueue { .. } => "Enqueue",
            Self::Work(_) => "Work",
            Self::Checkpoint(_) => "Checkpoint",
            Self::Close(_) => "Close",
        })
    }
}
