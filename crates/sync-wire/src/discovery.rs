//! What `POST /v1/discovery/scan` is asked and answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where to look for projects now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanRequest {
    /// Absolute paths; none: the configured roots.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^/[^\u0000]*$"), length(max = 4096)))]
    pub paths: Vec<String>,
    /// How long to wait for the end of it, in milliseconds; nothing or 0: not at all.
    #[serde(default, deserialize_with = "crate::whole::optional")]
    #[schemars(range(max = 600_000))]
    pub wait_ms: Option<u64>,
}

/// What a scan found within the wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanAnswer {
    /// Projects that are there.
    pub found: u64,
    /// Of those, the ones that were not known.
    pub added: u64,
    /// Of those, the ones about which something was different.
    pub changed: u64,
    /// Projects that were there before and are not.
    pub missing: u64,
    /// Whether it is over; where not, it goes on and the counts are not final.
    pub done: bool,
}
