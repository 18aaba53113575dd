//! What this crate can fail to do at all; everything a folder can do wrong is a `Problem` instead.

/// Watching cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gives no (more) notices of changes; surveys on a period still work.
    #[error("watch folders ({reason}); {hint}")]
    NoNotices {
        /// What the system said.
        reason: String,
        /// What can be done about it.
        hint: String,
    },
}
