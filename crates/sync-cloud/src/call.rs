//! The contract's four calls: what is put into a request, and who reads its answer.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde_json::{Map, Value};
use sync_core::{Answer, CloudId, Hints, LocalId, LookUp, Registration, Revision, Timestamp};
use uuid::Uuid;

use crate::client::Cloud;
use crate::credential::Token;
use crate::exchange::{Exchange, exchange};
use crate::{body, read};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const MACHINE: HeaderName = HeaderName::from_static("x-machine-uuid");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REVISION: HeaderName = HeaderName::from_static("x-registration-revision");

/// A registration on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// What is sent.
    pub registration: Registration,
    /// The same on every resend of this content; sent as `Idempotency-Key` where the registration goes alone.
    pub key: Uuid,
    /// Sent as `X-Registration-Revision` where the registration goes alone.
    pub revision: Revision,
}

/// What a registration or a batch came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// To be judged by the core.
    pub answer: Answer,
    /// What the cloud asked of its daemons; only a 2xx can.
    pub hints: Hints,
    /// From the call to the answer.
    pub took: Duration,
    /// The answer's own date, to notice a clock that is wrong.
    pub date: Option<Timestamp>,
}

/// What a look-up came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookUpReply {
    /// Found, unknown, or an answer to be judged by the core.
    pub look_up: LookUp,
    /// All that the cloud said of a project it found, where it was asked by its UUID in the cloud.
    pub told: Option<Told>,
    /// What the cloud asked of its daemons; only a 2xx can.
    pub hints: Hints,
    /// From the call to the answer.
    pub took: Duration,
    /// The answer's own date.
    pub date: Option<Timestamp>,
}

/// An answer about one project, for somebody who may read in it what we do not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// The project's UUID on the machine it is on, where the cloud named it.
    pub local: Option<LocalId>,
    /// The whole answer.
    pub fields: Map<String, Value>,
}

impl Cloud {
    /// Registers many projects in one request, under the batch's own `key`.
    pub async fn sync(&self, token: Option<&Token>, batch: &[Outgoing], key: Uuid) -> Reply {
        let body = if batch.is_empty() {
            Err("there is nothing to send".to_owned())
        } else {
            body::many(batch).map_err(|failure| failure.to_string())
        };
        let request = body.and_then(|body| self.post(&["sync"], token, key, body));
        let asked: Vec<LocalId> = batch.iter().map(|each| each.registration.local).collect();
        self.flight(request, |exchange| read::batch(exchange, &asked)).await
    }

    /// Registers one project.
    pub async fn register(&self, token: Option<&Token>, one: &Outgoing) -> Reply {
        let request = body::one(one)
            .map_err(|failure| failure.to_string())
            .and_then(|body| self.post(&["register"], token, one.key, body))
            .map(|mut request| {
                request.headers_mut().insert(REVISION, HeaderValue::from(one.revision.0));
                request
            });
        self.flight(request, |exchange| read::single(exchange, one.registration.local)).await
    }

    /// Asks for the cloud's UUID of a project on this machine.
    pub async fn by_local_uuid(&self, token: Option<&Token>, local: LocalId) -> LookUpReply {
        let mut address = self.address(&["by-local-uuid", &local.to_string()]);
        address.query_pairs_mut().append_pair("machine_uuid", &self.settings.machine.to_string());
        let request = self.request(Method::GET, address, token);
        self.look_up(request, |exchange| (read::look_up(exchange, read::Asked::Local(local)), None)).await
    }

    /// Asks where a registration stands.
    pub async fn registration_status(&self, token: Option<&Token>, cloud: CloudId) -> LookUpReply {
        let address = self.address(&[&cloud.to_string(), "registration-status"]);
        let request = self.request(Method::GET, address, token);
        self.look_up(request, |exchange| {
            let look_up = read::look_up(exchange, read::Asked::Cloud(cloud));
            let told = matches!(look_up, LookUp::Found(_)).then(|| read::told(exchange)).flatten();
            (look_up, told)
        })
        .await
    }

    async fn flight(
        &self,
        request: Result<Request, String>,
        read: impl FnOnce(&Exchange) -> Answer,
    ) -> Reply {
        let started = tokio::time::Instant::now();
        match exchange(self, request).await {
            Ok(exchange) => Reply {
                answer: read(&exchange),
                hints: exchange.hints(),
                took: started.elapsed(),
                date: exchange.date(),
            },
            Err(answer) => Reply { answer, hints: Hints::default(), took: started.elapsed(), date: None },
        }
    }

    async fn look_up(
        &self,
        request: Result<Request, String>,
        read: impl FnOnce(&Exchange) -> (LookUp, Option<Told>),
    ) -> LookUpReply {
        let started = tokio::time::Instant::now();
        match exchange(self, request).await {
            Ok(exchange) => {
                let (look_up, told) = read(&exchange);
                LookUpReply {
                    look_up,
                    told,
                    hints: exchange.hints(),
                    took: started.elapsed(),
                    date: exchange.date(),
                }
            }
            Err(answer) => LookUpReply {
                look_up: LookUp::Failed(answer),
                told: None,
                hints: Hints::default(),
                took: started.elapsed(),
                date: None,
            },
        }
    }

    fn post(
        &self,
        path: &[&str],
        token: Option<&Token>,
        key: Uuid,
        body: Vec<u8>,
    ) -> Result<Request, String> {
        let mut request = self.request(Method::POST, self.address(path), token)?;
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(IDEMPOTENCY_KEY, uuid_header(key)?);
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// A request with what all four have in common; the words of the failure never hold the token.
    fn request(
        &self,
        method: Method,
        address: reqwest::Url,
        token: Option<&Token>,
    ) -> Result<Request, String> {
        self.check_transport(token.is_some()).map_err(|refusal| format!("refused to {refusal}"))?;
        let mut request = Request::new(method, address);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, JSON);
        headers.insert(MACHINE, uuid_header(self.settings.machine.0)?);
        if let Some(token) = token {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_value| "the token is no header value".to_owned())?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }
}

fn uuid_header(uuid: Uuid) -> Result<HeaderValue, String> {
    HeaderValue::try_from(uuid.as_hyphenated().to_string()).map_err(|failure| failure.to_string())
}
