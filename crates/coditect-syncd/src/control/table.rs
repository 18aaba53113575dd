//! The table of routes: every way to ask, and what comes of it.

use futures_util::future::BoxFuture;
use hyper::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sync_wire::{Problem, ProblemCode};

use super::read::Kind;
use super::reply::Reply;
use super::route::{Answer, Content, Document, Parameter, Route};
use super::{
    admin, diagnostics, discovery, events, import, metrics, projects, queue, registration, resolve, status,
};

/// All routes. Where two match a path, the first counts.
pub(super) static ROUTES: &[Route] = &[
    Route {
        path: "/v1/status",
        operation: "status",
        summary: "How the daemon is doing, on one page.",
        answers: &[ok(of::<sync_wire::Status>)],
        call: |question| Box::pin(status::status(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/health",
        operation: "health",
        summary: "Whether the daemon can do its work.",
        answers: &[
            ok(of::<sync_wire::Health>),
            Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                description: "It cannot; `why` says why.",
                content: Content::Json(of::<sync_wire::Health>),
            },
        ],
        call: |question| at_once(status::health(&question)),
        ..PLAIN
    },
    Route {
        path: "/v1/ready",
        operation: "ready",
        summary: "Whether the daemon takes requests.",
        answers: &[
            ok(of::<sync_wire::Ready>),
            Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                description: "Not yet, or no longer; `why` says why.",
                content: Content::Json(of::<sync_wire::Ready>),
            },
        ],
        call: |question| at_once(status::ready(&question)),
        ..PLAIN
    },
    Route {
        path: "/v1/resolve",
        operation: "resolve",
        summary: "A project's UUID in the cloud. Give `local_uuid` or `path`, not both.",
        query: &[
            LOCAL_UUID,
            Parameter {
                name: "path",
                kind: Kind::Path,
                description: "An absolute path; the innermost project that holds it counts, and of a linked work tree the one that stands for it.",
            },
            Parameter {
                name: "refresh",
                kind: Kind::Flag,
                description: "Whether to ask the cloud even if the answer is known.",
            },
            WAIT_MS,
        ],
        answers: &[ok(of::<sync_wire::ResolveAnswer>)],
        problems: &[
            ProblemCode::NotFound,
            ProblemCode::NotRegistered,
            ProblemCode::CloudUnreachable,
            ProblemCode::AuthRequired,
        ],
        call: |question| Box::pin(resolve::resolve(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/projects",
        operation: "listProjects",
        summary: "The projects on this machine, page by page.",
        query: &[
            Parameter {
                name: "state",
                kind: Kind::Word(PROJECT_STATES),
                description: "Only those in this state.",
            },
            Parameter {
                name: "type",
                kind: Kind::Word(PROJECT_TYPES),
                description: "Only those of this type.",
            },
            Parameter {
                name: "language",
                kind: Kind::Text,
                description: "Only those with this main language; letter case does not matter.",
            },
            LIMIT,
            CURSOR,
        ],
        answers: &[ok(of::<sync_wire::ProjectsPage>)],
        call: |question| Box::pin(projects::list(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/projects",
        operation: "registerProject",
        summary: "Registers a project. It is durable before the answer.",
        body: Some(Document { required: true, schema: of::<sync_wire::RegisterRequest> }),
        answers: &[
            Answer {
                status: StatusCode::OK,
                description: "The cloud has it: `registered` or `cached`.",
                content: Content::Json(of::<sync_wire::SyncResult>),
            },
            Answer {
                status: StatusCode::ACCEPTED,
                description: "It waits to be sent: `queued`.",
                content: Content::Json(of::<sync_wire::SyncResult>),
            },
            Answer {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                description: "It cannot be registered: `error` says why.",
                content: Content::Json(of::<sync_wire::SyncResult>),
            },
        ],
        problems: REGISTERING,
        call: |question| Box::pin(projects::register(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/projects/sync",
        operation: "registerProjects",
        summary: "Registers several projects. They are durable before the answer.",
        body: Some(Document { required: true, schema: of::<sync_wire::SyncRequest> }),
        answers: &[ok(of::<sync_wire::SyncResults>)],
        problems: REGISTERING,
        call: |question| Box::pin(projects::sync(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/projects/{local_uuid}",
        operation: "showProject",
        summary: "One project.",
        segment: Some(LOCAL_UUID),
        answers: &[ok(of::<sync_wire::Project>)],
        problems: &[ProblemCode::NotFound],
        call: |question| Box::pin(projects::show(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/registrations/{cloud_uuid}",
        operation: "showRegistration",
        summary: "A registration in the cloud, by its UUID there, as the cloud has it now. Also of another machine of the \
                  same tenant: whatever the cloud tells this daemon.",
        segment: Some(CLOUD_UUID),
        query: &[WAIT_MS],
        answers: &[ok(of::<sync_wire::RegistrationAnswer>)],
        problems: &[ProblemCode::NotFound, ProblemCode::CloudUnreachable, ProblemCode::AuthRequired],
        call: |question| Box::pin(registration::show(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/queue",
        operation: "queue",
        summary: "How many entries wait, by state.",
        answers: &[ok(of::<sync_wire::QueueCounts>)],
        call: |question| Box::pin(queue::counts(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/queue/items",
        operation: "listQueueItems",
        summary: "The entries of the queue, oldest first, page by page.",
        query: &[
            Parameter {
                name: "state",
                kind: Kind::Word(ITEM_STATES),
                description: "Only those in this state.",
            },
            LIMIT,
            Parameter { kind: Kind::Number, ..CURSOR },
        ],
        answers: &[ok(of::<sync_wire::QueueItemsPage>)],
        call: |question| Box::pin(queue::list(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/queue/items/{id}",
        operation: "showQueueItem",
        summary: "One entry of the queue.",
        segment: Some(ENTRY),
        answers: &[ok(of::<sync_wire::QueueItem>)],
        problems: &[ProblemCode::NotFound],
        call: |question| Box::pin(queue::show(question)),
        ..PLAIN
    },
    Route {
        method: "DELETE",
        path: "/v1/queue/items/{id}",
        operation: "dropQueueItem",
        summary: "Drops an entry of the queue for good.",
        segment: Some(ENTRY),
        answers: &[Answer {
            status: StatusCode::NO_CONTENT,
            description: "It is gone.",
            content: Content::Nothing,
        }],
        problems: &[ProblemCode::NotFound, ProblemCode::Conflict],
        call: |question| Box::pin(queue::drop_item(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/queue/items/{id}/retry",
        operation: "retryQueueItem",
        summary: "Makes a dead or parked entry wait again, due at once.",
        segment: Some(ENTRY),
        answers: &[ok(of::<sync_wire::QueueItem>)],
        problems: &[ProblemCode::NotFound, ProblemCode::Conflict],
        call: |question| Box::pin(queue::retry(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/queue/retry-dead",
        operation: "retryDead",
        summary: "Makes all dead entries wait again, due at once.",
        answers: &[ok(of::<sync_wire::RetryDeadAnswer>)],
        call: |question| Box::pin(queue::retry_dead(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/queue/flush",
        operation: "flush",
        summary: "Sends what waits now, whatever the pauses say.",
        body: Some(Document { required: false, schema: of::<sync_wire::FlushRequest> }),
        answers: &[ok(of::<sync_wire::FlushAnswer>)],
        call: |question| Box::pin(queue::flush(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/discovery/scan",
        operation: "scan",
        summary: "Looks for projects now.",
        body: Some(Document { required: false, schema: of::<sync_wire::ScanRequest> }),
        answers: &[
            ok(of::<sync_wire::ScanAnswer>),
            Answer {
                status: StatusCode::ACCEPTED,
                description: "It goes on; the counts are not final.",
                content: Content::Json(of::<sync_wire::ScanAnswer>),
            },
        ],
        call: |question| Box::pin(discovery::scan(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/discovery/inspect",
        operation: "inspect",
        summary: "What is or would be registered for a path, and what every field is told by.",
        query: &[Parameter {
            name: "path",
            kind: Kind::Path,
            description: "An absolute path; the innermost project that holds it counts, else all below it.",
        }],
        needs: &["path"],
        answers: &[ok(of::<sync_wire::InspectAnswer>)],
        problems: &[ProblemCode::NotFound],
        call: |question| Box::pin(discovery::inspect(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/import",
        operation: "import",
        summary: "Takes over the databases of the old client now.",
        body: Some(Document { required: false, schema: of::<sync_wire::ImportRequest> }),
        answers: &[ok(of::<sync_wire::ImportAnswer>)],
        problems: &[ProblemCode::NotFound, ProblemCode::Conflict, ProblemCode::DiskFull],
        call: |question| Box::pin(import::import(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/events",
        operation: "events",
        summary: "What happens, as server-sent events whose data is an `Event`. Without `since` or `Last-Event-ID` it \
                  begins with what happens next. The newest 10000 or so are kept; where some are missing, an event of \
                  the kind `gap` says which. A comment comes at least every 15 seconds.",
        query: &[
            Parameter {
                name: "since",
                kind: Kind::Number,
                description: "Begin after the event of this number.",
            },
            Parameter {
                name: "follow",
                kind: Kind::Flag,
                description: "Whether to wait for more at the end of what is known; by default it is waited.",
            },
        ],
        headers: &[Parameter {
            name: events::LAST_EVENT_ID,
            kind: Kind::Number,
            description: "Begin after the event of this number; counts more than `since`.",
        }],
        answers: &[Answer {
            status: StatusCode::OK,
            description: "What happened, and what happens.",
            content: Content::Stream(events::MEDIA_TYPE, of::<sync_wire::Event>),
        }],
        call: |question| Box::pin(events::follow(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/diagnostics",
        operation: "diagnostics",
        summary: "All that a report of a fault needs; secrets are left out.",
        answers: &[ok(of::<sync_wire::Diagnostics>)],
        call: |question| Box::pin(diagnostics::show(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/pause",
        operation: "pause",
        summary: "Sends nothing from here on, also after a restart; for a while where the body says so.",
        body: Some(Document { required: false, schema: of::<sync_wire::PauseRequest> }),
        answers: &[ok(of::<sync_wire::PauseAnswer>)],
        call: |question| Box::pin(admin::pause(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/resume",
        operation: "resume",
        summary: "Sends again.",
        answers: &[ok(of::<sync_wire::PauseAnswer>)],
        call: |question| Box::pin(admin::resume(question)),
        ..PLAIN
    },
    Route {
        path: "/v1/wait",
        operation: "wait",
        summary: "Waits until something is so, at most `wait_ms`; `reached` tells whether it is.",
        query: &[
            Parameter {
                name: "for",
                kind: Kind::Word(GOALS),
                description: "What: `ready`, the daemon answers questions well; `idle`, projects were looked for and \
                              nothing waits to be sent; `registered`, the cloud has the project at `path` as it is. A \
                              project that it does not take is a `conflict`, at once.",
            },
            Parameter {
                name: "path",
                kind: Kind::Path,
                description: "An absolute path, for `registered` alone; the innermost project that holds it counts.",
            },
            Parameter {
                name: "wait_ms",
                kind: Kind::Wait,
                description: "How long to wait at most, in milliseconds; by default not at all.",
            },
        ],
        needs: &["for"],
        answers: &[ok(of::<sync_wire::WaitAnswer>)],
        problems: &[ProblemCode::Conflict],
        call: |question| Box::pin(admin::wait(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/reload",
        operation: "reload",
        summary: "Reads the configuration and the credentials again; `conflict` where it is refused.",
        answers: &[ok(of::<sync_wire::ReloadAnswer>)],
        call: |question| Box::pin(admin::reload(question)),
        ..PLAIN
    },
    Route {
        method: "POST",
        path: "/v1/shutdown",
        operation: "shutdown",
        summary: "Ends the daemon, once what it has begun is finished.",
        answers: &[ACCEPTED],
        call: |question| at_once(admin::shutdown(&question)),
        ..PLAIN
    },
    Route {
        path: "/v1/openapi.json",
        operation: "openapi",
        summary: "This document.",
        answers: &[Answer {
            status: StatusCode::OK,
            description: "Done.",
            content: Content::Json(|_| schemars::json_schema!({"type": "object"})),
        }],
        call: |_| at_once(admin::openapi()),
        ..PLAIN
    },
    Route {
        path: "/metrics",
        operation: "metrics",
        summary: "Figures for Prometheus.",
        answers: &[Answer {
            status: StatusCode::OK,
            description: "Done.",
            content: Content::Text("text/plain; version=0.0.4; charset=utf-8"),
        }],
        call: |question| Box::pin(metrics::metrics(question)),
        ..PLAIN
    },
];

const REGISTERING: &[ProblemCode] = &[ProblemCode::Conflict, ProblemCode::QueueFull, ProblemCode::DiskFull];

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn at_once(reply: Reply) -> BoxFuture<'static, Result<Reply, Box<Problem>>> {
    Box::pin(std::future::ready(Ok(reply)))
}

const fn ok(schema: fn(&mut SchemaGenerator) -> Schema) -> Answer {
    Answer { status: StatusCode::OK, description: "Done.", content: Content::Json(schema) }
}

const ACCEPTED: Answer =
    Answer { status: StatusCode::ACCEPTED, description: "It is being done.", content: EMPTY_OBJECT };
const EMPTY_OBJECT: Content =
    Content::Json(|_| schemars::json_schema!({"type": "object", "additionalProperties": true}));

const WAIT_MS: Parameter = Parameter {
    name: "wait_ms",
    kind: Kind::Wait,
    description: "How long to wait for the cloud, in milliseconds; by default 1500.",
};
const LIMIT: Parameter =
    Parameter { name: "limit", kind: Kind::Limit, description: "At most this many; by default 100." };
const CURSOR: Parameter = Parameter {
    name: "cursor",
    kind: Kind::Uuid,
    description: "Where the page before ended: its `next_cursor`.",
};
const LOCAL_UUID: Parameter =
    Parameter { name: "local_uuid", kind: Kind::Uuid, description: "The project's UUID on this machine." };
const CLOUD_UUID: Parameter =
    Parameter { name: "cloud_uuid", kind: Kind::Uuid, description: "The project's UUID in the cloud." };
const ENTRY: Parameter = Parameter { name: "id", kind: Kind::Number, description: "The entry's number." };

/// The words of a project's state.
const PROJECT_STATES: &[&str] = &["registered", "pending", "missing", "rejected"];
/// The words of what can be waited for.
const GOALS: &[&str] = &["ready", "idle", "registered"];
/// The words of a project's type.
const PROJECT_TYPES: &[&str] = &["standalone", "submodule", "monorepo"];
/// The words of an entry's state.
const ITEM_STATES: &[&str] = &["ready", "delayed", "in_flight", "parked", "dead"];

/// A route with nothing but its name; the table fills in the rest.
const PLAIN: Route = Route {
    method: "GET",
    path: "",
    operation: "",
    summary: "",
    segment: None,
    query: &[],
    needs: &[],
    headers: &[],
    body: None,
    answers: &[],
    problems: &[],
    call: |_| at_once(Reply::nothing()),
};

#[cfg(test)]
mod tests {
    use sync_wire::{ItemState, ProjectState, ProjectType};

    use super::*;

    #[test]
    fn the_words_of_a_query_are_those_of_the_documents() {
        let states =
            [ProjectState::Registered, ProjectState::Pending, ProjectState::Missing, ProjectState::Rejected];
        assert_eq!(PROJECT_STATES, states.map(ProjectState::as_str));
        let goals = [sync_wire::Goal::Ready, sync_wire::Goal::Idle, sync_wire::Goal::Registered];
        assert_eq!(GOALS, goals.map(sync_wire::Goal::as_str));
        let types = [ProjectType::Standalone, ProjectType::Submodule, ProjectType::Monorepo];
        assert_eq!(PROJECT_TYPES, types.map(ProjectType::as_str));
        let items =
            [ItemState::Ready, ItemState::Delayed, ItemState::InFlight, ItemState::Parked, ItemState::Dead];
        assert_eq!(ITEM_STATES, items.map(ItemState::as_str));
    }
}
