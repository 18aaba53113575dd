//! Watches folders by inotify and says what happened at which path (`inotify(7)`).
//!
//! Folders are many and at rest nothing else is, so each path is kept once, shared with whoever asked for it. Speaks in
//! the notify library's events. A watch ends when its folder is removed, or moved out of one that is watched. Decides nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{
    CreateKind, DataChange, EventKind, Flag, MetadataKind, ModifyKind, RemoveKind, RenameMode,
};
use notify::{Error, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// What the kernel is asked to tell of a folder.
const WANTED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB);

/// How many bytes of events are taken at once; one of them has 16 and a name of at most 256.
const BATCH: usize = 4096;

/// How long to wait after the kernel refused to tell what happened: its want of memory may pass.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Watched folders. Dropping it ends the watching.
pub(crate) struct Folders {
    kernel: Arc<OwnedFd>,
    watches: Arc<Mutex<Watches>>,
    /// That it is closed tells the thread to end.
    _end: PipeWriter,
}

/// Which number of the kernel's is which folder.
#[derive(Debug, Default)]
struct Watches {
    paths: BTreeMap<i32, Arc<Path>>,
    numbers: BTreeMap<Arc<Path>, i32>,
    /// Other paths of folders that are in `paths`: the kernel has one number for a folder, however it is called.
    others: Vec<(i32, Arc<Path>)>,
}

impl Folders {
    /// Starts to watch nothing yet. `receive` is called from a thread of its own with what happens.
    ///
    /// # Errors
    /// When the kernel gives no instance, pipe or thread.
    pub(crate) fn start(receive: impl FnMut(notify::Result<Event>) + Send + 'static) -> notify::Result<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let kernel = Arc::new(inotify::init(flags).map_err(io::Error::from)?);
        let watches = Arc::new(Mutex::new(Watches::default()));
        let (ends, end) = io::pipe()?;
        let (listening, known) = (Arc::clone(&kernel), Arc::clone(&watches));
        std::thread::Builder::new()
            .name("notices".to_owned())
            .spawn(move || listen(&listening, &ends, &known, receive))?;
        Ok(Self { kernel, watches, _end: end })
    }

    /// Tells what happens in a folder from now on.
    ///
    /// # Errors
    /// When it is not there, may not be read, or the system's limit is reached.
    pub(crate) fn watch(&mut self, folder: &Arc<Path>) -> notify::Result<()> {
        // The thread finds out what a number means only when it is written down.
        let mut watches = lock(&self.watches);
        let number = inotify::add_watch(&*self.kernel, &**folder, WANTED).map_err(io::Error::from)?;
        if let Some(stale) = watches.note(number, folder) {
            let_go(&self.kernel, stale);
        }
        Ok(())
    }

    /// Tells nothing of it any more.
    ///
    /// # Errors
    /// When it was not watched.
    pub(crate) fn unwatch(&mut self, folder: &Path) -> notify::Result<()> {
        let mut watches = lock(&self.watches);
        if !watches.numbers.contains_key(folder) {
            return Err(Error::watch_not_found());
        }
        if let Some(number) = watches.forget(folder) {
            let_go(&self.kernel, number);
        }
        Ok(())
    }
}

/// Ends a watch; that it ended by itself before is no failure.
fn let_go(kernel: &OwnedFd, number: i32) {
    if let Err(error) = inotify::remove_watch(kernel, number) {
        tracing::trace!(number, %error, "was not watched any more");
    }
}

impl Watches {
    /// The kernel watches `folder` by this number. Answers the numbers that nothing stands for any more.
    fn note(&mut self, number: i32, folder: &Arc<Path>) -> Option<i32> {
        let before = self.numbers.get(folder).copied();
        if before == Some(number) {
            return None;
        }
        let stale = before.and_then(|_| self.forget(folder));
        self.numbers.insert(Arc::clone(folder), number);
        if let Some(other) = self.paths.insert(number, Arc::clone(folder)) {
            self.others.push((number, other));
        }
        stale
    }

    /// Forgets a folder; answers its number if nothing else stands for it.
    fn forget(&mut self, folder: &Path) -> Option<i32> {
        let number = self.numbers.remove(folder)?;
        if self.paths.get(&number).is_none_or(|path| &**path != folder) {
            self.others.retain(|(_, path)| &**path != folder);
            return None;
        }
        let other = self.others.iter().rposition(|(of, _)| *of == number);
        if let Some(at) = other {
            let (number, path) = self.others.swap_remove(at);
            self.paths.insert(number, path);
            return None;
        }
        self.paths.remove(&number);
        Some(number)
    }

    /// The kernel ended the watch with this number.
    fn ended(&mut self, number: i32) {
        let first = self.paths.remove(&number);
        let others = self.others.extract_if(.., |(of, _)| *of == number).map(|(_, path)| path);
        for path in first.into_iter().chain(others) {
            self.numbers.remove(&path);
        }
    }

    /// What the kernel tells of the folder with this number. A folder that is no longer where it was is forgotten;
    /// its number comes second.
    fn understand(
        &mut self,
        number: i32,
        told: ReadFlags,
        name: Option<&[u8]>,
    ) -> (Option<Event>, Option<i32>) {
        if told.contains(ReadFlags::QUEUE_OVERFLOW) {
            return (Some(Event::new(EventKind::Other).set_flag(Flag::Rescan)), None);
        }
        if told.contains(ReadFlags::IGNORED) {
            self.ended(number);
            return (None, None);
        }
        let Some(folder) = self.paths.get(&number) else { return (None, None) };
        let path = name.map_or_else(|| folder.to_path_buf(), |name| folder.join(OsStr::from_bytes(name)));
        let Some(kind) = kind(told) else { return (None, None) };
        let is_gone = name.is_some() && told.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE);
        let gone = if is_gone { self.forget(&path) } else { None };
        (Some(Event::new(kind).add_path(path)), gone)
    }
}

/// An event of the kernel's has one of these and may say that it is about a folder.
fn kind(told: ReadFlags) -> Option<EventKind> {
    let is_folder = told.contains(ReadFlags::ISDIR);
    let kind = if told.contains(ReadFlags::CREATE) {
        EventKind::Create(if is_folder { CreateKind::Folder } else { CreateKind::File })
    } else if told.contains(ReadFlags::DELETE) {
        EventKind::Remove(if is_folder { RemoveKind::Folder } else { RemoveKind::File })
    } else if told.contains(ReadFlags::MOVED_TO) {
        EventKind::Modify(ModifyKind::Name(RenameMode::To))
    } else if told.intersects(ReadFlags::MOVED_FROM | ReadFlags::MOVE_SELF) {
        EventKind::Modify(ModifyKind::Name(RenameMode::From))
    } else if told.contains(ReadFlags::MODIFY) {
        EventKind::Modify(ModifyKind::Data(DataChange::Any))
    } else if told.contains(ReadFlags::ATTRIB) {
        EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))
    } else if told.contains(ReadFlags::DELETE_SELF) {
        EventKind::Remove(RemoveKind::Any)
    } else if told.contains(ReadFlags::UNMOUNT) {
        EventKind::Remove(RemoveKind::Other)
    } else {
        return None;
    };
    Some(kind)
}

/// Passes on what the kernel tells until the other end of the pipe is closed.
fn listen(
    kernel: &OwnedFd,
    end: &PipeReader,
    watches: &Mutex<Watches>,
    mut receive: impl FnMut(notify::Result<Event>),
) {
    let mut buffer = [MaybeUninit::uninit(); BATCH];
    let mut events = Reader::new(kernel, &mut buffer);
    loop {
        match events.next() {
            Ok(event) => {
                let name = event.file_name().map(std::ffi::CStr::to_bytes);
                let mut watches = lock(watches);
                let (news, gone) = watches.understand(event.wd(), event.events(), name);
                if let Some(number) = gone {
                    let_go(kernel, number);
                }
                // Until here: the folder may be wanted under its new name, and would get the number that was let go.
                drop(watches);
                if let Some(news) = news {
                    receive(Ok(news));
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if is_over(kernel, end, None) {
                    return;
                }
            }
            Err(error) => {
                receive(Err(Error::io(error.into())));
                std::thread::sleep(AFTER_FAILURE);
                if is_over(kernel, end, Some(&Timespec::default())) {
                    return;
                }
            }
        }
    }
}

/// Waits until the kernel has something to tell, or nobody listens any more, or for this long.
fn is_over(kernel: &OwnedFd, end: &PipeReader, longest: Option<&Timespec>) -> bool {
    let mut waited = [PollFd::new(kernel, PollFlags::IN), PollFd::new(end, PollFlags::empty())];
    match poll(&mut waited, longest) {
        Ok(_) => waited[1].revents().contains(PollFlags::HUP),
        Err(Errno::INTR) => false,
        Err(_) => {
            std::thread::sleep(AFTER_FAILURE);
            false
        }
    }
}

/// A panic elsewhere leaves it as good as it was.
fn lock(watches: &Mutex<Watches>) -> MutexGuard<'_, Watches> {
    watches.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn path(name: &str) -> Arc<Path> {
        Path::new(name).into()
    }

    fn known(watches: &Watches) -> Vec<(i32, &str)> {
        watches.paths.iter().filter_map(|(number, path)| Some((*number, path.to_str()?))).collect()
    }

    #[test]
    fn a_folder_with_two_names_is_watched_until_both_are_let_go() {
        let mut watches = Watches::default();
        assert_eq!(watches.note(1, &path("/a")), None);
        assert_eq!(watches.note(1, &path("/a")), None);
        assert_eq!(watches.note(1, &path("/b")), None);
        assert_eq!(watches.forget(Path::new("/b")), None);
        assert_eq!(known(&watches), [(1, "/a")]);
        assert_eq!(watches.note(1, &path("/b")), None);
        assert_eq!(watches.forget(Path::new("/a")), None);
        assert_eq!(known(&watches), [(1, "/b")]);
        assert_eq!(watches.forget(Path::new("/b")), Some(1));
        assert_eq!(watches.forget(Path::new("/b")), None);
        assert!(watches.paths.is_empty() && watches.numbers.is_empty() && watches.others.is_empty());
    }

    #[test]
    fn what_the_kernel_ended_is_forgotten_by_all_its_names() {
        let mut watches = Watches::default();
        for (number, name) in [(1, "/a"), (1, "/b"), (2, "/c")] {
            assert_eq!(watches.note(number, &path(name)), None);
        }
        assert_eq!(watches.understand(1, ReadFlags::IGNORED, None), (None, None));
        assert_eq!(known(&watches), [(2, "/c")]);
        assert!(watches.others.is_empty() && watches.numbers.len() == 1);
    }

    #[test]
    fn another_folder_at_the_same_path_has_the_watch_instead() {
        let mut watches = Watches::default();
        assert_eq!(watches.note(1, &path("/a")), None);
        assert_eq!(watches.note(2, &path("/a")), Some(1));
        assert_eq!(known(&watches), [(2, "/a")]);
        // What was moved away and is found again elsewhere is not lost with its old name.
        assert_eq!(watches.note(2, &path("/b")), None);
        assert_eq!(watches.note(3, &path("/a")), None);
        assert_eq!(known(&watches), [(2, "/b"), (3, "/a")]);
    }

    #[test]
    fn what_the_kernel_tells_is_told_of_the_path_it_is_about() {
        let mut watches = Watches::default();
        for (number, name) in [(1, "/r"), (2, "/r/p")] {
            watches.note(number, &path(name));
        }
        let mut check = |number, told, name: Option<&[u8]>, expected: Option<(EventKind, &str)>, gone| {
            let (news, went) = watches.understand(number, told, name);
            let news = news.map(|event| (event.kind, event.paths));
            let expected = expected.map(|(kind, path)| (kind, vec![PathBuf::from(path)]));
            assert_eq!((news, went), (expected, gone), "{told:?}");
        };
        let made = EventKind::Create(CreateKind::Folder);
        let away = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let here = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        check(1, ReadFlags::CREATE | ReadFlags::ISDIR, Some(b"new"), Some((made, "/r/new")), None);
        check(2, ReadFlags::MODIFY, Some(b"README"), Some((written, "/r/p/README")), None);
        check(1, ReadFlags::MOVED_TO | ReadFlags::ISDIR, Some(b"q"), Some((here, "/r/q")), None);
        check(1, ReadFlags::MOVED_FROM | ReadFlags::ISDIR, Some(b"p"), Some((away, "/r/p")), Some(2));
        check(2, ReadFlags::MOVE_SELF | ReadFlags::ISDIR, None, None, None);
        check(1, ReadFlags::MOVE_SELF | ReadFlags::ISDIR, None, Some((away, "/r")), None);
        check(1, ReadFlags::DELETE_SELF, None, Some((EventKind::Remove(RemoveKind::Any), "/r")), None);
        check(7, ReadFlags::CREATE, Some(b"x"), None, None);
        let (lost, _) = watches.understand(-1, ReadFlags::QUEUE_OVERFLOW, None);
        assert!(lost.is_some_and(|event| event.need_rescan()));
    }

    #[test]
    fn a_real_folder_is_told_of_until_it_is_let_go_or_goes() {
        let home = tempfile::tempdir().unwrap();
        let root: Arc<Path> = home.path().canonicalize().unwrap().into();
        let inner: Arc<Path> = root.join("inner").into();
        std::fs::create_dir(&inner).unwrap();
        let (send, told) = std::sync::mpsc::channel();
        let mut folders = Folders::start(move |event| drop(send.send(event.unwrap()))).unwrap();
        folders.watch(&root).unwrap();
        folders.watch(&inner).unwrap();
        // Whatever comes before the event of this name comes with it.
        let heard = |name: &str| {
            std::fs::write(root.join(name), "").unwrap();
            let mut paths = Vec::new();
            while !paths.contains(&root.join(name)) {
                paths.extend(told.recv_timeout(Duration::from_mins(1)).unwrap().paths);
            }
            paths
        };
        std::fs::write(inner.join("file"), "").unwrap();
        assert!(heard("first").contains(&inner.join("file")));
        // Under its new name nobody asked for it.
        let moved = root.join("moved");
        std::fs::rename(&inner, &moved).unwrap();
        assert!(heard("second").iter().any(|path| **path == *inner));
        std::fs::write(moved.join("other"), "").unwrap();
        assert!(!heard("third").iter().any(|path| path.ends_with("other")));
        assert!(folders.unwatch(&inner).is_err());
        let moved: Arc<Path> = moved.into();
        folders.watch(&moved).unwrap();
        std::fs::write(moved.join("again"), "").unwrap();
        assert!(heard("fourth").contains(&moved.join("again")));
        folders.unwatch(&moved).unwrap();
        std::fs::write(moved.join("unheard"), "").unwrap();
        assert!(!heard("fifth").iter().any(|path| path.ends_with("unheard")));
        // The thread's end of the channel goes with it.
        drop(folders);
        while let Ok(event) = told.recv_timeout(Duration::from_mins(1)) {
            drop(event);
        }
        assert_eq!(told.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }
}
