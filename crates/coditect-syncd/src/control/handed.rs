//! Receives a socket from the service manager that started the daemon for whoever knocked on it (socket activation).
//!
//! Has to be asked before the first thread: the variables are taken out of the environment, so that no program the daemon
//! starts takes them for its own.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sync_config::Environment;
use sync_wire::{Problem, ProblemCode};

/// No more can wait on a socket.
const MOST_TURNED_AWAY: usize = 4_096;
const PATIENCE: Duration = Duration::from_millis(100);

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

/// Tells everybody who knocked why nobody answers. A manager that sees somebody wait begins the daemon again at once, until it
/// gives the socket up.
pub(crate) fn turn_away(socket: &UnixListener, why: &str) {
    if let Err(error) = socket.set_nonblocking(true) {
        tracing::debug!(%error, "who knocked is not told why nobody answers");
        return;
    }
    for _ in 0..MOST_TURNED_AWAY {
        let Ok((mut knocking, _)) = socket.accept() else { return };
        let told = knocking
            .set_nonblocking(false)
            .and_then(|()| knocking.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| knocking.write_all(refusal(why).as_bytes()));
        if let Err(error) = told {
            tracing::debug!(%error, "somebody who knocked is not told why nobody answers");
        }
    }
}

fn refusal(why: &str) -> String {
    let problem = Problem::new(ProblemCode::Internal, format!("the daemon cannot start: {why}"));
    let hint = "mend it, then `coditect-sync service start`";
    let body = serde_json::json!(Problem { hint: Some(hint.to_owned()), ..problem }).to_string();
    format!(
        "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How many sockets were handed over to this process.
fn count(sockets: Option<&str>, to: Option<&str>, own: u32) -> u32 {
    // Without a process named they may be anybody's, left over in an environment that was inherited.
    let ours = to.and_then(|pid| pid.parse().ok()) == Some(own);
    sockets.filter(|_| ours).and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn everybody_who_knocked_is_told_why_nobody_answers_and_nobody_waits_any_more() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let knocking: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        turn_away(&listener, "`x` is wrong");
        for mut one in knocking {
            let mut told = String::new();
            one.read_to_string(&mut told).unwrap();
            assert!(
                told.starts_with("HTTP/1.1 500 ") && told.contains("cannot start: `x` is wrong"),
                "{told}"
            );
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

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
