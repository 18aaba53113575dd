//! What a daemon takes while there is nothing to do.

use std::thread;
use std::time::Duration;

use coditect_devcloud::dev_token;
use sync_tests::{Cloud, Daemon, Home, Process, short, until};

use crate::measure::Row;

const PROJECTS: usize = 30;
const MINUTE: Duration = Duration::from_mins(1);

pub(crate) fn measure() -> Vec<Row> {
    let mut home = Home::new();
    home.handle_memory_as_the_unit();
    let cloud = Cloud::start(home.path().join("cloud.db"));
    home.set_cloud("api_url", cloud.url());
    home.set_cloud("auth_token", dev_token("acme", None));
    for number in 0..PROJECTS {
        home.project(&format!("project-{number}"));
    }
    let daemon = Daemon::start(&home);
    until("all are registered", || (cloud.projects().len() == PROJECTS).then_some(()));
    // The checkpoint, and the blocking threads' own time to go, are over by then.
    thread::sleep(MINUTE / 2);
    let process = Process(daemon.pid());
    let (switches, written) = (process.switches(), process.written());
    thread::sleep(MINUTE);
    let switches = process.switches() - switches;
    let written = process.written() - written;
    let memory = format!("{} MB", short(process.pss() / 1024.0));
    let anonymous = format!("{} MB", short(process.anonymous() / 1024.0));
    let taken = format!("{} threads, {} descriptors", process.threads(), process.descriptors());
    daemon.finish();
    let what = |figure: &str| format!("idle, {PROJECTS} projects: {figure}");
    vec![
        Row::alone(what("proportional memory (PSS)"), memory),
        Row::alone(what("anonymous memory"), anonymous),
        Row::alone(what("threads and descriptors"), taken),
        Row::alone(what("context switches in 60 s"), format!("{switches}")),
        Row::alone(what("written in 60 s"), format!("{written} kB")),
    ]
}
