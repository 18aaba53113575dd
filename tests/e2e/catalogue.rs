//! The fault catalogue: what `docs/faults.md` lists and no other module tries, each fault injected for real and bounded.
//!
//! `cargo test -p sync-tests --test e2e catalogue` runs it. What needs another program (`strace`) or rights that are
//! missing says so and is over.

mod calls;
mod clock;
mod network;
mod places;

use std::sync::Mutex;

use coditect_devcloud::dev_token;
use serde_json::Value;
use sync_tests::{Cloud, Home};

/// Cases that are tried at the same time; most of their time they wait.
const AT_ONCE: usize = 3;

/// Tries every case, some at a time. All that is wrong is told, not only the first.
fn each<T: Sync>(cases: &[T], test: impl Fn(&T) -> Result<(), String> + Sync) {
    let (next, wrong) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let case = next.lock().expect("the cases").next();
                    let Some(case) = case else { break };
                    if let Err(words) = test(case) {
                        wrong.lock().expect("what is wrong").push(words);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("what is wrong");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// A home whose cloud is this one.
fn home_of(cloud: &Cloud) -> Home {
    let mut home = Home::new();
    home.set_cloud("api_url", cloud.url());
    home.set_cloud("auth_token", dev_token("acme", None));
    home.set_daemon("shutdown_grace", "2s");
    home
}

/// A cloud for several homes, with the folder that keeps it.
fn cloud() -> (Home, Cloud) {
    let keeper = Home::new();
    let cloud = Cloud::start(keeper.path().join("cloud.db"));
    (keeper, cloud)
}

/// Whether the cloud knows a project at this place.
fn knows(cloud: &Cloud, root: &str) -> bool {
    cloud.projects().iter().any(|project: &Value| project["root_path"] == root)
}

fn has(program: &str) -> bool {
    let mut command = std::process::Command::new(program);
    command.arg("-V").stdin(std::process::Stdio::null()).output().is_ok_and(|ran| ran.status.success())
}

#[expect(clippy::print_stderr, reason = "who runs the tests is to know what was not tried")]
fn skipped(words: &str) {
    eprintln!("{words}");
}
