//! A scratch home with its own configuration, roots, state and environment, and the command line run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The home of one journey.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    config: Value,
    /// What the daemon is started by, if not by itself.
    starter: Vec<String>,
    /// Where state and data are, from the home folder on; the programs' own places where nothing is said.
    places: Option<[&'static str; 2]>,
}

/// What a command printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its exit status.
    pub code: i32,
    /// Its result.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty home whose daemon is quick to try again.
    ///
    /// # Panics
    /// When there is no temporary folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cs").tempdir().expect("a temporary folder");
        let config = json!({
            "cloud_sync": {
                "retry_initial": "100ms",
                "retry_max": "1s",
                "item_retry_initial": "200ms",
                "request_lifetime": "1s",
            },
            "sync_daemon": {
                "discovery": {"roots": [folder.path().join("roots")], "debounce": "200ms"},
                // A machine that stands still while a daemon ends is not what a journey is about.
                "shutdown_grace": "1m",
            },
        });
        let home = Self { folder, config, starter: Vec::new(), places: Some(["state", "data"]) };
        std::fs::create_dir_all(home.roots()).expect("the roots");
        home.write_config();
        home
    }

    /// An empty home without a configuration, where everything is where the programs put it by themselves. Its path is as
    /// long as this one where the system's folder for temporary files is not too long for it.
    ///
    /// # Panics
    /// When there is no temporary folder.
    pub fn of_a_person(like: &str) -> Self {
        let room = like.len().saturating_sub(std::env::temp_dir().as_os_str().len() + 1);
        let folder = tempfile::Builder::new().prefix("").rand_bytes(room.max(4)).tempdir();
        let folder = folder.expect("a temporary folder");
        Self { folder, config: Value::Null, starter: Vec::new(), places: None }
    }

    /// The home folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder in which projects are looked for.
    pub fn roots(&self) -> PathBuf {
        self.path().join("roots")
    }

    /// The daemon's state directory.
    pub fn state(&self) -> PathBuf {
        let above = self.places.map_or(".local/state", |[state, _]| state);
        self.path().join(above).join("coditect-sync")
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.path().join(".coditect/config/config.json")
    }

    /// Changes a key of `cloud_sync`.
    pub fn set_cloud(&mut self, key: &str, value: impl Into<Value>) {
        self.config["cloud_sync"][key] = value.into();
        self.write_config();
    }

    /// Changes a key of `sync_daemon`.
    pub fn set_daemon(&mut self, key: &str, value: impl Into<Value>) {
        self.config["sync_daemon"][key] = value.into();
        self.write_config();
    }

    fn write_config(&self) {
        self.write_config_text(&self.config.to_string());
    }

    /// Puts any text into the configuration file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config_text(&self, text: &str) {
        let file = self.config_file();
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder of the configuration");
        std::fs::write(&file, text).expect("the configuration");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).expect("the mode of the configuration");
    }

    /// Makes a plain project: a folder with a manifest. It appears as a whole, however slow the machine is.
    ///
    /// # Panics
    /// When it cannot be made, or is there already.
    pub fn project(&self, name: &str) -> PathBuf {
        let (made, root) = (self.path().join("made").join(name), self.roots().join(name));
        std::fs::create_dir_all(made.join("src")).expect("the project");
        std::fs::write(made.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\n"))
            .expect("the manifest");
        std::fs::write(made.join("src/lib.rs"), "//! Nothing.\n").expect("a source file");
        std::fs::rename(made, &root).expect("the project");
        std::fs::canonicalize(root).expect("its real path")
    }

    /// From now on the daemon is started by this program with these arguments.
    pub fn start_daemon_by(&mut self, starter: &[&str]) {
        self.starter = starter.iter().map(|part| (*part).to_owned()).collect();
    }

    /// From now on the daemon's memory is handled as its systemd unit has it.
    pub fn handle_memory_as_the_unit(&mut self) {
        let unit = include_str!("../../systemd/coditect-sync.service");
        let variables = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
        let variables = variables.flat_map(str::split_whitespace).filter(|pair| pair.starts_with("MALLOC_"));
        self.start_daemon_by(&["env"].into_iter().chain(variables).collect::<Vec<_>>());
    }

    /// The daemon, to be started in this home.
    pub(crate) fn daemon(&self) -> Command {
        let daemon = program("coditect-syncd");
        let Some((starter, args)) = self.starter.split_first() else { return self.command(daemon) };
        let mut command = self.command(starter);
        command.args(args).arg(daemon);
        command
    }

    /// A program with this home's environment and nothing else of the surroundings but `PATH`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::vars_os().find(|(name, _)| name == "PATH").map(|(_, path)| path);
        command
            .env_clear()
            .env("PATH", path.unwrap_or_default())
            .env("HOME", self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            // The journeys look into the daemon, also where they are not run by root.
            .env("CODITECT_SYNC_DUMPABLE", "1")
            .current_dir(self.path())
            .stdin(Stdio::null());
        if let Some([state, data]) = self.places {
            command
                .env("XDG_STATE_HOME", self.path().join(state))
                .env("CODITECT_DATA_DIR", self.path().join(data));
        }
        command
    }

    /// Runs the command line. It waits for a daemon for as long as a busy machine may need, unless it is told how long.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, args: &[&str]) -> Shown {
        let told = args.contains(&"--timeout");
        let patient: &[&str] = if told { &[] } else { &["--timeout", "1m"] };
        self.run_as_it_is(&[patient, args].concat())
    }

    /// Runs the command line as somebody types it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run_as_it_is(&self, args: &[&str]) -> Shown {
        shown(&self.command(program("coditect-sync")).args(args).output().expect("the command line"))
    }

    /// Runs the command line with `--json` and reads what it printed.
    ///
    /// # Panics
    /// When that is no JSON document.
    pub fn json(&self, args: &[&str]) -> Value {
        let shown = self.run(&[&["--json"], args].concat());
        serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:?}"))
    }

    /// Runs git.
    ///
    /// # Panics
    /// When git fails.
    pub fn git(&self, folder: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"];
        let ran = self.command("git").arg("-C").arg(folder).args(identity).args(args).output().expect("git");
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

pub(crate) fn shown(output: &Output) -> Shown {
    Shown {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Where a program is, built once for all journeys; `CODITECT_BIN_DIR` names a folder of built ones instead.
///
/// # Panics
/// When they cannot be built.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(programs).join(name)
}

fn programs() -> PathBuf {
    if let Some((_, given)) = std::env::vars_os().find(|(name, _)| name == "CODITECT_BIN_DIR") {
        return given.into();
    }
    // …/target/PROFILE/deps/e2e-HASH
    let this = std::env::current_exe().expect("the path of this program");
    let profile = this.ancestors().nth(2).expect("a target folder").to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked"]);
    build.args(["-p", "coditect-syncd", "-p", "coditect-sync", "-p", "coditect-devcloud"]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    build.env("CARGO_TARGET_DIR", profile.parent().expect("a target folder"));
    let status = build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().expect("cargo");
    assert!(status.success(), "the programs cannot be built");
    profile
}
