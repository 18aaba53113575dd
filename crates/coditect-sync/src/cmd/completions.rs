//! `completions`: the completions of a shell, made from the arguments themselves.

use clap::CommandFactory;
use serde_json::json;

use crate::args::Cli;
use crate::out::Answer;
use crate::problem::Failure;

pub(super) fn run(shell: clap_complete::Shell) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "coditect-sync", &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Failure::failed(format!("the completions are no text: {error}")))?;
    let document = json!({"shell": shell.to_string(), "script": script}).to_string();
    Ok(Answer::result(document.into_bytes(), script))
}
