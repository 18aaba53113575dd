//! Faults: what may go wrong on demand, to which requests, and how often.
//!
//! Rules are replaced and removed while the dev cloud runs. Which of them touch a request, and in
//! which order, is decided in `plan.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One thing that goes wrong.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An answer with this status. Without a body, gateway-like HTML for 5xx and `{"detail": …}` for others.
    Status(Canned),
    /// Waits so many milliseconds.
    Latency {
        /// How long.
        ms: u64,
    },
    /// Takes the request and does not go on until the rule is removed.
    Hang,
    /// Cuts the connection with a reset.
    Reset,
    /// A sign-in page with 200, as a hotel's network gives.
    HtmlPage,
    /// The true answer, after its work, under another status.
    AnotherStatus {
        /// Which.
        code: u16,
    },
    /// No body at all; 200 where no work was done, else the true status.
    EmptyBody,
    /// 200 and JSON that is not the contract's.
    OtherJson {
        /// The body; `{"hello": "world"}` where none is given.
        #[serde(default)]
        body: Option<serde_json::Value>,
    },
    /// A redirect.
    Redirect {
        /// Where to.
        to: String,
        /// 302 where none is given.
        #[serde(default = "found")]
        code: u16,
    },
    /// 401 for every bearer but this one.
    Unauthorized {
        /// The one token that passes.
        #[serde(default)]
        unless_token: Option<String>,
    },
    /// 413 for larger bodies.
    TooLarge {
        /// The largest body that passes, in bytes.
        above_bytes: usize,
    },
    /// Does not take projects of this name: 400 for a single one.
    PoisonedName {
        /// The whole name.
        name: String,
        /// What becomes of a batch with such a project.
        #[serde(default)]
        batch: PoisonedBatch,
    },
    /// Leaves results out of a batch's answer; with `after_work` their projects are registered all the same.
    LeftOut {
        /// Projects of this name.
        #[serde(default)]
        name: Option<String>,
        /// Every so-manieth result.
        #[serde(default)]
        every: Option<usize>,
    },
    /// An older deployment without `/sync/`.
    NoSync {
        /// 404 or 405; 404 where none is given.
        #[serde(default = "not_found")]
        code: u16,
    },
    /// 202: new projects stay pending for a while.
    Accepted {
        /// How long until they are registered.
        registered_after_ms: u64,
        /// No UUID in the answer, and none to be looked up before they are registered.
        #[serde(default)]
        hidden: bool,
    },
    /// A body that trickles.
    SlowBody {
        /// How fast.
        bytes_per_second: u64,
    },
    /// A body that ends too early, its connection closed.
    TruncatedBody {
        /// How much of it is sent.
        bytes: usize,
    },
}

/// An answer as a `status` fault gives it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// The status.
    pub code: u16,
    /// The whole body.
    #[serde(default)]
    pub body: Option<String>,
    /// Its type; `text/html` for a body that is given.
    #[serde(default)]
    pub content_type: Option<String>,
    /// `Retry-After`, word for word.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// `Retry-After` as a date so many seconds ahead of the answer's own.
    #[serde(default)]
    pub retry_after_date_in: Option<i64>,
    /// More headers; a `date` replaces the server's own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// What becomes of a batch with a poisoned name in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoisonedBatch {
    /// 400 for the whole batch.
    #[default]
    Refused,
    /// 500 for the whole batch.
    Crashed,
    /// An error result for the poisoned one; the others are taken.
    ItemError,
}

fn found() -> u16 {
    302
}

fn not_found() -> u16 {
    404
}

impl Fault {
    /// An answer with only a status.
    pub fn status(code: u16) -> Self {
        Self::Status(Canned { code, ..Canned::default() })
    }

    /// An answer with a status and a `Retry-After`, word for word.
    pub fn retry_after(code: u16, value: &str) -> Self {
        Self::Status(Canned { code, retry_after: Some(value.to_owned()), ..Canned::default() })
    }

    /// Its name in rules and in the request log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Latency { .. } => "latency",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::HtmlPage => "html_page",
            Self::AnotherStatus { .. } => "another_status",
            Self::EmptyBody => "empty_body",
            Self::OtherJson { .. } => "other_json",
            Self::Redirect { .. } => "redirect",
            Self::Unauthorized { .. } => "unauthorized",
            Self::TooLarge { .. } => "too_large",
            Self::PoisonedName { .. } => "poisoned_name",
            Self::LeftOut { .. } => "left_out",
            Self::NoSync { .. } => "no_sync",
            Self::Accepted { .. } => "accepted",
            Self::SlowBody { .. } => "slow_body",
            Self::TruncatedBody { .. } => "truncated_body",
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Status(canned) => {
                check_status(canned.code)?;
                for value in canned.content_type.iter().chain(&canned.retry_after) {
                    check_header("content-type", value)?;
                }
                canned.headers.iter().try_for_each(|(name, value)| check_header(name, value))
            }
            Self::Redirect { to, code } => check_status(*code).and_then(|()| check_header("location", to)),
            Self::NoSync { code } | Self::AnotherStatus { code } => check_status(*code),
            Self::LeftOut { name: None, every: None } => {
                Err("left_out needs a `name` or an `every`".to_owned())
            }
            Self::LeftOut { every: Some(0), .. } => Err("`every` counts from 1".to_owned()),
            Self::SlowBody { bytes_per_second: 0 } => Err("`bytes_per_second` counts from 1".to_owned()),
            Self::Latency { .. }
            | Self::Hang
            | Self::Reset
            | Self::HtmlPage
            | Self::EmptyBody
            | Self::OtherJson { .. }
            | Self::Unauthorized { .. }
            | Self::TooLarge { .. }
            | Self::PoisonedName { .. }
            | Self::LeftOut { .. }
            | Self::Accepted { .. }
            | Self::SlowBody { .. }
            | Self::TruncatedBody { .. } => Ok(()),
        }
    }
}

fn check_status(code: u16) -> Result<(), String> {
    match StatusCode::from_u16(code) {
        Ok(status) if !status.is_informational() => Ok(()),
        Ok(_) | Err(_) => Err(format!("{code} is not the status of an answer")),
    }
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    if HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() {
        Ok(())
    } else {
        Err(format!("`{name}: {value}` is not a header"))
    }
}

/// Which requests a fault befalls.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Part of the path and query; any where none is given.
    #[serde(default)]
    pub path: Option<String>,
    /// The method; any where none is given.
    #[serde(default)]
    pub method: Option<String>,
    /// How often, then it wears off; for ever where none is given.
    #[serde(default)]
    pub times: Option<u64>,
    /// Whether the request's work is done and committed before the fault shows.
    #[serde(default)]
    pub after_work: bool,
    /// What goes wrong.
    pub fault: Fault,
}

impl Rule {
    /// The fault for every request, before its work, for ever.
    pub fn new(fault: Fault) -> Self {
        Self { path: None, method: None, times: None, after_work: false, fault }
    }

    /// Only where the path and query contain this.
    #[must_use]
    pub fn on_path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Only for this method.
    #[must_use]
    pub fn on_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only once the work is done and committed.
    #[must_use]
    pub fn after_work(mut self) -> Self {
        self.after_work = true;
        self
    }
}

/// A rule that is in force, or wore off and was not removed yet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// By which it is removed.
    pub id: u64,
    /// How many requests it befell.
    pub used: u64,
    /// The rule.
    pub rule: Rule,
}

impl Standing {
    /// Whether it has befallen as many requests as it may.
    pub fn worn_off(&self) -> bool {
        self.rule.times.is_some_and(|times| self.used >= times)
    }
}

/// A rule that cannot be obeyed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("use the rule: {0}")]
pub struct BadRule(String);

/// The switchboard of faults. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Board {
    last_id: u64,
    standing: Vec<Standing>,
}

impl Faults {
    /// Adds a rule behind those that stand, and tells its id.
    pub fn add(&self, rule: Rule) -> Result<u64, BadRule> {
        rule.fault.check().map_err(BadRule)?;
        Ok(self.board().add(rule))
    }

    /// Replaces all rules by these.
    pub fn replace(&self, rules: Vec<Rule>) -> Result<(), BadRule> {
        rules.iter().try_for_each(|rule| rule.fault.check()).map_err(BadRule)?;
        let mut board = self.board();
        board.standing.clear();
        for rule in rules {
            board.add(rule);
        }
        drop(board);
        self.shared.changed.send_replace(());
        Ok(())
    }

    /// Removes one rule; what hangs by it goes on.
    pub fn remove(&self, id: u64) {
        self.board().standing.retain(|standing| standing.id != id);
        self.shared.changed.send_replace(());
    }

    /// Removes all rules; what hangs goes on.
    pub fn clear(&self) {
        self.board().standing.clear();
        self.shared.changed.send_replace(());
    }

    /// The rules in their order, worn-off ones too.
    pub fn standing(&self) -> Vec<Standing> {
        self.board().standing.clone()
    }

    /// Lets `touch` look at the rules in their order and count the uses.
    pub(crate) fn befall<T>(&self, touch: impl FnOnce(&mut [Standing]) -> T) -> T {
        touch(&mut self.board().standing)
    }

    /// Waits until a rule is removed.
    pub(crate) async fn removed(&self, id: u64) {
        let mut changed = self.shared.changed.subscribe();
        while self.board().standing.iter().any(|standing| standing.id == id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn add(&mut self, rule: Rule) -> u64 {
        self.last_id += 1;
        self.standing.push(Standing { id: self.last_id, used: 0, rule });
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, Rule};

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let check = |text: &str, expected: Rule| {
            assert_eq!(serde_json::from_str::<Rule>(text).expect("the rule can be read"), expected);
            let written = serde_json::to_string(&expected).expect("the rule can be written");
            assert_eq!(
                serde_json::from_str::<Rule>(&written).expect("what is written can be read"),
                expected
            );
        };
        check(r#"{"fault": "hang"}"#, Rule::new(Fault::Hang));
        check(
            r#"{"path": "/sync/", "times": 2, "fault": {"status": {"code": 503}}}"#,
            Rule::new(Fault::status(503)).on_path("/sync/").times(2),
        );
        check(r#"{"after_work": true, "fault": "reset"}"#, Rule::new(Fault::Reset).after_work());
    }

    #[test]
    fn a_rule_that_means_nothing_is_refused() {
        let check = |text: &str| {
            let refused = match serde_json::from_str::<Rule>(text) {
                Ok(rule) => Faults::default().add(rule).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{text}");
        };
        check(r#"{"fault": {"status": {"code": 42}}}"#);
        check(r#"{"fault": {"status": {"code": 100}}}"#);
        check(r#"{"fault": {"another_status": {"code": 1000}}}"#);
        check(r#"{"fault": {"status": {"code": 200, "headers": {"a b": "c"}}}}"#);
        check(r#"{"fault": {"status": {"code": 200, "cod": 1}}}"#);
        check(r#"{"fault": {"left_out": {}}}"#);
        check(r#"{"fault": {"left_out": {"every": 0}}}"#);
        check(r#"{"fault": {"slow_body": {"bytes_per_second": 0}}}"#);
        check(r#"{"fault": "unheard_of"}"#);
        check(r#"{"fault": "hang", "tmes": 1}"#);
    }
}
