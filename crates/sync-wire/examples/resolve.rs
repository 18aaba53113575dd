//! Asks the daemon for the cloud UUID of the project that holds a path, with the blocking client.
//!
//! ```text
//! cargo run -p sync-wire --example resolve -- SOCKET PATH
//! ```
//!
//! `coditect-sync status --verbose` says which socket is this user's. The example never waits longer than it says, and
//! tells the ways of getting no UUID apart by what can be done next.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example says what it got")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sync_wire::{Client, ClientError, ProblemCode, ResolveQuery, Subject};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(socket), Some(path)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: resolve SOCKET PATH");
        return ExitCode::from(2);
    };
    // The daemon knows projects by where they really are.
    let path = path.canonicalize().unwrap_or(path);
    match resolve(&socket, path) {
        Ok(Some(cloud_uuid)) => {
            println!("{cloud_uuid}");
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::from(3),
        Err(error) => {
            eprintln!("cannot {error}");
            // Nobody is there: a tool can go on without the cloud's UUID, or start the daemon.
            if matches!(error, ClientError::NoSocket { .. } | ClientError::NobodyListens { .. }) {
                eprintln!("start the daemon with `coditect-syncd`, or `coditect-syncd --dev` to try it");
            }
            ExitCode::FAILURE
        }
    }
}

fn resolve(socket: &Path, path: PathBuf) -> Result<Option<String>, ClientError> {
    // Nothing is opened yet. Connecting and the first byte of an answer may take two seconds, plus what a call itself
    // asks the daemon to wait.
    let mut client = Client::new(socket, Duration::from_secs(2));
    let query = ResolveQuery { subject: Subject::Path(path), refresh: false, wait_ms: Some(1_000) };
    match client.resolve(&query) {
        Ok(answer) => {
            // A UUID past its time is as good as the daemon has it; it asks the cloud again by itself.
            if answer.stale {
                eprintln!("the cloud said so at {}, and could not be asked since", answer.cached_at);
            }
            Ok(Some(answer.cloud_uuid.to_string()))
        }
        Err(ClientError::Problem(problem)) if problem.code == ProblemCode::NotRegistered => {
            let more = match &problem.queue_item {
                Some(item) => format!("entry {} of the queue is {}", item.id, item.state.as_str()),
                None => problem.hint.clone().unwrap_or_default(),
            };
            eprintln!("{problem}; {more}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
