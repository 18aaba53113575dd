//! The clock, medians, what the system tells of a process, and the rows of the table.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::chart::Point;
use crate::recorded::Ratio;

/// A line of the table.
pub(crate) struct Row {
    what: String,
    measured: String,
    beside: String,
    ratio: Option<Ratio>,
    values: (f64, f64),
    points: Vec<Point>,
}

impl Row {
    /// A figure beside another, with the first divided by the second.
    pub(crate) fn beside(
        what: impl Into<String>,
        measured: (f64, &str),
        beside: &str,
        limit: (f64, &str),
    ) -> Self {
        let what = what.into();
        let ratio = Ratio {
            what: what.clone(),
            beside: beside.to_owned(),
            value: measured.0 / limit.0,
            more_is_better: measured.1 == "/s",
        };
        Self {
            what,
            measured: format!("{} {}", short(measured.0), measured.1),
            beside: format!("{beside}: {} {}", short(limit.0), limit.1),
            ratio: Some(ratio),
            values: (measured.0, limit.0),
            points: Vec::new(),
        }
    }

    /// A figure that stands alone.
    pub(crate) fn alone(what: impl Into<String>, measured: impl Into<String>) -> Self {
        let (what, measured) = (what.into(), measured.into());
        Self {
            what,
            measured,
            beside: String::new(),
            ratio: None,
            values: (f64::NAN, f64::NAN),
            points: Vec::new(),
        }
    }

    /// The same as a point of a drawing.
    pub(crate) fn at(mut self, chart: &'static str, line: &str, x: f64) -> Self {
        self.points.push(Point { chart, line: line.to_owned(), x, y: self.values.0 });
        self
    }

    /// What it is beside as a point of a drawing.
    pub(crate) fn limit_at(mut self, chart: &'static str, line: &str, x: f64) -> Self {
        self.points.push(Point { chart, line: line.to_owned(), x, y: self.values.1 });
        self
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn ratio(&self) -> Option<&Ratio> {
        self.ratio.as_ref()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.as_ref().map(|ratio| short(ratio.value)).unwrap_or_default();
        write!(f, "| {} | {} | {} | {ratio} |", self.what, self.measured, self.beside)
    }
}

/// Three digits that count, without an exponent.
pub(crate) fn short(value: f64) -> String {
    let whole = value.abs();
    if whole >= 100.0 {
        format!("{value:.0}")
    } else if whole >= 10.0 {
        format!("{value:.1}")
    } else if whole >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// Measured values of one thing.
#[derive(Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(50)
    }

    /// The value below which this many percent lie.
    pub(crate) fn at(&self, percent: usize) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
            .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// The time a piece of work takes, and what comes of it.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = now();
    let made = work();
    (started.elapsed(), made)
}

#[expect(clippy::disallowed_methods, reason = "a measurement, not the daemon")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    float(count) / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// What Linux tells of a process; on other systems these figures are not taken.
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Time on a processor, in steps of 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Bytes handed to the disk, in kB.
    pub(crate) fn written(&self) -> f64 {
        self.named("io", "write_bytes:") / 1024.0
    }

    /// Proportional memory, in kB.
    pub(crate) fn pss(&self) -> f64 {
        self.named("smaps_rollup", "Pss:")
    }

    /// Anonymous memory, in kB.
    pub(crate) fn anonymous(&self) -> f64 {
        self.named("smaps_rollup", "Anonymous:")
    }

    /// Context switches of all its threads, wanted or not.
    pub(crate) fn switches(&self) -> f64 {
        let tasks = self.entries("task");
        let switches = tasks.iter().map(|task| {
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            named(&status, "voluntary_ctxt_switches:") + named(&status, "nonvoluntary_ctxt_switches:")
        });
        switches.sum()
    }

    pub(crate) fn threads(&self) -> usize {
        self.entries("task").len()
    }

    pub(crate) fn descriptors(&self) -> usize {
        self.entries("fd").len()
    }

    /// Folders that the system watches for it.
    pub(crate) fn watches(&self) -> usize {
        let told = self.entries("fdinfo").into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
        told.map(|text| text.lines().filter(|line| line.starts_with("inotify wd:")).count()).sum()
    }

    fn named(&self, file: &str, name: &str) -> f64 {
        named(&self.read(file), name)
    }

    fn entries(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }
}

/// The number behind a name in a list of lines.
fn named(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}
