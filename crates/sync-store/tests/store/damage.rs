//! The ways a database is damaged, and what is left of it afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use sync_core::{
    Asked, Change, ChangeKind, Entry, EntryId, Failure, Fate, LocalId, MachineId, Mapping, Place, Presence,
    Project, ProjectKind, Scope, ScopeId, Settled, Vcs,
};
use sync_store::{Opened, Store};
use uuid::Uuid;

use crate::support::{Home, LIFE, NOW, delivered, enqueue, found, local, scope, wish};

const MACHINE: MachineId = MachineId(Uuid::from_u128(7));
const PAGE: usize = 4096;
const PROJECTS: u128 = 240;

/// What a database holds that has to outlive it.
#[derive(PartialEq, Debug, Default)]
struct Truth {
    scopes: BTreeMap<ScopeId, Scope>,
    entries: BTreeMap<(ScopeId, LocalId), Entry>,
    mappings: BTreeMap<(ScopeId, LocalId), Mapping>,
    projects: BTreeMap<LocalId, Project>,
    paused: Option<String>,
}

impl Truth {
    async fn of(store: &Store) -> Self {
        let mut truth =
            Self { scopes: store.scope().all().await.unwrap().into_iter().collect(), ..Self::default() };
        for scope in truth.scopes.keys() {
            for entry in store.outbox().list(*scope, None, None, u32::MAX, NOW).await.unwrap() {
                truth.entries.insert((*scope, entry.registration.local), entry);
            }
            for mapping in store.mapping().all_in(*scope).await.unwrap() {
                truth.mappings.insert((*scope, mapping.local), mapping);
            }
        }
        truth.projects =
            store.project().all().await.unwrap().into_iter().map(|one| (one.local, one)).collect();
        truth.paused = store.meta().get("paused").await.unwrap();
        truth
    }

    fn size(&self) -> usize {
        self.entries.len() + self.mappings.len() + self.projects.len()
    }

    /// Everything that is left is as it was. A mapping may have to be confirmed earlier, and an entry, whose hash is of
    /// what is sent, may have lost when it is due and since when it waits.
    fn is_part_of(&self, whole: &Self) -> Result<(), String> {
        for (id, scope) in &self.scopes {
            if whole.scopes.get(id) != Some(scope) {
                return Err(format!("{id:?} is {scope:?} now"));
            }
        }
        for (key, entry) in &self.entries {
            let same = whole.entries.get(key).is_some_and(|was| {
                let (due, enqueued_at) = (entry.due.min(was.due), entry.enqueued_at.min(was.enqueued_at));
                let since_1970 = entry.enqueued_at.0 > 0;
                since_1970 && *entry == Entry { due, enqueued_at, ..was.clone() }
            });
            if !same {
                return Err(format!("{entry:?} was {:?}", whole.entries.get(key)));
            }
        }
        for (key, mapping) in &self.mappings {
            let same = whole.mappings.get(key).is_some_and(|was| {
                let confirmed_at = mapping.refresh_at.min(was.refresh_at);
                mapping.clone() == Mapping { refresh_at: confirmed_at, ..was.clone() }
            });
            if !same {
                return Err(format!("{mapping:?} was {:?}", whole.mappings.get(key)));
            }
        }
        for (local, project) in &self.projects {
            if whole.projects.get(local) != Some(project) {
                return Err(format!("{project:?} was {:?}", whole.projects.get(local)));
            }
        }
        Ok(())
    }
}

/// A database's files, as they lie there.
#[derive(Clone)]
struct Image {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    fn of(home: &Home) -> Self {
        let log = fs::read(home.folder.path().join("sync.db-wal")).unwrap_or_default();
        Self { database: fs::read(home.file()).unwrap(), log }
    }

    fn lay_out(&self) -> Home {
        let home = Home::new();
        fs::write(home.file(), &self.database).unwrap();
        if !self.log.is_empty() {
            fs::write(home.folder.path().join("sync.db-wal"), &self.log).unwrap();
        }
        fs::write(home.folder.path().join("sync.db.instance"), Uuid::from_u128(1).to_string()).unwrap();
        home
    }

    fn pages(&self) -> usize {
        self.database.len() / PAGE
    }

    fn page(&mut self, number: usize) -> &mut [u8] {
        &mut self.database[number * PAGE..(number + 1) * PAGE]
    }
}

/// A database as a kill leaves it and as a good end does, and what is in it.
struct Sample {
    killed: Image,
    closed: Image,
    truth: Truth,
}

async fn sample() -> Sample {
    let home = Home::new();
    let store = home.open().await;
    let (acme, other) = (scope("acme"), scope("other"));
    let acme = store.scope().ensure(&acme).await.unwrap();
    let other = store.scope().ensure(&other).await.unwrap();
    let changes = (1..=PROJECTS).map(|number| Change { kind: ChangeKind::Added, project: project(number) });
    store.project().apply(acme, MACHINE, changes.collect(), NOW).await.unwrap();
    let entries = store.outbox().list(acme, None, None, u32::MAX, NOW).await.unwrap();
    let failure = Failure { code: "http_422".to_owned(), message: "no ".repeat(800), at: NOW };
    let settled = entries.iter().take(120).map(|entry| {
        let number = entry.registration.local.0.as_u128();
        let fate = match number % 6 {
            0 => Fate::Bury(failure.clone()),
            1 => Fate::Retry { due: NOW.after(LIFE), failure: failure.clone() },
            _ => delivered(number + 1_000),
        };
        let (local, revision) = (entry.registration.local, entry.revision);
        Settled { entry: entry.id, local, revision, hash: entry.hash, fate }
    });
    store.outbox().settle(acme, settled.collect(), LIFE, 9, NOW).await.unwrap();
    store.outbox().drop_entries(&[EntryId(200)]).await.unwrap();
    store.meta().set("paused", "yes").await.unwrap();
    store.checkpoint().await.unwrap();
    // This is only in the log.
    for number in 130..=160 {
        enqueue(&store, acme, wish(number, "newer", Asked::ByUser), NOW).await;
        enqueue(&store, other, found(number, "other"), NOW).await;
    }
    let truth = Truth::of(&store).await;
    let killed = Image::of(&home);
    assert!(!killed.log.is_empty() && truth.size() > 450, "{}", truth.size());
    store.close().await.unwrap();
    let closed = Image::of(&home);
    assert!(closed.log.is_empty());
    Sample { killed, closed, truth }
}

fn project(number: u128) -> Project {
    let root = match number % 40 {
        // Longer than fits on the page of its row.
        0 => format!("/home/u/{}/{number}", "long/".repeat(500)),
        _ => format!("/home/u/code/{number}"),
    };
    Project {
        local: local(number),
        root: PathBuf::from(root),
        place: Some(Place { device: 2, inode: u64::MAX - 5 }),
        born: number.is_multiple_of(3).then_some(1_700_000_000_000_000_000),
        given: sync_core::Given::from_bits(i64::try_from(number).unwrap_or(0) % 32),
        vcs_place: None,
        vcs: Vcs::Git,
        name: format!("project {number}"),
        language: "Rust".to_owned(),
        framework: String::new(),
        content_hash: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
        kind: ProjectKind::Standalone,
        parent: number.is_multiple_of(7).then(|| local(number + 1)),
        presence: Presence::Present,
        asked: Asked::ByDiscovery,
        first_seen_at: NOW,
        seen_at: NOW,
    }
}

/// Opens what a damage left and compares it with what was there. Says what is left.
#[expect(clippy::disallowed_methods, reason = "how long a start takes is what is asked")]
async fn survive(name: &str, image: &Image, truth: &Truth) -> (Opened, Truth, Home) {
    // One that starts slowly although no machine paused does so each time.
    let mut took = Vec::new();
    let (home, opened) = loop {
        let home = image.lay_out();
        let started = std::time::Instant::now();
        let opened = home.try_open(2).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        took.push(started.elapsed());
        if started.elapsed().as_secs() < 5 {
            break (home, opened);
        }
        assert!(took.len() < 5, "{name}: took {took:?}");
    };
    let left = Truth::of(&opened.store).await;
    if let Err(difference) = left.is_part_of(truth) {
        panic!("{name}: {difference}");
    }
    if let Some(kept_at) = &opened.set_aside {
        assert_eq!(fs::read(kept_at).unwrap(), image.database, "{name}: what was there is kept as it was");
        if !image.log.is_empty() {
            let log = kept_at.with_file_name(format!("{}-wal", kept_at.file_name().unwrap().display()));
            assert_eq!(fs::read(log).unwrap(), image.log, "{name}: and its log");
        }
        let carried = opened.carried.entries + opened.carried.mappings + opened.carried.projects;
        assert_eq!(carried, left.size() as u64, "{name}");
    }
    // It goes on as any other.
    for scope in left.scopes.keys() {
        enqueue(&opened.store, *scope, found(9_999, "new"), NOW).await;
        let counted = opened.store.outbox().counts(*scope, NOW).await.unwrap();
        let listed =
            opened.store.outbox().list(*scope, None, None, u32::MAX, NOW).await.unwrap().len() as u64;
        let counted = counted.ready + counted.delayed + counted.parked + counted.dead;
        // One whose hash does not fit is not listed.
        let hidden = u64::from(opened.set_aside.is_none());
        assert!((listed..=listed + hidden).contains(&counted), "{name}: {listed} of {counted}");
    }
    (opened, left, home)
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[tokio::test]
async fn a_header_that_is_overwritten_costs_nothing() {
    let Sample { killed, closed, truth } = sample().await;
    for (name, mut image) in [("killed", killed), ("closed", closed)] {
        image.database[..100].fill(0xff);
        let (opened, left, _home) = survive(name, &image, &truth).await;
        assert_eq!(left, truth, "{name}");
        // Of a killed one the first page is whole in the log.
        if name == "closed" {
            assert!(opened.set_aside.is_some() && opened.unclean, "{name}");
            assert_eq!(opened.instance, Uuid::from_u128(2), "{name}");
        }
    }
}

#[tokio::test]
async fn numbers_go_on_and_what_was_set_aside_of_the_old_queue_stays() {
    let Sample { closed, .. } = sample().await;
    let home = closed.lay_out();
    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    sqlx::query("insert into legacy_aside values (7, x'2f61', x'31', 'create', x'7b', 'it is cut off', 5)")
        .execute(&mut connection)
        .await
        .unwrap();
    let events: i64 =
        sqlx::query_scalar("select max(id) from event").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut image = Image::of(&home);
    image.page(0).fill(0);
    let home = image.lay_out();
    let store = home.try_open(2).await.unwrap().store;
    let told = store.event().since(0, 10).await.unwrap();
    assert_eq!((told.len(), told[0].kind.as_str(), told[0].id), (1, "database.rebuilt", events + 1));
    let asides = store.legacy().aside(10).await.unwrap();
    assert_eq!((asides.len(), asides[0].reason.as_str()), (1, "it is cut off"));
}

#[tokio::test]
async fn of_a_file_with_no_bytes_the_log_is_left() {
    let Sample { killed, closed, truth } = sample().await;
    let emptied = |image: Image| Image { database: Vec::new(), ..image };
    let (opened, left, _home) = survive("closed", &emptied(closed), &truth).await;
    assert!(opened.set_aside.is_some() && left.size() == 0);
    let (opened, left, _home) = survive("killed", &emptied(killed), &truth).await;
    assert!(opened.set_aside.is_some());
    // The scopes were not in it, and what is of an unknown tenant is not sent to any.
    assert!(left.entries.is_empty() && left.scopes.is_empty());
}

#[tokio::test]
async fn of_a_file_cut_in_half_the_half_is_left() {
    let Sample { killed, closed, truth } = sample().await;
    for (name, image) in [("killed", killed), ("closed", closed)] {
        for padded in [false, true] {
            let name = format!("{name}, padded {padded}");
            let mut image = image.clone();
            let (half, whole) = (image.database.len() / 2, image.database.len());
            image.database.truncate(half);
            if padded {
                image.database.resize(whole, 0);
            }
            let (opened, left, _home) = survive(&name, &image, &truth).await;
            assert!(opened.set_aside.is_some(), "{name}");
            assert!(left.size() * 3 > truth.size() && left.size() < truth.size(), "{name}: {}", left.size());
            assert_eq!(left.paused, truth.paused, "{name}");
        }
    }
}

#[tokio::test]
async fn a_page_of_zeros_costs_what_was_on_it() {
    let Sample { killed, closed, truth } = sample().await;
    for (name, image) in [("killed", killed), ("closed", closed)] {
        // Every page of one or the other.
        for page in (usize::from(name == "closed")..image.pages()).step_by(2) {
            let name = format!("{name}, page {}", page + 1);
            let mut image = image.clone();
            image.page(page).fill(0);
            let (opened, left, _home) = survive(&name, &image, &truth).await;
            if opened.set_aside.is_some() && left.scopes.len() == 2 {
                assert!(left.size() + 60 > truth.size(), "{name}: {} of {}", left.size(), truth.size());
            } else {
                // A page that is free, or newer in the log, or the rest of a long row, whose hash tells.
                assert_eq!((left.scopes.len(), opened.set_aside), (2, None), "{name}");
                assert!(left.size() + 1 >= truth.size(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn twenty_pages_of_garbage_cost_what_was_on_them() {
    let Sample { killed, closed, truth } = sample().await;
    let mut dice = Dice(1);
    for round in 0..12 {
        let mut image = if round % 2 == 0 { killed.clone() } else { closed.clone() };
        for _ in 0..20 {
            let page = dice.below(image.pages());
            image.page(page).fill_with(|| u8::try_from(dice.below(256)).unwrap());
        }
        survive(&format!("round {round}"), &image, &truth).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_never_makes_another_registration() {
    let Sample { killed, closed, truth } = sample().await;
    let mut dice = Dice(2);
    for round in 0..60 {
        let mut image = if round % 2 == 0 { killed.clone() } else { closed.clone() };
        let at = dice.below(image.database.len());
        image.database[at] ^= 1 << dice.below(8);
        let home = image.lay_out();
        let opened = home.try_open(2).await.unwrap_or_else(|error| panic!("bit of byte {at}: {error}"));
        for scope in truth.scopes.keys() {
            // An entry is sent as it was, or not at all.
            for entry in
                opened.store.outbox().list(*scope, None, None, u32::MAX, NOW).await.unwrap_or_default()
            {
                let was = &truth.entries[&(*scope, entry.registration.local)];
                assert_eq!((&entry.registration, entry.hash), (&was.registration, was.hash), "byte {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_bit_of_a_payload_that_flipped_is_found_by_its_hash() {
    let Sample { closed, truth, .. } = sample().await;
    let mut image = closed;
    let name = b"project 170";
    let at = image.database.windows(name.len()).rposition(|bytes| bytes == name).unwrap();
    for word in 0..image.database.len() - name.len() {
        if &image.database[word..word + name.len()] == name {
            image.database[word] ^= 0x20;
        }
    }
    let home = image.lay_out();
    let opened = home.try_open(2).await.unwrap();
    assert_eq!(opened.set_aside, None, "SQLite sees nothing wrong at {at}");
    let scope = *truth.scopes.keys().next().unwrap();
    let heads = opened.store.outbox().heads(scope, NOW, 1_000, &[]).await.unwrap();
    assert!(heads.iter().all(|entry| entry.registration.local != local(170)));
    assert!(heads.iter().any(|entry| entry.registration.local == local(171)));
    // Its project is known and is queued anew, with what its row says.
    assert!(
        opened.store.project().enqueue_unsent(scope, MACHINE, None, 1_000, NOW).await.unwrap().queued >= 1
    );
}

#[tokio::test]
async fn an_entry_whose_hash_does_not_fit_is_not_carried_over() {
    let Sample { closed, truth, .. } = sample().await;
    let mut image = closed;
    // In the outbox the machine stands before the name.
    let row = [&MACHINE.0.as_bytes()[..], b"project 170"].concat();
    let at = image.database.windows(row.len()).position(|bytes| bytes == row).unwrap();
    image.database[at + row.len() - 1] ^= 1;
    image.page(0).fill(0);
    let (opened, left, _home) = survive("flipped", &image, &truth).await;
    assert_eq!(opened.carried.entries + 1, truth.entries.len() as u64);
    assert_eq!((left.mappings.len(), left.projects.len()), (truth.mappings.len(), truth.projects.len()));
}

#[tokio::test]
async fn a_change_of_databases_that_was_interrupted_is_completed() {
    let Sample { closed, truth, .. } = sample().await;
    let mut image = closed;
    image.page(0).fill(0xee);
    let (opened, left, home) = survive("whole", &image, &truth).await;
    opened.store.close().await.unwrap();
    let rebuilt = fs::read(home.file()).unwrap();
    let name = |suffix: &str| home.folder.path().join(format!("sync.db{suffix}"));

    for (moved, in_place) in [(false, &image.database[..]), (true, &b""[..])] {
        // Complete, with the damaged one not yet moved, or moved already.
        fs::write(name(".rebuilt"), &rebuilt).unwrap();
        fs::write(home.file(), in_place).unwrap();
        fs::write(name("-wal"), b"an old log").unwrap();
        if moved {
            fs::remove_file(home.file()).unwrap();
        }
        let opened = home.try_open(3).await.unwrap();
        assert!(opened.set_aside.is_some() && opened.unclean, "moved {moved}");
        let again = Truth::of(&opened.store).await;
        assert!(left.entries.keys().all(|key| again.entries.contains_key(key)), "moved {moved}");
        opened.store.close().await.unwrap();
        assert!(!name(".rebuilt").exists() && !name("-wal").exists(), "moved {moved}");
    }

    // Its id cannot be written beside it: it is not taken for another installation's the next time.
    fs::write(name(".rebuilt"), &rebuilt).unwrap();
    fs::write(home.file(), &image.database).unwrap();
    fs::create_dir(name(".instance-new")).unwrap();
    assert!(home.try_open(5).await.is_err());
    fs::remove_dir(name(".instance-new")).unwrap();
    let opened = home.try_open(6).await.unwrap();
    assert_eq!(opened.set_aside, None);
    let again = Truth::of(&opened.store).await;
    assert!(left.entries.keys().all(|key| again.entries.contains_key(key)));
    opened.store.close().await.unwrap();

    // Not complete: begun anew, and what is there is not touched.
    fs::write(name(".rebuilding"), b"half").unwrap();
    let opened = home.try_open(4).await.unwrap();
    assert_eq!(opened.set_aside, None);
    assert!(!name(".rebuilding").exists());
    assert_eq!(Truth::of(&opened.store).await.mappings.len(), left.mappings.len());
}
