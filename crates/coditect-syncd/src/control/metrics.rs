//! Figures for Prometheus, in its text format.

use std::fmt::{self, Write};

use sync_wire::Problem;

use super::convert;
use super::reply::Reply;
use super::route::Question;
use crate::engine::api::{Counters, StatusReport};

/// `GET /metrics`.
pub(super) async fn metrics(question: Question) -> Result<Reply, Box<Problem>> {
    let report = question.engine.status().await?;
    let mut page = Page(String::with_capacity(4096));
    // Invariant: writing into a text cannot fail.
    let written = write_all(&mut page, &report, &question.engine.counters(), question.version);
    debug_assert!(written.is_ok());
    Ok(Reply::metrics(page.0))
}

fn write_all(page: &mut Page, report: &StatusReport, counters: &Counters, version: &str) -> fmt::Result {
    page.family("build_info", "gauge", "The running daemon; always 1.")?;
    page.labelled("build_info", "version", version, 1)?;
    page.single("uptime_seconds", "gauge", "Time since the start.", report.uptime.as_secs())?;
    page.single("paused", "gauge", "Whether sending is paused.", report.paused.into())?;

    let queue = &report.queue;
    page.family("queue_entries", "gauge", "Entries of the queue by state.")?;
    for (state, count) in [
        ("ready", queue.ready),
        ("delayed", queue.delayed),
        ("in_flight", queue.in_flight),
        ("parked", queue.parked),
        ("dead", queue.dead),
    ] {
        page.labelled("queue_entries", "state", state, count)?;
    }
    let oldest = queue.oldest_enqueued_at.map_or(0, |since| report.now.since(since).as_secs());
    page.single("queue_oldest_age_seconds", "gauge", "How long the oldest entry has waited.", oldest)?;

    let (_, registered, pending, missing, rejected) = report.projects;
    page.family("projects", "gauge", "Projects on this machine by state.")?;
    for (state, count) in
        [("registered", registered), ("pending", pending), ("missing", missing), ("rejected", rejected)]
    {
        page.labelled("projects", "state", state, count)?;
    }

    let (_, fresh, stale) = report.cache;
    page.family("cache_entries", "gauge", "Known UUIDs of the cloud by freshness.")?;
    page.labelled("cache_entries", "freshness", "fresh", fresh)?;
    page.labelled("cache_entries", "freshness", "stale", stale)?;

    page.family("cloud_state", "gauge", "The cloud's state: 1 for the present one, 0 for the others.")?;
    let present = convert::cloud_state(report.cloud);
    for (state, word) in CLOUD_STATES {
        page.labelled("cloud_state", "state", word, (*state == present).into())?;
    }

    page.single("watches", "gauge", "Directories the system watches for the daemon.", report.watches)?;
    for (name, help, count) in [
        ("cloud_requests_total", "Requests to the cloud.", counters.cloud_requests),
        (
            "cloud_failures_total",
            "Requests to the cloud that did not come to a good answer.",
            counters.cloud_failures,
        ),
        ("registrations_enqueued_total", "Registrations put into the queue.", counters.enqueued),
        ("registrations_delivered_total", "Registrations the cloud took.", counters.delivered),
        ("registrations_buried_total", "Registrations the cloud refused for good.", counters.buried),
        ("scans_total", "Scans that came to their end.", counters.scans),
    ] {
        page.single(name, "counter", help, count)?;
    }
    Ok(())
}

const CLOUD_STATES: &[(sync_wire::CloudState, &str)] = &[
    (sync_wire::CloudState::Online, "online"),
    (sync_wire::CloudState::Offline, "offline"),
    (sync_wire::CloudState::Portal, "portal"),
    (sync_wire::CloudState::Throttled, "throttled"),
    (sync_wire::CloudState::AuthRequired, "auth_required"),
    (sync_wire::CloudState::Forbidden, "forbidden"),
    (sync_wire::CloudState::Protocol, "protocol"),
    (sync_wire::CloudState::Unknown, "unknown"),
];

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP coditect_sync_{name} {help}\n# TYPE coditect_sync_{name} {kind}")
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, kind, help)?;
        writeln!(self.0, "coditect_sync_{name} {value}")
    }

    fn labelled(&mut self, name: &str, label: &str, word: &str, value: u64) -> fmt::Result {
        writeln!(self.0, "coditect_sync_{name}{{{label}=\"{word}\"}} {value}")
    }
}
