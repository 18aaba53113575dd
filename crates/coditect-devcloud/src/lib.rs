//! A small real cloud that speaks the registration contract on loopback, with faults on demand.
//!
//! For developing and testing: real HTTP, real SQLite, tenants from the token's `tenant_id`, and a
//! ledger of what happened. It shares no type with the client on purpose: two readings of one
//! contract find what a shared type would hide.
//!
//! A request passes `server` (connections) → `desk` (`plan` of faults, checks, `contract`) →
//! `book` (the one task that owns the database) → `apply` (one transaction).
//!
//! Beside the contract's four calls it has routes of its own, without tokens and without faults:
//!
//! | route | |
//! |---|---|
//! | `GET /_faults` | the rules in force, with how often each was used |
//! | `PUT /_faults` | replaces them by a JSON list of [`Rule`]s |
//! | `DELETE /_faults` | removes them; what hangs goes on |
//! | `GET /_ledger?since=ID` | what happened to projects, a list of [`LedgerEntry`] |
//! | `GET /_ledger/requests?since=NUMBER` | what was asked, a list of [`RequestEntry`] |
//! | `DELETE /_ledger` | clears both; projects and keys stay |
//! | `GET /_projects` | the present state, a list of [`Project`] |
//! | `DELETE /_projects` | forgets projects and keys |
//!
//! A rule says which requests it befalls (`path`: a part of path and query, `method`, `times`), whether
//! their work is done first (`after_work`), and what goes wrong ([`Fault`]):
//!
//! ```json
//! [
//!   {"path": "/sync/", "times": 3, "fault": {"status": {"code": 429, "retry_after": "120"}}},
//!   {"after_work": true, "times": 1, "fault": "reset"},
//!   {"fault": {"poisoned_name": {"name": "bad", "batch": "item_error"}}}
//! ]
//! ```
//!
//! What the contract leaves open is decided so:
//! - The machine of a project is the one in its own fields; the header only has to be a UUID.
//! - Signatures of tokens are not verified; a token without dots belongs to [`Options::opaque_tenant`].
//! - A batch with one invalid project is refused whole, as Django REST Framework does.
//! - An Idempotency-Key that was applied is answered as then, whatever the body. Refused requests, and
//!   batches with a refused or ignored project, use no key up.
//! - A lower revision (`X-Registration-Revision`, or `revision` in a project) overwrites nothing and is
//!   answered as if nothing had changed.
//! - A result's `status` is `created`, `updated`, `synced` (nothing changed), `pending` or `error`.

mod admin;
mod answer;
mod apply;
mod body;
mod book;
mod clock;
mod contract;
mod desk;
mod error;
mod fault;
mod ledger;
mod plan;
mod project;
mod read;
mod route;
mod server;
mod token;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::book::Book;
use crate::desk::Desk;
pub use crate::error::Error;
pub use crate::fault::{BadRule, Canned, Fault, Faults, PoisonedBatch, Rule, Standing};
pub use crate::ledger::{Effect, LedgerEntry, RequestEntry};
pub use crate::project::Project;
pub use crate::token::dev_token;

/// How a dev cloud is to be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The database file; `None` keeps everything in memory.
    pub database: Option<PathBuf>,
    /// The tenant of bearers whose token is no JWT; `None` answers them 401.
    pub opaque_tenant: Option<String>,
}

impl Default for Options {
    /// A free port of 127.0.0.1, everything in memory, opaque tokens belong to `default`.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            database: None,
            opaque_tenant: Some("default".to_owned()),
        }
    }
}

/// A running dev cloud. Its tasks end when it is stopped or dropped.
#[derive(Debug)]
pub struct DevCloud {
    address: SocketAddr,
    faults: Faults,
    book: Book,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), Error>>,
}

impl DevCloud {
    /// Opens the database and listens, on the caller's runtime.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let not_listening = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(not_listening)?;
        let address = listener.local_addr().map_err(not_listening)?;
        let (book, bookkeeper, last_request) = book::open(options.database.as_deref()).await?;
        let faults = Faults::default();
        let (stop, stopped) = watch::channel(false);
        let desk = Arc::new(Desk {
            book: book.clone(),
            faults: faults.clone(),
            opaque_tenant: options.opaque_tenant,
            last_request: AtomicI64::new(last_request),
            is_local: address.ip().is_loopback(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(bookkeeper.run());
        tasks.spawn(async move {
            server::serve(listener, desk, stopped).await;
            Ok(())
        });
        Ok(Self { address, faults, book, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong, to be changed at any time.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The ledger's entries after the one with the id `since`.
    pub async fn ledger(&self, since: i64) -> Result<Vec<LedgerEntry>, Error> {
        self.book.ledger(since).await
    }

    /// The requests after number `since`.
    pub async fn requests(&self, since: i64) -> Result<Vec<RequestEntry>, Error> {
        self.book.requests(since).await
    }

    /// The projects of all tenants, by tenant, machine and local UUID.
    pub async fn projects(&self) -> Result<Vec<Project>, Error> {
        self.book.projects().await
    }

    /// Forgets every project and every answer that was given, as a cloud restored from nothing.
    pub async fn forget(&self) -> Result<(), Error> {
        self.book.forget().await
    }

    /// Drops the connections, finishes the work at hand and closes the database.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { book, stop, mut tasks, .. } = self;
        drop(book);
        drop(stop);
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| Error::Panicked(error.to_string()))??;
        }
        Ok(())
    }
}
