//! Takes over the old client's databases: at the start, when they change, and when somebody asks for it.
//!
//! While a dev cloud stands in for the real one nothing is taken by itself: what other tools queued is meant for the
//! real one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use sync_core::ScopeId;
use sync_store::{Heir, Taken, Trouble as InTheWay};
use sync_wire::ProblemCode;

use super::api::Refusal;
use super::{Engine, Trouble, refusal, store_refusal};
use crate::chain;
use crate::guard::Guard;

/// Where the old client keeps its databases, below the data folder.
const FOLDER: &str = "context-storage";
const QUEUE: &str = "sync_queue.db";
const CACHE: &str = "sessions.db";
/// Writers get so much time to finish what they are at.
const SETTLE: Duration = Duration::from_secs(1);
/// What another program holds is tried again after this.
const SOON: Duration = Duration::from_secs(10);
/// What another program has held for this long is told in the status.
const HELD_LONG: Duration = Duration::from_mins(10);

/// What was found out about the old databases.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    scope: Option<ScopeId>,
    /// The state in which there was nothing in a file that is not ours.
    looked: BTreeMap<PathBuf, Stamp>,
    /// The trouble with a file that was told.
    said: BTreeMap<PathBuf, String>,
}

/// What a take-over came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Imported {
    /// Registrations that are ours now.
    pub rows: u64,
    /// Projects that the cloud is told of because of them.
    pub wishes: u64,
    /// Mappings that are ours now.
    pub mappings: u64,
    /// Rows that say nothing that could be kept.
    pub aside: u64,
    /// Rows for which there is no room yet, or for which it is not known whose they are.
    pub left: u64,
    /// What was in the way.
    pub problems: Vec<String>,
    again_soon: bool,
}

/// Runs until the daemon stops.
///
/// # Errors
/// When the configuration is not told of any more.
pub(crate) async fn legacy(engine: Engine) -> Result<(), String> {
    let stop = engine.stop();
    let gone = |gone| format!("follow the engine: {gone}");
    let mut settings = engine.0.settings.subscribe();
    let mut scope = engine.0.scope.subscribe();
    let mut whole = true;
    while !stop.is_finishing() {
        let (data, interval) = {
            let settings = settings.borrow_and_update();
            (settings.places.data_dir.clone(), settings.config.sync_daemon.drain_interval)
        };
        scope.mark_unchanged();
        let on = engine.takes_over();
        // Watched before it is looked at, so that nothing falls between.
        let folder = data.join(FOLDER);
        let guard = Guard::of(if folder.is_dir() { &folder } else { &data });
        let again_soon = on && engine.take_over_by_itself(&folder, whole).await;
        let wait = if again_soon { SOON.min(interval) } else { interval };
        whole = false;
        tokio::select! {
            () = stop.finishing() => {}
            changed = settings.changed() => changed.map_err(gone)?,
            changed = scope.changed() => changed.map_err(gone)?,
            () = guard.changed(), if on => {
                tokio::select! {
                    () = stop.finishing() => {}
                    () = tokio::time::sleep(SETTLE) => {}
                }
            }
            () = engine.0.clock.rest(wait) => whole = true,
        }
    }
    Ok(())
}

impl Engine {
    /// Takes over what is there before discovery gives the same folders other UUIDs.
    pub(super) async fn take_over_first(&self) {
        if self.takes_over() {
            let folder = self.settings().places.data_dir.join(FOLDER);
            self.take_over_by_itself(&folder, false).await;
        }
    }

    /// Takes over the old client's databases in the data folder, or in another.
    ///
    /// # Errors
    /// When there are none in a folder that was named, or nothing could be stored.
    pub(crate) async fn import(&self, from: Option<PathBuf>) -> Result<Imported, Refusal> {
        let folder = match from {
            None => self.settings().places.data_dir.join(FOLDER),
            Some(named) => {
                let below = named.join(FOLDER);
                let folder = if below.is_dir() { below } else { named };
                if ![QUEUE, CACHE].iter().any(|name| folder.join(name).exists()) {
                    let message = format!("`{}` holds neither `{QUEUE}` nor `{CACHE}`", folder.display());
                    let hint = "name the folder they are in, or the data folder above it; without `--from` it is this \
                                machine's data folder";
                    return Err(Refusal {
                        hint: Some(hint.to_owned()),
                        ..refusal(ProblemCode::NotFound, message)
                    });
                }
                if !self.0.sandbox.allows(&folder) {
                    return Err(self.out_of_reach(&folder));
                }
                folder
            }
        };
        self.take_over(&folder, true).await.map_err(store_refusal)
    }

    /// Why databases that lie elsewhere are not taken over: what is taken leaves its table.
    fn out_of_reach(&self, folder: &Path) -> Refusal {
        let message = format!(
            "the daemon's sandbox does not let it write in `{}`, as taking over does",
            folder.display()
        );
        let own = self.settings().places.data_dir.join(FOLDER);
        let hint = format!(
            "copy `{QUEUE}` and `{CACHE}` into `{}`, where they are taken over by themselves; or set \
             `sync_daemon.sandbox` to \"off\" for a while and start the daemon again",
            own.display()
        );
        Refusal { hint: Some(hint), ..refusal(ProblemCode::Conflict, message) }
    }

    pub(super) fn takes_over(&self) -> bool {
        let settings = self.settings();
        settings.config.sync_daemon.legacy_import && settings.dev.is_none() && self.scope().settled
    }

    /// Says whether to come again soon.
    async fn take_over_by_itself(&self, folder: &Path, whole: bool) -> bool {
        match self.take_over(folder, whole).await {
            Ok(imported) => {
                self.mended(&Trouble::Legacy(folder.to_owned()));
                imported.again_soon
            }
            Err(error) => {
                if !self.0.stop.is_finishing() {
                    let reason = chain(&error);
                    tracing::warn!(reason, "the old client's databases were not taken over");
                    self.amiss(Trouble::Legacy(folder.to_owned()), format!("failed to {reason}"));
                }
                true
            }
        }
    }

    /// Takes what is new in the databases of `folder`; with `whole`, looks into them even if nothing about the files
    /// is different.
    async fn take_over(&self, folder: &Path, whole: bool) -> Result<Imported, sync_store::Error> {
        let mut memory = self.0.legacy.lock().await;
        let current = self.scope();
        if memory.scope.replace(current.id) != Some(current.id) {
            memory.looked.clear();
        }
        let heir = Heir { scope: current.scope, id: current.id, machine: self.0.machine };
        let mut imported = Imported::default();
        let outcome = self.take_from(folder, whole, &heir, &mut memory, &mut imported).await;
        let present = self.scope();
        if present.id != heir.id {
            // The tenant became known meanwhile, and what was taken since lies where that was adopted from.
            super::adopt(&self.0.store, &present.scope, present.id, self.now()).await?;
        }
        // Also what was taken before something failed.
        self.0.deliver_wake.wake();
        outcome.map(|()| imported)
    }

    async fn take_from(
        &self,
        folder: &Path,
        whole: bool,
        heir: &Heir,
        memory: &mut Memory,
        imported: &mut Imported,
    ) -> Result<(), sync_store::Error> {
        let stop = self.0.stop.clone();
        let go_on = || !stop.is_finishing();
        for name in [QUEUE, CACHE] {
            let file = folder.join(name);
            let stamp = Stamp::of(&file);
            if !whole && memory.looked.get(&file) == Some(&stamp) {
                continue;
            }
            let (store, now) = (self.0.store.legacy(), self.now());
            let taken = if name == QUEUE {
                let taken = store.take_queue(&file, heir, now, &go_on).await;
                // Whose place is whose may have changed, also where it broke off.
                self.0.index.projects_changed();
                taken?
            } else {
                let (life, dice) = (self.settings().mapping_life(), self.0.dice.throw());
                store.take_cache(&file, heir, life, dice, now, &go_on).await?
            };
            let later = matches!(taken.trouble, Some(InTheWay::Later(_)));
            if taken.is_something() || later {
                // Looked into once more: what was written meanwhile is not told from what was taken.
                memory.looked.remove(&file);
            } else {
                memory.looked.insert(file.clone(), stamp);
            }
            self.tell(memory, &file, &taken);
            imported.add(&file, taken);
        }
        Ok(())
    }

    /// Has the status tell of a database in the data folder that is not taken over; who names another is told at once.
    fn tell_status(&self, file: &Path, trouble: &InTheWay) {
        if file.parent() != Some(&*self.settings().places.data_dir.join(FOLDER)) {
            return;
        }
        let patience = match trouble {
            InTheWay::Later(_) => HELD_LONG,
            InTheWay::Unusable(_) => Duration::ZERO,
        };
        let reason = format!("`{}`: {}", file.display(), words(trouble));
        self.amiss_for(Trouble::Legacy(file.to_owned()), reason, patience);
    }

    fn tell(&self, memory: &mut Memory, file: &Path, taken: &Taken) {
        let path = file.display();
        if taken.is_something() {
            let Taken { rows, mappings, aside, .. } = *taken;
            tracing::info!(file = %path, rows, mappings, aside, "took over from the old client");
            if aside > 0 {
                let reasons = taken.reasons.join("; ");
                tracing::warn!(file = %path, aside, reasons, "rows of the old client that could not be read were set aside");
            }
            self.0.counters.enqueued.fetch_add(taken.wishes, Ordering::Relaxed);
            if taken.wishes > 0 {
                self.0.deliver_wake.wake();
            }
            self.progressed();
        }
        let Some(trouble) = &taken.trouble else {
            memory.said.remove(file);
            self.mended(&Trouble::Legacy(file.to_owned()));
            return;
        };
        let words = words(trouble);
        self.tell_status(file, trouble);
        if memory.said.insert(file.to_owned(), words.to_owned()).as_deref() != Some(words) {
            match trouble {
                InTheWay::Later(why) => {
                    tracing::info!(file = %path, why, "the old client's database is tried again later");
                }
                InTheWay::Unusable(why) => {
                    tracing::warn!(file = %path, why, "the old client's database is left as it is");
                }
            }
        }
    }
}

fn words(trouble: &InTheWay) -> &str {
    match trouble {
        InTheWay::Later(why) | InTheWay::Unusable(why) => why,
    }
}

impl Imported {
    fn add(&mut self, file: &Path, taken: Taken) {
        self.rows += taken.rows;
        self.wishes += taken.wishes;
        self.mappings += taken.mappings;
        self.aside += taken.aside;
        self.left += taken.left;
        if let Some(trouble) = taken.trouble {
            self.again_soon |= matches!(trouble, InTheWay::Later(_));
            self.problems.push(format!("`{}`: {}", file.display(), words(&trouble)));
        }
    }
}

/// What tells one state of a database from another: of the file, and of the log beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stamp([Option<[i128; 4]>; 2]);

impl Stamp {
    fn of(file: &Path) -> Self {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let state = |path: &Path| {
            let found = fs::symlink_metadata(path).ok()?;
            let written = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
            Some([i128::from(found.dev()), i128::from(found.ino()), i128::from(found.len()), written])
        };
        Self([state(file), state(Path::new(&log))])
    }
}

#[cfg(test)]
mod tests;
