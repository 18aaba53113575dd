//! Reads the configuration again when somebody asks for it; one that is wrong changes nothing, and who asked is told.

use std::sync::Arc;

use sync_config::{Config, Environment, Places};
use tokio::sync::Notify;

use crate::args::Args;
use crate::engine::{DevSettings, Engine, Reread, Settings, Trouble};
use crate::logging::Logging;
use crate::sandbox::Sandbox;
use crate::service::Manager;
use crate::stop::Stop;
use crate::worker::worker;

/// What a reload needs.
pub(crate) struct Reloads {
    pub args: Args,
    pub environment: Environment,
    pub places: Places,
    pub stop: Stop,
    /// Told of SIGHUP.
    pub hung_up: Arc<Notify>,
    pub logging: Logging,
    pub sandbox: Sandbox,
    pub manager: Option<Manager>,
    pub dev: Option<DevSettings>,
}

impl Reloads {
    /// Reads the configuration again whenever that is asked for, until the daemon stops.
    pub(crate) async fn follow(self, engine: Engine) -> Result<(), String> {
        let mut had_file = !self.is_gone();
        let at_start = engine.settings();
        loop {
            tokio::select! {
                () = self.stop.finishing() => return Ok(()),
                () = self.hung_up.notified() => {}
                () = engine.reload_wanted() => {}
            }
            let asked = engine.who_reloads();
            let reread = self.read_again(&engine, &at_start.config, &mut had_file);
            match &reread {
                Ok(_) => engine.mended(&Trouble::Configuration),
                Err(why) => engine.amiss(Trouble::Configuration, why.clone()),
            }
            for who in asked {
                if who.send(reread.clone()).is_err() {
                    tracing::trace!("nobody waits for the reload any more");
                }
            }
        }
    }

    /// Whether there is surely no file; one that cannot be reached is there.
    fn is_gone(&self) -> bool {
        matches!(self.places.config_file.try_exists(), Ok(false))
    }

    fn read_again(&self, engine: &Engine, at_start: &Config, had_file: &mut bool) -> Reread {
        let file = &self.places.config_file;
        let is_gone = self.is_gone();
        if *had_file && is_gone {
            tracing::error!(
                file = %file.display(),
                "the configuration was not changed: its file is gone; start the daemon again to do without"
            );
            return Err(format!("`{}` is gone", file.display()));
        }
        *had_file = !is_gone;
        let loaded = self.environment.load(file, self.args.values()).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            for problem in &problems {
                tracing::error!("{problem}");
            }
            tracing::error!("the configuration was not changed: it has errors");
            problems.join("; ")
        })?;
        let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        for key in fixed_at_start(at_start, &loaded.config) {
            warnings.push(format!("`{key}` has changed: start the daemon again"));
        }
        self.logging.follow(&loaded.config.sync_daemon.log);
        match (self.sandbox.differs(&loaded.config), self.manager) {
            (Some(why), Some(_)) => self.stop.start_again(why),
            (Some(why), None) => warnings.push(format!("{why}: start the daemon again")),
            (None, _) => {}
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let worker = worker(&self.environment, &self.places, &loaded.config);
        let (places, dev) = (self.places.clone(), self.dev.clone());
        engine.follow(Settings { config: loaded.config, places, dev, worker });
        tracing::info!(file = %file.display(), "configuration read again");
        Ok(warnings)
    }
}

/// What differs between two configurations and is only read at the start.
fn fixed_at_start(before: &Config, after: &Config) -> Vec<&'static str> {
    let (before, after) = (&before.sync_daemon, &after.sync_daemon);
    let keys = [
        ("sync_daemon.queue_max_items", before.queue_max_items != after.queue_max_items),
        ("sync_daemon.shutdown_grace", before.shutdown_grace != after.shutdown_grace),
        ("sync_daemon.log.format", before.log.format != after.log.format),
        ("sync_daemon.log.keep_days", before.log.keep_days != after.log.keep_days),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
