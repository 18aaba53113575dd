//! Every key there is: its name, and how its value gets into the configuration.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::address;
use crate::given::{Base, Given, Refused};
use crate::schema::{Config, LogFormat, LogLevel, OnBattery, OnMetered, Sandbox};
use crate::secret::Secret;

/// The beginning of every environment variable that stands for a key.
pub(crate) const PREFIX: &str = "CODITECT_SYNC__";

/// The longest text that is taken for a token, in bytes.
pub(crate) const LONGEST_TOKEN: usize = 64 * 1024;

/// What is allowed as a token, for messages.
pub(crate) const TOKEN_ALLOWED: &str = "must be one line of visible ASCII without spaces, at most 64 KiB";

type Set = fn(&mut Config, &Given, Base<'_>) -> Result<(), Refused>;

/// One key.
pub(crate) struct Key {
    /// The name with its sections, separated by dots.
    pub(crate) path: &'static str,
    /// Puts a given value into the configuration, or says what is allowed and changes nothing.
    pub(crate) set: Set,
}

impl Key {
    /// The environment variable that stands for the key.
    pub(crate) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.to_ascii_uppercase().replace('.', "__"))
    }
}

/// The key of this name.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether this is the name of a section: something other than a value stands there.
pub(crate) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

const fn key(path: &'static str, set: Set) -> Key {
    Key { path, set }
}

/// All keys, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    key("cloud_sync.api_url", |config, given, _| {
        let text = given.text()?;
        let hide = |refused: Refused| if text.contains('@') { refused.hidden() } else { refused };
        config.cloud_sync.api_url =
            address::parse(text).ok_or_else(|| hide(Refused::must(address::ALLOWED)))?;
        Ok(())
    }),
    key("cloud_sync.auth_token", |config, given, _| {
        config.cloud_sync.auth_token = token(given).map_err(Refused::hidden)?;
        Ok(())
    }),
    key("cloud_sync.auth_token_file", |config, given, base| {
        config.cloud_sync.auth_token_file = given.optional(|given| given.path(base))?;
        Ok(())
    }),
    key("cloud_sync.credential_command", |config, given, _| {
        config.cloud_sync.credential_command = given.optional(command).map_err(Refused::hidden)?;
        Ok(())
    }),
    key("cloud_sync.tenant_id", |config, given, _| {
        config.cloud_sync.tenant_id = given.optional(tenant)?;
        Ok(())
    }),
    key("cloud_sync.ca_bundle", |config, given, base| {
        config.cloud_sync.ca_bundle = given.optional(|given| given.path(base))?;
        Ok(())
    }),
    key("cloud_sync.connect_timeout", |config, given, _| {
        config.cloud_sync.connect_timeout = given.duration(&(millis(10)..=minutes(10)))?;
        Ok(())
    }),
    key("cloud_sync.request_timeout", |config, given, _| {
        config.cloud_sync.request_timeout = given.duration(&(millis(10)..=hours(1)))?;
        Ok(())
    }),
    key("cloud_sync.request_lifetime", |config, given, _| {
        config.cloud_sync.request_lifetime = given.duration(&(millis(0)..=hours(1)))?;
        Ok(())
    }),
    key("cloud_sync.batch_size", |config, given, _| {
        config.cloud_sync.batch_size = given.whole(&(1..=1_000))?;
        Ok(())
    }),
    key("cloud_sync.retry_initial", |config, given, _| {
        config.cloud_sync.retry_initial = optional_duration(given, &(millis(1)..=hours(24)))?;
        Ok(())
    }),
    key("cloud_sync.retry_max", |config, given, _| {
        config.cloud_sync.retry_max = optional_duration(given, &(millis(1)..=hours(7 * 24)))?;
        Ok(())
    }),
    key("cloud_sync.item_retry_initial", |config, given, _| {
        config.cloud_sync.item_retry_initial = given.duration(&(millis(1)..=hours(6)))?;
        Ok(())
    }),
    key("cloud_sync.max_retries", |config, given, _| {
        config.cloud_sync.max_retries = given.whole(&(1..=1_000))?;
        Ok(())
    }),
    key("cloud_sync.cache_ttl", |config, given, _| {
        config.cloud_sync.cache_ttl = given.duration(&(millis(1_000)..=hours(365 * 24)))?;
        Ok(())
    }),
    key("sync_daemon.discovery.enabled", |config, given, _| {
        config.sync_daemon.discovery.enabled = given.truth()?;
        Ok(())
    }),
    key("sync_daemon.discovery.roots", |config, given, base| {
        config.sync_daemon.discovery.roots = given.paths(base)?;
        Ok(())
    }),
    key("sync_daemon.discovery.exclude", |config, given, _| {
        config.sync_daemon.discovery.exclude = given.list()?;
        Ok(())
    }),
    key("sync_daemon.discovery.max_depth", |config, given, _| {
        config.sync_daemon.discovery.max_depth = given.whole(&(1..=64))?;
        Ok(())
    }),
    key("sync_daemon.discovery.follow_symlinks", |config, given, _| {
        config.sync_daemon.discovery.follow_symlinks = given.truth()?;
        Ok(())
    }),
    key("sync_daemon.discovery.workspace_members", |config, given, _| {
        config.sync_daemon.discovery.workspace_members = given.truth()?;
        Ok(())
    }),
    key("sync_daemon.discovery.rules_dir", |config, given, base| {
        config.sync_daemon.discovery.rules_dir = given.optional(|given| given.path(base))?;
        Ok(())
    }),
    key("sync_daemon.discovery.debounce", |config, given, _| {
        config.sync_daemon.discovery.debounce = given.duration(&(millis(0)..=hours(1)))?;
        Ok(())
    }),
    key("sync_daemon.discovery.rescan_interval", |config, given, _| {
        config.sync_daemon.discovery.rescan_interval = given.duration(&(millis(1_000)..=hours(30 * 24)))?;
        Ok(())
    }),
    key("sync_daemon.drain_interval", |config, given, _| {
        config.sync_daemon.drain_interval = given.duration(&(millis(100)..=hours(7 * 24)))?;
        Ok(())
    }),
    key("sync_daemon.shutdown_grace", |config, given, _| {
        config.sync_daemon.shutdown_grace = given.duration(&(millis(0)..=minutes(10)))?;
        Ok(())
    }),
    key("sync_daemon.queue_max_items", |config, given, _| {
        config.sync_daemon.queue_max_items = given.whole(&(1..=10_000_000))?;
        Ok(())
    }),
    key("sync_daemon.legacy_import", |config, given, _| {
        config.sync_daemon.legacy_import = given.truth()?;
        Ok(())
    }),
    key("sync_daemon.on_battery", |config, given, _| {
        let choices = [("go_on", OnBattery::GoOn), ("spare", OnBattery::Spare), ("pause", OnBattery::Pause)];
        config.sync_daemon.on_battery = given.choice(&choices)?;
        Ok(())
    }),
    key("sync_daemon.on_metered", |config, given, _| {
        config.sync_daemon.on_metered =
            given.choice(&[("go_on", OnMetered::GoOn), ("pause", OnMetered::Pause)])?;
        Ok(())
    }),
    key("sync_daemon.sandbox", |config, given, _| {
        config.sync_daemon.sandbox = given.choice(&[("auto", Sandbox::Auto), ("off", Sandbox::Off)])?;
        Ok(())
    }),
    key("sync_daemon.log.level", |config, given, _| {
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        config.sync_daemon.log.level = given.choice(&levels.map(|level| (level.as_str(), level)))?;
        Ok(())
    }),
    key("sync_daemon.log.format", |config, given, _| {
        config.sync_daemon.log.format =
            given.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])?;
        Ok(())
    }),
    key("sync_daemon.log.keep_days", |config, given, _| {
        config.sync_daemon.log.keep_days = given.whole(&(1..=3_650))?;
        Ok(())
    }),
];

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

const fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

fn optional_duration(given: &Given, range: &RangeInclusive<Duration>) -> Result<Option<Duration>, Refused> {
    given.optional(|given| given.duration(range))
}

/// A token without the white space around it, or `None` for an empty one.
fn token(given: &Given) -> Result<Option<Secret>, Refused> {
    let text = if given.is_nothing() { "" } else { given.text()?.trim() };
    match text {
        "" => Ok(None),
        text if token_is_usable(text) => Ok(Some(Secret::new(text))),
        _ => Err(Refused::must(TOKEN_ALLOWED)),
    }
}

/// Whether a text can be sent as a bearer token at all.
pub(crate) fn token_is_usable(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn command(given: &Given) -> Result<Vec<String>, Refused> {
    let words = given.list()?;
    if words.is_empty() {
        Err(Refused::must("must be a program and its arguments, or null"))
    } else {
        Ok(words)
    }
}

fn tenant(given: &Given) -> Result<String, Refused> {
    let name = given.text()?;
    let usable = !name.trim().is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    let refused = || Refused::must("must be a name of at most 200 bytes without control characters");
    usable.then(|| name.to_owned()).ok_or_else(refused)
}
