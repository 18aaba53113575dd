//! The rules of the outbox, and the book in which the wishes of one commit are decided.
//!
//! [`rule`] decides over one wish and is the whole of the rules. Knows nothing of statements: it is told what is
//! there and says what is to be there.

use std::collections::BTreeMap;

use sync_core::{
    Asked, EntryId, LocalId, Mapping, PayloadHash, Registration, Revision, ScopeId, Standing, Timestamp,
};

use super::{Call, Wish};
use crate::error::Error;
use crate::sql::path_bytes;

/// So many bytes of payload may wait.
pub(crate) const LARGEST_QUEUE: u64 = 64 * 1024 * 1024;
/// What a row costs besides its texts.
const ROW_OVERHEAD: u64 = 160;

/// What the rules need to know of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    // None while it is only about to be added.
    pub(super) id: Option<EntryId>,
    pub(super) hash: PayloadHash,
    pub(super) revision: Revision,
    pub(super) asked: Asked,
    pub(super) standing: Standing,
    pub(super) bytes: u64,
}

/// What is to be done about a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ruling {
    /// Nothing: the cloud has it.
    Known,
    /// Nothing: it is there.
    Keep,
    /// It goes before those of discovery, now.
    Hurry,
    /// It was given up or waits for a person, and is tried again from the start.
    Revive,
    /// It takes the older one's place.
    Replace,
    /// It is new.
    Add(Revision),
}

/// The rules of the outbox.
fn rule(
    wish: &Wish,
    hash: PayloadHash,
    row: Option<&Row>,
    mapping: Option<&Mapping>,
    now: Timestamp,
) -> Ruling {
    let by_user = wish.asked == Asked::ByUser;
    match row {
        Some(row) if row.hash != hash => Ruling::Replace,
        Some(row) => match row.standing {
            Standing::Ready if by_user && row.asked == Asked::ByDiscovery => Ruling::Hurry,
            Standing::Parked | Standing::Dead if by_user || wish.force => Ruling::Revive,
            Standing::Ready | Standing::Parked | Standing::Dead => Ruling::Keep,
        },
        None => match mapping {
            Some(mapping) if mapping.sent == Some(hash) && !wish.force => Ruling::Known,
            // Invariant: a revision is never given to other content, so an Idempotency-Key is not either. What was sent
            // and is not known of any more, as after the loss of the database, had one of an earlier moment.
            Some(mapping) => Ruling::Add(mapping.revision.next().max(Revision::at(now))),
            None => Ruling::Add(Revision::at(now)),
        },
    }
}

pub(super) type Key = (ScopeId, LocalId);

/// What is known of a project in a scope, and what is to be written about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) row: Option<Row>,
    pub(super) mapping: Option<Mapping>,
    /// The payload that is to be stored: which caller's, which wish.
    pub(super) put: Option<(usize, usize)>,
    pub(super) touch: Option<Touch>,
    pub(super) now: Timestamp,
}

/// What changes about a row whose payload stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) by_user: bool,
    pub(super) revive: bool,
}

/// Everything the wishes are decided with, as it is in the database and then as it is going to be.
pub(super) struct Book {
    pub(super) places: BTreeMap<Key, Place>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) limit: u64,
}

/// What one wish came to, before a new row has its number.
pub(super) enum Taken {
    Row { key: Key, verb: Verb, revision: Revision },
    Known(Mapping),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Added,
    Replaced,
    Revived,
    Waiting,
}

impl Book {
    /// Decides over one caller's wishes; when one is refused, all of them leave no trace.
    pub(super) fn take(&mut self, number: usize, call: &Call) -> Result<Vec<Taken>, Error> {
        let (rows, bytes) = (self.rows, self.bytes);
        let mut before: Vec<(Key, Place)> = Vec::new();
        let mut taken = Vec::with_capacity(call.wishes.len());
        for (index, wish) in call.wishes.iter().enumerate() {
            let key = (call.scope, wish.registration.local);
            before.push((key, self.places.get(&key).cloned().unwrap_or_default()));
            if let Some(one) = self.take_one(key, (number, index), wish, call.now) {
                taken.push(one);
            } else {
                (self.rows, self.bytes) = (rows, bytes);
                self.places.extend(before.into_iter().rev());
                return Err(Error::QueueFull { limit: self.limit });
            }
        }
        Ok(taken)
    }

    /// `None` when there is no room for it.
    fn take_one(&mut self, key: Key, source: (usize, usize), wish: &Wish, now: Timestamp) -> Option<Taken> {
        let hash = wish.registration.payload_hash();
        let bytes = payload_bytes(&wish.registration);
        let full = self.rows >= self.limit || self.bytes.saturating_add(bytes) > LARGEST_QUEUE;
        let place = self.places.entry(key).or_default();
        let by_user = wish.asked == Asked::ByUser;
        let ruling = rule(wish, hash, place.row.as_ref(), place.mapping.as_ref(), now);
        let (verb, row) = match (ruling, place.row.take()) {
            (Ruling::Known, row) => {
                place.row = row;
                return place.mapping.clone().map(Taken::Known);
            }
            (Ruling::Add(revision), _) => {
                if full {
                    return None;
                }
                self.rows += 1;
                self.bytes += bytes;
                place.put = Some(source);
                let row =
                    Row { id: None, hash, revision, asked: wish.asked, standing: Standing::Ready, bytes };
                (Verb::Added, row)
            }
            (Ruling::Replace, Some(row)) => {
                if row.standing == Standing::Dead {
                    self.rows += 1;
                } else {
                    self.bytes = self.bytes.saturating_sub(row.bytes);
                }
                self.bytes += bytes;
                place.put = Some(source);
                let row = Row {
                    hash,
                    revision: row.revision.next(),
                    asked: row.asked.min(wish.asked),
                    standing: Standing::Ready,
                    bytes,
                    id: row.id,
                };
                (Verb::Replaced, row)
            }
            (Ruling::Revive, Some(row)) => {
                if row.standing == Standing::Dead {
                    self.rows += 1;
                    self.bytes += row.bytes;
                }
                place.touch = Some(Touch { by_user, revive: true });
                let row = Row { asked: row.asked.min(wish.asked), standing: Standing::Ready, ..row };
                (Verb::Revived, row)
            }
            (Ruling::Hurry, Some(row)) => {
                place.touch.get_or_insert(Touch { by_user, revive: false }).by_user = true;
                (Verb::Waiting, Row { asked: Asked::ByUser, ..row })
            }
            (Ruling::Keep, Some(row)) => (Verb::Waiting, row),
            // `rule` says these three only where there is a row.
            (Ruling::Replace | Ruling::Revive | Ruling::Hurry | Ruling::Keep, None) => return None,
        };
        let revision = row.revision;
        place.row = Some(row);
        place.now = now;
        Some(Taken::Row { key, verb, revision })
    }
}

fn payload_bytes(registration: &Registration) -> u64 {
    let texts = registration.name.len()
        + path_bytes(&registration.root).len()
        + registration.language.len()
        + registration.framework.len()
        + registration.content_hash.len();
    ROW_OVERHEAD + texts as u64
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sync_core::{CloudId, MachineId, ProjectKind};
    use uuid::Uuid;

    use super::*;

    const SAME: PayloadHash = PayloadHash([1; 16]);
    /// Five seconds after the first.
    const NOW: Timestamp = Timestamp(5_999);
    const OTHER: PayloadHash = PayloadHash([2; 16]);

    /// What the cloud told of the project.
    enum Known {
        Not,
        /// By a look-up only.
        Unsent,
        Sent(PayloadHash),
    }

    fn wish((asked, force): (Asked, bool)) -> Wish {
        let registration = Registration {
            local: LocalId(Uuid::nil()),
            machine: MachineId(Uuid::nil()),
            name: String::new(),
            root: PathBuf::new(),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
        };
        Wish { registration, asked, force }
    }

    fn row(hash: PayloadHash, standing: Standing) -> Row {
        let (id, revision) = (Some(EntryId(1)), Revision(3));
        Row { id, hash, revision, asked: Asked::ByDiscovery, standing, bytes: 0 }
    }

    fn check(
        (asked, force): (Asked, bool),
        waiting: Option<(PayloadHash, Standing)>,
        known: &Known,
        expected: Ruling,
    ) {
        let wish = wish((asked, force));
        let row = waiting.map(|(hash, standing)| row(hash, standing));
        let sent = match known {
            Known::Not => None,
            Known::Unsent => Some(None),
            Known::Sent(hash) => Some(Some(*hash)),
        };
        let mapping = sent.map(|sent| Mapping {
            local: LocalId(Uuid::nil()),
            cloud: CloudId(Uuid::nil()),
            tenant: None,
            status: String::new(),
            sent,
            revision: Revision(7),
            cached_at: Timestamp(0),
            expires_at: Timestamp(0),
            refresh_at: Timestamp(0),
        });
        let ruling = rule(&wish, SAME, row.as_ref(), mapping.as_ref(), NOW);
        assert_eq!(ruling, expected, "{asked:?}, force {force}, {row:?}, {mapping:?}");
    }

    #[test]
    fn the_rules_of_the_outbox() {
        use Standing::{Dead, Parked, Ready};
        let found = (Asked::ByDiscovery, false);
        let forced = (Asked::ByDiscovery, true);
        let user = (Asked::ByUser, false);

        check(found, None, &Known::Not, Ruling::Add(Revision(5)));
        check(found, None, &Known::Sent(SAME), Ruling::Known);
        check(user, None, &Known::Sent(SAME), Ruling::Known);
        check(forced, None, &Known::Sent(SAME), Ruling::Add(Revision(8)));
        check(found, None, &Known::Sent(OTHER), Ruling::Add(Revision(8)));
        check(found, None, &Known::Unsent, Ruling::Add(Revision(8)));

        check(found, Some((SAME, Ready)), &Known::Not, Ruling::Keep);
        check(forced, Some((SAME, Ready)), &Known::Not, Ruling::Keep);
        check(user, Some((SAME, Ready)), &Known::Not, Ruling::Hurry);
        let hurried = Row { asked: Asked::ByUser, ..row(SAME, Ready) };
        let mut wish = wish(user);
        assert_eq!(
            rule(&wish, SAME, Some(&hurried), None, NOW),
            Ruling::Keep,
            "the same wish once more writes nothing"
        );
        wish.force = true;
        assert_eq!(rule(&wish, SAME, Some(&hurried), None, NOW), Ruling::Keep);
        for given_up in [Parked, Dead] {
            check(found, Some((SAME, given_up)), &Known::Not, Ruling::Keep);
            check(forced, Some((SAME, given_up)), &Known::Not, Ruling::Revive);
            check(user, Some((SAME, given_up)), &Known::Not, Ruling::Revive);
        }
        for standing in [Ready, Parked, Dead] {
            for who in [found, forced, user] {
                check(who, Some((OTHER, standing)), &Known::Not, Ruling::Replace);
                // The row is the newer wish, whatever the cloud has.
                check(who, Some((OTHER, standing)), &Known::Sent(SAME), Ruling::Replace);
            }
        }
    }
}
