//! Each fault, as the client meets it and as the ledger tells it.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use coditect_devcloud::{Canned, DevCloud, Effect, Fault, PoisonedBatch, Rule};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

/// Registers `alpha` under a fault and tells the answer, and what became of the project.
async fn alpha_under(rule: Rule) -> (Reply, Vec<Effect>) {
    let cloud = cloud_with(rule).await;
    let answer = register(&project("alpha")).of(&cloud).await;
    assert_eq!(statuses(&cloud, 1).await, [Some(answer.status)], "the log has the status that was seen");
    (answer, effects(&cloud).await.into_iter().map(|(_, effect)| effect).collect())
}

#[tokio::test]
async fn an_answer_can_be_replaced_before_or_after_the_work() {
    let check = async |fault: Fault, status: u16, body: &str| {
        let (answer, effects) = alpha_under(Rule::new(fault.clone())).await;
        assert_eq!((answer.status, answer.body.contains(body)), (status, true), "{fault:?}: {answer:?}");
        assert_eq!(effects, [], "{fault:?}");
        let (answer, effects) = alpha_under(Rule::new(fault.clone()).after_work()).await;
        let status = if fault == Fault::EmptyBody { 201 } else { status };
        assert_eq!((answer.status, answer.body.contains(body)), (status, true), "{fault:?}: {answer:?}");
        assert_eq!(effects, [Effect::Created], "{fault:?}");
    };
    check(Fault::status(503), 503, "<h1>503 Service Unavailable</h1>").await;
    check(Fault::status(429), 429, "{\"detail\":\"Too Many Requests\"}").await;
    let body = Some("teapot".to_owned());
    check(Fault::Status(Canned { code: 418, body, ..Canned::default() }), 418, "teapot").await;
    check(Fault::HtmlPage, 200, "<h1>Sign in").await;
    check(Fault::EmptyBody, 200, "").await;
    check(Fault::OtherJson { body: None }, 200, "{\"hello\":\"world\"}").await;
    check(Fault::OtherJson { body: Some(json!([1])) }, 200, "[1]").await;
    check(Fault::Redirect { to: "http://elsewhere/".to_owned(), code: 302 }, 302, "").await;
    check(Fault::Unauthorized { unless_token: None }, 401, "token_not_valid").await;
    check(Fault::TooLarge { above_bytes: 10 }, 413, "Too Large").await;
}

#[tokio::test]
async fn an_empty_body_is_empty() {
    let (answer, _) = alpha_under(Rule::new(Fault::EmptyBody)).await;
    assert_eq!((answer.body.as_str(), answer.header("content-length")), ("", "0"));
}

#[tokio::test]
async fn a_true_answer_can_come_under_another_status() {
    let (answer, effects) = alpha_under(Rule::new(Fault::AnotherStatus { code: 207 })).await;
    assert_eq!((answer.status, answer.json()["project_name"].is_null()), (207, true), "{answer:?}");
    assert!(answer.json()["cloud_uuid"].is_string(), "{answer:?}");
    assert_eq!(effects, [Effect::Created]);
}

#[tokio::test]
async fn a_redirect_says_where_to() {
    let fault = Fault::Redirect { to: "http://elsewhere/".to_owned(), code: 308 };
    let (answer, _) = alpha_under(Rule::new(fault)).await;
    assert_eq!((answer.status, answer.header("location")), (308, "http://elsewhere/"));
}

#[tokio::test]
async fn a_wait_is_told_in_seconds_or_as_a_date() {
    let (answer, _) = alpha_under(Rule::new(Fault::retry_after(429, "120"))).await;
    assert_eq!(answer.header("retry-after"), "120");

    let dated = Canned { code: 503, retry_after_date_in: Some(3600), ..Canned::default() };
    let (answer, _) = alpha_under(Rule::new(Fault::Status(dated))).await;
    let parse = |text: &str| {
        let format = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        time::PrimitiveDateTime::parse(text, format).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let ahead = parse(answer.header("retry-after")) - parse(answer.header("date"));
    assert_eq!(ahead.whole_seconds(), 3600);

    let headers = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("x-spread", "9")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let (answer, _) =
        alpha_under(Rule::new(Fault::Status(Canned { code: 503, headers, ..Canned::default() }))).await;
    assert_eq!((answer.header("date"), answer.header("x-spread")), ("Sun, 06 Nov 1994 08:49:37 GMT", "9"));
}

#[tokio::test]
async fn a_rule_befalls_only_its_requests_and_wears_off() {
    let cloud = cloud_with(Rule::new(Fault::status(503)).on_path("/sync/").on_method("post").times(2)).await;
    let mut seen = Vec::new();
    for ask in [register(&project("alpha")), by_local(LOCAL)] {
        seen.push(ask.of(&cloud).await.status);
    }
    for _ in 0..3 {
        seen.push(sync(&batch(&["beta"])).of(&cloud).await.status);
    }
    assert_eq!(seen, [201, 404, 503, 503, 200]);
    assert!(cloud.faults().standing()[0].worn_off());
}

#[tokio::test]
async fn rules_add_up_until_one_ends_the_request() {
    let cloud = cloud().await;
    let rules = vec![
        Rule::new(Fault::Latency { ms: 30 }),
        Rule::new(Fault::TooLarge { above_bytes: 1_000_000 }),
        Rule::new(Fault::Reset).after_work(),
        Rule::new(Fault::status(500)).times(1),
        Rule::new(Fault::status(503)),
    ];
    cloud.faults().replace(rules).expect("the rules are good ones");
    assert_eq!(register(&project("alpha")).of(&cloud).await.status, 500);
    assert_eq!(register(&project("alpha")).of(&cloud).await.status, 503);
    let used: Vec<u64> = cloud.faults().standing().iter().map(|standing| standing.used).collect();
    assert_eq!(used, [2, 0, 0, 1, 1]);
    let requests = cloud.requests(0).await.expect("the requests can be read");
    assert_eq!(requests[1].faults, "latency,status");
}

#[tokio::test]
async fn a_late_answer_is_late() {
    for rule in [Rule::new(Fault::Latency { ms: 80 }), Rule::new(Fault::Latency { ms: 80 }).after_work()] {
        let cloud = cloud_with(rule).await;
        let (answer, took) = timed(&register(&project("alpha")), &cloud).await;
        assert_eq!(answer.status, 201);
        assert!(took >= Duration::from_millis(80), "{took:?}");
    }
}

#[tokio::test]
async fn a_hanging_request_goes_on_when_its_rule_is_removed() {
    let check = async |after_work: bool, meanwhile: usize| {
        let cloud = cloud().await;
        let rule = Rule { after_work, ..Rule::new(Fault::Hang).on_path("/register/") };
        let id = cloud.faults().add(rule).expect("the rule is a good one");
        let alpha = register(&project("alpha"));
        let release = async {
            assert_eq!(statuses(&cloud, 1).await, [None], "a hanging request is noted without a status");
            assert_eq!(effects(&cloud).await.len(), meanwhile);
            assert_eq!(by_local(LOCAL).of(&cloud).await.status, 404, "others are answered meanwhile");
            cloud.faults().remove(id);
        };
        let (answer, ()) = tokio::join!(alpha.of(&cloud), release);
        assert_eq!(answer.status, 201);
        assert_eq!(statuses(&cloud, 2).await, [Some(201), Some(404)]);
    };
    check(false, 0).await;
    check(true, 1).await;
}

#[tokio::test]
async fn a_dev_cloud_stops_although_a_request_hangs() {
    let cloud = cloud_with(Rule::new(Fault::Hang)).await;
    let mut stream = TcpStream::connect(cloud.address()).await.expect("it listens");
    register(&project("alpha")).send(&mut stream, "keep-alive").await.expect("it reads");
    statuses(&cloud, 1).await;
    tokio::time::timeout(PATIENCE, cloud.stop()).await.expect("it stops in time").expect("it stops in order");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_connection_can_be_reset_before_or_after_the_work() {
    let check = async |rule: Rule, expected: &[Effect]| {
        let cloud = cloud_with(rule.times(1)).await;
        let alpha = register(&project("alpha")).key("k");
        let error = alpha.try_of(&cloud).await.expect_err("there is no answer");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(statuses(&cloud, 1).await, [None]);
        let told: Vec<Effect> = effects(&cloud).await.into_iter().map(|(_, effect)| effect).collect();
        assert_eq!(told, expected);
        assert_eq!(alpha.of(&cloud).await.status, 201, "the key is answered as if nothing had been cut");
    };
    check(Rule::new(Fault::Reset), &[]).await;
    check(Rule::new(Fault::Reset).after_work(), &[Effect::Created]).await;
}

#[tokio::test]
async fn only_the_given_token_passes() {
    let good = "Bearer the-good-one";
    let cloud =
        cloud_with(Rule::new(Fault::Unauthorized { unless_token: Some("the-good-one".to_owned()) })).await;
    assert_eq!(register(&project("alpha")).of(&cloud).await.status, 401);
    assert_eq!(register(&project("alpha")).header("authorization", good).of(&cloud).await.status, 201);
    assert_eq!(cloud.faults().standing()[0].used, 1, "a token that passes uses nothing up");
}

#[tokio::test]
async fn a_body_up_to_the_size_passes() {
    let alpha = project("alpha");
    let length = alpha.to_string().len();
    let check = async |above_bytes: usize, expected: u16| {
        let (answer, _) = alpha_under(Rule::new(Fault::TooLarge { above_bytes })).await;
        assert_eq!(answer.status, expected);
    };
    check(length, 201).await;
    check(length - 1, 413).await;
}

fn poisoned(batch: PoisonedBatch) -> Rule {
    Rule::new(Fault::PoisonedName { name: "bad".to_owned(), batch })
}

#[tokio::test]
async fn a_poisoned_name_is_not_taken() {
    let cloud = cloud_with(poisoned(PoisonedBatch::Refused)).await;
    assert_eq!(register(&project("alpha")).of(&cloud).await.status, 201);
    let refused = register(&project("bad")).of(&cloud).await;
    let why = json!({"project_name": ["This project could not be registered."]});
    assert_eq!((refused.status, refused.json()), (400, why));
    let told = [("alpha", Effect::Created), ("bad", Effect::Refused)];
    assert_eq!(effects(&cloud).await, told.map(|(name, effect)| (name.to_owned(), effect)));
}

#[tokio::test]
async fn a_batch_with_a_poisoned_name_fails_whole_or_in_part() {
    let check =
        async |batch_fault: PoisonedBatch, status: u16, told: &[(&str, Effect)], results: &[Value]| {
            let cloud = cloud_with(poisoned(batch_fault)).await;
            let sent = sync(&batch(&["alpha", "bad", "beta"])).key("k");
            let answer = sent.of(&cloud).await;
            assert_eq!(answer.status, status);
            let effects = effects(&cloud).await;
            assert_eq!(
                effects.iter().map(|(name, effect)| (name.as_str(), *effect)).collect::<Vec<_>>(),
                told
            );
            if status == 200 {
                let body = answer.json();
                let listed = body["results"].as_array().expect("there are results");
                assert_eq!(listed.iter().map(|result| result["status"].clone()).collect::<Vec<_>>(), results);
                assert_eq!(listed[1].get("cloud_uuid"), None);
            }
            cloud.faults().clear();
            let again = sent.of(&cloud).await.json();
            assert!(
                again["results"].as_array().is_some_and(|results| results.len() == 3
                    && results.iter().all(|result| result["cloud_uuid"].is_string())),
                "the key is not used up: {again}"
            );
        };
    let refused = ("bad", Effect::Refused);
    check(PoisonedBatch::Refused, 400, &[refused], &[]).await;
    check(PoisonedBatch::Crashed, 500, &[refused], &[]).await;
    let told = [("alpha", Effect::Created), refused, ("beta", Effect::Created)];
    check(PoisonedBatch::ItemError, 200, &told, &[json!("created"), json!("error"), json!("created")]).await;
}

#[tokio::test]
async fn results_can_be_left_out() {
    let check = async |rule: Rule, left: &[&str], effect: Effect| {
        let names = ["a", "b", "c", "d"];
        let cloud = cloud_with(rule.times(1)).await;
        let sent = sync(&batch(&names)).key("k");
        let body = sent.of(&cloud).await.json();
        let told: Vec<_> = body["results"]
            .as_array()
            .expect("there are results")
            .iter()
            .map(|result| result["local_project_uuid"].clone())
            .collect();
        let expected: Vec<_> = names
            .iter()
            .filter(|name| !left.contains(name))
            .map(|name| project(name)["local_project_uuid"].clone())
            .collect();
        assert_eq!(told, expected);
        for (name, told) in effects(&cloud).await {
            assert_eq!(told, if left.contains(&name.as_str()) { effect } else { Effect::Created }, "{name}");
        }
        let again = sent.of(&cloud).await.json();
        assert_eq!(again["results"].as_array().map(Vec::len), Some(4), "the key is not used up");
    };
    let named = Fault::LeftOut { name: Some("b".to_owned()), every: None };
    check(Rule::new(named.clone()), &["b"], Effect::Refused).await;
    check(Rule::new(named).after_work(), &["b"], Effect::Created).await;
    let every = Fault::LeftOut { name: None, every: Some(2) };
    check(Rule::new(every), &["b", "d"], Effect::Refused).await;
}

#[tokio::test]
async fn an_older_deployment_has_no_sync() {
    for code in [404, 405] {
        let cloud = cloud_with(Rule::new(Fault::NoSync { code })).await;
        assert_eq!(sync(&batch(&["alpha"])).of(&cloud).await.status, code);
        assert_eq!(register(&project("alpha")).of(&cloud).await.status, 201);
    }
}

/// Longer than any test runs.
const AN_HOUR_MS: u64 = 3_600_000;

fn accepted(registered_after_ms: u64, hidden: bool) -> Rule {
    Rule::new(Fault::Accepted { registered_after_ms, hidden })
}

#[tokio::test]
async fn an_accepted_project_is_pending_until_it_is_registered() {
    let cloud = cloud_with(accepted(AN_HOUR_MS, false).times(2)).await;
    let answer = register(&project("alpha")).of(&cloud).await;
    assert_eq!((answer.status, &answer.json()["registration_status"]), (202, &json!("pending")));
    assert_eq!(answer.json().get("registered_at"), None);
    assert_eq!(status(&answer.cloud_uuid()).of(&cloud).await.json(), answer.json());
    let answer = sync(&batch(&["beta"])).of(&cloud).await;
    assert_eq!((answer.status, &answer.json()["results"][0]["status"]), (202, &json!("pending")));

    cloud.faults().add(accepted(20, false)).expect("the rule is a good one");
    let answer = register(&project("gamma")).of(&cloud).await;
    assert_eq!(answer.status, 202);
    wait_until_registered(&status(&answer.cloud_uuid()), &cloud).await;
}

#[tokio::test]
async fn a_hidden_project_is_found_only_when_it_is_registered() {
    let cloud = cloud_with(accepted(AN_HOUR_MS, true).times(1)).await;
    let alpha = project("alpha");
    let answer = register(&alpha).of(&cloud).await;
    assert_eq!((answer.status, answer.json().get("cloud_uuid")), (202, None));
    assert_eq!(by_local(local_of(&alpha)).of(&cloud).await.status, 404);

    cloud.faults().add(accepted(20, true)).expect("the rule is a good one");
    let beta = project("beta");
    assert_eq!(register(&beta).of(&cloud).await.status, 202);
    wait_until_registered(&by_local(local_of(&beta)), &cloud).await;
}

#[tokio::test]
async fn what_is_refused_is_said_although_the_rest_is_hidden() {
    let cloud = cloud_with(accepted(AN_HOUR_MS, true)).await;
    cloud.faults().add(poisoned(PoisonedBatch::ItemError)).expect("the rule is a good one");
    let answer = sync(&batch(&["alpha", "bad"])).of(&cloud).await;
    let results = &answer.json()["results"];
    assert_eq!((answer.status, &results[1]["status"]), (202, &json!("error")));
    assert_eq!(results[0]["status"], json!("pending"));
}

#[tokio::test]
async fn a_slow_body_trickles_and_arrives_whole() {
    let cloud = cloud_with(Rule::new(Fault::SlowBody { bytes_per_second: 2000 })).await;
    let (answer, took) = timed(&register(&project("alpha")), &cloud).await;
    assert!(answer.is_whole(), "{answer:?}");
    let expected = Duration::from_millis(answer.body.len() as u64 / 2 - 50);
    assert!(took >= expected, "{took:?} for {} bytes", answer.body.len());
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_its_head_says() {
    for bytes in [0, 10] {
        let (answer, effects) = alpha_under(Rule::new(Fault::TruncatedBody { bytes })).await;
        assert_eq!((answer.status, answer.body.len(), answer.is_whole()), (201, bytes, false));
        assert_eq!(effects, [Effect::Created]);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_work() {
    let cloud = cloud_with(Rule::new(Fault::Hang).after_work()).await;
    let mut stream = TcpStream::connect(cloud.address()).await.expect("it listens");
    register(&project("alpha")).send(&mut stream, "keep-alive").await.expect("it reads");
    stream.shutdown().await.expect("it can be hung up");
    drop(stream);
    statuses(&cloud, 1).await;
    assert_eq!(effects(&cloud).await, [("alpha".to_owned(), Effect::Created)]);
}

async fn wait_until_registered(ask: &Ask, cloud: &DevCloud) {
    let seen = async { while ask.of(cloud).await.json()["registration_status"] != json!("registered") {} };
    tokio::time::timeout(PATIENCE, seen).await.expect("the project is registered in time");
}

#[expect(clippy::disallowed_methods, reason = "how long an answer took is what is tested")]
async fn timed(ask: &Ask, cloud: &DevCloud) -> (Reply, Duration) {
    let sent = Instant::now();
    let answer = ask.of(cloud).await;
    (answer, sent.elapsed())
}
