//! The client against the dev cloud: the other reading of the contract.

use std::time::Duration;

use coditect_devcloud::{Canned, DevCloud, Effect, Fault, Options, PoisonedBatch, Rule, dev_token};
use serde_json::json;
use sync_cloud::{Cloud, Outgoing, Settings, Source, Token, obtain};
use sync_core::{
    Answer, CloudId, ItemOutcome, ItemResult, LocalId, LookUp, Refusal, Suspect, TenantId, Timestamp,
    Unreachable,
};
use uuid::Uuid;

use crate::loopback::{KEY, LOCAL, cloud, outgoing, settings, token};

#[tokio::test]
async fn a_project_is_registered_once_looked_up_and_followed() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let (cloud, token) = (cloud(&there.url()), tenants_token("acme").await);
    assert_eq!(cloud.by_local_uuid(Some(&token), LOCAL).await.look_up, LookUp::Unknown);

    let Answer::Registered(first) = cloud.register(Some(&token), &outgoing()).await.answer else {
        panic!("first")
    };
    let reply = cloud.register(Some(&token), &outgoing()).await;
    let Answer::Registered(again) = reply.answer else { panic!("{reply:?}") };
    assert_eq!((first.cloud, first.tenant), (again.cloud, TenantId::new("acme")));
    assert!(reply.date.is_some() && reply.took > Duration::ZERO);

    for look_up in [
        cloud.by_local_uuid(Some(&token), LOCAL).await.look_up,
        cloud.registration_status(Some(&token), first.cloud).await.look_up,
    ] {
        let LookUp::Found(found) = look_up else { panic!("{look_up:?}") };
        assert_eq!(found.cloud, first.cloud);
    }
    let told = cloud.registration_status(Some(&token), first.cloud).await.told.unwrap();
    assert_eq!((told.local, &told.fields["tenant_id"]), (Some(LOCAL), &json!("acme")));
    let stranger = cloud.registration_status(Some(&token), CloudId(Uuid::from_u128(99))).await;
    assert_eq!((stranger.look_up, stranger.told), (LookUp::Unknown, None));

    let ledger = there.ledger(0).await.unwrap();
    assert_eq!(ledger.iter().filter(|entry| entry.effect == Effect::Created).count(), 1);
    assert!(ledger.iter().all(|entry| entry.revision == Some(7) && entry.tenant == "acme"));
    assert_eq!(ledger[0].idempotency_key.as_deref(), Some(&*KEY.to_string()));
}

#[tokio::test]
async fn a_batch_carries_every_field_and_comes_back_whole() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let token = tenants_token("acme").await;
    let mut batch: Vec<Outgoing> = (1..=100).map(numbered).collect();
    batch[1].registration.parent = Some(batch[0].registration.local);
    let Answer::Results(results) = cloud(&there.url()).sync(Some(&token), &batch, KEY).await.answer else {
        panic!("results")
    };
    let locals: Vec<LocalId> = results.iter().map(|result| result.local).collect();
    assert_eq!(locals, batch.iter().map(|each| each.registration.local).collect::<Vec<_>>());
    assert!(results.iter().all(is_done));

    let known = there.projects().await.unwrap();
    assert_eq!(known.len(), 100);
    let child = known.iter().find(|project| project.project_name == "p2").unwrap();
    assert_eq!(child.parent_project_uuid, Some(batch[0].registration.local.to_string()));
    assert_eq!((&*child.content_hash, &*child.primary_language), ("ab", "Rust"));
}

#[tokio::test]
async fn a_faulty_item_is_told_from_one_that_was_left_out() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let poisoned = Fault::PoisonedName { name: "p1".to_owned(), batch: PoisonedBatch::ItemError };
    let left_out = Fault::LeftOut { name: Some("p2".to_owned()), every: None };
    there.faults().replace(vec![Rule::new(poisoned), Rule::new(left_out)]).unwrap();
    let token = tenants_token("acme").await;
    let batch = [numbered(1), numbered(2), numbered(3)];
    let Answer::Results(results) = cloud(&there.url()).sync(Some(&token), &batch, KEY).await.answer else {
        panic!("results")
    };
    let [first, third] = &results[..] else { panic!("{results:?}") };
    assert_eq!((first.local, third.local), (batch[0].registration.local, batch[2].registration.local));
    assert!(!is_done(first) && is_done(third), "{results:?}");
}

type Expectation = Box<dyn Fn(&Answer) -> bool>;

#[tokio::test]
async fn every_fault_becomes_the_answer_that_names_it() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let token = tenants_token("acme").await;
    let limit = Duration::from_millis(700);
    let cloud = Cloud::new(Settings { request_timeout: limit, ..settings(&there.url()) }).unwrap();
    let dated = Canned { code: 503, retry_after_date_in: Some(40), ..Canned::default() };
    let refused = |status: u16, wait: Option<u64>| {
        move |answer: &Answer| {
            matches!(answer, Answer::Refused(Refusal { status: told, wait: asked, .. })
                if *told == status && *asked == wait.map(Duration::from_secs))
        }
    };
    let lost = |kind: Unreachable| move |answer: &Answer| *answer == Answer::Unreachable(kind);
    let stranger = |answer: &Answer| matches!(answer, Answer::Suspect(Suspect::NotTheContract(_)));
    let faults: Vec<(Fault, Expectation)> = vec![
        (Fault::status(500), Box::new(refused(500, None))),
        (Fault::retry_after(429, "7"), Box::new(refused(429, Some(7)))),
        (Fault::Status(dated), Box::new(refused(503, Some(40)))),
        (Fault::Unauthorized { unless_token: None }, Box::new(refused(401, None))),
        (Fault::TooLarge { above_bytes: 10 }, Box::new(refused(413, None))),
        (
            Fault::PoisonedName { name: "api".to_owned(), batch: PoisonedBatch::Refused },
            Box::new(refused(400, None)),
        ),
        (Fault::HtmlPage, Box::new(stranger)),
        (Fault::EmptyBody, Box::new(stranger)),
        (Fault::OtherJson { body: None }, Box::new(stranger)),
        (Fault::Redirect { to: "http://127.0.0.1:1/".to_owned(), code: 307 }, {
            Box::new(|answer| *answer == Answer::Suspect(Suspect::Redirect(307)))
        }),
        (Fault::Reset, Box::new(lost(Unreachable::Reset))),
        (Fault::TruncatedBody { bytes: 5 }, Box::new(lost(Unreachable::Reset))),
        (Fault::Hang, Box::new(lost(Unreachable::AnswerTimeout))),
        (Fault::SlowBody { bytes_per_second: 1 }, Box::new(lost(Unreachable::AnswerTimeout))),
        (Fault::Accepted { registered_after_ms: 60_000, hidden: true }, {
            Box::new(|answer| *answer == Answer::Accepted(None))
        }),
    ];
    for (fault, expected) in faults {
        there.faults().replace(vec![Rule::new(fault.clone())]).unwrap();
        there.forget().await.unwrap();
        let answer = cloud.register(Some(&token), &outgoing()).await.answer;
        assert!(expected(&answer), "{fault:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_older_cloud_without_sync_is_told_by_its_status() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let token = tenants_token("acme").await;
    let cloud = cloud(&there.url());
    for code in [404, 405] {
        there.faults().replace(vec![Rule::new(Fault::NoSync { code })]).unwrap();
        let batch = cloud.sync(Some(&token), &[outgoing()], KEY).await.answer;
        assert!(matches!(&batch, Answer::Refused(Refusal { status, .. }) if *status == code), "{batch:?}");
        assert!(matches!(cloud.register(Some(&token), &outgoing()).await.answer, Answer::Registered(_)));
    }
}

#[tokio::test]
async fn an_expired_token_says_so_itself_and_is_refused() {
    let there = DevCloud::start(Options::default()).await.unwrap();
    let expired = obtain(&Source::Inline(dev_token("acme", Some(1000)))).await.unwrap().unwrap();
    assert_eq!(expired.claims.expires_at, Some(Timestamp(1_000_000)));
    assert_eq!(expired.claims.tenant, TenantId::new("acme"));
    let cloud = cloud(&there.url());
    for token in [Some(&expired.token), None] {
        let answer = cloud.register(token, &outgoing()).await.answer;
        assert!(matches!(&answer, Answer::Refused(Refusal { status: 401, .. })), "{answer:?}");
    }
    let opaque = token("opaque").await;
    assert!(matches!(cloud.register(Some(&opaque), &outgoing()).await.answer, Answer::Registered(_)));
}

async fn tenants_token(tenant: &str) -> Token {
    token(&dev_token(tenant, None)).await
}

fn numbered(number: u128) -> Outgoing {
    let mut numbered = outgoing();
    numbered.registration.local = LocalId(Uuid::from_u128(0x1000 + number));
    numbered.registration.name = format!("p{number}");
    numbered.registration.root = format!("/home/u/p{number}").into();
    numbered.key = Uuid::from_u128(0x2000 + number);
    numbered
}

fn is_done(result: &ItemResult) -> bool {
    matches!(result.outcome, ItemOutcome::Done(_))
}
