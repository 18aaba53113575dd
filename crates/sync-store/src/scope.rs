//! The clouds and tenants that entries and mappings belong to.

use sqlx::SqliteConnection;
use sync_core::{Scope, ScopeId, Timestamp};

use crate::Store;
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::row;

/// The scopes' table.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'s> {
    pub(crate) store: &'s Store,
}

crate::sql::statements! {
    FIND = "select id from scope where origin = ?1 and kind = ?2 and tenant = ?3";
    ADD = "insert into scope (origin, kind, tenant) values (?1, ?2, ?3)";
    ALL = "select id, origin, kind, tenant from scope order by id";
    // What the scope that takes over already has, or waits to send in a newer form, goes; but a person who asked for what was
    // given up there asked for it to be tried again.
    DROP_OLDER = "\
        delete from outbox
        where scope = ?1 and (
            exists (
                select 1 from outbox n
                where n.scope = ?2 and n.operation = outbox.operation and n.local = outbox.local
                    and (
                        n.hash = outbox.hash and (n.standing = 0 or outbox.asked = 1)
                        or n.changed_at > outbox.changed_at
                    )
            )
            or (
                not exists (
                    select 1 from outbox n
                    where n.scope = ?2 and n.operation = outbox.operation and n.local = outbox.local
                )
                and exists (
                    select 1 from mapping m
                    where m.scope = ?2 and m.local = outbox.local and m.sent = outbox.hash
                )
            )
        )";
    // The revision stays above everything that may have been sent in the new scope.
    MAKE_READY = "\
        update outbox
        set
            standing = 0, attempts = 0, due = min(due, ?3),
            failure_code = null, failure_message = null, failure_at = null,
            revision = max(
                revision,
                coalesce((
                    select n.revision + 1 from outbox n
                    where n.scope = ?2 and n.operation = outbox.operation and n.local = outbox.local
                ), 1),
                coalesce((select m.revision + 1 from mapping m where m.scope = ?2 and m.local = outbox.local), 1)
            )
        where scope = ?1";
    DROP_REPLACED = "\
        delete from outbox
        where scope = ?2 and exists (
            select 1 from outbox n
            where n.scope = ?1 and n.operation = outbox.operation and n.local = outbox.local
        )";
    TAKE_OVER = "update outbox set scope = ?2 where scope = ?1";
    // What somebody took out of the queue stays out of it.
    KEEP_DROPPED = "\
        insert or ignore into dropped (scope, local)
        select ?2, d.local
        from dropped d
        where d.scope = ?1 and not exists (
            select 1 from outbox n where n.scope = ?2 and n.operation = 0 and n.local = d.local
        )";
    FORGET_DROPPED = "delete from dropped where scope = ?1";
    // As an entry that is made there would.
    WAITS_AGAIN = "\
        delete from dropped
        where scope = ?1
            and exists (select 1 from outbox o where o.scope = ?1 and o.operation = 0 and o.local = dropped.local)";
}

impl Scopes<'_> {
    /// The number of a scope, which it gets when it is first asked for.
    pub async fn ensure(self, scope: &Scope) -> Result<ScopeId, Error> {
        let scope = scope.clone();
        self.store.write(move |connection| Box::pin(async move { ensure(connection, &scope).await })).await
    }

    /// Every scope there ever was, oldest first.
    pub async fn all(self) -> Result<Vec<(ScopeId, Scope)>, Error> {
        self.store.read(sqlx::query(ALL)).await?.iter().map(row::scope).collect()
    }

    /// Moves the entries of `from` to `into`, ready and due, and says how many. Where `into` has an entry of the same
    /// project, the one whose content is newer stays; what `into` has already sent is not sent again.
    pub async fn adopt(self, from: ScopeId, into: ScopeId, now: Timestamp) -> Result<u64, Error> {
        self.store.write(move |connection| Box::pin(adopt(connection, from, into, now))).await
    }
}

/// The number of a scope, inside the transaction that is open.
pub(crate) async fn ensure(connection: &mut SqliteConnection, scope: &Scope) -> Result<ScopeId, Error> {
    let (kind, tenant) = row::tenant_columns(&scope.tenant);
    let find = || sqlx::query(FIND).bind(&scope.origin).bind(kind).bind(tenant);
    if let Some(found) = find().fetch_optional(&mut *connection).await? {
        return Ok(ScopeId(row::number(&found, 0)));
    }
    let added =
        sqlx::query(ADD).bind(&scope.origin).bind(kind).bind(tenant).execute(&mut *connection).await?;
    Ok(ScopeId(added.last_insert_rowid()))
}

async fn adopt(
    connection: &mut SqliteConnection,
    from: ScopeId,
    into: ScopeId,
    now: Timestamp,
) -> Result<u64, Error> {
    if from == into {
        return Ok(0);
    }
    sqlx::query(DROP_OLDER).bind(from.0).bind(into.0).execute(&mut *connection).await?;
    sqlx::query(MAKE_READY).bind(from.0).bind(into.0).bind(now.0).execute(&mut *connection).await?;
    sqlx::query(DROP_REPLACED).bind(from.0).bind(into.0).execute(&mut *connection).await?;
    let moved =
        sqlx::query(TAKE_OVER).bind(from.0).bind(into.0).execute(&mut *connection).await?.rows_affected();
    if moved > 0 {
        sqlx::query(WAITS_AGAIN).bind(into.0).execute(&mut *connection).await?;
    }
    sqlx::query(KEEP_DROPPED).bind(from.0).bind(into.0).execute(&mut *connection).await?;
    sqlx::query(FORGET_DROPPED).bind(from.0).execute(&mut *connection).await?;
    if moved > 0 {
        let message = format!("{moved} waiting registrations now belong to the tenant that became known");
        event::append(connection, &[NewEvent::new("queue.adopted", None, message, now)]).await?;
    }
    Ok(moved)
}
