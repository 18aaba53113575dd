//! The ways in which asking the daemon can come to nothing, by what the caller can do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::problem::Problem;
use crate::socket::TooLong;

/// Why there is no answer, or not the wanted one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing is at the socket's path.
    #[error("reach the daemon: there is no socket at `{}`", socket.display())]
    NoSocket {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// A socket is there, and no process listens on it: its daemon was killed.
    #[error("reach the daemon: nobody listens on the socket `{}`", socket.display())]
    NobodyListens {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// Somebody listens, and so many wait already that no more are let in.
    #[error("reach the daemon at `{}`: it takes no more connections", socket.display())]
    Busy {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The socket, or a directory above it, is somebody else's.
    #[error("reach the daemon: the socket `{}` must not be opened by this user", socket.display())]
    Denied {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// Another user listens there.
    #[error("reach the daemon: who listens on the socket `{}` is another user", socket.display())]
    Strange {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// Something else is there.
    #[error("reach the daemon: `{}` is not the socket of a daemon", socket.display())]
    NotASocket {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// There cannot be a socket at that path.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The connection was taken and no answer began.
    #[error("get an answer from the daemon at `{}` within {}", socket.display(), seconds(*after))]
    Silent {
        /// Where it was asked.
        socket: PathBuf,
        /// For how long it was listened to.
        after: Duration,
    },
    /// An answer began and did not end.
    #[error("get the whole answer of the daemon at `{}` within {}", socket.display(), seconds(*after))]
    Slow {
        /// Where it was asked.
        socket: PathBuf,
        /// For how long it was listened to.
        after: Duration,
    },
    /// The connection was closed before the end of the answer.
    #[error("get the whole answer of the daemon at `{}`: it closed the connection", socket.display())]
    Cut {
        /// Where it was asked.
        socket: PathBuf,
    },
    /// What came is not what this program reads: another program, or a daemon of another version.
    #[error("understand what answers at `{}`: {why}", socket.display())]
    Garbled {
        /// Where it was asked.
        socket: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The answer is larger than is read.
    #[error("read the answer of the daemon at `{}`: it is too large", socket.display())]
    TooLarge {
        /// Where it was asked.
        socket: PathBuf,
    },
    /// The daemon says no.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The system failed in a way that says nothing of the daemon.
    #[error("speak to the daemon at `{}`", socket.display())]
    Failed {
        /// Where it was asked.
        socket: PathBuf,
        /// How.
        source: io::Error,
    },
}

impl ClientError {
    /// Whether no daemon answered at all, as opposed to an answer that is not the wanted one.
    pub fn nobody_answers(&self) -> bool {
        match self {
            Self::NoSocket { .. }
            | Self::NobodyListens { .. }
            | Self::Busy { .. }
            | Self::Denied { .. }
            | Self::Strange { .. }
            | Self::NotASocket { .. }
            | Self::TooLong(_)
            | Self::Silent { .. }
            | Self::Slow { .. }
            | Self::Cut { .. } => true,
            Self::Garbled { .. } | Self::TooLarge { .. } | Self::Problem(_) | Self::Failed { .. } => false,
        }
    }
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64())
}
