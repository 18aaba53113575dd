//! The answers of the four calls, word for word.

use crate::support::*;
use coditect_devcloud::{DevCloud, Effect, dev_token};
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_project_is_created_and_a_known_one_updated() {
    let cloud = cloud().await;
    let alpha = project("alpha");
    let created = register(&alpha).of(&cloud).await;
    assert_eq!((created.status, created.header("content-type")), (201, "application/json"));
    let known = created.json();
    assert_eq!(
        known,
        json!({
            "cloud_uuid": created.cloud_uuid(),
            "local_project_uuid": local_of(&alpha),
            "registration_status": "registered",
            "registered_at": known["registered_at"],
            "tenant_id": "north",
        })
    );

    let changed = register(&with(alpha.clone(), "content_hash", json!("bb"))).of(&cloud).await;
    assert_eq!((changed.status, changed.json()), (200, known.clone()));
    let same = register(&with(alpha.clone(), "content_hash", json!("bb"))).of(&cloud).await;
    assert_eq!((same.status, same.json()), (200, known.clone()));
    let found = by_local(local_of(&alpha)).of(&cloud).await;
    assert_eq!((found.status, found.json()), (200, known.clone()));
    let found = status(&created.cloud_uuid()).of(&cloud).await;
    assert_eq!((found.status, found.json()), (200, known));

    let expected =
        [Effect::Created, Effect::Updated, Effect::Unchanged].map(|effect| ("alpha".to_owned(), effect));
    assert_eq!(effects(&cloud).await, expected);
    let projects = cloud.projects().await.expect("the projects can be read");
    assert_eq!((projects.len(), projects[0].content_hash.as_str()), (1, "bb"));
}

#[tokio::test]
async fn a_batch_is_answered_project_by_project() {
    let cloud = cloud().await;
    let beta = register(&project("beta")).of(&cloud).await.cloud_uuid();
    register(&project("gamma")).of(&cloud).await;
    let sent = json!({"projects": [
        project("alpha"), with(project("beta"), "framework", json!("axum")), project("gamma"), project("alpha"),
    ]});
    let answer = sync(&sent).of(&cloud).await;
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].as_array().expect("there are results").clone();
    let told: Vec<_> =
        results.iter().map(|result| (&result["local_project_uuid"], &result["status"])).collect();
    assert_eq!(
        told,
        [
            (&project("alpha")["local_project_uuid"], &json!("created")),
            (&project("beta")["local_project_uuid"], &json!("updated")),
            (&project("gamma")["local_project_uuid"], &json!("synced")),
            (&project("alpha")["local_project_uuid"], &json!("synced")),
        ]
    );
    assert_eq!((&results[1]["cloud_uuid"], &results[1]["tenant_id"]), (&json!(beta), &json!("north")));
    assert_eq!(results[0]["cloud_uuid"], results[3]["cloud_uuid"]);
    assert_eq!(sync(&batch(&[])).of(&cloud).await.json(), json!({"results": []}));
}

#[tokio::test]
async fn tenants_see_nothing_of_each_other() {
    let cloud = cloud().await;
    let alpha = project("alpha");
    let north = register(&alpha).of(&cloud).await.cloud_uuid();
    assert_eq!(by_local(local_of(&alpha)).tenant("south").of(&cloud).await.status, 404);
    let south = register(&alpha).tenant("south").of(&cloud).await;
    assert_eq!((south.status, &south.json()["tenant_id"]), (201, &json!("south")));
    assert_ne!(south.cloud_uuid(), north);
    let absent = status(&north).tenant("south").of(&cloud).await;
    assert_eq!((absent.status, absent.json()), (404, json!({"detail": "Not found."})));
    assert_eq!(by_local(local_of(&alpha)).of(&cloud).await.cloud_uuid(), north);
    let opaque = register(&alpha).header("authorization", "Bearer opaque").of(&cloud).await;
    assert_eq!(opaque.json()["tenant_id"], json!("default"));
}

#[tokio::test]
async fn a_key_is_known_only_to_its_tenant() {
    let cloud = cloud().await;
    register(&project("alpha")).key("k").of(&cloud).await;
    assert_eq!(register(&project("alpha")).key("k").tenant("south").of(&cloud).await.status, 201);
}

#[tokio::test]
async fn machines_have_projects_of_their_own() {
    let cloud = cloud().await;
    let here = register(&project("alpha")).of(&cloud).await.cloud_uuid();
    let other = "7f1f2c1e-1111-4a2b-8c3d-000000000002";
    let there = register(&with(project("alpha"), "machine_uuid", json!(other))).of(&cloud).await;
    assert_eq!(there.status, 201);
    assert_ne!(there.cloud_uuid(), here);
}

#[tokio::test]
async fn a_replayed_key_is_answered_as_before_and_changes_nothing() {
    let cloud = cloud().await;
    let first = register(&project("alpha")).key("one").of(&cloud).await;
    register(&with(project("alpha"), "content_hash", json!("newer"))).key("two").of(&cloud).await;
    let late = register(&project("alpha")).key("one").of(&cloud).await;
    assert_eq!((late.status, late.body), (201, first.body));
    assert_eq!(stored_hash(&cloud).await, "newer");
    let batch = sync(&batch(&["beta", "gamma"])).key("three");
    assert_eq!(batch.of(&cloud).await.body, batch.of(&cloud).await.body);
    let expected = [
        ("alpha", Effect::Created),
        ("alpha", Effect::Updated),
        ("alpha", Effect::Replay),
        ("beta", Effect::Created),
        ("gamma", Effect::Created),
        ("beta", Effect::Replay),
        ("gamma", Effect::Replay),
    ];
    assert_eq!(effects(&cloud).await, expected.map(|(name, effect)| (name.to_owned(), effect)));
}

#[tokio::test]
async fn a_lower_revision_never_overwrites_a_higher_one() {
    let check = |register: fn(&str, i64) -> Ask| async move {
        let cloud = cloud().await;
        register("first", 2).of(&cloud).await;
        assert_eq!(register("late", 1).of(&cloud).await.status, 200);
        assert_eq!(stored_hash(&cloud).await, "first");
        register("first", 4).of(&cloud).await;
        register("late", 3).of(&cloud).await;
        assert_eq!(stored_hash(&cloud).await, "first", "an unchanged project learns its revision");
        register("newest", 5).of(&cloud).await;
        assert_eq!(stored_hash(&cloud).await, "newest");
        let told: Vec<_> = effects(&cloud).await.into_iter().map(|(_, effect)| effect).collect();
        let words: Vec<_> = told.into_iter().map(Effect::as_str).collect();
        assert_eq!(words, ["created", "stale", "unchanged", "stale", "updated"]);
    };
    check(|hash, revision| {
        register(&with(project("alpha"), "content_hash", json!(hash)))
            .header("x-registration-revision", &revision.to_string())
    })
    .await;
    check(|hash, revision| {
        let alpha = with(project("alpha"), "content_hash", json!(hash));
        sync(&json!({"projects": [with(alpha, "revision", json!(revision))]}))
    })
    .await;
}

#[tokio::test]
async fn whoever_is_not_known_is_refused() {
    let cloud = cloud().await;
    let invalid = |message: &str| {
        json!({
            "detail": "Given token not valid for any token type",
            "code": "token_not_valid",
            "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
        })
    };
    let check = async |ask: Ask, expected: Value| {
        let answer = ask.of(&cloud).await;
        assert_eq!((answer.status, answer.json()), (401, expected), "{ask:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
    };
    let alpha = register(&project("alpha"));
    let absent = json!({"detail": "Authentication credentials were not provided."});
    check(alpha.clone().without("authorization"), absent.clone()).await;
    check(alpha.clone().header("authorization", "Basic abc"), absent).await;
    check(alpha.clone().header("authorization", "Bearer a.b.c"), invalid("Token is invalid")).await;
    let expired = format!("Bearer {}", dev_token("north", Some(1)));
    check(alpha.clone().header("authorization", &expired), invalid("Token is expired")).await;
    check(by_local(LOCAL).header("authorization", &expired), invalid("Token is expired")).await;
    assert_eq!(effects(&cloud).await, []);
}

#[tokio::test]
async fn what_is_not_the_contract_is_refused_in_the_words_of_the_framework() {
    let cloud = cloud().await;
    let alpha = project("alpha");
    let check = async |ask: Ask, status: u16, detail: &str| {
        let answer = ask.of(&cloud).await;
        assert_eq!((answer.status, answer.json()["detail"].as_str()), (status, Some(detail)), "{ask:?}");
    };
    check(ask("GET", REGISTER), 405, "Method \"GET\" not allowed.").await;
    check(
        ask("POST", &format!("/api/v1/projects/by-local-uuid/{LOCAL}/")),
        405,
        "Method \"POST\" not allowed.",
    )
    .await;
    check(register(&alpha).without("x-machine-uuid"), 400, "X-Machine-UUID header is required.").await;
    let not_one = "X-Machine-UUID header: must be a valid UUID.";
    check(register(&alpha).header("x-machine-uuid", "mine"), 400, not_one).await;
    let path = format!("/api/v1/projects/by-local-uuid/{LOCAL}/");
    check(ask("GET", &path), 400, "machine_uuid parameter is required.").await;
    let not_one = "machine_uuid parameter: must be a valid UUID.";
    check(ask("GET", &format!("{path}?machine_uuid=mine")), 400, not_one).await;
    let text = register(&alpha).header("content-type", "text/plain");
    check(text, 415, "Unsupported media type \"text/plain\" in request.").await;
    let broken = register(&alpha).body("{");
    check(broken, 400, "JSON parse error - EOF while parsing an object at line 1 column 1").await;
    let revision = register(&alpha).header("x-registration-revision", "new");
    check(revision, 400, "X-Registration-Revision header: a valid integer is required.").await;
    check(by_local(LOCAL), 404, "Not found.").await;
    check(status(LOCAL), 404, "Not found.").await;

    let refused = register(&with(alpha, "framework", Value::Null)).of(&cloud).await;
    assert_eq!(
        (refused.status, refused.json()),
        (400, json!({"framework": ["This field may not be null."]}))
    );
    let refused = sync(&json!({"projects": [project("beta"), {}]})).of(&cloud).await;
    assert_eq!((refused.status, &refused.json()["projects"][0]), (400, &json!({})));
    assert_eq!(cloud.projects().await.expect("the projects can be read"), []);
    assert_eq!(
        effects(&cloud).await,
        [("alpha".to_owned(), Effect::Refused), (String::new(), Effect::Refused)]
    );
}

#[tokio::test]
async fn paths_are_judged_before_tokens() {
    let cloud = cloud().await;
    let unknown = ask("GET", "/api/v2/").without("authorization").of(&cloud).await;
    assert_eq!((unknown.status, unknown.header("content-type")), (404, "text/html; charset=utf-8"));
    let check = async |path: &str, expected: &str| {
        let moved = ask("POST", path).without("authorization").of(&cloud).await;
        assert_eq!((moved.status, moved.header("location")), (301, expected));
    };
    check("/api/v1/projects/register", REGISTER).await;
    check("/api/v1/projects/sync?a=b", "/api/v1/projects/sync/?a=b").await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large() {
    let cloud = cloud().await;
    let body = " ".repeat(8 * 1024 * 1024 + 1);
    assert_eq!(register(&project("alpha")).body(&body).of(&cloud).await.status, 413);
    let body = format!("{}{}", project("alpha"), " ".repeat(8 * 1024 * 1024 - 1000));
    assert_eq!(register(&project("alpha")).body(&body).of(&cloud).await.status, 201);
}

#[tokio::test]
async fn names_and_paths_come_back_as_they_were_sent() {
    let cloud = cloud().await;
    for name in ["Grüße", "a\"b\\c", "123", "true", "null", "😀\u{1}", "[1]", "{\"a\":1}", " x "] {
        register(&project(name)).of(&cloud).await;
    }
    sync(&json!({"projects": [with(project("parent"), "parent_project_uuid", json!(LOCAL))]}))
        .of(&cloud)
        .await;
    let mut names: Vec<_> = cloud
        .projects()
        .await
        .expect("the projects can be read")
        .into_iter()
        .map(|p| (p.root_path, p.parent_project_uuid))
        .collect();
    names.sort();
    let mut expected: Vec<_> =
        ["Grüße", "a\"b\\c", "123", "true", "null", "😀\u{1}", "[1]", "{\"a\":1}", " x "]
            .map(|name| (format!("/home/dev/{name}"), None))
            .into();
    expected.push(("/home/dev/parent".to_owned(), Some(LOCAL.to_owned())));
    expected.sort();
    assert_eq!(names, expected);
}

async fn stored_hash(cloud: &DevCloud) -> String {
    let projects = cloud.projects().await.expect("the projects can be read");
    projects.first().expect("there is a project").content_hash.clone()
}
