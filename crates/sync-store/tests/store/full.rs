//! A disk that is full: a small file system in memory, mounted where only a process of this test sees it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use sync_core::{LocalId, ScopeId, Timestamp};
use sync_store::{Error, Limits, Opened, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{LIFE, NOW, delivered, found, local, scope, settled};

/// Tells the child where its small disk is.
const WHERE: &str = "SYNC_STORE_FULL_TEST_FOLDER";
const LATER: Timestamp = Timestamp(NOW.0 + 1_000);

#[test]
fn on_a_full_disk_nothing_acknowledged_is_lost_and_delivery_goes_on() {
    let folder = TempDir::new().unwrap();
    let mounted = |then: &mut dyn FnMut(&mut Command)| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c"]);
        command.arg("mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"").arg(folder.path());
        then(&mut command);
        command.output()
    };
    let probe = mounted(&mut |command| {
        command.arg("true");
    });
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted here ({probe:?})");
        return;
    }
    let ran = mounted(&mut |command| {
        command.arg(std::env::current_exe().unwrap());
        command.args(["full::a_process_with_a_small_disk", "--exact", "--ignored", "--nocapture"]);
        command.env(WHERE, folder.path());
    })
    .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

async fn open(folder: &Path) -> Opened {
    let limits = Limits { max_items: 1_000_000 };
    Store::open(&folder.join("sync.db"), limits, NOW, Uuid::from_u128(1)).await.unwrap()
}

/// Writes a file until nothing more fits, but for `left` bytes.
fn fill(file: &Path, left: u64) {
    let mut opened = File::create(file).unwrap();
    while opened.write_all(&[1; 4096]).is_ok() {}
    let written = opened.metadata().unwrap().len();
    opened.set_len(written.saturating_sub(left)).unwrap();
}

/// Enqueues as many callers would, until each was refused. Says what was acknowledged.
async fn enqueue_until_full(store: &Store, scope: ScopeId, first: u128) -> Vec<u128> {
    let mut callers = JoinSet::new();
    for caller in first..first + 16 {
        let store = store.clone();
        callers.spawn(async move {
            let mut stored = Vec::new();
            for number in (caller..).step_by(16) {
                match store.outbox().enqueue(scope, vec![found(number, "a")], LATER).await {
                    Ok(_) => stored.push(number),
                    Err(Error::Full) => return stored,
                    Err(error) => panic!("{error}"),
                }
            }
            stored
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

async fn waits(store: &Store, scope: ScopeId) -> Vec<LocalId> {
    let entries = store.outbox().list(scope, None, None, u32::MAX, LATER).await.unwrap();
    entries.into_iter().map(|entry| entry.registration.local).collect()
}

/// Not a test by itself: fills its disk in several ways.
#[tokio::test]
#[ignore = "is started by the test above, with a small disk"]
#[expect(clippy::disallowed_methods, reason = "the only way to hand something to a test in another process")]
async fn a_process_with_a_small_disk() {
    let Some(folder) = std::env::var_os(WHERE).map(PathBuf::from) else { return };
    let filler = folder.join("filler");
    let ballast = folder.join("sync.db.ballast");
    let Opened { store, .. } = open(&folder).await;
    let scope = store.scope().ensure(&scope("acme")).await.unwrap();
    assert_eq!((store.figures().ballast, store.figures().disk_full_since), (true, None));

    fill(&filler, 500_000);
    let stored = enqueue_until_full(&store, scope, 1).await;
    assert!(stored.len() > 50, "{}", stored.len());
    assert_eq!((store.figures().ballast, store.figures().disk_full_since), (false, Some(LATER)));
    assert!(!ballast.exists());
    let waiting = waits(&store, scope).await;
    assert!(stored.iter().all(|number| waiting.contains(&local(*number))), "an acknowledged entry is lost");

    // All of them are delivered, and new ones are refused all the time.
    for some in stored.chunks(7) {
        let mut flown = Vec::new();
        for number in some {
            flown.push(settled(&store, scope, *number, delivered(number + 1_000_000)).await);
        }
        let report = store.outbox().settle(scope, flown, LIFE, 1, LATER).await.unwrap();
        assert_eq!(report.delivered.len(), some.len());
        let refused = store.outbox().enqueue(scope, vec![found(7_000_000, "b")], LATER).await;
        assert!(matches!(refused, Err(Error::Full)), "{refused:?}");
        // A person's wishes are obeyed too.
        store.meta().set("paused", "yes").await.unwrap();
    }
    assert_eq!(store.mapping().all_in(scope).await.unwrap().len(), stored.len());

    // There is room again, which nobody has to tell.
    fs::remove_file(&filler).unwrap();
    store.outbox().enqueue(scope, vec![found(8_000_000, "c")], LATER).await.unwrap();
    assert_eq!((store.figures().ballast, store.figures().disk_full_since), (true, None));
    assert!(ballast.exists());

    // Who is first to find no room may be a flight that ends: it is not turned away.
    store.checkpoint().await.unwrap();
    fill(&filler, 0);
    let flown = vec![settled(&store, scope, 8_000_000, delivered(1)).await];
    let report = store.outbox().settle(scope, flown, LIFE, 1, LATER).await.unwrap();
    assert_eq!((report.delivered.len(), ballast.exists()), (1, false));
    fs::remove_file(&filler).unwrap();
    store.outbox().enqueue(scope, vec![found(8_000_001, "c")], LATER).await.unwrap();

    // It ends with nothing left but what it keeps for that.
    fill(&filler, 0);
    store.close().await.unwrap();
    fs::remove_file(&filler).unwrap();
    let Opened { store, set_aside, unclean, .. } = open(&folder).await;
    assert_eq!((set_aside, unclean, ballast.exists()), (None, false, true));

    // And it starts so.
    fill(&filler, 0);
    drop(store);
    let Opened { store, set_aside, .. } = open(&folder).await;
    assert_eq!(set_aside, None);
    let late = enqueue_until_full(&store, scope, 9_000_000).await;
    assert!(!ballast.exists() && store.figures().disk_full_since.is_some());
    let waiting = waits(&store, scope).await;
    assert!(late.iter().chain(&[8_000_001]).all(|number| waiting.contains(&local(*number))));
    let told = store.mapping().all_in(scope).await.unwrap();
    assert!(stored.iter().all(|number| told.iter().any(|mapping| mapping.local == local(*number))));

    // Also after an end that was in order, when nothing of what SQLite keeps beside the file is there any more.
    fs::remove_file(&filler).unwrap();
    store.outbox().enqueue(scope, vec![found(8_000_002, "c")], LATER).await.unwrap();
    store.close().await.unwrap();
    assert_eq!((ballast.exists(), folder.join("sync.db-shm").exists()), (true, false));
    fill(&filler, 0);
    let Opened { store, set_aside, unclean, .. } = open(&folder).await;
    assert_eq!((set_aside, unclean, ballast.exists()), (None, false, false));
    assert_eq!(store.figures().disk_full_since, Some(NOW));
    let flown = vec![settled(&store, scope, 8_000_002, delivered(2)).await];
    let report = store.outbox().settle(scope, flown, LIFE, 1, LATER).await.unwrap();
    assert_eq!(report.delivered.len(), 1);
}
