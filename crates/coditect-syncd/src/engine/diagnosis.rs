//! Gathers what a report of a fault needs.

use super::api::{Diagnosis, ProcessUse, Refusal};
use super::{Engine, Settings};

impl Engine {
    /// Everything about the daemon itself, with at most so many of the last events.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn diagnosis(&self, events: u32) -> Result<Diagnosis, Refusal> {
        let report = self.status().await?;
        let last = self.last_happening().await?;
        let happened = self.happened_since(last.saturating_sub(i64::from(events)), events).await?;
        let settings = self.settings();
        let places = &settings.places;
        Ok(Diagnosis {
            report,
            figures: self.0.store.figures(),
            file_bytes: std::fs::metadata(&places.database).ok().map(|found| found.len()),
            places: vec![
                ("configuration", places.config_file.clone()),
                ("state directory", places.state_dir.clone()),
                ("database", places.database.clone()),
                ("lock", places.lock.clone()),
                ("logs", places.logs.clone()),
                ("socket", places.socket.clone()),
                ("token", places.token_file.clone()),
                ("data directory", places.data_dir.clone()),
                ("machine identity", places.machine_id.clone()),
            ],
            configuration: shown(&settings),
            dev: settings.dev.is_some(),
            process: used(),
            sandbox: self.0.sandbox.clone(),
            happened,
        })
    }
}

/// The configuration without its secrets, which cannot be written at all.
fn shown(settings: &Settings) -> serde_json::Value {
    serde_json::to_value(&settings.config).unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn used() -> ProcessUse {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let open_files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
    ProcessUse { open_files, ..of_status(&status) }
}

#[cfg(not(target_os = "linux"))]
fn used() -> ProcessUse {
    ProcessUse::default()
}

/// Reads the lines `Name:  value [kB]` of the system's own page about a process.
#[cfg(target_os = "linux")]
fn of_status(text: &str) -> ProcessUse {
    let number = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    ProcessUse {
        resident_bytes: number("VmRSS").map(|kibibytes| kibibytes * 1024),
        anonymous_bytes: number("RssAnon").map(|kibibytes| kibibytes * 1024),
        threads: number("Threads"),
        open_files: None,
        no_new_privileges: number("NoNewPrivs").map(|number| number == 1),
        system_calls_filtered: number("Seccomp").map(|mode| mode == 2),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_systems_page_is_read_by_names() {
        let used = of_status(
            "Name:\tVmRSS: 9\nVmRSS:\t    12 kB\nRssAnon:\t 3 kB\nThreads:\t4\nNoNewPrivs:\t1\nSeccomp:\t0\nSeccomp_filters:\t2\n",
        );
        assert_eq!((used.no_new_privileges, used.system_calls_filtered), (Some(true), Some(false)));
        assert_eq!(
            (used.resident_bytes, used.anonymous_bytes, used.threads),
            (Some(12_288), Some(3_072), Some(4))
        );
        assert_eq!(of_status("").threads, None);
    }
}
