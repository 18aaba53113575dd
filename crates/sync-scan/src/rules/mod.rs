//! Decides from names and bytes what a project is. Pure: nothing here touches the disk, the clock or the network.
//!
//! What is known of languages and frameworks is data beside the code, compiled in.

pub mod framework;
mod generated;
pub mod glob;
mod heuristic;
pub mod kind;
pub mod language;
pub mod manifest;
pub mod name;
mod paths;
mod word;
