//! Where a credential comes from: the configuration, a file or a command.
//!
//! Reads anew each time it is asked; when to ask is the daemon's business. A token is never shown, not even a piece
//! of it.

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sync_core::Timestamp;
use uuid::Uuid;

use crate::claims::Claims;
use crate::command;
use crate::error::CredentialError;

/// More than this is no token.
pub(crate) const LONGEST: usize = 64 << 10;
/// How long a source is waited for unless said otherwise.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// A bearer token: visible ASCII, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Its text, for the header and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What tells the token from others where that has to be kept: it cannot be turned back into the token, and is
    /// worth nothing without `salt`.
    pub fn mark(&self, salt: Uuid) -> Uuid {
        Uuid::new_v5(&salt, self.0.as_bytes())
    }

    /// A number that differs when the token differs, for comparing within this process; it is never stored or shown.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Where a token is to be had.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// Nowhere.
    #[default]
    None,
    /// In the configuration itself; blank means none.
    Inline(String),
    /// In a file.
    File(PathBuf),
    /// From a program and its arguments, run without a shell.
    Command(Vec<String>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Inline(_) => f.write_str("Inline(hidden)"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            // Arguments may be secrets; the program's name is none.
            Self::Command(command) => f.debug_tuple("Command").field(&command.first()).finish(),
        }
    }
}

/// A token and what it says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// The secret.
    pub token: Token,
    /// When it expires and whose it is.
    pub claims: Claims,
    /// It came from a file that other users can read: to be warned of.
    pub readable_by_others: bool,
}

impl Credential {
    /// Takes what a source gave; blanks around it are not part of it.
    pub(crate) fn checked(text: &str, origin: &str) -> Result<Self, CredentialError> {
        let text = text.trim();
        let why = if text.is_empty() {
            "is empty"
        } else if text.contains(char::is_control) {
            "has a line break or another control character in it"
        } else if text.contains(char::is_whitespace) {
            "has a blank in it; leave out words like `Bearer`"
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            "has characters in it that are not ASCII"
        } else {
            let claims = Claims::of(text);
            return Ok(Self { token: Token(text.to_owned()), claims, readable_by_others: false });
        };
        Err(CredentialError::NotAToken { origin: origin.to_owned(), why })
    }

    /// Takes over a moment that the source told beside the token; the earlier one counts.
    pub(crate) fn expiring(mut self, told: Timestamp) -> Self {
        self.claims.expires_at = Some(self.claims.expires_at.map_or(told, |claimed| claimed.min(told)));
        self
    }
}

/// Gets the credential from its source within [`COMMAND_LIMIT`]; `None` when none is configured.
///
/// # Errors
/// The source is configured and gives no token.
pub async fn obtain(source: &Source) -> Result<Option<Credential>, CredentialError> {
    obtain_within(source, COMMAND_LIMIT).await
}

/// The same, within `limit`. Dropping the future ends a command that is under way.
///
/// # Errors
/// The source is configured and gives no token.
pub async fn obtain_within(source: &Source, limit: Duration) -> Result<Option<Credential>, CredentialError> {
    match source {
        Source::None => Ok(None),
        Source::Inline(text) if text.trim().is_empty() => Ok(None),
        Source::Inline(text) => Credential::checked(text, "the configuration").map(Some),
        Source::File(file) => from_file(file.clone(), limit).await.map(Some),
        Source::Command(command) => command::run(command, limit).await.map(Some),
    }
}

/// Off the runtime's threads and with a limit: the file may be on a mount that hangs.
async fn from_file(file: PathBuf, limit: Duration) -> Result<Credential, CredentialError> {
    let origin = file.display().to_string();
    let reading = tokio::task::spawn_blocking({
        let file = file.clone();
        move || read_file(&file)
    });
    match tokio::time::timeout(limit, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(failure)) => Err(CredentialError::File { file, why: failure.to_string() }),
        Err(_elapsed) => Err(CredentialError::TimedOut { origin, limit }),
    }
}

fn read_file(file: &Path) -> Result<Credential, CredentialError> {
    let failed = |why: String| CredentialError::File { file: file.to_owned(), why };
    let refused = |failure: std::io::Error| {
        if failure.kind() == ErrorKind::NotFound {
            return CredentialError::Missing(file.to_owned());
        }
        failed(failure.to_string())
    };
    // Without this flag opening a FIFO would wait for somebody to write to it.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(|failure| failed(failure.to_string()))?;
    let opened = File::options().read(true).custom_flags(flags).open(file).map_err(refused)?;
    let about = opened.metadata().map_err(refused)?;
    if !about.is_file() {
        return Err(failed("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    opened.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    let origin = file.display().to_string();
    if bytes.len() > LONGEST {
        return Err(CredentialError::NotAToken { origin, why: "is longer than 64 KiB" });
    }
    let text = str::from_utf8(&bytes)
        .map_err(|_bytes| CredentialError::NotAToken { origin: origin.clone(), why: "is not text" })?;
    let credential = Credential::checked(text, &origin)?;
    Ok(Credential { readable_by_others: about.mode() & 0o077 != 0, ..credential })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let credential = Credential::checked("hunter2", "x").unwrap();
        let source = Source::Inline("hunter2".to_owned());
        let command = Source::Command(vec!["helper".to_owned(), "--password=hunter2".to_owned()]);
        let refused = Credential::checked("hunter2 hunter2", "x").unwrap_err();
        for shown in [
            format!("{credential:?}"),
            format!("{}", credential.token),
            format!("{source:?} {command:?}"),
            format!("{refused:?} {refused}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn the_earlier_of_two_moments_counts() {
        let credential = |expires_at: Option<i64>| Credential {
            token: Token("x".to_owned()),
            claims: Claims { expires_at: expires_at.map(Timestamp), tenant: None },
            readable_by_others: false,
        };
        for (claimed, told, expected) in [(None, 5, 5), (Some(3), 5, 3), (Some(9), 5, 5)] {
            assert_eq!(credential(claimed).expiring(Timestamp(told)), credential(Some(expected)));
        }
    }
}
