//! A project's UUID in the cloud, as it was last told: how long it is believed and when it is asked for again.

use std::time::Duration;

use crate::ids::{CloudId, LocalId, Revision, TenantId};
use crate::registration::PayloadHash;
use crate::time::Timestamp;

/// What the cloud told of one project, in one scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The project here.
    pub local: LocalId,
    /// The project there.
    pub cloud: CloudId,
    /// The tenant the cloud named, if it did.
    pub tenant: Option<TenantId>,
    /// The cloud's registration status, for example `registered`.
    pub status: String,
    /// What was sent last; `None` when the mapping came from a look-up or was taken over.
    pub sent: Option<PayloadHash>,
    /// The revision that was sent last, zero when none was: the next entry's revision is one more, so that content
    /// that comes back to an earlier state still gets an Idempotency-Key of its own.
    pub revision: Revision,
    /// When the cloud last said so.
    pub cached_at: Timestamp,
    /// Until when it is believed without asking.
    pub expires_at: Timestamp,
    /// From when it is asked for again: within the last tenth of its life, differently for each project.
    pub refresh_at: Timestamp,
}

/// Whether a mapping may be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// Believed.
    Fresh,
    /// Believed, and due to be asked for again.
    DueForRefresh,
    /// Expired: still answered, and marked as stale.
    Stale,
}

impl Mapping {
    /// How far it may be believed at `now`. A wall clock that was set back does not make an old answer fresh for
    /// longer than its life.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now >= self.expires_at || now < self.cached_at.before(CLOCK_SLACK) {
            Freshness::Stale
        } else if now >= self.refresh_at {
            Freshness::DueForRefresh
        } else {
            Freshness::Fresh
        }
    }
}

/// How far a registration came, by the cloud's word for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The cloud works on it.
    Pending,
    /// It is done: every word that is known for nothing else, because a contract that is not written down has many
    /// words for that.
    Done,
    /// The cloud gave it up.
    Failed,
}

/// Reads a registration status.
pub fn progress(status: &str) -> Progress {
    match status.trim().to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
        "pending" | "queued" | "processing" | "in_progress" | "accepted" | "scheduled" | "running"
        | "waiting" => Progress::Pending,
        "failed" | "failure" | "error" | "rejected" | "denied" | "invalid" | "cancelled" | "canceled" => {
            Progress::Failed
        }
        _ => Progress::Done,
    }
}

/// A registration status that will not change by itself; any other is asked for until it is one of these.
pub fn is_final(status: &str) -> bool {
    progress(status) != Progress::Pending
}

/// Until when a mapping told at `now` is believed, and from when it is asked for again, with `dice` from 0 to
/// `u64::MAX` placing the latter in the last tenth of `life`.
pub fn lifetime(now: Timestamp, life: Duration, dice: u64) -> (Timestamp, Timestamp) {
    let expires = now.after(life);
    let tenth = life / 10;
    let early = tenth.mul_f64(crate::backoff::unit(dice));
    (expires, expires.before(early))
}

const CLOCK_SLACK: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_mapping_ages_from_fresh_to_stale() {
        let now = Timestamp(1_000_000_000);
        for dice in [0, u64::MAX / 3, u64::MAX] {
            let (expires_at, refresh_at) = lifetime(now, DAY, dice);
            let mapping = Mapping {
                local: LocalId(Uuid::nil()),
                cloud: CloudId(Uuid::nil()),
                tenant: None,
                status: String::new(),
                sent: None,
                revision: Revision(0),
                cached_at: now,
                expires_at,
                refresh_at,
            };
            for (moment, expected) in [
                (now, Freshness::Fresh),
                (now.after(DAY * 8 / 10), Freshness::Fresh),
                (now.after(DAY), Freshness::Stale),
                (now.before(DAY), Freshness::Stale),
            ] {
                assert_eq!(mapping.freshness(moment), expected, "dice {dice}");
            }
            assert!(refresh_at >= now.after(DAY * 9 / 10) && refresh_at <= expires_at);
        }
    }

    #[test]
    fn a_status_is_read_for_how_far_it_came() {
        for (status, expected) in [
            ("pending", Progress::Pending),
            ("Pending", Progress::Pending),
            ("in-progress", Progress::Pending),
            ("registered", Progress::Done),
            ("", Progress::Done),
            ("Failed", Progress::Failed),
            ("rejected", Progress::Failed),
        ] {
            assert_eq!(progress(status), expected, "{status}");
            assert_eq!(is_final(status), expected != Progress::Pending, "{status}");
        }
    }
}
