//! What a program makes of the answer of whoever listens on the daemon's socket.
//!
//! The input is the answer, byte for byte.

use std::os::unix::net::UnixListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sync_wire::{
    Client, Problem, ProjectsPage, QueueItemsPage, ResolveAnswer, Response, Status, SyncResults,
};

use crate::speaker::{Words, speak};

/// Who says what the input is.
pub(crate) struct Other {
    pub(crate) words: Words,
    pub(crate) client: Client,
    _folder: tempfile::TempDir,
}

/// Longer than any answer of a few kilobytes takes.
pub(crate) const LONG: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);

impl Other {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let socket = folder.path().join("sync.sock");
        let listener = UnixListener::bind(&socket).expect("a socket can be bound");
        let words = Words::default();
        speak(listener, words.clone());
        Self { words, client: Client::new(socket, PATIENCE), _folder: folder }
    }
}

static OTHER: LazyLock<std::sync::Mutex<Other>> = LazyLock::new(|| std::sync::Mutex::new(Other::new()));

pub(crate) fn run(data: &[u8]) {
    let mut other = OTHER.lock().expect("one target runs at a time");
    other.words.set(data);
    let begun = now();
    // What was kept of a connection would hear what was said before.
    let mut client = Client::new(other.client.socket(), PATIENCE);
    if let Ok(response) = client.request::<()>("GET", "/v1/status", None) {
        assert!(response.body.len() <= data.len(), "more was read than was said");
        read(response);
    }
    other.client = client;
    assert!(begun.elapsed() < LONG, "an answer of {} bytes took {:?}", data.len(), begun.elapsed());
}

/// Every type an answer may be of reads it or says that it cannot.
fn read(response: Response) {
    let _status = response.json::<Status>().is_ok();
    let _page = response.json::<ProjectsPage>().is_ok();
    let _items = response.json::<QueueItemsPage>().is_ok();
    let _answer = response.json::<ResolveAnswer>().is_ok();
    let _results = response.json::<SyncResults>().is_ok();
    if let Ok(problem) = response.json::<Problem>() {
        assert!(!problem.code.as_str().is_empty(), "a code has a word");
    }
    if let Err(error) = response.or_problem() {
        assert!(!error.to_string().is_empty(), "an error says what happened");
    }
}

#[expect(clippy::disallowed_methods, reason = "how long something took is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
