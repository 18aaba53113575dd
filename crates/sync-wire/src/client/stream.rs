//! Reads events as they come, from an answer that has no end.
//!
//! Two small machines, one for the chunks of HTTP and one for the lines of server-sent events, take whatever bytes there
//! are; so a wait that ends in the middle of an event loses nothing.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::error::ClientError;
use super::patient::{Patient, now};
use crate::events::{Event, HEARTBEAT};

/// The longest line that is read; an event is much shorter.
const LONGEST_LINE: usize = 1024 * 1024;

/// So many heartbeats may be missed until the daemon counts as silent.
const MOST_MISSED: u32 = 3;

/// What came of listening for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Event {
        /// What.
        event: Event,
        /// The same as the daemon wrote it, on one line.
        json: String,
    },
    /// Nothing happened meanwhile.
    Nothing,
    /// The daemon has said all; it stops, or it was asked for what is known only.
    End,
}

/// The events of a daemon, from [`Client::follow`](super::Client::follow).
#[derive(Debug)]
pub struct EventStream {
    connection: BufReader<Patient>,
    chunks: Option<Chunks>,
    lines: Lines,
    heard_at: Instant,
    socket: PathBuf,
}

impl EventStream {
    pub(super) fn new(connection: BufReader<Patient>, chunked: bool, socket: PathBuf) -> Self {
        let chunks = chunked.then(Chunks::default);
        Self { connection, chunks, lines: Lines::default(), heard_at: now(), socket }
    }

    /// Listens for the next event, at most for `wait`.
    ///
    /// # Errors
    /// When the daemon is lost: it closed the connection in the middle, or nothing is heard of it for much too long.
    pub fn next(&mut self, wait: Duration) -> Result<Heard, ClientError> {
        let until = now() + wait;
        loop {
            if let Some(json) = self.lines.event() {
                let event = serde_json::from_str(&json)
                    .map_err(|error| self.garbled(format!("an event: {error}")))?;
                // It was JSON, in which the end of a line is a blank like others.
                let json = json.replace(['\n', '\r'], " ");
                return Ok(Heard::Event { event, json });
            }
            if self.chunks.as_ref().is_some_and(Chunks::ended) {
                return Ok(Heard::End);
            }
            let left = until.saturating_duration_since(now()).max(Duration::from_millis(1));
            self.connection.get_mut().begin(now() + left, left);
            match self.connection.fill_buf() {
                Ok([]) if self.chunks.is_none() => return Ok(Heard::End),
                Ok([]) => return Err(ClientError::Cut { socket: self.socket.clone() }),
                Ok(bytes) => {
                    let count = bytes.len();
                    let taken = match &mut self.chunks {
                        Some(chunks) => chunks.feed(bytes, &mut self.lines),
                        None => self.lines.feed(bytes),
                    };
                    self.connection.consume(count);
                    self.heard_at = now();
                    taken.map_err(|why| self.garbled(why))?;
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    let silent = now().saturating_duration_since(self.heard_at);
                    if silent > HEARTBEAT * MOST_MISSED {
                        return Err(ClientError::Silent { socket: self.socket.clone(), after: silent });
                    }
                    if now() >= until {
                        return Ok(Heard::Nothing);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Heard::Nothing),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// The number after which to go on, also before anything happened.
    pub fn last_id(&self) -> Option<i64> {
        self.lines.last_id
    }

    fn lost(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        let closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
        if closed.contains(&source.kind()) {
            ClientError::Cut { socket }
        } else {
            ClientError::Failed { socket, source }
        }
    }

    fn garbled(&self, why: String) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), why }
    }
}

impl AsFd for EventStream {
    /// What becomes readable when there is something to hear.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.get_ref().as_fd()
    }
}

/// Takes chunks apart.
#[derive(Debug, Default)]
struct Chunks {
    at: At,
    line: Vec<u8>,
    left: usize,
}

/// Where in the chunks the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In the line with a chunk's size.
    #[default]
    Size,
    /// In a chunk.
    Data,
    /// In the end of line after a chunk.
    After,
    /// Behind the last chunk.
    End,
}

impl Chunks {
    fn ended(&self) -> bool {
        self.at == At::End
    }

    fn feed(&mut self, mut bytes: &[u8], lines: &mut Lines) -> Result<(), String> {
        while !bytes.is_empty() && !self.ended() {
            match self.at {
                At::Data => {
                    let (data, rest) = bytes.split_at(self.left.min(bytes.len()));
                    lines.feed(data)?;
                    self.left -= data.len();
                    bytes = rest;
                    if self.left == 0 {
                        self.at = At::After;
                    }
                }
                At::Size | At::After | At::End => {
                    let (byte, rest) = bytes.split_at(1);
                    bytes = rest;
                    if byte == b"\n" {
                        self.line_ends()?;
                    } else if self.line.len() < 100 {
                        self.line.extend_from_slice(byte);
                    } else {
                        return Err("a chunk has a size that is much too long".to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    fn line_ends(&mut self) -> Result<(), String> {
        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if self.at == At::After {
            self.at = At::Size;
            return if line.is_empty() { Ok(()) } else { Err("a chunk is longer than it says".to_owned()) };
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        self.left =
            usize::from_str_radix(digits, 16).map_err(|_why| format!("`{digits}` is no size of a chunk"))?;
        self.at = if self.left == 0 { At::End } else { At::Data };
        Ok(())
    }
}

/// Puts events together from lines; knows only the fields `id` and `data`, the document says the rest.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    data: Option<String>,
    whole: VecDeque<(Option<i64>, String)>,
    id: Option<i64>,
    last_id: Option<i64>,
}

impl Lines {
    fn event(&mut self) -> Option<String> {
        let (id, event) = self.whole.pop_front()?;
        self.last_id = id;
        Some(event)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > LONGEST_LINE {
                return Err("a line of it is much too long".to_owned());
            }
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8(line).map_err(|_why| "a line of it is not text".to_owned())?;
                self.line_ends(line.trim_end_matches(['\n', '\r']))?;
            }
        }
        Ok(())
    }

    fn line_ends(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            match self.data.take() {
                Some(data) => self.whole.push_back((self.id, data)),
                // A number alone counts at once, unless events before it were not taken yet.
                None if self.whole.is_empty() => self.last_id = self.id,
                None => {}
            }
        } else if let Some(id) = line.strip_prefix("id:") {
            self.id = id.trim().parse().ok().or(self.id);
        } else if let Some(more) = line.strip_prefix("data:") {
            let more = more.strip_prefix(' ').unwrap_or(more);
            match &mut self.data {
                Some(data) if data.len() + more.len() > LONGEST_LINE => {
                    return Err("an event of it is much too long".to_owned());
                }
                Some(data) => {
                    data.push('\n');
                    data.push_str(more);
                }
                None => self.data = Some(more.to_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events in a stream, however it is cut.
    fn check(text: &str, expected: Result<&[&str], &str>) {
        for size in [1, 2, 3, 7, text.len().max(1)] {
            let (mut chunks, mut lines) = (Chunks::default(), Lines::default());
            let fed = text.as_bytes().chunks(size).try_for_each(|piece| chunks.feed(piece, &mut lines));
            match (fed, expected) {
                (Ok(()), Ok(expected)) => {
                    let events: Vec<String> = std::iter::from_fn(|| lines.event()).collect();
                    assert_eq!(events, expected, "{text:?} by {size}");
                }
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{text:?}: {why}"),
                (fed, _) => panic!("{text:?}: {fed:?}"),
            }
        }
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    #[test]
    fn events_are_whole_however_they_arrive() {
        check(&chunk("id: 1\nevent: a\ndata: {}\n\n"), Ok(&["{}"]));
        check(&format!("{}{}", chunk("data: {\"a\""), chunk(":1}\n\ndata: 2\n\n")), Ok(&["{\"a\":1}", "2"]));
        check(&chunk(": still there\n\nretry: 5\n\nid: 4\n\n"), Ok(&[]));
        check(&chunk("data: a\r\ndata:b\r\n\r\n"), Ok(&["a\nb"]));
        check(&chunk("data: half"), Ok(&[]));
        check(&format!("{}0\r\n\r\n", chunk("data: 1\n\n")), Ok(&["1"]));
        check("", Ok(&[]));
    }

    #[test]
    fn what_is_no_stream_is_noticed() {
        check("zz\r\n", Err("no size of a chunk"));
        check("2\r\nabc\r\n", Err("longer than it says"));
        check(&"1".repeat(200), Err("much too long"));
        check(&chunk(&"x".repeat(LONGEST_LINE + 2)), Err("much too long"));
        let lines = format!("data: {}\n", "x".repeat(LONGEST_LINE / 2)).repeat(3);
        let mut read = Lines::default();
        assert_eq!(read.feed(lines.as_bytes()), Err("an event of it is much too long".to_owned()));
    }

    #[test]
    fn the_number_to_go_on_after_is_that_of_what_was_taken() {
        let mut lines = Lines::default();
        lines.feed(b"id: 4\n\n").unwrap();
        assert_eq!(lines.last_id, Some(4));
        lines.feed(b"id: 5\ndata: a\n\nid: 6\ndata: b\n\n: hm\n\n").unwrap();
        assert_eq!((lines.last_id, lines.event().as_deref()), (Some(4), Some("a")));
        assert_eq!((lines.last_id, lines.event().as_deref()), (Some(5), Some("b")));
        assert_eq!((lines.last_id, lines.event()), (Some(6), None));
    }

    #[test]
    fn the_last_chunk_ends_it() {
        let (mut chunks, mut lines) = (Chunks::default(), Lines::default());
        chunks.feed(b"1\r\nx\r\n", &mut lines).unwrap();
        assert!(!chunks.ended());
        chunks.feed(b"0\r\n\r\n", &mut lines).unwrap();
        assert!(chunks.ended());
    }
}
