//! Everything that can happen between here and the cloud, on real sockets.

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use sync_cloud::{Cloud, Settings};
use sync_core::{Answer, LookUp, Unreachable};

use crate::loopback::{LOCAL, Server, cloud, outgoing, read_request, registered, settings, within};

/// Far less than what a limit that is not kept would take.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    check(&format!("http://{free}"), Unreachable::ConnectRefused).await;
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_from_a_host_that_does_not_answer() {
    check("http://nonexistent.invalid", Unreachable::Dns).await;
    check("https://nonexistent.invalid", Unreachable::Dns).await;
}

#[tokio::test]
async fn a_connection_reset_at_any_point_is_a_reset() {
    let halves: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
    ];
    for half in halves {
        let server = Server::doing(move |mut stream| {
            if read_request(&mut stream).is_some() {
                stream.write_all(half).unwrap();
                reset(stream);
            }
        });
        check(&server.url(), Unreachable::Reset).await;
    }
}

#[tokio::test]
async fn an_answer_that_ends_early_is_a_reset() {
    for half in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{\"cloud_uuid\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\n{\"clo",
    ] {
        let server = Server::doing(move |mut stream| {
            if read_request(&mut stream).is_some() {
                stream.write_all(half.as_bytes()).unwrap();
            }
        });
        check(&server.url(), Unreachable::Reset).await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let (release, held) = mpsc::channel::<()>();
    let server = Server::doing(move |mut stream| {
        if read_request(&mut stream).is_some() {
            assert!(held.recv().is_err(), "the test only ever hangs up");
        }
    });
    let cloud = limited(&server.url(), 10_000, 300);
    let reply = within(SOON, async || cloud.register(None, &outgoing()).await).await;
    assert_eq!(reply.answer, Answer::Unreachable(Unreachable::AnswerTimeout));
    assert!(reply.took >= Duration::from_millis(300), "{reply:?}");
    drop(release);
}

#[tokio::test]
async fn a_host_that_accepts_and_says_nothing_is_a_connect_timeout_while_encryption_is_not_agreed() {
    let (release, held) = mpsc::channel::<()>();
    let server = Server::doing(move |_stream| assert!(held.recv().is_err(), "the test only ever hangs up"));
    let url = format!("https://127.0.0.1:{}", server.port());
    for (connect, request) in [(300, 20_000), (20_000, 500)] {
        let cloud = limited(&url, connect, request);
        let reply = within(SOON, async || cloud.register(None, &outgoing()).await).await;
        assert_eq!(reply.answer, Answer::Unreachable(Unreachable::ConnectTimeout), "{connect} {request}");
    }
    drop(release);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_request() {
    let (closed, seen) = mpsc::channel();
    let server = Server::doing(move |mut stream| {
        if read_request(&mut stream).is_some() {
            stream.write_all(&registered()).unwrap();
            stream.shutdown(Shutdown::Both).unwrap();
            closed.send(()).unwrap();
        }
    });
    let cloud = cloud(&server.url());
    for _ in 0..20 {
        let reply = cloud.register(None, &outgoing()).await;
        assert!(matches!(reply.answer, Answer::Registered(_)), "{reply:?}");
        seen.recv().unwrap();
        // The end of the connection has arrived on this machine; the runtime looks at it between two turns.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn forgetting_connections_opens_a_new_one() {
    let (opened, count) = mpsc::channel();
    let server = Server::doing(move |mut stream| {
        opened.send(()).unwrap();
        while read_request(&mut stream).is_some() {
            stream.write_all(&registered()).unwrap();
        }
    });
    let cloud = cloud(&server.url());
    for _ in 0..3 {
        cloud.register(None, &outgoing()).await;
    }
    assert_eq!(count.try_iter().count(), 1);
    cloud.forget_connections();
    assert!(matches!(cloud.register(None, &outgoing()).await.answer, Answer::Registered(_)));
    assert_eq!(count.try_iter().count(), 1);
}

async fn check(url: &str, expected: Unreachable) {
    let cloud = cloud(url);
    let answer = Answer::Unreachable(expected);
    assert_eq!(cloud.register(None, &outgoing()).await.answer, answer, "{url}");
    assert_eq!(cloud.by_local_uuid(None, LOCAL).await.look_up, LookUp::Failed(answer), "{url}");
}

fn limited(url: &str, connect_ms: u64, request_ms: u64) -> Cloud {
    let (connect_timeout, request_timeout) =
        (Duration::from_millis(connect_ms), Duration::from_millis(request_ms));
    Cloud::new(Settings { connect_timeout, request_timeout, ..settings(url) }).unwrap()
}

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}
