//! How long to wait, from a step, a cap and a given random number.

use std::time::Duration;

/// `dice` as a number from 0 up to, not including, 1.
pub fn unit(dice: u64) -> f64 {
    // 53 bits are what an f64 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    let fraction = (dice >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

/// `base · 2ⁿ`, at most `cap`.
pub fn doubled(base: Duration, n: u32, cap: Duration) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(n.min(31))).min(cap)
}

/// A pause drawn evenly from `from` to `to`.
pub fn between(from: Duration, to: Duration, dice: u64) -> Duration {
    from + to.saturating_sub(from).mul_f64(unit(dice))
}

/// Several draws from one: SplitMix64 (Steele, Lea, Flood 2014), so that one handed-in number serves a whole decision.
#[derive(Clone, Debug)]
pub struct Throws(u64);

impl Throws {
    /// Starts from the number that was handed in.
    pub fn new(dice: u64) -> Self {
        Self(dice)
    }

    /// The next draw, from 0 to `u64::MAX`.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubling_stops_at_the_cap() {
        for (n, expected) in [(0, 1), (1, 2), (5, 32), (6, 60), (40, 60), (u32::MAX, 60)] {
            assert_eq!(doubled(SECOND, n, 60 * SECOND), expected * SECOND, "n = {n}");
        }
    }

    #[test]
    fn a_draw_stays_within_its_bounds() {
        for dice in [0, 1, u64::MAX / 2, u64::MAX] {
            let drawn = between(2 * SECOND, 5 * SECOND, dice);
            assert!(drawn >= 2 * SECOND && drawn <= 5 * SECOND, "{drawn:?}");
        }
        assert_eq!(between(SECOND, Duration::ZERO, u64::MAX), SECOND);
    }
}
