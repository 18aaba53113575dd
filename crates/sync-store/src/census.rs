//! How many there are of everything, kept in memory for as long as it is true.
//!
//! A question of a reader costs several times what the rest of an answer does, and a tool may ask every second for
//! months. What was counted stays true until something is written, or until the next moment at which an entry becomes
//! due or a mapping expires. Only the writer says when something is written; who writes what is not known here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::sqlite::SqliteRow;
use sync_core::{ScopeId, Timestamp};

use crate::enqueue::LARGEST_QUEUE;
use crate::error::Error;
use crate::mapping::MappingCounts;
use crate::outbox::Counts;
use crate::project::ProjectCounts;
use crate::row::Columns;
use crate::{Mappings, Outbox, Projects, Store, mapping, outbox, project};

/// How many there are of everything in one scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// What waits for the cloud.
    pub outbox: Counts,
    /// What the cloud told.
    pub mapping: MappingCounts,
    /// The projects.
    pub project: ProjectCounts,
    /// Nothing more fits into the queue, whose scope it may be.
    pub is_full: bool,
}

/// Of any registration's payload, in bytes.
const SMALL: u64 = 1_024;

crate::sql::statements! {
    // As an enqueue counts it.
    FILLED = "\
        select
            (select coalesce(sum(rows), 0) from tally where standing < 2),
            (select coalesce(sum(bytes), 0) from tally where standing < 2)";
}

/// Everything is counted with one question: the way to SQLite's thread and back costs more than the counting, and on a machine
/// that has too much to do each way takes its turn.
static ALL: LazyLock<String> =
    LazyLock::new(|| [FILLED, outbox::COUNTS, mapping::COUNTS, project::COUNTS].join(";\n"));

/// How often the file was written to: odd while that happens, and another number afterwards.
#[derive(Debug, Default)]
pub(crate) struct Edition(AtomicU64);

impl Edition {
    /// A write begins, or ended.
    pub(crate) fn turn(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Which edition this is; none while the next one is being written.
    fn current(&self) -> Option<u64> {
        let number = self.0.load(Ordering::Acquire);
        number.is_multiple_of(2).then_some(number)
    }
}

/// What was counted last.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Option<Kept>>);

#[derive(Clone, Copy, Debug)]
struct Kept {
    scope: ScopeId,
    edition: u64,
    /// The moment it was counted at, and the one at which time alone makes another answer of it.
    counted: Timestamp,
    until: Option<Timestamp>,
    census: Census,
}

impl Kept {
    /// Whether counting now would give the same. A clock that was set back makes what is due later again.
    fn holds(&self, scope: ScopeId, edition: u64, now: Timestamp) -> bool {
        self.scope == scope
            && self.edition == edition
            && self.counted <= now
            && self.until.is_none_or(|until| now < until)
    }
}

impl Store {
    /// How many there are of everything. Reads the file only where the answer may have changed since the last call, so
    /// it says nothing about whether the file can still be read.
    ///
    /// # Errors
    /// When it has to be counted and the file cannot be read.
    pub async fn census(&self, scope: ScopeId, now: Timestamp) -> Result<Census, Error> {
        let edition = self.writer().figures().edition.current();
        let known = &self.inner.known.0;
        let kept = *known.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(kept), Some(edition)) = (kept, edition)
            && kept.holds(scope, edition, now)
        {
            return Ok(kept.census);
        }
        let rows = self.read(sqlx::query(ALL.as_str()).bind(scope.0).bind(now.0)).await?;
        // Invariant: none of the first three is ever without a row, and each has one.
        let [filled, outbox, mapping, projects @ ..] = rows.as_slice() else {
            return Err(Error::Row { table: "tally", column: "rows", row: "census".to_owned() });
        };
        let (outbox, due) = Outbox::counted(outbox)?;
        let (mapping, expires) = Mappings::counted(mapping)?;
        let project = Projects::counted(projects)?;
        let census = Census { outbox, mapping, project, is_full: self.is_full(filled)? };
        // What is written from here on has another edition.
        if let Some(edition) = edition {
            let until = due.into_iter().chain(expires).min();
            let kept = Kept { scope, edition, counted: now, until, census };
            *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
        Ok(census)
    }

    fn is_full(&self, found: &SqliteRow) -> Result<bool, Error> {
        let mut columns = Columns::new(found, 0, "tally", "sum".to_owned());
        let (rows, bytes) = (columns.count("rows")?, columns.count("bytes")?);
        Ok(rows >= self.limits().max_items || bytes.saturating_add(SMALL) > LARGEST_QUEUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: ScopeId = ScopeId(1);

    fn kept(until: Option<i64>) -> Kept {
        let census = Census {
            outbox: Counts::default(),
            mapping: MappingCounts::default(),
            project: ProjectCounts::default(),
            is_full: false,
        };
        Kept { scope: SCOPE, edition: 4, counted: Timestamp(100), until: until.map(Timestamp), census }
    }

    #[test]
    fn holds_from_when_it_was_counted_until_its_time() {
        assert!(kept(Some(200)).holds(SCOPE, 4, Timestamp(100)));
        assert!(kept(Some(200)).holds(SCOPE, 4, Timestamp(199)));
        assert!(kept(None).holds(SCOPE, 4, Timestamp(i64::MAX)));
        assert!(!kept(Some(200)).holds(SCOPE, 4, Timestamp(200)));
        assert!(!kept(Some(200)).holds(SCOPE, 4, Timestamp(99)), "the clock was set back");
    }

    #[test]
    fn holds_for_one_scope_and_one_edition() {
        assert!(!kept(None).holds(ScopeId(2), 4, Timestamp(100)));
        assert!(!kept(None).holds(SCOPE, 6, Timestamp(100)));
    }

    #[test]
    fn there_is_no_edition_while_one_is_written() {
        let edition = Edition::default();
        let before = edition.current();
        assert!(before.is_some());
        edition.turn();
        assert_eq!(edition.current(), None);
        edition.turn();
        assert!(edition.current().is_some());
        assert_ne!(edition.current(), before);
    }
}
