//! Those who ask the daemon: tools that want answers, listeners, somebody who registers, and some who behave badly.

use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sync_tests::{Dice, Order, Write, now};
use sync_wire::events::GAP;
use sync_wire::{
    Call, Client, ClientError, EventsQuery, Heard, ProjectsQuery, QueueItemsQuery, RegisterRequest,
    ResolveQuery, Subject, SyncRequest,
};
use uuid::Uuid;

use crate::churn::Place;
use crate::stage::{Stage, TENANT};

/// Folders outside of the roots that are registered by hand.
const BY_HAND: u64 = 24;
/// The pause of everybody who asks.
const PAUSE: Duration = Duration::from_millis(40);

/// Asks this and that.
pub(crate) fn asker(stage: &Stage, number: u64, places: &[Place]) {
    let mut dice = Dice::of(stage.seed, 100 + number);
    let mut client = stage.client();
    while stage.rest(PAUSE) {
        let place = dice.one_of(places).path.join("src");
        match dice.below(12) {
            0..=3 => {
                let subject = Subject::Path(place);
                let query = ResolveQuery { subject, refresh: dice.percent(5), wait_ms: Some(500) };
                stage.ask("resolve", || client.resolve(&query));
            }
            4 | 5 => drop(stage.ask("status", || client.status())),
            6 => drop(stage.ask("queue", || client.queue())),
            7 => drop(stage.ask("queue items", || client.queue_items(&QueueItemsQuery::default()))),
            8 => drop(stage.ask("projects", || all_projects(&mut client))),
            9 => drop(stage.ask("metrics", || client.metrics())),
            10 => drop(stage.ask("inspect", || client.inspect(&place))),
            _ => drop(stage.ask("diagnostics", || client.accomplish(&Call::diagnostics()))),
        }
    }
}

/// All projects the daemon knows, page by page.
pub(crate) fn all_projects(client: &mut Client) -> Result<Vec<sync_wire::Project>, ClientError> {
    let mut query = ProjectsQuery { limit: Some(100), ..ProjectsQuery::default() };
    let mut all = Vec::new();
    loop {
        let page = client.projects(&query)?;
        all.extend(page.projects);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Folders that are registered by hand, and what was promised about them.
pub(crate) struct ByHand {
    pub(crate) folder: PathBuf,
    order: Order,
}

impl ByHand {
    /// Makes the folders.
    pub(crate) fn new(stage: &Stage) -> Self {
        let folder = stage.home.path().join("by-hand");
        for number in 0..BY_HAND {
            std::fs::create_dir_all(folder.join(number.to_string())).expect("a folder");
        }
        Self { folder: std::fs::canonicalize(folder).expect("its real path"), order: Order::default() }
    }

    /// Registers them with ever new content; what was written.
    pub(crate) fn register(&self, stage: &Stage) -> Vec<Write> {
        let mut dice = Dice::of(stage.seed, 2);
        let (mut client, mut writes) = (stage.client(), Vec::new());
        while stage.rest(PAUSE * 5) {
            let first = dice.below(BY_HAND);
            let count = if dice.percent(20) { 5 } else { 1 };
            let drafts: Vec<RegisterRequest> = (0..count)
                .map(|more| self.draft((first + more) % BY_HAND, writes.len() as u64 + more))
                .collect();
            let begun = self.order.next();
            let taken = if let [draft] = &drafts[..] {
                let request = RegisterRequest { wait_ms: dice.percent(10).then_some(300), ..draft.clone() };
                let result = stage.ask("register", || client.register(&request));
                vec![result.is_some_and(|result| result.success || result.queued)]
            } else {
                let request = SyncRequest { projects: drafts.clone(), ..SyncRequest::default() };
                let results = stage.ask("register several", || client.sync(&request)).unwrap_or_default();
                let of = |draft: &RegisterRequest| results.results.get(&draft.local_project_uuid?);
                let taken = |draft| of(draft).is_some_and(|result| result.success || result.queued);
                drafts.iter().map(taken).collect()
            };
            let ended = self.order.next();
            for (draft, acknowledged) in drafts.into_iter().zip(taken) {
                let (root, content) = (draft.root_path, draft.content_hash.unwrap_or_default());
                writes.push(Write { tenant: TENANT.to_owned(), root, content, begun, ended, acknowledged });
            }
        }
        writes
    }

    fn draft(&self, number: u64, content: u64) -> RegisterRequest {
        RegisterRequest {
            root_path: self.folder.join(number.to_string()).to_string_lossy().into_owned(),
            local_project_uuid: Some(Uuid::from_u128(0x1000_4000_8000_0000_0000 + u128::from(number))),
            project_name: Some(format!("by-hand-{number}")),
            content_hash: Some(format!("{content:040x}")),
            ..RegisterRequest::default()
        }
    }

    /// Registers one of them and waits until the cloud has it: from then on its UUID is known.
    pub(crate) fn known(&self, stage: &Stage) -> PathBuf {
        let mut client = stage.client();
        let request = RegisterRequest {
            root_path: self.folder.join("0").to_string_lossy().into_owned(),
            local_project_uuid: Some(Uuid::from_u128(0x1000_4000_8000_0000_0000)),
            wait_ms: Some(20_000),
            ..self.draft(0, u64::MAX)
        };
        let registered = client.register(&request).expect("a registration");
        assert!(registered.cloud_uuid.is_some(), "{registered:?}");
        PathBuf::from(request.root_path)
    }
}

/// Times questions that are answered from memory, beside an exchange of bytes with nobody behind it: what the machine
/// makes everybody wait for is in both.
pub(crate) fn prober(stage: &Stage, known: &std::path::Path) {
    let (mut near, mut far) = UnixStream::pair().expect("a pair of sockets");
    let mut client = stage.client();
    let subject = Subject::Path(known.to_owned());
    let query = ResolveQuery { subject, refresh: false, wait_ms: Some(0) };
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 512];
            while far.read_exact(&mut bytes).is_ok() && far.write_all(&bytes).is_ok() {}
        });
        let mut bytes = [7; 512];
        while stage.rest(PAUSE / 2) {
            let begun = now();
            let echoed = near.write_all(&bytes).and_then(|()| near.read_exact(&mut bytes));
            let echo = begun.elapsed().as_secs_f64() * 1e3;
            echoed.expect("an echo");
            let mut timed = |call: &mut dyn FnMut(&mut Client) -> Result<(), ClientError>| {
                let begun = now();
                stage.ask("timed", || call(&mut client))?;
                Some(begun.elapsed().as_secs_f64() * 1e3)
            };
            let status = timed(&mut |client| client.status().map(drop));
            let resolve = timed(&mut |client| client.resolve(&query).map(drop));
            stage.measured(echo, status, resolve);
        }
        drop(near);
    });
}

/// Follows the events from where it left off; every one has to come, in order. How many came.
pub(crate) fn follower(stage: &Stage) -> u64 {
    let (mut last, mut heard) = (None, 0);
    let client = stage.client();
    while !stage.is_over() {
        let call = Call::events(EventsQuery { since: last, follow: true });
        let Some(mut stream) = stage.ask("follow", || client.follow(&call)) else { continue };
        while !stage.is_over() {
            match stream.next(Duration::from_millis(200)) {
                Ok(Heard::Event { event, .. }) => {
                    let expected = last.map_or(event.id, |last| last + 1);
                    if event.id != expected || event.kind == GAP {
                        stage.complain(format!(
                            "event {} ({}) came instead of {expected}",
                            event.id, event.kind
                        ));
                    }
                    last = Some(event.id);
                    heard += 1;
                }
                Ok(Heard::Nothing) => {}
                // It comes back where it left off, whatever ended it.
                Ok(Heard::End) | Err(_) => break,
            }
        }
    }
    heard
}

/// Opens connections and uses them badly: asks for all events and reads none, leaves in the middle, sends half a
/// request and waits.
pub(crate) fn rude(stage: &Stage) {
    let mut dice = Dice::of(stage.seed, 3);
    let mut kept: Vec<(UnixStream, u64)> = Vec::new();
    while stage.rest(stage.beat / 4) {
        kept.retain_mut(|(_, beats)| {
            *beats = beats.saturating_sub(1);
            *beats > 0
        });
        let Ok(mut stream) = UnixStream::connect(stage.socket()) else { continue };
        let (words, beats) = match dice.below(4) {
            0 => ("GET /v1/events?since=0 HTTP/1.1\r\nhost: l\r\n\r\n", 4 + dice.below(20)),
            1 => ("GET /v1/projects?limit=1000 HTTP/1.1\r\nhost: l\r\n\r\n", 0),
            2 => ("POST /v1/projects HTTP/1.1\r\nhost: l\r\ncontent-length: 900\r\n\r\n{", dice.below(8)),
            _ => ("GET /v1/stat", dice.below(8)),
        };
        // What becomes of it is its own business.
        if stream.write_all(words.as_bytes()).is_ok() {
            stage.did("rude");
            kept.push((stream, beats));
        }
    }
}
