//! What goes over the wire, as the contract has it.

use sync_core::{Answer, LookUp};

use crate::loopback::{CLOUD, KEY, LOCAL, MACHINE, Server, answer, cloud, outgoing, registered, token};

#[tokio::test]
async fn a_single_registration_is_posted_with_all_its_headers() {
    let server = Server::answering(registered());
    let reply = cloud(&server.url()).register(Some(&token("secret").await), &outgoing()).await;
    assert!(matches!(reply.answer, Answer::Registered(_)), "{reply:?}");

    let [request] = &server.received()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /api/v1/projects/register/ HTTP/1.1");
    let machine = MACHINE.to_string();
    let key = KEY.to_string();
    for (name, value) in [
        ("x-machine-uuid", &*machine),
        ("idempotency-key", &*key),
        ("authorization", "Bearer secret"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "coditect-syncd/test"),
        ("x-registration-revision", "7"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert!(body.contains(r#""root_path":"/home/u/api""#), "{body}");
}

#[tokio::test]
async fn a_batch_is_posted_to_sync_under_its_own_key() {
    let server = Server::answering(answer("200 OK", "content-type: application/json", r#"{"results": []}"#));
    let batch_key = uuid::Uuid::from_u128(9);
    let reply = cloud(&format!("{}/prefix/", server.url())).sync(None, &[outgoing()], batch_key).await;
    assert_eq!(reply.answer, Answer::Results(vec![]));

    let [request] = &server.received()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /prefix/api/v1/projects/sync/ HTTP/1.1");
    assert_eq!(request.header("idempotency-key"), Some(&*batch_key.to_string()));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("x-registration-revision"), None);
    assert!(request.body.starts_with(br#"{"projects":[{"local_project_uuid":"#), "{request:?}");
}

#[tokio::test]
async fn look_ups_are_gets_by_either_uuid() {
    let server = Server::answering(registered());
    let cloud = cloud(&server.url());
    let by_local = cloud.by_local_uuid(Some(&token("secret").await), LOCAL).await;
    let by_cloud = cloud.registration_status(None, CLOUD).await;
    assert!(matches!((by_local.look_up, by_cloud.look_up), (LookUp::Found(_), LookUp::Found(_))));

    let [first, second] = &server.received()[..] else { panic!("two requests") };
    assert_eq!(
        first.line,
        format!("GET /api/v1/projects/by-local-uuid/{LOCAL}/?machine_uuid={MACHINE} HTTP/1.1")
    );
    assert_eq!(first.header("authorization"), Some("Bearer secret"));
    assert_eq!(second.line, format!("GET /api/v1/projects/{CLOUD}/registration-status/ HTTP/1.1"));
    for request in [first, second] {
        assert_eq!(request.header("x-machine-uuid"), Some(&*MACHINE.to_string()));
        assert!(request.body.is_empty());
    }
}

#[tokio::test]
async fn a_token_is_never_sent_in_plain_text_over_a_network() {
    let cloud = cloud("http://cloud.invalid");
    let token = token("secret").await;
    let single = cloud.register(Some(&token), &outgoing()).await.answer;
    let batch = cloud.sync(Some(&token), &[outgoing()], KEY).await.answer;
    let LookUp::Failed(by_local) = cloud.by_local_uuid(Some(&token), LOCAL).await.look_up else {
        panic!("failed")
    };
    let LookUp::Failed(status) = cloud.registration_status(Some(&token), CLOUD).await.look_up else {
        panic!("failed")
    };
    for answer in [single, batch, by_local, status] {
        let Answer::Internal(words) = &answer else { panic!("{answer:?}") };
        assert!(words.contains("without encryption") && !words.contains("secret"), "{words}");
    }
}

#[tokio::test]
async fn an_empty_batch_is_not_sent() {
    let server = Server::answering(registered());
    let reply = cloud(&server.url()).sync(None, &[], KEY).await;
    assert!(matches!(reply.answer, Answer::Internal(_)), "{reply:?}");
    assert!(server.received().is_empty());
}
