//! The rows on one page, as SQLite writes them: cells, and records in the cells.
//!
//! Nothing here is believed: every offset and length is checked, and what does not add up is no row.

use super::pages::{PAGE, Page, Pages};

/// One value of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row, of no known table.
pub(super) struct Record {
    /// The row's number, in tables that have one.
    pub(super) number: Option<i64>,
    pub(super) values: Vec<Value>,
}

/// Which kind of tree a page belongs to, if it holds rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Rows with numbers.
    Table,
    /// Rows by their key, and indexes.
    Keyed,
    /// The same, with the pages below.
    KeyedInner,
}

/// No row of ours is longer: texts have limits far below this.
const LONGEST_RECORD: usize = 1024 * 1024;

/// Every row on a page that can be read whole.
pub(super) fn on_page(pages: &Pages, number: u32, page: &Page) -> Vec<Record> {
    let start = if number == 1 { 100 } else { 0 };
    let (kind, header) = match page[start] {
        0x0d => (Kind::Table, 8),
        0x0a => (Kind::Keyed, 8),
        0x02 => (Kind::KeyedInner, 12),
        _ => return Vec::new(),
    };
    let cells = usize::from(u16::from_be_bytes([page[start + 3], page[start + 4]]));
    page.get(start + header..)
        .unwrap_or_default()
        .chunks_exact(2)
        .take(cells)
        .filter_map(|pointer| {
            let at = usize::from(u16::from_be_bytes([pointer[0], pointer[1]]));
            cell(pages, kind, page.get(at..)?)
        })
        .collect()
}

fn cell(pages: &Pages, kind: Kind, bytes: &[u8]) -> Option<Record> {
    let mut rest = bytes;
    if kind == Kind::KeyedInner {
        rest = rest.get(4..)?;
    }
    let length = usize::try_from(varint(&mut rest)?).ok().filter(|length| *length <= LONGEST_RECORD)?;
    let number = if kind == Kind::Table { Some(varint(&mut rest)?) } else { None };
    let here = local(kind, length);
    let mut payload = rest.get(..here)?.to_vec();
    if here < length {
        let next = rest.get(here..here + 4)?;
        follow(pages, u32::from_be_bytes([next[0], next[1], next[2], next[3]]), length, &mut payload)?;
    }
    Some(Record { number, values: values(&payload)? })
}

/// How much of a long row lies in its cell.
fn local(kind: Kind, length: usize) -> usize {
    let most = match kind {
        Kind::Table => PAGE - 35,
        Kind::Keyed | Kind::KeyedInner => (PAGE - 12) * 64 / 255 - 23,
    };
    if length <= most {
        return length;
    }
    let least = (PAGE - 12) * 32 / 255 - 23;
    let kept = least + (length - least) % (PAGE - 4);
    if kept <= most { kept } else { least }
}

/// Reads the rest of a long row from the pages it goes on at.
fn follow(pages: &Pages, mut next: u32, length: usize, payload: &mut Vec<u8>) -> Option<()> {
    let mut page = [0; PAGE];
    while payload.len() < length {
        if !pages.read(next, &mut page) {
            return None;
        }
        next = u32::from_be_bytes([page[0], page[1], page[2], page[3]]);
        let wanted = (length - payload.len()).min(PAGE - 4);
        payload.extend_from_slice(page.get(4..4 + wanted)?);
    }
    Some(())
}

fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut rest = payload;
    let header = usize::try_from(varint(&mut rest)?).ok()?;
    let mut kinds = payload.get(payload.len() - rest.len()..header)?;
    let mut body = payload.get(header..)?;
    let mut values = Vec::new();
    while !kinds.is_empty() {
        values.push(value(varint(&mut kinds)?, &mut body)?);
    }
    body.is_empty().then_some(values)
}

fn value(kind: i64, body: &mut &[u8]) -> Option<Value> {
    let mut take = |length: usize| {
        let (taken, rest) = body.split_at_checked(length)?;
        *body = rest;
        Some(taken)
    };
    let integer = |bytes: &[u8]| {
        let first = bytes.first().map_or(0, |byte| i64::from(byte.cast_signed()));
        Value::Integer(bytes.iter().skip(1).fold(first, |sum, byte| (sum << 8) | i64::from(*byte)))
    };
    match kind {
        0 => Some(Value::Null),
        1..=4 => take(usize::try_from(kind).ok()?).map(integer),
        5 => take(6).map(integer),
        6 => take(8).map(integer),
        8 | 9 => Some(Value::Integer(kind - 8)),
        12.. => {
            let bytes = take(usize::try_from((kind - 12) / 2).ok()?)?.to_vec();
            if kind % 2 == 0 {
                Some(Value::Blob(bytes))
            } else {
                String::from_utf8(bytes).ok().map(Value::Text)
            }
        }
        // Nothing of ours is a fraction.
        _ => None,
    }
}

/// SQLite's number of one to nine bytes.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut number: u64 = 0;
    for count in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if count == 8 {
            return Some(((number << 8) | u64::from(*byte)).cast_signed());
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number.cast_signed())
}
