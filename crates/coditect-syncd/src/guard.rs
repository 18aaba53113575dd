//! Tells when something happened in a directory, or in one of several: that of the control socket, those that lead to the
//! token's file.
//!
//! Costs nothing while nothing happens where the system can tell of changes; elsewhere it is a look every half minute.

use std::path::Path;
use std::time::Duration;

/// How often to look where the system does not tell.
const LOOK: Duration = Duration::from_secs(30);

/// Watches directories.
#[derive(Debug)]
pub(crate) struct Guard {
    watch: Option<told::Watch>,
    /// Whether the system tells of all of them.
    is_whole: bool,
}

impl Guard {
    /// Watches a directory; where that cannot be done, by looking from time to time.
    pub(crate) fn of(directory: &Path) -> Self {
        Self::of_all(&[directory])
    }

    /// Watches several, the same way.
    pub(crate) fn of_all(directories: &[impl AsRef<Path>]) -> Self {
        let mut watch = told::Watch::new();
        let is_whole = watch.as_mut().is_some_and(|watch| {
            // Each is tried: what one of them tells is known at once, whatever becomes of another.
            let watched = directories.iter().filter(|directory| watch.add(directory.as_ref()));
            watched.count() == directories.len()
        });
        Self { watch, is_whole }
    }

    /// Returns when names in a directory or what they hold may have changed. Loses nothing when it is dropped and called again.
    pub(crate) async fn changed(&self) {
        let look = async {
            if self.is_whole {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep(LOOK).await;
            }
        };
        match &self.watch {
            Some(watch) => tokio::select! {
                () = watch.changed() => {}
                () = look => {}
            },
            None => look.await,
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

    /// What the kernel tells of directories. It is read like a pipe, so the runtime is given it as one.
    #[derive(Debug)]
    pub(super) struct Watch(Receiver);

    impl Watch {
        /// `None` when the kernel has no more of them to give.
        pub(crate) fn new() -> Option<Self> {
            let watch = || -> io::Result<Receiver> {
                let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
                Receiver::from_owned_fd_unchecked(kernel)
            };
            watch().inspect_err(|error| debug!(%error, "directories are not watched")).ok().map(Self)
        }

        /// Watches one more; says whether it does.
        pub(crate) fn add(&mut self, directory: &Path) -> bool {
            let events = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            inotify::add_watch(&self.0, directory, events)
                .inspect_err(|error| debug!(%error, "a directory is not watched"))
                .is_ok()
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
        pub(crate) fn new() -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) fn add(&mut self, _: &Path) -> bool {
            match *self {}
        }

        /// Never called.
        pub(crate) fn changed(&self) -> std::future::Pending<()> {
            match *self {}
        }
    }
}
