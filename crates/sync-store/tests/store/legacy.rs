//! The old client's databases become ours: each row once, whatever is in it and whenever the process is killed.

mod bytes;
mod given;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use sync_core::{Asked, MachineId, Presence, Scope, ScopeId, Tenant, Timestamp};
use sync_store::{Heir, OldQueue, Store, Taken, Trouble};
use uuid::Uuid;

use crate::support::{
    Home, LIFE, NOW, cloud, delivered, enqueue, found, kinds, local, nth, scope, settled, store, which,
};

/// The tables as the old client makes them.
pub(crate) const OLD_TABLES: &str = "\
    create table project_sync_queue (
        id integer primary key autoincrement,
        operation text not null,
        payload text not null,
        retry_count integer default 0,
        max_retries integer default 5,
        next_retry_at text,
        created_at text default current_timestamp,
        last_error text
    );
    create index idx_next_retry on project_sync_queue(next_retry_at);
    create table cloud_project_cache (
        local_uuid text primary key,
        cloud_uuid text not null,
        tenant_id text,
        cached_at text default current_timestamp,
        expires_at text
    );";

/// An old database in a folder of its own.
struct Old {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Old {
    async fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let old = Self { file: folder.path().join("old.db"), _folder: folder };
        old.run(OLD_TABLES).await;
        old.run(sql).await;
        old
    }

    async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.file).create_if_missing(true).connect().await.unwrap()
    }

    async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The numbers of the rows that are left.
    async fn left(&self) -> Vec<i64> {
        let mut connection = self.connect().await;
        let sql = "select id from project_sync_queue order by id";
        let left = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        left
    }
}

fn heir(scope: Scope, id: ScopeId) -> Heir {
    Heir { scope, id, machine: MachineId(Uuid::from_u128(7)) }
}

fn acme(id: ScopeId) -> Heir {
    heir(scope("acme"), id)
}

async fn take(store: &Store, heir: &Heir, file: &Path) -> Taken {
    store.legacy().take_queue(file, heir, NOW, &|| true).await.unwrap()
}

async fn take_cache(store: &Store, heir: &Heir, file: &Path) -> Taken {
    store.legacy().take_cache(file, heir, LIFE, 3, NOW, &|| true).await.unwrap()
}

/// A row as the old client writes it when one registration fails.
fn single(number: u128, name: &str, rest: &str) -> String {
    let payload = format!(
        r#"{{"local_project_uuid": "{}", "project_name": "{name}", "machine_uuid": "{}", "root_path": "/old/{number}",
            "primary_language": "Rust", "framework": "axum", "content_hash": "ab", "project_type": "standalone"{rest}}}"#,
        Uuid::from_u128(number),
        Uuid::from_u128(7),
    );
    row("register", &payload)
}

/// A row as the old client writes it when a batch fails.
fn of_batch(number: u128, name: &str) -> String {
    let payload = format!(
        r#"{{"local_project_uuid": "{}", "project_name": "{name}", "machine_uuid": "{}", "root_path": "/old/{number}"}}"#,
        Uuid::from_u128(number),
        Uuid::from_u128(7),
    );
    row("register", &payload)
}

fn row(operation: &str, payload: &str) -> String {
    format!(
        "insert into project_sync_queue (operation, payload, next_retry_at) values ('{operation}', '{payload}', 'x');"
    )
}

/// Every waiting entry as `name language kind parent asked revision`.
async fn waiting(store: &Store, scope: ScopeId) -> Vec<String> {
    let entries = store.outbox().list(scope, None, None, 10_000, NOW).await.unwrap();
    entries
        .iter()
        .map(|entry| {
            let said = &entry.registration;
            let parent = said.parent.map_or(0, |parent| parent.0.as_u128());
            let asked = if entry.asked == Asked::ByUser { "user" } else { "discovery" };
            format!(
                "{} {}/{} {:?} {parent} {asked} r{}",
                said.name,
                said.language,
                said.content_hash,
                said.kind,
                which(entry.revision)
            )
        })
        .collect()
}

async fn notes(home: &Home) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    sqlx::query_scalar("select count(*) from legacy_taken").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn every_row_of_the_old_queue_becomes_one_entry_for_its_project() {
    let (home, store, scope) = store().await;
    let parent = format!(r#", "parent_project_uuid": "{}""#, Uuid::from_u128(1));
    let sql = [
        single(1, "one", ""),
        single(2, "two", &parent).replace("standalone", "submodule"),
        // Its drain wrote the same registration again, without kind and parent.
        single(2, "two", ""),
        of_batch(3, "three"),
        // Given up after its last retry, and one that is due in ten years.
        single(4, "four", "") + "update project_sync_queue set retry_count = 5 where id = 5;",
        single(5, "five", "") + "update project_sync_queue set next_retry_at = '2036-01-01' where id = 6;",
        single(1, "one, later", ""),
    ]
    .concat();
    let old = Old::new(&sql).await;
    let taken = take(&store, &acme(scope), &old.file).await;
    assert_eq!(taken, Taken { rows: 7, wishes: 5, ..Taken::default() });
    let mut entries = waiting(&store, scope).await;
    entries.sort();
    assert_eq!(
        entries,
        [
            "five Rust/ab Standalone 0 user r1",
            "four Rust/ab Standalone 0 user r1",
            "one, later Rust/ab Standalone 0 user r1",
            "three / Standalone 0 user r1",
            "two Rust/ab Submodule 1 user r1",
        ]
    );
    assert_eq!((old.left().await, notes(&home).await), (vec![], 0));
    let project = store.project().get(local(2)).await.unwrap().unwrap();
    assert_eq!((project.presence, project.asked), (Presence::Present, Asked::ByUser));
    let again = take(&store, &acme(scope), &old.file).await;
    assert_eq!(again, Taken::default());

    old.run(&single(6, "six", "")).await;
    assert_eq!(take(&store, &acme(scope), &old.file).await.rows, 1);
}

#[tokio::test]
async fn rows_that_say_nothing_are_set_aside_and_block_nobody() {
    let (_home, store, scope) = store().await;
    let sql = [
        row("deregister", "{}"),
        row("register", "{\"local_project_uuid\": "),
        row("register", "{\"project_name\": \"a\"}"),
        row("register", "{\"local_project_uuid\": \"nobody\", \"root_path\": \"/a\"}"),
        row("register", &format!("{{\"local_project_uuid\": \"{}\"}}", Uuid::from_u128(8))),
        single(9, "good", ""),
        single(9, "broken", "").replace("/old/9", "relative"),
        "insert into project_sync_queue (operation, payload) values ('register', x'ff00fe');".to_owned(),
        "insert into project_sync_queue (operation, payload) values (x'ff', 5);".to_owned(),
        row("register", &format!("{{\"a\": \"{}\"}}", "x".repeat(100_000))),
        single(10, "last", ""),
    ]
    .concat();
    let old = Old::new(&sql).await;
    let mut taken = take(&store, &acme(scope), &old.file).await;
    assert_eq!(std::mem::take(&mut taken.reasons)[0], "row 1: its operation is `deregister`, not `register`");
    assert_eq!(taken, Taken { rows: 2, wishes: 2, aside: 9, ..Taken::default() });
    assert_eq!(
        waiting(&store, scope).await,
        ["good Rust/ab Standalone 0 user r1", "last Rust/ab Standalone 0 user r1"]
    );
    assert_eq!(old.left().await, Vec::<i64>::new());
    let aside = store.legacy().aside(100).await.unwrap();
    let mut reasons: Vec<&str> = aside.iter().map(|row| row.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons.len(), 9);
    for why in [
        "operation is `deregister`",
        "no JSON",
        "no `local_project_uuid`",
        "`nobody`",
        "not on record",
        "root_path is not an absolute path",
        "bytes long",
    ] {
        assert!(reasons.iter().any(|reason| reason.contains(why)), "{why}: {reasons:#?}");
    }
    assert!(aside.iter().all(|row| row.payload.len() <= 8 * 1024 && row.file == old.file));
    assert!(aside.iter().any(|row| row.operation == "deregister" && row.payload == b"{}"));
    assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "legacy.aside").count(), 1);
}

#[tokio::test]
async fn four_fields_of_nine_are_completed_from_the_record() {
    let (_home, store, scope) = store().await;
    let old = Old::new(&single(1, "first", "")).await;
    take(&store, &acme(scope), &old.file).await;
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    assert!(waiting(&store, scope).await.is_empty());

    old.run(&of_batch(1, "second")).await;
    let later = NOW.after(Duration::from_hours(10_000_000));
    store.legacy().take_queue(&old.file, &acme(scope), later, &|| true).await.unwrap();
    assert_eq!(waiting(&store, scope).await, ["second Rust/ab Standalone 0 user r36000000001"]);
    // The cloud has exactly this: it leaves its table and nothing is sent.
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    old.run(&of_batch(1, "second")).await;
    let taken = store.legacy().take_queue(&old.file, &acme(scope), later, &|| true).await.unwrap();
    assert_eq!((taken.rows, waiting(&store, scope).await.len(), old.left().await.len()), (1, 0, 0));
}

#[tokio::test]
async fn two_projects_that_name_one_folder_are_both_kept_and_the_last_has_it() {
    let (_home, store, scope) = store().await;
    let same = |number| single(number, "x", "").replace(&format!("/old/{number}"), "/old/same");
    let old = Old::new(&(same(1) + &same(2) + &same(3))).await;
    // One is on record there already.
    let before = Old::new(&same(2)).await;
    take(&store, &acme(scope), &before.file).await;
    assert_eq!(take(&store, &acme(scope), &old.file).await.rows, 3);
    assert_eq!(waiting(&store, scope).await.len(), 3);
    let projects = store.project().all().await.unwrap();
    let present: Vec<_> = projects.iter().filter(|project| project.presence == Presence::Present).collect();
    assert_eq!((projects.len(), present.len()), (3, 1));
    assert_eq!(present[0].local, local(3));
}

#[tokio::test]
async fn a_queue_of_many_batches_keeps_the_newest_of_each_project() {
    let (home, store, scope) = store().await;
    let old = Old::new("").await;
    old.run(&format!(
        "with recursive n(x) as (select 0 union all select x + 1 from n where x < 1699)
        insert into project_sync_queue (operation, payload)
        select 'register', json_object(
            'local_project_uuid', printf('00000000-0000-0000-0000-%012x', 1 + x % 700),
            'project_name', 'p' || x, 'root_path', '/old/' || (x % 700), 'machine_uuid', '{}')
        from n;",
        Uuid::from_u128(7)
    ))
    .await;
    let taken = take(&store, &acme(scope), &old.file).await;
    assert_eq!(taken.rows, 1_700);
    let entries = store.outbox().list(scope, None, None, 10_000, NOW).await.unwrap();
    assert_eq!((entries.len(), old.left().await.len(), notes(&home).await), (700, 0, 0));
    for entry in entries {
        let number = entry.registration.local.0.as_u128() - 1;
        let newest = if number < 300 { number + 1_400 } else { number + 700 };
        assert_eq!(entry.registration.name, format!("p{newest}"));
    }
}

#[tokio::test]
async fn what_the_queue_has_no_room_for_stays_where_it_is() {
    let home = Home { limit: 2, ..Home::new() };
    let store = home.open().await;
    let id = store.scope().ensure(&scope("acme")).await.unwrap();
    let old = Old::new(&(1..=4).map(|number| single(number, "a", "")).collect::<String>()).await;
    let taken = take(&store, &acme(id), &old.file).await;
    assert_eq!((taken.rows, taken.left, old.left().await), (2, 2, vec![3, 4]));
    assert!(store.project().get(local(3)).await.unwrap().is_none());
    let flown = settled(&store, id, 1, delivered(51)).await;
    store.outbox().settle(id, vec![flown], LIFE, 0, NOW).await.unwrap();
    let taken = take(&store, &acme(id), &old.file).await;
    assert_eq!((taken.rows, taken.left, old.left().await), (1, 1, vec![4]));
}

#[tokio::test]
async fn rows_of_a_time_without_a_tenant_go_to_the_one_that_becomes_known() {
    let home = Home::new();
    let store = home.open().await;
    let nobody = Scope { tenant: Tenant::Unknown, ..scope("acme") };
    let unknown = store.scope().ensure(&nobody).await.unwrap();
    let old = Old::new(&single(1, "a", "")).await;
    take(&store, &heir(nobody, unknown), &old.file).await;
    let id = store.scope().ensure(&scope("acme")).await.unwrap();
    store.scope().adopt(unknown, id, NOW).await.unwrap();
    assert_eq!(waiting(&store, id).await, ["a Rust/ab Standalone 0 user r1"]);
}

/// Makes the database one that SQLite only reads, for root too: its header asks for a newer writer.
fn make_read_only(file: &Path, read_only: bool) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[18] = if read_only { 3 } else { 1 };
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_queue_that_cannot_be_written_to_is_taken_once_all_the_same() {
    let (home, store, scope) = store().await;
    let old = Old::new(&(single(1, "a", "") + &row("other", "{}"))).await;
    make_read_only(&old.file, true);
    let taken = take(&store, &acme(scope), &old.file).await;
    assert_eq!((taken.rows, taken.aside), (1, 1));
    assert!(matches!(taken.trouble, Some(Trouble::Unusable(_))), "{taken:?}");
    let flown = settled(&store, scope, 1, delivered(51)).await;
    store.outbox().settle(scope, vec![flown], LIFE, 0, NOW).await.unwrap();
    let forced = sync_store::Wish { force: true, ..found(1, "newer") };
    enqueue(&store, scope, forced, NOW).await;

    let again = take(&store, &acme(scope), &old.file).await;
    assert_eq!((again.rows, again.aside, notes(&home).await), (0, 0, 2));
    assert_eq!(waiting(&store, scope).await, ["newer Rust/ab Standalone 0 discovery r2"]);
    make_read_only(&old.file, false);
    let at_last = take(&store, &acme(scope), &old.file).await;
    assert_eq!((at_last, old.left().await.len(), notes(&home).await), (Taken::default(), 0, 0));
}

#[tokio::test]
async fn a_queue_that_another_program_holds_is_taken_later() {
    let (_home, store, scope) = store().await;
    let old = Old::new(&single(1, "a", "")).await;
    let mut holder = old.connect().await;
    sqlx::raw_sql("begin exclusive").execute(&mut holder).await.unwrap();
    let taken = take(&store, &acme(scope), &old.file).await;
    assert!(matches!(taken.trouble, Some(Trouble::Later(_))), "{taken:?}");
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    // Readers do not keep the rows from being read, only from being removed.
    sqlx::raw_sql("begin; select * from project_sync_queue").execute(&mut holder).await.unwrap();
    let taken = take(&store, &acme(scope), &old.file).await;
    assert!(taken.rows == 1 && matches!(taken.trouble, Some(Trouble::Later(_))), "{taken:?}");
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    assert_eq!(take(&store, &acme(scope), &old.file).await, Taken::default());
    assert!(old.left().await.is_empty());
    assert_eq!(waiting(&store, scope).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_old_database_is_left_alone() {
    let (_home, store, scope) = store().await;
    let folder = tempfile::tempdir().unwrap();
    let old = Old::new(&single(1, "a", "")).await;
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(&old.file, at("link")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("garbage"), "x".repeat(5_000)).unwrap();
    let made = Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(made.success());
    let narrow = Old { file: at("narrow"), _folder: tempfile::tempdir().unwrap() };
    narrow.run("create table project_sync_queue (id integer primary key, payload text)").await;
    for (name, why) in [
        ("link", "symbolic link"),
        ("folder", "no regular file"),
        ("fifo", "no regular file"),
        ("garbage", "not a database"),
        ("narrow", "no column `operation`"),
    ] {
        let taken = take(&store, &acme(scope), &at(name)).await;
        let Some(Trouble::Unusable(told)) = &taken.trouble else { panic!("{name}: {taken:?}") };
        assert!(told.contains(why), "{name}: {told}");
    }
    std::fs::write(at("empty"), "").unwrap();
    for name in ["missing", "empty", "garbage/below"] {
        assert_eq!(take(&store, &acme(scope), &at(name)).await, Taken::default(), "{name}");
    }
    assert!(!at("missing").exists());
    assert_eq!(old.left().await, [1]);

    let timeless = Old { file: at("timeless"), _folder: tempfile::tempdir().unwrap() };
    timeless
        .run("create table project_sync_queue (id integer primary key, operation text, payload text)")
        .await;
    timeless.run(&single(1, "a", "").replace(", next_retry_at", "").replace(", 'x')", ")")).await;
    assert_eq!(take(&store, &acme(scope), &timeless.file).await.rows, 1);
}

#[tokio::test]
async fn the_journal_mode_of_an_old_database_stays() {
    for mode in [SqliteJournalMode::Delete, SqliteJournalMode::Wal] {
        let (_home, store, scope) = store().await;
        let old = Old::new(&single(1, "a", "")).await;
        let options = SqliteConnectOptions::new().filename(&old.file).journal_mode(mode);
        options.connect().await.unwrap().close().await.unwrap();
        assert_eq!(take(&store, &acme(scope), &old.file).await.rows, 1);
        let mut connection = old.connect().await;
        let now: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut connection).await.unwrap();
        assert_eq!(now, if mode == SqliteJournalMode::Wal { "wal" } else { "delete" });
    }
}

fn cached(number: u128, cloud: u128, tenant: &str, expires: &str) -> String {
    format!(
        "insert or replace into cloud_project_cache (local_uuid, cloud_uuid, tenant_id, cached_at, expires_at)
        values ('{}', '{}', {tenant}, '2023-11-14 12:00:00', {expires});",
        Uuid::from_u128(number),
        Uuid::from_u128(cloud),
    )
}

#[tokio::test]
async fn the_old_cache_is_believed_only_where_its_tenant_is_known() {
    let (_home, store, id) = store().await;
    let other = store.scope().ensure(&scope("other")).await.unwrap();
    let day = "'2023-11-15T12:00:00+00:00'";
    let sql = [
        cached(1, 51, "'acme'", day),
        cached(2, 52, "'other'", day),
        cached(3, 53, "''", day),
        cached(4, 54, "null", "null"),
        // Expired an hour ago; as text it is later than the present.
        cached(5, 55, "'acme'", "'2023-11-14T21:13:20+00:00'"),
        "insert into cloud_project_cache (local_uuid, cloud_uuid) values ('x', 'y');".to_owned(),
        cached(6, 56, "'acme'", day),
    ]
    .concat();
    let old = Old::new(&sql).await;
    enqueue(&store, id, found(6, "known"), NOW).await;
    let flown = settled(&store, id, 6, delivered(66)).await;
    store.outbox().settle(id, vec![flown], LIFE, 0, NOW).await.unwrap();

    let taken = take_cache(&store, &acme(id), &old.file).await;
    assert_eq!((taken.mappings, taken.aside, taken.reasons.len()), (5, 1, 1));
    let mapping = async |scope, number| store.mapping().get(scope, local(number)).await.unwrap();
    for (scope, number, expected) in [
        (id, 1, Some((51, true))),
        (id, 2, None),
        (other, 2, Some((52, true))),
        (id, 3, Some((53, false))),
        (other, 3, None),
        (id, 4, Some((54, false))),
        (id, 5, Some((55, false))),
        (id, 6, Some((66, true))),
    ] {
        let found = mapping(scope, number).await;
        let told = found.as_ref().map(|found| (found.cloud, found.expires_at > NOW));
        assert_eq!(told, expected.map(|(number, fresh)| (cloud(number), fresh)), "{number}");
        if let Some(found) = found.filter(|found| found.expires_at <= NOW) {
            assert!(found.refresh_at <= NOW && found.sent.is_none());
        }
    }

    // Taken once: what we drop stays dropped, until the row says something else.
    store.mapping().forget(id, local(1)).await.unwrap();
    assert_eq!(take_cache(&store, &acme(id), &old.file).await, Taken::default());
    assert_eq!(mapping(id, 1).await, None);
    old.run(&cached(1, 61, "'acme'", day)).await;
    assert_eq!(take_cache(&store, &acme(id), &old.file).await.mappings, 1);
    let mut connection = old.connect().await;
    let rows: i64 = sqlx::query_scalar("select count(*) from cloud_project_cache")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 7);
}

#[tokio::test]
async fn a_cache_without_a_tenant_waits_until_there_is_one() {
    let home = Home::new();
    let store = home.open().await;
    let nobody = Scope { tenant: Tenant::Unknown, ..scope("acme") };
    let unknown = store.scope().ensure(&nobody).await.unwrap();
    let old = Old::new(&cached(1, 51, "''", "null")).await;
    let taken = take_cache(&store, &heir(nobody, unknown), &old.file).await;
    assert_eq!((taken.mappings, taken.left), (0, 1));
    let id = store.scope().ensure(&scope("acme")).await.unwrap();
    assert_eq!(take_cache(&store, &acme(id), &old.file).await.mappings, 1);
}

/// Tell the child where the two databases are and after which step it waits to be killed.
const OURS: &str = "SYNC_STORE_LEGACY_TEST_OURS";
const THEIRS: &str = "SYNC_STORE_LEGACY_TEST_THEIRS";
const STEP: &str = "SYNC_STORE_LEGACY_TEST_STEP";

fn child(home: &Home, old: &Old, step: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["legacy::a_take_over_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env(OURS, home.file())
        .env(THEIRS, &old.file)
        .env(STEP, step)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the child says that it got to its step, and kills it.
fn kill_at_step(mut child: std::process::Child) {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let reached = lines.into_iter().any(|line| line.ends_with("reached"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "the child ended by itself");
}

#[tokio::test]
async fn a_kill_between_any_two_steps_neither_loses_nor_repeats_a_row() {
    for step in ["read", "kept", "removed", "forgotten"] {
        let home = Home::new();
        let old = Old::new(&(single(1, "a", "") + &single(2, "b", "") + &row("other", "{}"))).await;
        kill_at_step(child(&home, &old, step));

        let store = home.try_open(1).await.unwrap().store;
        let id = store.scope().ensure(&scope("acme")).await.unwrap();
        let taken_before = waiting(&store, id).await.len();
        assert_eq!(taken_before, if step == "read" { 0 } else { 2 }, "{step}");
        if taken_before > 0 {
            // It arrives, and something newer is wanted before the rest is done.
            let flown = settled(&store, id, 1, delivered(51)).await;
            store.outbox().settle(id, vec![flown], LIFE, 0, NOW).await.unwrap();
            enqueue(&store, id, found(1, "newer"), NOW).await;
        }
        let again = take(&store, &acme(id), &old.file).await;
        assert_eq!(again.rows, if taken_before > 0 { 0 } else { 2 }, "{step}");
        let first = if taken_before > 0 {
            "newer Rust/ab Standalone 0 discovery r2"
        } else {
            "a Rust/ab Standalone 0 user r1"
        };
        let mut entries = waiting(&store, id).await;
        entries.sort_by_key(|entry| entry.starts_with("b "));
        assert_eq!(entries, [first, "b Rust/ab Standalone 0 user r1"], "{step}");
        assert_eq!((old.left().await.len(), notes(&home).await), (0, 0), "{step}");
        assert_eq!(store.legacy().aside(9).await.unwrap().len(), 1, "{step}");
    }
}

#[tokio::test]
async fn kills_at_any_moment_neither_lose_nor_repeat_a_row() {
    const ROWS: i64 = 6_000;
    let (mut kills, mut tries) = (0, 0..5);
    // Where the machine stands still for as long as a take-over needs, there is nothing to kill.
    while kills == 0 && tries.next().is_some() {
        let home = Home::new();
        let old = Old::new("").await;
        old.run(&format!(
            "with recursive n(x) as (select 1 union all select x + 1 from n where x < {ROWS})
            insert into project_sync_queue (operation, payload)
            select 'register', json_object(
                'local_project_uuid', printf('00000000-0000-0000-0000-%012x', x),
                'project_name', 'p' || x, 'root_path', '/old/' || x, 'machine_uuid', '{}')
            from n;",
            Uuid::from_u128(7)
        ))
        .await;
        for round in 0_u64..60 {
            let mut running = child(&home, &old, "none");
            // The moment of the kill is the point here, not a wait for something.
            tokio::time::sleep(Duration::from_millis(15 + round * 7 % 60)).await;
            let ended = running.try_wait().unwrap().is_some();
            running.kill().unwrap();
            running.wait().unwrap();
            if ended {
                break;
            }
            kills += 1;
        }
        let store = home.try_open(1).await.unwrap().store;
        let id = store.scope().ensure(&scope("acme")).await.unwrap();
        take(&store, &acme(id), &old.file).await;
        let entries = store.outbox().list(id, None, None, 100_000, NOW).await.unwrap();
        assert_eq!((entries.len(), old.left().await.len(), notes(&home).await), (6_000, 0, 0));
        assert!(entries.iter().all(|entry| entry.revision == nth(1)));
        let queued = store.event().since(0, 100_000).await.unwrap();
        assert_eq!(queued.iter().filter(|event| event.kind == "registration.queued").count(), 6_000);
    }
    assert!(kills > 0);
}

/// Not a test by itself: takes a queue over, and waits at a step to be killed.
#[tokio::test]
#[ignore = "is started by the tests above"]
#[expect(clippy::disallowed_methods, reason = "the only way to hand something to a test in another process")]
async fn a_take_over_to_be_killed() {
    let (Some(ours), Some(theirs)) = (std::env::var_os(OURS), std::env::var_os(THEIRS)) else { return };
    let step = std::env::var(STEP).unwrap();
    let limits = sync_store::Limits { max_items: 100_000 };
    let opened = Store::open(Path::new(&ours), limits, NOW, Uuid::from_u128(1)).await.unwrap();
    let id = opened.store.scope().ensure(&scope("acme")).await.unwrap();
    let (legacy, theirs) = (opened.store.legacy(), Path::new(&theirs));
    if step == "none" {
        take(&opened.store, &acme(id), theirs).await;
        return;
    }
    let reached = async |name: &str| {
        if step == name {
            println!("\nreached");
            std::future::pending::<()>().await;
        }
    };
    let mut queue = OldQueue::open(theirs).await.unwrap().unwrap();
    let rows = queue.rows(i64::MIN).await.unwrap();
    reached("read").await;
    let (kept, _) = legacy.keep(rows, &acme(id), NOW).await.unwrap();
    reached("kept").await;
    queue.remove(&kept).await.unwrap();
    reached("removed").await;
    legacy.forget(&kept).await.unwrap();
    reached("forgotten").await;
}

#[tokio::test]
async fn a_row_that_changes_while_it_is_taken_stays() {
    let (_home, store, scope) = store().await;
    let old = Old::new(&single(1, "a", "")).await;
    let mut queue = OldQueue::open(&old.file).await.unwrap().unwrap();
    let rows = queue.rows(i64::MIN).await.unwrap();
    let (kept, _) = store.legacy().keep(rows, &acme(scope), NOW).await.unwrap();
    old.run("update project_sync_queue set payload = replace(payload, '\"a\"', '\"b\"')").await;
    queue.remove(&kept).await.unwrap();
    store.legacy().forget(&kept).await.unwrap();
    queue.close().await;
    assert_eq!(old.left().await, [1]);
    assert_eq!(take(&store, &acme(scope), &old.file).await.rows, 1);
    assert_eq!(waiting(&store, scope).await, ["b Rust/ab Standalone 0 user r2"]);
}

#[tokio::test]
async fn a_moment_to_stop_leaves_the_rest_for_later() {
    let (_home, store, scope) = store().await;
    let old = Old::new(&single(1, "a", "")).await;
    let taken =
        store.legacy().take_queue(&old.file, &acme(scope), Timestamp(NOW.0), &|| false).await.unwrap();
    assert_eq!((taken, old.left().await), (Taken::default(), vec![1]));
}
