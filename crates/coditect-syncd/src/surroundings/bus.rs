//! One question to `NetworkManager` over the system's message bus: whether the connection in use is metered.
//!
//! As much of the D-Bus protocol as that takes: sign on, say hello, get a property, hang up.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Where the bus listens on every Linux that has one.
pub(super) const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// For each wait for the bus; it is on this machine.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longer messages than any answer to this question are not read.
const LONGEST: usize = 64 * 1024;
/// What comes before the answer, such as the news of our own name.
const MOST_MESSAGES: usize = 8;

const MANAGER: &str = "org.freedesktop.NetworkManager";
const MANAGER_PATH: &str = "/org/freedesktop/NetworkManager";

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The service is not started for being asked.
const NO_AUTO_START: u8 = 2;

/// Whether it is, as far as `NetworkManager` knows or guesses.
///
/// # Errors
/// When the bus cannot be reached or says something that is not its protocol.
pub(super) fn metered(bus: &Path) -> io::Result<Option<bool>> {
    let stream = UnixStream::connect(bus)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bus = BufReader::new(stream);
    sign_on(&mut bus)?;
    let hello = Call {
        to: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
        words: &[],
    };
    let get = Call {
        to: MANAGER,
        path: MANAGER_PATH,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        words: &[MANAGER, "Metered"],
    };
    bus.get_mut().write_all(&[hello.message(1), get.message(2)].concat())?;
    for _ in 0..MOST_MESSAGES {
        let heard = Heard::read(&mut bus)?;
        match (heard.kind, heard.answers) {
            (RETURN, Some(2)) => return Ok(meaning(heard.variant())),
            // Nobody of that name is there.
            (ERROR, _) => return Ok(None),
            _ => {}
        }
    }
    Err(garbled())
}

/// `NMMetered` of `NetworkManager`'s own description: 1 and 2 are known, 3 and 4 guessed.
fn meaning(value: Option<u32>) -> Option<bool> {
    match value {
        Some(1 | 3) => Some(true),
        Some(2 | 4) => Some(false),
        Some(_) | None => None,
    }
}

fn sign_on(bus: &mut BufReader<UnixStream>) -> io::Result<()> {
    // Its number as text, and that in hexadecimal digits: each of its digits after a 3.
    let user = rustix::process::getuid().as_raw().to_string();
    let user: String = user.chars().flat_map(|digit| ['3', digit]).collect();
    bus.get_mut().write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    bus.by_ref().take(512).read_until(b'\n', &mut answer)?;
    if !answer.starts_with(b"OK ") {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bus does not take us"));
    }
    bus.get_mut().write_all(b"BEGIN\r\n")
}

/// A call with nothing but texts in it.
struct Call<'a> {
    to: &'a str,
    path: &'a str,
    interface: &'a str,
    member: &'a str,
    words: &'a [&'a str],
}

impl Call<'_> {
    fn message(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        for word in self.words {
            text(&mut body, word);
        }
        let mut fields = Vec::new();
        for (code, kind, value) in
            [(1, b'o', self.path), (2, b's', self.interface), (3, b's', self.member), (6, b's', self.to)]
        {
            pad(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            text(&mut fields, value);
        }
        if !self.words.is_empty() {
            pad(&mut fields, 8);
            let signature = "s".repeat(self.words.len());
            fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap_or(u8::MAX)]);
            fields.extend(signature.bytes().chain([0]));
        }
        let mut message = vec![b'l', CALL, NO_AUTO_START, 1];
        for number in [length(&body), serial, length(&fields)] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(length(text.as_bytes()).to_le_bytes());
    bytes.extend(text.bytes().chain([0]));
}

/// A message from the bus.
struct Heard {
    kind: u8,
    /// The call it answers.
    answers: Option<u32>,
    is_little: bool,
    body: Vec<u8>,
}

impl Heard {
    fn read(bus: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 16];
        bus.read_exact(&mut head)?;
        let is_little = match head[0] {
            b'l' => true,
            b'B' => false,
            _ => return Err(garbled()),
        };
        let size = |at: usize| number(&head, at, is_little).and_then(|size| usize::try_from(size).ok());
        let (body, fields) = (size(4).ok_or_else(garbled)?, size(12).ok_or_else(garbled)?);
        if body > LONGEST || fields > LONGEST {
            return Err(garbled());
        }
        // Padding counts from the beginning of the message, and the head is a multiple of it.
        let mut rest = vec![0; fields.next_multiple_of(8) + body];
        bus.read_exact(&mut rest)?;
        let body = rest.split_off(fields.next_multiple_of(8));
        rest.truncate(fields);
        Ok(Self { kind: head[1], answers: answers(&rest, is_little), is_little, body })
    }

    /// The number that the body is, in a variant.
    fn variant(&self) -> Option<u32> {
        if self.body.starts_with(&[1, b'u', 0]) { number(&self.body, 4, self.is_little) } else { None }
    }
}

/// Which call the fields of a message say that it answers.
fn answers(fields: &[u8], is_little: bool) -> Option<u32> {
    let mut at = 0_usize;
    while at < fields.len() {
        let (code, kind) = (*fields.get(at)?, *fields.get(at + 2)?);
        if *fields.get(at + 1)? != 1 {
            return None;
        }
        at += 4;
        at = match kind {
            b'u' if code == 5 => return number(fields, at, is_little),
            b'u' => at + 4,
            b's' | b'o' => at + 4 + usize::try_from(number(fields, at, is_little)?).ok()? + 1,
            b'g' => at + 1 + usize::from(*fields.get(at)?) + 1,
            _ => return None,
        };
        at = at.next_multiple_of(8);
    }
    None
}

fn number(bytes: &[u8], at: usize, is_little: bool) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the bus says something that is not its protocol")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread::JoinHandle;

    use super::*;

    /// A bus that takes one guest, notes what it was asked and answers with this.
    fn bus(home: &Path, sign_on: &'static [u8], answer: Vec<u8>) -> (PathBuf, JoinHandle<Vec<u8>>) {
        let path = home.join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let guest = std::thread::spawn(move || {
            let mut guest = BufReader::new(listener.accept().unwrap().0);
            let mut asked = Vec::new();
            guest.read_until(b'\n', &mut asked).unwrap();
            guest.get_mut().write_all(sign_on).unwrap();
            if sign_on.starts_with(b"OK") {
                guest.read_until(b'\n', &mut asked).unwrap();
                guest.get_mut().write_all(&answer).unwrap();
            }
            // The guest may have hung up on us in the middle.
            drop(guest.read_to_end(&mut asked));
            asked
        });
        (path, guest)
    }

    /// A bus that answers everybody so, for as long as the test runs.
    pub(crate) fn serve(path: &Path, answer: Vec<u8>) {
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            for guest in listener.incoming() {
                let mut guest = BufReader::new(guest.unwrap());
                let mut asked = Vec::new();
                guest.read_until(b'\n', &mut asked).unwrap();
                guest.get_mut().write_all(b"OK 1\r\n").unwrap();
                guest.read_until(b'\n', &mut asked).unwrap();
                guest.get_mut().write_all(&answer).unwrap();
                drop(guest.read_to_end(&mut asked));
            }
        });
    }

    /// What a bus answers to call 2, in between what it tells besides.
    pub(crate) fn answer(metered: u32) -> Vec<u8> {
        [message(RETURN, 1, &[3, 0, 0, 0, b':', b'1', b'.', 0]), property(metered)].concat()
    }

    fn property(metered: u32) -> Vec<u8> {
        let mut body = vec![1, b'u', 0, 0];
        body.extend(metered.to_le_bytes());
        message(RETURN, 2, &body)
    }

    fn message(kind: u8, answers: u32, body: &[u8]) -> Vec<u8> {
        let mut fields = vec![7, 1, b's', 0];
        text(&mut fields, "org.x");
        pad(&mut fields, 8);
        fields.extend([5, 1, b'u', 0]);
        fields.extend(answers.to_le_bytes());
        fields.extend([8, 1, b'g', 0, 1, b'v', 0]);
        let mut message = vec![b'l', kind, 1, 1];
        for number in [length(body), 77, length(&fields)] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }

    #[test]
    fn what_the_network_manager_says_is_taken_and_everything_else_is_not_known() {
        type Case = (&'static [u8], Vec<u8>, Result<Option<bool>, ()>);
        let long = {
            let mut long = property(1);
            long[4] = 255;
            long[7] = 1;
            long
        };
        let cases: &[Case] = &[
            (b"OK 0123\r\n", answer(1), Ok(Some(true))),
            (b"OK 0123\r\n", answer(2), Ok(Some(false))),
            (b"OK 0123\r\n", answer(3), Ok(Some(true))),
            (b"OK 0123\r\n", answer(4), Ok(Some(false))),
            (b"OK 0123\r\n", answer(0), Ok(None)),
            (b"OK 0123\r\n", answer(99), Ok(None)),
            (b"OK 0123\r\n", message(ERROR, 2, b""), Ok(None)),
            (b"OK 0123\r\n", message(RETURN, 2, &[1, b's', 0, 0, 0, 0]), Ok(None)),
            (b"OK 0123\r\n", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Err(())),
            (b"OK 0123\r\n", long, Err(())),
            (b"OK 0123\r\n", Vec::new(), Err(())),
            (b"OK 0123\r\n", message(RETURN, 1, b"").repeat(MOST_MESSAGES), Err(())),
            (b"REJECTED EXTERNAL\r\n", Vec::new(), Err(())),
            (b"", Vec::new(), Err(())),
        ];
        for (sign_on, answer, expected) in cases {
            let home = tempfile::tempdir().unwrap();
            let (path, guest) = bus(home.path(), sign_on, answer.clone());
            let told = metered(&path);
            assert_eq!(
                told.as_ref().map_err(drop),
                expected.as_ref().map_err(Clone::clone),
                "{answer:?}: {told:?}"
            );
            let asked = guest.join().unwrap();
            assert!(asked.starts_with(b"\0AUTH EXTERNAL 3"), "{asked:?}");
        }
        assert!(metered(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn a_question_is_as_the_protocol_has_it() {
        let call = Call { to: "a.b", path: "/p", interface: "i.j", member: "M", words: &["x"] };
        let expected: &[u8] = b"l\x01\x02\x01\x06\0\0\0\x09\0\0\0\x47\0\0\0\
            \x01\x01o\0\x02\0\0\0/p\0\0\0\0\0\0\
            \x02\x01s\0\x03\0\0\0i.j\0\0\0\0\0\
            \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\
            \x06\x01s\0\x03\0\0\0a.b\0\0\0\0\0\
            \x08\x01g\0\x01s\0\0\
            \x01\0\0\0x\0";
        assert_eq!(call.message(9), expected);
    }
}
