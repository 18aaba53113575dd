//! What is remembered of entries that had trouble, for as long as the process lives.
//!
//! Nothing here has to survive: what must is counted in the entry itself.

use std::collections::BTreeMap;

use super::Flight;
use crate::entry::{Entry, Standing};
use crate::ids::{EntryId, LocalId, Revision};
use crate::registration::PayloadHash;

/// Part of a batch that was not taken as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// Which entries, and the revisions that were refused together.
    pub(super) members: Vec<(EntryId, Revision)>,
    /// Goes only after more exchanges than this have passed: until then the cloud itself may be at fault.
    pub(super) after_passes: Option<u64>,
}

impl Group {
    pub(super) fn may_go(&self, passes: u64) -> bool {
        self.after_passes.is_none_or(|after| passes > after)
    }
}

/// What is remembered of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Note {
    local: LocalId,
    revision: Revision,
    hash: PayloadHash,
    /// It was in a request before.
    tried: bool,
    /// When it was in one last: the number of that take-off.
    last_turn: u64,
    /// Times the cloud left it out of its results.
    left_out: u32,
    /// Times the cloud stumbled over it alone, and the passes at the first of them.
    stumbled: u32,
    passes_then: u64,
    /// Times the cloud called it a conflict.
    conflicts: u32,
    /// Refused with 402 or 403; nothing passed since.
    witness: bool,
    /// The cloud is asked what became of it before it is sent again.
    ask: Option<Ask>,
}

impl Note {
    fn had_trouble(&self) -> bool {
        self.stumbled > 0 || self.conflicts > 0 || self.witness
    }
}

/// An entry that was refused with 402 or 403, and what of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Witness {
    pub(super) entry: EntryId,
    pub(super) local: LocalId,
    pub(super) revision: Revision,
    pub(super) hash: PayloadHash,
}

/// Why the cloud is asked about an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// It was accepted (202).
    Accepted,
    /// It was called a conflict (409) three times.
    Conflict,
}

/// The notes of one scope, and how often an entry was in a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Notes(BTreeMap<EntryId, Note>, u64);

/// Most notes kept; the lowest numbers go first. A forgotten note costs a request, never an entry.
const MOST_NOTES: usize = 10_000;

impl Notes {
    fn of(&mut self, entry: &Entry) -> &mut Note {
        while self.0.len() >= MOST_NOTES && !self.0.contains_key(&entry.id) {
            self.0.pop_first();
        }
        self.0.entry(entry.id).or_insert(Note {
            local: entry.registration.local,
            revision: entry.revision,
            hash: entry.hash,
            tried: false,
            last_turn: 0,
            left_out: 0,
            stumbled: 0,
            passes_then: 0,
            conflicts: 0,
            witness: false,
            ask: None,
        })
    }

    /// Notes of revisions that were replaced say nothing of the new ones.
    pub(super) fn forget_replaced(&mut self, entries: &[Entry]) {
        for entry in entries {
            if self.0.get(&entry.id).is_some_and(|note| note.revision != entry.revision) {
                self.0.remove(&entry.id);
            }
        }
    }

    pub(super) fn forget(&mut self, id: EntryId) {
        self.0.remove(&id);
    }

    pub(super) fn tried(&mut self, entry: &Entry) {
        self.1 += 1;
        let turn = self.1;
        let note = self.of(entry);
        (note.tried, note.last_turn) = (true, turn);
    }

    pub(super) fn was_tried(&self, flight: &Flight) -> bool {
        flight.entries.iter().any(|entry| self.0.get(&entry.id).is_some_and(|note| note.tried))
    }

    /// How many had trouble of their own.
    pub(super) fn troubled(&self) -> usize {
        self.0.values().filter(|note| note.had_trouble()).count()
    }

    /// Whether this revision was in no request yet.
    pub(super) fn is_new(&self, entry: &Entry) -> bool {
        self.0.get(&entry.id).is_none_or(|note| !note.tried || note.revision != entry.revision)
    }

    /// Whose turn it is to go alone: first who had no trouble of its own, then who went longest ago.
    pub(super) fn turn(&self, id: EntryId) -> u64 {
        self.0.get(&id).filter(|note| note.had_trouble()).map_or(0, |note| note.last_turn)
    }

    /// Whether it had trouble of its own, so that it would hold up the others of a batch.
    pub(super) fn travels_alone(&self, entry: &Entry) -> bool {
        entry.standing != Standing::Ready
            || self.0.get(&entry.id).is_some_and(|note| note.stumbled > 0 || note.conflicts > 0)
    }

    /// The times it was left out, this one included.
    pub(super) fn left_out(&mut self, entry: &Entry) -> u32 {
        let note = self.of(entry);
        note.left_out += 1;
        note.left_out
    }

    /// The cloud stumbled over it alone. Answers the times so far and whether something else passed meanwhile.
    pub(super) fn stumbled(&mut self, entry: &Entry, passes: u64) -> (u32, bool) {
        let note = self.of(entry);
        if note.stumbled == 0 {
            note.passes_then = passes;
        }
        note.stumbled = note.stumbled.saturating_add(1);
        (note.stumbled, passes > note.passes_then)
    }

    pub(super) fn stumbles_are_counted(&mut self, entry: &Entry) {
        self.of(entry).stumbled = 0;
    }

    /// The times it was called a conflict, this one included.
    pub(super) fn conflict(&mut self, entry: &Entry) -> u32 {
        let note = self.of(entry);
        note.conflicts += 1;
        note.conflicts
    }

    pub(super) fn ask(&mut self, entry: &Entry, why: Ask) {
        self.of(entry).ask = Some(why);
    }

    pub(super) fn asks(&self, entry: &Entry) -> bool {
        self.0.get(&entry.id).is_some_and(|note| note.ask.is_some())
    }

    /// Why the cloud was asked; it is not asked again.
    pub(super) fn asked(&mut self, id: EntryId) -> Option<Ask> {
        self.0.get_mut(&id).and_then(|note| note.ask.take())
    }

    /// It was refused with 402 or 403. Answers whether it had been before, and nothing passed since.
    pub(super) fn witness(&mut self, entry: &Entry) -> bool {
        std::mem::replace(&mut self.of(entry).witness, true)
    }

    /// Entries that were refused with 402 or 403 since something passed.
    pub(super) fn witnesses(&self) -> Vec<Witness> {
        self.0
            .iter()
            .filter(|(_, note)| note.witness)
            .map(|(id, note)| Witness {
                entry: *id,
                local: note.local,
                revision: note.revision,
                hash: note.hash,
            })
            .collect()
    }
}
