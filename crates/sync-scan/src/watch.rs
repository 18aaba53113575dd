//! Watches folders, each by itself, and says which places changed and came to rest.
//!
//! One thread receives what the system tells and sorts it into places; everything is decided when the owner asks. A wake
//! carries nothing, and none is given for a place that is waited for already. The system's limit on watches is part of a
//! report, never an error.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use notify::{ErrorKind, Event};

use crate::apart::Apart;
use crate::arriving::{arriving, lately};
use crate::busy::busy;
use crate::debounce::{Busy, Debounce, Patience};
use crate::error::Error;
use crate::events::{Role, Watched};
use crate::notices::Notices;
use crate::platform::{self, Reach};
use crate::writes::{Writes, is_write};

/// Most places that are kept apart between two questions; beyond that everything is to be surveyed.
const MOST_PLACES: usize = 16_384;

/// By how much the time stamps of files may lag behind the clock.
const STAMP_LAG: Duration = Duration::from_secs(1);

/// Watches folders. Dropping it ends the watching.
pub struct Watcher {
    system: Notices,
    reach: Reach,
    /// The trees the system was asked to watch.
    asked: BTreeSet<Arc<Path>>,
    inbox: Arc<Mutex<Inbox>>,
    debounce: Debounce,
    /// Everything that was wanted last is watched.
    is_settled: bool,
    /// When what was watched was last known to be looked at: changes after that in folders not watched then count.
    looked_at: SystemTime,
}

/// What is watched after [`Watcher::watch`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WatchReport {
    /// How many folders are watched.
    pub watches: usize,
    /// Folders that cannot be, by path; a periodic survey finds what changes there.
    pub refused: Vec<PathBuf>,
    /// What to do about the system's limit, for people, when that was the reason.
    pub limit_hint: Option<String>,
}

/// What changed and came to rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DirtyState {
    /// The places to look at, by path: roots of projects, and folders that appeared or went.
    pub paths: Vec<PathBuf>,
    /// When to ask again, on the clock of the question; `None` when nothing waits for rest.
    pub next: Option<u64>,
    /// Whether notices were lost, so that everything has to be surveyed.
    pub overflow: bool,
}

/// What the system told since the last question.
#[derive(Debug, Default)]
struct Inbox {
    watched: Watched,
    /// Places, and when they were first and last touched.
    touched: BTreeMap<PathBuf, (Instant, Instant)>,
    /// Places the owner knows to wait for.
    waited_for: BTreeSet<PathBuf>,
    /// Folders whose watch is gone.
    lost: BTreeSet<Arc<Path>>,
    writes: Writes,
    overflow: bool,
}

impl Watcher {
    /// Starts to watch nothing yet. `on_change` is called from another thread when there is reason to ask
    /// [`Watcher::dirty`] sooner than agreed; it must not block.
    ///
    /// # Errors
    /// When the system gives no notices, for example because too many programs watch already.
    pub fn start(on_change: Box<dyn Fn() + Send>) -> Result<Self, Error> {
        Self::reaching(platform::REACH, on_change)
    }

    fn reaching(reach: Reach, on_change: Box<dyn Fn() + Send>) -> Result<Self, Error> {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let receiving = Arc::clone(&inbox);
        let receive = move |told: notify::Result<Event>| {
            let is_news = lock(&receiving).take(told, moment());
            if is_news {
                on_change();
            }
        };
        let system = Notices::start(reach, receive).map_err(|error| Error::NoNotices {
            reason: error.to_string(),
            hint: "raise fs.inotify.max_user_instances, or rely on the periodic scan".to_owned(),
        })?;
        let (debounce, looked_at) = (Debounce::default(), wall_clock());
        Ok(Self { system, reach, asked: BTreeSet::new(), inbox, debounce, is_settled: false, looked_at })
    }

    /// Makes the watched folders equal to `folders`, each being what its role says. Where the system tells of whole trees,
    /// it is asked for the outermost of them and what it tells of others is passed over.
    ///
    /// A folder that is not there is waited for in the nearest one above it that is. What changed in a newly watched
    /// folder since [`Watcher::look_begins`] (or the start) counts as an event, so that nothing falls between a look
    /// and the watching of what it found. To be called after every survey and look.
    pub fn watch(&mut self, folders: &BTreeMap<Arc<Path>, Role>) -> WatchReport {
        let plan = Plan::new(folders, &mut lock(&self.inbox));
        let trees = (self.reach == Reach::Tree).then(|| self.trees(folders, &plan));
        let (old, new) = trees.as_ref().map_or((&plan.old, &plan.new), |(old, new)| (old, new));
        // Where a folder is asked for again, nothing that happens in it meanwhile is missed: it is let go only when it
        // is not there any more. A tree has to be begun anew.
        let again: BTreeSet<_> = match self.reach {
            Reach::Folder => old.iter().filter(|folder| folders.contains_key(*folder)).cloned().collect(),
            Reach::Tree => BTreeSet::new(),
        };
        for folder in old.iter().filter(|folder| !again.contains(*folder)) {
            self.asked.remove(folder);
            self.let_go(folder);
        }
        let mut report = WatchReport::default();
        let mut awaited = BTreeSet::new();
        for folder in new {
            if report.limit_hint.is_some() {
                report.refused.push(folder.to_path_buf());
                if again.contains(folder) {
                    self.let_go(folder);
                }
                continue;
            }
            let Err(error) = self.system.watch(folder) else {
                self.note_asked(folder);
                continue;
            };
            if again.contains(folder) {
                self.let_go(folder);
            }
            match Refusal::of(&error) {
                Refusal::Absent => {
                    awaited.insert(folder.to_path_buf());
                }
                Refusal::Limit => {
                    report.limit_hint = Some(platform::watch_limit_hint());
                    report.refused.push(folder.to_path_buf());
                }
                Refusal::Other => {
                    tracing::debug!(folder = %folder.display(), %error, "cannot be watched");
                    report.refused.push(folder.to_path_buf());
                }
            }
        }
        let without: BTreeSet<_> = report.refused.iter().chain(&awaited).cloned().collect();
        for folder in &without {
            lock(&self.inbox).watched.roles.remove(folder.as_path());
        }
        self.is_settled = without.is_empty();
        self.wait_for(awaited, &mut report);
        self.catch_up(plan.new.iter().filter(|folder| !without.contains(folder.as_ref())));
        report.refused.sort();
        report.watches = match self.reach {
            Reach::Folder => lock(&self.inbox).watched.roles.len(),
            Reach::Tree => self.asked.len(),
        };
        report
    }

    /// Whether [`Watcher::watch`] has something to do though the folders are the same: a watch went, or could not be had.
    pub(crate) fn is_incomplete(&self) -> bool {
        !self.is_settled || !lock(&self.inbox).lost.is_empty()
    }

    /// Every folder may be another one by now: all are asked for again the next time.
    pub(crate) fn doubts_all(&self) {
        let mut inbox = lock(&self.inbox);
        let watched: Vec<_> = inbox.watched.roles.keys().cloned().collect();
        inbox.lost.extend(watched);
    }

    fn let_go(&mut self, folder: &Path) {
        if let Err(error) = self.system.unwatch(folder) {
            tracing::trace!(folder = %folder.display(), %error, "was not watched any more");
        }
    }

    /// Where each folder is asked for by itself, that is what the roles say.
    fn note_asked(&mut self, folder: &Arc<Path>) {
        if self.reach == Reach::Tree {
            self.asked.insert(Arc::clone(folder));
        }
    }

    /// The trees that are not to be asked for any more, and those that are: the outermost of the folders, those that were
    /// lost once more.
    fn trees(&self, folders: &BTreeMap<Arc<Path>, Role>, plan: &Plan) -> (Vec<Arc<Path>>, Vec<Arc<Path>>) {
        let wanted = outermost(folders.keys());
        let lost = |folder: &&Arc<Path>| plan.old.contains(folder);
        let old =
            self.asked.iter().filter(|folder| !wanted.contains(*folder) || lost(folder)).cloned().collect();
        let new =
            wanted.iter().filter(|folder| !self.asked.contains(*folder) || lost(folder)).cloned().collect();
        (old, new)
    }

    /// Somebody looks at the disk from now on: what changes meanwhile in folders that are then watched is caught up.
    pub fn look_begins(&mut self) {
        self.looked_at = wall_clock();
    }

    /// The files that were written to in each project since it was examined last, as far as they are few.
    pub(crate) fn written(&self) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
        lock(&self.inbox).writes.written()
    }

    /// These files are no part of the project at `root`, which was just examined: writing to them is nobody's business
    /// until it is examined again.
    pub(crate) fn ignore_writes(&mut self, root: PathBuf, files: BTreeSet<PathBuf>) {
        lock(&self.inbox).writes.examined(root, files);
    }

    /// Something new at `place` is still being made at `now_ms`: it is due when it has come to rest.
    pub(crate) fn awaits(&mut self, place: PathBuf, now_ms: u64) {
        self.debounce.touched(place, now_ms, now_ms);
    }

    /// What changed and came to rest until `now_ms` (milliseconds since 1970): quiet for `quiet_ms`, or waited for since
    /// `most_ms`; held while git locks the index, a clone or a copy arrives. Asks the disk about what would be due.
    pub fn dirty(&mut self, now_ms: u64, quiet_ms: u64, most_ms: u64) -> DirtyState {
        let moment = moment();
        let mut inbox = lock(&self.inbox);
        let touched = std::mem::take(&mut inbox.touched);
        // Whatever arrives while the disk is asked gives a wake, and so cannot be forgotten.
        inbox.waited_for.clear();
        if std::mem::take(&mut inbox.overflow) {
            self.debounce.clear();
            return DirtyState { overflow: true, ..DirtyState::default() };
        }
        let at = |instant: Instant| {
            let age = moment.saturating_duration_since(instant);
            now_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
        };
        for (place, (first, last)) in touched {
            self.debounce.touched(place, at(first), at(last));
        }
        let mut known = inbox.watched.projects_at(self.debounce.waiting());
        // What is there now may be another that is being put in its place.
        known.retain(|root| !inbox.lost.contains(root.as_path()));
        drop(inbox);
        let lately = lately(now_ms, quiet_ms);
        let apart = Apart::now(Vec::new());
        let goes_on = |place: &Path| {
            if apart.has(place) {
                return Busy::No;
            }
            let at_work = busy(place);
            if at_work == Busy::No && !known.contains(place) {
                arriving(place, &known, &apart, lately.clone())
            } else {
                at_work
            }
        };
        let rest = self.debounce.rest(now_ms, Patience { quiet_ms, most_ms }, &goes_on);
        lock(&self.inbox).waited_for.extend(self.debounce.waiting().cloned());
        DirtyState { paths: rest.due, next: rest.next, overflow: false }
    }

    /// Watches, for each folder that is not there, the nearest one above it that is.
    fn wait_for(&mut self, awaited: BTreeSet<PathBuf>, report: &mut WatchReport) {
        let outlooks: BTreeSet<_> = awaited
            .iter()
            .filter_map(|folder| {
                folder.ancestors().skip(1).find(|above| above.is_dir()).map(Arc::<Path>::from)
            })
            .collect();
        let new: Vec<_> = {
            let mut inbox = lock(&self.inbox);
            inbox.watched.awaited = awaited;
            let roles = &mut inbox.watched.roles;
            let new = outlooks.into_iter().filter(|folder| !roles.contains_key(folder)).collect::<Vec<_>>();
            roles.extend(new.iter().map(|folder| (folder.clone(), Role::Outlook)));
            new
        };
        for folder in new {
            if let Err(error) = self.system.watch_alone(&folder) {
                tracing::debug!(folder = %folder.display(), %error, "cannot be watched");
                lock(&self.inbox).watched.roles.remove(&folder);
                report.refused.push(folder.to_path_buf());
            } else {
                self.note_asked(&folder);
            }
        }
        // One of them may have appeared while its outlook was not yet watched.
        let mut inbox = lock(&self.inbox);
        let appeared: Vec<_> =
            inbox.watched.awaited.iter().filter(|folder| folder.is_dir()).cloned().collect();
        for folder in appeared {
            inbox.touch(folder, moment());
        }
    }

    /// Counts as touched what changed in these folders before they were watched and after the last look.
    fn catch_up<'a>(&self, folders: impl Iterator<Item = &'a Arc<Path>>) {
        let since = self.looked_at.checked_sub(STAMP_LAG).unwrap_or(self.looked_at);
        for folder in folders {
            if !changed_since(folder, since) {
                continue;
            }
            let mut inbox = lock(&self.inbox);
            let place = match inbox.watched.roles.get(folder) {
                Some(Role::Control(project) | Role::Inside(project)) => project.to_path_buf(),
                Some(Role::Project | Role::Frontier) => folder.to_path_buf(),
                Some(Role::Outlook) | None => continue,
            };
            inbox.touch(place, moment());
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watcher").field("debounce", &self.debounce).finish_non_exhaustive()
    }
}

impl Inbox {
    /// Sorts in what the system told; whether the owner has to be woken.
    fn take(&mut self, told: notify::Result<Event>, at: Instant) -> bool {
        let event = match told {
            Ok(event) if !event.need_rescan() => event,
            Ok(_) => return self.loses(),
            Err(error) => {
                tracing::debug!(%error, "a notice of change was lost");
                return self.loses();
            }
        };
        let mut is_news = false;
        for path in &event.paths {
            if is_write(event.kind) && self.writes.are_nobodys(path, &self.watched) {
                continue;
            }
            for place in self.watched.places(event.kind, path) {
                is_news |= self.touch(place, at);
            }
            self.lost.extend(self.watched.lost(event.kind, path));
        }
        is_news
    }

    /// Whether the owner does not know yet that this place has to be waited for.
    fn touch(&mut self, place: PathBuf, at: Instant) -> bool {
        if self.touched.len() >= MOST_PLACES {
            return self.overflows();
        }
        let is_news = !self.waited_for.contains(&place) && !self.touched.contains_key(&place);
        self.touched.entry(place).or_insert((at, at)).1 = at;
        is_news
    }

    /// Among what was not told may be that a folder is another now, and that its watch ended or went along with the old
    /// one: all of them are asked for again.
    fn loses(&mut self) -> bool {
        self.lost.extend(self.watched.roles.keys().cloned());
        self.overflows()
    }

    fn overflows(&mut self) -> bool {
        self.touched.clear();
        !std::mem::replace(&mut self.overflow, true)
    }
}

/// Those of the folders that lie in none of the others.
fn outermost<'a>(folders: impl Iterator<Item = &'a Arc<Path>>) -> BTreeSet<Arc<Path>> {
    let mut found: Vec<&Arc<Path>> = Vec::new();
    // In the order of paths, what lies in a folder follows it.
    for folder in folders {
        if !found.last().is_some_and(|outer| folder.starts_with(outer)) {
            found.push(folder);
        }
    }
    found.into_iter().cloned().collect()
}

/// What has to be done to watch other folders.
struct Plan {
    old: Vec<Arc<Path>>,
    new: Vec<Arc<Path>>,
}

impl Plan {
    /// Compares what is watched with what is to be, and notes what is new before its first event can arrive.
    fn new(folders: &BTreeMap<Arc<Path>, Role>, inbox: &mut Inbox) -> Self {
        let lost = std::mem::take(&mut inbox.lost);
        let roles = &mut inbox.watched.roles;
        let (mut old, mut new, mut renamed) = (Vec::new(), Vec::new(), Vec::new());
        // Both are in the order of paths, and comparing paths is what this costs: each is met once.
        let (mut watched, mut wanted) = (roles.iter().peekable(), folders.iter().peekable());
        loop {
            let order = match (watched.peek(), wanted.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((folder, _)), Some((other, _))) => folder.cmp(other),
            };
            let was = if order.is_le() { watched.next() } else { None };
            let is = if order.is_ge() { wanted.next() } else { None };
            let stays = is.is_some()
                && was.is_some_and(|(folder, role)| *role != Role::Outlook && !lost.contains(folder));
            if stays {
                renamed.extend(is.filter(|(_, role)| was.is_some_and(|(_, before)| before != *role)));
            } else {
                old.extend(was.map(|(folder, _)| folder.clone()));
                new.extend(is);
            }
        }
        for folder in &old {
            roles.remove(folder);
            inbox.writes.forget(folder);
        }
        if new.len() > roles.len() {
            // A map that is made at once is full; one that grows in order stays half empty.
            *roles = folders.iter().map(|(folder, role)| (Arc::clone(folder), role.clone())).collect();
        } else {
            for (folder, role) in new.iter().chain(&renamed) {
                roles.insert((*folder).clone(), (*role).clone());
            }
        }
        // Where the system's limit is reached, it is the insides that go without.
        new.sort_by_key(|(_, role)| matches!(role, Role::Inside(_)));
        Self { old, new: new.into_iter().map(|(folder, _)| folder.clone()).collect() }
    }
}

/// Why a folder is not watched.
enum Refusal {
    Absent,
    Limit,
    Other,
}

impl Refusal {
    fn of(error: &notify::Error) -> Self {
        match &error.kind {
            ErrorKind::PathNotFound => Self::Absent,
            ErrorKind::MaxFilesWatch => Self::Limit,
            ErrorKind::Io(source) if crate::problem::is_absent(source) => Self::Absent,
            ErrorKind::Io(source) if source.kind() == std::io::ErrorKind::StorageFull => Self::Limit,
            ErrorKind::Io(_)
            | ErrorKind::Generic(_)
            | ErrorKind::WatchNotFound
            | ErrorKind::InvalidConfig(_) => Self::Other,
        }
    }
}

fn changed_since(folder: &Path, since: SystemTime) -> bool {
    folder.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|changed| changed >= since)
}

/// A panic elsewhere leaves the inbox as good as it was.
fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the age of an event, a duration, on the thread that is told")]
fn moment() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "compared with time stamps of files, which are the system's")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_limit_is_told_from_a_folder_that_is_gone() {
        let io = |errno: rustix::io::Errno| notify::Error::io(errno.into());
        assert!(matches!(Refusal::of(&notify::Error::new(ErrorKind::MaxFilesWatch)), Refusal::Limit));
        assert!(matches!(Refusal::of(&io(rustix::io::Errno::NOSPC)), Refusal::Limit));
        assert!(matches!(Refusal::of(&notify::Error::path_not_found()), Refusal::Absent));
        assert!(matches!(Refusal::of(&io(rustix::io::Errno::NOENT)), Refusal::Absent));
        assert!(matches!(Refusal::of(&io(rustix::io::Errno::ACCESS)), Refusal::Other));
    }

    #[test]
    fn a_plan_tells_what_goes_and_what_comes_and_forgets_the_writes_of_who_goes() {
        let role = |folder: &str| if folder == "/r" { Role::Frontier } else { Role::Project };
        let path = |name: &&str| Arc::<Path>::from(Path::new(name));
        let folders = |names: &[&str]| -> BTreeMap<Arc<Path>, Role> {
            names.iter().map(|name| (path(name), role(name))).collect()
        };
        let paths = |names: &[&str]| -> Vec<Arc<Path>> { names.iter().map(path).collect() };
        let mut inbox = Inbox::default();
        let plan = Plan::new(&folders(&["/r", "/r/a", "/r/a-b", "/r/c"]), &mut inbox);
        assert_eq!((plan.old, plan.new), (paths(&[]), paths(&["/r", "/r/a", "/r/a-b", "/r/c"])));
        for file in ["/r/a/file", "/r/c/file"] {
            assert!(!inbox.writes.are_nobodys(Path::new(file), &inbox.watched));
        }
        // One goes, one comes, one is another now, and the watch of one was lost.
        inbox.lost.insert(path(&"/r/a-b"));
        let mut wanted = folders(&["/r", "/r/a-b", "/r/b", "/r/c"]);
        wanted.insert(path(&"/r/c"), Role::Inside(path(&"/r/b")));
        let plan = Plan::new(&wanted, &mut inbox);
        assert_eq!((plan.old, plan.new), (paths(&["/r/a", "/r/a-b"]), paths(&["/r/a-b", "/r/b"])));
        assert_eq!(inbox.watched.roles, wanted);
        let written: Vec<PathBuf> = inbox.writes.written().into_keys().collect();
        assert_eq!(written, [PathBuf::from("/r/c")]);
        let plan = Plan::new(&wanted, &mut inbox);
        assert_eq!((plan.old, plan.new), (paths(&[]), paths(&[])));
    }

    #[test]
    fn of_folders_in_folders_the_outermost_are_asked_for() {
        let check = |folders: &[&str], expected: &[&str]| {
            let paths = |names: &[&str]| -> BTreeSet<Arc<Path>> {
                names.iter().map(|name| Path::new(name).into()).collect()
            };
            let (folders, expected) = (paths(folders), paths(expected));
            assert_eq!(outermost(folders.iter()), expected, "{folders:?}");
        };
        check(&["/r", "/r/p", "/r/p/.git", "/r-2", "/r-2/q", "/kept/p.git"], &["/r", "/r-2", "/kept/p.git"]);
        check(&["/r/p", "/r/p.x", "/r/p/a"], &["/r/p", "/r/p.x"]);
        check(&[], &[]);
    }

    #[test]
    fn where_the_system_tells_of_trees_one_stream_hears_what_matters_in_it() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        for folder in ["p/.git", "p/deep/er", "other"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let project = root.join("p");
        let mut folders = BTreeMap::from([
            (root.as_path().into(), Role::Frontier),
            (project.as_path().into(), Role::Project),
            (project.join(".git").into(), Role::Control(project.as_path().into())),
        ]);
        let (send, woken) = std::sync::mpsc::channel();
        let on_change = Box::new(move || send.send(()).unwrap_or_default());
        let mut watcher = Watcher::reaching(Reach::Tree, on_change).unwrap();
        assert_eq!(watcher.watch(&folders).watches, 1);
        // Events come in order: what came before that of the folder is told with it.
        let heard_with = |watcher: &mut Watcher, folder: &str| {
            std::fs::create_dir(root.join(folder)).unwrap();
            let mut paths = BTreeSet::new();
            while !paths.contains(&root.join(folder)) {
                assert!(woken.recv_timeout(Duration::from_mins(1)).is_ok(), "{paths:?}");
                paths.extend(watcher.dirty(1_000_000, 0, 0).paths);
            }
            paths
        };
        watcher.look_begins();
        watcher.dirty(1_000_000, 0, 0);
        // Inside of a project nobody asked, and in its git folder only a few names matter.
        std::fs::write(project.join("deep/er/file"), "text").unwrap();
        std::fs::write(project.join(".git/COMMIT_EDITMSG"), "text").unwrap();
        assert_eq!(heard_with(&mut watcher, "last1"), BTreeSet::from([root.join("last1")]));
        std::fs::write(project.join(".git/HEAD"), "text").unwrap();
        assert!(heard_with(&mut watcher, "last2").contains(&project));
        // Another folder in it needs no other stream; one beside it does, and the last one that goes ends it.
        folders.insert(project.join("deep/er").into(), Role::Inside(project.as_path().into()));
        assert_eq!(watcher.watch(&folders).watches, 1);
        std::fs::write(project.join("deep/er/file"), "other").unwrap();
        assert!(heard_with(&mut watcher, "last3").contains(&project));
        folders.remove(root.as_path());
        folders.insert(root.join("other").into(), Role::Frontier);
        assert_eq!(watcher.watch(&folders).watches, 2);
    }

    /// A queue that overflows swallows the kernel's word that a watch ended.
    #[cfg(target_os = "linux")]
    #[test]
    fn after_lost_notices_a_folder_that_is_another_now_is_heard_again() {
        let home = tempfile::tempdir().unwrap();
        let project = home.path().canonicalize().unwrap().join("p");
        std::fs::create_dir(&project).unwrap();
        let folders = BTreeMap::from([(project.as_path().into(), Role::Project)]);
        let (send, woken) = std::sync::mpsc::channel();
        let on_change = Box::new(move || send.send(()).unwrap_or_default());
        let mut watcher = Watcher::reaching(Reach::Folder, on_change).unwrap();
        assert_eq!(watcher.watch(&folders).watches, 1);
        assert!(!watcher.is_incomplete());

        watcher.system.unwatch(&project).unwrap();
        assert!(lock(&watcher.inbox).take(Err(notify::Error::generic("lost")), moment()));
        assert!(watcher.dirty(0, 0, 0).overflow && watcher.is_incomplete());
        watcher.look_begins();
        assert_eq!(watcher.watch(&folders).watches, 1);
        assert!(!watcher.is_incomplete());
        watcher.dirty(0, 0, 0);
        while woken.try_recv().is_ok() {}
        std::fs::write(project.join("file"), "text").unwrap();
        assert!(woken.recv_timeout(Duration::from_mins(1)).is_ok());
    }

    #[test]
    fn lost_notices_and_too_many_places_ask_for_a_survey_once() {
        let mut inbox = Inbox::default();
        assert!(inbox.take(Err(notify::Error::generic("lost")), moment()));
        assert!(!inbox.take(Err(notify::Error::generic("lost")), moment()));
        let mut inbox = Inbox::default();
        for number in 0..MOST_PLACES {
            assert!(inbox.touch(PathBuf::from(number.to_string()), moment()));
        }
        assert!(!inbox.overflow);
        assert!(inbox.touch(PathBuf::from("one more"), moment()));
        assert!(inbox.overflow && inbox.touched.is_empty());
    }
}
