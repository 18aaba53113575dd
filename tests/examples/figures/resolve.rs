//! How long `resolve` takes, as a process beside `true`, and over a kept connection beside an echo and beside a bare
//! server that has the same answer in hand; and so `status`.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Process, Series, micros, program, timed};
use sync_wire::{Call, Client, ResolveQuery, Subject};

use crate::bare;
use crate::cloud::Other;
use crate::drafts::{Folders, client, quiet_home, whole};
use crate::measure::Row;

const PROCESSES: usize = 100;
const CALLS: usize = 1_000;
const WARMING: usize = 4;
/// So many that the kernel's ticks of 10 ms tell what one costs.
const SPENDING: usize = 20_000;
const ECHO: &str = "echo over a Unix socket";
const BARE: &str = "a bare hyper server that has it in hand";

pub(crate) fn measure(folders: &Folders, rounds: usize) -> Vec<Row> {
    let cloud = Other::null();
    let mut home = quiet_home();
    home.set_cloud("api_url", cloud.url());
    home.set_cloud("auth_token", dev_token("acme", None));
    let folder = &folders.first(1)[0];
    let daemon = Daemon::start(&home);
    let mut client = client(&home);
    let request = sync_wire::RegisterRequest { wait_ms: Some(10_000), ..whole(folder, 1) };
    let registered = client.register(&request).expect("a registration");
    assert!(registered.cloud_uuid.is_some(), "{registered:?}");
    let local = registered.local_project_uuid;

    let (mut ours, mut nothing) = (Series::default(), Series::default());
    let (mut answers, mut paths, mut pages) = (Series::default(), Series::default(), Series::default());
    let (mut bare_answers, mut bare_pages) = (Series::default(), Series::default());
    let (mut echo, mut echoes) = (echo(&home.path().join("echo")), Series::default());
    let process = Process(daemon.pid());
    let by_uuid = ResolveQuery { subject: Subject::Local(local), refresh: false, wait_ms: None };
    let by_path = ResolveQuery { subject: Subject::Path(folder.join("src")), ..by_uuid.clone() };
    let mut said = |call: &Call| client.send(call).expect("an answer").body;
    let bare = home.path().join("bare");
    bare::serve(&bare, "/v1/status", said(&Call::status()), said(&Call::resolve(&by_uuid)));
    let mut bare = Client::new(bare, Duration::from_secs(5));
    let mut cpu = Duration::ZERO;
    for _ in 0..rounds {
        for _ in 0..PROCESSES {
            nothing.push(ran(&mut home.command("true")));
            ours.push(ran(home.command(program("coditect-sync")).args(["resolve", &local.to_string()])));
        }
        // In turns, because where the scheduler puts the two ends of a connection changes all of them.
        for _ in 0..CALLS {
            asked(&mut answers, || drop(client.resolve(&by_uuid).expect("an answer")));
            asked(&mut paths, || drop(client.resolve(&by_path).expect("an answer")));
            asked(&mut pages, || drop(client.status().expect("an answer")));
            asked(&mut bare_answers, || drop(bare.resolve(&by_uuid).expect("an answer")));
            asked(&mut bare_pages, || drop(bare.status().expect("an answer")));
            asked(&mut echoes, || {
                let mut message = [7; 512];
                echo.write_all(&message).and_then(|()| echo.read_exact(&mut message)).expect("an echo");
            });
        }
        let before = process.cpu();
        for _ in 0..SPENDING {
            client.resolve(&by_uuid).expect("an answer");
        }
        cpu += process.cpu().saturating_sub(before);
    }
    daemon.finish();
    let (echo, bare) = ((echoes.median(), "µs"), (bare_answers.median(), "µs"));
    let each = micros(cpu) / sync_tests::float(SPENDING * rounds);
    vec![
        Row::beside(
            "`coditect-sync resolve`, whole process, p50",
            (ours.median(), "µs"),
            "`true`",
            (nothing.median(), "µs"),
        ),
        Row::alone(
            "`coditect-sync resolve` beyond `true`",
            format!("{} ms", sync_tests::short((ours.median() - nothing.median()) / 1e3)),
        ),
        Row::beside("resolve of a UUID, kept connection, p50", (answers.median(), "µs"), ECHO, echo),
        Row::beside("resolve of a UUID, kept connection, p50", (answers.median(), "µs"), BARE, bare),
        Row::beside("resolve of a path, kept connection, p50", (paths.median(), "µs"), BARE, bare),
        Row::beside(
            "status, kept connection, p50",
            (pages.median(), "µs"),
            BARE,
            (bare_pages.median(), "µs"),
        ),
        Row::alone(
            "resolve of a UUID: the daemon",
            format!("{} µs of processor each", sync_tests::short(each)),
        ),
    ]
}

/// Takes the time of the last of a few exchanges: who has waited for others meanwhile has to be woken first.
fn asked(series: &mut Series, mut exchange: impl FnMut()) {
    for _ in 0..WARMING {
        exchange();
    }
    series.push(micros(timed(exchange).0));
}

/// The time a program takes from start to end, in microseconds.
fn ran(command: &mut Command) -> f64 {
    command.stdout(Stdio::null());
    let (taken, status) = timed(|| command.status().expect("a program"));
    assert!(status.success(), "{command:?} ended with {status}");
    micros(taken)
}

/// A connection on which everything comes back, served by a thread.
fn echo(path: &std::path::Path) -> UnixStream {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut message = [0; 4096];
        loop {
            let length = stream.read(&mut message)?;
            if length == 0 {
                return Ok::<(), std::io::Error>(());
            }
            stream.write_all(&message[..length])?;
        }
    });
    UnixStream::connect(path).expect("the echo")
}
