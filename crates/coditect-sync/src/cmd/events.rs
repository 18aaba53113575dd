//! `events`: follows what happens, a line each, over restarts of the daemon too.

use std::time::Duration;

use sync_wire::{Event, EventsQuery, Heard};

use super::Context;
use crate::args::Events;
use crate::exit::Exit;
use crate::human::{Tone, View, clean};
use crate::out::{self, Answer, Reader};
use crate::problem::Failure;

/// Between two tries to reach a daemon that has gone.
const REST: Duration = Duration::from_secs(1);
/// How long to listen once there is something to hear.
const LISTEN: Duration = Duration::from_millis(100);
/// How long to sleep without looking; the daemon is heard of more often.
const NAP: Duration = Duration::from_mins(1);
/// The width of a kind in most lines.
const KIND: usize = 22;

pub(super) fn run(events: &Events, context: &Context) -> Result<Answer, Failure> {
    let daemon = context.daemon()?;
    let mut query = EventsQuery { since: events.since, follow: !events.no_follow };
    // Nobody there at the beginning is a failure; nobody there later is a restart.
    let mut stream = Some(daemon.follow(query)?);
    let mut told_gone = false;
    let mut idle = false;
    loop {
        let Some(open) = &mut stream else {
            if out::reader_after(REST) == Reader::Gone {
                return ended();
            }
            match daemon.follow(query) {
                Ok(again) => {
                    out::remark("the daemon is back");
                    (stream, told_gone, idle) = (Some(again), false, false);
                }
                Err(failure) if failure.exit == Exit::NoDaemon => {}
                Err(failure) => return Err(failure),
            }
            continue;
        };
        // What has arrived already is taken in before the socket is waited for.
        if idle && out::heard_or_reader_gone(open, NAP) == Reader::Gone {
            return ended();
        }
        let heard = open.next(LISTEN);
        query.since = open.last_id().or(query.since);
        idle = matches!(heard, Ok(Heard::Nothing));
        match heard {
            Ok(Heard::Event { event, json }) => {
                let line =
                    if context.globals.json { format!("{json}\n") } else { line(&event, context.view) };
                if out::piece(line.as_bytes()).map_err(|error| out::unwritten(&error))? == Reader::Gone {
                    return ended();
                }
            }
            Ok(Heard::Nothing) => {}
            Ok(Heard::End) if events.no_follow => return ended(),
            Err(error) if events.no_follow => return Err(cut_off(daemon.explain(error), query)),
            Ok(Heard::End) | Err(_) => {
                stream = None;
                if !told_gone {
                    out::remark(&format!("the daemon has gone{}; waiting for it", resumable(query)));
                    told_gone = true;
                }
            }
        }
    }
}

fn resumable(query: EventsQuery) -> String {
    query.since.map(|since| format!(" after event {since}")).unwrap_or_default()
}

/// A list that is not whole, which nobody is to take for one.
fn cut_off(mut failure: Failure, query: EventsQuery) -> Failure {
    failure.message = format!("the list of events is cut off{}: {}", resumable(query), failure.message);
    match query.since {
        Some(since) => {
            failure.with_hint(format!("go on with `coditect-sync events --since {since} --no-follow`"))
        }
        None => failure,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every end of a command is a result")]
fn ended() -> Result<Answer, Failure> {
    Ok(Answer::done(Vec::new(), ""))
}

/// An event for people.
fn line(event: &Event, view: View) -> String {
    let when = event.at.split_once('.').map_or(event.at.clone(), |(seconds, _)| format!("{seconds}Z"));
    let kind = format!("{:<KIND$}", clean(&event.kind));
    format!(
        "{:>6}  {}  {}  {}\n",
        event.id,
        view.paint(Tone::Faint, &clean(&when)),
        view.paint(tone(&event.kind), &kind),
        clean(&event.message)
    )
}

/// How an event is to be taken.
pub(crate) fn tone(kind: &str) -> Tone {
    match kind {
        "registration.delivered" | "cloud.online" => Tone::Good,
        "registration.dead" | "cloud.auth_required" | "cloud.forbidden" | "queue.damaged" => Tone::Bad,
        "registration.parked" | "project.missing" | sync_wire::events::GAP => Tone::Mind,
        _ if kind.starts_with("cloud.") => Tone::Mind,
        _ => Tone::Strong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_whatever_is_in_it() {
        let event = Event {
            id: 7,
            at: "2026-03-01T12:00:00.123Z".to_owned(),
            kind: "project.added".to_owned(),
            local_project_uuid: None,
            message: "/home/a\u{1b}[2J\nb".to_owned(),
            missed: None,
        };
        assert_eq!(
            line(&event, View::default()),
            "     7  2026-03-01T12:00:00Z  project.added           /home/a\\u{1b}[2J\\nb\n"
        );
    }
}
