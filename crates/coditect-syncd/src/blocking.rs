//! Work that may block, on a thread of the runtime's pool; a system that gives no thread is an answer and no panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::supervisor::{panic_text, panic_words};

/// Why the work was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Blocked {
    /// The system gives no thread at present.
    NoThread,
    /// What it said when it panicked.
    Panicked(String),
}

/// Does the work on another thread and waits for it.
///
/// # Errors
/// When there is no thread, or the work panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Blocked> {
    let begun = catch_unwind(AssertUnwindSafe(|| tokio::task::spawn_blocking(work)));
    let work = begun.map_err(|panic| {
        let words = panic_words(&*panic);
        if is_of_threads(&words) { Blocked::NoThread } else { Blocked::Panicked(words) }
    })?;
    work.await.map_err(|error| Blocked::Panicked(panic_text(error)))
}

/// Whether a panic says that the system gave the runtime's pool no thread. There is no other way to be told; the words
/// are held by the journeys that take the threads away.
pub(crate) fn is_of_threads(words: &str) -> bool {
    words.contains("OS can't spawn worker thread")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn work_is_done_elsewhere_and_its_panic_is_told() {
        let here = std::thread::current().id();
        assert_ne!(blocking(|| std::thread::current().id()).await, Ok(here));
        assert_eq!(blocking(|| panic!("oh")).await, Err::<(), _>(Blocked::Panicked("oh".to_owned())));
    }
}
