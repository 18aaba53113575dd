//! The order of starting and of ending, nothing else.

use std::convert::Infallible;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::SIGHUP;
use sync_config::{Config, Environment, Loaded, Origin, Places, read_environment};
use sync_store::{Limits, Opened, Store};
use sync_wire::LockInfo;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::args::{Args, Command, manual_page};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::engine::{DevSettings, Engine, Parts, Settings, chronicle, credential, deliver, discover, legacy};
use crate::fatal::{Fatal, passes_by_itself};
use crate::lock::{Lock, LockError};
use crate::logging::{self, Logging};
use crate::network::network;
use crate::program::{Look, Program};
use crate::reload::Reloads;
use crate::sandbox::{Sandbox, Wish};
use crate::service::{Manager, REPEAT, Service};
use crate::stop::Stop;
use crate::supervisor::{Fault, Supervisor};
use crate::surroundings::Around;
use crate::worker::worker;
use crate::{chain, control, dev, inspect, machine, places, process, signals};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Blocking work that does not look at the stop flag is not waited for longer than this.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

/// A whole life of the daemon, or of the other thing it was asked to do.
///
/// # Errors
/// Why it ended otherwise than as asked.
pub fn run(args: Args) -> Result<(), Fatal> {
    if matches!(args.command, Some(Command::Man)) {
        return manual_page(&mut std::io::stdout().lock())
            .map_err(|error| Fatal::Failed(format!("failed to print: {error}")));
    }
    let environment = read_environment();
    let is_open = environment.variable(process::DUMPABLE).is_some();
    let is_private = if is_open { Ok(()) } else { process::keep_private() };
    let manager = Manager::of(&environment);
    // Before anything that may take its time: an upgrade may come meanwhile.
    let program =
        manager.and_then(|_| Program::started_as(std::env::args_os().next(), std::env::current_exe().ok()));
    let handed = control::handed_over(&environment).map_err(|line| Fatal::Config(vec![line]))?;
    let knocking = handed.as_ref().and_then(|socket| socket.try_clone().ok());
    let ended = run_under(manager, program, args, environment, handed, is_private);
    if let (Err(fatal), Some(knocking)) = (&ended, knocking)
        && let Some(words) = fatal.lasting()
    {
        control::turn_away(&knocking, &words);
    }
    ended.map_err(|fatal| fatal.under(manager))
}

fn run_under(
    manager: Option<Manager>,
    program: Option<Program>,
    args: Args,
    environment: Environment,
    handed: Option<UnixListener>,
    is_private: std::io::Result<()>,
) -> Result<(), Fatal> {
    let hung_up = Arc::new(AtomicBool::new(false));
    if args.command.is_none() {
        // Until there is somebody who reads the configuration again; it would end the daemon.
        signal_hook::flag::register(SIGHUP, Arc::clone(&hung_up))
            .map_err(|error| Fatal::Fault(format!("failed to listen to signals: {error}")))?;
    }
    // Everything that is made from here on is for this user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let places = environment.places(&args.place_flags()).map_err(|problem| Fatal::from(vec![problem]))?;
    let loaded = environment.load(&places.config_file, args.values()).map_err(|problems| {
        // A file that could not be read for want of something has nothing wrong in it.
        match refusal(&places.config_file).filter(|error| passes_by_itself(error.kind())) {
            Some(error) => Fatal::Fault(format!(
                "failed to read the configuration `{}`: {error}",
                places.config_file.display()
            )),
            None => Fatal::from(problems),
        }
    })?;
    if let Some(Command::Inspect { paths, .. }) = &args.command {
        return inspect::run(&loaded.config, &places, paths);
    }
    places::prepare(&places).map_err(|error| Fatal::place(&error))?;

    let clock = Clock::System;
    let dice = Dice::System;
    let info = LockInfo {
        pid: std::process::id(),
        started_at: clock.now().to_rfc3339(),
        socket: places.socket.display().to_string(),
        version: VERSION.to_owned(),
    };
    let lock = Lock::take(&places.lock, &info).map_err(|error| match &error {
        LockError::Held { .. } => Fatal::Locked(error.to_string()),
        LockError::File { source, .. } if passes_by_itself(source.kind()) => Fatal::Fault(error.to_string()),
        LockError::File { .. } => Fatal::Config(vec![error.to_string()]),
    })?;
    // Before the first thread: it holds for this one and those that come.
    let sandbox = Sandbox::enter(Wish::of(&loaded.config), &places, args.dev);
    let journal = environment.variable("JOURNAL_STREAM");
    let (logging, log_files) =
        logging::start(&loaded.config.sync_daemon.log, &places.logs, manager, journal.as_deref())
            .map_err(|error| Fatal::place(&error))?;

    if let Err(error) = is_private {
        tracing::warn!(%error, "core files of the daemon cannot be prevented");
    }

    let stop = Stop::default();
    let reload = Arc::new(Notify::new());
    let wish = Arc::clone(&reload);
    let signals = signals::listen(stop.clone(), move || wish.notify_one())
        .map_err(|error| Fatal::Fault(format!("failed to listen to signals: {error}")))?;
    if hung_up.load(Ordering::Relaxed) {
        reload.notify_one();
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|error| Fatal::Fault(format!("failed to build the runtime: {error}")))?;
    let life = Life {
        args,
        environment,
        places,
        loaded,
        clock,
        dice,
        stop,
        reload,
        logging,
        sandbox,
        manager,
        program,
        handed,
    };
    let result = runtime.block_on(life.live());
    runtime.shutdown_timeout(RUNTIME_GRACE);
    // The socket is gone by now, so a successor's cannot be taken for ours.
    lock.release();
    signals.end();
    match &result {
        Err(Fatal::Fault(said)) => tracing::error!("{said}"),
        // Nobody reads what a service says on stderr: the log is where a person looks, and `service start` as well.
        Err(Fatal::Config(lines)) if manager.is_some() => {
            for line in lines {
                tracing::error!("{line}");
            }
        }
        Ok(()) | Err(_) => {}
    }
    drop(log_files);
    result
}

struct Life {
    args: Args,
    environment: Environment,
    places: Places,
    loaded: Loaded,
    clock: Clock,
    dice: Dice,
    stop: Stop,
    reload: Arc<Notify>,
    logging: Logging,
    sandbox: Sandbox,
    manager: Option<Manager>,
    /// The program file, where somebody would start the daemon again when it is replaced.
    program: Option<Program>,
    /// The control socket, where the service manager made it.
    handed: Option<UnixListener>,
}

impl Life {
    async fn live(mut self) -> Result<(), Fatal> {
        let service = Service::new(self.environment.variable("NOTIFY_SOCKET"));
        tracing::info!(version = VERSION, pid = std::process::id(), "starting");
        for warning in &self.loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.sandbox.say();
        let machine = machine::identity(&self.places.machine_id, self.dice.id())
            .map_err(|error| Fatal::place(&error))?;
        // Bound before the database is opened: a client that knocks meanwhile waits instead of being refused.
        let bound = match self.handed.take() {
            Some(socket) => control::take(&self.places.socket, socket),
            None => control::bind(&self.places.socket),
        }
        .map_err(|error| Fatal::place(&error))?;
        let (store, unclean) =
            open_store(&self.places.database, &self.loaded.config, &self.clock, &self.dice).await?;

        let (dev_cloud, dev) = if self.args.dev {
            let (cloud, settings) = dev::start(&self.places.state_dir)
                .await
                .map_err(|error| Fatal::Fault(format!("failed to start the dev cloud: {}", chain(&error))))?;
            tracing::info!(url = %settings.url, "a dev cloud runs inside; nothing leaves this machine");
            (Some(cloud), Some(settings))
        } else {
            (None, None)
        };
        let settings = Settings {
            config: self.loaded.config.clone(),
            places: self.places.clone(),
            dev: dev.clone(),
            worker: worker(&self.environment, &self.places, &self.loaded.config),
        };
        say_where(&self.loaded, &self.places);
        let grace = settings.config.sync_daemon.shutdown_grace;
        let engine = Engine::new(Parts {
            clock: self.clock.clone(),
            dice: self.dice.clone(),
            store: store.clone(),
            machine,
            settings,
            stop: self.stop.clone(),
            unclean,
            sandbox: self.sandbox.clone(),
            around: Around::here(),
            log: self.logging.state(),
        })
        .await
        .map_err(|error| Fatal::Fault(format!("failed to {}", chain(&error))))?;

        let mut supervisor = Supervisor::new(self.stop.clone());
        let (finish, drop_all) = (self.stop.finish_token(), self.stop.drop_token());
        let managed = self.manager.is_some();
        supervisor
            .start("control", control::serve(bound, engine.clone(), VERSION, managed, finish, drop_all));
        supervisor.start("deliver", deliver(engine.clone()));
        supervisor.start("discover", discover(engine.clone()));
        supervisor.start("credential", credential(engine.clone()));
        supervisor.start("legacy", legacy(engine.clone()));
        supervisor.start("events", chronicle(engine.clone()));
        supervisor.start("network", network(engine.clone()));
        let watchdog =
            self.environment.variable("WATCHDOG_USEC").and_then(|micros| micros.to_str()?.parse().ok());
        let pulse = watchdog.map(|micros: u64| Duration::from_micros(micros / 3));
        let reports = Reports { service: service.clone(), pulse, program: self.program.take() };
        supervisor.start("service", reports.tell(engine.clone(), self.stop.clone()));
        let stop = self.stop.clone();
        supervisor.start("reload", self.reloads(dev).follow(engine.clone()));
        let ended: Result<(), Fault> = tokio::select! {
            biased;
            never = say_farewell(service, pulse, &engine, &stop) => match never {},
            ended = supervisor.watch(grace) => ended,
        };
        drop(engine);
        if let Some(cloud) = dev_cloud
            && let Err(error) = cloud.stop().await
        {
            tracing::warn!(reason = chain(&error), "the dev cloud did not end well");
        }
        if let Err(error) = store.close().await {
            tracing::warn!(reason = chain(&error), "the database was not closed cleanly");
        }
        debug_assert!(stop.is_finishing() || ended.is_err(), "nothing ends without a reason");
        match ended {
            Ok(()) => {
                tracing::info!("stopped");
                stop.again().map_or(Ok(()), |why| Err(Fatal::Again(why.to_owned())))
            }
            Err(fault) => {
                tracing::error!(task = fault.task, "{fault}");
                Err(fault.into())
            }
        }
    }

    fn reloads(self, dev: Option<DevSettings>) -> Reloads {
        let Self { args, environment, places, stop, reload, logging, sandbox, manager, .. } = self;
        Reloads { args, environment, places, stop, hung_up: reload, logging, sandbox, manager, dev }
    }
}

/// Why the system does not let the file be read; a pipe is not waited for.
fn refusal(file: &Path) -> Option<std::io::Error> {
    match std::fs::metadata(file) {
        // What is wrong with the whole of it is wrong with its beginning, as far as it passes by itself.
        Ok(found) if found.is_file() => {
            std::fs::File::open(file).and_then(|mut file| file.read(&mut [0])).err()
        }
        Ok(_) => None,
        Err(error) => Some(error),
    }
}

/// The store, and whether the process that used it last did not end in order.
async fn open_store(
    path: &Path,
    config: &Config,
    clock: &Clock,
    dice: &Dice,
) -> Result<(Store, bool), Fatal> {
    let limits = Limits { max_items: u64::from(config.sync_daemon.queue_max_items) };
    let opened = Store::open(path, limits, clock.now(), dice.id()).await;
    let Opened { store, set_aside, carried, unclean, instance } = opened.map_err(|error| match &error {
        sync_store::Error::Newer { .. } => Fatal::config(&error),
        sync_store::Error::Full
        | sync_store::Error::Busy
        | sync_store::Error::Broken { .. }
        | sync_store::Error::Row { .. }
        | sync_store::Error::QueueFull { .. }
        | sync_store::Error::Closed
        | sync_store::Error::Other { .. } => Fatal::Fault(format!("failed to {}", chain(&error))),
    })?;
    if let Some(aside) = set_aside {
        tracing::error!(
            kept_at = %aside.display(),
            entries = carried.entries,
            mappings = carried.mappings,
            projects = carried.projects,
            "the database could not be used and is set aside; what could be read was carried over, other projects \
             are found again by looking"
        );
    }
    tracing::debug!(unclean, %instance, "database opened");
    Ok((store, unclean))
}

/// Tells where projects are looked for and how to change that.
fn say_where(loaded: &Loaded, places: &Places) {
    let discovery = &loaded.config.sync_daemon.discovery;
    if !discovery.enabled {
        tracing::info!("looking for projects is switched off (`sync_daemon.discovery.enabled`)");
        return;
    }
    let roots: Vec<String> = discovery.roots.iter().map(|root| root.display().to_string()).collect();
    let origin = loaded.origins.get("sync_daemon.discovery.roots").unwrap_or(&Origin::Default);
    tracing::info!(
        from = %origin,
        "looking for projects in {} (change with `--root DIR` or `sync_daemon.discovery.roots` in {})",
        if roots.is_empty() { "no folder".to_owned() } else { roots.join(", ") },
        places.config_file.display()
    );
}

/// What the service manager is told, and what it is asked for.
struct Reports {
    service: Service,
    /// How often the manager wants to hear that all is well.
    pulse: Option<Duration>,
    /// The program file, where it is looked at.
    program: Option<Program>,
}

impl Reports {
    /// Tells the service manager how things are, and that they are: the pulse goes out only after the database answered
    /// on the thread that all tasks share, and no more often than is asked for, however much there is to do. Ends the daemon when its program was replaced; it is looked at whenever this
    /// loop is awake.
    async fn tell(self, engine: Engine, stop: Stop) -> Result<(), String> {
        let Self { mut service, pulse, mut program } = self;
        service.ready();
        tracing::info!(socket = %engine.socket().display(), "ready");
        if !service.listens() && program.is_none() {
            stop.finishing().await;
            return Ok(());
        }
        let mut line = String::new();
        let mut progress = engine.progress();
        let mut due = Instant::now();
        loop {
            progress.mark_unchanged();
            service.again();
            let answer = engine.one_line().await;
            if let Some(pulse) = pulse
                && Instant::now() >= due
            {
                due = Instant::now() + pulse;
                if answer.is_some() {
                    service.alive();
                }
            }
            if let Some(next) = answer.filter(|next| *next != line) {
                service.status(&next);
                line = next;
            }
            let look = program.as_mut().map_or(Look::Same, |program| program.look(Instant::now()));
            let settled = match (look, &program) {
                (Look::Replaced, Some(program)) => {
                    stop.start_again(format!("its program `{}` was replaced", program.path().display()));
                    None
                }
                (Look::Settling(until), _) => Some(until),
                (Look::Same | Look::Replaced, _) => None,
            };
            tokio::select! {
                () = stop.finishing() => return Ok(()),
                changed = progress.changed() => changed.map_err(|gone| format!("follow the engine: {gone}"))?,
                () = tokio::time::sleep_until(due), if pulse.is_some() => {}
                () = tokio::time::sleep(REPEAT), if service.owes() => {}
                () = tokio::time::sleep_until(settled.unwrap_or_else(Instant::now)), if settled.is_some() => {}
            }
        }
    }
}

/// Tells the service manager that the daemon ends, as soon as that begins, and then that it lives, for as long as this is
/// asked for: what is in progress may take longer to end than a manager waits for a sign of life.
async fn say_farewell(
    mut service: Service,
    pulse: Option<Duration>,
    engine: &Engine,
    stop: &Stop,
) -> Infallible {
    stop.finishing().await;
    if !service.listens() {
        return std::future::pending().await;
    }
    service.stopping();
    loop {
        if pulse.is_some() && engine.one_line().await.is_some() {
            service.alive();
        }
        match if service.owes() { Some(REPEAT) } else { pulse } {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return std::future::pending().await,
        }
        service.again();
    }
}
