//! `completions`: what a shell is told so that it asks this program while somebody types.

use clap_complete::Shell;
use serde_json::json;

use crate::exit::Exit;
use crate::out::Answer;
use crate::problem::Failure;
use crate::shells::SHELLS;

/// The variable by which a shell asks.
pub(crate) const VARIABLE: &str = "CODITECT_SYNC_COMPLETE";
const NAME: &str = "coditect-sync";

pub(super) fn run(shell: Shell) -> Result<Answer, Failure> {
    let Some(completer) = SHELLS.completer(&shell.to_string()) else {
        return Err(Failure::new(Exit::Usage, "usage", format!("there are no completions for {shell}")));
    };
    let mut script = Vec::new();
    // Found by name on the search path, so that the script outlives an update of the program.
    completer
        .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
        .map_err(|error| Failure::failed(format!("cannot make the completions: {error}")))?;
    let script = String::from_utf8(script)
        .map_err(|error| Failure::failed(format!("the completions are no text: {error}")))?;
    let document = json!({"shell": shell.to_string(), "script": script}).to_string();
    Ok(Answer::result(document.into_bytes(), script))
}
