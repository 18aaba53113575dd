//! Every decision of delivery and identity; no I/O, no clock, no chance of its own.
//!
//! Functions are told what time it is and are given their random numbers; they return what is to be done and do
//! nothing. Types here do not derive serialization: sockets, cloud bodies and rows have their own in other crates.

pub mod answer;
pub mod backoff;
mod entry;
mod ids;
mod mapping;
mod project;
mod registration;
mod scope;
mod sighting;
mod time;

pub use answer::{
    Answer, CloudProject, Hints, ItemOutcome, ItemResult, LookUp, Refusal, Suspect, Unreachable,
};
pub use entry::{Asked, Entry, Failure, Fate, Settled, Standing, batch_key, idempotency_key};
pub use ids::{CloudId, EntryId, LocalId, MachineId, Revision, ScopeId, TenantId};
pub use mapping::{Freshness, Mapping, is_final, lifetime};
pub use project::{Change, ChangeKind, Presence, Project};
pub use registration::{Invalid, LONGEST_PATH, PayloadHash, ProjectKind, Registration, folder_name};
pub use scope::{Scope, Tenant};
pub use sighting::{Place, Sighting, Vcs};
pub use time::Timestamp;
