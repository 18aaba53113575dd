//! The environment's proxies, in a process of its own each: an environment cannot be changed in this one.

use std::process::Command;

use sync_core::{Answer, Refusal, Unreachable};

use crate::loopback::{Server, answer, cloud, outgoing, registered};

const CALLED: &str = "SYNC_CLOUD_TEST_CALLED";

#[test]
fn a_proxy_that_wants_credentials_is_a_407() {
    let proxy = Server::answering("HTTP/1.1 407 Proxy Authentication Required\r\nconnection: close\r\n\r\n");
    let answer = called("https://cloud.invalid", &proxy);
    let words = "the proxy wants its own credentials".to_owned();
    assert_eq!(answer, format!("{:?}", Answer::Refused(Refusal { status: 407, wait: None, words })));
    assert_eq!(proxy.received()[0].line, "CONNECT cloud.invalid:443 HTTP/1.1");
}

#[test]
fn a_proxy_that_cannot_connect_is_no_answer() {
    let proxy = Server::answering("HTTP/1.1 503 X\r\nconnection: close\r\n\r\n");
    assert_eq!(
        called("https://cloud.invalid", &proxy),
        format!("{:?}", Answer::Unreachable(Unreachable::NoRoute))
    );
}

#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let (proxy, server) = (Server::answering(answer("200 OK", "", "")), Server::answering(registered()));
    for url in [server.url(), server.url().replace("127.0.0.1", "localhost")] {
        let answer = called(&url, &proxy);
        assert!(answer.starts_with("Registered"), "{answer}");
    }
    assert!(proxy.received().is_empty());
}

/// What a call to `url` comes to in a process whose proxies are all `proxy`.
fn called(url: &str, proxy: &Server) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "proxy::the_other_process"]).env(CALLED, url);
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "REQUEST_METHOD"] {
        command.env_remove(name);
    }
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        command.env(name, proxy.url());
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines()
        .find_map(|line| line.split_once("answer: "))
        .unwrap_or_else(|| panic!("{output:?}"))
        .1
        .to_owned()
}

#[tokio::test]
#[ignore = "run by the tests of this file in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way to hand this test its address")]
async fn the_other_process() {
    let url = std::env::var(CALLED).unwrap();
    println!("answer: {:?}", cloud(&url).register(None, &outgoing()).await.answer);
}
