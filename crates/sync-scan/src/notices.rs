//! Whom this system's notices of change come from: inotify on Linux, which tells of single folders, else the notify
//! library, which on macOS tells of trees.
//!
//! Knows no roles and decides nothing. A folder that cannot be watched is an error of the notify library everywhere.

use std::path::Path;
use std::sync::Arc;

use notify::Event;
#[cfg(any(test, not(target_os = "linux")))]
use notify::{Config, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::platform::Reach;
#[cfg(target_os = "linux")]
use crate::platform::inotify::Folders;

/// Watches what it is asked to. Dropping it ends the watching.
pub(crate) enum Notices {
    /// Folders, each by itself.
    #[cfg(target_os = "linux")]
    Folders(Folders),
    /// What the library watches; on Linux only tests do, for how trees are told of.
    #[cfg(any(test, not(target_os = "linux")))]
    Library { system: RecommendedWatcher, mode: RecursiveMode },
}

impl Notices {
    /// Starts to watch nothing yet. `receive` is called from a thread of its own with what happens.
    ///
    /// # Errors
    /// When the system gives no notices, for example because too many programs watch already.
    pub(crate) fn start(
        reach: Reach,
        receive: impl FnMut(notify::Result<Event>) + Send + 'static,
    ) -> notify::Result<Self> {
        #[cfg(target_os = "linux")]
        if reach == Reach::Folder {
            return Ok(Self::Folders(Folders::start(receive)?));
        }
        Self::by_the_library(reach, receive)
    }

    #[cfg(any(test, not(target_os = "linux")))]
    fn by_the_library(
        reach: Reach,
        receive: impl FnMut(notify::Result<Event>) + Send + 'static,
    ) -> notify::Result<Self> {
        let mode = match reach {
            Reach::Folder => RecursiveMode::NonRecursive,
            Reach::Tree => RecursiveMode::Recursive,
        };
        let config = Config::default().with_event_kinds(EventKindMask::CORE).with_follow_symlinks(false);
        Ok(Self::Library { system: RecommendedWatcher::new(receive, config)?, mode })
    }

    #[cfg(all(not(test), target_os = "linux"))]
    fn by_the_library(
        _reach: Reach,
        _receive: impl FnMut(notify::Result<Event>) + Send + 'static,
    ) -> notify::Result<Self> {
        Err(notify::Error::generic("trees are not told of here"))
    }

    /// Tells what happens in a folder, or in the tree below it where that is what is told.
    ///
    /// # Errors
    /// When it is not there, may not be read, or the system's limit is reached.
    pub(crate) fn watch(&mut self, folder: &Arc<Path>) -> notify::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Folders(folders) => folders.watch(folder),
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Library { system, mode } => system.watch(folder, *mode),
        }
    }

    /// Tells what happens in a folder and not below it, also where trees are told of.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub(crate) fn watch_alone(&mut self, folder: &Arc<Path>) -> notify::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Folders(folders) => folders.watch(folder),
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Library { system, .. } => system.watch(folder, RecursiveMode::NonRecursive),
        }
    }

    /// Tells nothing of it any more.
    ///
    /// # Errors
    /// When it was not watched.
    pub(crate) fn unwatch(&mut self, folder: &Path) -> notify::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Folders(folders) => folders.unwatch(folder),
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Library { system, .. } => system.unwatch(folder),
        }
    }
}
