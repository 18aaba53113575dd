//! What is remembered of entries that had trouble, for as long as the process lives.
//!
//! Nothing here has to survive: what must is counted in the entry itself.

use std::collections::BTreeMap;

use super::Flight;
use crate::entry::{Entry, Standing};
use crate::ids::{CloudId, EntryId, LocalId, Revision};
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
    /// Times the cloud did not take it at the time, without a fault of its own.
    turned_away: u32,
    /// Times the cloud stumbled over it alone, and the passes at the first of them.
    stumbled: u32,
    passes_then: u64,
    /// Times the cloud called it a conflict.
    conflicts: u32,
    /// Refused with 402 or 403; nothing passed since.
    witness: bool,
    /// It was refused while all were, and others are taken again: refused once more it is meant itself.
    acquitted: bool,
    /// The cloud is asked what became of it before it is sent again.
    ask: Option<Ask>,
    /// Times the cloud was asked in a row without a final word.
    asked: u32,
    /// Times the way failed under a request it was in, with something passed in between; and the passes at the last.
    suspicion: u32,
    suspected_at: Option<u64>,
    /// The passes when the way failed under it alone.
    failed_alone_at: Option<u64>,
}

impl Note {
    fn had_trouble(&self) -> bool {
        self.stumbled > 0 || self.conflicts > 0 || self.witness || self.is_suspect()
    }

    /// The way fails with it and not without it, too often for chance.
    fn is_suspect(&self) -> bool {
        self.suspicion >= SUSPECT_FROM
    }
}

/// From so many failures of the way on an entry is suspected to cause them.
pub(super) const SUSPECT_FROM: u32 = 3;

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
    /// It was accepted (202), under this UUID where one was told.
    Accepted(Option<CloudId>),
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
            turned_away: 0,
            stumbled: 0,
            passes_then: 0,
            conflicts: 0,
            witness: false,
            acquitted: false,
            ask: None,
            asked: 0,
            suspicion: 0,
            suspected_at: None,
            failed_alone_at: None,
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

    /// How many had trouble of their own, are asked about, or just failed to get through: they must not hide the
    /// others.
    pub(super) fn troubled(&self, passes: u64) -> usize {
        let counts =
            |note: &&Note| note.had_trouble() || note.ask.is_some() || note.failed_alone_at == Some(passes);
        self.0.values().filter(counts).count()
    }

    /// Whether this revision was in no request yet.
    pub(super) fn is_new(&self, entry: &Entry) -> bool {
        self.0.get(&entry.id).is_none_or(|note| !note.tried || note.revision != entry.revision)
    }

    /// Whose turn it is to go alone: first who had no trouble of its own and did not just fail to get through, then
    /// who went longest ago.
    pub(super) fn turn(&self, id: EntryId, passes: u64) -> u64 {
        self.0
            .get(&id)
            .filter(|note| note.had_trouble() || note.failed_alone_at == Some(passes))
            .map_or(0, |note| note.last_turn)
    }

    /// The way failed under a request it was in. Answers how often that was so with something passed in between.
    pub(super) fn way_failed(&mut self, entry: &Entry, alone: bool, passes: u64) -> u32 {
        let note = self.of(entry);
        if note.suspected_at.is_none_or(|then| passes > then) {
            note.suspicion = note.suspicion.saturating_add(1);
            note.suspected_at = Some(passes);
        }
        if alone {
            note.failed_alone_at = Some(passes);
        }
        note.suspicion
    }

    /// What was in the air when the process ended, time and again, goes alone from the start.
    pub(super) fn suspect(&mut self, entry: &Entry) {
        self.of(entry).suspicion = SUSPECT_FROM;
    }

    /// Whether it had trouble of its own, so that it would hold up the others of a batch.
    pub(super) fn travels_alone(&self, entry: &Entry) -> bool {
        entry.standing != Standing::Ready
            || self
                .0
                .get(&entry.id)
                .is_some_and(|note| note.stumbled > 0 || note.conflicts > 0 || note.is_suspect())
    }

    /// The times it was left out, this one included.
    pub(super) fn left_out(&mut self, entry: &Entry) -> u32 {
        let note = self.of(entry);
        note.left_out += 1;
        note.left_out
    }

    /// The times it was not taken at the time, this one included.
    pub(super) fn turned_away(&mut self, entry: &Entry) -> u32 {
        let note = self.of(entry);
        note.turned_away = note.turned_away.saturating_add(1);
        note.turned_away
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

    pub(super) fn asks(&self, entry: &Entry) -> Option<Ask> {
        self.0.get(&entry.id).and_then(|note| note.ask)
    }

    /// Why the cloud was asked; it is not asked again.
    pub(super) fn asked(&mut self, id: EntryId) -> Option<Ask> {
        self.0.get_mut(&id).and_then(|note| note.ask.take())
    }

    /// The times the cloud was asked about it without a final word, this one not included.
    pub(super) fn asked_before(&mut self, entry: &Entry) -> u32 {
        let note = self.of(entry);
        note.asked = note.asked.saturating_add(1);
        note.asked - 1
    }

    /// It was refused with 402 or 403. Answers whether it had been before, and nothing passed since.
    pub(super) fn witness(&mut self, entry: &Entry) -> bool {
        std::mem::replace(&mut self.of(entry).witness, true)
    }

    /// It was refused while all were.
    pub(super) fn acquit(&mut self, id: EntryId) {
        if let Some(note) = self.0.get_mut(&id) {
            (note.witness, note.acquitted) = (false, true);
        }
    }

    pub(super) fn was_acquitted(&self, entry: &Entry) -> bool {
        self.0.get(&entry.id).is_some_and(|note| note.acquitted && note.revision == entry.revision)
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
