//! The checks of `doctor`: each looks at one thing and says how it is and how to mend it.
//!
//! Checks are told what they judge wherever that can be had as a value; only [`files`] looks at the disk itself. A check
//! that needs a daemon is left out where none answers: that it does not is a finding of its own.

pub(crate) mod files;
pub(crate) mod machine;
pub(crate) mod status;
pub(crate) mod token;

use serde_json::{Value, json};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and somebody should know.
    Warning,
    /// It does not work, or others can do harm.
    Failed,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// A stable word for programs; one check may have several findings.
    pub(crate) code: &'static str,
    pub(crate) outcome: Outcome,
    /// What was found, with the names of things.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) remedy: Option<String>,
}

impl Check {
    pub(crate) fn ok(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Ok, message: message.into(), remedy: None }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    pub(crate) fn failed(code: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Failed, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// Makes a failure a warning, where something else was seen to work all the same.
    pub(crate) fn relieve(&mut self) {
        if self.outcome == Outcome::Failed {
            self.outcome = Outcome::Warning;
        }
    }

    pub(crate) fn document(&self) -> Value {
        json!({"code": self.code, "outcome": self.outcome.as_str(), "message": self.message, "remedy": self.remedy})
    }
}

/// How many findings have an outcome.
pub(crate) fn counted(checks: &[Check], outcome: Outcome) -> usize {
    checks.iter().filter(|check| check.outcome == outcome).count()
}
