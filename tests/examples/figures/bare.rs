//! A server of hyper's with nothing in it: it has its answers in hand. What a daemon takes beyond it is its own.

use std::convert::Infallible;
use std::path::Path;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::runtime::Builder;

/// Answers on `socket`, from a thread with a runtime of its own until the end of this program: `longer` where the target
/// is this one, else `short`.
pub(crate) fn serve(socket: &Path, target: &'static str, longer: Vec<u8>, short: Vec<u8>) {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(socket).expect("a socket")
    };
    let (longer, short) = (Bytes::from(longer), Bytes::from(short));
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                let answer = service_fn(|request: Request<Incoming>| {
                    let body = if request.uri().path() == target { longer.clone() } else { short.clone() };
                    let mut response = Response::new(Full::new(body));
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    async { Ok::<_, Infallible>(response) }
                });
                http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.expect("an end");
            }
        });
    });
}
