//! The arguments as they are typed; their doc comments are the help.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use serde::de::DeserializeOwned;
use sync_wire::{Goal, ItemState, ProjectState, ProjectType};
use uuid::Uuid;

use crate::complete;
use crate::exit;

/// Registers the projects of this machine with the cloud, through the daemon `coditect-syncd`.
#[derive(Debug, Parser)]
#[command(name = "coditect-sync", version, after_help = exit::TABLE)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Taken by every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Write one JSON document to the standard output and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The daemon's socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help = "The daemon's socket [default: $CODITECT_SYNC_SOCKET, else sync.sock in the state directory]"
    )]
    pub(crate) socket: Option<PathBuf>,
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "The configuration file [default: $CODITECT_CONFIG, else ~/.coditect/config/config.json]"
    )]
    pub(crate) config: Option<PathBuf>,
    /// The state directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "The state directory [default: $CODITECT_SYNC_STATE_DIR, else the platform's]"
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// How long connecting and the beginning of an answer may take
    #[arg(long, global = true, value_name = "DUR", value_parser = patience, default_value = "2s")]
    pub(crate) timeout: Duration,
    /// Say nothing about what was done; results and failures are still shown
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more, and say which socket is used
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how everything stands, on one screen, and what to do about it
    Status,
    /// Register a project with the cloud
    Register(Box<Register>),
    /// Print the cloud's UUID of a project
    Resolve(Resolve),
    /// Show the projects that are known
    #[command(args_conflicts_with_subcommands = true)]
    Projects(Projects),
    /// Look at and work on what waits to be sent
    Queue(Queue),
    /// Look for projects now
    Scan(Scan),
    /// Show what is or would be registered for a path, and what every field is told by
    Inspect(Inspect),
    /// Take over the Python client's databases now
    Import(Import),
    /// Send nothing until `resume`, or for a while
    Pause(Pause),
    /// Send again after `pause`
    Resume,
    /// Wait until the daemon is ready, all is sent, or a project is registered
    Wait(Wait),
    /// Make the daemon read its configuration again
    Reload,
    /// Stop the daemon
    Stop,
    /// Have the daemon started with the session, as a service of this user
    Service(Service),
    /// Look for everything that may be wrong, and say how to mend it
    Doctor,
    /// Follow what happens, a line each
    #[command(after_help = EVENTS_JSON)]
    Events(Events),
    /// Watch it all live on the whole screen, with keys to send, pause and scan
    Top,
    /// Show the end of the daemon's log
    Logs(Logs),
    /// Look at and make the configuration file
    Config(Config),
    /// The credential that is shown to the cloud
    Auth(Auth),
    /// Print the manual page, or write those of all commands
    Man(Man),
    /// Print what a shell needs to complete commands, projects and entries
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `register`
#[derive(Args, Debug)]
pub(crate) struct Register {
    /// The project's folder
    #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
    pub(crate) path: PathBuf,
    /// Its UUID on this machine [default: the known one, else made from machine and path]
    #[arg(long, value_name = "UUID")]
    pub(crate) uuid: Option<Uuid>,
    /// Its name [default: from its manifest, else the folder's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Its main language [default: found out]
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// Its framework [default: found out]
    #[arg(long)]
    pub(crate) framework: Option<String>,
    /// standalone, submodule or monorepo [default: found out]
    #[arg(long = "type", value_name = "TYPE", value_parser = word::<ProjectType>, add = ArgValueCandidates::new(complete::project_types))]
    pub(crate) project_type: Option<ProjectType>,
    /// UUID of the project that encloses it [default: found out]
    #[arg(long, value_name = "UUID")]
    pub(crate) parent: Option<Uuid>,
    /// Hash of its content [default: found out]
    #[arg(long, value_name = "HASH")]
    pub(crate) content_hash: Option<String>,
    /// Find out again what was given earlier and is not now: name, language, framework, type, parent
    #[arg(long)]
    pub(crate) detected: bool,
    /// Send it even if the cloud has it as it is
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait until the cloud has it, at most this long [default with the flag alone: 30s]
    #[arg(long, value_name = "DUR", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = wait)]
    pub(crate) wait: Option<Duration>,
}

/// `resolve`
#[derive(Args, Debug)]
pub(crate) struct Resolve {
    /// The project's UUID on this machine, or a path in it
    #[arg(value_name = "UUID_OR_PATH", add = ArgValueCompleter::new(complete::projects))]
    pub(crate) subject: PathBuf,
    /// Ask the cloud even if the answer is known
    #[arg(long)]
    pub(crate) refresh: bool,
}

/// `projects`
#[derive(Args, Debug)]
pub(crate) struct Projects {
    #[command(subcommand)]
    pub(crate) command: Option<ProjectsCommand>,
    #[command(flatten)]
    pub(crate) list: ProjectsList,
}

/// `projects …`
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectsCommand {
    /// List them, by path
    List(ProjectsList),
    /// Show all that is known of one
    Show {
        /// The project's UUID on this machine, or a path in it
        #[arg(value_name = "UUID_OR_PATH", add = ArgValueCompleter::new(complete::projects))]
        subject: PathBuf,
    },
}

/// `projects list`
#[derive(Args, Clone, Debug)]
pub(crate) struct ProjectsList {
    /// Only those that are registered, pending, missing or rejected
    #[arg(long, value_parser = word::<ProjectState>, add = ArgValueCandidates::new(complete::project_states))]
    pub(crate) state: Option<ProjectState>,
    /// Only those that are standalone, submodule or monorepo
    #[arg(long = "type", value_name = "TYPE", value_parser = word::<ProjectType>, add = ArgValueCandidates::new(complete::project_types))]
    pub(crate) project_type: Option<ProjectType>,
    /// Only those in this language
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
}

/// `queue`
#[derive(Args, Debug)]
pub(crate) struct Queue {
    #[command(subcommand)]
    pub(crate) command: Option<QueueCommand>,
}

/// `queue …`
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Count what waits (this is the default)
    Status,
    /// List the entries, oldest first
    List {
        /// Only those that are ready, delayed, `in_flight`, parked or dead
        #[arg(
            long,
            value_parser = word::<ItemState>,
            add = ArgValueCandidates::new(complete::entry_states),
            help = "Only those that are ready, delayed, in_flight, parked or dead"
        )]
        state: Option<ItemState>,
        /// At most this many
        #[arg(long, value_name = "N")]
        limit: Option<NonZeroUsize>,
    },
    /// Show all that is known of one entry
    Show {
        /// Its number
        #[arg(add = ArgValueCompleter::new(complete::entries))]
        id: i64,
    },
    /// Try entries again now, also dead ones
    Retry {
        /// Their numbers
        #[arg(value_name = "ID", required_unless_present = "dead", add = ArgValueCompleter::new(complete::entries))]
        ids: Vec<i64>,
        /// All dead ones
        #[arg(long, conflicts_with = "ids")]
        dead: bool,
    },
    /// Drop entries: what they hold is not sent
    Drop {
        /// Their numbers
        #[arg(value_name = "ID", required = true, add = ArgValueCompleter::new(complete::entries))]
        ids: Vec<i64>,
    },
    /// Send all that waits now, whatever the pauses say
    Flush {
        /// Wait until all is sent, at most this long [default with the flag alone: 1m]
        #[arg(long, value_name = "DUR", num_args = 0..=1, require_equals = true, default_missing_value = "1m", value_parser = wait)]
        wait: Option<Duration>,
    },
}

/// `scan`
#[derive(Args, Debug)]
pub(crate) struct Scan {
    /// Where to look [default: the configured roots]
    #[arg(value_hint = clap::ValueHint::DirPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Wait for the end of it, at most this long [default with the flag alone: 5m]
    #[arg(long, value_name = "DUR", num_args = 0..=1, require_equals = true, default_missing_value = "5m", value_parser = wait)]
    pub(crate) wait: Option<Duration>,
}

/// `inspect`
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A project, a path in one, or a folder of projects
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
}

/// `import`
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The folder the databases are in, or the data folder above it [default: this machine's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

/// `pause`
#[derive(Args, Debug)]
pub(crate) struct Pause {
    /// Go on by itself after this long [default: not before `resume`]
    #[arg(long = "for", value_name = "DUR", value_parser = patience)]
    pub(crate) length: Option<Duration>,
    /// Why, for whoever looks at the status
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `wait`
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// What for: ready (the daemon answers), idle (nothing waits to be sent), or registered (the cloud has a project)
    #[arg(long = "for", value_name = "WHAT", value_parser = word::<Goal>, add = ArgValueCandidates::new(complete::goals))]
    pub(crate) goal: Goal,
    /// The project, or a path in it, for `registered` [default: the current folder]
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    pub(crate) path: Option<PathBuf>,
    /// For how long
    #[arg(long, value_name = "DUR", default_value = "1m", value_parser = duration)]
    pub(crate) within: Duration,
}

/// `service`
#[derive(Args, Debug)]
pub(crate) struct Service {
    #[command(subcommand)]
    pub(crate) command: ServiceCommand,
}

/// `service …`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write the service's file, start the daemon, and see that it answers
    Install(ServiceInstall),
    /// Stop the daemon and remove the service's file; the data stays
    Uninstall(ServiceFiles),
    /// Start the daemon and see that it answers
    Start(ServiceRun),
    /// Stop the daemon; it is started again with the next session
    Stop(ServiceRun),
    /// Stop the daemon, start it, and see that it answers
    Restart(ServiceRun),
    /// Show how the service stands
    Status,
}

/// `service install`
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ServiceInstall {
    #[command(flatten)]
    pub(crate) files: ServiceFiles,
    /// Start the daemon when somebody first asks it, not with the session (systemd)
    #[arg(long)]
    pub(crate) socket_activated: bool,
}

/// What is done to files of the service manager.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ServiceFiles {
    #[command(flatten)]
    pub(crate) run: ServiceRun,
    /// Also where a file was edited or written by somebody else; it is kept beside as .bak
    #[arg(long)]
    pub(crate) force: bool,
}

/// What is said to the service manager.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ServiceRun {
    /// Show every file that would be written and every command that would be run, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How `events` differs from the other commands.
const EVENTS_JSON: &str = "With --json every event is a JSON document on a line of its own. Where events are missing, one of \
                           the kind `gap` says which.";

/// `events`
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Begin after the event of this number; 0 begins with the oldest that is kept [default: what happens next]
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) since: Option<i64>,
    /// Show what is known and end
    #[arg(long, requires = "since")]
    pub(crate) no_follow: bool,
}

/// How the completions are used.
const COMPLETIONS: &str = "\
bash:  echo 'source <(coditect-sync completions bash)' >> ~/.bashrc
zsh:   echo 'source <(coditect-sync completions zsh)' >> ~/.zshrc
fish:  echo 'coditect-sync completions fish | source' >> ~/.config/fish/config.fish";

/// `man`
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// `logs`
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Go on with what is added, also in the next day's file; it is looked for four times a second
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub(crate) lines: usize,
}

/// `config`
#[derive(Args, Debug)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// `config …`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print where the file is
    Path,
    /// Show the effective values and where each came from; secrets are hidden
    Show,
    /// Say all that is wrong with it
    Check,
    /// Make a file to begin with, where there is none
    Init,
}

/// `auth`
#[derive(Args, Debug)]
pub(crate) struct Auth {
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

/// `auth …`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Say where the credential comes from and whether the cloud takes it
    Status,
    /// Read a token from the standard input and store it, for this user's eyes only
    SetToken,
}

/// Reads a word of the daemon's documents.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// Reads a duration as the configuration has them.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let length = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
    // A day is more than anybody waits for, and leaves room for arithmetic.
    match millis {
        Some(millis) if length > 0 && millis <= 24 * 3_600_000 => Ok(Duration::from_millis(millis)),
        Some(_) | None => {
            Err("a duration is a whole number and one of ms, s, m, h, such as 30s, and at most 24h"
                .to_owned())
        }
    }
}

/// Reads how long the daemon is to wait.
fn wait(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_mins(10);
    match duration(text)? {
        short if short <= LONGEST => Ok(short),
        _ => Err("the daemon waits 10m at most".to_owned()),
    }
}

/// Reads a duration in which something can happen.
fn patience(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("nothing answers in no time".to_owned()),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_in_order() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("2s", Some(2_000)),
            ("0s", Some(0)),
            ("3m", Some(180_000)),
            ("24h", Some(86_400_000)),
            ("25h", None),
            ("2", None),
            ("s", None),
            ("", None),
            ("2d", None),
            ("2 s", None),
            ("-2s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
        assert!(patience("0ms").is_err() && patience("1ms").is_ok());
        assert!(wait("11m").is_err() && wait("10m").is_ok() && wait("0s").is_ok());
    }
}
