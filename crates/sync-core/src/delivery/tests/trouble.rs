//! One project's trouble, and that it stays its own.

use super::*;

#[test]
fn a_project_over_which_a_gateway_breaks_does_not_keep_the_others_waiting() {
    for answer in [
        Answer::Unreachable(Unreachable::Reset),
        Answer::Unreachable(Unreachable::AnswerTimeout),
        Answer::Suspect(Suspect::NotTheContract("a blocked page".to_owned())),
        refused(502),
        refused(503),
    ] {
        let mut world = World::new(60);
        world.run(Duration::from_hours(1), |flight, _| {
            if flight.entries.iter().any(|entry| entry.id.0 == 1) { answer.clone() } else { taken(flight) }
        });
        assert_eq!(world.delivered.len(), 59, "{answer:?}: {:?}", world.requests);
        assert_eq!(world.attempts(), 0, "{answer:?}: the way is at fault until somebody shows otherwise");
        // Afterwards it costs the cloud no more than any that is down.
        world.requests.clear();
        world.run(Duration::from_hours(24), |_, _| answer.clone());
        assert!(world.requests.len() < 450, "{answer:?}: {} in a day", world.requests.len());
        world.run(Duration::from_hours(7), |flight, _| taken(flight));
        assert_eq!(world.delivered.len(), 60, "{answer:?}");
    }
}

#[test]
fn a_new_project_goes_at_once_beside_a_lone_one_over_which_the_cloud_stumbles() {
    let mut world = World::new(1);
    let poisoned = |flight: &Flight, _: Timestamp| {
        if flight.entries.iter().any(|entry| entry.id.0 == 1) { refused(500) } else { taken(flight) }
    };
    world.run(Duration::from_hours(2), poisoned);
    let step = world.step();
    assert!(matches!(step, Step::Wait { why: Why::Scope(Cause::Server), .. }), "{step:?}");
    world.queue.insert(EntryId(2), entry(2));
    world.run(SECOND, poisoned);
    assert_eq!(world.delivered, [EntryId(2)]);
}

#[test]
fn projects_go_one_by_one_without_a_pause_where_there_is_no_batch_endpoint() {
    let mut world = World::new(100);
    world.run(SECOND, |flight, _| if flight.batch { refused(404) } else { taken(flight) });
    assert_eq!(world.delivered.len(), 100, "{:?}", world.requests);
}

#[test]
fn who_was_not_tried_yet_does_not_wait_for_those_whose_repeats_are_scarce() {
    let mut world = World::new(8);
    for _ in 0..20 {
        world.delivery.lane.retries.spend(world.now, u64::MAX);
    }
    for entry in world.queue.values().take(4).cloned().collect::<Vec<_>>() {
        world.delivery.lane.notes.tried(&entry);
    }
    let step = world.run(SECOND, |flight, _| taken(flight));
    assert_eq!(world.delivered, [5, 6, 7, 8].map(EntryId));
    assert!(matches!(step, Step::Wait { why: Why::Sparing, .. }), "{step:?}");
}

#[test]
fn a_parked_one_that_is_refused_again_stops_nobody() {
    let mut world = World::new(1);
    world.queue.values_mut().for_each(|entry| entry.standing = Standing::Parked);
    let step = world.run(Duration::from_hours(1), |_, _| refused(403));
    assert_eq!(world.requests.len(), 1);
    assert!(matches!(step, Step::Wait { why: Why::NotDue, .. }), "{step:?}");
    assert_eq!(world.delivery.may_look_up(world.now), Ok(()));
}

fn project_with(entry: &Entry, status: &str) -> LookUp {
    LookUp::Found(CloudProject { status: status.to_owned(), ..cloud_project(entry) })
}

/// Runs with a cloud that accepts everything (202) and says `status` when it is asked; returns how often it was.
fn accepted(world: &mut World, limit: Duration, status: impl Fn(u32) -> Option<&'static str>) -> u32 {
    let end = world.now.after(limit);
    let mut asked = 0;
    loop {
        match world.run(end.since(world.now), |flight, _| match flight.entries.as_slice() {
            [only] => Answer::Accepted(Some(cloud_project(only))),
            _ => Answer::Accepted(None),
        }) {
            Step::LookUp(entry, _) => {
                asked += 1;
                let told = status(asked).map_or(LookUp::Unknown, |status| project_with(&entry, status));
                let dice = world.throw();
                let landed = world.delivery.looked_up(&entry, &told, world.now, dice);
                world.settle(&landed.settled);
            }
            Step::Send(_)
            | Step::PutOff(_)
            | Step::Renew
            | Step::Again
            | Step::Wait { .. }
            | Step::Rest { .. } => {
                return asked;
            }
        }
    }
}

#[test]
fn what_is_accepted_stays_until_the_cloud_says_that_it_is_done() {
    let mut world = World::new(1);
    accepted(&mut world, Duration::from_secs(20), |_| panic!("asked at once"));
    assert_eq!(world.queue.len(), 1);
    let asked = accepted(&mut world, Duration::from_hours(1), |times| {
        Some(if times < 4 { "pending" } else { "registered" })
    });
    assert_eq!((asked, world.delivered.len()), (4, 1));
}

#[test]
fn it_is_asked_under_the_uuid_that_was_told() {
    let mut world = World::new(1);
    let step = world
        .run(Duration::from_hours(1), |flight, _| Answer::Accepted(Some(cloud_project(&flight.entries[0]))));
    let Step::LookUp(entry, cloud) = step else { panic!("{step:?}") };
    assert_eq!(cloud, Some(cloud_project(&entry).cloud));
}

#[test]
fn texts_that_must_be_escaped_count_as_long_as_they_are_sent() {
    // 24 kB each in a body, 4 in memory: ten fit into 256.
    for (name, most) in [("\u{1}".repeat(4_000), 10), ("x".repeat(4_000), 35)] {
        let mut world = World::new(60);
        for entry in world.queue.values_mut() {
            entry.registration.name.clone_from(&name);
        }
        world.run(Duration::from_hours(1), |flight, _| taken(flight));
        assert_eq!(world.requests.iter().map(Vec::len).max(), Some(most));
    }
}

#[test]
fn only_what_a_batch_says_was_accepted_is_asked_for() {
    let mut world = World::new(3);
    let step = world.run(Duration::from_hours(1), |flight, _| {
        let outcome = |entry: &Entry| match entry.id.0 {
            1 => ItemOutcome::Done(cloud_project(entry)),
            2 => ItemOutcome::Accepted(Some(cloud_project(entry))),
            _ => ItemOutcome::Rejected("no".to_owned()),
        };
        let told = |entry: &Entry| ItemResult { local: entry.registration.local, outcome: outcome(entry) };
        Answer::Results(flight.entries.iter().map(told).collect())
    });
    let Step::LookUp(entry, cloud) = step else { panic!("{step:?}") };
    assert_eq!((entry.id.0, cloud), (2, Some(cloud_project(&entry).cloud)));
    assert_eq!((world.delivered.len(), world.standing(Standing::Dead)), (1, vec![3]));
    assert!(world.now.since(START) >= Duration::from_secs(30), "asked at once");
}

#[test]
fn what_the_cloud_accepts_and_then_fails_is_counted() {
    let mut world = World::new(1);
    accepted(&mut world, Duration::from_hours(100), |_| Some("failed"));
    assert_eq!(world.standing(Standing::Dead), [1]);
}

#[test]
fn a_cloud_that_accepts_everything_and_does_nothing_is_asked_ever_more_seldom() {
    for told in [Some("pending"), None] {
        let mut world = World::new(300);
        let asked = accepted(&mut world, Duration::from_hours(10), |_| told);
        assert_eq!(world.attempts(), 0);
        assert!(asked + u32::try_from(world.requests.len()).unwrap() < 300 * 20, "{told:?}: {asked}");
    }
}
