//! Asks a program for a token.
//!
//! No shell; nothing on its stdin; its output is bounded; when it takes too long, says too much or is no longer wanted,
//! it is killed with everything it started in its process group.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use sync_core::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::credential::{Credential, LONGEST};
use crate::error::CredentialError;
use crate::words;

/// How much of the end of stderr is shown, in bytes.
const LONGEST_COMPLAINT: usize = 512;
/// What stands in the daemon's environment and is nobody else's business: its own token, its service manager, and how its unit
/// has it treat memory.
const WITHHELD: [&str; 10] = [
    "CODITECT_SYNC__CLOUD_SYNC__AUTH_TOKEN",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
];
/// A program that ended may have left its pipes to something it started; they are not waited for longer than this.
const AFTERMATH: Duration = Duration::from_millis(250);

/// The output where it is JSON; other fields are left alone.
#[derive(Deserialize)]
struct Told {
    token: String,
    expires_at: Option<String>,
}

/// Runs `command` and takes its output as a credential.
pub(crate) async fn run(command: &[String], limit: Duration) -> Result<Credential, CredentialError> {
    let program = command.first().cloned().unwrap_or_default();
    match tokio::time::timeout(limit, output(&program, command.get(1..).unwrap_or_default())).await {
        Ok(output) => read(&output?, &program),
        Err(_elapsed) => Err(CredentialError::TimedOut { origin: format!("`{program}`"), limit }),
    }
}

async fn output(program: &str, arguments: &[String]) -> Result<Vec<u8>, CredentialError> {
    let start =
        |failure: io::Error| CredentialError::Start { program: program.to_owned(), why: failure.to_string() };
    let mut command = Command::new(program);
    for name in WITHHELD {
        command.env_remove(name);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut answer, mut complaint) = (Vec::new(), Vec::new());
    let ended = {
        let reading =
            async { tokio::try_join!(read_all(stdout, &mut answer), read_end(stderr, &mut complaint)) };
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => match read {
                Ok(((), ())) => child.wait().await,
                Err(failure) => Err(failure),
            },
            ended = child.wait() => {
                if tokio::time::timeout(AFTERMATH, &mut reading).await.is_err() {
                    tracing::debug!(program, "the credential command left its output open to another process");
                }
                ended
            }
        }
    };
    let status = ended.map_err(|failure| CredentialError::Command {
        program: program.to_owned(),
        ended: format!("could not be heard: {failure}"),
        said: String::new(),
    })?;
    group.ended();
    if status.success() {
        return Ok(answer);
    }
    let (ended, said) = (format!("ended with {status}"), without_secrets(&complaint));
    Err(CredentialError::Command { program: program.to_owned(), ended, said })
}

fn read(output: &[u8], program: &str) -> Result<Credential, CredentialError> {
    let origin = format!("`{program}`");
    let refuse = |why| Err(CredentialError::NotAToken { origin: origin.clone(), why });
    if output.len() > LONGEST {
        return refuse("is longer than 64 KiB");
    }
    let Ok(text) = str::from_utf8(output) else { return refuse("is not text") };
    if !text.trim_start().starts_with('{') {
        return Credential::checked(text, &origin);
    }
    let Ok(told) = serde_json::from_str::<Told>(text) else {
        return refuse("is neither plain text nor JSON with a `token` and, where wanted, an `expires_at`");
    };
    let credential = Credential::checked(&told.token, &origin)?;
    match told.expires_at.as_deref().map(Timestamp::from_rfc3339) {
        None => Ok(credential),
        Some(Some(moment)) => Ok(credential.expiring(moment)),
        Some(None) => refuse("has an `expires_at` that is not RFC 3339"),
    }
}

/// Everything up to one byte more than is allowed; the rest stays unread.
async fn read_all(stream: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(stream) = stream else { return Ok(()) };
    stream.take(LONGEST as u64 + 1).read_to_end(into).await?;
    if into.len() > LONGEST { Err(io::Error::other("it says more than 64 KiB")) } else { Ok(()) }
}

/// The end of what comes.
async fn read_end(stream: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        into.extend_from_slice(piece.get(..count).unwrap_or_default());
        // One byte more than is shown says that something was cut off.
        let surplus = into.len().saturating_sub(LONGEST_COMPLAINT + 1);
        into.drain(..surplus);
    }
}

/// A command's group, killed when this is dropped before the command ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        // The child leads a group of its own, and its id is not given to another before it was waited for.
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0
            && let Err(failure) = kill_process_group(leader, Signal::KILL)
        {
            tracing::debug!(%failure, "the credential command's group was gone before it was killed");
        }
    }
}

/// What a command complained about, with what may be a secret left out: long words, those that look like a token,
/// and what follows a word that announces one.
fn without_secrets(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let text = if complaint.len() > LONGEST_COMPLAINT {
        // The first word may be the end of a secret.
        text.split_once(char::is_whitespace).map_or("", |(_cut, rest)| rest)
    } else {
        &text
    };
    let mut said = Vec::new();
    let mut hide_next = false;
    for word in text.split_whitespace() {
        let bare =
            word.trim_matches(|character: char| !character.is_ascii_alphanumeric()).to_ascii_lowercase();
        let tells = ["token", "bearer", "password", "secret", "key"];
        let announces =
            word.ends_with([':', '=']) && tells.iter().any(|tell| bare.ends_with(tell)) || bare == "bearer";
        let holds = word.split_once(['=', ':']).is_some_and(|(name, value)| {
            !value.is_empty() && tells.iter().any(|tell| name.to_ascii_lowercase().ends_with(tell))
        });
        let longest =
            word.split(|character: char| !is_token_character(character)).map(str::len).max().unwrap_or(0);
        let secret = hide_next || holds || longest >= 24 || word.contains("eyJ");
        said.push(if secret { "(hidden)" } else { word });
        hide_next = announces;
    }
    // The end tells more than the beginning.
    let mut room = LONGEST_COMPLAINT - 12;
    let kept = said.iter().rev().take_while(|word| {
        let fits = word.len() < room;
        room = room.saturating_sub(word.len() + 1);
        fits
    });
    let kept = kept.count();
    words::shortened(&said.split_off(said.len() - kept).join(" "))
}

fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '+' | '=' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_shown_without_what_may_be_a_secret() {
        for (complaint, expected) in [
            ("not signed in; run login\n", "not signed in; run login"),
            (
                "cannot open /usr/lib/helper/config.json: denied",
                "cannot open /usr/lib/helper/config.json: denied",
            ),
            ("bad token: hunter2 at once", "bad token: (hidden) at once"),
            ("Authorization: Bearer hunter2", "Authorization: Bearer (hidden)"),
            ("token=hunter2 refused", "(hidden) refused"),
            ("got eyJhbGc.x.y", "got (hidden)"),
            ("got 0123456789abcdef0123456789abcdef.", "got (hidden)"),
            ("a\u{1b}[31mb", "a [31mb"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(complaint.as_bytes()), expected, "{complaint}");
        }
        let long = format!("{} end", "s".repeat(LONGEST_COMPLAINT));
        assert_eq!(without_secrets(long.as_bytes()), "end");
    }

    #[test]
    fn the_output_is_plain_text_or_json() {
        let check = |output: &str, expected: Result<Option<i64>, &str>| {
            let read = read(output.as_bytes(), "helper");
            let told = read.as_ref().map(|credential| credential.claims.expires_at.map(|moment| moment.0));
            let why = told.map_err(|failure| {
                let CredentialError::NotAToken { why, .. } = failure else { panic!("{failure}") };
                *why
            });
            assert_eq!(why, expected, "{output}");
            if let Ok(credential) = &read {
                assert_eq!(credential.token.expose(), "abc");
            }
        };
        check("abc", Ok(None));
        check("  abc\r\n", Ok(None));
        check(r#"{"token": "abc"}"#, Ok(None));
        check(r#" {"token": "abc", "expires_at": null, "more": [1]}"#, Ok(None));
        check(r#"{"token": "abc\n", "expires_at": "1970-01-01T00:00:01Z"}"#, Ok(Some(1000)));
        check(r#"{"token": "abc", "expires_at": "soon"}"#, Err("has an `expires_at` that is not RFC 3339"));
        let neither = "is neither plain text nor JSON with a `token` and, where wanted, an `expires_at`";
        check(r#"{"tokens": "abc"}"#, Err(neither));
        check(r#"{"token": 5}"#, Err(neither));
        check("{", Err(neither));
        check("", Err("is empty"));
        check(r#"{"token": " "}"#, Err("is empty"));
        check("abc\nabc", Err("has a line break or another control character in it"));
        check("Bearer abc", Err("has a blank in it; leave out words like `Bearer`"));
        check("abc\u{e9}", Err("has characters in it that are not ASCII"));
    }
}
