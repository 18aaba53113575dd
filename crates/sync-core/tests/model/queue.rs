//! What a queue has to be able to do, so that one driver runs over the rules in memory and over the real store.

use sync_core::{Asked, Entry, EntryId, LocalId, Mapping, Registration, Scope, ScopeId, Settled, Timestamp};

/// A registration somebody wants the cloud to have.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) registration: Registration,
    pub(crate) asked: Asked,
    pub(crate) force: bool,
}

/// What became of a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It waits, or is given up and can be seen.
    Waits,
    /// The cloud has exactly this.
    Known,
}

/// The rules of the store. Everything that returned is durable.
pub(crate) trait Queue {
    fn scope(&mut self, scope: &Scope) -> ScopeId;
    fn adopt(&mut self, from: ScopeId, into: ScopeId, now: Timestamp);
    fn enqueue(&mut self, scope: ScopeId, wish: Wish, now: Timestamp) -> Taken;
    fn heads(&mut self, scope: ScopeId, now: Timestamp, limit: usize) -> Vec<Entry>;
    fn entries(&mut self, ids: &[EntryId]) -> Vec<Entry>;
    fn next_due(&mut self, scope: ScopeId) -> Option<Timestamp>;
    fn settle(&mut self, scope: ScopeId, settled: &[Settled], dice: u64, now: Timestamp);
    /// Every row of a scope, dead ones too, by number.
    fn rows(&mut self, scope: ScopeId) -> Vec<Entry>;
    fn retry(&mut self, id: EntryId, now: Timestamp);
    fn drop_entry(&mut self, id: EntryId);
    fn hurry(&mut self, scope: ScopeId, now: Timestamp);
    /// Brings back what is due further ahead than any wait is long.
    fn pull_in(&mut self, scope: ScopeId, dice: u64, now: Timestamp);
    fn mapping(&mut self, scope: ScopeId, local: LocalId) -> Option<Mapping>;
    fn mappings(&mut self, scope: ScopeId) -> Vec<Mapping>;
    fn put_mapping(&mut self, scope: ScopeId, mapping: Mapping, now: Timestamp);
    fn forget_mapping(&mut self, scope: ScopeId, local: LocalId);
    /// A wait the server asked for, kept over restarts.
    fn kept_wait(&mut self, scope: ScopeId) -> Option<String>;
    fn keep_wait(&mut self, scope: ScopeId, wait: Option<String>);
    /// The process ended, by itself or not, and begins again.
    fn reopen(&mut self, clean: bool, now: Timestamp);
}

/// Longest due time of a ready entry and of a parked one.
pub(crate) const READY_CAP: std::time::Duration = std::time::Duration::from_hours(6);
pub(crate) const PARKED_CAP: std::time::Duration = std::time::Duration::from_hours(24);
pub(crate) const MAPPING_LIFE: std::time::Duration = std::time::Duration::from_hours(24);
