//! Turns folders into sightings of projects, and notices when folders change.
//!
//! [`survey()`] reads everything under the configured roots, [`look()`] only what is around a few paths; both block and
//! are asked between folders whether to stop. A [`Watcher`] says where something came to rest. Nothing here knows the
//! database, the cloud, identities or the daemon's clock: a survey is compared with what is known elsewhere.

mod apart;
mod arriving;
mod busy;
mod content;
mod covered;
mod debounce;
mod error;
mod events;
mod evidence;
mod examiner;
mod exclude;
mod gaze;
mod listing;
mod look;
mod lookout;
mod manifest;
mod memory;
mod notices;
mod platform;
mod posts;
mod problem;
mod root;
mod rulebook;
pub mod rules;
mod shelf;
mod stamps;
mod survey;
mod vcs;
mod walk;
mod watch;
mod worker;
mod worktree;
mod writes;

use std::path::PathBuf;

pub use covered::Covered;
pub use error::Error;
pub use events::Role;
pub use evidence::{Evidence, Proof, Share};
pub use gaze::Gaze;
pub use look::look;
pub use lookout::{Lookout, Seen, Task, Turn};
pub use platform::{POWER_SUPPLIES, is_at, is_loaded, is_true_folder_at_hand, power, step_back};
pub use posts::{Post, Scout};
pub use problem::{Problem, ProblemKind, is_absent};
pub use root::{RootReport, RootState};
pub use survey::{Survey, Worktree, find, survey};
pub use watch::{DirtyState, WatchReport, Watcher};
pub use worker::{ServeError, Worker, serve};

/// Where to look for projects, and where not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Absolute paths; they may overlap, be links, or not be there.
    pub roots: Vec<PathBuf>,
    /// Patterns as in a `.gitignore` in each root, on top of the built-in list.
    pub exclude: Vec<String>,
    /// How many levels of folders below a root are read.
    pub max_depth: u32,
    /// Whether a link to a folder is read like a folder.
    pub follow_symlinks: bool,
    /// Folders whose `.coditect` is where this program is configured and not a manifest: the user's home. A look from
    /// below does not take one for what was meant.
    pub homes: Vec<PathBuf>,
    /// A folder with the user's own rules for frameworks, `*.toml`.
    pub rules: Option<PathBuf>,
    /// Whether the packages of a declared workspace are projects of their own, inside of it.
    pub workspace_members: bool,
    /// How projects are examined in a process of their own; here where there is none.
    pub worker: Option<Worker>,
    /// The folders to which whoever looks writes itself. They are no part of what they lie in: each thing that is seen
    /// would be a change to be seen.
    pub own: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            exclude: Vec::new(),
            max_depth: 8,
            follow_symlinks: false,
            homes: Vec::new(),
            rules: None,
            workspace_members: false,
            worker: None,
            own: Vec::new(),
        }
    }
}
