//! Runs many histories on all cores and tells of the first that breaks a rule, with the command that replays it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sync_core::Policy;

use crate::chance::Chance;
use crate::mutation::Mutation;
use crate::queue::Queue;
use crate::world::World;

/// Lines of the trace that are printed.
const SHOWN: usize = 300;

/// How many histories, how long they are, and the seed of the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    pub(crate) histories: u64,
    /// Most events in one.
    pub(crate) events: i64,
    pub(crate) seed: u64,
}

impl Many {
    /// What the environment says: `MODEL_HISTORIES` and `MODEL_SEED`.
    pub(crate) fn from_environment(histories: u64, events: i64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test has no configuration to read")]
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Self {
            histories: number("MODEL_HISTORIES").unwrap_or(histories),
            events,
            seed: number("MODEL_SEED").unwrap_or(1),
        }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) requests: AtomicU64,
    pub(crate) most_idle: AtomicU64,
    /// The lowest seed seen to break a rule, and the rule.
    pub(crate) broken: Mutex<Option<(u64, String)>>,
}

fn policy(seed: u64) -> Policy {
    let mut chance = Chance::new(seed ^ 0x5eed);
    let batch_size = chance.pick(&[100, 100, 10, 3, 1]);
    Policy { batch_size, max_retries: 8, item_initial: Duration::from_mins(1), ..Policy::default() }
}

fn world<Q: Queue>(queue: Q, mutation: Option<Mutation>, seed: u64) -> World<Q> {
    let mut policy = policy(seed);
    if mutation == Some(Mutation::NewerContentDoesNotWait) {
        policy.request_lifetime = Duration::ZERO;
    }
    World::new(queue, mutation, seed, policy)
}

/// Runs histories until all are done or one breaks a rule.
pub(crate) fn run<Q: Queue>(
    many: Many,
    mutation: Option<Mutation>,
    make: impl Fn(Option<Mutation>) -> Q + Sync,
) -> Summary {
    let summary = Summary::default();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= many.histories {
                        return;
                    }
                    let seed = many.seed.wrapping_add(index);
                    let mut world = world(make(mutation), mutation, seed);
                    let lived = world.live(many.events);
                    summary.requests.fetch_add(world.reference.requests, Ordering::Relaxed);
                    let idle = u64::try_from(world.reference.most_idle).unwrap();
                    summary.most_idle.fetch_max(idle, Ordering::Relaxed);
                    if let Err(rule) = lived {
                        stop.store(true, Ordering::Relaxed);
                        let mut broken = summary.broken.lock().unwrap();
                        if broken.as_ref().is_none_or(|(other, _)| seed < *other) {
                            *broken = Some((seed, rule));
                        }
                    }
                }
            });
        }
    });
    summary
}

/// Runs histories of the unchanged driver, and fails with a trace and the command that replays it.
pub(crate) fn hold<Q: Queue>(package: &str, many: Many, make: impl Fn(Option<Mutation>) -> Q + Sync) {
    let summary = run(many, None, &make);
    let broken = summary.broken.into_inner().unwrap();
    if let Some((seed, rule)) = broken {
        let mut world = world(make(None), None, seed);
        world.trace = Some(Vec::new());
        let again = world.live(many.events);
        let trace = world.trace.take().unwrap();
        let shown = &trace[trace.len().saturating_sub(SHOWN)..];
        panic!(
            "{}\n\nhistory {seed} breaks a rule: {rule}\nreplayed: {again:?}\nreplay with\n  \
             MODEL_SEED={seed} MODEL_HISTORIES=1 cargo test -p {package} --test model every_history",
            shown.join("\n")
        );
    }
    println!(
        "{} histories, {} requests, at most {} in a minute came to nothing",
        many.histories,
        summary.requests.into_inner(),
        summary.most_idle.into_inner()
    );
}

/// Runs each mutation and fails when one is not noticed.
pub(crate) fn notice<Q: Queue>(
    mutations: &[Mutation],
    many: Many,
    make: impl Fn(Option<Mutation>) -> Q + Sync,
) {
    let mut unnoticed = Vec::new();
    for mutation in mutations {
        match run(many, Some(*mutation), &make).broken.into_inner().unwrap() {
            Some((seed, rule)) => println!("{mutation:?}: history {seed}: {rule}"),
            None => unnoticed.push(*mutation),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
}
