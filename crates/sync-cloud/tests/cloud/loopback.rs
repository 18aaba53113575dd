//! A server on loopback that does exactly what a test says, and what the tests have in common.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sync_cloud::{Cloud, Outgoing, Reply, Settings, Source, Token, obtain};
use sync_core::{CloudId, LocalId, MachineId, ProjectKind, Registration, Revision};
use uuid::Uuid;

pub(crate) const LOCAL: LocalId = LocalId(Uuid::from_u128(0xa));
pub(crate) const CLOUD: CloudId = CloudId(Uuid::from_u128(0xc));
pub(crate) const MACHINE: MachineId = MachineId(Uuid::from_u128(0x3));
pub(crate) const KEY: Uuid = Uuid::from_u128(0x4);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Method, path and version.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Accepts connections one after the other until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    current: Arc<Mutex<Option<TcpStream>>>,
    received: Arc<Mutex<Vec<Received>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Does `deed` with every connection as it is.
    pub(crate) fn doing(deed: impl Fn(TcpStream) + Send + 'static) -> Self {
        Self::started(Arc::default(), deed)
    }

    /// Reads every request of a connection and answers each with `answer`, byte for byte, until the other side or
    /// `Connection: close` ends it.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let received = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&received);
        Self::started(received, move |mut stream| {
            let closes = String::from_utf8_lossy(&answer).to_lowercase().contains("connection: close");
            while let Some(request) = read_request(&mut stream) {
                book.lock().unwrap().push(request);
                if stream.write_all(&answer).is_err() || closes {
                    break;
                }
            }
        })
    }

    fn started(received: Arc<Mutex<Vec<Received>>>, deed: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let current = Arc::new(Mutex::new(None));
        let (stopped, known) = (Arc::clone(&stop), Arc::clone(&current));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                *known.lock().unwrap() = Some(stream.try_clone().unwrap());
                stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
                deed(stream);
                // Else the connection would stay open as long as its second handle.
                *known.lock().unwrap() = None;
            }
        });
        Self { address, stop, current, received, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The client may keep its connection as long as its runtime lives, so it is ended from this side.
        if let Some(stream) = self.current.lock().unwrap().take() {
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            assert!(thread.join().is_ok(), "the server panicked");
        }
    }
}

/// `None` when the connection ends before a request is whole.
pub(crate) fn read_request(stream: &mut impl Read) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut text = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|count| *count > 0)?;
        Some(text.trim_end().to_owned())
    };
    let line = text()?;
    let mut headers = Vec::new();
    loop {
        let header = text()?;
        let Some((name, value)) = header.split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value.as_str());
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line, headers, body })
}

/// An answer with a body and its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let separator = if headers.is_empty() { "" } else { "\r\n" };
    format!("HTTP/1.1 {status}\r\ncontent-length: {}{separator}{headers}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// A 200 that registers [`LOCAL`].
pub(crate) fn registered() -> Vec<u8> {
    let body = format!(r#"{{"cloud_uuid": "{CLOUD}", "local_project_uuid": "{LOCAL}"}}"#);
    answer("200 OK", "content-type: application/json", &body)
}

pub(crate) fn settings(api_url: &str) -> Settings {
    Settings {
        api_url: api_url.to_owned(),
        ca_bundle: None,
        connect_timeout: Duration::from_mins(1),
        request_timeout: Duration::from_mins(1),
        machine: MACHINE,
        user_agent: "coditect-syncd/test".to_owned(),
    }
}

pub(crate) fn cloud(api_url: &str) -> Cloud {
    Cloud::new(settings(api_url)).unwrap()
}

/// Asks what is to be answered in less than this. A machine may stand still meanwhile, so it is asked again, a few times:
/// what is slow is slow each time.
pub(crate) async fn within(limit: Duration, ask: impl AsyncFn() -> Reply) -> Reply {
    let mut reply = ask().await;
    for _ in 0..4 {
        if reply.took >= limit {
            reply = ask().await;
        }
    }
    assert!(reply.took < limit, "{reply:?}");
    reply
}

pub(crate) async fn token(text: &str) -> Token {
    obtain(&Source::Inline(text.to_owned())).await.unwrap().unwrap().token
}

pub(crate) fn outgoing() -> Outgoing {
    Outgoing {
        registration: Registration {
            local: LOCAL,
            machine: MACHINE,
            name: "api".to_owned(),
            root: PathBuf::from("/home/u/api"),
            language: "Rust".to_owned(),
            framework: String::new(),
            content_hash: "ab".to_owned(),
            kind: ProjectKind::Standalone,
            parent: None,
        },
        key: KEY,
        revision: Revision(7),
    }
}
