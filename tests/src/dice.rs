//! Chance that comes back: the same seed throws the same numbers.

/// Numbers that look random (SplitMix64).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice of the same seed, for somebody who throws at the same time.
    #[must_use]
    pub fn of(seed: u64, who: u64) -> Self {
        let mut dice = Self(seed ^ who.wrapping_mul(0xd1b5_4a32_d192_ed03));
        dice.throw();
        dice
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, and without, the limit. 0 where there is no room.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.throw() % limit.max(1)
    }

    /// Whether something happens that happens so often in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    ///
    /// # Panics
    /// When there is none.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(choices.len() as u64)).expect("it is below a usize");
        &choices[at]
    }
}

/// A seed or a number of rounds that somebody set, by the name of its variable.
///
/// # Panics
/// When it is no number.
pub fn asked_for(name: &str) -> Option<u64> {
    let (_, given) = std::env::vars_os().find(|(known, _)| known == name)?;
    let given = given.to_string_lossy().into_owned();
    Some(given.parse().unwrap_or_else(|error| panic!("{name}={given}: {error}")))
}

/// The seed of a variable, else one of its own for every run.
pub fn seed(name: &str) -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    asked_for(name)
        .unwrap_or_else(|| Dice::new(since.as_secs() ^ u64::from(since.subsec_nanos())).throw() >> 32)
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_throws_the_same_and_another_another() {
        let thrown = |mut dice: Dice| (0..5).map(|_| dice.below(1_000)).collect::<Vec<_>>();
        assert_eq!(thrown(Dice::new(7)), thrown(Dice::new(7)));
        assert_ne!(thrown(Dice::new(7)), thrown(Dice::new(8)));
        assert_ne!(thrown(Dice::of(7, 1)), thrown(Dice::of(7, 2)));
    }

    #[test]
    fn every_choice_comes_up() {
        let mut dice = Dice::new(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[*dice.one_of(&[0_usize, 1, 2, 3, 4])] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!((dice.percent(100), dice.percent(0), dice.below(0)), (true, false, 0));
    }
}
