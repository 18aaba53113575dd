//! The database is damaged in the seven ways, and the daemon is started over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coditect_devcloud::{Fault, Rule};
use serde_json::{Value, json};
use sync_tests::{Cloud, Daemon, Dice, Home, PATIENCE, timed, until};
use sync_wire::Client;
use uuid::Uuid;

use crate::{drained, world};

const PAGE: usize = 4096;
/// So soon it has to answer.
const SOON: Duration = Duration::from_secs(5);
/// So often it may answer later, because the machine paused.
const TRIES: usize = 5;
/// Projects that a scan finds, and such that somebody registered with UUIDs of their own: half of them are in the
/// cloud, half of them wait.
const FOUND: u128 = 6;
const GIVEN: u128 = 120;

/// What is left of a database after a damage.
#[derive(Clone, Copy)]
enum Left {
    /// Everything.
    All,
    /// Most of it: what was not on the pages that are damaged.
    Most,
    /// What was in the half that is there; of a small database that is little, the leaves of its trees are at its end.
    Half,
    /// What a scan finds.
    Found,
}

#[test]
fn a_header_that_is_overwritten() {
    check(Left::All, |bytes, _dice| bytes[..100].fill(0xff));
}

#[test]
fn no_bytes_at_all() {
    check(Left::Found, |bytes, _dice| bytes.clear());
}

#[test]
fn the_second_half_is_missing() {
    check(Left::Half, |bytes, _dice| bytes.truncate(bytes.len() / 2));
}

#[test]
fn the_second_half_is_zeros() {
    check(Left::Half, |bytes, _dice| {
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
    });
}

#[test]
fn one_page_is_zeros() {
    check(Left::Most, |bytes, dice| {
        let page = page(bytes, dice);
        bytes[page..page + PAGE].fill(0);
    });
}

#[test]
fn twenty_pages_are_garbage() {
    check(Left::Most, |bytes, dice| {
        for _ in 0..20 {
            let page = page(bytes, dice);
            bytes[page..page + PAGE].fill_with(|| dice.throw().to_le_bytes()[0]);
        }
    });
}

#[test]
fn one_bit_is_flipped() {
    check(Left::Most, |bytes, dice| {
        let at = usize::try_from(dice.below(bytes.len() as u64)).expect("it is below a usize");
        bytes[at] ^= 1 << dice.below(8);
    });
}

fn page(bytes: &[u8], dice: &mut Dice) -> usize {
    // The first one is the business of another damage.
    let pages = bytes.len() as u64 / PAGE as u64;
    PAGE * usize::try_from(1 + dice.below(pages - 1)).expect("it is below a usize")
}

/// Damages the database of a daemon that was stopped and of one that was killed: it starts soon, keeps what was there,
/// knows every project that is left by its UUID, and delivers what waited and is left, to the same project of the
/// cloud.
fn check(left: Left, damage: impl Fn(&mut Vec<u8>, &mut Dice)) {
    for (seed, killed) in [(1, false), (2, true), (3, false)] {
        // One that starts slowly although no machine paused does so each time.
        let soon = (0..TRIES).any(|_| check_once(left, &damage, seed, killed) < SOON);
        assert!(soon, "seed {seed}, killed {killed}: it takes {SOON:?} to start");
    }
}

/// Answers how long the start took.
fn check_once(left: Left, damage: &impl Fn(&mut Vec<u8>, &mut Dice), seed: u64, killed: bool) -> Duration {
    let (home, cloud) = world();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let before = settle_in(&home, &cloud);
    if killed {
        daemon.kill();
    } else {
        daemon.finish();
    }
    let database = home.state().join("sync.db");
    let mut bytes = fs::read(&database).expect("the database");
    damage(&mut bytes, &mut Dice::new(seed));
    fs::write(&database, &bytes).expect("the database");
    cloud.faults().clear();
    let (took, daemon) = timed(|| started(&home));

    let log = daemon.log();
    let set_aside = log.contains("is set aside");
    assert_eq!(kept_as_it_was(&home.state(), &bytes), set_aside, "seed {seed}: {log}");
    let what = format!("seed {seed}, killed {killed}, set aside {set_aside}");
    drained(&home);
    until("the projects in the roots are found", || {
        let now = uuids(&home);
        before.found.iter().all(|(root, uuid)| now.get(root) == Some(uuid)).then_some(())
    });
    let now = uuids(&home);
    for (root, uuid) in &now {
        let was = before.found.get(root).or_else(|| before.given.get(root));
        assert_eq!(was, Some(uuid), "{what}: {} is not who it was", root.display());
    }
    let given = before.given.keys().filter(|root| now.contains_key(*root)).count();
    let in_cloud = before.given.iter().filter(|(root, _)| in_cloud(&cloud, root)).count();
    match left {
        Left::All => assert_eq!((given, in_cloud), (before.given.len(), before.given.len()), "{what}"),
        Left::Most => assert!(
            given * 4 >= before.given.len() && in_cloud * 4 >= before.given.len() * 3,
            "{what}: {given} are known and {in_cloud} delivered of {}",
            before.given.len()
        ),
        Left::Half => assert!(set_aside && carried(&log) > 0, "{what}: {log}"),
        Left::Found => assert!(set_aside, "{what}"),
    }
    one_of_each(&cloud);
    daemon.finish();
    took
}

/// How much was carried over, by the line that tells of it.
fn carried(log: &str) -> usize {
    let line = log.lines().find(|line| line.contains("is set aside")).expect("the line");
    let number = |name: &str| -> usize {
        let rest = line.split_once(&format!("{name}=")).expect("a number of them").1;
        rest.split(' ').next().unwrap_or_default().parse().expect("a number")
    };
    number("entries") + number("mappings") + number("projects")
}

type Uuids = std::collections::BTreeMap<PathBuf, Value>;

struct Before {
    found: Uuids,
    given: Uuids,
}

/// A life before the damage.
fn settle_in(home: &Home, cloud: &Cloud) -> Before {
    for number in 0..FOUND {
        home.project(&format!("p{number}"));
    }
    until("they are found", || (cloud.projects().len() as u128 == FOUND).then_some(()));
    let found = uuids(home);
    assert_eq!(found.len() as u128, FOUND);
    let mut given = Uuids::new();
    for half in 0..2 {
        let mut drafts = Vec::new();
        for number in (0..GIVEN).filter(|number| number % 2 == half) {
            let root = home.path().join(format!("work/{number}"));
            fs::create_dir_all(&root).expect("a project");
            let root = fs::canonicalize(root).expect("its real path");
            let uuid = Uuid::from_u128(0x1000_4000_8000_0000_0000 + number);
            drafts.push(json!({
                "root_path": root, "local_project_uuid": uuid, "project_name": format!("g{number}"),
                "primary_language": "", "framework": "", "content_hash": format!("{number:040x}"),
                "project_type": "standalone",
            }));
            given.insert(root, json!(uuid));
        }
        let mut client = Client::new(home.state().join("sync.sock"), PATIENCE);
        let answer = client.request("POST", "/v1/projects/sync", Some(&json!({"projects": drafts})));
        assert!(answer.expect("an answer").status < 300);
        if half == 0 {
            drained(home);
            cloud.faults().add(Rule::new(Fault::status(503))).expect("a rule");
        }
    }
    Before { found, given }
}

/// The UUIDs of the projects that are known, by their roots.
fn uuids(home: &Home) -> Uuids {
    let known = home.json(&["projects"]);
    let known = known["projects"].as_array().expect("a list");
    known
        .iter()
        .map(|project| {
            let root = project["root_path"].as_str().expect("a path");
            (PathBuf::from(root), project["local_project_uuid"].clone())
        })
        .collect()
}

fn started(home: &Home) -> Daemon {
    ["the database", "the cloud cannot be used", "a damaged row"]
        .iter()
        .fold(Daemon::start(home), |daemon, text| daemon.expecting(text))
}

/// Whether what was damaged is kept beside the database, byte for byte.
fn kept_as_it_was(state: &Path, bytes: &[u8]) -> bool {
    let mut kept = fs::read_dir(state)
        .expect("the state directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("sync.db.corrupt"))
        })
        .filter(|path| {
            !path.to_string_lossy().ends_with("-wal") && !path.to_string_lossy().ends_with("-shm")
        });
    kept.any(|path| fs::read(path).expect("what was kept") == bytes)
}

fn in_cloud(cloud: &Cloud, root: &Path) -> bool {
    cloud.projects().iter().any(|project| project["root_path"].as_str() == root.to_str())
}

/// No project became two.
fn one_of_each(cloud: &Cloud) {
    let mut roots: Vec<Value> = cloud.projects().iter().map(|project| project["root_path"].clone()).collect();
    let all = roots.len();
    roots.sort_by_key(ToString::to_string);
    roots.dedup();
    assert_eq!(roots.len(), all, "a project became two");
}
