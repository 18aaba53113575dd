//! What `GET /v1/status`, `/v1/health`, `/v1/ready`, `/v1/pause` and `/v1/resume` answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How the daemon is doing, on one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The version of the control API.
    pub api: u32,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// How long it has run, in seconds.
    pub uptime_seconds: u64,
    /// Whether it runs with a cloud of its own inside (`--dev`), which needs no token.
    #[serde(default)]
    pub dev: bool,
    /// Whether nothing is sent for now, because somebody told so or the machine's state wants it.
    pub paused: bool,
    /// Who did, why and until when; `null` while it is not paused.
    #[serde(default)]
    pub pause: Option<PauseStatus>,
    /// What is held back by itself, for as long as there is reason to.
    #[serde(default)]
    pub holds: Vec<HoldStatus>,
    /// This machine, as the cloud knows it.
    pub machine_uuid: Uuid,
    /// The tenant for which it registers; `null` until one is known.
    pub tenant_id: Option<String>,
    /// The way to the cloud.
    pub cloud: CloudStatus,
    /// What waits to be sent.
    pub queue: QueueCounts,
    /// What is known of the cloud's UUIDs.
    pub cache: CacheCounts,
    /// The projects on this machine.
    pub projects: ProjectCounts,
    /// Where projects are looked for.
    pub discovery: DiscoveryStatus,
}

/// How the cloud is to be reached, and whether it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CloudStatus {
    /// Its address.
    pub api_url: String,
    /// How it stands.
    pub state: CloudState,
    /// Since when it stands so.
    pub since: String,
    /// When it last did what it was asked.
    pub last_success_at: Option<String>,
    /// What last went wrong; `null` when nothing did since the start.
    pub last_error: Option<LastError>,
    /// When it is tried again; `null` when nothing waits or only a person can help.
    pub next_attempt_at: Option<String>,
    /// Until when what failed before is not sent again, so that a cloud in trouble is not overrun; a flush ends that.
    /// `null` when nothing waits for it.
    #[serde(default)]
    pub spared_until: Option<String>,
}

/// How the cloud stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloudState {
    /// The last request was answered.
    Online,
    /// No answer arrives.
    Offline,
    /// Something else answers in its place: the sign-in page of a network.
    Portal,
    /// It asked for patience.
    Throttled,
    /// It does not take the token, or there is none.
    AuthRequired,
    /// It knows the token and refuses all the same.
    Forbidden,
    /// It answers, but not as its contract says.
    Protocol,
    /// It was not asked yet. A state that a newer daemon knows and this reader does not is read as this one.
    #[serde(other)]
    Unknown,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    /// A stable word.
    pub code: String,
    /// For people.
    pub message: String,
    /// When.
    pub at: String,
}

/// How many entries wait, by state. Also what `GET /v1/queue` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueCounts {
    /// To be sent as soon as possible.
    pub ready: u64,
    /// To be sent later.
    pub delayed: u64,
    /// Being sent.
    pub in_flight: u64,
    /// Waiting for a person, tried again daily.
    pub parked: u64,
    /// Refused for good; kept to be shown, retried or dropped.
    pub dead: u64,
    /// When the one that waits longest began to.
    pub oldest_enqueued_at: Option<String>,
}

impl QueueCounts {
    /// How many entries are still to be delivered: all but the dead ones.
    pub fn waiting(&self) -> u64 {
        self.ready + self.delayed + self.in_flight + self.parked
    }
}

/// How many UUIDs of the cloud are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheCounts {
    /// All.
    pub entries: u64,
    /// Those that are believed.
    pub fresh: u64,
    /// Those that are past their time: still answered, and marked.
    pub stale: u64,
}

/// How many projects are known, by state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectCounts {
    /// All.
    pub total: u64,
    /// The cloud has them.
    pub registered: u64,
    /// On their way.
    pub pending: u64,
    /// No longer on disk.
    pub missing: u64,
    /// The cloud does not want them.
    pub rejected: u64,
}

/// Where projects are looked for, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiscoveryStatus {
    /// The configured roots.
    pub roots: Vec<RootStatus>,
    /// What could not be read, for people; the first few.
    #[serde(default)]
    pub problems: Vec<String>,
    /// How many directories the system watches for us.
    pub watches: u64,
    /// How many new projects are still being made; they are registered when they have come to rest.
    #[serde(default)]
    pub arriving: u64,
    /// The last complete look; `null` before the first.
    pub last_scan: Option<LastScan>,
}

/// One root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RootStatus {
    /// Where.
    pub path: String,
    /// How it is looked after.
    pub state: RootState,
    /// How many projects are below it.
    pub projects: u64,
}

/// How a root is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RootState {
    /// The system tells of changes.
    Watching,
    /// It is looked through at intervals only.
    Polling,
    /// It does not exist.
    Missing,
    /// It must not be read.
    Denied,
}

/// What the last complete look found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastScan {
    /// When it began.
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Projects that are there.
    pub found: u64,
    /// Of those, the ones that were not known.
    pub added: u64,
    /// Of those, the ones about which something was different.
    pub changed: u64,
    /// Projects that were there before and are not.
    pub missing: u64,
}

/// Whether the daemon can do its work; with status 200 when it can, 503 when it cannot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it can.
    pub healthy: bool,
    /// Why not.
    pub why: Option<String>,
}

/// Whether the daemon takes requests; with status 200 when it does, 503 when it does not yet or no longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// Whether it does.
    pub ready: bool,
    /// Why not.
    pub why: Option<String>,
}

/// Body of `POST /v1/pause`: send nothing from here on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long, in milliseconds, at most 30 days; without it until somebody resumes.
    #[serde(default, deserialize_with = "crate::whole::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000_000_u64))]
    pub for_ms: Option<u64>,
    /// Why, for whoever looks at the status; one line of at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"), length(max = 200))]
    pub reason: Option<String>,
}

/// Who paused sending, why and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseStatus {
    /// Who: `user` is whoever asked through the control socket, `battery` and `metered` are the machine's state.
    pub by: String,
    /// When.
    pub since: String,
    /// When it ends by itself; `null` when somebody has to resume.
    pub until: Option<String>,
    /// Why; `null` when nobody said.
    pub reason: Option<String>,
}

/// Something that is held back by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldStatus {
    /// What for: `battery`, `low_battery`, `metered`, `disk`, `credential`, `queue`, `configuration`, `legacy`, `log`; more
    /// words may come.
    pub by: String,
    /// What does not happen: `sending`, `sweeps` (looks through everything known), `queueing`, `reloads`, `imports`,
    /// `logging`; more words may come.
    pub stops: String,
    /// Since when.
    pub since: String,
    /// When it is tried all the same; `null` when it ends with its reason.
    pub until: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// When it ends, as the rest of a sentence.
    pub ends: String,
}

/// What `POST /v1/pause` and `POST /v1/resume` answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PauseAnswer {
    /// Whether nothing is sent from here on.
    pub paused: bool,
    /// Who paused it, why and until when.
    #[serde(default)]
    pub pause: Option<PauseStatus>,
}

/// What `POST /v1/reload` answers when the configuration is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadAnswer {
    /// What somebody should know of it, for people: odd keys, and what needs another start.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The daemon answers questions well.
    Ready,
    /// All projects were looked for and nothing waits to be sent.
    Idle,
    /// The cloud has a project.
    Registered,
}

impl Goal {
    /// The word it is written as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Registered => "registered",
        }
    }
}

/// What `GET /v1/wait` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitAnswer {
    /// What was waited for.
    #[serde(rename = "for")]
    pub goal: Goal,
    /// Whether it is so.
    pub reached: bool,
    /// What is still missing.
    pub why: Option<String>,
}
