//! `top`: the daemon live on the whole screen, with keys.
//!
//! Asks once a second and listens to what happens in between. A daemon that goes away is waited for.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use sync_wire::{
    Call, EventStream, EventsQuery, FlushAnswer, FlushRequest, Heard, PauseAnswer, PauseRequest, ScanAnswer,
    ScanRequest, Status,
};

use super::Context;
use crate::clock;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::human::count;
use crate::out::Answer;
use crate::problem::Failure;
use crate::screen::{Screen, Woken, is_there};
use crate::top::{Board, Canvas, Key, frame, keys};

/// How often the daemon is asked.
const SECOND: Duration = Duration::from_secs(1);
/// How long a screen is not drawn again though more happens.
const BREATH: Duration = Duration::from_millis(100);

pub(super) fn run(context: &Context) -> Result<Answer, Failure> {
    if context.globals.json {
        return Err(Failure::new(Exit::Usage, "usage", "`top` is a picture, and `--json` writes a document")
            .with_hint("use `coditect-sync status --json` or `coditect-sync events --json`"));
    }
    if !is_there() || context.environment.variable("TERM").is_none_or(|term| term == "dumb") {
        return Err(Failure::new(Exit::Usage, "usage", "`top` needs a terminal that can move its cursor")
            .with_hint("use `coditect-sync status`, or `watch coditect-sync status`"));
    }
    let mut daemon = context.daemon()?;
    // Nobody there at the beginning is said in the usual way; later it is waited for.
    let mut board = Board::default();
    board.tick(Ok(daemon.ask_for::<Status>(&Call::status())?.0));
    let lost = |error: io::Error| Failure::failed(format!("cannot use the terminal: {error}"));
    let mut screen = Screen::take().map_err(lost)?;
    let shown = show(&mut screen, &mut board, &mut daemon, context);
    drop(screen);
    shown.map_err(lost)?;
    Ok(Answer::done(Vec::new(), ""))
}

fn show(screen: &mut Screen, board: &mut Board, daemon: &mut Daemon, context: &Context) -> io::Result<()> {
    let unicode = knows_unicode(context);
    let mut stream: Option<EventStream> = None;
    let mut since = history(daemon, board);
    let mut tick = clock::moment() + SECOND;
    let mut drawn_at = None::<Instant>;
    loop {
        if stream.is_none() && board.is_reached() {
            stream = daemon.follow(EventsQuery { since, follow: true }).ok();
        }
        listen(&mut stream, board, &mut since);
        let now = clock::moment();
        if now >= tick {
            tick = now + SECOND;
            board.tick(
                daemon
                    .ask_for::<Status>(&Call::status())
                    .map(|(status, _)| status)
                    .map_err(|why| why.message),
            );
        }
        if drawn_at.is_none_or(|at| now.saturating_duration_since(at) >= BREATH) {
            let (width, height) = screen.size();
            let canvas = Canvas { width, height, unicode, view: context.view, now: clock::now() };
            screen.draw(&frame(board, canvas))?;
            drawn_at = Some(now);
        }
        let rest = tick.saturating_duration_since(clock::moment()).max(Duration::from_millis(1));
        // A stream that never rests is looked at once a breath.
        let source = stream.as_ref().map(|stream| stream as &dyn AsFd);
        let typed = match screen.wait(source, rest)? {
            Woken::Ended => return Ok(()),
            Woken::Other => continue,
            Woken::Typed(bytes) => bytes,
        };
        for key in keys(&typed) {
            match key {
                Key::Quit => return Ok(()),
                Key::Redraw => screen.clear(),
                Key::Suspend => {
                    screen.suspend()?;
                    screen.clear();
                }
                Key::Flush | Key::Pause | Key::Scan => {
                    board.say(done(key, board.is_paused(), daemon));
                    // The same key may mean the opposite from here on.
                    if let Ok((status, _)) = daemon.ask_for::<Status>(&Call::status()) {
                        board.refresh(status);
                    }
                }
            }
            drawn_at = None;
        }
    }
}

/// Where to begin, so that the last things that happened are seen at once.
fn history(daemon: &Daemon, board: &mut Board) -> Option<i64> {
    const SHOWN: i64 = 100;
    let mut stream = daemon.follow(EventsQuery { since: None, follow: false }).ok()?;
    // The first thing that is said is the number of the last event, and after it the stream ends.
    while matches!(stream.next(SECOND), Ok(Heard::Event { .. })) {}
    let last = stream.last_id()?;
    board.begin_after(last);
    Some(last.saturating_sub(SHOWN).max(0))
}

/// Takes in what has happened; a stream that ended is opened again later, after the last number.
fn listen(stream: &mut Option<EventStream>, board: &mut Board, since: &mut Option<i64>) {
    /// So many at a time, so that keys are seen in between.
    const MOST: usize = 1_000;
    let Some(open) = stream else { return };
    for _ in 0..MOST {
        let heard = open.next(Duration::ZERO);
        *since = open.last_id().or(*since);
        match heard {
            Ok(Heard::Event { event, .. }) => board.happened(event),
            Ok(Heard::Nothing) => return,
            Ok(Heard::End) | Err(_) => {
                *stream = None;
                return;
            }
        }
    }
}

/// Does what a key is for; what came of it, for people.
fn done(key: Key, paused: bool, daemon: &mut Daemon) -> String {
    let said = match key {
        Key::Flush => daemon
            .ask_for::<FlushAnswer>(&Call::flush(&FlushRequest { wait_ms: None }))
            .map(|(answer, _)| format!("sending {}", count(answer.remaining, "entry", "entries"))),
        Key::Pause if paused => {
            daemon.ask_for::<PauseAnswer>(&Call::resume()).map(|_| "what waits is sent again".to_owned())
        }
        Key::Pause => daemon
            .ask_for::<PauseAnswer>(&Call::pause(&PauseRequest::default()))
            .map(|_| "nothing is sent".to_owned()),
        Key::Scan => daemon
            .ask_for::<ScanAnswer>(&Call::scan(&ScanRequest { paths: Vec::new(), wait_ms: None }))
            .map(|_| "looking for projects".to_owned()),
        Key::Redraw | Key::Suspend | Key::Quit => Ok(String::new()),
    };
    said.unwrap_or_else(|failure| failure.message)
}

/// Whether the terminal is said to show more than ASCII.
fn knows_unicode(context: &Context) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| context.environment.variable(name))
        .find(|value| !value.is_empty());
    // macOS has terminals that show it and programs that are not told so.
    locale.map_or(cfg!(target_os = "macos"), |locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
