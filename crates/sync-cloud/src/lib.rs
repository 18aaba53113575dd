//! The HTTPS side of the cloud's contract, and where a credential comes from.
//!
//! A call never fails: whatever happens becomes an [`Answer`](sync_core::Answer), which the core judges. This crate
//! knows nothing of queues, retries or tenants' scopes, keeps nothing on disk and does not know what time it is.
//!
//! A call walks downwards: [`Cloud`] builds the request (`call`, with the bodies of `body`) · `exchange` sends it
//! and reads within one deadline · `trouble` names what kept an answer from arriving · `read` turns a status, its headers
//! (`wait`) and its body (`words`) into an answer.

mod body;
mod call;
mod claims;
mod client;
mod command;
mod credential;
mod error;
mod exchange;
mod read;
mod trouble;
mod wait;
mod words;

pub use call::{LookUpReply, Outgoing, Reply, Told};
pub use claims::Claims;
pub use client::{Cloud, Settings};
pub use credential::{COMMAND_LIMIT, Credential, Source, Token, obtain, obtain_within};
pub use error::{CredentialError, Error};
pub use wait::{LINK_UP_SPREAD_HEADER, PROBE_CAP_HEADER};
