//! What the simulation needs of a machine: it is woken, sends one request at a time, and hears what came of it.

use std::time::Duration;

use sync_core::Hints;

use crate::cloud::Said;

/// What a machine does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    /// Sends a request with so many entries.
    Sends(u32),
    /// Waits until then, in milliseconds of the run.
    Waits(i64),
    /// Nothing until something happens.
    Rests,
}

/// What a request came to for the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Came {
    /// Entries the cloud has now and had not before.
    pub(crate) delivered: u32,
    pub(crate) doing: Doing,
}

/// One machine of a fleet; two exist, the daemon and the earlier client.
pub(crate) trait Client {
    /// A machine with so many entries to deliver, made at `made`; `number` is its own.
    fn new(number: u32, entries: u32, made: i64) -> Self;
    /// It is started at `now`, and the cloud asked this of it before.
    fn start(&mut self, hints: Hints, now: i64, dice: u64) -> Doing;
    /// What it waited for is there.
    fn wake(&mut self, now: i64, dice: u64) -> Doing;
    /// Its network is there again.
    fn link_up(&mut self, now: i64, dice: u64) -> Doing;
    /// Its request came to this.
    fn land(&mut self, said: Said, hints: Hints, took: Duration, now: i64, dice: u64) -> Came;
}

/// A set of small numbers.
#[derive(Clone, Debug)]
pub(crate) struct Bits(Box<[u64]>);

impl Bits {
    /// All numbers below `count`.
    pub(crate) fn full(count: u32) -> Self {
        let words = count.div_ceil(64);
        let word = |index: u32| match count - index * 64 {
            more if more >= 64 => u64::MAX,
            fewer => (1 << fewer) - 1,
        };
        Self((0..words).map(word).collect())
    }

    /// Takes one out. Answers whether it was in.
    pub(crate) fn take(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1_u64 << (number % 64));
        let was = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        was
    }

    pub(crate) fn holds(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().zip(0_u32..).flat_map(|(word, index)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(index * 64 + bit)
            })
        })
    }
}
