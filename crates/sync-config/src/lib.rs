//! Configuration and places of the programs: file, environment, flags, and where each value came from.
//!
//! [`load()`] is pure over given texts. The process's environment is read in [`read_environment`] alone, and disk is
//! touched in [`FileText::read`], [`token`], [`Stranger`] and [`written_folders`] alone. Knows nothing of what a value is
//! used for.

mod address;
mod duration;
mod environment;
mod file;
mod given;
mod keys;
mod load;
mod nearest;
mod origin;
mod owner;
mod places;
mod problem;
mod schema;
mod secret;
pub mod token;
mod written;

pub use environment::{Environment, read_environment};
pub use file::FileText;
pub use load::{FlagValue, Loaded, Row, Sources, load};
pub use origin::Origin;
pub use owner::Stranger;
pub use places::{PlaceFlags, Places};
pub use problem::Problem;
pub use schema::{
    CloudSync, Config, CredentialSource, Discovery, Log, LogFormat, LogLevel, OnBattery, OnMetered, Sandbox,
    SyncDaemon, schema,
};
pub use secret::Secret;
pub use written::written_folders;
