//! The documents are the ones the interface promises: what is written here is read, and written again, unchanged.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sync_wire::{
    Event, FlushAnswer, FlushRequest, Health, ImportAnswer, ImportRequest, PauseAnswer, PauseRequest,
    Problem, Project, ProjectsPage, QueueCounts, QueueItem, QueueItemsPage, Ready, RegisterRequest,
    RegistrationAnswer, ResolveAnswer, RetryDeadAnswer, ScanAnswer, ScanRequest, Status, SyncRequest,
    SyncResult, SyncResults, WaitAnswer,
};

const LOCAL: &str = "11111111-1111-4111-8111-11111111abcd";
const CLOUD: &str = "22222222-2222-4222-8222-222222222222";
const MOMENT: &str = "2026-01-02T03:04:05Z";

fn check<T: Serialize + DeserializeOwned + JsonSchema>(document: &Value) {
    let read: T = serde_json::from_value(document.clone()).expect("it is read");
    assert_eq!(&serde_json::to_value(&read).expect("it is written"), document);

    // Every field is described, and a missing one that has a value is noticed.
    let schema = schemars::schema_for!(T).to_value();
    for name in document.as_object().expect("an object").keys() {
        assert!(schema["properties"].get(name).is_some(), "`{name}` is not in {schema}");
    }
    let mut more = document.clone();
    more["of_tomorrow"] = json!(1);
    let strict = schema["additionalProperties"] == json!(false);
    assert_eq!(serde_json::from_value::<T>(more).is_err(), strict, "{schema}");
}

fn error() -> Value {
    json!({"code": "http_500", "message": "m", "at": MOMENT})
}

#[test]
fn the_status() {
    let pause = json!({"by": "user", "since": MOMENT, "until": MOMENT, "reason": "a demo"});
    let status = json!({
        "version": "0.1.0", "api": 1, "pid": 1, "started_at": MOMENT, "uptime_seconds": 1, "dev": false, "paused": true,
        "pause": pause,
        "holds": [{
            "by": "credential", "stops": "sending", "since": MOMENT, "until": MOMENT, "reason": "no token", "ends": "with one"
        }],
        "machine_uuid": LOCAL, "tenant_id": "acme",
        "cloud": {
            "api_url": "https://api.coditect.ai", "state": "auth_required", "since": MOMENT,
            "last_success_at": MOMENT, "last_error": error(), "next_attempt_at": null,
            "spared_until": MOMENT
        },
        "queue": {
            "ready": 1, "delayed": 2, "in_flight": 3, "parked": 4, "dead": 5, "oldest_enqueued_at": MOMENT
        },
        "cache": {"entries": 3, "fresh": 2, "stale": 1},
        "projects": {"total": 4, "registered": 1, "pending": 1, "missing": 1, "rejected": 1},
        "discovery": {
            "roots": [{"path": "/p", "state": "watching", "projects": 4}],
            "problems": [],
            "watches": 9, "arriving": 2,
            "last_scan": {
                "started_at": MOMENT, "duration_ms": 5, "found": 4, "added": 1, "changed": 1, "missing": 1
            }
        }
    });
    check::<Status>(&status);
    // A daemon of before there were pauses with an end.
    let mut earlier = status;
    earlier.as_object_mut().expect("an object").remove("pause");
    assert_eq!(serde_json::from_value::<Status>(earlier).expect("it is read").pause, None);
    check::<Health>(&json!({"healthy": false, "why": "w"}));
    check::<Ready>(&json!({"ready": true, "why": null}));
    check::<PauseAnswer>(&json!({"paused": true, "pause": pause}));
    check::<PauseRequest>(&json!({"for_ms": 7_200_000, "reason": "a demo"}));
    check::<WaitAnswer>(&json!({"for": "idle", "reached": false, "why": "3 to be sent"}));
}

#[test]
fn the_projects() {
    let brief = json!({"id": 7, "state": "in_flight", "attempts": 1, "next_attempt_at": MOMENT, "last_error": error()});
    let project = json!({
        "local_project_uuid": LOCAL, "project_name": "api", "root_path": "/p/\u{fffd}",
        "root_path_exact": "/p/%FF", "primary_language": "Rust", "framework": "axum", "content_hash": "ab",
        "project_type": "submodule", "parent_project_uuid": CLOUD, "given": ["framework"], "vcs": "git", "state": "pending",
        "cloud_uuid": CLOUD, "registration_status": "registered", "first_seen_at": MOMENT, "seen_at": MOMENT,
        "queue_item": brief
    });
    check::<Project>(&project);
    check::<ProjectsPage>(&json!({"projects": [project], "next_cursor": "c"}));
    check::<ResolveAnswer>(&json!({
        "local_project_uuid": LOCAL, "cloud_uuid": CLOUD, "tenant_id": null, "registration_status": "registered",
        "source": "cache", "stale": true, "cached_at": MOMENT, "expires_at": MOMENT
    }));
    check::<RegistrationAnswer>(&json!({
        "cloud_uuid": CLOUD, "local_project_uuid": null, "on_this_machine": false, "tenant_id": "acme",
        "registration_status": "pending", "registered_at": null,
        "told": {"cloud_uuid": CLOUD, "registration_status": "pending", "of_tomorrow": [1, {"a": 2.5}]}
    }));
    check::<Problem>(&json!({
        "type": "urn:coditect-sync:problem:not_registered", "title": "t", "status": 404,
        "code": "not_registered", "detail": "d", "hint": "h", "instance": "/v1/resolve", "queue_item": brief
    }));
}

#[test]
fn registering() {
    let request = json!({
        "root_path": "/p", "root_path_exact": "/p", "local_project_uuid": LOCAL, "project_name": "api",
        "primary_language": "Rust", "framework": "axum", "content_hash": "ab", "project_type": "monorepo",
        "parent_project_uuid": CLOUD, "force": true, "wait_ms": 5
    });
    check::<RegisterRequest>(&request);
    check::<RegisterRequest>(&json!({"root_path": "/p"}));
    check::<SyncRequest>(&json!({"projects": [request], "force": true, "wait_ms": 5}));
    let result = json!({
        "local_project_uuid": LOCAL, "success": true, "cloud_uuid": null, "status": "queued", "queued": true,
        "error": null
    });
    check::<SyncResult>(&result);
    check::<SyncResults>(&json!({"results": {LOCAL: result}}));
}

#[test]
fn the_queue_the_scan_and_the_events() {
    check::<QueueCounts>(&json!({
        "ready": 0, "delayed": 0, "in_flight": 0, "parked": 0, "dead": 0, "oldest_enqueued_at": null
    }));
    let item = json!({
        "id": 7, "local_project_uuid": LOCAL, "project_name": "api", "root_path": "/p", "state": "dead",
        "revision": 2, "attempts": 8, "next_attempt_at": null, "enqueued_at": MOMENT, "asked_by": "discovery",
        "last_error": error()
    });
    check::<QueueItem>(&item);
    check::<QueueItemsPage>(&json!({"items": [item], "next_cursor": null}));
    check::<FlushRequest>(&json!({"wait_ms": 5}));
    check::<FlushAnswer>(&json!({"delivered": 1, "remaining": 2, "dead": 3}));
    check::<RetryDeadAnswer>(&json!({"retried": 3}));
    check::<ImportRequest>(&json!({"from": "/p"}));
    check::<ImportAnswer>(&json!({
        "registrations": 6, "queued": 3, "mappings": 1, "set_aside": 1, "left": 0, "problems": ["a"]
    }));
    check::<ScanRequest>(&json!({"paths": ["/p"], "wait_ms": null}));
    check::<ScanAnswer>(&json!({"found": 4, "added": 1, "changed": 1, "missing": 1, "done": true}));
    check::<Event>(&json!({
        "id": 1, "at": MOMENT, "kind": "project.added", "local_project_uuid": LOCAL, "message": "/p"
    }));
    check::<Event>(&json!({
        "id": 9, "at": MOMENT, "kind": "gap", "local_project_uuid": null, "message": "events 2 to 9 are missing",
        "missed": {"first": 2, "last": 9}
    }));
}
