//! What the engine can be asked, and what it answers, in the words of the domain.
//!
//! The control server turns socket requests into these and these into socket answers; nothing here is serialized.

use std::path::PathBuf;
use std::time::Duration;

use sync_core::{
    CloudId, CloudProject, Entry, EntryId, Failure as EntryFailure, Field, Given, LocalId, Mapping, Project,
    ProjectKind, ScopeId, Sighting, TenantId, Timestamp,
};
use sync_wire::ProblemCode;

/// A question the engine could not answer well. Becomes a problem document as it is.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The stable word.
    pub code: ProblemCode,
    /// What happened, with the name of the thing.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The entry that is on its way, where that explains the refusal.
    pub entry: Option<Box<EntryView>>,
}

/// Which project is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its UUID here.
    Local(LocalId),
    /// By an absolute path; a path inside a project counts as that project, the innermost wins.
    Path(PathBuf),
}

/// A project's UUID in the cloud.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// What is known.
    pub mapping: Mapping,
    /// The tenant of the scope it was answered in, where it has a name.
    pub tenant: Option<TenantId>,
    /// Whether the cloud was asked for this answer.
    pub from_cloud: bool,
    /// Whether it has expired and the cloud could not be asked.
    pub stale: bool,
}

/// A registration as the cloud tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToldByCloud {
    /// What is read of it.
    pub project: CloudProject,
    /// Its UUID on the machine it is on, where that is known.
    pub local: Option<LocalId>,
    /// Whether it is a project of this machine.
    pub here: bool,
    /// The tenant of the scope it was answered in, where it has a name.
    pub tenant: Option<TenantId>,
    /// All that the cloud said.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// A project's state as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProjectState {
    /// The cloud knows it as it is.
    Registered,
    /// On its way.
    Pending,
    /// Gone from disk.
    Missing,
    /// The cloud refused it.
    Rejected,
}

/// One project with all that is known of it.
#[derive(Clone, Debug)]
pub(crate) struct ProjectView {
    /// The record.
    pub project: Project,
    /// Its state.
    pub state: ProjectState,
    /// Its UUID in the cloud, in the present scope.
    pub mapping: Option<Mapping>,
    /// What waits to be sent of it.
    pub entry: Option<EntryView>,
}

/// Which projects are wanted; an empty filter is all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProjectFilter {
    /// Only in this state.
    pub state: Option<ProjectState>,
    /// Only of this kind.
    pub kind: Option<ProjectKind>,
    /// Only with this main language, letter case ignored.
    pub language: Option<String>,
}

/// A list of projects that is read part by part.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The view of which scope it shows, from its beginning to its end.
    pub scope: ScopeId,
    /// Which projects are on it.
    pub filter: ProjectFilter,
    /// The last one that was read.
    pub after: Option<LocalId>,
}

/// Where an entry stands as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryState {
    /// Due.
    Ready,
    /// Waiting for its time.
    Delayed,
    /// In the air.
    InFlight,
    /// Waiting for a person.
    Parked,
    /// The cloud's final word.
    Dead,
}

/// An entry and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct EntryView {
    /// The row.
    pub entry: Entry,
    /// Where it stands.
    pub state: EntryState,
}

/// How many entries stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    /// Due now.
    pub ready: u64,
    /// Waiting for their time.
    pub delayed: u64,
    /// In the air.
    pub in_flight: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// The cloud's final word.
    pub dead: u64,
    /// Since when the oldest waits.
    pub oldest_enqueued_at: Option<Timestamp>,
}

/// A project as a tool gives it; what it leaves out is found out by looking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Absolute path of its root.
    pub root: PathBuf,
    /// The UUID the tool gave it.
    pub local: Option<LocalId>,
    /// Its name.
    pub name: Option<String>,
    /// Its main language.
    pub language: Option<String>,
    /// Its framework.
    pub framework: Option<String>,
    /// Its content hash.
    pub content_hash: Option<String>,
    /// Its kind.
    pub kind: Option<ProjectKind>,
    /// Its parent.
    pub parent: Option<LocalId>,
    /// What was given earlier counts no longer.
    pub detected: bool,
}

impl Draft {
    /// What it gives. An empty text gives nothing.
    pub(crate) fn given(&self) -> Given {
        let text = |given: &Option<String>| given.as_deref().is_some_and(|text| !text.is_empty());
        let fields = [
            (Field::Name, text(&self.name)),
            (Field::Language, text(&self.language)),
            (Field::Framework, text(&self.framework)),
            (Field::Kind, self.kind.is_some()),
            (Field::Parent, self.parent.is_some()),
        ];
        let given: Given =
            fields.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| field).collect();
        if self.detected { given.anew() } else { given }
    }
}

/// What became of one draft.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    /// The project's UUID here.
    pub local: LocalId,
    /// How far it came.
    pub outcome: RegisterOutcome,
}

/// How far a registration came.
#[derive(Clone, Debug)]
pub(crate) enum RegisterOutcome {
    /// The cloud has taken it while we waited.
    Registered(Mapping),
    /// The cloud had it already, just so.
    Cached(Mapping),
    /// Durable in the queue, not yet in the cloud; with the UUID where an earlier state of it is registered.
    Queued(Option<CloudId>),
    /// The cloud refused it, or it is no registration at all.
    Failed(EntryFailure),
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// Its number; grows.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// A stable word.
    pub kind: String,
    /// The project it is about.
    pub local: Option<LocalId>,
    /// For people.
    pub message: String,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flushed {
    /// Delivered since the flush began.
    pub delivered: u64,
    /// Still waiting.
    pub remaining: u64,
    /// Dead letters.
    pub dead: u64,
}

/// What a scan came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Projects seen.
    pub found: u64,
    /// New ones.
    pub added: u64,
    /// Different ones, moved and returned ones too.
    pub changed: u64,
    /// Gone ones.
    pub missing: u64,
    /// Whether the scan came to its end within the wait.
    pub done: bool,
}

/// The cloud's state as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CloudState {
    /// The last exchange was good.
    Online,
    /// Cannot be reached.
    Offline,
    /// Something else answers in its place.
    Portal,
    /// It asked for patience.
    Throttled,
    /// It does not take our credential, or there is none.
    AuthRequired,
    /// It refuses this tenant.
    Forbidden,
    /// It does not speak the contract.
    Protocol,
    /// Nothing was sent yet.
    Unknown,
}

impl CloudState {
    /// A short lower-case word, as the status has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Portal => "portal",
            Self::Throttled => "throttled",
            Self::AuthRequired => "auth_required",
            Self::Forbidden => "forbidden",
            Self::Protocol => "protocol",
            Self::Unknown => "unknown",
        }
    }
}

/// A project as a look saw it, and what it was told by.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The project.
    pub sighting: Sighting,
    /// What its fields were told by.
    pub evidence: sync_scan::Evidence,
}

/// What a look at a path found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspected {
    /// Each project with what is on record of it.
    pub projects: Vec<(Seen, Option<ProjectView>)>,
    /// How many more there are than are told.
    pub more: u64,
    /// Places that could not be read, for people.
    pub problems: Vec<String>,
}

/// One root of discovery as it stands.
#[derive(Clone, Debug)]
pub(crate) struct RootView {
    /// Where.
    pub path: PathBuf,
    /// How it is kept track of.
    pub state: RootState,
    /// Present projects under it.
    pub projects: u64,
}

/// How a root is kept track of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootState {
    /// The operating system tells of changes.
    Watching,
    /// It is looked at from time to time.
    Polling,
    /// It is not there.
    Missing,
    /// It cannot be read.
    Denied,
}

/// The last finished scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastScan {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What it came to.
    pub scanned: Scanned,
}

/// Something that is held back for as long as there is reason to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldView {
    /// What for, in a stable word.
    pub by: &'static str,
    /// What does not happen, in a stable word.
    pub stops: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again all the same.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
    /// When it ends, as the rest of a sentence.
    pub ends: &'static str,
}

impl HoldView {
    /// Nothing is sent.
    pub(crate) const SENDING: &'static str = "sending";
    /// Nobody looks through everything that is known.
    pub(crate) const SWEEPS: &'static str = "sweeps";
    /// Nothing new is taken.
    pub(crate) const QUEUEING: &'static str = "queueing";
    /// A changed configuration is not followed.
    pub(crate) const RELOADS: &'static str = "reloads";
    /// Nothing is taken over from the old client.
    pub(crate) const IMPORTS: &'static str = "imports";
    /// No log is written.
    pub(crate) const LOGGING: &'static str = "logging";
    /// For want of a credential.
    pub(crate) const CREDENTIAL: &'static str = "credential";
}

/// Everything `status` shows, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct StatusReport {
    /// The moment.
    pub now: Timestamp,
    /// When the daemon started.
    pub started_at: Timestamp,
    /// How long it has been running.
    pub uptime: Duration,
    /// Whether the cloud is inside.
    pub dev: bool,
    /// The pause that is in force.
    pub paused: Option<super::Pausing>,
    /// What is held back by itself.
    pub held_back: Vec<HoldView>,
    /// This machine's UUID, as text.
    pub machine: String,
    /// The tenant, where it has a name.
    pub tenant: Option<TenantId>,
    /// The cloud's URL.
    pub api_url: String,
    /// The cloud's state.
    pub cloud: CloudState,
    /// Since when.
    pub cloud_since: Timestamp,
    /// The last good exchange.
    pub last_success_at: Option<Timestamp>,
    /// The last thing that went wrong with the cloud.
    pub last_failure: Option<EntryFailure>,
    /// When something is sent next, where that is known.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when what failed before is not repeated, for the cloud's sake.
    pub spared_until: Option<Timestamp>,
    /// The queue.
    pub queue: QueueCounts,
    /// Mappings: all, fresh, stale.
    pub cache: (u64, u64, u64),
    /// Projects: all, registered, pending, missing, rejected.
    pub projects: (u64, u64, u64, u64, u64),
    /// The roots.
    pub roots: Vec<RootView>,
    /// Watches in use.
    pub watches: u64,
    /// New projects that are still being made.
    pub arriving: u64,
    /// What could not be read, for people; the first few.
    pub scan_problems: Vec<String>,
    /// The last finished scan.
    pub last_scan: Option<LastScan>,
}

impl StatusReport {
    /// What keeps the daemon from sending though the cloud would take it, where nobody asked for that.
    pub(crate) fn paused_by_itself(&self) -> Option<&HoldView> {
        let is_pause = |hold: &&HoldView| hold.stops == HoldView::SENDING && hold.by != HoldView::CREDENTIAL;
        self.held_back.iter().find(is_pause)
    }
}

/// Everything about the daemon itself.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    /// The status.
    pub report: StatusReport,
    /// The database.
    pub figures: sync_store::Figures,
    /// The size of the database's file.
    pub file_bytes: Option<u64>,
    /// Where files are, by what they are for.
    pub places: Vec<(&'static str, PathBuf)>,
    /// The configuration in force, without secrets.
    pub configuration: serde_json::Value,
    /// Whether the cloud is inside.
    pub dev: bool,
    /// The process.
    pub process: ProcessUse,
    /// What holds it.
    pub sandbox: crate::sandbox::Sandbox,
    /// What happened last.
    pub happened: Vec<Happening>,
}

/// What the process uses, where the system tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessUse {
    /// Memory it holds.
    pub resident_bytes: Option<u64>,
    /// Memory of its own.
    pub anonymous_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and sockets.
    pub open_files: Option<u64>,
    /// Whether it can gain no privileges.
    pub no_new_privileges: Option<bool>,
    /// Whether its system calls are filtered.
    pub system_calls_filtered: Option<bool>,
}

/// Counters since the start, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Requests to the cloud.
    pub cloud_requests: u64,
    /// Those that did not come to a good answer.
    pub cloud_failures: u64,
    /// Registrations delivered.
    pub delivered: u64,
    /// Registrations the cloud buried.
    pub buried: u64,
    /// Registrations enqueued.
    pub enqueued: u64,
    /// Scans finished.
    pub scans: u64,
}

/// Which entries are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryPage {
    /// Only in this state.
    pub state: Option<EntryState>,
    /// Only after this one.
    pub after: Option<EntryId>,
    /// At most so many.
    pub limit: u32,
}
