//! The daemon is killed at any moment while registrations are acknowledged, and delivered through a bad network.
//!
//! `CODITECT_CRASH_ROUNDS=300 cargo test -p sync-tests --test e2e crash:: -- --nocapture` kills it three hundred times;
//! `CODITECT_CRASH_SEED=…` throws the dice of a printed run again. `CODITECT_OOM_ROUNDS` is the same for want of memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use coditect_devcloud::dev_token;
use serde_json::{Value, json};
use sync_tests::{
    Cloud, Daemon, Dice, Home, MemoryGroup, Mischief, Order, PATIENCE, Proxy, Write, asked_for, broken, seed,
    until,
};
use sync_wire::{Client, SyncResults};
use uuid::Uuid;

use crate::{drained, effects, world};

const CLIENTS: u64 = 4;
const PROJECTS: u64 = 24;
const TENANTS: [&str; 2] = ["acme", "other"];

/// One run: what is written, by whom, and what became of it.
struct Run {
    seed: u64,
    folder: std::path::PathBuf,
    order: Order,
    contents: AtomicU64,
    acknowledged: AtomicU64,
    writes: Mutex<Vec<Write>>,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_doubled() {
    let rounds = asked_for("CODITECT_CRASH_ROUNDS").unwrap_or(40);
    eprintln!("CODITECT_CRASH_ROUNDS={rounds}");
    keeps_its_promises(world(), rounds, Daemon::kill);
}

/// Changes the database while no daemon or another runs; whether there is a Python to do it.
fn changed(home: &Home, change: &str) -> bool {
    let words =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], 30, isolation_level=None).execute(sys.argv[2])";
    let mut python = home.command("python3");
    python.args(["-c", words]).arg(home.state().join("sync.db")).arg(change);
    python.status().map(|status| assert!(status.success(), "{change}")).is_ok()
}

#[test]
fn what_could_not_be_noted_before_it_was_sent_is_sent_when_it_can_be() {
    let (home, cloud) = world();
    Daemon::start(&home).kill();
    // Only after an unclean end it is written down what is about to be sent.
    let full = "create trigger full before insert on meta when new.key = 'flight.air' \
                begin select raise(abort, 'no room'); end";
    if !changed(&home, full) {
        eprintln!("SKIPPED what_could_not_be_noted_before_it_was_sent_is_sent_when_it_can_be: no python3");
        return;
    }
    let daemon = Daemon::start(&home).expecting("nothing can be written down");
    assert_eq!(home.run(&["register", &home.project("api").display().to_string()]).code, 0);
    until("it could not be noted", || daemon.log().contains("nothing can be written down").then_some(()));
    assert!(changed(&home, "drop trigger full"));
    until("it is in the cloud", || (cloud.projects().len() == 1).then_some(()));
    drained(&home);
    daemon.finish();
}

/// The kernel chooses the moment: the one in which the memory of the daemon's group is used up.
#[test]
fn nothing_is_lost_or_doubled_where_the_kernel_kills_for_want_of_memory() {
    let Some(group) = MemoryGroup::new() else {
        eprintln!(
            "SKIPPED nothing_is_lost_or_doubled_where_the_kernel_kills_for_want_of_memory: needs root and a memory \
             controller of control groups"
        );
        return;
    };
    let rounds = asked_for("CODITECT_OOM_ROUNDS").unwrap_or(8);
    eprintln!("CODITECT_OOM_ROUNDS={rounds}");
    group.limit(256 << 20);
    let (mut home, cloud) = world();
    home.start_daemon_by(&group.first_to_be_killed_in().each_ref().map(String::as_str));
    let before = group.kills();
    keeps_its_promises((home, cloud), rounds, |mut daemon| {
        // One that uses memory up before the daemon is in the group dies for nothing.
        let mut others = vec![group.use_up()];
        until("the kernel kills it", || {
            if others.last_mut().expect("one").try_wait().expect("its state").is_some() {
                others.push(group.use_up());
            }
            daemon.has_ended()
        });
        for other in &mut others {
            other.wait().expect("its end");
        }
        let ended = daemon.ended();
        assert_eq!((ended.code, ended.signal), (None, Some(9)), "{}", ended.log);
        ended.log
    });
    assert!(group.kills() >= before + rounds, "{} were killed by the kernel", group.kills() - before);
}

/// Daemons that live while clients write, over a bad network, and are ended by `end`, which gives what they logged.
#[expect(
    clippy::print_stderr,
    clippy::panic,
    reason = "it is a test, and who runs it is to know what happened"
)]
fn keeps_its_promises((mut home, cloud): (Home, Cloud), rounds: u64, end: impl Fn(Daemon) -> String) {
    let seed = seed("CODITECT_CRASH_SEED");
    eprintln!("CODITECT_CRASH_SEED={seed}");
    let network = Proxy::start(cloud.address(), seed);
    home.set_cloud("api_url", network.url());
    home.set_cloud("request_timeout", "1s");
    let run = Run::new(seed, &home);
    let mut dice = Dice::new(seed);
    network.weather(35);
    let mut tenant: &str = TENANTS[0];
    let mut round = 0;
    // A slow machine does less in a life, and has more of them.
    while round < rounds || (round < rounds * 5 && !has_happened(&run, &network, &cloud, rounds)) {
        if dice.percent(30) {
            tenant = *dice.one_of(&TENANTS[..]);
        }
        home.set_cloud("auth_token", dev_token(tenant, None));
        let asked = || network.tally().values().sum::<u64>();
        // In the lives a slow machine has on top, something is sent.
        let sent = (round >= rounds).then_some(&asked as &dyn Fn() -> u64);
        let log = run.round(&home, round, tenant, &mut dice, sent, &end);
        let wrong: Vec<&str> = log.lines().filter(|line| is_wrong(line)).collect();
        assert!(wrong.is_empty(), "round {round}: {wrong:#?}");
        round += 1;
    }
    // A run in which nothing happened would prove nothing.
    assert!(
        has_happened(&run, &network, &cloud, rounds),
        "hardly anything was written, or the network was good"
    );

    network.weather(0);
    home.set_cloud("request_timeout", "1m");
    let mut revived = 0;
    for tenant in TENANTS {
        home.set_cloud("auth_token", dev_token(tenant, None));
        revived += deliver_the_rest(&home);
    }
    let (ledger, projects) = (cloud.ledger(), cloud.projects());
    let writes = run.writes.into_inner().expect("the writes");
    let broken = broken(&writes, &ledger, &projects);
    if !broken.is_empty() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{seed}.json"));
        let all = json!({
            "broken": broken, "writes": writes.iter().map(Write::shown).collect::<Vec<_>>(), "ledger": ledger,
            "requests": cloud.requests(), "projects": projects,
        });
        std::fs::write(&kept, all.to_string()).expect("a file for what happened");
        panic!("{broken:#?}\nall of it is in {}", kept.display());
    }

    let tally = network.tally();
    let acknowledged = writes.iter().filter(|write| write.acknowledged).count();
    let effects = effects(&ledger);
    let count = |word: &str| effects.iter().filter(|effect| **effect == word).count();
    eprintln!(
        "{round} kills, {} writes, {acknowledged} acknowledged; {} requests: {tally:?}; created {}, updated {}, \
         replayed {}; {revived} given up for the crashes and delivered after all",
        writes.len(),
        tally.values().sum::<u64>(),
        count("created"),
        count("updated"),
        count("replay"),
    );
}

/// Whether enough happened for a run of so many rounds.
fn has_happened(run: &Run, network: &Proxy, cloud: &Cloud, rounds: u64) -> bool {
    let kinds = if rounds < 200 { 5 } else { Mischief::ALL.len() };
    let updated = || effects(&cloud.ledger()).iter().filter(|effect| **effect == "updated").count() as u64;
    run.acknowledged.load(Ordering::SeqCst) > rounds
        && (rounds < 20 || network.tally().keys().flatten().count() >= kinds)
        && updated() > rounds / 2
}

impl Run {
    fn new(seed: u64, home: &Home) -> Self {
        let folder = home.path().join("work");
        for number in 0..PROJECTS {
            std::fs::create_dir_all(folder.join(number.to_string())).expect("a project");
        }
        let folder = std::fs::canonicalize(folder).expect("its real path");
        Self {
            seed,
            folder,
            order: Order::default(),
            contents: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            writes: Mutex::new(Vec::new()),
        }
    }

    /// One life of the daemon, ended by `end`; what it logged. Where it is given how many requests were sent, it
    /// ends after the next one, or when none came for a while: the daemon may have to wait with it.
    fn round(
        &self,
        home: &Home,
        round: u64,
        tenant: &str,
        dice: &mut Dice,
        sent: Option<&dyn Fn() -> u64>,
        end: impl Fn(Daemon) -> String,
    ) -> String {
        let before = self.acknowledged.load(Ordering::SeqCst);
        let over = AtomicBool::new(false);
        let (while_it_starts, moment) = (dice.percent(15), dice.below(500));
        let daemon = Daemon::spawn(home, &[]);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let dice = Dice::of(self.seed, round * CLIENTS + client);
                let (over, socket) = (&over, home.state().join("sync.sock"));
                scope.spawn(move || self.write(&socket, tenant, dice, over));
            }
            if !while_it_starts {
                until("something is acknowledged", || {
                    (self.acknowledged.load(Ordering::SeqCst) > before).then_some(())
                });
            }
            if let Some(sent) = sent {
                let before = sent();
                let waits = (0..200).take_while(|_| sent() == before);
                waits.for_each(|_| thread::sleep(Duration::from_millis(10)));
            }
            // Nothing is waited for here: the kill is to come at any moment.
            thread::sleep(Duration::from_millis(moment));
            let log = end(daemon);
            over.store(true, Ordering::SeqCst);
            log
        })
    }

    /// A client of the daemon: writes until the daemon is gone.
    fn write(&self, socket: &Path, tenant: &str, mut dice: Dice, over: &AtomicBool) {
        let mut client = Client::new(socket, PATIENCE);
        while !over.load(Ordering::SeqCst) {
            let many = if dice.percent(20) { 1 + dice.below(5) } else { 1 };
            let mut drafts = BTreeMap::new();
            for _ in 0..many {
                let number = dice.below(PROJECTS);
                drafts.insert(number, self.draft(number, &mut dice));
            }
            let begun = self.order.next();
            let answer = if many == 1 {
                let draft = drafts.values().next().expect("one");
                client.request("POST", "/v1/projects", Some(draft)).map(|answer| {
                    let taken = answer.status == 200 || answer.status == 202;
                    drafts.keys().map(|number| (*number, taken)).collect()
                })
            } else {
                let body = json!({"projects": drafts.values().collect::<Vec<_>>()});
                client
                    .request("POST", "/v1/projects/sync", Some(&body))
                    .map(|answer| taken(answer.status, &answer.body))
            };
            let ended = self.order.next();
            // No answer is no promise; what was asked may have been done all the same.
            let acknowledged: BTreeMap<u64, bool> = answer.unwrap_or_default();
            let mut writes = self.writes.lock().expect("the writes");
            for (number, draft) in &drafts {
                let acknowledged = acknowledged.get(number).copied().unwrap_or(false);
                self.acknowledged.fetch_add(u64::from(acknowledged), Ordering::SeqCst);
                writes.push(Write {
                    tenant: tenant.to_owned(),
                    root: text(draft, "root_path"),
                    content: text(draft, "content_hash"),
                    begun,
                    ended,
                    acknowledged,
                });
            }
            drop(writes);
            // So that the queue is empty at times, and at times not.
            thread::sleep(Duration::from_millis(dice.below(20)));
        }
    }

    /// A project with a content that nobody wrote before. Every second project is found by its UUID, the others by
    /// their path.
    fn draft(&self, number: u64, dice: &mut Dice) -> Value {
        let content = self.contents.fetch_add(1, Ordering::SeqCst);
        let mut draft = json!({
            "root_path": self.folder.join(number.to_string()), "project_name": format!("p{number}"),
            "primary_language": dice.one_of(&["Rust", "Go", ""]), "framework": "",
            "content_hash": format!("{content:040x}"), "project_type": "standalone",
        });
        if number.is_multiple_of(2) {
            draft["local_project_uuid"] = json!(local(number));
        }
        draft
    }
}

fn local(number: u64) -> Uuid {
    Uuid::from_u128(0x1000_4000_8000_0000_0000 + u128::from(number))
}

/// Which projects of a batch the daemon promised to deliver. Those that are found by their path have a UUID of the
/// daemon's own.
fn taken(status: u16, body: &[u8]) -> BTreeMap<u64, bool> {
    if status != 200 && status != 202 {
        return BTreeMap::new();
    }
    let results: SyncResults = serde_json::from_slice(body).expect("the results");
    (0..PROJECTS)
        .filter_map(|number| {
            let result = results.results.get(&local(number))?;
            Some((number, result.success || result.queued))
        })
        .collect()
}

/// Delivers what waits for the present tenant, in good weather; how many entries had been given up.
fn deliver_the_rest(home: &Home) -> u64 {
    let daemon = Daemon::start(home).expecting("ended while these were being sent");
    let dead = home.json(&["queue", "list", "--state", "dead"]);
    let dead = dead["items"].as_array().expect("a list").clone();
    // Only what was in the air whenever the daemon was killed may have been given up, and visibly so.
    assert!(dead.iter().all(|item| item["last_error"]["code"] == "crash"), "{dead:#?}");
    if !dead.is_empty() {
        assert_eq!(home.run(&["queue", "retry", "--dead"]).code, 0);
    }
    home.run(&["queue", "flush", "--wait=20s"]);
    drained(home);
    daemon.finish();
    dead.len() as u64
}

/// Lines that no kill excuses.
fn is_wrong(line: &str) -> bool {
    let excused = ["the cloud cannot be used", "wait for room", "ended while these were being sent"];
    (line.contains(" ERROR ") || line.contains(" WARN ")) && !excused.iter().any(|text| line.contains(text))
}

fn text(draft: &Value, field: &str) -> String {
    draft[field].as_str().unwrap_or_default().to_owned()
}
