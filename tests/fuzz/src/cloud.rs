//! What the cloud client and the core make of an answer.
//!
//! The input's first byte chooses the call; the rest is the answer, byte for byte, after which the connection ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sync_cloud::{Cloud, Outgoing, Settings};
use sync_core::verdict::{EntriesVerdict, ItemVerdict, judge};
use sync_core::{
    Answer, Cause, CloudId, Hints, LocalId, LookUp, MachineId, ProjectKind, Registration, Revision,
};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::client::{LONG, now};
use crate::speaker::{Words, is_gone};

struct World {
    words: Words,
    cloud: Cloud,
    runtime: Runtime,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));

const PATIENCE: Duration = Duration::from_secs(2);
const KEY: Uuid = Uuid::from_u128(0x4);
/// What the cloud may ask for at most, in hints.
const MOST_SPREAD: Duration = Duration::from_mins(1);
const MOST_CAP: Duration = Duration::from_mins(10);

impl World {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let address = listener.local_addr().expect("it has an address");
        let words = Words::default();
        let said = words.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                match stream.and_then(|stream| say(stream, &said.get())) {
                    Ok(()) => {}
                    Err(error) if is_gone(error.kind()) => {}
                    Err(error) => panic!("the cloud cannot speak: {error}"),
                }
            }
        });
        let cloud = Cloud::new(Settings {
            api_url: format!("http://{address}"),
            ca_bundle: None,
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            machine: MachineId(Uuid::from_u128(3)),
            user_agent: "coditect-syncd/fuzz".to_owned(),
        });
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
        Self { words, cloud: cloud.expect("its settings are right"), runtime }
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((which, said)) = data.split_first() else { return };
    let world = WORLD.lock().expect("one target runs at a time");
    world.words.set(said);
    let begun = now();
    let batch: Vec<Outgoing> = (0xa..0xd).map(outgoing).collect();
    match which % 4 {
        0 => {
            let reply = world.runtime.block_on(world.cloud.register(None, &batch[0]));
            judged(&batch[..1], false, &reply.answer);
            bounded(reply.hints);
        }
        1 => {
            let reply = world.runtime.block_on(world.cloud.sync(None, &batch, KEY));
            judged(&batch, true, &reply.answer);
            bounded(reply.hints);
        }
        2 => {
            let reply =
                world.runtime.block_on(world.cloud.by_local_uuid(None, LocalId(Uuid::from_u128(0xa))));
            looked_up(&reply.look_up);
            bounded(reply.hints);
        }
        _ => {
            let asked = CloudId(Uuid::from_u128(0xc));
            let reply = world.runtime.block_on(world.cloud.registration_status(None, asked));
            if let LookUp::Found(project) = &reply.look_up {
                assert_eq!(project.cloud, asked, "another project's answer was believed");
            }
            looked_up(&reply.look_up);
            bounded(reply.hints);
        }
    }
    assert!(begun.elapsed() < LONG, "an answer of {} bytes took {:?}", said.len(), begun.elapsed());
}

/// Nothing is concluded about what was not sent, and nothing is given up over an answer that is not the cloud's.
fn judged(sent: &[Outgoing], batch: bool, answer: &Answer) {
    let locals: Vec<LocalId> = sent.iter().map(|one| one.registration.local).collect();
    let verdict = judge(&locals, batch, answer);
    if matches!(answer, Answer::Unreachable(_) | Answer::Suspect(_)) {
        assert_eq!(verdict.entries, EntriesVerdict::Return, "an answer that is none decided over entries");
    }
    if let EntriesVerdict::Each(each) = &verdict.entries {
        for (local, one) in each {
            assert!(locals.contains(local), "{local} was not sent");
            if let ItemVerdict::Delivered(project) = one {
                assert!(!project.cloud.0.is_nil(), "delivered without a UUID");
                assert!(project.status.len() <= 512, "a status of {} bytes", project.status.len());
            }
        }
    }
    if let Answer::Refused(refusal) = answer {
        assert!(
            refusal.words.chars().count() <= 501,
            "{} characters of words",
            refusal.words.chars().count()
        );
        assert!(!matches!(refusal.status, 200..=399), "{} is no refusal", refusal.status);
    }
}

fn looked_up(look_up: &LookUp) {
    if let LookUp::Failed(answer) = look_up {
        let verdict = judge(&[], false, answer);
        assert_ne!(
            verdict.scope,
            sync_core::verdict::ScopeVerdict::Wait { cause: Cause::Local, told: Some(Duration::ZERO) },
            "a local wait is not told"
        );
    }
}

/// The core bounds what it takes, so a hint may be anything a duration can be.
fn bounded(hints: Hints) {
    let mut delivery = sync_core::Delivery::new(sync_core::Policy::default(), sync_core::Timestamp(0));
    delivery.take_hints(hints);
    let taken = delivery.hints();
    assert!(taken.link_up_spread.is_none_or(|spread| spread <= MOST_SPREAD), "{taken:?}");
    assert!(taken.probe_cap.is_none_or(|cap| cap <= MOST_CAP), "{taken:?}");
}

fn say(mut stream: TcpStream, words: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut asked = Vec::new();
    let mut piece = [0; 8192];
    while !is_whole(&asked) {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&piece[..count]);
    }
    stream.write_all(words)?;
    stream.shutdown(Shutdown::Write)
}

/// A request's body is one JSON object and ends with its brace.
fn is_whole(asked: &[u8]) -> bool {
    let Some(end) = asked.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    asked.starts_with(b"GET") || (asked.len() > end + 4 && asked.ends_with(b"}"))
}

fn outgoing(number: u128) -> Outgoing {
    Outgoing {
        registration: Registration {
            local: LocalId(Uuid::from_u128(number)),
            machine: MachineId(Uuid::from_u128(3)),
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
