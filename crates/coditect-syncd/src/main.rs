//! The daemon as a program: arguments, runtime, life, exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use coditect_syncd::{Args, Fatal, Respite, run, work};

fn main() -> ExitCode {
    if let Some(code) = work() {
        return code;
    }
    let respite = Respite::begin();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return Fatal::usage(&error),
    };
    // Some libraries panic where the system gives them no thread or no descriptor; the exit code is to be one of ours.
    let lived = catch_unwind(AssertUnwindSafe(|| run(args)));
    match lived.unwrap_or_else(|panic| Err(Fatal::panicked(&*panic))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            let code = fatal.report();
            respite.after(&fatal);
            code
        }
    }
}
