//! The picture of what is known, for a screen of any size.

use std::borrow::Cow;
use std::collections::VecDeque;

use sync_wire::{Event, RootState, Status};
use time::OffsetDateTime;

use super::Board;
use super::chart::chart;
use crate::human::{Tone, View, clean, cloud_state, count, elapsed, next, relative, span};
use crate::width::{cut, wide};

/// What there is to draw on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canvas {
    /// Columns.
    pub(crate) width: usize,
    /// Lines.
    pub(crate) height: usize,
    /// Whether more than ASCII can be seen.
    pub(crate) unicode: bool,
    /// Colours.
    pub(crate) view: View,
    /// The present moment.
    pub(crate) now: OffsetDateTime,
}

/// The widest name before a value.
const NAME: usize = 11;
/// Below this a chart has one line only.
const TALL: usize = 22;
/// Roots that are shown on a screen of common height.
const ROOTS: usize = 6;

type Line = Vec<(String, Option<Tone>)>;

/// Exactly as many lines as the screen has, none wider than it.
pub(crate) fn frame(board: &Board, canvas: Canvas) -> Vec<String> {
    let Some(body) = canvas.height.checked_sub(1) else { return Vec::new() };
    let mut lines = heading(board, canvas);
    if let Some(status) = &board.status {
        lines.extend(figures(board, status, canvas));
        lines.extend(roots(status, canvas));
    }
    lines.extend(listed("LAST ERRORS", &board.troubles, 3, canvas));
    let left = body.saturating_sub(lines.len() + 2);
    lines.extend(listed("WHAT HAPPENS", &board.events, left, canvas));
    lines.truncate(body);
    lines.resize_with(body, Vec::new);
    lines.push(footing(board));
    lines.into_iter().map(|line| painted(line, canvas)).collect()
}

fn heading(board: &Board, canvas: Canvas) -> Vec<Line> {
    let clock = format!("{:02}:{:02}:{:02} UTC", canvas.now.hour(), canvas.now.minute(), canvas.now.second());
    let title = match &board.status {
        Some(status) => {
            format!(
                "coditect-sync {}, pid {}, up {}",
                clean(&status.version),
                status.pid,
                span(status.uptime_seconds)
            )
        }
        None => "coditect-sync".to_owned(),
    };
    let room = canvas.width.saturating_sub(clock.len() + 1);
    let title = cut(&title, room).into_owned();
    let gap = canvas.width.saturating_sub(wide(&title) + clock.len());
    let mut lines =
        vec![vec![(title, Some(Tone::Strong)), (" ".repeat(gap), None), (clock, Some(Tone::Faint))]];
    if let Some(why) = &board.absent {
        lines.push(vec![(clean(why).into_owned(), Some(Tone::Bad))]);
    }
    lines.push(Vec::new());
    lines
}

fn figures(board: &Board, status: &Status, canvas: Canvas) -> Vec<Line> {
    let mut lines = Vec::new();
    let (word, tone) = cloud_state(status.cloud.state);
    let tenant = status.tenant_id.as_deref().map(|tenant| format!(", tenant {}", clean(tenant)));
    let next =
        status.cloud.next_attempt_at.as_deref().map(|at| format!(", next try {}", next(canvas.now, at)));
    lines.push(vec![
        name("cloud"),
        (word.to_owned(), Some(tone)),
        (
            format!(
                " at {} for {}{}{}",
                clean(&status.cloud.api_url),
                elapsed(canvas.now, &status.cloud.since),
                tenant.unwrap_or_default(),
                next.unwrap_or_default()
            ),
            None,
        ),
    ]);
    if let Some(error) = &status.cloud.last_error {
        let when = relative(canvas.now, &error.at);
        lines.push(vec![
            name("last error"),
            (format!("{when}: {}", clean(&error.message)), Some(Tone::Faint)),
        ]);
    }
    let queue = &status.queue;
    let part = |number: u64, word: &str, tone: Tone| {
        (format!("{number} {word}"), Some(if number == 0 { Tone::Faint } else { tone }))
    };
    let comma = || (", ".to_owned(), Some(Tone::Faint));
    let mut line = vec![
        name("queue"),
        part(queue.ready, "ready", Tone::Strong),
        comma(),
        part(queue.delayed, "delayed", Tone::Mind),
        comma(),
        part(queue.in_flight, "in flight", Tone::Strong),
        comma(),
        part(queue.parked, "parked", Tone::Mind),
        comma(),
        part(queue.dead, "dead", Tone::Bad),
    ];
    if let Some(oldest) = &queue.oldest_enqueued_at {
        line.push((format!("; the oldest for {}", elapsed(canvas.now, oldest)), None));
    }
    if status.paused {
        line.push(("  PAUSED".to_owned(), Some(Tone::Mind)));
    }
    lines.push(line);
    let projects = &status.projects;
    lines.push(vec![
        name("projects"),
        (
            format!(
                "{}: {} registered, {} pending, {} missing, {} rejected",
                projects.total, projects.registered, projects.pending, projects.missing, projects.rejected
            ),
            None,
        ),
    ]);
    lines.push(Vec::new());
    let height = if canvas.height >= TALL { 3 } else { 1 };
    lines.extend(over_time("waiting", Tone::Mind, &board.waiting, height, "", canvas));
    lines.extend(over_time("delivered", Tone::Good, &board.delivered, 1, " a second", canvas));
    lines.push(Vec::new());
    lines
}

/// A chart with its name before it and what it says in numbers after it, in a colour of its own: it may touch the next one.
fn over_time(
    label: &str,
    tone: Tone,
    figures: &VecDeque<u64>,
    height: usize,
    unit: &str,
    canvas: Canvas,
) -> Vec<Line> {
    let figures: Vec<u64> = figures.iter().copied().collect();
    let said = 26;
    let width = canvas.width.saturating_sub(NAME + 1 + said);
    let shown = figures.get(figures.len().saturating_sub(width)..).unwrap_or_default();
    let (now, most) = (shown.last().copied().unwrap_or(0), shown.iter().copied().max().unwrap_or(0));
    let rows = chart(&figures, width, height, canvas.unicode);
    let last = rows.len().saturating_sub(1);
    rows.into_iter()
        .enumerate()
        .map(|(row, columns)| {
            let label = if row == last { name(label) } else { name("") };
            let words = if row == last { format!("  {now}{unit}, most {most}") } else { String::new() };
            vec![label, (columns, Some(tone)), (words, None)]
        })
        .collect()
}

fn roots(status: &Status, canvas: Canvas) -> Vec<Line> {
    let roots = &status.discovery.roots;
    if roots.is_empty() {
        return Vec::new();
    }
    let room = if canvas.height >= TALL { ROOTS.max(canvas.height / 5) } else { 2 };
    let mut lines = Vec::new();
    let widest = roots.iter().take(room).map(|root| wide(&clean(&root.path))).max().unwrap_or(0);
    for (index, root) in roots.iter().take(room).enumerate() {
        let path = clean(&root.path).into_owned();
        let gap = " ".repeat(widest - wide(&path) + 2);
        let (word, tone) = match root.state {
            RootState::Watching => ("watching", Tone::Good),
            RootState::Polling => ("polling", Tone::Mind),
            RootState::Missing => ("missing", Tone::Bad),
            RootState::Denied => ("denied", Tone::Bad),
        };
        lines.push(vec![
            name(if index == 0 { "roots" } else { "" }),
            (path, None),
            (gap, None),
            (word.to_owned(), Some(tone)),
            (format!("  {}", count(root.projects, "project", "projects")), None),
        ]);
    }
    if roots.len() > room {
        lines.push(vec![name(""), (format!("and {} more", roots.len() - room), Some(Tone::Faint))]);
    }
    if let Some(scan) = &status.discovery.last_scan {
        let when = relative(canvas.now, &scan.started_at);
        let said = format!("{when}, {} ms, {} watches", scan.duration_ms, status.discovery.watches);
        lines.push(vec![name("last scan"), (said, None)]);
    }
    lines.push(Vec::new());
    lines
}

/// The newest events of a list under their heading, as many as there is room for; nothing where there is none.
fn listed(heading: &str, events: &VecDeque<Event>, room: usize, canvas: Canvas) -> Vec<Line> {
    if events.is_empty() || room == 0 {
        return Vec::new();
    }
    let mut lines = vec![vec![(heading.to_owned(), Some(Tone::Faint))]];
    for event in events.iter().skip(events.len().saturating_sub(room)) {
        let when = relative(canvas.now, &event.at);
        lines.push(vec![
            (format!("{when:>9}  "), Some(Tone::Faint)),
            (format!("{:<22}", clean(&event.kind)), Some(crate::cmd::tone_of_event(&event.kind))),
            (format!("  {}", clean(&event.message)), None),
        ]);
    }
    lines.push(Vec::new());
    lines
}

fn footing(board: &Board) -> Line {
    let mut line = Vec::new();
    let pause = if board.is_paused() { "resume" } else { "pause" };
    for (key, word) in [("f", "flush"), ("p", pause), ("s", "scan"), ("q", "quit")] {
        line.push((key.to_owned(), Some(Tone::Strong)));
        line.push((format!(" {word}   "), None));
    }
    line.push((clean(&board.said).into_owned(), Some(Tone::Mind)));
    line
}

fn name(text: &str) -> (String, Option<Tone>) {
    (format!("{text:<NAME$} "), Some(Tone::Faint))
}

/// A line cut to the screen, then in its colours.
fn painted(line: Line, canvas: Canvas) -> String {
    let mut left = canvas.width;
    let mut text = String::new();
    for (part, tone) in line {
        let part: Cow<'_, str> = cut(&part, left);
        left = left.saturating_sub(wide(&part));
        match tone {
            Some(tone) => text.push_str(&canvas.view.paint(tone, &part)),
            None => text.push_str(&part),
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn status() -> Status {
        serde_json::from_value(serde_json::json!({
            "version": "0.1.0", "api": 1, "pid": 42, "started_at": "2026-03-01T11:00:00Z", "uptime_seconds": 3_600,
            "paused": false, "machine_uuid": "33333333-3333-4333-8333-333333333333", "tenant_id": "acme",
            "cloud": {"api_url": "https://api.coditect.ai", "state": "offline", "since": "2026-03-01T11:58:00Z",
                "last_success_at": null, "next_attempt_at": "2026-03-01T12:00:20Z",
                "last_error": {"code": "connect", "message": "connection refused", "at": "2026-03-01T11:59:00Z"}},
            "queue": {"ready": 3, "delayed": 1, "in_flight": 0, "parked": 0, "dead": 2,
                "oldest_enqueued_at": "2026-03-01T11:58:00Z"},
            "cache": {"entries": 30, "fresh": 28, "stale": 2},
            "projects": {"total": 30, "registered": 26, "pending": 4, "missing": 0, "rejected": 0},
            "discovery": {"roots": [
                {"path": "/home/ada/PROJECTS", "state": "watching", "projects": 30},
                {"path": "/mnt/研究", "state": "missing", "projects": 0}], "watches": 210,
                "last_scan": {"started_at": "2026-03-01T11:00:00Z", "duration_ms": 120, "found": 30, "added": 1,
                    "changed": 0, "missing": 0}},
        }))
        .expect("a status")
    }

    fn event(id: i64, kind: &str, message: &str) -> Event {
        Event {
            id,
            at: "2026-03-01T11:59:30Z".to_owned(),
            kind: kind.to_owned(),
            local_project_uuid: None,
            message: message.to_owned(),
            missed: None,
        }
    }

    fn canvas(width: usize, height: usize) -> Canvas {
        let now = datetime!(2026-03-01 12:00 UTC);
        Canvas { width, height, unicode: true, view: View::default(), now }
    }

    fn board() -> Board {
        let mut board = Board::default();
        for ready in [0, 0, 2, 5, 9, 14, 9, 3] {
            let mut status = status();
            status.queue.ready = ready;
            board.tick(Ok(status));
        }
        board.happened(event(1, "project.added", "/home/ada/PROJECTS/api"));
        board.happened(event(2, "cloud.offline", "the cloud cannot be reached: connection refused"));
        board.happened(event(3, "registration.delivered", "研究\u{1b}[2J: is 1 in the cloud"));
        board.tick(Ok(status()));
        board.say("sending: 4 entries");
        board
    }

    #[test]
    fn a_screen_of_common_size_shows_it_all() {
        insta::assert_snapshot!(frame(&board(), canvas(80, 26)).join("\n"));
    }

    #[test]
    fn what_happened_before_anybody_looked_is_shown_and_not_counted() {
        let mut board = Board::default();
        board.begin_after(7);
        board.happened(event(7, "registration.delivered", "before"));
        board.tick(Ok(status()));
        board.happened(event(8, "registration.delivered", "after"));
        board.tick(Ok(status()));
        assert_eq!(board.delivered, [0, 1]);
        let shown = frame(&board, canvas(80, 26)).join("\n");
        assert!(shown.contains("before") && shown.contains("after"), "{shown}");
    }

    #[test]
    fn a_daemon_that_has_gone_is_said_and_what_was_known_stays() {
        let mut board = board();
        board.tick(Err("there is no socket at `/s`".to_owned()));
        let shown = frame(&board, canvas(80, 24)).join("\n");
        assert!(shown.contains("there is no socket at `/s`") && shown.contains("4 pending"), "{shown}");
        assert!(!frame(&Board::default(), canvas(80, 24)).is_empty());
    }

    #[test]
    fn whatever_the_size_the_picture_fits_and_the_keys_are_seen() {
        for board in [board(), Board::default()] {
            for (width, height) in
                [(80, 24), (200, 60), (40, 10), (20, 5), (10, 2), (3, 1), (1, 1), (0, 3), (5, 0)]
            {
                let lines = frame(&board, canvas(width, height));
                assert_eq!(lines.len(), height, "{width}x{height}");
                let too_wide: Vec<_> = lines.iter().filter(|line| wide(line) > width).collect();
                assert!(too_wide.is_empty(), "{width}x{height}: {too_wide:?}");
                assert!(width < 7 || height == 0 || lines[height - 1].starts_with("f flush"), "{lines:?}");
                assert!(!lines.concat().contains('\u{1b}'), "nothing moves the cursor");
            }
        }
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let coloured = View { colour: true, ..View::default() };
        let plain = frame(&board(), canvas(50, 20));
        let painted = frame(&board(), Canvas { view: coloured, ..canvas(50, 20) });
        let bare = |line: &String| {
            let mut parts = line.split('\u{1b}');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
        };
        assert_ne!(plain, painted);
        let bare: Vec<String> = painted.iter().map(|line| bare(line).trim_end().to_owned()).collect();
        assert_eq!(plain, bare);
    }
}
