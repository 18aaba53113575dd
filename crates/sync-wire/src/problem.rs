//! What the daemon answers instead: an RFC 9457 problem with a stable code.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::queue::QueueItemBrief;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done. The words may change, the code may not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI that stands for the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: ProblemCode,
    /// What was wrong and where.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// With `not_registered`: the entry of the queue, where the project is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_item: Option<QueueItemBrief>,
}

impl Problem {
    /// A problem of a kind, with what was wrong and where.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:coditect-sync:problem:{code}"),
            title: code.title().to_owned(),
            status: code.http_status(),
            code,
            detail: detail.into(),
            hint: None,
            instance: None,
            queue_item: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with what was asked for.
    #[must_use]
    pub fn with_instance(self, instance: impl Into<String>) -> Self {
        Self { instance: Some(instance.into()), ..self }
    }

    /// The same with the entry of the queue that is on its way.
    #[must_use]
    pub fn with_queue_item(self, item: QueueItemBrief) -> Self {
        Self { queue_item: Some(item), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $status:literal, $title:literal;)*) => {
        /// The stable codes of problems, each with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl ProblemCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The HTTP status that goes with it.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// The code in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    BadRequest, "bad_request", 400, "the request cannot be understood";
    /// There is no such thing.
    NotFound, "not_found", 404, "there is no such thing";
    /// The project is not registered with the cloud, or not yet.
    NotRegistered, "not_registered", 404, "the project is not registered";
    /// There is such a route, but not for this method.
    MethodNotAllowed, "method_not_allowed", 405, "the route does not take this method";
    /// What was asked for contradicts what is.
    Conflict, "conflict", 409, "the request contradicts the present state";
    /// The body is larger than is read.
    PayloadTooLarge, "payload_too_large", 413, "the body is too large";
    /// The body is not JSON.
    UnsupportedMediaType, "unsupported_media_type", 415, "the body is not JSON";
    /// The cloud does not take the credentials.
    AuthRequired, "auth_required", 502, "the cloud refuses the credentials";
    /// The cloud could not be asked.
    CloudUnreachable, "cloud_unreachable", 503, "the cloud cannot be reached";
    /// No more entries fit.
    QueueFull, "queue_full", 507, "the queue is full";
    /// Nothing more can be written.
    DiskFull, "disk_full", 507, "the disk is full";
    /// The daemon is about to be ready.
    Starting, "starting", 503, "the daemon is starting";
    /// The daemon is about to end.
    ShuttingDown, "shutting_down", 503, "the daemon is shutting down";
    /// The daemon failed. A code that this reader does not know is read as this one.
    #[serde(other)]
    Internal, "internal", 500, "the daemon failed";
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_as_itself() {
        for code in ProblemCode::ALL {
            let text = serde_json::to_string(code).unwrap();
            assert_eq!(text, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ProblemCode>(&text).unwrap(), *code);
        }
    }

    #[test]
    fn a_code_of_tomorrow_can_be_read_today() {
        let text = r#"{"type":"x","title":"t","status":418,"code":"teapot","detail":"d","more":1}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!((problem.status, problem.code), (418, ProblemCode::Internal));
    }

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let problem = Problem::new(ProblemCode::BadRequest, "root_path is not an absolute path")
            .with_hint("begin it with `/`")
            .with_instance("/v1/projects");
        let text = serde_json::to_string_pretty(&problem).unwrap();
        let expected = r#"{
  "type": "urn:coditect-sync:problem:bad_request",
  "title": "the request cannot be understood",
  "status": 400,
  "code": "bad_request",
  "detail": "root_path is not an absolute path",
  "hint": "begin it with `/`",
  "instance": "/v1/projects"
}"#;
        assert_eq!(text, expected);
    }
}
