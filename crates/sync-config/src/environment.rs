//! The surroundings of the process: its variables, the user's home, the current directory.
//!
//! The one place in all crates that reads them. Everything else is handed an [`Environment`], so that tests can make one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::file::FileText;
use crate::load::{FlagValue, Loaded, Sources, load};
use crate::origin::Origin;
use crate::places::{PlaceFlags, Places};
use crate::problem::Problem;

/// What a process is told by its surroundings.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment variables.
    pub variables: Vec<(String, OsString)>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The directory the process was started in.
    pub current_dir: Option<PathBuf>,
}

/// Reads the process's surroundings. Variables whose names are not UTF-8 are left out: none of ours is.
pub fn read_environment() -> Environment {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    Environment {
        variables: variables.collect(),
        home: directories::BaseDirs::new().map(|found| found.home_dir().to_owned()),
        current_dir: std::env::current_dir().ok(),
    }
}

impl Environment {
    /// The value of a variable; an empty one counts as absent.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    }

    /// The places the programs use, with relative paths of flags taken from the current directory.
    pub fn places(&self, flags: &PlaceFlags) -> Result<Places, Problem> {
        let absolute = |path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            Some(self.current_dir.as_ref().map_or_else(|| path.clone(), |current_dir| current_dir.join(path)))
        };
        let flags = PlaceFlags {
            config: absolute(&flags.config),
            state_dir: absolute(&flags.state_dir),
            socket: absolute(&flags.socket),
        };
        Places::find(&flags, &|name| self.variable(name), self.home.as_deref())
    }

    /// Reads the configuration file at its place and loads it with the environment and these flags.
    ///
    /// # Errors
    /// All that is wrong, as [`load()`] says it, or that the file cannot be read.
    pub fn load(&self, config_file: &Path, flags: Vec<FlagValue>) -> Result<Loaded, Vec<Problem>> {
        let file = FileText::read(config_file).map_err(|problem| vec![problem])?;
        load(&Sources {
            file,
            env: self.variables.clone(),
            flags,
            home: self.home.clone(),
            current_dir: self.current_dir.clone(),
        })
    }
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.variables.iter().map(|(name, _)| name).collect();
        f.debug_struct("Environment")
            .field("variables", &names)
            .field("home", &self.home)
            .field("current_dir", &self.current_dir)
            .finish()
    }
}

/// The origin of a place that a flag or a variable names.
pub(crate) fn origin(flag: Option<&str>, variable: &str) -> Origin {
    flag.map_or_else(|| Origin::Environment(variable.to_owned()), |flag| Origin::Flag(flag.to_owned()))
}
