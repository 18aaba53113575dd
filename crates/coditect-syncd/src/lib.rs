//! The daemon: finds projects and keeps the cloud's record of them true.
//!
//! [`run`] is a whole life. Read `boot` for the order of starting and ending, `engine` for the loops, `control` for the
//! socket.

mod args;
mod blocking;
mod boot;
mod clock;
mod control;
mod dev;
mod dice;
mod engine;
mod fatal;
mod guard;
mod inspect;
mod lock;
mod logging;
mod machine;
mod network;
mod places;
mod process;
mod program;
mod reload;
mod respite;
mod sandbox;
mod service;
mod signals;
mod stop;
mod supervisor;
mod surroundings;
mod wake;
mod worker;

pub use args::{Args, Command};
pub use boot::run;
pub use fatal::Fatal;
pub use respite::Respite;
pub use worker::work;

/// An error's text followed by its causes', the only place that prints chains.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
