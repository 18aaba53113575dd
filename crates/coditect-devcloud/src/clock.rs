//! What time it is, and how a time is written for people, programs and HTTP.

use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Milliseconds since 1970, UTC.
#[expect(clippy::disallowed_methods, reason = "a stand-in for somebody else's server has a clock of its own")]
pub(crate) fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// The time in RFC 3339, UTC, in milliseconds.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    moment(at_ms).format(&Rfc3339).unwrap_or_default()
}

/// The time as the headers of HTTP write it.
pub(crate) fn http_date(at_ms: i64) -> String {
    moment(at_ms).format(HTTP_DATE).unwrap_or_default()
}

fn moment(at_ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::{http_date, rfc3339};

    #[test]
    fn times_are_written_as_their_readers_expect() {
        assert_eq!(rfc3339(784_111_777_500), "1994-11-06T08:49:37.5Z");
        assert_eq!(http_date(784_111_777_500), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
