//! Cuts an input into the parts of which some targets need several.
//!
//! Parts are divided by a line `%%`, so that people can write and read a corpus; the first line of a part may name it.

/// The parts of an input.
pub(crate) fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = all.windows(DIVIDER.len()).position(|window| window == DIVIDER);
        rest = end.map(|end| &all[end + DIVIDER.len()..]);
        Some(end.map_or(all, |end| &all[..end]))
    })
}

/// The parts with what their first lines say.
pub(crate) fn named(data: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
    parts(data).map(|part| {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let name = String::from_utf8_lossy(&part[..end]).into_owned();
        (name, part.get(end + 1..).unwrap_or_default())
    })
}

const DIVIDER: &[u8] = b"\n%%\n";
