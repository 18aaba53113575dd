//! Answers one request: faults before the work, the work, faults after it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::{debug, error};
use uuid::Uuid;

use crate::admin;
use crate::answer::Answer;
use crate::apply::{Decided, Parcel, Shape, Submission, Treatment};
use crate::body::{Cut, Outgoing};
use crate::book::Book;
use crate::clock::{now_ms, rfc3339};
use crate::contract::{self, Refusal};
use crate::error::Error;
use crate::fault::{Faults, PoisonedBatch};
use crate::ledger::{Effect, LedgerEntry, Noted};
use crate::plan::{Facts, Instead, Plan, Stage, plan};
use crate::read::{Arrived, arrive, projects};
use crate::route::{Route, Way, way};
use crate::token::tenant_of;
use crate::wire::ResetSwitch;

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) book: Book,
    pub(crate) faults: Faults,
    pub(crate) opaque_tenant: Option<String>,
    /// Only programs of this machine reach it.
    pub(crate) is_local: bool,
    /// The number of the last request.
    pub(crate) last_request: AtomicI64,
}

/// One request on the desk.
struct Case {
    arrived: Arrived,
    way: Way,
    /// The body, where it is JSON.
    json: Option<Result<Value, serde_json::Error>>,
    plan: Plan,
    noted: Noted,
}

/// What the work made of a request.
enum Done {
    /// The book has noted it together with the work.
    Noted(Answer),
    /// Nothing was changed, and what was refused is still to be noted.
    Answered(Answer, Vec<LedgerEntry>),
}

impl Desk {
    /// Answers a request, or says that its connection is to be cut.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        switch: &ResetSwitch,
    ) -> Result<Response<Outgoing>, Cut> {
        let arrived = arrive(request).await.map_err(|error| {
            debug!(%error, "a request ended before its body");
            Cut
        })?;
        if arrived.path.starts_with("/_") {
            let answer = admin::answer(self, &arrived).await.unwrap_or_else(|error| broken(&error));
            return Ok(respond(answer, &Plan::default()));
        }
        let mut case = self.open(arrived);
        match self.carry_through(&mut case).await {
            Ok(Some(answer)) => Ok(respond(answer, &case.plan)),
            Ok(None) => {
                switch.pull();
                Err(Cut)
            }
            Err(error) => Ok(respond(broken(&error), &Plan::default())),
        }
    }

    /// Numbers the request and draws up what will befall it.
    fn open(&self, arrived: Arrived) -> Case {
        let now = now_ms();
        let target = arrived.target();
        let way = way(&arrived.path);
        let json =
            arrived.body.as_ref().filter(|body| !body.is_empty()).map(|body| serde_json::from_slice(body));
        let told = match &json {
            Some(Ok(body)) => projects(body),
            Some(Err(_)) | None => &[],
        };
        let names: Vec<String> = told
            .iter()
            .map(|project| project.get("project_name").and_then(Value::as_str).unwrap_or_default().to_owned())
            .collect();
        let facts = Facts {
            method: arrived.method.as_str(),
            path: &target,
            to_sync: matches!(way, Way::To(Route::Sync)),
            token: arrived.token(),
            body_bytes: arrived.body_bytes,
            names: &names,
            now_ms: now,
        };
        let plan = self.faults.befall(|rules| plan(rules, &facts));
        let noted = Noted {
            number: self.last_request.fetch_add(1, Ordering::Relaxed) + 1,
            at_ms: now,
            tenant: tenant_of(arrived.token(), self.opaque_tenant.as_deref(), now).ok(),
            method: arrived.method.to_string(),
            projects: names.len(),
            body_bytes: arrived.body_bytes,
            key: arrived.header("idempotency-key").map(str::to_owned),
            faults: plan.faults.join(","),
            path: target,
        };
        Case { arrived, way, json, plan, noted }
    }

    /// The answer; none where the connection is to be reset.
    async fn carry_through(&self, case: &mut Case) -> Result<Option<Answer>, Error> {
        let before = std::mem::take(&mut case.plan.before);
        if before.waits() {
            self.note(case, None).await?;
            self.wait(&before).await;
        }
        if before.reset {
            self.note(case, None).await?;
            return Ok(None);
        }
        if let Some(Instead::Answer(answer)) = before.instead {
            self.note(case, Some(answer.status.as_u16())).await?;
            return Ok(Some(answer));
        }
        let answer = match self.work(case).await? {
            Done::Noted(answer) => answer,
            Done::Answered(answer, refused) => {
                let status = case.plan.shown().of(answer.status.as_u16());
                self.book.note(case.noted.clone(), status, refused).await?;
                answer
            }
        };
        let after = std::mem::take(&mut case.plan.after);
        self.wait(&after).await;
        if after.reset {
            return Ok(None);
        }
        let answer = match after.instead {
            None => answer,
            Some(Instead::Answer(instead)) => instead,
            Some(Instead::Emptied) => Answer { body: Bytes::new(), ..answer },
            Some(Instead::Under(status)) => Answer { status, ..answer },
        };
        if after.hang.is_some() {
            self.note(case, Some(answer.status.as_u16())).await?;
        }
        Ok(Some(answer))
    }

    async fn note(&self, case: &Case, status: Option<u16>) -> Result<(), Error> {
        self.book.note(case.noted.clone(), status, Vec::new()).await
    }

    async fn wait(&self, stage: &Stage) {
        if stage.delay_ms > 0 {
            sleep(Duration::from_millis(stage.delay_ms)).await;
        }
        if let Some(rule) = stage.hang {
            self.faults.removed(rule).await;
        }
    }

    /// The true answer, in the order in which Django and its framework check a request.
    async fn work(&self, case: &mut Case) -> Result<Done, Error> {
        let plain = |answer| Ok(Done::Answered(answer, Vec::new()));
        let arrived = &case.arrived;
        if arrived.body.is_none() {
            return plain(Answer::too_large());
        }
        let route = match case.way {
            Way::To(route) => route,
            Way::Unknown => return plain(Answer::no_such_path()),
            Way::SlashMissing => {
                let query = arrived.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
                let to = format!("{}/{query}", arrived.path);
                return plain(Answer::moved(StatusCode::MOVED_PERMANENTLY, &to));
            }
        };
        let tenant = match tenant_of(arrived.token(), self.opaque_tenant.as_deref(), case.noted.at_ms) {
            Ok(tenant) => tenant,
            Err(why) => return plain(Answer::unauthorized(why)),
        };
        if arrived.method != route.method() {
            let allowed = if route.method() == Method::GET { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" };
            return plain(Answer::wrong_method(arrived.method.as_str(), allowed));
        }
        if let Err(why) = machine(arrived.header("x-machine-uuid"), "X-Machine-UUID header") {
            return plain(Answer::detail(StatusCode::BAD_REQUEST, &why));
        }
        match route {
            Route::Register => self.register(case, tenant, Shape::Single).await,
            Route::Sync => self.register(case, tenant, Shape::Batch).await,
            Route::ByLocal(local) => {
                match machine(arrived.parameter("machine_uuid").as_deref(), "machine_uuid parameter") {
                    Ok(machine) => {
                        let key = (machine.to_string(), local.to_string());
                        plain(found(self.book.by_local(tenant, key).await?))
                    }
                    Err(why) => plain(Answer::detail(StatusCode::BAD_REQUEST, &why)),
                }
            }
            Route::Status(cloud) => plain(found(self.book.by_cloud(tenant, cloud.to_string()).await?)),
        }
    }

    async fn register(&self, case: &mut Case, tenant: String, shape: Shape) -> Result<Done, Error> {
        let plain = |answer| Ok(Done::Answered(answer, Vec::new()));
        if !case.arrived.says_json() {
            let given = case.arrived.header("content-type").unwrap_or_default();
            let text = format!("Unsupported media type \"{given}\" in request.");
            return plain(Answer::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text));
        }
        let body = match case.json.take() {
            Some(Ok(body)) => body,
            Some(Err(error)) => {
                let text = format!("JSON parse error - {error}");
                return plain(Answer::detail(StatusCode::BAD_REQUEST, &text));
            }
            None => json!({}),
        };
        let read = match shape {
            Shape::Single => contract::single(&body),
            Shape::Batch => contract::batch(&body),
        };
        let mut registrations = match read {
            Ok(registrations) => registrations,
            Err(refusal) => return Ok(refused(case, &tenant, StatusCode::BAD_REQUEST, &refusal)),
        };
        if let Some((status, refusal)) = poisoned(&case.plan, &body, shape) {
            return Ok(refused(case, &tenant, status, &refusal));
        }
        if shape == Shape::Single
            && let Some(revision) = case.arrived.header("x-registration-revision")
        {
            let Ok(revision) = revision.parse() else {
                let text = "X-Registration-Revision header: a valid integer is required.";
                return plain(Answer::detail(StatusCode::BAD_REQUEST, text));
            };
            for registration in &mut registrations {
                registration.revision = Some(revision);
            }
        }
        let mut parcels: Vec<Parcel> = registrations
            .into_iter()
            .map(|registration| Parcel { registration, treatment: Treatment::Take })
            .collect();
        case.plan.treat(&mut parcels);
        let submission = Submission {
            tenant,
            shape,
            parcels,
            later: case.plan.later,
            request: case.noted.clone(),
            shown: case.plan.shown(),
        };
        let Decided { status, body } = self.book.apply(submission).await?;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(Done::Noted(Answer::typed(status, "application/json", body)))
    }
}

/// A machine's UUID from where it must be.
fn machine(given: Option<&str>, place: &str) -> Result<Uuid, String> {
    let given = given.ok_or_else(|| format!("{place} is required."))?;
    Uuid::try_parse(given).map_err(|_not_one| format!("{place}: must be a valid UUID."))
}

fn found(project: Option<crate::project::Project>) -> Answer {
    let now = now_ms();
    match project {
        Some(project) if !(project.hidden && project.pending(now)) => {
            Answer::json(StatusCode::OK, &project.as_answer(now))
        }
        Some(_) | None => Answer::no_such_project(),
    }
}

/// The refusal of a whole request by a poisoned name; an item's error is the book's business.
fn poisoned(plan: &Plan, body: &Value, shape: Shape) -> Option<(StatusCode, Refusal)> {
    let named =
        |project: &Value, name: &str| project.get("project_name").and_then(Value::as_str) == Some(name);
    for (name, batch) in &plan.poisoned {
        let status = match (shape, batch) {
            (Shape::Single, _) | (Shape::Batch, PoisonedBatch::Refused) => StatusCode::BAD_REQUEST,
            (Shape::Batch, PoisonedBatch::Crashed) => StatusCode::INTERNAL_SERVER_ERROR,
            (Shape::Batch, PoisonedBatch::ItemError) => continue,
        };
        let told = projects(body);
        let offending: Vec<Value> = told.iter().filter(|project| named(project, name)).cloned().collect();
        if offending.is_empty() {
            continue;
        }
        let why = |project: &Value| {
            if named(project, name) {
                json!({"project_name": ["This project could not be registered."]})
            } else {
                json!({})
            }
        };
        let errors = match shape {
            Shape::Single => told.first().map(why).unwrap_or_default(),
            Shape::Batch => json!({"projects": told.iter().map(why).collect::<Vec<_>>()}),
        };
        return Some((status, Refusal { errors, offending }));
    }
    None
}

/// A refusal, with a ledger entry for each project that was the reason.
fn refused(case: &Case, tenant: &str, status: StatusCode, refusal: &Refusal) -> Done {
    let text = |project: &Value, field: &str| project.get(field).and_then(Value::as_str).map(str::to_owned);
    let entry = |project: &Value| LedgerEntry {
        id: 0,
        time: rfc3339(case.noted.at_ms),
        tenant: tenant.to_owned(),
        machine_uuid: text(project, "machine_uuid"),
        route: if let Way::To(route) = case.way { route.name() } else { "" }.to_owned(),
        local_project_uuid: text(project, "local_project_uuid"),
        project_name: text(project, "project_name"),
        root_path: text(project, "root_path"),
        content_hash: text(project, "content_hash"),
        cloud_uuid: None,
        idempotency_key: case.noted.key.clone(),
        revision: project.get("revision").and_then(Value::as_i64),
        effect: Effect::Refused,
        request: case.noted.number,
    };
    let entries = refusal.offending.iter().map(entry).collect();
    let answer = if status.is_server_error() {
        Answer::typed(
            status,
            "text/html",
            "<!doctype html>\n<title>Server Error (500)</title>\n<h1>Server Error (500)</h1>\n",
        )
    } else {
        Answer::json(status, &refusal.errors)
    };
    Done::Answered(answer, entries)
}

/// The dev cloud's own failure, told as a server tells it.
fn broken(error: &Error) -> Answer {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    error!(%cause, "failed to {error}");
    Answer::detail(StatusCode::INTERNAL_SERVER_ERROR, &format!("the dev cloud failed to {error}: {cause}"))
}

fn respond(answer: Answer, plan: &Plan) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::new(answer.body, plan.bytes_per_second, plan.cut_after));
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.headers);
    response
}
