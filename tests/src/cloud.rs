//! A dev cloud on a thread of its own, which can be stopped and started again on its port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use coditect_devcloud::{DevCloud, Faults, Options};
use serde_json::Value;
use tokio::sync::oneshot;

/// A running dev cloud.
#[derive(Debug)]
pub struct Cloud {
    address: SocketAddr,
    faults: Faults,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    database: PathBuf,
}

impl Cloud {
    /// Starts one on a free port, with its database in this file.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(database: PathBuf) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), database)
    }

    fn start_at(listen: SocketAddr, database: PathBuf) -> Self {
        let (started, starting) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let options = Options { listen, database: Some(database.clone()), ..Options::default() };
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let cloud = DevCloud::start(options).await.expect("a dev cloud");
                started.send((cloud.address(), cloud.faults().clone())).expect("somebody who waits");
                // Ended by the message or by the owner's end.
                drop(stopped.await);
                cloud.stop().await.expect("a clean end");
            });
        });
        let (address, faults) = starting.recv().expect("the dev cloud");
        Self { address, faults, stop: Some(stop), thread: Some(thread), database }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Stops it; answers what it takes to start it again.
    pub fn stop(mut self) -> Stopped {
        self.end();
        Stopped { address: self.address, database: self.database.clone() }
    }

    /// What it did, in order.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ledger(&self) -> Vec<Value> {
        self.list("/_ledger")
    }

    /// Requests that were answered or not, in order.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn requests(&self) -> Vec<Value> {
        self.list("/_ledger/requests")
    }

    /// What it knows.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn projects(&self) -> Vec<Value> {
        self.list("/_projects")
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.to_ascii_lowercase().contains("content-length"), "{head}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the dev cloud's thread");
        }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

/// A dev cloud that was stopped.
#[derive(Debug)]
pub struct Stopped {
    address: SocketAddr,
    database: PathBuf,
}

impl Stopped {
    /// Starts it again where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(self) -> Cloud {
        Cloud::start_at(self.address, self.database)
    }
}
