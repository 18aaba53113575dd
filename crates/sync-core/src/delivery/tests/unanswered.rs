//! Newer content of a project waits while an older request about it may still be carried out.

use super::*;

const LIFETIME: Duration = Duration::from_mins(1);

/// The content of a project is another from now on.
fn change(world: &mut World, number: i64) {
    let now = world.now;
    let entry = world.queue.entry(EntryId(number)).or_insert_with(|| entry(number));
    entry.registration.content_hash = format!("{}+", entry.registration.content_hash);
    entry.hash = entry.registration.payload_hash();
    entry.revision = Revision(entry.revision.0 + 1);
    entry.due = now;
}

/// What the cloud sees: when, and which revisions.
fn run(world: &mut World, limit: Duration, answer: impl Fn(&Flight) -> Answer) -> Vec<(Timestamp, i64)> {
    let mut seen = Vec::new();
    world.run(limit, |flight, now| {
        seen.extend(flight.entries.iter().map(|entry| (now, entry.revision.0)));
        answer(flight)
    });
    seen
}

/// One project, sent once under this answer, at once; its world.
fn sent_in_vain(answer: &Answer) -> World {
    let mut world = World::new(1);
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    let now = world.now;
    let landed = world.delivery.landed(&flight, answer, Hints::default(), SECOND, now, 1);
    world.settle(&landed.settled);
    world
}

#[test]
fn newer_content_waits_until_what_got_no_answer_cannot_come_any_more() {
    for answer in [
        Answer::Unreachable(Unreachable::AnswerTimeout),
        Answer::Unreachable(Unreachable::Reset),
        Answer::Internal("it panicked".to_owned()),
        refused(502),
        refused(503),
        refused(504),
        refused(520),
        refused(524),
        refused(527),
    ] {
        let mut world = sent_in_vain(&answer);
        change(&mut world, 1);
        let seen = run(&mut world, 5 * LIFETIME, taken);
        assert_eq!(seen.len(), 1, "{answer:?}: {seen:?}");
        let (at, revision) = seen[0];
        assert_eq!(revision, 2, "{answer:?}");
        assert!(at >= START.after(LIFETIME) && at < START.after(3 * LIFETIME), "{answer:?}: {at:?}");
    }
}

#[test]
fn it_does_not_wait_where_nothing_can_come_any_more() {
    for answer in [
        Answer::Unreachable(Unreachable::ConnectRefused),
        Answer::Unreachable(Unreachable::NoRoute),
        Answer::Refused(Refusal { status: 503, wait: Some(SECOND), words: String::new() }),
        refused(401),
        refused(500),
    ] {
        let mut world = sent_in_vain(&answer);
        change(&mut world, 1);
        assert_eq!(world.delivery.unanswered, Unanswered::default(), "{answer:?}");
    }
}

#[test]
fn the_same_content_goes_again_at_once_and_newer_content_waits_even_after_it_was_delivered() {
    let mut world = sent_in_vain(&Answer::Unreachable(Unreachable::Reset));
    let again = run(&mut world, LIFETIME / 2, taken);
    assert_eq!(again.iter().map(|(_, revision)| *revision).collect::<Vec<_>>(), [1]);
    assert!(again[0].0 < START.after(LIFETIME / 2));
    change(&mut world, 1);
    let content = world.queue[&EntryId(1)].clone();
    let seen = run(&mut world, 2 * LIFETIME, taken);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].0 >= START.after(LIFETIME), "{seen:?}");
    // What it was is not remembered longer than needed.
    assert_eq!(world.delivery.unanswered.put_off(&[content], seen[0].0, LIFETIME), []);
    assert_eq!(world.delivery.unanswered, Unanswered::default());
}

#[test]
fn it_is_said_why_a_project_waits_and_it_does_not_count_against_it() {
    let mut world = sent_in_vain(&Answer::Unreachable(Unreachable::Reset));
    change(&mut world, 1);
    let step = world.step();
    let Step::PutOff(settled) = &step else { panic!("{step:?}") };
    let [Settled { fate: Fate::Back { due, failure: Some(failure) }, .. }] = &settled[..] else {
        panic!("{settled:?}")
    };
    assert_eq!((*due, &*failure.code), (START.after(LIFETIME), "unanswered"));
    world.settle(settled);
    assert!(!matches!(world.step(), Step::PutOff(_)), "it is written down once");
}

#[test]
fn the_others_do_not_wait_with_it() {
    let mut world = World::new(20);
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    assert_eq!(flight.entries.len(), 20);
    let now = world.now;
    let reset = Answer::Unreachable(Unreachable::Reset);
    let landed = world.delivery.landed(&flight, &reset, Hints::default(), SECOND, now, 1);
    world.settle(&landed.settled);
    change(&mut world, 7);
    world.run(LIFETIME / 2, |flight, _| taken(flight));
    assert_eq!(world.delivered.len(), 19);
    assert_eq!(world.queue.keys().copied().collect::<Vec<_>>(), [EntryId(7)]);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_it_longer() {
    let mut world = sent_in_vain(&Answer::Unreachable(Unreachable::Reset));
    change(&mut world, 1);
    world.now = START.before(Duration::from_hours(24));
    world.queue.values_mut().for_each(|entry| entry.due = world.now);
    assert!(!matches!(world.step(), Step::PutOff(_)));
}

#[test]
fn a_request_that_was_given_up_and_another_scope_in_between_change_nothing() {
    let mut world = World::new(1);
    let Step::Send(flight) = world.step() else { panic!("nothing sent") };
    world.delivery.enter_scope(world.now);
    world.delivery.landed_late();
    world.delivery.given_up(&flight, world.now);
    world.delivery.enter_scope(world.now);
    change(&mut world, 1);
    assert!(matches!(world.step(), Step::PutOff(_)));
    // The number may be another project's in another scope.
    let mut elsewhere = world.queue[&EntryId(1)].clone();
    elsewhere.scope = ScopeId(2);
    let heads = Heads { entries: vec![elsewhere], next_due: None };
    assert!(!matches!(world.delivery.plan(world.now, 1, &heads), Step::PutOff(_)));
}

#[test]
fn what_was_given_up_is_a_repeat_when_it_goes_again_in_its_own_scope() {
    for is_left in [false, true] {
        let mut world = World::new(1);
        let Step::Send(flight) = world.step() else { panic!("nothing sent") };
        if is_left {
            world.delivery.enter_scope(world.now);
        }
        world.delivery.given_up(&flight, world.now);
        assert_eq!(world.delivery.lane.notes.was_tried(&flight), !is_left);
        assert!(matches!(world.step(), Step::Send(_)), "and the next may be sent");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut unanswered = Unanswered::default();
    let many: Vec<Entry> = (0..12_000).map(entry).collect();
    unanswered.add(&many, START, LIFETIME);
    let mut newer = many.clone();
    for entry in &mut newer {
        entry.hash.0[0] ^= 1;
    }
    assert_eq!(unanswered.put_off(&newer, START, LIFETIME).len(), 10_000);
    // Those that are over make room.
    let later = START.after(LIFETIME);
    unanswered.add(&many[11_000..], later, LIFETIME);
    assert_eq!(unanswered.put_off(&newer, later, LIFETIME).len(), 1_000);
    unanswered.add(&many, later, Duration::ZERO);
    assert_eq!(unanswered.put_off(&newer, later, LIFETIME).len(), 1_000);
}

#[test]
fn newer_content_waits_for_what_was_only_accepted() {
    let of_a_batch = ItemResult { local: entry(1).registration.local, outcome: ItemOutcome::Accepted(None) };
    for answer in [Answer::Accepted(None), Answer::Results(vec![of_a_batch])] {
        let mut world = sent_in_vain(&answer);
        change(&mut world, 1);
        let seen = run(&mut world, 5 * LIFETIME, taken);
        assert_eq!(seen.iter().map(|(_, revision)| *revision).collect::<Vec<_>>(), [2], "{answer:?}");
        assert!(seen[0].0 >= START.after(LIFETIME), "{answer:?}: {seen:?}");
    }
}
