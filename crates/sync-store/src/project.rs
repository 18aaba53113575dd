//! The projects that are known on this machine. They belong to the machine, not to a scope.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteRow;
use sync_core::{
    Change, Concerned, Entry, LocalId, MachineId, Mapping, Project, ProjectKind, ScopeId, Timestamp,
};

use crate::Store;
use crate::apply::{self, Applied, Unsent};
use crate::error::Error;
use crate::row::{
    self, Columns, MAPPING_WIDTH, PROJECT_WIDTH, entry_columns, mapping_columns, project_columns,
};
use crate::sql::{Hex, json, path_bytes};

/// The projects' table.
#[derive(Clone, Copy, Debug)]
pub struct Projects<'s> {
    pub(crate) store: &'s Store,
}

/// Where a project stands towards the cloud of one scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The cloud has it, and nothing waits.
    Registered,
    /// It waits to be sent, or was never queued.
    Pending,
    /// It is not on disk.
    Missing,
    /// The cloud refused it, for good or until a person does something.
    Rejected,
}

/// Which projects to list; `None` leaves a field out of account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Where it stands.
    pub state: Option<State>,
    /// How it stands to others.
    pub kind: Option<ProjectKind>,
    /// Linguist's name of its main language.
    pub language: Option<String>,
}

/// A project with what is known of it in one scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProjectView {
    /// The record.
    pub project: Project,
    /// Where it stands.
    pub state: State,
    /// What the cloud told.
    pub mapping: Option<Mapping>,
    /// What waits.
    pub entry: Option<Entry>,
}

/// How many projects stand where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProjectCounts {
    /// All of them.
    pub total: u64,
    /// In the cloud, with nothing waiting.
    pub registered: u64,
    /// Waiting, or never queued.
    pub pending: u64,
    /// Not on disk.
    pub missing: u64,
    /// Refused.
    pub rejected: u64,
}

/// The state as a number: 0 registered, 1 pending, 2 missing, 3 rejected.
macro_rules! state_number {
    () => {
        "case
            when p.presence = 1 then 2
            when o.standing > 0 then 3
            when o.id is null and m.cloud is not null then 0
            else 1
        end"
    };
}

/// Projects with what belongs to them in scope ?1.
macro_rules! in_scope {
    () => {
        "from project p
        left join mapping m on m.scope = ?1 and m.local = p.local
        left join outbox o on o.scope = ?1 and o.operation = 0 and o.local = p.local"
    };
}

crate::sql::statements! {
    ALL = concat!("select ", project_columns!(), " from project p order by p.local");
    ROOTS = "select p.local, p.root from project p where p.presence = 0";
    BY_USER = "select p.local, p.root from project p where p.presence = 0 and p.asked = 0";
    CONCERNED = concat!("\
        with w (local) as (
            select unhex(value) from json_each(?1)
            union
            select p.local from json_each(?2) as r cross join project p on p.root = unhex(r.value)
            union
            select p.local
            from json_each(?3) as r
            cross join project p on p.device = r.value ->> 0 and p.inode = r.value ->> 1
            union
            select p.local
            from json_each(?4) as r
            cross join project p
                on p.presence = 0 and p.root >= unhex(r.value ->> 0) and p.root < unhex(r.value ->> 1)
        )
        select ", project_columns!(), "
        from w
        cross join project p on p.local = w.local
        order by p.local");
    GET = concat!("select ", project_columns!(), " from project p where p.local = ?1");
    AT_OR_ABOVE = concat!("\
        select ", project_columns!(), "
        from json_each(?1) as w
        cross join project p on p.presence = 0 and p.root = unhex(w.value)
        order by length(p.root) desc
        limit 1");
    LIST = concat!("\
        select ", project_columns!(), ", ", mapping_columns!(), ", ", entry_columns!(), ", ", state_number!(), "
        ", in_scope!(), "
        where p.local > ?2
            and (?3 is null or p.kind = ?3)
            and (?4 is null or p.language = ?4)
            and (?5 is null or ", state_number!(), " = ?5)
        order by p.local
        limit +?6");
    pub(crate) COUNTS = concat!("\
        select ", state_number!(), ", count(*)
        ", in_scope!(), "
        group by 1");
}

impl Projects<'_> {
    /// Every project on record. A row that cannot be read is left out with a warning; a scan finds it again.
    pub async fn all(self) -> Result<Vec<Project>, Error> {
        self.store.read_each(sqlx::query(ALL), |found| row::project(found, 0)).await
    }

    /// The projects on record that a comparison with what was seen at a few places needs, in the same order.
    pub async fn concerned(self, concerned: &Concerned) -> Result<Vec<Project>, Error> {
        let ids: Vec<Hex> = concerned.ids.iter().flatten().map(|id| Hex::of(id.0.as_bytes())).collect();
        let roots: Vec<Hex> = concerned.roots.iter().map(|root| Hex::path(root)).collect();
        let places: Vec<_> = concerned
            .places
            .iter()
            .map(|place| (place.device.cast_signed(), place.inode.cast_signed()))
            .collect();
        let below: Vec<_> = concerned.below.iter().map(|folder| at_and_below(folder)).collect();
        let query = sqlx::query(CONCERNED)
            .bind(json(&ids)?)
            .bind(json(&roots)?)
            .bind(json(&places)?)
            .bind(json(&below)?);
        let mut found = self.store.read_each(query, |found| row::project(found, 0)).await?;
        found.retain(|project| concerned.has(project));
        Ok(found)
    }

    /// Where those are that are on disk, in no order.
    pub async fn roots(self) -> Result<Vec<PathBuf>, Error> {
        self.store.read_each(sqlx::query(ROOTS), row::root).await
    }

    /// Where those are that are on disk and that somebody named, in no order.
    pub async fn by_user(self) -> Result<Vec<PathBuf>, Error> {
        self.store.read_each(sqlx::query(BY_USER), row::root).await
    }

    /// One project.
    pub async fn get(self, local: LocalId) -> Result<Option<Project>, Error> {
        let query = sqlx::query(GET).bind(local.0.as_bytes().to_vec());
        self.store.read(query).await?.first().map(|found| row::project(found, 0)).transpose()
    }

    /// The innermost project on disk whose root is `path` or a folder above it.
    pub async fn at_or_above(self, path: &Path) -> Result<Option<Project>, Error> {
        let folders: Vec<Hex> = path.ancestors().map(path_bytes).map(Hex::of).collect();
        let query = sqlx::query(AT_OR_ABOVE).bind(json(&folders)?);
        self.store.read(query).await?.first().map(|found| row::project(found, 0)).transpose()
    }

    /// Records what changed, queues what the cloud of `scope` does not have in this form, and tells it all as
    /// events, in one commit; where everything is new or has other content, in several of at most 128, each of which
    /// stands if a later one fails. A project for which the queue has no room is recorded and counted as `refused`;
    /// [`enqueue_unsent`](Self::enqueue_unsent) queues it later.
    pub async fn apply(
        self,
        scope: ScopeId,
        machine: MachineId,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<Applied, Error> {
        let limit = self.store.limits().max_items;
        let mut applied = Applied::default();
        for part in apply::parts(changes) {
            let work = self.store.write_more(now, move |connection| {
                Box::pin(async move { apply::apply(connection, scope, machine, part, limit, now).await })
            });
            applied = applied.both(work.await?);
        }
        Ok(applied)
    }

    /// Queues the projects on disk that `scope`'s cloud was not sent as they are now and that do not wait: those that
    /// were refused while the queue was full, whose row was damaged, or that discovery found or saw changed in the
    /// time of another scope. Looks at `at_most` projects by their UUID, those after `after`.
    ///
    /// Left out are those whose entry was dropped, and those that only a user named and that another scope has: what
    /// was meant for one tenant is not told to another.
    pub async fn enqueue_unsent(
        self,
        scope: ScopeId,
        machine: MachineId,
        after: Option<LocalId>,
        at_most: u32,
        now: Timestamp,
    ) -> Result<Unsent, Error> {
        let limit = self.store.limits().max_items;
        self.store
            .write_more(now, move |connection| {
                Box::pin(async move {
                    apply::enqueue_unsent(connection, scope, machine, after, at_most, limit, now).await
                })
            })
            .await
    }

    /// Projects by their UUID, those after `after`, at most `limit`.
    pub async fn list(
        self,
        scope: ScopeId,
        filter: &Filter,
        after: Option<LocalId>,
        limit: u32,
    ) -> Result<Vec<ProjectView>, Error> {
        let mut after = after.map_or_else(Vec::new, |local| local.0.as_bytes().to_vec());
        let mut views = Vec::new();
        loop {
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX) - views.len();
            let query = sqlx::query(LIST)
                .bind(scope.0)
                .bind(after)
                .bind(filter.kind.map(ProjectKind::as_str))
                .bind(filter.language.clone())
                .bind(filter.state.map(state_number))
                .bind(i64::try_from(wanted).unwrap_or(i64::MAX));
            let found =
                self.store.read_as(query, |found| (row::key(found), row::or_warn(view(found)))).await?;
            let (count, last) = (found.len(), found.last().and_then(|(key, _)| key.clone()));
            views.extend(found.into_iter().filter_map(|(_, view)| view));
            // Rows that cannot be read must not hide those behind them.
            let short = count < wanted || views.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
            match last {
                Some(last) if !short => after = last,
                Some(_) | None => return Ok(views),
            }
        }
    }

    /// How many there are, from the view of one scope.
    pub async fn counts(self, scope: ScopeId) -> Result<ProjectCounts, Error> {
        Self::counted(&self.store.read(sqlx::query(COUNTS).bind(scope.0)).await?)
    }

    /// What [`COUNTS`] found.
    pub(crate) fn counted(rows: &[SqliteRow]) -> Result<ProjectCounts, Error> {
        let mut counts = ProjectCounts::default();
        for found in rows {
            let mut columns = Columns::new(found, 0, "project", "count".to_owned());
            let state = columns.number("state", state_of)?;
            let number = columns.count("count")?;
            counts.total += number;
            match state {
                State::Registered => counts.registered = number,
                State::Pending => counts.pending = number,
                State::Missing => counts.missing = number,
                State::Rejected => counts.rejected = number,
            }
        }
        Ok(counts)
    }
}

fn view(found: &SqliteRow) -> Result<ProjectView, Error> {
    let mapping_at = PROJECT_WIDTH;
    let entry_at = mapping_at + MAPPING_WIDTH;
    let project = row::project(found, 0)?;
    let has_mapping = !row::is_null(found, mapping_at);
    let has_entry = !row::is_null(found, entry_at);
    let mapping = if has_mapping { row::or_warn(row::mapping(found, mapping_at)) } else { None };
    let entry = if has_entry { row::or_warn(row::entry(found, entry_at)) } else { None };
    let state_at = entry_at + row::ENTRY_WIDTH;
    let state =
        Columns::new(found, state_at, "project", project.local.to_string()).number("state", state_of)?;
    Ok(ProjectView { project, state, mapping, entry })
}

fn state_number(state: State) -> i64 {
    match state {
        State::Registered => 0,
        State::Pending => 1,
        State::Missing => 2,
        State::Rejected => 3,
    }
}

fn state_of(number: i64) -> Option<State> {
    [State::Registered, State::Pending, State::Missing, State::Rejected]
        .into_iter()
        .find(|state| state_number(*state) == number)
}

/// From where to where the bytes of a folder and of all paths in it lie. There may be others between: `/a-b` for `/a`.
fn at_and_below(folder: &Path) -> (Hex, Hex) {
    let bytes = path_bytes(folder);
    let begin = bytes.strip_suffix(b"/").unwrap_or(bytes);
    let mut end = begin.to_vec();
    // What follows the separator in the order of bytes.
    end.push(b'/' + 1);
    (Hex::of(begin), Hex(end))
}
