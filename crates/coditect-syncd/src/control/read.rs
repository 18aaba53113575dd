//! Requests on their way in: what stands in the path, the query and the body, checked before a handler sees it.
//!
//! Knows kinds of values, not what they are for. Every refusal says what was wrong and where.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use percent_encoding::percent_decode_str;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use sync_wire::{Problem, ProblemCode};
use uuid::Uuid;

use super::limits;
use super::route::{Document, Parameter};

/// What a parameter can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A UUID.
    Uuid,
    /// The number of an entry.
    Number,
    /// An absolute path, percent-encoded, in whatever bytes it has.
    Path,
    /// `true` or `false`.
    Flag,
    /// Milliseconds, at most ten minutes.
    Wait,
    /// The length of a page.
    Limit,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A UUID.
    Uuid(Uuid),
    /// A number.
    Number(u64),
    /// A path.
    Path(PathBuf),
    /// Yes or no.
    Flag(bool),
    /// A text, or one of the words.
    Text(String),
}

/// The parameters of a query, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(BTreeMap<&'static str, Value>);

impl Query {
    /// The UUID of this name, where it was given.
    pub(super) fn uuid(&self, name: &str) -> Option<Uuid> {
        if let Some(Value::Uuid(uuid)) = self.0.get(name) { Some(*uuid) } else { None }
    }

    /// The number of this name, where it was given.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        if let Some(Value::Number(number)) = self.0.get(name) { Some(*number) } else { None }
    }

    /// The path of this name, where it was given.
    pub(super) fn path(&self, name: &str) -> Option<&Path> {
        if let Some(Value::Path(path)) = self.0.get(name) { Some(path) } else { None }
    }

    /// Whether the flag of this name was given and set.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Flag(true))
    }

    /// Whether the flag of this name was given and is not set.
    pub(super) fn is_unset(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Flag(false))
    }

    /// The text of this name, where it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        if let Some(Value::Text(text)) = self.0.get(name) { Some(text) } else { None }
    }

    /// The word of this name, as the type that has these words.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let word: StrDeserializer<'_, serde::de::value::Error> = self.text(name)?.into_deserializer();
        T::deserialize(word).ok()
    }

    /// The length of the page.
    pub(super) fn limit(&self) -> u32 {
        self.number("limit").and_then(|limit| limit.try_into().ok()).unwrap_or(limits::PAGE_BY_DEFAULT)
    }
}

/// A request that cannot be understood, and where.
pub(super) fn bad_request(detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(ProblemCode::BadRequest, detail))
}

/// The same problem with a status that says more than that of its code.
pub(super) fn with_status(status: StatusCode, mut problem: Box<Problem>) -> Box<Problem> {
    problem.status = status.as_u16();
    problem
}

/// Reads the part of the path that is a parameter.
pub(super) fn segment(parameter: &Parameter, text: &str) -> Result<Value, Box<Problem>> {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    value(parameter.kind, bytes).map_err(|why| bad_request(format!("`{}` in the path {why}", parameter.name)))
}

/// Reads a query. A name that is not among the parameters, or stands there twice, is refused: it is a mistake.
pub(super) fn query(parameters: &'static [Parameter], text: Option<&str>) -> Result<Query, Box<Problem>> {
    let mut query = Query::default();
    for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        let parameter =
            parameters.iter().find(|parameter| parameter.name.as_bytes() == name).ok_or_else(|| {
                let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
                let hint = if known.is_empty() {
                    "this route takes no query".to_owned()
                } else {
                    format!("this route takes {}", known.join(", "))
                };
                let detail = format!("the query has an unknown name `{}`", String::from_utf8_lossy(&name));
                Problem::new(ProblemCode::BadRequest, detail).with_hint(hint)
            })?;
        let value = value(parameter.kind, decoded(text))
            .map_err(|why| bad_request(format!("`{}` in the query {why}", parameter.name)))?;
        if query.0.insert(parameter.name, value).is_some() {
            return Err(bad_request(format!("the query has `{}` twice", parameter.name)));
        }
    }
    Ok(query)
}

/// Reads the headers that are parameters. An empty one says nothing, as browsers have it.
pub(super) fn headers(parameters: &'static [Parameter], headers: &HeaderMap) -> Result<Query, Box<Problem>> {
    let mut query = Query::default();
    for parameter in parameters {
        let mut given = headers.get_all(parameter.name).iter().filter(|value| !value.is_empty());
        let Some(first) = given.next() else { continue };
        let wrong = |why: String| bad_request(format!("the header `{}` {why}", parameter.name));
        if given.next().is_some() {
            return Err(wrong("stands there twice".to_owned()));
        }
        let value = value(parameter.kind, first.as_bytes().to_vec()).map_err(wrong)?;
        query.0.insert(parameter.name, value);
    }
    Ok(query)
}

/// Bytes of a query: percent-encoded, and `+` for a space as web forms have it.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

/// Reads a value of a kind; else what is wrong with it, as the rest of a sentence.
fn value(kind: Kind, bytes: Vec<u8>) -> Result<Value, String> {
    if kind == Kind::Path {
        let path = PathBuf::from(OsString::from_vec(bytes));
        absolute(&path)?;
        return Ok(Value::Path(path));
    }
    let text = String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    let number =
        |least: u64, most: u64| {
            text.parse().ok().filter(|number| (least..=most).contains(number)).map(Value::Number).ok_or_else(
                || format!("is `{}`, not a whole number from {least} to {most}", shortened(&text)),
            )
        };
    match kind {
        Kind::Uuid => {
            text.parse().map(Value::Uuid).map_err(|_why| format!("is `{}`, not a UUID", shortened(&text)))
        }
        Kind::Number => number(0, i64::MAX.unsigned_abs()),
        Kind::Wait => number(0, millis(limits::WAIT)),
        Kind::Limit => number(1, limits::PAGE.into()),
        Kind::Flag => match text.as_str() {
            "true" | "1" => Ok(Value::Flag(true)),
            "false" | "0" => Ok(Value::Flag(false)),
            other => Err(format!("is `{}`, not `true` or `false`", shortened(other))),
        },
        Kind::Word(words) if !words.contains(&text.as_str()) => {
            Err(format!("is `{}`, not one of {}", shortened(&text), words.join(", ")))
        }
        Kind::Text | Kind::Word(_) => Ok(Value::Text(text)),
        // Invariant: paths were read above.
        Kind::Path => Err("is a path".to_owned()),
    }
}

/// Passes a path that the daemon can look at; else what is wrong with it, as the rest of a sentence.
pub(super) fn absolute(path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.is_absolute() {
        Err(format!("is `{}`, not an absolute path", shortened(&path.to_string_lossy())))
    } else if bytes.len() > sync_core::LONGEST_PATH {
        Err(format!("is longer than {} bytes", sync_core::LONGEST_PATH))
    } else if bytes.contains(&0) {
        Err("contains a zero byte".to_owned())
    } else {
        Ok(())
    }
}

/// Passes a wait that the daemon is ready to wait; nothing is no wait.
pub(super) fn wait(wait_ms: Option<u64>) -> Result<Duration, Box<Problem>> {
    longest(wait_ms).map_err(|why| bad_request(format!("`wait_ms` {why}")))
}

/// The same, or only what is wrong with it.
pub(super) fn longest(wait_ms: Option<u64>) -> Result<Duration, String> {
    let wait = Duration::from_millis(wait_ms.unwrap_or(0));
    if wait > limits::WAIT {
        return Err(format!("is {}, more than {}", wait.as_millis(), millis(limits::WAIT)));
    }
    Ok(wait)
}

/// Reads the body of a route that takes one. Where the route takes none, what is sent is not looked at.
pub(super) async fn body(
    document: Option<&Document>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Bytes, Box<Problem>> {
    let too_large = || {
        let detail =
            format!("the body is larger than {} MiB ({} bytes)", limits::BODY / 1024 / 1024, limits::BODY);
        Box::new(Problem::new(ProblemCode::PayloadTooLarge, detail))
    };
    if body.size_hint().lower() > limits::BODY as u64 {
        return Err(too_large());
    }
    let Some(document) = document else { return Ok(Bytes::new()) };
    if !body.is_end_stream() {
        is_json(headers)?;
    }
    let collected = tokio::time::timeout(limits::BODY_TIME, Limited::new(body, limits::BODY).collect())
        .await
        .map_err(|_elapsed| {
            let detail = format!("the body is not complete after {} s", limits::BODY_TIME.as_secs());
            with_status(StatusCode::REQUEST_TIMEOUT, bad_request(detail))
        })?
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                bad_request(format!("the body cannot be read to its end: {}", deepest(error.as_ref())))
            }
        })?
        .to_bytes();
    if document.required && collected.is_empty() {
        return Err(bad_request("the body is empty; a JSON object is expected"));
    }
    Ok(collected)
}

/// What an error comes down to; the HTTP library says no more than that there is one.
fn deepest<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn is_json(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let Some(named) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let named = String::from_utf8_lossy(named.as_bytes());
    let media_type = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" || media_type.ends_with("+json") {
        return Ok(());
    }
    let detail = format!("the body's content type is `{}`, not `application/json`", shortened(&named));
    let problem = Problem::new(ProblemCode::UnsupportedMediaType, detail)
        .with_hint("send the header `Content-Type: application/json`");
    Err(Box::new(problem))
}

/// Reads a JSON object; an empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Problem>> {
    let body = if body.is_empty() { b"{}" } else { body };
    // A struct would be read from an array as well, field by field.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first == b'[') {
        return Err(bad_request("the body is a JSON array; an object is expected"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what =
            if error.is_data() { "the body is not what this route takes" } else { "the body is not JSON" };
        bad_request(format!("{what}: {error}"))
    })
}

fn millis(span: Duration) -> u64 {
    span.as_millis().try_into().unwrap_or(u64::MAX)
}

/// As much of a text as is worth repeating to who sent it.
fn shortened(text: &str) -> String {
    if text.chars().nth(80).is_none() {
        return text.to_owned();
    }
    text.chars().take(80).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter { name: "id", kind: Kind::Uuid, description: "" },
        Parameter { name: "path", kind: Kind::Path, description: "" },
        Parameter { name: "flag", kind: Kind::Flag, description: "" },
        Parameter { name: "limit", kind: Kind::Limit, description: "" },
        Parameter { name: "wait_ms", kind: Kind::Wait, description: "" },
        Parameter { name: "state", kind: Kind::Word(&["dead", "alive"]), description: "" },
    ];

    #[test]
    fn a_query_is_read_by_the_kinds_of_its_parameters() {
        let read = query(
            PARAMETERS,
            Some("id=6B1C1D3E-52a7-4d0c-9f0b-7a5238d1e6c4&flag=true&limit=1000&wait_ms=0&state=dead&&"),
        )
        .expect("a good query");
        assert_eq!(
            read.uuid("id").map(|id| id.to_string()).as_deref(),
            Some("6b1c1d3e-52a7-4d0c-9f0b-7a5238d1e6c4")
        );
        assert!(read.flag("flag"));
        assert_eq!((read.limit(), read.number("wait_ms"), read.text("state")), (1000, Some(0), Some("dead")));
        assert_eq!((query(PARAMETERS, None).expect("none").limit(), read.path("path")), (100, None));
    }

    #[test]
    fn a_path_keeps_its_bytes() {
        let check = |text: &str, expected: &[u8]| {
            let read = query(PARAMETERS, Some(&format!("path={text}"))).expect(text);
            assert_eq!(read.path("path").map(|path| path.as_os_str().as_bytes()), Some(expected), "{text}");
        };
        check("/a%20b+c%2Bd", b"/a b c+d");
        check("/%FF%fe", b"/\xff\xfe");
        check("/100%", b"/100%");
        check("/a=b", b"/a=b");
    }

    #[test]
    fn a_bad_query_is_refused_by_name() {
        let check = |text: &str, words: &str| {
            let problem = query(PARAMETERS, Some(text)).expect_err(text);
            assert_eq!(problem.code, ProblemCode::BadRequest);
            assert!(problem.detail.contains(words), "{text}: {}", problem.detail);
        };
        check("id=1", "`id` in the query is `1`, not a UUID");
        check("id=%ff", "is not UTF-8");
        check("flag=", "is ``, not `true` or `false`");
        check("flag", "not `true` or `false`");
        check("limit=0", "from 1 to 1000");
        check("limit=1001", "from 1 to 1000");
        check("limit=-1", "not a whole number");
        check("limit=1e3", "not a whole number");
        check("wait_ms=600001", "from 0 to 600000");
        check("wait_ms=99999999999999999999999", "from 0 to 600000");
        check("state=x", "is `x`, not one of dead, alive");
        check("path=a", "is `a`, not an absolute path");
        check("path=/a%00", "contains a zero byte");
        check(&format!("path=/{}", "a".repeat(4096)), "longer than 4096 bytes");
        check("flag=true&flag=true", "twice");
        check("=x", "unknown name ``");
        check("Flag=true", "unknown name `Flag`");
        check(&format!("id={}", "x".repeat(500)), &format!("`{}…`", "x".repeat(80)));
    }

    #[test]
    fn a_bad_body_is_refused_with_its_place() {
        let check = |body: &[u8], words: &str| {
            let problem = json::<sync_wire::RegisterRequest>(body).expect_err(words);
            assert_eq!(problem.code, ProblemCode::BadRequest);
            assert!(problem.detail.contains(words), "{}", problem.detail);
        };
        check(b"{", "is not JSON: EOF while parsing an object at line 1 column 1");
        check(b"{}", "missing field `root_path`");
        check(b"[\"/a\"]", "a JSON array; an object is expected");
        check(b"\"x\"", "not what this route takes");
        check(b"{\"root_path\": \"/a\", \"rootpath\": 1}", "unknown field `rootpath`");
        check(b"{\"root_path\": 1}", "invalid type: integer `1`, expected a string at line 1 column 15");
        check(b"{\"root_path\": \"/a\", \"wait_ms\": -1}", "`-1` is no whole number");
        check(b"{\"root_path\": \"/a\", \"root_path\": \"/b\"}", "duplicate field");
        check(b"{\"root_path\": \"\xff\"}", "is not JSON");
        check(b"{\"root_path\": \"/a\"} x", "trailing characters at line 1 column 21");
        check(b"{\"root_path\": \"/a\", \"local_project_uuid\": \"1\"}", "UUID");
        check(format!("{{\"root_path\": {}", "[".repeat(100_000)).as_bytes(), "invalid type");
        check(format!("{{\"x\": {}", "[".repeat(100_000)).as_bytes(), "unknown field");
        assert!(json::<sync_wire::FlushRequest>(b"").is_ok());
    }

    #[test]
    fn nobody_is_waited_for_longer_than_ten_minutes() {
        for (wait_ms, expected) in [(None, Some(0)), (Some(600_000), Some(600_000)), (Some(600_001), None)] {
            assert_eq!(wait(wait_ms).ok(), expected.map(Duration::from_millis));
        }
    }
}
