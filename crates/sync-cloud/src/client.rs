//! The cloud as it is configured, and the HTTP client that is built for it when it is first needed.
//!
//! The client speaks HTTP/1.1, follows no redirect and keeps at most one idle connection. Its pool looks for
//! idle connections once per [`IDLE_CONNECTION`] and stops looking when there are none: two periods after the last
//! call an idle daemon has no timer and no socket left here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use sync_core::{MachineId, Suspect};

use crate::error::Error;

/// How long a connection is kept for the next request: less than the common gateways keep theirs (60 s and 75 s), so
/// that a request seldom meets a connection that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// How the cloud is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is; may have a path and a slash at its end. Neither user nor password, query or fragment.
    pub api_url: String,
    /// Certificates (PEM) that are trusted besides the system's. Read when a client is built.
    pub ca_bundle: Option<PathBuf>,
    /// The longest that finding and reaching the host may take, TLS included.
    pub connect_timeout: Duration,
    /// The longest that a whole exchange may take, from finding the host to the body's last byte.
    pub request_timeout: Duration,
    /// The machine whose projects are registered.
    pub machine: MachineId,
    /// What the daemon calls itself.
    pub user_agent: String,
}

/// The cloud, to be called: a call gives an answer whatever happens.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) settings: Settings,
    base: Url,
    origin: String,
    loopback: bool,
    slot: Mutex<Slot>,
}

/// The client in use, and how many were forgotten before it.
#[derive(Debug, Default)]
struct Slot {
    generation: u64,
    client: Option<reqwest::Client>,
}

impl Cloud {
    /// Checks the settings. Neither the network nor a file is touched, and no client is built.
    ///
    /// # Errors
    /// The address or the user agent cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let base = base(&settings.api_url)?;
        if HeaderValue::from_str(&settings.user_agent).is_err() {
            return Err(Error::UserAgent);
        }
        let origin = base.origin().ascii_serialization();
        let loopback = base.host_str().is_some_and(is_loopback);
        Ok(Self { settings, base, origin, loopback, slot: Mutex::default() })
    }

    /// Scheme, host and, where it is not the scheme's own, port: for a [`Scope`](sync_core::Scope).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Says whether a token may be sent there. The calls refuse by themselves too.
    ///
    /// # Errors
    /// There is a token and it would go over a network in plain text.
    pub fn check_transport(&self, has_token: bool) -> Result<(), Error> {
        if has_token && self.base.scheme() == "http" && !self.loopback {
            return Err(Error::PlainText { origin: self.origin.clone() });
        }
        Ok(())
    }

    /// Drops pooled connections and the client itself; the next call looks names up anew, reads `ca_bundle` and the
    /// proxies of the environment anew. Calls under way are not disturbed.
    pub fn forget_connections(&self) {
        let mut slot = self.slot();
        slot.generation = slot.generation.wrapping_add(1);
        slot.client = None;
    }

    /// The client, built off the runtime's threads when there is none: the system's certificates are read from files.
    pub(crate) async fn client(&self) -> Result<reqwest::Client, Suspect> {
        let generation = {
            let slot = self.slot();
            if let Some(client) = &slot.client {
                return Ok(client.clone());
            }
            slot.generation
        };
        let (settings, encrypted, loopback) =
            (self.settings.clone(), self.base.scheme() == "https", self.loopback);
        let built = tokio::task::spawn_blocking(move || build(&settings, encrypted, loopback))
            .await
            .unwrap_or_else(|failure| Err(failure.to_string()));
        let client = built.map_err(Suspect::Certificate)?;
        let mut slot = self.slot();
        if slot.generation == generation {
            slot.client = Some(client.clone());
        }
        Ok(client)
    }

    /// The address of one of the contract's paths; `segments` are escaped, and a slash ends the path.
    pub(crate) fn address(&self, segments: &[&str]) -> Url {
        let mut address = self.base.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "projects"]).extend(segments).push("");
        }
        address
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A panic while the lock was held left at worst no client, which is a valid state.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn base(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text.trim())
        .map_err(|_syntax| Error::Address { url: text.to_owned(), why: "is not a URL" })?;
    let fail = |why| {
        let mut shown = url.clone();
        // What was behind an `@` is not shown: it may be a password.
        let hidden = shown.set_password(None).is_ok() && shown.set_username("").is_ok();
        Err(Error::Address { url: if hidden { shown.into() } else { String::new() }, why })
    };
    if !matches!(url.scheme(), "https" | "http") {
        return fail("is neither https nor http");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return fail("has no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fail("holds a user or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fail("has a query or a fragment");
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().map_or(bare == "localhost", |address| address.to_canonical().is_loopback())
}

fn build(settings: &Settings, encrypted: bool, loopback: bool) -> Result<reqwest::Client, String> {
    choose_cryptography();
    // Connecting must end before the whole exchange does, or it could not be told which of the two took too long.
    let connect = settings.connect_timeout.min(settings.request_timeout / 10 * 9);
    let mut builder = reqwest::Client::builder()
        .user_agent(&settings.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(connect)
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true);
    if loopback {
        // A proxy has no business between us and this machine, and `localhost` is this machine whatever a name
        // server says.
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        builder = builder
            .no_proxy()
            .resolve_to_addrs("localhost", &here.map(|address| SocketAddr::new(address, 0)));
    }
    if !encrypted {
        // Nothing will be verified, so the system's certificates need not be there.
        builder = builder.tls_certs_only([]);
    } else if let Some(file) = &settings.ca_bundle {
        builder = builder.tls_certs_merge(certificates(file)?);
    }
    builder
        .build()
        .map_err(|failure| format!("the client could not be built: {}", crate::trouble::chain(&failure)))
}

fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let fail = |why: String| format!("ca_bundle {}: {why}", file.display());
    let bytes = std::fs::read(file).map_err(|failure| fail(failure.to_string()))?;
    let found =
        reqwest::Certificate::from_pem_bundle(&bytes).map_err(|_syntax| fail("is not PEM".to_owned()))?;
    if found.is_empty() {
        return Err(fail("holds no certificate".to_owned()));
    }
    Ok(found)
}

/// reqwest takes the process's cryptography, and there is none until somebody chooses.
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() && ring::default_provider().install_default().is_err() {
        tracing::debug!("another part of the process chose the cryptography at the same moment");
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn cloud(api_url: &str) -> Result<Cloud, Error> {
        Cloud::new(Settings {
            api_url: api_url.to_owned(),
            ca_bundle: None,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            machine: MachineId(Uuid::from_u128(1)),
            user_agent: "test/1".to_owned(),
        })
    }

    #[test]
    fn a_path_before_the_contracts_paths_is_kept_and_a_slash_ends_them() {
        for (api_url, origin, address) in [
            (
                "https://api.coditect.ai",
                "https://api.coditect.ai",
                "https://api.coditect.ai/api/v1/projects/sync/",
            ),
            ("https://H.example:443/", "https://h.example", "https://h.example/api/v1/projects/sync/"),
            ("http://[::1]:8080/a/b", "http://[::1]:8080", "http://[::1]:8080/a/b/api/v1/projects/sync/"),
            ("http://127.0.0.1:1/a/b/", "http://127.0.0.1:1", "http://127.0.0.1:1/a/b/api/v1/projects/sync/"),
            (" https://h.example\n", "https://h.example", "https://h.example/api/v1/projects/sync/"),
        ] {
            let cloud = cloud(api_url).unwrap();
            assert_eq!(cloud.origin(), origin);
            assert_eq!(cloud.address(&["sync"]).as_str(), address);
        }
    }

    #[test]
    fn an_address_that_is_no_base_is_refused_without_showing_a_password() {
        for (api_url, why) in [
            ("", "is not a URL"),
            ("api.coditect.ai", "is not a URL"),
            ("ftp://h.example", "is neither https nor http"),
            ("unix:/run/x", "is neither https nor http"),
            ("https://u:hunter2@h.example", "holds a user or a password"),
            ("https://u@h.example", "holds a user or a password"),
            ("https://h.example?x=1", "has a query or a fragment"),
            ("https://h.example/#x", "has a query or a fragment"),
        ] {
            let error = cloud(api_url).unwrap_err();
            assert!(matches!(&error, Error::Address { why: said, .. } if *said == why), "{api_url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_token_goes_in_plain_text_to_this_machine_only() {
        for (api_url, allowed) in [
            ("https://h.example", true),
            ("http://127.0.0.1:80", true),
            ("http://127.8.9.10", true),
            ("http://[::1]", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://localhost:9", true),
            ("http://LOCALHOST", true),
            ("http://h.example", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
            ("http://localhost.example", false),
            ("http://127.0.0.1.example", false),
        ] {
            let cloud = cloud(api_url).unwrap();
            assert_eq!(cloud.check_transport(true).is_ok(), allowed, "{api_url}");
            assert_eq!(cloud.check_transport(false), Ok(()), "{api_url}");
        }
    }
}
