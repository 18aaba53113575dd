//! The one table of exit codes.

use std::process::ExitCode;

use sync_wire::ProblemCode;

/// How the program ends. The numbers are a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Not found or not registered.
    NotFound = 3,
    /// No daemon that serves.
    NoDaemon = 69,
    /// Accepted, and not yet done: queued and not in the cloud, or a daemon that still stops; only where it was waited for.
    Queued = 75,
    /// The cloud refuses the credentials.
    Refused = 77,
    /// Bad configuration.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How the program ends after a problem.
pub(crate) fn of_problem(code: ProblemCode) -> Exit {
    match code {
        ProblemCode::BadRequest => Exit::Usage,
        ProblemCode::NotFound | ProblemCode::NotRegistered => Exit::NotFound,
        ProblemCode::AuthRequired => Exit::Refused,
        ProblemCode::Starting | ProblemCode::ShuttingDown => Exit::NoDaemon,
        ProblemCode::MethodNotAllowed
        | ProblemCode::Conflict
        | ProblemCode::PayloadTooLarge
        | ProblemCode::UnsupportedMediaType
        | ProblemCode::CloudUnreachable
        | ProblemCode::QueueFull
        | ProblemCode::DiskFull
        | ProblemCode::Internal => Exit::Failed,
    }
}

/// The table as `--help` shows it.
pub(crate) const TABLE: &str = "\
Exit status:
   0  done
   1  failed
   2  wrong usage
   3  not found or not registered
  69  no daemon answers
  75  accepted and queued, not yet in the cloud (only with --wait); `wait`, `stop`: not in time
  77  the cloud refuses the credentials
  78  bad configuration

With --json exactly one JSON document is written to the standard output: the answer, or, where there
is none, a problem (RFC 9457) with a `code`, a `detail` and often a `hint`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotFound,
            Exit::NoDaemon,
            Exit::Queued,
            Exit::Refused,
            Exit::Config,
        ];
        let codes: Vec<u8> =
            TABLE.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        assert_eq!(codes, all.map(|exit| exit as u8));
    }
}
