//! A cloud that answers at once and keeps nothing, and a client that posts and does nothing else: the two limits
//! between which a daemon's own speed shows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use serde::Deserialize;
use serde_json::{Value, json};
use sync_tests::Cloud;
use uuid::Uuid;

/// The other side of a measurement.
pub(crate) enum Other {
    /// The dev cloud, which keeps everything in SQLite.
    Dev(Cloud),
    /// One that answers at once.
    Null(SocketAddr),
}

#[derive(Deserialize)]
struct Many {
    projects: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    local_project_uuid: Uuid,
}

impl Other {
    /// The dev cloud with its database here, fresh.
    pub(crate) fn dev(database: PathBuf) -> Self {
        Self::Dev(Cloud::start(database))
    }

    /// One that answers at once, until the end of this program.
    pub(crate) fn null() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away ends its thread; nothing else can.
                thread::spawn(move || serve(stream).ok());
            }
        });
        Self::Null(address)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Dev(cloud) => cloud.url(),
            Self::Null(address) => format!("http://{address}"),
        }
    }

    /// Fails where not all have arrived.
    pub(crate) fn has(&self, count: usize) {
        if let Self::Dev(cloud) = self {
            assert_eq!(cloud.projects().len(), count, "registrations that arrived");
        }
    }
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some((line, body)) = received(&mut reader)? {
        let answer = if line.contains("/sync/") {
            let many: Many = serde_json::from_slice(&body)?;
            let results: Vec<Value> =
                many.projects.iter().map(|one| registered(one.local_project_uuid)).collect();
            json!({"results": results})
        } else {
            registered(serde_json::from_slice::<One>(&body)?.local_project_uuid)
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        reader.get_mut().write_all(&[head.as_bytes(), answer.as_bytes()].concat())?;
    }
    Ok(())
}

fn registered(local: Uuid) -> Value {
    json!({
        "local_project_uuid": local,
        "cloud_uuid": Uuid::from_u128(!local.as_u128()),
        "tenant_id": "acme",
        "registration_status": "registered",
        "registered_at": "2026-01-01T00:00:00Z",
    })
}

/// A message's first line and body; nothing at the end of the stream.
fn received(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first, body)))
}

/// Posts bodies one after the other over one connection.
pub(crate) fn post(url: &str, token: &str, machine: Uuid, bodies: &[Vec<u8>]) {
    let address = url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("the cloud");
    stream.set_nodelay(true).expect("a connection");
    let mut reader = BufReader::new(stream);
    for body in bodies {
        let head = format!(
            "POST /api/v1/projects/sync/ HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nX-Machine-UUID: {machine}\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        reader.get_mut().write_all(&[head.as_bytes(), body].concat()).expect("a request");
        let (status, answer) = received(&mut reader).expect("an answer").expect("a connection that is kept");
        assert!(status.contains(" 200 "), "{status} {}", String::from_utf8_lossy(&answer));
    }
}
