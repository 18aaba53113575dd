//! The dev cloud's own routes under `/_…`: faults, ledger and projects. Without tokens and without faults.

use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::answer::Answer;
use crate::desk::Desk;
use crate::error::Error;
use crate::fault::Rule;
use crate::read::Arrived;

const ROUTES: &str =
    "GET, PUT, DELETE /_faults · GET, DELETE /_ledger · GET /_ledger/requests · GET, DELETE /_projects";

/// Answers a request to one of them.
pub(crate) async fn answer(desk: &Desk, arrived: &Arrived) -> Result<Answer, Error> {
    if !is_from_a_program(arrived, desk.is_local) {
        return Ok(Answer::json(
            StatusCode::FORBIDDEN,
            &json!({"detail": "the dev cloud's own routes are for programs, not for web pages"}),
        ));
    }
    let since = match arrived.parameter("since").map(|since| since.parse()) {
        None => 0,
        Some(Ok(since)) => since,
        Some(Err(_)) => return Ok(refuse("`since` is not a number")),
    };
    match (arrived.path.as_str(), &arrived.method) {
        ("/_faults", &Method::GET) => listed(&desk.faults.standing()),
        ("/_faults", &Method::PUT) => {
            let body = arrived.body.clone().unwrap_or_default();
            let replaced = serde_json::from_slice::<Vec<Rule>>(&body)
                .map_err(|error| error.to_string())
                .and_then(|rules| desk.faults.replace(rules).map_err(|error| error.to_string()));
            match replaced {
                Ok(()) => listed(&desk.faults.standing()),
                Err(why) => Ok(refuse(&why)),
            }
        }
        ("/_faults", &Method::DELETE) => {
            desk.faults.clear();
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        ("/_ledger", &Method::GET) => listed(&desk.book.ledger(since).await?),
        ("/_ledger", &Method::DELETE) => {
            desk.book.clear_log().await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        ("/_ledger/requests", &Method::GET) => listed(&desk.book.requests(since).await?),
        ("/_projects", &Method::GET) => listed(&desk.book.projects().await?),
        ("/_projects", &Method::DELETE) => {
            desk.book.forget().await?;
            Ok(Answer::empty(StatusCode::NO_CONTENT))
        }
        ("/_faults" | "/_ledger" | "/_ledger/requests" | "/_projects", method) => {
            Ok(Answer::wrong_method(method.as_str(), "GET, PUT, DELETE"))
        }
        (_, _) => Ok(Answer::json(
            StatusCode::NOT_FOUND,
            &json!({"detail": "no such route of the dev cloud", "routes": ROUTES}),
        )),
    }
}

/// Whether a program asks, and not a web page: under its own name, or one that was made to lead to this machine.
fn is_from_a_program(arrived: &Arrived, is_local: bool) -> bool {
    let host = arrived.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_of_here = |host: Authority| match host.host().trim_matches(['[', ']']) {
        "localhost" => true,
        address => address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
    };
    !arrived.headers.contains_key(ORIGIN) && (!is_local || host.is_none_or(is_of_here))
}

fn listed<T: Serialize>(entries: &[T]) -> Result<Answer, Error> {
    Ok(Answer::typed(StatusCode::OK, "application/json", serde_json::to_string(entries)?))
}

fn refuse(why: &str) -> Answer {
    Answer::detail(StatusCode::BAD_REQUEST, why)
}
