//! Forgets projects that have been gone for long: the record, what the cloud told of them, that they were dropped.
//!
//! What is to go is found by a reader, so that whoever writes waits only for the rows themselves. How long it has been gone
//! is told by the weeks that were seen to begin, not by two readings of a clock of which one may have been years off.

use std::time::Duration;

use sync_core::Timestamp;

use crate::Store;
use crate::error::Error;
use crate::row::Columns;
use crate::sql::{Hex, json};

/// Whether something of the project waits to be sent, in any scope.
macro_rules! waits {
    () => {
        "exists (
                select 1
                from scope s
                cross join outbox o on o.scope = s.id and o.operation = 0 and o.local = project.local
                where o.standing < 2)"
    };
}

crate::sql::statements! {
    // What a project on disk has for its parent stays with it.
    GONE = concat!("\
        select local
        from project
        where presence = 1 and seen_at < ?1 and seen_at >= first_seen_at
            and local not in (select parent from project where presence = 0 and parent is not null)
            and not ", waits!(), "
        limit +?2");
    // It may have returned since it was found.
    FORGET = concat!("\
        delete from project
        where local in (select unhex(value) from json_each(?1)) and presence = 1 and seen_at < ?2
            and not ", waits!(), "
        returning local");
    FORGET_MAPPINGS = "\
        delete from mapping
        where (scope, local) in (select s.id, unhex(w.value) from scope s cross join json_each(?1) as w)";
    FORGET_DROPPED = "\
        delete from dropped
        where (scope, local) in (select s.id, unhex(w.value) from scope s cross join json_each(?1) as w)";
}

/// Where the weeks are kept among the small facts.
const WEEKS: &str = "store.weeks";
const WEEK: Duration = Duration::from_hours(7 * 24);

/// When each of the last weeks was seen to begin, in milliseconds since 1970, the earliest first and a week between two of
/// them at least. A clock that jumps ahead begins one week, however far it jumps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Weeks(Vec<i64>);

impl Weeks {
    /// A list that cannot be read is begun anew.
    fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// These weeks when it is `now`; so many beginnings are kept. What lies ahead was told by a clock that was wrong.
    fn at(mut self, now: Timestamp, most: usize) -> Self {
        self.0.retain(|begun| *begun <= now.0);
        if self.0.last().is_none_or(|last| now >= Timestamp(*last).after(WEEK)) {
            self.0.push(now.0);
        }
        self.0.drain(..self.0.len().saturating_sub(most));
        self
    }

    /// The moment after which so many whole weeks were seen to pass.
    fn before(&self, weeks: usize) -> Option<Timestamp> {
        Some(Timestamp(*self.0.get(self.0.len().checked_sub(weeks + 1)?)?))
    }
}

/// Forgets projects that went before the last `weeks` weeks that the store saw until `now`, at most `most` at once. Says how
/// many. What went before it was found first did so by a clock that was far behind, and is kept.
pub(crate) async fn forget(store: &Store, weeks: u32, now: Timestamp, most: u32) -> Result<u64, Error> {
    let weeks = weeks as usize;
    let kept = store.meta().get(WEEKS).await?.map(|text| Weeks::parse(&text)).unwrap_or_default();
    let seen = kept.clone().at(now, weeks + 1);
    if seen != kept {
        store.meta().set(WEEKS, &json(&seen.0)?).await?;
    }
    let Some(before) = seen.before(weeks) else { return Ok(0) };
    let found = store.read(sqlx::query(GONE).bind(before.0).bind(i64::from(most))).await?;
    let gone = found.iter().map(local).collect::<Result<Vec<Hex>, Error>>()?;
    if gone.is_empty() {
        return Ok(0);
    }
    let gone = json(&gone)?;
    store
        .write(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(FORGET).bind(gone).bind(before.0);
                let found = query.fetch_all(&mut *connection).await?;
                let forgotten = found.iter().map(local).collect::<Result<Vec<Hex>, Error>>()?;
                let locals = json(&forgotten)?;
                for forget in [FORGET_MAPPINGS, FORGET_DROPPED] {
                    sqlx::query(forget).bind(locals.clone()).execute(&mut *connection).await?;
                }
                Ok(forgotten.len() as u64)
            })
        })
        .await
}

fn local(found: &sqlx::sqlite::SqliteRow) -> Result<Hex, Error> {
    let local = Columns::new(found, 0, "project", "gone".to_owned()).uuid("local")?;
    Ok(Hex::of(local))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const DAY: i64 = 24 * 60 * 60 * 1_000;

    /// What a daemon has seen that looks at the clock on these days.
    fn seen(days: impl IntoIterator<Item = i64>) -> Weeks {
        days.into_iter().fold(Weeks::default(), |weeks, day| weeks.at(Timestamp(NOW + day * DAY), 27))
    }

    #[test]
    fn twenty_six_weeks_pass_in_half_a_year_whatever_the_clock_says_in_between() {
        let before = |weeks: &Weeks| weeks.before(26).map(|before| (before.0 - NOW) / DAY);
        assert_eq!(before(&seen(0..182)), None);
        assert_eq!(before(&seen(0..183)), Some(0));
        assert_eq!(before(&seen(0..400)), Some(399 - 182));
        // An hour decades ahead, and back; years behind, and back.
        assert_eq!(before(&seen((0..100).chain([10_000]).chain(100..182))), None);
        assert_eq!(before(&seen((0..100).chain([10_000]).chain(100..183))), Some(0));
        assert_eq!(before(&seen((0..182).chain([-10_000]).chain(182..300))), None);
        // Looked at now and then.
        assert_eq!(before(&seen((0..26).map(|month| month * 30))), None);
        assert_eq!(before(&seen((0..27).map(|month| month * 30))), Some(0));
        assert_eq!(Weeks::parse("[1,"), Weeks::default());
    }

    proptest! {
        #[test]
        fn no_run_of_jumps_makes_weeks_of_moments(days in prop::collection::vec(-20_000_i64..20_000, 0..100)) {
            let weeks = seen(days.clone());
            let ahead = days.last().map_or(0, |last| weeks.0.iter().filter(|week| **week > NOW + last * DAY).count());
            prop_assert_eq!(ahead, 0);
            prop_assert!(weeks.0.len() <= days.len().min(27));
            prop_assert!(weeks.0.is_sorted_by(|week, next| next - week >= 7 * DAY));
        }
    }
}
