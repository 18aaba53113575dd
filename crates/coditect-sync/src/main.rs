//! The command line of coditect-sync: asks the daemon over its socket and shows the answer.
//!
//! Opens no database and speaks to no cloud; links no async runtime, so that it starts in a few milliseconds.

mod absent;
mod args;
mod clock;
mod cmd;
mod complete;
mod daemon;
mod doctor;
mod exit;
mod human;
mod out;
mod problem;
mod programs;
mod progress;
mod screen;
mod service;
mod shells;
mod table;
mod tail;
mod terminal;
mod top;
mod width;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(complete::command)
        .var(cmd::COMPLETE_VARIABLE)
        .shells(shells::SHELLS)
        .complete();
    let environment = sync_config::read_environment();
    match args::Cli::try_parse() {
        Ok(cli) => {
            let out = out::Out::new(&cli.globals, &environment);
            let context =
                cmd::Context { environment, globals: cli.globals, now: clock::now(), view: out.view };
            out.conclude(&cmd::run(&cli.command, &context)).into()
        }
        Err(usage) => out::usage(&usage).into(),
    }
}
