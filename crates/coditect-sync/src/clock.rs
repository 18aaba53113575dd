//! The present moment, to say how long ago something was.

use std::time::Instant;

use time::OffsetDateTime;

/// The present moment by the wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line has no daemon's clock; it only turns moments into words"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The present moment by a clock that nobody sets, for intervals only.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line has no daemon's clock; it only measures its own rests"
)]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
