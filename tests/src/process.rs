//! Memory, threads, descriptors and work of a process, as Linux tells of them.

use std::path::PathBuf;
use std::time::Duration;

/// What Linux tells of a process; on other systems these figures are not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Time on a processor, its own and that of the children it waited for, in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(4)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Bytes handed to the disk, in kB.
    pub fn written(&self) -> f64 {
        self.named("io", "write_bytes:") / 1024.0
    }

    /// Proportional memory, in kB.
    pub fn pss(&self) -> f64 {
        self.named("smaps_rollup", "Pss:")
    }

    /// Anonymous memory, in kB.
    pub fn anonymous(&self) -> f64 {
        self.named("smaps_rollup", "Anonymous:")
    }

    /// Anonymous memory of heaps and stacks, in kB: without the data of the program itself, of which a build that is not
    /// optimised has more.
    pub fn allocated(&self) -> f64 {
        let (mut is_program, mut sum) = (false, 0.0);
        for line in self.read("smaps").lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("Anonymous:"), Some(kilobytes)) if !is_program => {
                    sum += kilobytes.parse().unwrap_or(f64::NAN);
                }
                // The head of a mapping: its range, rights, offset, device, inode, and the file if there is one.
                (Some(range), Some(_)) if !range.ends_with(':') => {
                    is_program = words.nth(3).is_some_and(|path| path.starts_with('/'));
                }
                (_, _) => {}
            }
        }
        sum
    }

    /// Context switches of all its threads, wanted or not.
    pub fn switches(&self) -> f64 {
        let tasks = self.entries("task");
        let switches = tasks.iter().map(|task| {
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            named(&status, "voluntary_ctxt_switches:") + named(&status, "nonvoluntary_ctxt_switches:")
        });
        switches.sum()
    }

    /// The processes it started that have not ended.
    pub fn children(&self) -> Vec<u32> {
        let tasks = self.entries("task").into_iter();
        let told = tasks.filter_map(|task| std::fs::read_to_string(task.join("children")).ok());
        told.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Its threads.
    pub fn threads(&self) -> usize {
        self.entries("task").len()
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> usize {
        self.entries("fd").len()
    }

    /// Folders that the system watches for it.
    pub fn watches(&self) -> usize {
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
