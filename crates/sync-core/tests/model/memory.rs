//! The rules of the store in memory: at most one row for each project of a scope, the newest wish.

use std::collections::BTreeMap;

use sync_core::backoff::between;
use sync_core::{
    Asked, Entry, EntryId, Fate, LocalId, Mapping, Revision, Scope, ScopeId, Settled, Standing, Timestamp,
    lifetime,
};

use crate::mutation::Mutation;
use crate::queue::{MAPPING_LIFE, PARKED_CAP, Queue, READY_CAP, Taken, Wish};

#[derive(Debug, Default)]
pub(crate) struct MemoryQueue {
    /// A rule that is left out on purpose.
    mutation: Option<Mutation>,
    scopes: Vec<Scope>,
    rows: BTreeMap<EntryId, Row>,
    mappings: BTreeMap<(ScopeId, LocalId), Mapping>,
    waits: BTreeMap<ScopeId, String>,
    last_id: i64,
}

#[derive(Clone, Debug)]
struct Row {
    entry: Entry,
    changed_at: Timestamp,
}

impl MemoryQueue {
    pub(crate) fn without(rule: Option<Mutation>) -> Self {
        Self { mutation: rule, ..Self::default() }
    }

    fn row(&mut self, scope: ScopeId, local: LocalId) -> Option<&mut Row> {
        self.rows.values_mut().find(|row| row.entry.scope == scope && row.entry.registration.local == local)
    }

    fn waiting(&self, scope: ScopeId) -> impl Iterator<Item = &Entry> {
        self.rows
            .values()
            .map(|row| &row.entry)
            .filter(move |entry| entry.scope == scope && entry.standing != Standing::Dead)
    }

    fn add(&mut self, scope: ScopeId, wish: Wish, revision: Revision, now: Timestamp) {
        self.last_id += 1;
        let id = EntryId(self.last_id);
        let entry = Entry {
            id,
            scope,
            hash: wish.registration.payload_hash(),
            registration: wish.registration,
            revision,
            asked: wish.asked,
            standing: Standing::Ready,
            attempts: 0,
            due: now,
            enqueued_at: now,
            last_failure: None,
        };
        self.rows.insert(id, Row { entry, changed_at: now });
    }
}

impl Queue for MemoryQueue {
    fn scope(&mut self, scope: &Scope) -> ScopeId {
        let index = self.scopes.iter().position(|known| known == scope).unwrap_or_else(|| {
            self.scopes.push(scope.clone());
            self.scopes.len() - 1
        });
        ScopeId(i64::try_from(index).unwrap() + 1)
    }

    fn adopt(&mut self, from: ScopeId, into: ScopeId, now: Timestamp) {
        let moving: Vec<EntryId> = self
            .rows
            .values()
            .map(|row| &row.entry)
            .filter(|entry| entry.scope == from)
            .map(|e| e.id)
            .collect();
        for id in moving {
            let Some(mut row) = self.rows.remove(&id) else { continue };
            let local = row.entry.registration.local;
            let sent = self.mappings.get(&(into, local)).map(|mapping| (mapping.sent, mapping.revision));
            let there = self
                .row(into, local)
                .map(|there| (there.entry.id, there.entry.hash, there.entry.revision, there.changed_at));
            if let Some((other, hash, revision, changed_at)) = there {
                if hash == row.entry.hash || changed_at > row.changed_at {
                    continue;
                }
                self.rows.remove(&other);
                row.entry.revision = row.entry.revision.max(revision.next());
            } else if sent.is_some_and(|(sent, _)| sent == Some(row.entry.hash)) {
                continue;
            }
            let after_sent = sent.map_or(Revision::FIRST, |(_, revision)| revision.next());
            let entry = &mut row.entry;
            entry.revision = entry.revision.max(after_sent);
            (entry.scope, entry.standing, entry.attempts) = (into, Standing::Ready, 0);
            entry.due = entry.due.min(now);
            entry.last_failure = None;
            self.rows.insert(id, row);
        }
    }

    fn enqueue(&mut self, scope: ScopeId, wish: Wish, now: Timestamp) -> Taken {
        let hash = wish.registration.payload_hash();
        let local = wish.registration.local;
        let by_user = wish.asked == Asked::ByUser;
        let same_revision = self.mutation == Some(Mutation::ReplacingKeepsTheRevision);
        if self.mutation == Some(Mutation::EveryWishIsARow) {
            self.add(scope, wish, Revision::FIRST, now);
            return Taken::Waits;
        }
        let mapping = self.mappings.get(&(scope, local)).cloned();
        let Some(row) = self.row(scope, local) else {
            match mapping {
                Some(mapping) if mapping.sent == Some(hash) && !wish.force => return Taken::Known,
                Some(mapping) => self.add(scope, wish, mapping.revision.next(), now),
                None => self.add(scope, wish, Revision::FIRST, now),
            }
            return Taken::Waits;
        };
        let entry = &mut row.entry;
        let asked = entry.asked.min(wish.asked);
        if entry.hash != hash {
            (entry.registration, entry.hash, entry.asked) = (wish.registration, hash, asked);
            if !same_revision {
                entry.revision = entry.revision.next();
            }
            (entry.standing, entry.attempts, entry.due, entry.last_failure) = (Standing::Ready, 0, now, None);
            row.changed_at = now;
        } else if entry.standing != Standing::Ready && (by_user || wish.force) {
            (entry.standing, entry.attempts, entry.last_failure) = (Standing::Ready, 0, None);
            (entry.asked, entry.due) = (asked, entry.due.min(now));
        } else if entry.standing == Standing::Ready && by_user {
            (entry.asked, entry.due) = (asked, entry.due.min(now));
        }
        Taken::Waits
    }

    fn heads(&mut self, scope: ScopeId, now: Timestamp, limit: usize) -> Vec<Entry> {
        let mut due: Vec<&Entry> = self.waiting(scope).filter(|entry| entry.due <= now).collect();
        due.sort_by_key(|entry| (entry.asked, entry.due, entry.id));
        due.truncate(limit);
        let mut ordered: Vec<Entry> = Vec::with_capacity(due.len());
        for entry in &due {
            // From the outermost parent that waits down to this one.
            let mut chain = vec![*entry];
            while let Some(parent) = chain.last().and_then(|last| last.registration.parent) {
                match due.iter().find(|other| other.registration.local == parent) {
                    Some(parent) => chain.push(parent),
                    None => break,
                }
            }
            for next in chain.into_iter().rev() {
                if ordered.iter().all(|placed| placed.id != next.id) {
                    ordered.push(next.clone());
                }
            }
        }
        ordered
    }

    fn entries(&mut self, ids: &[EntryId]) -> Vec<Entry> {
        ids.iter().filter_map(|id| self.rows.get(id)).map(|row| row.entry.clone()).collect()
    }

    fn next_due(&mut self, scope: ScopeId) -> Option<Timestamp> {
        self.waiting(scope).map(|entry| entry.due).min()
    }

    fn settle(&mut self, scope: ScopeId, settled: &[Settled], dice: u64, now: Timestamp) {
        for Settled { entry: id, local, revision, hash, fate } in settled {
            if let Fate::Delivered(cloud) = fate {
                let (expires_at, refresh_at) = lifetime(now, MAPPING_LIFE, dice);
                let mapping = Mapping {
                    local: *local,
                    cloud: cloud.cloud,
                    tenant: cloud.tenant.clone(),
                    status: cloud.status.clone(),
                    sent: Some(*hash),
                    revision: *revision,
                    cached_at: now,
                    expires_at,
                    refresh_at,
                };
                self.mappings.insert((scope, *local), mapping);
            }
            let Some(row) = self.rows.get_mut(id).filter(|row| row.entry.scope == scope) else { continue };
            let entry = &mut row.entry;
            let replaced = entry.revision != *revision;
            match fate {
                Fate::Delivered(_) => {
                    if !replaced {
                        self.rows.remove(id);
                    }
                }
                Fate::Back { .. } | Fate::Retry { .. } | Fate::Park { .. } | Fate::Bury(_) if replaced => {}
                Fate::Back { due, failure } => {
                    entry.due = *due;
                    if failure.is_some() {
                        entry.last_failure.clone_from(failure);
                    }
                }
                Fate::Retry { due, failure } => {
                    (entry.standing, entry.due) = (Standing::Ready, *due);
                    entry.attempts += 1;
                    entry.last_failure = Some(failure.clone());
                }
                Fate::Park { due, failure } => {
                    (entry.standing, entry.due) = (Standing::Parked, *due);
                    entry.last_failure = Some(failure.clone());
                }
                Fate::Bury(failure) => {
                    (entry.standing, entry.due) = (Standing::Dead, now);
                    entry.attempts += 1;
                    entry.last_failure = Some(failure.clone());
                }
            }
        }
    }

    fn rows(&mut self, scope: ScopeId) -> Vec<Entry> {
        self.rows.values().map(|row| &row.entry).filter(|entry| entry.scope == scope).cloned().collect()
    }

    fn retry(&mut self, id: EntryId, now: Timestamp) {
        if let Some(Row { entry, .. }) = self.rows.get_mut(&id) {
            (entry.standing, entry.attempts, entry.last_failure) = (Standing::Ready, 0, None);
            entry.due = entry.due.min(now);
        }
    }

    fn drop_entry(&mut self, id: EntryId) {
        self.rows.remove(&id);
    }

    fn hurry(&mut self, scope: ScopeId, now: Timestamp) {
        for Row { entry, .. } in self.rows.values_mut() {
            if entry.scope == scope && entry.standing == Standing::Ready {
                entry.due = entry.due.min(now);
            }
        }
    }

    fn pull_in(&mut self, scope: ScopeId, dice: u64, now: Timestamp) {
        for Row { entry, changed_at } in self.rows.values_mut() {
            let cap = match entry.standing {
                Standing::Ready => READY_CAP,
                Standing::Parked => PARKED_CAP,
                Standing::Dead => continue,
            };
            let failed_at = entry.last_failure.as_ref().map_or(*changed_at, |failure| failure.at);
            let put_off_at = failed_at.max(*changed_at);
            if entry.scope != scope {
                continue;
            }
            if put_off_at > now && put_off_at <= entry.due {
                entry.due = now.after(entry.due.since(put_off_at).min(cap));
            } else if entry.due > now.after(cap) {
                entry.due = now.after(between(std::time::Duration::ZERO, cap, dice));
            }
        }
    }

    fn mapping(&mut self, scope: ScopeId, local: LocalId) -> Option<Mapping> {
        self.mappings.get(&(scope, local)).cloned()
    }

    fn mappings(&mut self, scope: ScopeId) -> Vec<Mapping> {
        self.mappings.iter().filter(|((of, _), _)| *of == scope).map(|(_, mapping)| mapping.clone()).collect()
    }

    fn put_mapping(&mut self, scope: ScopeId, mapping: Mapping, _now: Timestamp) {
        self.mappings.insert((scope, mapping.local), mapping);
    }

    fn forget_mapping(&mut self, scope: ScopeId, local: LocalId) {
        self.mappings.remove(&(scope, local));
    }

    fn kept_wait(&mut self, scope: ScopeId) -> Option<String> {
        self.waits.get(&scope).cloned()
    }

    fn keep_wait(&mut self, scope: ScopeId, wait: Option<String>) {
        match wait {
            Some(wait) => {
                self.waits.insert(scope, wait);
            }
            None => {
                self.waits.remove(&scope);
            }
        }
    }

    fn reopen(&mut self, _clean: bool, _now: Timestamp) {}
}
