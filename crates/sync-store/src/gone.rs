//! Forgets projects that have been gone for long: the record, what the cloud told of them, that they were dropped.
//!
//! What is to go is found by a reader, so that whoever writes waits only for the rows themselves.

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
        where presence = 1 and seen_at < ?1
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

/// Forgets projects that went before `before`, at most `most` at once. Says how many.
pub(crate) async fn forget(store: &Store, before: Timestamp, most: u32) -> Result<u64, Error> {
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
