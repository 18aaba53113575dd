//! Tells when something happened in one directory: that of the control socket, that of the token's file.
//!
//! Costs nothing while nothing happens where the system can tell of changes; elsewhere it is a look every half minute.

use std::path::Path;
use std::time::Duration;

/// How often to look where the system does not tell.
const LOOK: Duration = Duration::from_secs(30);

/// Watches one directory.
#[derive(Debug)]
pub(crate) struct Guard(Option<told::Watch>);

impl Guard {
    /// Watches a directory; where that cannot be done, by looking from time to time.
    pub(crate) fn of(directory: &Path) -> Self {
        Self(told::Watch::of(directory))
    }

    /// Returns when names in the directory or what they hold may have changed. Loses nothing when it is dropped and called again.
    pub(crate) async fn changed(&self) {
        match &self.0 {
            Some(watch) => watch.changed().await,
            None => tokio::time::sleep(LOOK).await,
        }
    }
}

#[cfg(target_os = "linux")]
mod told {
    use std::io;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    use tokio::net::unix::pipe::Receiver;
    use tracing::debug;

    /// What the kernel tells of one directory. It is read like a pipe, so the runtime is given it as one.
    #[derive(Debug)]
    pub(super) struct Watch(Receiver);

    impl Watch {
        /// `None` when the kernel has no more watches to give.
        pub(crate) fn of(directory: &Path) -> Option<Self> {
            let watch = || -> io::Result<Receiver> {
                let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
                let events = WatchFlags::CREATE
                    | WatchFlags::DELETE
                    | WatchFlags::MOVE
                    | WatchFlags::CLOSE_WRITE
                    | WatchFlags::DELETE_SELF
                    | WatchFlags::MOVE_SELF
                    | WatchFlags::ONLYDIR;
                inotify::add_watch(&kernel, directory, events)?;
                Receiver::from_owned_fd_unchecked(kernel)
            };
            watch().inspect_err(|error| debug!(%error, "a directory is not watched")).ok().map(Self)
        }

        /// Returns when the kernel told something; what, does not matter.
        pub(crate) async fn changed(&self) {
            let mut events = [0; 4096];
            if let Err(error) = self.0.readable().await {
                debug!(%error, "a directory is no longer watched");
                return std::future::pending().await;
            }
            while matches!(self.0.try_read(&mut events), Ok(1..)) {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod told {
    use std::path::Path;

    /// There is none here.
    #[derive(Debug)]
    pub(super) enum Watch {}

    impl Watch {
        /// Always `None`.
        pub(crate) fn of(_: &Path) -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) fn changed(&self) -> std::future::Pending<()> {
            match *self {}
        }
    }
}
