//! What can go wrong on our side: settings that make no client, and a credential that cannot be had.

use std::path::PathBuf;
use std::time::Duration;

/// Why the cloud cannot be called as it is configured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The address of the cloud is no base for its paths.
    #[error("use `{url}` as the cloud's address: it {why}")]
    Address {
        /// The address as given, without what could be a password in it.
        url: String,
        /// What is wrong, as the rest of a sentence.
        why: &'static str,
    },
    /// The user agent is no header value.
    #[error("use the user agent: it may only hold visible ASCII characters and blanks")]
    UserAgent,
    /// A token would travel in plain text over a network.
    #[error("send a token to {origin} without encryption: use https, or a loopback address")]
    PlainText {
        /// Where it would have gone.
        origin: String,
    },
}

/// Why there is no credential although a source of one is configured.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is not there.
    #[error("find the token file {}", .0.display())]
    Missing(PathBuf),
    /// The file is there and cannot be read.
    #[error("read the token file {}: {why}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said, or what the file is instead of a regular one.
        why: String,
    },
    /// The command cannot be started.
    #[error("start `{program}`: {why}")]
    Start {
        /// The program's name as configured.
        program: String,
        /// What the system said.
        why: String,
    },
    /// The command ended with a failure.
    #[error("get a token from `{program}`: it {ended}{}{said}", if said.is_empty() { "" } else { " and said: " })]
    Command {
        /// The program's name as configured.
        program: String,
        /// How it ended, for example `ended with exit status: 1`.
        ended: String,
        /// The end of what it wrote to stderr, without anything that looks like a secret.
        said: String,
    },
    /// It took too long; a command was killed with all it had started.
    #[error("get a token from {origin} within {limit:?}")]
    TimedOut {
        /// The file or the program.
        origin: String,
        /// How long it was given.
        limit: Duration,
    },
    /// What came is no token.
    #[error("use what came from {origin} as a token: it {why}")]
    NotAToken {
        /// The configuration, the file or the program.
        origin: String,
        /// What is wrong, as the rest of a sentence; never a piece of it.
        why: &'static str,
    },
}
