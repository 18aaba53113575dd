//! Accepts connections, keeps them to their number, and keeps the socket where clients look for it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sync_wire::Problem;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::connection;
use super::limits;
use super::listen::{BindError, Bound, SocketFile, bind};
use crate::engine::Engine;
use crate::guard::Guard;

/// Why the control server ended without being told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The runtime does not take the socket.
    #[error("listen on the control socket")]
    Listen(#[source] io::Error),
}

/// What every connection needs.
pub(super) struct Server {
    /// Whom to ask.
    pub(super) engine: Engine,
    /// The daemon's version.
    pub(super) version: &'static str,
    /// Whether somebody starts the daemon again when it ends for that.
    pub(super) managed: bool,
    /// Whether to finish what has begun and begin nothing.
    pub(super) stop: CancellationToken,
    /// Places for those who follow the events.
    pub(super) listeners: Arc<Semaphore>,
}

/// Serves until `stop`, then until the requests in progress are answered or `kill`. Removes its socket at the end.
///
/// # Errors
/// When the runtime does not take the socket.
pub(crate) async fn serve(
    bound: Bound,
    engine: Engine,
    version: &'static str,
    managed: bool,
    stop: CancellationToken,
    kill: CancellationToken,
) -> Result<(), Error> {
    let look = bound.look_again();
    let listeners = Arc::new(Semaphore::new(limits::LISTENERS));
    let server = Arc::new(Server { engine, version, managed, stop: stop.clone(), listeners });
    let mut post = Post::take(bound).map_err(Error::Listen)?;
    let mut clients = Clients::default();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            accepted = post.listener.accept(), if post.rest.is_none() => Event::Accepted(accepted),
            () = nap(&mut post.rest) => Event::Rested,
            () = nap(&mut post.retry) => Event::Look,
            () = post.guard.changed() => Event::Look,
            () = look.notified() => Event::Look,
            Some(ended) = clients.served.join_next() => Event::Ended(ended),
            Some(ended) = clients.turned_away.join_next() => Event::Ended(ended),
        };
        match event {
            Event::Accepted(Ok((socket, _))) => {
                post.accept_pause = limits::ACCEPT_PAUSES.0;
                clients.admit(socket, &server);
                post.look(&server);
            }
            Event::Accepted(Err(error)) => post.accept_failed(&error),
            Event::Rested => {}
            Event::Look => post.look(&server),
            Event::Ended(ended) => report(ended),
        }
    }
    debug!(connections = clients.served.len(), "the control server takes no more connections");
    // The socket stays in its place until the answers are out, so that no client mistakes it for a dead one.
    loop {
        tokio::select! {
            () = kill.cancelled() => break,
            ended = clients.served.join_next() => match ended {
                Some(ended) => report(ended),
                None => break,
            },
            accepted = post.listener.accept(), if post.rest.is_none() => match accepted {
                Ok((socket, _)) => clients.turn_away(socket, connection::shutting_down()),
                Err(error) => post.accept_failed(&error),
            },
            () = nap(&mut post.rest) => {}
            Some(ended) = clients.turned_away.join_next() => report(ended),
        }
    }
    clients.served.shutdown().await;
    clients.turned_away.shutdown().await;
    drop(post);
    Ok(())
}

enum Event {
    Accepted(io::Result<(UnixStream, tokio::net::unix::SocketAddr)>),
    Rested,
    Look,
    Ended(Result<(), JoinError>),
}

/// The place where clients knock, and what it takes to keep it.
struct Post {
    // The name goes first: its inode cannot become another file's while the socket is open.
    file: SocketFile,
    listener: UnixListener,
    guard: Guard,
    /// A descriptor to give up when there are no more, so that a client can be sent away instead of left waiting.
    spare: Option<File>,
    /// Until when nothing is accepted.
    rest: Option<Pin<Box<Sleep>>>,
    accept_pause: Duration,
    /// When to try to bind again.
    retry: Option<Pin<Box<Sleep>>>,
    bind_pause: Duration,
    /// Why it could not be bound the last time; said once.
    complaint: String,
}

impl Post {
    fn take(bound: Bound) -> io::Result<Self> {
        let Bound { file, listener, look: _ } = bound;
        Ok(Self {
            guard: Guard::of(file.directory()),
            listener: UnixListener::from_std(listener)?,
            file,
            spare: spare(),
            rest: None,
            accept_pause: limits::ACCEPT_PAUSES.0,
            retry: None,
            bind_pause: limits::BIND_PAUSES.0,
            complaint: String::new(),
        })
    }

    /// Binds anew when the name is gone or leads elsewhere.
    fn look(&mut self, server: &Server) {
        if self.file.still_ours() {
            return;
        }
        if let Some(retry) = &mut self.retry {
            // Something happened there, so the next try is not worth waiting for long.
            let soon = Instant::now() + limits::BIND_PAUSES.0;
            if retry.deadline() > soon {
                retry.as_mut().reset(soon);
            }
            return;
        }
        let path = self.file.path().to_path_buf();
        match self.bind_again(&path) {
            Ok(()) => {
                warn!(path = %path.display(), "the control socket was removed or replaced; it is bound anew");
            }
            Err(reason) => {
                let shut_out = reason.is_denied() && server.engine.is_shut_out_of(self.file.directory());
                let mut reason = reason.to_string();
                if shut_out && server.managed && !self.file.is_lent() {
                    server.engine.stop().start_again(SHUT_OUT);
                    return;
                }
                if shut_out {
                    let what =
                        if self.file.is_lent() { "the daemon and its socket unit" } else { "the daemon" };
                    reason = format!("{reason}: {SHUT_OUT}: start {what} again");
                }
                if self.complaint != reason {
                    warn!(
                        path = %path.display(),
                        "the control socket was removed or replaced and cannot be bound anew yet: failed to {reason}"
                    );
                    self.complaint = reason;
                }
                self.retry = Some(Box::pin(sleep(self.bind_pause)));
                self.bind_pause = (self.bind_pause * 2).min(limits::BIND_PAUSES.1);
            }
        }
    }

    fn bind_again(&mut self, path: &Path) -> Result<(), Unbound> {
        let Bound { file, listener, look: _ } = bind(path)?;
        let listener = UnixListener::from_std(listener)?;
        self.guard = Guard::of(file.directory());
        // The old name is let go before the old socket, see above.
        self.file = file;
        self.listener = listener;
        self.complaint.clear();
        self.bind_pause = limits::BIND_PAUSES.0;
        Ok(())
    }

    /// Sends one client away when descriptors are what is missing, and rests.
    fn accept_failed(&mut self, error: &io::Error) {
        warn!(%error, pause_ms = self.accept_pause.as_millis(), "a connection to the control socket is not accepted");
        self.rest = Some(Box::pin(sleep(self.accept_pause)));
        self.accept_pause = (self.accept_pause * 2).min(limits::ACCEPT_PAUSES.1);
        if self.spare.take().is_some() {
            match rustix::net::accept(&self.listener) {
                Ok(client) => drop(client),
                Err(error) => debug!(%error, "nor with the spare descriptor"),
            }
        }
        self.spare = spare();
    }
}

/// Why a folder that was made anew cannot be used under the sandbox.
const SHUT_OUT: &str = "the folder of its control socket was removed, and its sandbox knows no other";

/// Why the socket is not bound anew.
#[derive(Debug, thiserror::Error)]
enum Unbound {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("take the socket into use: {0}")]
    Use(#[from] io::Error),
}

impl Unbound {
    fn is_denied(&self) -> bool {
        matches!(self, Self::Bind(BindError::Refused { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Everybody who is connected.
#[derive(Default)]
struct Clients {
    served: JoinSet<()>,
    turned_away: JoinSet<()>,
}

impl Clients {
    /// Serves a client when it is one of ours and there is room.
    fn admit(&mut self, socket: UnixStream, server: &Arc<Server>) {
        while let Some(ended) = self.served.try_join_next() {
            report(ended);
        }
        let ours = rustix::process::geteuid().as_raw();
        match socket.peer_cred().map(|peer| peer.uid()) {
            Ok(user) if !admitted(user, ours) => {
                warn!(peer.uid = user, "another user's connection to the control socket is refused");
            }
            Ok(_) if self.served.len() >= limits::CONNECTIONS => {
                debug!(connections = self.served.len(), "a connection too many to the control socket");
                self.turn_away(socket, connection::too_many());
            }
            Ok(_) => {
                self.served.spawn(connection::converse(socket, Arc::clone(server)));
            }
            Err(error) => {
                warn!(%error, "a connection to the control socket is refused: its user is not known");
            }
        }
    }

    fn turn_away(&mut self, socket: UnixStream, why: Problem) {
        if self.turned_away.len() < limits::TURNED_AWAY {
            self.turned_away.spawn(connection::turn_away(socket, why));
        }
    }
}

/// Only the daemon's own user and root are served.
fn admitted(peer: u32, ours: u32) -> bool {
    peer == ours || peer == 0
}

fn report(ended: Result<(), JoinError>) {
    if let Err(fault) = ended
        && fault.is_panic()
    {
        error!(%fault, "a connection to the control socket was dropped by a fault of the daemon");
    }
}

/// Waits for a nap to end and takes it away; for ever where there is none. Can be dropped and called again.
async fn nap(nap: &mut Option<Pin<Box<Sleep>>>) {
    match nap {
        Some(sleep) => {
            sleep.as_mut().await;
            *nap = None;
        }
        None => std::future::pending().await,
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").inspect_err(|error| debug!(%error, "no spare descriptor")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_user_and_root_are_served() {
        for (peer, ours, expected) in
            [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (65534, 0, false), (0, 0, true)]
        {
            assert_eq!(admitted(peer, ours), expected, "{peer} to {ours}");
        }
    }

    #[test]
    fn the_log_names_a_cause_that_prints_whole() {
        let cause = Unbound::from(BindError::Taken { path: "/s".into() });
        assert!(cause.to_string().starts_with("listen on `/s`"));
    }
}
