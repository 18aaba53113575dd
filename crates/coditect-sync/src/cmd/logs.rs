//! `logs`: the end of the daemon's log, and what is added to it.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::json;

use sync_wire::Call;

use super::Context;
use crate::absent;
use crate::args::Logs;
use crate::exit::Exit;
use crate::human::clean;
use crate::out::{self, Answer, Reader};
use crate::problem::Failure;
use crate::tail::{End, MOST, Position, files, last_lines};

/// Between two looks at a log that is followed: not busy, and still at once for whoever watches.
const NAP: Duration = Duration::from_millis(250);

pub(super) fn run(logs: &Logs, context: &Context) -> Result<Answer, Failure> {
    let folder = context.places()?.logs;
    if logs.follow && context.globals.json {
        return Err(Failure::new(
            Exit::Usage,
            "usage",
            "a log that is followed has no end, and `--json` writes one document",
        )
        .with_hint("leave out one of `--follow` and `--json`"));
    }
    let unread = |error: std::io::Error| {
        Failure::failed(format!("cannot read the log in `{}`: {error}", folder.display()))
            .with_hint("check the folder's owner and permissions")
    };
    let files = files(&folder).map_err(unread)?;
    if files.is_empty() {
        return Err(missing(context)?);
    }
    let End { text, position, cut } = last_lines(&files, logs.lines).map_err(unread)?;
    if logs.follow {
        follow(&text, position, context, |position| position.more(&folder).map_err(unread))?;
        return Ok(Answer::done(Vec::new(), ""));
    }
    let lines: Vec<Cow<'_, str>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line.trim_ascii_end()))
        .collect();
    let document = json!({"folder": folder.to_string_lossy(), "lines": lines}).to_string();
    let answer = Answer::result(document.into_bytes(), shown(&text, context));
    Ok(if cut {
        answer
            .with_note(format!("these are the last {} MiB; what is before them is in the files", MOST >> 20))
    } else {
        answer
    })
}

/// Why there is nothing to show: a daemon has a log from its first moment on.
fn missing(context: &Context) -> Result<Failure, Failure> {
    let places = context.places()?;
    let folder = places.logs.display();
    // The lock may have gone with the log, and a daemon that still answers has none either.
    let runs = absent::is_locked(&places) || context.daemon()?.ask(&Call::status()).is_ok();
    let (message, hint) = if runs {
        (
            format!("there is no log in `{folder}`, but a daemon runs: its log was removed under it"),
            "it begins a new one with the next line it writes; where it cannot, `coditect-sync status` says why",
        )
    } else {
        (
            format!(
                "there is no log in `{folder}`: no daemon has run with this state directory, or its log was removed"
            ),
            "start one with `coditect-sync service install`, or name its `--state-dir`",
        )
    };
    Ok(Failure::new(Exit::NotFound, "not_found", message).with_hint(hint))
}

/// Writes what is there and what is added, until nobody reads any more.
fn follow(
    text: &[u8],
    mut position: Position,
    context: &Context,
    more: impl Fn(&mut Position) -> Result<Vec<u8>, Failure>,
) -> Result<(), Failure> {
    let write =
        |text: &[u8]| out::piece(shown(text, context).as_bytes()).map_err(|error| out::unwritten(&error));
    let mut reader = write(text)?;
    while reader == Reader::There {
        let more = more(&mut position)?;
        reader = if more.is_empty() { out::reader_after(NAP) } else { write(&more)? };
    }
    Ok(())
}

/// The log's text; at a terminal nothing in it moves the cursor.
fn shown<'a>(text: &'a [u8], context: &Context) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(text);
    if context.view.width.is_none() || !text.chars().any(|letter| letter.is_control() && letter != '\n') {
        return text;
    }
    Cow::Owned(text.split('\n').map(clean).collect::<Vec<_>>().join("\n"))
}
