//! HTTP over a Unix socket, byte by byte, so that a test can say what no proper client would.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::daemon::PATIENCE;

/// An answer, taken apart.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    head: String,
}

impl Reply {
    /// Takes the first answer in some bytes apart.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let reply = Self::try_read(bytes);
        assert!(reply.is_some(), "no answer: {:?}", String::from_utf8_lossy(bytes));
        reply.expect("an answer")
    }

    fn try_read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes.get(..end)?.to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, body: bytes.get(end + 4..)?.to_vec(), head })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.body);
        assert!(read.is_ok(), "no JSON: {:?}", String::from_utf8_lossy(&self.body));
        read.expect("JSON")
    }
}

/// The bytes of a request after which the connection ends.
pub(crate) fn request(method: &str, target: &str, body: &str) -> Vec<u8> {
    let typed = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nconnection: close\r\n{typed}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends some bytes and the end, and reads whatever comes back.
pub(crate) fn exchange(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    try_exchange(socket, bytes).expect("an exchange")
}

fn try_exchange(socket: &Path, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

pub(crate) fn get(socket: &Path, target: &str) -> Reply {
    Reply::read(&exchange(socket, &request("GET", target, "")))
}

/// The same, where there may be nobody.
pub(crate) fn try_get(socket: &Path, target: &str) -> Option<Reply> {
    Reply::try_read(&try_exchange(socket, &request("GET", target, "")).ok()?)
}

pub(crate) fn post(socket: &Path, target: &str, body: &str) -> Reply {
    Reply::read(&exchange(socket, &request("POST", target, body)))
}
