//! What it costs when half of many projects change at once, and how long the daemon keeps others waiting meanwhile; and
//! what a list of many folders costs that somebody registers by hand.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Process, float, now};
use sync_wire::{Call, Client, RegisterRequest, SyncRequest, SyncResults};

use crate::drafts::{Folders, client, quiet_home};
use crate::measure::Row;
use crate::projects::{patiently, watching};

/// How many are known: few, and many.
const CROWDS: [usize; 2] = [3_000, 12_000];

/// How many folders a list has: few, and many.
const LISTS: [usize; 2] = [500, 8_000];

struct Cost {
    /// Of each change, in ms of a processor.
    each: f64,
    /// The longest that a new client waited for its first answer, in ms.
    silence: f64,
}

pub(crate) fn measure(folders: &Folders) -> Vec<Row> {
    let [few, many] = CROWDS;
    let (at_few, at_many) = (crowd(few), crowd(many));
    let what = |figure: &str| format!("half of {many} projects change at once: {figure}");
    let beside = format!("half of {few} projects");
    vec![
        Row::beside(what("processor of each"), (at_many.each, "ms"), &beside, (at_few.each, "ms")),
        Row::beside(what("longest silence"), (at_many.silence, "ms"), &beside, (at_few.silence, "ms")),
        lists(folders),
    ]
}

fn lists(folders: &Folders) -> Row {
    let [few, many] = LISTS;
    let (of_few, of_many) = (list(folders.first(few)), list(folders.first(many)));
    let what = format!("a list of {many} folders is registered: processor of each");
    Row::beside(what, (of_many, "ms"), &format!("a list of {few}"), (of_few, "ms"))
}

/// What the daemon takes for each of the folders, of which nothing is told but where they are, in ms of a processor.
fn list(folders: &[PathBuf]) -> f64 {
    let mut home = quiet_home();
    home.set_cloud("api_url", "http://127.0.0.1:9");
    home.set_cloud("auth_token", dev_token("acme", None));
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let process = Process(daemon.pid());
    let before = process.cpu();
    let named = |folder: &PathBuf| RegisterRequest {
        root_path: folder.to_string_lossy().into_owned(),
        ..RegisterRequest::default()
    };
    let request = SyncRequest { projects: folders.iter().map(named).collect(), ..SyncRequest::default() };
    let answer = client(&home).accomplish(&Call::sync(&request));
    let answer = answer.and_then(|answer| answer.json::<SyncResults>()).expect("the daemon takes them");
    assert!(answer.results.len() == folders.len() && answer.results.values().all(|result| result.queued));
    let each = process.cpu().saturating_sub(before).as_secs_f64() * 1e3 / float(folders.len());
    daemon.finish();
    each
}

fn crowd(projects: usize) -> Cost {
    let (home, cloud) = watching();
    let roots = home.roots();
    (0..projects).for_each(|number| write(&roots, number, "1"));
    let daemon = Daemon::start(&home);
    patiently("all are registered", || cloud.projects().len() >= projects);
    let process = Process(daemon.pid());
    let (cpu, taken) = (process.cpu(), cloud.ledger().len());
    let (socket, over) = (home.state().join("sync.sock"), AtomicBool::new(false));
    let silence = thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let asked = now();
                Client::new(&socket, Duration::from_mins(1)).health().expect("an answer");
                longest = longest.max(asked.elapsed());
                thread::sleep(Duration::from_millis(20));
            }
            longest
        });
        (0..projects / 2).for_each(|number| write(&roots, number, "2"));
        patiently("all are delivered", || cloud.ledger().len() >= taken + projects / 2);
        over.store(true, Ordering::Relaxed);
        asks.join().expect("it asks to the end")
    });
    let each = process.cpu().saturating_sub(cpu).as_secs_f64() * 1e3 / float(projects / 2);
    daemon.finish();
    Cost { each, silence: silence.as_secs_f64() * 1e3 }
}

fn write(roots: &Path, number: usize, version: &str) {
    let root = roots.join(format!("group{}/project{number}", number / 100));
    std::fs::create_dir_all(&root).expect("a folder");
    let manifest = format!("{{\"name\": \"project{number}\", \"version\": \"{version}\"}}\n");
    std::fs::write(root.join("package.json"), manifest).expect("a file");
}
