//! What was measured before, read from a document's tables, and which ratios got worse since.
//!
//! Knows nothing of how anything is measured: a row is its name, what it is beside, and a ratio.

use std::collections::BTreeMap;

/// So much worse a ratio has to be to be said: machines are noisy.
const NOTICED: f64 = 1.5;

/// Ratios by row and by what the row is beside.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Recorded(BTreeMap<(String, String), f64>);

/// A ratio that is known now.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    pub(crate) what: String,
    pub(crate) beside: String,
    pub(crate) value: f64,
    /// Whether a larger one is better, as of a rate.
    pub(crate) more_is_better: bool,
}

impl Recorded {
    /// Reads the rows `| what | measured | beside: limit | ratio |` of a document.
    pub(crate) fn read(document: &str) -> Self {
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, what, _measured, limit, ratio, _] = cells[..] else { return None };
            let (beside, _) = limit.rsplit_once(": ")?;
            Some(((what.to_owned(), beside.to_owned()), ratio.parse().ok()?))
        };
        Self(document.lines().filter_map(row).collect())
    }

    /// Which of the ratios got worse, a line each. What was not recorded is not judged.
    pub(crate) fn worse(&self, now: &[Ratio]) -> Vec<String> {
        let judged = now.iter().filter_map(|ratio| {
            let before = *self.0.get(&(ratio.what.clone(), ratio.beside.clone()))?;
            let by = if ratio.more_is_better { before / ratio.value } else { ratio.value / before };
            (by > NOTICED).then(|| {
                format!(
                    "{}, beside {}: {} was {before}",
                    ratio.what,
                    ratio.beside,
                    sync_tests::short(ratio.value)
                )
            })
        });
        judged.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
        | what | measured | beside | ratio |\n|---|---|---|---|\n\
        | drain | 50 /s | bare: 100 /s | 0.50 |\n| time | 2 µs | echo: the one: 1 µs | 2.00 |\n| alone | 3 | | |\n";

    fn ratio(what: &str, beside: &str, value: f64) -> Ratio {
        Ratio { what: what.to_owned(), beside: beside.to_owned(), value, more_is_better: what == "drain" }
    }

    #[test]
    fn a_ratio_that_got_worse_is_said_and_noise_is_not() {
        let recorded = Recorded::read(DOCUMENT);
        let worse = |what, beside, now| recorded.worse(&[ratio(what, beside, now)]);
        assert_eq!(worse("drain", "bare", 0.3), ["drain, beside bare: 0.30 was 0.5"]);
        assert_eq!(worse("time", "echo: the one", 3.1), ["time, beside echo: the one: 3.10 was 2"]);
        for (what, beside, now) in [
            ("drain", "bare", 0.4),
            ("drain", "bare", 9.0),
            ("time", "echo: the one", 0.1),
            ("time", "another", 99.0),
            ("alone", "", 9.0),
        ] {
            assert_eq!(worse(what, beside, now), [""; 0], "{what} {now}");
        }
    }
}
