//! Puts the sources together: default, then file, then environment, then flags; all problems at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;

use crate::address;
use crate::file::{self, FileText};
use crate::given::{Base, Given};
use crate::keys::{self, KEYS, Key, PREFIX};
use crate::nearest::nearest;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::schema::Config;

/// Everything a configuration is made of, as text.
#[derive(Clone, Default, Debug)]
pub struct Sources {
    /// The file, when there is one.
    pub file: Option<FileText>,
    /// The environment; what does not begin with `CODITECT_SYNC__` is not looked at.
    pub env: Vec<(String, OsString)>,
    /// What the command line says about keys.
    pub flags: Vec<FlagValue>,
    /// The home directory, for `~` and `$HOME`.
    pub home: Option<PathBuf>,
    /// The current directory, for relative paths in flags.
    pub current_dir: Option<PathBuf>,
}

/// What a flag of the command line says about a key.
#[derive(Clone, PartialEq, Debug)]
pub struct FlagValue {
    /// The flag with its dashes, for messages (`--root`).
    pub flag: String,
    /// The key it overrides (`sync_daemon.discovery.roots`).
    pub key: String,
    /// The value; a list for a flag that may be repeated.
    pub value: Value,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// What is odd and does not hinder.
    pub warnings: Vec<Problem>,
    /// Where the value of each key came from, by the key's name with its sections.
    pub origins: BTreeMap<String, Origin>,
}

/// One key as it is shown to people.
#[derive(Clone, PartialEq, Debug)]
pub struct Row<'a> {
    /// The name with its sections.
    pub key: &'static str,
    /// The effective value; secrets are hidden.
    pub value: Value,
    /// Where it came from.
    pub origin: &'a Origin,
}

impl Loaded {
    /// Every key with its effective value and origin, in the order of the documentation; secrets are hidden.
    pub fn rows(&self) -> Vec<Row<'_>> {
        // A value that cannot be shown is shown as null: all of them serialize, see the test of this function.
        let values = serde_json::to_value(&self.config).unwrap_or_default();
        let row = |key: &Key| {
            let value = key.path.split('.').fold(&values, |value, name| &value[name]);
            Some(Row { key: key.path, value: value.clone(), origin: self.origins.get(key.path)? })
        };
        KEYS.iter().filter_map(row).collect()
    }
}

/// Reads the sources into a configuration.
///
/// # Errors
/// All that is wrong in any source, also where another source overrides it.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
    let origins = KEYS.iter().map(|key| (key.path.to_owned(), Origin::Default)).collect();
    let mut loading = Loading {
        loaded: Loaded { config: Config::default(), warnings: Vec::new(), origins },
        problems: Vec::new(),
        base: Base { home: sources.home.as_deref(), current_dir: None },
    };
    loading.file(sources.file.as_ref());
    loading.environment(&sources.env);
    loading.flags(sources);
    loading.default_roots();
    loading.one_credential();
    loading.retries_in_order();
    loading.nothing_exposed();
    loading.token_unreadable_by_others(sources.file.as_ref());
    if loading.problems.is_empty() { Ok(loading.loaded) } else { Err(loading.problems) }
}

struct Loading<'a> {
    loaded: Loaded,
    problems: Vec<Problem>,
    base: Base<'a>,
}

impl Loading<'_> {
    fn file(&mut self, file: Option<&FileText>) {
        let Some(file) = file else { return };
        let contents = file::contents(file);
        self.problems.extend(contents.problems);
        self.loaded.warnings.extend(contents.warnings);
        for found in contents.found {
            let (line, column) = found.place;
            let origin = Origin::File { path: file.path.clone(), line, column };
            if let Some(key) = keys::find(found.path) {
                self.set(key, &found.given, origin, self.base);
            }
        }
    }

    fn environment(&mut self, env: &[(String, OsString)]) {
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            let origin = Origin::Environment(name.clone());
            let Some(key) = KEYS.iter().find(|key| key.variable() == *name) else {
                let variables: Vec<_> = KEYS.iter().map(Key::variable).collect();
                let nearest = nearest(name, variables.iter().map(String::as_str)).map(Box::from);
                let problem = Problem::new("stands for no known key and has no effect").at(origin);
                self.loaded.warnings.push(Problem { nearest, ..problem });
                continue;
            };
            match value.to_str() {
                Some(text) => self.set(key, &Given::Text(text.to_owned()), origin, self.base),
                None => self.problems.push(Problem::of(key.path, "must be UTF-8").at(origin)),
            }
        }
    }

    fn flags(&mut self, sources: &Sources) {
        let base = Base { current_dir: sources.current_dir.as_deref(), ..self.base };
        let home = sources.home.as_deref();
        for flag in &sources.flags {
            let origin = Origin::Flag(flag.flag.clone());
            match keys::find(&flag.key) {
                Some(key) => self.set(key, &Given::Json(flag.value.clone()), origin, Base { home, ..base }),
                None => self.problems.push(Problem::of(&*flag.key, "is not a known key").at(origin)),
            }
        }
    }

    fn set(&mut self, key: &Key, given: &Given, origin: Origin, base: Base<'_>) {
        match (key.set)(&mut self.loaded.config, given, base) {
            Ok(()) => {
                self.loaded.origins.insert(key.path.to_owned(), origin);
            }
            Err(refused) => {
                let shown = refused.shown.unwrap_or_else(|| given.shown());
                self.problems.push(Problem::of(key.path, refused.allowed).value(shown).at(origin));
            }
        }
    }

    /// The default roots are written with `~` like everybody's; without a home there are none.
    fn default_roots(&mut self) {
        if self.loaded.origins.get("sync_daemon.discovery.roots") != Some(&Origin::Default) {
            return;
        }
        let roots = &mut self.loaded.config.sync_daemon.discovery.roots;
        let expanded = roots.iter().filter_map(|root| crate::given::path(root.to_str()?, self.base).ok());
        *roots = expanded.collect();
    }

    fn one_credential(&mut self) {
        let cloud = &self.loaded.config.cloud_sync;
        let sources = [
            ("auth_token", cloud.auth_token.is_some()),
            ("auth_token_file", cloud.auth_token_file.is_some()),
            ("credential_command", cloud.credential_command.is_some()),
        ];
        let given: Vec<_> = sources
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| format!("cloud_sync.{name}"))
            .collect();
        if given.len() > 1 {
            let places: Vec<_> =
                given.iter().map(|key| format!("`{key}` ({})", self.origin_of(key))).collect();
            let why = format!("only one of {} may be set", places.join(" and "));
            self.problems
                .push(Problem::new(why).hint("set the others to null, or to nothing in the environment"));
        }
    }

    fn retries_in_order(&mut self) {
        let cloud = &self.loaded.config.cloud_sync;
        if let (Some(initial), Some(max)) = (cloud.retry_initial, cloud.retry_max)
            && max < initial
        {
            let [initial, max] = [initial, max].map(crate::duration::text);
            let problem =
                Problem::of("cloud_sync.retry_max", format!("must not be under retry_initial ({initial})"));
            let origin = self.origin_of("cloud_sync.retry_max");
            self.problems.push(problem.value(format!("\"{max}\"")).at(origin));
        }
    }

    fn nothing_exposed(&mut self) {
        let cloud = &self.loaded.config.cloud_sync;
        let sends_credential = cloud.auth_token.is_some()
            || cloud.auth_token_file.is_some()
            || cloud.credential_command.is_some();
        if sends_credential && address::is_exposed(&cloud.api_url) {
            let why = "must be https, because a credential would be sent to another machine for all to read";
            let problem = Problem::of("cloud_sync.api_url", why).value(format!("\"{}\"", cloud.api_url));
            self.problems.push(problem.at(self.origin_of("cloud_sync.api_url")));
        }
    }

    fn token_unreadable_by_others(&mut self, file: Option<&FileText>) {
        const KEY: &str = "cloud_sync.auth_token";
        let origin = self.origin_of(KEY);
        let from_file =
            matches!(origin, Origin::File { .. }) && self.loaded.config.cloud_sync.auth_token.is_some();
        if let Some(FileText { path, mode: Some(mode), .. }) = file
            && from_file
            && mode & 0o077 != 0
        {
            let why = format!("is in a file that others may read or write (mode {mode:04o})");
            let hint = format!("run `chmod 600 {}`", path.display());
            self.loaded.warnings.push(Problem::of(KEY, why).at(origin).hint(hint));
        }
    }

    fn origin_of(&self, key: &str) -> Origin {
        self.loaded.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}
