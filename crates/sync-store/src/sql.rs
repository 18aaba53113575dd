//! How statements are written down and how many rows travel in one parameter.
//!
//! A statement is a constant of the file whose function runs it, and [`statements!`] also puts it on that file's
//! list, so that the test of query plans cannot miss one. Many rows go as one JSON text through `json_each`, with
//! blobs in hexadecimal. Where many columns are taken from a row it is `materialized` first: `json_each` would write
//! the row's text anew for each of them.
//!
//! A limit is written `+?1`: SQLite looks into a bare parameter when it prepares, and prepares anew for each value.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::error::Error;

/// Declares the statements of a file and the list of them.
macro_rules! statements {
    ($($visibility:vis $name:ident = $sql:expr;)+) => {
        $($visibility const $name: &str = $sql;)+
        /// Every statement of this file, by name.
        pub(crate) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}
pub(crate) use statements;

/// Several statements, each of which names one parameter once, as one text: the first takes the first parameter, the
/// second the second, and so on. SQLite's thread is asked once.
pub(crate) fn together(statements: &[&str]) -> String {
    debug_assert!(statements.iter().all(|statement| statement.matches("?1").count() == 1));
    // The driver counts parameters by their places; a number would be looked up among those of all statements.
    statements.iter().map(|statement| statement.replace("?1", "?")).collect::<Vec<_>>().join(";\n")
}

/// Bytes on their way into a blob: `unhex(value ->> …)` on the other side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    pub(crate) fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().to_vec())
    }

    pub(crate) fn path(path: &Path) -> Self {
        Self(path_bytes(path).to_vec())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        serializer.serialize_str(&text)
    }
}

/// Rows as the text that `json_each` takes apart.
pub(crate) fn json<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(|source| Error::other("write rows as JSON", source))
}

/// A path's bytes, as they are on disk.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}

/// The path with these bytes.
pub(crate) fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}
