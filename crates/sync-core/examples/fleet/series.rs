//! Counts by the second, and what they say of waves.

/// How often something happened, second by second from the run's beginning.
#[derive(Clone, Default, Debug)]
pub(crate) struct Series(Vec<u32>);

/// Waves are looked for at these distances, in seconds.
const LAGS: std::ops::RangeInclusive<usize> = 5..=330;
/// What changes more slowly than this is no wave but the course of things.
const TREND: usize = 60;

impl Series {
    pub(crate) fn add(&mut self, now: i64, count: u32) {
        let second = usize::try_from(now / 1_000).unwrap_or(0);
        if self.0.len() <= second {
            self.0.resize(second + 1, 0);
        }
        self.0[second] += count;
    }

    /// The seconds from `from` on, up to `to`; beyond what was counted there was nothing.
    pub(crate) fn between(&self, from: i64, to: i64) -> Vec<u32> {
        let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
        (from..to).map(|second| self.0.get(second).copied().unwrap_or(0)).collect()
    }
}

pub(crate) fn sum(counts: &[u32]) -> u64 {
    counts.iter().copied().map(u64::from).sum()
}

pub(crate) fn mean(counts: &[u32]) -> f64 {
    ratio(sum(counts), counts.len() as u64)
}

/// One number by another; nothing where there is no other.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

pub(crate) fn float(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let float = number as f64;
    float
}

/// How much the counts repeat themselves: the greatest autocorrelation of what is left when the course of things and
/// the noise of independent arrivals are taken away, and at which distance. One is a perfect wave, zero is none.
///
/// Counts that come independently vary by their mean; only what varies beyond that can be a wave, so a small, merely
/// noisy series does not look like one.
pub(crate) fn waves(counts: &[u32]) -> (f64, usize) {
    let trend = |at: usize| {
        let (from, to) = (at.saturating_sub(TREND / 2), (at + TREND / 2).min(counts.len()));
        mean(&counts[from..to])
    };
    let left: Vec<f64> = counts.iter().enumerate().map(|(at, count)| f64::from(*count) - trend(at)).collect();
    let power: f64 = left.iter().map(|value| value * value).sum();
    let noise = float(sum(counts));
    if power <= 2.0 * noise {
        return (0.0, 0);
    }
    let at = |lag: usize| -> f64 {
        let product: f64 = left.iter().zip(left.iter().skip(lag)).map(|(one, other)| one * other).sum();
        product / power
    };
    // What is beside a peak is like it. A wave is what comes again after there was less than usual.
    let beyond = (1..=counts.len() / 2).find(|lag| at(*lag) <= 0.0);
    let Some(beyond) = beyond else { return (0.0, 0) };
    let lags = LAGS.filter(|lag| *lag >= beyond && lag * 2 <= counts.len());
    let found = lags.map(|lag| (at(lag), lag)).max_by(|one, other| one.0.total_cmp(&other.0));
    found.filter(|(much, _)| *much > 0.0).unwrap_or((0.0, 0))
}

/// The value below which `share` of the values are; zero where there are none.
pub(crate) fn quantile(sorted: &[i64], share: f64) -> i64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let at = (float(last as u64) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}
