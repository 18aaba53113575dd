//! A blocking client for the control socket that never waits longer than it was told to.
//!
//! HTTP/1.1 as far as one daemon needs it, over one connection that is used again while the daemon keeps it. Knows
//! how to ask and how to tell the ways of getting no answer apart; what those mean to a person is the caller's part.

mod call;
mod connect;
mod error;
mod patient;
mod read;
mod stream;

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use call::Call;
pub use error::ClientError;
pub use stream::{EventStream, Heard};

use crate::discovery::{ScanAnswer, ScanRequest};
use crate::import::{ImportAnswer, ImportRequest};
use crate::inspect::InspectAnswer;
use crate::problem::Problem;
use crate::projects::{Project, ProjectsPage, ProjectsQuery};
use crate::queue::{FlushAnswer, FlushRequest, QueueItem, QueueItemsPage, QueueItemsQuery};
use crate::registration::{RegisterRequest, SyncRequest, SyncResult, SyncResults};
use crate::resolve::{RegistrationAnswer, ResolveAnswer, ResolveQuery};
use crate::status::{Health, QueueCounts, Ready, Status};
use patient::Patient;
use read::{Begun, Fault, Received};

/// How long connecting and the first byte of an answer may take, where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest body of an answer that is read, in bytes.
pub const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// The largest head of an answer that is read, in bytes.
pub const LARGEST_HEAD: usize = 64 * 1024;

/// Once an answer has begun, the whole of it may take this many times the limit for its first byte.
const WHOLE_ANSWER: u32 = 5;

/// Speaks to one daemon. Cheap to make: nothing is opened before the first call.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
    connection: Option<BufReader<Patient>>,
    alive: Option<Alive>,
    /// For how long the last call heard nothing.
    silent_for: Duration,
}

/// A way to find out whether a daemon that says nothing can say anything at all.
#[derive(Clone, Debug)]
struct Alive {
    ask: fn(&Path) -> bool,
    place: PathBuf,
}

/// What the daemon answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The media type, as it was given.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// What was asked, for messages: method and target.
    pub asked: String,
    socket: PathBuf,
}

impl Client {
    /// A client for the daemon at `socket`. Connecting and the first byte of an answer together may take `timeout`,
    /// plus what a call itself asks the daemon to wait.
    pub fn new(socket: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { socket: socket.into(), timeout, connection: None, alive: None, silent_for: timeout }
    }

    /// The same, giving up early on a call that asks the daemon to wait: whenever nothing was heard for the usual time,
    /// `alive` is asked about `place`, and only where it says yes is it waited for longer.
    #[must_use]
    pub fn while_alive(self, alive: fn(&Path) -> bool, place: PathBuf) -> Self {
        Self { alive: Some(Alive { ask: alive, place }), ..self }
    }

    /// Where the daemon is looked for.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks whatever is wanted, and gives back whatever is answered, problems included.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub fn request<B: Serialize>(
        &mut self,
        method: &'static str,
        target: &str,
        body: Option<&B>,
    ) -> Result<Response, ClientError> {
        self.send(&Call::new(method, target, body))
    }

    /// Makes a call, and gives back whatever is answered, problems included.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub fn send(&mut self, call: &Call) -> Result<Response, ClientError> {
        let first_byte = patient::now() + self.timeout + call.wait;
        if let Some(connection) = self.connection.take() {
            match self.exchange(connection, call, first_byte) {
                // The daemon may close a connection that rests; it did not read this call then.
                Err(Fault::Closed) => {}
                other => return other.map_err(|fault| self.explain(fault, call)),
            }
        }
        let stream = connect::connect(&self.socket, patient::now() + self.timeout)?;
        let connection = BufReader::new(Patient::new(stream));
        self.exchange(connection, call, first_byte).map_err(|fault| self.explain(fault, call))
    }

    /// Makes a call that is to be done: a problem is an error.
    ///
    /// # Errors
    /// When there is no whole answer in time, or it is a problem.
    pub fn accomplish(&mut self, call: &Call) -> Result<Response, ClientError> {
        self.send(call)?.or_problem()
    }

    /// Follows what happens: makes a call of [`Call::events`] over a connection of its own, and gives back what the
    /// daemon says on it, event by event.
    ///
    /// # Errors
    /// When there is no answer in time, or it is a problem.
    pub fn follow(&self, call: &Call) -> Result<EventStream, ClientError> {
        let deadline = patient::now() + self.timeout + call.wait;
        let stream = connect::connect(&self.socket, patient::now() + self.timeout)?;
        let mut connection = BufReader::new(Patient::new(stream));
        connection.get_mut().begin(deadline, self.timeout * WHOLE_ANSWER);
        connection
            .get_mut()
            .write_all(&call.bytes())
            .map_err(|error| self.explain(Fault::of_writing(error), call))?;
        match read::begun(&mut connection).map_err(|fault| self.explain(fault, call))? {
            Begun::Stream { chunked } => Ok(EventStream::new(connection, chunked, self.socket.clone())),
            Begun::Whole(Received { status, content_type, body, .. }) => {
                let (asked, socket) = (call.to_string(), self.socket.clone());
                let why = format!("it answers {status} instead of events, asked for {call}");
                Response { status, content_type, body, asked, socket: socket.clone() }.or_problem()?;
                Err(ClientError::Garbled { socket, why })
            }
        }
    }

    fn exchange(
        &mut self,
        mut connection: BufReader<Patient>,
        call: &Call,
        first_byte: Instant,
    ) -> Result<Response, Fault> {
        let whole = self.timeout * WHOLE_ANSWER;
        let doubt =
            |alive: &Option<Alive>| if alive.is_some() { patient::now() + self.timeout } else { first_byte };
        connection.get_mut().begin(first_byte.min(doubt(&self.alive)), whole);
        let sent = connection.get_mut().write_all(&call.bytes());
        let mut answer = read::response(&mut connection);
        self.silent_for = self.timeout + call.wait;
        let mut heard_nothing = self.timeout;
        while let (Ok(()), Err(Fault::Silent), Some(alive)) = (&sent, &answer, &self.alive) {
            // Nothing of the answer was read, so it can be waited for anew.
            if patient::now() >= first_byte {
                break;
            }
            if !(alive.ask)(&alive.place) {
                self.silent_for = heard_nothing;
                break;
            }
            heard_nothing += self.timeout;
            connection.get_mut().begin(first_byte.min(doubt(&self.alive)), whole);
            answer = read::response(&mut connection);
        }
        let received = match (sent, answer) {
            (_, Ok(received)) => received,
            // A daemon that refuses a large body answers before it has read it, so the answer counts first.
            (Err(failed), Err(_)) => return Err(Fault::of_writing(failed)),
            (Ok(()), Err(fault)) => return Err(fault),
        };
        let Received { status, content_type, body, reusable } = received;
        if reusable && connection.buffer().is_empty() {
            self.connection = Some(connection);
        }
        Ok(Response { status, content_type, body, asked: call.to_string(), socket: self.socket.clone() })
    }

    fn explain(&self, fault: Fault, call: &Call) -> ClientError {
        let socket = self.socket.clone();
        match fault {
            Fault::Silent => ClientError::Silent { socket, after: self.silent_for },
            Fault::Slow => ClientError::Slow { socket, after: self.timeout * WHOLE_ANSWER },
            Fault::Closed | Fault::Cut => ClientError::Cut { socket },
            Fault::Garbled(why) => ClientError::Garbled { socket, why: format!("{why}, asked for {call}") },
            Fault::TooLarge => ClientError::TooLarge { socket },
            Fault::Failed(source) => ClientError::Failed { socket, source },
        }
    }
}

/// The calls that are made often, with their answers read.
impl Client {
    /// `GET /v1/status`.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.accomplish(&Call::status())?.json()
    }

    /// `GET /v1/health`. A daemon that is not well says so in its answer, which is no error here.
    pub fn health(&mut self) -> Result<Health, ClientError> {
        self.accomplish(&Call::health())?.json()
    }

    /// `GET /v1/ready`. A daemon that is not ready says so in its answer, which is no error here.
    pub fn ready(&mut self) -> Result<Ready, ClientError> {
        self.accomplish(&Call::ready())?.json()
    }

    /// `GET /v1/resolve`.
    pub fn resolve(&mut self, query: &ResolveQuery) -> Result<ResolveAnswer, ClientError> {
        self.accomplish(&Call::resolve(query))?.json()
    }

    /// `GET /v1/registrations/{cloud_uuid}`; waits for the cloud for so many milliseconds.
    pub fn registration(
        &mut self,
        cloud: Uuid,
        wait_ms: Option<u64>,
    ) -> Result<RegistrationAnswer, ClientError> {
        self.accomplish(&Call::registration(cloud, wait_ms))?.json()
    }

    /// `GET /v1/projects`, one page.
    pub fn projects(&mut self, query: &ProjectsQuery) -> Result<ProjectsPage, ClientError> {
        self.accomplish(&Call::projects(query))?.json()
    }

    /// `GET /v1/projects/{local_uuid}`.
    pub fn project(&mut self, local: Uuid) -> Result<Project, ClientError> {
        self.accomplish(&Call::project(local))?.json()
    }

    /// `POST /v1/projects`. A project that cannot be registered is a result without success, which is no error here.
    pub fn register(&mut self, request: &RegisterRequest) -> Result<SyncResult, ClientError> {
        self.accomplish(&Call::register(request))?.json()
    }

    /// `POST /v1/projects/sync`.
    pub fn sync(&mut self, request: &SyncRequest) -> Result<SyncResults, ClientError> {
        self.accomplish(&Call::sync(request))?.json()
    }

    /// `GET /v1/queue`.
    pub fn queue(&mut self) -> Result<QueueCounts, ClientError> {
        self.accomplish(&Call::queue())?.json()
    }

    /// `GET /v1/queue/items`, one page.
    pub fn queue_items(&mut self, query: &QueueItemsQuery) -> Result<QueueItemsPage, ClientError> {
        self.accomplish(&Call::queue_items(query))?.json()
    }

    /// `GET /v1/queue/items/{id}`.
    pub fn queue_item(&mut self, id: i64) -> Result<QueueItem, ClientError> {
        self.accomplish(&Call::queue_item(id))?.json()
    }

    /// `POST /v1/queue/flush`.
    pub fn flush(&mut self, request: &FlushRequest) -> Result<FlushAnswer, ClientError> {
        self.accomplish(&Call::flush(request))?.json()
    }

    /// `GET /v1/discovery/inspect`.
    pub fn inspect(&mut self, path: &Path) -> Result<InspectAnswer, ClientError> {
        self.accomplish(&Call::inspect(path))?.json()
    }

    /// `POST /v1/discovery/scan`.
    pub fn scan(&mut self, request: &ScanRequest) -> Result<ScanAnswer, ClientError> {
        self.accomplish(&Call::scan(request))?.json()
    }

    /// `POST /v1/import`.
    pub fn import(&mut self, request: &ImportRequest) -> Result<ImportAnswer, ClientError> {
        self.accomplish(&Call::import(request))?.json()
    }

    /// `GET /metrics`, in Prometheus' text form.
    pub fn metrics(&mut self) -> Result<String, ClientError> {
        let response = self.accomplish(&Call::metrics())?;
        String::from_utf8(response.body).map_err(|error| ClientError::Garbled {
            socket: self.socket.clone(),
            why: format!("the metrics are not UTF-8: {error}"),
        })
    }
}

impl Response {
    /// The body, read as a document.
    ///
    /// # Errors
    /// When it is not that document.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Garbled {
            socket: self.socket.clone(),
            why: format!("the answer to {} is not what this program reads: {error}", self.asked),
        })
    }

    /// The response if it is the route's own answer, of whatever status: one that is not well says so with 503 and
    /// its own document, a project that cannot be registered with 422 and its result.
    ///
    /// # Errors
    /// The problem that it is otherwise.
    pub fn or_problem(self) -> Result<Self, ClientError> {
        match (self.status, self.content_type.as_deref()) {
            (200..=299, _) => Ok(self),
            (_, Some(kind))
                if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") =>
            {
                Ok(self)
            }
            (_, _) => Err(self.problem()),
        }
    }

    fn problem(&self) -> ClientError {
        serde_json::from_slice::<Problem>(&self.body).map_or_else(
            |_| ClientError::Garbled {
                socket: self.socket.clone(),
                why: format!("status {} without a problem document for {}", self.status, self.asked),
            },
            |problem| ClientError::Problem(Box::new(problem)),
        )
    }
}
