//! Keeps the daemon from writing anywhere but into its own folders, whatever goes wrong inside it.
//!
//! The system does it (Landlock, on Linux), for this thread and all that it starts. It cannot be undone or widened, so a
//! changed wish needs another process. What is read is not restricted: projects may lie anywhere in the home, also in
//! folders that are made later, and such a rule cannot leave out some folders of the home and let in what comes
//! (docs/adr/0025); hiding those is left to the service manager.

use std::path::{Path, PathBuf};

use sync_config::{Config, Places, Sandbox as Setting, written_folders};

/// What holds the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sandbox {
    /// The only folders it can write to; `None` when it is not confined.
    folders: Option<Vec<PathBuf>>,
    /// The version of the system's way of doing it.
    version: Option<u8>,
    /// Why it is not confined.
    why_not: Option<String>,
    /// What was asked for when it began.
    wish: Wish,
}

/// What may be done over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Network {
    All,
    Outwards,
    None,
}

/// Whether the configuration wants the daemon confined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// It does.
    Confined,
    /// It does not, and why.
    Free(&'static str),
}

impl Wish {
    /// What this configuration asks for.
    pub(crate) fn of(config: &Config) -> Self {
        match (config.sync_daemon.sandbox, &config.cloud_sync.credential_command) {
            (Setting::Off, _) => Self::Free("`sync_daemon.sandbox` is \"off\""),
            (Setting::Auto, Some(_)) => Self::Free(
                "`cloud_sync.credential_command` would be held too, and such programs write to folders of their own",
            ),
            (Setting::Auto, None) => Self::Confined,
        }
    }
}

impl Sandbox {
    /// Nothing holds it.
    pub(crate) fn none(why_not: &'static str) -> Self {
        let wish = Wish::Free(why_not);
        Self { folders: None, version: None, why_not: Some(why_not.to_owned()), wish }
    }

    /// Confines this thread and all that it starts from here on, as far as that is asked for and the system can do it.
    /// `listens` says whether it will listen on the network, which is else forbidden too.
    pub(crate) fn enter(wish: Wish, places: &Places, listens: bool) -> Self {
        if let Wish::Free(why) = wish {
            return Self { wish, ..Self::none(why) };
        }
        let folders = written_folders(places);
        let network = if listens { Network::All } else { Network::Outwards };
        match system::restrict(&folders, network) {
            Ok(version) => Self { folders: Some(folders), version: Some(version), why_not: None, wish },
            Err(why) => Self { folders: None, version: None, why_not: Some(why), wish },
        }
    }

    /// The only folders it can write to; `None` when it is not confined.
    pub(crate) fn folders(&self) -> Option<&[PathBuf]> {
        self.folders.as_deref()
    }

    /// The version of Landlock that is in force.
    pub(crate) fn version(&self) -> Option<u8> {
        self.version
    }

    /// Why it is not confined.
    pub(crate) fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// Whether it can write below this folder, as far as the sandbox is concerned.
    pub(crate) fn allows(&self, folder: &Path) -> bool {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        self.folders().is_none_or(|folders| folders.iter().any(|allowed| real.starts_with(allowed)))
    }

    /// Whether it, and nothing else, keeps the daemon from writing in this folder or making it: a rule holds for the folder
    /// that was there at the start, and not for another that takes its name.
    pub(crate) fn shuts_out_of(&self, folder: &Path) -> bool {
        use rustix::fs::{Access, access};
        // What the system's permissions say is told regardless of the sandbox.
        let permitted = |there: &Path| access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        self.folders.is_some() && folder.ancestors().find(|above| above.exists()).is_some_and(permitted)
    }

    /// What is to be done differently at the next start, in words; `None` when the configuration asks for what there is.
    pub(crate) fn differs(&self, config: &Config) -> Option<&'static str> {
        match (self.wish, Wish::of(config)) {
            (Wish::Confined, Wish::Free(_)) => {
                Some("the configuration asks for no sandbox, and a process cannot leave its own")
            }
            (Wish::Free(_), Wish::Confined) => Some("the configuration asks for the sandbox"),
            (Wish::Confined, Wish::Confined) | (Wish::Free(_), Wish::Free(_)) => None,
        }
    }

    /// Says in the log what there is.
    pub(crate) fn say(&self) {
        match (&self.folders, &self.why_not) {
            (Some(folders), _) => {
                tracing::debug!(
                    ?folders,
                    landlock = self.version,
                    "nothing but these folders can be written to"
                );
            }
            (None, Some(why)) => tracing::info!("the daemon is not kept from writing elsewhere: {why}"),
            (None, None) => {}
        }
    }
}

/// Confines a worker: it reads, writes into this folder, and has no TCP. Where the system cannot do it the worker goes on, as
/// the daemon does.
pub(crate) fn confine_worker(folder: &Path) -> Result<u8, String> {
    system::restrict(&[folder.to_path_buf()], Network::None)
}

#[cfg(target_os = "linux")]
mod system {
    use std::path::PathBuf;

    use landlock::{
        ABI, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };

    use super::Network;

    /// What is thrown away is opened for writing too.
    const NOWHERE: &str = "/dev/null";

    /// The version of Landlock that is in force.
    pub(super) fn restrict(folders: &[PathBuf], network: Network) -> Result<u8, String> {
        let status = restricted(folders, network).map_err(|error| format!("Landlock refuses: {error}"))?;
        match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
                Err("this system has Landlock, which is not switched on (the kernel's `lsm=`)".to_owned())
            }
            (RulesetStatus::NotEnforced, _) => Err("this system has no Landlock".to_owned()),
            (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u8),
            (_, _) => Err("this system does not say what Landlock it has".to_owned()),
        }
    }

    fn restricted(
        folders: &[PathBuf],
        network: Network,
    ) -> Result<landlock::RestrictionStatus, RulesetError> {
        // What a version does not know is left out of the rules by itself.
        let writing = AccessFs::from_write(ABI::V4);
        let mut rules = Ruleset::default().handle_access(writing)?;
        rules = match network {
            Network::All => rules,
            Network::Outwards => rules.handle_access(AccessNet::BindTcp)?,
            Network::None => {
                let rules = rules.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
                rules.scope(Scope::AbstractUnixSocket)?
            }
        };
        let devices: BitFlags<AccessFs> = AccessFs::MakeChar | AccessFs::MakeBlock;
        let created = rules.scope(Scope::Signal)?.create()?;
        let created = created.add_rules(path_beneath_rules(folders, writing & !devices))?;
        match PathFd::new(NOWHERE) {
            Ok(nowhere) => created.add_rule(PathBeneath::new(nowhere, AccessFs::WriteFile))?,
            Err(_) => created,
        }
        .restrict_self()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::PathBuf;

    use super::Network;

    /// There is no such thing here.
    pub(super) fn restrict(_: &[PathBuf], _: Network) -> Result<u8, String> {
        Err("this system has no way that a program can ask for".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    fn places(home: &Path) -> Places {
        let flags = sync_config::PlaceFlags {
            config: Some(home.join("config.json")),
            state_dir: Some(home.join("state")),
            socket: Some(home.join("run/s.sock")),
        };
        let data = home.join("data").into_os_string();
        Places::find(&flags, &|name| (name == "CODITECT_DATA_DIR").then(|| data.clone()), None)
            .expect("all is given")
    }

    #[test]
    fn a_command_for_the_credential_and_the_setting_keep_the_daemon_out_of_it() {
        let config = |setting, command: bool| {
            let mut config = Config::default();
            config.sync_daemon.sandbox = setting;
            config.cloud_sync.credential_command = command.then(|| vec!["x".to_owned()]);
            config
        };
        for (setting, command, expected) in [
            (Setting::Auto, false, None),
            (Setting::Auto, true, Some("credential_command")),
            (Setting::Off, false, Some("sandbox")),
            (Setting::Off, true, Some("sandbox")),
        ] {
            match (Wish::of(&config(setting, command)), expected) {
                (Wish::Confined, None) => {}
                (Wish::Free(why), Some(word)) => assert!(why.contains(word), "{why}"),
                (wish, _) => panic!("{setting:?} {command}: {wish:?}"),
            }
        }
        let held = Sandbox { wish: Wish::Confined, ..Sandbox::none("x") };
        assert_eq!(held.differs(&config(Setting::Auto, false)), None);
        assert!(held.differs(&config(Setting::Auto, true)).is_some());
        let free = Sandbox::none("x");
        assert_eq!(free.differs(&config(Setting::Auto, true)), None);
        assert!(free.differs(&config(Setting::Auto, false)).is_some());
    }

    /// In a thread of its own, which is all that is confined.
    #[test]
    #[cfg(target_os = "linux")]
    fn nothing_outside_of_its_folders_can_be_written_and_all_can_be_read() {
        let home = tempfile::tempdir().expect("a folder");
        let base = home.path().canonicalize().expect("it exists");
        for folder in ["state", "data", "run", "project"] {
            std::fs::create_dir_all(base.join(folder)).expect("made");
        }
        let file = base.join("project/file");
        std::fs::write(&file, "precious").expect("written");
        let tried = std::thread::spawn(move || {
            let sandbox = Sandbox::enter(Wish::Confined, &places(&base), false);
            if let Some(why) = sandbox.why_not() {
                eprintln!("SKIPPED nothing_outside_of_its_folders_can_be_written_and_all_can_be_read: {why}");
                return;
            }
            let denied = |done: std::io::Result<()>, what: &str| {
                let error = done.expect_err(what);
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{what}");
            };
            denied(std::fs::write(base.join("project/new"), ""), "a new file");
            denied(std::fs::write(&file, "other"), "an old file");
            denied(std::fs::remove_file(&file), "removing a file");
            denied(std::fs::create_dir(base.join("project/folder")), "a new folder");
            denied(std::os::unix::fs::symlink("/", base.join("project/link")), "a link");
            std::os::unix::fs::symlink(&file, base.join("state/link")).expect("a link of its own");
            denied(std::fs::write(base.join("state/link"), ""), "a file behind a link");
            assert_eq!(std::fs::read_to_string(&file).expect("it is read"), "precious");
            for folder in ["state", "data", "run"] {
                let own = base.join(folder).join("own");
                std::fs::write(&own, "x").expect("its own");
                std::fs::rename(&own, base.join(folder).join("renamed")).expect("its own");
            }
            std::fs::OpenOptions::new().write(true).open("/dev/null").expect("what is thrown away");
            assert!(sandbox.allows(&base.join("data")) && !sandbox.allows(&base.join("project")));
            if sandbox.version().expect("it is in force") >= 4 {
                let listened = std::net::TcpListener::bind("127.0.0.1:0").map(drop);
                denied(listened, "listening on the network");
            }
            // What it starts is held as well.
            let child = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("echo x >'{}'", file.display()))
                .output()
                .expect("a shell");
            assert!(!child.status.success());
            assert_eq!(std::fs::read_to_string(&file).expect("it is read"), "precious");
        });
        tried.join().expect("all is as it should be");
    }
}
