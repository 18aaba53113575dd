//! Waiting for a condition, with a limit and a message that says what was awaited.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

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
