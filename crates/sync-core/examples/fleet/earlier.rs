//! The policy of the earlier Python client, as a model: that client is not part of this repository.
//!
//! Its queue has a row for each attempt to register. A pass takes the ten oldest rows that are due and posts them one by
//! one. Where nothing answered or a 5xx came, the row stays as it was and a copy is appended; another refusal, 429
//! too, puts it off for 2, 4, 8 … minutes, exactly, and after the fifth it is never tried again. Retry-After is not read.
//! Who runs the passes is not said; here it is a timer once a minute, on each machine at a second of its own. (cron, which
//! runs everything at the full minute, would bring all of them at once.)

use std::collections::BTreeMap;
use std::time::Duration;

use sync_core::Hints;
use sync_core::backoff::Throws;

use crate::client::{Bits, Came, Client, Doing};
use crate::cloud::Said;

const PASS: usize = 10;
const MINUTE: i64 = 60_000;
const MOST_FAILURES: u32 = 5;

/// A row that was tried.
#[derive(Clone, Copy, Debug)]
struct Tried {
    failures: u32,
    due: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    projects: u32,
    made: i64,
    /// At which millisecond of the minute its timer goes off.
    skew: i64,
    /// Projects the cloud does not know yet.
    missing: Bits,
    /// Rows that were tried and are still there, by their age.
    tried: BTreeMap<u32, Tried>,
    /// The oldest row that was not tried, and how many there ever were. The first are the projects', the others copies
    /// of the oldest ten.
    untried: u32,
    rows: u32,
    /// What is left of this pass, the next one last.
    pass: Vec<u32>,
}

impl Earlier {
    fn project(&self, row: u32) -> u32 {
        if row < self.projects { row } else { (row - self.projects) % self.projects.min(10) }
    }

    fn pass(&mut self, now: i64) -> Doing {
        let tried = self.tried.iter().filter(|(_, tried)| tried.due <= now).map(|(row, _)| *row);
        let mut pass: Vec<u32> = tried.chain(self.untried..self.rows).take(PASS).collect();
        pass.reverse();
        self.pass = pass;
        self.next(now)
    }

    fn next(&self, now: i64) -> Doing {
        if !self.pass.is_empty() {
            return Doing::Sends(1);
        }
        let untried = (self.untried < self.rows).then_some(now);
        let due = self.tried.values().map(|tried| tried.due).chain(untried).min();
        due.map_or(Doing::Rests, |due| Doing::Waits(self.minute(due.max(now + 1))))
    }

    /// When its timer goes off after that.
    fn minute(&self, from: i64) -> i64 {
        (from - self.skew).div_euclid(MINUTE) * MINUTE + MINUTE + self.skew
    }
}

impl Client for Earlier {
    fn new(number: u32, entries: u32, made: i64) -> Self {
        let skew = i64::try_from(Throws::new(u64::from(number)).draw() % 60_000).unwrap_or(0);
        let missing = Bits::full(entries);
        let tried = BTreeMap::new();
        Self { projects: entries, made, skew, missing, tried, untried: 0, rows: entries, pass: Vec::new() }
    }

    fn start(&mut self, _: Hints, now: i64, _: u64) -> Doing {
        Doing::Waits(self.minute(now.max(self.made)))
    }

    fn wake(&mut self, now: i64, _: u64) -> Doing {
        if self.pass.is_empty() { self.pass(now) } else { Doing::Rests }
    }

    fn link_up(&mut self, now: i64, _: u64) -> Doing {
        if self.pass.is_empty() { self.next(now) } else { Doing::Rests }
    }

    fn land(&mut self, said: Said, _: Hints, _: Duration, now: i64, _: u64) -> Came {
        let Some(row) = self.pass.pop() else { return Came { delivered: 0, doing: Doing::Rests } };
        self.untried = self.untried.max(row + 1);
        let before = self.tried.remove(&row).unwrap_or(Tried { failures: 0, due: now });
        let mut delivered = 0;
        match said {
            Said::Done => delivered = u32::from(self.missing.take(self.project(row))),
            Said::Wait { status: 500.., .. } | Said::Refused | Said::NoRoute | Said::ConnectTimeout => {
                self.tried.insert(row, before);
                self.rows += 1;
            }
            Said::Wait { .. } => {
                let failures = before.failures + 1;
                if failures < MOST_FAILURES {
                    self.tried.insert(row, Tried { failures, due: now + (MINUTE << failures) });
                }
            }
        }
        Came { delivered, doing: self.next(now) }
    }
}
