//! How long `resolve` takes, as a process beside `true`, and over a kept connection beside an echo.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Process, Series, micros, program, timed};
use sync_wire::{ResolveQuery, Subject};

use crate::cloud::Other;
use crate::drafts::{Folders, client, quiet_home, whole};
use crate::measure::Row;

const PROCESSES: usize = 100;
const CALLS: usize = 3_000;

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
    let (mut answers, mut paths, mut echoes) = (Series::default(), Series::default(), Series::default());
    let mut echo = echo(&home.path().join("echo"));
    let process = Process(daemon.pid());
    let by_uuid = ResolveQuery { subject: Subject::Local(local), refresh: false, wait_ms: None };
    let by_path = ResolveQuery { subject: Subject::Path(folder.join("src")), ..by_uuid.clone() };
    let mut cpu = std::time::Duration::ZERO;
    for _ in 0..rounds {
        for _ in 0..PROCESSES {
            nothing.push(ran(&mut home.command("true")));
            ours.push(ran(home.command(program("coditect-sync")).args(["resolve", &local.to_string()])));
        }
        let before = process.cpu();
        for _ in 0..CALLS {
            answers.push(micros(timed(|| client.resolve(&by_uuid).expect("an answer")).0));
        }
        cpu += process.cpu().saturating_sub(before);
        for _ in 0..CALLS {
            paths.push(micros(timed(|| client.resolve(&by_path).expect("an answer")).0));
        }
        let mut message = [7; 512];
        for _ in 0..CALLS {
            let exchange = || echo.write_all(&message).and_then(|()| echo.read_exact(&mut message));
            let (taken, exchanged) = timed(exchange);
            exchanged.expect("an echo");
            echoes.push(micros(taken));
        }
    }
    daemon.finish();
    let limit = (echoes.median(), "µs");
    let each = micros(cpu) / sync_tests::float(CALLS * rounds);
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
        Row::beside(
            "resolve of a UUID, kept connection, p50",
            (answers.median(), "µs"),
            "echo over a Unix socket",
            limit,
        ),
        Row::beside(
            "resolve of a path, kept connection, p50",
            (paths.median(), "µs"),
            "echo over a Unix socket",
            limit,
        ),
        Row::alone(
            "resolve of a UUID: the daemon",
            format!("{} µs of processor each", sync_tests::short(each)),
        ),
    ]
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
