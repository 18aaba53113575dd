//! Tables and arbitrary JSON against the reading of answers.

use proptest::prelude::*;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::json;

use super::*;

const A: LocalId = LocalId(Uuid::from_u128(0xa));
const B: LocalId = LocalId(Uuid::from_u128(0xb));
const STRANGER: LocalId = LocalId(Uuid::from_u128(0xf));
const CLOUD: CloudId = CloudId(Uuid::from_u128(0xc1));
const OTHER_CLOUD: CloudId = CloudId(Uuid::from_u128(0xc2));

#[test]
fn a_single_answer_is_believed_only_with_a_uuid_for_the_project_that_was_sent() {
    let registered = Answer::Registered(known(""));
    for (status, body, expected) in [
        (200, json!({"cloud_uuid": CLOUD.to_string()}), registered.clone()),
        (
            201,
            json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": A.to_string()}),
            registered.clone(),
        ),
        (
            200,
            json!({"cloud_uuid": CLOUD.0.simple().to_string(), "local_project_uuid": null}),
            registered.clone(),
        ),
        (200, json!({"cloud_uuid": CLOUD.to_string(), "error": "", "unknown": [1]}), registered),
        (200, json!({"cloud_uuid": CLOUD.to_string(), "registration_status": "pending"}), {
            Answer::Registered(known("pending"))
        }),
        (
            202,
            json!({"cloud_uuid": CLOUD.to_string(), "status": "queued"}),
            Answer::Accepted(Some(known("queued"))),
        ),
        (202, json!({"task": 5}), Answer::Accepted(None)),
        (202, json!({"status": 422, "error": "no"}), Answer::Accepted(None)),
        (
            202,
            json!({"local_project_uuid": A.to_string(), "status": 422, "error": "no"}),
            Answer::Results(vec![ItemResult { local: A, outcome: ItemOutcome::Rejected("no".to_owned()) }]),
        ),
        (202, json!({"cloud_uuid": null}), Answer::Accepted(None)),
    ] {
        assert_eq!(single(&answered(status, &body.to_string()), A), expected, "{status} {body}");
    }
}

#[test]
fn a_single_answer_of_any_other_shape_is_suspect() {
    let local = |id: LocalId| json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": id.to_string()});
    for (status, body) in [
        (200, String::new()),
        (200, " \n".to_owned()),
        (204, String::new()),
        (203, local(A).to_string()),
        (206, local(A).to_string()),
        (200, "null".to_owned()),
        (200, "[1,2]".to_owned()),
        (200, "\"text\"".to_owned()),
        (200, "{}".to_owned()),
        (200, "{\"cloud_uuid\":".to_owned()),
        (200, "<html>sign in</html>".to_owned()),
        (200, "[".repeat(100_000)),
        (200, json!({"cloud_uuid": null}).to_string()),
        (200, json!({"cloud_uuid": 5}).to_string()),
        (200, json!({"cloud_uuid": "pending"}).to_string()),
        (200, json!({"cloud_uuid": Uuid::nil().to_string()}).to_string()),
        (200, json!([local(A)]).to_string()),
        (200, local(STRANGER).to_string()),
        (200, json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": 7}).to_string()),
        (200, json!({"error": "please sign in"}).to_string()),
        (200, json!({"error": "no", "local_project_uuid": STRANGER.to_string()}).to_string()),
        (202, local(STRANGER).to_string()),
        (202, "<html>sign in</html>".to_owned()),
        (101, String::new()),
    ] {
        let answer = single(&answered(status, &body), A);
        assert!(
            matches!(answer, Answer::Suspect(Suspect::NotTheContract(_))),
            "{status} {body:.80}: {answer:?}"
        );
    }
}

#[test]
fn a_single_success_with_an_error_about_the_project_is_its_failure() {
    let failed = ItemOutcome::Failed("no".to_owned());
    let given_up = || ItemOutcome::Failed("the cloud says error and no more".to_owned());
    for (body, outcome) in [
        (json!({"cloud_uuid": CLOUD.to_string(), "error": "no"}), failed.clone()),
        (json!({"local_project_uuid": A.to_string(), "error": "no"}), failed.clone()),
        (
            json!({"local_project_uuid": A.to_string(), "cloud_uuid": null, "status": "error", "detail": "no"}),
            failed,
        ),
        (json!({"local_project_uuid": A.to_string(), "error": "no", "code": "invalid"}), {
            ItemOutcome::Rejected("no".to_owned())
        }),
        (json!({"cloud_uuid": CLOUD.to_string(), "registration_status": "failed"}), given_up()),
        (
            json!({"cloud_uuid": CLOUD.to_string(), "registration_status": "Cancelled", "status": "ok"}),
            given_up(),
        ),
        (json!({"cloud_uuid": CLOUD.to_string(), "status": "denied"}), given_up()),
    ] {
        let expected = Answer::Results(vec![ItemResult { local: A, outcome }]);
        assert_eq!(single(&answered(200, &body.to_string()), A), expected, "{body}");
    }
}

#[test]
fn an_error_in_a_look_up_is_told_of_the_registration() {
    let body = json!({"cloud_uuid": CLOUD.to_string(), "registration_status": "failed", "error": "quota"})
        .to_string();
    assert_eq!(look_up(&answered(200, &body), Asked::Cloud(CLOUD)), LookUp::Found(known("failed")));
}

#[test]
fn a_page_for_people_is_never_an_answer() {
    let body = json!({"cloud_uuid": CLOUD.to_string(), "results": []}).to_string();
    for kind in ["text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml"] {
        let mut page = answered(200, &body);
        page.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let expected = suspect(PAGE.to_owned());
        assert_eq!(single(&page, A), expected);
        assert_eq!(batch(&page, &[A]), expected);
        assert_eq!(look_up(&page, Asked::Local(A)), LookUp::Failed(expected.clone()));
        page.status = 202;
        assert_eq!(single(&page, A), expected);
        assert_eq!(batch(&page, &[A]), expected);
    }
}

#[test]
fn each_item_of_a_batch_is_read_by_itself() {
    let done = |status: &str| Some(ItemOutcome::Done(known(status)));
    let failed = |said: &str| Some(ItemOutcome::Failed(said.to_owned()));
    let rejected = |said: &str| Some(ItemOutcome::Rejected(said.to_owned()));
    let id = CLOUD.to_string();
    for (item, expected) in [
        (json!({"cloud_uuid": id, "status": "created"}), done("created")),
        (json!({"cloud_uuid": id, "status": "x", "registration_status": "pending"}), done("pending")),
        (json!({"cloud_uuid": id, "error": ""}), done("")),
        (json!({"cloud_uuid": id, "error": null, "errors": []}), done("")),
        (json!({"cloud_uuid": id, "error": false, "status": 201}), done("")),
        (json!({"cloud_uuid": id, "error": 0, "errors": {"name": [], "code": null}}), done("")),
        (json!({"cloud_uuid": id, "errors": {"name": [], "code": 7}}), failed("code: 7")),
        (json!({"cloud_uuid": id, "error": "no"}), failed("no")),
        (json!({"cloud_uuid": id, "status": "Error", "detail": "why"}), failed("why")),
        (json!({"status": "error"}), failed("the cloud says error and no more")),
        (json!({"status": 500}), failed("the cloud says error and no more")),
        (json!({"error": true}), failed("true")),
        (json!({"error": {"project_name": ["too long"]}}), failed("project_name: too long")),
        (json!({"errors": ["a", "b"]}), failed("a; b")),
        (json!({"error": "no", "status": 422}), rejected("no")),
        (json!({"error": "no", "status_code": "400"}), rejected("no")),
        (json!({"error": "no", "code": 404}), rejected("no")),
        (json!({"error": "no", "code": "validation_error"}), rejected("no")),
        (json!({"error": "no", "code": "Bad-Request"}), rejected("no")),
        (json!({"error": "no", "status": "invalid"}), rejected("no")),
        (json!({"error": {"code": 413, "text": "big"}}), rejected("code: 413; text: big")),
        (json!({"error": "no", "code": "busy"}), failed("no")),
        (json!({"error": "no", "code": 503, "status": "invalid"}), failed("no")),
        (json!({"error": "no", "code": 4_000_000}), failed("no")),
        (json!({"cloud_uuid": "pending"}), None),
        (json!({"cloud_uuid": Uuid::nil().to_string()}), None),
        (json!({"status": "created"}), None),
        (json!({}), None),
    ] {
        let mut item = item;
        item["local_project_uuid"] = json!(A.to_string());
        let expected: Vec<ItemResult> =
            expected.into_iter().map(|outcome| ItemResult { local: A, outcome }).collect();
        assert_eq!(batched(&[item.clone()]), Answer::Results(expected), "{item}");
    }
}

#[test]
fn a_status_that_is_not_about_the_project_is_no_last_word() {
    let not_now = ItemOutcome::NotNow("no".to_owned());
    let each = [401, 402, 403, 407, 408, 421, 425, 429].map(|status| (status, not_now.clone()));
    for (status, outcome) in each.into_iter().chain([(409, ItemOutcome::Failed("no".to_owned()))]) {
        let item = json!({"local_project_uuid": A.to_string(), "error": "no", "status": status});
        let expected = vec![ItemResult { local: A, outcome }];
        assert_eq!(batched(&[item]), Answer::Results(expected), "{status}");
    }
}

#[test]
fn results_keep_the_order_of_the_batch_and_strangers_are_left_out() {
    let done =
        |local: LocalId| json!({"local_project_uuid": local.to_string(), "cloud_uuid": CLOUD.to_string()});
    let bad = |local: LocalId| json!({"local_project_uuid": local.to_string(), "error": "no"});
    let as_done = |local| ItemResult { local, outcome: ItemOutcome::Done(known("")) };
    let as_failed = |local| ItemResult { local, outcome: ItemOutcome::Failed("no".to_owned()) };
    let mut second = done(A);
    second["cloud_uuid"] = json!(OTHER_CLOUD.to_string());
    for (items, expected) in [
        (vec![], vec![]),
        (vec![done(B), done(A)], vec![as_done(A), as_done(B)]),
        (vec![done(STRANGER), done(B)], vec![as_done(B)]),
        (vec![bad(A), done(A)], vec![as_done(A)]),
        (vec![done(A), bad(A)], vec![as_done(A)]),
        (vec![done(A), second], vec![as_done(A)]),
        (vec![json!(null), json!([]), json!({"local_project_uuid": "x"}), bad(B)], vec![as_failed(B)]),
    ] {
        assert_eq!(batched(&items), Answer::Results(expected), "{items:?}");
    }
}

#[test]
fn a_batch_answer_of_any_other_shape_is_suspect() {
    let stranger = json!({"local_project_uuid": STRANGER.to_string(), "cloud_uuid": CLOUD.to_string()});
    for (status, body) in [
        (200, json!({"results": [stranger]})),
        (200, json!({"results": [null, 5]})),
        (200, json!({"results": {}})),
        (200, json!({"results": null})),
        (200, json!({})),
        (200, json!([])),
        (200, json!("text")),
        (204, json!({"results": []})),
    ] {
        let answer = batch(&answered(status, &body.to_string()), &[A, B]);
        assert!(matches!(answer, Answer::Suspect(Suspect::NotTheContract(_))), "{status} {body}: {answer:?}");
    }
    assert_eq!(batch(&answered(202, ""), &[A]), Answer::Accepted(None));
    let multi = json!({"results": []}).to_string();
    assert_eq!(batch(&answered(207, &multi), &[A]), Answer::Results(vec![]));
}

#[test]
fn a_batch_that_is_accepted_may_tell_more_of_each() {
    let accepted = |told: Option<&str>| ItemOutcome::Accepted(told.map(known));
    for (told_of_a, expected) in [
        (json!({"status": "pending", "cloud_uuid": CLOUD.to_string()}), accepted(Some("pending"))),
        (json!({"cloud_uuid": CLOUD.to_string()}), accepted(Some(""))),
        (json!({"status": "pending"}), accepted(None)),
        (json!({"status": "synced", "cloud_uuid": CLOUD.to_string()}), accepted(Some("synced"))),
        (json!({"status": "error", "error": "no"}), ItemOutcome::Failed("no".to_owned())),
        (json!({"status": 422, "error": "no"}), ItemOutcome::Rejected("no".to_owned())),
    ] {
        let mut item = told_of_a.clone();
        item["local_project_uuid"] = json!(A.to_string());
        let body = json!({"results": [item]}).to_string();
        let each = vec![
            ItemResult { local: A, outcome: expected },
            // What it does not name is taken as well.
            ItemResult { local: B, outcome: accepted(None) },
        ];
        assert_eq!(batch(&answered(202, &body), &[A, B]), Answer::Results(each), "{told_of_a}");
    }
    for body in [r#"{"task": 5}"#, r#"{"results": [{"local_project_uuid": "else"}]}"#, "taken", "[]"] {
        assert_eq!(batch(&answered(202, body), &[A, B]), Answer::Accepted(None), "{body}");
    }
}

#[test]
fn a_redirect_is_suspect_and_any_other_status_a_refusal() {
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        let expected = Answer::Suspect(Suspect::Redirect(status));
        assert_eq!(single(&answered(status, ""), A), expected);
        assert_eq!(batch(&answered(status, ""), &[A]), expected);
        assert_eq!(look_up(&answered(status, ""), Asked::Local(A)), LookUp::Failed(expected));
    }
    for status in [400, 401, 403, 404, 405, 407, 409, 413, 429, 451, 500, 502, 503, 520, 599, 600, 999] {
        let words = "no".to_owned();
        let expected = Answer::Refused(Refusal { status, wait: None, words });
        assert_eq!(single(&answered(status, r#"{"detail": "no"}"#), A), expected);
        assert_eq!(batch(&answered(status, r#"{"error": "no"}"#), &[A]), expected);
    }
}

#[test]
fn a_look_up_finds_only_what_it_asked_for() {
    let body = |local: LocalId| {
        json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": local.to_string(),
        "registration_status": "registered", "registered_at": "1970-01-01T00:00:01Z", "tenant_id": "acme"})
    };
    let found = LookUp::Found(CloudProject {
        cloud: CLOUD,
        status: "registered".to_owned(),
        registered_at: Some(Timestamp(1000)),
        tenant: TenantId::new("acme"),
    });
    let stranger = LookUp::Failed(suspect("the answer is about another project".to_owned()));
    for (asked, local, expected) in [
        (Asked::Local(A), A, &found),
        (Asked::Local(A), B, &stranger),
        (Asked::Cloud(CLOUD), B, &found),
        (Asked::Cloud(OTHER_CLOUD), A, &stranger),
    ] {
        assert_eq!(look_up(&answered(200, &body(local).to_string()), asked), *expected, "{asked:?}");
    }
}

#[test]
fn an_answer_of_many_more_parts_than_were_asked_for_is_not_read() {
    let of = |parts: usize| {
        let many: Vec<Value> = vec![json!({}); parts];
        json!({"cloud_uuid": CLOUD.to_string(), "results": [], "of_tomorrow": many}).to_string()
    };
    let too_much = suspect("the answer says far more than was asked".to_owned());
    assert!(matches!(single(&answered(200, &of(400)), A), Answer::Registered(_)));
    assert_eq!(single(&answered(200, &of(600)), A), too_much);
    assert_eq!(batch(&answered(200, &of(100_000)), &[A; 100]), too_much);
    assert_eq!(look_up(&answered(200, &of(600)), Asked::Local(A)), LookUp::Failed(too_much));
    // Long words are no parts; but nobody is told them.
    let long = json!({"cloud_uuid": CLOUD.to_string(), "of_tomorrow": "x".repeat(100_000)}).to_string();
    assert!(matches!(look_up(&answered(200, &long), Asked::Local(A)), LookUp::Found(_)));
    assert!(told(&answered(200, &long)).is_none());
}

#[test]
fn all_that_is_said_of_a_project_is_passed_on() {
    let body =
        json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": A.to_string(), "of_tomorrow": [1]});
    let said = told(&answered(200, &body.to_string())).unwrap();
    assert_eq!((said.local, &Value::Object(said.fields)), (Some(A), &body));
    for nobody in [json!(null), json!(5), json!("nonsense"), json!(Uuid::nil().to_string())] {
        let body = json!({"cloud_uuid": CLOUD.to_string(), "local_project_uuid": nobody});
        assert_eq!(told(&answered(200, &body.to_string())).unwrap().local, None, "{body}");
    }
}

#[test]
fn only_the_clouds_own_404_makes_a_project_unknown() {
    for (body, unknown) in [
        (r#"{"detail": "Not found."}"#, true),
        (r#"{"error": "not registered"}"#, true),
        (r#"{"code": "not_found"}"#, true),
        ("", true),
        (r#"{"message": "no Route matched with those values"}"#, false),
        ("<h1>Not Found</h1>", false),
        ("404 page not found", false),
        ("[]", false),
        ("{}", false),
    ] {
        let answer = look_up(&answered(404, body), Asked::Local(A));
        assert_eq!(answer == LookUp::Unknown, unknown, "{body}: {answer:?}");
    }
    let mut page = answered(404, r#"{"detail": "Not found."}"#);
    page.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    assert!(matches!(look_up(&page, Asked::Local(A)), LookUp::Failed(Answer::Refused(_))));
}

#[test]
fn a_tenant_and_a_moment_are_kept_where_they_can_be_read() {
    for (extra, tenant, registered_at) in [
        (json!({"tenant_id": "acme", "registered_at": "1970-01-01T00:00:01.5Z"}), Some("acme"), Some(1500)),
        (json!({"tenant_id": 42}), Some("42"), None),
        (json!({"tenant_id": "", "registered_at": "yesterday"}), None, None),
        (json!({"tenant_id": {"id": 1}, "registered_at": 5}), None, None),
    ] {
        let mut body = json!({"cloud_uuid": CLOUD.to_string()});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let Answer::Registered(project) = single(&answered(200, &body.to_string()), A) else {
            panic!("{body}")
        };
        assert_eq!(project.tenant, tenant.and_then(TenantId::new), "{body}");
        assert_eq!(project.registered_at, registered_at.map(Timestamp), "{body}");
    }
}

proptest! {
    #[test]
    fn no_json_registers_a_project_without_its_uuid(status in status(), body in json_of_interest()) {
        let exchange = answered(status, &body.to_string());
        let told = body.get("cloud_uuid").and_then(Value::as_str).and_then(|text| text.parse().ok()).map(CloudId);
        if let Answer::Registered(project) = single(&exchange, A) {
            prop_assert_eq!(Some(project.cloud), told);
            prop_assert!(!project.cloud.0.is_nil());
            prop_assert!(matches!(status, 200 | 201 | 207));
        }
        if let LookUp::Found(project) = look_up(&exchange, Asked::Local(A)) {
            prop_assert_eq!(Some(project.cloud), told);
        }
        if let Answer::Results(results) = batch(&exchange, &[A, B]) {
            prop_assert!(matches!(status, 200 | 201 | 202 | 207));
            prop_assert!(results.windows(2).all(|pair| pair[0].local < pair[1].local));
            for result in results {
                prop_assert!(result.local == A || result.local == B);
                if let ItemOutcome::Done(project) = result.outcome {
                    prop_assert!(said(&body, &result.local.to_string()) && said(&body, &project.cloud.to_string()));
                }
            }
        }
    }

    #[test]
    fn no_bytes_are_too_strange_to_read(status in status(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let exchange = Exchange { status, headers: HeaderMap::new(), body };
        prop_assert!(!matches!(single(&exchange, A), Answer::Registered(_)));
        prop_assert!(!matches!(look_up(&exchange, Asked::Local(A)), LookUp::Found(_)));
        prop_assert!(!matches!(batch(&exchange, &[A]), Answer::Results(_)));
    }
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![Just(200_u16), Just(201), Just(202), Just(207), Just(404), 100_u16..1000]
}

/// JSON of any shape that often has the contract's fields where they belong, or nearly.
fn json_of_interest() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(A.to_string()),
        Just(B.to_string()),
        Just(CLOUD.to_string()),
        Just(Uuid::nil().to_string()),
        Just("error".to_owned()),
        ".{0,12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = proptest::sample::select(vec![
        "cloud_uuid",
        "local_project_uuid",
        "results",
        "status",
        "error",
        "errors",
        "code",
        "detail",
        "tenant_id",
        "registered_at",
    ]);
    let any_json = leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    });
    let items = proptest::collection::vec(any_json.clone(), 0..5);
    prop_oneof![any_json, items.prop_map(|items| json!({ "results": items }))]
}

fn said(body: &Value, text: &str) -> bool {
    body.to_string().contains(text)
}

fn batched(items: &[Value]) -> Answer {
    batch(&answered(200, &json!({ "results": items }).to_string()), &[A, B])
}

fn answered(status: u16, body: &str) -> Exchange {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Exchange { status, headers, body: body.as_bytes().to_vec() }
}

fn known(status: &str) -> CloudProject {
    CloudProject { cloud: CLOUD, status: status.to_owned(), registered_at: None, tenant: None }
}
