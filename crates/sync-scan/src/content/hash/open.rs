//! Opens a repository without trusting it: what of its configuration matters for hashing, and nothing else.
//!
//! Drivers, hooks, monitors and aliases are never read as commands. Every file the opening touches is first seen to
//! be a regular one, so that a pipe in its place cannot hold us up.

use std::path::{Path, PathBuf};

use gix::hash::Kind;
use gix::open::{Options, permissions};
use gix::sec::{Permission, Trust};

use crate::content::read;

/// A git configuration is kilobytes; what is longer is no configuration.
const LONGEST_CONFIG: u64 = 4 << 20;

/// Whose settings besides the repository's own apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::content) enum Surroundings {
    /// The user's and the system's, as git would.
    Usual,
    /// None.
    #[cfg(test)]
    Bare,
}

/// What decides how files become blobs and trees.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of git's, and they are independent")]
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) kind: Kind,
    /// `core.fileMode`
    pub(super) file_mode: bool,
    /// `core.symlinks`
    pub(super) symlinks: bool,
    /// `core.trustctime`
    pub(super) trust_ctime: bool,
    /// `core.checkStat` is not `minimal`
    pub(super) check_stat: bool,
    /// `core.sparseCheckout`
    pub(super) sparse: bool,
    /// `core.ignoreCase`
    pub(super) case: gix::glob::pattern::Case,
    /// Patterns of ignored files outside the work tree, the weaker first.
    pub(super) exclude_files: Vec<PathBuf>,
    /// Attributes below those of the work tree, the weaker first.
    pub(super) attribute_files: Vec<PathBuf>,
    /// Attributes above all others.
    pub(super) own_attributes: Option<PathBuf>,
    /// Filters that have a command.
    pub(super) drivers: Vec<Vec<u8>>,
}

impl Settings {
    /// Those of a folder right after `git init`.
    pub(super) fn of_new_repository() -> Self {
        Self {
            kind: Kind::Sha1,
            file_mode: true,
            symlinks: true,
            trust_ctime: true,
            check_stat: true,
            sparse: false,
            case: gix::glob::pattern::Case::Sensitive,
            exclude_files: Vec::new(),
            attribute_files: Vec::new(),
            own_attributes: None,
            drivers: Vec::new(),
        }
    }

    /// Those in the configuration of `repository`.
    pub(super) fn of(repository: &gix::Repository, surroundings: Surroundings) -> Self {
        let config = repository.config_snapshot();
        let on = |key: &str, default: bool| config.boolean(key).unwrap_or(default);
        let path = |key: &str| config.trusted_path(key).ok().flatten();
        let information = repository.common_dir().join("info");
        let in_user_folder = |name: &str| match surroundings {
            Surroundings::Usual => gix::path::env::xdg_config(name, &mut gix::path::env::var),
            #[cfg(test)]
            Surroundings::Bare => None,
        };
        let excludes = path("core.excludesFile").or_else(|| in_user_folder("ignore"));
        let attributes = path("core.attributesFile").or_else(|| in_user_folder("attributes"));
        Self {
            kind: repository.object_hash(),
            file_mode: on("core.fileMode", true),
            symlinks: on("core.symlinks", true),
            trust_ctime: on("core.trustctime", true),
            check_stat: config
                .string("core.checkStat")
                .is_none_or(|value| !value.eq_ignore_ascii_case(b"minimal")),
            sparse: on("core.sparseCheckout", false) && !on("sparse.expectFilesOutsideOfPatterns", false),
            case: if on("core.ignoreCase", false) {
                gix::glob::pattern::Case::Fold
            } else {
                gix::glob::pattern::Case::Sensitive
            },
            exclude_files: excludes.into_iter().chain([information.join("exclude")]).collect(),
            attribute_files: attributes.into_iter().collect(),
            own_attributes: Some(information.join("attributes")),
            drivers: drivers(&config),
        }
    }
}

/// Opens the repository whose git folder is `git_folder`.
///
/// # Errors
/// In words, when it cannot be read or holds something that is no regular file.
pub(super) fn open(git_folder: &Path, surroundings: Surroundings) -> Result<gix::Repository, String> {
    let own_config =
        read::whole(&git_folder.join("config"), LONGEST_CONFIG).map_err(|error| named("config", &error))?;
    for name in ["HEAD", "commondir", "config.worktree", "gitdir", "objects/info/alternates"] {
        read::whole(&git_folder.join(name), LONGEST_CONFIG).map_err(|error| named(name, &error))?;
    }
    // An include in a repository's own configuration may name any file, a pipe among them.
    let includes = !own_config
        .is_some_and(|content| content.to_ascii_lowercase().windows(8).any(|at| at == b"[include"));
    let usual = surroundings == Surroundings::Usual;
    let permitted = gix::open::Permissions {
        env: permissions::Environment {
            home: if usual { Permission::Allow } else { Permission::Deny },
            xdg_config_home: if usual { Permission::Allow } else { Permission::Deny },
            ..permissions::Environment::isolated()
        },
        config: permissions::Config {
            git_binary: false,
            system: usual,
            git: usual,
            user: usual,
            env: false,
            includes: includes && usual,
        },
        attributes: permissions::Attributes::isolated(),
    };
    let options = Options::isolated().permissions(permitted).with(Trust::Full).open_path_as_is(true);
    gix::open_opts(git_folder, options).map_err(|error| format!("the repository cannot be opened: {error}"))
}

fn named(file: &str, error: &std::io::Error) -> String {
    format!("the repository's {file} cannot be read: {error}")
}

fn drivers(config: &gix::config::Snapshot<'_>) -> Vec<Vec<u8>> {
    let sections = config.plumbing().sections_by_name("filter").into_iter().flatten();
    sections
        .filter(|section| {
            ["clean", "process"]
                .iter()
                .any(|key| section.value(key).is_some_and(|command| !command.is_empty()))
        })
        .filter_map(|section| section.header().subsection_name().map(|name| name.to_vec()))
        .collect()
}
