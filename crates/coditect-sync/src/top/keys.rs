//! Keys, as they arrive from a terminal that passes every byte on.

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Send what waits now.
    Flush,
    /// Send nothing, or send again.
    Pause,
    /// Look for projects now.
    Scan,
    /// Draw all anew.
    Redraw,
    /// Put the program to sleep.
    Suspend,
    /// Leave.
    Quit,
}

/// The keys in what was read at once. A sequence that begins with an escape is an arrow or the like, which means nothing
/// here; an escape alone is a way to leave.
pub(crate) fn keys(bytes: &[u8]) -> Vec<Key> {
    if bytes.first() == Some(&0x1b) {
        return if bytes.len() == 1 { vec![Key::Quit] } else { Vec::new() };
    }
    bytes
        .iter()
        .filter_map(|byte| match byte.to_ascii_lowercase() {
            b'f' => Some(Key::Flush),
            b'p' => Some(Key::Pause),
            b's' => Some(Key::Scan),
            0x0c => Some(Key::Redraw),
            0x1a => Some(Key::Suspend),
            b'q' | 0x03 | 0x04 => Some(Key::Quit),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_in_either_case_and_the_usual_ways_to_leave() {
        for (bytes, expected) in [
            (&b"f"[..], &[Key::Flush][..]),
            (b"PsX", &[Key::Pause, Key::Scan]),
            (b"\x0c\x1a", &[Key::Redraw, Key::Suspend]),
            (b"q", &[Key::Quit]),
            (b"\x03", &[Key::Quit]),
            (b"\x04", &[Key::Quit]),
            (b"\x1b", &[Key::Quit]),
            (b"\x1b[A", &[]),
            (b"\x1bOP", &[]),
            ("ä".as_bytes(), &[]),
            (b"", &[]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
