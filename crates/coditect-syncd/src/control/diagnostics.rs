//! All that a report of a fault needs, in one document without secrets.

use std::collections::BTreeMap;

use sync_wire::{Diagnostics, Health, Problem, ProcessFigures, Ready, SandboxFigures, StoreFigures};

use super::convert;
use super::reply::Reply;
use super::route::Question;
use crate::engine::api::{Counters, Diagnosis};

/// How many of the last events are shown.
const EVENTS: u32 = 100;

/// `GET /v1/diagnostics`.
pub(super) async fn show(question: Question) -> Result<Reply, Box<Problem>> {
    let engine = &question.engine;
    let Diagnosis { report, figures, file_bytes, places, configuration, dev, process, sandbox, happened } =
        engine.diagnosis(EVENTS).await?;
    let (ill, unready) = (engine.is_healthy().err(), engine.is_ready().err());
    Ok(Reply::json(&Diagnostics {
        at: report.now.to_rfc3339(),
        left_out: [
            "tokens and where they are shown; the words of `credential_command` but the first",
            "the names and paths of projects, but for those in the last events",
            "the log: see `coditect-sync logs`",
        ]
        .map(str::to_owned)
        .to_vec(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        health: Health { healthy: ill.is_none(), why: ill },
        ready: Ready { ready: unready.is_none(), why: unready },
        dev,
        places: places
            .into_iter()
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
            .collect(),
        configuration,
        counters: counted(&engine.counters()),
        store: StoreFigures {
            file_bytes,
            log_bytes: figures.log_bytes,
            commits: figures.commits,
            jobs: figures.jobs,
            disk_full_since: figures.disk_full_since.map(sync_core::Timestamp::to_rfc3339),
            room_kept: figures.ballast,
        },
        process: ProcessFigures {
            resident_bytes: process.resident_bytes,
            anonymous_bytes: process.anonymous_bytes,
            threads: process.threads,
            open_files: process.open_files,
        },
        sandbox: SandboxFigures {
            confined: sandbox.folders().is_some(),
            folders: sandbox
                .folders()
                .unwrap_or_default()
                .iter()
                .map(|folder| folder.display().to_string())
                .collect(),
            landlock: sandbox.version(),
            why_not: sandbox.why_not().map(str::to_owned),
            no_new_privileges: process.no_new_privileges,
            system_calls_filtered: process.system_calls_filtered,
        },
        events: happened.into_iter().map(convert::event).collect(),
        status: convert::status(report, question.version),
    }))
}

fn counted(counters: &Counters) -> BTreeMap<String, u64> {
    let Counters { cloud_requests, cloud_failures, delivered, buried, enqueued, scans } = *counters;
    [
        ("cloud_requests", cloud_requests),
        ("cloud_failures", cloud_failures),
        ("registrations_delivered", delivered),
        ("registrations_buried", buried),
        ("registrations_enqueued", enqueued),
        ("scans", scans),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into()
}
