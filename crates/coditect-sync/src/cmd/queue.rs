//! `queue`: what waits to be sent, and what was refused for good.

use std::num::NonZeroUsize;

use serde_json::{Map, Value, json};
use sync_wire::{
    AskedBy, Call, FlushAnswer, FlushRequest, ItemState, QueueCounts, QueueItem, QueueItemsPage,
    QueueItemsQuery, RetryDeadAnswer,
};

use super::project::field;
use super::projects::elements;
use super::{Context, millis, page_limit};
use crate::args::{Queue, QueueCommand};
use crate::daemon::Daemon;
use crate::human::{Tone, clean, count, elapsed, next, relative};
use crate::out::Answer;
use crate::problem::Failure;
use crate::progress::{Shown, during};
use crate::table::{Table, Way};

pub(super) fn run(queue: &Queue, context: &Context) -> Result<Answer, Failure> {
    match &queue.command {
        None | Some(QueueCommand::Status) => status(context),
        Some(QueueCommand::List { state, limit }) => {
            list(*state, limit.map_or(usize::MAX, NonZeroUsize::get), context)
        }
        Some(QueueCommand::Show { id }) => show(*id, context),
        Some(QueueCommand::Retry { dead: true, .. }) => retry_dead(context),
        Some(QueueCommand::Retry { ids, dead: false }) => each(ids, Call::retry_item, "retried", context),
        Some(QueueCommand::Drop { ids }) => each(ids, Call::drop_item, "dropped", context),
        Some(QueueCommand::Flush { wait }) => flush(millis(*wait), context),
    }
}

fn status(context: &Context) -> Result<Answer, Failure> {
    let (counts, document) = context.daemon()?.ask_for::<QueueCounts>(&Call::queue())?;
    Ok(Answer::result(document, counted(&counts, context)))
}

/// The counts in one line.
pub(super) fn counted(counts: &QueueCounts, context: &Context) -> String {
    let part = |number: u64, name: &str, tone: Tone| {
        let text = format!("{number} {name}");
        context.view.paint(if number == 0 { Tone::Faint } else { tone }, &text)
    };
    let parts = [
        part(counts.ready, "ready", Tone::Strong),
        part(counts.delayed, "delayed", Tone::Mind),
        part(counts.in_flight, "in flight", Tone::Strong),
        part(counts.parked, "parked", Tone::Mind),
        part(counts.dead, "dead", Tone::Bad),
    ];
    let oldest = counts
        .oldest_enqueued_at
        .as_deref()
        .map(|moment| format!("; the oldest for {}", elapsed(context.now, moment)))
        .unwrap_or_default();
    format!("{}{oldest}", parts.join(", "))
}

fn list(state: Option<ItemState>, limit: usize, context: &Context) -> Result<Answer, Failure> {
    let (items, documents) = all(&mut context.daemon()?, state, limit)?;
    let document = json!({"items": documents, "next_cursor": null}).to_string().into_bytes();
    if items.is_empty() {
        return Ok(Answer::result(document, "").with_note("nothing waits"));
    }
    let mut table = Table::new(
        &["ID", "STATE", "TRIES", "NEXT", "NAME", "PATH", "LAST ERROR"],
        &[(5, Way::Path), (6, Way::Name), (4, Way::Name)],
    );
    for item in &items {
        let when = item.next_attempt_at.as_deref().map(|moment| next(context.now, moment));
        let error = item.last_error.as_ref().map(|error| error.code.clone());
        table.row(vec![
            (item.id.to_string(), None),
            (item.state.as_str().to_owned(), Some(tone(item.state))),
            (item.attempts.to_string(), None),
            (when.unwrap_or_else(|| "-".to_owned()), None),
            (item.project_name.clone(), None),
            (item.root_path.clone(), None),
            (error.unwrap_or_else(|| "-".to_owned()), None),
        ]);
    }
    Ok(Answer::result(document, table.render(context.view)))
}

fn show(id: i64, context: &Context) -> Result<Answer, Failure> {
    let (item, document) = context.daemon()?.ask_for::<QueueItem>(&Call::queue_item(id))?;
    let now = context.now;
    let asked_by = match item.asked_by {
        AskedBy::User => "a person or a tool",
        AskedBy::Discovery => "discovery",
    };
    let fields = [
        ("entry", Some(item.id.to_string())),
        ("state", Some(item.state.as_str().to_owned())),
        ("project", Some(item.project_name)),
        ("path", Some(item.root_path)),
        ("local UUID", Some(item.local_project_uuid.to_string())),
        ("revision", Some(item.revision.to_string())),
        ("tries", Some(item.attempts.to_string())),
        ("next try", item.next_attempt_at.map(|moment| next(now, &moment))),
        ("waiting for", Some(elapsed(now, &item.enqueued_at))),
        ("asked for by", Some(asked_by.to_owned())),
        (
            "last error",
            item.last_error
                .map(|error| format!("{}: {}, {}", error.code, error.message, relative(now, &error.at))),
        ),
    ];
    let lines =
        fields.into_iter().filter_map(|(name, value)| Some(field(context.view, name, &clean(&value?))));
    Ok(Answer::result(document, lines.collect::<String>()))
}

fn retry_dead(context: &Context) -> Result<Answer, Failure> {
    let (answer, document) = context.daemon()?.ask_for::<RetryDeadAnswer>(&Call::retry_dead())?;
    Ok(Answer::done(document, format!("{} again", count(answer.retried, "entry waits", "entries wait"))))
}

/// The same for each of several entries. The first failure ends it, and says what was done before.
fn each(ids: &[i64], call: fn(i64) -> Call, done: &str, context: &Context) -> Result<Answer, Failure> {
    let mut daemon = context.daemon()?;
    for (index, id) in ids.iter().enumerate() {
        daemon.ask(&call(*id)).map_err(|failure| match ids.get(..index) {
            Some([_, ..]) if failure.hint.is_none() => failure
                .with_hint(format!("{} before it {done}", count(index as u64, "entry was", "entries were"))),
            Some(_) | None => failure,
        })?;
    }
    let document: Map<String, Value> = [(done.to_owned(), json!(ids))].into_iter().collect();
    let text = format!("{} {done}", count(ids.len() as u64, "entry", "entries"));
    Ok(Answer::done(Value::Object(document).to_string().into_bytes(), text))
}

fn flush(wait_ms: Option<u64>, context: &Context) -> Result<Answer, Failure> {
    let mut daemon = context.daemon()?;
    let call = Call::flush(&FlushRequest { wait_ms });
    let mut ask = || daemon.ask_for::<FlushAnswer>(&call);
    let (answer, document) =
        if wait_ms.is_some() { during(context, Shown::Draining, &mut ask) } else { ask() }?;
    let FlushAnswer { delivered, remaining, dead } = answer;
    if wait_ms.is_none() {
        return Ok(Answer::done(document, format!("sending: {}", count(remaining, "entry", "entries"))));
    }
    let text = format!("{delivered} delivered, {remaining} remaining, {dead} dead");
    if remaining > 0 {
        let (exit, why) = daemon.why_still_queued();
        let answer = Answer::done(document, text).ending(exit);
        return Ok(match why {
            Some(why) => answer.with_note(clean(&why)),
            None => answer,
        });
    }
    let answer = Answer::done(document, text);
    Ok(if dead > 0 { answer.with_note("see `coditect-sync queue list --state dead`") } else { answer })
}

/// All pages, up to a limit: the entries, and their documents as they came.
fn all(
    daemon: &mut Daemon,
    state: Option<ItemState>,
    limit: usize,
) -> Result<(Vec<QueueItem>, Vec<Value>), Failure> {
    let mut query = QueueItemsQuery { state, ..QueueItemsQuery::default() };
    let (mut items, mut documents) = (Vec::new(), Vec::new());
    loop {
        let left = limit - items.len();
        query.limit = page_limit(left);
        let (page, document) = daemon.ask_for::<QueueItemsPage>(&Call::queue_items(&query))?;
        items.extend(page.items.into_iter().take(left));
        documents.extend(elements(&document, "items").into_iter().take(left));
        // A cursor that stays where it is would be followed for ever.
        if page.next_cursor.is_none() || page.next_cursor == query.cursor || items.len() >= limit {
            return Ok((items, documents));
        }
        query.cursor = page.next_cursor;
    }
}

fn tone(state: ItemState) -> Tone {
    match state {
        ItemState::Ready | ItemState::InFlight => Tone::Strong,
        ItemState::Delayed | ItemState::Parked => Tone::Mind,
        ItemState::Dead => Tone::Bad,
    }
}
