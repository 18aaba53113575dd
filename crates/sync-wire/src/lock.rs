//! What stands in `daemon.lock`: who the daemon is, for those who get no answer from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The daemon that wrote the lock file. The file outlives a daemon that was killed, so this alone proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockInfo {
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// Where it listens.
    pub socket: String,
    /// Its version.
    pub version: String,
}

impl LockInfo {
    /// Reads the content of a lock file; `None` when it is empty or something else.
    pub fn from_bytes(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }

    /// The content of a lock file: one line of JSON.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let info = LockInfo {
            pid: 7,
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            socket: "/s/sync.sock".to_owned(),
            version: "0.1.0".to_owned(),
        };
        assert_eq!(LockInfo::from_bytes(info.to_line().as_bytes()), Some(info));
    }

    #[test]
    fn anything_else_is_nobody() {
        for content in [&b""[..], b"123\n", b"{}", b"\xff\x00"] {
            assert_eq!(LockInfo::from_bytes(content), None, "{content:?}");
        }
    }
}
