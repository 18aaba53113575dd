//! Receives a socket from the service manager that started the daemon for whoever knocked on it (socket activation).
//!
//! Has to be asked before the first thread: the variables are taken out of the environment, so that no program the daemon
//! starts takes them for its own.

use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use sync_config::Environment;

/// The listening socket that was handed over; `None` where none was, or to another process.
///
/// # Errors
/// When something else was handed over.
pub(crate) fn socket(environment: &Environment) -> Result<Option<UnixListener>, String> {
    let variable = |name: &str| environment.variable(name).and_then(|value| value.into_string().ok());
    match count(variable("LISTEN_FDS").as_deref(), variable("LISTEN_PID").as_deref(), std::process::id()) {
        0 => Ok(None),
        1 => ListenFd::from_env().take_unix_listener(0).map_err(|error| {
            format!("the service manager handed over something that is no listening Unix socket: {error}")
        }),
        more => Err(format!("the service manager handed over {more} sockets; one is taken")),
    }
}

/// How many sockets were handed over to this process.
fn count(sockets: Option<&str>, to: Option<&str>, own: u32) -> u32 {
    // Without a process named they may be anybody's, left over in an environment that was inherited.
    let ours = to.and_then(|pid| pid.parse().ok()) == Some(own);
    sockets.filter(|_| ours).and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process_counts() {
        for (sockets, to, expected) in [
            (None, None, 0),
            (Some("1"), Some("7"), 1),
            (Some("2"), Some("7"), 2),
            (Some("1"), Some("8"), 0),
            (Some("1"), None, 0),
            (Some("1"), Some("x"), 0),
            (Some(""), Some("7"), 0),
            (Some("-1"), Some("7"), 0),
            (None, Some("7"), 0),
        ] {
            assert_eq!(count(sockets, to, 7), expected, "{sockets:?} {to:?}");
        }
    }
}
