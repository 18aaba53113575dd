//! What the tests share: a dev cloud of their own, and a client that speaks bare HTTP/1.1.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use coditect_devcloud::{DevCloud, Effect, Options, Rule, dev_token};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const MACHINE: &str = "7f1f2c1e-1111-4a2b-8c3d-000000000001";
pub(crate) const LOCAL: &str = "0195b9e0-8d4e-7c3a-9b57-000000000001";
pub(crate) const REGISTER: &str = "/api/v1/projects/register/";
pub(crate) const SYNC: &str = "/api/v1/projects/sync/";
/// Longer than any answer takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// An answer as it came over the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("the body is JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the body is as long as the head says.
    pub(crate) fn is_whole(&self) -> bool {
        self.header("content-length").parse() == Ok(self.body.len())
    }

    pub(crate) fn cloud_uuid(&self) -> String {
        self.json()["cloud_uuid"].as_str().expect("the answer has a UUID").to_owned()
    }
}

pub(crate) async fn cloud() -> DevCloud {
    DevCloud::start(Options::default()).await.expect("a dev cloud in memory can be started")
}

/// A dev cloud that one fault befalls.
pub(crate) async fn cloud_with(rule: Rule) -> DevCloud {
    let cloud = cloud().await;
    cloud.faults().add(rule).expect("the rule is a good one");
    cloud
}

pub(crate) fn project(name: &str) -> Value {
    let number: u32 = name.bytes().map(u32::from).fold(0, |sum, byte| sum * 31 % 999_983 + byte);
    json!({
        "local_project_uuid": format!("0195b9e0-8d4e-7c3a-9b57-{number:012}"),
        "project_name": name,
        "machine_uuid": MACHINE,
        "root_path": format!("/home/dev/{name}"),
        "content_hash": "aa",
    })
}

pub(crate) fn with(mut project: Value, field: &str, value: Value) -> Value {
    project[field] = value;
    project
}

pub(crate) fn local_of(project: &Value) -> &str {
    project["local_project_uuid"].as_str().expect("the project has a local UUID")
}

pub(crate) fn batch(names: &[&str]) -> Value {
    json!({"projects": names.iter().map(|name| project(name)).collect::<Vec<_>>()})
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A request with all the contract asks for, by tenant `north`.
pub(crate) fn ask(method: &str, path: &str) -> Ask {
    let headers = [
        ("authorization", format!("Bearer {}", dev_token("north", None))),
        ("x-machine-uuid", MACHINE.to_owned()),
        ("host", "localhost:1".to_owned()),
    ];
    Ask {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: String::new(),
    }
}

pub(crate) fn register(project: &Value) -> Ask {
    ask("POST", REGISTER).json(project)
}

pub(crate) fn sync(batch: &Value) -> Ask {
    ask("POST", SYNC).json(batch)
}

pub(crate) fn by_local(local: &str) -> Ask {
    ask("GET", &format!("/api/v1/projects/by-local-uuid/{local}/?machine_uuid={MACHINE}"))
}

pub(crate) fn status(cloud_uuid: &str) -> Ask {
    ask("GET", &format!("/api/v1/projects/{cloud_uuid}/registration-status/"))
}

impl Ask {
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    #[must_use]
    pub(crate) fn tenant(self, tenant: &str) -> Self {
        self.header("authorization", &format!("Bearer {}", dev_token(tenant, None)))
    }

    #[must_use]
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    #[must_use]
    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    #[must_use]
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(&body.to_string())
    }

    /// Sends it on a connection of its own and reads the answer.
    pub(crate) async fn of(&self, cloud: &DevCloud) -> Reply {
        self.try_of(cloud).await.unwrap_or_else(|error| panic!("an answer to {self:?}: {error}"))
    }

    /// The same, where the connection may end early.
    pub(crate) async fn try_of(&self, cloud: &DevCloud) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(cloud.address()).await?;
        self.send(&mut stream, "close").await?;
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the answer comes in time")?;
        reply(&bytes)
    }

    pub(crate) async fn send(&self, stream: &mut TcpStream, connection: &str) -> io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: {connection}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.extend(["content-length: ", &self.body.len().to_string(), "\r\n\r\n"]);
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(self.body.as_bytes()).await
    }
}

fn reply(bytes: &[u8]) -> io::Result<Reply> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no head"))?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("the head has a status");
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Reply { status, headers, body: body.to_owned() })
}

/// Names and effects of the whole ledger, in order.
pub(crate) async fn effects(cloud: &DevCloud) -> Vec<(String, Effect)> {
    let entries = cloud.ledger(0).await.expect("the ledger can be read");
    entries.into_iter().map(|entry| (entry.project_name.unwrap_or_default(), entry.effect)).collect()
}

/// Waits until as many requests are noted, and tells their statuses in order.
pub(crate) async fn statuses(cloud: &DevCloud, expected: usize) -> Vec<Option<u16>> {
    let noted = async {
        loop {
            let requests = cloud.requests(0).await.expect("the requests can be read");
            if requests.len() >= expected {
                return requests.into_iter().map(|request| request.status).collect();
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, noted).await.unwrap_or_else(|_| panic!("{expected} requests are noted in time"))
}
