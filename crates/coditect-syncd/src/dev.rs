//! A dev cloud inside the daemon: the whole system without an account and without a network.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use coditect_devcloud::{DevCloud, Error, Options, dev_token};

use crate::engine::DevSettings;

const TENANT: &str = "dev";
const DATABASE: &str = "devcloud.db";
const PORT: &str = "devcloud.port";

/// Starts the dev cloud with its own database in the state directory, on the port it had last time where that is free.
///
/// # Errors
/// When it cannot listen or its database cannot be used.
pub(crate) async fn start(state_dir: &Path) -> Result<(DevCloud, DevSettings), Error> {
    let remembered = state_dir.join(PORT);
    let port = fs::read_to_string(&remembered).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let options = |port| Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        database: Some(state_dir.join(DATABASE)),
        opaque_tenant: None,
    };
    let cloud = match DevCloud::start(options(port)).await {
        Err(Error::Listen { source, .. }) if port != 0 && source.kind() == io::ErrorKind::AddrInUse => {
            DevCloud::start(options(0)).await?
        }
        other => other?,
    };
    if cloud.address().port() != port
        && let Err(error) = fs::write(&remembered, cloud.address().port().to_string())
    {
        tracing::debug!(%error, "the dev cloud's port is not remembered");
    }
    let settings = DevSettings { url: cloud.url(), token: dev_token(TENANT, None) };
    Ok((cloud, settings))
}
