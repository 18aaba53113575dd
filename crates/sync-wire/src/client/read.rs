//! Reads one HTTP/1.1 response, with limits on everything in it.
//!
//! Knows no socket: a test reads from bytes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::patient::Patient;
use super::{LARGEST_BODY, LARGEST_HEAD};

/// A response that arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
    /// Whether another response can follow on the same connection.
    pub(super) reusable: bool,
}

/// Why no whole response arrived.
#[derive(Debug)]
pub(super) enum Fault {
    /// Time ran out before the first byte.
    Silent,
    /// Time ran out before the last byte.
    Slow,
    /// The other side closed before the first byte.
    Closed,
    /// The other side closed before the last byte.
    Cut,
    /// It is not HTTP/1.1 as we read it.
    Garbled(String),
    /// More than is read.
    TooLarge,
    /// The system failed.
    Failed(io::Error),
}

impl Fault {
    fn of_reading(error: io::Error, heard: bool) -> Self {
        match (closed_or_late(&error), heard) {
            (Some(End::Late), false) => Self::Silent,
            (Some(End::Late), true) => Self::Slow,
            (Some(End::Closed), false) => Self::Closed,
            (Some(End::Closed), true) => Self::Cut,
            (None, _) => Self::Failed(error),
        }
    }

    pub(super) fn of_writing(error: io::Error) -> Self {
        Self::of_reading(error, false)
    }
}

enum End {
    Late,
    Closed,
}

fn closed_or_late(error: &io::Error) -> Option<End> {
    if error.kind() == ErrorKind::TimedOut {
        Some(End::Late)
    } else if matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
    ) {
        Some(End::Closed)
    } else {
        None
    }
}

/// Reads the next response, passing over interim ones.
pub(super) fn response(connection: &mut BufReader<Patient>) -> Result<Received, Fault> {
    parse(connection).map_err(|failure| fault(failure, connection))
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) enum Begun {
    /// Events follow, in chunks or as they are.
    Stream {
        /// Whether they come in chunks.
        chunked: bool,
    },
    /// It is something else, and whole.
    Whole(Received),
}

/// Reads the beginning of an answer that has no end, or the whole of one that has.
pub(super) fn begun(connection: &mut BufReader<Patient>) -> Result<Begun, Fault> {
    let begun = head(connection).and_then(|head| {
        let events = head.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"));
        if head.status == 200 && events && !matches!(head.length, Length::Known(_)) {
            return Ok(Begun::Stream { chunked: matches!(head.length, Length::Chunked) });
        }
        whole(connection, head).map(Begun::Whole)
    });
    begun.map_err(|failure| fault(failure, connection))
}

fn fault(failure: Failure, connection: &BufReader<Patient>) -> Fault {
    match failure {
        Failure::Io(error) => Fault::of_reading(error, connection.get_ref().heard()),
        Failure::Garbled(why) => Fault::Garbled(why),
        Failure::TooLarge => Fault::TooLarge,
    }
}

#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Garbled(String),
    TooLarge,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn garbled<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Garbled(why.into()))
}

fn parse(source: &mut impl BufRead) -> Result<Received, Failure> {
    // An interim response promises a final one; more than a few are a mistake.
    const MOST_INTERIM: usize = 8;
    for _ in 0..MOST_INTERIM {
        let head = head(source)?;
        if (100..200).contains(&head.status) {
            continue;
        }
        return whole(source, head);
    }
    garbled("only interim responses arrive")
}

/// Reads the body that follows a head.
fn whole(source: &mut impl BufRead, head: Head) -> Result<Received, Failure> {
    let (body, ends_with_connection) = match head.length {
        _ if matches!(head.status, 204 | 304) => (Vec::new(), false),
        Length::Known(length) => (exactly(source, length)?, false),
        Length::Chunked => (chunks(source)?, false),
        Length::UntilClosed => (to_the_end(source)?, true),
    };
    Ok(Received {
        status: head.status,
        content_type: head.content_type,
        body,
        reusable: head.keeps_connection && !ends_with_connection,
    })
}

struct Head {
    status: u16,
    content_type: Option<String>,
    length: Length,
    keeps_connection: bool,
}

enum Length {
    Known(usize),
    Chunked,
    UntilClosed,
}

fn head(source: &mut impl BufRead) -> Result<Head, Failure> {
    let mut budget = LARGEST_HEAD;
    let first = line(source, &mut budget)?;
    let (version, rest) = first.split_once(' ').unwrap_or((&first, ""));
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return garbled("it does not speak HTTP/1.1");
    }
    let Some(status) =
        rest.get(..3).and_then(|digits| digits.parse().ok()).filter(|status| (100..600).contains(status))
    else {
        return garbled(format!("`{first}` has no status"));
    };
    let mut head = Head {
        status,
        content_type: None,
        length: Length::UntilClosed,
        keeps_connection: version == "HTTP/1.1",
    };
    loop {
        let field = line(source, &mut budget)?;
        if field.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = field.split_once(':') else {
            return garbled(format!("`{field}` is no header field"));
        };
        note(&mut head, name, value.trim())?;
    }
}

fn note(head: &mut Head, name: &str, value: &str) -> Result<(), Failure> {
    match name.to_ascii_lowercase().as_str() {
        "content-length" => {
            let Ok(length) = value.parse::<u64>() else {
                return garbled(format!("`{value}` is no length"));
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            match head.length {
                Length::UntilClosed => head.length = Length::Known(length),
                Length::Known(before) if before == length => {}
                Length::Known(_) => return garbled("it gives two lengths"),
                Length::Chunked => {}
            }
        }
        "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => head.length = Length::Chunked,
        "transfer-encoding" => return garbled(format!("its body is encoded as `{value}`")),
        "content-type" => head.content_type = Some(value.to_owned()),
        "connection" if value.eq_ignore_ascii_case("close") => head.keeps_connection = false,
        _ => {}
    }
    Ok(())
}

/// A line without its end, taken from the budget for all of them.
fn line(source: &mut impl BufRead, budget: &mut usize) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(*budget).unwrap_or(u64::MAX);
    let read = Read::take(&mut *source, limit).read_until(b'\n', &mut bytes)?;
    *budget -= read;
    if bytes.pop() != Some(b'\n') {
        return if *budget == 0 { Err(Failure::TooLarge) } else { Err(cut()) };
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).or_else(|_| garbled("its head is not text"))
}

fn exactly(source: &mut impl BufRead, length: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    append(source, length, &mut body)?;
    Ok(body)
}

fn append(source: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Result<(), Failure> {
    if length > LARGEST_BODY.saturating_sub(body.len()) {
        return Err(Failure::TooLarge);
    }
    let read = Read::take(source, length as u64).read_to_end(body)?;
    if read < length { Err(cut()) } else { Ok(()) }
}

fn chunks(source: &mut impl BufRead) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let mut budget = LARGEST_HEAD;
    loop {
        let size = line(source, &mut budget)?;
        let digits = size.split(';').next().unwrap_or("").trim();
        let Ok(length) = usize::from_str_radix(digits, 16) else {
            return garbled(format!("`{digits}` is no size of a chunk"));
        };
        if length == 0 {
            while !line(source, &mut budget)?.is_empty() {}
            return Ok(body);
        }
        append(source, length, &mut body)?;
        if !line(source, &mut budget)?.is_empty() {
            return garbled("a chunk is longer than it says");
        }
        // Many small chunks are in order: only the lines between two of them count together.
        budget = LARGEST_HEAD;
    }
}

fn to_the_end(source: &mut impl BufRead) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    Read::take(source, LARGEST_BODY as u64 + 1).read_to_end(&mut body)?;
    if body.len() > LARGEST_BODY { Err(Failure::TooLarge) } else { Ok(body) }
}

fn cut() -> Failure {
    Failure::Io(ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Received, Failure> {
        let whole = parse(&mut text.as_bytes());
        // However the bytes are cut into reads, the result is the same.
        let mut in_bytes = BufReader::with_capacity(1, text.as_bytes());
        let slowly = parse(&mut in_bytes);
        assert_eq!(format!("{whole:?}"), format!("{slowly:?}"));
        whole
    }

    #[test]
    fn bodies_end_where_the_head_says() {
        for (text, body, reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "{}", true),
            ("HTTP/1.1 200\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}more", "{}", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: Close\r\n\r\n{}", "{}", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", false),
            ("HTTP/1.1 200 OK\n\nuntil the end", "until the end", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
                "ab0123456789",
                true,
            ),
            ("HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", "x", true),
        ] {
            let received = read(text).unwrap();
            assert_eq!(
                (received.body.as_slice(), received.reusable),
                (body.as_bytes(), reusable),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_not_an_answer_is_told_apart() {
        let check = |text: &str, expected: &str| {
            let found = match read(text) {
                Err(Failure::Garbled(why)) => why,
                Err(Failure::TooLarge) => "too large".to_owned(),
                Err(Failure::Io(error)) => format!("{:?}", error.kind()),
                Ok(received) => format!("{received:?}"),
            };
            assert!(found.contains(expected), "{text:.80}: {found}");
        };
        let long = "x".repeat(LARGEST_HEAD + 1);
        check("", "UnexpectedEof");
        check("HTTP/1.1 200 OK\r\ncontent-le", "UnexpectedEof");
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", "UnexpectedEof");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "UnexpectedEof");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n", "longer than it says");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n", "no size of a chunk");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "encoded as `gzip`");
        check("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "`-1` is no length");
        check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "two lengths");
        check("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", "too large");
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffff\r\n", "too large");
        check(&format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n"), "too large");
        check(&long, "too large");
        check("HTTP/1.1 abc\r\n\r\n", "has no status");
        check("HTTP/1.1 999 x\r\n\r\n", "has no status");
        check("HTTP/2 200\r\n\r\n", "does not speak HTTP/1.1");
        check("SSH-2.0-OpenSSH_9\r\n", "does not speak HTTP/1.1");
        check("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "is no header field");
        check(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(20), "only interim");
    }
}
