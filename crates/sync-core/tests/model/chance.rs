//! Chance that can be replayed: one seed gives one history.

use sync_core::backoff::Throws;

#[derive(Clone, Debug)]
pub(crate) struct Chance(Throws);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring histories.
        Self(Throws::new(Throws::new(seed).draw()))
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.draw().is_multiple_of(times)
    }

    /// From `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.draw() % u64::try_from(to - from + 1).unwrap()).unwrap()
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.draw() % u64::try_from(len).unwrap()).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
