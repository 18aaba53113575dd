//! Reads the moments that the old client and SQLite wrote as text.

use sync_core::Timestamp;

/// Reads ISO 8601 with a `T` or a space between date and time, with or without fractions and a time zone; without
/// one it is UTC. `None` for anything else.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone)?;
    let zone = match zone.trim() {
        "" | "Z" | "z" => "Z".to_owned(),
        zone if zone.contains(':') => zone.get(..6)?.to_owned(),
        // +HH and +HHMM
        zone if zone.len() == 3 => format!("{zone}:00"),
        zone => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
    };
    Timestamp::from_rfc3339(&format!("{date}T{}{zone}", clock.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_moment_are_read() {
        let noon = Some(Timestamp(1_767_268_800_000));
        for (text, expected) in [
            // SQLite's `CURRENT_TIMESTAMP`
            ("2026-01-01 12:00:00", noon),
            // Python's `isoformat` of an aware moment, with and without a fraction
            ("2026-01-01T12:00:00+00:00", noon),
            ("2026-01-01T12:00:00.250000+00:00", Some(Timestamp(1_767_268_800_250))),
            ("2026-01-01T13:00:00+01:00", noon),
            ("2026-01-01T10:00:00-0200", noon),
            ("2026-01-01 10:00:00 -02", noon),
            // of a naive one
            ("2026-01-01T12:00:00", noon),
            (" 2026-01-01t12:00:00z ", noon),
            ("2026-01-01", None),
            ("2026-13-01 12:00:00", None),
            ("now", None),
            ("", None),
            ("T\u{e9}", None),
            ("2026-01-01T12:00:00+\u{e9}\u{e9}", None),
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
    }
}
