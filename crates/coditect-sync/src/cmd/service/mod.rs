//! `service`: the daemon as a service of this user. Looks, plans, shows or does, and sees that the daemon answers.

mod doctor;
mod scene;
mod status;

pub(super) use self::doctor::installed;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sync_config::Environment;
use sync_wire::{Call, Ready, Status};

use self::scene::{Scene, Seen};
use super::{Context, config};
use crate::absent;
use crate::args::{ServiceCommand, ServiceFiles, ServiceInstall, ServiceRun};
use crate::clock;
use crate::daemon::Daemon;
use crate::exit::Exit;
use crate::human::clean;
use crate::out::{self, Answer};
use crate::problem::Failure;
use crate::service::step::Step;
use crate::service::{act, launchd, program, systemd};
use crate::tail::Position;

/// How long a daemon that was started may take to answer, beyond what its manager waited for it.
const LONGEST_START: Duration = Duration::from_secs(5);

/// How long one that was stopped may take to go; more than its grace is by default.
const LONGEST_STOP: Duration = Duration::from_secs(20);

/// Between two looks.
const NAP: Duration = Duration::from_millis(50);

/// Lines of the log that are shown when it did not start.
const LAST_LINES: usize = 10;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Install,
    Uninstall,
    Start,
    Stop,
    Restart,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    /// Whether a daemon runs afterwards.
    fn starts(self) -> bool {
        match self {
            Self::Install | Self::Start | Self::Restart => true,
            Self::Uninstall | Self::Stop => false,
        }
    }
}

pub(super) fn run(command: ServiceCommand, context: &Context) -> Result<Answer, Failure> {
    let plain = |verb, run| change(verb, ServiceFiles { run, force: false }, false, context);
    match command {
        ServiceCommand::Install(ServiceInstall { files, socket_activated }) => {
            change(Verb::Install, files, socket_activated, context)
        }
        ServiceCommand::Uninstall(files) => change(Verb::Uninstall, files, false, context),
        ServiceCommand::Start(run) => plain(Verb::Start, run),
        ServiceCommand::Stop(run) => plain(Verb::Stop, run),
        ServiceCommand::Restart(run) => plain(Verb::Restart, run),
        ServiceCommand::Status => status::run(context),
    }
}

fn change(
    verb: Verb,
    ServiceFiles { run: ServiceRun { dry_run }, force }: ServiceFiles,
    activated: bool,
    context: &Context,
) -> Result<Answer, Failure> {
    let mut notes = Vec::new();
    let scene = Scene::look(context)?;
    // What keeps the daemon from starting is said before anything is done.
    let loaded = verb.starts().then(|| config::load(&scene.places.config_file, context)).transpose()?;
    if let (Verb::Install, Some(loaded)) = (verb, loaded) {
        notes.extend(loaded.warnings.iter().map(ToString::to_string));
        let program = scene.program.as_ref().map_err(|absent| {
            Failure::failed(absent.clone()).with_hint(
                "install `coditect-syncd` beside `coditect-sync`, or in a folder on the search path",
            )
        })?;
        notes.extend(program::concern(program));
        notes.extend(left_behind(&context.environment));
        if activated {
            may_be_activated(&scene)?;
        }
        scene.is_looked_at(context)?;
    }
    let sandbox = if verb == Verb::Install { scene.sandbox(context) } else { Ok(()) };
    let installation = scene.installation();
    let steps = match (&scene.seen, verb) {
        (Seen::Systemd { files, found, job, .. }, Verb::Install) => {
            let installation = installation?;
            let mut steps = Scene::folders(&installation);
            let wanted = scene.wanted(&installation, sandbox.is_ok(), activated);
            steps.extend(systemd::install(files, found, &wanted, job, force)?);
            if let Err(reason) = &sandbox {
                notes.push(format!("the stricter sandbox is left out: {reason}"));
            }
            notes.extend((scene.lingers() == Some(false)).then(linger_note));
            steps
        }
        (Seen::Launchd { target, domain, job }, Verb::Install) => {
            let installation = installation?;
            let mut steps = Scene::folders(&installation);
            let wanted = crate::service::render::agent(&installation, scene.grace);
            steps.extend(launchd::install(target, &wanted, domain, job, force)?);
            steps
        }
        (Seen::Systemd { files, found, job, .. }, Verb::Uninstall) => {
            let wanted = scene.wanted_anyway();
            systemd::uninstall(files, found, &wanted, job, force)?
        }
        (Seen::Launchd { target, domain, job }, Verb::Uninstall) => {
            let wanted = scene.wanted_anyway().unit;
            launchd::uninstall(target, &wanted, domain, job, force)?
        }
        (seen, Verb::Start | Verb::Stop | Verb::Restart) if !seen.is_installed() => {
            return Err(not_installed());
        }
        (Seen::Systemd { found, job, .. }, Verb::Start) => systemd::start(found, job),
        (Seen::Systemd { found, .. }, Verb::Stop) => systemd::stop(found),
        (Seen::Systemd { found, job, .. }, Verb::Restart) => systemd::restart(found, job),
        (Seen::Launchd { target, domain, job }, Verb::Start) => launchd::start(target, domain, job),
        (Seen::Launchd { domain, job, .. }, Verb::Stop) => launchd::stop(domain, job),
        (Seen::Launchd { target, domain, job }, Verb::Restart) => launchd::restart(target, domain, job),
    };
    let mut told = Told { verb, dry_run, scene: &scene, sandbox: sandbox.is_ok(), notes };
    let stranger = told.stranger(context)?.filter(|_| verb.starts());
    match stranger {
        Some(stranger) if dry_run => told.notes.push(stranger.message),
        Some(stranger) => return Err(stranger),
        None => {}
    }
    if dry_run { Ok(told.shown(&steps)) } else { told.done(&steps, context) }
}

/// Whether a manager can listen where the daemon would: it would replace whatever else is there.
fn may_be_activated(scene: &Scene) -> Result<(), Failure> {
    use std::os::unix::fs::FileTypeExt;

    if matches!(scene.seen, Seen::Launchd { .. }) {
        return Err(Failure::failed("launchd does not start this daemon for who asks it")
            .with_hint("install it without `--socket-activated`"));
    }
    let socket = &scene.places.socket;
    match std::fs::symlink_metadata(socket) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(Failure::failed(format!("`{}` is no socket, and is left as it is", socket.display()))
                .with_hint("move it away, or choose another path with `--socket`"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn linger_note() -> String {
    "the daemon stops when you log out for the last time; `loginctl enable-linger` keeps it running"
        .to_owned()
}

fn not_installed() -> Failure {
    Failure::new(Exit::NotFound, "service_not_installed", "the service is not installed")
        .with_hint("install it with `coditect-sync service install`")
}

/// Variables that this shell has and the service will not have; their values may be secret.
fn left_behind(environment: &Environment) -> Option<String> {
    const MATTERS: &[&str] = &[
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ];
    let matters = |name: &str| name.starts_with("CODITECT_SYNC__") || MATTERS.contains(&name);
    let mut names: Vec<&str> =
        environment.variables.iter().map(|(name, _)| name.as_str()).filter(|name| matters(name)).collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| {
        format!("the service does not see what is set in this shell only: {}; put it into the configuration, or into a drop-in", names.join(", "))
    })
}

/// What is told of a change.
struct Told<'a> {
    verb: Verb,
    dry_run: bool,
    scene: &'a Scene,
    sandbox: bool,
    notes: Vec<String>,
}

impl Told<'_> {
    /// A daemon that somebody started by hand: it holds the lock, and the service's would end at once.
    fn stranger(&self, context: &Context) -> Result<Option<Failure>, Failure> {
        if self.scene.seen.would_be_started() && !absent::is_locked(&self.scene.places) {
            return Ok(None);
        }
        let asked = context.daemon()?.ask_for::<Status>(&Call::status()).ok();
        Ok(asked.filter(|(status, _)| !self.scene.seen.may_be(status.pid)).map(|(status, _)| {
            let message = format!("a daemon that is not the service's runs already, pid {}", status.pid);
            Failure::new(Exit::Failed, "conflict", message)
                .with_hint("end it with `coditect-sync stop` and try again")
        }))
    }

    fn shown(&self, steps: &[Step]) -> Answer {
        let lines: Vec<String> = steps.iter().map(Step::shown).collect();
        let text = if lines.is_empty() { "nothing to do".to_owned() } else { lines.join("\n") };
        self.noted(Answer::result(self.document(steps, None), text))
    }

    fn done(&self, steps: &[Step], context: &Context) -> Result<Answer, Failure> {
        let log = Position::end(&self.scene.places.logs).unwrap_or_default();
        let tell = |step: &Step| {
            if context.globals.verbose && !context.globals.json {
                out::remark(step.shown().lines().next().unwrap_or_default());
            }
        };
        act::all(steps, &self.scene.programs, self.scene.grace, &tell)
            .map_err(|failure| self.explained(failure, log.clone()))?;
        let daemon = &mut context.daemon()?;
        let (text, status) = match self.verb {
            Verb::Install | Verb::Start | Verb::Restart => {
                let status = answering(daemon).map_err(|failure| self.explained(failure, log))?;
                let word =
                    if self.verb == Verb::Install { "the service is installed and" } else { "the daemon" };
                let text = format!("{word} runs: {}, pid {}", clean(&status.version), status.pid);
                (text, Some(status))
            }
            Verb::Stop => (self.stopped(daemon), None),
            Verb::Uninstall if steps.is_empty() => ("the service is not installed".to_owned(), None),
            Verb::Uninstall if self.scene.seen.other().is_some() => (self.what_stays(), None),
            Verb::Uninstall => (format!("{}; {}", self.stopped(daemon), self.what_stays()), None),
        };
        Ok(self.noted(Answer::done(self.document(steps, status.as_ref()), text)))
    }

    /// What became of the daemon after the service was stopped.
    fn stopped(&self, daemon: &mut Daemon) -> String {
        match daemon.ask_for::<Status>(&Call::status()) {
            Ok((status, _)) if !self.scene.seen.may_be(status.pid) => {
                format!("a daemon that is not the service's runs on, pid {}", status.pid)
            }
            Ok(_) | Err(_) if gone(daemon) => "the daemon has stopped".to_owned(),
            Ok(_) | Err(_) => "the daemon is still stopping: it ends what it is sending".to_owned(),
        }
    }

    fn what_stays(&self) -> String {
        if let Some(other) = self.scene.seen.other() {
            return format!(
                "the files are removed; the manager's unit is another, `{}`, and is left alone",
                other.display()
            );
        }
        let places = &self.scene.places;
        let kept = [&places.state_dir, &places.config_file, &places.machine_id];
        let kept: Vec<String> =
            kept.iter().filter(|path| path.exists()).map(|path| format!("`{}`", path.display())).collect();
        if kept.is_empty() {
            "the service is removed; there is no data".to_owned()
        } else {
            format!("the service is removed; the data stays: {}", kept.join(", "))
        }
    }

    /// The file that this is about.
    fn file(&self) -> &Path {
        let seen = &self.scene.seen;
        match self.verb {
            Verb::Install | Verb::Uninstall => seen.file(),
            Verb::Start | Verb::Stop | Verb::Restart => seen.elsewhere().unwrap_or(seen.file()),
        }
    }

    fn noted(&self, answer: Answer) -> Answer {
        if self.notes.is_empty() {
            return answer;
        }
        let lines: Vec<String> = self.notes.iter().map(|note| format!("note: {note}")).collect();
        answer.with_note(lines.join("\n"))
    }

    fn document(&self, steps: &[Step], status: Option<&Status>) -> Vec<u8> {
        let steps: Vec<Value> = steps.iter().map(Step::document).collect();
        json!({
            "action": self.verb.as_str(),
            "dry_run": self.dry_run,
            "manager": self.scene.manager.as_str(),
            "file": self.file().to_string_lossy(),
            "steps": steps,
            "sandbox": (self.verb == Verb::Install).then_some(self.sandbox),
            "daemon": status.map(|status| json!({"version": status.version, "pid": status.pid})),
            "notes": self.notes,
        })
        .to_string()
        .into_bytes()
    }

    /// The failure, with what the daemon said last.
    fn explained(&self, failure: Failure, log: Position) -> Failure {
        if !self.verb.starts() {
            return failure;
        }
        let lines = self.scene.last_words(log, LAST_LINES);
        let end = self.scene.end().map(|end| format!("\nit ended: {end}")).unwrap_or_default();
        let said: Vec<String> = lines.iter().map(|line| format!("\nlog: {line}")).collect();
        let hint = failure.hint.clone().unwrap_or_else(|| {
            "see more with `coditect-sync logs` and what else is wrong with `coditect-sync doctor`".to_owned()
        });
        Failure::new(failure.exit, failure.code, format!("{}{end}{}", failure.message, said.concat()))
            .with_hint(hint)
    }
}

/// Waits until a daemon answers.
fn answering(daemon: &mut Daemon) -> Result<Status, Failure> {
    let deadline = clock::moment() + LONGEST_START;
    loop {
        let asked = daemon.ask_for::<Ready>(&Call::ready()).and_then(|(ready, _)| match ready {
            Ready { ready: true, .. } => daemon.ask_for::<Status>(&Call::status()),
            Ready { why, .. } => Err(Failure::failed(why.unwrap_or_else(|| "it is not ready".to_owned()))),
        });
        match asked {
            Ok((status, _)) => return Ok(status),
            Err(_) if clock::moment() < deadline => std::thread::sleep(NAP),
            Err(failure) => {
                let message = format!(
                    "the service was started, and does not answer after {} s: {}",
                    LONGEST_START.as_secs(),
                    failure.message
                );
                return Err(Failure::new(Exit::Failed, "not_ready", message));
            }
        }
    }
}

/// Waits until no daemon is there any more.
fn gone(daemon: &mut Daemon) -> bool {
    let deadline = clock::moment() + LONGEST_STOP;
    while !daemon.has_gone() {
        if clock::moment() >= deadline {
            return false;
        }
        std::thread::sleep(NAP);
    }
    true
}
