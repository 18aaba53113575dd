//! What the daemon takes by how many projects it looks after: from its start to its answer, for each of them, for one that
//! changes, and what it weighs at rest.

use std::thread;
use std::time::Duration;

use sync_tests::{Daemon, Process, Series, float, resting_repositories};

use crate::measure::Row;
use crate::projects::{edited_at, patiently, started, surveyed, watching};

const PROJECTS: [usize; 3] = [100, 1_000, 10_000];
/// How many of them change, one after the other.
const EDITED: usize = 20;
const STARTS: usize = 3;
/// The checkpoint, and the blocking threads' own time to go, are over by then.
const REST: Duration = Duration::from_secs(20);

struct Cost {
    projects: usize,
    /// From the program's start to its answer that it is ready, all known, in ms.
    ready: f64,
    /// Of a processor for each project at the first start, until the cloud has all, in ms.
    first: f64,
    /// Of a processor for each project that is looked at again after a start, in ms.
    again: f64,
    /// Of a processor for one in which a file is written, in ms.
    edited: f64,
    /// At rest, after that start, in MB.
    proportional: f64,
    own: f64,
}

/// A figure's name, unit and drawing, and where it stands.
type Figure = (&'static str, &'static str, &'static str, fn(&Cost) -> f64);

pub(crate) fn measure() -> Vec<Row> {
    let costs = PROJECTS.map(cost);
    let [least, ..] = &costs;
    let figures: [Figure; 6] = [
        ("start to ready, all known", "ms", "projects", |cost| cost.ready),
        ("first look and sending, each", "ms", "projects", |cost| cost.first),
        ("looked at again, each", "ms", "projects", |cost| cost.again),
        ("one that changes", "ms", "projects", |cost| cost.edited),
        ("proportional", "MB", "memory", |cost| cost.proportional),
        ("its own", "MB", "memory", |cost| cost.own),
    ];
    let mut rows = Vec::new();
    for (name, unit, chart, of) in figures {
        for cost in &costs {
            let what = format!("{} resting repositories: {name}", cost.projects);
            let beside = format!("with {}", least.projects);
            let row = Row::beside(what, (of(cost), unit), &beside, (of(least), unit));
            rows.push(row.at(chart, name, float(cost.projects)));
        }
    }
    rows
}

fn cost(projects: usize) -> Cost {
    let (home, cloud) = watching();
    let places = resting_repositories(&home, projects, projects / 25);
    let each = |time: Duration| time.as_secs_f64() * 1e3 / float(projects);

    let daemon = Daemon::start(&home);
    patiently("all are registered", || cloud.projects().len() >= projects);
    let first = each(Process(daemon.pid()).cpu());
    daemon.finish();

    let mut ready = Series::default();
    for _ in 1..STARTS {
        let (daemon, millis) = started(&home);
        ready.push(millis);
        daemon.finish();
    }
    let (daemon, millis) = started(&home);
    ready.push(millis);
    let process = Process(daemon.pid());
    surveyed(&home);
    let again = each(process.cpu());
    thread::sleep(REST);
    let (proportional, own) = (process.pss() / 1024.0, process.anonymous() / 1024.0);
    // In the folder that is watched also of a project that nobody has worked on for long.
    let changed: Vec<_> =
        places.iter().step_by(projects / EDITED).map(|place| place.join("notes.md")).collect();
    let edited = edited_at(&home, &changed, &process).as_secs_f64() * 1e3;
    daemon.finish();
    Cost { projects, ready: ready.median(), first, again, edited, proportional, own }
}
