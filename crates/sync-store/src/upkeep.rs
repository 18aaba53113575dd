//! Keeps the file from growing for ever: old events, dead letters and projects that have been gone for long go, and room that
//! nothing fills is given back.
//!
//! It is done in steps, each a short transaction of its own, so that whoever wants to write waits for one step at most;
//! readers wait for none. A step looks for itself what there is to do, so it may be the last one at any time.

use sync_core::Timestamp;

use crate::error::Error;
use crate::{Store, gone, row};

/// The upkeep of one store.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep<'s> {
    pub(crate) store: &'s Store,
}

/// How much of the past is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// So many events, the newest.
    pub events: u32,
    /// So many dead entries of each scope, the newest.
    pub dead: u32,
    /// Projects that have been gone for no more than so many weeks in which somebody kept the store up, and those of which
    /// something waits to be sent or which are the parent of one on disk.
    pub gone_weeks: u32,
}

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// So many old events went.
    Events(u64),
    /// So many old dead entries went.
    Dead(u64),
    /// So many projects that had been gone for long were forgotten, with what the cloud told of them.
    Gone(u64),
    /// So many pages were given back to the system, or will be when the log is moved into the file.
    Pages(u64),
    /// There is nothing left to do.
    Done,
}

/// Rows that go in one step.
const ROWS: u32 = 250;
/// Free pages that are left in the file: what comes and goes all day would only be given back to be taken again.
const SPARE_PAGES: u64 = 256;

crate::sql::statements! {
    FREE = "select freelist_count from pragma_freelist_count";
    // Each page that is given back has the file's last page moved into its place.
    GIVE_BACK = "pragma incremental_vacuum(128)";
}

impl Upkeep<'_> {
    /// Does one piece of what there is to do at `now`, and says what that was.
    pub async fn step(self, keep: Keep, now: Timestamp) -> Result<Step, Error> {
        let events = self.store.event().trim(keep.events, ROWS).await?;
        if events > 0 {
            return Ok(Step::Events(events));
        }
        let dead = self.store.outbox().trim_dead(keep.dead, ROWS).await?;
        if dead > 0 {
            return Ok(Step::Dead(dead));
        }
        let gone = gone::forget(self.store, keep.gone_weeks, now, ROWS).await?;
        if gone > 0 {
            return Ok(Step::Gone(gone));
        }
        let free = self.free_pages().await?;
        if free <= SPARE_PAGES {
            return Ok(Step::Done);
        }
        self.store
            .write(|connection| {
                Box::pin(async move {
                    sqlx::query(GIVE_BACK).execute(connection).await?;
                    Ok(())
                })
            })
            .await?;
        // Where none can be given back there is nothing more to do.
        let given = free.saturating_sub(self.free_pages().await?);
        Ok(if given > 0 { Step::Pages(given) } else { Step::Done })
    }

    async fn free_pages(self) -> Result<u64, Error> {
        let rows = self.store.read(sqlx::query(FREE)).await?;
        Ok(rows.first().and_then(|found| u64::try_from(row::number(found, 0)).ok()).unwrap_or(0))
    }
}
