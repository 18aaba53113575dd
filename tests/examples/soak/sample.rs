//! What is measured every few seconds, and how it is written down.

use std::path::Path;

use sync_tests::{Process, Series};

use crate::stage::Stage;

/// One measurement. Memory and files in kB, times in milliseconds.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Sample {
    /// Seconds since the churn began.
    pub(crate) at: f64,
    pub(crate) pid: u32,
    pub(crate) pss: f64,
    pub(crate) anonymous: f64,
    pub(crate) threads: f64,
    pub(crate) descriptors: f64,
    pub(crate) database: f64,
    pub(crate) wal: f64,
    pub(crate) log: f64,
    /// Since the daemon's start.
    pub(crate) switches: f64,
    pub(crate) cpu: f64,
    pub(crate) written: f64,
    /// Registrations that wait.
    pub(crate) waiting: f64,
    /// Projects on record, those that are missing as well.
    pub(crate) projects: f64,
    pub(crate) echo: Times,
    pub(crate) status: Times,
    pub(crate) resolve: Times,
}

/// How long something took since the sample before.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Times {
    pub(crate) p99: f64,
    pub(crate) worst: f64,
}

impl Times {
    fn of(series: &Series) -> Self {
        Self { p99: series.at(99), worst: series.worst() }
    }
}

impl Sample {
    /// Measures the daemon that runs now.
    pub(crate) fn take(stage: &Stage, at: f64) -> Self {
        let (folder, process) = (stage.home.state(), Process(stage.pid()));
        let asked = stage.take_measured();
        let waiting = stage.ask("queue", || stage.client().queue()).map(|queue| queue.waiting());
        let projects = stage.ask("status", || stage.client().status()).map(|status| status.projects.total);
        let counted = |count: Option<u64>| {
            count.and_then(|count| u32::try_from(count).ok()).map_or(f64::NAN, f64::from)
        };
        Self {
            at,
            pid: process.0,
            pss: process.pss(),
            anonymous: process.anonymous(),
            threads: sync_tests::float(process.threads()),
            descriptors: sync_tests::float(process.descriptors()),
            database: kilobytes(&folder.join("sync.db")),
            wal: kilobytes(&folder.join("sync.db-wal")),
            log: all_of(&folder.join("logs")),
            switches: process.switches(),
            cpu: process.cpu().as_secs_f64() * 1e3,
            written: process.written(),
            waiting: counted(waiting),
            projects: counted(projects),
            echo: Times::of(&asked.echo),
            status: Times::of(&asked.status),
            resolve: Times::of(&asked.resolve),
        }
    }

    /// All values by name, in the order in which they are written down.
    fn values(&self) -> [(&'static str, f64); 19] {
        [
            ("seconds", self.at),
            ("pid", f64::from(self.pid)),
            ("pss_kb", self.pss),
            ("anonymous_kb", self.anonymous),
            ("threads", self.threads),
            ("descriptors", self.descriptors),
            ("database_kb", self.database),
            ("wal_kb", self.wal),
            ("log_kb", self.log),
            ("switches", self.switches),
            ("cpu_ms", self.cpu),
            ("written_kb", self.written),
            ("waiting", self.waiting),
            ("projects", self.projects),
            ("echo_worst_ms", self.echo.worst),
            ("status_p99_ms", self.status.p99),
            ("status_worst_ms", self.status.worst),
            ("resolve_p99_ms", self.resolve.p99),
            ("resolve_worst_ms", self.resolve.worst),
        ]
    }
}

/// The samples as a table that other programs read.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let names = Sample::default().values().map(|(name, _)| name).join(",");
    let row = |sample: &Sample| sample.values().map(|(_, value)| format!("{value:.2}")).join(",");
    std::iter::once(names).chain(samples.iter().map(row)).map(|line| line + "\n").collect()
}

fn kilobytes(file: &Path) -> f64 {
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    u32::try_from(bytes / 1024).map_or(f64::INFINITY, f64::from)
}

fn all_of(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| kilobytes(&file.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_value_for_each_name() {
        let sample = Sample { at: 1.5, waiting: f64::NAN, ..Sample::default() };
        let text = csv(&[sample]);
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [19, 19]);
        assert!(text.starts_with("seconds,pid,") && text.contains("\n1.50,0.00,"), "{text}");
    }
}
