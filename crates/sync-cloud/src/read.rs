//! Turns a status and a body into an answer.
//!
//! A 2xx is believed only where it is the contract's JSON about the projects that were asked for. Nothing here can
//! fail: JSON of any shape becomes some answer.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sync_core::{
    Answer, CloudId, CloudProject, ItemOutcome, ItemResult, LocalId, LookUp, Progress, Refusal, Suspect,
    TenantId, Timestamp, progress,
};
use uuid::Uuid;

use crate::call::Told;
use crate::exchange::Exchange;
use crate::{wait, words};

/// By what a look-up asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// The project on this machine.
    Local(LocalId),
    /// The project in the cloud.
    Cloud(CloudId),
}

/// Reads the answer to one project's registration. A success that carries an error about this very project is the
/// project's failure, as in a batch.
pub(crate) fn single(exchange: &Exchange, asked: LocalId) -> Answer {
    match exchange.status {
        200 | 201 | 207 => registered(exchange, asked).unwrap_or_else(suspect),
        202 => accepted(exchange, asked).unwrap_or_else(suspect),
        _ => refused(exchange),
    }
}

/// Reads the answer to a batch; what it says of projects that were not `asked` for is left out.
pub(crate) fn batch(exchange: &Exchange, asked: &[LocalId]) -> Answer {
    match exchange.status {
        200 | 201 | 207 => results(exchange, asked).map_or_else(suspect, Answer::Results),
        202 if exchange.is_page() => suspect(PAGE.to_owned()),
        202 => results(exchange, asked)
            .map_or(Answer::Accepted(None), |told| Answer::Results(accepted_each(asked, told))),
        _ => refused(exchange),
    }
}

/// Reads the answer to a look-up.
pub(crate) fn look_up(exchange: &Exchange, asked: Asked) -> LookUp {
    match exchange.status {
        200 => match project(exchange, asked) {
            Ok(project) => LookUp::Found(project),
            Err(why) => LookUp::Failed(suspect(why)),
        },
        404 if says_unknown(exchange) => LookUp::Unknown,
        _ => LookUp::Failed(refused(exchange)),
    }
}

/// All that an answer which found a project says; nothing of one that says too much.
pub(crate) fn told(exchange: &Exchange) -> Option<Told> {
    if exchange.body.len() > LONGEST_TOLD {
        return None;
    }
    let fields = object(exchange, 1).ok()?;
    Some(Told { local: uuid(&fields, "local_project_uuid").map(LocalId), fields })
}

/// So many names and values may be told of each project, and of so many projects more than was asked.
const MOST_PARTS: usize = 64;
const MARGIN: usize = 15;
/// More than this is not passed on to somebody who asks what the cloud says.
const LONGEST_TOLD: usize = 64 << 10;

const PAGE: &str = "the answer is an HTML page";

fn suspect(why: String) -> Answer {
    Answer::Suspect(Suspect::NotTheContract(why))
}

/// What is no success of the contract.
fn refused(exchange: &Exchange) -> Answer {
    let status = exchange.status;
    match status {
        300..400 => Answer::Suspect(Suspect::Redirect(status)),
        ..300 => suspect(format!("the contract has no status {status} here")),
        _ => Answer::Refused(Refusal {
            status,
            wait: wait::asked(status, &exchange.headers),
            words: words::of_body(&exchange.body, exchange.is_page()),
        }),
    }
}

/// A 404 of the cloud itself, not of a gateway or a server that lacks the path: those must not make a project
/// forgotten that is registered.
fn says_unknown(exchange: &Exchange) -> bool {
    if exchange.is_page() {
        return false;
    }
    match serde_json::from_slice::<Value>(&exchange.body) {
        Ok(Value::Object(fields)) => {
            ["error", "detail", "code"].into_iter().any(|name| fields.contains_key(name))
        }
        Ok(_) => false,
        Err(_no_json) => exchange.body.trim_ascii().is_empty(),
    }
}

/// The answer about so many projects. In memory a part of one takes a hundred times its bytes, so an answer of far more
/// parts than it can have is not read.
fn object(exchange: &Exchange, projects: usize) -> Result<Map<String, Value>, String> {
    if exchange.is_page() {
        return Err(PAGE.to_owned());
    }
    let parts = exchange.body.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
    if parts > MOST_PARTS.saturating_mul(projects.saturating_add(MARGIN)) {
        return Err("the answer says far more than was asked".to_owned());
    }
    if exchange.body.trim_ascii().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    match serde_json::from_slice(&exchange.body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("the answer is JSON, but no object".to_owned()),
        Err(_no_json) => Err("the answer is not JSON".to_owned()),
    }
}

fn registered(exchange: &Exchange, asked: LocalId) -> Result<Answer, String> {
    let fields = object(exchange, 1)?;
    same_local(&fields, asked)?;
    let cloud = uuid(&fields, "cloud_uuid").map(CloudId);
    let echoed = uuid(&fields, "local_project_uuid").is_some();
    match (cloud, fault(&fields)) {
        (Some(cloud), None) => Ok(Answer::Registered(cloud_project(cloud, &fields))),
        (Some(_), Some(outcome)) => Ok(Answer::Results(vec![ItemResult { local: asked, outcome }])),
        (None, Some(outcome)) if echoed => Ok(Answer::Results(vec![ItemResult { local: asked, outcome }])),
        (None, _) => Err(NO_UUID.to_owned()),
    }
}

const NO_UUID: &str = "the answer has no cloud_uuid that is a UUID";

/// The project that a look-up found, where it is the one that was asked for. An error in it is told of the
/// registration, not of the look-up.
fn project(exchange: &Exchange, asked: Asked) -> Result<CloudProject, String> {
    let fields = object(exchange, 1)?;
    let cloud = uuid(&fields, "cloud_uuid").map(CloudId).ok_or(NO_UUID)?;
    match asked {
        Asked::Local(local) => same_local(&fields, local)?,
        Asked::Cloud(id) if id != cloud => return Err("the answer is about another project".to_owned()),
        Asked::Cloud(_) => {}
    }
    Ok(cloud_project(cloud, &fields))
}

/// What a 202 already tells; an empty one tells nothing and is as good.
fn accepted(exchange: &Exchange, asked: LocalId) -> Result<Answer, String> {
    if exchange.body.trim_ascii().is_empty() && !exchange.is_page() {
        return Ok(Answer::Accepted(None));
    }
    let fields = object(exchange, 1)?;
    same_local(&fields, asked)?;
    let cloud = uuid(&fields, "cloud_uuid").map(CloudId);
    let about_it = cloud.is_some() || uuid(&fields, "local_project_uuid").is_some();
    Ok(match fault(&fields).filter(|_| about_it) {
        Some(outcome) => Answer::Results(vec![ItemResult { local: asked, outcome }]),
        None => Answer::Accepted(cloud.map(|cloud| cloud_project(cloud, &fields))),
    })
}

/// What a 202 with results tells of every project: what it does not refuse is taken, and no more than that.
fn accepted_each(asked: &[LocalId], told: Vec<ItemResult>) -> Vec<ItemResult> {
    let mut told: HashMap<LocalId, ItemOutcome> =
        told.into_iter().map(|result| (result.local, result.outcome)).collect();
    let each = asked.iter().map(|local| {
        let outcome = match told.remove(local) {
            Some(ItemOutcome::Done(project)) => ItemOutcome::Accepted(Some(project)),
            Some(outcome) => outcome,
            None => ItemOutcome::Accepted(None),
        };
        ItemResult { local: *local, outcome }
    });
    each.collect()
}

fn same_local(fields: &Map<String, Value>, asked: LocalId) -> Result<(), String> {
    match fields.get("local_project_uuid") {
        None | Some(Value::Null) => Ok(()),
        Some(_) if uuid(fields, "local_project_uuid") == Some(asked.0) => Ok(()),
        Some(_) => Err("the answer is about another project".to_owned()),
    }
}

fn results(exchange: &Exchange, asked: &[LocalId]) -> Result<Vec<ItemResult>, String> {
    let fields = object(exchange, asked.len())?;
    let Some(Value::Array(items)) = fields.get("results") else {
        return Err("the answer has no list of results".to_owned());
    };
    let places: HashMap<LocalId, usize> =
        asked.iter().enumerate().map(|(place, local)| (*local, place)).collect();
    let mut outcomes: Vec<Option<ItemOutcome>> = vec![None; asked.len()];
    let mut named = items.is_empty();
    for item in items.iter().filter_map(Value::as_object) {
        let local = uuid(item, "local_project_uuid").map(LocalId);
        let Some(kept) =
            local.and_then(|local| places.get(&local)).and_then(|place| outcomes.get_mut(*place))
        else {
            continue;
        };
        named = true;
        if let Some(outcome) = outcome(item)
            && (kept.is_none() || is_done(&outcome) && !kept.as_ref().is_some_and(is_done))
        {
            *kept = Some(outcome);
        }
    }
    if !named {
        return Err("the results name none of the projects that were sent".to_owned());
    }
    let told = asked.iter().zip(outcomes);
    Ok(told.filter_map(|(local, outcome)| Some(ItemResult { local: *local, outcome: outcome? })).collect())
}

fn is_done(outcome: &ItemOutcome) -> bool {
    match outcome {
        ItemOutcome::Done(_) => true,
        ItemOutcome::Accepted(_)
        | ItemOutcome::NotNow(_)
        | ItemOutcome::Failed(_)
        | ItemOutcome::Rejected(_) => false,
    }
}

/// What an item says became of its project; nothing where it neither has a UUID nor an error.
fn outcome(item: &Map<String, Value>) -> Option<ItemOutcome> {
    fault(item).or_else(|| {
        uuid(item, "cloud_uuid").map(|cloud| ItemOutcome::Done(cloud_project(CloudId(cloud), item)))
    })
}

/// The failure that a success tells of, if it tells of one.
fn fault(fields: &Map<String, Value>) -> Option<ItemOutcome> {
    let said = error_words(fields)?;
    Some(match status_of(fields) {
        Some(status) if PASSING.contains(&status) => ItemOutcome::NotNow(said),
        Some(status) if (400..500).contains(&status) && status != CONFLICT => ItemOutcome::Rejected(said),
        None if codes(fields).filter_map(Value::as_str).any(|word| is_one_of(word, &FINAL_WORDS)) => {
            ItemOutcome::Rejected(said)
        }
        Some(_) | None => ItemOutcome::Failed(said),
    })
}

fn error_words(fields: &Map<String, Value>) -> Option<String> {
    let error = ["error", "errors"]
        .into_iter()
        .filter_map(|name| fields.get(name))
        .find(|value| says_something(value));
    if let Some(error) = error {
        return Some(named(words::of_value(error)));
    }
    // The word for how far it came is as good as an error.
    let mut words =
        ["registration_status", "status"].into_iter().filter_map(|name| fields.get(name)?.as_str());
    let failed = words.any(|word| progress(word) == Progress::Failed)
        || fields.get("status").and_then(number).is_some_and(|status| status >= 400);
    failed.then(|| {
        named(fields.get("detail").or_else(|| fields.get("message")).map(words::of_value).unwrap_or_default())
    })
}

fn named(said: String) -> String {
    if said.is_empty() { "the cloud says error and no more".to_owned() } else { said }
}

/// `"error": ""`, `0`, `{"code": null}` and their like are how serializers write that there is none.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

const FINAL_WORDS: [&str; 7] = [
    "invalid",
    "validation_error",
    "validation_failed",
    "bad_request",
    "unprocessable_entity",
    "rejected",
    "too_large",
];
/// 4xx that say nothing of the project itself: they are about the credential, the account, the moment or the way.
const PASSING: [u64; 8] = [401, 402, 403, 407, 408, 421, 425, 429];
/// A conflict may pass.
const CONFLICT: u64 = 409;

/// Where an item tells by a code what its error is.
fn codes(item: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let inner = item.get("error").and_then(Value::as_object);
    let outer =
        ["status_code", "http_status", "code", "status"].into_iter().filter_map(|name| item.get(name));
    outer.chain(
        inner.into_iter().flat_map(|error| ["status", "code"].into_iter().filter_map(|name| error.get(name))),
    )
}

/// The HTTP status that an item's error stands for, where it names one.
fn status_of(item: &Map<String, Value>) -> Option<u64> {
    codes(item).find_map(number)
}

/// An HTTP status as a number or as digits in a text.
fn number(value: &Value) -> Option<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (100..600).contains(&number).then_some(number)
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    let word = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    words.contains(&word.as_str())
}

fn cloud_project(cloud: CloudId, fields: &Map<String, Value>) -> CloudProject {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    CloudProject {
        cloud,
        status: words::shortened(text("registration_status").or_else(|| text("status")).unwrap_or_default()),
        registered_at: text("registered_at").and_then(Timestamp::from_rfc3339),
        tenant: fields.get("tenant_id").and_then(|tenant| match tenant {
            Value::String(name) => TenantId::new(name.as_str()),
            Value::Number(number) => TenantId::new(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }),
    }
}

/// The nil UUID is how some programs write that there is none.
fn uuid(fields: &Map<String, Value>, name: &str) -> Option<Uuid> {
    let uuid: Uuid = fields.get(name)?.as_str()?.parse().ok()?;
    (!uuid.is_nil()).then_some(uuid)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
