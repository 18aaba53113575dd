//! What a daemon takes that looks after many projects: to start, at rest, and from an event to the queue.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use coditect_devcloud::dev_token;
use serde_json::json;
use sync_tests::{Cloud, Daemon, Home, Process, Series, now, short};
use sync_wire::{Call, Client, EventStream, EventsQuery, Heard, Status};

use crate::drafts::client;
use crate::measure::Row;

/// How many are made where no tree is given.
const PROJECTS: usize = 1_000;
/// A first look and delivery of a thousand projects on a busy machine.
const LONG: Duration = Duration::from_mins(20);
/// What the daemon watches besides projects: the folders of its socket and of its token.
const OWN_WATCHES: usize = 2;
const MINUTE: Duration = Duration::from_mins(1);

/// With the projects below `tree`, else with some that are made.
pub(crate) fn measure(tree: Option<&Path>, rounds: usize) -> Vec<Row> {
    let (home, cloud, roots) = surroundings(tree);

    let begun = now();
    let daemon = Daemon::start(&home);
    let first = surveyed(&home);
    let looked = begun.elapsed();
    let projects = whole(first.projects.total - first.projects.missing);
    patiently("all are registered", || cloud.projects().len() >= projects);
    let registered = begun.elapsed();
    let first_cpu = Process(daemon.pid()).cpu();
    daemon.finish();
    let what = |figure: &str| format!("{projects} projects: {figure}");
    let mut rows = vec![Row::alone(
        what("first start, until all are seen · registered"),
        format!("{} s · {} s, {} s of processor", seconds(looked), seconds(registered), seconds(first_cpu)),
    )];

    let mut ready = Series::default();
    for _ in 1..rounds.max(1) {
        let (daemon, millis) = started(&home);
        ready.push(millis);
        daemon.finish();
    }
    let (daemon, millis) = started(&home);
    ready.push(millis);
    rows.push(Row::alone(what("start to ready, all of them known"), format!("{} ms", short(ready.median()))));
    let process = Process(daemon.pid());
    surveyed(&home);
    rows.push(Row::alone(
        what("processor until all are looked at again"),
        format!("{} s", seconds(process.cpu())),
    ));
    // The checkpoint, and the blocking threads' own time to go, are over by then.
    thread::sleep(MINUTE / 2);
    let (switches, written, cpu) = (process.switches(), process.written(), process.cpu());
    thread::sleep(MINUTE);
    let switches = process.switches() - switches;
    let written = process.written() - written;
    let cpu = process.cpu().saturating_sub(cpu);
    rows.push(Row::alone(
        what("proportional memory (PSS) · anonymous"),
        format!("{} · {} MB", short(process.pss() / 1024.0), short(process.anonymous() / 1024.0)),
    ));
    rows.push(Row::alone(
        what("threads, descriptors, watches"),
        format!("{}, {}, {}", process.threads(), process.descriptors(), process.watches()),
    ));
    // What was made just before the start is looked at when it has come to rest.
    let status = surveyed(&home);
    assert_eq!(process.watches(), whole(status.discovery.watches) + OWN_WATCHES, "what the status says");
    rows.push(Row::alone(
        what("context switches, written, processor in 60 s"),
        format!("{switches}, {written} kB, {} ms", cpu.as_millis()),
    ));
    rows.extend(
        events(&home, &cloud, &roots).into_iter().map(|(figure, told)| Row::alone(what(figure), told)),
    );
    rows.push(Row::alone(
        what("processor for each of 50 that are edited one after the other"),
        format!("{} ms", short(edited(&home, &roots, &process).as_secs_f64() * 1e3)),
    ));
    let grown = format!("{} MB", short(process.anonymous() / 1024.0));
    rows.push(Row::alone(what("anonymous memory after these events"), grown));
    daemon.finish();
    rows
}

/// From something that happens to its place in the queue, which is written in one commit with its event.
fn events(home: &Home, cloud: &Cloud, roots: &Path) -> Vec<(&'static str, String)> {
    let mut stream = followed(home);
    let fresh = roots.join("figures-fresh");
    std::fs::create_dir_all(&fresh).expect("a folder");
    let begun = now();
    repository(home, &fresh, 20);
    let added = heard(&mut stream, "project.added", begun);
    thread::sleep(Duration::from_secs(3));

    std::fs::write(fresh.join("src/file0.ts"), "export const other = 1;\n").expect("a file");
    let begun = now();
    home.git(&fresh, &["commit", "-qam", "second"]);
    let committed = heard(&mut stream, "project.changed", begun);

    thread::sleep(Duration::from_secs(3));
    let before = effects(cloud, "figures-fresh");
    let begun = now();
    for number in 0..3_000 {
        let folder = fresh.join(format!("node_modules/package{}/lib", number % 300));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{number}.js")), "module.exports = 1\n").expect("a file");
    }
    for number in 0..400 {
        std::fs::write(fresh.join(format!("src/more{number}.ts")), "export {}\n").expect("a file");
    }
    let storm = begun.elapsed();
    heard(&mut stream, "project.changed", begun);
    heard(&mut stream, "registration.delivered", begun);
    let stormed = begun.elapsed();
    thread::sleep(Duration::from_secs(6));
    let told = effects(cloud, "figures-fresh") - before;
    std::fs::remove_dir_all(&fresh).expect("it can be removed");
    vec![
        (
            "a new repository, from its first file to the queue (2 s of it debounce)",
            format!("{} s", seconds(added)),
        ),
        (
            "a commit, from its beginning to the queue (2 s of it debounce)",
            format!("{} s", seconds(committed)),
        ),
        (
            "a storm of 3,400 new files: registrations",
            format!(
                "{told}, {} s after {} s of writing",
                seconds(stormed.saturating_sub(storm)),
                seconds(storm)
            ),
        ),
    ]
}

/// The daemon's time on a processor for each of several projects that are made and in which one file is written to then.
fn edited(home: &Home, roots: &Path, process: &Process) -> Duration {
    const EDITED: usize = 50;
    let projects: Vec<PathBuf> =
        (0..EDITED).map(|number| roots.join(format!("figures-edited/project{number}"))).collect();
    let mut stream = followed(home);
    let begun = now();
    for project in &projects {
        repository(home, project, 10);
    }
    for _ in &projects {
        heard(&mut stream, "registration.delivered", begun);
    }
    let files: Vec<PathBuf> = projects.iter().map(|project| project.join("src/file0.ts")).collect();
    edited_at(home, &files, process)
}

/// The daemon's time on a processor for each of these files, one of a project, that are written to one after the other: the look,
/// the record, the queue and the delivery.
pub(crate) fn edited_at(home: &Home, files: &[PathBuf], process: &Process) -> Duration {
    let mut stream = followed(home);
    let (before, begun) = (process.cpu(), now());
    for file in files {
        std::fs::write(file, "// other\n").expect("a file");
        thread::sleep(MINUTE / 240);
    }
    for _ in files {
        heard(&mut stream, "registration.delivered", begun);
    }
    process.cpu().saturating_sub(before) / u32::try_from(files.len()).expect("they are few")
}

fn followed(home: &Home) -> EventStream {
    client(home)
        .follow(&Call::events(EventsQuery { since: None, follow: true }))
        .expect("the daemon tells events")
}

/// Waits for an event of this kind.
fn heard(stream: &mut EventStream, kind: &str, begun: Instant) -> Duration {
    loop {
        assert!(begun.elapsed() < MINUTE, "waited in vain for {kind}");
        match stream.next(Duration::from_secs(5)).expect("the daemon tells events") {
            Heard::Event { event, .. } if event.kind == kind => return begun.elapsed(),
            Heard::Event { .. } | Heard::Nothing | Heard::End => {}
        }
    }
}

/// How often the cloud took something of a project.
fn effects(cloud: &Cloud, name: &str) -> usize {
    let projects = cloud.projects();
    let project = projects.iter().find(|project| project["project_name"] == name).expect(name);
    let local = &project["local_project_uuid"];
    let is_effect =
        |entry: &&serde_json::Value| entry["local_project_uuid"] == *local && entry["effect"].is_string();
    cloud.ledger().iter().filter(is_effect).count()
}

/// A home whose roots hold the projects, and its cloud.
pub(crate) fn surroundings(tree: Option<&Path>) -> (Home, Cloud, PathBuf) {
    let (mut home, cloud) = watching();
    let roots = tree.map_or_else(|| made(&home), Path::to_path_buf);
    home.set_daemon("discovery", json!({"roots": [roots]}));
    (home, cloud, roots)
}

/// A home whose own roots are watched, and its cloud.
pub(crate) fn watching() -> (Home, Cloud) {
    let mut home = Home::new();
    home.handle_memory_as_the_unit();
    let cloud = Cloud::start(home.path().join("cloud.db"));
    home.set_cloud("api_url", cloud.url());
    home.set_cloud("auth_token", dev_token("acme", None));
    home.set_daemon("discovery", json!({"roots": [home.roots()]}));
    (home, cloud)
}

/// Starts it, and tells how long it took to answer that it is ready, in milliseconds.
pub(crate) fn started(home: &Home) -> (Daemon, f64) {
    let begun = now();
    let daemon = Daemon::spawn(home, &[]);
    let mut client = Client::new(home.state().join("sync.sock"), Duration::from_secs(5));
    while client.send(&Call::ready()).is_err() {
        assert!(begun.elapsed() < MINUTE, "it does not answer: {}", daemon.log());
        thread::sleep(Duration::from_micros(200));
    }
    (daemon, begun.elapsed().as_secs_f64() * 1e3)
}

/// The status after everything was looked at.
pub(crate) fn surveyed(home: &Home) -> Status {
    let mut client = client(home);
    let mut last = None;
    patiently("everything is looked at", || {
        last = client.status().ok().filter(|status| status.discovery.last_scan.is_some());
        last.is_some()
    });
    last.expect("it was waited for")
}

pub(crate) fn patiently(what: &str, mut is: impl FnMut() -> bool) {
    let begun = now();
    while !is() {
        assert!(begun.elapsed() < LONG, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A thousand small repositories.
fn made(home: &Home) -> PathBuf {
    for number in 0..PROJECTS {
        repository(home, &home.roots().join(format!("group{}/project{number}", number % 20)), 10);
    }
    home.roots()
}

fn repository(home: &Home, root: &Path, files: usize) {
    std::fs::create_dir_all(root.join("src")).expect("a folder");
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    std::fs::write(root.join("package.json"), format!("{{\"name\": \"{name}\"}}\n")).expect("a file");
    std::fs::write(root.join(".gitignore"), "node_modules/\n").expect("a file");
    for number in 0..files {
        let file = root.join(format!("src/file{number}.ts"));
        std::fs::write(file, format!("export const value = {number};\n")).expect("a file");
    }
    home.git(root, &["init", "-q"]);
    home.git(root, &["add", "-A"]);
    home.git(root, &["commit", "-qm", "first"]);
}

fn seconds(time: Duration) -> String {
    short(time.as_secs_f64())
}

fn whole(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
