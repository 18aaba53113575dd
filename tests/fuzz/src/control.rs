//! What the daemon makes of what anybody writes into its socket.
//!
//! The input is written as it is; then nothing more is said. A daemon runs in this process for it, in a home of its own:
//! the process has to be started with a home below the system's folder for temporary files, so that nobody's own files
//! are taken over. Whatever was written, the daemon answers the next question.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use clap::Parser;
use coditect_syncd::Args;

use crate::client::now;
use crate::speaker::is_gone;

struct World {
    socket: PathBuf,
    client: sync_wire::Client,
}

/// So long an answer is listened to: some have no end, and others are waited for as long as was asked.
const HEARD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));

impl World {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a target has no configuration to read")]
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        assert!(
            home.starts_with(std::env::temp_dir()),
            "HOME is {}, and the daemon would take over what is there: start this with a home below {}",
            home.display(),
            std::env::temp_dir().display()
        );
        let config = home.join("config.json");
        // Nothing listens at the discard port, and discovery has nothing to look at.
        let text = r#"{"cloud_sync": {"api_url": "http://127.0.0.1:9"},
            "sync_daemon": {"discovery": {"enabled": false}, "log": {"level": "error"}}}"#;
        std::fs::write(&config, text).expect("there is room for a file");
        let state = home.join("state");
        let socket = state.join("sync.sock");
        let flags = ["--config", "--state-dir"].into_iter().zip([&config, &state]);
        let flags = flags.flat_map(|(flag, path)| [flag.into(), path.clone().into_os_string()]);
        let args = std::iter::once("coditect-syncd".into()).chain(flags);
        let args = Args::try_parse_from(args).expect("these flags are known");
        std::thread::spawn(move || match coditect_syncd::run(args) {
            Ok(()) => panic!("the daemon ended"),
            Err(fatal) => panic!("the daemon ended: {fatal:?}"),
        });
        let client = sync_wire::Client::new(&socket, PATIENCE);
        let world = Self { socket, client };
        let begun = now();
        while UnixStream::connect(&world.socket).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the daemon does not start");
            std::thread::yield_now();
        }
        world
    }
}

pub(crate) fn run(data: &[u8]) {
    if stops(data) {
        return;
    }
    let mut world = WORLD.lock().expect("one target runs at a time");
    match exchange(&world.socket, data) {
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

fn exchange(socket: &std::path::Path, data: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(HEARD))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(data)?;
    stream.shutdown(Shutdown::Write)?;
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    let begun = now();
    while heard.len() < 1 << 20 && begun.elapsed() < HEARD {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&piece[..count]),
            Err(error) if is_gone(error.kind()) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(heard)
}

/// Whether it asks the daemon to stop, which is not what is tried here.
fn stops(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data).to_ascii_lowercase();
    text.contains("shutdown") || (text.contains('%') && text.contains("post"))
}
