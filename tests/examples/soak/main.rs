//! Lets the real daemon live through hours of churn beside a cloud and a network that misbehave, and judges what came of
//! it.
//!
//! `cargo run --release -p sync-tests --example soak -- [--for 2h] [--projects 300] [--kills 0] [--every 5s]
//! [--pace 400ms] [--seed N] [--out FOLDER]`. Starts the built program in a scratch home and speaks to loopback only. Prints
//! a table of the rules with what was measured; the exit code is 1 where one does not hold. `--out` gets that table, the
//! samples as CSV (while it goes on) and a drawing of them; where a rule does not hold also the daemon's log, the cloud's
//! ledger and what was registered by hand. `docs/performance.md` says what the rules are for.

mod churn;
mod clients;
mod picture;
mod plan;
mod sample;
mod stage;
mod truth;
mod verdict;
mod weather;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use sync_tests::{Daemon, Process, Write, broken, now};
use sync_wire::{Call, Client, FlushRequest, ItemState, QueueItem, QueueItemsQuery, ScanRequest};

use churn::{Churn, Place};
use clients::{ByHand, all_projects};
use plan::Plan;
use sample::Sample;
use stage::{Ends, Stage};
use truth::OnDisk;
use verdict::{Bounds, Finding, judge, unexplained};

/// Several times what a place has to be quiet before it is looked at, and the look.
const QUIET: Duration = Duration::from_secs(3);
/// How long the daemon may take to have everything in the cloud when all is well again.
const SETTLE: Duration = Duration::from_mins(4);
/// Askers at the same time.
const ASKERS: u64 = 3;

/// What is done to the daemon explains these lines.
const EXPLAINED: [&str; 3] = [
    "the cloud cannot be used",
    "the cloud refused projects",
    "the daemon ended while these were being sent",
];

/// What came of a run.
struct Outcome {
    samples: Vec<Sample>,
    findings: Vec<Finding>,
    /// Everything that is wrong, in full.
    wrong: Vec<String>,
    done: Vec<String>,
    /// What explains it, as files.
    evidence: Vec<(&'static str, String)>,
}

fn main() -> ExitCode {
    let plan = match Plan::given(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(words) => return said(&words, ExitCode::from(64)),
    };
    let outcome = run(&plan);
    let (report, holds) = (outcome.report(&plan), outcome.holds());
    if let Some(folder) = &plan.out {
        let mut files = vec![("soak.md", report.clone()), ("soak.csv", sample::csv(&outcome.samples))];
        files.extend(picture::svg(&outcome.samples).map(|picture| ("soak.svg", picture)));
        if !holds {
            files.extend(outcome.evidence);
        }
        for (name, text) in files {
            if let Err(error) = write(folder, name, &text) {
                return said(&error, ExitCode::FAILURE);
            }
        }
    }
    // Nobody may be left who reads.
    drop(std::io::stdout().write_all(report.as_bytes()));
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(name), text))
        .map_err(|error| format!("{} cannot be written: {error}", folder.join(name).display()))
}

fn said(words: &str, code: ExitCode) -> ExitCode {
    drop(writeln!(std::io::stderr(), "{words}"));
    code
}

impl Outcome {
    fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.holds)
    }

    fn report(&self, plan: &Plan) -> String {
        let mut text = format!(
            "{} s, {} places, {} kills, seed {}\n\n| rule | measured | at most | |\n|---|---|---|---|\n",
            plan.length.as_secs(),
            plan.projects,
            plan.kills,
            plan.seed
        );
        let mut line = |words: String| writeln!(text, "{words}").expect("a text takes everything");
        for Finding { rule, measured, allowed, holds } in &self.findings {
            let holds = if *holds { "holds" } else { "**broken**" };
            line(format!("| {rule} | {measured} | {allowed} | {holds} |"));
        }
        line(format!("\n{}", self.done.join(", ")));
        for words in &self.wrong {
            line(format!("- {words}"));
        }
        text
    }
}

/// One run from the first project to the end of the daemon.
fn run(plan: &Plan) -> Outcome {
    let stage = Stage::new(plan);
    let churn = Churn::new(&stage, plan.projects);
    let (by_hand, daemon) = (ByHand::new(&stage), stage.begin_life());
    let known = by_hand.known(&stage);
    // What the cloud refuses may take its time: repeats are spared for whom they may help.
    let first =
        churn.places().iter().filter(|place| place.project.is_some_and(|known| !known.refused)).count()
            as u64;
    let begun = now();
    while stage.client().status().map_or(0, |status| status.projects.registered) <= first {
        assert!(begun.elapsed() < SETTLE, "not all projects are registered: {}", daemon.log());
        thread::sleep(Duration::from_millis(100));
    }
    let before = at_rest(&stage, plan.calm(), None);
    drop(stage.take_measured());

    let mut log = String::new();
    let (samples, daemon, places, writes, heard) = thread::scope(|scope| {
        let places = churn.places();
        let (stage, by_hand, known) = (&stage, &by_hand, &known);
        let _ends = Ends(stage);
        for number in 0..ASKERS {
            let places = places.clone();
            takes_part(scope, stage, move || clients::asker(stage, number, &places));
        }
        takes_part(scope, stage, move || clients::prober(stage, known));
        takes_part(scope, stage, move || clients::rude(stage));
        takes_part(scope, stage, move || weather::weather(stage));
        takes_part(scope, stage, move || weather::person(stage));
        let follower = takes_part(scope, stage, move || clients::follower(stage));
        let writer = takes_part(scope, stage, move || by_hand.register(stage));
        let worker = takes_part(scope, stage, move || churn.run(plan.pace));
        let (samples, daemon) = live(stage, plan, daemon, &mut log);
        let places = worker.join().expect("the worker");
        (samples, daemon, places, writer.join().expect("the writer"), follower.join().expect("the follower"))
    });

    let mut facts = settle(&stage, &places, &writes, &by_hand);
    let after = at_rest(&stage, plan.calm(), Some(&before));
    stage.end_life();
    daemon.signal("TERM");
    let ended = daemon.ended();
    log.push_str(&ended.log);
    if ended.code != Some(0) {
        facts.push((
            "it ends well".to_owned(),
            vec![format!("it ended with {:?} {:?}", ended.code, ended.signal)],
        ));
    }
    facts.push(("lines of the log that nothing explains".to_owned(), unexplained(&log, &EXPLAINED)));
    facts.push(("answers that were none, and events that were missed".to_owned(), stage.complaints()));

    let bounds = if plan.is_long() { Bounds::LONG } else { Bounds::SHORT };
    let mut findings = judge(&samples, &[before, after], &bounds);
    findings.extend(facts.iter().map(|(rule, found)| Finding::nothing(rule, found)));
    let wrong = facts.into_iter().flat_map(|(_, found)| found).collect();
    let mut done: Vec<String> =
        stage.done().into_iter().map(|(what, times)| format!("{times} {what}")).collect();
    done.push(format!("{heard} events heard, {} written by hand", writes.len()));
    done.push(spent(&samples));
    let lines = |values: Vec<serde_json::Value>| {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n"
    };
    let evidence = vec![
        ("daemon.log", log),
        ("ledger.jsonl", lines(stage.cloud.ledger())),
        ("writes.jsonl", lines(writes.iter().map(Write::shown).collect())),
    ];
    Outcome { samples, findings, wrong, done, evidence }
}

/// Somebody of his own thread.
fn takes_part<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    stage: &'scope Stage,
    part: impl FnOnce() -> T + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, T> {
    scope.spawn(move || {
        let _ends = Ends(stage);
        part()
    })
}

/// Measures until it is over, and kills the daemon now and then.
fn live(stage: &Stage, plan: &Plan, mut daemon: Daemon, log: &mut String) -> (Vec<Sample>, Daemon) {
    let (begun, mut samples, mut kills) = (now(), Vec::new(), 0);
    while begun.elapsed() < plan.length && !stage.is_over() {
        stage.rest(plan.every.min(plan.length.saturating_sub(begun.elapsed())));
        samples.push(Sample::take(stage, begun.elapsed().as_secs_f64()));
        if let Some(folder) = &plan.out
            && let Err(error) = write(folder, "soak.csv", &sample::csv(&samples))
        {
            stage.complain(error);
        }
        if kills < plan.kills && begun.elapsed() > plan.length * (2 * kills + 1) / (2 * plan.kills) {
            kills += 1;
            stage.end_life();
            log.push_str(&daemon.kill());
            stage.did("killed");
            daemon = stage.begin_life();
        }
    }
    stage.end();
    (samples, daemon)
}

/// All is well again and nothing happens any more: whether everything gets where it belongs, and once.
fn settle(stage: &Stage, places: &[Place], writes: &[Write], by_hand: &ByHand) -> Vec<(String, Vec<String>)> {
    weather::good(stage);
    let on_disk: OnDisk = places
        .iter()
        .filter_map(|place| Some((place.path.to_string_lossy().into_owned(), place.project?.refused)))
        // Somebody who got no answer does not know whether it was taken.
        .chain(writes.iter().filter(|write| write.acknowledged).map(|write| (write.root.clone(), false)))
        .collect();
    let mut client = stage.client();
    // What a person does who sees in the morning what the night's weather left.
    stage.ask("retry dead", || client.accomplish(&Call::retry_dead()));
    // Nothing tells that all that changed has come to rest; a look before that finds what nobody could have noticed yet.
    thread::sleep(QUIET);
    let begun = now();
    let (mut unknown, mut known);
    loop {
        known = all_projects(&mut client).expect("the projects");
        known.retain(|project| {
            let by_hand = Path::new(&project.root_path).starts_with(&by_hand.folder);
            !by_hand || on_disk.contains_key(&project.root_path)
        });
        unknown = truth::not_known(&on_disk, &known);
        unknown.extend(waiting(&mut client));
        if unknown.is_empty() || begun.elapsed() > SETTLE {
            break;
        }
        // Repeats are few by themselves; whoever flushes wants one now.
        hasten(&mut client, stage);
        thread::sleep(Duration::from_millis(300));
    }
    let overlooked = whole_look(&mut client);
    let (ledger, cloud) = (stage.cloud.ledger(), stage.cloud.projects());
    let mine = |entry: &&serde_json::Value| {
        entry["root_path"].as_str().is_some_and(|root| Path::new(root).starts_with(&by_hand.folder))
    };
    let written = |content: &str| writes.iter().any(|write| write.content == content);
    let of_writes: Vec<_> = ledger
        .iter()
        .filter(mine)
        .filter(|entry| entry["content_hash"].as_str().is_some_and(written))
        .cloned()
        .collect();
    vec![
        ("what is on disk and not known as it is".to_owned(), unknown),
        ("what only a whole look found".to_owned(), overlooked),
        ("what the cloud has otherwise".to_owned(), truth::not_there(&on_disk, &known, &cloud)),
        ("what took effect twice".to_owned(), truth::doubled(&ledger)),
        ("promises to who registers by hand".to_owned(), broken(writes, &of_writes, &cloud)),
    ]
}

fn hasten(client: &mut Client, stage: &Stage) {
    stage.ask("flush", || client.flush(&FlushRequest { wait_ms: Some(0) }));
}

/// What waits in the queue, and why.
fn waiting(client: &mut Client) -> Vec<String> {
    let items = client.queue_items(&QueueItemsQuery::default()).expect("the queue").items;
    let waits = items.into_iter().filter(|item| item.state != ItemState::Dead);
    let told = waits.map(|QueueItem { root_path, state, attempts, next_attempt_at, last_error, .. }| {
        let why = last_error.map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default();
        let next = next_attempt_at.unwrap_or_default();
        format!("{root_path} is {} after {attempts} attempts until {next}: {why}", state.as_str())
    });
    told.collect()
}

/// Looks at everything, and says what nobody had noticed before.
fn whole_look(client: &mut Client) -> Vec<String> {
    let look = client.scan(&ScanRequest { wait_ms: Some(120_000), ..ScanRequest::default() });
    match look {
        Ok(look) if look.done && look.added + look.changed + look.missing == 0 => Vec::new(),
        Ok(look) => vec![format!("{look:?}")],
        Err(error) => vec![format!("the look came to nothing: {error}")],
    }
}

/// Measures when nothing is left of what went on: threads end by themselves when they had nothing to do for a while.
fn at_rest(stage: &Stage, calm: Duration, before: Option<&Sample>) -> Sample {
    let (begun, process) = (now(), Process(stage.pid()));
    let mut least = (usize::MAX, usize::MAX);
    let mut since = now();
    // Settled when neither gets less for a while, or both are what they were.
    while begun.elapsed() < calm && since.elapsed() < calm / 3 {
        let seen = (process.threads(), process.descriptors());
        if seen.0 < least.0 || seen.1 < least.1 {
            (least, since) = ((seen.0.min(least.0), seen.1.min(least.1)), now());
        }
        let reached = |before: &Sample| {
            sync_tests::float(seen.0) <= before.threads && sync_tests::float(seen.1) <= before.descriptors
        };
        if before.is_some_and(reached) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Sample::take(stage, 0.0)
}

/// What the whole run cost the daemon's longest life.
fn spent(samples: &[Sample]) -> String {
    let warm = verdict::warm(samples);
    let Some((first, last)) = warm.first().zip(warm.last()) else { return String::new() };
    let minutes = (last.at - first.at).max(1.0) / 60.0;
    let a_minute = |of: fn(&Sample) -> f64| sync_tests::short((of(last) - of(first)) / minutes);
    format!(
        "a minute: {} ms of processor, {} context switches, {} kB written",
        a_minute(|sample| sample.cpu),
        a_minute(|sample| sample.switches),
        a_minute(|sample| sample.written)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_with_everything_in_it_holds() {
        let words = "--for 5s --projects 25 --pace 60ms --every 500ms --kills 1";
        let plan = Plan::given(words.split(' ').map(str::to_owned)).expect("a plan");
        let outcome = run(&plan);
        assert!(outcome.holds(), "{}", outcome.report(&plan));
        assert!(outcome.samples.len() > 5 && outcome.samples.iter().all(|sample| sample.pss > 0.0));
    }
}
