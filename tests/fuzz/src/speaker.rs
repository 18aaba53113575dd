//! The other side of a socket, which says to everybody what it was last told to say and hangs up.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is said, kept where the thread that says it looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(Arc<Mutex<Vec<u8>>>);

/// Nobody writes a question so slowly.
const PATIENCE: Duration = Duration::from_secs(2);

impl Words {
    pub(crate) fn set(&self, words: &[u8]) {
        words.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn get(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Speaks to whoever comes to `listener`, for as long as the process lives.
pub(crate) fn speak(listener: UnixListener, words: Words) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            match stream.and_then(|stream| say(stream, &words.get())) {
                Ok(()) => {}
                // Whoever has heard enough leaves.
                Err(error) if is_gone(error.kind()) => {}
                Err(error) => panic!("the other side cannot speak: {error}"),
            }
        }
    });
}

fn say(mut stream: UnixStream, words: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => asked.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.write_all(words)?;
    stream.shutdown(Shutdown::Write)
}

/// The other side left, or this one was disturbed: libFuzzer's alarm interrupts a wait that has an end.
pub(crate) fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Interrupted
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::UnexpectedEof
    )
}
