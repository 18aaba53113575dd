//! Measures what delivery and the queue cost beside the limits of this machine, and prints a table of ratios.
//!
//! `cargo run --release -p sync-tests --example figures -- [--rounds N] [--only SECTION]… [--python-client FOLDER]
//! [--offline-minutes N] [--against DOCUMENT] [--drawings FOLDER] [--tree FOLDER]`. Starts the built programs in scratch
//! homes, speaks to loopback only, and repeats what it
//! compares in turns, because a figure of a shared machine means something only beside another of the same minutes.
//! Not a test: nothing fails for being slow, but with `--against docs/performance.md` the ratios that got worse than those
//! recorded there are said at the end, with exit code 1. `docs/performance.md` says how each row is taken.

mod bare;
mod cloud;
mod crowd;
mod depth;
mod drafts;
mod drain;
mod enqueue;
mod idle;
mod measure;
mod offline;
mod peers;
mod projects;
mod python;
mod recorded;
mod resolve;
mod scale;
mod store;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use drafts::Folders;
use measure::Row;
use recorded::Recorded;
use sync_tests::{Axes, Scale, svg};

type Failed = Box<dyn std::error::Error>;

struct Given {
    rounds: usize,
    only: Vec<String>,
    python: Option<PathBuf>,
    offline: Duration,
    against: Recorded,
    drawings: Option<PathBuf>,
    tree: Option<PathBuf>,
}

/// What is drawn where `--drawings` names a folder.
const DRAWINGS: [Axes; 4] = [
    Axes {
        chart: "callers",
        scale: Scale::Decades,
        title: "Durable registrations by how many call at once",
        x: "callers",
        y: "registrations a second",
    },
    Axes {
        chart: "depth",
        scale: Scale::Decades,
        title: "What the queue costs by how many wait",
        x: "entries that wait",
        y: "microseconds",
    },
    Axes {
        chart: "projects",
        scale: Scale::Decades,
        title: "What the daemon takes by how many projects there are",
        x: "projects",
        y: "milliseconds, of a processor but for the start",
    },
    Axes {
        chart: "memory",
        scale: Scale::Decades,
        title: "What the daemon weighs by how many projects there are",
        x: "projects",
        y: "MB of memory",
    },
];

fn main() -> Result<ExitCode, Failed> {
    let given = given()?;
    let (mut ratios, mut points) = (Vec::new(), Vec::new());
    let mut out = std::io::stdout().lock();
    writeln!(out, "| what | measured | beside | ratio |\n|---|---|---|---|")?;
    let wanted = |name: &str| given.only.is_empty() || given.only.iter().any(|only| only == name);
    let mut show = |name: &str, measure: &dyn Fn() -> Vec<Row>| -> std::io::Result<()> {
        if wanted(name) {
            for row in measure() {
                writeln!(out, "{row}")?;
                ratios.extend(row.ratio().cloned());
                points.extend_from_slice(row.points());
            }
        }
        out.flush()
    };
    let python = given.python.as_deref();
    let folders = Folders::new();
    show("drain", &|| drain::measure(&folders, given.rounds, python))?;
    show("enqueue", &|| enqueue::measure(&folders, given.rounds, python))?;
    show("depth", &depth::measure)?;
    show("offline", &|| offline::measure(&folders, given.offline))?;
    show("resolve", &|| resolve::measure(&folders, given.rounds))?;
    show("idle", &idle::measure)?;
    show("projects", &|| projects::measure(given.tree.as_deref(), given.rounds))?;
    show("crowd", &|| crowd::measure(&folders))?;
    show("scale", &scale::measure)?;
    show("peers", &|| peers::measure(given.tree.as_deref()))?;
    for axes in &DRAWINGS {
        if let (Some(folder), Some(svg)) = (&given.drawings, svg(axes, &points)) {
            std::fs::write(folder.join(format!("figures-{}.svg", axes.chart)), svg)?;
        }
    }
    let worse = given.against.worse(&ratios);
    for line in &worse {
        writeln!(out, "worse: {line}")?;
    }
    Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn given() -> Result<Given, Failed> {
    let mut given = Given {
        rounds: 3,
        only: Vec::new(),
        python: None,
        offline: Duration::from_mins(3),
        against: Recorded::default(),
        drawings: None,
        tree: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("every option has a value")?;
        match &*name {
            "--rounds" => given.rounds = value.parse()?,
            "--only" => given.only.push(value),
            "--python-client" => given.python = Some(std::fs::canonicalize(value)?),
            "--tree" => given.tree = Some(std::fs::canonicalize(value)?),
            "--offline-minutes" => given.offline = Duration::from_mins(value.parse()?),
            "--against" => given.against = Recorded::read(&std::fs::read_to_string(value)?),
            "--drawings" => given.drawings = Some(std::fs::canonicalize(value)?),
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    Ok(given)
}
