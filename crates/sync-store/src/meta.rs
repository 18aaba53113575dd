//! Small facts by name: the instance's id, whether the last run ended well, and what the daemon keeps over restarts.

use crate::Store;
use crate::error::Error;
use crate::row::Columns;

/// The table of small facts. Keys that start with `store.` are the store's own.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'s> {
    pub(crate) store: &'s Store,
}

crate::sql::statements! {
    GET = "select value from meta where key = ?1";
    SET = "\
        insert into meta (key, value) values (?1, ?2)
        on conflict (key) do update set value = excluded.value";
    REMOVE = "delete from meta where key = ?1";
}

impl Meta<'_> {
    /// The value of `key`.
    pub async fn get(self, key: &str) -> Result<Option<String>, Error> {
        let rows = self.store.read(sqlx::query(GET).bind(key)).await?;
        rows.first().map(|found| Columns::new(found, 0, "meta", key.to_owned()).take("value")).transpose()
    }

    /// Keeps `value` under `key`.
    pub async fn set(self, key: &str, value: &str) -> Result<(), Error> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query(SET).bind(key).bind(value).execute(connection).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Forgets `key`; says whether it was there.
    pub async fn remove(self, key: &str) -> Result<bool, Error> {
        let key = key.to_owned();
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    Ok(sqlx::query(REMOVE).bind(key).execute(connection).await?.rows_affected() > 0)
                })
            })
            .await
    }
}
