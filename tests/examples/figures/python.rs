//! Drives the earlier Python client, where somebody has it, through its public classes.
//!
//! Measures the same work as for the daemon: putting registrations into its offline queue, and draining that.

use std::path::{Path, PathBuf};

use sync_tests::Home;
use uuid::Uuid;

use crate::store::{Line, lines};

const SCRIPT: &str = r#"
import json, sys, threading, time, uuid, logging
sys.path.insert(0, sys.argv[1])
logging.disable(logging.CRITICAL)
from coditect.cloud_project_client import CloudProjectClient, OfflineQueue
what, callers, count, url, token = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6]
client = CloudProjectClient(api_url=url, auth_token=token)

def payload(number):
    return {"local_project_uuid": str(uuid.uuid4()), "project_name": f"project-{number}",
            "machine_uuid": client.machine_uuid, "root_path": f"/home/somebody/project-{number}",
            "primary_language": "Rust", "framework": "axum", "content_hash": "0" * 40, "project_type": "standalone"}

def percent(times, part):
    return sorted(times)[min(len(times) - 1, len(times) * part // 100)] * 1e6

if what == "enqueue":
    times, failed = [], []
    def one(first):
        queue = OfflineQueue(client.queue.db_path)
        for number in range(count):
            started = time.perf_counter()
            try:
                queue.enqueue("register", payload(first + number))
                times.append(time.perf_counter() - started)
            except Exception as error:
                failed.append(error)
    threads = [threading.Thread(target=one, args=(caller * count,)) for caller in range(callers)]
    started = time.perf_counter()
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    taken = time.perf_counter() - started
    done = len(times)
    print(f"python={callers} per_second={done / taken} p50_us={percent(times, 50)} p99_us={percent(times, 99)} failed={len(failed)}")
else:
    for number in range(count):
        client.queue.enqueue("register", payload(number))
    started, done = time.perf_counter(), 0
    while client.queue.queue_size() > 0:
        took = client.process_queue(100)
        if took == 0:
            sys.exit("the queue does not get shorter")
        done += took
    taken = time.perf_counter() - started
    print(f"python={callers} per_second={done / taken} p50_us=0 p99_us=0 failed={count - done}")
"#;

/// The Python client in this folder.
pub(crate) struct Python<'a>(pub(crate) &'a Path);

impl Python<'_> {
    /// Callers, each with its own connection, put so many each into one queue.
    pub(crate) fn enqueue(&self, callers: usize, each: usize) -> Line {
        self.run(&["enqueue", &callers.to_string(), &each.to_string(), "http://127.0.0.1:9", "none"])
    }

    /// Puts so many into the queue and drains it.
    pub(crate) fn drain(&self, count: usize, url: &str, token: &str) -> Line {
        self.run(&["drain", "1", &count.to_string(), url, token])
    }

    fn run(&self, args: &[&str]) -> Line {
        let home = Home::new();
        let script: PathBuf = home.path().join("drive.py");
        std::fs::write(&script, SCRIPT).expect("the script");
        let mut command = home.command("python3");
        command.arg(&script).arg(self.0).args(args);
        command.env("CODITECT_MACHINE_ID", Uuid::from_u128(7).to_string());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        lines(&mut command).pop().expect("a line of the Python client")
    }
}
