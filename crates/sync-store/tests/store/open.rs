//! What is found at the database's place, and what becomes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use sync_store::Error;
use uuid::Uuid;

use crate::support::{Home, NOW, enqueue, found, picture, scope};

/// A home whose database was used and closed well, with one entry.
async fn used() -> Home {
    let home = Home::new();
    let store = home.open().await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    enqueue(&store, scope, found(1, "a"), NOW).await;
    store.close().await.unwrap();
    home
}

async fn run(file: &Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_new_database_is_private_and_has_an_id() {
    let home = Home::new();
    let opened = home.try_open(5).await.unwrap();
    assert_eq!((opened.unclean, opened.set_aside, opened.instance), (false, None, Uuid::from_u128(5)));
    for name in ["sync.db", "sync.db-wal", "sync.db-shm", "sync.db.instance"] {
        let mode = fs::metadata(home.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    opened.store.close().await.unwrap();
    assert!(!home.folder.path().join("sync.db-wal").exists());
}

#[tokio::test]
async fn permissions_that_were_opened_up_are_closed_again() {
    let home = used().await;
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = home.open().await;
    assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_file_is_set_up_as_it_has_to_be() {
    let home = used().await;
    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    for (pragma, expected) in
        [("application_id", 0x636f_7364_i64), ("user_version", 5), ("page_size", 4096), ("auto_vacuum", 2)]
    {
        let sql = format!("pragma {pragma}");
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, expected, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_run_that_did_not_close_is_noticed() {
    let home = used().await;
    let first = home.try_open(2).await.unwrap();
    assert!(!first.unclean);
    drop(first);
    let second = home.try_open(3).await.unwrap();
    assert_eq!((second.unclean, second.set_aside, second.instance), (true, None, Uuid::from_u128(1)));
    second.store.close().await.unwrap();
    assert!(!home.try_open(4).await.unwrap().unclean);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_not_touched() {
    let home = used().await;
    run(&home.file(), "pragma user_version = 9").await;
    let before = fs::read(home.file()).unwrap();
    let refused = home.try_open(2).await;
    assert!(matches!(refused, Err(Error::Newer { found: 9, known: 5 })), "{refused:?}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[tokio::test]
async fn a_newer_database_that_was_killed_is_not_touched_either() {
    let home = used().await;
    let (db, wal) = (home.file(), home.folder.path().join("sync.db-wal"));
    let mut connection = SqliteConnectOptions::new().filename(&db).connect().await.unwrap();
    sqlx::raw_sql("pragma user_version = 9").execute(&mut connection).await.unwrap();
    // What a SIGKILL leaves: the newer version is only in the log.
    let (killed_db, killed_wal) = (fs::read(&db).unwrap(), fs::read(&wal).unwrap());
    connection.close().await.unwrap();
    fs::write(&db, &killed_db).unwrap();
    fs::write(&wal, &killed_wal).unwrap();
    let refused = home.try_open(2).await;
    assert!(matches!(refused, Err(Error::Newer { found: 9, known: 5 })), "{refused:?}");
    assert_eq!((fs::read(&db).unwrap(), fs::read(&wal).unwrap()), (killed_db, killed_wal));
}

#[tokio::test]
async fn what_cannot_be_used_is_set_aside() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 7] = [
        ("zero bytes", |file| fs::write(file, b"").unwrap()),
        ("garbage", |file| fs::write(file, vec![b'x'; 20_000]).unwrap()),
        ("a short text", |file| fs::write(file, b"hello").unwrap()),
        ("header overwritten", |file| edit(file, |bytes| bytes[..100].fill(0xff))),
        ("cut in half", |file| edit(file, |bytes| bytes.truncate(bytes.len() / 2))),
        ("cut and padded", |file| {
            edit(file, |bytes| {
                let half = bytes.len() / 2;
                bytes[half..].fill(0);
                // As after a crash: only then is everything checked.
                unclean(bytes);
            });
        }),
        ("another installation's", |file| {
            let beside = file.with_extension("db.instance");
            fs::write(beside, Uuid::from_u128(99).to_string()).unwrap();
        }),
    ];
    for (name, damage) in cases {
        let home = used().await;
        damage(&home.file());
        let left = fs::read(home.file()).unwrap();
        let opened = home.try_open(2).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.instance, Uuid::from_u128(2), "{name}");
        let aside = opened.set_aside.unwrap_or_else(|| panic!("{name}: nothing was set aside"));
        assert_eq!(aside, PathBuf::from(format!("{}.corrupt-{}", home.file().display(), NOW.0)), "{name}");
        assert_eq!(fs::read(&aside).unwrap(), left, "{name}: what was there is kept as it was");
        let scope = opened.store.scope().ensure(&scope("acme")).await.unwrap();
        let carried = usize::try_from(opened.carried.entries).unwrap();
        assert_eq!(picture(&opened.store, scope, NOW).await, ["a r1 Ready 0"][..carried], "{name}");
        // Another installation's entries are not ours.
        assert!(carried == 0 || !name.contains("another"), "{name}");
        opened.store.close().await.unwrap();
        let again = home.try_open(3).await.unwrap();
        assert_eq!((again.set_aside, again.instance), (None, Uuid::from_u128(2)), "{name}");
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Makes "closed" another word wherever it stands.
fn unclean(bytes: &mut [u8]) {
    let word = b"closed";
    for at in 0..bytes.len() - word.len() {
        if &bytes[at..at + word.len()] == word {
            bytes[at] = b'k';
        }
    }
}

#[tokio::test]
async fn another_programs_database_is_set_aside() {
    let home = Home::new();
    run_new(&home.file(), "create table theirs (a)").await;
    let opened = home.try_open(2).await.unwrap();
    assert!(opened.set_aside.is_some());
}

async fn run_new(file: &Path, sql: &str) {
    fs::write(file, b"").unwrap();
    run(file, sql).await;
}

#[tokio::test]
async fn a_lost_id_beside_a_sound_database_is_written_again() {
    let home = used().await;
    let beside = home.folder.path().join("sync.db.instance");
    for content in [None, Some(""), Some("not an id")] {
        match content {
            None => fs::remove_file(&beside).unwrap(),
            Some(text) => fs::write(&beside, text).unwrap(),
        }
        let opened = home.try_open(2).await.unwrap();
        assert_eq!((opened.set_aside, opened.instance), (None, Uuid::from_u128(1)), "{content:?}");
        opened.store.close().await.unwrap();
        let written = fs::read_to_string(&beside).unwrap();
        assert_eq!(written.trim(), Uuid::from_u128(1).to_string());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_with_its_name() {
    let home = Home::new();
    fs::create_dir(home.file()).unwrap();
    let refused = home.try_open(2).await.unwrap_err();
    assert!(matches!(&refused, Error::Other { what, .. } if what.contains("sync.db")), "{refused:?}");
    assert!(home.file().is_dir());

    let limits = sync_store::Limits { max_items: 1 };
    let nowhere = home.folder.path().join("missing/sync.db");
    let refused = sync_store::Store::open(&nowhere, limits, NOW, Uuid::nil()).await.unwrap_err();
    assert!(matches!(&refused, Error::Other { what, .. } if what.contains("missing/sync.db")), "{refused:?}");
}

#[tokio::test]
async fn a_database_whose_making_was_cut_short_is_made_after_all() {
    let home = Home::new();
    let half = home.folder.path().join("half.db");
    let options = SqliteConnectOptions::new().filename(&half).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    // More than fits into memory, so that the file is half changed and its journal needed.
    let begun = "\
        pragma auto_vacuum = incremental; pragma user_version = 0; pragma cache_size = 1;
        create table first (x);
        begin immediate;
        create table second (x);
        insert into second select randomblob(3000) from json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]');";
    sqlx::raw_sql(begun).execute(&mut connection).await.unwrap();
    for suffix in ["", "-journal"] {
        let from = home.folder.path().join(format!("half.db{suffix}"));
        fs::copy(&from, home.folder.path().join(format!("sync.db{suffix}"))).unwrap();
    }
    connection.close().await.unwrap();
    // A table that is not ours: set aside, not refused for good.
    let opened = home.try_open(1).await.unwrap();
    assert!(opened.set_aside.is_some());
    opened.store.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_brought_up_with_what_is_in_it() {
    const VERSIONS: [&str; 2] =
        [include_str!("../../migrations/0001_initial.sql"), include_str!("../../migrations/0002_born.sql")];
    const PROJECT: &str = "\
        insert into project (local, root, vcs, name, language, framework, content_hash, kind, presence, asked,
            first_seen_at, seen_at)
        values (zeroblob(16), x'2f772f61', 'git', 'a', '', '', '', 'standalone', 0, 1, 1, 1)";
    for version in 1..=VERSIONS.len() {
        let home = Home::new();
        home.open().await.close().await.unwrap();
        fs::remove_file(home.file()).unwrap();
        let options = SqliteConnectOptions::new().filename(home.file()).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        for sql in VERSIONS.iter().take(version).chain([&PROJECT]) {
            sqlx::raw_sql(*sql).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        let store = home.open().await;
        let known = store.project().all().await.unwrap();
        let told: Vec<_> =
            known.iter().map(|project| (project.name.as_str(), project.born, project.given)).collect();
        assert_eq!(told, [("a", None, sync_core::Given::default())], "version {version}");
        store.close().await.unwrap();
    }
}
