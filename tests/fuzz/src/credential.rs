//! What is made of a token, and of the file it is in.
//!
//! The input is the token.

use std::sync::{LazyLock, Mutex};

use sync_cloud::{Source, obtain};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

struct World {
    folder: tempfile::TempDir,
    runtime: Runtime,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    Mutex::new(World { folder, runtime })
});

pub(crate) fn run(data: &[u8]) {
    let world = WORLD.lock().expect("one target runs at a time");
    let file = world.folder.path().join("token");
    std::fs::write(&file, data).expect("there is room for a file");
    let from_file = world.runtime.block_on(obtain(&Source::File(file)));
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(from_file.is_err(), "what is no text was taken for a token");
        return;
    };
    let inline = world.runtime.block_on(obtain(&Source::Inline(text.to_owned())));
    if let Ok(Some(credential)) = &inline {
        let shown = format!("{credential:?} {} {}", credential.token, credential.token.mark(Uuid::nil()));
        let secret = text.trim();
        assert!(secret.len() < 8 || !shown.contains(secret), "a token is shown");
        if let Ok(Some(other)) = &from_file {
            assert_eq!(other.claims, credential.claims, "a token says the same wherever it is from");
        }
    }
    if let Err(error) = &inline {
        assert!(text.trim().len() < 8 || !error.to_string().contains(text.trim()), "a token is shown");
    }
}
