//! What the kernel is told of a process of this program: who may look into its memory, what it is called, when it ends.
//!
//! Knows nothing of what the process does.

/// The variable that leaves the memory open, for whoever looks into the daemon with a debugger.
pub(crate) const DUMPABLE: &str = "CODITECT_SYNC_DUMPABLE";

/// Keeps what is in memory, tokens among it: no core file is written of this process, and only root may look into it.
///
/// # Errors
/// When the system refuses, which it does not for this; the daemon would still be of use.
#[cfg(target_os = "linux")]
pub(crate) fn keep_private() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Ends this process when the thread that started it ends.
#[cfg(target_os = "linux")]
pub(crate) fn end_with_parent() {
    use rustix::process::{Signal, set_parent_process_death_signal};
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::debug!(%error, "the end of the parent is noticed by the end of the input alone");
    }
}

/// The end of the input tells it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end_with_parent() {}

/// Names this process in lists of processes, in at most 15 bytes.
#[cfg(target_os = "linux")]
pub(crate) fn call(name: &str) {
    let named = std::ffi::CString::new(name).map_err(std::io::Error::other);
    let named = named.and_then(|name| rustix::thread::set_name(&name).map_err(Into::into));
    if let Err(error) = named {
        tracing::debug!(%error, "the process keeps the name of its file");
    }
}

/// It keeps the name of its file.
#[cfg(not(target_os = "linux"))]
pub(crate) fn call(_name: &str) {}

/// The system writes core files only where somebody asked for them, and lets only root look into a process.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as where it can fail")]
pub(crate) fn keep_private() -> std::io::Result<()> {
    Ok(())
}
