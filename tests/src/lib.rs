//! The harness of the end-to-end journeys: a scratch home, the built programs, a dev cloud, and patience.
//!
//! Each journey has its own home, socket, port and database and leaves nothing. A daemon that logs a warning nobody
//! announced fails its journey.

#![expect(clippy::panic, reason = "a harness says what is wrong by panicking")]

mod cloud;
mod daemon;
mod home;
mod wait;

pub use cloud::{Cloud, Stopped};
pub use daemon::{Daemon, Ended};
pub use home::{Home, Shown, program};
pub use wait::{PATIENCE, until};
