//! Every decision of delivery and identity; no I/O, no clock, no chance of its own.
//!
//! Functions are told what time it is and are given their random numbers; they return what is to be done and do
//! nothing. Types here do not derive serialization: sockets, cloud bodies and rows have their own in other crates.

pub mod answer;
pub mod backoff;
pub mod breaker;
mod concerned;
mod credential;
mod delivery;
mod diff;
mod entry;
mod given;
pub mod hold;
mod identity;
mod ids;
mod mapping;
pub mod pace;
mod project;
mod registration;
mod scope;
mod sighting;
mod time;
pub mod verdict;

pub use answer::{
    Answer, CloudProject, Hints, ItemOutcome, ItemResult, LookUp, Refusal, Suspect, Unreachable,
};
pub use breaker::{Cause, Pauses};
pub use concerned::Concerned;
pub use credential::{CredentialState, Need, Obtained, Pass};
pub use delivery::{Delivery, Flight, Heads, Landed, LookedUp, Policy, Step, Wants, Why};
pub use diff::{diff, is_same};
pub use entry::{Asked, Entry, Failure, Fate, Settled, Standing, batch_key, idempotency_key};
pub use given::{Field, Given};
pub use hold::{Held, Hold, Holds};
pub use identity::local_id;
pub use ids::{CloudId, EntryId, LocalId, MachineId, Revision, ScopeId, TenantId};
pub use mapping::{Freshness, Mapping, Progress, is_final, lifetime, progress};
pub use pace::Tokens;
pub use project::{Change, ChangeKind, Presence, Project};
pub use registration::{Invalid, LONGEST_PATH, PayloadHash, ProjectKind, Registration, folder_name};
pub use scope::{Scope, Tenant};
pub use sighting::{Place, Sighting, Vcs};
pub use time::Timestamp;
