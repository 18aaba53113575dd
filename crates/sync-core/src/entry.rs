//! One project's waiting entry in the outbox: the newest wish, not a log of wishes.

use uuid::Uuid;

use crate::answer::CloudProject;
use crate::ids::{EntryId, LocalId, Revision, ScopeId};
use crate::registration::{PayloadHash, Registration};
use crate::scope::Scope;
use crate::time::Timestamp;

/// Who wanted a registration; the first is sent before the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Asked {
    /// A person or a tool.
    ByUser,
    /// Discovery.
    ByDiscovery,
}

/// Where an entry stands in the outbox. That one is in flight is known in memory only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// Goes when it is due.
    Ready,
    /// Waits for a person (402 or 403 about this project); tried again daily.
    Parked,
    /// The cloud's final word. Kept to be shown, retried or dropped.
    Dead,
}

/// The last thing that went wrong with an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// A stable word, for example `http_422`, `unreachable_dns`, `left_out`.
    pub code: String,
    /// For people; may hold the cloud's words.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// A row of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// Whose it is.
    pub scope: ScopeId,
    /// What is to be sent.
    pub registration: Registration,
    /// The hash of that, as stored; checked again before sending.
    pub hash: PayloadHash,
    /// How often it was replaced.
    pub revision: Revision,
    /// Who wanted it.
    pub asked: Asked,
    /// Where it stands.
    pub standing: Standing,
    /// Verdicts about this project itself that were against it.
    pub attempts: u32,
    /// Not before this.
    pub due: Timestamp,
    /// When the project first waited.
    pub enqueued_at: Timestamp,
    /// The last thing that went wrong.
    pub last_failure: Option<Failure>,
}

/// What becomes of an entry after a flight. Applied only where the row still has the revision that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The cloud has it: the row goes, the mapping comes, in one commit.
    Delivered(CloudProject),
    /// Back to waiting, not counted: the way there failed, or the cloud asked for patience.
    Back {
        /// Not before this.
        due: Timestamp,
        /// Why, where that belongs to this entry.
        failure: Option<Failure>,
    },
    /// Back to waiting, counted as an attempt.
    Retry {
        /// Not before this.
        due: Timestamp,
        /// What the cloud said.
        failure: Failure,
    },
    /// Waits for a person; tried again at `due`.
    Park {
        /// The daily retry.
        due: Timestamp,
        /// What the cloud said.
        failure: Failure,
    },
    /// The final word.
    Bury(Failure),
}

/// An entry of a flight, what flew, and what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// Which row.
    pub entry: EntryId,
    /// Which project: the row may be gone when the flight ends.
    pub local: LocalId,
    /// The revision that was sent.
    pub revision: Revision,
    /// The hash of what was sent: the row may hold newer content when the flight ends.
    pub hash: PayloadHash,
    /// What becomes of it.
    pub fate: Fate,
}

/// The Idempotency-Key of one revision in one scope: UUIDv5 (RFC 9562 §5.5) over scope, operation, project, revision
/// and payload hash. The same on every retry, after a restart, and after the database was rebuilt.
pub fn idempotency_key(scope: &Scope, entry: &Entry) -> Uuid {
    let name = format!(
        "{}\nregister\n{}\n{}\n{}",
        scope.key(),
        entry.registration.local,
        entry.revision,
        Uuid::from_bytes(entry.hash.0)
    );
    Uuid::new_v5(&KEY_NAMESPACE, name.as_bytes())
}

/// The Idempotency-Key of a batch, derived from its members' keys in their order.
pub fn batch_key(members: &[Uuid]) -> Uuid {
    let bytes: Vec<u8> = members.iter().flat_map(|key| *key.as_bytes()).collect();
    Uuid::new_v5(&KEY_NAMESPACE, &bytes)
}

const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x2f6e_90b4_83c1_4a55_8b1e_0d7f_64aa_51c9);
