//! What the system knows of the terminal: its width, and typing without being seen.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcgetwinsize, tcsetattr};

/// The width of the terminal in columns; `None` when the standard output is no terminal.
pub(crate) fn width() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Reads the standard input, at most `limit` bytes and one more. At a terminal it is one line, asked for with
/// `prompt` and not shown.
///
/// The line is taken letter by letter: the terminal itself would cut what is longer than four thousand of them (1,023 on
/// macOS), and an interruption would leave it mute.
pub(crate) fn secret_input(prompt: &str, limit: usize) -> io::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut input = String::new();
        stdin.lock().take(limit as u64 + 1).read_to_string(&mut input)?;
        return Ok(input);
    }
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
    let mut stderr = io::stderr().lock();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let line = typed(&mut stdin.lock(), limit);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    stderr.write_all(b"\n")?;
    line
}

/// A line as it is typed, at most `limit` bytes and one more.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] when it was given up, and what reading fails with.
fn typed(keys: &mut impl BufRead, limit: usize) -> io::Result<String> {
    const GIVE_UP: [u8; 2] = [0x03, 0x1c];
    const END: [u8; 3] = [b'\n', b'\r', 0x04];
    const ERASE: [u8; 2] = [0x08, 0x7f];
    const ERASE_ALL: u8 = 0x15;
    let mut line = Vec::new();
    for key in keys.bytes() {
        match key? {
            key if GIVE_UP.contains(&key) => {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "given up"));
            }
            key if END.contains(&key) => break,
            key if ERASE.contains(&key) => drop(line.pop()),
            ERASE_ALL => line.clear(),
            // What is too long already becomes no shorter by more.
            key if line.len() <= limit => line.push(key),
            _ => {}
        }
    }
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_as_it_is_typed_however_long_it_is() {
        let long = "a".repeat(5_000);
        for (keys, expected) in [
            ("token\nrest".to_owned(), "token"),
            (format!("{long}\r"), long.as_str()),
            ("tok\u{7f}\u{7f}oken\u{4}".to_owned(), "token"),
            ("wrong\u{15}right\n".to_owned(), "right"),
            ("\u{7f}x".to_owned(), "x"),
        ] {
            assert_eq!(typed(&mut keys.as_bytes(), 65_536).unwrap(), expected);
        }
        assert_eq!(typed(&mut long.as_bytes(), 10).unwrap().len(), 11);
        assert_eq!(typed(&mut &b"tok\x03en\n"[..], 10).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
