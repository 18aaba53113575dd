//! Changes inputs a little, the same way for the same seed: for the tests, which have no coverage to follow.

use sync_core::backoff::Throws;

/// Makes inputs from others.
#[derive(Clone, Debug)]
pub struct Mutator(Throws);

/// What parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"\r\n\r\n",
    b"\n%%\n",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"{\"",
    b"[[[[[[[[[[[[[[[[",
    b"]}",
    b"null",
    b"1e400",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.999999999+23:59",
    b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"ffffffffffffffff\r\n",
    b"%00",
    b"%ff",
    b"../../../../",
    b"**/*",
    b"00000000-0000-0000-0000-000000000000",
];

/// Longest input that is made.
const LONGEST: usize = 64 * 1024;

impl Mutator {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self(Throws::new(seed))
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.draw() % (end as u64)).unwrap_or(0)
    }

    /// Another input, made from `one` and, sometimes, `other`.
    pub fn mutate(&mut self, one: &[u8], other: &[u8]) -> Vec<u8> {
        let mut data = one.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut data, other);
        }
        data.truncate(LONGEST);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(data.len() + 1);
        match self.below(8) {
            0 if at < data.len() => data[at] ^= 1 << self.below(8),
            1 if at < data.len() => data[at] = self.0.draw().to_le_bytes()[0],
            2 => {
                let piece = PIECES[self.below(PIECES.len())];
                data.splice(at..at, piece.iter().copied());
            }
            3 => data.truncate(at),
            4 if at < data.len() => {
                let end = at + 1 + self.below((data.len() - at).min(64));
                data.drain(at..end.min(data.len()));
            }
            5 => {
                let end = data.len().min(at + 1 + self.below(64));
                let again: Vec<u8> = data[at..end].repeat(1 + self.below(8));
                data.splice(at..at, again);
            }
            6 if !other.is_empty() => {
                let from = self.below(other.len());
                let end = other.len().min(from + 1 + self.below(256));
                data.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let digit = data.iter().skip(at).position(u8::is_ascii_digit);
                if let Some(digit) = digit {
                    data[at + digit] = b'0' + self.0.draw().to_le_bytes()[0] % 10;
                }
            }
        }
    }
}
