//! The machine against a queue and a cloud made of a few lines, in invented time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

mod start;
mod trouble;
mod unanswered;

use super::unanswered::Unanswered;
use super::*;
use crate::answer::{
    Answer, CloudProject, Hints, ItemOutcome, ItemResult, LookUp, Refusal, Suspect, Unreachable,
};
use crate::credential::Pass;
use crate::entry::{Asked, Fate, Settled};
use crate::ids::{CloudId, MachineId, Revision, ScopeId};
use crate::registration::{ProjectKind, Registration};

const START: Timestamp = Timestamp(1_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn entry(number: i64) -> Entry {
    let registration = Registration {
        local: LocalId(Uuid::from_u128(u128::try_from(number).unwrap())),
        machine: MachineId(Uuid::from_u128(9)),
        name: format!("p{number}"),
        root: PathBuf::from(format!("/w/p{number}")),
        language: String::new(),
        framework: String::new(),
        content_hash: String::new(),
        kind: ProjectKind::Standalone,
        parent: None,
    };
    Entry {
        id: EntryId(number),
        scope: ScopeId(1),
        hash: registration.payload_hash(),
        registration,
        revision: Revision::FIRST,
        asked: Asked::ByDiscovery,
        standing: Standing::Ready,
        attempts: 0,
        due: START,
        enqueued_at: Timestamp(START.0 + number),
        last_failure: None,
    }
}

fn cloud_project(entry: &Entry) -> CloudProject {
    CloudProject {
        cloud: CloudId(Uuid::from_u128(entry.registration.local.0.as_u128() + 1_000)),
        status: "registered".to_owned(),
        registered_at: None,
        tenant: None,
    }
}

fn refused(status: u16) -> Answer {
    Answer::Refused(Refusal { status, wait: None, words: String::new() })
}

/// A good answer to a whole flight.
fn taken(flight: &Flight) -> Answer {
    match (flight.batch, flight.entries.as_slice()) {
        (false, [only]) => Answer::Registered(cloud_project(only)),
        (_, several) => Answer::Results(
            several
                .iter()
                .map(|entry| ItemResult {
                    local: entry.registration.local,
                    outcome: ItemOutcome::Done(cloud_project(entry)),
                })
                .collect(),
        ),
    }
}

/// A queue in memory, a machine with a good credential, and a log of the requests.
struct World {
    now: Timestamp,
    queue: BTreeMap<EntryId, Entry>,
    delivery: Delivery,
    delivered: Vec<EntryId>,
    requests: Vec<Vec<i64>>,
    dice: u64,
}

impl World {
    fn new(entries: i64) -> Self {
        let mut world = Self::just_started(entries);
        // The way is known.
        world.delivery.lane.ever_good = true;
        world.delivery.lane.pace = Pace::new(100);
        world
    }

    fn just_started(entries: i64) -> Self {
        let mut delivery = Delivery::new(Policy::default(), START);
        let pass = Pass { fingerprint: 1, expires_at: None };
        delivery.credential_obtained(Obtained::Pass(pass), START, 0);
        let queue = (1..=entries).map(|number| (EntryId(number), entry(number))).collect();
        Self { now: START, queue, delivery, delivered: Vec::new(), requests: Vec::new(), dice: 1 }
    }

    fn throw(&mut self) -> u64 {
        self.dice = Throws::new(self.dice).draw();
        self.dice
    }

    fn heads(&self) -> Heads {
        let waiting = |entry: &&Entry| entry.standing != Standing::Dead;
        let entries: Vec<Entry> = match self.delivery.wants() {
            Wants::Heads { limit } => self
                .queue
                .values()
                .filter(waiting)
                .filter(|entry| entry.due <= self.now)
                .take(if self.delivery.is_shut(self.now) { 1 } else { limit })
                .cloned()
                .collect(),
            Wants::These(ids) => {
                ids.iter().filter_map(|id| self.queue.get(id)).filter(waiting).cloned().collect()
            }
        };
        let next_due =
            self.queue.values().filter(waiting).map(|entry| entry.due).filter(|due| *due > self.now);
        Heads { entries, next_due: next_due.min() }
    }

    fn step(&mut self) -> Step {
        let (heads, dice) = (self.heads(), self.throw());
        self.delivery.plan(self.now, dice, &heads)
    }

    fn settle(&mut self, settled: &[Settled]) {
        for Settled { entry: id, revision, fate, .. } in settled {
            let Some(entry) = self.queue.get_mut(id).filter(|entry| entry.revision == *revision) else {
                continue;
            };
            match fate {
                Fate::Delivered(_) => {
                    self.queue.remove(id);
                    self.delivered.push(*id);
                }
                Fate::Back { due, .. } => entry.due = *due,
                Fate::Retry { due, .. } => (entry.due, entry.attempts) = (*due, entry.attempts + 1),
                Fate::Park { due, .. } => (entry.due, entry.standing) = (*due, Standing::Parked),
                Fate::Bury(_) => entry.standing = Standing::Dead,
            }
        }
    }

    /// Runs until nothing is left to do, `limit` has passed, or a person is needed.
    fn run(&mut self, limit: Duration, mut cloud: impl FnMut(&Flight, Timestamp) -> Answer) -> Step {
        let end = self.now.after(limit);
        for _ in 0..100_000 {
            match self.step() {
                Step::Send(flight) => {
                    self.requests.push(flight.entries.iter().map(|entry| entry.id.0).collect());
                    let answer = cloud(&flight, self.now);
                    let dice = self.throw();
                    let landed =
                        self.delivery.landed(&flight, &answer, Hints::default(), SECOND, self.now, dice);
                    self.settle(&landed.settled);
                }
                Step::PutOff(settled) => self.settle(&settled),
                Step::Again => {}
                Step::Wait { until, .. } if until <= end => {
                    assert!(until > self.now, "a wait that is over is no wait");
                    self.now = until;
                }
                step @ (Step::Wait { .. } | Step::Rest { .. } | Step::Renew | Step::LookUp(..)) => {
                    return step;
                }
            }
        }
        panic!("no rest after 100,000 steps: {:?}", self.requests.iter().rev().take(5).collect::<Vec<_>>());
    }

    fn standing(&self, standing: Standing) -> Vec<i64> {
        self.queue.values().filter(|entry| entry.standing == standing).map(|entry| entry.id.0).collect()
    }

    fn attempts(&self) -> u32 {
        self.queue.values().map(|entry| entry.attempts).sum()
    }
}

#[test]
fn a_healthy_cloud_gets_everything_in_growing_batches() {
    let mut world = World::new(200);
    let step = world.run(SECOND, |flight, _| taken(flight));
    assert_eq!(step, Step::Rest { why: Why::Empty });
    assert_eq!(world.requests.iter().map(Vec::len).collect::<Vec<_>>(), [25, 35, 45, 55, 40]);
    assert_eq!(world.delivered.len(), 200);
}

#[test]
fn a_hundred_that_waited_for_the_cloud_go_in_at_most_five_requests() {
    let mut world = World::new(100);
    let back = START.after(Duration::from_mins(10));
    world.run(Duration::from_hours(1), |flight, now| {
        if now < back { Answer::Unreachable(Unreachable::ConnectRefused) } else { taken(flight) }
    });
    let first_good =
        world.requests.len() - world.requests.iter().rev().take_while(|r| r.len() > 1).count() - 1;
    assert_eq!(world.delivered.len(), 100);
    assert!(world.requests.len() - first_good <= 5, "{:?}", world.requests);
    assert_eq!(world.attempts(), 0);
}

#[test]
fn while_the_way_is_closed_only_single_probes_go_and_they_become_rare() {
    for answer in [
        Answer::Unreachable(Unreachable::Dns),
        Answer::Unreachable(Unreachable::ConnectRefused),
        Answer::Suspect(Suspect::Redirect(302)),
        refused(429),
        refused(503),
        refused(500),
        refused(407),
    ] {
        let mut world = World::new(500);
        world.run(Duration::from_hours(1), |_, _| answer.clone());
        assert!(world.requests.iter().skip(1).all(|request| request.len() == 1), "{answer:?}");
        assert!(world.requests.len() < 100, "{answer:?}: {} requests in an hour", world.requests.len());
        assert_eq!((world.attempts(), world.delivered.len()), (0, 0), "{answer:?}");
        assert_eq!(world.queue.len(), 500, "{answer:?}");
    }
}

#[test]
fn the_bad_ones_of_a_batch_are_found_by_halves_and_only_they_are_buried() {
    for status in [400, 422, 413] {
        let mut world = World::new(25);
        let bad = [3, 20];
        world.run(Duration::from_hours(1), |flight, _| {
            if flight.entries.iter().any(|entry| bad.contains(&entry.id.0)) {
                refused(status)
            } else {
                taken(flight)
            }
        });
        assert_eq!(world.standing(Standing::Dead), bad, "{status}");
        assert_eq!(world.delivered.len(), 23, "{status}");
        assert!(world.requests.len() <= 2 * 2 * 5 + 1, "{status}: {} requests", world.requests.len());
    }
}

#[test]
fn one_that_makes_the_cloud_stumble_is_counted_only_while_others_pass() {
    let mut world = World::new(25);
    let poisoned = |flight: &Flight, _: Timestamp| {
        if flight.entries.iter().any(|entry| entry.id.0 == 7) { refused(500) } else { taken(flight) }
    };
    world.run(Duration::from_hours(100), poisoned);
    assert_eq!(world.delivered.len(), 24);
    assert!(world.attempts() <= 1 && world.standing(Standing::Dead).is_empty(), "alone it may be the cloud");
    for number in 100..200 {
        world.queue.insert(EntryId(number), entry(number));
        world.run(Duration::from_hours(1), poisoned);
    }
    assert_eq!(world.delivered.len(), 124);
    assert_eq!(
        (world.standing(Standing::Dead), world.attempts()),
        (vec![7], 7),
        "buried at the eighth attempt"
    );
}

#[test]
fn a_cloud_that_stumbles_over_everything_for_days_buries_nothing() {
    for entries in [1, 2, 60] {
        let mut world = World::new(entries);
        let well = START.after(Duration::from_hours(72));
        world.run(
            Duration::from_hours(96),
            |flight, now| if now < well { refused(500) } else { taken(flight) },
        );
        assert_eq!(i64::try_from(world.delivered.len()).unwrap(), entries);
    }
}

#[test]
fn a_refused_project_is_parked_and_a_refused_tenant_pauses() {
    let mut world = World::new(25);
    world.run(Duration::from_hours(3), |flight, _| {
        if flight.entries.iter().any(|entry| entry.id.0 == 4) { refused(403) } else { taken(flight) }
    });
    assert_eq!((world.standing(Standing::Parked), world.delivered.len()), (vec![4], 24));

    let mut world = World::new(25);
    world.run(Duration::from_hours(3), |_, _| refused(403));
    assert!(world.requests.len() <= 6, "{:?}", world.requests);
    assert_eq!(world.standing(Standing::Ready).len(), 25);
    assert!(matches!(world.delivery.obstacle(world.now), Some((Why::Scope(Cause::Forbidden), _))));
}

#[test]
fn who_was_refused_while_the_tenant_was_is_not_parked_when_it_is_not_any_more() {
    for entries in [1, 2, 3, 25] {
        for meant in [None, Some(1)] {
            let mut world = World::new(entries);
            let allowed = START.after(Duration::from_hours(5));
            let is_meant = |flight: &Flight| flight.entries.iter().any(|entry| Some(entry.id.0) == meant);
            world.run(Duration::from_hours(10), |flight, now| {
                if now < allowed || is_meant(flight) { refused(403) } else { taken(flight) }
            });
            let parked = Vec::from_iter(meant.filter(|_| entries > 1));
            assert_eq!(world.standing(Standing::Parked), parked, "{entries} {meant:?}");
            let taken = entries - i64::from(meant.is_some());
            assert_eq!(i64::try_from(world.delivered.len()).unwrap(), taken, "{entries} {meant:?}");
            assert!(world.requests.len() <= 45, "{entries} {meant:?}: {:?}", world.requests);
        }
    }
}

#[test]
fn that_a_tenant_was_refused_is_not_forgotten_over_another_trouble() {
    let mut world = World::new(3);
    let gone = START.after(Duration::from_mins(90));
    let allowed = START.after(Duration::from_hours(5));
    world.run(Duration::from_hours(10), |flight, now| {
        if now < gone {
            refused(403)
        } else if now < allowed {
            Answer::Unreachable(Unreachable::NoRoute)
        } else {
            taken(flight)
        }
    });
    assert_eq!((world.standing(Standing::Parked), world.delivered.len()), (vec![], 3));
}

#[test]
fn patience_that_was_asked_for_with_a_refusal_leaves_no_trouble_behind() {
    for status in [400, 409, 422] {
        let mut world = World::new(1);
        let wait = Some(60 * SECOND);
        let answer = Answer::Refused(Refusal { status, wait, words: String::new() });
        world.run(Duration::ZERO, |_, _| answer.clone());
        let obstacle = world.delivery.obstacle(world.now);
        assert!(matches!(obstacle, Some((Why::Scope(Cause::Rate), _))), "{status}: {obstacle:?}");
        world.now = world.now.after(Duration::from_mins(10));
        assert_eq!(world.delivery.obstacle(world.now), None, "{status}");
    }
}

#[test]
fn a_parked_entry_is_tried_again_the_next_day() {
    let mut world = World::new(2);
    let allowed = START.after(Duration::from_hours(20));
    world.run(Duration::from_hours(30), |flight, now| {
        let refuses = now < allowed && flight.entries.iter().any(|entry| entry.id.0 == 1);
        if refuses { refused(402) } else { taken(flight) }
    });
    assert_eq!(world.delivered, [EntryId(2), EntryId(1)]);
}

#[test]
fn without_a_batch_endpoint_projects_go_one_by_one() {
    let mut world = World::new(5);
    world.run(SECOND, |flight, _| if flight.batch { refused(404) } else { taken(flight) });
    assert_eq!(world.requests.iter().map(Vec::len).collect::<Vec<_>>(), [5, 1, 1, 1, 1, 1]);
    assert_eq!(world.delivered.len(), 5);

    world.now = world.now.after(Duration::from_hours(25));
    world.queue.extend((11..=12).map(|number| (EntryId(number), entry(number))));
    world.run(SECOND, |flight, _| taken(flight));
    assert_eq!(world.requests.last().map(Vec::len), Some(2), "after a day the batch endpoint is tried again");
}

#[test]
fn what_the_cloud_leaves_out_is_counted_from_the_second_time() {
    let mut world = World::new(3);
    world.run(Duration::ZERO, |flight, _| {
        let mut results = Vec::new();
        if let Answer::Results(taken) = taken(flight) {
            results.extend(taken.into_iter().filter(|result| result.local != entry(2).registration.local));
        }
        Answer::Results(results)
    });
    assert_eq!(world.delivered, [EntryId(1), EntryId(3)]);
    assert_eq!((world.requests.len(), world.attempts()), (2, 1));
}

#[test]
fn errors_of_one_project_count_with_growing_pauses_and_then_bury_it() {
    let mut world = World::new(2);
    let failing = |flight: &Flight, _: Timestamp| match (taken(flight), flight.entries.as_slice()) {
        (Answer::Results(mut results), _) => {
            results[0].outcome = ItemOutcome::Failed("locked".to_owned());
            Answer::Results(results)
        }
        (_, [only]) => Answer::Results(vec![ItemResult {
            local: only.registration.local,
            outcome: ItemOutcome::Failed("locked".to_owned()),
        }]),
        (other, _) => other,
    };
    world.run(Duration::from_hours(24), failing);
    assert_eq!(world.standing(Standing::Dead), [1]);
    assert_eq!(world.requests.len(), 8);
    let elapsed = world.now.since(START);
    assert!(elapsed >= Duration::from_mins(63) && elapsed <= Duration::from_mins(127), "{elapsed:?}");
}

#[test]
fn a_conflict_is_retried_three_times_and_then_looked_up() {
    for (look_up, dead) in [(LookUp::Found(cloud_project(&entry(1))), false), (LookUp::Unknown, true)] {
        let mut world = World::new(1);
        let step = world.run(Duration::from_hours(24), |_, _| refused(409));
        let Step::LookUp(asked, _) = step else { panic!("{step:?}") };
        assert_eq!(world.requests.len(), 4);
        let looked_up = world.delivery.looked_up(&asked, &look_up, world.now, 0);
        world.settle(&looked_up.settled);
        assert_eq!(world.standing(Standing::Dead).len(), usize::from(dead));
        assert_eq!(world.delivered.len(), usize::from(!dead));
    }
}

#[test]
fn what_was_accepted_but_not_done_is_asked_for_and_not_sent_again() {
    let mut world = World::new(1);
    let step = world.run(Duration::from_hours(1), |_, _| Answer::Accepted(None));
    let Step::LookUp(asked, _) = step else { panic!("{step:?}") };
    assert_eq!(world.requests.len(), 1);
    let looked_up = world.delivery.looked_up(&asked, &LookUp::Found(cloud_project(&asked)), world.now, 0);
    world.settle(&looked_up.settled);
    assert_eq!(world.delivered, [EntryId(1)]);
}

#[test]
fn a_refused_credential_is_renewed_once_and_then_nothing_is_sent() {
    let mut world = World::new(3);
    assert_eq!(world.run(SECOND, |_, _| refused(401)), Step::Renew);
    let second = Pass { fingerprint: 2, expires_at: None };
    world.delivery.credential_obtained(Obtained::Pass(second), world.now, 0);
    let step = world.run(Duration::from_mins(14), |_, _| refused(401));
    assert!(matches!(step, Step::Wait { why: Why::AuthRequired, .. }), "{step:?}");
    assert_eq!((world.requests.len(), world.attempts()), (2, 0));
    world.delivery.credential_changed();
    assert_eq!(world.step(), Step::Renew);
}

#[test]
fn a_network_change_sends_within_a_quarter_of_a_second_but_not_before_a_retry_after() {
    for (answer, soon) in [
        (Answer::Unreachable(Unreachable::NoRoute), true),
        (Answer::Refused(Refusal { status: 429, wait: Some(600 * SECOND), words: String::new() }), false),
    ] {
        let mut world = World::new(1);
        world.run(Duration::from_mins(5), |_, _| answer.clone());
        let asked_at = world.now;
        world.delivery.network_changed(asked_at, u64::MAX);
        world.run(Duration::from_millis(250), |flight, _| taken(flight));
        assert_eq!(world.delivered.len(), usize::from(soon), "{answer:?}");
    }
}

#[test]
fn nothing_goes_before_its_retry_after_even_when_somebody_flushes() {
    let mut world = World::new(1);
    let mut sent_at = Vec::new();
    let answer = Answer::Refused(Refusal { status: 503, wait: Some(120 * SECOND), words: String::new() });
    world.run(SECOND, |_, _| answer.clone());
    world.delivery.flush(world.now);
    world.run(Duration::from_mins(10), |flight, now| {
        sent_at.push(now);
        taken(flight)
    });
    assert!(sent_at[0] >= START.after(120 * SECOND));
}

#[test]
fn a_request_timeout_goes_once_more_at_once_and_then_waits() {
    let mut world = World::new(1);
    world.run(Duration::ZERO, |_, _| refused(408));
    assert_eq!(world.requests.len(), 2);
    assert!(matches!(world.delivery.obstacle(world.now), Some((Why::Scope(Cause::Server), _))));
}

#[test]
fn a_flight_that_failed_inside_is_halved_and_a_single_one_counted() {
    let mut world = World::new(4);
    world.run(Duration::from_hours(100), |flight, _| {
        if flight.entries.iter().any(|entry| entry.id.0 == 2) {
            Answer::Internal("panic".to_owned())
        } else {
            taken(flight)
        }
    });
    assert_eq!((world.standing(Standing::Dead), world.delivered.len()), (vec![2], 3));
}

#[test]
fn pausing_stops_everything_and_resuming_goes_on() {
    let mut world = World::new(1);
    world.delivery.pause(true);
    assert_eq!(world.step(), Step::Rest { why: Why::Paused });
    world.delivery.pause(false);
    assert!(matches!(world.step(), Step::Send(_)));
    assert_eq!(world.step(), Step::Rest { why: Why::Flying }, "one request in flight");
}

#[test]
fn a_large_body_is_never_more_than_a_quarter_of_a_mebibyte() {
    let mut world = World::new(100);
    for entry in world.queue.values_mut() {
        entry.registration.root = PathBuf::from(format!("/{}", "x".repeat(4_000)));
    }
    for _ in 0..20 {
        world.delivery.lane.pace.good(25, SECOND);
    }
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    assert!(flight.entries.len() < 64, "{}", flight.entries.len());
}

#[test]
fn nothing_is_sent_before_what_is_in_the_air_has_landed_whatever_changed_meanwhile() {
    type Change = fn(&mut Delivery);
    let changes: [(&str, Change); 2] = [
        ("another scope", |delivery| delivery.enter_scope(START)),
        ("another configuration", |delivery| delivery.follow(Policy::default(), START)),
    ];
    for (what, change) in changes {
        let mut world = World::new(2);
        let Step::Send(flight) = world.step() else { panic!("nothing sent") };
        change(&mut world.delivery);
        assert_eq!(world.step(), Step::Rest { why: Why::Flying }, "{what}");
        world.delivery.landed(&flight, &refused(401), Hints::default(), SECOND, START, 0);
        assert!(!matches!(world.step(), Step::Rest { .. }), "{what}");
    }
}

#[test]
fn a_refusal_of_the_token_before_this_one_is_not_held_against_it() {
    let mut world = World::new(1);
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    world.delivery.credential_changed();
    let second = Pass { fingerprint: 2, expires_at: None };
    world.delivery.credential_obtained(Obtained::Pass(second), START, 0);
    world.delivery.landed(&flight, &refused(401), Hints::default(), SECOND, START, 0);
    assert!(matches!(world.step(), Step::Send(_)));
}

#[test]
fn a_reload_does_not_forget_a_retry_after() {
    let mut world = World::new(1);
    let wait = Some(600 * SECOND);
    world.run(SECOND, |_, _| Answer::Refused(Refusal { status: 503, wait, words: String::new() }));
    world.delivery.follow(Policy::default(), world.now);
    assert!(matches!(world.step(), Step::Wait { why: Why::Scope(Cause::Server), .. }));
    assert!(world.delivery.lasting(world.now).is_some(), "and it outlives the process");
}

#[test]
fn projects_that_make_the_cloud_stumble_hold_up_no_other() {
    for batch_size in [1, 2, 3, 100] {
        let mut world = World::new(8);
        world.delivery.follow(Policy { batch_size, ..Policy::default() }, START);
        let bad = [1, 2, 5];
        world.run(Duration::from_mins(10), |flight, _| {
            let stumbles = flight.entries.iter().any(|entry| bad.contains(&entry.id.0));
            if stumbles { refused(500) } else { taken(flight) }
        });
        assert_eq!(world.delivered.len(), 5, "batches of {batch_size}: {:?}", world.requests);
    }
}

#[test]
fn a_new_entry_goes_at_once_while_the_way_is_closed_for_a_single_other() {
    let poisoned = |flight: &Flight, _: Timestamp| {
        if flight.entries.iter().any(|entry| entry.id.0 == 1) { refused(500) } else { taken(flight) }
    };
    let mut world = World::new(1);
    world.run(Duration::from_hours(2), poisoned);
    world.queue.insert(EntryId(2), entry(2));
    world.run(Duration::ZERO, poisoned);
    assert_eq!(world.delivered, [EntryId(2)]);

    let mut world = World::new(1);
    world.run(Duration::from_hours(2), |_, _| refused(500));
    let before = world.requests.len();
    world.queue.extend((2..=20).map(|number| (EntryId(number), entry(number))));
    world.run(Duration::ZERO, |_, _| refused(500));
    assert_eq!(world.requests.len(), before + 1, "a cloud that stumbles over everything is asked once more");
}

#[test]
fn halves_are_dropped_when_the_batch_endpoint_goes() {
    let mut world = World::new(8);
    let mut requests = 0;
    world.run(Duration::from_mins(10), |flight, _| {
        requests += 1;
        match (requests, flight.batch) {
            (1, _) => refused(422),
            (_, true) => refused(404),
            (_, false) => taken(flight),
        }
    });
    assert_eq!(world.delivered.len(), 8);
    assert!(world.requests.iter().skip(2).all(|request| request.len() == 1), "{:?}", world.requests);
}

#[test]
fn what_died_while_its_half_waited_is_not_sent() {
    let mut world = World::new(2);
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    world.delivery.landed(&flight, &refused(422), Hints::default(), SECOND, START, 0);
    for entry in world.queue.values_mut() {
        entry.standing = Standing::Dead;
    }
    let entries: Vec<Entry> = world.queue.values().cloned().collect();
    let heads = Heads { entries, next_due: None };
    for _ in 0..2 {
        assert_eq!(world.delivery.plan(START, 0, &heads), Step::Again);
    }
}

#[test]
fn an_answer_to_a_look_up_does_not_end_a_retry_after() {
    let mut world = World::new(1);
    let wait = Some(600 * SECOND);
    world.run(SECOND, |_, _| Answer::Refused(Refusal { status: 429, wait, words: String::new() }));
    let lost = LookUp::Failed(Answer::Unreachable(Unreachable::Reset));
    for look_up in [LookUp::Found(cloud_project(&entry(1))), LookUp::Unknown, lost] {
        world.delivery.heard(&look_up, world.now, 0);
        let Step::Wait { until, .. } = world.step() else { panic!("sent after {look_up:?}") };
        assert!(until >= START.after(600 * SECOND), "{look_up:?}");
    }
}

#[test]
fn who_had_trouble_long_ago_still_has_its_turn() {
    let mut world = World::new(2);
    let outage = START.after(Duration::from_hours(3));
    world.run(Duration::from_hours(12), |flight, now| {
        let forbidden = flight.entries.iter().any(|entry| entry.id.0 == 1);
        match (now < outage, forbidden) {
            (true, _) => refused(500),
            (false, true) => refused(403),
            (false, false) => taken(flight),
        }
    });
    assert_eq!(world.delivered, [EntryId(2)]);
}
