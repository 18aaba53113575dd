//! Whether there is room on the disk, as the writer finds out.
//!
//! When a write fails for want of room the ballast goes, and from then on only what brings the queue down is written:
//! what flew is settled, what a person asks for is done. New wishes are refused before they are tried, because they
//! would use up the room that is left. Before each of them the writer tries to keep the ballast again, and when it
//! can, everything goes on as before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use sync_core::Timestamp;

use crate::aside::with_suffix;
use crate::ballast::{Ballast, no_room};

/// A log longer than this is not moved into the file as it should be: a reader holds it, or something else is wrong.
const LONG_LOG: u64 = 16 * 1024 * 1024;

/// What is known of the room, for everybody to see.
#[derive(Debug, Default)]
pub(crate) struct RoomSeen {
    full: AtomicBool,
    full_since: AtomicI64,
    ballast: AtomicBool,
    log_bytes: AtomicU64,
    /// The moment of the latest call that told one.
    told: AtomicI64,
}

impl RoomSeen {
    /// Time is handed in with calls; this is how the writer knows it.
    pub(crate) fn tell(&self, now: Timestamp) {
        self.told.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn full_since(&self) -> Option<Timestamp> {
        let since = Timestamp(self.full_since.load(Ordering::Relaxed));
        self.full.load(Ordering::Acquire).then_some(since)
    }

    pub(crate) fn ballast(&self) -> bool {
        self.ballast.load(Ordering::Relaxed)
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }
}

/// The writer's view of the room.
#[derive(Debug)]
pub(crate) struct Room {
    ballast: Ballast,
    log: PathBuf,
    seen: Arc<RoomSeen>,
    long_log_told: bool,
}

impl Room {
    /// Keeps the ballast where it can. With less room than that the disk is as good as full.
    pub(crate) fn new(database: &Path, seen: Arc<RoomSeen>) -> Self {
        let room = Self {
            ballast: Ballast::beside(database),
            log: with_suffix(database, "-wal"),
            seen,
            long_log_told: false,
        };
        if room.keep_ballast() {
            room.seen.full.store(false, Ordering::Release);
        } else {
            room.fell_full();
        }
        room
    }

    pub(crate) fn is_full(&self) -> bool {
        self.seen.full.load(Ordering::Acquire)
    }

    /// A write failed for want of room.
    pub(crate) fn fell_full(&self) {
        let freed = self.ballast.give_up();
        self.seen.ballast.store(false, Ordering::Relaxed);
        if !self.is_full() {
            self.seen.full_since.store(self.seen.told.load(Ordering::Relaxed), Ordering::Relaxed);
            self.seen.full.store(true, Ordering::Release);
            tracing::warn!(
                room_kept_for_this = freed,
                "the disk is full: nothing new is queued, what waits is still delivered"
            );
        }
    }

    /// Looks whether there is room again; says whether there is.
    pub(crate) fn look_again(&self) -> bool {
        let room = self.keep_ballast();
        if room && self.is_full() {
            self.seen.full.store(false, Ordering::Release);
            tracing::info!("there is room on the disk again");
        }
        room
    }

    /// Says whether there is room. That nothing can be kept for another reason does not keep anything from going on.
    fn keep_ballast(&self) -> bool {
        let kept = self.ballast.keep();
        self.seen.ballast.store(kept.is_ok(), Ordering::Relaxed);
        match kept {
            Ok(()) => true,
            Err(error) if no_room(&error) => false,
            Err(error) => {
                tracing::warn!(%error, "no room can be kept for a full disk");
                true
            }
        }
    }

    /// Looks how long the log is, after a commit or a checkpoint.
    pub(crate) fn measure_log(&mut self) {
        let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        self.seen.log_bytes.store(bytes, Ordering::Relaxed);
        if bytes > LONG_LOG && !self.long_log_told {
            tracing::warn!(
                bytes,
                "the database's log grows: something holds on to an old state of the database"
            );
        }
        self.long_log_told = bytes > LONG_LOG;
    }
}
