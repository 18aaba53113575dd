//! `pause`, `resume`, `reload` and `stop`: a word to the daemon as a whole.

use std::time::Duration;

use serde_json::json;
use sync_wire::{Call, PauseRequest, ReloadAnswer};

use super::{Context, config, millis};
use crate::args::Pause;
use crate::clock;
use crate::exit::Exit;
use crate::human::{clean, span};
use crate::out::{self, Answer};
use crate::problem::Failure;

/// Between two looks at a daemon that is stopping.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a daemon that is stopping is looked at; more than its grace is by default.
const LONGEST_STOP: Duration = Duration::from_secs(20);

pub(super) fn pause(pause: &Pause, context: &Context) -> Result<Answer, Failure> {
    let request = PauseRequest { for_ms: millis(pause.length), reason: pause.reason.clone() };
    let text = match pause.length {
        Some(length) => format!(
            "paused: nothing is sent for {}, or until `coditect-sync resume`",
            span(length.as_secs().max(1))
        ),
        None => "paused: nothing is sent until `coditect-sync resume`".to_owned(),
    };
    told(context, &Call::pause(&request), &text)
}

pub(super) fn resume(context: &Context) -> Result<Answer, Failure> {
    told(context, &Call::resume(), "resumed")
}

pub(super) fn reload(context: &Context) -> Result<Answer, Failure> {
    let places = context.places()?;
    // What is wrong here names file and key for each, but the daemon has to know of it too: it tells it to others.
    let here = config::load(&places.config_file, context).err();
    let asked = context.daemon().and_then(|mut daemon| daemon.ask_for::<ReloadAnswer>(&Call::reload()));
    let (answer, document) = match asked {
        Ok(answered) => answered,
        Err(refused) => return Err(here.unwrap_or(refused)),
    };
    let mut lines = vec!["the daemon has read its configuration again".to_owned()];
    lines.extend(answer.warnings.iter().map(|warning| clean(warning).into_owned()));
    let answer = Answer::done(document, lines.join("\n"));
    // It has another file, or another environment.
    Ok(match here {
        Some(here) => answer.with_note(format!("as this command reads it: {}", here.message)),
        None => answer,
    })
}

pub(super) fn stop(context: &Context) -> Result<Answer, Failure> {
    let mut daemon = context.daemon()?;
    let mut told = daemon.tell_to_stop()?;
    if !told && context.globals.verbose && !context.globals.json {
        out::remark("nobody listens on the socket, and the lock is held: its end is waited for");
    }
    let deadline = clock::moment() + LONGEST_STOP;
    let mut gone = daemon.has_gone();
    while !gone && clock::moment() < deadline {
        std::thread::sleep(PAUSE);
        gone = daemon.has_gone();
        if !told && !gone {
            // It may end in between; then the next look finds that it has gone.
            told = daemon.tell_to_stop().unwrap_or_default();
        }
    }
    Ok(told_to_stop(gone, told))
}

/// What became of a daemon that was told to stop, or could not be told.
fn told_to_stop(gone: bool, told: bool) -> Answer {
    let document = json!({"stopped": gone}).to_string().into_bytes();
    if gone {
        return Answer::done(document, "the daemon has stopped");
    }
    let why = if told {
        "it ends what it is sending"
    } else {
        "it was told before and ends what it is sending, or its socket does not come back"
    };
    let text = format!("the daemon still runs after {}: {why}", span(LONGEST_STOP.as_secs()));
    Answer::done(document, text)
        .ending(Exit::Queued)
        .with_note("see what it does with `coditect-sync logs --follow`".to_owned())
}

fn told(context: &Context, call: &Call, text: &str) -> Result<Answer, Failure> {
    let response = context.daemon()?.ask(call)?;
    Ok(Answer::done(document(response.body), text))
}

/// What the daemon answered, or that it is done where it had nothing to say.
fn document(body: Vec<u8>) -> Vec<u8> {
    if body.is_empty() { json!({"done": true}).to_string().into_bytes() } else { body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Text;

    #[test]
    fn a_daemon_that_still_runs_is_not_taken_for_one_that_has_stopped() {
        for (gone, told, exit, document, why) in [
            (true, true, Exit::Done, r#"{"stopped":true}"#, ""),
            (true, false, Exit::Done, r#"{"stopped":true}"#, ""),
            (false, true, Exit::Queued, r#"{"stopped":false}"#, "it ends what it is sending"),
            (false, false, Exit::Queued, r#"{"stopped":false}"#, "it was told before"),
        ] {
            let answer = told_to_stop(gone, told);
            assert_eq!((answer.exit, answer.document.as_slice()), (exit, document.as_bytes()));
            let Text::Confirmation(text) = answer.text else { panic!("{gone} {told}: a result") };
            assert!(text.contains(why), "{text}");
        }
    }
}
