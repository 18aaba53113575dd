//! Figures for people: the clock, medians, and numbers with as many digits as count.

use std::time::{Duration, Instant};

/// Three digits that count, without an exponent.
pub fn short(value: f64) -> String {
    let whole = value.abs();
    if whole >= 100.0 {
        format!("{value:.0}")
    } else if whole >= 10.0 {
        format!("{value:.1}")
    } else if whole >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// Measured values of one thing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// All of another series.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.at(50)
    }

    /// The value below which this many percent lie.
    pub fn at(&self, percent: usize) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
            .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// The largest.
    pub fn worst(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The time a piece of work takes, and what comes of it.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = now();
    let made = work();
    (started.elapsed(), made)
}

/// This moment, for measuring.
#[expect(clippy::disallowed_methods, reason = "a measurement, not the daemon")]
pub fn now() -> Instant {
    Instant::now()
}

/// A span in microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// How many a second.
pub fn per_second(count: usize, time: Duration) -> f64 {
    float(count) / time.as_secs_f64()
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub fn float(count: usize) -> f64 {
    count as f64
}
