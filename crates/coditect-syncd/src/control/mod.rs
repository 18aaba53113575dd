//! The control server: HTTP/1.1 over a Unix socket, for this user's own programs.
//!
//! Sees the engine and nothing behind it. It holds no way to the cloud, so a network that hangs cannot make an
//! answer hang, and it keeps nothing of its own that would have to survive.

mod admin;
mod answer;
mod connection;
mod convert;
mod diagnostics;
mod discovery;
mod events;
mod handed;
mod import;
mod limits;
mod listen;
mod metrics;
mod openapi;
mod page;
mod peer;
mod projects;
mod queue;
mod read;
mod registration;
mod reply;
mod resolve;
mod route;
mod serve;
mod status;
mod stream;
mod table;
#[cfg(test)]
mod yaml;

pub(crate) use handed::{socket as handed_over, turn_away};
pub(crate) use listen::{bind, take};
pub(crate) use serve::serve;
