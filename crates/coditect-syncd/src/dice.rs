//! Chance: numbers and ids that nobody can foresee, or ones that a test can repeat.

#[cfg(test)]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(test)]
use sync_core::backoff::Throws;
use uuid::Uuid;

/// The source of chance.
#[derive(Clone, Debug)]
pub(crate) enum Dice {
    /// The system's.
    System,
    /// Repeatable, from a seed.
    #[cfg(test)]
    Seeded(Arc<Mutex<Throws>>),
}

impl Dice {
    /// Repeatable dice.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(Throws::new(seed))))
    }

    /// A number from 0 to `u64::MAX`.
    pub(crate) fn throw(&self) -> u64 {
        match self {
            Self::System => {
                let (high, low) = Uuid::new_v4().as_u64_pair();
                // A random UUID has six fixed bits, none of them in both halves at the same place.
                high.rotate_left(32) ^ low
            }
            #[cfg(test)]
            Self::Seeded(throws) => throws.lock().unwrap_or_else(PoisonError::into_inner).draw(),
        }
    }

    /// A fresh id.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::System => Uuid::new_v4(),
            #[cfg(test)]
            Self::Seeded(_) => Uuid::from_u64_pair(self.throw(), self.throw()),
        }
    }
}
