//! Figures for Prometheus, in its text format.

use std::fmt::{self, Write};

use sync_core::Timestamp;
use sync_wire::Problem;

use super::convert;
use super::reply::Reply;
use super::route::Question;
use crate::engine::HOLDERS;
use crate::engine::api::{Counters, Diagnosis, RootState, StatusReport};

/// `GET /metrics`.
pub(super) async fn metrics(question: Question) -> Result<Reply, Box<Problem>> {
    let diagnosis = question.engine.diagnosis(0).await?;
    let is_healthy = question.engine.is_healthy().is_ok();
    let mut page = Page(String::with_capacity(8192));
    // Invariant: writing into a text cannot fail.
    let written = write_all(&mut page, &diagnosis.report, &question.engine.counters(), question.version)
        .and_then(|()| write_machine(&mut page, &diagnosis, is_healthy));
    debug_assert!(written.is_ok());
    Ok(Reply::metrics(page.0))
}

fn write_all(page: &mut Page, report: &StatusReport, counters: &Counters, version: &str) -> fmt::Result {
    page.family("build_info", "gauge", "The running daemon; always 1.")?;
    page.labelled("build_info", "version", version, 1)?;
    page.single("uptime_seconds", "gauge", "Time since the start.", report.uptime.as_secs())?;
    let is_paused = report.paused.is_some() || report.paused_by_itself().is_some();
    page.single("paused", "gauge", "Whether sending is paused.", is_paused.into())?;
    page.family("held", "gauge", "What is held back by itself, by what for: 1 while it is.")?;
    for word in HOLDERS {
        let is_held = report.held_back.iter().any(|hold| hold.by == *word);
        page.labelled("held", "by", word, is_held.into())?;
    }

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

    let moment = |at: Option<Timestamp>| at.map_or(0, |at| u64::try_from(at.0 / 1_000).unwrap_or(0));
    let success = moment(report.last_success_at);
    page.single(
        "cloud_last_success_timestamp_seconds",
        "gauge",
        "When the cloud last did what it was asked; 0 when it did not since the start.",
        success,
    )?;
    let attempt = moment(report.next_attempt_at);
    page.single(
        "cloud_next_attempt_timestamp_seconds",
        "gauge",
        "When the cloud is tried again; 0 when nothing waits or only a person can help.",
        attempt,
    )?;
    page.single(
        "cloud_spared_until_timestamp_seconds",
        "gauge",
        "Until when what failed before is not sent again for the cloud's sake; 0 when nothing waits for that.",
        moment(report.spared_until),
    )?;

    page.family("discovery_roots", "gauge", "Configured roots by how they are looked after.")?;
    for (word, state) in ROOT_STATES {
        let count = report.roots.iter().filter(|root| root.state == *state).count() as u64;
        page.labelled("discovery_roots", "state", word, count)?;
    }
    let problems = report.scan_problems.len() as u64;
    page.single("discovery_problems", "gauge", "Places that could not be read; the first few.", problems)?;
    let help = "New projects that are still being made.";
    page.single("discovery_arriving", "gauge", help, report.arriving)?;
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

/// The daemon's own life: its database, its process.
fn write_machine(page: &mut Page, diagnosis: &Diagnosis, is_healthy: bool) -> fmt::Result {
    page.single("healthy", "gauge", "Whether the daemon can do its work.", is_healthy.into())?;
    let figures = &diagnosis.figures;
    if let Some(bytes) = diagnosis.file_bytes {
        page.single("database_bytes", "gauge", "The size of the database's file.", bytes)?;
    }
    page.single("database_log_bytes", "gauge", "The length of the write-ahead log.", figures.log_bytes)?;
    page.single("database_commits_total", "counter", "Transactions that were committed.", figures.commits)?;
    let is_full = figures.disk_full_since.is_some();
    page.single(
        "disk_full",
        "gauge",
        "Whether nothing new is stored for want of room on the disk.",
        is_full.into(),
    )?;
    page.single(
        "disk_room_kept",
        "gauge",
        "Whether room is kept for a disk that gets full.",
        figures.ballast.into(),
    )?;
    let process = &diagnosis.process;
    for (name, help, value) in [
        ("resident_memory_bytes", "Memory, with the pages of the program's file.", process.resident_bytes),
        ("anonymous_memory_bytes", "Memory of the daemon's own.", process.anonymous_bytes),
        ("threads", "Threads.", process.threads),
        ("open_files", "Open files and sockets.", process.open_files),
    ] {
        if let Some(value) = value {
            page.single(name, "gauge", help, value)?;
        }
    }
    Ok(())
}

const ROOT_STATES: &[(&str, RootState)] = &[
    ("watching", RootState::Watching),
    ("polling", RootState::Polling),
    ("missing", RootState::Missing),
    ("denied", RootState::Denied),
];

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
