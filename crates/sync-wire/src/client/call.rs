//! What can be asked: every route that has a typed answer, with its query and body put together here only.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::discovery::ScanRequest;
use crate::events::EventsQuery;
use crate::import::ImportRequest;
use crate::path::encoded;
use crate::projects::{ProjectState, ProjectType, ProjectsQuery};
use crate::queue::{FlushRequest, ItemState, QueueItemsQuery};
use crate::registration::{RegisterRequest, SyncRequest};
use crate::resolve::{ResolveQuery, Subject};
use crate::status::{Goal, PauseRequest};

/// A queue of a hundred thousand rows is taken over in less.
const LONGEST_IMPORT_MS: u64 = 120_000;
/// The daemon looks at folders for no longer, before it answers.
const LONGEST_LOOK_MS: u64 = 30_000;
/// What the daemon waits for the cloud when it is not told.
const DAEMONS_OWN_WAIT: u64 = 1_500;

/// One request, ready to be sent as often as need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    method: &'static str,
    target: String,
    body: Option<Vec<u8>>,
    pub(super) wait: Duration,
}

impl Call {
    /// Any request. The target begins with `/` and is encoded already.
    pub fn new<B: Serialize>(method: &'static str, target: &str, body: Option<&B>) -> Self {
        // Our documents have text keys and no failing parts, so this is always a body; if it ever were not, the
        // daemon would say what it misses.
        let body = body.map(|body| serde_json::to_vec(body).unwrap_or_default());
        Self { method, target: target.to_owned(), body, wait: Duration::ZERO }
    }

    /// The same, when the daemon is asked to wait this long with its answer.
    #[must_use]
    pub fn waiting(self, wait: Option<u64>) -> Self {
        Self { wait: Duration::from_millis(wait.unwrap_or(0)), ..self }
    }

    /// The same of a call for which the daemon may have to look at folders first.
    fn looking(self, wait: Option<u64>) -> Self {
        self.waiting(Some(wait.unwrap_or(0).saturating_add(LONGEST_LOOK_MS)))
    }

    /// `GET /v1/status`.
    pub fn status() -> Self {
        Self::plain("GET", "/v1/status")
    }

    /// `GET /v1/health`.
    pub fn health() -> Self {
        Self::plain("GET", "/v1/health")
    }

    /// `GET /v1/ready`.
    pub fn ready() -> Self {
        Self::plain("GET", "/v1/ready")
    }

    /// `GET /v1/resolve`.
    pub fn resolve(query: &ResolveQuery) -> Self {
        let mut target = Target::new("/v1/resolve");
        match &query.subject {
            Subject::Local(local) => target.add("local_uuid", local),
            Subject::Path(path) => target.add_bytes("path", path.as_os_str().as_bytes()),
        }
        if query.refresh {
            target.add("refresh", &true);
        }
        target.add_some("wait_ms", query.wait_ms.as_ref());
        Self::plain("GET", &target.text).waiting(Some(query.wait_ms.unwrap_or(DAEMONS_OWN_WAIT)))
    }

    /// `GET /v1/registrations/{cloud_uuid}`; waits for the cloud for so many milliseconds, else as long as the daemon
    /// does by itself.
    pub fn registration(cloud: Uuid, wait_ms: Option<u64>) -> Self {
        let mut target = Target::new(&format!("/v1/registrations/{cloud}"));
        target.add_some("wait_ms", wait_ms.as_ref());
        Self::plain("GET", &target.text).waiting(Some(wait_ms.unwrap_or(DAEMONS_OWN_WAIT)))
    }

    /// `GET /v1/projects`.
    pub fn projects(query: &ProjectsQuery) -> Self {
        let mut target = Target::new("/v1/projects");
        target.add_some("state", query.state.map(ProjectState::as_str).as_ref());
        target.add_some("type", query.project_type.map(ProjectType::as_str).as_ref());
        target.add_some("language", query.language.as_ref());
        target.add_some("limit", query.limit.as_ref());
        target.add_some("cursor", query.cursor.as_ref());
        Self::plain("GET", &target.text)
    }

    /// `GET /v1/projects/{local_uuid}`.
    pub fn project(local: Uuid) -> Self {
        Self::plain("GET", &format!("/v1/projects/{local}"))
    }

    /// `POST /v1/projects`.
    pub fn register(request: &RegisterRequest) -> Self {
        Self::new("POST", "/v1/projects", Some(request)).looking(request.wait_ms)
    }

    /// `POST /v1/projects/sync`.
    pub fn sync(request: &SyncRequest) -> Self {
        Self::new("POST", "/v1/projects/sync", Some(request)).looking(request.wait_ms)
    }

    /// `GET /v1/queue`.
    pub fn queue() -> Self {
        Self::plain("GET", "/v1/queue")
    }

    /// `GET /v1/queue/items`.
    pub fn queue_items(query: &QueueItemsQuery) -> Self {
        let mut target = Target::new("/v1/queue/items");
        target.add_some("state", query.state.map(ItemState::as_str).as_ref());
        target.add_some("limit", query.limit.as_ref());
        target.add_some("cursor", query.cursor.as_ref());
        Self::plain("GET", &target.text)
    }

    /// `GET /v1/queue/items/{id}`.
    pub fn queue_item(id: i64) -> Self {
        Self::plain("GET", &format!("/v1/queue/items/{id}"))
    }

    /// `POST /v1/queue/items/{id}/retry`.
    pub fn retry_item(id: i64) -> Self {
        Self::plain("POST", &format!("/v1/queue/items/{id}/retry"))
    }

    /// `DELETE /v1/queue/items/{id}`.
    pub fn drop_item(id: i64) -> Self {
        Self::plain("DELETE", &format!("/v1/queue/items/{id}"))
    }

    /// `GET /v1/events`, for [`Client::follow`](super::Client::follow).
    pub fn events(query: EventsQuery) -> Self {
        let mut target = Target::new("/v1/events");
        target.add_some("since", query.since.as_ref());
        if !query.follow {
            target.add("follow", &false);
        }
        Self::plain("GET", &target.text)
    }

    /// `POST /v1/queue/retry-dead`.
    pub fn retry_dead() -> Self {
        Self::plain("POST", "/v1/queue/retry-dead")
    }

    /// `POST /v1/queue/flush`.
    pub fn flush(request: &FlushRequest) -> Self {
        Self::new("POST", "/v1/queue/flush", Some(request)).waiting(request.wait_ms)
    }

    /// `GET /v1/discovery/inspect`.
    pub fn inspect(path: &Path) -> Self {
        let mut target = Target::new("/v1/discovery/inspect");
        target.add_bytes("path", path.as_os_str().as_bytes());
        Self::plain("GET", &target.text).looking(None)
    }

    /// `POST /v1/discovery/scan`.
    pub fn scan(request: &ScanRequest) -> Self {
        Self::new("POST", "/v1/discovery/scan", Some(request)).waiting(request.wait_ms)
    }

    /// `POST /v1/import`.
    pub fn import(request: &ImportRequest) -> Self {
        Self::new("POST", "/v1/import", Some(request)).waiting(Some(LONGEST_IMPORT_MS))
    }

    /// `POST /v1/pause`.
    pub fn pause(request: &PauseRequest) -> Self {
        Self::new("POST", "/v1/pause", Some(request))
    }

    /// `GET /v1/wait`: until something is so, at most for so long.
    pub fn wait(goal: Goal, path: Option<&Path>, wait_ms: u64) -> Self {
        let path = path.map(|path| format!("&path={}", encoded(path.as_os_str().as_bytes())));
        let target = format!("/v1/wait?for={}&wait_ms={wait_ms}{}", goal.as_str(), path.unwrap_or_default());
        Self::plain("GET", &target).waiting(Some(wait_ms))
    }

    /// `POST /v1/resume`.
    pub fn resume() -> Self {
        Self::plain("POST", "/v1/resume")
    }

    /// `POST /v1/reload`.
    pub fn reload() -> Self {
        Self::plain("POST", "/v1/reload")
    }

    /// `POST /v1/shutdown`.
    pub fn shutdown() -> Self {
        Self::plain("POST", "/v1/shutdown")
    }

    /// `GET /v1/diagnostics`.
    pub fn diagnostics() -> Self {
        Self::plain("GET", "/v1/diagnostics")
    }

    /// `GET /metrics`.
    pub fn metrics() -> Self {
        Self::plain("GET", "/metrics")
    }

    fn plain(method: &'static str, target: &str) -> Self {
        Self::new::<()>(method, target, None)
    }

    /// The request as it goes over the socket.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { method, target, body, wait: _ } = self;
        let version = env!("CARGO_PKG_VERSION");
        let length = match (body, *method) {
            (Some(body), _) => {
                format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
            }
            (None, "POST") => "content-length: 0\r\n".to_owned(),
            (None, _) => String::new(),
        };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\nuser-agent: coditect-sync/{version}\r\n\
             accept: application/json\r\n{length}\r\n"
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.as_deref().unwrap_or_default());
        bytes
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

/// A path with a query that grows.
struct Target {
    text: String,
    separator: char,
}

impl Target {
    fn new(path: &str) -> Self {
        Self { text: path.to_owned(), separator: '?' }
    }

    fn add(&mut self, name: &str, value: &impl ToString) {
        self.add_bytes(name, value.to_string().as_bytes());
    }

    fn add_some(&mut self, name: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_bytes(&mut self, name: &str, value: &[u8]) {
        let Self { text, separator } = self;
        text.push(*separator);
        text.push_str(name);
        text.push('=');
        text.push_str(&encoded(value));
        *separator = '&';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn every_question_is_put_into_its_route() {
        let local = Uuid::from_u128(0xAB);
        let path = OsStr::from_bytes(b"/a b/\xff&c?").into();
        let resolve = |subject, refresh, wait_ms| Call::resolve(&ResolveQuery { subject, refresh, wait_ms });
        for (call, expected) in [
            (
                resolve(Subject::Local(local), true, None),
                "GET /v1/resolve?local_uuid=00000000-0000-0000-0000-0000000000ab&refresh=true",
            ),
            (
                resolve(Subject::Path(path), false, Some(0)),
                "GET /v1/resolve?path=/a%20b/%FF%26c%3F&wait_ms=0",
            ),
            (Call::projects(&ProjectsQuery::default()), "GET /v1/projects"),
            (
                Call::projects(&ProjectsQuery {
                    state: Some(ProjectState::Pending),
                    project_type: Some(ProjectType::Monorepo),
                    language: Some("C++".to_owned()),
                    limit: Some(7),
                    cursor: Some("a=".to_owned()),
                }),
                "GET /v1/projects?state=pending&type=monorepo&language=C%2B%2B&limit=7&cursor=a%3D",
            ),
            (
                Call::queue_items(&QueueItemsQuery {
                    state: Some(ItemState::InFlight),
                    ..QueueItemsQuery::default()
                }),
                "GET /v1/queue/items?state=in_flight",
            ),
            (Call::events(EventsQuery { since: None, follow: true }), "GET /v1/events"),
            (
                Call::events(EventsQuery { since: Some(4), follow: false }),
                "GET /v1/events?since=4&follow=false",
            ),
            (Call::retry_item(4), "POST /v1/queue/items/4/retry"),
            (Call::drop_item(4), "DELETE /v1/queue/items/4"),
        ] {
            assert_eq!(call.to_string(), expected);
        }
    }

    #[test]
    fn a_body_comes_with_its_length_and_a_post_without_one_says_so() {
        let text = |call: Call| String::from_utf8(call.bytes()).unwrap();
        let flush = text(Call::flush(&FlushRequest { wait_ms: Some(5) }));
        assert!(flush.contains("\r\ncontent-length: 13\r\n\r\n{\"wait_ms\":5}"), "{flush}");
        let resume = text(Call::resume());
        assert!(resume.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{resume}");
        let registration = text(Call::registration(Uuid::from_u128(1), Some(5)));
        let target = "GET /v1/registrations/00000000-0000-0000-0000-000000000001?wait_ms=5 ";
        assert!(registration.starts_with(target), "{registration}");
        let wait = text(Call::wait(Goal::Registered, Some(Path::new("/a b")), 5));
        assert!(wait.starts_with("GET /v1/wait?for=registered&wait_ms=5&path=/a%20b HTTP/1.1"), "{wait}");
        assert!(!text(Call::status()).contains("content-length"));
    }

    #[test]
    fn a_call_is_given_the_time_that_it_asks_the_daemon_to_take() {
        let resolve = |wait_ms| {
            Call::resolve(&ResolveQuery { subject: Subject::Local(Uuid::nil()), refresh: false, wait_ms })
        };
        for (call, wait) in [
            (Call::status(), 0),
            (Call::flush(&FlushRequest { wait_ms: Some(5) }), 5),
            (resolve(None), 1_500),
            (resolve(Some(9)), 9),
            (Call::registration(Uuid::nil(), None), 1_500),
            (Call::registration(Uuid::nil(), Some(9)), 9),
        ] {
            assert_eq!(call.wait, Duration::from_millis(wait), "{call}");
        }
    }
}
