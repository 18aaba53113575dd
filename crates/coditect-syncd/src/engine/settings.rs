//! The configuration as the loops need it.

use std::path::PathBuf;
use std::time::Duration;

use sync_cloud::Source;
use sync_config::{Config, CredentialSource, Places};
use sync_core::hold::{OnBattery, Wanted};
use sync_core::{MachineId, Pauses, Policy, Scope, Tenant, TenantId};
use sync_wire::ProblemCode;

use super::api::Refusal;
use super::refusal;
use crate::places::own;

/// The configuration in force.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// As it was read.
    pub config: Config,
    /// Where files are.
    pub places: Places,
    /// The dev cloud that is used instead of the configured one.
    pub dev: Option<DevSettings>,
    /// How projects are examined in a process of their own.
    pub worker: Option<sync_scan::Worker>,
}

/// A dev cloud inside the daemon.
#[derive(Clone, Debug)]
pub(crate) struct DevSettings {
    /// Where it listens.
    pub url: String,
    /// A token it takes.
    pub token: String,
}

/// The dev cloud's origin in scopes: its port may differ from run to run, its data do not.
const DEV_ORIGIN: &str = "dev";

impl Settings {
    /// Where the cloud is.
    pub(crate) fn api_url(&self) -> &str {
        self.dev.as_ref().map_or(&self.config.cloud_sync.api_url, |dev| &dev.url)
    }

    /// Where the credential comes from.
    pub(crate) fn credential_source(&self) -> Source {
        if let Some(dev) = &self.dev {
            return Source::Inline(dev.token.clone());
        }
        match self.config.cloud_sync.credential_source(&self.places) {
            CredentialSource::Inline(token) => Source::Inline(token.expose().to_owned()),
            CredentialSource::File(path) => Source::File(path.to_owned()),
            CredentialSource::Command(command) => Source::Command(command.to_vec()),
        }
    }

    /// The scope with a credential that says this of its tenant.
    pub(crate) fn scope(&self, told: Tenant) -> Scope {
        let configured = self.config.cloud_sync.tenant_id.clone().and_then(TenantId::new);
        let configured = configured.filter(|_| self.dev.is_none());
        let origin = if self.dev.is_some() { DEV_ORIGIN.to_owned() } else { origin(self.api_url()) };
        Scope { origin, tenant: Tenant::of(configured, told) }
    }

    /// What the cloud client needs.
    pub(crate) fn cloud(&self, machine: MachineId) -> sync_cloud::Settings {
        let cloud = &self.config.cloud_sync;
        sync_cloud::Settings {
            api_url: self.api_url().to_owned(),
            ca_bundle: cloud.ca_bundle.clone(),
            connect_timeout: cloud.connect_timeout,
            request_timeout: cloud.request_timeout,
            machine,
            user_agent: concat!("coditect-syncd/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// What the delivery machine needs.
    pub(crate) fn policy(&self) -> Policy {
        let cloud = &self.config.cloud_sync;
        Policy {
            pauses: Pauses { initial: cloud.retry_initial, longest: cloud.retry_max },
            batch_size: usize::try_from(cloud.batch_size).unwrap_or(usize::MAX),
            max_retries: cloud.max_retries,
            item_initial: cloud.item_retry_initial,
            request_lifetime: cloud.request_lifetime,
        }
    }

    /// What is to rest when.
    pub(crate) fn wanted(&self) -> Wanted {
        let daemon = &self.config.sync_daemon;
        Wanted {
            on_battery: match daemon.on_battery {
                sync_config::OnBattery::GoOn => OnBattery::GoOn,
                sync_config::OnBattery::Spare => OnBattery::Spare,
                sync_config::OnBattery::Pause => OnBattery::Pause,
            },
            rest_on_metered: daemon.on_metered == sync_config::OnMetered::Pause,
        }
    }

    /// How long a mapping is believed.
    pub(crate) fn mapping_life(&self) -> Duration {
        self.config.cloud_sync.cache_ttl
    }

    /// What a scan needs.
    pub(crate) fn scan(&self) -> sync_scan::Options {
        let discovery = &self.config.sync_daemon.discovery;
        sync_scan::Options {
            roots: if discovery.enabled { discovery.roots.clone() } else { Vec::new() },
            exclude: discovery.exclude.clone(),
            max_depth: discovery.max_depth,
            follow_symlinks: discovery.follow_symlinks,
            homes: self.places.homes(),
            rules: discovery.rules_dir.clone(),
            workspace_members: discovery.workspace_members,
            worker: self.worker.clone(),
            own: own(&self.places),
        }
    }

    /// Refuses paths that no scan can look at.
    pub(super) fn check_paths(paths: &[PathBuf]) -> Result<(), Refusal> {
        match paths.iter().find(|path| !path.is_absolute()) {
            Some(path) => {
                let message = format!("`{}` is not an absolute path", path.display());
                Err(refusal(ProblemCode::BadRequest, message))
            }
            None => Ok(()),
        }
    }
}

/// Scheme, host and port of a URL: what two spellings of one cloud share.
fn origin(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_ascii_lowercase() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", host.strip_suffix(default_port).unwrap_or(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_cloud_are_one_origin() {
        for (url, expected) in [
            ("https://API.coditect.ai/", "https://api.coditect.ai"),
            ("https://api.coditect.ai:443/prefix/", "https://api.coditect.ai"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("HTTP://localhost:80/x", "http://localhost"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
        ] {
            assert_eq!(origin(url), expected, "{url}");
        }
    }
}
