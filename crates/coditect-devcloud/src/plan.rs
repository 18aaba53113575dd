//! Decides which rules befall a request and what that makes of it.
//!
//! Rules are looked at in their order. All that apply add up, until one that ends the request
//! before its work; those behind it do not see the request. A rule counts only where it does
//! something: a size that is not reached, a name that is not there, or work that is never begun
//! uses nothing up.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::json;

use crate::answer::Answer;
use crate::apply::{Later, Parcel, Shown, Treatment};
use crate::clock::http_date;
use crate::fault::{Canned, Fault, PoisonedBatch, Standing};
use crate::token::Stranger;

/// What rules look at.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a str,
    /// With its query.
    pub(crate) path: &'a str,
    pub(crate) to_sync: bool,
    pub(crate) token: Option<&'a str>,
    pub(crate) body_bytes: usize,
    /// The names of the projects, in their order.
    pub(crate) names: &'a [String],
    pub(crate) now_ms: i64,
}

/// What befalls a request before or after its work, in this order.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Stage {
    pub(crate) delay_ms: u64,
    /// Goes on when the rule with this id is removed.
    pub(crate) hang: Option<u64>,
    pub(crate) reset: bool,
    pub(crate) instead: Option<Instead>,
}

impl Stage {
    /// Whether the request has to wait here.
    pub(crate) fn waits(&self) -> bool {
        self.delay_ms > 0 || self.hang.is_some()
    }
}

/// An answer in place of the true one.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Instead {
    Answer(Answer),
    /// The true status, without a body.
    Emptied,
    /// The true body, under this status.
    Under(StatusCode),
}

/// All that befalls a request.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) faults: Vec<&'static str>,
    pub(crate) before: Stage,
    pub(crate) after: Stage,
    pub(crate) poisoned: Vec<(String, PoisonedBatch)>,
    left_out: Vec<LeftOut>,
    pub(crate) later: Option<Later>,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) cut_after: Option<usize>,
}

#[derive(Clone, PartialEq, Debug)]
struct LeftOut {
    name: Option<String>,
    every: Option<usize>,
    applied: bool,
}

impl LeftOut {
    fn leaves(&self, index: usize, name: &str) -> bool {
        self.name.as_deref() == Some(name)
            || self.every.is_some_and(|every| (index + 1).is_multiple_of(every))
    }
}

/// Draws up the plan and counts the uses.
pub(crate) fn plan(rules: &mut [Standing], facts: &Facts<'_>) -> Plan {
    let mut befalling: Vec<&mut Standing> =
        rules.iter_mut().filter(|standing| !standing.worn_off() && befalls(standing, facts)).collect();
    let ends_at = befalling.iter().position(|standing| ends_before_work(standing));
    if let Some(ends_at) = ends_at {
        befalling.truncate(ends_at + 1);
        befalling.retain(|standing| !needs_work(standing));
    }
    let mut plan = Plan::default();
    for standing in befalling {
        standing.used += 1;
        plan.faults.push(standing.rule.fault.name());
        plan.add(standing, facts);
    }
    plan
}

/// Whether no work is done under this rule.
fn ends_before_work(standing: &Standing) -> bool {
    match &standing.rule.fault {
        Fault::Status(_)
        | Fault::Reset
        | Fault::HtmlPage
        | Fault::EmptyBody
        | Fault::OtherJson { .. }
        | Fault::Redirect { .. }
        | Fault::Unauthorized { .. }
        | Fault::TooLarge { .. }
        | Fault::NoSync { .. } => !standing.rule.after_work,
        Fault::Latency { .. }
        | Fault::Hang
        | Fault::AnotherStatus { .. }
        | Fault::PoisonedName { .. }
        | Fault::LeftOut { .. }
        | Fault::Accepted { .. }
        | Fault::SlowBody { .. }
        | Fault::TruncatedBody { .. } => false,
    }
}

/// Whether this rule does nothing where no work is done.
fn needs_work(standing: &Standing) -> bool {
    let touches_work = match &standing.rule.fault {
        Fault::AnotherStatus { .. }
        | Fault::PoisonedName { .. }
        | Fault::LeftOut { .. }
        | Fault::Accepted { .. } => true,
        Fault::Status(_)
        | Fault::Latency { .. }
        | Fault::Hang
        | Fault::Reset
        | Fault::HtmlPage
        | Fault::EmptyBody
        | Fault::OtherJson { .. }
        | Fault::Redirect { .. }
        | Fault::Unauthorized { .. }
        | Fault::TooLarge { .. }
        | Fault::NoSync { .. }
        | Fault::SlowBody { .. }
        | Fault::TruncatedBody { .. } => false,
    };
    touches_work || standing.rule.after_work
}

fn befalls(standing: &Standing, facts: &Facts<'_>) -> bool {
    let rule = &standing.rule;
    if rule.path.as_ref().is_some_and(|part| !facts.path.contains(part.as_str()))
        || rule.method.as_ref().is_some_and(|method| !method.eq_ignore_ascii_case(facts.method))
    {
        return false;
    }
    match &rule.fault {
        Fault::Unauthorized { unless_token } => {
            unless_token.is_none() || unless_token.as_deref() != facts.token
        }
        Fault::TooLarge { above_bytes } => facts.body_bytes > *above_bytes,
        Fault::PoisonedName { name, .. } => facts.names.contains(name),
        Fault::LeftOut { name, every } => {
            let rule = LeftOut { name: name.clone(), every: *every, applied: false };
            facts.to_sync && facts.names.iter().enumerate().any(|(index, name)| rule.leaves(index, name))
        }
        Fault::NoSync { .. } => facts.to_sync,
        Fault::Accepted { .. } => !facts.names.is_empty(),
        Fault::Status(_)
        | Fault::Latency { .. }
        | Fault::Hang
        | Fault::Reset
        | Fault::HtmlPage
        | Fault::EmptyBody
        | Fault::OtherJson { .. }
        | Fault::Redirect { .. }
        | Fault::AnotherStatus { .. }
        | Fault::SlowBody { .. }
        | Fault::TruncatedBody { .. } => true,
    }
}

impl Plan {
    fn add(&mut self, standing: &Standing, facts: &Facts<'_>) {
        let after_work = standing.rule.after_work;
        let stage = if after_work { &mut self.after } else { &mut self.before };
        let answer = match &standing.rule.fault {
            Fault::Latency { ms } => {
                stage.delay_ms = stage.delay_ms.saturating_add(*ms);
                return;
            }
            Fault::Hang => {
                stage.hang = Some(standing.id);
                return;
            }
            Fault::Reset => {
                stage.reset = true;
                return;
            }
            Fault::PoisonedName { name, batch } => {
                self.poisoned.push((name.clone(), *batch));
                return;
            }
            Fault::LeftOut { name, every } => {
                self.left_out.push(LeftOut { name: name.clone(), every: *every, applied: after_work });
                return;
            }
            Fault::Accepted { registered_after_ms, hidden } => {
                let after_ms = i64::try_from(*registered_after_ms).unwrap_or(i64::MAX);
                self.later = Some(Later { after_ms, hidden: *hidden });
                return;
            }
            Fault::SlowBody { bytes_per_second } => {
                self.bytes_per_second = Some(*bytes_per_second);
                return;
            }
            Fault::TruncatedBody { bytes } => {
                self.cut_after = Some(*bytes);
                return;
            }
            Fault::AnotherStatus { code } => {
                self.after.instead.get_or_insert(Instead::Under(status(*code)));
                return;
            }
            Fault::EmptyBody if after_work => Instead::Emptied,
            Fault::EmptyBody => Instead::Answer(Answer::empty(StatusCode::OK)),
            Fault::HtmlPage => Instead::Answer(Answer::sign_in_page()),
            Fault::OtherJson { body } => {
                let body = body.clone().unwrap_or_else(|| json!({"hello": "world"}));
                Instead::Answer(Answer::json(StatusCode::OK, &body))
            }
            Fault::Redirect { to, code } => Instead::Answer(Answer::moved(status(*code), to)),
            Fault::Unauthorized { .. } => Instead::Answer(Answer::unauthorized(Stranger::Malformed)),
            Fault::TooLarge { .. } => Instead::Answer(Answer::too_large()),
            Fault::NoSync { code: 405 } => Instead::Answer(Answer::wrong_method(facts.method, "GET")),
            Fault::NoSync { code } => {
                Instead::Answer(Answer { status: status(*code), ..Answer::no_such_path() })
            }
            Fault::Status(canned) => Instead::Answer(answer(canned, facts.now_ms)),
        };
        stage.instead.get_or_insert(answer);
    }

    /// What the request log shows where the work is done.
    pub(crate) fn shown(&self) -> Shown {
        if self.after.reset || self.after.hang.is_some() {
            return Shown::Nothing;
        }
        match &self.after.instead {
            Some(Instead::Answer(answer)) => Shown::Instead(answer.status.as_u16()),
            Some(Instead::Under(status)) => Shown::Instead(status.as_u16()),
            Some(Instead::Emptied) | None => Shown::AsDecided,
        }
    }

    /// Marks the projects that are left out, or refused one by one.
    pub(crate) fn treat(&self, parcels: &mut [Parcel]) {
        for (index, parcel) in parcels.iter_mut().enumerate() {
            let name = parcel.registration.name.as_str();
            if let Some(rule) = self.left_out.iter().find(|rule| rule.leaves(index, name)) {
                parcel.treatment = if rule.applied { Treatment::TakeSilently } else { Treatment::Ignore };
            }
            if self.poisoned.iter().any(|(poisoned, _)| poisoned == name) {
                parcel.treatment = Treatment::Refuse("This project could not be registered.");
            }
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The answer of a `status` fault.
fn answer(canned: &Canned, now_ms: i64) -> Answer {
    let status = status(canned.code);
    let mut answer = match &canned.body {
        Some(body) => Answer::typed(status, "text/html", body.clone()),
        None if status.is_server_error() => Answer::typed(
            status,
            "text/html",
            format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"),
        ),
        None => Answer::detail(status, status.canonical_reason().unwrap_or("Refused")),
    };
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers.retain(|(known, _)| *known != name);
            answer.headers.push((name, value));
        }
    };
    if let Some(content_type) = &canned.content_type {
        put(CONTENT_TYPE, content_type);
    }
    if let Some(value) = &canned.retry_after {
        put(RETRY_AFTER, value);
    }
    if let Some(seconds) = canned.retry_after_date_in {
        // Both dates are given here, so that their difference is exact.
        put(DATE, &http_date(now_ms));
        put(RETRY_AFTER, &http_date(now_ms.saturating_add(seconds.saturating_mul(1000))));
    }
    for (name, value) in &canned.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            put(name, value);
        }
    }
    answer
}
