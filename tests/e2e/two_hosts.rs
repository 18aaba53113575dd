//! Daemon and cloud on two hosts with a link between them that goes down and comes back.
//!
//! `CODITECT_LINK_CYCLES=20 cargo test -p sync-tests --test e2e two_hosts:: -- --nocapture` measures twenty times.

use std::process::Command;
use std::time::{Duration, Instant};

use coditect_devcloud::{Fault, Rule, dev_token};
use serde_json::Value;
use sync_tests::{Cloud, Daemon, Encrypted, Home, Needs, PATIENCE, apart, asked_for, ran, until};

use crate::{cloud_is, drained, effects};

/// What was asked for: the first registration is there so soon after the link is back.
const SOON: Duration = Duration::from_secs(1);
/// So often in a row it has to be later before it counts.
const TRIES: u64 = 5;
/// A system that asked in vain for the hardware address of the other host asks again so much later. It has nothing to
/// ask anew where its own end of the link was down.
const BETWEEN_TWO_QUESTIONS: Duration = Duration::from_secs(1);

#[test]
fn the_first_registration_arrives_within_a_second_after_the_link_is_back() {
    apart(
        module_path!(),
        "the_first_registration_arrives_within_a_second_after_the_link_is_back",
        Needs::Links,
        || {
            let (mut home, cloud) = two_hosts();
            // Without the news of the network it would be tried again in a minute, on average.
            home.set_cloud("retry_initial", "2m");
            home.set_cloud("retry_max", "5m");
            let start = || Daemon::start(&home).expecting("the cloud cannot be used");
            let mut daemon = start();
            register(&home, 0);
            arrived(&cloud, 1);
            let cycles = asked_for("CODITECT_LINK_CYCLES").unwrap_or(3);
            let mut number = 0;
            for (end, link, limit) in
                [("its own end", OWN_END, SOON), ("the other end", OTHER_END, SOON + BETWEEN_TWO_QUESTIONS)]
            {
                let mut took: Vec<Duration> = Vec::new();
                let (mut good, mut slow) = (0, 0);
                while good < cycles {
                    number += 1;
                    if took.len() % 4 == 3 {
                        // So often the cloud is hardly ever lost: what repeats cost would hold the next probe back.
                        daemon.finish();
                        daemon = start();
                    }
                    set(link, "down");
                    until_it_has_heard(&daemon);
                    register(&home, number);
                    until_nothing_is_due(&home);
                    let lasted = back(link, &cloud, number + 1);
                    took.push(lasted);
                    cloud_is(&home, "online");
                    // A machine may stand still in the middle of one; what is slow is slow each time.
                    (good, slow) = if lasted < limit { (good + 1, 0) } else { (good, slow + 1) };
                    assert!(slow < TRIES, "{end}: {took:?}");
                }
                took.sort_unstable();
                let at = |hundredth: usize| took[(took.len() - 1) * hundredth / 100].as_millis();
                let times = took.len();
                eprintln!("{end}, {times} times: p50 {} ms, p95 {} ms, max {} ms", at(50), at(95), at(100));
            }
            assert!(effects(&cloud.ledger()).iter().all(|effect| *effect == "created"), "nothing twice");
            daemon.finish();
        },
    );
}

#[test]
fn a_host_that_vanishes_in_the_middle_of_a_request_costs_nothing() {
    apart(
        module_path!(),
        "a_host_that_vanishes_in_the_middle_of_a_request_costs_nothing",
        Needs::Links,
        || {
            let (mut home, cloud) = two_hosts();
            home.set_cloud("request_timeout", "2s");
            cloud.faults().add(Rule::new(Fault::Hang).after_work().times(1)).expect("a rule");
            let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
            register(&home, 0);
            until("the cloud has done its work", || (cloud.projects().len() == 1).then_some(()));
            // Neither an answer nor a reset comes through.
            set(OTHER_END, "down");
            cloud.faults().clear();
            cloud_is(&home, "offline");
            let items = home.json(&["queue", "list"]);
            assert_eq!(items["items"][0]["attempts"], 0, "{items}");
            register(&home, 1);
            set(OTHER_END, "up");
            arrived(&cloud, 2);
            drained(&home);
            let ledger = cloud.ledger();
            assert_eq!(effects(&ledger).iter().filter(|effect| **effect == "created").count(), 2);
            assert!(
                effects(&ledger).iter().all(|effect| ["created", "replay", "unchanged"].contains(effect)),
                "{ledger:#?}"
            );
            daemon.finish();
        },
    );
}

/// The laptop's end of the cable, and the cloud's.
const OWN_END: &[&str] = &["-n", "laptop", "link", "set", "eth0"];
const OTHER_END: &[&str] = &["link", "set", "cloud0"];

/// A laptop on which the daemon will run, and this host, on which the cloud runs.
fn two_hosts() -> (Home, Cloud) {
    for (program, args) in [
        // The names of networks are kept below it.
        ("mount", "-t tmpfs none /run"),
        ("ip", "netns add laptop"),
        ("ip", "-n laptop link set lo up"),
        ("ip", "link add cloud0 type veth peer name eth0 netns laptop"),
        ("ip", "address add 10.77.0.1/24 dev cloud0"),
        ("ip", "link set cloud0 up"),
        ("ip", "-n laptop address add 10.77.0.2/24 dev eth0"),
        ("ip", "-n laptop link set eth0 up"),
    ] {
        assert!(ran(program, &args.split(' ').collect::<Vec<_>>()), "{program} {args}");
    }
    let mut home = Home::new();
    let cloud = Cloud::start(home.path().join("cloud.db"));
    let front = Encrypted::start([10, 77, 0, 1].into(), cloud.address(), home.path());
    home.start_daemon_by(&["nsenter", "--net=/run/netns/laptop"]);
    home.set_cloud("api_url", front.url());
    home.set_cloud("ca_bundle", front.bundle().display().to_string());
    home.set_cloud("auth_token", dev_token("acme", None));
    (home, cloud)
}

fn set(link: &[&str], state: &str) {
    assert!(ran("ip", &[link, &[state]].concat()), "the link is {state}");
}

fn register(home: &Home, number: u64) {
    let root = home.path().join(format!("work/{number}"));
    std::fs::create_dir_all(&root).expect("a project");
    let shown = home.run(&["register", &root.display().to_string()]);
    assert_eq!(shown.code, 0, "{shown:?}");
}

fn arrived(cloud: &Cloud, projects: u64) {
    until("it has arrived", || (cloud.projects().len() as u64 == projects).then_some(()));
}

/// Waits until the daemon has dropped its connections to the other host, because it heard of the link.
fn until_it_has_heard(daemon: &Daemon) {
    let connections = format!("/proc/{}/net/tcp", daemon.pid());
    until("it hears that the link is down", || {
        let table = std::fs::read_to_string(&connections).expect("the connections of its network");
        // `01` is an established connection; only those to the other host go over the link.
        let open = table.lines().filter(|line| line.split_whitespace().nth(3) == Some("01")).count();
        (open == 0).then_some(())
    });
}

/// Waits until the daemon will not try again by itself for longer than is measured.
fn until_nothing_is_due(home: &Home) {
    until("the next attempt is far away", || {
        let status = home.json(&["status"]);
        let cloud = &status["cloud"];
        let offline = cloud["state"] == "offline";
        let in_flight = status["queue"]["in_flight"].as_u64()?;
        let seconds = seconds_until(cloud["next_attempt_at"].as_str()?)?;
        (offline && in_flight == 0 && seconds > 4).then_some(())
    });
}

/// Whether the laptop's system takes the link for usable.
fn says_up() -> bool {
    let shown = Command::new("ip").args(["-n", "laptop", "-o", "link", "show", "dev", "eth0"]).output();
    String::from_utf8_lossy(&shown.expect("ip").stdout).contains("state UP")
}

/// How far ahead a moment is.
fn seconds_until(moment: &str) -> Option<u64> {
    let then = time::OffsetDateTime::parse(moment, &time::format_description::well_known::Rfc3339).ok()?;
    let then = u64::try_from(then.unix_timestamp()).ok()?;
    Some(then.saturating_sub(std::time::UNIX_EPOCH.elapsed().ok()?.as_secs()))
}

/// Brings the link back, and says how long it took from then until one more project was there.
/// It is back when the laptop's system says so.
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn back(link: &[&str], cloud: &Cloud, projects: u64) -> Duration {
    let mut begun = Instant::now();
    set(link, "up");
    let mut asked = begun;
    while !says_up() {
        begun = asked;
        asked = Instant::now();
    }
    loop {
        let known: Vec<Value> = cloud.projects();
        if known.len() as u64 == projects {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until it has arrived");
        std::thread::sleep(Duration::from_millis(2));
    }
}
