//! How long an answer's headers ask to wait, and what else they ask of daemons.
//!
//! A date in a header is compared with the answer's own Date, never with this machine's clock.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use sync_core::{Hints, Timestamp};
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// On any 2xx: over how many seconds daemons shall spread their first request after a link came up. Ours; at most 60.
pub const LINK_UP_SPREAD_HEADER: &str = "x-sync-link-spread-seconds";
/// On any 2xx: the longest pause between probes, in seconds. Ours; at most 600.
pub const PROBE_CAP_HEADER: &str = "x-sync-probe-cap-seconds";

const LONGEST_WAIT: Duration = Duration::from_hours(24);
const LONGEST_SPREAD: Duration = Duration::from_mins(1);
const LONGEST_PROBE_CAP: Duration = Duration::from_mins(10);
/// A rate limit's reset above this is a moment (2001 and later), below it a number of seconds to wait.
const FIRST_EPOCH: u64 = 1_000_000_000;

/// The wait a refusal asks for, at most 24 h; `None` where it asks for none.
///
/// Gateways put the reset of a rate limit on every answer, so it counts only on a 429.
pub(crate) fn asked(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let asked = retry_after(headers).or_else(|| if status == 429 { reset(headers) } else { None })?;
    Some(asked.min(LONGEST_WAIT))
}

/// The answer's Date.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(text(headers, DATE.as_str())?)
}

/// What a 2xx asks of the daemons.
pub(crate) fn hints(headers: &HeaderMap) -> Hints {
    let told = |name| text(headers, name).and_then(seconds);
    Hints {
        link_up_spread: told(LINK_UP_SPREAD_HEADER).map(|spread| spread.min(LONGEST_SPREAD)),
        probe_cap: told(PROBE_CAP_HEADER).map(|cap| cap.min(LONGEST_PROBE_CAP)),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    // An origin and its gateways may each have said one; whoever obeys the longest obeys them all.
    let said = headers.get_all(RETRY_AFTER).iter().filter_map(|value| Some(value.to_str().ok()?.trim()));
    said.filter_map(|value| list(value).or_else(|| Some(http_date(value)?.since(date(headers)?)))).max()
}

/// The longest of several numbers of seconds, as a proxy joins them.
fn list(value: &str) -> Option<Duration> {
    let each: Option<Vec<Duration>> = value.split(',').map(|part| seconds(part.trim())).collect();
    each?.into_iter().max()
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    let value = ["ratelimit-reset", "x-ratelimit-reset"].into_iter().find_map(|name| text(headers, name));
    let Some(value) = value else { return window(text(headers, "ratelimit")?) };
    let told = seconds(value)?;
    if told.as_secs() < FIRST_EPOCH {
        return Some(told);
    }
    let moment = i64::try_from(told.as_millis()).map_or(Timestamp::NEVER, Timestamp);
    Some(moment.since(date(headers)?))
}

/// The longest `t` of a list of policies as in `"burst";r=0;t=50, "day";r=3;t=600`, of those that have nothing left; of all
/// where none says so
/// ([draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/)).
fn window(value: &str) -> Option<Duration> {
    let policies = value.split(',').filter_map(|policy| {
        let of = |name: &str| policy.split(';').find_map(|part| part.trim().strip_prefix(name));
        Some((of("r=") == Some("0"), seconds(of("t=")?)?))
    });
    policies.max().map(|(_, told)| told)
}

/// A whole number of seconds, or one with a fraction, which is rounded up.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|byte| byte != b'0'));
    // A number too large for its type is a very long wait all the same.
    Some(Duration::from_secs(whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add(more)))
}

/// The three forms of RFC 9110 §5.6.7.
fn http_date(value: &str) -> Option<Timestamp> {
    let moment =
        OffsetDateTime::parse(value, &Rfc2822).ok().or_else(|| rfc_850(value)).or_else(|| asctime(value))?;
    moment.unix_timestamp().checked_mul(1000).map(Timestamp)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`, read as the mail date it nearly is.
fn rfc_850(value: &str) -> Option<OffsetDateTime> {
    let (_weekday, rest) = value.split_once(", ")?;
    OffsetDateTime::parse(&rest.replace('-', " "), &Rfc2822).ok()
}

fn asctime(value: &str) -> Option<OffsetDateTime> {
    let form = format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    PrimitiveDateTime::parse(value, form).ok().map(PrimitiveDateTime::assume_utc)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");

    #[test]
    fn a_wait_is_read_in_every_form_it_comes_in() {
        check(503, &[("retry-after", "120")], Some(120));
        check(503, &[("retry-after", " 0 ")], Some(0));
        check(503, &[("retry-after", "1.5")], Some(2));
        check(503, &[("retry-after", "99999999999999999999999")], Some(86_400));
        check(429, &[NOW, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30));
        check(429, &[NOW, ("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")], Some(30));
        check(429, &[NOW, ("retry-after", "Sun Nov  6 08:50:07 1994")], Some(30));
        check(429, &[NOW, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0));
        check(429, &[NOW, ("retry-after", "Fri, 06 Nov 2094 08:00:00 GMT")], Some(86_400));
        check(429, &[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None);
        check(429, &[("ratelimit-reset", "17")], Some(17));
        check(429, &[("x-ratelimit-reset", "17")], Some(17));
        check(429, &[NOW, ("x-ratelimit-reset", "1700000000")], Some(86_400));
        check(429, &[("x-ratelimit-reset", "1700000000")], None);
        check(
            429,
            &[("date", "Tue, 14 Nov 2023 22:13:00 GMT"), ("x-ratelimit-reset", "1700000000")],
            Some(20),
        );
        check(429, &[("retry-after", "5"), ("ratelimit-reset", "17")], Some(5));
        check(429, &[("retry-after", "soon"), ("ratelimit-reset", "17")], Some(17));
        check(429, &[("ratelimit", r#""day";r=7;t=600, "burst";r=0;t=50"#)], Some(50));
        check(429, &[("ratelimit", r#""a"; t=5, "b"; t=9"#)], Some(9));
        check(429, &[("ratelimit", "limit=100, remaining=0")], None);
        check(503, &[("ratelimit-reset", "17")], None);
        check(503, &[("retry-after", "120, 5")], Some(120));
        check(503, &[("retry-after", "1"), ("retry-after", "soon"), ("retry-after", "120")], Some(120));
    }

    #[test]
    fn a_wait_that_is_no_wait_is_ignored() {
        for value in ["", "-1", "+5", "soon", "1e3", "0x10", "1.", ".5", "1,x", "1,", "12 s", "\u{b2}"] {
            check(429, &[NOW, ("retry-after", value)], None);
            check(429, &[NOW, ("ratelimit-reset", value)], None);
        }
    }

    #[test]
    fn hints_are_read_and_bounded() {
        let hinted = |spread: &str, cap: &str| {
            let told = hints(&headers(&[(LINK_UP_SPREAD_HEADER, spread), (PROBE_CAP_HEADER, cap)]));
            (told.link_up_spread.map(|value| value.as_secs()), told.probe_cap.map(|value| value.as_secs()))
        };
        assert_eq!(hinted("30", "120"), (Some(30), Some(120)));
        assert_eq!(hinted("3000", "9999"), (Some(60), Some(600)));
        assert_eq!(hinted("-3", "x"), (None, None));
        assert_eq!(hints(&HeaderMap::new()), Hints::default());
    }

    fn check(status: u16, told: &[(&'static str, &str)], expected: Option<u64>) {
        assert_eq!(asked(status, &headers(told)), expected.map(Duration::from_secs), "{status} {told:?}");
    }

    fn headers(told: &[(&'static str, &str)]) -> HeaderMap {
        told.iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }
}
