//! The commands: each asks the daemon or looks at the configuration, and returns an answer; none writes.

mod admin;
mod auth;
mod completions;
mod config;
mod doctor;
mod events;
mod import;
mod inspect;
mod logs;
mod man;
mod project;
mod projects;
mod queue;
mod register;
mod resolve;
mod scan;
mod service;
mod status;
mod top;
mod wait;

pub(crate) use completions::VARIABLE as COMPLETE_VARIABLE;
pub(crate) use events::tone as tone_of_event;

use std::time::Duration;

use sync_config::{Environment, PlaceFlags, Places};
use time::OffsetDateTime;

use crate::args::{Command, Globals};
use crate::daemon::Daemon;
use crate::human::View;
use crate::out::{self, Answer};
use crate::problem::Failure;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// What the process was told by its surroundings.
    pub(crate) environment: Environment,
    /// The options of every command.
    pub(crate) globals: Globals,
    /// The present moment.
    pub(crate) now: OffsetDateTime,
    /// What the reader can see.
    pub(crate) view: View,
}

impl Context {
    /// Where everything is.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        let Globals { config, state_dir, socket, .. } = &self.globals;
        let flags =
            PlaceFlags { config: config.clone(), state_dir: state_dir.clone(), socket: socket.clone() };
        self.environment.places(&flags).map_err(|problem| Failure::configuration(&[problem]))
    }

    /// The daemon, which is not asked yet.
    pub(crate) fn daemon(&self) -> Result<Daemon, Failure> {
        let places = self.places()?;
        if self.globals.verbose && !self.globals.json {
            out::remark(&format!("socket: {}", places.socket.display()));
        }
        Ok(Daemon::new(places, self.globals.timeout))
    }
}

/// Does what was asked for.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, Failure> {
    match command {
        Command::Status => status::run(context),
        Command::Register(register) => register::run(register, context),
        Command::Resolve(resolve) => resolve::run(resolve, context),
        Command::Projects(projects) => projects::run(projects, context),
        Command::Queue(queue) => queue::run(queue, context),
        Command::Import(import) => import::run(import, context),
        Command::Scan(scan) => scan::run(scan, context),
        Command::Inspect(inspect) => inspect::run(inspect, context),
        Command::Pause(pause) => admin::pause(pause, context),
        Command::Wait(wait) => wait::run(wait, context),
        Command::Resume => admin::resume(context),
        Command::Reload => admin::reload(context),
        Command::Stop => admin::stop(context),
        Command::Service(service) => service::run(service.command, context),
        Command::Doctor => doctor::run(context),
        Command::Events(events) => events::run(events, context),
        Command::Top => top::run(context),
        Command::Logs(logs) => logs::run(logs, context),
        Command::Config(config) => config::run(config.command, context),
        Command::Auth(auth) => auth::run(auth.command, context),
        Command::Man(man) => man::run(man),
        Command::Completions { shell } => completions::run(*shell),
    }
}

/// A wait as the daemon is told it.
fn millis(wait: Option<Duration>) -> Option<u64> {
    wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// How many to ask the daemon for when so many are left to be had; nothing where it may give whole pages.
fn page_limit(left: usize) -> Option<u32> {
    /// Less than the daemon gives at once.
    const PAGE: u32 = 100;
    u32::try_from(left).ok().filter(|left| *left < PAGE)
}
