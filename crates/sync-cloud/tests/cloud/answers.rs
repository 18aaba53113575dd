//! Hostile and plain answers, as bytes on a socket.

use std::io::Write as _;
use std::time::Duration;

use sync_cloud::{Cloud, Settings};
use sync_core::{Answer, Hints, LookUp, Refusal, Suspect, Timestamp, Unreachable};

use crate::loopback::{
    CLOUD, KEY, LOCAL, Server, answer, cloud, outgoing, read_request, registered, settings, within,
};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_refusal_keeps_its_status_its_wait_and_its_words() {
    let check = async |bytes: Vec<u8>, status: u16, wait: Option<u64>, words: &str| {
        let server = Server::answering(bytes);
        let expected =
            Answer::Refused(Refusal { status, wait: wait.map(Duration::from_secs), words: words.to_owned() });
        assert_eq!(cloud(&server.url()).register(None, &outgoing()).await.answer, expected);
        assert_eq!(server.received().len(), 1, "nothing is sent twice");
    };
    check(answer("400 Bad Request", "content-type: text/html", "<h1>no</h1>"), 400, None, "(HTML page)")
        .await;
    check(answer("401 Unauthorized", JSON, r#"{"detail": "expired"}"#), 401, None, "expired").await;
    check(answer("422 X", JSON, r#"{"project_name": ["too long"]}"#), 422, None, "project_name: too long")
        .await;
    check(answer("429 X", "retry-after: 7", ""), 429, Some(7), "").await;
    check(answer("429 X", "ratelimit-reset: 8", ""), 429, Some(8), "").await;
    let dated = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:47 GMT";
    check(answer("503 X", dated, "busy"), 503, Some(10), "busy").await;
    check(answer("502 Bad Gateway", JSON, "\"text\""), 502, None, "text").await;
    check(answer("407 X", "", ""), 407, None, "").await;
    check(answer("408 X", "connection: close", ""), 408, None, "").await;
    check(answer("421 X", "", ""), 421, None, "").await;
    let endless = answer("500 X", "", &"x".repeat(1 << 20));
    check(endless, 500, None, &"x".repeat(500)).await;
}

#[tokio::test]
async fn a_refusal_whose_words_break_off_is_a_refusal() {
    let server = Server::answering(
        "HTTP/1.1 429 X\r\nretry-after: 3\r\nconnection: close\r\ncontent-length: 99\r\n\r\nslow",
    );
    let expected = Refusal { status: 429, wait: Some(Duration::from_secs(3)), words: "slow".to_owned() };
    assert_eq!(cloud(&server.url()).register(None, &outgoing()).await.answer, Answer::Refused(expected));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301_u16, 302, 303, 307, 308] {
        let elsewhere = Server::answering(registered());
        let location = format!("location: {}/api/v1/projects/register/", elsewhere.url());
        let server = Server::answering(answer(&format!("{status} X"), &location, "moved"));
        let cloud = cloud(&server.url());
        let expected = Answer::Suspect(Suspect::Redirect(status));
        assert_eq!(cloud.register(None, &outgoing()).await.answer, expected);
        assert_eq!(cloud.by_local_uuid(None, LOCAL).await.look_up, LookUp::Failed(expected));
        assert!(elsewhere.received().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_answer_of_the_contract_is_suspect() {
    let body = String::from_utf8(registered()).unwrap().split_off(registered().len() - 20);
    for bytes in [
        answer("200 OK", "content-type: text/html", "<html>Sign in to Hotel</html>"),
        // A page whose body never comes is known by its head.
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 999\r\n\r\n".to_vec(),
        answer("200 OK", JSON, ""),
        answer("204 No Content", "", ""),
        answer("200 OK", JSON, "[1,2]"),
        answer("200 OK", JSON, &body),
        answer("200 OK", JSON, "\u{0}\u{1}"),
        answer("200 OK", "content-encoding: gzip", "\u{1f}x"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 4194305\r\n\r\n".to_vec(),
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", " ".repeat((4 << 20) + 1)).into_bytes(),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5000)).into_bytes(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
    ] {
        let server = Server::answering(bytes.clone());
        let answer = cloud(&server.url()).register(None, &outgoing()).await.answer;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(matches!(answer, Answer::Suspect(Suspect::NotTheContract(_))), "{shown:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_of_nearly_4_mib_is_read() {
    let body = format!(r#"{{"cloud_uuid": "{CLOUD}", "padding": "{}"}}"#, "x".repeat((4 << 20) - 200));
    let server = Server::answering(answer("201 Created", JSON, &body));
    let answer = cloud(&server.url()).register(None, &outgoing()).await.answer;
    assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
}

#[tokio::test]
async fn hints_and_the_date_of_a_success_are_told() {
    let head = "x-sync-link-spread-seconds: 20\r\nx-sync-probe-cap-seconds: 300\r\n\
                date: Thu, 01 Jan 1970 00:00:05 GMT\r\ncontent-type: application/json";
    let server = Server::answering(answer("200 OK", head, r#"{"results": []}"#));
    let reply = cloud(&server.url()).sync(None, &[outgoing()], KEY).await;
    let hints =
        Hints { link_up_spread: Some(Duration::from_secs(20)), probe_cap: Some(Duration::from_mins(5)) };
    assert_eq!((reply.hints, reply.date), (hints, Some(Timestamp(5000))));

    let server = Server::answering(answer("503 X", head, ""));
    let reply = cloud(&server.url()).sync(None, &[outgoing()], KEY).await;
    assert_eq!((reply.hints, reply.date), (Hints::default(), Some(Timestamp(5000))));
}

#[tokio::test]
async fn a_body_of_a_byte_at_a_time_does_not_keep_a_request_alive() {
    let limit = Duration::from_millis(600);
    let check = async |status: &'static str, expected: fn(&Answer) -> bool| {
        let server = Server::doing(move |mut stream| {
            let request = read_request(&mut stream);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 100000\r\n\r\n");
            let mut alive = request.is_some() && stream.write_all(head.as_bytes()).is_ok();
            while alive {
                std::thread::sleep(Duration::from_millis(20));
                alive = stream.write_all(b"x").is_ok();
            }
        });
        let cloud = Cloud::new(Settings { request_timeout: limit, ..settings(&server.url()) }).unwrap();
        let reply = within(limit * 5, async || cloud.register(None, &outgoing()).await).await;
        assert!(reply.took >= limit, "{reply:?}");
        assert!(expected(&reply.answer), "{status}: {reply:?}");
    };
    check("200 OK", |answer| *answer == Answer::Unreachable(Unreachable::AnswerTimeout)).await;
    // What the status says is known, and its words need not be whole.
    check("500 X", |answer| matches!(answer, Answer::Refused(Refusal { status: 500, .. }))).await;
}
