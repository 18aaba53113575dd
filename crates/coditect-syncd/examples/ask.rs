//! Asks the daemon for the cloud UUIDs of several paths over one connection, with hyper and tokio.
//!
//! ```text
//! cargo run -p coditect-syncd --example ask -- SOCKET PATH…
//! ```
//!
//! For tools that are asynchronous already; whoever is not has `sync_wire::Client`. The documents are those of
//! `sync-wire`, and everything together has one deadline.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example says what it got")]

use std::error::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use sync_wire::{Problem, ResolveAnswer};
use tokio::net::UnixStream;

type Failure = Box<dyn Error + Send + Sync>;

/// All the questions and answers together may take so long.
const DEADLINE: Duration = Duration::from_secs(10);
/// An answer is never longer than this.
const LARGEST: usize = 1 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(socket), paths) = (arguments.next(), arguments.collect::<Vec<_>>()) else {
        eprintln!("usage: ask SOCKET PATH…");
        return ExitCode::from(2);
    };
    match tokio::time::timeout(DEADLINE, converse(&socket, &paths)).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("cannot ask the daemon at `{}`: {error}", socket.display());
            ExitCode::FAILURE
        }
        Err(_elapsed) => {
            eprintln!("the daemon at `{}` did not answer within {} s", socket.display(), DEADLINE.as_secs());
            ExitCode::FAILURE
        }
    }
}

async fn converse(socket: &Path, paths: &[PathBuf]) -> Result<(), Failure> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let questions = async {
        for path in paths {
            match resolve(&mut sender, path).await? {
                Ok(answer) => println!("{}  {}", answer.cloud_uuid, path.display()),
                Err(problem) => {
                    println!("{:36}  {}", problem.code.as_str(), path.display());
                    eprintln!(
                        "{problem}; {}",
                        problem.hint.as_deref().unwrap_or("see `coditect-sync status`")
                    );
                }
            }
        }
        Ok(())
    };
    // The connection moves only while it is polled; beside the questions it needs no task of its own.
    tokio::select! {
        asked = questions => asked,
        ended = connection => Err(ended.err().map_or_else(|| "it closed the connection".into(), Into::into)),
    }
}

/// The daemon's answer, or its problem: both are what it wanted to say.
async fn resolve(
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &Path,
) -> Result<Result<ResolveAnswer, Problem>, Failure> {
    let path = std::path::absolute(path)?;
    let target = format!("/v1/resolve?path={}", sync_wire::path::encoded(path.as_os_str().as_bytes()));
    // HTTP/1.1 has to name a host; the daemon does not look at it.
    let request = Request::get(target).header(HOST, "localhost").body(Empty::new())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let succeeded = response.status().is_success();
    let body = Limited::new(response.into_body(), LARGEST).collect().await?.to_bytes();
    Ok(if succeeded { Ok(serde_json::from_slice(&body)?) } else { Err(serde_json::from_slice(&body)?) })
}
