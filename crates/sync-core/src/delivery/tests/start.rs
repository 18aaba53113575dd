//! The first requests of a process.

use super::*;

#[test]
fn the_first_request_is_a_single_one_to_see_whether_there_is_a_way() {
    let mut world = World::just_started(100);
    world.run(SECOND, |flight, _| taken(flight));
    assert_eq!(world.requests.iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 16, 55, 24]);
}

#[test]
fn nothing_is_sent_while_the_machine_starts_and_a_wrong_clock_does_not_make_that_longer() {
    let mut world = World::just_started(1);
    let until = START.after(SECOND);
    world.delivery.hold(until);
    assert_eq!(world.step(), Step::Wait { until, why: Why::Sparing });
    world.now = START.before(Duration::from_hours(24));
    world.queue.values_mut().for_each(|entry| entry.due = world.now);
    assert!(matches!(world.step(), Step::Send(_)));
}

#[test]
fn after_an_unclean_end_chance_says_who_goes_first_until_something_passes() {
    let first = |careful: bool| {
        let firsts = (0..40).map(|dice| {
            let mut world = World::just_started(20);
            world.dice = dice;
            if careful {
                world.delivery.begin_carefully();
            }
            let Step::Send(flight) = world.step() else { panic!("nothing sent") };
            flight.entries[0].id
        });
        firsts.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(first(false), 1);
    assert!(first(true) > 10);
}

#[test]
fn one_that_was_in_the_air_at_every_crash_goes_alone() {
    let mut world = World::new(10);
    let suspect = world.queue[&EntryId(4)].clone();
    world.delivery.suspect(&suspect);
    world.run(SECOND, |flight, _| taken(flight));
    assert!(world.requests.contains(&vec![4]), "{:?}", world.requests);
    assert_eq!(world.delivered.len(), 10);
}
