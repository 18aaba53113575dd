//! What is said on the control socket: the documents, where the socket is, and a blocking client.
//!
//! The names of types' fields are the names on the wire. The daemon converts its own types into these by hand, so a
//! change inside the daemon cannot change what others read. Knows no async runtime, no database and no cloud.
//!
//! Moments are RFC 3339 texts in UTC, UUIDs are written in lower case, durations are whole milliseconds in fields
//! that end in `_ms`. A field that has no value is `null`. Answers may get more fields; readers ignore what they do
//! not know. Requests are read strictly: an unknown field is an error, because it is nearly always a mistyped one.
//!
//! # Asking the daemon
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use sync_wire::{Client, ClientError, ResolveQuery, Subject};
//!
//! # fn main() -> Result<(), ClientError> {
//! let mut client = Client::new("/home/ada/.local/state/coditect-sync/sync.sock", Duration::from_secs(2));
//! let subject = Subject::Path("/home/ada/PROJECTS/api/src".into());
//! let answer = client.resolve(&ResolveQuery { subject, refresh: false, wait_ms: None })?;
//! println!("{} is {} in the cloud", answer.local_project_uuid, answer.cloud_uuid);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/resolve.rs` is a whole program that tells the failures apart, `examples/ask.rs` of `coditect-syncd` one
//! that asks asynchronously, with hyper.

pub mod client;
pub mod diagnostics;
pub mod discovery;
pub mod events;
pub mod import;
pub mod inspect;
pub mod lock;
pub mod path;
pub mod problem;
pub mod projects;
pub mod queue;
pub mod registration;
pub mod resolve;
pub mod socket;
pub mod status;
mod whole;

pub use client::{Call, Client, ClientError, EventStream, Heard, Response};
pub use diagnostics::{Diagnostics, ProcessFigures, SandboxFigures, StoreFigures};
pub use discovery::{ScanAnswer, ScanRequest};
pub use events::{Event, EventsQuery, Missed};
pub use import::{ImportAnswer, ImportRequest};
pub use inspect::{Evidence, InspectAnswer, Inspected, Inspection, LanguageShare, Proof};
pub use lock::LockInfo;
pub use problem::{Problem, ProblemCode};
pub use projects::{Project, ProjectState, ProjectType, ProjectsPage, ProjectsQuery};
pub use queue::{
    AskedBy, FlushAnswer, FlushRequest, ItemState, QueueItem, QueueItemBrief, QueueItemsPage,
    QueueItemsQuery, RetryDeadAnswer,
};
pub use registration::{RegisterRequest, SyncRequest, SyncResult, SyncResults};
pub use resolve::{RegistrationAnswer, ResolveAnswer, ResolveQuery, Source, Subject};
pub use socket::{SOCKET_VARIABLE, TooLong, socket_path};
pub use status::{
    CacheCounts, CloudState, CloudStatus, DiscoveryStatus, Goal, Health, HoldStatus, LastError, LastScan,
    PauseAnswer, PauseRequest, PauseStatus, ProjectCounts, QueueCounts, Ready, ReloadAnswer, RootState,
    RootStatus, Status, WaitAnswer,
};

/// The version of the control API that these types describe; the `1` in `/v1/`.
pub const API: u32 = 1;
