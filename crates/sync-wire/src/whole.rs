//! Reads whole numbers however a JSON writer spells them: some languages write `1000.0` where a thousand is meant.

use serde::{Deserialize, Deserializer, de};

/// The largest number up to which every whole number has a spelling of its own as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number, or nothing.
pub(crate) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    if let Some(whole) = number.as_u64() {
        return Ok(Some(whole));
    }
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && (0.0..=EXACT).contains(&float) => {
            // Its text is a whole number with `.0` behind it, or in the form of a power, which `{:.0}` writes out.
            format!("{float:.0}").parse().map(Some).map_err(de::Error::custom)
        }
        _ => Err(de::Error::custom(format!("`{number}` is no whole number from 0"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Asked {
        #[serde(default, deserialize_with = "optional")]
        wait_ms: Option<u64>,
    }

    #[test]
    fn whole_numbers_are_read_in_any_spelling() {
        for (text, expected) in [
            ("{}", Some(None)),
            (r#"{"wait_ms": null}"#, Some(None)),
            (r#"{"wait_ms": 0}"#, Some(Some(0))),
            (r#"{"wait_ms": 1500}"#, Some(Some(1_500))),
            (r#"{"wait_ms": 1500.0}"#, Some(Some(1_500))),
            (r#"{"wait_ms": 6e5}"#, Some(Some(600_000))),
            (r#"{"wait_ms": 18446744073709551615}"#, Some(Some(u64::MAX))),
            (r#"{"wait_ms": 1.5}"#, None),
            (r#"{"wait_ms": -1}"#, None),
            (r#"{"wait_ms": -0.5}"#, None),
            (r#"{"wait_ms": 1e300}"#, None),
            (r#"{"wait_ms": "5"}"#, None),
            (r#"{"wait_ms": true}"#, None),
        ] {
            let read = serde_json::from_str::<Asked>(text).ok().map(|asked| asked.wait_ms);
            assert_eq!(read, expected, "{text}");
        }
    }
}
