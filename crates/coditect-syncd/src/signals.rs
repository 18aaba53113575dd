//! Signals: a plain thread turns them into the two levels of stopping and into a reload.
//!
//! The first SIGTERM or SIGINT lets what is in progress end, the second drops it, and the third ends the process even
//! when the runtime is wedged.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use crate::stop::Stop;
use crate::supervisor::EXIT_FAULT;

/// The thread that listens to signals.
#[derive(Debug)]
pub(crate) struct SignalThread {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// Starts to listen, before anything else is begun.
///
/// # Errors
/// When the system refuses a handler or the thread.
pub(crate) fn listen(stop: Stop, reload: impl Fn() + Send + 'static) -> io::Result<SignalThread> {
    let wedged = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, i32::from(EXIT_FAULT), Arc::clone(&wedged))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let count = AtomicUsize::new(0);
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            if signal == SIGHUP {
                reload();
                continue;
            }
            let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                stop.finish();
                tracing::info!(signal = name, "stopping: what is in progress ends first");
            } else {
                wedged.store(true, Ordering::Relaxed);
                stop.drop_everything();
                tracing::warn!(signal = name, "stopping at once");
            }
        }
    })?;
    Ok(SignalThread { handle, thread })
}

impl SignalThread {
    /// Ends the thread.
    pub(crate) fn end(self) {
        self.handle.close();
        if self.thread.join().is_err() {
            tracing::error!("the thread for signals panicked");
        }
    }
}
