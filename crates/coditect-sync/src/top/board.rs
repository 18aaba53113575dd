//! What is known of the daemon, and how it was over the last minutes.

use std::collections::VecDeque;

use sync_wire::{Event, Status};

/// Figures that are remembered, one a second: more than any terminal is wide.
const REMEMBERED: usize = 600;
/// Events that are remembered: more than any terminal is high.
const EVENTS: usize = 200;
/// Troubles that are remembered.
const TROUBLES: usize = 20;

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    /// The daemon's last status.
    pub(super) status: Option<Status>,
    /// Why there is none now.
    pub(super) absent: Option<String>,
    /// How many waited, a figure a second.
    pub(super) waiting: VecDeque<u64>,
    /// How many were delivered, a figure a second.
    pub(super) delivered: VecDeque<u64>,
    /// What happened, the newest last.
    pub(super) events: VecDeque<Event>,
    /// What went wrong, the newest last.
    pub(super) troubles: VecDeque<Event>,
    /// What came of the last key.
    pub(super) said: String,
    delivered_now: u64,
    /// The last event that happened before anybody looked.
    history: i64,
}

impl Board {
    /// A second has passed: what is there is written down.
    pub(crate) fn tick(&mut self, status: Result<Status, String>) {
        match status {
            Ok(status) => {
                remember(&mut self.waiting, status.queue.waiting() + status.queue.parked, REMEMBERED);
                (self.status, self.absent) = (Some(status), None);
            }
            Err(why) => {
                // A gap in the line is told from an empty queue by the banner; the line stays as long as the time.
                let before = self.waiting.back().copied().unwrap_or(0);
                remember(&mut self.waiting, before, REMEMBERED);
                self.absent = Some(why);
            }
        }
        remember(&mut self.delivered, std::mem::take(&mut self.delivered_now), REMEMBERED);
    }

    /// What happened up to this number is shown and not counted.
    pub(crate) fn begin_after(&mut self, last: i64) {
        self.history = last;
    }

    /// How it is in between.
    pub(crate) fn refresh(&mut self, status: Status) {
        self.status = Some(status);
    }

    /// Something happened.
    pub(crate) fn happened(&mut self, event: Event) {
        if event.kind == "registration.delivered" && event.id > self.history {
            self.delivered_now += 1;
        }
        if is_trouble(&event.kind) {
            remember(&mut self.troubles, event.clone(), TROUBLES);
        }
        remember(&mut self.events, event, EVENTS);
    }

    /// What came of a key.
    pub(crate) fn say(&mut self, said: impl Into<String>) {
        self.said = said.into();
    }

    /// Whether the daemon answered the last time.
    pub(crate) fn is_reached(&self) -> bool {
        self.absent.is_none()
    }

    /// Whether somebody told the daemon to send nothing.
    pub(crate) fn is_paused(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.paused)
    }
}

fn remember<T>(line: &mut VecDeque<T>, one: T, most: usize) {
    if line.len() >= most {
        line.pop_front();
    }
    line.push_back(one);
}

fn is_trouble(kind: &str) -> bool {
    matches!(kind, "registration.dead" | "registration.parked" | "queue.damaged" | "database.rebuilt")
        || (kind.starts_with("cloud.") && kind != "cloud.online")
}
