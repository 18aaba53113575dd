//! Looks after a set of roots: watches them, remembers what was seen, and looks only where something happened.
//!
//! Its owner says when to do what and compares what was seen with what is on record. A turn blocks, so it is taken on a
//! thread that may wait; nothing happens between turns but that the watcher collects what the system tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sync_core::Place;

use crate::apart::Apart;
use crate::debounce::Patience;
use crate::gaze::Gaze;
use crate::look::look_with;
use crate::memory::Memory;
use crate::root::{Found, RootReport, resolve_all, roots_now};
use crate::rules::framework::Rules;
use crate::shelf::Shelf;
use crate::survey::{Arrivals, Asked, Attention, Survey, canonical, examine_again, survey_with};
use crate::watch::{WatchReport, Watcher};
use crate::worker::Spare;
use crate::{Options, platform, rulebook, vcs};

/// How long a part of a sweep takes, so that what happens meanwhile does not wait for its end.
const SLICE: Duration = Duration::from_millis(200);
/// How many projects of a sweep are examined at a time.
const SWEPT_AT_ONCE: usize = 16;
/// How many times one turn looks again at what came to rest while it looked.
const MOST_LOOKS: usize = 3;

/// Looks after some roots.
#[derive(Debug)]
pub struct Lookout {
    options: Options,
    rules: Rules,
    /// Where what examinations find out is kept.
    looks: Option<PathBuf>,
    shelf: Option<Shelf>,
    watcher: Option<Watcher>,
    memory: Memory,
    /// What the sweep in progress has not examined yet, the first last.
    to_sweep: Vec<PathBuf>,
    /// Files that were written to before the look in progress, by project.
    written: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    most_inside: usize,
    spare: Spare,
    gaze: Gaze,
    /// Where the roots were when that was asked last.
    places: Option<BTreeMap<PathBuf, Option<Place>>>,
}

/// What a turn is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// Look where something changed and came to rest.
    Events,
    /// Walk everything, and examine what is new or what the walk itself shows to be changed.
    Glance,
    /// Examine a part of all known projects again; the parts of one sweep follow each other.
    Sweep,
    /// Walk and examine everything.
    Everything,
    /// Examine what is at, around and below these paths.
    Paths(Vec<PathBuf>),
}

/// A task, when it is, and how patient to be with what changes, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// What to do.
    pub task: Task,
    /// Now, since 1970.
    pub now_ms: u64,
    /// How long a place has to be quiet.
    pub quiet_ms: u64,
    /// How long a place that is never quiet may keep us waiting.
    pub most_ms: u64,
}

/// What came of a turn.
#[derive(Debug, Default)]
pub struct Seen {
    /// What was seen, in order.
    pub surveys: Vec<Survey>,
    /// How the roots stand, when that may have changed.
    pub roots: Option<Vec<RootReport>>,
    /// What is watched, when that may have changed.
    pub watch: Option<WatchReport>,
    /// When the next turn for events is due without a wake, since 1970.
    pub next_ms: Option<u64>,
    /// Notices were lost: everything has to be looked at.
    pub overflow: bool,
    /// The sweep is not over.
    pub sweeping: bool,
}

impl Lookout {
    /// A lookout that has not looked yet. Without a watcher it notices only what its turns find. What examinations
    /// find out is kept in the folder `shelf`, which is private to this program.
    pub fn new(options: Options, watcher: Option<Watcher>, shelf: Option<PathBuf>) -> Self {
        let rules = rulebook::rules(options.rules.as_deref());
        Self {
            shelf: shelf.clone().map(|folder| on_shelf(folder, &options, &rules)),
            options,
            rules,
            looks: shelf,
            watcher,
            memory: Memory::default(),
            to_sweep: Vec::new(),
            written: BTreeMap::new(),
            most_inside: platform::most_watches_inside(),
            spare: Spare::default(),
            gaze: Gaze::default(),
            places: None,
        }
    }

    /// What tells of the project it is examining, also while it takes a turn.
    pub fn gaze(&self) -> Gaze {
        self.gaze.clone()
    }

    /// Whether the system tells of changes here.
    pub fn is_told(&self) -> bool {
        self.watcher.is_some()
    }

    /// Looks other roots, or the same ones in another way, from now on.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// Takes a turn. Blocks; asks `stop` between folders and projects.
    pub fn turn(&mut self, turn: &Turn, stop: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        match &turn.task {
            Task::Events => {}
            Task::Glance => self.see(&mut seen, turn, |own| own.glance(turn, stop)),
            Task::Everything => self.see(&mut seen, turn, |own| own.survey(turn, stop)),
            // Somebody wants to know how it is now.
            Task::Paths(paths) => self.see(&mut seen, turn, |own| {
                let attention = Attention { arrivals: None, ..own.attention(turn, Asked::All) };
                look_with(&own.options, &own.within_reach(paths.clone()), attention, stop)
            }),
            Task::Sweep => self.sweep(&mut seen, turn, stop),
        }
        for _ in 0..MOST_LOOKS {
            let Some(watcher) = &mut self.watcher else { break };
            let dirty = watcher.dirty(turn.now_ms, turn.quiet_ms, turn.most_ms);
            seen.next_ms = dirty.next;
            seen.overflow |= dirty.overflow;
            let mut paths = self.within_reach(dirty.paths);
            if !paths.is_empty() || turn.task == Task::Sweep {
                paths.extend(self.cleared());
            }
            if paths.is_empty() || stop.load(Ordering::Relaxed) {
                break;
            }
            self.see(&mut seen, turn, |own| own.look(&paths, turn, stop));
            // Reached only when this was the last look: then there may be more to ask at once.
            seen.next_ms = Some(turn.now_ms);
        }
        self.spare.turn_ends();
        seen.roots = self.roots_after(&turn.task, &seen);
        seen
    }

    /// How the roots stand after a turn: as a look at everything found them, else as they are now. At its end a sweep asks
    /// as well, for what the system tells nothing of.
    fn roots_after(&self, task: &Task, seen: &Seen) -> Option<Vec<RootReport>> {
        match (seen.surveys.as_slice(), task) {
            ([whole], Task::Everything | Task::Glance) => Some(whole.roots.clone()),
            ([], Task::Everything | Task::Glance | Task::Events | Task::Paths(_)) => None,
            ([], Task::Sweep) if seen.sweeping => None,
            _ => Some(roots_now(&self.options.roots, |root| self.memory.count_in(root))),
        }
    }

    fn see(&mut self, seen: &mut Seen, turn: &Turn, look: impl FnOnce(&mut Self) -> Survey) {
        if let Some(watcher) = &mut self.watcher {
            watcher.look_begins();
            self.written = watcher.written();
        }
        let mut survey = look(self);
        self.pass_over_writes(&mut survey);
        self.memory.take(&mut survey, turn.now_ms);
        if let Some(watcher) = &mut self.watcher {
            for root in &survey.arriving {
                watcher.awaits(root.clone(), turn.now_ms);
            }
            if self.memory.wants_others(turn.now_ms) || watcher.is_incomplete() {
                let wanted = self.memory.wanted(turn.now_ms, self.most_inside);
                seen.watch = Some(watcher.watch(&wanted));
            }
        }
        seen.surveys.push(survey);
    }

    /// What an examination showed to be no part of a project may be written to without our looking.
    fn pass_over_writes(&mut self, survey: &mut Survey) {
        let Some(watcher) = &mut self.watcher else { return };
        for (root, noted) in &mut survey.noted {
            watcher.ignore_writes(root.clone(), std::mem::take(&mut noted.left_out));
        }
    }

    fn survey(&mut self, turn: &Turn, stop: &AtomicBool) -> Survey {
        // The user may have written other rules since.
        self.rules = rulebook::rules(self.options.rules.as_deref());
        self.shelf = self.looks.clone().map(|folder| on_shelf(folder, &self.options, &self.rules));
        self.places_changed();
        let attention = Attention { memory: None, ..self.attention(turn, Asked::All) };
        let survey = survey_with(&self.options, attention, stop);
        if let Some(shelf) = self.shelf.as_ref().filter(|_| !stop.load(Ordering::Relaxed)) {
            shelf.clear(survey.sightings.iter().map(|sighting| &sighting.root), wall_clock());
        }
        survey
    }

    fn glance(&self, turn: &Turn, stop: &AtomicBool) -> Survey {
        survey_with(&self.options, self.attention(turn, Asked::At(&BTreeSet::new())), stop)
    }

    /// Those of the paths that do not lie in what is mounted from elsewhere beside or in the roots.
    fn within_reach(&self, mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
        if !paths.is_empty() {
            let (roots, _) = resolve_all(&self.options.roots);
            let own = self.options.own.iter().map(|own| canonical(own));
            let apart = Apart::now(roots.into_iter().map(|root| root.path).collect()).with_own(own);
            paths.retain(|path| !apart.has(path));
        }
        paths
    }

    /// The folders of which it could not be told whether they are work trees and now can: a repository that is back where
    /// it was mends linked ones, and in those nothing happens.
    fn cleared(&self) -> Vec<PathBuf> {
        let mut cleared = self.within_reach(self.memory.unclear().cloned().collect());
        cleared.retain(|path| vcs::detect(path).is_ok());
        cleared
    }

    /// Looks where something happened and came to rest.
    fn look(&self, paths: &[PathBuf], turn: &Turn, stop: &AtomicBool) -> Survey {
        let paths = &[paths, &self.memory.heirs(paths)].concat();
        let places = paths.iter().cloned().collect();
        let mut attention = self.attention(turn, Asked::At(&places));
        attention.arrivals = attention.arrivals.map(|arrivals| Arrivals { at_rest: &places, ..arrivals });
        look_with(&self.options, paths, attention, stop)
    }

    fn attention<'a>(&'a self, turn: &Turn, asked: Asked<'a>) -> Attention<'a> {
        let arrivals = Arrivals {
            memory: &self.memory,
            now_ms: turn.now_ms,
            patience: Patience { quiet_ms: turn.quiet_ms, most_ms: turn.most_ms },
            at_rest: const { &BTreeSet::new() },
        };
        Attention {
            memory: Some(&self.memory),
            asked,
            rules: &self.rules,
            shelf: self.shelf.as_ref(),
            written: Some(&self.written),
            arrivals: Some(arrivals),
            spare: Some(&self.spare),
            gaze: Some(&self.gaze),
        }
    }

    /// Whether a root is another folder than before: something was mounted over it or taken away, or what it lies in was
    /// renamed, of which no watch tells. All are watched anew then.
    fn places_changed(&mut self) -> bool {
        let (roots, _) = resolve_all(&self.options.roots);
        let place = |found: &Found| match found {
            Found::Folder(place) => Some(*place),
            Found::Nothing | Found::Hidden => None,
        };
        let places = roots.into_iter().map(|root| (root.given, place(&root.found))).collect();
        let changed = self.places.as_ref().is_some_and(|before| *before != places);
        self.places = Some(places);
        if changed && let Some(watcher) = &self.watcher {
            watcher.doubts_all();
        }
        changed
    }

    /// The next part of the sweep in progress, or the first of a new one.
    fn sweep(&mut self, seen: &mut Seen, turn: &Turn, stop: &AtomicBool) {
        if self.to_sweep.is_empty() {
            seen.overflow |= self.places_changed();
            self.to_sweep = self.memory.outermost();
            self.to_sweep.reverse();
        }
        if let Some(watcher) = &self.watcher {
            self.written = watcher.written();
        }
        let begun = moment();
        while !self.to_sweep.is_empty() && begun.elapsed() < SLICE && !stop.load(Ordering::Relaxed) {
            let mut part = self.to_sweep.split_off(self.to_sweep.len().saturating_sub(SWEPT_AT_ONCE));
            part.extend(self.memory.heirs(&part));
            let attention = Attention { memory: None, ..self.attention(turn, Asked::All) };
            let mut survey = examine_again(&self.options, &part, &self.memory, attention, stop);
            // Most often nothing changed, and then nobody has to hear of it.
            if survey.arriving.is_empty() && self.memory.agrees_with(&survey) {
                self.pass_over_writes(&mut survey);
                self.memory.take(&mut survey, turn.now_ms);
            } else {
                self.see(seen, turn, move |_| survey);
            }
        }
        seen.sweeping = !self.to_sweep.is_empty();
    }
}

/// What is told depends on the rules, and on whether packages are told of as well.
fn on_shelf(folder: PathBuf, options: &Options, rules: &Rules) -> Shelf {
    Shelf::new(folder, rules.digest() ^ u64::from(options.workspace_members))
}

#[expect(clippy::disallowed_methods, reason = "how long a part of a sweep takes, a duration")]
fn moment() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "compared with time stamps of files, which are the system's")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
