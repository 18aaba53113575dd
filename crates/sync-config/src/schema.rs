//! The configuration as the programs use it; the doc comments of the fields are the help text and the schema.
//!
//! Which values are accepted is said twice, here for editors and in `keys` for the loader; a test holds the two together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use crate::duration::{self, DurationText};
use crate::places::Places;
use crate::secret::{HIDDEN, Secret};

/// The sections of the shared configuration file that coditect-sync reads; all others are left alone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "coditect-sync configuration")]
pub struct Config {
    /// The cloud and how to speak to it; shared with the other coditect tools.
    pub cloud_sync: CloudSync,
    /// The daemon.
    pub sync_daemon: SyncDaemon,
}

/// The cloud and how to speak to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct CloudSync {
    /// Address of the cloud. Plain `http` only to this machine, or without a credential.
    #[schemars(regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s@?#]+$"))]
    pub api_url: String,
    /// The access token itself. At most one of `auth_token`, `auth_token_file` and `credential_command` may be set; "" is unset.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "token_or_empty")]
    pub auth_token: Option<Secret>,
    /// File that holds the access token; read again whenever it changes.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "lossy_option")]
    pub auth_token_file: Option<PathBuf>,
    /// Program and arguments, run without a shell, that print a token, or JSON with `token` and `expires_at` (RFC 3339).
    #[serde(serialize_with = "program_alone")]
    pub credential_command: Option<Vec<String>>,
    /// Tenant to register with; null takes the token's `tenant_id` claim.
    #[schemars(length(min = 1, max = 200))]
    pub tenant_id: Option<String>,
    /// PEM file with certificates that are trusted besides the system's.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "lossy_option")]
    pub ca_bundle: Option<PathBuf>,
    /// How long to wait for a connection, from 10ms to 10m.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub connect_timeout: Duration,
    /// How long one request may take as a whole, from 10ms to 1h.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub request_timeout: Duration,
    /// How long the cloud, or a gateway before it, may still carry out a request that got no answer, from 0s to 1h;
    /// until then newer content of the same project waits.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub request_lifetime: Duration,
    /// Most projects in one request.
    #[schemars(range(min = 1, max = 1_000))]
    pub batch_size: u32,
    /// First pause after the way to the cloud failed, from 1ms to 24h; null leaves it to the kind of failure.
    #[schemars(with = "Option<DurationText>")]
    #[serde(serialize_with = "duration::serialize_option")]
    pub retry_initial: Option<Duration>,
    /// Longest such pause, from 1ms to 7d and not under `retry_initial`; null leaves it to the kind of failure.
    #[schemars(with = "Option<DurationText>")]
    #[serde(serialize_with = "duration::serialize_option")]
    pub retry_max: Option<Duration>,
    /// First pause after the cloud failed one project, from 1ms to 6h; it doubles up to 6h.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub item_retry_initial: Duration,
    /// How many attempts that count a project has before it is set aside.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_retries: u32,
    /// How long a cloud UUID counts as fresh, from 1s to 365d.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub cache_ttl: Duration,
}

impl Default for CloudSync {
    fn default() -> Self {
        Self {
            api_url: "https://api.coditect.ai".to_owned(),
            auth_token: None,
            auth_token_file: None,
            credential_command: None,
            tenant_id: None,
            ca_bundle: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            request_lifetime: Duration::from_mins(1),
            batch_size: 100,
            retry_initial: None,
            retry_max: None,
            item_retry_initial: Duration::from_mins(1),
            max_retries: 8,
            cache_ttl: Duration::from_hours(24),
        }
    }
}

/// Where the credential comes from; its absence is no error, the daemon then waits for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CredentialSource<'a> {
    /// The token is in the configuration.
    Inline(&'a Secret),
    /// The token is in this file, which may not exist (yet).
    File(&'a Path),
    /// The token is printed by this program; the first word is the program.
    Command(&'a [String]),
}

impl CloudSync {
    /// Where the credential comes from: the one that is configured, else the file `auth set-token` writes.
    pub fn credential_source<'a>(&'a self, places: &'a Places) -> CredentialSource<'a> {
        match (&self.auth_token, &self.auth_token_file, &self.credential_command) {
            (Some(token), _, _) => CredentialSource::Inline(token),
            (None, Some(file), _) => CredentialSource::File(file),
            (None, None, Some(command)) => CredentialSource::Command(command),
            (None, None, None) => CredentialSource::File(&places.token_file),
        }
    }
}

/// The daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct SyncDaemon {
    /// Finding projects on disk.
    pub discovery: Discovery,
    /// Pause between periodic drains of the queue, from 100ms to 7d; events make it drain at once.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub drain_interval: Duration,
    /// How long work in progress may take to end when the daemon stops, from 0s to 10m; a change takes effect at the next start.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub shutdown_grace: Duration,
    /// Most entries in the queue; a change takes effect at the next start.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub queue_max_items: u32,
    /// Whether the queue and cache of the Python client are taken over.
    pub legacy_import: bool,
    /// What is done while the machine runs on its battery.
    pub on_battery: OnBattery,
    /// What is done while the network costs by the byte, as `NetworkManager` knows it.
    pub on_metered: OnMetered,
    /// What keeps the daemon from writing outside of its own folders; a change takes effect at the next start.
    pub sandbox: Sandbox,
    /// The daemon's log.
    pub log: Log,
}

impl Default for SyncDaemon {
    fn default() -> Self {
        Self {
            discovery: Discovery::default(),
            drain_interval: Duration::from_mins(5),
            shutdown_grace: Duration::from_secs(10),
            queue_max_items: 100_000,
            legacy_import: true,
            on_battery: OnBattery::Spare,
            on_metered: OnMetered::GoOn,
            sandbox: Sandbox::Auto,
            log: Log::default(),
        }
    }
}

/// What is done while the machine runs on its battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnBattery {
    /// The same as on mains.
    GoOn,
    /// Looks that can wait are four times as far apart, and there are none while the battery is under 20 %.
    Spare,
    /// Nothing is sent, and only what changes is looked at.
    Pause,
}

/// What is done while the network costs by the byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnMetered {
    /// The same as otherwise: a registration is a few hundred bytes.
    GoOn,
    /// Nothing is sent.
    Pause,
}

/// What keeps the daemon from writing outside of its own folders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Sandbox {
    /// The system (Landlock), where it can and no `credential_command` is set.
    Auto,
    /// Nothing but what the service manager does.
    Off,
}

/// Finding projects on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Discovery {
    /// Whether folders are searched and watched at all.
    pub enabled: bool,
    /// Folders below which projects are found; absolute, or beginning with `~` or `$HOME`.
    #[schemars(with = "Vec<String>")]
    #[serde(serialize_with = "lossy_list")]
    pub roots: Vec<PathBuf>,
    /// Patterns as in `.gitignore` of what is not searched, besides the built-in list.
    pub exclude: Vec<String>,
    /// How many folders deep below a root projects are looked for.
    #[schemars(range(min = 1, max = 64))]
    pub max_depth: u32,
    /// Whether links to folders are followed.
    pub follow_symlinks: bool,
    /// Whether the packages of a declared workspace are projects of their own, children of the one that declares it.
    pub workspace_members: bool,
    /// Folder with your own rules for frameworks (`*.toml`), beside those of the program or in their place; null for none.
    #[schemars(with = "Option<String>")]
    #[serde(serialize_with = "lossy_option")]
    pub rules_dir: Option<PathBuf>,
    /// How long a changed folder must be quiet before it is looked at, from 0s to 1h.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub debounce: Duration,
    /// Pause between full searches, from 1s to 30d.
    #[schemars(with = "DurationText")]
    #[serde(serialize_with = "duration::serialize")]
    pub rescan_interval: Duration,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            enabled: true,
            roots: vec![PathBuf::from("~/PROJECTS")],
            exclude: Vec::new(),
            max_depth: 8,
            follow_symlinks: false,
            workspace_members: false,
            rules_dir: None,
            debounce: Duration::from_secs(2),
            rescan_interval: Duration::from_hours(6),
        }
    }
}

/// The daemon's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Log {
    /// What is logged at least.
    pub level: LogLevel,
    /// How a line looks; a change takes effect at the next start.
    pub format: LogFormat,
    /// For how many days log files are kept; a change takes effect at the next start.
    #[schemars(range(min = 1, max = 3_650))]
    pub keep_days: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text, keep_days: 7 }
    }
}

/// How much is logged; each level includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogLevel {
    /// Somebody must act.
    Error,
    /// Unexpected, carried on.
    Warn,
    /// A state changed that a user would recognise.
    Info,
    /// One line per decision.
    Debug,
    /// Anything per file or per request.
    Trace,
}

impl LogLevel {
    /// The level as it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The JSON schema of the sections, as it is kept in `config/config.schema.json`.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
}

#[expect(clippy::ref_option, reason = "the shape that `serialize_with` calls")]
fn token_or_empty<S: Serializer>(token: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match token {
        Some(token) => token.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

/// Among the arguments may be a secret.
#[expect(clippy::ref_option, reason = "the shape that `serialize_with` calls")]
fn program_alone<S: Serializer>(command: &Option<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = command.as_ref().map(|words| {
        let program = words.iter().take(1).map(String::as_str);
        let rest = if words.len() > 1 { Some(HIDDEN) } else { None };
        program.chain(rest).collect::<Vec<_>>()
    });
    shown.serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the shape that `serialize_with` calls")]
fn lossy_option<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

fn lossy_list<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
