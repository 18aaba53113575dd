//! Takes connections and serves them until the dev cloud is stopped. Knows nothing of what is answered.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::desk::Desk;
use crate::wire::{ResetSwitch, Wire};

/// How long to wait where the system gives no connection, for example for want of descriptors.
const AFTER_A_REFUSED_ACCEPT: Duration = Duration::from_millis(50);

/// Serves until `stop` changes or its sender is gone; open connections are then dropped.
pub(crate) async fn serve(listener: TcpListener, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "a connection's task did not end in order");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(serve_one(stream, Arc::clone(&desk)));
                }
                Err(error) => {
                    warn!(%error, "a connection could not be taken");
                    sleep(AFTER_A_REFUSED_ACCEPT).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn serve_one(stream: TcpStream, desk: Arc<Desk>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection is slower than it could be");
    }
    let switch = ResetSwitch::default();
    let wire = TokioIo::new(Wire::new(stream, switch.clone()));
    let service = service_fn(|request| desk.answer(request, &switch));
    if let Err(error) = http1::Builder::new().serve_connection(wire, service).await {
        debug!(%error, "a connection ended early");
    }
}
