//! Waiting for a condition, with a limit and a message that says what was awaited.

use std::thread;
use std::time::{Duration, Instant};

use crate::figure::timed;

/// How long a condition may take on a busy machine, which may also stand still for a while.
pub const PATIENCE: Duration = Duration::from_mins(2);
/// How often something may take too long because the machine paused, before it counts as slow.
const TRIES: usize = 5;

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "a test measures its own patience")]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        // A condition of another process can only be asked for; the nap keeps the asking from taking its processor.
        thread::sleep(Duration::from_millis(10));
    }
}

/// Does what is to take less than this, and answers what came of it. A machine may stand still in the middle of it for as
/// long as it likes, so it is done again where it took too long, a few times: what is slow is slow each time.
///
/// # Panics
/// When it took too long each time.
pub fn within<T>(what: &str, limit: Duration, mut deed: impl FnMut() -> T) -> T {
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let (lasted, done) = timed(&mut deed);
        if lasted < limit {
            return done;
        }
        took.push(lasted);
    }
    panic!("{what} takes longer than {limit:?} each time: {took:?}");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn what_is_slow_once_is_done_again_and_what_is_slow_each_time_is_slow() {
        let limit = Duration::from_secs(10);
        let done = Cell::new(0);
        let deed = || {
            done.set(done.get() + 1);
            done.get()
        };
        assert_eq!(within("it", limit, deed), 1);
        let slow = catch_unwind(AssertUnwindSafe(|| within("it", Duration::ZERO, deed)));
        assert!(slow.is_err());
        assert_eq!(done.get(), 1 + TRIES);
    }
}
