//! A daemon in this process, in a home of its own, for the targets that speak to one.
//!
//! The process has to be started with a home below the system's folder for temporary files, so that nobody's own files
//! are taken over.

use std::fs::DirBuilder;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use coditect_syncd::Args;

use crate::client::now;
use crate::speaker::is_gone;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that runs for as long as the process.
pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
}

impl Daemon {
    /// Starts it; `prepare` is told of its empty state directory before.
    pub(crate) fn start(prepare: impl FnOnce(&Path)) -> Self {
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
        DirBuilder::new().recursive(true).mode(0o700).create(&state).expect("there is room for a folder");
        prepare(&state);
        let socket = state.join("sync.sock");
        let flags = ["--config", "--state-dir"].into_iter().zip([&config, &state]);
        let flags = flags.flat_map(|(flag, path)| [flag.into(), path.clone().into_os_string()]);
        let args = std::iter::once("coditect-syncd".into()).chain(flags);
        let args = Args::try_parse_from(args).expect("these flags are known");
        std::thread::spawn(move || match coditect_syncd::run(args) {
            Ok(()) => panic!("the daemon ended"),
            Err(fatal) => panic!("the daemon ended: {fatal:?}"),
        });
        let begun = now();
        while UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the daemon does not start");
            std::thread::yield_now();
        }
        Self { socket }
    }

    /// Says this and nothing more, and hears what is answered within `patience`.
    pub(crate) fn exchange(&self, words: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(words)?;
        stream.shutdown(Shutdown::Write)?;
        let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
        let begun = now();
        while heard.len() < 1 << 20 && begun.elapsed() < patience {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(&piece[..count]),
                // libFuzzer's alarm interrupts a wait that goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_gone(error.kind()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(heard)
    }
}
