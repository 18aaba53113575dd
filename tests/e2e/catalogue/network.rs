//! Clouds, proxies and name servers that fail or lie.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sync_tests::{Daemon, Encrypted, Needs, apart, ran, until};

use super::{cloud, each, home_of, knows};
use crate::{cloud_is, world};

/// What a server does with a connection on which it was asked something; it tells how much it sent.
type Deed = fn(&mut TcpStream, &AtomicU64) -> std::io::Result<()>;

/// A server that does something bad until it is told to be the cloud.
struct Server {
    address: SocketAddr,
    is_well: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Server {
    fn start(cloud: SocketAddr, deed: Deed) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let server = Self {
            address: listener.local_addr().expect("its address"),
            is_well: Arc::default(),
            sent: Arc::default(),
            asked: Arc::default(),
        };
        let (is_well, sent, asked) =
            (Arc::clone(&server.is_well), Arc::clone(&server.sent), Arc::clone(&server.asked));
        // Ends with the process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (sent, is_well) = (Arc::clone(&sent), is_well.load(Ordering::SeqCst));
                asked.fetch_add(1, Ordering::SeqCst);
                // How a connection ends is the business of its two sides.
                std::thread::spawn(move || {
                    if is_well {
                        return drop(join(&stream, cloud));
                    }
                    let read = stream.read(&mut [0; 4096]);
                    drop(read.and_then(|_| deed(&mut stream, &sent)));
                });
            }
        });
        server
    }

    fn be_well(&self) {
        self.is_well.store(true, Ordering::SeqCst);
    }
}

/// Passes everything on in both directions.
fn join(client: &TcpStream, cloud: SocketAddr) -> std::io::Result<()> {
    let cloud = TcpStream::connect(cloud)?;
    let (mut from_client, mut to_cloud) = (client.try_clone()?, cloud.try_clone()?);
    std::thread::spawn(move || drop(std::io::copy(&mut from_client, &mut to_cloud)));
    std::io::copy(&mut &cloud, &mut &*client)?;
    Ok(())
}

fn pour(stream: &mut TcpStream, sent: &AtomicU64, piece: &[u8], limit: u64) -> std::io::Result<()> {
    while sent.load(Ordering::SeqCst) < limit {
        stream.write_all(piece)?;
        sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

/// Made once: it takes longer than a daemon waits.
fn bomb() -> &'static [u8] {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BOMB.get_or_init(|| {
        let mut zeros = std::process::Command::new("sh");
        zeros.args(["-c", "head -c 67108864 /dev/zero | gzip -9"]);
        zeros.output().expect("compressed zeros").stdout
    })
}

const TEN_GIGABYTES: u64 = 10_000_000_000;

/// What it is, what it does, and the state that is told of the cloud.
const HOSTILE: &[(&str, Deed, &str)] = &[
    ("accepts and says nothing", |stream, _| stream.read(&mut [0; 64]).map(drop), "offline"),
    (
        "one byte a second",
        |stream, _| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
            for _ in 0..1_000 {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        },
        "offline",
    ),
    (
        "a head without an end",
        |stream, sent| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            pour(stream, sent, "x-more: and more\r\n".repeat(64).as_bytes(), TEN_GIGABYTES)
        },
        "portal",
    ),
    (
        "ten gigabytes, as it says",
        |stream, sent| {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {TEN_GIGABYTES}\r\n\r\n")?;
            pour(stream, sent, &[b' '; 65_536], TEN_GIGABYTES)
        },
        "portal",
    ),
    (
        "ten gigabytes, not said before",
        |stream, sent| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            pour(stream, sent, &[b' '; 65_536], TEN_GIGABYTES)
        },
        "portal",
    ),
    (
        "ten gigabytes of a refusal",
        |stream, sent| {
            stream.write_all(b"HTTP/1.1 503 X\r\nconnection: close\r\n\r\n")?;
            pour(stream, sent, &[b'x'; 65_536], TEN_GIGABYTES)
        },
        "offline",
    ),
    (
        // Nobody asked for an encoding, and none is undone: it is just no JSON.
        "a bomb of compressed zeros",
        |stream, sent| {
            let bomb = bomb();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
                 content-length: {}\r\n\r\n",
                bomb.len()
            )?;
            pour(stream, sent, bomb, 1)
        },
        "portal",
    ),
    (
        // The daemon speaks HTTP/1.1 only; a server that speaks something else is none of ours.
        "frames of HTTP/2 that reset everything",
        |stream, _| stream.write_all(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01"),
        "portal",
    ),
    ("nothing but an end", |_, _| Ok(()), "offline"),
];

#[test]
fn a_hostile_cloud_costs_neither_memory_nor_a_registration() {
    let (_keeper, cloud) = cloud();
    assert!(!bomb().is_empty());
    each(HOSTILE, |&(what, deed, state)| {
        let server = Server::start(cloud.address(), deed);
        let mut home = home_of(&cloud);
        home.set_cloud("api_url", format!("http://{}", server.address));
        home.set_cloud("request_timeout", "1s");
        let daemon = Daemon::start(&home);
        let before = memory(&daemon);
        let root = home.project("api");
        cloud_is(&home, state);
        until(&format!("{what}: it was tried again"), || {
            (server.asked.load(Ordering::SeqCst) > 2).then_some(())
        });
        let (after, sent) = (memory(&daemon), server.sent.load(Ordering::SeqCst));
        if let (Some(before), Some(after)) = (before, after)
            && after > before + 24 * 1024
        {
            return Err(format!("{what}: {before} KiB became {after} KiB"));
        }
        if sent > 256 * 1024 * 1024 {
            return Err(format!("{what}: {sent} bytes were read"));
        }
        let items = home.json(&["queue", "list"]);
        if items["items"][0]["attempts"] != 0 {
            return Err(format!("{what}: {items}"));
        }
        server.be_well();
        until(&format!("{what}: it is delivered afterwards"), || {
            home.run(&["queue", "flush"]);
            knows(&cloud, &root.display().to_string()).then_some(())
        });
        daemon.signal("TERM");
        let ended = daemon.ended();
        if ended.code == Some(0) && !ended.log.contains("panicked") {
            Ok(())
        } else {
            Err(format!("{what}: {ended:?}"))
        }
    });
}

/// What a proxy does with whoever asks it for the cloud, and what is told of that.
const PROXIES: &[(&str, Deed, &str)] = &[
    (
        "407",
        |stream, _| {
            stream.write_all(b"HTTP/1.1 407 X\r\nproxy-authenticate: Basic\r\nconnection: close\r\n\r\n")
        },
        "proxy",
    ),
    ("403", |stream, _| stream.write_all(b"HTTP/1.1 403 X\r\nconnection: close\r\n\r\n"), "network"),
    ("502", |stream, _| stream.write_all(b"HTTP/1.1 502 X\r\nconnection: close\r\n\r\n"), "network"),
    ("an end", |_, _| Ok(()), ""),
];

#[test]
fn a_proxy_that_refuses_is_told_and_counts_against_no_project() {
    let (_keeper, cloud) = cloud();
    each(PROXIES, |&(what, deed, word)| {
        let server = Server::start(cloud.address(), deed);
        let mut home = home_of(&cloud);
        home.set_cloud("api_url", "https://cloud.invalid");
        home.start_daemon_by(&["env", &format!("HTTPS_PROXY=http://{}", server.address)]);
        home.project("api");
        let daemon = Daemon::start(&home);
        let line = until(&format!("{what}: it is told"), || {
            daemon.log().lines().find(|line| line.contains("the cloud cannot be used")).map(str::to_owned)
        });
        let items = home.json(&["queue", "list"]);
        let status = home.json(&["status"]);
        let well = line.contains(word)
            && items["items"][0]["attempts"] == 0
            && ["offline", "portal"].iter().any(|state| status["cloud"]["state"] == *state)
            && server.asked.load(Ordering::SeqCst) > 0;
        daemon.signal("TERM");
        let ended = daemon.ended();
        if well && ended.code == Some(0) { Ok(()) } else { Err(format!("{what}: {line}\n{status}\n{items}")) }
    });
}

#[test]
fn name_servers_that_are_gone_slow_or_lie_cost_time_and_nothing_else() {
    apart(
        module_path!(),
        "name_servers_that_are_gone_slow_or_lie_cost_time_and_nothing_else",
        Needs::Links,
        || {
            let (mut home, cloud) = world();
            let servers = home.path().join("resolv.conf");
            fs::write(&servers, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").expect("the servers");
            let at = fs::canonicalize("/etc/resolv.conf").expect("the system's name servers");
            assert!(ran("mount", &["--bind", text(&servers), text(&at)]));
            let true_one =
                Encrypted::named("cloud.test", [127, 0, 0, 1].into(), cloud.address(), home.path());
            let elsewhere = home.path().join("elsewhere");
            fs::create_dir(&elsewhere).expect("a folder");
            // At the same port of another address, of another authority.
            let liar = Encrypted::at_port(
                "evil.test",
                SocketAddr::from(([127, 0, 0, 2], true_one.address().port())),
                cloud.address(),
                &elsewhere,
            );
            home.set_cloud("api_url", true_one.url());
            home.set_cloud("ca_bundle", true_one.bundle().display().to_string());
            home.set_cloud("request_timeout", "2s");
            let daemon = Daemon::start(&home);
            let root = home.project("api");
            cloud_is(&home, "offline");
            until("nobody is there to ask", || daemon.log().contains("name").then_some(()));

            let names = Names::start();
            until("the slow one was asked", || (names.asked.load(Ordering::SeqCst) > 1).then_some(()));
            assert_eq!(home.json(&["status"])["cloud"]["state"], "offline", "it waits for a name");

            names.answer(Some(liar.address().ip().to_string()));
            until("the lie is found out", || {
                home.run(&["queue", "flush"]);
                daemon.log().contains("certificate").then_some(())
            });
            assert!(cloud.requests().is_empty(), "no token and no path went to the wrong host");
            assert_eq!(home.json(&["queue", "list"])["items"][0]["attempts"], 0);

            names.answer(Some("127.0.0.1".to_owned()));
            until("it is delivered", || {
                home.run(&["queue", "flush"]);
                knows(&cloud, text(&root)).then_some(())
            });
            daemon.expecting("the cloud cannot be used").finish();
        },
    );
}

/// A name server at the port of name servers.
struct Names {
    asked: Arc<AtomicU64>,
    answer: Arc<std::sync::Mutex<Option<String>>>,
}

impl Names {
    /// It takes questions and answers none.
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("the port of name servers");
        let names = Self { asked: Arc::default(), answer: Arc::default() };
        let (asked, answer) = (Arc::clone(&names.asked), Arc::clone(&names.answer));
        // Ends with the process.
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                asked.fetch_add(1, Ordering::SeqCst);
                let address: Option<Ipv4Addr> =
                    answer.lock().expect("the answer").as_ref().and_then(|text| text.parse().ok());
                if let Some(address) = address {
                    drop(socket.send_to(&reply(&question[..length], address), from));
                }
            }
        });
        names
    }

    fn answer(&self, address: Option<String>) {
        *self.answer.lock().expect("the answer") = address;
    }
}

/// The answer to a question for an address: this one, or that there is none of the other kind (RFC 1035, section 4).
fn reply(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let name = 12 + question[12..].iter().position(|byte| *byte == 0).expect("the end of a name") + 1;
    let is_ipv4 = question[name..name + 2] == [0, 1];
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    reply.extend(&question[12..name + 4]);
    if is_ipv4 {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}

/// In KiB, where the system tells.
fn memory(daemon: &Daemon) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}
