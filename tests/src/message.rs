//! HTTP/1.1 messages as bytes, as far as daemon and dev cloud send them: a head, and a body as long as it says.

use std::io::{self, Read};

/// The longest message that is passed on.
const LONGEST: usize = 32 * 1024 * 1024;

/// A request or an answer, byte for byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// With the empty line at its end.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one; `None` when the other side closes before its first byte.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut byte = [0];
        // Byte by byte, so that nothing of the next message is taken; a loopback connection has the time.
        while !head.ends_with(b"\r\n\r\n") {
            match from.read(&mut byte) {
                Ok(0) if head.is_empty() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => head.push(byte[0]),
                // Whoever was stopped and goes on reads on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            bounded(head.len())?;
        }
        let mut body = Vec::new();
        match length(&head) {
            Some(length) => {
                bounded(length)?;
                body.resize(length, 0);
                from.read_exact(&mut body)?;
            }
            None if head.starts_with(b"HTTP/") => {
                from.take(LONGEST as u64).read_to_end(&mut body)?;
            }
            // A request without a length has no body.
            None => {}
        }
        Ok(Some(Self { head, body }))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&*self.head, &*self.body].concat()
    }

    /// The same with a shorter body, whose head says so: nothing but the content tells that something is missing.
    pub(crate) fn truncated(&self, keep: usize) -> Self {
        let body = self.body[..keep.min(self.body.len())].to_vec();
        let head = String::from_utf8_lossy(&self.head);
        let lines = head.split_inclusive("\r\n").map(|line| {
            if line.to_ascii_lowercase().starts_with("content-length:") {
                format!("content-length: {}\r\n", body.len())
            } else {
                line.to_owned()
            }
        });
        Self { head: lines.collect::<String>().into_bytes(), body }
    }
}

fn bounded(length: usize) -> io::Result<()> {
    if length > LONGEST { Err(io::Error::other("a message is too long")) } else { Ok(()) }
}

fn length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head);
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::Message;

    fn read(text: &str) -> Vec<Message> {
        let mut bytes = text.as_bytes();
        let mut messages = Vec::new();
        while let Some(message) = Message::read(&mut bytes).unwrap() {
            messages.push(message);
        }
        messages
    }

    #[test]
    fn a_message_ends_where_its_head_says() {
        let one = "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        let two = "GET /b HTTP/1.1\r\nhost: c\r\n\r\n";
        let messages = read(&format!("{one}{two}{one}"));
        let bytes: Vec<_> =
            messages.iter().map(|message| String::from_utf8(message.bytes()).unwrap()).collect();
        assert_eq!(bytes, [one, two, one]);
        assert!(Message::read(&mut "GET /b HT".as_bytes()).is_err(), "it ends in its head");
        assert!(Message::read(&mut "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc".as_bytes()).is_err());
    }

    #[test]
    fn a_truncated_answer_has_a_head_that_fits() {
        let whole = &read("HTTP/1.1 200 OK\r\ncontent-length: 10\r\ndate: x\r\n\r\n{\"a\": 123}")[0];
        let cut = String::from_utf8(whole.truncated(4).bytes()).unwrap();
        assert_eq!(cut, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ndate: x\r\n\r\n{\"a\"");
    }
}
