//! Tokens from real files and real programs.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sync_cloud::{CredentialError, Source, obtain, obtain_within};
use sync_core::Timestamp;
use tempfile::TempDir;

use crate::loopback::token;

/// Less than what is waited for in vain would take.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn nothing_configured_is_no_credential() {
    for source in [Source::None, Source::Inline(String::new()), Source::Inline(" \n".to_owned())] {
        assert_eq!(obtain(&source).await, Ok(None), "{source:?}");
    }
}

#[tokio::test]
async fn a_file_gives_its_token_and_says_who_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, readable_by_others) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        let file = written(&folder, "  abc \r\n", mode);
        let credential = obtain(&Source::File(file)).await.unwrap().unwrap();
        assert_eq!(credential.token, token("abc").await);
        assert_eq!(credential.readable_by_others, readable_by_others, "{mode:o}");
    }
}

#[tokio::test]
async fn a_file_that_gives_no_token_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |content: &str, why: &str| {
        let file = written(&folder, content, 0o600);
        let error = obtain(&Source::File(file)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{content:.20}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    };
    check("", "is empty").await;
    check("\n\n", "is empty").await;
    check("hunter2\nhunter2", "line break").await;
    check("hunter2\u{1b}x", "control character").await;
    check("Bearer hunter2", "Bearer").await;
    check(&"x".repeat((64 << 10) + 1), "64 KiB").await;

    let binary = folder.path().join("binary");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(failure(Source::File(binary)).await.contains("is not text"));
    assert!(failure(Source::File(folder.path().to_owned())).await.contains("not a regular file"));
    assert!(failure(Source::File(PathBuf::from("/dev/zero"))).await.contains("not a regular file"));
    let missing = folder.path().join("missing");
    assert_eq!(obtain(&Source::File(missing.clone())).await, Err(CredentialError::Missing(missing)));
}

#[tokio::test]
async fn a_fifo_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let waiting = tokio::time::timeout(PATIENCE, failure(Source::File(fifo)));
    assert!(waiting.await.expect("it does not wait").contains("not a regular file"));
}

#[tokio::test]
async fn a_command_gives_a_token_as_text_or_as_json() {
    let plain = obtain(&shell("echo abc")).await.unwrap().unwrap();
    assert_eq!((plain.token, plain.claims.expires_at), (token("abc").await, None));
    let told = r#"echo '{"token": "abc", "expires_at": "1970-01-01T00:01:00Z"}'"#;
    let json = obtain(&shell(told)).await.unwrap().unwrap();
    assert_eq!((json.token, json.claims.expires_at), (token("abc").await, Some(Timestamp(60_000))));
}

#[tokio::test]
async fn a_command_is_run_without_a_shell_and_with_nothing_to_read() {
    let words = ["echo", "$HOME;x"].map(str::to_owned).to_vec();
    assert_eq!(obtain(&Source::Command(words)).await.unwrap().unwrap().token, token("$HOME;x").await);
    assert_eq!(obtain(&shell("cat; echo abc")).await.unwrap().unwrap().token, token("abc").await);
}

#[tokio::test]
async fn a_command_that_fails_says_how_and_the_end_of_its_complaint() {
    let noise = "i=0; while [ $i -lt 300 ]; do echo 'noise noise' >&2; i=$((i+1)); done; ";
    let said =
        failure(shell(&format!("{noise} echo 'token: hunter2 is bad' >&2; echo hunter2; exit 3"))).await;
    assert!(said.contains("exit status: 3") && said.contains("(hidden) is bad"), "{said}");
    assert!(said.len() < 800 && !said.contains("hunter2"), "{said}");

    let killed = failure(shell("kill -9 $$")).await;
    assert!(killed.contains("signal: 9"), "{killed}");
    let absent = Source::Command(vec!["/nonexistent/helper".to_owned()]);
    assert!(matches!(obtain(&absent).await, Err(CredentialError::Start { .. })));
    assert!(matches!(obtain(&Source::Command(vec![])).await, Err(CredentialError::Start { .. })));
}

#[tokio::test]
async fn a_command_that_says_too_much_or_nothing_gives_no_token() {
    assert!(failure(shell("head -c 70000 /dev/zero | tr '\\0' x")).await.contains("64 KiB"));
    assert!(failure(shell("yes")).await.contains("64 KiB"));
    // Not waited for, although it goes on and does not mind that nobody listens.
    let deaf = failure(shell("trap '' PIPE; head -c 70000 /dev/zero | tr '\\0' x; sleep 300"));
    let said = tokio::time::timeout(PATIENCE, deaf).await.expect("it does not wait");
    assert!(said.contains("64 KiB"), "{said}");
    assert!(failure(shell("true")).await.contains("is empty"));
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait", note.display());
    let limit = Duration::from_secs(2);
    // A machine may stand still for as long as that before the script begins.
    for _ in 0..5 {
        let error = obtain_within(&shell(&script), limit).await.unwrap_err();
        assert_eq!(error, CredentialError::TimedOut { origin: "`sh`".to_owned(), limit });
        if note.exists() {
            break;
        }
    }
    until_gone(&note).await;
}

#[tokio::test]
async fn a_command_that_is_no_longer_wanted_is_killed_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > {0}.new; mv {0}.new {0}; wait", note.display());
    let source = shell(&script);
    tokio::select! {
        _ = obtain(&source) => panic!("it hangs"),
        () = until(|| note.exists()) => {}
    }
    until_gone(&note).await;
}

#[tokio::test]
async fn an_agent_that_a_command_leaves_behind_does_not_hold_its_answer_up() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}; echo abc", note.display());
    let source = shell(&script);
    let answer = tokio::time::timeout(PATIENCE, obtain(&source));
    assert_eq!(answer.await.expect("it does not wait").unwrap().unwrap().token, token("abc").await);
    let agent = std::fs::read_to_string(&note).unwrap();
    assert!(is_alive(&agent), "the agent is left alone");
    assert!(std::process::Command::new("kill").arg(agent.trim()).status().unwrap().success());
}

fn shell(script: &str) -> Source {
    Source::Command(["sh", "-c", script].map(str::to_owned).to_vec())
}

async fn failure(source: Source) -> String {
    obtain(&source).await.unwrap_err().to_string()
}

fn written(folder: &TempDir, content: &str, mode: u32) -> PathBuf {
    let file = folder.path().join(format!("token-{mode:o}"));
    if file.exists() {
        std::fs::remove_file(&file).unwrap();
    }
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    file
}

async fn until_gone(note: &Path) {
    let process = std::fs::read_to_string(note).unwrap();
    until(|| !is_alive(&process)).await;
}

/// A process that was killed and not yet waited for counts as gone.
fn is_alive(process: &str) -> bool {
    let output =
        std::process::Command::new("ps").args(["-o", "stat=", "-p", process.trim()]).output().unwrap();
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[expect(clippy::disallowed_methods, reason = "a deadline of the test itself")]
async fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it never happens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
