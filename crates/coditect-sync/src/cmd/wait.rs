//! `wait`: until the daemon is ready, nothing waits to be sent, or a project is registered.

use std::path::Path;
use std::time::Duration;

use sync_wire::{Call, Goal, WaitAnswer};

use super::Context;
use crate::args::Wait;
use crate::clock;
use crate::daemon::sent_path;
use crate::exit::Exit;
use crate::human::{clean, span};
use crate::out::Answer;
use crate::problem::Failure;

/// For how long the daemon is asked at once: one that was started anew meanwhile is asked again.
const LONGEST_QUESTION: Duration = Duration::from_secs(2);

/// Between two looks for a daemon that is not there yet.
const NAP: Duration = Duration::from_millis(50);

pub(super) fn run(wait: &Wait, context: &Context) -> Result<Answer, Failure> {
    let path = match (wait.goal, &wait.path) {
        (Goal::Registered, path) => Some(sent_path(path.as_deref().unwrap_or(Path::new(".")))?),
        (Goal::Ready | Goal::Idle, None) => None,
        (Goal::Ready | Goal::Idle, Some(_)) => {
            return Err(Failure::new(Exit::Usage, "usage", "a path belongs to `--for registered` alone"));
        }
    };
    let deadline = clock::moment() + wait.within;
    let mut daemon = context.daemon()?;
    loop {
        let left = deadline.saturating_duration_since(clock::moment());
        let slice = u64::try_from(left.min(LONGEST_QUESTION).as_millis()).unwrap_or(u64::MAX);
        match daemon.ask_for::<WaitAnswer>(&Call::wait(wait.goal, path.as_deref(), slice)) {
            Ok((WaitAnswer { reached: true, .. }, document)) => {
                return Ok(Answer::done(document, reached(wait.goal, path.as_deref())));
            }
            Ok((answer, document)) if left.is_zero() => return Ok(in_vain(wait, &answer, document)),
            Ok(_) => {}
            Err(failure) if failure.exit != Exit::NoDaemon || left.is_zero() => return Err(failure),
            Err(_) => std::thread::sleep(NAP.min(left)),
        }
    }
}

fn reached(goal: Goal, path: Option<&Path>) -> String {
    match (goal, path) {
        (Goal::Ready, _) => "the daemon is ready".to_owned(),
        (Goal::Idle, _) => "nothing waits to be sent".to_owned(),
        (Goal::Registered, Some(path)) => clean(&format!("`{}` is registered", path.display())).into_owned(),
        (Goal::Registered, None) => "it is registered".to_owned(),
    }
}

fn in_vain(wait: &Wait, answer: &WaitAnswer, document: Vec<u8>) -> Answer {
    let why = answer.why.as_deref().unwrap_or("the daemon does not say why");
    let text = format!("not {} within {}: {}", wait.goal.as_str(), span(wait.within.as_secs()), clean(why));
    Answer::done(document, text)
        .ending(Exit::Queued)
        .with_note("see what is in the way with `coditect-sync status`".to_owned())
}
