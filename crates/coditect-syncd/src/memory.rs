//! Keeps what is in the daemon's memory, tokens among it, from core files and from other programs of the same user.
//!
//! Knows nothing of what is kept there.

/// The variable that leaves the memory open, for whoever looks into the daemon with a debugger.
pub(crate) const DUMPABLE: &str = "CODITECT_SYNC_DUMPABLE";

/// No core file is written of this process, and only root may look into it.
#[cfg(target_os = "linux")]
pub(crate) fn keep_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // It cannot fail for this value; if it did, the daemon would still be of use.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core files of the daemon cannot be prevented");
    }
}

/// The system writes core files only where somebody asked for them, and lets only root look into a process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_private() {}
