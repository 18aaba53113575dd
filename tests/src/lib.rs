//! The harness of the end-to-end journeys: a scratch home, the built programs, a dev cloud, and patience.
//!
//! Each journey has its own home, socket, port and database and leaves nothing. A daemon that logs a warning nobody
//! announced fails its journey.

#![expect(clippy::panic, reason = "a harness says what is wrong by panicking")]

mod apart;
mod chart;
mod cloud;
mod daemon;
mod dice;
mod encrypted;
mod figure;
mod group;
mod home;
mod message;
mod process;
mod promise;
mod proxy;
mod resting;
mod wait;

pub use apart::{Needs, apart, ran};
pub use chart::{Axes, Point, Scale, sheet, svg};
pub use cloud::{Cloud, Stopped};
pub use daemon::{Daemon, Ended};
pub use dice::{Dice, asked_for, seed};
pub use encrypted::Encrypted;
pub use figure::{Series, float, micros, now, per_second, short, timed};
pub use group::MemoryGroup;
pub use home::{Home, Shown, program};
pub use process::Process;
pub use promise::{Order, Write, broken};
pub use proxy::{Link, Mischief, Proxy};
pub use resting::resting_repositories;
pub use wait::{PATIENCE, until, within};
