//! Projects on record, what is queued for them, and how they are listed.

use std::path::{Path, PathBuf};

use sync_core::{
    Asked, Change, ChangeKind, Concerned, Failure, Fate, Field, Given, MachineId, Place, Presence, Project,
    ProjectKind, ScopeId, Vcs,
};
use sync_store::{Applied, Error, Filter, How, State, Store, Unsent, Wish};
use uuid::Uuid;

use crate::support::{
    Home, LIFE, NOW, added, delivered, enqueue, found, kinds, local, project, run, scope, settled, store,
};

const MACHINE: MachineId = MachineId(Uuid::from_u128(7));

#[tokio::test]
async fn a_new_project_is_recorded_and_queued_in_one_commit() {
    let (_home, store, scope) = store().await;
    let commits = store.figures().commits;
    let changes = vec![added(1, "/p/1"), added(2, "/p/2")];
    let applied = store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    assert_eq!(store.figures().commits, commits + 1);
    assert_eq!(applied, Applied { added: 2, enqueued: 2, ..Applied::default() });
    assert_eq!(store.project().all().await.unwrap(), [project(1, "/p/1"), project(2, "/p/2")]);
    assert_eq!(store.project().get(local(2)).await.unwrap(), Some(project(2, "/p/2")));
    assert_eq!(store.outbox().counts(scope, NOW).await.unwrap().ready, 2);
    assert_eq!(
        kinds(&store).await,
        ["project.added", "project.added", "registration.queued", "registration.queued"]
    );
}

#[tokio::test]
async fn many_that_stand_alone_are_recorded_in_parts_and_what_change_places_in_one() {
    let (_home, store, scope) = store().await;
    let new = |range: std::ops::Range<u128>| -> Vec<Change> {
        range.map(|number| added(number, &format!("/p/{number}"))).collect()
    };
    let commits = store.figures().commits;
    let applied = store.project().apply(scope, MACHINE, new(1..301), NOW).await.unwrap();
    assert_eq!(applied, Applied { added: 300, enqueued: 300, ..Applied::default() });
    assert_eq!(store.figures().commits, commits + 3);
    assert_eq!(store.project().all().await.unwrap().len(), 300);
    // Two that change places, of which nobody sees half, and many that are new.
    let moved = |number: u128, from: u128, to: u128| Change {
        kind: ChangeKind::Moved { from: PathBuf::from(format!("/p/{from}")) },
        project: project(number, &format!("/p/{to}")),
    };
    let changes = new(301..601).into_iter().chain([moved(1, 1, 2), moved(2, 2, 1)]).collect();
    let commits = store.figures().commits;
    let applied = store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    assert_eq!((applied.added, applied.moved, applied.missing), (300, 2, 0));
    assert_eq!(store.figures().commits, commits + 4);
    assert_eq!(store.project().apply(scope, MACHINE, Vec::new(), NOW).await.unwrap(), Applied::default());
    assert_eq!(store.figures().commits, commits + 4);
    // Many that move to where nobody was, a chain of which each takes the place of the one before, and one that takes that
    // of one that is gone.
    let away = (10..300).map(|number| moved(number, number, number + 1_000));
    let chain = (3..9).map(|number| moved(number, number, number + 1));
    let gone = Project { presence: Presence::Missing, ..project(9, "/p/9") };
    let gone = Change { kind: ChangeKind::Missing, project: gone };
    let commits = store.figures().commits;
    let applied = store.project().apply(scope, MACHINE, away.chain(chain).chain([gone]).collect(), NOW).await;
    let applied = applied.unwrap();
    assert_eq!((applied.moved, applied.missing), (296, 1), "nobody is taken to be displaced");
    assert_eq!(store.figures().commits, commits + 4);
    for (root, number) in [("/p/4", 3), ("/p/9", 8), ("/p/1299", 299)] {
        let found = store.project().at_or_above(Path::new(root)).await.unwrap();
        assert_eq!(found.map(|project| project.local), Some(local(number)), "{root}");
    }
}

#[tokio::test]
async fn of_the_projects_on_record_those_are_read_that_a_look_at_a_few_places_concerns() {
    let (_home, store, scope) = store().await;
    let at = |number, root: &str, inode: u64, presence| Project {
        place: Some(Place { device: u64::MAX, inode }),
        presence,
        ..project(number, root)
    };
    let records = [
        at(1, "/w", 1, Presence::Present),
        at(2, "/w/a", 2, Presence::Present),
        at(3, "/w/a", 3, Presence::Missing),
        at(4, "/w/a/in", 4, Presence::Missing),
        at(5, "/w/a/in", 5, Presence::Present),
        at(6, "/w/a-b", 6, Presence::Present),
        at(7, "/w/b", u64::MAX, Presence::Missing),
        Project { place: None, ..at(8, "/x", 0, Presence::Present) },
    ];
    let changes =
        records.iter().cloned().map(|project| Change { kind: ChangeKind::Added, project }).collect();
    store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    let concerned = async |concerned: Concerned| -> Vec<u128> {
        let found = store.project().concerned(&concerned).await.unwrap();
        let expected: Vec<Project> =
            store.project().all().await.unwrap().into_iter().filter(|one| concerned.has(one)).collect();
        assert_eq!(found, expected);
        (1..=8).filter(|number| found.iter().any(|one| one.local == local(*number))).collect()
    };
    let none = Concerned::default;
    assert_eq!(concerned(none()).await, []);
    assert_eq!(concerned(Concerned { ids: vec![[8, 9, 10, 11].map(local)], ..none() }).await, [8]);
    assert_eq!(
        concerned(Concerned { roots: ["/w/a".into(), "/w".into()].into(), ..none() }).await,
        [1, 2, 3]
    );
    let place = |inode| Place { device: u64::MAX, inode };
    assert_eq!(concerned(Concerned { places: [place(u64::MAX), place(4)].into(), ..none() }).await, [4, 7]);
    assert_eq!(concerned(Concerned { below: ["/w/a".into()].into(), ..none() }).await, [2, 5]);
    assert_eq!(concerned(Concerned { below: ["/".into()].into(), ..none() }).await, [1, 2, 5, 6, 8]);
}

#[tokio::test]
async fn what_is_only_recorded_is_known_and_not_queued() {
    let (_home, store, scope) = store().await;
    let queued = store.outbox().register(scope, Vec::new(), vec![added(1, "/p/1")], NOW).await.unwrap();
    assert!(queued.is_empty());
    assert!(store.project().get(local(1)).await.unwrap().is_some());
    assert_eq!(store.outbox().counts(scope, NOW).await.unwrap().ready, 0);
}

#[tokio::test]
async fn a_wish_and_its_record_are_one_commit() {
    let (_home, store, scope) = store().await;
    let commits = store.figures().commits;
    let wish = found(1, "a");
    let taken = store.outbox().register(scope, vec![wish], vec![added(1, "/p/1")], NOW).await.unwrap();
    assert_eq!(store.figures().commits, commits + 1);
    assert!(matches!(taken[0].how, How::Added(..)));
    assert_eq!(kinds(&store).await, ["registration.queued", "project.added"]);
}

#[tokio::test]
async fn a_refused_wish_leaves_no_record() {
    let home = Home { limit: 1, ..Home::new() };
    let store = home.open().await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    enqueue(&store, scope, found(1, "a"), NOW).await;
    let refused = store.outbox().register(scope, vec![found(2, "b")], vec![added(2, "/p/2")], NOW).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "{refused:?}");
    assert_eq!(store.project().get(local(2)).await.unwrap(), None);
}

#[tokio::test]
async fn callers_who_name_one_place_at_once_do_not_fail_each_other() {
    let (_home, store, scope) = store().await;
    let outbox = store.outbox();
    let (one, two, three) = tokio::join!(
        outbox.register(scope, vec![found(1, "a")], vec![added(1, "/p/same")], NOW),
        outbox.register(scope, vec![found(2, "b")], vec![added(2, "/p/same")], NOW),
        outbox.register(scope, vec![found(3, "c")], vec![added(3, "/p/3")], NOW),
    );
    for told in [one, two, three] {
        assert!(matches!(told.unwrap()[0].how, How::Added(..)));
    }
    let owner = store.project().at_or_above(Path::new("/p/same")).await.unwrap().unwrap();
    assert_eq!(owner.local, local(2));
    assert_eq!(store.project().get(local(1)).await.unwrap().unwrap().presence, Presence::Missing);
    assert!(kinds(&store).await.contains(&"project.missing".to_owned()));
}

#[tokio::test]
async fn a_change_of_what_the_cloud_was_not_told_queues_nothing() {
    let (_home, store, scope) = store().await;
    store.project().apply(scope, MACHINE, vec![added(1, "/p/1")], NOW).await.unwrap();
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    let again = Project { vcs: Vcs::None, ..project(1, "/p/1") };
    let change = Change { kind: ChangeKind::Changed, project: again.clone() };
    let applied = store.project().apply(scope, MACHINE, vec![change], NOW).await.unwrap();
    assert_eq!(applied, Applied { changed: 1, ..Applied::default() });
    assert_eq!(store.project().get(local(1)).await.unwrap(), Some(again));

    let gone = Project { presence: Presence::Missing, ..project(1, "/p/1") };
    let change = Change { kind: ChangeKind::Missing, project: gone };
    let applied = store.project().apply(scope, MACHINE, vec![change], NOW).await.unwrap();
    assert_eq!(applied, Applied { missing: 1, ..Applied::default() });
    assert!(store.mapping().get(scope, local(1)).await.unwrap().is_some(), "the cloud still has it");
}

#[tokio::test]
async fn what_was_given_while_a_look_went_on_is_not_replaced_by_what_it_saw() {
    let (_home, store, scope) = store().await;
    let given = Project {
        language: "Forth".to_owned(),
        given: Given::default().with(Field::Language),
        ..project(1, "/p/1")
    };
    let change = Change { kind: ChangeKind::Added, project: given.clone() };
    let wish = Wish { registration: given.registration(MACHINE), asked: Asked::ByUser, force: false };
    store.outbox().register(scope, vec![wish], vec![change], NOW).await.unwrap();
    // The look began before, so it knows nothing of that.
    let seen = Project { language: "C".to_owned(), given: Given::default(), ..given.clone() };
    let change = Change { kind: ChangeKind::Changed, project: seen };
    store.project().apply(scope, MACHINE, vec![change], NOW).await.unwrap();
    let record = store.project().get(local(1)).await.unwrap().unwrap();
    assert_eq!((record.language.as_str(), record.given), ("Forth", given.given));
    let entry = store.outbox().waiting_for(scope, local(1)).await.unwrap().unwrap();
    assert_eq!(entry.registration.language, "Forth");
}

#[tokio::test]
async fn projects_may_swap_places_and_displace_each_other() {
    let (_home, store, scope) = store().await;
    let changes = vec![added(1, "/p/1"), added(2, "/p/2"), added(3, "/p/3")];
    store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    let moved = |number, from: &str, to| Change {
        kind: ChangeKind::Moved { from: PathBuf::from(from) },
        project: project(number, to),
    };
    // 1 and 2 change places, and 4 appears where 3 was.
    let changes = vec![moved(1, "/p/1", "/p/2"), moved(2, "/p/2", "/p/1"), added(4, "/p/3")];
    let applied = store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    assert_eq!(applied, Applied { added: 1, moved: 2, missing: 1, enqueued: 3, ..Applied::default() });
    let shown: Vec<(PathBuf, Presence)> =
        store.project().all().await.unwrap().into_iter().map(|one| (one.root, one.presence)).collect();
    let expected = [
        ("/p/2", Presence::Present),
        ("/p/1", Presence::Present),
        ("/p/3", Presence::Missing),
        ("/p/3", Presence::Present),
    ];
    assert_eq!(shown, expected.map(|(root, presence)| (PathBuf::from(root), presence)));
}

#[tokio::test]
async fn the_innermost_project_at_or_above_a_path_is_found() {
    let (_home, store, scope) = store().await;
    let mut gone = added(3, "/w/a/gone");
    gone.project.presence = Presence::Missing;
    let changes = vec![added(1, "/w"), added(2, "/w/a"), gone];
    store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    for (path, expected) in [
        ("/w", Some(1)),
        ("/w/a", Some(2)),
        ("/w/a/src/deep/file.rs", Some(2)),
        ("/w/a/gone/x", Some(2)),
        ("/w/ab", Some(1)),
        ("/x", None),
        ("/", None),
    ] {
        let found = store.project().at_or_above(Path::new(path)).await.unwrap();
        assert_eq!(found.map(|project| project.local), expected.map(local), "{path}");
    }
}

/// 1 registered, 2 waiting, 3 missing, 4 dead, 5 in the cloud with newer content waiting.
async fn one_of_each(store: &Store, scope: ScopeId) {
    let changes = (1..=5).map(|number| added(number, &format!("/p/{number}"))).collect();
    store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    let failure = Failure { code: "http_422".to_owned(), message: String::new(), at: NOW };
    let mut flown = Vec::new();
    for (number, fate) in [(1, delivered(51)), (4, Fate::Bury(failure)), (5, delivered(55))] {
        flown.push(settled(store, scope, number, fate).await);
    }
    store.outbox().settle(scope, flown, LIFE, 0, NOW).await.unwrap();
    let gone = Project { presence: Presence::Missing, ..project(3, "/p/3") };
    let newer = Project { language: "Go".to_owned(), ..project(5, "/p/5") };
    let changes = vec![
        Change { kind: ChangeKind::Missing, project: gone },
        Change { kind: ChangeKind::Changed, project: newer },
    ];
    store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
}

#[tokio::test]
async fn projects_are_listed_and_counted_by_where_they_stand() {
    let (_home, store, scope) = store().await;
    one_of_each(&store, scope).await;
    let counts = store.project().counts(scope).await.unwrap();
    assert_eq!(
        (counts.total, counts.registered, counts.pending, counts.missing, counts.rejected),
        (5, 1, 2, 1, 1)
    );
    let everything = Filter::default();
    let state = |state| Filter { state: Some(state), ..Filter::default() };
    for (filter, expected) in [
        (everything.clone(), vec![1, 2, 3, 4, 5]),
        (state(State::Registered), vec![1]),
        (state(State::Pending), vec![2, 5]),
        (state(State::Missing), vec![3]),
        (state(State::Rejected), vec![4]),
        (Filter { language: Some("Go".to_owned()), ..Filter::default() }, vec![5]),
        (Filter { kind: Some(ProjectKind::Monorepo), ..Filter::default() }, vec![]),
    ] {
        let views = store.project().list(scope, &filter, None, 10).await.unwrap();
        let locals: Vec<_> = views.iter().map(|view| view.project.local).collect();
        assert_eq!(locals, expected.into_iter().map(local).collect::<Vec<_>>(), "{filter:?}");
    }
    let second_page = store.project().list(scope, &everything, Some(local(3)), 1).await.unwrap();
    assert_eq!(second_page[0].project.local, local(4));
    let last = store.project().list(scope, &everything, Some(local(4)), 9).await.unwrap().remove(0);
    assert_eq!((last.state, last.mapping.is_some(), last.entry.is_some()), (State::Pending, true, true));
    let other = store.scope().ensure(&scope_of("other")).await.unwrap();
    assert_eq!(store.project().counts(other).await.unwrap().pending, 4);
}

fn scope_of(tenant: &str) -> sync_core::Scope {
    scope(tenant)
}

async fn unsent(store: &Store, scope: ScopeId) -> Unsent {
    store.project().enqueue_unsent(scope, MACHINE, None, 100, NOW).await.unwrap()
}

#[tokio::test]
async fn what_changed_while_another_tenant_had_its_turn_is_sent_when_the_first_is_back() {
    let (_home, store, first) = store().await;
    let second = store.scope().ensure(&scope_of("other")).await.unwrap();
    store.project().apply(first, MACHINE, vec![added(1, "/p/1")], NOW).await.unwrap();
    let flown = settled(&store, first, 1, delivered(51)).await;
    store.outbox().settle(first, vec![flown], LIFE, 0, NOW).await.unwrap();
    assert_eq!(unsent(&store, first).await, Unsent::default(), "what was sent as it is, is not sent again");

    let mut changed = added(1, "/p/1");
    changed.kind = ChangeKind::Changed;
    changed.project.content_hash = "newer".to_owned();
    store.project().apply(second, MACHINE, vec![changed], NOW).await.unwrap();
    assert_eq!(unsent(&store, first).await, Unsent { queued: 1, ..Unsent::default() });
    let waiting = store.outbox().waiting_for(first, local(1)).await.unwrap().unwrap();
    assert_eq!(waiting.registration.content_hash, "newer");
    assert_eq!(unsent(&store, first).await, Unsent::default());
}

#[tokio::test]
async fn a_damaged_project_does_not_hide_those_behind_it_from_a_page() {
    let (home, store, scope) = store().await;
    let records: Vec<Change> = (1..=4).map(|number| added(number, &format!("/p/{number}"))).collect();
    store.outbox().register(scope, Vec::new(), records, NOW).await.unwrap();
    run(&home, "update project set kind = 'x' where root = cast('/p/2' as blob)").await;
    let page = store.project().list(scope, &Filter::default(), None, 3).await.unwrap();
    let seen: Vec<_> = page.iter().map(|view| view.project.local).collect();
    assert_eq!(seen, [1, 3, 4].map(local));
}

#[tokio::test]
async fn what_is_unsent_is_looked_for_page_by_page() {
    let (_home, store, scope) = store().await;
    let records: Vec<Change> = (1..=5).map(|number| added(number, &format!("/p/{number}"))).collect();
    store.outbox().register(scope, Vec::new(), records, NOW).await.unwrap();
    let (mut after, mut queued) = (None, Vec::new());
    loop {
        let page = store.project().enqueue_unsent(scope, MACHINE, after, 2, NOW).await.unwrap();
        queued.push(page.queued);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(queued, [2, 2, 1]);
}

#[tokio::test]
async fn what_was_never_sent_can_be_queued_later() {
    let home = Home { limit: 1, ..Home::new() };
    let store = home.open().await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    let changes = vec![added(1, "/p/1"), added(2, "/p/2")];
    let applied = store.project().apply(scope, MACHINE, changes, NOW).await.unwrap();
    assert_eq!((applied.added, applied.enqueued, applied.refused), (2, 1, 1));
    let nothing = Unsent { refused: 1, ..Unsent::default() };
    assert_eq!(unsent(&store, scope).await, nothing);
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    assert_eq!(unsent(&store, scope).await, Unsent { queued: 1, ..Unsent::default() });
    let registration = project(2, "/p/2").registration(MACHINE);
    let wish = Wish { registration, asked: Asked::ByDiscovery, force: false };
    assert!(matches!(enqueue(&store, scope, wish, NOW).await, How::Waiting(..)));
}

#[tokio::test]
async fn what_was_dropped_waits_again_only_when_it_changes() {
    let (_home, store, scope) = store().await;
    let change = added(1, "/p/1");
    store.project().apply(scope, MACHINE, vec![change.clone()], NOW).await.unwrap();
    let waiting = store.outbox().waiting_for(scope, change.project.local).await.unwrap().unwrap();
    assert_eq!(store.outbox().drop_entries(&[waiting.id]).await.unwrap(), 1);
    assert_eq!(unsent(&store, scope).await, Unsent::default());
    let mut changed = change;
    changed.project.content_hash = "other".to_owned();
    changed.kind = ChangeKind::Changed;
    store.project().apply(scope, MACHINE, vec![changed], NOW).await.unwrap();
    assert_eq!(store.outbox().counts(scope, NOW).await.unwrap().ready, 1);
}

#[tokio::test]
async fn a_project_a_user_named_for_one_tenant_is_not_told_to_another() {
    let (_home, store, first) = store().await;
    let second = store.scope().ensure(&scope_of("other")).await.unwrap();
    for (number, asked, told) in [(1, Asked::ByDiscovery, 1), (2, Asked::ByUser, 0)] {
        let mut change = added(number, &format!("/p/{number}"));
        change.project.asked = asked;
        store.project().apply(first, MACHINE, vec![change], NOW).await.unwrap();
        assert_eq!(unsent(&store, second).await.queued, told, "{asked:?}");
    }
}

#[tokio::test]
async fn a_mapping_is_kept_counted_refreshed_and_forgotten() {
    let (_home, store, scope) = store().await;
    store.project().apply(scope, MACHINE, vec![added(1, "/p/1"), added(2, "/p/2")], NOW).await.unwrap();
    let flown =
        vec![settled(&store, scope, 1, delivered(51)).await, settled(&store, scope, 2, delivered(52)).await];
    store.outbox().settle(scope, flown, LIFE, 9, NOW).await.unwrap();
    let first = store.mapping().get(scope, local(1)).await.unwrap().unwrap();
    let older = sync_core::Mapping { expires_at: NOW, refresh_at: NOW, ..first };
    store.mapping().put(scope, older.clone(), NOW).await.unwrap();
    assert_eq!(store.mapping().due_for_refresh(scope, NOW, 10).await.unwrap(), [older]);
    let counts = store.mapping().counts(scope, NOW).await.unwrap();
    assert_eq!((counts.entries, counts.fresh, counts.stale), (2, 1, 1));
    // The cloud is not asked about a project that is gone until it is back.
    let change = |kind, presence| Change { kind, project: Project { presence, ..project(1, "/p/1") } };
    let gone = vec![change(ChangeKind::Missing, Presence::Missing)];
    store.project().apply(scope, MACHINE, gone, NOW).await.unwrap();
    let far = NOW.after(LIFE * 1_000);
    let due = async || store.mapping().due_for_refresh(scope, far, 10).await.unwrap();
    assert_eq!(due().await.iter().map(|mapping| mapping.local).collect::<Vec<_>>(), [local(2)]);
    // Also not after the clock was set back.
    store.mapping().set_back(scope, LIFE, NOW.before(LIFE)).await.unwrap();
    assert_eq!(due().await.iter().map(|mapping| mapping.local).collect::<Vec<_>>(), [local(2)]);
    let back = vec![change(ChangeKind::Returned, Presence::Present)];
    store.project().apply(scope, MACHINE, back, NOW).await.unwrap();
    assert_eq!(due().await.len(), 2);

    // A clock that was a year ahead when they were told is set back.
    let ago = NOW.before(LIFE * 365);
    let mut younger = store.mapping().set_back(scope, LIFE, ago).await.unwrap();
    younger.sort();
    assert_eq!(younger, [local(1), local(2)]);
    let mapping = store.mapping().get(scope, local(2)).await.unwrap().unwrap();
    assert_eq!((mapping.cached_at, mapping.expires_at, mapping.refresh_at), (ago, ago.after(LIFE), ago));
    assert!(store.mapping().set_back(scope, LIFE, ago).await.unwrap().is_empty());

    assert!(store.mapping().forget(scope, local(1)).await.unwrap());
    assert!(!store.mapping().forget(scope, local(1)).await.unwrap());
    assert_eq!(store.mapping().all_in(scope).await.unwrap().len(), 1);
}
