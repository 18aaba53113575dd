//! Whole registrations, of which nothing is left to be found out, and a daemon that takes them.

use std::path::{Path, PathBuf};

use sync_tests::{Home, PATIENCE};
use sync_wire::{Call, Client, ProjectType, RegisterRequest, SyncRequest};
use tempfile::TempDir;
use uuid::Uuid;

/// The most entries of a request, here and at the cloud.
pub(crate) const BATCH: usize = 100;
/// The most projects of a measurement.
const MOST: usize = 10_000;

/// A home in which nothing is looked for: the daemon does what is measured and nothing else.
pub(crate) fn quiet_home() -> Home {
    let mut home = Home::new();
    home.handle_memory_as_the_unit();
    home.set_daemon("discovery", serde_json::json!({"enabled": false}));
    home
}

/// Lets the daemon wait as its policy has it, not as shortly as the journeys want it.
pub(crate) fn own_pauses(home: &mut Home) {
    for pause in ["retry_initial", "retry_max"] {
        home.set_cloud(pause, serde_json::Value::Null);
    }
}

pub(crate) fn client(home: &Home) -> Client {
    Client::new(home.state().join("sync.sock"), PATIENCE)
}

/// Folders to register, because only a folder can be; made once for all that is measured.
pub(crate) struct Folders {
    paths: Vec<PathBuf>,
    // They go with it.
    _parent: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let parent = tempfile::Builder::new().prefix("cs").tempdir().expect("a temporary folder");
        let root = std::fs::canonicalize(parent.path()).expect("its real path");
        let paths = (0..MOST).map(|number| root.join(format!("{:02}/project-{number}", number % 64)));
        let paths = paths.inspect(|path| std::fs::create_dir_all(path).expect("a folder")).collect();
        Self { paths, _parent: parent }
    }

    /// The first so many.
    pub(crate) fn first(&self, count: usize) -> &[PathBuf] {
        &self.paths[..count]
    }
}

/// The registration of a folder, as its content is at some time.
pub(crate) fn whole(folder: &Path, time: usize) -> RegisterRequest {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    RegisterRequest {
        root_path: folder.to_string_lossy().into_owned(),
        local_project_uuid: Some(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())),
        project_name: Some(name),
        primary_language: Some("Rust".to_owned()),
        framework: Some("axum".to_owned()),
        content_hash: Some(format!("{time:040x}")),
        project_type: Some(ProjectType::Standalone),
        ..RegisterRequest::default()
    }
}

/// Gives all of them to the daemon, a hundred at a time.
pub(crate) fn give(client: &mut Client, folders: &[PathBuf], time: usize) {
    for some in folders.chunks(BATCH) {
        let projects = some.iter().map(|folder| whole(folder, time)).collect();
        let request = SyncRequest { projects, ..SyncRequest::default() };
        let results = client
            .accomplish(&Call::sync(&request))
            .and_then(|response| response.json::<sync_wire::SyncResults>().map(|answer| answer.results));
        let results = results.expect("the daemon takes them");
        assert!(results.values().all(|result| result.queued), "{results:?}");
    }
}
