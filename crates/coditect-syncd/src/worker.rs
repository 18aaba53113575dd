//! This program as a worker that examines projects for the daemon, and how the daemon starts it.
//!
//! Knows nothing of the daemon's life: no configuration, no log, no socket, no database.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sync_config::{Config, Environment, Places, Sandbox as Setting, read_environment};
use sync_scan::{ServeError, Worker};

use crate::{chain, process, sandbox};

/// The argument that makes this program a worker; not for people, so it is not among the flags.
const ARGUMENT: &str = "--worker";

/// A whole life as a worker, where the arguments say so. It writes nowhere but into the folder that is named after that, and
/// where one is named it has no TCP.
pub fn work() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let folder = arguments.next().map(PathBuf::from);
    if read_environment().variable(process::DUMPABLE).is_none()
        && let Err(error) = process::keep_private()
    {
        tracing::debug!(%error, "core files of a worker cannot be prevented");
    }
    process::call("syncd-worker");
    process::end_with_parent();
    if let Some(folder) = folder
        && let Err(why) = confine(&folder)
    {
        tracing::debug!(why, "the worker is not confined, or has nowhere to write to");
    }
    Some(match sync_scan::serve(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // The daemon wants no answer any more.
        Err(ServeError::Speak(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(io::stderr(), "coditect-syncd, as a worker: {}", chain(&error));
            // Where nobody hears it, the code still says it.
            if told.is_ok() { ExitCode::FAILURE } else { ExitCode::from(2) }
        }
    })
}

/// What holds it, in words where nothing does. Where there is no such folder and none can be made, it writes nowhere.
fn confine(folder: &Path) -> Result<u8, String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let confined = sandbox::confine_worker(folder);
    made.map_err(|error| format!("make `{}`: {error}", folder.display())).and(confined)
}

/// Where what examinations found out is kept.
pub(crate) fn shelf(places: &Places) -> PathBuf {
    places.state_dir.join("looks")
}

/// How the daemon starts one.
pub(crate) fn worker(environment: &Environment, places: &Places, config: &Config) -> Option<Worker> {
    let gets = environment.variables.iter().filter(|(name, _)| gets(name));
    let mut arguments = vec![OsString::from(ARGUMENT)];
    if config.sync_daemon.sandbox != Setting::Off {
        arguments.push(shelf(places).into());
    }
    // The very file that runs here, also where another one has its name by now.
    let itself = PathBuf::from("/proc/self/exe");
    let program = if itself.exists() { Some(itself) } else { std::env::current_exe().ok() };
    Some(Worker {
        program: program?,
        name: OsString::from("coditect-syncd"),
        arguments,
        environment: gets.map(|(name, value)| (OsString::from(name), value.clone())).collect(),
    })
}

/// Whether a worker gets the variable: where the user's git configuration is, and what is for looking into it.
fn gets(variable: &str) -> bool {
    ["HOME", "XDG_CONFIG_HOME", "LANG", "RUST_BACKTRACE", process::DUMPABLE].contains(&variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_what_git_goes_by_and_no_secret() {
        for name in ["HOME", "XDG_CONFIG_HOME"] {
            assert!(gets(name), "{name}");
        }
        for name in [
            "CODITECT_SYNC__CLOUD_SYNC__AUTH_TOKEN",
            "HTTPS_PROXY",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "GIT_CONFIG_VALUE_0",
            "HOM",
        ] {
            assert!(!gets(name), "{name}");
        }
    }
}
