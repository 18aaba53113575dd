//! A failure as a person meets it: what happened, what to do, and with which status the program ends.

use serde_json::json;
use sync_wire::{Problem, ProblemCode};

use crate::exit::{Exit, of_problem};
use crate::human::clean;

/// Why a command was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// What happened, with the names of things.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The daemon's own words, where it said no.
    pub(crate) problem: Option<Box<Problem>>,
    /// The daemon's answer, where it is one that tells of a failure.
    answer: Option<Vec<u8>>,
}

impl Failure {
    /// A failure that is the program's own.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: None, problem: None, answer: None }
    }

    /// Something on this machine did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }

    /// The configuration cannot be used; one line for each thing that is wrong.
    pub(crate) fn configuration(problems: &[sync_config::Problem]) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::new(Exit::Config, "bad_configuration", lines.join("\n"))
    }

    /// What the daemon says instead of an answer.
    pub(crate) fn of_problem(problem: Box<Problem>) -> Self {
        Self {
            exit: of_problem(problem.code),
            code: problem.code.as_str(),
            message: problem.to_string(),
            hint: problem.hint.clone(),
            problem: Some(problem),
            answer: None,
        }
    }

    /// The same with what to do.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with the daemon's answer that tells of it.
    pub(crate) fn with_answer(self, answer: Vec<u8>) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// What to do; in general where nobody said it better.
    fn what_to_do(&self) -> &str {
        let general =
            self.problem.as_ref().map_or_else(|| of_exit(self.exit), |problem| of_code(problem.code));
        self.hint.as_deref().unwrap_or(general)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let lines = self.message.lines().map(|line| ("error", line));
        let hint = [("hint", self.what_to_do())];
        let lines: Vec<String> =
            lines.chain(hint).map(|(word, line)| format!("{word}: {}", clean(line))).collect();
        lines.join("\n") + "\n"
    }

    /// For programs: what the daemon said, or a problem in the form of its problems.
    pub(crate) fn document(&self) -> Vec<u8> {
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        let document = match &self.problem {
            Some(problem) => serde_json::to_value(problem).unwrap_or_default(),
            None => json!({
                "type": format!("urn:coditect-sync:problem:{}", self.code),
                "title": self.code.replace('_', " "),
                "code": self.code,
                "detail": self.message,
                "hint": self.what_to_do(),
            }),
        };
        document.to_string().into_bytes()
    }
}

/// What to do in general when the daemon says no.
fn of_code(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::BadRequest => "see what it takes with `--help`",
        ProblemCode::NotFound => {
            "see what is known with `coditect-sync projects` and `coditect-sync queue list`"
        }
        ProblemCode::NotRegistered => "run `coditect-sync register PATH`",
        ProblemCode::MethodNotAllowed | ProblemCode::PayloadTooLarge | ProblemCode::UnsupportedMediaType => {
            "compare `coditect-sync --version` and `coditect-syncd --version`"
        }
        ProblemCode::Conflict | ProblemCode::Starting => "try again in a moment",
        ProblemCode::AuthRequired => "run `coditect-sync auth set-token`",
        ProblemCode::CloudUnreachable => {
            "see `coditect-sync status`: it says since when and when it is tried again"
        }
        ProblemCode::QueueFull => "see `coditect-sync status`: what waits is to be sent first",
        ProblemCode::DiskFull => "make room on the disk of the state directory",
        ProblemCode::ShuttingDown => {
            "start it again with `coditect-sync service start`, or run `coditect-syncd`"
        }
        ProblemCode::Internal => "see `coditect-sync logs`, and please report it",
    }
}

/// What to do in general when this program cannot.
fn of_exit(exit: Exit) -> &'static str {
    match exit {
        Exit::Usage => "see what it takes with `--help`",
        Exit::Config => "mend it; `coditect-sync config check` says when it is in order",
        Exit::Refused => "run `coditect-sync auth set-token`",
        Exit::NotFound => "see what is known with `coditect-sync projects`",
        Exit::NoDaemon | Exit::Queued | Exit::Failed | Exit::Done => "see `coditect-sync doctor`",
    }
}
