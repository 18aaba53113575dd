//! The routes, in one table. The server follows it, and the OpenAPI document is made from it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use sync_wire::{Problem, ProblemCode};
use tokio_util::sync::CancellationToken;

use super::read::{Kind, Query, Value};
use super::reply::Reply;
use super::{admin, discovery, metrics, projects, queue, resolve, status};
use crate::engine::Engine;

/// A request that was understood, and whom to ask.
pub(super) struct Question {
    /// Whom to ask.
    pub(super) engine: Engine,
    /// The daemon's version.
    pub(super) version: &'static str,
    /// Whether the daemon stops.
    pub(super) stop: CancellationToken,
    /// The part of the path that is a parameter.
    pub(super) segment: Option<Value>,
    /// The query.
    pub(super) query: Query,
    /// The body, as it came.
    pub(super) body: Bytes,
}

impl Question {
    /// Waits for an answer, but not when the daemon stops. Only for questions: what writes is not to be cut short.
    pub(super) async fn unless_stopped<T>(
        &self,
        answer: impl Future<Output = Result<T, crate::engine::api::Refusal>>,
    ) -> Result<T, Box<Problem>> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(Into::into),
            () = self.stop.cancelled() => {
                let detail = "the daemon stops, so this is no longer waited for";
                Err(Box::new(Problem::new(ProblemCode::ShuttingDown, detail)))
            }
        }
    }
}

/// A way to ask, and what comes of it.
pub(super) struct Route {
    /// The method; a route that takes `GET` takes `HEAD` as well.
    pub(super) method: &'static str,
    /// The path. A part in braces is the parameter.
    pub(super) path: &'static str,
    /// Its name in the OpenAPI document and in the log.
    pub(super) operation: &'static str,
    /// What it is for.
    pub(super) summary: &'static str,
    /// What the part in braces is.
    pub(super) segment: Option<Parameter>,
    /// What the query can hold.
    pub(super) query: &'static [Parameter],
    /// What the body is.
    pub(super) body: Option<Document>,
    /// What is answered when it went well.
    pub(super) answers: &'static [Answer],
    /// What is answered when it did not, beside [`EVERYWHERE`].
    pub(super) problems: &'static [ProblemCode],
    /// Its handler.
    pub(super) call: fn(Question) -> BoxFuture<'static, Result<Reply, Box<Problem>>>,
}

/// A parameter of a path or a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What it can be.
    pub(super) kind: Kind,
    /// What it means.
    pub(super) description: &'static str,
}

/// The body of a request.
pub(super) struct Document {
    /// Whether it may not be left out.
    pub(super) required: bool,
    /// Its type.
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// An answer that is no problem.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// When it is given.
    pub(super) description: &'static str,
    /// What it holds.
    pub(super) content: Content,
}

/// What an answer holds.
pub(super) enum Content {
    /// Nothing.
    Nothing,
    /// A JSON document of this type.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Text of this media type.
    Text(&'static str),
}

/// The problems any route can answer with.
pub(super) const EVERYWHERE: &[ProblemCode] =
    &[ProblemCode::BadRequest, ProblemCode::Starting, ProblemCode::ShuttingDown, ProblemCode::Internal];

/// What a request's path leads to.
pub(super) enum Found<'path> {
    /// A route, and the part of the path that is its parameter; empty where it has none.
    Route(&'static Route, &'path str),
    /// Routes that take other methods, named here for the `Allow` header.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request.
pub(super) fn find<'path>(method: &str, path: &'path str) -> Found<'path> {
    let asked = if method == "HEAD" { "GET" } else { method };
    let mut others = Vec::new();
    for route in ROUTES {
        match matched(route.path, path) {
            Some(segment) if route.method == asked => return Found::Route(route, segment),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    if others.is_empty() {
        return Found::Nothing;
    }
    if others.contains(&"GET") {
        others.push("HEAD");
    }
    Found::OtherMethods(others.join(", "))
}

/// Whether a path is of a pattern; if so, the part of it that stands where the pattern has braces, else nothing of it.
fn matched<'path>(pattern: &str, path: &'path str) -> Option<&'path str> {
    let (mut parts, mut segment) = (path.split('/'), "");
    for expected in pattern.split('/') {
        let part = parts.next()?;
        if expected.starts_with('{') && !part.is_empty() {
            segment = part;
        } else if expected != part {
            return None;
        }
    }
    parts.next().is_none().then_some(segment)
}

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
    kind: Kind::Text,
    description: "Where the page before ended: its `next_cursor`.",
};
const LOCAL_UUID: Parameter =
    Parameter { name: "local_uuid", kind: Kind::Uuid, description: "The project's UUID on this machine." };
const ENTRY: Parameter = Parameter { name: "id", kind: Kind::Number, description: "The entry's number." };

/// The words of a project's state.
pub(super) const PROJECT_STATES: &[&str] = &["registered", "pending", "missing", "rejected"];
/// The words of a project's type.
pub(super) const PROJECT_TYPES: &[&str] = &["standalone", "submodule", "monorepo"];
/// The words of an entry's state.
pub(super) const ITEM_STATES: &[&str] = &["ready", "delayed", "in_flight", "parked", "dead"];

/// A route with nothing but its name; the table fills in the rest.
const PLAIN: Route = Route {
    method: "GET",
    path: "",
    operation: "",
    summary: "",
    segment: None,
    query: &[],
    body: None,
    answers: &[],
    problems: &[],
    call: |_| at_once(Reply::nothing()),
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
                description: "An absolute path; the innermost project that holds it counts.",
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
            CURSOR,
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
        method: "POST",
        path: "/v1/pause",
        operation: "pause",
        summary: "Sends nothing from here on, also after a restart.",
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
        method: "POST",
        path: "/v1/reload",
        operation: "reload",
        summary: "Reads the configuration and the credentials again.",
        answers: &[ACCEPTED],
        call: |question| at_once(admin::reload(&question)),
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

const REGISTERING: &[ProblemCode] = &[
    ProblemCode::Conflict,
    ProblemCode::PayloadTooLarge,
    ProblemCode::UnsupportedMediaType,
    ProblemCode::QueueFull,
    ProblemCode::DiskFull,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sync_wire::{ItemState, ProjectState, ProjectType};

    use super::*;

    #[test]
    fn a_request_finds_its_route() {
        let check = |method: &str, path: &str, expected: &str| {
            let found = match find(method, path) {
                Found::Route(route, segment) => {
                    format!("{} {segment}", route.operation).trim_end().to_owned()
                }
                Found::OtherMethods(methods) => methods,
                Found::Nothing => String::new(),
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        check("GET", "/v1/status", "status");
        check("HEAD", "/v1/status", "status");
        check("POST", "/v1/projects/sync", "registerProjects");
        check("GET", "/v1/projects/sync", "showProject sync");
        check("DELETE", "/v1/queue/items/7", "dropQueueItem 7");
        check("POST", "/v1/queue/items/7/retry", "retryQueueItem 7");
        check("PUT", "/v1/queue/items/7", "GET, DELETE, HEAD");
        check("POST", "/v1/status", "GET, HEAD");
        check("get", "/v1/status", "GET, HEAD");
        check("GET", "/v1/reload", "POST");
        for path in
            ["", "/", "*", "/v1", "/v1/", "/v1/status/", "//v1/status", "/v1/queue/items/", "/V1/status"]
        {
            check("GET", path, "");
        }
    }

    #[test]
    fn every_route_has_a_name_of_its_own_and_says_what_it_is() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let ways: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), ways.len()), (ROUTES.len(), ROUTES.len()));
        for route in ROUTES {
            let braces = route.path.split('/').find_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            assert_eq!(braces, route.segment.map(|segment| segment.name), "{}", route.path);
            assert!(!route.answers.is_empty() && route.summary.ends_with('.'), "{}", route.path);
        }
    }

    #[test]
    fn the_words_of_a_query_are_those_of_the_documents() {
        let states =
            [ProjectState::Registered, ProjectState::Pending, ProjectState::Missing, ProjectState::Rejected];
        assert_eq!(PROJECT_STATES, states.map(ProjectState::as_str));
        let types = [ProjectType::Standalone, ProjectType::Submodule, ProjectType::Monorepo];
        assert_eq!(PROJECT_TYPES, types.map(ProjectType::as_str));
        let items =
            [ItemState::Ready, ItemState::Delayed, ItemState::InFlight, ItemState::Parked, ItemState::Dead];
        assert_eq!(ITEM_STATES, items.map(ItemState::as_str));
    }
}
