//! The daemon as a program: arguments, runtime, life, exit code.

use std::process::ExitCode;

use clap::Parser;
use coditect_syncd::{Args, Fatal, run};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return Fatal::usage(&error),
    };
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => fatal.report(),
    }
}
