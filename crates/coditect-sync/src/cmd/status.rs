//! `status`: one screen that ends with what to do.

use sync_wire::{Call, CloudState, DiscoveryStatus, HoldStatus, RootState, Status};
use time::OffsetDateTime;

use super::{Context, queue};
use crate::human::{Tone, clean, cloud_state, count, elapsed, held_back, next, relative, span};
use crate::out::Answer;
use crate::problem::Failure;
use crate::table::{Table, Way};
use crate::width::hanging;

/// Unreadable places that are named; the rest is counted, so that the screen stays one.
const MOST_PROBLEMS: usize = 3;
/// The columns of a name before what is said of it.
const NAME: usize = 12;

pub(super) fn run(context: &Context) -> Result<Answer, Failure> {
    let (status, document) = context.daemon()?.ask_for::<Status>(&Call::status())?;
    Ok(Answer::result(document, screen(&status, context)))
}

fn screen(status: &Status, context: &Context) -> String {
    let Context { now, view, .. } = context;
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| {
        let line = format!("{}{text}", view.paint(Tone::Faint, &format!("{name:<NAME$}")));
        lines.push(hanging(&line, view.width, NAME));
    };
    let paused = if status.paused { view.paint(Tone::Mind, ", paused") } else { String::new() };
    line(
        "daemon",
        format!("{}, pid {}, up {}{paused}", clean(&status.version), status.pid, span(status.uptime_seconds)),
    );
    let (word, tone) = cloud_state(status.cloud.state);
    let tenant = status.tenant_id.as_deref().map(|tenant| format!(", tenant {}", clean(tenant)));
    line(
        "cloud",
        format!(
            "{} at {} for {}{}",
            view.paint(tone, word),
            clean(&status.cloud.api_url),
            elapsed(*now, &status.cloud.since),
            tenant.unwrap_or_default()
        ),
    );
    if let Some(error) = &status.cloud.last_error {
        let (when, code) = (relative(*now, &error.at), clean(&error.code));
        line("last error", format!("{} ({code}), {when}", clean(&error.message)));
    }
    let spared =
        status.cloud.spared_until.as_deref().map(|until| {
            format!("; to spare the cloud, what failed before goes again {}", next(*now, until))
        });
    line("queue", queue::counted(&status.queue, context) + &spared.unwrap_or_default());
    let projects = &status.projects;
    let arriving = match status.discovery.arriving {
        0 => String::new(),
        arriving => format!("; {arriving} more still being made"),
    };
    line(
        "projects",
        format!(
            "{}: {} registered, {} pending, {} missing, {} rejected{arriving}",
            projects.total, projects.registered, projects.pending, projects.missing, projects.rejected
        ),
    );
    let cache = &status.cache;
    line("cache", format!("{} known: {} fresh, {} stale", cache.entries, cache.fresh, cache.stale));
    if let Some(scan) = &status.discovery.last_scan {
        line(
            "last scan",
            format!(
                "{}, {} ms: {} found, {} new, {} changed, {} missing",
                relative(*now, &scan.started_at),
                scan.duration_ms,
                scan.found,
                scan.added,
                scan.changed,
                scan.missing
            ),
        );
    }
    if view.verbose {
        line("machine", status.machine_uuid.to_string());
        line("watches", status.discovery.watches.to_string());
    }
    let mut screen = lines.join("\n") + "\n\n";
    if !status.discovery.roots.is_empty() {
        screen.push_str(&roots(&status.discovery, context));
        screen.push('\n');
    }
    screen.push_str(&unread(&status.discovery.problems));
    let advice = advice(status, context);
    if advice.is_empty() {
        screen.push_str(&view.paint(Tone::Good, "nothing to do"));
    } else {
        let lines: Vec<String> = advice.iter().map(|line| hanging(line, view.width, 0)).collect();
        screen.push_str(&lines.join("\n"));
    }
    screen
}

/// Places that could not be read, a line each.
fn unread(problems: &[String]) -> String {
    let mut lines: Vec<String> = problems
        .iter()
        .take(MOST_PROBLEMS)
        .map(|problem| format!("not read: {}\n", clean(problem)))
        .collect();
    if problems.len() > MOST_PROBLEMS {
        let more = problems.len() - MOST_PROBLEMS;
        lines.push(format!("not read: {more} more, see `coditect-sync --json status`\n"));
    }
    if !lines.is_empty() {
        lines.push("\n".to_owned());
    }
    lines.concat()
}

fn roots(discovery: &DiscoveryStatus, context: &Context) -> String {
    let mut table = Table::new(&["ROOT", "STATE", "PROJECTS"], &[(0, Way::Path)]);
    for root in &discovery.roots {
        let (word, tone) = match root.state {
            RootState::Watching => ("watching", Tone::Good),
            RootState::Polling => ("polling", Tone::Mind),
            RootState::Missing => ("missing", Tone::Bad),
            RootState::Denied => ("denied", Tone::Bad),
        };
        table.row(vec![
            (root.path.clone(), None),
            (word.to_owned(), Some(tone)),
            (root.projects.to_string(), None),
        ]);
    }
    table.render(context.view)
}

/// Who paused, since when, until when and why, after "paused".
fn paused(status: &Status, now: OffsetDateTime) -> String {
    let Some(pause) = &status.pause else { return String::new() };
    let until =
        pause.until.as_deref().map(|until| format!(", goes on {}", next(now, until))).unwrap_or_default();
    let reason = pause.reason.as_deref().map(|reason| format!(" ({})", clean(reason))).unwrap_or_default();
    format!(" by {} for {}{until}{reason}", clean(&pause.by), elapsed(now, &pause.since))
}

/// What is held back by itself, unless another line tells it already.
fn held(hold: &HoldStatus, status: &Status, now: OffsetDateTime) -> Option<String> {
    let is_told = match &*hold.by {
        "credential" => status.cloud.state == CloudState::AuthRequired,
        by => status.pause.as_ref().is_some_and(|pause| pause.by == by),
    };
    let (what, reason, ends) = (held_back(&hold.stops), clean(&hold.reason), clean(&hold.ends));
    let since = elapsed(now, &hold.since);
    (!is_told).then(|| format!("{what} for {since}: {reason}; it goes on {ends}"))
}

/// What somebody should know or do, the most pressing first; empty when all is well.
fn advice(status: &Status, context: &Context) -> Vec<String> {
    let mut advice = Vec::new();
    let cloud = &status.cloud;
    let since = elapsed(context.now, &cloud.since);
    let waiting = status.queue.waiting();
    let next_try = cloud
        .next_attempt_at
        .as_deref()
        .map(|moment| format!(", next try {}", next(context.now, moment)))
        .unwrap_or_default();
    match cloud.state {
        CloudState::Offline => advice.push(format!("cloud unreachable for {since}{next_try}")),
        CloudState::Portal => advice
            .push(format!("this network wants you to sign in first: open a page in a browser{next_try}")),
        CloudState::Throttled => advice.push(format!("the cloud asked for patience{next_try}")),
        CloudState::AuthRequired => {
            advice.push("the cloud wants a new token: run `coditect-sync auth set-token`".to_owned());
        }
        CloudState::Forbidden => advice.push(
            "the cloud knows the token and refuses it: ask whoever runs your tenant, or set another token"
                .to_owned(),
        ),
        CloudState::Protocol => advice.push(format!(
            "what answers at {} is not the cloud: check `cloud_sync.api_url`{next_try}",
            clean(&cloud.api_url)
        )),
        CloudState::Unknown if waiting > 0 => {
            advice.push(format!("the cloud has not been asked yet{next_try}"));
        }
        CloudState::Online | CloudState::Unknown => {}
    }
    if waiting > 0 && cloud.state != CloudState::Online {
        advice.push(format!("{} and nothing is lost", count(waiting, "project waits", "projects wait")));
    }
    if status.paused {
        advice.push(format!(
            "sending is paused{}: run `coditect-sync resume` to go on",
            paused(status, context.now)
        ));
    }
    advice.extend(status.holds.iter().filter_map(|hold| held(hold, status, context.now)));
    if status.queue.parked > 0 {
        advice.push(format!(
            "{} for a person: see `coditect-sync queue list --state parked`",
            count(status.queue.parked, "project waits", "projects wait")
        ));
    }
    if status.queue.dead > 0 {
        advice.push(format!(
            "{} refused for good: see `coditect-sync queue list --state dead`",
            count(status.queue.dead, "project was", "projects were")
        ));
    }
    for root in &status.discovery.roots {
        let path = clean(&root.path);
        match root.state {
            RootState::Missing => advice.push(format!(
                "the root `{path}` does not exist: make it, or change `sync_daemon.discovery.roots`"
            )),
            RootState::Denied => {
                advice.push(format!("the root `{path}` must not be read: check its permissions"));
            }
            RootState::Watching | RootState::Polling => {}
        }
    }
    advice
}
