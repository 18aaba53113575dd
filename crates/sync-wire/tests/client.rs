//! The client against sockets that behave in every way a daemon, or whatever sits in its place, may behave.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sync_wire::{Client, ClientError, FlushRequest, ProblemCode};

const PATIENCE: Duration = Duration::from_millis(200);
/// Far less than any test harness' limit, far more than a busy machine needs.
const FOR_EVER: Duration = Duration::from_mins(1);

#[test]
fn one_connection_serves_many_calls() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        for _ in 0..3 {
            assert!(request(&mut stream).starts_with("GET /v1/queue HTTP/1.1\r\n"));
            answer(&mut stream, "200 OK", QUEUE);
        }
    });
    let mut client = place.client(FOR_EVER);
    for _ in 0..3 {
        assert_eq!(client.queue().expect("counts").ready, 2);
    }
    drop(client);
    server.join().expect("three requests on one connection");
}

#[test]
fn a_connection_that_was_closed_while_it_rested_is_made_anew() {
    let place = Place::new();
    let server = place.serve(2, |mut stream, _| {
        request(&mut stream);
        answer(&mut stream, "200 OK", QUEUE);
    });
    let mut client = place.client(FOR_EVER);
    client.queue().expect("the first");
    client.queue().expect("the second, on another connection");
    server.join().expect("two connections");
}

#[test]
fn an_answer_may_come_in_any_pieces() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        request(&mut stream);
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{QUEUE}", QUEUE.len());
        for byte in text.as_bytes() {
            stream.write_all(&[*byte]).expect("a byte");
            stream.flush().expect("flushed");
        }
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").expect("a head");
        for part in [&QUEUE[..10], &QUEUE[10..]] {
            stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).expect("a chunk");
        }
        stream.write_all(b"0\r\n\r\n").expect("an end");
    });
    let mut client = place.client(FOR_EVER);
    assert_eq!(client.queue().expect("byte by byte"), client.queue().expect("in chunks"));
    server.join().expect("served");
}

#[test]
fn a_silent_daemon_is_given_up_in_time() {
    let place = Place::new();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let server = place.serve(1, move |stream, _| {
        held.recv().ok();
        drop(stream);
    });
    let (failed, took) = timed(|| place.client(PATIENCE).status().expect_err("silence"));
    assert!(matches!(failed, ClientError::Silent { .. }), "{failed:?}");
    assert!(took >= PATIENCE && took < FOR_EVER / 2, "{took:?}");
    drop(release);
    server.join().expect("served");
}

#[test]
fn a_daemon_that_trickles_without_end_is_given_up_too() {
    let give_up = || {
        let place = Place::new();
        let server = place.serve(1, |mut stream, _| {
            request(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").ok();
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let failed = place.client(PATIENCE).status().expect_err("too slow");
        server.join().expect("served");
        failed
    };
    // On a busy machine it may be given up before it has begun to trickle.
    let mut failed = give_up();
    for _ in 0..10 {
        if matches!(failed, ClientError::Silent { .. }) {
            failed = give_up();
        }
    }
    assert!(matches!(failed, ClientError::Slow { .. }), "{failed:?}");
}

#[test]
fn what_a_call_asks_the_daemon_to_wait_is_added_to_the_patience() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        request(&mut stream);
        std::thread::sleep(PATIENCE * 3);
        answer(&mut stream, "200 OK", r#"{"delivered":1,"remaining":0,"dead":0}"#);
    });
    let flushed = place.client(PATIENCE).flush(&FlushRequest { wait_ms: Some(20_000) }).expect("patience");
    assert_eq!(flushed.delivered, 1);
    server.join().expect("served");
}

#[test]
fn strange_answers_are_told_apart() {
    type Expected = fn(&ClientError) -> bool;
    let cases: [(&[u8], Expected); 7] = [
        (b"\x00\x01\x02\x03\n", |error| matches!(error, ClientError::Garbled { .. })),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", |error| matches!(error, ClientError::Cut { .. })),
        (b"HTTP/1.1 20", |error| matches!(error, ClientError::Cut { .. })),
        (b"", |error| matches!(error, ClientError::Cut { .. })),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", |error| {
            matches!(error, ClientError::TooLarge { .. })
        }),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
            |error| matches!(error, ClientError::Garbled { why, .. } if why.contains("GET /v1/status")),
        ),
        (
            b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\noops",
            |error| matches!(error, ClientError::Garbled { why, .. } if why.contains("status 500")),
        ),
    ];
    for (sent, expected) in cases {
        let place = Place::new();
        let server = place.serve(1, move |mut stream, _| {
            request(&mut stream);
            stream.write_all(sent).expect("written");
        });
        let failed = place.client(FOR_EVER).status().expect_err("no status");
        assert!(expected(&failed), "{:?}: {failed:?}", String::from_utf8_lossy(sent));
        server.join().expect("served");
    }
}

#[test]
fn a_body_without_end_is_not_read_without_end() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
        let block = vec![b'x'; 1 << 20];
        while stream.write_all(&block).is_ok() {}
    });
    let failed = place.client(FOR_EVER).status().expect_err("too large");
    assert!(matches!(failed, ClientError::TooLarge { .. }), "{failed:?}");
    server.join().expect("served");
}

#[test]
fn a_problem_is_read_even_if_the_request_was_not_read_to_its_end() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        let body =
            r#"{"type":"x","title":"t","status":413,"code":"payload_too_large","detail":"more than 8 MiB"}"#;
        answer(&mut stream, "413 Too Large", body);
    });
    let large = "x".repeat(8 << 20);
    let failed = place
        .client(FOR_EVER)
        .request("POST", "/v1/projects", Some(&large))
        .and_then(sync_wire::Response::or_problem)
        .expect_err("a problem");
    let ClientError::Problem(problem) = failed else { panic!("{failed:?}") };
    assert_eq!(problem.code, ProblemCode::PayloadTooLarge);
    server.join().expect("served");
}

#[test]
fn a_daemon_that_is_not_well_says_so_and_that_is_an_answer() {
    let place = Place::new();
    let server = place.serve(1, |mut stream, _| {
        request(&mut stream);
        let well = r#"{"healthy":false,"why":"the disk is full"}"#;
        answer(&mut stream, "503 Unavailable\r\ncontent-type: application/json; charset=utf-8", well);
        request(&mut stream);
        answer(
            &mut stream,
            "503 Unavailable\r\ncontent-type: application/problem+json",
            r#"{"type":"x","title":"t","status":503,"code":"starting","detail":"d"}"#,
        );
    });
    let mut client = place.client(FOR_EVER);
    assert_eq!(client.health().expect("an answer").why.as_deref(), Some("the disk is full"));
    let failed = client.ready().expect_err("a problem");
    assert!(matches!(&failed, ClientError::Problem(problem) if problem.code == ProblemCode::Starting));
    server.join().expect("served");
}

#[test]
fn the_ways_of_there_being_no_daemon_are_told_apart() {
    let check = |prepare: fn(&Path), expected: fn(&ClientError) -> bool| {
        let place = Place::new();
        prepare(&place.socket);
        let failed = place.client(PATIENCE).status().expect_err("no daemon");
        assert!(expected(&failed) && failed.nobody_answers(), "{failed:?}");
    };
    check(|_| {}, |error| matches!(error, ClientError::NoSocket { .. }));
    check(
        |socket| drop(UnixListener::bind(socket).expect("bound")),
        |error| matches!(error, ClientError::NobodyListens { .. }),
    );
    check(
        |socket| std::fs::write(socket, "").expect("written"),
        |error| matches!(error, ClientError::NotASocket { .. }),
    );
    check(
        |socket| std::mem::forget(UnixDatagram::bind(socket).expect("bound")),
        |error| matches!(error, ClientError::NotASocket { .. }),
    );
    let long = Path::new("/").join("x".repeat(200));
    let failed = Client::new(long, PATIENCE).status().expect_err("too long");
    assert!(matches!(failed, ClientError::TooLong(_)), "{failed:?}");
}

#[test]
fn a_directory_of_somebody_else_is_not_an_absent_daemon() {
    let place = Place::new();
    let closed = place.directory.path().join("closed");
    std::fs::create_dir(&closed).expect("made");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).expect("closed");
    // The superuser may enter anything; then there is nothing to see here.
    let enters_anything = std::fs::read_dir(&closed).is_ok();
    let failed = Client::new(closed.join("s"), PATIENCE).status().expect_err("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).expect("opened");
    assert!(enters_anything || matches!(failed, ClientError::Denied { .. }), "{failed:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_accepts_nobody_is_busy_and_does_not_hang_its_clients() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};

    let place = Place::new();
    let listener =
        socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket without a queue to speak of");
    bind(&listener, &SocketAddrUnix::new(&place.socket).expect("a path")).expect("bound");
    listen(&listener, 0).expect("listening");
    let _in_the_queue = UnixStream::connect(&place.socket).expect("there is room for one");
    let failed = place.client(PATIENCE).status().expect_err("no more room");
    assert!(matches!(failed, ClientError::Busy { .. }), "{failed:?}");
}

const QUEUE: &str =
    r#"{"ready":2,"delayed":0,"in_flight":0,"parked":0,"dead":0,"oldest_enqueued_at":null,"of_tomorrow":1}"#;

#[expect(clippy::disallowed_methods, reason = "the time something took is what is tested")]
fn timed<T>(action: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let result = action();
    (result, before.elapsed())
}

/// A directory with room for a socket.
struct Place {
    directory: tempfile::TempDir,
    socket: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("s");
        Self { directory, socket }
    }

    fn client(&self, timeout: Duration) -> Client {
        Client::new(&self.socket, timeout)
    }

    /// Accepts so many connections, one after the other, and hands each to the script.
    fn serve(
        &self,
        connections: usize,
        script: impl Fn(UnixStream, usize) + Send + 'static,
    ) -> JoinHandle<()> {
        let listener = UnixListener::bind(&self.socket).expect("bound");
        std::thread::spawn(move || {
            for index in 0..connections {
                let (stream, _) = listener.accept().expect("a connection");
                script(stream, index);
            }
        })
    }
}

/// Reads a request's head and what its length says.
fn request(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).expect("a byte") == 0 {
            break;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).expect("text");
    let length = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next())
        .map_or(0, |digits| digits.parse::<usize>().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    text
}

fn answer(stream: &mut UnixStream, status: &str, body: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).expect("written");
}
