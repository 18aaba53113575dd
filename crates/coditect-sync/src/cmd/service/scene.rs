//! What there is before anything is done: the manager, its files, what it says, and the daemon's program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sync_config::{Config, Places};

use crate::cmd::{Context, config};
use crate::exit::Exit;
use crate::human::clean;
use crate::problem::Failure;
use crate::programs::{Invocation, Programs, is_program};
use crate::service::marker::OnDisk;
use crate::service::step::{Step, Target};
use crate::service::systemd::Wanted;
use crate::service::{Installation, Manager, act, launchd, program, render, sandbox, systemd};
use crate::tail::{Position, last_lines};

/// How long a manager may take to answer a question.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// What there is.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) manager: Manager,
    pub(crate) programs: Programs,
    pub(crate) places: Places,
    /// The daemon's program, or where it was looked for.
    pub(crate) program: Result<PathBuf, String>,
    pub(crate) seen: Seen,
    /// How long the daemon may take to stop.
    pub(crate) grace: Duration,
    home: PathBuf,
}

/// What the manager has and says.
#[derive(Debug)]
pub(crate) enum Seen {
    Systemd {
        files: Box<systemd::Files>,
        found: Box<systemd::Found>,
        job: Box<systemd::Job>,
        /// How the socket's unit is, where there is one.
        socket: Option<Box<systemd::Job>>,
    },
    Launchd {
        target: Target,
        domain: String,
        job: launchd::Job,
    },
}

impl Seen {
    /// Whether there is a file from which the daemon is started, whoever wrote it and wherever it is.
    pub(crate) fn is_installed(&self) -> bool {
        self.target().found != OnDisk::Nothing || self.elsewhere().is_some()
    }

    /// The file from which the manager starts the daemon where it is none of this user's, as that of a package.
    pub(crate) fn elsewhere(&self) -> Option<&Path> {
        match self {
            Self::Systemd { found, job, .. } => found.elsewhere(job),
            Self::Launchd { .. } => None,
        }
    }

    /// The same, also where there is one of this user's that the manager did not read.
    pub(crate) fn other(&self) -> Option<&Path> {
        match self {
            Self::Systemd { found, job, .. } => found.other(job),
            Self::Launchd { .. } => None,
        }
    }

    /// The file that `install` writes and `uninstall` removes.
    pub(crate) fn file(&self) -> &Path {
        &self.target().path
    }

    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Systemd { found, .. } => &found.unit,
            Self::Launchd { target, .. } => target,
        }
    }

    /// Whether the daemon is started when somebody asks it, and nobody did: asking would start it.
    pub(crate) fn would_be_started(&self) -> bool {
        match self {
            // One that ends answers nobody any more, though the manager has its process still.
            Self::Systemd { found, job, .. } => {
                found.is_activated() && (job.pid.is_none() || job.active == "deactivating")
            }
            Self::Launchd { .. } => false,
        }
    }

    /// Whether a process may be the service's.
    pub(crate) fn may_be(&self, pid: u32) -> bool {
        match self {
            Self::Systemd { job, .. } => job.pid == Some(pid),
            // What it says of the process is for people; where it says nothing it may be.
            Self::Launchd { job, .. } => job.loaded && job.pid.is_none_or(|known| known == pid),
        }
    }
}

impl Scene {
    /// Looks at everything; changes nothing.
    ///
    /// # Errors
    /// When there is no service manager, or it does not answer.
    pub(crate) fn look(context: &Context) -> Result<Self, Failure> {
        let environment = &context.environment;
        let places = context.places()?;
        let programs = Programs::new(environment);
        let home = environment
            .home
            .clone()
            .ok_or_else(|| Failure::failed("no home directory is known").with_hint("set HOME"))?;
        let manager = Manager::of(|name| programs.find(name).is_some()).ok_or_else(|| {
            Failure::new(Exit::Failed, "no_service_manager", "neither systemd nor launchd is there")
                .with_hint("have `coditect-syncd` started by whatever starts programs here, such as a crontab's `@reboot`")
        })?;
        let seen = match manager {
            Manager::Systemd => {
                let named = environment.variable("XDG_CONFIG_HOME").map(PathBuf::from);
                let files = systemd::Files::new(named.as_deref(), &home);
                let answer = asked(&programs, &systemd::question()).map_err(|why| no_user_manager(&why))?;
                let found = systemd::Found {
                    unit: act::target(&files.unit),
                    sandbox: act::target(&files.sandbox),
                    socket: act::target(&files.socket),
                };
                let mut job = systemd::Job::read(&answer);
                if job.fragment.as_deref().is_some_and(|file| act::is_same(file, &files.unit)) {
                    job.fragment = Some(files.unit.clone());
                }
                let socket = found.is_activated().then(|| asked(&programs, &systemd::socket_question()));
                Seen::Systemd {
                    job: Box::new(job),
                    socket: socket.map(|answer| Box::new(systemd::Job::read(&answer.unwrap_or_default()))),
                    found: Box::new(found),
                    files: Box::new(files),
                }
            }
            Manager::Launchd => {
                let domains = launchd::domains(rustix::process::getuid().as_raw());
                let mut there =
                    domains.into_iter().map(|domain| (asked(&programs, &launchd::question(&domain)), domain));
                let domain =
                    there.find_map(|(answer, domain)| answer.ok().map(|_| domain)).ok_or_else(|| {
                        Failure::new(Exit::Failed, "no_user_manager", "launchd has no session for this user")
                            .with_hint("log in at the screen or through ssh as this user, without `sudo`")
                    })?;
                let answer = asked(&programs, &launchd::question(&launchd::service(&domain))).ok();
                let job = launchd::Job::read(answer.as_deref());
                Seen::Launchd { target: act::target(&launchd::file(&home)), domain, job }
            }
        };
        // A configuration with errors is said by whoever starts something.
        let config = config::load(&places.config_file, context)
            .map_or_else(|_| Config::default(), |loaded| loaded.config);
        let grace = config.sync_daemon.shutdown_grace;
        Ok(Self { manager, program: daemon_program(context, &programs), programs, places, seen, grace, home })
    }

    /// What the service is made of.
    pub(crate) fn installation(&self) -> Result<Installation, Failure> {
        let program = self.program.as_ref().map_err(|absent| Failure::failed(absent.clone()))?;
        Installation::new(program, &self.places, self.manager)
    }

    /// What the files should say, as far as it can be told; nothing is like a file that should say nothing.
    pub(crate) fn wanted_anyway(&self) -> Wanted {
        match (self.installation(), self.manager) {
            (Ok(installation), Manager::Systemd) => self.wanted(&installation, true, true),
            (Ok(installation), Manager::Launchd) => {
                Wanted { unit: render::agent(&installation, self.grace), sandbox: None, socket: None }
            }
            (Err(_), _) => Wanted { unit: String::new(), sandbox: None, socket: None },
        }
    }

    /// What the files of systemd should say.
    pub(crate) fn wanted(&self, installation: &Installation, sandboxed: bool, activated: bool) -> Wanted {
        Wanted {
            unit: render::unit(installation, self.grace),
            sandbox: sandboxed.then(|| render::sandbox(installation)),
            socket: activated.then(|| render::socket(installation)),
        }
    }

    /// Sees that the user manager looks where the files are written to; where it does not say, it is tried.
    ///
    /// # Errors
    /// When it does not: what is written there is nothing to it.
    pub(crate) fn is_looked_at(&self, context: &Context) -> Result<(), Failure> {
        let Seen::Systemd { files, .. } = &self.seen else { return Ok(()) };
        let answer = asked(&self.programs, &systemd::path_question()).unwrap_or_default();
        if systemd::looks_in(&answer, |folder| act::is_same(folder, &files.folder)) != Some(false) {
            return Ok(());
        }
        let folder = files.folder.display();
        let message = format!("the user manager of systemd does not look for units in `{folder}`");
        Err(match context.environment.variable("XDG_CONFIG_HOME") {
            Some(_) => Failure::failed(format!("{message}: XDG_CONFIG_HOME is set in this shell only"))
                .with_hint("run `env -u XDG_CONFIG_HOME coditect-sync service install`"),
            None => Failure::failed(format!(
                "{message}: it has another HOME, or an XDG_CONFIG_HOME that this shell has not"
            ))
            .with_hint(
                "give this command the same; `systemctl --user show --property=UnitPath` says where it looks",
            ),
        })
    }

    /// The folders that have to be there first.
    pub(crate) fn folders(installation: &Installation) -> Vec<Step> {
        // That of the socket too: in the sandbox the daemon can write to it only where it was there before.
        let of_the_socket = Path::new(&installation.socket).parent();
        let others = [&installation.state_dir, &installation.data_dir].map(Path::new);
        let wanted: BTreeSet<&Path> = others.into_iter().chain(of_the_socket).collect();
        let missing = wanted.into_iter().filter(|path| !path.exists()).map(PathBuf::from);
        missing.map(|path| Step::MakeFolder { path, mode: 0o700 }).collect()
    }

    /// Whether the daemon can be put into the stricter sandbox, or why not.
    pub(crate) fn sandbox(&self, context: &Context) -> Result<(), String> {
        let Ok(installation) = self.installation() else { return Err("the daemon is not found".to_owned()) };
        if self.manager == Manager::Launchd {
            return Err("it is systemd's".to_owned());
        }
        let Ok(loaded) = config::load(&self.places.config_file, context) else {
            return Err("the configuration cannot be read".to_owned());
        };
        if let Some(hindrance) = sandbox::hindrance(&installation, &self.places, &loaded.config) {
            return Err(hindrance);
        }
        if let (Some(unshare), Some(program)) = (self.programs.find("unshare"), self.programs.find("true"))
            && let Err(why) = asked(&self.programs, &sandbox::quick_question(&unshare, &program))
        {
            return Err(format!("this system makes no user namespaces ({why})"));
        }
        if self.programs.find("systemd-run").is_none() {
            return Err("there is no `systemd-run` to see whether it would hold".to_owned());
        }
        let question = sandbox::question(&self.home.to_string_lossy());
        match asked(&self.programs, &question) {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("it does not hold under this user manager ({why})")),
        }
    }

    /// Whether the user manager outlives the last logout; `None` where nobody says.
    pub(crate) fn lingers(&self) -> Option<bool> {
        let question = systemd::linger_question(rustix::process::getuid().as_raw());
        systemd::lingers(&asked(&self.programs, &question).ok()?)
    }

    /// How the service ended, as its manager says in this moment.
    pub(crate) fn end(&self) -> Option<String> {
        match self.manager {
            Manager::Systemd => systemd::Job::read(&asked(&self.programs, &systemd::question()).ok()?).end(),
            Manager::Launchd => None,
        }
    }

    /// What the daemon said since then, or what its manager heard of it.
    pub(crate) fn last_words(&self, mut since: Position, most: usize) -> Vec<String> {
        let mut text = since.more(&self.places.logs).unwrap_or_default();
        if text.is_empty() {
            text = match self.manager {
                Manager::Systemd => {
                    let unit = format!("--unit={}", systemd::UNIT);
                    let question = Invocation::new(
                        "journalctl",
                        &["--user", &unit, "--since=-1min", "--no-pager", "--quiet", "--output=cat"],
                    );
                    asked(&self.programs, &question).unwrap_or_default().into_bytes()
                }
                Manager::Launchd => {
                    let file = self.places.state_dir.join("launchd.log");
                    last_lines(&[file], most).map(|end| end.text).unwrap_or_default()
                }
            };
        }
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> =
            text.lines().rev().take(most).map(|line| clean(line).into_owned()).collect();
        lines.reverse();
        lines
    }
}

fn asked(programs: &Programs, question: &Invocation) -> Result<String, String> {
    match programs.run(question, LONGEST_ANSWER) {
        Ok(ran) if ran.succeeded => Ok(ran.output),
        Ok(ran) => Err(ran.complaint),
        Err(error) => Err(error.to_string()),
    }
}

fn no_user_manager(why: &str) -> Failure {
    let user = rustix::process::getuid().as_raw();
    Failure::new(Exit::Failed, "no_user_manager", format!("no user manager of systemd can be reached: {why}")).with_hint(
        format!("log in as this user itself, not through `su` or `sudo`, or run `loginctl enable-linger` and set XDG_RUNTIME_DIR=/run/user/{user}; without systemd, have `coditect-syncd` started by whatever starts programs here, such as a crontab's `@reboot`"),
    )
}

/// The daemon's program, by a path that lasts; or where it was looked for.
fn daemon_program(context: &Context, programs: &Programs) -> Result<PathBuf, String> {
    let running = std::env::current_exe().ok();
    let called = std::env::args_os().next().map(PathBuf::from).and_then(|called| {
        let by_path = called.components().count() > 1;
        let current = context.environment.current_dir.as_ref();
        if by_path { Some(current?.join(called)) } else { programs.find(called.to_str()?) }
    });
    // A name that somebody made up leads elsewhere than to this program.
    let called = called.filter(|called| match (called.canonicalize(), &running) {
        (Ok(called), Some(running)) => running.canonicalize().is_ok_and(|running| running == called),
        (Ok(_) | Err(_), _) => false,
    });
    let called = called.map(|called| called.components().collect::<PathBuf>());
    let on_path = programs.find(program::NAME);
    let candidates = program::candidates(called.as_deref(), on_path.as_deref(), running.as_deref());
    let absolute = |path: &&PathBuf| path.is_absolute() && is_program(path);
    candidates.iter().find(absolute).cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|path| format!("`{}`", path.display())).collect();
        format!("`{}` is neither {} nor on the search path", program::NAME, looked.join(" nor "))
    })
}
