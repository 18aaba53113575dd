//! The domain's types as the socket has them, and the other way round, by hand.
//!
//! By hand, so that a change inside the daemon cannot change by accident what others read.

use sync_core::{Asked, CloudId, Entry, Failure, Field, Given, ProjectKind, Timestamp, Vcs};
use sync_wire::{
    AskedBy, CacheCounts, CloudStatus, DiscoveryStatus, Event, FlushAnswer, InspectAnswer, ItemState,
    LastError, LastScan, Problem, Project, ProjectCounts, ProjectState, ProjectType, QueueCounts, QueueItem,
    QueueItemBrief, RegistrationAnswer, ResolveAnswer, RootState, RootStatus, ScanAnswer, Source, Status,
    SyncResult,
};
use uuid::Uuid;

use crate::engine::api;

impl From<api::Refusal> for Box<Problem> {
    fn from(refusal: api::Refusal) -> Self {
        let mut problem = Self::new(Problem::new(refusal.code, refusal.message));
        problem.hint = refusal.hint;
        problem.queue_item = refusal.entry.map(|view| brief(&view.entry, entry_state(view.state)));
        problem
    }
}

/// The whole status page.
pub(super) fn status(report: api::StatusReport, version: &str) -> Status {
    let (total, registered, pending, missing, rejected) = report.projects;
    let (entries, fresh, stale) = report.cache;
    let by_itself = || report.paused_by_itself().map(pause_by_itself);
    let pause = report.paused.as_ref().map(pause).or_else(by_itself);
    Status {
        version: version.to_owned(),
        api: sync_wire::API,
        pid: std::process::id(),
        started_at: report.started_at.to_rfc3339(),
        uptime_seconds: report.uptime.as_secs(),
        dev: report.dev,
        paused: pause.is_some(),
        pause,
        holds: report.held_back.iter().map(hold).collect(),
        machine_uuid: report.machine.parse().unwrap_or(Uuid::nil()),
        tenant_id: report.tenant.map(|tenant| tenant.to_string()),
        cloud: CloudStatus {
            api_url: report.api_url,
            state: cloud_state(report.cloud),
            since: report.cloud_since.to_rfc3339(),
            last_success_at: report.last_success_at.map(Timestamp::to_rfc3339),
            last_error: report.last_failure.map(last_error),
            next_attempt_at: report.next_attempt_at.map(Timestamp::to_rfc3339),
            spared_until: report.spared_until.map(Timestamp::to_rfc3339),
        },
        queue: queue_counts(&report.queue),
        cache: CacheCounts { entries, fresh, stale },
        projects: ProjectCounts { total, registered, pending, missing, rejected },
        discovery: DiscoveryStatus {
            roots: report.roots.iter().map(root).collect(),
            problems: report.scan_problems.clone(),
            watches: report.watches,
            arriving: report.arriving,
            last_scan: report.last_scan.map(last_scan),
        },
    }
}

/// Who paused sending, why and until when.
pub(super) fn pause(pausing: &crate::engine::Pausing) -> sync_wire::PauseStatus {
    sync_wire::PauseStatus {
        by: "user".to_owned(),
        since: pausing.since().to_rfc3339(),
        until: pausing.until().map(Timestamp::to_rfc3339),
        reason: pausing.reason().map(str::to_owned),
    }
}

fn pause_by_itself(hold: &api::HoldView) -> sync_wire::PauseStatus {
    sync_wire::PauseStatus {
        by: hold.by.to_owned(),
        since: hold.since.to_rfc3339(),
        until: hold.until.map(Timestamp::to_rfc3339),
        reason: Some(hold.reason.clone()),
    }
}

fn hold(hold: &api::HoldView) -> sync_wire::HoldStatus {
    sync_wire::HoldStatus {
        by: hold.by.to_owned(),
        stops: hold.stops.to_owned(),
        since: hold.since.to_rfc3339(),
        until: hold.until.map(Timestamp::to_rfc3339),
        reason: hold.reason.clone(),
        ends: hold.ends.to_owned(),
    }
}

/// The cloud's state.
pub(super) fn cloud_state(state: api::CloudState) -> sync_wire::CloudState {
    match state {
        api::CloudState::Online => sync_wire::CloudState::Online,
        api::CloudState::Offline => sync_wire::CloudState::Offline,
        api::CloudState::Portal => sync_wire::CloudState::Portal,
        api::CloudState::Throttled => sync_wire::CloudState::Throttled,
        api::CloudState::AuthRequired => sync_wire::CloudState::AuthRequired,
        api::CloudState::Forbidden => sync_wire::CloudState::Forbidden,
        api::CloudState::Protocol => sync_wire::CloudState::Protocol,
        api::CloudState::Unknown => sync_wire::CloudState::Unknown,
    }
}

/// How many entries stand where.
pub(super) fn queue_counts(counts: &api::QueueCounts) -> QueueCounts {
    QueueCounts {
        ready: counts.ready,
        delayed: counts.delayed,
        in_flight: counts.in_flight,
        parked: counts.parked,
        dead: counts.dead,
        oldest_enqueued_at: counts.oldest_enqueued_at.map(Timestamp::to_rfc3339),
    }
}

/// What a look at a path found, beside what is on record.
pub(super) fn inspected(found: api::Inspected) -> InspectAnswer {
    let projects = found.projects.into_iter().map(|(seen, on_record)| {
        let mut seen = crate::inspect::inspection(&seen.sighting, &seen.evidence);
        let on_record = on_record.map(project);
        if let Some(known) = &on_record {
            as_given(&mut seen, known);
        }
        let differs = on_record.as_ref().map(|known| differs(&seen, known)).unwrap_or_default();
        sync_wire::Inspected { seen, on_record, differs }
    });
    InspectAnswer { projects: projects.collect(), more: found.more, problems: found.problems }
}

/// What somebody gave is what is registered, whatever is found.
fn as_given(seen: &mut sync_wire::Inspection, known: &Project) {
    let given = |field: Field| known.given.iter().any(|name| name == field.as_str());
    let evidence = &mut seen.evidence;
    let stands = |proof: &mut sync_wire::Proof, found: &str| {
        let found = if found.is_empty() { "nothing" } else { found };
        let left_out = format!("looking finds {found} ({})", proof.rule);
        *proof = sync_wire::Proof {
            rule: "given by a person or a tool".to_owned(),
            left_out: vec![left_out],
            ..Default::default()
        };
    };
    let texts = [
        (Field::Name, &mut seen.project_name, &known.project_name, &mut evidence.project_name),
        (
            Field::Language,
            &mut seen.primary_language,
            &known.primary_language,
            &mut evidence.primary_language,
        ),
        (Field::Framework, &mut seen.framework, &known.framework, &mut evidence.framework),
    ];
    for (field, text, record, proof) in texts {
        if given(field) {
            stands(proof, text);
            text.clone_from(record);
        }
    }
    if given(Field::Kind) {
        stands(&mut evidence.project_type, seen.project_type.as_str());
        seen.project_type = known.project_type;
    }
    if given(Field::Parent) {
        stands(&mut evidence.parent_root_path, seen.parent_root_path.as_deref().unwrap_or_default());
        evidence.parent_root_path.found.extend(known.parent_project_uuid.map(|parent| parent.to_string()));
    }
}

fn differs(seen: &sync_wire::Inspection, known: &Project) -> Vec<String> {
    let pairs = [
        ("project_name", seen.project_name == known.project_name),
        ("primary_language", seen.primary_language == known.primary_language),
        ("framework", seen.framework == known.framework),
        ("content_hash", seen.content_hash == known.content_hash),
        ("project_type", seen.project_type == known.project_type),
    ];
    pairs.into_iter().filter(|(_, is_same)| !is_same).map(|(field, _)| field.to_owned()).collect()
}

fn root(root: &api::RootView) -> RootStatus {
    RootStatus {
        path: root.path.to_string_lossy().into_owned(),
        state: match root.state {
            api::RootState::Watching => RootState::Watching,
            api::RootState::Polling => RootState::Polling,
            api::RootState::Missing => RootState::Missing,
            api::RootState::Denied => RootState::Denied,
        },
        projects: root.projects,
    }
}

fn last_scan(last: api::LastScan) -> LastScan {
    LastScan {
        started_at: last.started_at.to_rfc3339(),
        duration_ms: last.took.as_millis().try_into().unwrap_or(u64::MAX),
        found: last.scanned.found,
        added: last.scanned.added,
        changed: last.scanned.changed,
        missing: last.scanned.missing,
    }
}

/// A project's UUID in the cloud.
pub(super) fn resolved(resolved: &api::Resolved) -> ResolveAnswer {
    let mapping = &resolved.mapping;
    ResolveAnswer {
        local_project_uuid: mapping.local.0,
        cloud_uuid: mapping.cloud.0,
        tenant_id: mapping.tenant.as_ref().or(resolved.tenant.as_ref()).map(ToString::to_string),
        registration_status: mapping.status.clone(),
        source: if resolved.from_cloud { Source::Cloud } else { Source::Cache },
        stale: resolved.stale,
        cached_at: mapping.cached_at.to_rfc3339(),
        expires_at: mapping.expires_at.to_rfc3339(),
    }
}

/// A registration as the cloud tells of it.
pub(super) fn told_by_cloud(told: &api::ToldByCloud) -> RegistrationAnswer {
    let project = &told.project;
    RegistrationAnswer {
        cloud_uuid: project.cloud.0,
        local_project_uuid: told.local.map(|local| local.0),
        on_this_machine: told.here,
        tenant_id: project.tenant.as_ref().or(told.tenant.as_ref()).map(ToString::to_string),
        registration_status: project.status.clone(),
        registered_at: project.registered_at.map(Timestamp::to_rfc3339),
        told: told.fields.clone(),
    }
}

/// A project with all that is known of it.
pub(super) fn project(view: api::ProjectView) -> Project {
    let (project, mapping) = (view.project, view.mapping);
    let (root_path, root_path_exact) = sync_wire::path::to_fields(&project.root);
    Project {
        local_project_uuid: project.local.0,
        project_name: project.name,
        root_path,
        root_path_exact,
        primary_language: project.language,
        framework: project.framework,
        content_hash: project.content_hash,
        project_type: project_type(project.kind),
        parent_project_uuid: project.parent.map(|parent| parent.0),
        given: given(project.given),
        vcs: vcs(project.vcs).to_owned(),
        state: project_state(view.state),
        cloud_uuid: mapping.as_ref().map(|mapping| mapping.cloud.0),
        registration_status: mapping.map(|mapping| mapping.status),
        first_seen_at: project.first_seen_at.to_rfc3339(),
        seen_at: project.seen_at.to_rfc3339(),
        queue_item: view.entry.map(|view| brief(&view.entry, entry_state(view.state))),
    }
}

fn given(given: Given) -> Vec<String> {
    Field::ALL.into_iter().filter(|field| given.has(*field)).map(|field| field.as_str().to_owned()).collect()
}

fn vcs(vcs: Vcs) -> &'static str {
    vcs.as_str()
}

/// A project's state.
pub(super) fn project_state(state: api::ProjectState) -> ProjectState {
    match state {
        api::ProjectState::Registered => ProjectState::Registered,
        api::ProjectState::Pending => ProjectState::Pending,
        api::ProjectState::Missing => ProjectState::Missing,
        api::ProjectState::Rejected => ProjectState::Rejected,
    }
}

/// The project's state that is asked for.
pub(super) fn asked_project_state(state: ProjectState) -> api::ProjectState {
    match state {
        ProjectState::Registered => api::ProjectState::Registered,
        ProjectState::Pending => api::ProjectState::Pending,
        ProjectState::Missing => api::ProjectState::Missing,
        ProjectState::Rejected => api::ProjectState::Rejected,
    }
}

fn project_type(kind: ProjectKind) -> ProjectType {
    match kind {
        ProjectKind::Standalone => ProjectType::Standalone,
        ProjectKind::Submodule => ProjectType::Submodule,
        ProjectKind::Monorepo => ProjectType::Monorepo,
    }
}

/// The project's kind that is asked for.
pub(super) fn project_kind(kind: ProjectType) -> ProjectKind {
    match kind {
        ProjectType::Standalone => ProjectKind::Standalone,
        ProjectType::Submodule => ProjectKind::Submodule,
        ProjectType::Monorepo => ProjectKind::Monorepo,
    }
}

/// An entry of the queue.
pub(super) fn queue_item(view: api::EntryView) -> QueueItem {
    let state = entry_state(view.state);
    let entry = view.entry;
    QueueItem {
        id: entry.id.0,
        local_project_uuid: entry.registration.local.0,
        root_path: entry.registration.root.to_string_lossy().into_owned(),
        project_name: entry.registration.name,
        state,
        revision: entry.revision.0,
        attempts: entry.attempts,
        next_attempt_at: next_attempt(state, entry.due),
        enqueued_at: entry.enqueued_at.to_rfc3339(),
        asked_by: match entry.asked {
            Asked::ByUser => AskedBy::User,
            Asked::ByDiscovery => AskedBy::Discovery,
        },
        last_error: entry.last_failure.map(last_error),
    }
}

fn entry_state(state: api::EntryState) -> ItemState {
    match state {
        api::EntryState::Ready => ItemState::Ready,
        api::EntryState::Delayed => ItemState::Delayed,
        api::EntryState::InFlight => ItemState::InFlight,
        api::EntryState::Parked => ItemState::Parked,
        api::EntryState::Dead => ItemState::Dead,
    }
}

/// The entry's state that is asked for.
pub(super) fn asked_entry_state(state: ItemState) -> api::EntryState {
    match state {
        ItemState::Ready => api::EntryState::Ready,
        ItemState::Delayed => api::EntryState::Delayed,
        ItemState::InFlight => api::EntryState::InFlight,
        ItemState::Parked => api::EntryState::Parked,
        ItemState::Dead => api::EntryState::Dead,
    }
}

fn brief(entry: &Entry, state: ItemState) -> QueueItemBrief {
    QueueItemBrief {
        id: entry.id.0,
        state,
        attempts: entry.attempts,
        next_attempt_at: next_attempt(state, entry.due),
        last_error: entry.last_failure.clone().map(last_error),
    }
}

fn next_attempt(state: ItemState, due: Timestamp) -> Option<String> {
    match state {
        ItemState::Delayed | ItemState::Parked => Some(due.to_rfc3339()),
        // Due already: it goes as soon as the way to the cloud is open, which the status tells.
        ItemState::Ready | ItemState::InFlight | ItemState::Dead => None,
    }
}

fn last_error(failure: Failure) -> LastError {
    LastError { code: failure.code, message: failure.message, at: failure.at.to_rfc3339() }
}

/// What became of one project that was to be registered.
pub(super) fn registered(registered: api::Registered) -> SyncResult {
    let result = |success, cloud: Option<CloudId>, status: &str, queued, error| SyncResult {
        local_project_uuid: registered.local.0,
        success,
        cloud_uuid: cloud.map(|cloud| cloud.0),
        status: status.to_owned(),
        queued,
        error,
    };
    match registered.outcome {
        api::RegisterOutcome::Registered(mapping) => {
            result(true, Some(mapping.cloud), SyncResult::REGISTERED, false, None)
        }
        api::RegisterOutcome::Cached(mapping) => {
            result(true, Some(mapping.cloud), SyncResult::CACHED, false, None)
        }
        api::RegisterOutcome::Queued(cloud) => result(false, cloud, SyncResult::QUEUED, true, None),
        api::RegisterOutcome::Failed(failure) => {
            result(false, None, SyncResult::ERROR, false, Some(failure.message))
        }
    }
}

/// Something that happened.
pub(super) fn event(happening: api::Happening) -> Event {
    Event {
        id: happening.number,
        at: happening.at.to_rfc3339(),
        kind: happening.kind,
        local_project_uuid: happening.local.map(|local| local.0),
        message: happening.message,
        missed: None,
    }
}

/// What a flush came to.
pub(super) fn flushed(flushed: api::Flushed) -> FlushAnswer {
    FlushAnswer { delivered: flushed.delivered, remaining: flushed.remaining, dead: flushed.dead }
}

/// What a scan came to.
pub(super) fn scanned(scanned: api::Scanned) -> ScanAnswer {
    ScanAnswer {
        found: scanned.found,
        added: scanned.added,
        changed: scanned.changed,
        missing: scanned.missing,
        done: scanned.done,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sync_core::{EntryId, LocalId, MachineId, Mapping, Registration, Revision, ScopeId, TenantId};
    use sync_wire::ProblemCode;

    use super::*;

    #[test]
    fn what_became_of_a_project_is_said_as_the_python_client_has_it() {
        let check = |outcome, expected: (bool, Option<Uuid>, &str, bool, Option<&str>)| {
            let result = registered(api::Registered { local: LocalId(Uuid::max()), outcome });
            let error = result.error.as_deref();
            assert_eq!((result.success, result.cloud_uuid, &*result.status, result.queued, error), expected);
            assert_eq!(result.local_project_uuid, Uuid::max());
        };
        let cloud = mapping().cloud;
        check(api::RegisterOutcome::Registered(mapping()), (true, Some(cloud.0), "registered", false, None));
        check(api::RegisterOutcome::Cached(mapping()), (true, Some(cloud.0), "cached", false, None));
        check(api::RegisterOutcome::Queued(None), (false, None, "queued", true, None));
        check(api::RegisterOutcome::Queued(Some(cloud)), (false, Some(cloud.0), "queued", true, None));
        check(api::RegisterOutcome::Failed(failure()), (false, None, "error", false, Some("no such parent")));
    }

    #[test]
    fn a_refusal_keeps_its_code_its_hint_and_the_entry_that_explains_it() {
        for (state, shown, next) in [
            (api::EntryState::Ready, ItemState::Ready, None),
            (api::EntryState::Delayed, ItemState::Delayed, Some("1970-01-01T00:00:01Z")),
            (api::EntryState::InFlight, ItemState::InFlight, None),
            (api::EntryState::Dead, ItemState::Dead, None),
        ] {
            let refusal = api::Refusal {
                code: ProblemCode::NotRegistered,
                message: "`api` is not registered yet".to_owned(),
                hint: Some("wait".to_owned()),
                entry: Some(Box::new(api::EntryView { entry: entry(), state })),
            };
            let problem = Box::<Problem>::from(refusal);
            assert_eq!((problem.code, problem.status), (ProblemCode::NotRegistered, 404));
            assert_eq!(
                (&*problem.detail, problem.hint.as_deref()),
                ("`api` is not registered yet", Some("wait"))
            );
            let item = problem.queue_item.expect("the entry");
            assert_eq!((item.id, item.state, item.next_attempt_at.as_deref()), (7, shown, next));
        }
    }

    #[test]
    fn a_state_that_is_asked_for_is_the_one_that_is_shown() {
        for state in
            [ItemState::Ready, ItemState::Delayed, ItemState::InFlight, ItemState::Parked, ItemState::Dead]
        {
            assert_eq!(entry_state(asked_entry_state(state)), state);
        }
        for state in
            [ProjectState::Registered, ProjectState::Pending, ProjectState::Missing, ProjectState::Rejected]
        {
            assert_eq!(project_state(asked_project_state(state)), state);
        }
        for kind in [ProjectType::Standalone, ProjectType::Submodule, ProjectType::Monorepo] {
            assert_eq!(project_type(project_kind(kind)), kind);
        }
    }

    #[test]
    fn an_entry_in_the_air_has_no_next_attempt() {
        for (state, expected) in [(api::EntryState::InFlight, false), (api::EntryState::Delayed, true)] {
            let item = queue_item(api::EntryView { entry: entry(), state });
            assert_eq!(item.next_attempt_at.is_some(), expected, "{state:?}");
        }
    }

    #[test]
    fn a_uuid_is_answered_with_the_tenant_it_was_told_for() {
        let answer = resolved(&api::Resolved {
            mapping: mapping(),
            tenant: TenantId::new("ours"),
            from_cloud: true,
            stale: false,
        });
        assert_eq!((answer.tenant_id.as_deref(), answer.source), (Some("acme"), Source::Cloud));
    }

    fn mapping() -> Mapping {
        Mapping {
            local: LocalId(Uuid::max()),
            cloud: CloudId(Uuid::from_u128(5)),
            tenant: TenantId::new("acme"),
            status: "registered".to_owned(),
            sent: None,
            revision: Revision::FIRST,
            cached_at: Timestamp(1_000),
            expires_at: Timestamp(2_000),
            refresh_at: Timestamp(1_900),
        }
    }

    fn failure() -> Failure {
        Failure { code: "http_422".to_owned(), message: "no such parent".to_owned(), at: Timestamp(0) }
    }

    fn entry() -> Entry {
        let registration = Registration {
            local: LocalId(Uuid::max()),
            machine: MachineId(Uuid::nil()),
            name: "api".to_owned(),
            root: PathBuf::from("/home/u/api"),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
        };
        Entry {
            id: EntryId(7),
            scope: ScopeId(1),
            hash: registration.payload_hash(),
            registration,
            revision: Revision::FIRST,
            asked: Asked::ByUser,
            standing: sync_core::Standing::Ready,
            attempts: 0,
            due: Timestamp(1_000),
            enqueued_at: Timestamp(0),
            last_failure: None,
        }
    }
}
