//! What the system knows of the terminal: its width, and typing without being seen.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetwinsize, tcsetattr};

/// The width of the terminal in columns; `None` when the standard output is no terminal.
pub(crate) fn width() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Reads the standard input, at most `limit` bytes and one more. At a terminal it is one line, asked for with
/// `prompt` and not shown.
pub(crate) fn secret_input(prompt: &str, limit: usize) -> io::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut input = String::new();
        stdin.lock().take(limit as u64 + 1).read_to_string(&mut input)?;
        return Ok(input);
    }
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let mut stderr = io::stderr().lock();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    stderr.write_all(b"\n")?;
    read.map(|_| line)
}
