//! Paths in JSON, where text must be UTF-8 and a path need not be.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What may stand as it is in a path and in a query alike.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path's `root_path` and `root_path_exact`: the second only where the path is not UTF-8.
pub fn to_fields(path: &Path) -> (String, Option<String>) {
    path.to_str().map_or_else(
        || (path.to_string_lossy().into_owned(), Some(encoded(path.as_os_str().as_bytes()))),
        |text| (text.to_owned(), None),
    )
}

/// The path that `root_path` and `root_path_exact` stand for.
pub fn from_fields(plain: &str, exact: Option<&str>) -> PathBuf {
    exact.map_or_else(
        || PathBuf::from(plain),
        |exact| PathBuf::from(OsString::from_vec(percent_decode_str(exact).collect())),
    )
}

/// Bytes for use in a query, a path segment or `root_path_exact`.
pub fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_survives_the_way_through_json() {
        for (bytes, exact) in [
            (&b"/home/u/a b"[..], None),
            ("/home/ü".as_bytes(), None),
            (b"/home/\xff&x", Some("/home/%FF%26x")),
            (b"/home/100%\xfe", Some("/home/100%25%FE")),
        ] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let fields = to_fields(&path);
            assert_eq!(fields.1.as_deref(), exact);
            assert_eq!(from_fields(&fields.0, fields.1.as_deref()), path);
        }
    }
}
