//! Where the programs keep things: configuration, state, database, lock, logs, socket, machine identity.
//!
//! Pure over the given environment; makes and checks no folder. No place depends on anything that differs between a
//! login, cron, sudo and a service, such as `TMPDIR` or `XDG_RUNTIME_DIR`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::environment::origin;
use crate::problem::Problem;

/// The flags that name places; each beats its environment variable.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PlaceFlags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--socket`
    pub socket: Option<PathBuf>,
}

/// The places of one installation, all absolute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// The configuration file shared with other tools; it need not exist.
    pub config_file: PathBuf,
    /// The folder of everything the daemon keeps, mode 0700.
    pub state_dir: PathBuf,
    /// The database file.
    pub database: PathBuf,
    /// The file one daemon holds locked.
    pub lock: PathBuf,
    /// The folder of the log files.
    pub logs: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The file `auth set-token` writes when the configuration names no other.
    pub token_file: PathBuf,
    /// The data folder shared with other tools.
    pub data_dir: PathBuf,
    /// The file with the machine's UUID, shared with other tools.
    pub machine_id: PathBuf,
    /// The user's home directory, where one is known.
    pub home: Option<PathBuf>,
}

impl Places {
    /// Finds the places from flags, environment and home directory, in this order.
    ///
    /// # Errors
    /// When a given path is not absolute, or when no home directory is known and something is needed from it.
    pub fn find(
        flags: &PlaceFlags,
        env: &dyn Fn(&str) -> Option<OsString>,
        home: Option<&Path>,
    ) -> Result<Self, Problem> {
        let given = |flag: Option<(&str, &PathBuf)>, variable: &str| -> Result<Option<PathBuf>, Problem> {
            let from_env = || env(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
            let (name, path) = match flag {
                Some((name, path)) => (Some(name), path.clone()),
                None => match from_env() {
                    Some(path) => (None, path),
                    None => return Ok(None),
                },
            };
            if path.is_absolute() {
                return Ok(Some(path));
            }
            let shown = crate::given::quoted(&path.to_string_lossy());
            Err(Problem::new(format!("{shown} must be an absolute path")).at(origin(name, variable)))
        };
        let at_home = |what: &str, variable: &str, inside: &str| {
            home.map(|home| home.join(inside)).ok_or_else(|| {
                Problem::new(format!("no home directory is known, and so no place for the {what}"))
                    .hint(format!("set HOME or {variable}"))
            })
        };

        let config = given(flags.config.as_ref().map(|path| ("--config", path)), "CODITECT_CONFIG")?;
        let state =
            given(flags.state_dir.as_ref().map(|path| ("--state-dir", path)), "CODITECT_SYNC_STATE_DIR")?;
        let socket = given(flags.socket.as_ref().map(|path| ("--socket", path)), "CODITECT_SYNC_SOCKET")?;
        let data = given(None, "CODITECT_DATA_DIR")?;

        let config_file = match config {
            Some(path) => path,
            None => at_home("configuration", "CODITECT_CONFIG", ".coditect/config/config.json")?,
        };
        // As the XDG rules have it, a relative value of this variable does not count.
        let xdg_state = env("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let state_dir = match (state, xdg_state) {
            (Some(path), _) => path,
            (None, Some(xdg_state)) if cfg!(not(target_os = "macos")) => xdg_state.join("coditect-sync"),
            (None, _) => at_home("state", "CODITECT_SYNC_STATE_DIR", STATE_AT_HOME)?,
        };
        let data_dir = match data {
            Some(path) => path,
            None => at_home("machine identity", "CODITECT_DATA_DIR", ".coditect-data")?,
        };
        let socket = sync_wire::socket_path(socket.as_deref(), None, &state_dir)
            .map_err(|too_long| Problem::new(format!("cannot {too_long}")))?;
        Ok(Self {
            socket,
            database: state_dir.join("sync.db"),
            lock: state_dir.join("daemon.lock"),
            logs: state_dir.join("logs"),
            token_file: state_dir.join("token"),
            machine_id: data_dir.join("machine-id.json"),
            config_file,
            state_dir,
            data_dir,
            home: home.map(Path::to_path_buf),
        })
    }

    /// The folders whose `.coditect` is where programs are configured: the user's home, and the one around the `.coditect`
    /// that the configuration lies in.
    pub fn homes(&self) -> Vec<PathBuf> {
        let configured = self.config_file.ancestors().find(|above| above.ends_with(".coditect"));
        let around = configured.and_then(Path::parent).map(Path::to_path_buf);
        let mut homes: Vec<PathBuf> = self.home.clone().into_iter().chain(around).collect();
        homes.dedup();
        homes
    }
}

/// The state folder below the home directory.
const STATE_AT_HOME: &str = if cfg!(target_os = "macos") {
    "Library/Application Support/coditect-sync"
} else {
    ".local/state/coditect-sync"
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: &PlaceFlags, env: &[(&str, &str)], home: Option<&str>) -> Result<Places, String> {
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Places::find(flags, &env, home.map(Path::new)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn with_a_home_alone_everything_is_below_it() {
        let places = check(&PlaceFlags::default(), &[], Some("/home/ada")).expect("a home is enough");
        let state = Path::new("/home/ada").join(STATE_AT_HOME);
        assert_eq!(
            places,
            Places {
                config_file: "/home/ada/.coditect/config/config.json".into(),
                database: state.join("sync.db"),
                lock: state.join("daemon.lock"),
                logs: state.join("logs"),
                socket: state.join("sync.sock"),
                token_file: state.join("token"),
                state_dir: state,
                data_dir: "/home/ada/.coditect-data".into(),
                machine_id: "/home/ada/.coditect-data/machine-id.json".into(),
                home: Some("/home/ada".into()),
            }
        );
    }

    #[test]
    fn a_home_is_the_users_and_where_the_configuration_lies() {
        let told = |config: Option<&str>, home: Option<&str>, expected: &[&str]| {
            let flags = PlaceFlags {
                config: config.map(PathBuf::from),
                state_dir: Some("/state".into()),
                ..PlaceFlags::default()
            };
            let env = [("CODITECT_DATA_DIR", "/data")];
            let places = check(&flags, &env, home).expect("all is given");
            assert_eq!(places.homes(), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        told(None, Some("/home/ada"), &["/home/ada"]);
        told(Some("/srv/ada/.coditect/config/c.json"), None, &["/srv/ada"]);
        told(Some("/srv/ada/.coditect/c.json"), Some("/home/ada"), &["/home/ada", "/srv/ada"]);
        told(Some("/etc/coditect/config.json"), Some("/home/ada"), &["/home/ada"]);
        told(Some("/etc/coditect/config.json"), None, &[]);
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_default() {
        let env = [
            ("CODITECT_CONFIG", "/env/config.json"),
            ("CODITECT_SYNC_STATE_DIR", "/env/state"),
            ("CODITECT_SYNC_SOCKET", "/env/s.sock"),
            ("CODITECT_DATA_DIR", "/env/data"),
        ];
        let places = check(&PlaceFlags::default(), &env, None).expect("all is given");
        let found = [&places.config_file, &places.database, &places.socket, &places.machine_id];
        assert_eq!(
            found.map(|path| path.display().to_string()),
            ["/env/config.json", "/env/state/sync.db", "/env/s.sock", "/env/data/machine-id.json"]
        );

        let flags = PlaceFlags {
            config: Some("/flag/config.json".into()),
            state_dir: Some("/flag/state".into()),
            socket: Some("/flag/s.sock".into()),
        };
        let places = check(&flags, &env, None).expect("all is given");
        let found = [&places.config_file, &places.database, &places.socket];
        assert_eq!(
            found.map(|path| path.display().to_string()),
            ["/flag/config.json", "/flag/state/sync.db", "/flag/s.sock"]
        );
    }

    #[test]
    fn the_socket_is_not_moved_by_what_differs_between_login_and_service() {
        let plain = check(&PlaceFlags::default(), &[], Some("/home/ada"));
        let env =
            [("XDG_RUNTIME_DIR", "/run/user/1000"), ("TMPDIR", "/tmp/x"), ("USER", "eve"), ("HOME", "/root")];
        assert_eq!(check(&PlaceFlags::default(), &env, Some("/home/ada")), plain);
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn the_state_follows_the_platforms_variable_when_it_is_absolute() {
        for (given, expected) in [
            ("/xdg", "/xdg/coditect-sync"),
            ("xdg", "/h/.local/state/coditect-sync"),
            ("", "/h/.local/state/coditect-sync"),
        ] {
            let places = check(&PlaceFlags::default(), &[("XDG_STATE_HOME", given)], Some("/h"));
            assert_eq!(places.expect("a home is known").state_dir, Path::new(expected), "{given}");
        }
    }

    #[test]
    fn a_socket_path_no_system_allows_is_refused_with_one_that_fits() {
        let home = format!("/{}", "x".repeat(120));
        let problem = check(&PlaceFlags::default(), &[], Some(&home)).expect_err("it is too long");
        assert!(problem.contains("sync.sock") && problem.contains("CODITECT_SYNC_SOCKET="), "{problem}");
    }

    #[test]
    fn a_relative_place_and_a_missing_home_say_what_to_do() {
        let relative = PlaceFlags { socket: Some("s.sock".into()), ..PlaceFlags::default() };
        for (flags, env, expected) in [
            (&relative, vec![], "flag --socket: \"s.sock\" must be an absolute path"),
            (
                &PlaceFlags::default(),
                vec![("CODITECT_DATA_DIR", "data")],
                "environment variable CODITECT_DATA_DIR: \"data\" must be an absolute path",
            ),
            (
                &PlaceFlags::default(),
                vec![("CODITECT_CONFIG", "/c")],
                "no home directory is known, and so no place for the state; set HOME or CODITECT_SYNC_STATE_DIR",
            ),
        ] {
            assert_eq!(check(flags, &env, None), Err(expected.to_owned()));
        }
    }
}
