//! What the daemon makes of what anybody writes into its socket.
//!
//! The input is written as it is; then nothing more is said. Whatever was written, the daemon answers the next question.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use crate::daemon::{Daemon, PATIENCE};
use crate::speaker::is_gone;

struct World {
    daemon: Daemon,
    client: sync_wire::Client,
}

/// So long an answer is listened to: some have no end, and others are waited for as long as was asked.
const HEARD: Duration = Duration::from_millis(50);

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));

impl World {
    fn new() -> Self {
        let daemon = Daemon::start(|_state| {});
        let client = sync_wire::Client::new(&daemon.socket, PATIENCE);
        Self { daemon, client }
    }
}

pub(crate) fn run(data: &[u8]) {
    if stops(data) {
        return;
    }
    let mut world = WORLD.lock().expect("one target runs at a time");
    match world.daemon.exchange(data, HEARD) {
        Ok(heard) => {
            assert!(heard.is_empty() || heard.starts_with(b"HTTP/1."), "not an answer");
            assert!(
                !heard.windows(12).any(|piece| piece == b"HTTP/1.1 500"),
                "a fault: {}",
                String::from_utf8_lossy(&heard)
            );
        }
        Err(error) if is_gone(error.kind()) => {}
        Err(error) => panic!("the daemon cannot be spoken to: {error}"),
    }
    let health = world.client.health();
    assert!(health.is_ok(), "the daemon is silent afterwards: {health:?}");
}

/// Whether it asks the daemon to stop, which is not what is tried here.
fn stops(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data).to_ascii_lowercase();
    text.contains("shutdown") || (text.contains('%') && text.contains("post"))
}
