//! Durations as people write them: a whole number and one unit, `"250ms"`, `"30s"`, `"15m"`, `"24h"`, `"7d"`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

/// The units that are read, with their length in milliseconds, the shortest first.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];

/// Reads a duration; `None` when the text is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*length).map(Duration::from_millis)
}

/// The shortest text that reads as this duration, in whole milliseconds and with hours as the longest unit.
pub(crate) fn text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (unit, length) = UNITS
        .iter()
        .rev()
        .filter(|(unit, _)| *unit != "d")
        .find(|(_, length)| millis > 0 && millis.is_multiple_of(u128::from(*length)))
        .unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / u128::from(*length))
}

/// Serializes a duration as its text.
pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

/// Serializes a duration as its text, and its absence as null.
#[expect(clippy::ref_option, reason = "the shape that `serialize_with` calls")]
pub(crate) fn serialize_option<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_str(&text(*duration)),
        None => serializer.serialize_none(),
    }
}

/// Stands for a duration's text in the schema.
pub(crate) struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (given, millis) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            (" 15m ", Some(900_000)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("s", None),
            ("30", None),
            ("-3s", None),
            ("1.5s", None),
            ("1h30m", None),
            ("3 s", None),
            ("3S", None),
            ("99999999999999999999s", None),
            ("999999999999999999h", None),
        ] {
            assert_eq!(parse(given), millis.map(Duration::from_millis), "{given}");
        }
    }

    #[test]
    fn the_text_of_a_duration_reads_as_the_same_duration() {
        for (millis, expected) in [
            (0, "0s"),
            (1, "1ms"),
            (1_500, "1500ms"),
            (30_000, "30s"),
            (90_000, "90s"),
            (900_000, "15m"),
            (86_400_000, "24h"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(text(duration), expected);
            assert_eq!(parse(expected), Some(duration));
        }
    }
}
