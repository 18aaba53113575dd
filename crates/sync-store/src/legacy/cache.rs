//! The old client's cache: reads its rows, and tells what a mapping made of one is worth.
//!
//! The rows stay where they are, for other tools that read them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use sync_core::{CloudId, LocalId, Mapping, Revision, TenantId, Timestamp, lifetime};
use uuid::Uuid;

use super::file::{self, Table, Trouble, digest};
use super::moment::moment;

/// Rows that are taken in one transaction.
const BATCH_SIZE: i64 = 500;
/// The status the old client took for granted when the cloud had named a UUID.
const STATUS: &str = "registered";

crate::sql::statements! {
    BATCH = "\
        select
            c.rowid, substr(cast(c.local_uuid as blob), 1, 200), substr(cast(c.cloud_uuid as blob), 1, 200),
            substr(cast(c.tenant_id as blob), 1, 400), substr(cast(c.cached_at as blob), 1, 100),
            substr(cast(c.expires_at as blob), 1, 100)
        from cloud_project_cache c
        where c.rowid > ?1
        order by c.rowid
        limit +?2";
}

/// The old client's cache, open.
pub(super) struct OldCache {
    table: Table,
}

/// Rows of the old cache.
pub(super) struct OldMappings {
    pub(super) path: PathBuf,
    pub(super) file: Uuid,
    pub(super) rows: Vec<OldMapping>,
    pub(super) last: Option<i64>,
}

/// One row.
pub(super) struct OldMapping {
    /// As it stands there; whom the row is about.
    pub(super) name: Vec<u8>,
    /// Stands for what the row says.
    pub(super) content: Uuid,
    /// What it says, or why it says nothing.
    pub(super) said: Result<Known, String>,
}

/// What a row says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) local: LocalId,
    pub(super) cloud: CloudId,
    /// `None` where the old client had forgotten it.
    pub(super) tenant: Option<TenantId>,
    pub(super) cached_at: Option<Timestamp>,
    /// `None` where none is named, or one that cannot be read: long ago.
    pub(super) expires_at: Option<Timestamp>,
}

impl OldCache {
    pub(super) async fn open(path: &Path) -> Result<Option<Self>, Trouble> {
        let Some(table) = file::open(path, "cloud_project_cache").await? else { return Ok(None) };
        let needed = ["local_uuid", "cloud_uuid", "tenant_id", "cached_at", "expires_at"];
        if let Err(trouble) = table.needs(&needed) {
            file::close(table.connection).await;
            return Err(trouble);
        }
        Ok(Some(Self { table }))
    }

    /// The next rows after number `after`.
    pub(super) async fn rows(&mut self, after: i64) -> Result<OldMappings, Trouble> {
        let query = sqlx::query(BATCH).bind(after).bind(BATCH_SIZE);
        let attempt = async {
            let found = query.fetch_all(&mut self.table.connection).await?;
            let last = found.last().map(|row| row.try_get(0)).transpose()?;
            Ok((last, found.iter().map(row_of).collect::<Result<Vec<_>, _>>()?))
        };
        let (last, rows) = attempt.await.map_err(|error: sqlx::Error| Trouble::from(&error))?;
        file::gets_on(after, last)?;
        Ok(OldMappings { path: self.table.path.clone(), file: self.table.id(), rows, last })
    }

    pub(super) async fn close(self) {
        file::close(self.table.connection).await;
    }
}

fn row_of(found: &SqliteRow) -> Result<OldMapping, sqlx::Error> {
    let text = |column| found.try_get::<Option<Vec<u8>>, _>(column).map(Option::unwrap_or_default);
    let (local, cloud, tenant, cached, expires) = (text(1)?, text(2)?, text(3)?, text(4)?, text(5)?);
    let content = digest(&[&local, &cloud, &tenant, &cached, &expires]);
    let said = known(&local, &cloud, &tenant, &cached, &expires);
    Ok(OldMapping { name: local, content, said })
}

fn known(local: &[u8], cloud: &[u8], tenant: &[u8], cached: &[u8], expires: &[u8]) -> Result<Known, String> {
    let uuid = |column, text| {
        let id = Uuid::try_parse_ascii(text).ok().filter(|id| !id.is_nil());
        id.ok_or_else(|| format!("its `{column}` is no UUID of a thing"))
    };
    let time = |text| std::str::from_utf8(text).ok().and_then(moment);
    let tenant = match std::str::from_utf8(tenant).map(str::trim) {
        Ok("") => None,
        Ok(name) => Some(TenantId::new(name).ok_or("its `tenant_id` is no name of a tenant")?),
        Err(_) => return Err("its `tenant_id` is no text".to_owned()),
    };
    Ok(Known {
        local: LocalId(uuid("local_uuid", local)?),
        cloud: CloudId(uuid("cloud_uuid", cloud)?),
        tenant,
        cached_at: time(cached),
        expires_at: time(expires),
    })
}

impl Known {
    /// The mapping this makes, believed for `life` at most, and not at all where no tenant stands with it.
    pub(super) fn mapping(&self, life: Duration, dice: u64, now: Timestamp) -> Mapping {
        let theirs = self.expires_at.unwrap_or(Timestamp(0));
        let believed = if self.tenant.is_some() { theirs.min(now.after(life)) } else { theirs.min(now) };
        let (expires_at, refresh_at) = lifetime(now, believed.since(now), dice);
        Mapping {
            local: self.local,
            cloud: self.cloud,
            tenant: self.tenant.clone(),
            status: STATUS.to_owned(),
            sent: None,
            revision: Revision(0),
            cached_at: self.cached_at.unwrap_or(Timestamp(0)).min(now),
            expires_at: expires_at.min(believed.max(Timestamp(0))),
            refresh_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "00000000-0000-0000-0000-000000000001";
    const CLOUD: &str = "00000000-0000-0000-0000-000000000002";
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_mapping_is_believed_no_longer_than_either_side_says() {
        let now = moment("2026-01-01T12:00:00Z").unwrap();
        for (tenant, expires, believed_for) in [
            ("acme", "2026-01-01T12:30:00+00:00", HOUR / 2),
            ("acme", "2026-01-01 12:30:00", HOUR / 2),
            ("acme", "2036-01-01T12:00:00+00:00", HOUR),
            // The old client compared this one as text, and believed it until midnight.
            ("acme", "2026-01-01T11:59:59+00:00", Duration::ZERO),
            ("acme", "", Duration::ZERO),
            ("acme", "soon", Duration::ZERO),
            ("", "2026-01-01T12:30:00+00:00", Duration::ZERO),
        ] {
            let known = known(LOCAL.as_bytes(), CLOUD.as_bytes(), tenant.as_bytes(), b"", expires.as_bytes())
                .unwrap();
            let mapping = known.mapping(HOUR, u64::MAX / 2, now);
            assert_eq!(mapping.expires_at.since(now), believed_for, "{tenant} {expires}");
            assert!(mapping.refresh_at <= mapping.expires_at.max(now));
            assert_eq!((mapping.sent, mapping.revision), (None, Revision(0)));
            assert_eq!(mapping.tenant.is_some(), tenant == "acme");
        }
    }

    #[test]
    fn what_is_no_mapping_is_told_why() {
        for (local, cloud, tenant, why) in [
            ("x", CLOUD, "", "`local_uuid`"),
            ("", CLOUD, "", "`local_uuid`"),
            (LOCAL, "None", "", "`cloud_uuid`"),
            (LOCAL, CLOUD, "a\nb", "`tenant_id`"),
        ] {
            let told = known(local.as_bytes(), cloud.as_bytes(), tenant.as_bytes(), b"", b"").unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
